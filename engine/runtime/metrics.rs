//! The counters of a running engine: rows, rejects, CPU time, queues, epochs, and the stages' own metrics.
//!
//! In: additions from any thread. Out: a snapshot for the display and the summary. It must not know what a row holds.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// CPU time of the calling thread.
pub fn thread_cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// CPU time of a worker's thread, shared out among its operators: what has passed since the last reading belongs to the
/// one that reads. One reading an operator, where a pair would cost twice the system calls.
#[derive(Clone, Debug, Default)]
pub struct CpuShare(Rc<Cell<Duration>>);

impl CpuShare {
    /// Skips the time until now: it belongs to no operator.
    pub fn skip(&self) {
        self.0.set(thread_cpu());
    }

    /// Returns the time since the last reading.
    pub fn take(&self) -> Duration {
        let now = thread_cpu();
        now.saturating_sub(self.0.replace(now))
    }
}

/// One stage's counters, shared by all its instances.
#[derive(Debug, Default)]
pub struct StageMetrics {
    rows_in: AtomicU64,
    rows_out: AtomicU64,
    rejected: AtomicU64,
    cpu_ns: AtomicU64,
    queued: AtomicI64,
    held: AtomicI64,
    metrics: Mutex<MetricValues>,
}

/// A stage's own metrics by name.
pub type MetricValues = BTreeMap<Cow<'static, str>, u64>;

impl StageMetrics {
    /// Rows came in.
    pub fn add_in(&self, rows: usize) {
        self.rows_in.fetch_add(rows as u64, Relaxed);
    }

    /// Rows went out, at any port.
    pub fn add_out(&self, rows: usize) {
        self.rows_out.fetch_add(rows as u64, Relaxed);
    }

    /// Rows were rejected.
    pub fn add_rejected(&self, rows: usize) {
        self.rejected.fetch_add(rows as u64, Relaxed);
    }

    /// The stage worked for this long.
    pub fn add_cpu(&self, time: Duration) {
        self.cpu_ns.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Rows wait (positive) or stop waiting (negative).
    pub fn add_queued(&self, rows: i64) {
        self.queued.fetch_add(rows, Relaxed);
    }

    /// The stage holds rows back (positive) or lets them go (negative).
    pub fn add_held(&self, rows: i64) {
        self.held.fetch_add(rows, Relaxed);
    }

    /// Adds to one of the stage's own metrics.
    pub fn add_metric(&self, metric: &'static str, n: u64) {
        if let Ok(mut metrics) = self.metrics.lock() {
            *metrics.entry(Cow::Borrowed(metric)).or_default() += n;
        }
    }

    /// Returns the counts so far.
    pub fn snapshot(&self) -> StageCounts {
        StageCounts {
            rows_in: self.rows_in.load(Relaxed),
            rows_out: self.rows_out.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            cpu: Duration::from_nanos(self.cpu_ns.load(Relaxed)),
            queued: u64::try_from(self.queued.load(Relaxed)).unwrap_or(0),
            held: u64::try_from(self.held.load(Relaxed)).unwrap_or(0),
            metrics: self.metrics.lock().map(|f| f.clone()).unwrap_or_default(),
        }
    }
}

/// One stage's counts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageCounts {
    /// Rows that came in; for a source, rows that it gave.
    pub rows_in: u64,
    /// Rows that went out.
    pub rows_out: u64,
    /// Rows rejected.
    pub rejected: u64,
    /// CPU time of all its instances.
    pub cpu: Duration,
    /// Rows that wait for it now.
    pub queued: u64,
    /// Rows that it holds back now, for a later one.
    pub held: u64,
    /// The stage's own metrics.
    pub metrics: MetricValues,
}

impl StageCounts {
    fn add(&mut self, other: &StageCounts) {
        self.rows_in += other.rows_in;
        self.rows_out += other.rows_out;
        self.rejected += other.rejected;
        self.cpu += other.cpu;
        self.queued += other.queued;
        self.held += other.held;
        for (name, n) in &other.metrics {
            *self.metrics.entry(name.clone()).or_default() += n;
        }
    }
}

