//! The closing of epochs, through inlets that are filled by hand.

#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss)]

mod recorded;
mod resumed;

use std::sync::Arc;

use arrow::array::{Array, ListArray, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use arrow::datatypes::{Float32Type, Schema};
use crossbeam_channel::{Sender, bounded};
use headwater_contract::{Position, RowId, identity};
use proptest::prelude::*;

use super::*;
use crate::commit::CommitRule;
use crate::plan::RoundRule;

/// A source that has already given everything.
struct Script {
    items: Vec<Item>,
    boundedness: Boundedness,
}

fn recorded(batches: Vec<RecordBatch>) -> Script {
    let items =
        batches.into_iter().map(|batch| Item::Rows(Measured::of(batch), Position::default())).collect();
    Script { items, boundedness: Boundedness::Bounded }
}

/// The inlet of a source that has ended, or, with the sender kept, of one that continues.
fn inlet(script: Script) -> (Inlet, Sender<Item>) {
    let (sender, items) = bounded(script.items.len() + 1);
    script.items.into_iter().for_each(|item| sender.try_send(item).unwrap());
    (Inlet::new("s", items, Arc::default(), script.boundedness), sender)
}

/// Rows captured at these seconds, with payloads of this length; seq counts from `first`.
fn rows(first: u64, seconds: &[i64], weight: usize) -> RecordBatch {
    let n = seconds.len();
    let mut fields = identity::fields();
    fields.push(headwater_contract::columns::utf8("payload"));
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["d"; n])),
        Arc::new(StringArray::from(vec!["s"; n])),
        Arc::new(UInt64Array::from_iter_values((first..).take(n))),
        Arc::new(UInt32Array::from(vec![0; n])),
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(seconds.iter().map(|s| s * 1_000_000))
                .with_timezone("UTC"),
        ),
        Arc::new(StringArray::from(vec!["x".repeat(weight); n])),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// The same rows in batches of these sizes, used again and again.
fn batched(seconds: &[i64], weight: usize, sizes: &[usize]) -> Vec<RecordBatch> {
    let whole = rows(0, seconds, weight);
    let mut sizes = sizes.iter().cycle();
    let mut from = 0;
    let mut batches = Vec::new();
    while from < whole.num_rows() {
        let size = (*sizes.next().unwrap()).min(whole.num_rows() - from);
        batches.push(whole.slice(from, size));
        from += size;
    }
    batches
}

/// The epochs that an intake made of its inlets: for each epoch the seqs of rows and of rejects, and its barrier.
#[derive(Debug, Default, PartialEq)]
struct Cuts {
    epochs: Vec<Vec<u64>>,
    rejects: Vec<Vec<u64>>,
    barriers: Vec<Barrier>,
    failed: Option<Failure>,
}

fn plan(epoch: EpochRule, cap: u64) -> Plan {
    let (name, round, flush, stages) = Default::default();
    Plan {
        name,
        epoch,
        round,
        flush,
        epoch_bytes: Bytes(cap),
        window: 4,
        commit: CommitRule::default(),
        members: None,
        record: Vec::new(),
        stages,
    }
}

fn cut(rule: EpochRule, cap: u64, scripts: Vec<Script>) -> Cuts {
    let inlets = scripts.into_iter().map(|script| inlet(script).0).collect();
    drain(&mut Intake::new(inlets, &plan(rule, cap), Arc::default()))
}

