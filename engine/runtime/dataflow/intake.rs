//! The intake as an operator: the only one that opens epochs.
//!
//! In: events of the [`Intake`], and the frontier of the pipeline's ends. Out: rows and rejects of every source, and the
//! barriers. A new epoch is opened only while fewer than `window` are in flight; the frontier comes back on an input that is
//! disconnected from the outputs, so that it never holds them back.

mod disk_space;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use headwater_contract::identity;
use headwater_contract::signature::{REJECTED_BY, REJECTED_CODE, REJECTED_REASON};
use headwater_contract::state::Change;
use headwater_contract::{Barrier, Escaped, Role, StageError};
use timely::container::{Accountable, CapacityContainerBuilder, NoopBuilder};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, Stream};
use timely::progress::frontier::Antichain;

use disk_space::DiskSpace;

use super::{Rows, WireBarrier};
use crate::commit::{self, Commits, KeptChange};
use crate::exchange::ExchangeBatch;
use crate::instance::Failure;
use crate::intake::{self, Closing, Inlet, InletContext, Intake, IntakeEvent, Port, SourceReject};
use crate::metrics::{CpuShare, StageMetrics};
use crate::offload::Wake;
use crate::plan::{OutPort, PlanStage};
use crate::run::Shared;

/// The number of intake events that are taken before other operators work: enough to amortise scheduling, few enough for fairness.
const BUDGET: usize = 64;

/// The streams that the intake gives.
pub(super) struct IntakeStreams<'s> {
    /// By the source's index in the plan: its rows and its rejects.
    pub(super) sources: HashMap<usize, (Rows<'s>, Rows<'s>)>,
    /// A barrier for each worker.
    pub(super) barriers: Stream<'s, u64, Vec<(u64, WireBarrier)>>,
}

type RowsOut = OutputBuilder<u64, NoopBuilder<ExchangeBatch>>;
type BarriersOut = OutputBuilder<u64, CapacityContainerBuilder<Vec<(u64, WireBarrier)>>>;

/// One source's outputs: rows, rejects.
struct SourceOut {
    index: usize,
    rows: RowsOut,
    /// Rows of the open epoch that go out together.
    next: ExchangeBatch,
    rejected: RowsOut,
}

