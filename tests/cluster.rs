//! Whole pipelines in several processes of this machine: the same digests and adapters as in one; and what happens when one of the
//! processes falls, hangs, or was started with something else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod site;
#[cfg(feature = "train")]
mod talk;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use serde_json::Value;
use site::Site;

const HOUSE: &str = env!("CARGO_MANIFEST_DIR");

/// Workers of one process; processes and workers of each.
const TOPOLOGIES: [&[&str]; 5] = [
    &["--workers", "1"],
    &["--workers", "2"],
    &["--workers", "3"],
    &["--processes", "2"],
    &["--processes", "2", "--workers", "2"],
];

impl Site {
    /// A path as a pipeline file has it.
    fn shown(&self, name: &str) -> String {
        format!("'{}'", self.path(name).display())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// The program; what it says is kept.
    fn headwater(&self, verb: &[&str]) -> Command {
        let mut command = self.command(verb);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a pipeline to its end; gives its summary.
    fn run(&self, pipeline: &Path, more: &[&str]) -> Value {
        let summary = self.path("summary.json");
        let mut command = self.headwater(&["run"]);
        let output = command
            .arg(pipeline)
            .args(["--quiet", "--fresh", "--yes", "--summary"])
            .arg(&summary)
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{more:?}: {}", printed(&output));
        serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap()
    }
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What does not depend on who ran it: digests, and rows by stage.
fn results(summary: &Value) -> (Value, Vec<(String, Value, Value, Value)>) {
    let stages = summary["stages"].as_object().unwrap();
    let rows = |(id, s): (&String, &Value)| {
        (id.clone(), s["rows_in"].clone(), s["rows_out"].clone(), s["rejected"].clone())
    };
    (summary["digest"].clone(), stages.iter().map(rows).collect())
}

/// Talk of people, of which some lines hold what must be redacted.
fn talk(rows: usize) -> String {
    let line = |n: usize| {
        let text = format!("call {} on 555-01{:02} about order {n}", ["Ann", "Bo", "Cy"][n % 3], n % 100);
        let at = format!("2026-03-02T08:{:02}:{:02}Z", n / 60, n % 60);
        format!("{{\"device\": \"device-{}\", \"captured_at\": \"{at}\", \"text\": \"{text}\"}}\n", n % 7)
    };
    (0..rows).map(line).collect()
}

fn text_pipeline(site: &Site, rows: usize) -> PathBuf {
    site.write("talk.jsonl", &talk(rows));
    let (talk, vault) = (site.shown("talk.jsonl"), site.shown("vault"));
    let text = format!(
        "[pipeline]\nname = 'talk'\nepoch = {{ rows = 50 }}\n
         [stage.talk]\ntype = 'capture'\npath = {talk}\n
         [stage.redact]\ntype = 'redact'\nfrom = 'talk'\n
         [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = {vault}\n"
    );
    site.write("talk.toml", &text)
}

#[test]
fn text_gives_the_same_digests_in_one_process_and_in_several() {
    let site = Site::new();
    let pipeline = text_pipeline(&site, 2000);
    let mut expected = None;
    for topology in TOPOLOGIES {
        let _ = std::fs::remove_dir_all(site.path("vault"));
        let summary = site.run(&pipeline, topology);
        let processes = if topology[0] == "--processes" { 2 } else { 1 };
        assert_eq!(summary["processes"], processes);
        assert_eq!(summary["stages"]["vault"]["figures"]["new_rows"], 2000, "{topology:?}");
        let found = results(&summary);
        assert_eq!(*expected.get_or_insert_with(|| found.clone()), found, "{topology:?}");
    }
}

#[test]
fn the_quickstart_hears_the_same_in_several_processes() {
    let site = Site::new();
    let recordings = site.path("recordings");
    std::fs::create_dir(&recordings).unwrap();
    let voice = Path::new(HOUSE).join("datasets/voice/kitchen");
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(&voice).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    let is_sound = |path: &&PathBuf| {
        path.extension().is_some_and(|e| ["wav", "flac", "ogg", "mp3"].iter().any(|x| e == *x))
    };
    let sounds: Vec<&PathBuf> = found.iter().filter(is_sound).take(4).collect();
    assert_eq!(sounds.len(), 4, "recordings of the kitchen");
    for sound in sounds {
        std::fs::copy(sound, recordings.join(sound.file_name().unwrap())).unwrap();
    }
    let heard = |state: &str, topology: &[&str]| {
        let params = [
            "--param".to_owned(),
            format!("recordings={}", recordings.display()),
            "--param".to_owned(),
            format!("state={}", site.path(state).display()),
        ];
        let more: Vec<&str> = params.iter().map(String::as_str).chain(topology.iter().copied()).collect();
        results(&site.run(Path::new("pipelines/quickstart.toml"), &more))
    };
    let expected = heard("one", TOPOLOGIES[0]);
    assert!(expected.1.iter().any(|(id, rows, ..)| id == "vault" && rows.as_u64().unwrap() >= 4));
    assert_eq!(heard("two", TOPOLOGIES[3]), expected);
    assert_eq!(heard("four", TOPOLOGIES[4]), expected);
}

/// A short loop on slm-nano: talk of eight devices, two rounds.
#[cfg(feature = "train")]
#[test]
fn a_loop_learns_the_same_adapter_in_several_processes() {
    let site = Site::new();
    site.write("talk.jsonl", &talk::Conversation::of(8).rounds(2, 4));
    let (talk, published, adapters) =
        (site.shown("talk.jsonl"), site.shown("adapters"), site.path("adapters"));
    let pipeline = site.write(
        "loop.toml",
        &format!(
            "[pipeline]\nname = 'loop'\nepoch = {{ rows = 8 }}\nround = {{ rows = 32 }}\nwindow = 8\n
             [members]\ntable = 'datasets/personal/members.csv'\n
             [stage.talk]\ntype = 'capture'\npath = {talk}\ncolumns = ['split']\n
             [stage.redact]\ntype = 'redact'\nfrom = 'talk'\nmax_hold = '0s'\n
             [stage.train]\ntype = 'train'\nfrom = 'redact'\nfeedback = 'global.adapter'\n\
             model = 'datasets/models/slm-nano'\nlr = 0.02\nr = 4\ngroups = 3\npublish = {published}\n
             [stage.small]\ntype = 'compress'\nfrom = 'train.update'\nratio = 0.2\n
             [stage.gateway]\ntype = 'aggregate'\nfrom = 'small'\nby = 'gateway'\n
             [stage.global]\ntype = 'aggregate'\nfrom = 'gateway'\n"
        ),
    );
    let trained = |topology: &[&str]| {
        let _ = std::fs::remove_dir_all(&adapters);
        let summary = site.run(&pipeline, topology);
        let rounds: Vec<Value> = summary["rounds"].as_array().unwrap().clone();
        let printed = |name: &str| rounds.iter().map(|round| round[name].clone()).collect::<Vec<_>>();
        assert_eq!(printed("devices"), [8, 8], "{topology:?}");
        assert_eq!(std::fs::read_dir(&adapters).unwrap().count(), 2 + 3, "{topology:?}");
        (summary["adapter_sha256"].clone(), printed("examples"), printed("upload_bytes"), printed("tiers"))
    };
    let expected = trained(TOPOLOGIES[0]);
    assert!(expected.0.is_string());
    for topology in &TOPOLOGIES[3..] {
        assert_eq!(trained(topology), expected, "{topology:?}");
    }
}

/// A pipeline that goes on until its standard input ends.
fn endless(site: &Site) -> PathBuf {
    let vault = site.shown("vault");
    let text = format!(
        "[pipeline]\nname = 'endless'\nepoch = {{ rows = 1 }}\n
         [stage.talk]\ntype = 'capture'\npath = '-'\n
         [stage.redact]\ntype = 'redact'\nfrom = 'talk'\n
         [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = {vault}\n"
    );
    site.write("endless.toml", &text)
}

/// Home of two processes at work, and the pid of the other one.
struct AtWork {
    home: Child,
    log: BufReader<ChildStderr>,
    other: i32,
}

fn at_work(site: &Site) -> AtWork {
    let mut command = site.headwater(&["--log-level", "info", "run"]);
    command.arg(endless(site)).args(["--quiet", "--processes", "2"]).stdin(Stdio::piped());
    let mut home = command.spawn().unwrap();
    let mut log = BufReader::new(home.stderr.take().unwrap());
    let other = pid_in(&mut log);
    let input = home.stdin.as_mut().unwrap();
    input.write_all(b"{\"device\": \"hall\", \"text\": \"hello\"}\n").unwrap();
    wait_for(&mut log, "the cluster stands");
    AtWork { home, log, other }
}

/// The pid that home logs when it starts the other process.
fn pid_in(log: &mut BufReader<ChildStderr>) -> i32 {
    let line = wait_for(log, "pid=");
    let pid = line.split("pid=").nth(1).unwrap();
    pid.split_whitespace().next().unwrap().parse().unwrap()
}

fn wait_for(log: &mut BufReader<ChildStderr>, what: &str) -> String {
    let mut all = String::new();
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "`{what}` was not logged:\n{all}");
        if line.contains(what) {
            return line;
        }
        all += &line;
    }
}

fn signal(pid: i32, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// The exit code of home, and what it printed.
fn ended(mut at_work: AtWork) -> (Option<i32>, String) {
    let mut rest = String::new();
    at_work.log.read_to_string(&mut rest).unwrap();
    (at_work.home.wait().unwrap().code(), rest)
}

#[test]
fn a_process_that_falls_or_hangs_ends_the_run_by_its_name() {
    use rustix::process::Signal;
    let site = Site::new();
    for (sent, expected) in [
        (Signal::KILL, "was lost"),
        (Signal::STOP, "it has been silent for 3 s: it hangs, or cannot be reached"),
    ] {
        let at_work = at_work(&site);
        let other = at_work.other;
        signal(other, sent);
        let (code, printed) = ended(at_work);
        assert_eq!(code, Some(3), "{printed}");
        let named = format!("error: [cluster]: process 1 (`process-1`): {expected}");
        assert!(printed.contains(&named), "{printed}, expected {named}");
        assert!(!printed.contains("panicked"), "{printed}");
        let pid = rustix::process::Pid::from_raw(other).unwrap();
        assert!(rustix::process::test_kill_process(pid).is_err(), "process 1 is still there");
    }
}

#[test]
fn processes_end_when_home_falls() {
    let site = Site::new();
    let (mut home, mut other) = pair(&site, &[], &[]);
    let mut log = BufReader::new(home.stderr.take().unwrap());
    wait_for(&mut log, "the cluster stands");
    home.kill().unwrap();
    home.wait().unwrap();
    let mut printed = String::new();
    other.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
    assert_eq!(other.wait().unwrap().code(), Some(3), "{printed}");
    assert!(printed.contains("error: [cluster]: process 0 (`home`): was lost"), "{printed}");
}

/// Two processes that are started by hand, over sockets.
fn pair(site: &Site, at_home: &[&str], elsewhere: &[&str]) -> (Child, Child) {
    let hosts = site.write(
        "hosts.toml",
        "wait = '30s'\n[[process]]\nname = 'home'\naddress = 'unix:home.sock'\n
         [[process]]\nname = 'west'\naddress = 'unix:west.sock'\n",
    );
    let pipeline = endless(site);
    let start = |index: &str, more: &[&str]| {
        let mut command = site.headwater(&["--log-level", "info", "run"]);
        command.arg(&pipeline).arg("--hosts").arg(&hosts).args(["--quiet", "--process", index]).args(more);
        command.stdin(Stdio::piped()).spawn().unwrap()
    };
    (start("0", at_home), start("1", elsewhere))
}

#[test]
fn a_difference_is_named_with_both_sides() {
    let site = Site::new();
    let (home, west) = pair(&site, &[], &["--set", "stage.vault.level=5"]);
    for process in [home, west] {
        let output = process.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        let printed = printed(&output);
        for expected in [
            "process 1 (`west`) would run something else",
            "set stage.vault.level: process 0 (`home`) has nothing, process 1 (`west`) has 5",
        ] {
            assert!(printed.contains(expected), "{printed}");
        }
    }
}

#[test]
fn two_processes_meet_over_tls_with_certificates_of_their_own() {
    let site = Site::new();
    let pipeline = text_pipeline(&site, 500);
    let expected = results(&site.run(&pipeline, TOPOLOGIES[0]));
    let ports: Vec<_> = (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let process = |(name, port): (&str, &std::net::TcpListener)| {
        format!("[[process]]\nname = '{name}'\naddress = '{}'\n", port.local_addr().unwrap())
    };
    let text: String = ["home", "west"].into_iter().zip(&ports).map(process).collect();
    let hosts = site.write("hosts.toml", &text);
    drop(ports);
    let verb = |args: &[&str]| site.headwater(&["cluster"]).args(args).arg(&hosts).output().unwrap();
    assert_eq!(verb(&["check"]).status.code(), Some(1), "there are no certificates yet");
    let made = verb(&["certs", "--days", "90"]);
    assert!(
        made.status.success() && printed(&made).contains("west.pem, for `west`, until 20"),
        "{}",
        printed(&made)
    );
    let checked = verb(&["check"]);
    assert!(checked.status.success() && printed(&checked).contains("(90 days)"), "{}", printed(&checked));
    let mut west = site.headwater(&["run"]);
    west.arg(&pipeline).arg("--hosts").arg(&hosts).args(["--process", "1", "--quiet"]);
    let west = west.spawn().unwrap();
    let hosts = hosts.display().to_string();
    let summary = site.run(&pipeline, &["--hosts", &hosts, "--process", "0"]);
    assert_eq!(results(&summary), expected);
    let west = west.wait_with_output().unwrap();
    assert!(west.status.success(), "{}", printed(&west));
    assert!(!site.path("state/talk/quarantine").exists());
}

#[test]
fn a_supervised_run_begins_again_until_it_is_through() {
    let stored = |site: &Site| {
        let digest = site.headwater(&["store", "digest"]).arg(site.path("vault")).output().unwrap();
        assert!(digest.status.success(), "{}", printed(&digest));
        digest.stdout
    };
    let site = Site::new();
    site.run(&text_pipeline(&site, 2000), TOPOLOGIES[0]);
    let expected = stored(&site);
    let site = Site::new();
    let pipeline = text_pipeline(&site, 2000);
    let mut command = site.headwater(&["--log-level", "info", "run"]);
    command.arg(&pipeline).args(["--quiet", "--processes", "2", "--supervise", "--fresh", "--yes"]);
    let mut run = command.spawn().unwrap();
    let mut log = BufReader::new(run.stderr.take().unwrap());
    // The first life loses a process before it begins, or while it runs.
    signal(pid_in(&mut log), rustix::process::Signal::KILL);
    wait_for(&mut log, "restarting");
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(run.wait().unwrap().success(), "{rest}");
    assert_eq!(stored(&site), expected);
}

#[test]
fn a_supervised_run_that_falls_again_and_again_ends() {
    let site = Site::new();
    let mut command = site.headwater(&["--log-level", "info", "run"]);
    command.arg(text_pipeline(&site, 20_000)).args([
        "--processes",
        "2",
        "--quiet",
        "--supervise",
        "--restarts",
        "1",
    ]);
    let mut run = command.spawn().unwrap();
    let mut log = BufReader::new(run.stderr.take().unwrap());
    for _ in 0..2 {
        signal(pid_in(&mut log), rustix::process::Signal::KILL);
    }
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(3), "{rest}");
    assert!(rest.contains("attempt 1 crashed; not restarted: it keeps crashing"), "{rest}");
}

#[test]
fn what_keeps_files_beside_the_stage_is_refused_by_name() {
    let site = Site::new();
    site.write("talk.jsonl", &talk(10));
    let talk = site.shown("talk.jsonl");
    let pipeline = site.write(
        "own.toml",
        &format!(
            "[pipeline]\nname = 'own'\n
             [stage.talk]\ntype = 'capture'\npath = {talk}\n
             [stage.redact]\ntype = 'redact'\nfrom = 'talk'\n
             [stage.train]\ntype = 'train'\nfrom = 'redact'\nmodel = 'datasets/models/slm-nano'\npersonal = true\n"
        ),
    );
    let output = site.headwater(&["run"]).arg(pipeline).args(["--processes", "2"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let printed = printed(&output);
    let expected = if cfg!(feature = "train") {
        "stage `train`: `personal` keeps files in the state folder"
    } else {
        "train"
    };
    assert!(printed.contains(expected), "{printed}");
}
