//! A run that is started again when a process of it falls.
//!
//! In: the arguments of this program. Out: the exit code of the last life. It must not know what runs: each life is a process of its
//! own, which picks up where the last one left off, as far as what it kept says.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{FAILED, FELL};

/// The first pause before a new life; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A life that was at least so long counts as one that stood: pauses and falls are counted anew.
const STOOD: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(50);

/// The flag that this verb is told by.
const FLAG: &str = "--supervise";

/// Runs lives until one ends by itself, or so many have fallen in a row; gives the exit code.
pub(crate) fn run(restarts: u32) -> u8 {
    let signals = Arc::new(AtomicUsize::new(0));
    if let Err(error) = count_signals(&signals) {
        eprintln!("error: signals cannot be caught: {error}");
        return FAILED;
    }
    let (mut fallen, mut pause, mut generation) = (0, PAUSE, 0);
    loop {
        let begun = Instant::now();
        let status = match live(generation, &signals) {
            Ok(status) => status,
            Err(error) => {
                eprintln!("error: this program cannot be started again: {error}");
                return FAILED;
            }
        };
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        if code.is_some_and(|code| code != FELL) {
            return code.unwrap_or(FAILED);
        }
        let asked = signals.load(Relaxed) > 0;
        if begun.elapsed() >= STOOD {
            (fallen, pause) = (0, PAUSE);
        }
        fallen += 1;
        if asked || fallen > restarts {
            let why = if asked { "it was to stop" } else { "it falls again and again" };
            eprintln!(
                "error: generation {generation} fell, and is not started again: {why} ({restarts} restarts are allowed)"
            );
            return FELL;
        }
        let how = status.signal().map(|signal| format!(" by signal {signal}")).unwrap_or_default();
        generation += 1;
        tracing::warn!(
            generation,
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(0),
            "the run fell{how}; it is started again"
        );
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One life, from start to end. Signals are passed on: the first drains, the second ends it at once.
fn live(generation: u32, signals: &AtomicUsize) -> std::io::Result<ExitStatus> {
    let mut child = command(generation)?.spawn()?;
    let mut passed = 0;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if signals.load(Relaxed) > passed {
            passed += 1;
            pass(&child);
        }
        std::thread::sleep(LOOK);
    }
}

fn pass(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended just now.
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// This program with the same arguments, but for the flag. The terminal's signals come here alone, and the standard input could
/// not be read a second time.
fn command(generation: u32) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    let arguments: Vec<OsString> = std::env::args_os().skip(1).filter(|arg| arg != FLAG).collect();
    command.args(arguments).arg(format!("--generation={generation}"));
    command.stdin(Stdio::null()).process_group(0);
    Ok(command)
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
