//! A stage without state, on the worker's own thread: rows go as they come, whatever their epoch.

use headwater_contract::Port;
use headwater_contract::units::Epoch;
use timely::dataflow::operators::InputCapability;

use super::Running;
use crate::dataflow::outputs::{OutputCapability, Outputs};
use crate::exchange::ExchangeBatch;
use crate::instance::{Instance, StageOutput};

pub(super) struct AtOnce {
    instance: Instance,
    outputs: Outputs,
    /// Empty between two calls; kept for its allocation.
    made: StageOutput,
}

impl AtOnce {
    pub(super) fn new(instance: Instance, outputs: Outputs) -> Self {
        AtOnce { instance, outputs, made: StageOutput::default() }
    }
}

impl Running for AtOnce {
    fn arrive(&mut self, port: Port, capability: &InputCapability<u64>, exchanged: &mut ExchangeBatch) {
        let Some(epoch) = capability.least().copied().map(Epoch) else { return };
        let Some(batches) = self.outputs.take_in(epoch, port, exchanged) else { return };
        for batch in batches {
            if let Err(failure) = self.instance.batch(epoch, port, &batch, &mut self.made) {
                return self.outputs.end_run(failure);
            }
        }
        // What came together leaves together: a message costs the same for one batch and for many.
        self.outputs.give(&mut self.made, &OutputCapability::Input(capability));
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }
}
