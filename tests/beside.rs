//! Beside a pipeline that runs: its store and its state are read, what it writes to is not taken from it, and its rows come into
//! segments without the input's end. A clean stop leaves nothing in the log; then all of it gets another root key, and goes on. A state
//! that is dropped loses no row in silence.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod site;

use std::io::Write;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use site::Site;

/// How long something may take before it counts as hung. Nothing else depends on it.
const HUNG: Duration = Duration::from_mins(1);

struct Place(Site);

impl Place {
    /// A pipeline that reads lines of text from the standard input; the redactor holds nothing back.
    fn new(more: &str) -> Place {
        Place::holding("0s", more)
    }

    /// The same, with a redactor that holds rows back.
    fn holding(hold: &str, more: &str) -> Place {
        let site = Site::new();
        let text = format!(
            "[pipeline]\nname = 'notes'\nepoch = {{ rows = 2 }}\ncommit = {{ epochs = 1 }}\n
             [stage.notes]\ntype = 'capture'\npath = '-'\nformat = 'jsonl'\n
             [stage.redact]\ntype = 'redact'\nfrom = 'notes'\nmax_hold = '{hold}'\n
             [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = '{}'\n{more}",
            site.path("vault").display()
        );
        std::fs::write(site.path("notes.toml"), text).unwrap();
        Place(site)
    }

    fn at(&self, name: &str) -> String {
        self.0.path(name).display().to_string()
    }

    fn run(&self, more: &[&str]) -> Child {
        let mut command = self.0.command(&["run", &self.at("notes.toml"), "--quiet"]);
        command
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn headwater(&self, args: &[&str]) -> Output {
        self.0.command(args).output().unwrap()
    }

    /// Runs a verb: its code, and all that it says must hold these.
    fn check(&self, args: &[&str], code: i32, parts: &[&str]) {
        let output = self.headwater(args);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{said}");
        for part in parts {
            assert!(said.contains(part), "{args:?}: no {part:?} in\n{said}");
        }
    }

    /// Waits until a verb says something.
    fn wait_for(&self, args: &[&str], part: &str) {
        let since = Instant::now();
        loop {
            let said = String::from_utf8(self.headwater(args).stdout).unwrap();
            if said.contains(part) {
                return;
            }
            assert!(since.elapsed() < HUNG, "{args:?} never says {part:?}:\n{said}");
        }
    }
}

fn say(run: &mut Child, seqs: std::ops::Range<u64>) {
    let stdin = run.stdin.as_mut().unwrap();
    for seq in seqs {
        let device = ["hall", "loft"][usize::from(seq % 2 == 1)];
        writeln!(
            stdin,
            "{}",
            serde_json::json!({ "device": device, "text": format!("tea number {seq} is ready.") })
        )
        .unwrap();
    }
    stdin.flush().unwrap();
}

/// A line that is no row: it goes to the quarantine.
fn mumble(run: &mut Child) {
    writeln!(run.stdin.as_mut().unwrap(), "no row at all").unwrap();
}

fn stop(mut run: Child) {
    let stdin = run.stdin.take();
    rustix::process::kill_process(rustix::process::Pid::from_child(&run), rustix::process::Signal::TERM)
        .unwrap();
    let output = run.wait_with_output().unwrap();
    drop(stdin);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_running_store_is_read_and_a_clean_stop_seals() {
    let place = Place::new("seal_every = '100ms'\n");
    let vault = place.at("vault");
    let mut run = place.run(&[]);
    say(&mut run, 0..4);
    // The input goes on, and no further epoch comes: the clock alone brings the rows into segments.
    place.wait_for(&["store", "ls", &vault], "4 rows of 2 devices");
    place.check(&["store", "cat", &vault], 0, &["tea number 3"]);
    place.check(&["store", "stat", &vault], 0, &["rows      4"]);
    place.check(&["store", "verify", &vault], 0, &["0 problems"]);
    place.check(&["store", "key", &vault], 0, &["It holds no key"]);
    place.wait_for(&["state", "show", "notes"], "stage      vault");
    place.check(&["state", "verify", "notes"], 0, &["frames"]);
    place.check(
        &["store", "compact", &vault],
        2,
        &["joins small segments by itself", "stop the pipeline first"],
    );
    place.check(
        &["key", "rotate", "notes"],
        2,
        &["is in use by process", "nothing was changed", "stop the pipeline"],
    );
    place.check(&["key", "show"], 0, &["root key"]);
    stop(run);
    place.check(&["store", "ls", &vault], 0, &["4 rows of 2 devices", "0 rows in the log"]);
}

#[test]
fn a_stop_seals_what_no_clock_has() {
    let place = Place::new("seal_every = '10h'\n");
    let vault = place.at("vault");
    let mut run = place.run(&[]);
    say(&mut run, 0..6);
    place.wait_for(&["store", "ls", &vault], "6 rows in the log");
    let digest = place.headwater(&["store", "digest", &vault]).stdout;
    stop(run);
    place.check(&["store", "ls", &vault], 0, &["6 rows of 2 devices", "0 rows in the log"]);
    assert_eq!(place.headwater(&["store", "digest", &vault]).stdout, digest, "the same rows, elsewhere");
}

#[test]
fn a_whole_pipeline_gets_another_root_key_and_goes_on() {
    let place = Place::new("");
    let (vault, file) = (place.at("vault"), place.at("notes.toml"));
    let recording = place.at("monday");
    let mut run = place.run(&["--record", &recording]);
    say(&mut run, 0..4);
    mumble(&mut run);
    place.wait_for(&["store", "ls", &vault], "4 rows in the log");
    stop(run);
    let id = |place: &Place| {
        let shown = String::from_utf8(place.headwater(&["key", "show"]).stdout).unwrap();
        shown.split_whitespace().nth(2).unwrap().to_owned()
    };
    let readable = |what: &str| {
        place.check(&["store", "cat", &vault, "--format", "jsonl"], 0, &["tea number 3"]);
        place.check(&["store", "verify", &vault], 0, &["0 problems"]);
        place.check(&["state", "show", "notes"], 0, &["stage      vault"]);
        place.check(&["state", "verify", "notes"], 0, &["frames"]);
        place.check(&["quarantine", "ls", "notes"], 0, &["1  notes"]);
        place.check(&["recording", "verify", &recording], 0, &["frames"]);
        println!("{what}");
    };
    readable("at first");
    let first = id(&place);
    let named = [
        &["key", "rotate", &file, &recording][..],
        &["key", "rotate", "notes", &recording],
        &["key", "rotate"],
    ];
    for args in named {
        let before = id(&place);
        place.check(
            args,
            0,
            &["is the current one", &vault, "state/notes/commits", "state/notes/quarantine", "key backup"],
        );
        assert_ne!(id(&place), before);
        readable(&format!("after {args:?}"));
    }
    place.check(&["key", "show"], 0, &["older"]);
    // The last one did not name the recording: it needs the key of then, and follows when it is named.
    place.check(&["key", "rotate", &recording], 0, &["stays the current one", "1 folders are under it now"]);
    for entry in std::fs::read_dir(place.0.path("")).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("root.key.") {
            std::fs::remove_file(entry).unwrap();
        }
    }
    readable("with the current key alone");
    assert_ne!(id(&place), first);
    let mut run = place.run(&[]);
    say(&mut run, 4..8);
    place.wait_for(&["store", "ls", &vault], "4 rows in the log");
    stop(run);
    place.check(&["store", "ls", &vault], 0, &["8 rows of 2 devices", "0 rows in the log"]);
    place.check(&["key", "rotate", "nodes"], 2, &["there is no pipeline `nodes`", "did you mean `notes`?"]);
}

#[test]
fn a_state_that_is_dropped_gives_its_rows_to_the_quarantine() {
    let place = Place::holding("10h", "");
    let (vault, file) = (place.at("vault"), place.at("notes.toml"));
    let mut run = place.run(&[]);
    say(&mut run, 0..4);
    // The last row of each device waits for the next one.
    place.wait_for(&["store", "ls", &vault], "2 rows in the log");
    place.wait_for(&["state", "show", "notes"], "committed  2 epochs");
    stop(run);
    let drop = ["run", &file, "--drop-state", "redact", "--quiet"];
    for _ in 0..2 {
        let asked = "`redact` keeps 4 rows of 2 devices, among them 2 rows that it holds back";
        place.check(&drop, 1, &[asked, "headwater quarantine retry", "add --yes"]);
    }
    place.check(&["run", &file, "--yes"], 2, &["--fresh"]);
    place.check(&["run", &file, "--drop-state", "stranger", "--yes"], 1, &["stranger"]);
    place.check(&["quarantine", "ls", "notes"], 0, &["nothing is in the quarantine"]);
    let confirmed = [&drop[..], &["--yes"]].concat();
    place.check(&confirmed, 0, &[]);
    place.check(&["quarantine", "ls", "notes"], 0, &["2  redact  state_dropped"]);
    // Nothing is kept any more: nothing is asked, and nothing comes twice.
    place.check(&confirmed, 0, &[]);
    place.check(&["quarantine", "ls", "notes"], 0, &["2  redact  state_dropped"]);
    place.check(&["store", "ls", &vault], 0, &["2 rows of 2 devices"]);
    place.check(&["quarantine", "retry", &file, "--stage", "redact", "--quiet"], 0, &[]);
    place.check(&["store", "ls", &vault], 0, &["4 rows of 2 devices"]);
    place.check(&["quarantine", "ls", "notes"], 0, &["nothing is in the quarantine"]);
}

#[test]
fn a_damaged_segment_costs_its_own_rows_alone() {
    let place = Place::new("");
    let vault = place.at("vault");
    for seqs in [0..2, 2..4] {
        let mut run = place.run(&[]);
        let before = seqs.start;
        say(&mut run, seqs);
        place.wait_for(&["store", "ls", &vault], &format!("{before} rows of"));
        place.wait_for(&["store", "ls", &vault], "2 rows in the log");
        stop(run);
    }
    let mut segments: Vec<_> =
        std::fs::read_dir(place.0.path("vault")).unwrap().map(|e| e.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|e| e == "parquet"));
    segments.sort();
    assert_eq!(segments.len(), 4);
    let whole = std::fs::read(&segments[0]).unwrap();
    for damage in [Some(whole[..whole.len() / 2].to_vec()), None] {
        match damage {
            Some(bytes) => std::fs::write(&segments[0], bytes).unwrap(),
            None => std::fs::remove_file(&segments[0]).unwrap(),
        }
        place.check(
            &["store", "cat", &vault],
            1,
            &["tea number 3", "rows of 1 segments are missing", "store repair"],
        );
        place.check(&["store", "verify", &vault], 1, &["1 problems"]);
        place.check(
            &["run", &place.at("notes.toml"), "--quiet"],
            0,
            &["is damaged", "the run continues", "store repair"],
        );
    }
    // A copy that is put back is read again.
    std::fs::write(&segments[0], whole).unwrap();
    place.check(&["store", "cat", &vault], 0, &["tea number 0", "tea number 3"]);
    place.check(&["store", "verify", &vault], 0, &["0 problems"]);
}
