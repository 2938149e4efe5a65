//! The control channels of a running cluster: every process has one to the coordinator, and the coordinator one to each. Over them goes all
//! that is not rows: that a process is alive, what it has counted, what ended it, its part of the report; and of rows those that a client
//! taps.
//!
//! In: control channels that [`super::join`] made, counters, failures. Out: the first thing that ended the run, in every process with the
//! same words; on the coordinator the parts of all. It must not know what a part is.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use headwater_contract::units::Epoch;

use super::NAME;
use super::frame::{Frame, Unread};
use super::hosts::Hosts;
use super::message::Message;
use super::stream::Wire;
use super::tap::{self, RemoteTaps};
use crate::instance::{Cause, Failure};
use crate::metrics::{Counts, Metrics};
use crate::run::Notes;
use crate::watch::Watch;

/// The heartbeat interval: several fit into `SILENCE`.
const BEAT: Duration = Duration::from_millis(500);
/// The silence after which a process counts as lost: six beats, so that a busy machine is not taken for a dead one.
const SILENCE: Duration = Duration::from_secs(3);
/// The poll interval of the watch for silence; a watch that is late by `STOPPED` was itself stopped, and blames no peer.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
const STOPPED: Duration = Duration::from_secs(1);
/// A data channel mostly breaks because a process was lost: its control channel reports that within this time.
const SUSPICION: Duration = Duration::from_secs(1);
/// The time that a message may take to leave: below `SILENCE`, so that one slow peer does not silence this process.
const SENDING: Duration = Duration::from_secs(2);
/// Bytes of a part in one message: far below the limit of a frame, so that a beat gets through in between.
const PIECE: usize = 1 << 18;

/// The parts of a run that the control channel serves.
pub(super) struct Attached {
    pub(super) metrics: Arc<Metrics>,
    pub(super) stopping: Arc<AtomicBool>,
    /// The epoch that the coordinator leaves open, once it does.
    pub(super) end: Arc<OnceLock<Epoch>>,
    /// The clients that tap rows.
    pub(super) watch: Arc<Watch>,
    /// The notes beside the rows.
    pub(super) notes: BTreeMap<String, Arc<dyn Notes>>,
}

/// The parts of the report that each process gives at the end: by process and name.
pub(crate) type Parts = BTreeMap<(usize, String), Vec<u8>>;

/// The state of the run, beside its rows.
#[derive(Default)]
struct State {
    failure: Option<Failure>,
    /// On the coordinator: what another process said about the cause, before it said what failed.
    cause: Cause,
    /// A data channel that broke, when, and why.
    broken_channel: Option<(usize, Instant, String)>,
    /// On the coordinator: processes that have given everything.
    done: Vec<usize>,
    parts: Parts,
    /// On the coordinator: a peer asked to stop.
    stop: bool,
    /// On a peer: what came so far of what this process begins with, and whether it is all.
    partitions: (Vec<u8>, bool),
    /// On a peer: the coordinator said that the run is over.
    bye: bool,
}

/// The control channels of one process.
///
/// Lock order: `noting`, then the locks of the notes, then a writer. `state` is never held while something is sent: a peer that reads
/// slowly would hold up every thread that asks for a failure.
pub(crate) struct ControlChannel {
    hosts: Arc<Hosts>,
    index: usize,
    begun: Instant,
    /// By the process at the other end.
    writers: BTreeMap<usize, Mutex<Wire>>,
    /// Milliseconds since the beginning, when something came last.
    heard: BTreeMap<usize, AtomicU64>,
    state: Mutex<State>,
    changed: Condvar,
    failed: AtomicBool,
    /// True if nothing is sent or expected any more.
    over: AtomicBool,
    attached: OnceLock<Attached>,
    stop_sent: AtomicBool,
    taps: RemoteTaps,
    /// Held while something that was noted is on its way: the last word of a process comes behind it.
    noting: Mutex<()>,
}

