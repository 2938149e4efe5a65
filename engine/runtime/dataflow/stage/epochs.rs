//! A stage with state, or with sorted input, on the worker's own thread: it works epoch by epoch.
//!
//! Rows of an epoch are given as they come (`Order::Any`) or sorted at its end, which is there when its barrier is and every
//! input is past it. A stage does not get the epoch of a batch: rows of the next one wait until this one has ended.

use headwater_contract::units::Epoch;
use headwater_contract::{Order, Port};
use timely::dataflow::operators::InputCapability;

use super::Running;
use super::open::{Open, OpenEpochs, in_order};
use crate::dataflow::WireBarrier;
use crate::dataflow::outputs::{OutputCapability, Outputs};
use crate::exchange::ExchangeBatch;
use crate::instance::{Failure, Instance, StageOutput};

pub(super) struct Epochs {
    instance: Instance,
    order: Order,
    outputs: Outputs,
    /// Empty between two calls; kept for its allocation.
    made: StageOutput,
    open: OpenEpochs,
    /// The epoch that rows may be given of: all before it have ended.
    current: Epoch,
}

impl Epochs {
    pub(super) fn new(instance: Instance, order: Order, back: Vec<bool>, outputs: Outputs) -> Self {
        let (open, current) = (OpenEpochs::new(back, outputs.len()), outputs.first_epoch());
        Epochs { instance, order, outputs, made: StageOutput::default(), open, current }
    }

    /// Gives the rows that came before their epoch was the current one, once it may send.
    fn begin_epoch(&mut self) -> Result<(), Failure> {
        let Some(open) = self.open.get_mut(self.current) else { return Ok(()) };
        if self.order == Order::Sorted || open.capabilities.is_empty() {
            return Ok(());
        }
        for (port, batch) in std::mem::take(&mut open.held) {
            self.instance.batch(self.current, port, &batch, &mut self.made)?;
        }
        self.outputs.give(&mut self.made, &OutputCapability::Held(&open.capabilities));
        Ok(())
    }

    fn end_epoch(&mut self, epoch: Epoch, open: Open) -> Result<(), Failure> {
        let Some(barrier) = open.barrier else { return Ok(()) };
        let held = in_order(self.order, open.held).map_err(|e| self.outputs.failure(epoch, &e))?;
        for (port, batch) in held {
            self.instance.batch(epoch, port, &batch, &mut self.made)?;
        }
        self.instance.epoch_end(&barrier, &mut self.made)?;
        if barrier.checkpoint {
            self.instance.save(epoch, &mut self.made)?;
        }
        self.outputs.give(&mut self.made, &OutputCapability::Held(&open.capabilities));
        Ok(())
    }
}

impl Running for Epochs {
    fn arrive(&mut self, port: Port, capability: &InputCapability<u64>, exchanged: &mut ExchangeBatch) {
        let Some(epoch) = capability.least().copied().map(Epoch) else { return };
        let Some(batches) = self.outputs.take_in(epoch, port, exchanged) else { return };
        if self.order == Order::Sorted || epoch > self.current {
            return self.open.hold(epoch, port, capability, batches);
        }
        for batch in batches {
            if let Err(failure) = self.instance.batch(epoch, port, &batch, &mut self.made) {
                return self.outputs.end_run(failure);
            }
        }
        self.outputs.give(&mut self.made, &OutputCapability::Input(capability));
    }

    fn barrier(&mut self, capability: &InputCapability<u64>, barriers: &mut Vec<WireBarrier>) {
        self.open.barrier(capability, barriers);
    }

    /// Ends every epoch that is complete, in order.
    fn settle(&mut self, frontier: Option<u64>) -> bool {
        let mut worked = false;
        while !self.outputs.run_failed()
            && let Some((epoch, open)) = self.open.pop_complete(frontier)
        {
            worked = true;
            self.current = epoch.next();
            if let Err(failure) = self.end_epoch(epoch, open).and_then(|()| self.begin_epoch()) {
                self.outputs.end_run(failure);
            }
        }
        worked
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }
}
