//! Adapters that are judged by what devices measured: the timeline of `evaluate.rs`, row by row.

use super::attempts::{Adapters, Rows, live};
use super::*;

/// device, tokens, nats under the base, the start, the personal adapter.
type Measurement<'a> = (&'a str, u64, f64, f64, f64);

fn evaluation(round: u64, rows: &[Measurement<'_>]) -> RecordBatch {
    let number = |name: &str| Field::new(name, DataType::Float64, false);
    let numbers = |of: fn(&Measurement<'_>) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(of)))
    };
    let devices: Vec<&str> = rows.iter().map(|row| row.0).collect();
    with_identity(
        &devices,
        vec![
            (uint64("round"), Arc::new(UInt64Array::from_iter_values(rows.iter().map(|_| round)))),
            (uint64("tokens"), Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.1)))),
            (number("base"), numbers(|row| row.2)),
            (number("start"), numbers(|row| row.3)),
            (number("own"), numbers(|row| row.4)),
        ],
    )
}

/// Two devices that measure a perplexity of the start.
fn measured(round: u64, ppl: f64) -> RecordBatch {
    let nats = ppl.ln();
    evaluation(round, &[("a", 100, 460.0, 100.0 * nats, 90.0), ("b", 300, 1380.0, 300.0 * nats, 270.0)])
}

fn update(round: u64, value: f32) -> RecordBatch {
    updates(&[("a", "x", round, 1, &[(0, value)]), ("b", "x", round, 1, &[(0, value), (1, 0.5)])])
}

const OPTIONS: &str = "rule = 'momentum'\naccept_if = 'heldout_ppl <= 1.02 * previous'";

#[test]
fn a_poisoned_round_is_taken_back() {
    let epoch = |round: u64, value: f32, ppl: f64| -> Rows {
        vec![(0, update(round, value)), (1, measured(round, ppl))]
    };
    // The start of round 3 is the adapter of round 2, in which an update poisoned the mean.
    let epochs = [
        epoch(0, 0.5, 99.0),
        epoch(1, 0.25, 80.0),
        epoch(2, -7.0, 75.0),
        epoch(3, 0.125, 500.0),
        epoch(4, 0.375, 75.9),
    ];
    let (output, _) = live(&config(OPTIONS), &epochs);
    let verdicts: Vec<String> = output
        .of_port(2)
        .iter()
        .map(|row| text_column(row, "verdict").unwrap().value(0).to_owned())
        .collect();
    assert_eq!(verdicts, ["none", "accepted", "accepted", "refused", "none"]);
    let ppl: Vec<f64> = output
        .of_port(2)
        .iter()
        .map(|row| typed_column::<Float64Array>(row, "ppl").unwrap().value(0).round())
        .collect();
    assert_eq!(ppl, [99.0, 80.0, 75.0, 500.0, 76.0]);

    let without = config("rule = 'momentum'");
    let (clean, _) = live(
        &without,
        &[0, 1, 4].map(|round: usize| vec![epochs[round][0].clone()]).map(|mut rows| {
            // Rounds begin one by one: the fifth is as good as the third.
            if let Ok(rounds) = typed_column::<UInt64Array>(&rows[0].1, "round")
                && rounds.value(0) == 4
            {
                rows[0].1 = update(2, 0.375);
            }
            rows
        }),
    );
    let adapters = output.adapters();
    assert_eq!(adapters.iter().map(|(round, _)| *round).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let clean: Vec<Vec<u32>> = clean.adapters().into_iter().map(|(_, bits)| bits).collect();
    assert_eq!(adapters[0].1, clean[0]);
    assert_eq!(adapters[1].1, clean[1]);
    assert_eq!(adapters[3].1, clean[1], "the adapter before the poisoned one is published again");
    assert_eq!(adapters[4].1, clean[2], "and the rule remembers nothing of it");
    assert_ne!(adapters[2].1, clean[1]);
    assert_eq!(
        [output.metric("adapters_refused"), output.metric("started_from_refused"), output.metric("rounds")],
        [1, 2, 4]
    );
}

#[test]
fn the_first_adapter_is_held_against_the_base() {
    let check = |ppl: f64, verdict: &str, last: f32| {
        let epochs = [vec![(0, update(0, 1.0))], vec![(0, update(1, 0.0)), (1, measured(1, ppl))]];
        let (output, _) = live(&config("accept_if = 'heldout_ppl <= 1.0 * previous'"), &epochs);
        assert_eq!(text_column(&output.of_port(2)[0], "verdict").unwrap().value(0), verdict);
        assert_eq!(f32::from_bits(output.last()[0]), last, "{ppl}");
    };
    // 460 nats in 100 tokens: a perplexity of 99.48.
    check(99.0, "accepted", 1.0);
    check(100.0, "refused", 0.0);
}

#[test]
fn who_measured_too_little_says_nothing_and_the_next_verdict_is_on_all() {
    let alone = evaluation(1, &[("a", 100, 460.0, 900.0, 460.0)]);
    let epochs = [
        vec![(0, update(0, 1.0)), (1, measured(0, 50.0))],
        vec![(0, update(1, 1.0)), (1, alone)],
        vec![(0, update(2, 1.0)), (1, measured(2, 90.0))],
    ];
    let (output, _) = live(&config(&format!("{OPTIONS}\nmin_eval = 2")), &epochs);
    assert_eq!(output.of_port(2).len(), 2);
    assert_eq!([output.metric("rounds_not_measured"), output.metric("adapters_refused")], [1, 1]);
    assert_eq!(output.last(), [0; 5], "rounds 0 and 1 are both taken back");
    assert_eq!(output.metric("started_from_refused"), 2);
}

#[test]
fn what_cannot_be_measured_is_rejected() {
    let rows = evaluation(
        0,
        &[
            ("a", 10, 5.0, 5.0, 5.0),
            ("a", 10, 5.0, 5.0, 5.0),
            ("b", 0, 5.0, 5.0, 5.0),
            ("c", 9, f64::NAN, 5.0, 5.0),
            ("d", 9, 5.0, -5.0, 5.0),
        ],
    );
    let late = evaluation(0, &[("z", 10, 5.0, 5.0, 5.0)]);
    let early = evaluation(7, &[("a", 10, 5.0, 5.0, 5.0)]);
    let epochs = [vec![(0, update(0, 1.0)), (1, rows)], vec![(1, late), (1, early)]];
    let (output, _) = live(&config("min_eval = 1"), &epochs);
    let expected =
        ["duplicate", "bad_evaluation", "bad_evaluation", "bad_evaluation", "stale_round", "future_round"];
    assert_eq!(output.codes(), expected);
    let report = &output.of_port(2)[0];
    assert_eq!(typed_column::<UInt64Array>(report, "tokens").unwrap().value(0), 10);
    assert_eq!(typed_column::<Float64Array>(report, "own_ppl").unwrap().value(0), 0.5_f64.exp());
    assert_eq!(text_column(report, "verdict").unwrap().value(0), "none");
}
