//! However fast the source: only so many epochs are open, and an epoch holds only so many bytes.

use std::sync::Arc;

use headwater_runtime::plan::{OutPort, Plan};
use headwater_runtime::run::Tap;

use crate::kinds::{AFFINE, NUMBERS, WATCH};
use crate::ledger::{self, Event, fresh};
use crate::wiring::{Draft, finish, rows, workers};

/// Notes the rows of the source `mic` in a ledger, beside what the stages write there.
fn tapped(ledger: &str) -> Tap {
    let ledger = ledger.to_owned();
    let inspect = Arc::new(move |batch: &_| ledger::note(&ledger, SOURCE, ledger::of_batch(batch)));
    Tap { stage: "mic".into(), port: OutPort::Out(0), inspect }
}

/// The source's number in the ledger.
const SOURCE: u64 = u64::MAX;

/// Runs a plan whose sink `end` writes the same ledger as the tap; the entries are in the order of time.
fn watched(plan: &Arc<Plan>, ledger: &str, count: usize) -> ledger::Entries {
    let mut options = workers(plan, count);
    options.taps = vec![tapped(ledger)];
    finish(plan, options).unwrap();
    ledger::entries(ledger)
}

#[test]
fn no_more_epochs_than_the_window() {
    const ROWS: i64 = 2;
    for window in [1, 2, 4] {
        for count in 1..=3 {
            for middle in ["", "threads = 2\nrouting = 'spread'"] {
                let ledger = fresh();
                let plan = Draft::new(rows(ROWS as u64))
                    .source("mic", NUMBERS, "rows = 120\nbatch = 60")
                    .stage("a", AFFINE, middle, &["mic"])
                    .stage(
                        "end",
                        WATCH,
                        &format!("ledger = '{ledger}'\nrouting = 'gather'\nslow = 1"),
                        &["a"],
                    )
                    .window(window)
                    .plan();
                let mut newest = 0;
                let mut widest = 0;
                for (instance, seen) in watched(&plan, &ledger, count) {
                    match seen {
                        Event::Row(_, value) if instance == SOURCE => newest = newest.max(value / ROWS),
                        Event::Row(..) => (),
                        // The sink is still at the end of this epoch: it is open, and so is all after it.
                        Event::End(barrier) => widest = widest.max(newest + 1 - barrier.epoch.0 as i64),
                    }
                }
                // One batch of the source holds many epochs: the window is used to the full.
                assert_eq!(widest, window as i64, "window {window}, {count} workers");
            }
        }
    }
}

#[test]
fn an_epoch_has_a_byte_cap() {
    // A row is its payload and some 60 bytes of identity and value.
    let check = |weight: usize, batch: u64, cap: u64, rows_an_epoch: std::ops::RangeInclusive<usize>| {
        for count in 1..=2 {
            let ledger = fresh();
            let plan = Draft::new(rows(1_000_000))
                .source("mic", NUMBERS, &format!("rows = 60\nweight = {weight}\nbatch = {batch}"))
                .stage("end", WATCH, &format!("ledger = '{ledger}'\nrouting = 'gather'"), &["mic"])
                .window(2)
                .epoch_bytes(cap)
                .plan();
            let (mut given, mut done, mut this_epoch) = (0, 0, 0);
            let mut epochs = Vec::new();
            for (instance, seen) in watched(&plan, &ledger, count) {
                match seen {
                    Event::Row(..) if instance == SOURCE => given += 1,
                    Event::Row(..) => this_epoch += 1,
                    Event::End(_) => {
                        assert!(given - done <= 2 * rows_an_epoch.end(), "{} rows in flight", given - done);
                        done += this_epoch;
                        epochs.push(std::mem::take(&mut this_epoch));
                    }
                }
            }
            assert_eq!(done, 60, "every row passes");
            assert_eq!(epochs.pop(), Some(0), "the end of the input is an epoch of its own");
            epochs.pop();
            assert!(
                epochs.iter().all(|rows| rows_an_epoch.contains(rows)),
                "weight {weight}, cap {cap}: {epochs:?}"
            );
        }
    };
    check(1000, 1, 10_000, 9..=9);
    check(1000, 60, 10_000, 9..=9);
    check(1000, 7, 10_000, 9..=9);
    check(100, 7, 1_000, 5..=7);
    check(5_000, 60, 1_000, 1..=1);
    check(5_000, 1, 1_000, 1..=1);
}
