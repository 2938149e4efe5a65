//! The connection of a cluster: each process opens its listener, all call the coordinator, and when all are there each calls those before
//! it.
//!
//! In: hosts, and what this process is about to run. Out: a control channel to the coordinator (on the coordinator: to all), and a data
//! channel to every other process; or why not, said in every process. It must not know what flows.

use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::frame::Frame;
use super::hello::{self, Local};
use super::hosts::Address;
use super::listener::{Arrival, Listener, PATIENCE};
use super::message::{Answer, Message, Purpose, Verdict};
use super::stream::{Deadline, Wire};

/// The least time for the data channels between all processes, once every process is there: a machine that started slowly is slow.
const MEETING: Duration = Duration::from_secs(15);
/// The pause between two calls of a process that does not answer: at first, and at most. It doubles, so that a slow start floods no one.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// The time after which a process logs for which processes it waits: a usual start takes less.
const LOG_AFTER: Duration = Duration::from_secs(2);
/// The poll interval of a process that waits.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Returns the reason why waiting is useless, if there is one.
pub(super) type Hopeless<'a> = &'a dyn Fn() -> Option<String>;

/// The connections of a process when the cluster is complete.
pub(super) struct Met {
    /// By process: on the coordinator all others, elsewhere the coordinator.
    pub(super) control: Vec<Option<Wire>>,
    /// By process: all others.
    pub(super) data_channels: Vec<Option<Wire>>,
    /// The epoch that the run begins with.
    pub(super) begin: u64,
}

fn no_connections(processes: usize) -> Vec<Option<Wire>> {
    (0..processes).map(|_| None).collect()
}

/// Meets the others, and begins with them.
pub(super) fn meet(local: &Arc<Local>, hopeless: Hopeless<'_>) -> Result<Met, String> {
    let processes = local.hosts.processes.len();
    let mut control = no_connections(processes);
    let met = if local.index == 0 {
        local.attempt.set(hello::nonce()?).unwrap_or(());
        meet_as_coordinator(local, &mut control, hopeless)
    } else {
        meet_as_peer(local, &mut control, hopeless)
    };
    match met {
        Ok((data_channels, begin)) => Ok(Met { control, data_channels, begin }),
        Err(why) => {
            if local.index == 0 {
                send_all(&mut control, &Message::End(why.clone())).unwrap_or(());
            }
            Err(why)
        }
    }
}

type Linked = (Vec<Option<Wire>>, u64);

fn meet_as_coordinator(
    local: &Arc<Local>,
    control: &mut [Option<Wire>],
    hopeless: Hopeless<'_>,
) -> Result<Linked, String> {
    let listener = Listener::open(local)?;
    let waiting = Waiting { local, deadline: Deadline::after(local.hosts.wait), hopeless };
    waiting.fill(&listener, Purpose::Control, control, 1)?;
    local.complete.store(true, SeqCst);
    send_all(control, &Message::Meet)?;
    let mut data_channels = no_connections(control.len());
    let waiting = Waiting { local, deadline: Deadline::after(MEETING.max(local.hosts.wait)), hopeless };
    waiting.fill(&listener, Purpose::Data, &mut data_channels, 1)?;
    for (index, line) in control.iter_mut().enumerate() {
        if let Some(line) = line {
            waiting.expect(line, index, &Message::Met)?;
        }
    }
    drop(listener);
    send_all(control, &Message::Begin)?;
    Ok((data_channels, local.begin))
}

fn meet_as_peer(
    local: &Arc<Local>,
    control: &mut [Option<Wire>],
    hopeless: Hopeless<'_>,
) -> Result<Linked, String> {
    let processes = control.len();
    let last = local.index + 1 >= processes;
    let listener = if last { None } else { Some(Listener::open(local)?) };
    let waiting = Waiting { local, deadline: Deadline::after(local.hosts.wait), hopeless };
    let (mut line, answer) = waiting.call(0, Purpose::Control)?;
    local.attempt.set(answer.attempt).unwrap_or(());
    waiting.expect(&mut line, 0, &Message::Meet)?;
    let waiting = Waiting { local, deadline: Deadline::after(MEETING.max(local.hosts.wait)), hopeless };
    let mut data_channels = no_connections(processes);
    for (to, data_channel) in data_channels.iter_mut().enumerate().take(local.index) {
        *data_channel = Some(waiting.call(to, Purpose::Data)?.0);
    }
    if let Some(listener) = listener {
        waiting.fill(&listener, Purpose::Data, &mut data_channels, local.index + 1)?;
    }
    let failed = |e: std::io::Error| format!("{}: {e}", local.hosts.called(0));
    Message::Met.frame().write(&mut line.until(waiting.deadline)).map_err(failed)?;
    waiting.expect(&mut line, 0, &Message::Begin)?;
    if let Some(place) = control.first_mut() {
        *place = Some(line);
    }
    Ok((data_channels, answer.begin))
}

fn send_all(control: &mut [Option<Wire>], message: &Message) -> Result<(), String> {
    let frame = message.frame();
    let mut failed = Ok(());
    for line in control.iter_mut().flatten() {
        let said = frame.write(&mut line.until(Deadline::after(PATIENCE)));
        failed = failed.and(said.map_err(|e| format!("a process was lost before the run began: {e}")));
    }
    failed
}

struct Waiting<'a> {
    local: &'a Local,
    deadline: Deadline,
    hopeless: Hopeless<'a>,
}

impl Waiting<'_> {
    fn check_hopeless(&self) -> Result<(), String> {
        (self.hopeless)().map_or(Ok(()), Err)
    }

    /// Waits at the listener until every process from `first` on has come for this purpose.
    fn fill(
        &self,
        listener: &Listener,
        purpose: Purpose,
        places: &mut [Option<Wire>],
        first: usize,
    ) -> Result<(), String> {
        let mut tell = Some(Deadline::after(LOG_AFTER));
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
            self.check_hopeless()?;
            match listener.arrivals.recv_timeout(POLL_INTERVAL) {
                Ok(Arrival::Came(what, index, wire)) if what == purpose => {
                    // A process that calls to the coordinator again has lost its first control channel: the new one counts.
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
            _ => Err(format!("{called} sent an unexpected message")),
        }
    }

    /// Calls another process until it answers.
    fn call(&self, to: usize, purpose: Purpose) -> Result<(Wire, Answer), String> {
        let called = self.local.hosts.called(to);
        let mut last = "no process listens there".to_owned();
        let (mut tell, mut pause) = (Some(Deadline::after(LOG_AFTER)), PAUSE);
        while self.deadline.left().is_some() {
            self.check_hopeless()?;
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