fn drain(intake: &mut Intake) -> Cuts {
    let mut cuts = Cuts::default();
    let (mut rows, mut rejects) = (Vec::new(), Vec::new());
    for _ in 0..100_000 {
        match intake.next_event() {
            IntakeEvent::Rows(_, batch) => {
                assert!(batch.num_rows() > 0, "no empty batch is passed on");
                let ids = IdentityColumns::of(&batch).unwrap();
                rows.extend((0..ids.len()).map(|row| ids.seq(row)));
            }
            IntakeEvent::Rejected(_, reject) => rejects.push(reject.id.seq),
            IntakeEvent::Kept(..) => panic!("nothing was to be remembered"),
            IntakeEvent::RejectedRows(_, batch) => {
                let ids = IdentityColumns::of(&batch).unwrap();
                rejects.extend((0..ids.len()).map(|row| ids.seq(row)));
            }
            IntakeEvent::Close(barrier) => {
                cuts.epochs.push(std::mem::take(&mut rows));
                cuts.rejects.push(std::mem::take(&mut rejects));
                cuts.barriers.push(barrier);
            }
            IntakeEvent::Wait(time) => assert!(time.is_some(), "it waits to be woken, and nothing wakes it"),
            IntakeEvent::Failed(failure) => cuts.failed = Some(failure),
            IntakeEvent::End => {
                assert!(rows.is_empty() && rejects.is_empty(), "rows of an epoch without mark");
                assert!(matches!(intake.next_event(), IntakeEvent::End), "after the end nothing comes");
                return cuts;
            }
        }
    }
    panic!("the intake does not end");
}

fn sizes(cuts: &Cuts) -> Vec<usize> {
    cuts.epochs.iter().map(Vec::len).collect()
}

const MUCH: u64 = 1 << 40;

#[test]
fn by_rows() {
    let check = |count: i64, batches: &[usize], limit: u64, expected: &[usize]| {
        let seconds: Vec<i64> = (0..count).collect();
        let cuts = cut(EpochRule::Rows(limit), MUCH, vec![recorded(batched(&seconds, 1, batches))]);
        assert_eq!(sizes(&cuts), expected, "{count} rows in batches of {batches:?}, {limit} an epoch");
        assert_eq!(cuts.epochs.concat(), (0..count as u64).collect::<Vec<_>>());
    };
    check(0, &[1], 3, &[0]);
    check(1, &[1], 3, &[1, 0]);
    check(3, &[1], 3, &[3, 0]);
    check(3, &[3], 1, &[1, 1, 1, 0]);
    check(7, &[7], 3, &[3, 3, 1, 0]);
    check(7, &[2], 3, &[3, 3, 1, 0]);
    check(6, &[5, 1], 3, &[3, 3, 0]);
    check(5, &[5], 100, &[5, 0]);
}

#[test]
fn rounds_end_with_epochs_and_after_the_input() {
    let check = |round: Option<RoundRule>, flush: u32, expected: &[(u64, bool, bool)]| {
        let seconds: Vec<i64> = (0..7).collect();
        let plan = Plan { round, flush, ..plan(EpochRule::Rows(2), MUCH) };
        let inlets = vec![inlet(recorded(batched(&seconds, 1, &[3]))).0];
        let cuts = drain(&mut Intake::new(inlets, &plan, Arc::default()));
        let barriers: Vec<_> =
            cuts.barriers.iter().map(|m| (m.round.0, m.round_end, m.end_of_input)).collect();
        assert_eq!(barriers, expected, "{round:?}, {flush} more");
        assert!(cuts.barriers.iter().enumerate().all(|(at, barrier)| barrier.epoch.0 == at as u64));
    };
    let open = (0, false, false);
    check(None, 0, &[open, open, open, open, (0, true, true)]);
    check(None, 2, &[open, open, open, open, (0, true, true), (1, true, false), (2, true, false)]);
    let twos =
        [open, (0, true, false), (1, false, false), (1, true, false), (2, true, true), (3, true, false)];
    check(Some(RoundRule::Epochs(2)), 1, &twos);
    check(
        Some(RoundRule::Rows(4)),
        1,
        &[&twos[..3], &[(1, false, false), (1, true, true), (2, true, false)]].concat(),
    );
}