/// The counters of a whole run.
///
/// Each counter is a number on its own: no other data is published by it, and a snapshot need not be of one instant. `Relaxed` is
/// enough for all of them.
#[derive(Debug, Default)]
pub struct Metrics {
    stages: Vec<StageMetrics>,
    epochs_opened: AtomicU64,
    epochs_done: AtomicU64,
    epochs_committed: AtomicU64,
    rounds: AtomicU64,
    bytes: AtomicU64,
    waits_for_disk_space: AtomicBool,
    /// When the frontier moved last; nothing before it did.
    moved: Mutex<Option<Instant>>,
    /// The counts of other processes of the cluster, as last reported.
    elsewhere: Mutex<BTreeMap<usize, Counts>>,
}

impl Metrics {
    /// Counters for so many stages.
    pub fn new(stages: usize) -> Self {
        Metrics { stages: (0..stages).map(|_| StageMetrics::default()).collect(), ..Self::default() }
    }

    /// The counters of a stage, by its index in the plan.
    pub fn stage(&self, index: usize) -> Option<&StageMetrics> {
        self.stages.get(index)
    }

    /// An epoch was opened.
    pub fn opened(&self, epochs: u64) {
        let before = self.epochs_opened.fetch_max(epochs, Relaxed);
        if before < epochs && before <= self.epochs_done.load(Relaxed) {
            // Nothing was in flight: the frontier has had nowhere to go until now.
            self.moves();
        }
    }

    /// All sinks are past so many epochs.
    pub fn done(&self, epochs: u64) {
        if self.epochs_done.fetch_max(epochs, Relaxed) < epochs {
            self.moves();
        }
    }

    fn moves(&self) {
        if let Ok(mut moved) = self.moved.lock() {
            *moved = Some(Instant::now());
        }
    }

    /// So many epochs are committed.
    pub fn committed(&self, epochs: u64) {
        self.epochs_committed.fetch_max(epochs, Relaxed);
    }

    /// A round was ended.
    pub fn round_ended(&self) {
        self.rounds.fetch_add(1, Relaxed);
    }

    /// So many bytes of rows were taken in.
    pub fn taken_in(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// Returns true if the intake waits for disk space.
    pub fn waits_for_disk_space(&self, waits: bool) {
        self.waits_for_disk_space.store(waits, Relaxed);
    }

    fn frontier_lag(&self) -> Duration {
        let stands = self.epochs_opened.load(Relaxed) > self.epochs_done.load(Relaxed);
        let moved = self.moved.lock().ok().and_then(|moved| *moved).filter(|_| stands);
        moved.map(|moved| moved.elapsed()).unwrap_or_default()
    }

    /// All sinks are past every epoch that was opened.
    pub fn all_done(&self) {
        self.done(self.epochs_opened.load(Relaxed));
    }

    /// Another process has counted so much in all.
    pub(crate) fn elsewhere(&self, process: usize, counts: Counts) {
        if let Ok(mut elsewhere) = self.elsewhere.lock() {
            elsewhere.insert(process, counts);
        }
    }

    /// Returns the counts so far, of all processes.
    pub fn snapshot(&self) -> Counts {
        let mut counts = self.here();
        if let Ok(elsewhere) = self.elsewhere.lock() {
            for other in elsewhere.values() {
                counts.stages.iter_mut().zip(&other.stages).for_each(|(sum, stage)| sum.add(stage));
            }
        }
        counts
    }

    /// Returns the counts so far of this process.
    pub(crate) fn here(&self) -> Counts {
        Counts {
            stages: self.stages.iter().map(StageMetrics::snapshot).collect(),
            epochs_opened: self.epochs_opened.load(Relaxed),
            epochs_done: self.epochs_done.load(Relaxed),
            epochs_committed: self.epochs_committed.load(Relaxed),
            frontier_lag: self.frontier_lag(),
            rounds: self.rounds.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            waits_for_disk_space: self.waits_for_disk_space.load(Relaxed),
        }
    }
}

/// All counts of a run at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By stage, in the order of the plan.
    pub stages: Vec<StageCounts>,
    /// Epochs that the intake has opened.
    pub epochs_opened: u64,
    /// Epochs that all sinks have finished.
    pub epochs_done: u64,
    /// Epochs that a later attempt need not do again.
    pub epochs_committed: u64,
    /// The time since the frontier last moved, while epochs are in flight.
    pub frontier_lag: Duration,
    /// Rounds that this attempt has ended.
    pub rounds: u64,
    /// Bytes of rows that this attempt has taken in.
    pub bytes: u64,
    /// True if the intake waits for disk space.
    pub waits_for_disk_space: bool,
}
