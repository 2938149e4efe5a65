//! A keyed table that changes in steps: each step is there whole or not at all, whatever the disk does, and at whatever
//! call the power goes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[path = "commit_log/model.rs"]
mod model;
#[path = "commit_log/roll_back.rs"]
mod roll_back;
#[path = "rows/root.rs"]
mod root;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use headwater_vault::{CommitLog, CommitLogView, Disk, Error, Fault, SimulatedDisk, StateChange};
use model::{Change, FOLDER, KEY, Model, frames, open, row, small_log, state_change, used};
use proptest::prelude::*;

/// One step of an attempt.
#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Change>),
    Forget(u8),
    DropTable(u8),
    Compact,
    Reopen,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = (0u8..3, 0u8..6, prop::option::of(0u8..3), prop::option::weighted(0.8, 0u64..100));
    prop::collection::vec(change, 0..5)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => changes().prop_map(Step::Commit),
        1 => (0u8..3).prop_map(Step::Forget),
        1 => (0u8..3).prop_map(Step::DropTable),
        1 => Just(Step::Compact),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..9)
}

/// Takes steps until one fails; gives what is acknowledged, and what it may also be if the failed step came through.
fn live(disk: &SimulatedDisk, from: Model, steps: &[Step]) -> (Model, Model, bool) {
    let Ok(mut log) = open(disk) else { return (from.clone(), from, false) };
    let mut model = from;
    for (number, step) in steps.iter().enumerate() {
        let (after, done) = match step {
            Step::Commit(changes) => {
                let note = format!("note {number}").into_bytes();
                let after = model.after(&note, changes);
                (after, log.commit(&note, changes.iter().map(state_change).collect()))
            }
            Step::Forget(device) => {
                let device = format!("device-{device}");
                (model.without_device(&device), log.forget(&device).map(|_| ()))
            }
            Step::DropTable(table) => {
                let table = format!("table-{table}");
                let mut after = model.clone();
                after.rows.retain(|(of, _), _| *of != table);
                (after, log.drop_table(&table).map(|_| ()))
            }
            Step::Compact => (model.clone(), log.compact()),
            Step::Reopen => {
                drop(log);
                match open(disk) {
                    Ok(opened) => log = opened,
                    Err(_) => return (model.clone(), model, false),
                }
                assert_eq!(Model::of(&log), model);
                continue;
            }
        };
        if done.is_err() {
            return (model, after, false);
        }
        model = after;
        assert_eq!(Model::of(&log), model);
    }
    (model.clone(), model, true)
}

/// The disk of the next attempt.
fn next_disk(disk: &SimulatedDisk, cut: bool) -> SimulatedDisk {
    if cut { disk.after_power_cut() } else { disk.after_kill() }
}

