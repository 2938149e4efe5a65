//! A run that is restarted when a process of it crashes.
//!
//! In: the arguments of this program. Out: the exit code of the last attempt. It must not know what runs: each attempt is a process of its
//! own, which picks up where the last one left off, as far as what it kept says.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use headwater_contract::{Boundedness, Role};
use headwater_runtime::instance::{Cause, Failure};
use headwater_runtime::plan::Plan;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::ClusterArgs;
use super::heartbeat::{HeartbeatListener, SILENCE};
use crate::exit::Exit;
use crate::log;

/// The first pause before a new attempt; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An attempt that was at least so long counts as one that stood: pauses and crashes are counted from 0 again.
const STOOD: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The flag of a supervised attempt.
const FLAG: &str = "--supervise";

/// Runs attempts until one ends by itself, or so many have crashed in a row; returns the exit code.
///
/// `crashed` is the number of attempts before, where an attempt that was not supervised asked to be followed.
pub(crate) fn run(restarts: u32, crashed: Option<u32>) -> Exit {
    let signals = Arc::new(AtomicUsize::new(0));
    if let Err(error) = count_signals(&signals) {
        eprintln!("error: signals cannot be caught: {error}");
        return Exit::Failed;
    }
    let mut hearing = match HeartbeatListener::begin() {
        Ok(hearing) => hearing,
        Err(error) => {
            eprintln!("error: no socket can be made by which an attempt says that it goes on: {error}");
            return Exit::Failed;
        }
    };
    let (mut generation, mut pause) = (crashed.unwrap_or(0), PAUSE);
    let mut crashed = generation;
    if crashed > restarts {
        eprintln!("error: not restarted: the limit of {restarts} restarts is reached");
        return Exit::Lost;
    }
    if crashed > 0 {
        std::thread::sleep(pause);
    }
    loop {
        let begun = Instant::now();
        let (status, hung) = match live(generation, &signals, &mut hearing) {
            Ok(ended) => ended,
            Err(error) => return failed(&error),
        };
        // A code that is none of ours is that of a panic.
        let exit = status.code().map(|code| Exit::of_code(code).unwrap_or(Exit::Failed));
        if let Some(exit) = exit.filter(|exit| *exit != Exit::Lost) {
            return exit;
        }
        let asked = signals.load(Relaxed) > 0;
        if begun.elapsed() >= STOOD {
            (crashed, pause) = (0, PAUSE);
        }
        crashed += 1;
        if asked || crashed > restarts {
            let why = if asked {
                "the run was stopped".to_owned()
            } else {
                format!("it keeps crashing, the limit of {restarts} restarts is reached")
            };
            eprintln!("error: attempt {generation} crashed; not restarted: {why}");
            return Exit::Lost;
        }
        let how = match status.signal() {
            _ if hung => format!(": it was silent for {} s, and was ended", SILENCE.as_secs()),
            Some(signal) => format!(" by signal {signal}"),
            None => String::new(),
        };
        generation += 1;
        tracing::warn!(
            generation,
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(0),
            "the run crashed{how}; restarting"
        );
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One attempt, from start to end, and whether it hung. Signals are passed on: the first drains, the second ends it at once.
fn live(
    generation: u32,
    signals: &AtomicUsize,
    hearing: &mut HeartbeatListener,
) -> std::io::Result<(ExitStatus, bool)> {
    hearing.next_life();
    // Attempts read on, one after the other, what is piped in. What is typed goes to the group in front, which no attempt is in.
    let input = if std::io::stdin().is_terminal() { Stdio::null() } else { Stdio::inherit() };
    let mut child = command(generation, &hearing.path())?.stdin(input).spawn()?;
    let (mut passed, mut hung) = (0, false);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, hung));
        }
        if !hung && hearing.is_silent() {
            hung = true;
            child.kill()?;
        }
        if signals.load(Relaxed) > passed {
            passed += 1;
            pass(&child);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn pass(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended just now.
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// This program with the same arguments, but for the flag. The terminal's signals come here alone.
fn command(generation: u32, heartbeat: &Path) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments()).arg(generation_flag(generation)).arg("--heartbeat").arg(heartbeat);
    command.process_group(0);
    Ok(command)
}

/// The arguments of this program, without what the supervisor adds and removes.
fn arguments() -> Vec<OsString> {
    let ours =
        |arg: &OsString| arg == FLAG || arg.to_str().is_some_and(|arg| arg.starts_with(&generation_flag("")));
    std::env::args_os().skip(1).filter(|arg| !ours(arg)).collect()
}

fn generation_flag(generation: impl std::fmt::Display) -> String {
    format!("--generation={generation}")
}

/// Returns true if an attempt that failed is to be followed, although it is not supervised: a later one may do better, and can be started
/// from here.
pub(super) fn may_go_on(failure: &Failure, plan: &Plan, cluster: &ClusterArgs) -> bool {
    let supervised = cluster.generation.is_some();
    let elsewhere = cluster.hosts.is_some();
    // What is typed goes to the group in front, which an attempt that is started from here is not.
    let live =
        |role: &Role| matches!(role, Role::Source(source) if source.boundedness() == Boundedness::Live);
    let typed = plan.stages.iter().any(|stage| live(&stage.role)) && std::io::stdin().is_terminal();
    failure.cause != Cause::Lasting && !supervised && !elsewhere && !typed
}

/// Goes on in the place of this process, supervised: nothing of the attempt that failed stays, whatever its threads do.
pub(super) fn go_on() -> Exit {
    tracing::warn!("the run goes on after its last commit");
    log::flush();
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return failed(&error),
    };
    failed(&Command::new(program).args(arguments()).arg(FLAG).arg(generation_flag(1)).exec())
}

fn failed(error: &std::io::Error) -> Exit {
    eprintln!("error: this program cannot be started again: {error}");
    Exit::Failed
}

fn count_signals(count: &Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let count = count.clone();
    let counting = move || {
        for _ in signals.forever() {
            count.fetch_add(1, Relaxed);
        }
    };
    std::thread::Builder::new().name("hw-signals".into()).spawn(counting).map(drop)
}
