//! Which updates count, the rule, the output to the tier above: the options of the stage.

use headwater_federation::aggregate::Round;
use headwater_federation::choice::chosen;
use headwater_federation::compress::payload::decode;

use super::attempts::{Adapters, Rows, live};
use super::*;

fn one(device: &str, round: u64, value: f32) -> RecordBatch {
    updates(&[(device, "x", round, 1, &[(0, value)])])
}

fn many(round: u64, values: &[f32]) -> RecordBatch {
    let names: Vec<String> = (0..values.len()).map(|n| format!("device-{n}")).collect();
    let values: Vec<[(u32, f32); 1]> = values.iter().map(|value| [(0, *value)]).collect();
    let rows: Vec<Row<'_>> = names
        .iter()
        .zip(&values)
        .map(|(name, value)| (name.as_str(), "x", round, 1, value.as_slice()))
        .collect();
    updates(&rows)
}

#[test]
fn quorums_let_rounds_wait() {
    let check = |options: &str, rounds: &[&[f32]], expected: &[(u64, f32)]| {
        let epochs: Vec<Rows> =
            (0..).zip(rounds).map(|(round, values)| vec![(0, many(round, values))]).collect();
        let (output, _) = live(&config(options), &epochs);
        let found: Vec<(u64, f32)> =
            output.adapters().into_iter().map(|(round, bits)| (round, f32::from_bits(bits[0]))).collect();
        assert_eq!(found, expected, "{options}");
    };
    check("", &[&[1.0], &[2.0], &[3.0, 6.0]], &[(2, 3.0)]);
    check("min_devices = 1", &[&[1.0], &[2.0]], &[(0, 1.0), (1, 3.0)]);
    check("min_devices = 1\nmin_updates = 3", &[&[1.0], &[2.0], &[6.0]], &[(2, 3.0)]);
    check("min_available = 3", &[&[1.0, 1.0], &[2.0, 4.0, 2.0]], &[(1, 2.0)]);
    check("rounds = 2", &[&[1.0, 1.0], &[2.0, 2.0], &[9.0, 9.0]], &[(0, 1.0), (1, 3.0)]);
    check("rule = 'median'", &[&[1.0, 1.0, 8.0], &[2.0]], &[(0, 1.0)]);
    check("rule = 'median'\nlr = 0.5", &[&[1.0, 1.0, 8.0]], &[(0, 0.5)]);
    let ten = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 8.0, -8.0];
    check("rule = 'trimmed_mean'", &[&ten], &[(0, 1.0)]);
    check("rule = 'trimmed_mean'\ntrim = 0.0", &[&ten], &[(0, 0.8)]);
    check("rule = 'median'\nmax_norm = 0.5", &[&[1.0, 1.0, 8.0]], &[(0, 0.5)]);
}

#[test]
fn after_the_last_round_nothing_counts() {
    let epochs: Vec<Rows> = (0..4).map(|round| vec![(0, many(round, &[1.0, 1.0]))]).collect();
    let (output, _) = live(&config("rounds = 3"), &epochs);
    assert_eq!(output.codes(), ["finished"; 2]);
    assert_eq!((output.metric("finished"), output.metric("rounds")), (2, 3));
}

#[test]
fn only_the_chosen_count_and_all_are_there() {
    let values = [1.0; 40];
    let expected = (0..40).filter(|n| chosen(5, Round(0), &format!("device-{n}"), 0.4)).count();
    assert!((6..30).contains(&expected));
    let epochs = [vec![(0, many(0, &values))]];
    let (output, _) = live(&config("fraction = 0.4\nseed = 5\nmin_available = 40"), &epochs);
    assert_eq!(output.codes(), vec!["not_chosen"; 40 - expected]);
    assert_eq!((output.metric("updates"), output.metric("rounds")), (expected as u64, 1));
    let (output, _) = live(&config("fraction = 0.4\nseed = 5\nmin_available = 41"), &epochs);
    assert_eq!(output.metric("rounds_waiting"), 1);
}

