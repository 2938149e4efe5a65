//! Plan to timely dataflow. With `relations`, `parcel` and `cluster`, the only place that names timely.
//!
//! In: the shared parts of a run. Out: nothing; the dataflow runs to its end or to the first failure. Every stage becomes
//! one operator on every worker; home (worker 0) owns the intake and every gathered stage.
//!
//! Two rules keep the dataflow alive: an operator holds a capability for an epoch only because of its mark or of rows it
//! works on, never because of a row that came over a feedback edge; and nothing waits for a later epoch.

mod back;
mod commit;
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
use headwater_contract::units::Epoch;
use headwater_contract::{Order, Routing};
use timely::communication::WorkerGuards;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Concat, Concatenate, ConnectLoop, Feedback, Probe, feedback, probe};
use timely::dataflow::{Scope, Stream};
use timely::progress::frontier::AntichainRef;
use timely::worker::Worker;

use crate::commit::StateRow;
use crate::instance::Failure;
use crate::metrics::CpuShare;
use crate::parcel::Parcels;
use crate::plan::{OutPort, PlanStage, PortRef, RejectedTo};
use crate::relations::{self, Relation};
use crate::run::Shared;

/// Rows on an edge.
type Rows<'s> = Stream<'s, u64, Parcels>;
/// Changes of states on their way home.
type StateRows<'s> = Stream<'s, u64, Vec<StateRow>>;
/// Marks on their way to one worker: (epoch, round, watermark, checkpoint, round end, end of input).
type Marks<'s> = Stream<'s, u64, Vec<WireMark>>;
/// A mark as it travels between workers.
type WireMark = (u64, u64, Option<i64>, bool, bool, bool);

/// A parked worker looks at least this often whether another one has failed.
const PARK: Duration = Duration::from_millis(50);

/// Runs the dataflow on threads of this process until it is finished or has failed.
///
/// # Errors
/// The threads could not be started, or one of them died.
pub(crate) fn execute(shared: &Arc<Shared>) -> Result<(), Failure> {
    let failed = |what: String| Failure::new("engine", what);
    let of_workers = shared.clone();
    let work = move |worker: &mut Worker| {
        let _fallen = Fallen(&of_workers);
        work(worker, &of_workers);
    };
    let Some(member) = &shared.options.cluster else {
        let config = timely::Config::process(shared.options.workers.max(1));
        return join(timely::execute(config, work).map_err(failed)?);
    };
    let (builders, links) = member.builders()?;
    let guards = timely::execute::execute_from(builders, links, timely::WorkerConfig::default(), work);
    let guards = guards.map_err(failed)?;
    // Workers and links end only when those of all processes do. When one has fallen nobody waits for them: the process ends.
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
struct Fallen<'a>(&'a Shared);

