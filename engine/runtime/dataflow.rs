//! Plan to timely dataflow. With `membership`, `exchange` and `cluster`, the only place that names timely.
//!
//! In: the shared parts of a run. Out: nothing; the dataflow runs to its end or to the first failure. Every stage becomes
//! one operator on every worker; the coordinator (worker 0) owns the intake and every gathered stage.
//!
//! Two rules keep the dataflow alive: an operator holds a capability for an epoch only because of its barrier or of rows it
//! works on, never because of a row that came over a feedback edge; and nothing waits for a later epoch.

mod commit;
mod digests;
mod in_flight;
mod intake;
mod outputs;
mod quarantine;
mod record;
mod stage;

pub(crate) use stage::Route;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use headwater_contract::units::{Epoch, Micros, Round};
use headwater_contract::{Barrier, Order, Routing};
use serde::{Deserialize, Serialize};
use timely::communication::WorkerGuards;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Concat, Concatenate, ConnectLoop, Feedback, Probe, feedback, probe};
use timely::dataflow::{Scope, Stream};
use timely::progress::frontier::AntichainRef;
use timely::worker::Worker;

use crate::commit::StateRow;
use crate::exchange::ExchangeBatch;
use crate::instance::Failure;
use crate::membership::{self, Membership};
use crate::metrics::CpuShare;
use crate::plan::{OutPort, PlanStage, PortRef, RejectedTo};
use crate::run::Shared;

/// Rows on an edge.
type Rows<'s> = Stream<'s, u64, ExchangeBatch>;
/// Changes of states on their way to the coordinator.
type StateRows<'s> = Stream<'s, u64, Vec<StateRow>>;
/// Barriers on their way to one worker.
pub(crate) type Barriers<'s> = Stream<'s, u64, Vec<WireBarrier>>;

/// A barrier as it travels between workers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct WireBarrier {
    pub(crate) epoch: u64,
    pub(crate) round: u64,
    pub(crate) watermark: Option<i64>,
    pub(crate) checkpoint: bool,
    pub(crate) round_end: bool,
    pub(crate) end_of_input: bool,
}

impl From<&Barrier> for WireBarrier {
    fn from(barrier: &Barrier) -> Self {
        WireBarrier {
            epoch: barrier.epoch.0,
            round: barrier.round.0,
            watermark: barrier.watermark.map(|watermark| watermark.0),
            checkpoint: barrier.checkpoint,
            round_end: barrier.round_end,
            end_of_input: barrier.end_of_input,
        }
    }
}

impl From<WireBarrier> for Barrier {
    fn from(wire: WireBarrier) -> Self {
        Barrier {
            epoch: Epoch(wire.epoch),
            round: Round(wire.round),
            watermark: wire.watermark.map(Micros),
            checkpoint: wire.checkpoint,
            round_end: wire.round_end,
            end_of_input: wire.end_of_input,
        }
    }
}

/// The longest time for which a worker parks: it then polls whether another one has failed, which nothing would wake it for.
const PARK: Duration = Duration::from_millis(50);

/// Runs the dataflow on threads of this process until it is finished or has failed.
///
/// # Errors
/// The threads could not be started, or one of them died.
pub(crate) fn execute(shared: &Arc<Shared>) -> Result<(), Failure> {
    let failed = |what: String| Failure::new("engine", what);
    let of_workers = shared.clone();
    let work = move |worker: &mut Worker| {
        let _fallen = PanicGuard(&of_workers);
        work(worker, &of_workers);
    };
    let Some(member) = &shared.options.cluster else {
        let config = timely::Config::process(shared.options.workers.max(1));
        return join(timely::execute(config, work).map_err(failed)?);
    };
    let (builders, links) = member.builders()?;
    let guards = timely::execute::execute_from(builders, links, timely::WorkerConfig::default(), work);
    let guards = guards.map_err(failed)?;
    // Workers and data channels end only when those of all processes do. After a failure they are not waited for: the process ends.
    let (ended, end) = crossbeam_channel::bounded(1);
    let joining = move || ended.send(join(guards)).unwrap_or(());
    std::thread::Builder::new().name("hw-join".into()).spawn(joining).map_err(|e| failed(e.to_string()))?;
    loop {
        match end.recv_timeout(PARK) {
            Ok(joined) => return joined,
            Err(RecvTimeoutError::Disconnected) => return Err(failed("the threads of a run died".into())),
            Err(RecvTimeoutError::Timeout) if shared.failed() => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn join(guards: WorkerGuards<()>) -> Result<(), Failure> {
    let died = |what| Failure::new("engine", what);
    guards.join().into_iter().try_for_each(|joined| joined.map_err(died))
}

/// A worker whose thread dies ends the run: others would wait for it.
struct PanicGuard<'a>(&'a Shared);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let what = "the thread of a worker died";
            self.0.fail(Failure::new("engine", what));
        }
    }
}

