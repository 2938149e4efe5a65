//! The lines of a running cluster: every process has one to home, and home one to each. Over them goes all that is not rows: that a
//! process is alive, what it has counted, what ended it, its part of the report; and of rows those that somebody looks at.
//!
//! In: lines that [`super::join`] made, counters, failures. Out: the first thing that ended the run, in every process with the same
//! words; at home the parts of all. It must not know what a part is.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use headwater_contract::units::Epoch;

use super::NAME;
use super::frame::{Frame, Unread};
use super::hosts::Hosts;
use super::look::{self, Looking};
use super::message::Message;
use super::stream::Wire;
use crate::instance::{Cause, Failure};
use crate::metrics::{Counts, Metrics};
use crate::watch::Watch;

/// How often a process says that it is alive.
const BEAT: Duration = Duration::from_millis(500);
/// A process that was silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(3);
/// How often silence is looked for. Who looks so late that it must have been stopped itself blames nobody.
const LOOK: Duration = Duration::from_millis(100);
const STOPPED: Duration = Duration::from_secs(1);
/// A link that breaks is mostly that of a process that fell: the line tells which, if it is given this long.
const SUSPICION: Duration = Duration::from_secs(1);
/// How long a message may take to leave.
const SENDING: Duration = Duration::from_secs(2);
/// Bytes of a part in one message.
const PIECE: usize = 1 << 18;

/// What a run gives to the lines when it begins.
pub(super) struct Attached {
    pub(super) metrics: Arc<Metrics>,
    pub(super) stopping: Arc<AtomicBool>,
    /// The epoch that home leaves open, once it does.
    pub(super) end: Arc<OnceLock<Epoch>>,
    /// Who looks at rows.
    pub(super) watch: Arc<Watch>,
}

/// What each process gives at the end: by process and name.
pub(crate) type Parts = BTreeMap<(usize, String), Vec<u8>>;

/// What came of the run so far, beside its rows.
#[derive(Default)]
struct State {
    failure: Option<Failure>,
    /// At home: what another process said about the cause, before it said what failed.
    cause: Cause,
    /// A link that broke, when, and why.
    suspect: Option<(usize, Instant, String)>,
    /// At home: processes that have given everything.
    done: Vec<usize>,
    parts: Parts,
    /// At home: somebody asked to stop.
    stop: bool,
    /// Elsewhere: what came so far of what this process begins with, and whether it is all.
    portion: (Vec<u8>, bool),
    /// Elsewhere: home said that the run is over.
    bye: bool,
}

/// The lines of one process.
pub(crate) struct Lines {
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
    /// Nothing is said or expected any more.
    over: AtomicBool,
    attached: OnceLock<Attached>,
    stop_told: AtomicBool,
    looking: Looking,
}

impl Lines {
    /// Takes lines, and starts to listen and to beat.
    pub(super) fn start(
        hosts: Arc<Hosts>,
        index: usize,
        lines: Vec<Option<Wire>>,
    ) -> std::io::Result<Arc<Self>> {
        let mut writers = BTreeMap::new();
        let mut readers = Vec::new();
        for (peer, wire) in lines.into_iter().enumerate() {
            let Some(wire) = wire else { continue };
            wire.set_read_timeout(None)?;
            wire.set_write_timeout(Some(SENDING))?;
            // What came behind the last word of the meeting may be read already: it is in this handle.
            writers.insert(peer, Mutex::new(wire.another()?));
            readers.push((peer, wire));
        }
        let heard = writers.keys().map(|peer| (*peer, AtomicU64::new(0))).collect();
        let lines = Arc::new(Lines {
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
            stop_told: AtomicBool::new(false),
            looking: Looking::default(),
        });
        for (peer, wire) in readers {
            lines.spawn("hw-line", move |lines| lines.listen(peer, wire))?;
        }
        lines.spawn("hw-beat", Lines::beat)?;
        lines.spawn("hw-watch", Lines::watch)?;
        Ok(lines)
    }

