//! Epochs that have not ended at one stage on one worker: their rows, their barriers and the capabilities to send at them.
//!
//! A capability comes from a barrier, or from a row that came down from the sources: the epoch of such a row is sure to be closed.
//! A row that came back over a cycle gives none: its epoch may never be closed, and would be held open for ever.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use headwater_contract::units::Epoch;
use headwater_contract::{Barrier, Order, Port, StageError, identity};
use timely::dataflow::operators::{Capability, InputCapability};

use crate::dataflow::WireBarrier;
use crate::dataflow::outputs::capabilities;

/// The collected input of an epoch that has not ended.
#[derive(Default)]
pub(super) struct Open {
    /// Rows that wait, by port, in the order of their coming.
    pub(super) held: Vec<(Port, RecordBatch)>,
    pub(super) barrier: Option<Barrier>,
    /// One for each output, or none.
    pub(super) capabilities: Vec<Capability<u64>>,
}

/// The open epochs of a stage.
pub(super) struct OpenEpochs {
    open: BTreeMap<Epoch, Open>,
    /// By port: whether rows come back over a cycle there.
    back: Vec<bool>,
    outputs: usize,
}

impl OpenEpochs {
    pub(super) fn new(back: Vec<bool>, outputs: usize) -> Self {
        OpenEpochs { open: BTreeMap::new(), back, outputs }
    }

    fn entry(&mut self, epoch: Epoch, capability: Option<&InputCapability<u64>>) -> &mut Open {
        let outputs = self.outputs;
        let open = self.open.entry(epoch).or_default();
        if let (Some(capability), true) = (capability, open.capabilities.is_empty()) {
            open.capabilities = capabilities(capability, epoch, outputs);
        }
        open
    }

    /// Keeps rows for the end of their epoch, or for its turn.
    pub(super) fn hold(
        &mut self,
        epoch: Epoch,
        port: Port,
        capability: &InputCapability<u64>,
        batches: Vec<RecordBatch>,
    ) {
        let back = self.back.get(port).copied().unwrap_or(false);
        let open = self.entry(epoch, (!back).then_some(capability));
        open.held.extend(batches.into_iter().map(|batch| (port, batch)));
    }

    /// Takes barriers in.
    pub(super) fn barrier(&mut self, capability: &InputCapability<u64>, barriers: &mut Vec<WireBarrier>) {
        for barrier in barriers.drain(..).map(Barrier::from) {
            let open = self.entry(barrier.epoch, Some(capability));
            open.barrier = Some(barrier);
        }
    }

    pub(super) fn get_mut(&mut self, epoch: Epoch) -> Option<&mut Open> {
        self.open.get_mut(&epoch)
    }

    /// Takes the first epoch out if it is complete: its barrier is there and no input will bring more of it.
    pub(super) fn pop_complete(&mut self, frontier: Option<u64>) -> Option<(Epoch, Open)> {
        let (epoch, open) = self.open.first_key_value()?;
        let complete = frontier.is_none_or(|f| f > epoch.0) && open.barrier.is_some();
        complete.then(|| self.open.pop_first()).flatten()
    }
}

/// The rows of an epoch as a stage of this order takes them: as they came, or by port, each port's in `Sorted` order.
pub(super) fn in_order(
    order: Order,
    held: Vec<(Port, RecordBatch)>,
) -> Result<Vec<(Port, RecordBatch)>, StageError> {
    if order == Order::Any {
        return Ok(held);
    }
    let mut by_port: BTreeMap<Port, Vec<RecordBatch>> = BTreeMap::new();
    for (port, batch) in held {
        by_port.entry(port).or_default().push(batch);
    }
    let sorted = |(port, batches): (Port, Vec<RecordBatch>)| {
        let schema = batches.first().map(RecordBatch::schema)?;
        Some(identity::sorted(&schema, &batches).map(|sorted| (port, sorted)))
    };
    by_port.into_iter().filter_map(sorted).collect()
}
