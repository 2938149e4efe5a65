//! A stage as an operator.
//!
//! In: exchange batches by port, and for a stage that takes them a barrier for every epoch. Out: the stage's outputs, its rejected
//! rows, and for a sink the frontier up to which it has taken effect. A stage without state works [`at_once`] or on
//! [`threads`] and takes no barriers; one with state, or with sorted input, works by [`epochs`], on the worker or on a
//! [`dedicated_thread`].

mod at_once;
mod dedicated_thread;
mod epochs;
mod open;
mod threads;

use std::sync::Arc;

use headwater_contract::{Order, Port, Routing, Work};
use timely::communication::Pull;
use timely::dataflow::Scope;
use timely::dataflow::channels::Message;
use timely::dataflow::channels::pact::{DistributorPact, ParallelizationContract, Pipeline};
use timely::dataflow::operators::InputCapability;
use timely::dataflow::operators::generic::InputHandleCore;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::worker::Worker;

use super::outputs::{Outputs, Slot};
use super::{Barriers, Rows, StateRows, WireBarrier};
use crate::exchange::{ExchangeBatch, Router};
use crate::instance::{Builder, Failure, Instance};
use crate::metrics::CpuShare;
use crate::offload::Wake;
use crate::plan::{OutPort, PlanStage, RejectedTo};
use crate::run::Shared;

/// A stage's streams.
pub(super) struct Wired<'s> {
    /// The outputs that a stage reads or that are recorded.
    pub(super) outputs: Vec<(OutPort, Rows<'s>)>,
    /// Rejected rows, if they go anywhere.
    pub(super) rejected: Option<Rows<'s>>,
    /// For a sink: its frontier.
    pub(super) end: Option<Rows<'s>>,
    /// The changes of its state, if that is committed.
    pub(super) state: Option<StateRows<'s>>,
}

type Puller = Box<dyn Pull<Message<u64, ExchangeBatch>>>;
type Input = InputHandleCore<u64, ExchangeBatch, Puller>;

/// The pact that an input's routing asks for, chosen when the dataflow is wired.
pub(crate) struct Route(pub(crate) Routing);

impl ParallelizationContract<u64, ExchangeBatch> for Route {
    type Pusher = Box<dyn timely::communication::Push<Message<u64, ExchangeBatch>>>;
    type Puller = Puller;
    fn connect(
        self,
        worker: &Worker,
        identifier: usize,
        address: std::rc::Rc<[usize]>,
        logging: Option<timely::logging::TimelyLogger>,
    ) -> (Self::Pusher, Self::Puller) {
        let stays = matches!(self.0, Routing::Local | Routing::Broadcast) || worker.peers() == 1;
        if stays {
            let (push, pull) = Pipeline.connect(worker, identifier, address, logging);
            return (Box::new(push), Box::new(pull));
        }
        let pact = DistributorPact(move |_: usize| Router::new(self.0));
        let (push, pull) = pact.connect(worker, identifier, address, logging);
        (Box::new(push), Box::new(pull))
    }
}