#[test]
fn by_captured_time() {
    let check = |seconds: &[i64], every: u64, expected: &[&[u64]]| {
        for batches in [1, 2, 3, 100] {
            let rule = EpochRule::Every(Duration::from_secs(every));
            let cuts = cut(rule, MUCH, vec![recorded(batched(seconds, 1, &[batches]))]);
            assert_eq!(cuts.epochs, expected, "{seconds:?} every {every} s, batches of {batches}");
        }
    };
    check(&[0, 1, 9, 10, 11, 25], 10, &[&[0, 1, 2], &[3, 4], &[5], &[]]);
    // Epochs end at multiples of their length, not after their first row.
    check(&[8, 12], 10, &[&[0], &[1], &[]]);
    // Late rows join the open epoch.
    check(&[0, 12, 3, 13, 9, 21], 10, &[&[0], &[1, 2, 3, 4], &[5], &[]]);
    check(&[-15, -11, -10, -1, 0], 10, &[&[0, 1], &[2, 3], &[4], &[]]);
    check(&[5, 5_000_000], 10, &[&[0], &[1], &[]]);
}

#[test]
fn by_bytes() {
    let row = size_of_rows(&rows(0, &[0], 100));
    let check = |count: i64, cap: u64, limit: u64, expected: &[usize]| {
        let seconds: Vec<i64> = (0..count).collect();
        for batches in [1, 2, 3, 5, 100] {
            let cuts = cut(EpochRule::Rows(limit), cap, vec![recorded(batched(&seconds, 100, &[batches]))]);
            assert_eq!(sizes(&cuts), expected, "cap {cap}, batches of {batches}");
        }
    };
    check(7, row * 3, 100, &[3, 3, 1, 0]);
    check(7, row * 4 - 1, 100, &[3, 3, 1, 0]);
    check(7, row * 3, 2, &[2, 2, 2, 1, 0]);
    // A row that is larger than the cap has an epoch of its own.
    check(3, row - 1, 100, &[1, 1, 1, 0]);
    check(3, 0, 100, &[1, 1, 1, 0]);
}

/// A column of lists counts what its rows hold, not what the buffer behind them holds.
#[test]
fn bytes_of_lists_are_those_of_their_rows() {
    let one = rows(0, &[0; 8], 0);
    let lists =
        ListArray::from_iter_primitive::<Float32Type, _, _>((0..8).map(|_| Some(vec![Some(0.5); 1000])));
    let mut fields: Vec<_> = one.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.push(arrow::datatypes::Field::new("samples", lists.data_type().clone(), true));
    let mut columns = one.columns().to_vec();
    columns.push(Arc::new(lists));
    let whole = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let each: u64 = (0..8).map(|row| size_of_rows(&whole.slice(row, 1))).sum();
    assert_eq!(each, size_of_rows(&whole));
    assert!((8 * 4000..8 * 4200).contains(&each), "{each} bytes");
    let cuts = cut(EpochRule::Rows(100), each / 2, vec![recorded(vec![whole])]);
    assert_eq!(sizes(&cuts), [4, 4, 0]);
}

#[test]
fn sources_take_turns() {
    let of = |from: u64, count: usize, batch: usize| {
        let whole = rows(from, &vec![0; count], 1);
        recorded((0..count).step_by(batch).map(|at| whole.slice(at, batch.min(count - at))).collect())
    };
    let cuts = cut(EpochRule::Rows(4), MUCH, vec![of(0, 6, 2), of(100, 2, 1), of(200, 0, 1)]);
    assert_eq!(cuts.epochs, [vec![0, 1, 100, 2], vec![3, 101, 4, 5], vec![]]);
}

/// A recorded source that has nothing yet is waited for: another one that has more may not continue in its place.
#[test]
fn a_slow_recorded_source_keeps_its_turn() {
    let (first, sender) = inlet(recorded(vec![]));
    let (second, _) = inlet(recorded(vec![rows(100, &[0], 1)]));
    let mut intake = Intake::new(vec![first, second], &plan(EpochRule::Rows(1), MUCH), Arc::default());
    for _ in 0..5 {
        assert!(matches!(intake.next_event(), IntakeEvent::Wait(None)));
    }
    sender.send(Item::Rows(Measured::of(rows(0, &[0], 1)), Position::default())).unwrap();
    drop(sender);
    assert_eq!(drain(&mut intake).epochs, [vec![0], vec![100], vec![]]);
}

