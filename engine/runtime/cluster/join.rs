//! How the processes of a cluster meet: each opens its door, all call home, and when everybody is there each calls those before it.
//!
//! In: hosts, and what this process is about to run. Out: a line to home (at home: to all), and a link to every other process; or
//! why not, said in every process. It must not know what flows.

use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::door::{Arrival, Door, PATIENCE};
use super::frame::Frame;
use super::hello::{self, Local};
use super::hosts::Address;
use super::message::{Answer, Message, Purpose, Verdict};
use super::stream::{Deadline, Wire};

/// How long the links between all processes may take once everybody is there, at least: a machine that took long to start them is slow.
const MEETING: Duration = Duration::from_secs(15);
/// Between two calls of somebody who does not answer: at first, and at most.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// After so long the process says whom it waits for.
const TELL: Duration = Duration::from_secs(2);
/// How often a process that waits looks around.
const LOOK: Duration = Duration::from_millis(50);

/// Whether something else makes waiting useless: why.
pub(super) type Hopeless<'a> = &'a dyn Fn() -> Option<String>;

/// What a process has when everybody has met.
pub(super) struct Met {
    /// By process: at home all others, elsewhere home.
    pub(super) lines: Vec<Option<Wire>>,
    /// By process: all others.
    pub(super) links: Vec<Option<Wire>>,
    /// The epoch that the run begins with.
    pub(super) begin: u64,
}

fn nobody(processes: usize) -> Vec<Option<Wire>> {
    (0..processes).map(|_| None).collect()
}

/// Meets the others, and begins with them.
pub(super) fn meet(local: &Arc<Local>, hopeless: Hopeless<'_>) -> Result<Met, String> {
    let processes = local.hosts.processes.len();
    let mut lines = nobody(processes);
    let met = if local.index == 0 {
        local.generation.set(hello::nonce()?).unwrap_or(());
        at_home(local, &mut lines, hopeless)
    } else {
        away(local, &mut lines, hopeless)
    };
    match met {
        Ok((links, begin)) => Ok(Met { lines, links, begin }),
        Err(why) => {
            if local.index == 0 {
                say_all(&mut lines, &Message::End(why.clone())).unwrap_or(());
            }
            Err(why)
        }
    }
}

type Linked = (Vec<Option<Wire>>, u64);

fn at_home(local: &Arc<Local>, lines: &mut [Option<Wire>], hopeless: Hopeless<'_>) -> Result<Linked, String> {
    let door = Door::open(local)?;
    let waiting = Waiting { local, deadline: Deadline::after(local.hosts.wait), hopeless };
    waiting.fill(&door, Purpose::Line, lines, 1)?;
    local.complete.store(true, SeqCst);
    say_all(lines, &Message::Meet)?;
    let mut links = nobody(lines.len());
    let waiting = Waiting { local, deadline: Deadline::after(MEETING.max(local.hosts.wait)), hopeless };
    waiting.fill(&door, Purpose::Link, &mut links, 1)?;
    for (index, line) in lines.iter_mut().enumerate() {
        if let Some(line) = line {
            waiting.expect(line, index, &Message::Met)?;
        }
    }
    drop(door);
    say_all(lines, &Message::Begin)?;
    Ok((links, local.begin))
}

fn away(local: &Arc<Local>, lines: &mut [Option<Wire>], hopeless: Hopeless<'_>) -> Result<Linked, String> {
    let processes = lines.len();
    let last = local.index + 1 >= processes;
    let door = if last { None } else { Some(Door::open(local)?) };
    let waiting = Waiting { local, deadline: Deadline::after(local.hosts.wait), hopeless };
    let (mut line, answer) = waiting.call(0, Purpose::Line)?;
    local.generation.set(answer.generation).unwrap_or(());
    waiting.expect(&mut line, 0, &Message::Meet)?;
    let waiting = Waiting { local, deadline: Deadline::after(MEETING.max(local.hosts.wait)), hopeless };
    let mut links = nobody(processes);
    for (to, link) in links.iter_mut().enumerate().take(local.index) {
        *link = Some(waiting.call(to, Purpose::Link)?.0);
    }
    if let Some(door) = door {
        waiting.fill(&door, Purpose::Link, &mut links, local.index + 1)?;
    }
    let told = |e: std::io::Error| format!("{}: {e}", local.hosts.called(0));
    Message::Met.frame().write(&mut line.until(waiting.deadline)).map_err(told)?;
    waiting.expect(&mut line, 0, &Message::Begin)?;
    if let Some(place) = lines.first_mut() {
        *place = Some(line);
    }
    Ok((links, answer.begin))
}