fn work(worker: &mut Worker, shared: &Arc<Shared>) {
    let cpu = CpuShare::default();
    let probe = worker.dataflow::<u64, _, _>(|scope| Wiring::new(scope, shared, cpu.clone()).wire());
    let mut notified = worker.index() != 0;
    let over = || {
        let left = |frontier: AntichainRef<'_, u64>| match frontier.first() {
            Some(epoch) => shared.is_left_open(Epoch(*epoch)),
            None => true,
        };
        probe.with_frontier(left)
    };
    while !over() {
        cpu.skip();
        worker.step_or_park(Some(PARK));
        if worker.index() == 0 {
            shared.options.metrics.done(probe.with_frontier(|f| f.first().copied().unwrap_or(0)));
        }
        if !notified && shared.options.stopping.load(Relaxed) {
            // Its sources may be silent for ever: nothing else would make the intake look.
            shared.wake_intake();
            notified = true;
        }
        if shared.failed() {
            return drop_dataflows(worker);
        }
    }
    if shared.leaves_an_epoch_open() {
        // No process will close it: no worker waits for what others hold of it.
        return drop_dataflows(worker);
    }
    // The last frontier is empty: it names no epoch.
    shared.options.metrics.all_done();
}

fn drop_dataflows(worker: &mut Worker) {
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}

/// An input that closes a cycle.
struct Closing<'s> {
    handle: feedback::Handle<'s, u64, ExchangeBatch>,
    from: Vec<PortRef>,
    /// Its name, where the rows that are under way to it are committed.
    edge: Option<String>,
}

struct Wiring<'s> {
    scope: Scope<'s, u64>,
    shared: Arc<Shared>,
    streams: HashMap<PortRef, Rows<'s>>,
    /// Where the pipeline ends: their common frontier is what has taken effect.
    ends: Vec<Rows<'s>>,
    /// Inputs that close a cycle, until all that feeds them is there.
    feedback: Vec<Closing<'s>>,
    /// The changes of states.
    states: Vec<StateRows<'s>>,
    /// Rejected rows that no stage reads.
    quarantined: Vec<Rows<'s>>,
    /// The rejects of recorded sources.
    rejected: HashMap<usize, Rows<'s>>,
    /// The members whose rows are taken, if the plan names any.
    membership: Option<Membership<'s>>,
    cpu: CpuShare,
}

impl<'s> Wiring<'s> {
    fn new(scope: Scope<'s, u64>, shared: &Arc<Shared>, cpu: CpuShare) -> Self {
        Wiring {
            scope,
            shared: shared.clone(),
            streams: HashMap::new(),
            ends: Vec::new(),
            feedback: Vec::new(),
            states: Vec::new(),
            quarantined: Vec::new(),
            rejected: HashMap::new(),
            membership: None,
            cpu,
        }
    }