/// Cuts the power at every call, and at every call of the recovery, and checks that the tables are those
/// of the last acknowledged step or of the one in flight.
fn crash_everywhere(seed: u64, steps: &[Step]) {
    let mut crash_at = 0;
    loop {
        let disk = SimulatedDisk::new(seed.wrapping_add(crash_at));
        disk.fault_at(crash_at, Fault::PowerCut);
        let (acknowledged, in_flight, whole) = live(&disk, Model::default(), steps);
        if whole {
            return;
        }
        let is_right = |log: &CommitLog, what: &str| {
            let found = Model::of(log);
            assert!(
                found == acknowledged || found == in_flight,
                "{what}, power cut at call {crash_at}: {found:?} is neither {acknowledged:?} nor {in_flight:?}"
            );
            found
        };
        let after = disk.after_power_cut();
        let mut recovery = 0;
        loop {
            let again = after.after_kill();
            again.fault_at(recovery, Fault::PowerCut);
            let opened = open(&again);
            let survived = opened.is_ok();
            // The state that an attempt has read must survive the next crash.
            let recovered = opened.ok().map(|log| is_right(&log, "recovered"));
            let last = next_disk(&again, true);
            let mut log = open(&last).unwrap();
            let found = is_right(&log, "recovered twice");
            assert!(
                recovered.is_none_or(|recovered| recovered == found),
                "power cut at call {crash_at}, then {recovery}"
            );
            if survived {
                // The log continues.
                log.commit(b"on", vec![state_change(&(0, 1, None, Some(99)))]).unwrap();
                assert_eq!(Model::of(&log), found.after(b"on", &[(0, 1, None, Some(99))]));
                break;
            }
            recovery += 1;
        }
        crash_at += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_power_cut_at_any_call_leaves_a_whole_step(seed: u64, steps in steps()) {
        crash_everywhere(seed, &steps);
    }

    /// Whatever bytes lie there: an error, a torn tail, or what was written.
    #[test]
    fn no_bytes_make_it_panic_or_lie(at in 0usize..4000, bytes in prop::collection::vec(any::<u8>(), 0..80), cut: bool) {
        let disk = SimulatedDisk::new(1);
        let states = small_log(&disk);
        let model = states.last().unwrap().clone();
        for path in frames(&disk).into_iter().chain([Path::new(FOLDER).join("keystore")]) {
            let damaged = disk.after_kill();
            let mut content = disk.bytes(&path).unwrap();
            let at = at % content.len();
            let end = if cut { content.len() } else { (at + bytes.len()).min(content.len()) };
            content.splice(at..end, bytes.iter().copied());
            damaged.put(&path, content);
            if let Ok(log) = open(&damaged) {
                let found = Model::of(&log);
                prop_assert!(found == model || log.torn().len() == 1 || cut, "{}", path.display());
                prop_assert!(states.contains(&found), "{}: {:?}", path.display(), found);
            }
        }
    }

    /// Faults after which the process continues, or is killed and restarted over the same system memory.
    #[test]
    fn a_fault_at_any_call_loses_nothing(seed: u64, steps in steps(), cut: bool) {
        for fault in [Fault::Io, Fault::DiskFull, Fault::Short] {
            for at in 0..200 {
                let disk = SimulatedDisk::new(seed.wrapping_add(at));
                disk.fault_at(at, fault);
                let (acknowledged, in_flight, whole) = live(&disk, Model::default(), &steps);
                prop_assert!(fault != Fault::Short || whole, "a short write is no failure");
                let log = open(&next_disk(&disk, cut)).unwrap();
                let found = Model::of(&log);
                prop_assert!(found == acknowledged || found == in_flight, "{:?} at call {}", fault, at);
                drop(log);
                // Also when the power goes after a kill: what was read back was made durable.
                let killed = next_disk(&disk, false);
                let recovered = Model::of(&open(&killed).unwrap());
                let last = Model::of(&open(&killed.after_power_cut()).unwrap());
                prop_assert_eq!(recovered, last, "{:?} at call {}", fault, at);
                if whole {
                    break;
                }
            }
        }
    }
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    let disk = SimulatedDisk::new(1);
    let model = small_log(&disk).pop().unwrap();
    assert_eq!(frames(&disk).len(), 2);
    let (mut errors, mut torn) = (0, 0);
    for path in frames(&disk).into_iter().chain([Path::new(FOLDER).join("keystore")]) {
        let whole = disk.bytes(&path).unwrap();
        let used = used(&disk).get(&path).copied().unwrap_or(whole.len());
        for bit in 0..whole.len() * 8 {
            let damaged = disk.after_kill();
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            damaged.put(&path, bytes);
            match open(&damaged) {
                Err(error) => {
                    assert!(
                        matches!(
                            error,
                            Error::Damaged { .. } | Error::Foreign { .. } | Error::WrongKey { .. }
                        ),
                        "bit {bit}: {error}"
                    );
                    assert!(error.to_string().contains(&*path.to_string_lossy()), "bit {bit}: {error}");
                    errors += 1;
                }
                Ok(log) if bit / 8 >= used => assert_eq!(Model::of(&log), model, "bit {bit}"),
                Ok(log) => {
                    assert_eq!(log.torn().len(), 1, "bit {bit} of {} was not noticed", path.display());
                    assert_ne!(Model::of(&log), model);
                    torn += 1;
                }
            }
        }
    }
    assert!(torn * 100 < errors, "{torn} of {errors} were taken for torn tails");
}

#[test]
fn what_was_acknowledged_and_is_cut_is_damage() {
    let disk = SimulatedDisk::new(1);
    small_log(&disk);
    let [first, last] = &frames(&disk)[..] else { panic!("two files") };
    let cut = |path: &Path, bytes: usize| {
        let damaged = disk.after_kill();
        let whole = disk.bytes(path).unwrap();
        damaged.put(path, whole[..whole.len() - bytes].to_vec());
        open(&damaged).map(|log| log.torn().to_vec())
    };
    let unused = disk.bytes(first).unwrap().len() - used(&disk)[first];
    assert!(unused > 500, "{unused}");
    assert_eq!(cut(first, unused).unwrap(), []);
    let error = cut(first, unused + 1).unwrap_err().to_string();
    assert!(error.contains("were acknowledged") && error.contains(&*first.to_string_lossy()), "{error}");
    assert_eq!(cut(last, 1).unwrap().len(), 1, "nothing says that the last frame was acknowledged");
    // Of a frame that a later one acknowledges, a sector is missing.
    let damaged = disk.after_kill();
    let mut bytes = disk.bytes(last).unwrap();
    bytes[512..1024].fill(0);
    damaged.put(last, bytes);
    let error = open(&damaged).err().unwrap().to_string();
    assert!(error.contains("though it was acknowledged") && error.contains("at byte 42"), "{error}");
}

#[test]
fn a_second_owner_is_refused_and_the_first_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let disk = headwater_vault::real_disk();
    let first = CommitLog::open(folder.path(), &KEY, Arc::clone(&disk)).unwrap();
    let error = CommitLog::open(folder.path(), &KEY, Arc::clone(&disk)).err().unwrap();
    assert!(matches!(error, Error::Busy { pid: Some(pid), .. } if pid == std::process::id()));
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(first);
    CommitLog::open(folder.path(), &KEY, disk).unwrap();
}