impl ControlChannel {
    /// Takes connections, and starts to listen and to beat.
    pub(super) fn start(
        hosts: Arc<Hosts>,
        index: usize,
        control: Vec<Option<Wire>>,
    ) -> std::io::Result<Arc<Self>> {
        let mut writers = BTreeMap::new();
        let mut readers = Vec::new();
        for (peer, wire) in control.into_iter().enumerate() {
            let Some(wire) = wire else { continue };
            wire.set_read_timeout(None)?;
            wire.set_write_timeout(Some(SENDING))?;
            // What came behind the last word of the meeting may be read already: it is in this handle.
            writers.insert(peer, Mutex::new(wire.another()?));
            readers.push((peer, wire));
        }
        let heard = writers.keys().map(|peer| (*peer, AtomicU64::new(0))).collect();
        let control = Arc::new(ControlChannel {
            hosts,
            index,
            begun: Instant::now(),
            writers,
            heard,
            state: Mutex::default(),
            changed: Condvar::new(),
            failed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            attached: OnceLock::new(),
            stop_sent: AtomicBool::new(false),
            taps: RemoteTaps::default(),
            noting: Mutex::default(),
        });
        for (peer, wire) in readers {
            control.spawn("hw-control", move |control| control.listen(peer, wire))?;
        }
        control.spawn("hw-beat", ControlChannel::beat)?;
        control.spawn("hw-watch", ControlChannel::watch)?;
        Ok(control)
    }