fn say_all(lines: &mut [Option<Wire>], message: &Message) -> Result<(), String> {
    let frame = message.frame();
    let mut told = Ok(());
    for line in lines.iter_mut().flatten() {
        let said = frame.write(&mut line.until(Deadline::after(PATIENCE)));
        told = told.and(said.map_err(|e| format!("a process went away before the run began: {e}")));
    }
    told
}

struct Waiting<'a> {
    local: &'a Local,
    deadline: Deadline,
    hopeless: Hopeless<'a>,
}

impl Waiting<'_> {
    fn look_around(&self) -> Result<(), String> {
        (self.hopeless)().map_or(Ok(()), Err)
    }

    /// Waits at the door until every process from `first` on has come for this purpose.
    fn fill(
        &self,
        door: &Door,
        purpose: Purpose,
        places: &mut [Option<Wire>],
        first: usize,
    ) -> Result<(), String> {
        let mut tell = Some(Deadline::after(TELL));
        loop {
            let missing: Vec<usize> =
                places.iter().enumerate().skip(first).filter(|(_, w)| w.is_none()).map(|(i, _)| i).collect();
            if missing.is_empty() {
                return Ok(());
            }
            let names = || missing.iter().map(|i| self.local.hosts.called(*i)).collect::<Vec<_>>().join(", ");
            if self.deadline.left().is_none() {
                return Err(format!("{} did not come in time", names()));
            }
            if tell.is_some_and(|tell| tell.left().is_none()) {
                tracing::info!(target: "headwater_progress", "waiting for {}", names());
                tell = None;
            }
            self.look_around()?;
            match door.arrivals.recv_timeout(LOOK) {
                Ok(Arrival::Came(what, index, wire)) if what == purpose => {
                    // A process that calls home again has lost its first line: the new one counts.
                    if let Some(place) = places.get_mut(index) {
                        *place = Some(wire);
                    }
                }
                Ok(Arrival::Differs(why)) => return Err(why),
                Ok(Arrival::Came(..)) | Err(_) => {}
            }
        }
    }

    /// Waits for the one message that may come now.
    fn expect(&self, line: &mut Wire, from: usize, expected: &Message) -> Result<(), String> {
        let called = self.local.hosts.called(from);
        let frame = Frame::read(&mut line.until(self.deadline)).map_err(|e| format!("{called}: {e}"))?;
        match Message::of(&frame) {
            Some(message) if message == *expected => Ok(()),
            Some(Message::End(why)) => Err(why),
            _ => Err(format!("{called} said something that nobody expected")),
        }
    }

    /// Calls another process until it answers.
    fn call(&self, to: usize, purpose: Purpose) -> Result<(Wire, Answer), String> {
        let called = self.local.hosts.called(to);
        let mut last = "nobody listens there".to_owned();
        let (mut tell, mut pause) = (Some(Deadline::after(TELL)), PAUSE);
        while self.deadline.left().is_some() {
            self.look_around()?;
            match self.attempt(to, purpose) {
                Ok((wire, answer)) => match answer.verdict {
                    Verdict::Welcome => return Ok((wire, answer)),
                    Verdict::Later(why) => last = why,
                    Verdict::Refused(why) => return Err(format!("{called} refused this process: {why}")),
                },
                Err(why) => last = why,
            }
            if tell.is_some_and(|tell| tell.left().is_none()) {
                tracing::info!(target: "headwater_progress", "waiting for {called}: {last}");
                tell = None;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(format!("{called} did not answer in time: {last}"))
    }

    fn attempt(&self, to: usize, purpose: Purpose) -> Result<(Wire, Answer), String> {
        let local = self.local;
        let host = local.hosts.processes.get(to).ok_or("no such process")?;
        let left = self.deadline.left().unwrap_or(PAUSE).min(PATIENCE);
        let deadline = Deadline::after(left);
        let mut wire = match &host.address {
            Address::Unix(path) => Wire::Unix(UnixStream::connect(path).map_err(|e| e.to_string())?),
            Address::Tcp(address) => {
                let tls = local.tls.as_ref().ok_or("this process has no certificate")?;
                let tcp = connect(address, left)?;
                Wire::Tls(Box::new(tls.call(tcp, &host.name, deadline)?))
            }
        };
        let answer = hello::say(&mut wire, local, to, purpose, deadline)?;
        Ok((wire, answer))
    }
}

/// A TCP connection to the first address that answers.
pub(super) fn connect(address: &str, time: Duration) -> Result<TcpStream, String> {
    let mut last = format!("{address}: no such host");
    for address in address.to_socket_addrs().map_err(|e| format!("{address}: {e}"))? {
        match TcpStream::connect_timeout(&address, time).and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp)) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Err(last)
}
