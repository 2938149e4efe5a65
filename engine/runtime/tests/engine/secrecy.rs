//! What a row holds is printed nowhere: not in a panic's message, not in a log line, not in a failure.

use std::process::Command;

use crate::faulty::FAULTY;
use crate::kinds::{AFFINE, NUMBERS, STRICT, WATCH};
use crate::wiring::{Draft, finish, rows, workers};

/// Content of every row, and the message of every panic of a test stage.
pub const SECRET: &str = "my card is 4539 1480 3436 467";

/// Set for the process in which the runs take place.
const CHILD: &str = "HEADWATER_TEST_SECRETS";

/// Runs whose stages and sources break in every way. Does nothing unless it is asked to by the test below.
#[test]
fn runs_that_break() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .without_time()
        .with_writer(std::io::stderr)
        .init();
    let faults = [
        "does = 'panic'",
        "does = 'panic'\nstateful = true",
        "does = 'panic'\nthreads = 2",
        "does = 'error'",
        "does = 'columns'",
        "ends = 'panic'",
        "builds = 'panic'",
        "builds = 'panic'\nthreads = 2",
    ];
    for faulty in faults {
        run("", faulty);
    }
    for source in ["ends_with = 'panic'", "opens_with = 'panic'", "rejecting = 3"] {
        run(source, "");
    }
}

fn run(source: &str, faulty: &str) {
    let plan = Draft::new(rows(10))
        .source("mic", NUMBERS, &format!("rows = 100\n{source}"))
        .stage("strict", STRICT, "", &["mic"])
        .stage("bad", FAULTY, faulty, &["strict"])
        .stage("a", AFFINE, "", &["bad"])
        .stage("end", WATCH, "", &["a"])
        .plan();
    match finish(&plan, workers(&plan, 2)) {
        Ok(report) => println!("{report:?}"),
        Err(failure) => println!("{failure} {failure:?}"),
    }
}

#[test]
fn nothing_of_a_row_is_told() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "secrecy::runs_that_break", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env("RUST_BACKTRACE", "full")
        .output()
        .unwrap();
    let log = format!("{}{}", String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{log}");
    // The runs did take place, broke, and were reported.
    for expected in [
        "a stage panicked",
        "faulty.rs",
        "row rejected",
        "divisible",
        "the source panicked",
        "it was configured to fail",
    ] {
        assert!(log.contains(expected), "`{expected}` is missing from:\n{log}");
    }
    for secret in [SECRET, "4539 1480", "my card"] {
        let leak = log.lines().find(|line| line.contains(secret));
        assert_eq!(leak, None, "a row's content was printed");
    }
}
