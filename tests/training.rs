//! A whole loop on a real model and real texts: talk of eight devices, slm-nano, three rounds. The same adapter to the bit
//! with one tier, two or three, in any order of devices, on any number of workers; and it has learned something.

#![cfg(feature = "train")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod talk;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use talk::Conversation;

const HOUSE: &str = env!("CARGO_MANIFEST_DIR");
const ROUND: usize = 48;
const ROUNDS: usize = 3;

/// Talk of the first eight devices, three rounds of it; within a round, devices in this order or in the reverse of it.
fn talk(folder: &Path, reversed: bool) -> PathBuf {
    let talk = Conversation::of(8);
    let (name, talk) = if reversed { ("reversed.jsonl", talk.reversed()) } else { ("talk.jsonl", talk) };
    let path = folder.join(name);
    std::fs::write(&path, talk.rounds(ROUNDS, ROUND / 8)).unwrap();
    path
}

const TIERS: [(&str, &str); 3] = [
    ("flat", "[stage.global]\ntype = 'aggregate'\nfrom = 'small'\nrule = 'momentum'\n"),
    (
        "two tiers",
        "[stage.gateway]\ntype = 'aggregate'\nfrom = 'small'\nby = 'gateway'\n
         [stage.global]\ntype = 'aggregate'\nfrom = 'gateway'\nrule = 'momentum'\n",
    ),
    (
        "three tiers",
        "[stage.gateway]\ntype = 'aggregate'\nfrom = 'small'\nby = 'gateway'\n
         [stage.region]\ntype = 'aggregate'\nfrom = 'gateway'\nby = 'region'\n
         [stage.global]\ntype = 'aggregate'\nfrom = 'region'\nrule = 'momentum'\n",
    ),
];

fn pipeline(folder: &Path, tiers: &str, window: usize) -> PathBuf {
    let text = format!(
        "[pipeline]\nname = 'loop'\nepoch = {{ rows = 12 }}\nround = {{ rows = {ROUND} }}\nwindow = {window}\n
         [params]\ntalk = {{ default = 'talk.jsonl' }}\nstate = {{ default = 'state' }}\n
         [members]\ntable = 'datasets/personal/members.csv'\n
         [stage.talk]\ntype = 'capture'\npath = '${{talk}}'\ncolumns = ['split']\n
         [stage.redact]\ntype = 'redact'\nfrom = 'talk'\nmax_hold = '0s'\n
         [stage.train]\ntype = 'train'\nfrom = 'redact'\nfeedback = 'global.adapter'\n\
         model = 'datasets/models/slm-nano'\nlr = 0.02\nr = 4\ngroups = 3\npublish = '${{state}}/adapters'\n
         [stage.small]\ntype = 'compress'\nfrom = 'train.update'\nratio = 0.2\n{tiers}"
    );
    let path = folder.join("loop.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Runs the program; gives its summary.
fn run(folder: &Path, pipeline: &Path, talk: &Path, workers: usize) -> Value {
    let state = folder.join("state");
    let _ = std::fs::remove_dir_all(&state);
    std::fs::create_dir_all(&state).unwrap();
    let summary = state.join("summary.json");
    let output = Command::new(env!("CARGO_BIN_EXE_headwater"))
        .current_dir(HOUSE)
        .arg("--state")
        .arg(state.join("engine"))
        .arg("--key-file")
        .arg(state.join("root.key"))
        .arg("run")
        .arg(pipeline)
        .args(["--quiet", "--workers", &workers.to_string(), "--summary"])
        .arg(&summary)
        .args(["--param".to_owned(), format!("state={}", state.display())])
        .args(["--param".to_owned(), format!("talk={}", talk.display())])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap()
}

#[test]
fn tiers_orders_and_workers_change_no_bit_and_it_learns() {
    let place = tempfile::tempdir().unwrap();
    let (talk, reversed) = (talk(place.path(), false), talk(place.path(), true));
    let mut expected: Option<Value> = None;
    for (at, (name, tiers)) in TIERS.iter().enumerate() {
        for (workers, talk) in [(1, &talk), (2, &reversed), (3, &talk)] {
            // The number of workers that goes with a window, and an order of devices, turns with the tiers.
            let window = [16, 2, 4][(at + workers) % 3];
            let summary = run(place.path(), &pipeline(place.path(), tiers, window), talk, workers);
            let rounds = summary["rounds"].as_array().unwrap();
            assert_eq!(rounds.len(), ROUNDS, "{name}");
            assert!(rounds.iter().all(|round| round["devices"] == 8), "{name}");
            let adapter = summary["adapter_sha256"].clone();
            assert!(adapter.is_string());
            assert_eq!(*expected.get_or_insert(adapter.clone()), adapter, "{name}, {workers} workers");
            let last = &rounds[ROUNDS - 1]["perplexity"];
            let of = |which: &str| last[which].as_f64().unwrap();
            assert!(of("global") < 0.9 * of("base"), "{name}: {last}");
            let names = std::fs::read_dir(place.path().join("state/adapters")).unwrap().count();
            assert_eq!(names, ROUNDS + 3, "a folder for each round, the link, and the plot in two forms");
        }
    }
}