fn reject(seq: u64) -> Item {
    let id = RowId { device: "d".into(), source: "s".into(), seq, part: 0 };
    Item::Rejected(SourceReject { id, captured_at: Micros(0), code: "bad", reason: "bad".into() })
}

#[test]
fn rejects_belong_to_the_open_epoch_and_make_none() {
    // Numbers from 1000 on are rejected.
    let check = |given: &[u64], epochs: &[&[u64]], rejects: &[&[u64]], rounds: &[u64]| {
        let item = |n: &u64| match n {
            1000.. => reject(*n),
            _ => Item::Rows(Measured::of(rows(*n, &[0], 1)), Position::default()),
        };
        let items = given.iter().map(item).collect();
        let plan = Plan { round: Some(RoundRule::Rows(3)), ..plan(EpochRule::Rows(2), MUCH) };
        let inlets = vec![inlet(Script { items, boundedness: Boundedness::Bounded }).0];
        let cuts = drain(&mut Intake::new(inlets, &plan, Arc::default()));
        assert_eq!(cuts.epochs, epochs, "{given:?}");
        assert_eq!(cuts.rejects, rejects, "{given:?}");
        let ended: Vec<u64> = cuts.barriers.iter().filter(|m| m.round_end).map(|m| m.epoch.0).collect();
        assert_eq!(ended, rounds, "{given:?}");
    };
    check(&[1000, 0, 1, 1001, 1002], &[&[0, 1], &[]], &[&[1000], &[1001, 1002]], &[1]);
    check(&[0, 1000, 1001, 1002, 1], &[&[0, 1], &[]], &[&[1000, 1001, 1002], &[]], &[1]);
    check(&[1000, 1001, 1002, 1003, 1004], &[&[]], &[&[1000, 1001, 1002, 1003, 1004]], &[0]);
    check(&[0, 1, 1000, 1001, 2, 1002], &[&[0, 1], &[2], &[]], &[&[], &[1000, 1001, 1002], &[]], &[1, 2]);
}

/// A flood of what is rejected does not stay in one epoch for ever.
#[test]
fn rejects_are_bounded_by_bytes() {
    let items = (1000..1100).map(reject).collect();
    let cuts = cut(EpochRule::Rows(2), 4096, vec![Script { items, boundedness: Boundedness::Bounded }]);
    assert!(cuts.rejects.len() > 2 && cuts.rejects.iter().all(|rejects| rejects.len() < 90), "{cuts:?}");
    assert_eq!(cuts.rejects.concat(), (1000..1100).collect::<Vec<_>>());
}

#[test]
fn a_failure_comes_after_what_was_given_before_it() {
    let failure = Failure::new("s", "broken");
    let items =
        vec![Item::Rows(Measured::of(rows(0, &[0], 1)), Position::default()), Item::Failed(failure.clone())];
    let (inlet, _) = inlet(Script { items, boundedness: Boundedness::Bounded });
    let mut intake = Intake::new(vec![inlet], &plan(EpochRule::Rows(9), MUCH), Arc::default());
    assert!(matches!(intake.next_event(), IntakeEvent::Rows(0, _)));
    assert!(matches!(intake.next_event(), IntakeEvent::Failed(epochs) if epochs == failure));
}

#[test]
fn stopping_closes_the_open_epoch_and_takes_no_more() {
    let stopping = Arc::new(AtomicBool::new(false));
    let script = recorded(batched(&[0; 20], 1, &[3]));
    let mut intake = Intake::new(vec![inlet(script).0], &plan(EpochRule::Rows(8), MUCH), stopping.clone());
    let mut taken = 0;
    while taken < 11 {
        if let IntakeEvent::Rows(_, batch) = intake.next_event() {
            taken += batch.num_rows();
        }
    }
    stopping.store(true, Relaxed);
    let IntakeEvent::Close(barrier) = intake.next_event() else { panic!("the open epoch is closed") };
    assert_eq!((barrier.epoch, barrier.end_of_input, barrier.round_end), (Epoch(1), false, false));
    assert!(matches!(intake.next_event(), IntakeEvent::End));
}

