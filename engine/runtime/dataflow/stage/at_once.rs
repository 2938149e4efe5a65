//! A stage without state, on the worker's own thread: rows go as they come, whatever their epoch.

use headwater_contract::Port;
use headwater_contract::units::Epoch;
use timely::dataflow::operators::InputCapability;

use super::Running;
use crate::dataflow::outputs::{Outputs, Right};
use crate::instance::{Instance, Made};
use crate::parcel::Parcels;

pub(super) struct AtOnce {
    instance: Instance,
    outputs: Outputs,
    /// Empty between two calls; kept for its room.
    made: Made,
}

impl AtOnce {
    pub(super) fn new(instance: Instance, outputs: Outputs) -> Self {
        AtOnce { instance, outputs, made: Made::default() }
    }
}

impl Running for AtOnce {
    fn arrive(&mut self, port: Port, capability: &InputCapability<u64>, parcels: &mut Parcels) {
        let Some(epoch) = capability.least().copied().map(Epoch) else { return };
        let Some(batches) = self.outputs.take_in(port, parcels) else { return };
        for batch in batches {
            if let Err(failure) = self.instance.batch(epoch, port, &batch, &mut self.made) {
                return self.outputs.end_run(failure);
            }
        }
        // What came together leaves together: a message costs the same for one batch and for many.
        self.outputs.give(&mut self.made, &Right::Input(capability));
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }
}
