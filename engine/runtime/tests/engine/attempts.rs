//! Attempts that follow each other: cut off after any commit, on any number of workers, they do together what one undisturbed
//! run does.

mod acknowledging;
mod together;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use headwater_contract::RowId;
use headwater_contract::identity::IdentityColumns;
use headwater_runtime::commit::CommitRule;
use headwater_runtime::plan::{OutPort, Plan};
use headwater_runtime::run::{Report, RunOptions, Tap};

use crate::kinds::{AFFINE, NUMBERS, STRICT, TOTALS, WATCH};
use crate::loops;
use crate::remembered::{Memory, attempt, memory};
use crate::wiring::{Draft, finish, rows, workers};

/// Values by identity: what a sink that stores each row once would hold.
type Stored = Arc<Mutex<BTreeMap<RowId, i64>>>;

fn storing(stage: &str, stored: &Stored) -> Tap {
    let stored = stored.clone();
    let inspect = Arc::new(move |batch: &RecordBatch| {
        let ids = IdentityColumns::of(batch).unwrap();
        let values = batch.column_by_name("value").unwrap().as_primitive::<Int64Type>();
        for row in 0..ids.len() {
            let before = stored.lock().unwrap().insert(ids.id(row), values.value(row));
            assert!(before.is_none_or(|before| before == values.value(row)), "the same row, another value");
        }
    });
    Tap { stage: stage.into(), port: OutPort::Out(0), inspect }
}

/// One attempt over a folder; what it gave is stored. Whether it came to its end.
fn live(
    plan: &Arc<Plan>,
    folder: &Arc<Mutex<Memory>>,
    power: Option<usize>,
    count: usize,
    (stage, stored): (&str, &Stored),
) -> Option<Report> {
    let mut options = workers(plan, count);
    options.attempt = Some(attempt(plan, folder, power, &[]).unwrap_or_else(|e| panic!("{e:?}")));
    options.taps = vec![storing(stage, stored)];
    match finish(plan, options) {
        Ok(report) => Some(report),
        Err(failure) => {
            assert!(failure.what.contains("the power is gone"), "{failure}");
            None
        }
    }
}

/// The result of one undisturbed run.
struct Undisturbed {
    stored: BTreeMap<RowId, i64>,
    digests: BTreeMap<String, String>,
    commits: usize,
}

fn undisturbed(plan: &Arc<Plan>, stage: &str) -> Undisturbed {
    let (folder, stored) = (memory(), Stored::default());
    let report = live(plan, &folder, None, 1, (stage, &stored)).expect("it comes to its end");
    let stored = stored.lock().unwrap().clone();
    assert!(!stored.is_empty());
    let commits = folder.lock().unwrap().commits;
    Undisturbed { stored, digests: report.digests, commits }
}

fn assert_attempts_add_up(name: &str, plan: &Arc<Plan>, stage: &str) {
    let Undisturbed { stored: expected, digests, commits } = undisturbed(plan, stage);
    // On a busy machine one commit holds several epochs: how many there are hangs on time.
    assert!(commits > 2, "{name}: {commits} commits");
    let mut cut = 0;
    for power in 0..commits {
        let (folder, stored) = (memory(), Stored::default());
        let of = (stage, &stored);
        // A commit may hold several epochs: a quick attempt may have ended before its power did.
        if live(plan, &folder, Some(power), 1 + power % 3, of).is_none() {
            cut += 1;
            let report = live(plan, &folder, None, 1 + (power + 1) % 3, of).unwrap();
            assert_eq!(report.digests, digests, "{name}: of all rows, cut after {power}");
        }
        assert_eq!(*stored.lock().unwrap(), expected, "{name}, cut after {power}");
    }
    assert!(cut > commits / 2, "{name}: {cut} attempts of {commits} were cut off");
    // One commit in each attempt.
    let (folder, stored) = (memory(), Stored::default());
    let mut attempts = 0;
    let report = loop {
        if let Some(report) = live(plan, &folder, Some(1), 1 + attempts % 3, (stage, &stored)) {
            break report;
        }
        attempts += 1;
        assert!(attempts <= 2 * commits, "{name}: it never comes to its end");
    };
    assert_eq!(report.digests, digests, "{name}, {attempts} attempts");
    assert_eq!(*stored.lock().unwrap(), expected, "{name}, {attempts} attempts");
}

fn totals(source: &str, epoch: u64) -> Draft {
    Draft::new(rows(epoch))
        .source("mic", NUMBERS, source)
        .stage("a", AFFINE, "threads = 2\nrouting = 'spread'", &["mic"])
        .stage("t", TOTALS, "", &["a"])
        .stage("end", WATCH, "", &["t"])
}

