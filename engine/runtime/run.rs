//! A run: everything that is made ready before a dataflow, what its threads share, and the report.
//!
//! In: a plan and the run's options. Out: a report, or the failure that ended it. It must not know timely: the dataflow is
//! behind `dataflow::execute`.

mod begin;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use headwater_contract::units::Epoch;
use headwater_contract::{Barrier, HostEnv, Source, StageError};

use crate::caught::{Panicked, quietly};
use crate::cluster::{self, Member};
use crate::commit::{Attempt, Commits, Restored};
use crate::digest::{RunningDigest, SinkDigest};
use crate::instance::{Cause, Failure};
use crate::membership;
use crate::membership::members::Device;
use crate::metrics::{Counts, Metrics};
use crate::offload::{Pool, Wake};
use crate::plan::{OutPort, Plan, PlanStage, PortRef};
use crate::watch::Watch;

/// The sink of rejected rows that no stage reads.
pub trait Quarantine: Send {
    /// Keeps rejected rows of a stage: rows of its `rejected` port.
    ///
    /// # Errors
    /// They could not be kept; the run ends.
    fn keep(&mut self, stage: &str, rows: &RecordBatch) -> Result<(), StageError>;

    /// Makes what was kept durable.
    ///
    /// # Errors
    /// It could not be made durable; the run ends.
    fn sync(&mut self) -> Result<(), StageError>;
}

/// The store of what passes at ports, epoch by epoch, to be replayed.
pub trait Recorder: Send {
    /// Keeps rows of a port, by its number in [`Plan::recorded`], of the epoch that is closed next.
    ///
    /// # Errors
    /// They could not be kept; the run ends.
    fn rows(&mut self, port: usize, rows: &RecordBatch) -> Result<(), StageError>;

    /// Keeps the end of an epoch.
    ///
    /// # Errors
    /// It could not be kept; the run ends.
    fn closed(&mut self, barrier: &Barrier) -> Result<(), StageError>;
}

/// A tap of the rows of an output while they pass.
#[derive(Clone)]
pub struct Tap {
    /// The stage's id.
    pub stage: String,
    /// Which output.
    pub port: OutPort,
    /// Called with every batch, on the thread that made it.
    pub inspect: Arc<dyn Fn(&RecordBatch) + Send + Sync>,
}

/// The notes of a run's threads beside its rows, for the report: in a cluster, the coordinator adds the notes of all.
pub trait Notes: Send + Sync {
    /// On the coordinator: returns what peers need to note anything.
    fn brief(&self) -> Vec<u8> {
        Vec::new()
    }

    /// On a peer: takes what the coordinator gives before the run begins.
    ///
    /// # Errors
    /// The bytes do not decode.
    fn take_brief(&self, _: &[u8]) -> Result<(), StageError> {
        Ok(())
    }

