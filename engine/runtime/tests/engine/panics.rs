//! A stage with a state that panics at a row: later attempts find the row, set it aside, and do the rest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::{RowId, StageError};
use headwater_runtime::commit::Attempt;
use headwater_runtime::instance::{Cause, Failure};
use headwater_runtime::plan::{OutPort, Plan};
use headwater_runtime::run::{Quarantine, Report, RunOptions, Tap};

use crate::cluster::{self, Process};
use crate::faulty::FAULTY;
use crate::kinds::{AFFINE, NUMBERS, TOTALS, WATCH};
use crate::remembered::{Memory, attempt, memory};
use crate::wiring::{Draft, finish, rows, workers};

/// What was rejected: by stage and row, with its code and reason.
#[derive(Clone, Default)]
struct Aside(Arc<Mutex<Reasons>>);

type Reasons = BTreeMap<(String, RowId), (String, String)>;

impl Quarantine for Aside {
    fn keep(&mut self, stage: &str, rows: &RecordBatch) -> Result<(), StageError> {
        let ids = IdentityColumns::of(rows).unwrap();
        let text = |name: &str, row| {
            let column = rows.column_by_name(name).unwrap();
            arrow::array::AsArray::as_string::<i32>(column).value(row).to_owned()
        };
        for row in 0..ids.len() {
            let why = (text("rejected_code", row), text("rejected_reason", row));
            self.0.lock().unwrap().insert((stage.to_owned(), ids.id(row)), why);
        }
        Ok(())
    }
    fn sync(&mut self) -> Result<(), StageError> {
        Ok(())
    }
}

fn breaking(faulty: &str) -> Arc<Plan> {
    Draft::new(rows(10))
        .source("mic", NUMBERS, "rows = 100\nbatch = 7")
        .stage("a", AFFINE, "", &["mic"])
        .stage("bad", FAULTY, &format!("{faulty}\nstateful = true\nrouting = 'by device'"), &["a"])
        .stage("t", TOTALS, "", &["bad"])
        .stage("end", WATCH, "", &["t"])
        .plan()
}

type Ids = Arc<Mutex<std::collections::BTreeSet<RowId>>>;

fn seeing(ids: &Ids) -> Tap {
    let ids = ids.clone();
    let inspect = Arc::new(move |batch: &RecordBatch| {
        let found = IdentityColumns::of(batch).unwrap();
        ids.lock().unwrap().extend((0..found.len()).map(|row| found.id(row)));
    });
    Tap { stage: "t".into(), port: OutPort::Out(0), inspect }
}

/// An attempt on so many processes and workers.
fn live(
    plan: &Arc<Plan>,
    begun: Attempt,
    (processes, count): (usize, usize),
    taps: Vec<Tap>,
    aside: &Aside,
) -> Result<Report, Failure> {
    if processes == 1 {
        let quarantine = Some(Arc::new(Mutex::new(aside.clone())) as Arc<Mutex<dyn Quarantine>>);
        return finish(plan, RunOptions { attempt: Some(begun), taps, quarantine, ..workers(plan, count) });
    }
    let (sockets, mut begun) = (tempfile::tempdir().unwrap(), Some(begun));
    let each = |_| Process { plan: plan.clone(), attempt: begun.take(), taps: taps.clone() };
    let keeps = aside.clone();
    let quarantined = move |options: &mut RunOptions| {
        options.quarantine = Some(Arc::new(Mutex::new(keeps.clone())) as Arc<Mutex<dyn Quarantine>>);
    };
    cluster::processes_with(sockets.path(), (processes, count), each, quarantined).remove(0)
}

#[test]
fn the_row_is_found_and_set_aside() {
    let plan = breaking("does = 'panic'");
    let whole: Ids = Arc::default();
    let (folder, aside) = (memory(), Aside::default());
    let first = attempt(&breaking(""), &memory(), None, &[]).unwrap();
    live(&breaking(""), first, (1, 1), vec![seeing(&whole)], &aside).unwrap();
    let whole = whole.lock().unwrap().clone();
    let bad = whole.iter().find(|id| &*id.device == "device-3" && id.seq == 4).unwrap().clone();
    for on in [(1, 1), (1, 3), (2, 1), (2, 2)] {
        let (folder, aside, seen) = (memory(), Aside::default(), Ids::default());
        let next =
            |on| live(&plan, attempt(&plan, &folder, None, &[]).unwrap(), on, vec![seeing(&seen)], &aside);
        let poison_row = |ended: Result<Report, Failure>| match ended.unwrap_err().cause {
            Cause::Panic(poison_row) => *poison_row,
            cause => panic!("{on:?}: {cause:?}"),
        };
        let found = poison_row(next(on));
        assert_eq!((found.stage.as_str(), found.row), ("bad", None), "{on:?}");
        let found = poison_row(next((1, 2)));
        assert_eq!((found.stage.as_str(), found.row), ("bad", Some((0, bad.clone()))), "{on:?}");
        next(on).unwrap_or_else(|failure| panic!("{on:?}: {failure}"));
        let mut all = seen.lock().unwrap().clone();
        assert!(!all.contains(&bad));
        all.insert(bad.clone());
        assert_eq!(all, whole, "{on:?}");
        let aside = aside.0.lock().unwrap();
        let (code, reason) = &aside[&("bad".to_owned(), bad.clone())];
        assert!(code == "panic" && reason.contains("the stage panicked on this row"), "{code} {reason}");
        assert_eq!(aside.len(), 1);
        assert!(!folder.lock().unwrap().tables().contains(&"[panics]"), "the notes are needed no more");
    }
    assert!(folder.lock().unwrap().tables().is_empty() && aside.0.lock().unwrap().is_empty());
}

/// What panics at no row, or keeps nothing, only ends.
#[test]
fn what_no_later_life_can_find_is_told() {
    let plan = breaking("ends = 'panic'");
    let folder: Arc<Mutex<Memory>> = memory();
    for _ in 0..2 {
        let begun = attempt(&plan, &folder, None, &[]).unwrap();
        let failure = live(&plan, begun, (1, 2), Vec::new(), &Aside::default()).unwrap_err();
        assert!(matches!(&failure.cause, Cause::Panic(poison_row) if poison_row.row.is_none()), "{failure}");
    }
    let failure = finish(&breaking("does = 'panic'"), workers(&plan, 1)).unwrap_err();
    assert_eq!(failure.cause, Cause::Lasting, "nothing is kept: {failure}");
}