#[test]
fn running_totals_go_on() {
    for (source, epoch) in [
        ("rows = 100\nbatch = 7", 10),
        ("rows = 100\nbatch = 100", 7),
        ("rows = 60\nbatch = 1", 6),
        ("rows = 100\nbatch = 9\nlate = 4\nrejecting = 5", 8),
    ] {
        assert_attempts_add_up(source, &totals(source, epoch).plan(), "t");
    }
}

#[test]
fn loops_go_on() {
    for round in ["{ epochs = 1 }", "{ epochs = 3 }", "{ rows = 45 }"] {
        for window in [1, 4] {
            let text =
                loops::text(round, window, 0).replace("[pipeline]", "[pipeline]\ncommit = { epochs = 1 }");
            assert_attempts_add_up(round, &loops::plan_of(&text), "all");
        }
    }
}

/// A commit now and then, whatever is done again.
#[test]
fn commits_may_be_rare() {
    let text =
        loops::text("{ epochs = 2 }", 4, 0).replace("[pipeline]", "[pipeline]\ncommit = { epochs = 3 }");
    assert_attempts_add_up("every third epoch", &loops::plan_of(&text), "all");
}

/// Rejected rows of a source are given again as often as their epoch, and none is excluded.
#[test]
fn rejects_go_on() {
    let plan = totals("rows = 40\nbatch = 8\nrejecting = 3", 5).stage("s", STRICT, "", &["mic"]).plan();
    assert_attempts_add_up("rejects", &plan, "t");
}

#[test]
fn a_finished_input_is_not_taken_in_again() {
    let plan = totals("rows = 50", 8).plan();
    let (folder, stored) = (memory(), Stored::default());
    let first = live(&plan, &folder, None, 2, ("t", &stored)).unwrap();
    let commits = folder.lock().unwrap().commits;
    let again = attempt(&plan, &folder, None, &[]).unwrap();
    assert!(again.found_finished());
    let epoch = again.first_epoch();
    assert!(epoch.0 > 6, "{epoch}");
    let report = live(&plan, &folder, None, 1, ("t", &stored)).unwrap();
    assert!(report.counts.stages.iter().all(|stage| stage.rows_in == 0 && stage.rows_out == 0));
    assert_eq!(folder.lock().unwrap().commits, commits, "nothing changed");
    assert_eq!(report.digests, first.digests, "the digest is that of all rows, though none is new");
    // The same source with more rows behind those that were taken in.
    let longer = totals("rows = 90", 8).plan();
    let report = live(&longer, &folder, None, 3, ("t", &stored)).unwrap();
    assert_eq!(report.counts.stages[0].rows_out, 40);
    let whole = undisturbed(&longer, "t");
    assert_eq!((&*stored.lock().unwrap(), report.digests), (&whole.stored, whole.digests));
}

#[test]
fn a_stopped_run_goes_on_as_if_it_had_not_been_stopped() {
    let plan = loops::plan_of(&loops::text("{ epochs = 3 }", 2, 3));
    let Undisturbed { stored: expected, digests, .. } = undisturbed(&plan, "all");
    for after in [1, 30, 77, 200] {
        for count in 1..=2 {
            let (folder, stored) = (memory(), Stored::default());
            let mut options = workers(&plan, count);
            options.attempt = Some(attempt(&plan, &folder, None, &[]).unwrap());
            let (stopping, seen) = (options.stopping.clone(), std::sync::atomic::AtomicUsize::new(0));
            let inspect = Arc::new(move |batch: &RecordBatch| {
                if seen.fetch_add(batch.num_rows(), Relaxed) + batch.num_rows() >= after {
                    stopping.store(true, Relaxed);
                }
            });
            options.taps =
                vec![storing("all", &stored), Tap { stage: "mic".into(), port: OutPort::Out(0), inspect }];
            let report = finish(&plan, options).unwrap();
            assert!(report.stopped);
            let report = live(&plan, &folder, None, 3 - count, ("all", &stored)).unwrap();
            assert_eq!(report.digests, digests, "stopped after {after} rows, {count} workers");
            assert_eq!(*stored.lock().unwrap(), expected, "stopped after {after} rows, {count} workers");
        }
    }
}