    /// Returns the notes of this process since the last call, which go to the coordinator while it runs; empty where all waits for its end.
    fn news(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Returns the notes of this process that were not sent yet, as bytes.
    fn part(&self) -> Vec<u8>;

    /// Adds what was noted in another process.
    ///
    /// # Errors
    /// The bytes are no notes of this kind.
    fn add(&self, part: &[u8]) -> Result<(), StageError>;
}

/// Called on the coordinator with the name of a device.
pub type BeforeForgetting = Arc<dyn Fn(&str) -> Result<(), StageError> + Send + Sync>;
/// Returns what lacks disk space, if something does.
pub type DiskSpaceCheck = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// The options of a run.
pub struct RunOptions {
    /// Worker threads.
    pub workers: usize,
    /// Where the machine keeps things.
    pub host: HostEnv,
    /// True if the digest of each sink's rows is taken: a row costs about a microsecond, and no memory.
    pub digests: bool,
    /// The clients that tap rows.
    pub taps: Vec<Tap>,
    /// The taps that may come and go while it runs.
    pub watch: Option<Arc<Watch>>,
    /// Where what it must remember is kept; without one nothing is, and a run begins at the beginning.
    pub attempt: Option<Attempt>,
    /// Where rejected rows go; without one they are only counted.
    pub quarantine: Option<Arc<Mutex<dyn Quarantine>>>,
    /// Writes down that a device is about to be forgotten. What cannot be written down is not done.
    pub before_forgetting: Option<BeforeForgetting>,
    /// Asked before an epoch is opened: returns what lacks disk space. The intake pauses meanwhile.
    pub disk_space_check: Option<DiskSpaceCheck>,
    /// Where the recorded ports of the plan go, on the coordinator; without one their rows pass unrecorded.
    pub recorder: Option<Arc<Mutex<dyn Recorder>>>,
    /// Set it to stop: open epochs are carried through.
    pub stopping: Arc<AtomicBool>,
    /// Counters to watch while it runs.
    pub metrics: Arc<Metrics>,
    /// The notes by name. The coordinator adds up those that it has itself.
    pub notes: BTreeMap<String, Arc<dyn Notes>>,
    /// The cluster that this process belongs to; `workers` then is what the cluster says.
    pub cluster: Option<Arc<Member>>,
}

impl RunOptions {
    /// One worker, digests on, nothing watched.
    pub fn new(plan: &Plan, host: HostEnv) -> Self {
        RunOptions {
            workers: 1,
            host,
            digests: true,
            taps: Vec::new(),
            watch: None,
            attempt: None,
            quarantine: None,
            before_forgetting: None,
            disk_space_check: None,
            recorder: None,
            stopping: Arc::default(),
            metrics: Arc::new(Metrics::new(plan.stages.len())),
            notes: BTreeMap::new(),
            cluster: None,
        }
    }
}

/// The report of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The counts.
    pub counts: Counts,
    /// By stage id: the digest of all rows of each sink in hexadecimal, with those that earlier attempts committed.
    pub digests: BTreeMap<String, String>,
    /// The duration.
    pub wall: Duration,
    /// True if it was stopped before the end of its input.
    pub stopped: bool,
    /// The number of processes.
    pub processes: usize,
}

/// The state that the threads of a run share.
///
/// Lock order: `failure`, then a writer of the control channel (`fail` sends while it holds `failure`, so that the failure that is sent
/// is the one that is kept). All other locks here are held alone: a digest, the sources, the state folder, the quarantine, the recorder.
///
/// `stopping` and `failed` are flags that publish no other data, and every reader polls them: `Relaxed` is enough. The failure itself is
/// read under its lock.
pub(crate) struct Shared {
    pub(crate) plan: Arc<Plan>,
    pub(crate) options: RunOptions,
    /// By stage: threads of its own, for stages that have them.
    pub(crate) pools: Vec<Option<Pool>>,
    /// The members when it starts.
    pub(crate) members: Vec<Device>,
    /// By stage: the digest of what arrived, for sinks.
    pub(crate) digests: Vec<Mutex<RunningDigest>>,
    /// Opened sources by stage, until the coordinator takes them.
    pub(crate) sources: Mutex<Vec<(usize, Box<dyn Source>)>>,
    /// The restored state of an earlier attempt.
    pub(crate) restored: Restored,
    /// On the coordinator: the open state folder, if there is one.
    pub(crate) commits: Option<Commits>,
    /// True if epochs are committed, by the coordinator.
    pub(crate) committing: bool,
    /// The epoch that the intake left open, if it did.
    end: Arc<OnceLock<Epoch>>,
    intake: OnceLock<Wake>,
    failure: Mutex<Option<Failure>>,
    failed: AtomicBool,
}

impl Shared {
    pub(crate) fn intake_is_woken_by(&self, wake: Wake) {
        self.intake.get_or_init(|| wake);
    }

    pub(crate) fn wake_intake(&self) {
        if let Some(wake) = self.intake.get() {
            wake();
        }
    }

    /// The intake has left this epoch open, for a later attempt: all before it were closed.
    pub(crate) fn leaves_open(&self, epoch: Epoch) {
        self.end.get_or_init(|| epoch);
        self.options.cluster.iter().for_each(|member| member.leaves_open(epoch));
    }

