//! Processes that run one pipeline together: how they meet, what they say to each other, how one learns that another fell.
//!
//! In: hosts, this process's index, what it is about to run. Out: a [`Member`], which the dataflow takes its links from and the run its
//! lines. The first process is home: it alone reads, keeps and reports. It must not know plans beyond what
//! [`facts`](Facts) are told of them, nor rows.

pub mod certs;
mod counts;
mod door;
mod facts;
mod frame;
pub mod fuzz;
mod hello;
pub mod hosts;
mod join;
mod line;
mod link;
mod look;
mod message;
mod stream;
mod tls;
pub(crate) mod wire;

use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use headwater_contract::units::Epoch;
use timely::communication::Hooks;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};

pub use facts::Facts;
use hello::Local;
use hosts::{Address, Hosts};
use line::{Attached, Lines, Parts};
use link::Link;
use tls::Tls;

use crate::instance::Failure;
use crate::metrics::{Counts, Metrics};
use crate::watch::Watch;

/// What messages call the cluster, where a stage's id would stand.
pub const NAME: &str = "[cluster]";

/// What a process needs to join its cluster.
pub struct Setup<'a> {
    /// Who belongs to it.
    pub hosts: Hosts,
    /// Which of them this process is; 0 is home.
    pub index: usize,
    /// What it is about to run.
    pub facts: Facts,
    /// Whether CPUs, and programs built for them, may differ.
    pub mixed_cpus: bool,
    /// The epoch that the run begins with: only home's word counts.
    pub begin: u64,
    /// Asked now and then while it waits: why waiting is useless.
    pub hopeless: &'a dyn Fn() -> Option<String>,
}

/// A process of a cluster that stands.
pub struct Member {
    hosts: Arc<Hosts>,
    index: usize,
    begin: u64,
    lines: Arc<Lines>,
    links: Mutex<Vec<Option<Link>>>,
}

fn failed(what: impl Into<String>) -> Failure {
    Failure::new(NAME, what)
}

impl Member {
    /// Waits until the whole cluster stands.
    ///
    /// # Errors
    /// Somebody did not come, or would run something else; no socket, no certificate.
    pub fn join(setup: Setup<'_>) -> Result<Self, Failure> {
        let Setup { hosts, index, facts, mixed_cpus, begin, hopeless } = setup;
        let hosts = Arc::new(hosts);
        let Some(host) = hosts.processes.get(index) else {
            let last = hosts.processes.len().saturating_sub(1);
            return Err(failed(format!("there is no process {index}; expected 0 to {last}")));
        };
        let tls = match &host.address {
            Address::Tcp(_) => {
                let tls = Tls::load(&hosts, host).map_err(failed)?;
                // Others would refuse it, each in its own words: told here, before anybody is called.
                tls::ends(&hosts, host).map_err(|why| {
                    failed(format!("{why}; `headwater cluster certs --renew` makes certificates anew"))
                })?;
                Some(tls)
            }
            Address::Unix(_) => None,
        };
        let local = Arc::new(Local {
            hosts: hosts.clone(),
            index,
            facts,
            mixed_cpus,
            begin,
            tls,
            generation: OnceLock::new(),
            complete: AtomicBool::new(false),
            linked: Mutex::default(),
        });
        let met = join::meet(&local, hopeless).map_err(failed)?;
        let lines = Lines::start(hosts.clone(), index, met.lines).map_err(|e| failed(e.to_string()))?;
        let mut links = Vec::new();
        for (peer, wire) in met.links.into_iter().enumerate() {
            if let Some(wire) = &wire {
                let blocking = wire.set_read_timeout(None).and_then(|()| wire.set_write_timeout(None));
                blocking.map_err(|e| failed(e.to_string()))?;
            }
            links.push(wire.map(|wire| Link::new(wire, peer, lines.clone(), hosts.workers)));
        }
        tracing::info!(process = index, processes = hosts.processes.len(), "the cluster stands");
        Ok(Member { hosts, index, begin: met.begin, lines, links: Mutex::new(links) })
    }

    /// Whether this is the process that reads, keeps and reports.
    pub fn is_home(&self) -> bool {
        self.index == 0
    }

    /// How many processes there are.
    pub fn processes(&self) -> usize {
        self.hosts.processes.len()
    }

    /// Worker threads of each process.
    pub fn workers(&self) -> usize {
        self.hosts.workers
    }

    /// The epoch that the run begins with.
    pub fn begin(&self) -> u64 {
        self.begin
    }

    /// How this process is called in messages.
    pub fn called(&self) -> String {
        self.hosts.called(self.index)
    }

    /// Gives the lines what they count and may stop.
    pub(crate) fn attach(
        &self,
        metrics: Arc<Metrics>,
        stopping: Arc<AtomicBool>,
        end: Arc<OnceLock<Epoch>>,
        watch: Arc<Watch>,
    ) {
        self.lines.attach(Attached { metrics, stopping, end, watch });
    }

    /// The workers of a process, of those of all processes.
    pub(crate) fn workers_of(&self, process: usize) -> Range<u64> {
        let workers = self.hosts.workers as u64;
        let first = (process as u64).saturating_mul(workers);
        first..first.saturating_add(workers)
    }

    /// See [`Lines::hand`].
    pub(crate) fn hand(&self, process: usize, portion: &[u8]) -> Result<(), Failure> {
        self.lines.hand(process, portion)
    }

    /// See [`Lines::portion`].
    pub(crate) fn portion(&self) -> Result<Vec<u8>, Failure> {
        self.lines.portion()
    }

    /// Home leaves an epoch open: the others need not wait for it.
    pub(crate) fn leaves_open(&self, epoch: Epoch) {
        self.lines.leaves_open(epoch);
    }

    /// Whether another process ended the run.
    pub(crate) fn failed(&self) -> bool {
        self.lines.failed()
    }

    /// What ended the run, if another process did.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.lines.failure()
    }

    /// This process ended the run: the others are told.
    pub(crate) fn tell(&self, failure: &Failure) {
        self.lines.tell(failure);
    }

    /// Waits a little until the others have heard why this process ends.
    pub(crate) fn linger(&self) {
        self.lines.linger();
    }

    /// See [`Lines::give`].
    pub(crate) fn give(&self, parts: Vec<(String, Vec<u8>)>, counts: Counts) -> Result<(), Failure> {
        self.lines.give(parts, counts)
    }

    /// See [`Lines::gather`].
    pub(crate) fn gather(&self) -> Result<Parts, Failure> {
        self.lines.gather()
    }

    /// See [`Lines::bye`].
    pub(crate) fn bye(&self) {
        self.lines.bye();
    }

    /// Workers' ends of the links, once; and what must live as long as they do.
    pub(crate) fn builders(&self) -> Result<(Vec<AllocatorBuilder>, Box<dyn std::any::Any + Send>), Failure> {
        let links = std::mem::take(&mut *self.links.lock().unwrap_or_else(PoisonError::into_inner));
        let (workers, hooks) = (self.hosts.workers, Hooks::default());
        let inside = ProcessBuilder::new_typed_vector(workers, hooks.refill.clone(), hooks.spill.clone());
        let (builders, guard) = initialize_networking_from_sockets(inside, links, self.index, workers, hooks)
            .map_err(|e| failed(format!("the links cannot be used: {e}")))?;
        Ok((builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(guard)))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.lines.close();
    }
}

#[cfg(test)]
mod tests;
