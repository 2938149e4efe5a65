//! A stage as an operator.
//!
//! In: parcels by port, and for a stage that hears them a mark for every epoch. Out: the stage's outputs, its rejected
//! rows, and for a sink the frontier up to which it has taken effect. A stage without state works [`at_once`] or on
//! [`threads`] and hears no marks; one with state, or with sorted input, works by [`epochs`], on the worker or on a [`lane`].

mod at_once;
mod epochs;
mod lane;
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
use super::{Marks, Rows, StateRows, WireMark};
use crate::instance::{Builder, Failure, Instance};
use crate::metrics::CpuShare;
use crate::offload::Wake;
use crate::parcel::{Parcels, Router};
use crate::plan::{OutPort, PlanStage, RejectedTo};
use crate::run::Shared;

/// A stage's streams.
pub(super) struct Wired<'s> {
    /// The outputs that somebody reads or that are recorded.
    pub(super) outputs: Vec<(OutPort, Rows<'s>)>,
    /// Rejected rows, if they go anywhere.
    pub(super) rejected: Option<Rows<'s>>,
    /// For a sink: its frontier.
    pub(super) end: Option<Rows<'s>>,
    /// What changes in its state, if that is committed.
    pub(super) state: Option<StateRows<'s>>,
}

type Puller = Box<dyn Pull<Message<u64, Parcels>>>;
type Input = InputHandleCore<u64, Parcels, Puller>;

/// The pact that an input's routing asks for, chosen when the dataflow is wired.
pub(crate) struct Route(pub(crate) Routing);

impl ParallelizationContract<u64, Parcels> for Route {
    type Pusher = Box<dyn timely::communication::Push<Message<u64, Parcels>>>;
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
    marks: Marks<'s>,
    cpu: CpuShare,
) -> Wired<'s> {
    let Some(stage) = shared.plan.stages.get(index) else {
        return Wired { outputs: Vec::new(), rejected: None, end: None, state: None };
    };
    let gathered = inputs.iter().any(|(_, routing)| *routing == Routing::Gather);
    let home = scope.worker().index() == 0;
    let here = !gathered || home;
    let mut builder = OperatorBuilder::new(stage.id.clone(), scope);
    // Every worker hears the same rows of a broadcast: home counts them for all.
    let counted = inputs.iter().map(|(_, routing)| home || *routing != Routing::Broadcast).collect();
    let mut handles: Vec<Input> = inputs
        .into_iter()
        .map(|(rows, routing)| {
            let routing = if gathered && routing != Routing::Broadcast { Routing::Gather } else { routing };
            builder.new_input(rows, Route(routing))
        })
        .collect();
    let mut mark_handle = hears_marks(stage).then(|| builder.new_input(marks, Pipeline));

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
                handle.for_each(|capability, parcels| {
                    worked = true;
                    if let Some(running) = &mut running {
                        running.arrive(port, &capability, parcels);
                    }
                });
            }
            if let Some(handle) = &mut mark_handle {
                handle.for_each(|capability, marks| {
                    if let Some(running) = &mut running {
                        running.mark(&capability, marks);
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
    fn arrive(&mut self, port: Port, capability: &InputCapability<u64>, parcels: &mut Parcels);

    /// Marks came.
    fn mark(&mut self, _: &InputCapability<u64>, _: &mut Vec<WireMark>) {}

    /// All that was there has been given; no row of an epoch below the frontier will come. Whether there was work to do.
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
    if let Work::Rows(_) = stage.signature.work {
        return Some(Box::new(threads::Threads::new(wake, outputs)));
    }
    let saved = shared.restored.table(stage, worker, workers);
    let builder = Builder::new(&shared.plan, index, &shared.options.site)?
        .with_saved(saved)
        .with_suspected(shared.restored.suspected(stage));
    let back = stage.signature.inputs.iter().map(|input| input.feedback).collect();
    if stage.signature.work == Work::Lane {
        return match lane::Lane::start(builder, stage, back, wake, outputs) {
            Ok(lane) => Some(Box::new(lane)),
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
    Some(if hears_marks(stage) {
        Box::new(epochs::Epochs::new(instance, stage.signature.order, back, outputs))
    } else {
        Box::new(at_once::AtOnce::new(instance, outputs))
    })
}

/// Only what has an end of an epoch to act on needs to know where it is.
fn hears_marks(stage: &PlanStage) -> bool {
    let sorted = stage.signature.order == Order::Sorted;
    match stage.signature.work {
        Work::Inline => stage.signature.stateful() || sorted,
        Work::Lane => true,
        Work::Rows(_) => false,
    }
}