    /// Returns true if an epoch was left open.
    pub(crate) fn leaves_an_epoch_open(&self) -> bool {
        self.end.get().is_some()
    }

    /// Returns true if the epoch stays open for a later attempt: no process closes it.
    pub(crate) fn is_left_open(&self, epoch: Epoch) -> bool {
        self.end.get().is_some_and(|end| epoch >= *end)
    }

    /// Shows rows of a stage's output to those who asked for them.
    pub(crate) fn show(&self, stage: usize, port: OutPort, rows: &RecordBatch) {
        let taps = &self.options.taps;
        if let Some(watch) = &self.options.watch {
            watch.show(PortRef { stage, port }, rows);
        }
        if taps.is_empty() {
            return;
        }
        let Some(stage) = self.plan.stages.get(stage) else { return };
        for tap in taps.iter().filter(|t| t.stage == stage.id && t.port == port) {
            (tap.inspect)(rows);
        }
    }

    /// Ends the run. The first failure is reported; one that follows from the loss of another process is not.
    pub(crate) fn fail(&self, failure: Failure) {
        let cluster = self.options.cluster.as_ref();
        if cluster.is_none_or(|member| !member.failed())
            && let Ok(mut first) = self.failure.lock()
            && first.is_none()
        {
            cluster.inspect(|member| member.report_failure(&failure));
            *first = Some(failure);
        }
        self.options.stopping.store(true, Relaxed);
        self.failed.store(true, Relaxed);
    }

    pub(crate) fn failed(&self) -> bool {
        self.failed.load(Relaxed) || self.options.cluster.as_ref().is_some_and(|member| member.failed())
    }

    fn failure(&self) -> Option<Failure> {
        let own = self.failure.lock().ok().and_then(|f| f.clone());
        own.or_else(|| self.options.cluster.as_ref().and_then(|member| member.failure()))
    }
}

fn failure(stage: &str, what: impl Into<String>) -> Failure {
    Failure::new(stage, what)
}