    fn wire(mut self) -> probe::Handle<u64> {
        let (back, ack) = self.scope.feedback::<ExchangeBatch>(1);
        let taken = intake::wire(self.scope, &self.shared, ack, self.cpu.clone());
        let barriers = deliver(taken.barriers);
        let plan = self.shared.plan.clone();
        self.wire_members(&barriers);
        for (index, stage) in plan.stages.iter().enumerate() {
            if !stage.signature.inputs.is_empty() {
                self.wire_stage(index, stage, &barriers);
            } else if let Some((rows, rejected)) = taken.sources.get(&index) {
                self.streams.insert(PortRef { stage: index, port: OutPort::Out(0) }, rows.clone());
                self.rejected.insert(index, rejected.clone());
                self.keep_rejected(index, stage, rejected.clone());
            }
        }
        // An epoch has not taken effect before its changes of the members have come.
        self.ends.extend(plan.members.iter().filter_map(|m| self.streams.get(&m.changes?)).cloned());
        let mut under_way = Vec::new();
        for Closing { handle, from, edge } in std::mem::take(&mut self.feedback) {
            let rows = self.union(&from);
            under_way.extend(edge.map(|edge| (edge, rows.clone())));
            rows.connect_loop(handle);
        }
        if !self.quarantined.is_empty() {
            let quarantined = std::mem::take(&mut self.quarantined);
            self.ends.push(quarantine::wire(self.scope, &self.shared, quarantined));
        }
        if !plan.record.is_empty() {
            let ports = plan.recorded().into_iter().map(|port| self.recorded(port)).collect();
            self.ends.push(record::wire(self.scope, &self.shared, ports, barriers.clone()));
        }
        let ends = self.scope.concatenate(self.ends);
        frontier_only(self.scope, ends.clone()).connect_loop(back);
        let last = if self.shared.committing {
            if self.shared.options.digests {
                let sums = digests::wire(self.scope, &self.shared, ends.clone(), barriers.clone());
                self.states.push(sums);
            }
            let from = commit::Sources { ends, states: self.states, back: under_way, barriers };
            commit::wire(self.scope, &self.shared, from)
        } else {
            ends
        };
        last.probe().0
    }

    /// Wires the members whose rows are taken. Their changes come back from below, delayed by an epoch like all that closes a cycle.
    fn wire_members(&mut self, barriers: &Barriers<'s>) {
        let plan = self.shared.plan.clone();
        let Some(members) = &plan.members else { return };
        let changes = members.changes.map(|port| {
            let (handle, rows) = self.scope.feedback::<ExchangeBatch>(1);
            // What they change is in the state of the members.
            self.feedback.push(Closing { handle, from: vec![port], edge: None });
            rows
        });
        self.membership = membership::wire(self.scope, &self.shared, changes, barriers.clone());
        let Some(membership) = &mut self.membership else { return };
        self.quarantined.extend(membership.rejected.take());
        self.states.extend(membership.state.take());
    }

    fn wire_stage(&mut self, index: usize, stage: &PlanStage, barriers: &Barriers<'s>) {
        let mut refused = Vec::new();
        let inputs = stage
            .inputs
            .iter()
            .zip(&stage.signature.inputs)
            .enumerate()
            .map(|(port, (planned, input))| {
                let union = if input.feedback {
                    let (handle, rows) = self.scope.feedback::<ExchangeBatch>(1);
                    let edge = format!("{}.{}", stage.id, planned.name);
                    let rows = if input.forgets() && !planned.from.is_empty() {
                        in_flight::identities(self.scope, &self.shared, rows)
                    } else {
                        rows
                    };
                    let rows = in_flight::with_restored(self.scope, &self.shared, rows, &edge);
                    self.feedback.push(Closing { handle, from: planned.from.clone(), edge: Some(edge) });
                    match self.membership.as_ref().filter(|_| input.forgets()) {
                        Some(membership) => rows.concat(membership.withdrawn.clone()),
                        None => rows,
                    }
                } else {
                    self.union(&planned.from)
                };
                let union = match self.membership.as_ref().filter(|_| planned.asks.is_some()) {
                    Some(membership) => {
                        let joined =
                            membership::join(self.scope, &self.shared, membership, (index, port), union);
                        refused.push(joined.rejected);
                        joined.rows
                    }
                    None => union,
                };
                let union =
                    if input.routing == Routing::Broadcast { copies(self.scope, union) } else { union };
                (union, input.routing.clone())
            })
            .collect();
        let (shared, cpu) = (&self.shared, self.cpu.clone());
        let wired = stage::wire(self.scope, shared, index, inputs, barriers.clone(), cpu);
        for (port, rows) in wired.outputs {
            self.streams.insert(PortRef { stage: index, port }, rows);
        }
        if let Some(rejected) = wired.rejected {
            let rejected = match refused.as_slice() {
                [] => rejected,
                _ => self.scope.concatenate(refused.into_iter().chain([rejected])),
            };
            self.keep_rejected(index, stage, rejected);
        }
        self.ends.extend(wired.end);
        self.states.extend(wired.state);
    }