#[test]
fn live_input_waits_without_holding_others_up() {
    let live = |items| Script { items, boundedness: Boundedness::Live };
    let (first, _first) = inlet(live(vec![]));
    let (second, _second) =
        inlet(live(vec![Item::Rows(Measured::of(rows(0, &[0, 1], 1)), Position::default())]));
    let mut intake = Intake::new(vec![first, second], &plan(EpochRule::Rows(5), MUCH), Arc::default());
    assert!(matches!(intake.next_event(), IntakeEvent::Rows(1, _)));
    // Two rows wait for three more, but not for ever.
    assert!(matches!(intake.next_event(), IntakeEvent::Wait(Some(time)) if time <= LINGER));
}

/// Rows that a stage holds back are let go by a barrier when live input is quiet, and by one alone.
#[test]
fn quiet_live_input_gives_a_mark_for_what_is_held() {
    let hold = Duration::from_millis(10);
    let given = Item::Rows(Measured::of(rows(0, &[7], 1)), Position::default());
    let (inlet, _sender) = inlet(Script { items: vec![given], boundedness: Boundedness::Live });
    let mut intake = Intake::new(vec![inlet], &plan(EpochRule::Rows(1), MUCH), Arc::default());
    intake.quiet = Quiet::new(Some(hold));
    let (mut barriers, mut waits) = (Vec::new(), 0);
    loop {
        match intake.next_event() {
            IntakeEvent::Close(barrier) => barriers.push(barrier),
            IntakeEvent::Wait(None) => break,
            IntakeEvent::Wait(Some(time)) => {
                waits += 1;
                std::thread::sleep(time);
            }
            _ => {}
        }
    }
    assert!(waits > 0 && barriers.len() == 2, "{barriers:?}");
    let over = Micros(7_000_000 + i64::try_from(hold.as_micros()).unwrap());
    assert!(barriers[1].watermark > Some(over) && !barriers[1].round_end, "{barriers:?}");
}

/// A source of items behind their positions, from one of these on: a position is the number of items before it.
fn from_position(items: &[Item], progress: &SourceProgress) -> Script {
    let given = progress.position().map_or(0, |position| usize::from(position.0[0]));
    let again = |item: &Item| match item {
        Item::Rows(rows, position) => Item::Rows(Measured::of(rows.rows.clone()), position.clone()),
        Item::Rejected(reject) => Item::Rejected(reject.clone()),
        Item::RejectedRows(rows, position) => Item::RejectedRows(rows.clone(), position.clone()),
        Item::Closed(end, position) => Item::Closed(*end, position.clone()),
        Item::Failed(failure) => Item::Failed(failure.clone()),
        Item::Kept(change) => Item::Kept(change.clone()),
    };
    Script { items: items.iter().skip(given).map(again).collect(), boundedness: Boundedness::Bounded }
}

/// Rows, rejects and barrier of an epoch.
type Whole = (Vec<u64>, Vec<u64>, Barrier);

/// Runs until so many barriers have come, or to the end; returns the epochs with their barriers, and the progress.
fn some(intake: &mut Intake, barriers: usize) -> (Vec<Whole>, Progress) {
    let (mut epochs, mut rows, mut rejects) = (Vec::new(), Vec::new(), Vec::new());
    let mut progress = intake.progress();
    while epochs.len() < barriers {
        match intake.next_event() {
            IntakeEvent::Rows(_, batch) => {
                let ids = IdentityColumns::of(&batch).unwrap();
                rows.extend((0..ids.len()).map(|row| ids.seq(row)));
            }
            IntakeEvent::Rejected(_, reject) => rejects.push(reject.id.seq),
            IntakeEvent::Close(barrier) => {
                epochs.push((std::mem::take(&mut rows), std::mem::take(&mut rejects), barrier));
                progress = intake.progress();
            }
            IntakeEvent::End => break,
            IntakeEvent::Wait(_)
            | IntakeEvent::RejectedRows(..)
            | IntakeEvent::Kept(..)
            | IntakeEvent::Failed(_) => {}
        }
    }
    (epochs, progress)
}

