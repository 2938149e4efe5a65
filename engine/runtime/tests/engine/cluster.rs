//! The same results in several processes, which are threads of this one here: they share nothing but their sockets. What fails in
//! one of them is reported by all.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::channel;
use std::time::Duration;

use headwater_contract::HostEnv;
use headwater_runtime::cluster::hosts::Hosts;
use headwater_runtime::cluster::{Fingerprint, Member, NAME, Setup};
use headwater_runtime::commit::Attempt;
use headwater_runtime::instance::Failure;
use headwater_runtime::plan::Plan;
use headwater_runtime::run::{Report, RunOptions, Tap, run};

use crate::faulty::FAULTY;
use crate::kinds::{AFFINE, NUMBERS, TOTALS, WATCH};
use crate::loops;
use crate::same::SHAPES;
use crate::wiring::{Draft, complete, rows};

/// The time after which a whole cluster counts as hung. Nothing else depends on it.
const HUNG: Duration = Duration::from_mins(1);

/// The outcome of the run in each process.
pub type Outcomes = Vec<Result<Report, Failure>>;

/// The run of one process.
pub struct Process {
    pub plan: Arc<Plan>,
    /// On the coordinator: what an earlier attempt left.
    pub attempt: Option<Attempt>,
    pub taps: Vec<Tap>,
}

/// One process, from its first call to its end.
fn process(
    hosts: &Hosts,
    index: usize,
    fingerprint: Fingerprint,
    Process { plan, attempt, taps }: Process,
    change: impl FnOnce(&mut RunOptions),
) -> Result<Report, Failure> {
    let begin = attempt.as_ref().map(Attempt::first_epoch).unwrap_or_default().0;
    let setup =
        Setup { hosts: hosts.clone(), index, fingerprint, mixed_cpus: false, begin, hopeless: &|| None };
    let member = Member::join(setup)?;
    let mut given = RunOptions::new(&plan, HostEnv { is_peer: index != 0, ..HostEnv::default() });
    given.workers = member.workers();
    given.cluster = Some(Arc::new(member));
    (given.attempt, given.taps) = (attempt, taps);
    change(&mut given);
    run(plan, given)
}