#[test]
fn forgotten_rows_cannot_be_read_and_nothing_older_comes_back() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk).unwrap();
    let mut model = Model::default();
    let steps: [&[Change]; 2] = [
        &[(0, 1, Some(0), Some(1)), (0, 2, Some(1), Some(2))],
        // The row of the first device becomes one of the second.
        &[(0, 1, Some(1), Some(3))],
    ];
    for changes in steps {
        model = model.after(b"", changes);
        log.commit(b"", changes.iter().map(state_change).collect()).unwrap();
    }
    let copy = disk.after_kill();
    assert_eq!(log.forget("device-1").unwrap(), 2);
    assert_eq!(log.forget("device-1").unwrap(), 0);
    assert!(Model::of(&log).rows.is_empty());
    // Old frames with the new keystore: what a copy of the files alone gives.
    copy.put(&Path::new(FOLDER).join("keystore"), disk.bytes(&Path::new(FOLDER).join("keystore")).unwrap());
    for disk in [disk.after_kill(), copy] {
        assert!(Model::of(&open(&disk).unwrap()).rows.is_empty());
    }
    // The device comes back, under another key.
    log.commit(b"", vec![state_change(&(0, 4, Some(1), Some(4)))]).unwrap();
    drop(log);
    let found = Model::of(&open(&disk).unwrap());
    assert_eq!(found.rows.values().collect::<Vec<_>>(), [&(Some("device-1".to_owned()), 4)]);
    assert!(model.rows.len() == 2);
}

#[test]
fn compaction_keeps_the_files_as_small_as_what_is_live() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk).unwrap();
    for round in 0..600u64 {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(20_000)]));
        let row = RecordBatch::try_from_iter([("text", text)]).unwrap();
        let device = Some(format!("device-{}", round % 3));
        let change = StateChange { table: "t".into(), key: vec![(round % 3) as u8], device, row: Some(row) };
        log.commit(b"note", vec![change]).unwrap();
        let size = log.size();
        assert!(size.bytes <= 2 * size.live_bytes + (1 << 20) + 50_000, "round {round}: {size:?}");
        assert_eq!(
            size.bytes,
            frames(&disk).iter().map(|f| disk.bytes(f).unwrap().len() as u64).sum::<u64>()
        );
    }
    assert_eq!((log.size().rows, log.size().files), (3, 1));
    drop(log);
    assert_eq!(open(&disk).unwrap().rows("t").unwrap().len(), 3);
}

