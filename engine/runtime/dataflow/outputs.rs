//! The outputs of one stage on one worker.
//!
//! In: results of one call of the stage or of many. Out: exchange batches on its streams, and what was counted on the way. What is
//! given together travels as one exchange batch. It must not know what a stage is or when an epoch ends.

use std::sync::Arc;

use arrow::array::RecordBatch;
use headwater_contract::state::Change;
use headwater_contract::units::Epoch;
use headwater_contract::{Escaped, Port, StageError, identity};
use timely::container::{Accountable, CapacityContainerBuilder, NoopBuilder};
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Capability, InputCapability};

use super::{Rows, StateRows};
use crate::commit::{StateRow, Table};
use crate::digest::SinkDigest;
use crate::exchange::ExchangeBatch;
use crate::instance::{Failure, StageOutput, rejected_rows};
use crate::metrics::StageMetrics;
use crate::offload::Pool;
use crate::plan::{OutPort, PlanStage};
use crate::run::Shared;

type Output = OutputBuilder<u64, NoopBuilder<ExchangeBatch>>;
type StateOutput = OutputBuilder<u64, CapacityContainerBuilder<Vec<StateRow>>>;

/// The stream of a stage that an output handle feeds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Port(Port),
    Rejected,
    /// Carries no row, only the frontier.
    End,
}

/// An open stream, and what goes out on it next.
struct Outgoing {
    slot: Slot,
    output: Output,
    next: ExchangeBatch,
}

/// The open outputs of one stage on one worker.
pub(super) struct Outputs {
    streams: Vec<Outgoing>,
    /// Opened last: what changes in the state goes to the coordinator by it.
    state: Option<StateOutput>,
    shared: Arc<Shared>,
    index: usize,
    digested: bool,
    /// By input port: whether rows are counted on this worker.
    counted: Vec<bool>,
}

