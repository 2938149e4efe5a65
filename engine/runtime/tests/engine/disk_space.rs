//! A disk that is full for a while: nothing is taken in meanwhile, what is on its way comes through, and then all continues.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use headwater_runtime::plan::Plan;
use headwater_runtime::run::RunOptions;

use crate::kinds::{NUMBERS, TOTALS, WATCH};
use crate::wiring::{Draft, complete, finish, rows, workers};

/// The number of disk space checks that fail.
const IN_VAIN: u64 = 3;

fn plan() -> Arc<Plan> {
    Draft::new(rows(5))
        .window(2)
        .source("mic", NUMBERS, "rows = 60\nbatch = 4")
        .stage("t", TOTALS, "", &["mic"])
        .stage("end", WATCH, "", &["t"])
        .plan()
}

#[test]
fn nothing_is_taken_in_without_room() {
    let plan = plan();
    let expected = complete(&plan, 1).digests;
    for count in 1..=3 {
        let mut options = workers(&plan, count);
        let (asked, opened) = (AtomicU64::new(0), Arc::new(Mutex::new(Vec::new())));
        let (metrics, seen) = (options.metrics.clone(), opened.clone());
        let lacks = move || {
            let lacking = asked.fetch_add(1, SeqCst) < IN_VAIN;
            seen.lock().unwrap().push((metrics.snapshot().epochs_opened, metrics.snapshot().bytes));
            lacking.then(|| "the disk is full".to_owned())
        };
        options.disk_space_check = Some(Arc::new(lacks));
        let metrics = options.metrics.clone();
        let report = finish(&plan, options).unwrap();
        assert_eq!(report.digests, expected, "{count} workers");
        let opened = opened.lock().unwrap();
        assert!(opened.len() as u64 > IN_VAIN);
        assert!(opened.iter().take(IN_VAIN as usize).all(|seen| *seen == opened[0]), "{opened:?}");
        assert!(!metrics.snapshot().waits_for_disk_space);
    }
}

/// A run that is stopped does not wait for disk space.
#[test]
fn a_run_without_room_can_be_stopped() {
    let plan = plan();
    let mut options: RunOptions = workers(&plan, 2);
    let stopping = options.stopping.clone();
    options.disk_space_check = Some(Arc::new(move || {
        stopping.store(true, SeqCst);
        Some("the disk is full".to_owned())
    }));
    let report = finish(&plan, options).unwrap();
    assert!(report.stopped && report.counts.stages[0].rows_out == 0);
}
