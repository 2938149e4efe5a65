//! Stopping carries open epochs through and leaves the rest of the input to another run.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use headwater_contract::Barrier;
use headwater_runtime::plan::OutPort;
use headwater_runtime::run::Tap;

use crate::kinds::{AFFINE, NUMBERS, TOTALS, WATCH};
use crate::ledger::{self, fresh};
use crate::wiring::{Draft, finish, rows, workers};

fn draft(source: &str, epoch: u64, ledger: &str) -> Draft {
    Draft::new(rows(epoch))
        .source("mic", NUMBERS, source)
        .stage("a", AFFINE, "threads = 2\nrouting = 'spread'", &["mic"])
        .stage("t", TOTALS, "", &["a"])
        .stage("end", WATCH, &format!("ledger = '{ledger}'"), &["t"])
}

/// What every stopped run must keep: no row is lost on the way, and no stage believes that the input has ended.
fn assert_stopped(ledger: &str, report: &headwater_runtime::run::Report) {
    assert!(report.stopped);
    let sunk = ledger::rows(ledger).len() as u64;
    for counts in &report.counts.stages {
        assert_eq!((counts.rows_in, counts.rows_out, counts.queued), (sunk, sunk, 0));
    }
    for barriers in ledger::barriers(ledger) {
        assert!(barriers.iter().all(|barrier| !barrier.end_of_input && !barrier.round_end));
        assert!(barriers.iter().map(|m: &Barrier| m.epoch.0).eq(0..barriers.len() as u64));
    }
}

#[test]
fn in_the_middle_of_an_epoch() {
    for source in ["rows = 100000\nbatch = 5", "live = true\nbatch = 5"] {
        for count in 1..=3 {
            let ledger = fresh();
            let plan = draft(source, 64, &ledger).plan();
            let mut options = workers(&plan, count);
            let (stopping, seen) = (options.stopping.clone(), std::sync::atomic::AtomicUsize::new(0));
            let inspect = Arc::new(move |batch: &arrow::array::RecordBatch| {
                if seen.fetch_add(batch.num_rows(), Relaxed) >= 150 {
                    stopping.store(true, Relaxed);
                }
            });
            options.taps = vec![Tap { stage: "mic".into(), port: OutPort::Out(0), inspect }];
            let report = finish(&plan, options).unwrap();
            assert_stopped(&ledger, &report);
            // Two whole epochs and the third as far as it had come.
            assert_eq!(ledger::rows(&ledger).len(), 155, "{source}");
            assert!(ledger::barriers(&ledger).iter().all(|barriers| barriers.len() == 3), "{source}");
        }
    }
}

#[test]
fn before_anything_was_taken_in() {
    for source in ["rows = 100", "live = true"] {
        let ledger = fresh();
        let plan = draft(source, 8, &ledger).plan();
        let options = workers(&plan, 2);
        options.stopping.store(true, Relaxed);
        let report = finish(&plan, options).unwrap();
        assert_stopped(&ledger, &report);
        assert!(ledger::rows(&ledger).is_empty());
    }
}

fn wait_until(reached: impl Fn() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < Duration::from_secs(50), "it never came so far");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A source may sit in a read that never returns: the run does not wait for it.
#[test]
fn while_a_source_waits_for_ever() {
    for source in ["live = true", "live = false"] {
        for count in 1..=2 {
            let [ledger, first] = [fresh(), fresh()];
            let plan = draft(&format!("{source}\nrows = 20\nbatch = 10\nstuck = true"), 8, &ledger)
                .stage("first", WATCH, &format!("ledger = '{first}'"), &["mic"])
                .plan();
            let options = workers(&plan, count);
            let stopping = options.stopping.clone();
            let watching = std::thread::spawn(move || {
                wait_until(|| ledger::rows(&first).len() == 20);
                stopping.store(true, Relaxed);
            });
            let report = finish(&plan, options).unwrap();
            watching.join().unwrap();
            assert_stopped(&ledger, &report);
            assert_eq!(ledger::rows(&ledger).len(), 20, "{source}, {count} workers");
        }
    }
}

/// Live rows do not wait for ever for an epoch to be full, and live input does not end by itself.
#[test]
fn live_epochs_end_with_what_they_have() {
    let ledger = fresh();
    let plan = draft("live = true\nrows = 5\nbatch = 5\nstuck = true", 1000, &ledger).plan();
    let options = workers(&plan, 2);
    let stopping = options.stopping.clone();
    let of_watcher = ledger.clone();
    let watching = std::thread::spawn(move || {
        wait_until(|| ledger::barriers(&of_watcher).iter().any(|barriers| !barriers.is_empty()));
        stopping.store(true, Relaxed);
    });
    let report = finish(&plan, options).unwrap();
    watching.join().unwrap();
    assert_stopped(&ledger, &report);
    assert_eq!(ledger::rows(&ledger).len(), 5);
}
