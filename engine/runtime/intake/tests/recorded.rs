//! Recorded epochs are closed again where they were closed.

use super::*;

/// An inlet of a recording: what each epoch had, and its end.
fn cut_before(epochs: &[(Vec<u64>, Vec<u64>, Barrier)]) -> Inlet {
    let mut items = Vec::new();
    for (seqs, rejects, barrier) in epochs {
        let batch = |seq: &u64| rows(*seq, &[seq.cast_signed()], 1);
        items.extend(seqs.iter().map(|seq| Item::Rows(Measured::of(batch(seq)), Position::default())));
        items.extend(rejects.iter().map(|seq| Item::RejectedRows(batch(seq), Position::default())));
        let Barrier { round, watermark, round_end, end_of_input, .. } = *barrier;
        let end = headwater_contract::EpochEnd { round, watermark, round_end, end_of_input };
        items.push(Item::Closed(end, Position::default()));
    }
    Inlet { cuts: true, ..inlet(Script { items, boundedness: Boundedness::Bounded }).0 }
}

fn barrier(epoch: u64, round: u64, round_end: bool, end_of_input: bool) -> Barrier {
    let watermark = Some(Micros(epoch.cast_signed()));
    Barrier {
        epoch: Epoch(epoch),
        round: headwater_contract::units::Round(round),
        watermark,
        checkpoint: false,
        round_end,
        end_of_input,
    }
}

#[test]
fn what_was_cut_before_is_cut_there_again() {
    let epochs = vec![
        (vec![0, 1, 2], vec![], barrier(0, 4, false, false)),
        (vec![], vec![], barrier(1, 4, true, false)),
        (vec![3], vec![4, 5], barrier(2, 5, false, false)),
        (vec![], vec![], barrier(3, 5, true, true)),
    ];
    // Rules that would cut otherwise, and two ends of rounds that this plan needs after the input.
    let plan = Plan { round: Some(RoundRule::Epochs(1)), flush: 2, ..plan(EpochRule::Rows(2), 1) };
    let cuts = drain(&mut Intake::new(vec![cut_before(&epochs)], &plan, Arc::default()));
    let expected: Vec<_> = epochs.iter().map(|(_, _, barrier)| barrier.clone()).collect();
    assert_eq!(cuts.barriers[..4], expected);
    let after: Vec<_> = cuts.barriers[4..].iter().map(|m| (m.round.0, m.round_end, m.end_of_input)).collect();
    assert_eq!(after, [(6, true, false), (7, true, false)]);
    for (at, (rows, rejects, _)) in epochs.iter().enumerate() {
        assert_eq!((&cuts.epochs[at], &cuts.rejects[at]), (rows, rejects));
    }
    // One that was stopped ends where it was stopped.
    let stopped = drain(&mut Intake::new(vec![cut_before(&epochs[..2])], &plan, Arc::default()));
    assert_eq!((stopped.barriers.as_slice(), stopped.failed), (&expected[..2], None));
    // Two sources of one recording close together, and two of different ones cannot.
    let both = drain(&mut Intake::new(vec![cut_before(&epochs), cut_before(&epochs)], &plan, Arc::default()));
    assert_eq!((sizes(&both)[..4].to_vec(), &both.barriers[..4]), (vec![6, 0, 2, 0], &expected[..]));
    let mut other = epochs.clone();
    other[1].2.round_end = false;
    let mut apart = Intake::new(vec![cut_before(&epochs), cut_before(&other)], &plan, Arc::default());
    let failed = (0..100).find_map(|_| match apart.next_event() {
        IntakeEvent::Failed(failure) => Some(failure),
        _ => None,
    });
    assert!(failed.unwrap().what.contains("do not belong together"));
}

#[test]
fn beside_a_source_that_was_not_cut_the_rules_hold() {
    let epochs = [(vec![0, 1, 2], vec![], barrier(0, 0, true, true))];
    let plain = inlet(recorded(vec![rows(10, &[0, 1, 2], 1)])).0;
    let cuts = drain(&mut Intake::new(
        vec![cut_before(&epochs), plain],
        &plan(EpochRule::Rows(2), MUCH),
        Arc::default(),
    ));
    let taken: usize = sizes(&cuts).iter().sum();
    assert!(taken == 6 && sizes(&cuts).iter().all(|rows| *rows <= 2), "{cuts:?}");
}