pub(super) fn wire<'s>(
    scope: Scope<'s, u64>,
    shared: &Arc<Shared>,
    index: usize,
    inputs: Vec<(Rows<'s>, Routing)>,
    barriers: Barriers<'s>,
    cpu: CpuShare,
) -> Wired<'s> {
    let Some(stage) = shared.plan.stages.get(index) else {
        return Wired { outputs: Vec::new(), rejected: None, end: None, state: None };
    };
    let gathered = inputs.iter().any(|(_, routing)| *routing == Routing::Gather);
    let is_coordinator = scope.worker().index() == 0;
    let here = !gathered || is_coordinator;
    let mut builder = OperatorBuilder::new(stage.id.clone(), scope);
    // Every worker gets the same rows of a broadcast: the coordinator counts them for all.
    let counted =
        inputs.iter().map(|(_, routing)| is_coordinator || *routing != Routing::Broadcast).collect();
    let mut handles: Vec<Input> = inputs
        .into_iter()
        .map(|(rows, routing)| {
            let routing = if gathered && routing != Routing::Broadcast { Routing::Gather } else { routing };
            builder.new_input(rows, Route(routing))
        })
        .collect();
    let mut barrier_handle = takes_barriers(stage).then(|| builder.new_input(barriers, Pipeline));

    let mut outputs = Outputs::new(stage, shared, index, counted);
    let mut wired = Wired { outputs: Vec::new(), rejected: None, end: None, state: None };
    for port in 0..stage.outputs.len() {
        if shared.plan.leaves(index, port) {
            wired.outputs.push((OutPort::Out(port), outputs.open(&mut builder, Slot::Port(port))));
        }
    }
    if stage.rejected_to != RejectedTo::Drop {
        wired.rejected = Some(outputs.open(&mut builder, Slot::Rejected));
    }
    if stage.is_sink() {
        wired.end = Some(outputs.open(&mut builder, Slot::End));
    }
    if stage.signature.stateful() && shared.committing {
        wired.state = Some(outputs.open_state(&mut builder));
    }

    let activator = scope.worker().sync_activator_for(builder.operator_info().address.to_vec());
    let wake: Wake = Arc::new(move || activator.activate().unwrap_or(()));
    let place = (scope.worker().index() as u64, scope.worker().peers() as u64);
    let running = here.then(|| start(stage, shared, index, place, wake, outputs)).flatten();
    builder.build(move |capabilities| {
        // A standing capability would hold the first epoch for ever.
        drop(capabilities);
        let mut running = running;
        move |frontiers| {
            // The clock of a thread's CPU costs a system call: it is read only when the stage was at work.
            let mut worked = false;
            for (port, handle) in handles.iter_mut().enumerate() {
                handle.for_each(|capability, exchanged| {
                    worked = true;
                    if let Some(running) = &mut running {
                        running.arrive(port, &capability, exchanged);
                    }
                });
            }
            if let Some(handle) = &mut barrier_handle {
                handle.for_each(|capability, barriers| {
                    if let Some(running) = &mut running {
                        running.barrier(&capability, barriers);
                    }
                });
            }
            let Some(running) = &mut running else { return };
            let frontier = frontiers.iter().filter_map(|f| f.frontier().first().copied()).min();
            worked |= running.settle(frontier);
            if worked {
                running.outputs().metrics(|m| m.add_cpu(cpu.take()));
            }
        }
    });
    wired
}

/// A stage at work on one worker.
trait Running {
    /// Rows came.
    fn arrive(&mut self, port: Port, capability: &InputCapability<u64>, exchanged: &mut ExchangeBatch);

    /// Barriers came.
    fn barrier(&mut self, _: &InputCapability<u64>, _: &mut Vec<WireBarrier>) {}

    /// All that was there has been given; no row of an epoch below the frontier will come. Returns true if there was work to do.
    fn settle(&mut self, _frontier: Option<u64>) -> bool {
        false
    }

    fn outputs(&self) -> &Outputs;
}

/// Starts a stage on this worker. Without one (it could not be built: the run ends) epochs only pass.
fn start(
    stage: &PlanStage,
    shared: &Arc<Shared>,
    index: usize,
    (worker, workers): (u64, u64),
    wake: Wake,
    outputs: Outputs,
) -> Option<Box<dyn Running>> {
    if let Work::Pool(_) = stage.signature.work {
        return Some(Box::new(threads::Threads::new(wake, outputs)));
    }
    let saved = shared.restored.table(stage, worker, workers);
    let builder = Builder::new(&shared.plan, index, &shared.options.host)?
        .with_saved(saved)
        .with_poison_rows(shared.restored.poison_rows(stage));
    let back = stage.signature.inputs.iter().map(|input| input.feedback).collect();
    if stage.signature.work == Work::Thread {
        return match dedicated_thread::DedicatedThread::start(builder, stage, back, wake, outputs) {
            Ok(dedicated_thread) => Some(Box::new(dedicated_thread)),
            Err(error) => {
                let what = format!("no thread could be started: {error}");
                shared.fail(Failure::new(stage.id.clone(), what));
                None
            }
        };
    }
    let instance = match Instance::build(builder) {
        Ok(instance) => instance,
        Err(failure) => {
            shared.fail(failure);
            return None;
        }
    };
    Some(if takes_barriers(stage) {
        Box::new(epochs::Epochs::new(instance, stage.signature.order, back, outputs))
    } else {
        Box::new(at_once::AtOnce::new(instance, outputs))
    })
}

/// Only what has an end of an epoch to act on needs to know where it is.
fn takes_barriers(stage: &PlanStage) -> bool {
    let sorted = stage.signature.order == Order::Sorted;
    match stage.signature.work {
        Work::Inline => stage.signature.stateful() || sorted,
        Work::Thread => true,
        Work::Pool(_) => false,
    }
}
