//! Recorded ports: the coordinator keeps their rows epoch by epoch, and an epoch ends only when they are kept.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use headwater_contract::{Barrier, Order, Routing, StageError, identity};
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::stage::Route;
use super::{Barriers, Rows, WireBarrier};
use crate::exchange::ExchangeBatch;
use crate::instance::Failure;
use crate::run::{Recorder, Shared};

/// The name of the recording in failures, where a stage's id would stand.
const NAME: &str = "recording";

/// The rows that wait for the end of their epoch, on the coordinator.
#[derive(Default)]
struct Waiting {
    rows: BTreeMap<u64, Vec<(usize, RecordBatch)>>,
    barriers: VecDeque<WireBarrier>,
    orders: Vec<Order>,
    /// True after the end of the input: the round ends that follow are not recorded, since their number depends on the plan that replays.
    over: bool,
}

/// Keeps the rows of these ports; gives the frontier up to which they are kept.
pub(super) fn wire<'s>(
    scope: Scope<'s, u64>,
    shared: &Arc<Shared>,
    ports: Vec<(Rows<'s>, Order)>,
    barriers: Barriers<'s>,
) -> Rows<'s> {
    let mut builder = OperatorBuilder::new(NAME.into(), scope);
    let orders = ports.iter().map(|(_, order)| *order).collect();
    let mut inputs: Vec<_> =
        ports.into_iter().map(|(rows, _)| builder.new_input(rows, Route(Routing::Gather))).collect();
    let mut barriers = builder.new_input(barriers, Pipeline);
    let (_output, end) = builder.new_output::<ExchangeBatch>();
    let recorder = shared.options.recorder.clone().filter(|_| scope.worker().index() == 0);
    let shared = shared.clone();
    builder.build(move |capabilities| {
        drop(capabilities);
        let mut waiting = Waiting { orders, ..Waiting::default() };
        move |frontiers| {
            for (port, input) in inputs.iter_mut().enumerate() {
                input.for_each(|capability, exchanged| {
                    let epoch = capability.least().copied().unwrap_or_default();
                    match exchanged.open() {
                        Ok(batches) if recorder.is_some() => waiting.hold(epoch, port, batches),
                        Ok(_) => {}
                        Err(_) => shared
                            .fail(failed(&StageError::new("a batch from another worker could not be read"))),
                    }
                });
            }
            barriers.for_each(|_, come| {
                if recorder.is_some() {
                    waiting.barriers.extend(come.drain(..));
                }
            });
            let Some(recorder) = &recorder else { return };
            let frontier = frontiers.iter().filter_map(|f| f.frontier().first().copied()).min();
            // The frontier passes this operator only after it returns: by then the rows are kept.
            if let Err(error) = waiting.keep(frontier, recorder) {
                shared.fail(failed(&error));
            }
        }
    });
    end
}

fn failed(error: &StageError) -> Failure {
    Failure::new(NAME, error.to_string())
}

impl Waiting {
    fn hold(&mut self, epoch: u64, port: usize, batches: Vec<RecordBatch>) {
        if !self.over {
            self.rows.entry(epoch).or_default().extend(batches.into_iter().map(|batch| (port, batch)));
        }
    }

    /// Keeps every epoch that is complete, in order.
    fn keep(&mut self, frontier: Option<u64>, recorder: &Mutex<dyn Recorder>) -> Result<(), StageError> {
        let complete = |barrier: &&WireBarrier| frontier.is_none_or(|f| f > barrier.epoch);
        while let Some(barrier) = self.barriers.front().filter(complete).copied() {
            self.barriers.pop_front();
            let rows = self.rows.remove(&barrier.epoch).unwrap_or_default();
            if self.over {
                continue;
            }
            let barrier = Barrier::from(barrier);
            self.over = barrier.end_of_input;
            let mut recorder = recorder
                .lock()
                .map_err(|_| StageError::new("the recorder's lock is poisoned: another thread panicked"))?;
            for (port, batch) in self.in_order(rows)? {
                recorder.rows(port, &batch)?;
            }
            recorder.closed(&barrier)?;
        }
        Ok(())
    }

    fn in_order(&self, rows: Vec<(usize, RecordBatch)>) -> Result<Vec<(usize, RecordBatch)>, StageError> {
        let mut by_port: BTreeMap<usize, Vec<RecordBatch>> = BTreeMap::new();
        let mut ordered = Vec::new();
        for (port, batch) in rows {
            match self.orders.get(port) {
                Some(Order::Sorted) => by_port.entry(port).or_default().push(batch),
                _ => ordered.push((port, batch)),
            }
        }
        for (port, batches) in by_port {
            let Some(schema) = batches.first().map(RecordBatch::schema) else { continue };
            ordered.push((port, identity::sorted(&schema, &batches)?));
        }
        Ok(ordered)
    }
}