#[test]
fn a_full_disk_is_told_and_waited_for() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk).unwrap();
    let mut model = Model::default();
    for value in 0..40u64 {
        let changes = [(0, (value % 6) as u8, Some((value % 3) as u8), Some(value))];
        disk.leave_space(Some(usize::try_from(value).unwrap() * 37));
        loop {
            match log.commit(b"n", changes.iter().map(state_change).collect()) {
                Ok(()) => break,
                Err(error) => {
                    assert!(
                        error.is_disk_full() && error.to_string().contains("the disk is full"),
                        "{error}"
                    );
                    assert_eq!(Model::of(&log), model, "nothing has changed");
                    disk.leave_space(None);
                }
            }
        }
        model = model.after(b"n", &changes);
        assert_eq!(Model::of(&log), model);
        assert_eq!(Model::of(&open(&disk.after_power_cut()).unwrap()), model);
    }
}

#[test]
fn after_a_failed_sync_nothing_more_is_taken() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk).unwrap();
    let commit = |log: &mut CommitLog| log.commit(b"n", vec![state_change(&(0, 1, None, Some(1)))]);
    commit(&mut log).unwrap();
    // The next commit is one append and one sync.
    let before = disk.changes();
    commit(&mut log).unwrap();
    assert_eq!(disk.changes() - before, 2);
    for fault in [Fault::Io, Fault::DiskFull] {
        let disk = SimulatedDisk::new(1);
        let mut log = open(&disk).unwrap();
        commit(&mut log).unwrap();
        disk.fault_at(1, fault);
        let error = commit(&mut log).unwrap_err();
        assert!(matches!(error, Error::Io { action: "sync", .. }), "{error}");
        let changes = disk.changes();
        for _ in 0..3 {
            assert!(matches!(commit(&mut log), Err(Error::Poisoned { .. })));
        }
        assert_eq!(disk.changes(), changes, "it does not even try");
    }
}

#[test]
fn names_keys_and_rows_do_not_show() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk).unwrap();
    let change = StateChange {
        table: "the-table".into(),
        key: b"the-key".to_vec(),
        device: Some("bedroom-of-ada".into()),
        row: Some(row(3)),
    };
    log.commit(b"the-note", vec![change]).unwrap();
    let files: BTreeSet<_> = disk.files().into_iter().collect();
    assert_eq!(files.len(), 3, "keystore, lock and one file: {files:?}");
    for path in files {
        let bytes = disk.bytes(&path).unwrap();
        for word in [&b"the-table"[..], b"the-key", b"ada", b"state number", b"the-note"] {
            assert!(!bytes.windows(word.len()).any(|w| w == word), "{}", path.display());
        }
    }
}

#[test]
fn a_view_shows_the_last_commit_beside_the_writer_and_writes_nothing() {
    let disk = SimulatedDisk::new(8);
    small_log(&disk);
    let handle: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut log = open(&disk).unwrap();
    for value in 0..30u8 {
        log.commit(&[value], vec![state_change(&(0, value % 4, Some(0), Some(value.into())))]).unwrap();
        if value % 10 == 9 {
            log.compact().unwrap();
        }
        let before = disk.changes();
        let view = CommitLogView::open(Path::new(FOLDER), &KEY, &handle).unwrap();
        assert_eq!(view.note(), Some([value].as_slice()));
        for table in ["table-0", "table-1"] {
            assert_eq!(view.rows(table).unwrap(), log.rows(table).unwrap(), "after {value}");
        }
        assert_eq!(view.size(), log.size(), "after {value}");
        assert_eq!(disk.changes(), before);
    }
    // A frame that is being written is none yet.
    let file = frames(&disk).pop().unwrap();
    let bytes = disk.bytes(&file).unwrap();
    disk.put(&file, [&bytes[..], &bytes[42..60]].concat());
    let view = CommitLogView::open(Path::new(FOLDER), &KEY, &handle).unwrap();
    assert_eq!(view.note(), Some([29].as_slice()));
}