    /// The rows of a recorded port, and their order: those of a source are recorded as they came in.
    fn recorded(&self, at: PortRef) -> (Rows<'s>, Order) {
        let of_source = self.rejected.get(&at.stage);
        let order = if of_source.is_some() { Order::Any } else { Order::Sorted };
        let rejected = of_source.filter(|_| at.port == OutPort::Rejected).cloned();
        (rejected.unwrap_or_else(|| self.union(&[at])), order)
    }

    fn union(&self, ports: &[PortRef]) -> Rows<'s> {
        self.scope.concatenate(ports.iter().filter_map(|port| self.streams.get(port).cloned()))
    }

    /// Rejected rows go to their readers, or to the quarantine on the coordinator.
    fn keep_rejected(&mut self, index: usize, stage: &PlanStage, rejected: Rows<'s>) {
        self.streams.insert(PortRef { stage: index, port: OutPort::Rejected }, rejected.clone());
        if stage.rejected_to == RejectedTo::Quarantine {
            self.quarantined.push(rejected);
        }
    }
}

/// Barriers reach each worker once; every operator of the worker reads a local copy.
fn deliver(barriers: Stream<'_, u64, Vec<(u64, WireBarrier)>>) -> Barriers<'_> {
    use timely::container::CapacityContainerBuilder;
    use timely::dataflow::channels::pact::Exchange;
    use timely::dataflow::operators::generic::operator::Operator;
    barriers.unary::<CapacityContainerBuilder<Vec<WireBarrier>>, _, _, _>(
        Exchange::new(|(worker, _): &(u64, WireBarrier)| *worker),
        "marks",
        |_, _| {
            |input, output| {
                input.for_each(|capability, barriers| {
                    let mut local: Vec<WireBarrier> =
                        barriers.drain(..).map(|(_, barrier)| barrier).collect();
                    output.session(&capability).give_container(&mut local);
                });
            }
        },
    )
}

/// The same frontier without the rows.
fn frontier_only<'s>(scope: Scope<'s, u64>, rows: Rows<'s>) -> Rows<'s> {
    let mut builder = OperatorBuilder::new("frontier".into(), scope);
    let mut input = builder.new_input(rows, Pipeline);
    let (_output, stream) = builder.new_output::<ExchangeBatch>();
    builder.build(move |capabilities| {
        drop(capabilities);
        move |_| input.for_each(|_, _| {})
    });
    stream
}

/// Every row once for each worker.
fn copies<'s>(scope: Scope<'s, u64>, rows: Rows<'s>) -> Rows<'s> {
    use crate::exchange::Copies;
    use timely::container::NoopBuilder;
    use timely::dataflow::channels::pact::DistributorPact;
    use timely::dataflow::operators::generic::OutputBuilder;
    let workers = scope.worker().peers();
    let mut builder = OperatorBuilder::new("copies".into(), scope);
    let mut input = builder.new_input(rows, Pipeline);
    let (output, multiplied) = builder.new_output::<ExchangeBatch>();
    let mut output = OutputBuilder::<u64, NoopBuilder<ExchangeBatch>>::from(output);
    builder.build(move |capabilities| {
        drop(capabilities);
        move |_| {
            input.for_each(|capability, exchanged| {
                for _ in 0..workers {
                    let mut copy = exchanged.clone();
                    output.activate().session_with_builder(&capability).give_container(&mut copy);
                }
            });
        }
    });
    // The copies of an exchange batch follow each other: the pact deals them out one to each worker.
    let mut builder = OperatorBuilder::new("deal".into(), scope);
    let mut input = builder.new_input(multiplied, DistributorPact(|_: usize| Copies::default()));
    let (output, dealt) = builder.new_output::<ExchangeBatch>();
    let mut output = OutputBuilder::<u64, NoopBuilder<ExchangeBatch>>::from(output);
    builder.build(move |capabilities| {
        drop(capabilities);
        move |_| {
            input.for_each(|capability, exchanged| {
                output.activate().session_with_builder(&capability).give_container(exchanged);
            });
        }
    });
    dealt
}
