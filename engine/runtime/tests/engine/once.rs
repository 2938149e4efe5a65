//! Every row arrives once, every epoch ends once, in order, and a gathered stage is alone.

use headwater_contract::{RowId, StageFactory};
use headwater_runtime::plan::EpochRule;

use crate::kinds::{AFFINE, NUMBERS, PARITY, TALLY, WATCH};
use crate::ledger::{self, fresh};
use crate::wiring::{Draft, complete, rows, seconds};

/// The numbers of a source of five devices, after `times` stages of x * 2 + 1.
fn numbers(source: &str, count: u64, times: usize) -> Vec<(RowId, i64)> {
    let row = |n: u64| {
        let id =
            RowId { device: format!("device-{}", n % 5).into(), source: source.into(), seq: n / 5, part: 0 };
        (id, (0..times).fold(n as i64, |x, _| x * 2 + 1))
    };
    let mut all: Vec<_> = (0..count).map(row).collect();
    all.sort();
    all
}

/// Barriers: each of `instances` sees every epoch once, in order, the last one alone being the end.
fn assert_marks(name: &str, ledger: &str, instances: usize, epochs: Option<u64>) {
    let by_instance = ledger::barriers(ledger);
    assert_eq!(by_instance.len(), instances, "{name}: instances");
    for barriers in &by_instance {
        let seen: Vec<u64> = barriers.iter().map(|m| m.epoch.0).collect();
        assert_eq!(
            seen,
            (0..barriers.len() as u64).collect::<Vec<_>>(),
            "{name}: epochs in order, none skipped"
        );
        assert_eq!(seen.len() as u64, epochs.unwrap_or(seen.len() as u64), "{name}: epochs");
        let ends: Vec<bool> = barriers.iter().map(|m| m.end_of_input).collect();
        assert_eq!(ends.iter().filter(|end| **end).count(), 1, "{name}: one end of input");
        assert_eq!(ends.last(), Some(&true), "{name}: the end of input comes last");
        assert!(
            barriers.windows(2).all(|m| m[0].watermark <= m[1].watermark),
            "{name}: the watermark never falls"
        );
        assert_eq!(barriers, &by_instance[0], "{name}: all instances see the same marks");
    }
}

#[test]
fn by_every_route() {
    for routing in ["local", "spread", "by device", "gather"] {
        for (epoch, epochs) in [(rows(1), 101), (rows(3), 35), (rows(64), 3), (rows(100), 2), (rows(500), 2)]
        {
            for sorted in [false, true] {
                for workers in 1..=3 {
                    check_route(routing, epoch, epochs, sorted, workers);
                }
            }
        }
    }
}

fn check_route(routing: &str, epoch: EpochRule, epochs: u64, sorted: bool, workers: usize) {
    let name = format!("{routing}, {epoch:?}, sorted {sorted}, {workers} workers");
    let (ledger, end) = (fresh(), fresh());
    let watch = format!("routing = '{routing}'\nsorted = {sorted}\nledger = '{ledger}'");
    let plan = Draft::new(epoch)
        .source("mic", NUMBERS, "rows = 100")
        .stage("a", AFFINE, "routing = 'spread'", &["mic"])
        .stage("watch", WATCH, &watch, &["a"])
        .stage("end", WATCH, &format!("ledger = '{end}'"), &["watch"])
        .plan();
    let report = complete(&plan, workers);
    assert_eq!(ledger::rows(&ledger), numbers("mic", 100, 1), "{name}");
    assert_eq!(ledger::rows(&end), numbers("mic", 100, 1), "{name}");
    assert_marks(&name, &ledger, if routing == "gather" { 1 } else { workers }, Some(epochs));
    assert_marks(&name, &end, workers, Some(epochs));
    for counts in &report.counts.stages {
        assert_eq!(
            (counts.rows_in, counts.rows_out, counts.rejected, counts.queued),
            (100, 100, 0, 0),
            "{name}"
        );
    }
    assert_eq!(report.counts.epochs_opened, epochs, "{name}");
}

