//! A supervised life that hangs: it is ended, the next one follows, and takes in what is piped in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod site;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use site::Site;

/// How long it may take before it counts as hung for good. Nothing else depends on it.
const HUNG: Duration = Duration::from_mins(2);

/// The process that a process has started.
fn child_of(pid: u32) -> Option<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok().and_then(Pid::from_raw)
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < HUNG, "it never comes");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_life_that_hangs_is_ended_and_followed() {
    let site = Site::new();
    let pipeline = site.path("talk.toml");
    let text = format!(
        "[pipeline]\nname = 'talk'\n
         [stage.talk]\ntype = 'capture'\npath = '-'\n
         [stage.redact]\ntype = 'redact'\nfrom = 'talk'\n
         [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = '{}'\n",
        site.path("vault").display()
    );
    std::fs::write(&pipeline, text).unwrap();
    let mut command = site.command(&["run", "--supervise", "--quiet"]);
    let mut run = command.arg(&pipeline).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = run.stdin.take().unwrap();
    let mut log = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    // Its first heartbeat was sent before that.
    until(|| site.path("state/talk/commits").exists().then_some(()));
    let attempt = until(|| child_of(run.id()));
    kill_process(attempt, Signal::STOP).unwrap();
    let crash = log.find(|line| line.contains("restarting")).unwrap();
    assert!(crash.contains("the run crashed: it was silent for 5 s, and was ended"), "{crash}");
    for n in 0..100 {
        writeln!(input, "{{\"device\": \"hall\", \"text\": \"order {n}\"}}").unwrap();
    }
    drop(input);
    let rest: Vec<String> = log.collect();
    assert!(run.wait().unwrap().success(), "{rest:?}");
    let stat = site.command(&["store", "stat"]).arg(site.path("vault")).output().unwrap();
    let stat = String::from_utf8(stat.stdout).unwrap();
    assert!(stat.starts_with("rows      100\n"), "{stat}");
}