impl Drop for Fallen<'_> {
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
    let mut told = worker.index() != 0;
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
        if !told && shared.options.stopping.load(Relaxed) {
            // Its sources may be silent for ever: nothing else would make the intake look.
            shared.wake_intake();
            told = true;
        }
        if shared.failed() {
            return drop_dataflows(worker);
        }
    }
    if shared.leaves_an_epoch_open() {
        // Nobody will close it: no worker waits for what others hold of it.
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
    handle: feedback::Handle<'s, u64, Parcels>,
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
    /// What changes in states.
    states: Vec<StateRows<'s>>,
    /// Rejected rows that nobody reads.
    set_aside: Vec<Rows<'s>>,
    /// What recorded sources reject.
    rejected: HashMap<usize, Rows<'s>>,
    /// Whose rows are taken, if the plan says so.
    relation: Option<Relation<'s>>,
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
            set_aside: Vec::new(),
            rejected: HashMap::new(),
            relation: None,
            cpu,
        }
    }

    fn wire(mut self) -> probe::Handle<u64> {
        let (back, ack) = self.scope.feedback::<Parcels>(1);
        let taken = intake::wire(self.scope, &self.shared, ack, self.cpu.clone());
        let marks = deliver(taken.marks);
        let plan = self.shared.plan.clone();
        self.wire_members(&marks);
        for (index, stage) in plan.stages.iter().enumerate() {
            if !stage.signature.inputs.is_empty() {
                self.wire_stage(index, stage, &marks);
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
        if !self.set_aside.is_empty() {
            let set_aside = std::mem::take(&mut self.set_aside);
            self.ends.push(quarantine::wire(self.scope, &self.shared, set_aside));
        }
        if !plan.record.is_empty() {
            let ports = plan.recorded().into_iter().map(|port| self.recorded(port)).collect();
            self.ends.push(record::wire(self.scope, &self.shared, ports, marks.clone()));
        }
        let ends = self.scope.concatenate(self.ends);
        frontier_only(self.scope, ends.clone()).connect_loop(back);
        let last = if self.shared.committing {
            let from = commit::Sources { ends, states: self.states, back: under_way, marks };
            commit::wire(self.scope, &self.shared, from)
        } else {
            ends
        };
        last.probe().0
    }

    /// Whose rows are taken. What changes it comes back from below: it is delayed by an epoch, as all that closes a cycle.
    fn wire_members(&mut self, marks: &Marks<'s>) {
        let plan = self.shared.plan.clone();
        let Some(members) = &plan.members else { return };
        let changes = members.changes.map(|port| {
            let (handle, rows) = self.scope.feedback::<Parcels>(1);
            // What they change is in the state of the members.
            self.feedback.push(Closing { handle, from: vec![port], edge: None });
            rows
        });
        self.relation = relations::wire(self.scope, &self.shared, changes, marks.clone());
        let Some(relation) = &mut self.relation else { return };
        self.set_aside.extend(relation.rejected.take());
        self.states.extend(relation.state.take());
    }

    fn wire_stage(&mut self, index: usize, stage: &PlanStage, marks: &Marks<'s>) {
        let mut refused = Vec::new();
        let inputs = stage
            .inputs
            .iter()
            .zip(&stage.signature.inputs)
            .enumerate()
            .map(|(port, (planned, input))| {
                let union = if input.feedback {
                    let (handle, rows) = self.scope.feedback::<Parcels>(1);
                    let edge = format!("{}.{}", stage.id, planned.name);
                    let rows = if input.forgets() && !planned.from.is_empty() {
                        back::identities(self.scope, &self.shared, rows)
                    } else {
                        rows
                    };
                    let rows = back::with_restored(self.scope, &self.shared, rows, &edge);
                    self.feedback.push(Closing { handle, from: planned.from.clone(), edge: Some(edge) });
                    match self.relation.as_ref().filter(|_| input.forgets()) {
                        Some(relation) => rows.concat(relation.withdrawn.clone()),
                        None => rows,
                    }
                } else {
                    self.union(&planned.from)
                };
                let union = match self.relation.as_ref().filter(|_| planned.asks.is_some()) {
                    Some(relation) => {
                        let joined =
                            relations::join(self.scope, &self.shared, relation, (index, port), union);
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
        let wired = stage::wire(self.scope, shared, index, inputs, marks.clone(), cpu);
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

    /// The rows of a recorded port, with whether they are put in order: those of a source are recorded as they were cut.
    fn recorded(&self, at: PortRef) -> (Rows<'s>, Order) {
        let of_source = self.rejected.get(&at.stage);
        let order = if of_source.is_some() { Order::Any } else { Order::Sorted };
        let rejected = of_source.filter(|_| at.port == OutPort::Rejected).cloned();
        (rejected.unwrap_or_else(|| self.union(&[at])), order)
    }

    fn union(&self, ports: &[PortRef]) -> Rows<'s> {
        self.scope.concatenate(ports.iter().filter_map(|port| self.streams.get(port).cloned()))
    }

    /// Rejected rows go to their readers, or to the quarantine at home.
    fn keep_rejected(&mut self, index: usize, stage: &PlanStage, rejected: Rows<'s>) {
        self.streams.insert(PortRef { stage: index, port: OutPort::Rejected }, rejected.clone());
        if stage.rejected_to == RejectedTo::Quarantine {
            self.set_aside.push(rejected);
        }
    }
}

/// Marks reach each worker once; every operator of the worker reads a local copy.
fn deliver(marks: Stream<'_, u64, Vec<(u64, WireMark)>>) -> Marks<'_> {
    use timely::container::CapacityContainerBuilder;
    use timely::dataflow::channels::pact::Exchange;
    use timely::dataflow::operators::generic::operator::Operator;
    marks.unary::<CapacityContainerBuilder<Vec<WireMark>>, _, _, _>(
        Exchange::new(|(worker, _): &(u64, WireMark)| *worker),
        "marks",
        |_, _| {
            |input, output| {
                input.for_each(|capability, marks| {
                    let mut local: Vec<WireMark> = marks.drain(..).map(|(_, mark)| mark).collect();
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
    let (_output, stream) = builder.new_output::<Parcels>();
    builder.build(move |capabilities| {
        drop(capabilities);
        move |_| input.for_each(|_, _| {})
    });
    stream
}

/// Every row once for each worker.
fn copies<'s>(scope: Scope<'s, u64>, rows: Rows<'s>) -> Rows<'s> {
    use crate::parcel::Copies;
    use timely::container::NoopBuilder;
    use timely::dataflow::channels::pact::DistributorPact;
    use timely::dataflow::operators::generic::OutputBuilder;
    let workers = scope.worker().peers();
    let mut builder = OperatorBuilder::new("copies".into(), scope);
    let mut input = builder.new_input(rows, Pipeline);
    let (output, multiplied) = builder.new_output::<Parcels>();
    let mut output = OutputBuilder::<u64, NoopBuilder<Parcels>>::from(output);
    builder.build(move |capabilities| {
        drop(capabilities);
        move |_| {
            input.for_each(|capability, parcels| {
                for _ in 0..workers {
                    let mut copy = parcels.clone();
                    output.activate().session_with_builder(&capability).give_container(&mut copy);
                }
            });
        }
    });
    // The copies of a parcel follow each other: the pact deals them out one to each worker.
    let mut builder = OperatorBuilder::new("deal".into(), scope);
    let mut input = builder.new_input(multiplied, DistributorPact(|_: usize| Copies::default()));
    let (output, dealt) = builder.new_output::<Parcels>();
    let mut output = OutputBuilder::<u64, NoopBuilder<Parcels>>::from(output);
    builder.build(move |capabilities| {
        drop(capabilities);
        move |_| {
            input.for_each(|capability, parcels| {
                output.activate().session_with_builder(&capability).give_container(parcels);
            });
        }
    });
    dealt
}
