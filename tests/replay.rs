//! Recordings of whole pipelines, played again: the same digests and adapters on other topologies, cut where they were cut; and
//! what is refused: other labels, damaged and unfinished recordings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod site;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use headwater_vault::{KeyFile, RecordedEnd, Recording, RecordingEntry};
use serde_json::Value;
use site::Site;

const HOUSE: &str = env!("CARGO_MANIFEST_DIR");

const TOPOLOGIES: [&[&str]; 4] =
    [&["--workers", "1"], &["--workers", "2"], &["--workers", "3"], &["--processes", "2"]];

impl Site {
    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn headwater(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a verb of a pipeline to its end; gives the summary.
    fn run(&self, verb: &str, pipeline: &Path, more: &[&str]) -> Value {
        let (summary, pipeline) = (self.path("summary.json"), pipeline.display().to_string());
        let shown = summary.display().to_string();
        let args = [&[verb, &pipeline, "--quiet", "--summary", &shown], more].concat();
        let output = self.headwater(&args);
        assert!(output.status.success(), "{args:?}: {}", printed(&output));
        serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap()
    }

    fn refused(&self, args: &[&str], expected: &[&str]) {
        let output = self.headwater(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", printed(&output));
        let printed = printed(&output);
        for expected in expected {
            assert!(printed.contains(expected), "{args:?} does not tell {expected:?}:\n{printed}");
        }
    }

    fn recording(&self, name: &str) -> Recording {
        Recording::open(&self.path(name), &KeyFile::at(self.path("root.key"))).unwrap()
    }

    /// Where a recording was cut: rows of each epoch, and its end.
    fn cuts(&self, name: &str) -> Vec<(usize, RecordedEnd)> {
        let (mut rows, mut cuts) = (0, Vec::new());
        for entry in self.recording(name).entries() {
            match entry.unwrap() {
                RecordingEntry::Rows { rows: batch, .. } => rows += batch.unwrap().num_rows(),
                RecordingEntry::End(end) => cuts.push((std::mem::take(&mut rows), end)),
            }
        }
        cuts
    }
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Talk of people, of which some lines hold what must be redacted and some cannot be read.
fn talk(rows: usize) -> String {
    let line = |n: usize| {
        if n % 50 == 49 {
            return "{\"device\": \"device-1\", \"text\": 7}\n".to_owned();
        }
        let text = format!("call {} on 555-01{:02} about order {n}", ["Ann", "Bo", "Cy"][n % 3], n % 100);
        let at = format!("2026-03-02T08:{:02}:{:02}Z", n / 60, n % 60);
        format!("{{\"device\": \"device-{}\", \"captured_at\": \"{at}\", \"text\": \"{text}\"}}\n", n % 7)
    };
    (0..rows).map(line).collect()
}

/// A pipeline of text whose epochs and rounds are cut by time; `more` goes into `[pipeline]`, `last` behind the stages.
fn text_pipeline(site: &Site, more: &str, last: &str) -> PathBuf {
    site.write("talk.jsonl", &talk(400));
    let (talk, vault, aside) = (site.path("talk.jsonl"), site.path("vault"), site.path("aside"));
    let text = format!(
        "[pipeline]\nname = 'talk'\n{more}\n
         [stage.talk]\ntype = 'capture'\npath = '{}'\n
         [stage.redact]\ntype = 'redact'\nfrom = 'talk'\n
         [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = '{}'\n
         [stage.aside]\ntype = 'store'\nfrom = 'talk.rejected'\npath = '{}'\n{last}",
        talk.display(),
        vault.display(),
        aside.display()
    );
    site.write("talk.toml", &text)
}

const BY_TIME: &str = "epoch = { every = '20s' }\nround = { every = '1m' }";

#[test]
fn a_replay_gives_the_digests_of_its_run_on_every_topology() {
    let site = Site::new();
    let pipeline = text_pipeline(&site, BY_TIME, "");
    let rec = shown(&site.path("rec"));
    let original = site.run("run", &pipeline, &["--record", &rec]);
    assert_eq!(original["stages"]["talk"]["rows_in"], 392);
    assert_eq!(original["stages"]["aside"]["rows_in"], 8, "a store reads rejected rows");
    for topology in TOPOLOGIES {
        let again = site.run("replay", &pipeline, &[&["--from", &rec], topology].concat());
        assert_eq!(again["digest"], original["digest"], "{topology:?}");
        assert_eq!(again["stages"]["talk"]["rejected"], 8, "{topology:?}");
        assert_eq!(again["stages"]["vault"]["figures"]["stored_before"], 392, "stored once: {topology:?}");
    }
    let senseless = ["replay", &shown(&pipeline), "--from", &rec, "--fresh"];
    assert_eq!(site.headwater(&senseless).status.code(), Some(2), "a replay has no earlier attempts");
    // The input is gone, and other rules are given: the recording needs and asks neither.
    std::fs::remove_file(site.path("talk.jsonl")).unwrap();
    let second = shown(&site.path("second"));
    let other = [
        "--from",
        &rec,
        "--record",
        &second,
        "--set",
        "pipeline.epoch={rows = 3}",
        "--set",
        "pipeline.round={epochs = 2}",
    ];
    let again = site.run("replay", &pipeline, &other);
    assert_eq!(again["digest"], original["digest"]);
    assert_eq!(site.cuts("second"), site.cuts("rec"), "the recording of a replay is cut as the recording");
}

#[test]
fn epochs_and_rounds_are_kept() {
    let site = Site::new();
    let pipeline = text_pipeline(&site, BY_TIME, "");
    site.run("run", &pipeline, &["--record", &shown(&site.path("rec"))]);
    let cuts = site.cuts("rec");
    assert!(cuts.len() >= 20, "{} epochs of 20 s in 400 s", cuts.len());
    assert_eq!(cuts.iter().map(|(rows, _)| rows).sum::<usize>(), 400, "rows, and rejected rows");
    assert!(cuts.iter().filter(|(_, end)| end.round_end).count() >= 6, "rounds of a minute in 400 s");
    let (last, before) = cuts.split_last().unwrap();
    assert!(last.1.end_of_input && before.iter().all(|(_, end)| !end.end_of_input), "{cuts:?}");
}

#[test]
fn a_file_says_which_ports_are_recorded() {
    let site = Site::new();
    let pipeline = text_pipeline(&site, "epoch = { rows = 30 }\nrecord = ['talk', 'redact.out']", "");
    let mut digests = Vec::new();
    for (number, topology) in TOPOLOGIES.iter().enumerate() {
        let _ = std::fs::remove_dir_all(site.path("state/talk/commits"));
        let summary = site.run("run", &pipeline, topology);
        digests.push(summary["digest"].clone());
        let folder = format!("state/talk/recordings/{:06}", number + 1);
        let head = site.recording(&folder).head().clone();
        let ports: Vec<_> = head.ports.iter().map(|p| (p.name.as_str(), p.label.as_str())).collect();
        assert_eq!(ports, [("talk.out", "raw"), ("redact.out", "redacted"), ("talk.rejected", "raw")]);
        assert!(head.facts.contains_key("CPU") && head.facts.contains_key("program"), "{:?}", head.facts);
        // What another port gave is put in order: it is recorded alike by every topology.
        let first = site.recording("state/talk/recordings/000001");
        let pairs = first.entries().zip(site.recording(&folder).entries().collect::<Vec<_>>());
        for (one, other) in pairs {
            let (RecordingEntry::Rows { port: 1, rows: one }, RecordingEntry::Rows { port, rows }) =
                (one.unwrap(), other.unwrap())
            else {
                continue;
            };
            assert_eq!((port, one), (1, rows), "{topology:?}");
        }
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]));
}

/// What a stage of type `replay` stores of a port.
fn stored(site: &Site, rec: &str, port: &str, label: &str) -> Output {
    let text = format!(
        "[pipeline]\nname = 'again'\n
         [stage.talk]\ntype = 'replay'\npath = '{rec}'\nport = '{port}'\nlabel = '{label}'\n
         [stage.vault]\ntype = 'store'\nfrom = 'talk'\npath = '{}'\n",
        site.path("again").display()
    );
    let pipeline = shown(&site.write("again.toml", &text));
    site.headwater(&["run", &pipeline, "--fresh", "--yes"])
}

#[test]
fn rows_go_only_where_rows_as_private_may() {
    let site = Site::new();
    let pipeline = text_pipeline(&site, "record = ['talk', 'redact']", "");
    let rec = shown(&site.path("rec"));
    site.run("run", &pipeline, &["--record", &rec]);
    let file = shown(&pipeline);
    site.refused(
        &["replay", &file, "--from", &rec, "--port", "talk=redact.out"],
        &["`redact.out` were redacted", "`talk.out` gives raw ones"],
    );
    for (port, label, fine) in [
        ("talk.out", "raw", true),
        ("talk.out", "redacted", false),
        ("redact.out", "raw", false),
        ("redact.out", "redacted", true),
    ] {
        let output = stored(&site, &rec, port, label);
        assert_eq!(output.status.success(), fine, "{port} as {label}: {}", printed(&output));
    }
    // And where raw rows may not go, the check refuses them before anything is read.
    let crossing = site.write(
        "crossing.toml",
        "[pipeline]\nname = 'crossing'\n
         [stage.talk]\ntype = 'replay'\npath = 'nowhere'\n
         [stage.vault]\ntype = 'store'\nfrom = 'talk'\npath = 'x'\ntier = 'region'\n",
    );
    site.refused(&["check", &shown(&crossing)], &["H0401", "raw"]);
    let text = std::fs::read_to_string(&crossing).unwrap();
    let lower = text.replace("path = 'nowhere'", "path = 'nowhere'\nlabel = 'update'");
    let lower = shown(&site.write("lower.toml", &lower));
    assert!(site.headwater(&["check", &lower]).status.success());
}

#[test]
fn a_store_is_played_and_rows_are_chosen() {
    let site = Site::new();
    let pipeline = text_pipeline(&site, BY_TIME, "");
    let original = site.run("run", &pipeline, &[]);
    let vault = shown(&site.path("vault"));
    let other = shown(&site.path("other"));
    let set = format!("stage.vault.path={other}");
    let again = site.run("replay", &pipeline, &["--from", &vault, "--set", &set]);
    assert_eq!(again["stages"]["talk"]["rows_in"], original["stages"]["vault"]["rows_in"]);
    assert_eq!(again["stages"]["redact"]["rows_in"], 392, "the rows are redacted again");
    for (more, rows) in [
        (&["--device", "device-3"][..], 56),
        (&["--since", "2026-03-02T08:05:00Z"], 98),
        (&["--until", "2026-03-02T08:00:10Z", "--speed", "1000"], 10),
    ] {
        let chosen = site.run("replay", &pipeline, &[&["--from", &vault, "--set", &set], more].concat());
        assert_eq!(chosen["stages"]["talk"]["rows_in"], rows, "{more:?}");
    }
}

#[test]
fn damaged_and_unfinished_recordings_are_refused_with_the_place() {
    let site = Site::new();
    let pipeline = text_pipeline(&site, "epoch = { rows = 50 }", "");
    let (rec, file) = (shown(&site.path("rec")), shown(&pipeline));
    site.run("run", &pipeline, &["--record", &rec]);
    let frames = site.path("rec/00000001.frames");
    let whole = std::fs::read(&frames).unwrap();
    let again = ["replay", &file, "--from", &rec, "--quiet"];
    // Every length from nothing to all but one byte, in steps that meet heads, bodies and ends of frames.
    for length in (0..whole.len()).step_by(whole.len() / 9 + 1).chain([whole.len() - 1]) {
        std::fs::write(&frames, &whole[..length]).unwrap();
        site.refused(&again, &["00000001.frames"]);
    }
    for at in (9..whole.len()).step_by(whole.len() / 9 + 1) {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        std::fs::write(&frames, changed).unwrap();
        site.refused(&again, &["00000001.frames", "error:"]);
    }
    std::fs::write(&frames, &whole).unwrap();
    assert_eq!(site.headwater(&["recording", "verify", &rec]).status.code(), Some(0));
    site.refused(&["run", &file, "--record", &rec], &["the folder is not empty"]);
    // A run that is killed leaves a recording without an end.
    let half = shown(&site.path("half"));
    let mut child = site
        .command(&["run", &file, "--record", &half, "--quiet", "--set", "stage.talk.path=-"])
        .env("HEADWATER_STATE", site.path("other-state"))
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut talking = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut talking, talk(400).as_bytes()).unwrap();
    // It can be looked at while it is made: until some epochs are complete.
    while !printed(&site.headwater(&["recording", "show", &half])).contains("; complete") {
        assert!(child.try_wait().unwrap().is_none(), "the run goes on");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    site.refused(
        &["replay", &file, "--from", &half],
        &["00000001.frames", "breaks off after frame", "at byte"],
    );
    site.refused(&["recording", "verify", &half], &["breaks off after frame"]);
    plays_what_is_complete(&site, &pipeline, &half);
}

/// Of a recording without its end, the complete epochs: the same by every topology.
fn plays_what_is_complete(site: &Site, pipeline: &Path, half: &str) {
    let showed = site.headwater(&["recording", "show", half]);
    assert!(showed.status.success(), "{}", printed(&showed));
    let showed = printed(&showed);
    assert!(showed.contains("; complete") && showed.contains("unfinished "), "{showed}");
    let rows = showed.lines().find_map(|line| {
        line.strip_prefix("port       talk.out (raw): ")?.split(' ').next()?.parse::<u64>().ok()
    });
    let mut digests = Vec::new();
    for (number, topology) in TOPOLOGIES.iter().enumerate() {
        let place = shown(&site.path(&format!("complete-{number}")));
        let set = format!("stage.vault.path={place}");
        let again = ["--from", half, "--complete-epochs", "--set", &set];
        let again = site.run("replay", pipeline, &[&again[..], topology].concat());
        assert_eq!(again["stages"]["talk"]["rows_in"].as_u64(), rows, "{topology:?}");
        digests.push(again["digest"]["vault"].clone());
    }
    assert!(rows > Some(0) && digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn a_data_set_takes_the_place_of_the_source() {
    let site = Site::new();
    let pipeline = text_pipeline(&site, BY_TIME, "");
    let lines: String =
        talk(400).lines().filter(|line| !line.contains("\"text\": 7")).map(|l| format!("{l}\n")).collect();
    site.write("talk.jsonl", &lines);
    let original = site.run("run", &pipeline, &[]);
    let set = shown(&site.path("talk.jsonl"));
    for topology in TOPOLOGIES {
        let again = site.run("replay", &pipeline, &[&["--from", &set], topology].concat());
        assert_eq!(again["digest"], original["digest"], "{topology:?}");
    }
    let chosen =
        ["--from", &set, "--device", "device-3", "--until", "2026-03-02T08:00:10Z", "--speed", "1000"];
    let chosen = site.run("replay", &pipeline, &chosen);
    assert_eq!(chosen["stages"]["talk"]["rows_in"], 1);
    let file = shown(&pipeline);
    let wrong: [(&[&str], &[&str]); 4] = [
        (&["--from", "datasets/voice"], &["there is no column `text`", "samples [f32]"]),
        (&["--from", "datasets/voice/README.md"], &["unknown format by this name"]),
        (&["--from", &set, "--split", "heldout"], &["no rows in the split \"heldout\"", "no row is in one"]),
        (&["--from", &set, "--complete-epochs"], &["is a data set, and has no epochs"]),
    ];
    for (more, expected) in wrong {
        site.refused(&[&["replay", &file], more].concat(), expected);
    }
}

#[test]
fn recordings_of_a_data_set_are_heard_whole() {
    let site = Site::new();
    let text = format!(
        "[pipeline]\nname = 'heard'\n
         [stage.mic]\ntype = 'replay'\npath = 'datasets/voice'\ndevices = ['hallway']\n\
         columns = ['sample_rate u32', 'samples [f32]', 'reference']\n
         [stage.asr]\ntype = 'transcribe'\nfrom = 'mic'\nmodel = 'datasets/models/whisper-tiny.en'\n
         [stage.vault]\ntype = 'store'\nfrom = 'asr'\npath = '{}'\n",
        site.path("vault").display()
    );
    let pipeline = site.write("heard.toml", &text);
    let summary = site.run("run", &pipeline, &[]);
    let stored = site.headwater(&["store", "cat", &shown(&site.path("vault")), "--format", "jsonl"]);
    let rows: Vec<Value> =
        printed(&stored).lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert_eq!(Some(rows.len() as u64), summary["stages"]["asr"]["rows_out"].as_u64());
    let said = |row: &Value, column: &str| row[column].as_str().unwrap().to_lowercase();
    let agree = rows.iter().filter(|row| {
        let (said, heard) = (said(row, "reference"), said(row, "text"));
        said.split(' ')
            .next()
            .is_some_and(|word| heard.contains(word.trim_matches(|c: char| !c.is_alphanumeric())))
    });
    assert!(agree.count() * 2 > rows.len() && rows.len() > 3, "{rows:?}");
}

#[test]
fn a_replay_that_is_killed_goes_on_where_it_was_committed() {
    let site = Site::new();
    let pipeline = text_pipeline(&site, "epoch = { rows = 10 }", "");
    let rec = shown(&site.path("rec"));
    site.run("run", &pipeline, &["--record", &rec]);
    let text = format!(
        "[pipeline]\nname = 'again'\ncommit = {{ epochs = 1 }}\n
         [stage.talk]\ntype = 'replay'\npath = '{rec}'\ncolumns = ['file string?', 'text']\n
         [stage.redact]\ntype = 'redact'\nfrom = 'talk'\n
         [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = '{}'\n",
        site.path("again").display()
    );
    let file = shown(&site.write("again.toml", &text));
    // Slow enough to be killed on the way: 392 rows, of which one was captured a second.
    let mut child = site
        .command(&["run", &file, "--quiet", "--set", "stage.talk.speed=20"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stored = || {
        let output = site.headwater(&["store", "cat", &shown(&site.path("again")), "--format", "jsonl"]);
        String::from_utf8(output.stdout).unwrap().lines().count()
    };
    while stored() < 20 {
        assert!(child.try_wait().unwrap().is_none(), "the run goes on");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let rest = site.run("run", Path::new(&file), &[]);
    assert!(
        rest["epochs_before"].as_u64().unwrap() > 0,
        "it goes on, and does not begin from scratch: {rest}"
    );
    let rows = rest["stages"]["talk"]["rows_in"].as_u64().unwrap();
    assert!(rows < 392, "{rows} of 392 rows came again");
    let digest = |store: &str| printed(&site.headwater(&["store", "digest", &shown(&site.path(store))]));
    let (again, vault) = (digest("again"), digest("vault"));
    assert_eq!(again, vault, "the same rows as of the run that was recorded");
    let nothing = site.run("run", Path::new(&file), &[]);
    assert_eq!(nothing["stages"]["talk"]["rows_in"], 0, "a recording that was played to its end is over");
}

#[test]
fn a_device_can_be_forgotten_in_a_recording() {
    let site = Site::new();
    let pipeline = text_pipeline(&site, "epoch = { rows = 50 }", "");
    let rec = shown(&site.path("rec"));
    site.run("run", &pipeline, &["--record", &rec]);
    assert!(site.headwater(&["recording", "forget", &rec, "--device", "device-2"]).status.success());
    let again = site.run("replay", &pipeline, &["--from", &rec]);
    assert_eq!(again["stages"]["talk"]["rows_in"], 336, "56 of 392 are gone for good");
    assert!(again["stages"]["talk"]["figures"]["forgotten_parts"].as_u64().unwrap() > 0);
    let shown = site.headwater(&["recording", "show", &rec]);
    assert!(printed(&shown).contains("forgotten"), "{}", printed(&shown));
}

#[cfg(feature = "train")]
#[test]
fn a_loop_gives_the_same_adapters_again() {
    let site = Site::new();
    let pipeline = Path::new(HOUSE).join("pipelines/personalize.toml");
    let all = std::fs::read_to_string(Path::new(HOUSE).join("datasets/personal/talk.jsonl")).unwrap();
    let some: String = all.lines().take(120).map(|line| line.to_owned() + "\n").collect();
    let rec = shown(&site.path("rec"));
    let params = |state: &str| {
        let talk = format!("talk={}", site.write("some.jsonl", &some).display());
        let state = format!("state={}", site.path(state).display());
        [["--param".to_owned(), talk], ["--param".to_owned(), state]].concat()
    };
    let small = [
        "--set",
        "pipeline.epoch={rows = 10}",
        "--set",
        "pipeline.round={rows = 40}",
        "--set",
        "stage.train.steps=2",
    ];
    let run = |verb: &str, state: &str, more: &[&str]| {
        let params = params(state);
        let params: Vec<&str> = params.iter().map(String::as_str).collect();
        site.run(verb, &pipeline, &[&params[..], &small, more].concat())
    };
    let original = run("run", "first", &["--record", &rec]);
    let adapter = &original["adapter_sha256"];
    assert!(adapter.is_string(), "{original}");
    std::fs::remove_file(site.path("some.jsonl")).unwrap();
    for topology in TOPOLOGIES {
        let again = run("replay", &topology.join(""), &[&["--from", &rec], topology].concat());
        assert_eq!(again["adapter_sha256"], *adapter, "{topology:?}");
        assert_eq!(again["digest"], original["digest"], "{topology:?}");
    }
}