pub(super) fn wire<'s>(
    scope: Scope<'s, u64>,
    shared: &Arc<Shared>,
    ack: Rows<'s>,
    cpu: CpuShare,
) -> IntakeStreams<'s> {
    let mut builder = OperatorBuilder::new("intake".into(), scope);
    let (marks_out, barriers) = builder.new_output::<Vec<(u64, WireBarrier)>>();
    let mut sources = HashMap::new();
    let mut outs = Vec::new();
    for (index, stage) in shared.plan.stages.iter().enumerate() {
        if stage.is_source() {
            let (rows, rows_stream) = builder.new_output::<ExchangeBatch>();
            let (rejected, rejected_stream) = builder.new_output::<ExchangeBatch>();
            outs.push(SourceOut {
                index,
                rows: OutputBuilder::from(rows),
                next: ExchangeBatch::default(),
                rejected: OutputBuilder::from(rejected),
            });
            sources.insert(index, (rows_stream, rejected_stream));
        }
    }
    let mut acked = builder.new_input_connection(ack, Pipeline, Vec::<(usize, Antichain<u64>)>::new());
    let info = builder.operator_info();
    let wake = scope.worker().sync_activator_for(info.address.to_vec());
    let again = scope.activator_for(info.address);
    let is_coordinator = scope.worker().index() == 0;
    let workers = scope.worker().peers() as u64;
    let shared = shared.clone();
    builder.build(move |mut capabilities| {
        let mut taking = is_coordinator.then(|| {
            let wake: Wake = Arc::new(move || wake.activate().unwrap_or(()));
            shared.intake_is_woken_by(wake.clone());
            let inlets = start_sources(&shared, &wake);
            let plan = &shared.plan;
            let stopping = shared.options.stopping.clone();
            let mut intake = Intake::new(inlets, plan, stopping);
            if shared.commits.is_some() {
                intake = intake.committing(plan.commit);
            }
            if let Some((progress, replayed)) = shared.restored.intake() {
                intake = intake.resume(progress, replayed);
            }
            if shared.restored.closes_only {
                intake = intake.ending_a_round();
            }
            // Nothing comes of the epochs of an earlier attempt: the window begins with this one's first.
            let first = shared.restored.first_epoch();
            shared.options.metrics.committed(first.0);
            capabilities.iter_mut().for_each(|capability| capability.downgrade(&first.0));
            let log = shared.commits.is_some() && intake.has_live();
            let (barriers, disk_space) = (OutputBuilder::from(marks_out), DiskSpace::default());
            IntakeOperator {
                intake,
                capabilities,
                barriers,
                outs,
                workers,
                shared,
                log,
                disk_space,
                kept: Vec::new(),
            }
        });
        move |frontiers| {
            acked.for_each(|_, _| {});
            // The feedback edge adds one: epochs below (frontier - 1) have taken effect everywhere.
            let done = frontiers
                .first()
                .and_then(|f| f.frontier().first().copied())
                .map_or(u64::MAX, |f| f.saturating_sub(1));
            let Some(at_work) = taking.as_mut() else { return };
            let next = at_work.take(done);
            cpu.skip();
            match next {
                Next::Again => again.activate(),
                Next::Later(time) => again.activate_after(time),
                Next::WhenWoken => (),
                Next::Never => {
                    if at_work.intake.leaves_epoch_open() {
                        at_work.shared.leaves_open(at_work.intake.epoch());
                    }
                    taking = None;
                }
            }
        }
    });
    IntakeStreams { sources, barriers }
}

fn start_sources(shared: &Shared, wake: &Wake) -> Vec<Inlet> {
    let opened = shared.sources.lock().map(|mut s| std::mem::take(&mut *s)).unwrap_or_default();
    opened
        .into_iter()
        .filter_map(|(index, source)| {
            let stage = shared.plan.stages.get(index)?;
            let Role::Source(config) = &stage.role else { return None };
            let cx = InletContext {
                id: stage.id.clone(),
                index,
                boundedness: config.boundedness(),
                metrics: shared.options.metrics.clone(),
                stopping: shared.options.stopping.clone(),
                wake: wake.clone(),
                committed: shared.commits.as_ref().map(Commits::acknowledged).unwrap_or_default(),
            };
            intake::start(source, cx)
                .map_err(|e| {
                    shared.fail(Failure::new(stage.id.clone(), format!("no thread: {e}")));
                })
                .ok()
        })
        .collect()
}

enum Next {
    Again,
    Later(std::time::Duration),
    WhenWoken,
    Never,
}

/// The intake at work on the coordinator.
struct IntakeOperator {
    intake: Intake,
    /// First the barriers', then rows' and rejects' of every source.
    capabilities: Vec<Capability<u64>>,
    barriers: BarriersOut,
    outs: Vec<SourceOut>,
    workers: u64,
    shared: Arc<Shared>,
    /// True if what is taken in is noted before its epoch is closed.
    log: bool,
    disk_space: DiskSpace,
    /// The rows that sources want remembered with the next commit.
    kept: Vec<KeptChange>,
}

impl IntakeOperator {
    /// Takes in what is there. Nothing stays behind: what was taken in is sent.
    fn take(&mut self, done: u64) -> Next {
        let next = self.drive(done);
        self.send();
        next
    }