/// Live input is cut by time: which rows met in which epoch is in the log, and is the same when they are given again.
#[test]
fn live_rows_come_again_from_the_log() {
    let mut draft = totals("live = true\nbatch = 4", 8);
    draft.commit(CommitRule::Epochs(3));
    let plan = draft.plan();
    for power in 0..6 {
        let (folder, stored) = (memory(), Stored::default());
        // What was logged before the first commit comes again too.
        folder.lock().unwrap().logs_on = power < 3;
        assert!(live(&plan, &folder, Some(power), 1 + power % 2, ("t", &stored)).is_none());
        let before = stored.lock().unwrap().clone();
        let mut options = workers(&plan, 2);
        options.attempt = Some(attempt(&plan, &folder, None, &[]).unwrap());
        let (stopping, all) = (options.stopping.clone(), Stored::default());
        let (seen, wanted) = (all.clone(), before.len() + 50);
        let inspect = Arc::new(move |_: &RecordBatch| {
            if seen.lock().unwrap().len() >= wanted {
                stopping.store(true, Relaxed);
            }
        });
        stored.lock().unwrap().clone_into(&mut all.lock().unwrap());
        options.taps = vec![storing("t", &all), Tap { stage: "t".into(), port: OutPort::Out(0), inspect }];
        finish(&plan, options).unwrap();
        // Every value hangs on all rows of its device before it: none is missing, and none came twice.
        let all = all.lock().unwrap();
        let mut totals = BTreeMap::<String, (u64, i64)>::new();
        for (id, value) in all.iter() {
            let (next, total) = totals.entry(id.device.to_string()).or_default();
            assert_eq!(id.seq, *next, "{} lacks a row", id.device);
            let n = id.device.strip_prefix("device-").unwrap().parse::<i64>().unwrap() + 5 * *next as i64;
            *total = total.wrapping_mul(31).wrapping_add(2 * n + 1);
            assert_eq!(value, total, "{id}");
            *next += 1;
        }
        assert!(folder.lock().unwrap().released.is_some());
    }
}

/// A device is forgotten while live rows of others are in the log and not committed yet: these come first, and none of its own.
#[test]
fn live_rows_of_others_outlive_a_forgetting() {
    let mut draft = totals("live = true\nbatch = 4", 8);
    draft.commit(CommitRule::Epochs(3));
    let plan = draft.plan();
    let gone = "device-2";
    for power in 1..4 {
        let (folder, stored) = (memory(), Stored::default());
        folder.lock().unwrap().logs_on = true;
        assert!(live(&plan, &folder, Some(power), 2, ("t", &stored)).is_none());
        let logged = folder.lock().unwrap().logged_rows();
        assert!(logged.len() > 8, "{} rows are logged", logged.len());
        let (forgetting, asked) =
            attempt(&plan, &folder, None, &[]).unwrap().forgetting(&plan, gone).unwrap();
        assert!(asked.is_empty(), "nothing mixes what devices give");
        let mut options = workers(&plan, 1 + power % 3);
        options.attempt = Some(forgetting);
        let replayed = Stored::default();
        options.taps = vec![storing("t", &replayed)];
        finish(&plan, options).unwrap();
        let replayed: Vec<RowId> = replayed.lock().unwrap().keys().cloned().collect();
        let mut expected: Vec<RowId> = logged.into_iter().filter(|id| &*id.device != gone).collect();
        expected.sort();
        assert_eq!(replayed, expected, "cut after {power}");
        assert!(folder.lock().unwrap().logged_rows().is_empty(), "they are committed");
        // The next attempt hears again.
        let mut options = workers(&plan, 2);
        options.attempt = Some(attempt(&plan, &folder, None, &[]).unwrap());
        let (stopping, seen) = (options.stopping.clone(), std::sync::atomic::AtomicUsize::new(0));
        let inspect = Arc::new(move |batch: &RecordBatch| {
            if seen.fetch_add(batch.num_rows(), Relaxed) > 40 {
                stopping.store(true, Relaxed);
            }
        });
        options.taps = vec![Tap { stage: "mic".into(), port: OutPort::Out(0), inspect }];
        finish(&plan, options).unwrap();
        assert!(folder.lock().unwrap().released.is_some());
    }
}

#[test]
fn what_does_not_fit_is_told_by_name() {
    let folder = memory();
    let stored = Stored::default();
    live(&totals("rows = 30", 8).plan(), &folder, None, 1, ("t", &stored)).unwrap();
    assert_eq!(folder.lock().unwrap().tables(), ["[digests]", "t"]);
    let messages = |plan: &Plan, dropped: &[&str]| match attempt(plan, &folder, None, dropped) {
        Ok(_) => String::new(),
        Err(failures) => failures.iter().map(|f| format!("{f}\n")).collect(),
    };
    let without = Draft::new(rows(8)).source("mic", NUMBERS, "").stage("end", WATCH, "", &["mic"]).plan();
    let error = messages(&without, &[]);
    assert!(error.contains("stage `t`") && error.contains("--drop-state t"), "{error}");
    let other = Draft::new(rows(8))
        .source("mic", NUMBERS, "")
        .stage("t", WATCH, "", &["mic"])
        .stage("end", WATCH, "", &["t"])
        .plan();
    let error = messages(&other, &[]);
    assert!(error.contains("it was a `totals`, and is a `watch` now"), "{error}");
    let error = messages(&other, &["nothing"]);
    assert!(error.contains("stage `nothing`: no state is kept"), "{error}");
    assert_eq!(messages(&other, &["t"]), "");
    assert_eq!(folder.lock().unwrap().tables(), ["[digests]"], "it was dropped");
}