/// The capability to send at an epoch: that of the input at hand, or those held for a barrier.
pub(super) enum OutputCapability<'a> {
    Input(&'a InputCapability<u64>),
    Held(&'a [Capability<u64>]),
}

impl Outputs {
    pub(super) fn new(stage: &PlanStage, shared: &Arc<Shared>, index: usize, counted: Vec<bool>) -> Self {
        let digested = shared.options.digests && stage.is_sink();
        Outputs { streams: Vec::new(), state: None, shared: shared.clone(), index, digested, counted }
    }

    pub(super) fn open<'s>(&mut self, builder: &mut OperatorBuilder<'s, u64>, slot: Slot) -> Rows<'s> {
        let (output, stream) = builder.new_output::<ExchangeBatch>();
        self.streams.push(Outgoing {
            slot,
            output: OutputBuilder::from(output),
            next: ExchangeBatch::default(),
        });
        stream
    }

    /// Opens the stream that carries changes of the state; no other may be opened after it.
    pub(super) fn open_state<'s>(&mut self, builder: &mut OperatorBuilder<'s, u64>) -> StateRows<'s> {
        let (output, stream) = builder.new_output::<Vec<StateRow>>();
        self.state = Some(OutputBuilder::from(output));
        stream
    }

    /// Returns the number of open streams.
    pub(super) fn len(&self) -> usize {
        self.streams.len() + usize::from(self.state.is_some())
    }

    /// Takes the batches of an exchange batch and counts them; nothing if it is broken, which ends the run.
    pub(super) fn take_in(
        &self,
        epoch: Epoch,
        port: Port,
        exchanged: &mut ExchangeBatch,
    ) -> Option<Vec<RecordBatch>> {
        let Ok(batches) = exchanged.open() else {
            self.fail("a batch from another worker could not be read".into());
            return None;
        };
        for batch in &batches {
            self.count_in(epoch, port, batch);
        }
        Some(batches)
    }

    /// The first epoch of this attempt.
    pub(super) fn first_epoch(&self) -> Epoch {
        self.shared.restored.first_epoch()
    }

    /// The stage's threads, if it has some.
    pub(super) fn pool(&self) -> Option<&Pool> {
        self.shared.pools.get(self.index).and_then(Option::as_ref)
    }

    /// Returns the failure that ends the run when an epoch of this stage cannot be worked on.
    pub(super) fn failure(&self, epoch: Epoch, error: &StageError) -> Failure {
        Failure::new(self.id(), error.to_string()).at(epoch, None).because(error)
    }

    /// Ends the run.
    pub(super) fn end_run(&self, failure: Failure) {
        self.shared.fail(failure);
    }

    pub(super) fn run_failed(&self) -> bool {
        self.shared.failed()
    }

    fn id(&self) -> &str {
        self.stage().map_or("", |s| s.id.as_str())
    }

    fn stage(&self) -> Option<&PlanStage> {
        self.shared.plan.stages.get(self.index)
    }

    pub(super) fn metrics(&self, add: impl FnOnce(&StageMetrics)) {
        self.shared.options.metrics.stage(self.index).map(add);
    }

    fn count_in(&self, epoch: Epoch, port: Port, batch: &RecordBatch) {
        if !self.counted.get(port).copied().unwrap_or(true) {
            return;
        }
        self.metrics(|m| m.add_in(batch.num_rows()));
        if !self.digested {
            return;
        }
        // Rows are hashed outside the lock, which all workers share.
        match (SinkDigest::of(batch), self.shared.digests.get(self.index).map(std::sync::Mutex::lock)) {
            (Ok(rows), Some(Ok(mut digest))) => digest.add(epoch, &rows),
            (Ok(_), _) => {}
            (Err(error), _) => self.fail(error.to_string()),
        }
    }

    fn fail(&self, what: String) {
        let stage = self.id().to_owned();
        self.end_run(Failure::new(stage, what));
    }

    /// Sends what a stage made, and empties it.
    pub(super) fn give(&mut self, made: &mut StageOutput, capability: &OutputCapability<'_>) {
        let mut rows = 0;
        for (port, batch) in made.sent.drain(..) {
            rows += batch.num_rows();
            self.shared.show(self.index, OutPort::Out(port), &batch);
            self.put(Slot::Port(port), batch);
        }
        for rejected in made.rejected.drain(..) {
            self.metrics(|m| m.add_rejected(rejected.row.num_rows()));
            let Some(stage) = self.stage() else { continue };
            if let Some(id) = identity::row_id(&rejected.row, 0) {
                tracing::warn!(stage = stage.id, device = %Escaped(&id.device), seq = id.seq, code = rejected.code, reason = rejected.reason, "row rejected");
            }
            match rejected_rows(stage, &rejected) {
                Ok(rows) => {
                    self.shared.show(self.index, OutPort::Rejected, &rows);
                    self.put(Slot::Rejected, rows);
                }
                Err(error) => self.fail(error.to_string()),
            }
        }
        self.metrics(|m| {
            m.add_out(rows);
            m.add_held(std::mem::take(&mut made.held));
            made.metrics.drain(..).for_each(|(metric, n)| m.add_metric(metric, n));
        });
        self.send(capability);
        self.send_changes(std::mem::take(&mut made.changes), capability);
    }

    /// Sends changes of the state to the coordinator. They come with the end of an epoch, which holds capabilities.
    fn send_changes(&mut self, changes: Vec<Change>, capability: &OutputCapability<'_>) {
        let (Some(output), OutputCapability::Held(capabilities)) = (&mut self.state, capability) else {
            return;
        };
        let Some(capability) = capabilities.get(self.streams.len()).filter(|_| !changes.is_empty()) else {
            return;
        };
        let table = Table::Stage(self.index as u64);
        let mut rows: Vec<StateRow> =
            changes.into_iter().map(|change| StateRow::new(table, change)).collect();
        output.activate().session(capability).give_container(&mut rows);
    }

    fn put(&mut self, slot: Slot, batch: RecordBatch) {
        if let Some(stream) = self.streams.iter_mut().find(|s| s.slot == slot) {
            stream.next.push(batch);
        }
    }

    fn send(&mut self, capability: &OutputCapability<'_>) {
        for (at, Outgoing { output, next, .. }) in self.streams.iter_mut().enumerate() {
            if next.is_empty() {
                continue;
            }
            let mut output = output.activate();
            match capability {
                OutputCapability::Input(capability) => {
                    output.session_with_builder(capability).give_container(next);
                }
                OutputCapability::Held(capabilities) => {
                    if let Some(capability) = capabilities.get(at) {
                        output.session_with_builder(capability).give_container(next);
                    }
                }
            }
            // The allocation that comes back may be that of an older exchange batch: it is cleared, never sent again.
            next.clear();
        }
    }
}

/// A capability to send at an epoch for each output, from one for that epoch or an earlier one.
pub(super) fn capabilities(
    capability: &InputCapability<u64>,
    epoch: Epoch,
    outputs: usize,
) -> Vec<Capability<u64>> {
    (0..outputs).map(|output| capability.delayed(&epoch.0, output)).collect()
}
