//! What breaks is named (stage, epoch, device, seq), and the run returns.

use headwater_runtime::instance::Failure;

use crate::faulty::FAULTY;
use crate::kinds::{AFFINE, NUMBERS, WATCH};
use crate::ledger::{self, fresh};
use crate::secrecy::SECRET;
use crate::wiring::{Draft, complete, finish, rows, workers};

/// The number whose row is device-3, seq 4.
const HIT: i64 = 4 * 5 + 3;

fn draft(source: &str, faulty: &str) -> Draft {
    Draft::new(rows(10))
        .source("mic", NUMBERS, &format!("rows = 100\n{source}"))
        .stage("bad", FAULTY, faulty, &["mic"])
        .stage("a", AFFINE, "", &["bad"])
        .stage("end", WATCH, "", &["a"])
}

fn fails(source: &str, faulty: &str, count: usize) -> Failure {
    let plan = draft(source, faulty).plan();
    let failure =
        finish(&plan, workers(&plan, count)).expect_err(&format!("{source} {faulty}: the run must fail"));
    assert!(!failure.to_string().contains(SECRET) && !format!("{failure:?}").contains(SECRET), "{failure}");
    failure
}

/// The failure as reported, whatever the number of workers: where `{row}` stands, the batch that held the row of device-3
/// and seq 4 is named by its first row, which depends on how rows were batched.
fn check(source: &str, faulty: &str, expected: &str) {
    for count in 1..=3 {
        let failure = fails(source, faulty, count);
        let message = match &failure.row {
            Some(row) => failure.to_string().replace(&row.to_string(), "{row}"),
            None => failure.to_string(),
        };
        assert_eq!(message, expected, "{count} workers; {source} {faulty}");
    }
}

#[test]
fn failures_name_the_place() {
    let error = "stage `bad`, epoch 2, {row}: it was configured to fail (help: configure it otherwise)";
    check("", "does = 'error'", error);
    check("", "does = 'error'\nsorted = true", error);
    check("", "does = 'error'\nthreads = 2", error);
    check("", "does = 'error'\nstateful = true", error);
    check("", "does = 'error'\nrouting = 'gather'", error);
    let panicked = "stage `bad`, epoch 2, {row}: it panicked (its state is lost; what is in the store stays)";
    check("", "does = 'panic'\nstateful = true", panicked);
    check("", "does = 'panic'\nstateful = true\nsorted = true\nrouting = 'by device'", panicked);
    let columns = "stage `bad`, epoch 2, {row}: output 0 does not have the columns of its signature";
    check("", "does = 'columns'", columns);
    check("", "does = 'columns'\nthreads = 2", columns);
    check("", "does = 'port'", "stage `bad`, epoch 2, {row}: it sent to output 7, which it does not have");
    check("", "ends = 'error'\nstateful = true", "stage `bad`, epoch 2: it was configured to fail");
    check("", "ends = 'panic'\nstateful = true", "stage `bad`, epoch 2: it panicked at the end of the epoch");
    check(
        "",
        "ends = 'columns'\nrouting = 'gather'\nstateful = true",
        "stage `bad`, epoch 2: output 0 does not have the columns of its signature",
    );
    check("", "builds = 'error'", "stage `bad`: it was configured to fail");
    check("", "builds = 'panic'", "stage `bad`: it panicked while it was built");
    check("", "builds = 'panic'\nrouting = 'gather'", "stage `bad`: it panicked while it was built");
    check("", "builds = 'error'\nthreads = 2", "stage `bad`: it was configured to fail");
    check("ends_with = 'error'", "", "stage `mic`: it was configured to fail");
    check("ends_with = 'panic'", "", "stage `mic`: the source panicked");
    check("opens_with = 'error'", "", "stage `mic`: it was configured to fail");
    check("opens_with = 'panic'", "", "stage `mic`: it panicked while it was opened");
}

/// A thread, and a stage that gets its rows one by one, name the very row.
#[test]
fn single_rows_are_named_themselves() {
    for (epoch, faulty) in
        [(rows(10), "does = 'error'\nthreads = 2"), (rows(1), "does = 'panic'\nstateful = true")]
    {
        for count in 1..=3 {
            let plan = Draft::new(epoch)
                .source("mic", NUMBERS, "rows = 100")
                .stage("bad", FAULTY, faulty, &["mic"])
                .stage("end", WATCH, "", &["bad"])
                .plan();
            let row = finish(&plan, workers(&plan, count)).unwrap_err().row.unwrap();
            assert_eq!(row.to_string(), "device \"device-3\" source \"mic\" seq 4 part 0", "{faulty}");
        }
    }
}

/// A stateless stage that panics on one row loses that row alone, to its rejected port.
#[test]
fn a_panic_without_state_rejects_one_row() {
    for more in
        ["", "sorted = true", "threads = 2", "routing = 'gather'", "routing = 'by device'\nsorted = true"]
    {
        for (count, epoch) in [(1, 100), (2, 7), (3, 100)] {
            let [passed, rejected] = [fresh(), fresh()];
            let plan = Draft::new(rows(epoch))
                .source("mic", NUMBERS, "rows = 100\nbatch = 50")
                .stage("bad", FAULTY, &format!("does = 'panic'\n{more}"), &["mic"])
                .stage("end", WATCH, &format!("ledger = '{passed}'"), &["bad"])
                .stage("end_rejected", WATCH, &format!("ledger = '{rejected}'"), &["bad.rejected"])
                .plan();
            let mut options = workers(&plan, count);
            let codes = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
            options.taps.push(crate::rejected::codes_of("end_rejected", &codes));
            let report = finish(&plan, options).unwrap_or_else(|failure| panic!("{more}: {failure}"));
            let values: Vec<i64> = ledger::rows(&passed).into_iter().map(|(_, value)| value).collect();
            let mut sorted = values.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..100).filter(|n| *n != HIT).collect::<Vec<_>>(), "{more}, {count} workers");
            let aside = ledger::rows(&rejected);
            assert_eq!(aside.len(), 1, "{more}");
            assert_eq!((&*aside[0].0.device, aside[0].0.seq, aside[0].1), ("device-3", 4, HIT), "{more}");
            assert_eq!(
                *codes.lock().unwrap(),
                [("bad".to_owned(), "panic".to_owned(), "the stage panicked on this row".to_owned())]
            );
            let counts = &report.counts.stages[1];
            assert_eq!((counts.rows_in, counts.rows_out, counts.rejected), (100, 99, 1), "{more}");
        }
    }
}

/// The part of the input before the failure is not undone, and a later run is not disturbed by an earlier one.
#[test]
fn a_run_after_a_failed_run_is_whole() {
    for count in 1..=3 {
        fails("", "does = 'panic'\nstateful = true", count);
        let report = complete(&draft("", "").plan(), count);
        assert_eq!(report.counts.stages[3].rows_in, 100);
    }
}
