//! The hello on a fresh connection: who calls, for what, in which generation, and whether both are about to run the same.
//!
//! In: a connection on which TLS has done its part. Out: whose it is, or why it is refused. The one that was called speaks first, with
//! a nonce that the hello gives back: what was recorded on another connection is good for nothing. It must not know what
//! becomes of the connection.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::facts::Facts;
use super::frame::Frame;
use super::hosts::Hosts;
use super::message::{Answer, Hello, Message, Nonce, Purpose, Verdict};
use super::stream::{Deadline, Wire};
use super::tls::Tls;

/// What this process says of itself, and whom it knows.
pub(super) struct Local {
    pub(super) hosts: Arc<Hosts>,
    pub(super) index: usize,
    pub(super) facts: Facts,
    pub(super) mixed_cpus: bool,
    /// The epoch that the run begins with: home's word.
    pub(super) begin: u64,
    /// Nothing on sockets of this machine.
    pub(super) tls: Option<Tls>,
    /// Drawn by home, told to the others.
    pub(super) generation: OnceLock<Nonce>,
    /// Whether everybody was there: nobody joins any more.
    pub(super) complete: AtomicBool,
    /// Processes whose link to this one stands.
    pub(super) linked: Mutex<BTreeSet<usize>>,
}

/// Why a caller is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is none of the cluster, or has no business here: it is sent away, and nothing else happens.
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

/// Hears out whoever called.
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
        return Err(stranger("what came is no hello".into()));
    };
    let judged = wire_carries(wire, local, &hello).and_then(|()| judge(local, &hello, nonce));
    let verdict = match &judged {
        Ok(()) => Verdict::Welcome,
        Err(Refusal::Early(why)) => Verdict::Later(why.clone()),
        Err(Refusal::Stranger(why) | Refusal::Differs(why)) => Verdict::Refused(why.clone()),
    };
    // Only who is welcome hears which generation this is.
    let welcome = verdict == Verdict::Welcome;
    let generation = local.generation.get().copied().filter(|_| welcome).unwrap_or_default();
    let answer = Answer { verdict, from: local.index, generation, echo: hello.nonce, begin: local.begin };
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
        return stranger(format!("process {} is none of this cluster", hello.from));
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
        Purpose::Line => judge_line(local, hello, &called),
        Purpose::Link => judge_link(local, hello, &called),
    }
}

/// Lines go to home, before the generation begins.
fn judge_line(local: &Local, hello: &Hello, called: &str) -> Result<(), Refusal> {
    if local.index != 0 || hello.from == 0 {
        return Err(Refusal::Stranger(format!("{called} wants a line, which only home has with the others")));
    }
    if hello.generation != Nonce::default() {
        return Err(Refusal::Stranger(format!("{called} belongs to another generation")));
    }
    if local.complete.load(SeqCst) {
        return Err(Refusal::Stranger(format!("{called} comes when the generation has begun")));
    }
    let (here, there) = (local.hosts.called(0), local.hosts.called(hello.from));
    let differences = local.facts.differences(&here, &hello.facts, &there, local.mixed_cpus);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Refusal::Differs(format!("{called} would run something else\n  {}", differences.join("\n  "))))
}

/// Links are made once the generation is known, each from the later process to the earlier one.
fn judge_link(local: &Local, hello: &Hello, called: &str) -> Result<(), Refusal> {
    let Some(generation) = local.generation.get() else {
        return Err(Refusal::Early("this process does not know its generation yet".into()));
    };
    if hello.generation != *generation {
        return Err(Refusal::Stranger(format!("{called} belongs to another generation")));
    }
    if hello.from <= local.index {
        return Err(Refusal::Stranger(format!("{called} is to be called, and calls")));
    }
    if !local.linked.lock().unwrap_or_else(PoisonError::into_inner).insert(hello.from) {
        return Err(Refusal::Stranger(format!("{called} is connected already")));
    }
    Ok(())
}

/// Says hello to another process; its answer.
pub(super) fn say(
    wire: &mut Wire,
    local: &Local,
    to: usize,
    purpose: Purpose,
    deadline: Deadline,
) -> Result<Answer, String> {
    let told = |e: &dyn std::fmt::Display| e.to_string();
    let frame = Frame::read(&mut wire.until(deadline)).map_err(|e| told(&e))?;
    let Some(Message::Greeting(echo)) = Message::of(&frame) else { return Err("it gave no greeting".into()) };
    let mine = nonce()?;
    let (generation, facts) = match purpose {
        Purpose::Line => (Nonce::default(), local.facts.clone()),
        Purpose::Link => (local.generation.get().copied().unwrap_or_default(), Facts::default()),
    };
    let name = local.hosts.processes.get(local.index).map(|host| host.name.clone()).unwrap_or_default();
    let hello = Hello { purpose, from: local.index, to, name, generation, echo, nonce: mine, facts };
    Message::Hello(hello).frame().write(&mut wire.until(deadline)).map_err(|e| told(&e))?;
    let frame = Frame::read(&mut wire.until(deadline)).map_err(|e| told(&e))?;
    let Some(Message::Answer(answer)) = Message::of(&frame) else { return Err("it gave no answer".into()) };
    if answer.echo != mine {
        return Err("its answer was made for another connection".into());
    }
    if answer.from != to {
        return Err(format!("process {} answers at its address: its hosts are others", answer.from));
    }
    if purpose == Purpose::Link && answer.verdict == Verdict::Welcome && answer.generation != generation {
        return Err("it belongs to another generation".into());
    }
    Ok(answer)
}
