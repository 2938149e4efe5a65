//! Rejected rows reach their reader, the quarantine or no one, as the plan says.

use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use headwater_contract::StageError;
use headwater_contract::columns::text_column;
use headwater_contract::signature::{REJECTED_BY, REJECTED_CODE, REJECTED_REASON};
use headwater_runtime::metrics::Metrics;
use headwater_runtime::plan::OutPort;
use headwater_runtime::run::{Quarantine, Tap};

use crate::kinds::{NUMBERS, STRICT, WATCH};
use crate::ledger::{self, fresh};
use crate::wiring::{Draft, complete, finish, rows, workers};

/// Stage, code and reason of a rejected row.
pub type Reason = (String, String, String);

/// Collects who rejected rows and why, from what a stage that reads a rejected port lets pass.
pub fn codes_of(stage: &str, codes: &Arc<Mutex<Vec<Reason>>>) -> Tap {
    let codes = codes.clone();
    let inspect = Arc::new(move |batch: &RecordBatch| codes.lock().unwrap().extend(reasons_of(batch)));
    Tap { stage: stage.into(), port: OutPort::Out(0), inspect }
}

fn reasons_of(batch: &RecordBatch) -> Vec<Reason> {
    let column = |name| text_column(batch, name).unwrap();
    let (by, codes, reasons) = (column(REJECTED_BY), column(REJECTED_CODE), column(REJECTED_REASON));
    (0..batch.num_rows())
        .map(|row| (by.value(row).into(), codes.value(row).into(), reasons.value(row).into()))
        .collect()
}

fn draft() -> Draft {
    Draft::new(rows(8)).source("mic", NUMBERS, "rows = 100\nrejecting = 25").stage(
        "strict",
        STRICT,
        "",
        &["mic"],
    )
}

#[test]
fn to_a_reader() {
    for count in 1..=3 {
        let [passed, aside, of_source] = [fresh(), fresh(), fresh()];
        let plan = draft()
            .stage("end", WATCH, &format!("ledger = '{passed}'"), &["strict"])
            .stage("end_strict", WATCH, &format!("ledger = '{aside}'"), &["strict.rejected"])
            .stage("end_mic", WATCH, &format!("ledger = '{of_source}'"), &["mic.rejected"])
            .plan();
        let (of_strict, of_mic) = (Arc::default(), Arc::default());
        let mut options = workers(&plan, count);
        options.taps = vec![codes_of("end_strict", &of_strict), codes_of("end_mic", &of_mic)];
        let report = finish(&plan, options).unwrap();
        assert_eq!(ledger::rows(&passed).len(), 90);
        let mut values: Vec<i64> = ledger::rows(&aside).into_iter().map(|(_, value)| value).collect();
        values.sort_unstable();
        assert_eq!(values, (0..100).step_by(10).collect::<Vec<_>>());
        let seqs: Vec<u64> = ledger::rows(&of_source).into_iter().map(|(id, _)| id.seq).collect();
        assert_eq!(seqs, [0, 25, 50, 75]);
        let expected: Reason = ("strict".into(), "divisible".into(), "the value can be divided".into());
        assert_eq!(*of_strict.lock().unwrap(), vec![expected; 10]);
        let expected: Reason = ("mic".into(), "bad_line".into(), "it was configured to reject".into());
        assert_eq!(*of_mic.lock().unwrap(), vec![expected; 4]);
        let counts: Vec<_> =
            report.counts.stages.iter().map(|s| (s.rows_in, s.rows_out, s.rejected)).collect();
        assert_eq!(counts, [(100, 100, 4), (100, 90, 10), (90, 90, 0), (10, 10, 0), (4, 4, 0)]);
    }
}

/// What the quarantine was asked to do, and how many epochs were done when it was asked.
#[derive(Default)]
struct Kept {
    rows: Vec<(String, i64, Reason)>,
    unsynced: usize,
    syncs: usize,
    /// Epochs that counted as done while rows were not yet durable.
    done_too_early: Vec<u64>,
    metrics: Arc<Metrics>,
    /// Fails when this many rows are kept: "keep" or "sync".
    fails: &'static str,
}

