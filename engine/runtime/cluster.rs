//! Processes that run one pipeline together: how they connect, what they exchange, how the loss of one is detected.
//!
//! In: hosts, this process's index, what it is about to run. Out: a [`Member`], which gives the dataflow its data channels and the run its
//! control channel. The first process is the coordinator: it alone reads, keeps and reports. It must not know plans beyond
//! their [`Fingerprint`], nor rows.

pub mod certs;
mod control_channel;
mod counts;
mod data_channel;
mod fingerprint;
mod frame;
pub mod fuzz;
mod hello;
pub mod hosts;
mod join;
mod listener;
mod message;
mod stream;
mod tap;
mod tls;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use headwater_contract::units::Epoch;
use timely::communication::Hooks;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};

use control_channel::{Attached, ControlChannel, Parts};
use data_channel::DataChannel;
pub use fingerprint::Fingerprint;
use hello::Local;
use hosts::{Address, Hosts};
use tls::Tls;

use crate::instance::Failure;
use crate::metrics::{Counts, Metrics};
use crate::run::Notes;
use crate::watch::Watch;

/// The name of the cluster in messages, where a stage's id would stand.
pub const NAME: &str = "[cluster]";

/// The setup with which a process joins its cluster.
pub struct Setup<'a> {
    /// The processes of the cluster.
    pub hosts: Hosts,
    /// Which of them this process is; 0 is the coordinator.
    pub index: usize,
    /// The fingerprint of what it is about to run.
    pub fingerprint: Fingerprint,
    /// True if CPUs, and programs built for them, may differ.
    pub mixed_cpus: bool,
    /// The epoch that the run begins with: only the coordinator's word counts.
    pub begin: u64,
    /// Asked now and then while it waits: why waiting is useless.
    pub hopeless: &'a dyn Fn() -> Option<String>,
}

/// A process of a cluster that stands.
pub struct Member {
    hosts: Arc<Hosts>,
    index: usize,
    begin: u64,
    control: Arc<ControlChannel>,
    data_channels: Mutex<Vec<Option<DataChannel>>>,
}

fn failed(what: impl Into<String>) -> Failure {
    Failure::new(NAME, what)
}

impl Member {
    /// Waits until the whole cluster stands.
    ///
    /// # Errors
    /// A process did not connect in time, or would run something else; a socket or a certificate is missing.
    pub fn join(setup: Setup<'_>) -> Result<Self, Failure> {
        let Setup { hosts, index, fingerprint, mixed_cpus, begin, hopeless } = setup;
        let hosts = Arc::new(hosts);
        let Some(host) = hosts.processes.get(index) else {
            let last = hosts.processes.len().saturating_sub(1);
            return Err(failed(format!("there is no process {index}; expected 0 to {last}")));
        };
        let tls = match &host.address {
            Address::Tcp(_) => {
                let tls = Tls::load(&hosts, host).map_err(failed)?;
                // Others would refuse it, each in its own words: it is checked here, before any process is called.
                tls::ends(&hosts, host).map_err(|why| {
                    failed(format!("{why}; `headwater cluster certs HOSTS --renew` makes new certificates"))
                })?;
                Some(tls)
            }
            Address::Unix(_) => None,
        };
        let local = Arc::new(Local {
            hosts: hosts.clone(),
            index,
            fingerprint,
            mixed_cpus,
            begin,
            tls,
            attempt: OnceLock::new(),
            complete: AtomicBool::new(false),
            linked: Mutex::default(),
        });
        let met = join::meet(&local, hopeless).map_err(failed)?;
        let control =
            ControlChannel::start(hosts.clone(), index, met.control).map_err(|e| failed(e.to_string()))?;
        let mut data_channels = Vec::new();
        for (peer, wire) in met.data_channels.into_iter().enumerate() {
            if let Some(wire) = &wire {
                let blocking = wire.set_read_timeout(None).and_then(|()| wire.set_write_timeout(None));
                blocking.map_err(|e| failed(e.to_string()))?;
            }
            data_channels.push(wire.map(|wire| DataChannel::new(wire, peer, control.clone(), hosts.workers)));
        }
        tracing::info!(process = index, processes = hosts.processes.len(), "the cluster stands");
        Ok(Member { hosts, index, begin: met.begin, control, data_channels: Mutex::new(data_channels) })
    }

    /// Returns true if this is the process that reads, keeps and reports.
    pub fn is_coordinator(&self) -> bool {
        self.index == 0
    }

    /// Returns the number of processes.
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

    /// Returns the name of this process in messages.
    pub fn called(&self) -> String {
        self.hosts.called(self.index)
    }

    /// Gives the control channel what they count and may stop.
    pub(crate) fn attach(
        &self,
        metrics: Arc<Metrics>,
        stopping: Arc<AtomicBool>,
        end: Arc<OnceLock<Epoch>>,
        watch: Arc<Watch>,
        notes: BTreeMap<String, Arc<dyn Notes>>,
    ) {
        self.control.attach(Attached { metrics, stopping, end, watch, notes });
    }

    /// The workers of a process, of those of all processes.
    pub(crate) fn workers_of(&self, process: usize) -> Range<u64> {
        let workers = self.hosts.workers as u64;
        let first = (process as u64).saturating_mul(workers);
        first..first.saturating_add(workers)
    }

    /// See [`ControlChannel::hand`].
    pub(crate) fn hand(&self, process: usize, partitions: &[u8]) -> Result<(), Failure> {
        self.control.hand(process, partitions)
    }

    /// See [`ControlChannel::partitions`].
    pub(crate) fn partitions(&self) -> Result<Vec<u8>, Failure> {
        self.control.partitions()
    }

    /// The coordinator leaves an epoch open: the others need not wait for it.
    pub(crate) fn leaves_open(&self, epoch: Epoch) {
        self.control.leaves_open(epoch);
    }

    /// Returns true if another process ended the run.
    pub(crate) fn failed(&self) -> bool {
        self.control.failed()
    }

    /// Returns the failure that ended the run, if another process did.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.control.failure()
    }

    /// Reports to the others that this process ended the run.
    pub(crate) fn report_failure(&self, failure: &Failure) {
        self.control.report_failure(failure);
    }

    /// Waits a little until the others have received why this process ends.
    pub(crate) fn linger(&self) {
        self.control.linger();
    }

    /// See [`ControlChannel::give`].
    pub(crate) fn give(&self, parts: Vec<(String, Vec<u8>)>, counts: Counts) -> Result<(), Failure> {
        self.control.give(parts, counts)
    }

    /// See [`ControlChannel::gather`].
    pub(crate) fn gather(&self) -> Result<Parts, Failure> {
        self.control.gather()
    }

    /// See [`ControlChannel::bye`].
    pub(crate) fn bye(&self) {
        self.control.bye();
    }

    /// Workers' ends of the data channels, once; and what must live as long as they do.
    pub(crate) fn builders(&self) -> Result<(Vec<AllocatorBuilder>, Box<dyn std::any::Any + Send>), Failure> {
        let data_channels =
            std::mem::take(&mut *self.data_channels.lock().unwrap_or_else(PoisonError::into_inner));
        let (workers, hooks) = (self.hosts.workers, Hooks::default());
        let inside = ProcessBuilder::new_typed_vector(workers, hooks.refill.clone(), hooks.spill.clone());
        let (builders, guard) =
            initialize_networking_from_sockets(inside, data_channels, self.index, workers, hooks)
                .map_err(|e| failed(format!("the data channels cannot be used: {e}")))?;
        Ok((builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(guard)))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.control.close();
    }
}

#[cfg(test)]
mod tests;