#[test]
fn broadcast_rows_come_once_to_every_worker() {
    for workers in 1..=3 {
        let ledger = fresh();
        let plan = Draft::new(rows(7))
            .source("mic", NUMBERS, "rows = 50")
            .stage("a", AFFINE, "routing = 'spread'", &["mic"])
            .stage("watch", WATCH, &format!("routing = 'broadcast'\nledger = '{ledger}'"), &["a"])
            .plan();
        complete(&plan, workers);
        let mut by_instance = std::collections::BTreeMap::<u64, Vec<(RowId, i64)>>::new();
        for (instance, seen) in ledger::entries(&ledger) {
            if let ledger::Event::Row(id, value) = seen {
                by_instance.entry(instance).or_default().push((id, value));
            }
        }
        assert_eq!(by_instance.len(), workers);
        for mut heard in by_instance.into_values() {
            heard.sort();
            assert_eq!(heard, numbers("mic", 50, 1), "{workers} workers");
        }
    }
}

#[test]
fn fan_out_copies_and_fan_in_joins() {
    for workers in 1..=3 {
        let [twice, joined] = [fresh(), fresh()];
        let plan = Draft::new(seconds(8))
            .source("mic", NUMBERS, "rows = 90\nbatch = 13")
            .stage("p", PARITY, "", &["mic"])
            .stage("even", AFFINE, "routing = 'spread'", &["p"])
            .stage("odd", AFFINE, "routing = 'by device'\nthreads = 2", &["p.odd"])
            .stage("joined", WATCH, &format!("ledger = '{joined}'\nrouting = 'by device'"), &["even", "odd"])
            .stage("again", AFFINE, "", &["joined"])
            .stage("twice", WATCH, &format!("ledger = '{twice}'"), &["again"])
            .stage("end", WATCH, "", &["joined"])
            .plan();
        complete(&plan, workers);
        assert_eq!(ledger::rows(&joined), numbers("mic", 90, 1));
        assert_eq!(ledger::rows(&twice), numbers("mic", 90, 2));
        assert_marks("joined", &joined, workers, Some(13));
    }
}

#[test]
fn an_input_without_rows_still_ends() {
    for epoch in [rows(5), seconds(5)] {
        for workers in 1..=3 {
            let ledger = fresh();
            let plan = Draft::new(epoch)
                .source("mic", NUMBERS, "rows = 0")
                .stage("t", TALLY, "", &["mic"])
                .stage("end", WATCH, &format!("ledger = '{ledger}'"), &["t"])
                .plan();
            complete(&plan, workers);
            assert_marks("no rows", &ledger, workers, Some(1));
        }
    }
}

#[test]
fn a_sorted_stage_sees_rows_in_order() {
    let ledger = fresh();
    let watch = format!("sorted = true\nrouting = 'gather'\nledger = '{ledger}'");
    let plan = Draft::new(rows(30))
        .source("mic", NUMBERS, "rows = 90\nbatch = 4")
        .stage("a", AFFINE, "routing = 'spread'\nthreads = 2\ndawdle = 2", &["mic"])
        .stage("end", WATCH, &watch, &["a"])
        .plan();
    complete(&plan, 3);
    let ids: Vec<RowId> = ledger::entries(&ledger)
        .into_iter()
        .filter_map(|(_, seen)| if let ledger::Event::Row(id, _) = seen { Some(id) } else { None })
        .collect();
    assert_eq!(ids.len(), 90);
    for epoch in ids.chunks(30) {
        assert!(epoch.is_sorted(), "an epoch out of order");
    }
}

/// One gathered input makes the whole stage gathered: its other inputs' rows come to the coordinator too.
#[test]
fn a_gathered_stage_gets_the_rows_of_all_its_inputs() {
    const PAIR: StageFactory = StageFactory::stage::<crate::faulty::Pair>();
    for workers in 1..=3 {
        let ledger = fresh();
        let plan = Draft::new(rows(9))
            .source("mic", NUMBERS, "rows = 60")
            .stage("a", AFFINE, "routing = 'spread'", &["mic"])
            .stage("b", AFFINE, "routing = 'spread'", &["a"])
            .joined("pair", PAIR, &format!("ledger = '{ledger}'"), &[&["a"], &["b"]])
            .plan();
        let report = complete(&plan, workers);
        assert_eq!(ledger::entries(&ledger).len(), 120, "{workers} workers");
        assert_eq!(report.counts.stages[3].rows_in, 120, "{workers} workers");
    }
}