/// All processes of a cluster, each with the facts and the change that it is given by its index.
fn all(
    folder: &Path,
    (processes, workers): (usize, usize),
    mut each: impl FnMut(usize) -> (Process, Fingerprint),
    change: impl Fn(&mut RunOptions) + Clone + Send + 'static,
) -> Outcomes {
    let hosts = Hosts::local(folder, processes, workers);
    let (done, ended) = channel();
    for index in 0..processes {
        let ((of, fingerprint), hosts, done, change) =
            (each(index), hosts.clone(), done.clone(), change.clone());
        std::thread::spawn(move || {
            done.send((index, process(&hosts, index, fingerprint, of, change))).unwrap_or(());
        });
    }
    let mut outcomes: Vec<_> =
        (0..processes).map(|_| ended.recv_timeout(HUNG).expect("the cluster hangs, or died")).collect();
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// A cluster whose processes run what they are given.
pub fn processes(folder: &Path, on: (usize, usize), each: impl FnMut(usize) -> Process) -> Outcomes {
    processes_with(folder, on, each, |_| {})
}

/// The same, with options changed in each.
pub fn processes_with(
    folder: &Path,
    on: (usize, usize),
    mut each: impl FnMut(usize) -> Process,
    change: impl Fn(&mut RunOptions) + Clone + Send + 'static,
) -> Outcomes {
    all(folder, on, |index| (each(index), Fingerprint::default()), change)
}

/// A cluster whose processes make their plans for themselves.
fn cluster(
    folder: &Path,
    on: (usize, usize),
    plan: impl Fn() -> Arc<Plan>,
    fingerprint: impl Fn(usize) -> Fingerprint,
) -> Outcomes {
    let of = |index| (Process { plan: plan(), attempt: None, taps: Vec::new() }, fingerprint(index));
    all(folder, on, of, |_| {})
}

const TOPOLOGIES: [(usize, usize); 3] = [(2, 1), (2, 2), (3, 1)];

/// The coordinator's report is that of one process, to the digest and to the row.
fn check(name: &str, plan: impl Fn() -> Arc<Plan>) {
    let contents = |report: Report| {
        let counts = report.counts.stages.iter().map(|s| (s.rows_in, s.rows_out, s.rejected));
        (report.digests, counts.collect::<Vec<_>>(), report.counts.epochs_done)
    };
    let expected = contents(complete(&plan(), 1));
    let folder = tempfile::tempdir().unwrap();
    for topology in TOPOLOGIES {
        let mut outcomes = cluster(folder.path(), topology, &plan, |_| Fingerprint::default());
        let coordinator =
            outcomes.remove(0).unwrap_or_else(|failure| panic!("{name}, {topology:?}: {failure}"));
        assert_eq!(coordinator.processes, topology.0);
        assert_eq!(contents(coordinator), expected, "{name}, {topology:?}");
        assert!(outcomes.iter().all(Result::is_ok), "{name}, {topology:?}: {outcomes:?}");
    }
}

#[test]
fn processes_change_no_digest() {
    for (name, shape) in SHAPES {
        check(name, || shape(Draft::new(rows(7))).window(3).plan());
    }
}

#[test]
fn loops_cross_processes() {
    for round in ["{ epochs = 1 }", "{ epochs = 3 }", "{ rows = 45 }"] {
        check(round, || loops::plan(round, 4, 0));
    }
}

/// The cluster's outcomes when a stage breaks at the row of device-3 and seq 4, wherever that is.
fn broken(faulty: &str, source: &str) -> Vec<Failure> {
    let folder = tempfile::tempdir().unwrap();
    let plan = || {
        Draft::new(rows(10))
            .source("mic", NUMBERS, &format!("rows = 100\n{source}"))
            .stage("bad", FAULTY, faulty, &["mic"])
            .stage("a", AFFINE, "", &["bad"])
            .stage("t", TOTALS, "", &["a"])
            .stage("end", WATCH, "", &["t"])
            .plan()
    };
    let outcomes = cluster(folder.path(), (3, 1), plan, |_| Fingerprint::default());
    outcomes.into_iter().map(|outcome| outcome.expect_err("the run must fail")).collect()
}

#[test]
fn what_fails_in_one_process_is_told_by_all() {
    let check = |faulty: &str, source: &str, what: &str| {
        let failures = broken(faulty, source);
        let own: Vec<_> = failures.iter().enumerate().filter(|(_, f)| f.stage != NAME).collect();
        assert_eq!(own.len(), 1, "one process failed by itself: {failures:?}");
        let (index, own) = own[0];
        assert!(own.to_string().contains(what), "{own}");
        for other in failures.iter().filter(|f| f.stage == NAME) {
            let named = format!("[cluster]: process {index} (`");
            assert!(other.to_string().starts_with(&named), "{other}");
            assert!(other.to_string().contains(what), "{other}");
        }
    };
    let error = "stage `bad`, epoch 2, device";
    check("does = 'error'\nrouting = 'by device'", "", error);
    check("does = 'panic'\nstateful = true\nrouting = 'by device'", "", "it panicked (its state is lost");
    check("does = 'error'\nrouting = 'gather'", "", "stage `bad`, epoch 2");
    check("does = 'error'\nthreads = 2", "", "stage `bad`, epoch 2");
    check("", "ends_with = 'panic'", "stage `mic`: the source panicked");
    check("", "opens_with = 'error'", "stage `mic`: it was configured to fail");
}

/// A peer that is asked to stop asks the coordinator, which alone takes in: open epochs are carried through.
#[test]
fn any_process_may_stop_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = Hosts::local(folder.path(), 2, 1);
    let plan = || {
        Draft::new(rows(5))
            .source("mic", NUMBERS, "live = true")
            .stage("t", TOTALS, "", &["mic"])
            .stage("end", WATCH, "", &["t"])
            .plan()
    };
    let (done, ended) = channel();
    for index in 0..2 {
        let (hosts, done) = (hosts.clone(), done.clone());
        let of = Process { plan: plan(), attempt: None, taps: Vec::new() };
        // It is asked before it begins, and passes it on once it runs.
        let stop = move |options: &mut RunOptions| options.stopping.store(index == 1, SeqCst);
        std::thread::spawn(move || {
            done.send((index, process(&hosts, index, Fingerprint::default(), of, stop))).unwrap_or(());
        });
    }
    for _ in 0..2 {
        let (index, outcome) = ended.recv_timeout(HUNG).expect("the cluster does not stop");
        let report = outcome.unwrap_or_else(|failure| panic!("process {index}: {failure}"));
        assert!(report.stopped);
        let counts = &report.counts.stages;
        assert!(index == 1 || counts[0].rows_out == counts[2].rows_in, "{counts:?}");
    }
}

#[test]
fn processes_that_would_run_something_else_do_not_begin() {
    let folder = tempfile::tempdir().unwrap();
    let plan = || Draft::new(rows(10)).source("mic", NUMBERS, "").stage("end", WATCH, "", &["mic"]).plan();
    let fingerprint = |index: usize| {
        let mut fingerprint = Fingerprint::default();
        fingerprint.add("file", "sha256 1");
        fingerprint.add("param talk", if index == 1 { "b.jsonl" } else { "a.jsonl" });
        fingerprint
    };
    for outcome in cluster(folder.path(), (2, 1), plan, fingerprint) {
        let contents = outcome.unwrap_err().to_string();
        let expected = "param talk: process 0 (`home`) has a.jsonl, process 1 (`process-1`) has b.jsonl";
        assert!(contents.starts_with("[cluster]: ") && contents.contains(expected), "{contents}");
    }
}
