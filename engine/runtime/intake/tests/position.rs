//! Rows that were taken in behind a position are known by their identities.

use super::*;

/// A source whose input grows, or is taken away, gives other rows before those that were taken in behind its position, or none of them.
#[test]
fn what_was_taken_behind_a_position_is_known_whatever_comes_before_it() {
    let item = |first: u64, count: usize, at: u8| {
        Item::Rows(Measured::of(rows(first, &vec![0; count], 1)), Position(vec![at]))
    };
    let begin = |items: Vec<Item>, from: Option<Progress>| {
        let (inlet, _) = inlet(Script { items, boundedness: Boundedness::Followed });
        let intake = Intake::new(vec![inlet], &plan(EpochRule::Rows(8), MUCH), Arc::default());
        let intake = intake.committing(CommitRule::Epochs(1));
        match from {
            Some(from) => intake.resume(from, Vec::new()),
            None => intake,
        }
    };
    let check = |again: Vec<Item>, expected: &[&[u64]]| {
        let first = vec![item(0, 3, 1), reject(900), item(100, 10, 2)];
        let (epochs, progress) = some(&mut begin(first, None), 1);
        assert_eq!(
            (epochs[0].0.as_slice(), epochs[0].1.as_slice()),
            (&[0, 1, 2, 100, 101, 102, 103, 104][..], &[900][..])
        );
        let (epochs, _) = some(&mut begin(again, Some(progress)), usize::MAX);
        let rows: Vec<&[u64]> = epochs.iter().map(|(rows, ..)| rows.as_slice()).collect();
        assert_eq!(rows, expected);
        epochs.iter().for_each(|(_, rejects, _)| assert!(rejects.iter().all(|seq| *seq != 900)));
    };
    check(vec![reject(900), item(100, 10, 2)], &[&[105, 106, 107, 108, 109], &[]]);
    // The text before it has grown.
    check(vec![item(3, 2, 3), reject(900), item(100, 10, 2)], &[&[3, 4, 105, 106, 107, 108, 109], &[]]);
    // So much that it fills epochs.
    check(
        vec![item(3, 9, 3), item(100, 10, 2)],
        &[&[3, 4, 5, 6, 7, 8, 9, 10], &[11, 105, 106, 107, 108, 109], &[]],
    );
    // What was taken in is there no more.
    check(vec![item(200, 4, 3)], &[&[200, 201, 202, 203], &[]]);
}
