//! The same digests whatever the number of workers, and twice in a row.

use headwater_runtime::plan::EpochRule;

use crate::kinds::{ADDED, AFFINE, NUMBERS, PARITY, STRICT, TALLY, TOTALS, WATCH};
use crate::wiring::{Draft, complete, rows, seconds};

pub type Shape = fn(Draft) -> Draft;

fn one_source(draft: Draft) -> Draft {
    draft.source("mic", NUMBERS, "rows = 150\nbatch = 11\nlate = 9")
}

/// Every shape begins at one or several sources and ends in sinks.
pub const SHAPES: &[(&str, Shape)] =
    &[
        ("sink alone", |d| one_source(d).stage("end", WATCH, "", &["mic"])),
        ("chain", |d| {
            one_source(d)
                .stage("a", AFFINE, "", &["mic"])
                .stage("b", AFFINE, "routing = 'spread'", &["a"])
                .stage("c", AFFINE, "routing = 'by device'\nsorted = true", &["b"])
                .stage("end", WATCH, "", &["c"])
        }),
        ("running totals", |d| {
            one_source(d)
                .stage("a", AFFINE, "routing = 'spread'", &["mic"])
                .stage("t", TOTALS, "", &["a"])
                .stage("end", WATCH, "routing = 'gather'", &["t"])
        }),
        ("totals of totals after threads", |d| {
            one_source(d)
                .stage("a", AFFINE, "routing = 'spread'\nthreads = 3", &["mic"])
                .stage("t", TOTALS, "", &["a"])
                .stage("b", AFFINE, "threads = 1", &["t"])
                .stage("u", TOTALS, "", &["b"])
                .stage("end", WATCH, "routing = 'spread'\nsorted = true", &["u"])
        }),
        ("cuts", |d| one_source(d).stage("t", TALLY, "", &["mic"]).stage("end", WATCH, "", &["t"])),
        ("cuts, gathered", |d| {
            one_source(d)
                .stage("a", AFFINE, "routing = 'spread'\nthreads = 2", &["mic"])
                .stage("t", TALLY, "routing = 'gather'", &["a"])
                .stage("end", WATCH, "", &["t"])
        }),
        ("fan-out", |d| {
            one_source(d)
                .stage("a", AFFINE, "routing = 'spread'", &["mic"])
                .stage("t", TOTALS, "", &["a"])
                .stage("c", TALLY, "routing = 'gather'", &["a"])
                .stage("end", WATCH, "", &["t"])
                .stage("end_counts", WATCH, "", &["c"])
                .stage("end_mic", WATCH, "sorted = true", &["mic"])
        }),
        ("parted and joined", |d| {
            one_source(d)
                .stage("p", PARITY, "", &["mic"])
                .stage("even", AFFINE, "threads = 2\nrouting = 'spread'", &["p"])
                .stage("odd", AFFINE, "", &["p.odd"])
                .stage("t", TOTALS, "", &["even", "odd"])
                .stage("end", WATCH, "", &["t"])
        }),
        ("heard by all", |d| {
            one_source(d)
                .stage("p", PARITY, "", &["mic"])
                .joined("s", ADDED, "", &[&["mic"], &["p.odd"]])
                .stage("t", TOTALS, "", &["s"])
                .stage("end", WATCH, "", &["t"])
                .stage("end_even", WATCH, "", &["p"])
        }),
        ("a sink that every worker hears", |d| {
            one_source(d).stage("a", AFFINE, "routing = 'spread'", &["mic"]).stage(
                "end",
                WATCH,
                "routing = 'broadcast'",
                &["a"],
            )
        }),
        ("several sources", |d| {
            d.source("mic", NUMBERS, "rows = 70\nbatch = 3")
                .source("files", NUMBERS, "rows = 40\nbatch = 16\ndevices = 2\nrejecting = 6")
                .source("none", NUMBERS, "rows = 0")
                .stage("t", TOTALS, "", &["mic", "files"])
                .stage("c", TALLY, "", &["files", "none", "mic"])
                .stage("end", WATCH, "", &["t"])
                .stage("end_counts", WATCH, "routing = 'gather'", &["c"])
        }),
        ("rejected rows, read", |d| {
            one_source(d)
                .stage("s", STRICT, "divisor = 7", &["mic"])
                .stage("end", WATCH, "routing = 'spread'", &["s"])
                .stage("end_rejected", WATCH, "", &["s.rejected"])
        }),
    ];

const EPOCHS: &[(&str, EpochRule)] =
    &[("1 row", EpochRule::Rows(1)), ("3 rows", EpochRule::Rows(3)), ("64 rows", EpochRule::Rows(64))];

fn check(name: &str, shape: Shape, epoch: EpochRule) {
    let mut first = None;
    for window in [1, 2, 4] {
        for workers in [1, 2, 3, 2] {
            let plan = shape(Draft::new(epoch)).window(window).plan();
            let report = complete(&plan, workers);
            let counts: Vec<_> =
                report.counts.stages.iter().map(|s| (s.rows_in, s.rows_out, s.rejected)).collect();
            let sinks = plan.stages.iter().filter(|s| s.is_sink()).count();
            assert_eq!(report.digests.len(), sinks);
            assert!(report.digests.values().all(|d| d.len() == 64));
            let found = (report.digests, counts);
            let expected = first.get_or_insert_with(|| found.clone());
            assert_eq!(*expected, found, "{name}, window {window}, {workers} workers");
        }
    }
}

#[test]
fn epochs_of_rows() {
    for (name, shape) in SHAPES {
        for (of, epoch) in EPOCHS {
            check(&format!("{name}, epochs of {of}"), *shape, *epoch);
        }
    }
}

#[test]
fn epochs_of_captured_time() {
    for (name, shape) in SHAPES {
        for length in [1, 10, 3600] {
            check(&format!("{name}, epochs of {length} s"), *shape, seconds(length));
        }
    }
}

#[test]
fn digests_tell_other_rows_apart() {
    let digest = |options: &str, epoch| {
        let plan = Draft::new(epoch)
            .source("mic", NUMBERS, options)
            .stage("t", TALLY, "", &["mic"])
            .stage("end", WATCH, "", &["t"])
            .stage("end_mic", WATCH, "", &["mic"])
            .plan();
        complete(&plan, 2).digests
    };
    let first = digest("rows = 100", rows(10));
    let shorter = digest("rows = 99", rows(10));
    assert!(first["end"] != shorter["end"] && first["end_mic"] != shorter["end_mic"]);
    let other_cuts = digest("rows = 100", rows(11));
    assert!(first["end"] != other_cuts["end"] && first["end_mic"] == other_cuts["end_mic"]);
    let other_batches = digest("rows = 100\nbatch = 33", rows(10));
    assert_eq!(first, other_batches, "batches of a source do not move cuts");
}
