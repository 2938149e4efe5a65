//! The hello on a fresh connection: who calls, for what, in which attempt, and whether both are about to run the same.
//!
//! In: a connection on which TLS has done its part. Out: whose it is, or why it is refused. The one that was called speaks first, with
//! a nonce that the hello gives back: what was recorded on another connection is good for nothing. It must not know what
//! becomes of the connection.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::fingerprint::Fingerprint;
use super::frame::Frame;
use super::hosts::Hosts;
use super::message::{Answer, Hello, Message, Nonce, Purpose, Verdict};
use super::stream::{Deadline, Wire};
use super::tls::Tls;

/// This process and its cluster.
pub(super) struct Local {
    pub(super) hosts: Arc<Hosts>,
    pub(super) index: usize,
    pub(super) fingerprint: Fingerprint,
    pub(super) mixed_cpus: bool,
    /// The epoch that the run begins with: the coordinator's word.
    pub(super) begin: u64,
    /// Nothing on sockets of this machine.
    pub(super) tls: Option<Tls>,
    /// Drawn by the coordinator, sent to the peers.
    pub(super) attempt: OnceLock<Nonce>,
    /// True if the cluster is complete: no process joins any more.
    pub(super) complete: AtomicBool,
    /// Processes whose data channel to this one stands.
    pub(super) linked: Mutex<BTreeSet<usize>>,
}

/// Why a caller is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It does not belong to the cluster, or has no business here: it is refused, and nothing else happens.
    Stranger(String),
    /// It is too early for it.
    Early(String),
    /// It belongs here and would run something else: the cluster cannot begin.
    Differs(String),
}

/// Sixteen bytes from the operating system.
pub(super) fn nonce() -> Result<Nonce, String> {
    let mut nonce = Nonce::default();
    getrandom::fill(&mut nonce).map_err(|e| format!("no random numbers: {e}"))?;
    Ok(nonce)
}

/// Receives the hello of a caller.
pub(super) fn receive(
    wire: &mut Wire,
    local: &Local,
    deadline: Deadline,
) -> Result<(Purpose, usize), Refusal> {
    let stranger = |why: String| Refusal::Stranger(why);
    let nonce = nonce().map_err(stranger)?;
    let greeting = Message::Greeting(nonce).frame();
    greeting.write(&mut wire.until(deadline)).map_err(|e| stranger(e.to_string()))?;
    let frame = Frame::read(&mut wire.until(deadline)).map_err(|e| stranger(e.to_string()))?;
    let Some(Message::Hello(hello)) = Message::of(&frame) else {
        return Err(stranger("not a hello".into()));
    };
    let judged = wire_carries(wire, local, &hello).and_then(|()| judge(local, &hello, nonce));
    let verdict = match &judged {
        Ok(()) => Verdict::Welcome,
        Err(Refusal::Early(why)) => Verdict::Later(why.clone()),
        Err(Refusal::Stranger(why) | Refusal::Differs(why)) => Verdict::Refused(why.clone()),
    };
    // Only a welcome caller gets the attempt number.
    let welcome = verdict == Verdict::Welcome;
    let attempt = local.attempt.get().copied().filter(|_| welcome).unwrap_or_default();
    let answer = Answer { verdict, from: local.index, attempt, echo: hello.nonce, begin: local.begin };
    let sent = Message::Answer(answer).frame().write(&mut wire.until(deadline));
    judged?;
    sent.map_err(|e| {
        // It did not hear that it is welcome, and will come again.
        local.linked.lock().unwrap_or_else(PoisonError::into_inner).remove(&hello.from);
        stranger(e.to_string())
    })?;
    Ok((hello.purpose, hello.from))
}

/// The certificate must carry the name that the hosts give the index.
fn wire_carries(wire: &Wire, local: &Local, hello: &Hello) -> Result<(), Refusal> {
    let Some(host) = local.hosts.processes.get(hello.from) else { return Ok(()) };
    let name = &host.name;
    wire.carries(name).map_err(|e| {
        Refusal::Stranger(format!("it calls itself `{name}`, and its certificate does not: {e}"))
    })
}