    fn spawn(self: &Arc<Self>, name: &str, work: impl FnOnce(&Self) + Send + 'static) -> std::io::Result<()> {
        let control = self.clone();
        std::thread::Builder::new().name(name.into()).spawn(move || work(&control)).map(drop)
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn attach(&self, attached: Attached) {
        let attached = self.attached.get_or_init(|| attached);
        // A peer may have asked before there was anything to stop.
        if self.state().stop {
            attached.stopping.store(true, SeqCst);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failed(&self) -> bool {
        self.failed.load(SeqCst)
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.state().failure.clone()
    }

    fn send(&self, peer: usize, frame: &Frame) -> std::io::Result<()> {
        let Some(writer) = self.writers.get(&peer) else { return Ok(()) };
        frame.write(&mut *writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends a message to all connected processes but one. One that cannot be reached is detected by its silence.
    fn send_all(&self, message: &Message, except: Option<usize>) {
        let frame = message.frame();
        for peer in self.writers.keys().filter(|peer| Some(**peer) != except) {
            if let Err(error) = self.send(*peer, &frame) {
                tracing::debug!(peer, %error, "a control channel takes nothing");
            }
        }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Ends the run because of another process. The first cause is reported, in every process.
    fn lose_process(&self, peer: usize, what: &str) {
        self.end(peer, format!("{}: {what}", self.hosts.called(peer)));
    }

    fn end(&self, because_of: usize, what: String) {
        let mut state = self.state();
        if state.failure.is_some() || self.over.load(SeqCst) {
            return;
        }
        let cause = std::mem::take(&mut state.cause);
        state.failure = Some(Failure { cause, ..Failure::new(NAME, what.clone()) });
        drop(state);
        self.failed.store(true, SeqCst);
        if let Some(attached) = self.attached.get() {
            attached.stopping.store(true, SeqCst);
        }
        self.changed.notify_all();
        if self.index == 0 {
            self.send_all(&Message::End(what), Some(because_of));
        }
    }

    /// This process ended the run.
    pub(super) fn report_failure(&self, failure: &Failure) {
        if self.failed() || self.over.load(SeqCst) {
            return;
        }
        if self.index != 0 && failure.cause != Cause::Lasting {
            self.send_all(&Message::Cause(failure.cause.clone()), None);
        }
        let message = if self.index == 0 {
            Message::End(format!("{}: {failure}", self.hosts.called(0)))
        } else {
            Message::Failed(failure.clone())
        };
        self.send_all(&message, None);
    }

    /// Waits a little until the coordinator has received why this process ends.
    pub(super) fn linger(&self) {
        if self.index != 0 {
            let until = |state: &mut State| state.failure.is_none();
            let _ = self.changed.wait_timeout_while(self.state(), STOPPED, until);
        }
    }

    /// A data channel broke. If a process was lost, its control channel says so soon.
    pub(super) fn data_channel_broke(&self, peer: usize, why: &str) {
        let why = format!("the data channel to {} broke: {why}", self.hosts.called(peer));
        self.state().broken_channel.get_or_insert((peer, Instant::now(), why));
    }

    fn listen(&self, peer: usize, mut wire: Wire) {
        loop {
            let read = Frame::read(&mut wire);
            if let Some(heard) = self.heard.get(&peer) {
                heard.store(self.elapsed(), SeqCst);
            }
            let frame = match read {
                Ok(frame) => frame,
                Err(_) if self.over.load(SeqCst) || self.has_left(peer) => return,
                Err(Unread::Closed) => {
                    return self.lose_process(peer, "was lost: it closed the connection without a message");
                }
                Err(unread) => return self.lose_process(peer, &format!("was lost: {unread}")),
            };
            let understood = Message::of(&frame).is_some_and(|message| {
                if self.index == 0 {
                    self.handle_from_peer(peer, message)
                } else {
                    self.handle_from_coordinator(message)
                }
            });
            if !understood {
                return self.lose_process(peer, "sent an unexpected message");
            }
        }
    }

    /// Returns true if a process may go: it has given everything, or received the end of the run.
    fn has_left(&self, peer: usize) -> bool {
        let state = self.state();
        state.bye || state.done.contains(&peer)
    }

    /// Handles a message on the coordinator. Returns true if the message is allowed.
    fn handle_from_peer(&self, peer: usize, message: Message) -> bool {
        match message {
            Message::Beat(counts) => self.counted(peer, counts),
            Message::Cause(cause) => self.state().cause = cause,
            Message::Failed(failure) => self.lose_process(peer, &failure.to_string()),
            Message::Stop => {
                self.state().stop = true;
                if let Some(attached) = self.attached.get() {
                    attached.stopping.store(true, SeqCst);
                }
            }
            Message::Part { of, bytes } => {
                self.state().parts.entry((peer, of)).or_default().extend_from_slice(&bytes);
            }
            Message::TapRows { port, missed, bytes } => {
                return self.attached.get().is_none_or(|at| tap::show(&at.watch, port, missed, &bytes));
            }
            Message::Noted { of, bytes } => {
                let notes = self.attached.get().and_then(|at| at.notes.get(&of));
                return notes.is_none_or(|notes| notes.add(&bytes).is_ok());
            }
            Message::Done(counts) => {
                self.counted(peer, counts);
                self.state().done.push(peer);
                self.changed.notify_all();
            }
            _ => return false,
        }
        true
    }

    fn counted(&self, peer: usize, counts: Counts) {
        if let Some(attached) = self.attached.get() {
            attached.metrics.elsewhere(peer, counts);
        }
    }

    /// Handles a message from the coordinator. Returns true if the message is allowed.
    fn handle_from_coordinator(&self, message: Message) -> bool {
        match message {
            Message::Beat(_) => {}
            Message::End(why) => self.end(0, why),
            Message::Bye => {
                self.state().bye = true;
                self.changed.notify_all();
            }
            Message::StatePartitions { last, bytes } => {
                let mut state = self.state();
                state.partitions.0.extend_from_slice(&bytes);
                state.partitions.1 |= last;
                drop(state);
                self.changed.notify_all();
            }
            Message::LeftOpen(epoch) => {
                if let Some(attached) = self.attached.get() {
                    attached.end.get_or_init(|| epoch);
                }
            }
            Message::Tap(ports) => {
                if let Some(attached) = self.attached.get() {
                    self.taps.follow(&attached.watch, &ports);
                }
            }
            _ => return false,
        }
        true
    }

    fn beat(&self) {
        while !self.over.load(SeqCst) {
            let attached = self.attached.get();
            let counts = attached.filter(|_| self.index != 0).map(|at| at.metrics.here()).unwrap_or_default();
            self.send_all(&Message::Beat(counts), None);
            let stopping = attached.is_some_and(|at| at.stopping.load(SeqCst));
            if self.index != 0 && stopping && !self.failed() && !self.stop_sent.swap(true, SeqCst) {
                self.send_all(&Message::Stop, None);
            }
            if let Some(attached) = attached.filter(|_| self.index != 0 && !self.failed()) {
                let _noting = self.noting.lock().unwrap_or_else(PoisonError::into_inner);
                let news = attached.notes.iter().map(|(of, notes)| (of.clone(), notes.news()));
                for (of, bytes) in news.filter(|(_, bytes)| !bytes.is_empty()) {
                    self.send_all(&Message::Noted { of, bytes }, None);
                }
            }
            if let Some(attached) = attached.filter(|_| !self.failed()) {
                let looked = match self.index {
                    0 => self.taps.change(&attached.watch).into_iter().collect(),
                    _ => self.taps.seen(),
                };
                looked.iter().for_each(|message| self.send_all(message, None));
            }
            std::thread::sleep(BEAT);
        }
    }

    fn watch(&self) {
        let mut before = Instant::now();
        while !self.over.load(SeqCst) && !self.failed() {
            std::thread::sleep(POLL_INTERVAL);
            let late = before.elapsed() > STOPPED;
            before = Instant::now();
            let now = self.elapsed();
            for (peer, heard) in &self.heard {
                if late {
                    heard.store(now, SeqCst);
                } else if u128::from(now.saturating_sub(heard.load(SeqCst))) > SILENCE.as_millis()
                    && !self.has_left(*peer)
                {
                    self.lose_process(
                        *peer,
                        &format!(
                            "it has been silent for {} s: it hangs, or cannot be reached",
                            SILENCE.as_secs()
                        ),
                    );
                }
            }
            let broken_channel = self.state().broken_channel.clone();
            if let Some((peer, _, why)) = broken_channel.filter(|(_, since, _)| since.elapsed() > SUSPICION) {
                self.report_broken_channel(peer, &why);
            }
        }
    }

    /// No process was lost, and yet a data channel is broken: the coordinator ends the run, another process asks it to.
    fn report_broken_channel(&self, peer: usize, why: &str) {
        let failure = Failure::new(NAME, why);
        self.report_failure(&failure);
        if self.index == 0 {
            self.lose_process(peer, why);
        } else {
            self.end(peer, why.to_owned());
        }
    }

    /// On the coordinator: gives another process what it begins with.
    pub(super) fn hand(&self, peer: usize, partitions: &[u8]) -> Result<(), Failure> {
        let pieces = partitions.len().div_ceil(PIECE).max(1);
        for piece in 0..pieces {
            let from = piece.saturating_mul(PIECE);
            let bytes =
                partitions.get(from..partitions.len().min(from.saturating_add(PIECE))).unwrap_or_default();
            let message = Message::StatePartitions { last: piece + 1 == pieces, bytes: bytes.to_vec() };
            if let Err(error) = self.send(peer, &message.frame()) {
                self.lose_process(peer, &format!("it takes nothing: {error}"));
            }
        }
        self.failure().map_or(Ok(()), Err)
    }

    /// On a peer: waits for what this process begins with.
    pub(super) fn partitions(&self) -> Result<Vec<u8>, Failure> {
        self.wait(|state| state.partitions.1)?;
        Ok(std::mem::take(&mut self.state().partitions.0))
    }

    /// On the coordinator: reports that an epoch stays open, so that no process waits for it.
    pub(super) fn leaves_open(&self, epoch: Epoch) {
        if self.index == 0 {
            self.send_all(&Message::LeftOpen(epoch), None);
        }
    }

    /// On a peer: gives the coordinator this process's part of the report, and waits until the coordinator says that the run is over.
    pub(super) fn give(&self, parts: Vec<(String, Vec<u8>)>, counts: Counts) -> Result<(), Failure> {
        let unsaid = |e: std::io::Error| self.lose_process(0, &format!("it takes nothing: {e}"));
        for (of, bytes) in parts {
            for piece in bytes.chunks(PIECE) {
                let piece = Message::Part { of: of.clone(), bytes: piece.to_vec() };
                self.send(0, &piece.frame()).unwrap_or_else(unsaid);
            }
        }
        drop(self.noting.lock().unwrap_or_else(PoisonError::into_inner));
        self.send(0, &Message::Done(counts).frame()).unwrap_or_else(unsaid);
        self.wait(|state| state.bye)?;
        self.over.store(true, SeqCst);
        Ok(())
    }

    /// On the coordinator: waits for the parts of all others.
    pub(super) fn gather(&self) -> Result<Parts, Failure> {
        let others = self.writers.len();
        self.wait(|state| state.done.len() >= others)?;
        Ok(std::mem::take(&mut self.state().parts))
    }

    /// On the coordinator: the run is over.
    pub(super) fn bye(&self) {
        self.over.store(true, SeqCst);
        self.send_all(&Message::Bye, None);
    }

    fn wait(&self, enough: impl Fn(&State) -> bool) -> Result<(), Failure> {
        let more = |state: &mut State| state.failure.is_none() && !enough(state);
        let state = self.changed.wait_while(self.state(), more).unwrap_or_else(PoisonError::into_inner);
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// Hangs up.
    pub(super) fn close(&self) {
        self.over.store(true, SeqCst);
        for writer in self.writers.values() {
            let writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            // The other end may have hung up before.
            let _ = writer.shutdown(Shutdown::Both);
        }
    }
}