    fn spawn(self: &Arc<Self>, name: &str, work: impl FnOnce(&Self) + Send + 'static) -> std::io::Result<()> {
        let lines = self.clone();
        std::thread::Builder::new().name(name.into()).spawn(move || work(&lines)).map(drop)
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn attach(&self, attached: Attached) {
        let attached = self.attached.get_or_init(|| attached);
        // Somebody may have asked before there was anything to stop.
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

    fn say(&self, peer: usize, frame: &Frame) -> std::io::Result<()> {
        let Some(writer) = self.writers.get(&peer) else { return Ok(()) };
        frame.write(&mut *writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says something to everybody at the other ends but one. Who cannot be reached is told by its silence.
    fn say_all(&self, message: &Message, except: Option<usize>) {
        let frame = message.frame();
        for peer in self.writers.keys().filter(|peer| Some(**peer) != except) {
            if let Err(error) = self.say(*peer, &frame) {
                tracing::debug!(peer, %error, "a line takes nothing");
            }
        }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Another process ended the run: the first thing that did is what is told, everywhere.
    fn fall(&self, peer: usize, what: &str) {
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
            self.say_all(&Message::End(what), Some(because_of));
        }
    }

    /// This process ended the run.
    pub(super) fn tell(&self, failure: &Failure) {
        if self.failed() || self.over.load(SeqCst) {
            return;
        }
        if self.index != 0 && failure.cause != Cause::Lasting {
            self.say_all(&Message::Cause(failure.cause.clone()), None);
        }
        let message = if self.index == 0 {
            Message::End(format!("{}: {failure}", self.hosts.called(0)))
        } else {
            Message::Failed(failure.clone())
        };
        self.say_all(&message, None);
    }

    /// Waits a little until home has heard why this process ends.
    pub(super) fn linger(&self) {
        if self.index != 0 {
            let until = |state: &mut State| state.failure.is_none();
            let _ = self.changed.wait_timeout_while(self.state(), STOPPED, until);
        }
    }

    /// A link broke. If a process fell, its line says so soon.
    pub(super) fn link_broke(&self, peer: usize, why: &str) {
        let why = format!("the link to {} broke: {why}", self.hosts.called(peer));
        self.state().suspect.get_or_insert((peer, Instant::now(), why));
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
                Err(Unread::Closed) => return self.fall(peer, "went away without a word"),
                Err(unread) => return self.fall(peer, &format!("went away: {unread}")),
            };
            let understood = Message::of(&frame).is_some_and(|message| {
                if self.index == 0 { self.hear_other(peer, message) } else { self.hear_home(message) }
            });
            if !understood {
                return self.fall(peer, "said something that nobody expected");
            }
        }
    }

    /// Whether a process may go: it has given everything, or was told that the run is over.
    fn has_left(&self, peer: usize) -> bool {
        let state = self.state();
        state.bye || state.done.contains(&peer)
    }

    /// What home hears. Whether it may be said.
    fn hear_other(&self, peer: usize, message: Message) -> bool {
        match message {
            Message::Beat(counts) => self.counted(peer, counts),
            Message::Cause(cause) => self.state().cause = cause,
            Message::Failed(failure) => self.fall(peer, &failure.to_string()),
            Message::Stop => {
                self.state().stop = true;
                if let Some(attached) = self.attached.get() {
                    attached.stopping.store(true, SeqCst);
                }
            }
            Message::Part { of, bytes } => {
                self.state().parts.entry((peer, of)).or_default().extend_from_slice(&bytes);
            }
            Message::Seen { port, missed, bytes } => {
                return self.attached.get().is_none_or(|at| look::show(&at.watch, port, missed, &bytes));
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

    /// What the others hear from home.
    fn hear_home(&self, message: Message) -> bool {
        match message {
            Message::Beat(_) => {}
            Message::End(why) => self.end(0, why),
            Message::Bye => {
                self.state().bye = true;
                self.changed.notify_all();
            }
            Message::Portion { last, bytes } => {
                let mut state = self.state();
                state.portion.0.extend_from_slice(&bytes);
                state.portion.1 |= last;
                drop(state);
                self.changed.notify_all();
            }
            Message::LeftOpen(epoch) => {
                if let Some(attached) = self.attached.get() {
                    attached.end.get_or_init(|| epoch);
                }
            }
            Message::Look(ports) => {
                if let Some(attached) = self.attached.get() {
                    self.looking.follow(&attached.watch, &ports);
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
            self.say_all(&Message::Beat(counts), None);
            let stopping = attached.is_some_and(|at| at.stopping.load(SeqCst));
            if self.index != 0 && stopping && !self.failed() && !self.stop_told.swap(true, SeqCst) {
                self.say_all(&Message::Stop, None);
            }
            if let Some(attached) = attached.filter(|_| !self.failed()) {
                let looked = match self.index {
                    0 => self.looking.change(&attached.watch).into_iter().collect(),
                    _ => self.looking.seen(),
                };
                looked.iter().for_each(|message| self.say_all(message, None));
            }
            std::thread::sleep(BEAT);
        }
    }

    fn watch(&self) {
        let mut before = Instant::now();
        while !self.over.load(SeqCst) && !self.failed() {
            std::thread::sleep(LOOK);
            let late = before.elapsed() > STOPPED;
            before = Instant::now();
            let now = self.elapsed();
            for (peer, heard) in &self.heard {
                if late {
                    heard.store(now, SeqCst);
                } else if u128::from(now.saturating_sub(heard.load(SeqCst))) > SILENCE.as_millis()
                    && !self.has_left(*peer)
                {
                    self.fall(
                        *peer,
                        &format!(
                            "it has been silent for {} s: it hangs, or cannot be reached",
                            SILENCE.as_secs()
                        ),
                    );
                }
            }
            let suspect = self.state().suspect.clone();
            if let Some((peer, _, why)) = suspect.filter(|(_, since, _)| since.elapsed() > SUSPICION) {
                self.suspected(peer, &why);
            }
        }
    }

    /// No process fell, and yet a link is broken: home ends the run, another process asks it to.
    fn suspected(&self, peer: usize, why: &str) {
        let failure = Failure::new(NAME, why);
        self.tell(&failure);
        if self.index == 0 {
            self.fall(peer, why);
        } else {
            self.end(peer, why.to_owned());
        }
    }

    /// At home: gives another process what it begins with.
    pub(super) fn hand(&self, peer: usize, portion: &[u8]) -> Result<(), Failure> {
        let pieces = portion.len().div_ceil(PIECE).max(1);
        for piece in 0..pieces {
            let from = piece.saturating_mul(PIECE);
            let bytes = portion.get(from..portion.len().min(from.saturating_add(PIECE))).unwrap_or_default();
            let message = Message::Portion { last: piece + 1 == pieces, bytes: bytes.to_vec() };
            if let Err(error) = self.say(peer, &message.frame()) {
                self.fall(peer, &format!("it takes nothing: {error}"));
            }
        }
        self.failure().map_or(Ok(()), Err)
    }

    /// Elsewhere: waits for what this process begins with.
    pub(super) fn portion(&self) -> Result<Vec<u8>, Failure> {
        self.wait(|state| state.portion.1)?;
        Ok(std::mem::take(&mut self.state().portion.0))
    }

    /// At home: an epoch is left open, and nobody waits for it.
    pub(super) fn leaves_open(&self, epoch: Epoch) {
        if self.index == 0 {
            self.say_all(&Message::LeftOpen(epoch), None);
        }
    }

    /// Elsewhere: gives home this process's part of the report, and waits until home says that the run is over.
    pub(super) fn give(&self, parts: Vec<(String, Vec<u8>)>, counts: Counts) -> Result<(), Failure> {
        let unsaid = |e: std::io::Error| self.fall(0, &format!("it takes nothing: {e}"));
        for (of, bytes) in parts {
            for piece in bytes.chunks(PIECE) {
                let piece = Message::Part { of: of.clone(), bytes: piece.to_vec() };
                self.say(0, &piece.frame()).unwrap_or_else(unsaid);
            }
        }
        self.say(0, &Message::Done(counts).frame()).unwrap_or_else(unsaid);
        self.wait(|state| state.bye)?;
        self.over.store(true, SeqCst);
        Ok(())
    }

    /// At home: waits for the parts of all others.
    pub(super) fn gather(&self) -> Result<Parts, Failure> {
        let others = self.writers.len();
        self.wait(|state| state.done.len() >= others)?;
        Ok(std::mem::take(&mut self.state().parts))
    }

    /// At home: the run is over.
    pub(super) fn bye(&self) {
        self.over.store(true, SeqCst);
        self.say_all(&Message::Bye, None);
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
