//! A run: everything that is made ready before a dataflow, what its threads share, and what is told at the end.
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
use headwater_contract::{Mark, Site, Source, StageError};

use crate::caught::{Panicked, quietly};
use crate::cluster::{self, Member};
use crate::commit::{Commits, Life, Restored};
use crate::digest::SinkDigest;
use crate::instance::{Cause, Failure};
use crate::metrics::{Counts, Metrics};
use crate::offload::{Pool, Wake};
use crate::plan::{OutPort, Plan, PlanStage, PortRef};
use crate::relations;
use crate::relations::members::Device;
use crate::watch::Watch;

/// Where rejected rows go that no stage reads.
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

/// Where what passes at ports is kept, epoch by epoch, to be played again.
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
    fn closed(&mut self, mark: &Mark) -> Result<(), StageError>;
}

/// Somebody who looks at the rows of an output while they pass.
#[derive(Clone)]
pub struct Tap {
    /// The stage's id.
    pub stage: String,
    /// Which output.
    pub port: OutPort,
    /// Called with every batch, on the thread that made it.
    pub look: Arc<dyn Fn(&RecordBatch) + Send + Sync>,
}

/// What the threads of a run note down beside its rows, for whoever tells of the run: in a cluster, home adds the notes of all.
pub trait Notes: Send + Sync {
    /// What was noted in this process, as bytes.
    fn part(&self) -> Vec<u8>;

    /// Adds what was noted in another process.
    ///
    /// # Errors
    /// The bytes are no notes of this kind.
    fn add(&self, part: &[u8]) -> Result<(), StageError>;
}

/// Called at home with the name of a device.
pub type BeforeForgetting = Arc<dyn Fn(&str) -> Result<(), StageError> + Send + Sync>;
/// Tells what lacks room for more, if something does.
pub type LacksRoom = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// How to run a plan.
pub struct RunOptions {
    /// Worker threads.
    pub workers: usize,
    /// Where the machine keeps things.
    pub site: Site,
    /// Whether the digest of each sink's rows is taken: 48 bytes are kept for every row.
    pub digests: bool,
    /// Who looks at rows.
    pub taps: Vec<Tap>,
    /// Who may begin and cease to look while it runs.
    pub watch: Option<Arc<Watch>>,
    /// Where what it must remember is kept; without one nothing is, and a run begins at the beginning.
    pub life: Option<Life>,
    /// Where rejected rows go; without one they are only counted.
    pub quarantine: Option<Arc<Mutex<dyn Quarantine>>>,
    /// Writes down that a device is about to be forgotten. What cannot be written down is not done.
    pub before_forgetting: Option<BeforeForgetting>,
    /// Asked before an epoch is opened: what lacks room, if something does. Nothing is taken in while it says so.
    pub lacks_room: Option<LacksRoom>,
    /// Where the recorded ports of the plan go, at home; without one their rows pass unrecorded.
    pub recorder: Option<Arc<Mutex<dyn Recorder>>>,
    /// Set it to stop: open epochs are carried through.
    pub stopping: Arc<AtomicBool>,
    /// Counters to watch while it runs.
    pub metrics: Arc<Metrics>,
    /// What is noted down, by name. Home adds up those that it has itself.
    pub notes: BTreeMap<String, Arc<dyn Notes>>,
    /// The cluster that this process belongs to; `workers` then is what the cluster says.
    pub cluster: Option<Arc<Member>>,
}

impl RunOptions {
    /// One worker, digests on, nothing watched.
    pub fn new(plan: &Plan, site: Site) -> Self {
        RunOptions {
            workers: 1,
            site,
            digests: true,
            taps: Vec::new(),
            watch: None,
            life: None,
            quarantine: None,
            before_forgetting: None,
            lacks_room: None,
            recorder: None,
            stopping: Arc::default(),
            metrics: Arc::new(Metrics::new(plan.stages.len())),
            notes: BTreeMap::new(),
            cluster: None,
        }
    }
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was counted.
    pub counts: Counts,
    /// The digest of each sink's rows, in hexadecimal, by stage id.
    pub digests: BTreeMap<String, String>,
    /// How long it took.
    pub wall: Duration,
    /// Whether it was stopped before the end of its input.
    pub stopped: bool,
    /// How many processes ran it.
    pub processes: usize,
}

/// What the threads of a run share.
pub(crate) struct Shared {
    pub(crate) plan: Arc<Plan>,
    pub(crate) options: RunOptions,
    /// By stage: threads of its own, for stages that have them.
    pub(crate) pools: Vec<Option<Pool>>,
    /// The members when it starts.
    pub(crate) members: Vec<Device>,
    /// By stage: the digest of what arrived, for sinks.
    pub(crate) digests: Vec<Mutex<SinkDigest>>,
    /// Opened sources by stage, until home takes them.
    pub(crate) sources: Mutex<Vec<(usize, Box<dyn Source>)>>,
    /// What an earlier life left.
    pub(crate) restored: Restored,
    /// At home: what is committed, if anything is.
    pub(crate) commits: Option<Commits>,
    /// Whether epochs are committed, by home.
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

