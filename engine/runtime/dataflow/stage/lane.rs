//! A stage with state on a thread of its own: whole epochs go there in order, and what they make comes back in order.
//!
//! The lane may wait inside the end of an epoch, for a job of its own. The operator then holds that epoch alone: the worker,
//! other branches and the intake go on for as many epochs as the window has room for. Nothing ever waits for a later epoch.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::RecordBatch;
use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};
use headwater_contract::units::Epoch;
use headwater_contract::{Mark, Order, Port, StageError};
use timely::dataflow::operators::{Capability, InputCapability};

use super::Running;
use super::open::{OpenEpochs, in_order};
use crate::dataflow::WireMark;
use crate::dataflow::outputs::{Outputs, Right};
use crate::instance::{Builder, Failure, Instance, Made};
use crate::metrics::thread_cpu;
use crate::offload::Wake;
use crate::parcel::Parcels;
use crate::plan::PlanStage;

pub(super) struct Lane {
    order: Order,
    outputs: Outputs,
    open: OpenEpochs,
    /// Epochs that are with the thread, and the rights to send at them.
    away: BTreeMap<Epoch, Vec<Capability<u64>>>,
    work: Sender<Work>,
    results: Receiver<Done>,
}

struct Work {
    mark: Mark,
    rows: Vec<(Port, RecordBatch)>,
}

struct Done {
    epoch: Epoch,
    made: Result<Made, Failure>,
    cpu: Duration,
}

impl Lane {
    /// Starts the thread, which builds its own instance.
    pub(super) fn start(
        builder: Builder,
        stage: &PlanStage,
        back: Vec<bool>,
        wake: Wake,
        outputs: Outputs,
    ) -> std::io::Result<Self> {
        // As many epochs wait here as the window has room for.
        let (work, queue) = unbounded();
        let (reply, results) = unbounded();
        let thread = std::thread::Builder::new().name(format!("hw-{}", stage.id));
        thread.spawn(move || serve(builder, &queue, reply, &wake))?;
        let open = OpenEpochs::new(back, outputs.len());
        Ok(Lane { order: stage.signature.order, outputs, open, away: BTreeMap::new(), work, results })
    }

    fn hand_over(&mut self, frontier: Option<u64>) {
        while let Some((epoch, open)) = self.open.pop_complete(frontier) {
            let Some(mark) = open.mark else { continue };
            let rows = match in_order(self.order, open.held) {
                Ok(rows) => rows,
                Err(error) => return self.outputs.end_run(self.outputs.failure(epoch, &error)),
            };
            self.away.insert(epoch, open.rights);
            // A thread that is gone has told why, or its silence is told below.
            let _ = self.work.send(Work { mark, rows });
        }
    }

    fn take_back(&mut self) -> bool {
        let mut worked = false;
        loop {
            match self.results.try_recv() {
                Ok(done) => {
                    worked = true;
                    self.give(done);
                }
                Err(TryRecvError::Empty) => return worked,
                Err(TryRecvError::Disconnected) => {
                    if let Some((epoch, _)) = self.away.pop_first() {
                        let gone = StageError::new("its thread died");
                        self.outputs.end_run(self.outputs.failure(epoch, &gone));
                    }
                    return worked;
                }
            }
        }
    }

    fn give(&mut self, done: Done) {
        self.outputs.metrics(|m| m.add_cpu(done.cpu));
        let rights = self.away.remove(&done.epoch).unwrap_or_default();
        match done.made {
            Ok(mut made) => self.outputs.give(&mut made, &Right::Held(&rights)),
            Err(failure) => self.outputs.end_run(failure),
        }
    }
}

fn serve(builder: Builder, queue: &Receiver<Work>, reply: Sender<Done>, wake: &Wake) {
    let mut instance = Instance::build(builder);
    for Work { mark, rows } in queue {
        let before = thread_cpu();
        let made = match &mut instance {
            Ok(instance) => work(instance, &mark, rows),
            Err(failure) => Err(failure.clone()),
        };
        let cpu = thread_cpu().saturating_sub(before);
        if reply.send(Done { epoch: mark.epoch, made, cpu }).is_err() {
            return;
        }
        wake();
    }
    // The channel closes before the operator is woken: it then sees the end.
    drop(reply);
    wake();
}

fn work(instance: &mut Instance, mark: &Mark, rows: Vec<(Port, RecordBatch)>) -> Result<Made, Failure> {
    let mut made = Made::default();
    for (port, batch) in rows {
        instance.batch(mark.epoch, port, &batch, &mut made)?;
    }
    instance.epoch_end(mark, &mut made)?;
    if mark.checkpoint {
        instance.save(mark.epoch, &mut made)?;
    }
    Ok(made)
}

impl Running for Lane {
    fn arrive(&mut self, port: Port, capability: &InputCapability<u64>, parcels: &mut Parcels) {
        let Some(epoch) = capability.least().copied().map(Epoch) else { return };
        let Some(batches) = self.outputs.take_in(port, parcels) else { return };
        self.open.hold(epoch, port, capability, batches);
    }

    fn mark(&mut self, capability: &InputCapability<u64>, marks: &mut Vec<WireMark>) {
        self.open.mark(capability, marks);
    }

    fn settle(&mut self, frontier: Option<u64>) -> bool {
        let worked = self.take_back();
        self.hand_over(frontier);
        worked
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }
}
