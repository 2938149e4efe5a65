//! The verb `tap`: rows of a run that goes on, raw ones only when that is said and written down; the run does not wait.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod site;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use site::Site;

/// How long it may take before it counts as hung. Nothing else depends on it.
const HUNG: Duration = Duration::from_mins(2);

impl Site {
    /// The program; what it says is kept.
    fn headwater(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A run that reads lines until it is stopped.
    fn run(&self, more: &[&str]) -> (Child, ChildStdin) {
        let file = self.path("talk.toml");
        let text = format!(
            "[pipeline]\nname = 'talk'\nepoch = {{ rows = 5 }}\n
             [stage.talk]\ntype = 'capture'\npath = '-'\n
             [stage.redact]\ntype = 'redact'\nfrom = 'talk'\nmax_hold = '0s'\n
             [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = '{}'\n",
            self.path("vault").display()
        );
        std::fs::write(&file, text).unwrap();
        let mut command = self.headwater(&[&["run", &file.display().to_string(), "--quiet"], more].concat());
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let lines = child.stdin.take().unwrap();
        let socket = self.path("state/talk/tap/socket");
        // The mode is set once the socket is bound, in a folder of the owner alone.
        let mode = |path: &Path| std::fs::metadata(path).ok().map(|found| found.permissions().mode() & 0o777);
        let begun = Instant::now();
        while mode(&socket) != Some(0o600) {
            assert!(child.try_wait().unwrap().is_none(), "the run goes on");
            assert!(begun.elapsed() < HUNG, "{:?}", mode(&socket));
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(mode(&self.path("state/talk/tap")), Some(0o700));
        (child, lines)
    }
}

fn talk(lines: &mut ChildStdin, from: usize, rows: usize) {
    for n in from..from + rows {
        writeln!(lines, "{{\"device\": \"hall\", \"text\": \"call 555-01{:02} about order {n}\"}}", n % 100)
            .unwrap();
    }
}

#[test]
fn rows_of_a_run_are_seen_and_raw_ones_only_when_asked_for() {
    let site = Site::new();
    let (mut run, mut lines) = site.run(&[]);
    let refused = |args: &[&str], expected: &str| {
        let output = site.headwater(args).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && printed.contains(expected), "{args:?}: {printed}");
    };
    refused(&["tap", "talk", "talk.out"], "--raw");
    refused(&["tap", "talk", "hear.out"], "redact.out");
    refused(&["tap", "stranger", "talk.out"], "there is `talk`");
    let file = site.path("talk.toml").display().to_string();
    let mut tap =
        site.headwater(&["tap", &file, "redact", "--json", "--limit", "3", "--sample", "2"]).spawn().unwrap();
    let mut printed = BufReader::new(tap.stderr.take().unwrap());
    let mut first = String::new();
    printed.read_line(&mut first).unwrap();
    assert_eq!(first, "redact.out: redacted rows\n");
    talk(&mut lines, 0, 10);
    let seen = tap.wait_with_output().unwrap();
    assert!(seen.status.success());
    let seen = String::from_utf8(seen.stdout).unwrap();
    let rows: Vec<serde_json::Value> = seen.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let texts: Vec<_> = rows.iter().map(|row| row["text"].as_str().unwrap()).collect();
    assert_eq!(
        texts,
        ["call <PHONE> about order 0", "call <PHONE> about order 2", "call <PHONE> about order 4"]
    );

    let mut raw = site.headwater(&["tap", "talk", "talk.out", "--raw", "--limit", "1"]).spawn().unwrap();
    let mut printed = BufReader::new(raw.stderr.take().unwrap());
    let mut first = String::new();
    printed.read_line(&mut first).unwrap();
    assert_eq!(first, "talk.out: raw rows\n");
    let audit = std::fs::read_to_string(site.path("state/audit.log")).unwrap();
    assert!(
        audit.contains("label exception") && audit.contains("talk.out"),
        "before a row is shown: {audit}"
    );
    talk(&mut lines, 10, 5);
    let seen = String::from_utf8(raw.wait_with_output().unwrap().stdout).unwrap();
    assert!(seen.starts_with("DEVICE") && seen.contains("555-0110"), "{seen}");

    // A client that does not read holds no stage up: the run ends, and says that it has done all.
    let mut idle = site.headwater(&["tap", "talk", "redact", "--rate", "100000"]).spawn().unwrap();
    talk(&mut lines, 15, 3000);
    drop(lines);
    assert!(run.wait().unwrap().success());
    let _ = idle.kill();
    idle.wait().unwrap();
    assert!(!site.path("state/talk/tap/socket").exists(), "the socket goes with the run");
    refused(&["tap", "talk", "redact"], "a run that goes on now");
}

const DEVICES: usize = 8;

/// Rows are redacted by device, so that each process has some: all of them are seen.
#[test]
fn rows_of_other_processes_are_seen() {
    let site = Site::new();
    let (mut run, mut lines) = site.run(&["--processes", "2"]);
    let mut tap = site.headwater(&["tap", "talk", "redact", "--json", "--rate", "100000"]).spawn().unwrap();
    let mut printed = BufReader::new(tap.stderr.take().unwrap());
    let mut first = String::new();
    printed.read_line(&mut first).unwrap();
    assert_eq!(first, "redact.out: redacted rows, those of other processes up to half a second later\n");
    let (sender, rows) = mpsc::channel();
    let shown = BufReader::new(tap.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in shown.lines() {
            let row: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            let _ = sender.send(row["text"].as_str().unwrap().to_owned());
        }
    });
    let mut order = |device: usize, text: &str| {
        writeln!(lines, "{{\"device\": \"device-{device}\", \"text\": \"{text} {device}\"}}").unwrap();
    };
    // The other process learns of the tap a while later: devices order until all of them are seen.
    let mut unseen: BTreeSet<String> = (0..DEVICES).map(|device| format!("probe {device}")).collect();
    while !unseen.is_empty() {
        (0..DEVICES).for_each(|device| order(device, "probe"));
        std::thread::sleep(Duration::from_millis(100));
        rows.try_iter().for_each(|text| {
            unseen.remove(&text);
        });
    }
    for round in 0..5 {
        (0..DEVICES).for_each(|device| order(device, &format!("order {round} of")));
    }
    let seen: Vec<String> = rows.iter().filter(|text| text.starts_with("order")).take(5 * DEVICES).collect();
    let expected =
        (0..5).flat_map(|round| (0..DEVICES).map(move |device| format!("order {round} of {device}")));
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected.collect());
    drop(lines);
    assert!(run.wait().unwrap().success());
    tap.wait().unwrap();
}