    fn drive(&mut self, done: u64) -> Next {
        for _ in 0..BUDGET {
            let epoch = self.intake.epoch().0;
            if epoch.saturating_sub(done) >= self.shared.plan.window {
                return if self.shared.options.stopping.load(Relaxed) {
                    Next::Never
                } else {
                    Next::WhenWoken
                };
            }
            if self.intake.would_open_an_epoch()
                && let Some(time) = self.disk_space.lacks(&self.shared.options)
            {
                return Next::Later(time);
            }
            let log = self.log && !self.intake.is_replaying();
            match self.intake.next_event() {
                IntakeEvent::Rows(source, rows) => self.add(source, rows, log),
                IntakeEvent::Rejected(source, reject) => self.reject(source, &reject, log),
                IntakeEvent::RejectedRows(source, rows) => self.send_rejected(source, rows),
                IntakeEvent::Kept(source, change) => self.keep(source, change, log),
                IntakeEvent::Close(barrier) => {
                    if let Err(error) = self.note_end(&barrier, log) {
                        self.fail(&error);
                        return Next::Never;
                    }
                    self.close(&barrier);
                }
                IntakeEvent::Wait(None) => return Next::WhenWoken,
                IntakeEvent::Wait(Some(time)) => return Next::Later(time),
                IntakeEvent::End => return Next::Never,
                IntakeEvent::Failed(failure) => {
                    self.shared.fail(failure);
                    return Next::Never;
                }
            }
        }
        Next::Again
    }

    /// Notes what live input needs before its epoch is closed, and what a commit of the epoch needs.
    fn note_end(&mut self, barrier: &Barrier, log: bool) -> Result<(), StageError> {
        let Some(commits) = self.shared.commits.as_ref().filter(|_| log || barrier.checkpoint) else {
            return Ok(());
        };
        let progress = self.intake.progress();
        if log {
            let closing = Closing::of(barrier, progress.clone()).encode()?;
            commits.with(|folder| folder.log_barrier(barrier.epoch, &closing))?;
        }
        if barrier.checkpoint {
            commits.closed(barrier.epoch, progress, std::mem::take(&mut self.kept));
        }
        Ok(())
    }

    /// Keeps what a source wants remembered for the next commit.
    fn keep(&mut self, source: usize, change: Change, log: bool) {
        if self.shared.commits.is_none() {
            return;
        }
        let (table, Change { key, row }) = (self.id_of(source), change);
        if let (true, Some((_, row))) = (log, &row) {
            match intake::with_key(&key, row) {
                Ok(rows) => self.note_rows(&Port::Kept(table.clone()), &rows),
                Err(error) => self.fail(&error),
            }
        }
        self.kept.push(KeptChange { table, key, row });
    }

    fn note_rows(&self, port: &Port, rows: &RecordBatch) {
        let Some(commits) = &self.shared.commits else { return };
        let noted = commits.with(|folder| folder.log_rows(self.intake.epoch(), &port.name(), rows));
        if let Err(error) = noted {
            self.fail(&error);
        }
    }

    fn fail(&self, error: &StageError) {
        self.shared.fail(Failure::new(commit::NAME, error.to_string()).because(error));
    }

    fn add(&mut self, source: usize, rows: RecordBatch, log: bool) {
        let given = rows.num_rows();
        let rows = match self.shared.restored.taken_in(rows) {
            Ok(rows) => rows,
            Err(error) => return self.fail(&error),
        };
        if let Some(metrics) = self.metrics_of(source).filter(|_| rows.num_rows() < given) {
            metrics.add_metric("forgotten_rows", (given - rows.num_rows()) as u64);
        }
        if log {
            self.note_rows(&Port::Rows(self.id_of(source)), &rows);
        }
        let Some(out) = self.outs.get_mut(source) else { return };
        if let Some(metrics) = self.shared.options.metrics.stage(out.index) {
            metrics.add_in(rows.num_rows());
            metrics.add_out(rows.num_rows());
        }
        self.shared.show(out.index, OutPort::Out(0), &rows);
        out.next.push(rows);
    }

