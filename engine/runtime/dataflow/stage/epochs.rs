//! A stage with state, or with sorted input, on the worker's own thread: it works epoch by epoch.
//!
//! Rows of an epoch are given as they come (`Order::Any`) or sorted at its end, which is there when its mark is and every
//! input is past it. A stage is not told the epoch of a batch: rows of the next one wait until this one has ended.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use headwater_contract::units::{Epoch, Micros, Round};
use headwater_contract::{Mark, Order, Port, StageError, identity};
use timely::dataflow::operators::{Capability, InputCapability};

use super::Running;
use crate::dataflow::WireMark;
use crate::dataflow::outputs::{Outputs, Right, rights};
use crate::instance::{Failure, Instance, Made};
use crate::parcel::Parcels;

pub(super) struct Epochs {
    instance: Instance,
    order: Order,
    outputs: Outputs,
    /// Empty between two calls; kept for its room.
    made: Made,
    open: BTreeMap<Epoch, Open>,
    /// The epoch that rows may be given of: all before it have ended.
    current: Epoch,
}

/// What is known of an epoch that has not ended.
#[derive(Default)]
struct Open {
    /// Rows that wait for the end of the epoch, or of those before it, by port.
    held: Vec<(Port, RecordBatch)>,
    mark: Option<Mark>,
    /// One for each output, from the mark or from the first row that waits.
    rights: Vec<Capability<u64>>,
}

impl Epochs {
    pub(super) fn new(instance: Instance, order: Order, outputs: Outputs) -> Self {
        let (made, open, current) = Default::default();
        Epochs { instance, order, outputs, made, open, current }
    }

    fn open(&mut self, epoch: Epoch, capability: &InputCapability<u64>) -> &mut Open {
        let open = self.open.entry(epoch).or_default();
        if open.rights.is_empty() {
            open.rights = rights(capability, epoch, self.outputs.len());
        }
        open
    }

    /// Whether the first epoch that is open is complete.
    fn some_epoch_ends(&self, frontier: Option<u64>) -> bool {
        self.open
            .first_key_value()
            .is_some_and(|(epoch, open)| frontier.is_none_or(|f| f > epoch.0) && open.mark.is_some())
    }

    /// Gives the rows that came before their epoch was the current one.
    fn begin_epoch(&mut self) -> Result<(), Failure> {
        let Some(open) = self.open.get_mut(&self.current).filter(|_| self.order == Order::Any) else {
            return Ok(());
        };
        for (port, batch) in std::mem::take(&mut open.held) {
            self.instance.batch(self.current, port, &batch, &mut self.made)?;
        }
        self.outputs.give(&mut self.made, &Right::Held(&open.rights));
        Ok(())
    }

    fn end_epoch(&mut self, open: Open) -> Result<(), Failure> {
        let Some(mark) = open.mark else { return Ok(()) };
        let held = match self.order {
            Order::Any => open.held,
            Order::Sorted => in_order(open.held).map_err(|e| {
                let stage = self.outputs.id().to_owned();
                Failure { stage, epoch: Some(mark.epoch), row: None, what: e.to_string() }
            })?,
        };
        for (port, batch) in held {
            self.instance.batch(mark.epoch, port, &batch, &mut self.made)?;
        }
        self.instance.epoch_end(&mark, &mut self.made)?;
        self.outputs.give(&mut self.made, &Right::Held(&open.rights));
        Ok(())
    }
}

impl Running for Epochs {
    fn arrive(&mut self, port: Port, capability: &InputCapability<u64>, parcels: &mut Parcels) {
        let Some(epoch) = capability.least().copied().map(Epoch) else { return };
        let Some(batches) = self.outputs.take_in(port, parcels) else { return };
        if self.order == Order::Sorted || epoch > self.current {
            let held = &mut self.open(epoch, capability).held;
            return held.extend(batches.into_iter().map(|batch| (port, batch)));
        }
        for batch in batches {
            if let Err(failure) = self.instance.batch(epoch, port, &batch, &mut self.made) {
                return self.outputs.end_run(failure);
            }
        }
        self.outputs.give(&mut self.made, &Right::Input(capability));
    }

    fn mark(&mut self, capability: &InputCapability<u64>, marks: &mut Vec<WireMark>) {
        for (epoch, round, watermark, checkpoint, round_end, end_of_input) in marks.drain(..) {
            let (epoch, round, watermark) = (Epoch(epoch), Round(round), watermark.map(Micros));
            let mark = Mark { epoch, round, watermark, checkpoint, round_end, end_of_input };
            self.open(epoch, capability).mark = Some(mark);
        }
    }

    /// Ends every epoch that is complete, in order.
    fn settle(&mut self, frontier: Option<u64>) -> bool {
        let mut worked = false;
        while self.some_epoch_ends(frontier) && !self.outputs.run_failed() {
            let Some((epoch, open)) = self.open.pop_first() else { break };
            worked = true;
            self.current = epoch.next();
            if let Err(failure) = self.end_epoch(open).and_then(|()| self.begin_epoch()) {
                self.outputs.end_run(failure);
            }
        }
        worked
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }
}

/// The rows of an epoch by port, each port's in `Sorted` order.
fn in_order(held: Vec<(Port, RecordBatch)>) -> Result<Vec<(Port, RecordBatch)>, StageError> {
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