impl Quarantine for Kept {
    fn keep(&mut self, stage: &str, rows: &RecordBatch) -> Result<(), StageError> {
        if self.fails == "keep" {
            return Err(StageError::new("the disk is full"));
        }
        for (seen, reasons_of) in ledger::of_batch(rows).into_iter().zip(reasons_of(rows)) {
            let ledger::Event::Row(_, value) = seen else { continue };
            // Epochs of the plan below hold eight numbers each; this row's must not be done yet.
            let epoch = value as u64 / 8;
            let done = self.metrics.snapshot().epochs_done;
            if stage == "strict" && done > epoch {
                self.done_too_early.push(epoch);
            }
            self.rows.push((stage.into(), value, reasons_of));
        }
        self.unsynced += 1;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StageError> {
        if self.fails == "sync" {
            return Err(StageError::new("the disk is full"));
        }
        // Long enough for an epoch to be counted as done, if nothing holds it.
        std::thread::sleep(std::time::Duration::from_millis(5));
        self.syncs += 1;
        self.unsynced = 0;
        let epoch = self
            .rows
            .iter()
            .filter(|(stage, ..)| stage == "strict")
            .map(|(_, value, _)| *value as u64 / 8)
            .max();
        if epoch.is_some_and(|epoch| self.metrics.snapshot().epochs_done > epoch) {
            self.done_too_early.extend(epoch);
        }
        Ok(())
    }
}

#[test]
fn to_the_quarantine_before_the_epoch_is_done() {
    for count in 1..=3 {
        let plan = Draft::new(rows(8))
            .source("mic", NUMBERS, "rows = 100")
            .stage("strict", STRICT, "", &["mic"])
            .stage("end", WATCH, "", &["strict"])
            .window(1)
            .plan();
        let mut options = workers(&plan, count);
        let kept = Arc::new(Mutex::new(Kept { metrics: options.metrics.clone(), ..Kept::default() }));
        options.quarantine = Some(kept.clone());
        finish(&plan, options).unwrap();
        let kept = kept.lock().unwrap();
        let mut values: Vec<i64> = kept.rows.iter().map(|(_, value, _)| *value).collect();
        values.sort_unstable();
        assert_eq!(values, (0..100).step_by(10).collect::<Vec<_>>());
        assert!(
            kept.rows.iter().all(|(stage, _, reasons_of)| stage == "strict" && reasons_of.1 == "divisible")
        );
        assert!(kept.syncs > 0 && kept.unsynced == 0, "kept rows were left without a sync");
        assert_eq!(kept.done_too_early, Vec::<u64>::new(), "{count} workers");
    }
}

#[test]
fn rejects_of_a_source_are_kept_too() {
    for count in 1..=3 {
        let plan = draft().stage("end", WATCH, "", &["strict"]).plan();
        let mut options = workers(&plan, count);
        let kept = Arc::new(Mutex::new(Kept::default()));
        options.quarantine = Some(kept.clone());
        finish(&plan, options).unwrap();
        let kept = kept.lock().unwrap();
        let of = |id: &str| kept.rows.iter().filter(|(stage, ..)| stage == id).count();
        assert_eq!((of("mic"), of("strict"), kept.unsynced), (4, 10, 0));
    }
}

#[test]
fn a_quarantine_that_cannot_keep_ends_the_run() {
    for fails in ["keep", "sync"] {
        for count in 1..=3 {
            let plan = draft().stage("end", WATCH, "", &["strict"]).plan();
            let mut options = workers(&plan, count);
            options.quarantine = Some(Arc::new(Mutex::new(Kept { fails, ..Kept::default() })));
            let failure = finish(&plan, options).unwrap_err();
            assert!(["mic", "strict"].contains(&failure.stage.as_str()));
            assert_eq!(&*failure.what, "quarantine: the disk is full");
        }
    }
}

#[test]
fn dropped_rows_are_counted() {
    for count in 1..=3 {
        let plan = draft().dropping().stage("end", WATCH, "", &["strict"]).plan();
        let mut options = workers(&plan, count);
        let kept = Arc::new(Mutex::new(Kept::default()));
        options.quarantine = Some(kept.clone());
        let report = finish(&plan, options).unwrap();
        assert!(kept.lock().unwrap().rows.iter().all(|(stage, ..)| stage == "mic"), "{count} workers");
        assert_eq!((report.counts.stages[1].rejected, report.counts.stages[2].rows_in), (10, 90));
    }
}

/// Without a quarantine nothing is kept, but all is counted and the rest continues.
#[test]
fn without_a_quarantine_the_rest_goes_on() {
    let plan = draft().stage("end", WATCH, "", &["strict"]).plan();
    let report = complete(&plan, 2);
    assert_eq!((report.counts.stages[0].rejected, report.counts.stages[1].rejected), (4, 10));
}