fn judge(local: &Local, hello: &Hello, nonce: Nonce) -> Result<(), Refusal> {
    let stranger = |why: String| Err(Refusal::Stranger(why));
    if hello.echo != nonce {
        return stranger("its hello was made for another connection: a replay".into());
    }
    let Some(host) = local.hosts.processes.get(hello.from) else {
        return stranger(format!("process {} is not part of this cluster", hello.from));
    };
    let called = local.hosts.called(hello.from);
    if hello.name != host.name {
        return stranger(format!("{called} calls itself `{}`: its hosts are others", hello.name));
    }
    if hello.to != local.index {
        let (meant, here) = (hello.to, local.hosts.called(local.index));
        return stranger(format!(
            "{called} means to call process {meant}, and this is {here}: its hosts are others"
        ));
    }
    match hello.purpose {
        Purpose::Control => judge_line(local, hello, &called),
        Purpose::Data => judge_link(local, hello, &called),
    }
}

/// Judges a control channel: it goes to the coordinator, before the attempt begins.
fn judge_line(local: &Local, hello: &Hello, called: &str) -> Result<(), Refusal> {
    if local.index != 0 || hello.from == 0 {
        return Err(Refusal::Stranger(format!(
            "{called} wants a control channel, which only the coordinator has with its peers"
        )));
    }
    if hello.attempt != Nonce::default() {
        return Err(Refusal::Stranger(format!("{called} belongs to another attempt")));
    }
    if local.complete.load(SeqCst) {
        return Err(Refusal::Stranger(format!("{called} comes when the attempt has begun")));
    }
    let (here, there) = (local.hosts.called(0), local.hosts.called(hello.from));
    let differences = local.fingerprint.differences(&here, &hello.fingerprint, &there, local.mixed_cpus);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Refusal::Differs(format!("{called} would run something else\n  {}", differences.join("\n  "))))
}

/// Judges a data channel: it is made once the attempt is known, each from the later process to the earlier one.
fn judge_link(local: &Local, hello: &Hello, called: &str) -> Result<(), Refusal> {
    let Some(attempt) = local.attempt.get() else {
        return Err(Refusal::Early("this process does not know its attempt yet".into()));
    };
    if hello.attempt != *attempt {
        return Err(Refusal::Stranger(format!("{called} belongs to another attempt")));
    }
    if hello.from <= local.index {
        return Err(Refusal::Stranger(format!("{called} is to be called, and calls")));
    }
    if !local.linked.lock().unwrap_or_else(PoisonError::into_inner).insert(hello.from) {
        return Err(Refusal::Stranger(format!("{called} is connected already")));
    }
    Ok(())
}

/// Sends the hello to another process, and returns its answer.
pub(super) fn say(
    wire: &mut Wire,
    local: &Local,
    to: usize,
    purpose: Purpose,
    deadline: Deadline,
) -> Result<Answer, String> {
    let failed = |e: &dyn std::fmt::Display| e.to_string();
    let frame = Frame::read(&mut wire.until(deadline)).map_err(|e| failed(&e))?;
    let Some(Message::Greeting(echo)) = Message::of(&frame) else { return Err("it gave no greeting".into()) };
    let mine = nonce()?;
    let (attempt, fingerprint) = match purpose {
        Purpose::Control => (Nonce::default(), local.fingerprint.clone()),
        Purpose::Data => (local.attempt.get().copied().unwrap_or_default(), Fingerprint::default()),
    };
    let name = local.hosts.processes.get(local.index).map(|host| host.name.clone()).unwrap_or_default();
    let hello = Hello { purpose, from: local.index, to, name, attempt, echo, nonce: mine, fingerprint };
    Message::Hello(hello).frame().write(&mut wire.until(deadline)).map_err(|e| failed(&e))?;
    let frame = Frame::read(&mut wire.until(deadline)).map_err(|e| failed(&e))?;
    let Some(Message::Answer(answer)) = Message::of(&frame) else { return Err("it gave no answer".into()) };
    if answer.echo != mine {
        return Err("its answer was made for another connection".into());
    }
    if answer.from != to {
        return Err(format!("process {} answers at its address: its hosts are others", answer.from));
    }
    if purpose == Purpose::Data && answer.verdict == Verdict::Welcome && answer.attempt != attempt {
        return Err("it belongs to another attempt".into());
    }
    Ok(answer)
}
