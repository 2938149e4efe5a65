//! A stage with state on a thread of its own: whole epochs go there in order, and what they make comes back in order.
//!
//! The thread may wait inside the end of an epoch, for a job of its own. The operator then holds that epoch alone: the worker,
//! other branches and the intake continue for as many epochs as the window allows. Nothing ever waits for a later epoch.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::RecordBatch;
use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};
use headwater_contract::units::Epoch;
use headwater_contract::{Barrier, Order, Port, StageError};
use timely::dataflow::operators::{Capability, InputCapability};

use super::Running;
use super::open::{OpenEpochs, in_order};
use crate::dataflow::WireBarrier;
use crate::dataflow::outputs::{OutputCapability, Outputs};
use crate::exchange::ExchangeBatch;
use crate::instance::{Builder, Failure, Instance, StageOutput};
use crate::metrics::thread_cpu;
use crate::offload::Wake;
use crate::plan::PlanStage;

pub(super) struct DedicatedThread {
    order: Order,
    outputs: Outputs,
    open: OpenEpochs,
    /// Epochs that are with the thread, and the capabilities to send at them.
    in_flight: BTreeMap<Epoch, Vec<Capability<u64>>>,
    work: Sender<Work>,
    results: Receiver<Done>,
}

struct Work {
    barrier: Barrier,
    rows: Vec<(Port, RecordBatch)>,
}

struct Done {
    epoch: Epoch,
    made: Result<StageOutput, Failure>,
    cpu: Duration,
}

impl DedicatedThread {
    /// Starts the thread, which builds its own instance.
    pub(super) fn start(
        builder: Builder,
        stage: &PlanStage,
        back: Vec<bool>,
        wake: Wake,
        outputs: Outputs,
    ) -> std::io::Result<Self> {
        // As many epochs wait here as the window allows.
        let (work, queue) = unbounded();
        let (reply, results) = unbounded();
        let thread = std::thread::Builder::new().name(format!("hw-{}", stage.id));
        thread.spawn(move || serve(builder, &queue, reply, &wake))?;
        let open = OpenEpochs::new(back, outputs.len());
        Ok(DedicatedThread {
            order: stage.signature.order,
            outputs,
            open,
            in_flight: BTreeMap::new(),
            work,
            results,
        })
    }

    fn hand_over(&mut self, frontier: Option<u64>) {
        while let Some((epoch, open)) = self.open.pop_complete(frontier) {
            let Some(barrier) = open.barrier else { continue };
            let rows = match in_order(self.order, open.held) {
                Ok(rows) => rows,
                Err(error) => return self.outputs.end_run(self.outputs.failure(epoch, &error)),
            };
            self.in_flight.insert(epoch, open.capabilities);
            // A thread that ended has reported why; if it has not, `take_back` reports that it died.
            let _ = self.work.send(Work { barrier, rows });
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
                    if let Some((epoch, _)) = self.in_flight.pop_first() {
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
        let capabilities = self.in_flight.remove(&done.epoch).unwrap_or_default();
        match done.made {
            Ok(mut made) => self.outputs.give(&mut made, &OutputCapability::Held(&capabilities)),
            Err(failure) => self.outputs.end_run(failure),
        }
    }
}

fn serve(builder: Builder, queue: &Receiver<Work>, reply: Sender<Done>, wake: &Wake) {
    let mut instance = Instance::build(builder);
    for Work { barrier, rows } in queue {
        let before = thread_cpu();
        let made = match &mut instance {
            Ok(instance) => work(instance, &barrier, rows),
            Err(failure) => Err(failure.clone()),
        };
        let cpu = thread_cpu().saturating_sub(before);
        if reply.send(Done { epoch: barrier.epoch, made, cpu }).is_err() {
            return;
        }
        wake();
    }
    // The channel closes before the operator is woken: it then sees the end.
    drop(reply);
    wake();
}

fn work(
    instance: &mut Instance,
    barrier: &Barrier,
    rows: Vec<(Port, RecordBatch)>,
) -> Result<StageOutput, Failure> {
    let mut made = StageOutput::default();
    for (port, batch) in rows {
        instance.batch(barrier.epoch, port, &batch, &mut made)?;
    }
    instance.epoch_end(barrier, &mut made)?;
    if barrier.checkpoint {
        instance.save(barrier.epoch, &mut made)?;
    }
    Ok(made)
}

impl Running for DedicatedThread {
    fn arrive(&mut self, port: Port, capability: &InputCapability<u64>, exchanged: &mut ExchangeBatch) {
        let Some(epoch) = capability.least().copied().map(Epoch) else { return };
        let Some(batches) = self.outputs.take_in(epoch, port, exchanged) else { return };
        self.open.hold(epoch, port, capability, batches);
    }

    fn barrier(&mut self, capability: &InputCapability<u64>, barriers: &mut Vec<WireBarrier>) {
        self.open.barrier(capability, barriers);
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
