//! Attempts in several processes: the coordinator keeps what all of them remember, and the next attempt may run on other processes and
//! workers.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;
use crate::cluster::{self, Process};

/// Processes, and workers of each.
type Topology = (usize, usize);

const TOPOLOGIES: [Topology; 5] = [(1, 2), (2, 1), (2, 2), (1, 1), (3, 1)];

/// One attempt of so many processes; what it gave is stored. What ended it early, if anything did.
fn live_on(
    plan: &Arc<Plan>,
    folder: &Arc<Mutex<Memory>>,
    power: Option<usize>,
    (processes, workers): Topology,
    taps: &[Tap],
) -> Result<Report, String> {
    let mut begun = Some(attempt(plan, folder, power, &[]).unwrap_or_else(|e| panic!("{e:?}")));
    let sockets = tempfile::tempdir().unwrap();
    let each = |_| Process { plan: plan.clone(), attempt: begun.take(), taps: taps.to_vec() };
    let outcomes = cluster::processes(sockets.path(), (processes, workers), each);
    let ended: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!(ended.is_empty() || ended.len() == processes, "{ended:?}");
    let coordinator = outcomes.into_iter().next().unwrap();
    coordinator.map_err(|failure| {
        assert!(failure.what.contains("the power is gone"), "{failure}");
        failure.to_string()
    })
}

/// Attempts of changing topologies, cut off after `step`, 2 `step`, ... commits.
fn assert_topologies_add_up(name: &str, plan: &Arc<Plan>, stage: &str, step: usize) {
    let Undisturbed { stored: expected, digests, commits } = undisturbed(plan, stage);
    let mut cut = 0;
    for (n, power) in (0..commits).step_by(step).enumerate() {
        let (folder, stored) = (memory(), Stored::default());
        let taps = [storing(stage, &stored)];
        let on = |n: usize| TOPOLOGIES[n % TOPOLOGIES.len()];
        if live_on(plan, &folder, Some(power), on(n + 1), &taps).is_err() {
            cut += 1;
            let report = live_on(plan, &folder, None, on(n + 1 + n / 2), &taps).unwrap();
            assert_eq!(report.digests, digests, "{name}: of all rows, cut after {power} on {:?}", on(n + 1));
        }
        assert_eq!(*stored.lock().unwrap(), expected, "{name}, cut after {power} on {:?}", on(n + 1));
    }
    assert!(cut > 2, "{name}: {cut} attempts were cut off");
}

#[test]
fn running_totals_go_on_in_other_processes() {
    assert_topologies_add_up("totals", &totals("rows = 100\nbatch = 7", 5).plan(), "t", 4);
    let plan = totals("rows = 40\nbatch = 8\nrejecting = 3", 5).stage("s", STRICT, "", &["mic"]).plan();
    assert_topologies_add_up("rejects", &plan, "t", 2);
}

#[test]
fn loops_go_on_in_other_processes() {
    for round in ["{ epochs = 1 }", "{ rows = 45 }"] {
        let text = loops::text(round, 4, 0).replace("[pipeline]", "[pipeline]\ncommit = { epochs = 1 }");
        assert_topologies_add_up(round, &loops::plan_of(&text), "all", 5);
    }
}

/// A stopped run leaves an epoch open, which no process waits for.
#[test]
fn stopped_processes_leave_an_epoch_to_the_next_life() {
    let plan = loops::plan_of(&loops::text("{ epochs = 3 }", 2, 3));
    let Undisturbed { stored: expected, digests, .. } = undisturbed(&plan, "all");
    for (after, on) in [(30, (2, 1)), (77, (2, 2)), (200, (3, 1))] {
        let (folder, stored) = (memory(), Stored::default());
        let begun = attempt(&plan, &folder, None, &[]).unwrap();
        let sockets = tempfile::tempdir().unwrap();
        let (mut begun, seen) = (Some(begun), Arc::new(AtomicUsize::new(0)));
        let outcomes = cluster::processes_with(
            sockets.path(),
            on,
            |_| Process { plan: plan.clone(), attempt: begun.take(), taps: vec![storing("all", &stored)] },
            move |options| {
                let (stopping, seen) = (options.stopping.clone(), seen.clone());
                let inspect = Arc::new(move |batch: &RecordBatch| {
                    if seen.fetch_add(batch.num_rows(), Relaxed) + batch.num_rows() >= after {
                        stopping.store(true, Relaxed);
                    }
                });
                options.taps.push(Tap { stage: "mic".into(), port: OutPort::Out(0), inspect });
            },
        );
        let ended: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap()).collect();
        assert!(ended[0].stopped);
        let report = live_on(&plan, &folder, None, (1, 2), &[storing("all", &stored)]).unwrap();
        assert_eq!(report.digests, digests, "stopped after {after} rows on {on:?}");
        assert_eq!(*stored.lock().unwrap(), expected, "stopped after {after} rows on {on:?}");
    }
}