    /// Sends the rows that were added since, all of the open epoch.
    fn send(&mut self) {
        for (source, out) in self.outs.iter_mut().enumerate() {
            if let (false, Some(capability)) = (out.next.is_empty(), self.capabilities.get(1 + 2 * source)) {
                self.shared.options.metrics.opened(capability.time() + 1);
                out.rows.activate().session_with_builder(capability).give_container(&mut out.next);
                out.next.clear();
            }
        }
    }

    fn metrics_of(&self, source: usize) -> Option<&StageMetrics> {
        self.shared.options.metrics.stage(self.outs.get(source)?.index)
    }

    fn id_of(&self, source: usize) -> String {
        let stage = self.outs.get(source).and_then(|out| self.shared.plan.stages.get(out.index));
        stage.map(|stage| stage.id.clone()).unwrap_or_default()
    }

    fn send_rejected(&mut self, source: usize, rows: RecordBatch) {
        let stage = self.outs.get(source).and_then(|out| self.shared.options.metrics.stage(out.index));
        stage.inspect(|stage| stage.add_rejected(rows.num_rows()));
        if let Some(out) = self.outs.get(source) {
            self.shared.show(out.index, OutPort::Rejected, &rows);
        }
        let capability = self.capabilities.get(2 + 2 * source);
        if let (Some(out), Some(capability)) = (self.outs.get_mut(source), capability) {
            let mut rejected = out.rejected.activate();
            rejected.session_with_builder(capability).give_container(&mut ExchangeBatch::of(rows));
        }
    }

    fn reject(&mut self, source: usize, reject: &SourceReject, log: bool) {
        let Some(out) = self.outs.get(source) else { return };
        let Some(stage) = self.shared.plan.stages.get(out.index) else { return };
        if self.shared.restored.excluded.contains(&*reject.id.device) {
            return;
        }
        tracing::warn!(stage = stage.id, device = %Escaped(&reject.id.device), seq = reject.id.seq, code = reject.code, reason = reject.reason, "rejected");
        match source_reject_row(stage, reject) {
            Ok(row) => {
                if log {
                    self.note_rows(&Port::Rejected(stage.id.clone()), &row);
                }
                self.send_rejected(source, row);
            }
            Err(error) => {
                let row = Some(reject.id.clone());
                self.shared.fail(Failure { row, ..Failure::new(&stage.id, error.to_string()) });
            }
        }
    }

    fn close(&mut self, barrier: &Barrier) {
        self.send();
        let metrics = &self.shared.options.metrics;
        metrics.opened(barrier.epoch.0 + 1);
        metrics.taken_in(self.intake.bytes_since());
        if barrier.round_end {
            metrics.round_ended();
        }
        let wire = WireBarrier::from(barrier);
        if let Some(capability) = self.capabilities.first() {
            let mut for_all: Vec<(u64, WireBarrier)> =
                (0..self.workers).map(|worker| (worker, wire)).collect();
            self.barriers.activate().session(capability).give_container(&mut for_all);
        }
        for capability in &mut self.capabilities {
            capability.downgrade(&(barrier.epoch.0 + 1));
        }
    }
}

fn source_reject_row(
    stage: &PlanStage,
    reject: &SourceReject,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values([value])) };
    let columns = stage
        .rejected
        .fields()
        .iter()
        .map(|field| -> ArrayRef {
            match field.name().as_str() {
                identity::DEVICE => text(&reject.id.device),
                identity::SOURCE => text(&reject.id.source),
                identity::SEQ => Arc::new(UInt64Array::from_iter_values([reject.id.seq])),
                identity::PART => Arc::new(UInt32Array::from_iter_values([reject.id.part])),
                identity::CAPTURED_AT => Arc::new(
                    TimestampMicrosecondArray::from_iter_values([reject.captured_at.0]).with_timezone("UTC"),
                ),
                REJECTED_BY => text(&stage.id),
                REJECTED_CODE => text(reject.code),
                REJECTED_REASON => text(&reject.reason),
                _ => arrow::array::new_null_array(field.data_type(), 1),
            }
        })
        .collect();
    RecordBatch::try_new(stage.rejected.clone(), columns)
}