#[test]
fn a_tier_may_send_less_and_the_rest_later() {
    let up = config("by = 'gateway'\nup_ratio = 0.2");
    let round = |round: u64| {
        updates(&[
            ("a", "north", round, 3, &[(0, 1.0), (4, 0.25)]),
            ("b", "north", round, 1, &[(0, 1.0), (3, 0.5)]),
            ("c", "south", round, 60_000, &[(1, -0.5)]),
            ("d", "south", round, 60_000, &[(1, -0.5)]),
        ])
    };
    let quiet = |round| updates(&[("a", "north", round, 3, &[]), ("c", "south", round, 1, &[])]);
    let epochs: Vec<Rows> = vec![vec![(0, round(0))], vec![(0, quiet(1))], vec![(0, quiet(2))]];
    let (output, sent) = live(&up, &epochs);
    let layout = Layout::new(&LENGTHS).unwrap();
    let of = |row: &RecordBatch| {
        let payload: &BinaryArray = typed_column(row, "payload").unwrap();
        let update = decode(&layout, payload.value(0)).unwrap();
        let examples: &UInt64Array = typed_column(row, "examples").unwrap();
        let kind = text_column(row, "kind").unwrap().value(0).to_owned();
        (kind, examples.value(0), update.positions)
    };
    let first: Vec<_> = sent[0].iter().map(of).collect();
    assert_eq!(first, [("mean".to_owned(), 4, vec![0]), ("mean".to_owned(), 65_536, vec![1])]);
    assert_eq!([of(&sent[1][0]).2, of(&sent[2][0]).2], [vec![4], vec![3]], "the rest follows");
    assert!(output.metric("bytes_out") > 0);
    let above: Vec<Rows> =
        sent.iter().map(|rows| rows.iter().map(|row| (0, row.clone())).collect()).collect();
    let (root, _) = live(&config(""), &above);
    assert_eq!((root.codes().len(), root.metric("rounds")), (0, 3));
    assert_eq!(root.adapters()[0].1.iter().filter(|bits| f32::from_bits(**bits) != 0.0).count(), 2);
}

#[test]
fn sums_are_no_updates() {
    let (_, sent) = live(&config("by = 'gateway'"), &[vec![(0, updates(ROWS))]]);
    let above: Vec<Rows> =
        sent.iter().map(|rows| rows.iter().map(|row| (0, row.clone())).collect()).collect();
    let (output, _) = live(&config("rule = 'median'"), &above);
    assert_eq!(output.codes(), ["needs_updates"; 2]);
    assert_eq!(output.adapters(), []);
}

#[test]
fn a_group_has_a_sum_of_each_shape() {
    let other = updates_of(&[0, 5], &[("c", "x", 0, 1, &[(0, 3.0)]), ("d", "x", 0, 1, &[(0, 1.0)])]);
    let epoch = vec![(0, many(0, &[1.0, 2.0])), (0, other)];
    let (near, sent) = live(&config("by = 'gateway'"), std::slice::from_ref(&epoch));
    assert_eq!((near.codes().len(), sent[0].len()), (0, 2));
    let above: Rows = sent[0].iter().chain(&sent[0]).map(|row| (0, row.clone())).collect();
    let (root, _) = live(&config(""), &[above]);
    assert_eq!(root.codes(), ["duplicate"; 2]);
    let (flat, _) = live(&config(""), &[epoch]);
    assert_eq!((root.adapters(), root.adapters().len()), (flat.adapters(), 2));
}

#[test]
fn figures_tell_what_came_and_went() {
    let rows = [vec![(0, many(0, &[1.0, 9.0])), (0, one("device-0", 0, 1.0))]];
    let (output, _) = live(&config(""), &rows);
    let single = payload(&[(0, 1.0)]).len() as u64;
    let metrics = ["updates", "clipped", "bytes_in", "duplicate", "rounds"].map(|name| output.metric(name));
    assert_eq!(metrics, [2, 1, 3 * single, 1, 1]);
    assert_eq!(output.metric("bytes_out"), {
        let payload: &BinaryArray = typed_column(&output.batches[&0][0], "payload").unwrap();
        payload.value(0).len() as u64
    });
}

#[test]
fn wrong_options_are_told() {
    let check = |options: &str, expected: &[&str]| {
        let output: Vec<String> = config(options).validate().into_iter().map(|error| error.option).collect();
        assert_eq!(output, expected, "{options}");
    };
    check("", &[]);
    check("accept_if = 'heldout_ppl < 9'\nkeep_updates = true\nrule = 'median'", &[]);
    check("by = 'gateway'\nup_ratio = 0.1\nrounds = 3\nfraction = 0.5", &[]);
    check("accept_if = 'ppl < 9'", &["accept_if"]);
    check(
        "by = 'gateway'\nrule = 'median'\naccept_if = 'heldout_ppl < 9'\nmin_eval = 3",
        &["rule", "accept_if", "min_eval"],
    );
    check("up_ratio = 0.1", &["up_ratio"]);
    check("by = 'gateway'\nup_ratio = 0.1\nkeep_updates = true", &["keep_updates"]);
    check("max_norm = -1.0", &["max_norm"]);
    let output = config("accept_if = 'heldout_ppl <= x'").validate();
    let expected = "expected a number above 0 after the comparison, as in `heldout_ppl <= 1.02 * previous` or `heldout_ppl < 40`";
    assert_eq!(output[0].what, expected);
}