/// Returns true if every stage could run here and now: models load, inputs exist. What only the coordinator does is not checked on peers.
///
/// # Errors
/// Everything that is missing, of all stages.
pub fn ready(plan: &Plan, host: &HostEnv) -> Result<(), Vec<Failure>> {
    let mut missing: Vec<Failure> = plan
        .stages
        .iter()
        .filter(|stage| !(host.is_peer && stage.runs_on_coordinator_only()))
        .filter_map(|stage| match quietly(|| stage.role.ready(host)) {
            Ok(ready) => ready.err().map(|e| failure(&stage.id, e.to_string())),
            Err(Panicked) => Some(failure(&stage.id, "it panicked while it was made ready")),
        })
        .collect();
    if !host.is_peer {
        missing.extend(members(plan).err().unwrap_or_default());
    }
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

/// Returns true if the plan can run on several processes.
///
/// # Errors
/// Every stage that cannot.
pub fn fits_cluster(plan: &Plan) -> Result<(), Vec<Failure>> {
    let keeps = |stage: &PlanStage| {
        let option = stage.role.keeps_files().filter(|_| !stage.runs_on_coordinator_only())?;
        let what = format!(
            "`{option}` keeps files in the state folder, and in a cluster the stage also runs where there is none; \
             leave it out, or run in one process"
        );
        Some(failure(&stage.id, what))
    };
    let keeping: Vec<Failure> = plan.stages.iter().filter_map(keeps).collect();
    if keeping.is_empty() { Ok(()) } else { Err(keeping) }
}

/// The members when the plan starts.
///
/// # Errors
/// Everything that is wrong with their table.
pub fn members(plan: &Plan) -> Result<Vec<Device>, Vec<Failure>> {
    let Some(members) = &plan.members else { return Ok(Vec::new()) };
    let failed = |lines: Vec<String>| lines.into_iter().map(|what| failure(membership::NAME, what)).collect();
    membership::load(members, plan).map_err(failed)
}

/// Runs a plan to the end of its input, or until it is stopped. Call [`ready`] first.
///
/// # Errors
/// The failure that ended it.
pub fn run(plan: Arc<Plan>, options: RunOptions) -> Result<Report, Failure> {
    let started = Instant::now();
    let cluster = options.cluster.clone();
    let shared = match begin::share(plan, options) {
        Ok(shared) => Arc::new(shared),
        Err(failure) => {
            if let Some(member) = &cluster {
                member.report_failure(&failure);
                member.linger();
            }
            return Err(failure);
        }
    };
    if let Err(failure) = crate::dataflow::execute(&shared) {
        shared.fail(failure);
    }
    let ended = match shared.failure() {
        Some(failure) => Err(failure),
        None => together(&shared),
    };
    let ended = ended.map_err(|failure| noted(&shared, failure));
    match (ended, &shared.options.cluster) {
        (Ok(()), _) => Ok(report(&shared, started.elapsed())),
        (Err(failure), None) => Err(failure),
        (Err(failure), Some(member)) => {
            member.linger();
            Err(failure)
        }
    }
}

/// Notes a panic for the next attempt. Where that fails, or nothing is kept, a next attempt would only panic again.
fn noted(shared: &Shared, failure: Failure) -> Failure {
    let Cause::Panic(poison_row) = &failure.cause else { return failure };
    match shared.commits.as_ref().map(|commits| commits.note_panic(&shared.plan, poison_row)) {
        Some(Ok(())) => failure,
        Some(Err(error)) => {
            tracing::error!(%error, "the panic cannot be noted for the next run");
            Failure { cause: Cause::Lasting, ..failure }
        }
        None => Failure { cause: Cause::Lasting, ..failure },
    }
}

/// Brings to the coordinator what the processes of a cluster have to report.
fn together(shared: &Shared) -> Result<(), Failure> {
    let Some(member) = &shared.options.cluster else { return Ok(()) };
    if !member.is_coordinator() {
        return member.give(parts(shared), shared.options.metrics.here());
    }
    for ((_, of), bytes) in member.gather()? {
        let (kind, which) = of.split_once(' ').unwrap_or_default();
        let digest = || {
            let rows = SinkDigest::decode(&bytes)?;
            shared.digests.get(which.parse::<usize>().ok()?)?.lock().ok()?.commit(&rows);
            Some(())
        };
        let added = match (kind, shared.options.notes.get(which)) {
            ("digest", _) => digest(),
            (_, Some(notes)) => notes.add(&bytes).ok(),
            (_, None) => Some(()),
        };
        added.ok_or_else(|| failure(cluster::NAME, format!("a process sent no valid {of}")))?;
    }
    member.bye();
    Ok(())
}

/// Returns the report of this process: the digests of its sinks and its notes, by number.
fn parts(shared: &Shared) -> Vec<(String, Vec<u8>)> {
    let digests = shared.plan.stages.iter().zip(&shared.digests).enumerate();
    let digests = digests.filter(|(_, (stage, _))| shared.options.digests && stage.is_sink());
    let end = shared.end.get().copied();
    let digests = digests.filter_map(|(index, (_, digest))| {
        Some((format!("digest {index}"), digest.lock().ok()?.below(end).encode()))
    });
    let notes = shared.options.notes.iter();
    digests.chain(notes.map(|(name, notes)| (format!("notes {name}"), notes.part()))).collect()
}

fn report(shared: &Shared, wall: Duration) -> Report {
    let sinks = shared
        .plan
        .stages
        .iter()
        .zip(&shared.digests)
        .filter(|(stage, _)| stage.is_sink() && shared.options.digests);
    let end = shared.end.get().copied();
    let digest = |digest: &Mutex<RunningDigest>| Some(digest.lock().ok()?.below(end).finish());
    let digests = sinks.filter_map(|(stage, of)| Some((stage.id.clone(), digest(of)?))).collect();
    Report {
        counts: shared.options.metrics.snapshot(),
        digests,
        wall,
        stopped: shared.options.stopping.load(Relaxed),
        processes: shared.options.cluster.as_ref().map_or(1, |member| member.processes()),
    }
}
