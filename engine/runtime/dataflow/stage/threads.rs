//! A stage without state on threads of its own: each row is a job, and results leave in the order of the rows.

use std::collections::{BTreeMap, VecDeque};

use crossbeam_channel::{Receiver, Sender, unbounded};
use headwater_contract::Port;
use headwater_contract::units::Epoch;
use timely::dataflow::operators::{Capability, InputCapability};

use super::Running;
use crate::dataflow::outputs::{OutputCapability, Outputs, capabilities};
use crate::exchange::ExchangeBatch;
use crate::offload::{Done, Job, Wake};

/// Rows that are with the threads of a stage, and results that wait for their turn.
pub(super) struct Threads {
    outputs: Outputs,
    next_job: u64,
    next_out: u64,
    waiting: VecDeque<Job>,
    epochs: BTreeMap<u64, Epoch>,
    in_flight: BTreeMap<Epoch, InFlight>,
    done: BTreeMap<u64, Done>,
    reply: Sender<Done>,
    results: Receiver<Done>,
    wake: Wake,
}

/// Rows of an epoch that are with the threads.
struct InFlight {
    rows: usize,
    capabilities: Vec<Capability<u64>>,
}

impl Threads {
    pub(super) fn new(wake: Wake, outputs: Outputs) -> Self {
        let (reply, results) = unbounded();
        let (waiting, epochs, in_flight, done) = Default::default();
        Threads { outputs, next_job: 0, next_out: 0, waiting, epochs, in_flight, done, reply, results, wake }
    }

    /// Sends the results whose turn it is. Whether there were any.
    fn release(&mut self) -> bool {
        let first = self.next_out;
        self.done.extend(self.results.try_iter().map(|done| (done.number, done)));
        while let Some(done) = self.done.remove(&self.next_out) {
            let epoch = self.epochs.remove(&self.next_out).unwrap_or_default();
            self.next_out += 1;
            self.outputs.metrics(|m| {
                m.add_queued(-1);
                m.add_cpu(done.cpu);
            });
            let Some(in_flight) = self.in_flight.get_mut(&epoch) else { continue };
            in_flight.rows = in_flight.rows.saturating_sub(1);
            match done.made {
                Ok(mut made) => {
                    self.outputs.give(&mut made, &OutputCapability::Held(&in_flight.capabilities));
                }
                Err(failure) => {
                    self.outputs.end_run(failure);
                    break;
                }
            }
            if in_flight.rows == 0 {
                self.in_flight.remove(&epoch);
            }
        }
        self.next_out > first
    }

    fn hand_over(&mut self) {
        let Some(pool) = self.outputs.pool() else { return };
        while let Some(job) = self.waiting.pop_front() {
            if let Err(back) = pool.offer(job) {
                self.waiting.push_front(*back);
                break;
            }
        }
    }
}

impl Running for Threads {
    fn arrive(&mut self, port: Port, capability: &InputCapability<u64>, exchanged: &mut ExchangeBatch) {
        let Some(epoch) = capability.least().copied().map(Epoch) else { return };
        let Some(batches) = self.outputs.take_in(epoch, port, exchanged) else { return };
        let outputs = &self.outputs;
        let fresh = || InFlight { rows: 0, capabilities: capabilities(capability, epoch, outputs.len()) };
        let in_flight = self.in_flight.entry(epoch).or_insert_with(fresh);
        for batch in batches {
            in_flight.rows += batch.num_rows();
            self.outputs.metrics(|m| m.add_queued(i64::try_from(batch.num_rows()).unwrap_or(0)));
            for row in 0..batch.num_rows() {
                let number = self.next_job;
                self.next_job += 1;
                self.epochs.insert(number, epoch);
                let (reply, wake) = (self.reply.clone(), self.wake.clone());
                self.waiting.push_back(Job { number, epoch, port, row: batch.slice(row, 1), reply, wake });
            }
        }
    }

    fn settle(&mut self, _: Option<u64>) -> bool {
        let any = self.release();
        self.hand_over();
        any
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }
}