proptest! {
    /// An attempt that continues after any barrier closes the rest as the first one would have, whatever the batches were.
    #[test]
    fn a_later_attempt_closes_the_same_epochs(
        sizes in prop::collection::vec(0usize..9, 1..12),
        limit in 1u64..9,
        flush in 0u32..3,
        round in 1u64..5,
        rejecting in 0usize..3,
    ) {
        let made = |first: u64| {
            let mut items = Vec::new();
            let mut seq = first;
            for size in &sizes {
                (0..rejecting).for_each(|n| items.push(reject(seq + 5000 + n as u64)));
                let position = Position(vec![u8::try_from(items.len() + 1).unwrap()]);
                items.push(Item::Rows(Measured::of(rows(seq, &vec![0; *size], 1)), position));
                seq += *size as u64;
            }
            items
        };
        let [one, two] = [made(0), made(100)];
        let plan = Plan { flush, round: Some(RoundRule::Epochs(round)), ..plan(EpochRule::Rows(limit), MUCH) };
        let begin = |from: Option<Progress>| {
            let named = |id: &str, items: &[Item]| {
                let progress = from.as_ref().map(|from| from.source(id)).unwrap_or_default();
                let (mut inlet, _) = inlet(from_position(items, &progress));
                inlet.id = id.into();
                inlet
            };
            let inlets = vec![named("one", &one), named("two", &two)];
            let intake = Intake::new(inlets, &plan, Arc::default()).committing(CommitRule::Epochs(1));
            match &from {
                Some(from) => intake.resume(from.clone(), Vec::new()),
                None => intake,
            }
        };
        let (whole, end) = some(&mut begin(None), usize::MAX);
        prop_assert!(end.is_finished());
        prop_assert!(whole.iter().all(|(.., barrier)| barrier.checkpoint));
        for barriers in 1..=whole.len() {
            let (first, progress) = some(&mut begin(None), barriers);
            let (rest, _) = some(&mut begin(Some(progress)), usize::MAX);
            prop_assert_eq!(&[first, rest].concat(), &whole, "cut off after {} barriers", barriers);
        }
    }

    /// Epochs of one recorded source depend on its rows alone: not on its batches, and every row has one epoch.
    #[test]
    fn batches_do_not_move_ends_of_epochs(
        seconds in prop::collection::vec(-50i64..200, 0..60),
        first in prop::collection::vec(1usize..12, 1..5),
        second in prop::collection::vec(1usize..70, 1..5),
        limit in 1u64..20,
        weight in 0usize..40,
        cap in prop_oneof![Just(MUCH), 0u64..2000],
        by_time in any::<bool>(),
    ) {
        let rule = if by_time { EpochRule::Every(Duration::from_secs(limit)) } else { EpochRule::Rows(limit) };
        let made = |sizes: &[usize]| cut(rule, cap, vec![recorded(batched(&seconds, weight, sizes))]);
        let (one, other) = (made(&first), made(&second));
        prop_assert_eq!(one.epochs.concat(), (0..seconds.len() as u64).collect::<Vec<_>>());
        prop_assert_eq!(&one, &other);

        let epochs: Vec<u64> = one.barriers.iter().map(|m| m.epoch.0).collect();
        prop_assert_eq!(epochs, (0..one.barriers.len() as u64).collect::<Vec<_>>());
        let (last, before) = one.barriers.split_last().unwrap();
        prop_assert!(last.end_of_input && last.round_end && one.epochs.last().unwrap().is_empty());
        prop_assert!(before.iter().all(|m| !m.end_of_input && !m.round_end));
        prop_assert!(one.barriers.windows(2).all(|m| m[0].watermark <= m[1].watermark));
        let highest = seconds.iter().max().map(|s| Micros(s * 1_000_000));
        prop_assert_eq!(last.watermark, highest);
        let row = size_of_rows(&rows(0, &[0], weight));
        prop_assert!(one.epochs.iter().all(|e| e.len() <= 1 || e.len() as u64 * row <= cap));
        if !by_time {
            prop_assert!(one.epochs.iter().all(|e| e.len() as u64 <= limit));
        }
    }
}