    /// The intake has left this epoch open, for a later life: all before it were closed.
    pub(crate) fn leaves_open(&self, epoch: Epoch) {
        self.end.get_or_init(|| epoch);
        self.options.cluster.iter().for_each(|member| member.leaves_open(epoch));
    }

    /// Whether an epoch was left open.
    pub(crate) fn leaves_an_epoch_open(&self) -> bool {
        self.end.get().is_some()
    }

    /// Whether everything before this epoch has taken effect, and nobody will close it.
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
            (tap.look)(rows);
        }
    }

    /// The first failure is the one that is told. What fails because another process fell is none.
    pub(crate) fn fail(&self, failure: Failure) {
        let cluster = self.options.cluster.as_ref();
        if cluster.is_none_or(|member| !member.failed())
            && let Ok(mut first) = self.failure.lock()
            && first.is_none()
        {
            cluster.inspect(|member| member.tell(&failure));
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

/// Whether every stage could run here and now: models load, inputs exist. What only home does is not asked elsewhere.
///
/// # Errors
/// Everything that is missing, of all stages.
pub fn ready(plan: &Plan, site: &Site) -> Result<(), Vec<Failure>> {
    let mut missing: Vec<Failure> = plan
        .stages
        .iter()
        .filter(|stage| !(site.away && stage.is_home_alone()))
        .filter_map(|stage| match quietly(|| stage.role.ready(site)) {
            Ok(ready) => ready.err().map(|e| failure(&stage.id, e.to_string())),
            Err(Panicked) => Some(failure(&stage.id, "it panicked while it was made ready")),
        })
        .collect();
    if !site.away {
        missing.extend(members(plan).err().unwrap_or_default());
    }
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

/// Whether the plan can run on several processes.
///
/// # Errors
/// Every stage that cannot.
pub fn fits_cluster(plan: &Plan) -> Result<(), Vec<Failure>> {
    let keeps = |stage: &PlanStage| {
        let option = stage.role.keeps_files().filter(|_| !stage.is_home_alone())?;
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
    let failed = |lines: Vec<String>| lines.into_iter().map(|what| failure(relations::NAME, what)).collect();
    relations::load(members, plan).map_err(failed)
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
                member.tell(&failure);
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

/// Notes a panic for the next life. Where that fails, or nothing is kept, a next life would only panic again.
fn noted(shared: &Shared, failure: Failure) -> Failure {
    let Cause::Panic(suspect) = &failure.cause else { return failure };
    match shared.commits.as_ref().map(|commits| commits.note_panic(&shared.plan, suspect)) {
        Some(Ok(())) => failure,
        Some(Err(error)) => {
            tracing::error!(%error, "the panic cannot be noted for the next run");
            Failure { cause: Cause::Lasting, ..failure }
        }
        None => Failure { cause: Cause::Lasting, ..failure },
    }
}

/// Brings home what the processes of a cluster have to report.
fn together(shared: &Shared) -> Result<(), Failure> {
    let Some(member) = &shared.options.cluster else { return Ok(()) };
    if !member.is_home() {
        return member.give(parts(shared), shared.options.metrics.here());
    }
    for ((_, of), bytes) in member.gather()? {
        let (kind, which) = of.split_once(' ').unwrap_or_default();
        let digest = || shared.digests.get(which.parse::<usize>().ok()?)?.lock().ok()?.merge(&bytes);
        let added = match (kind, shared.options.notes.get(which)) {
            ("digest", _) => digest(),
            (_, Some(notes)) => notes.add(&bytes).ok(),
            (_, None) => Some(()),
        };
        added.ok_or_else(|| failure(cluster::NAME, format!("a process gave no {of}, but something else")))?;
    }
    member.bye();
    Ok(())
}

/// What this process reports: the digests of its sinks and its notes, by number.
fn parts(shared: &Shared) -> Vec<(String, Vec<u8>)> {
    let digests = shared.plan.stages.iter().zip(&shared.digests).enumerate();
    let digests = digests.filter(|(_, (stage, _))| shared.options.digests && stage.is_sink());
    let digests = digests
        .filter_map(|(index, (_, digest))| Some((format!("digest {index}"), digest.lock().ok()?.encode())));
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
    let digests =
        sinks.filter_map(|(stage, digest)| Some((stage.id.clone(), digest.lock().ok()?.finish()))).collect();
    Report {
        counts: shared.options.metrics.snapshot(),
        digests,
        wall,
        stopped: shared.options.stopping.load(Relaxed),
        processes: shared.options.cluster.as_ref().map_or(1, |member| member.processes()),
    }
}
