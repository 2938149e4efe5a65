//! The quickstart on real speech: heard well enough, the same on any number of workers, nothing personal left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod site;

use std::path::Path;
use std::process::Output;

use headwater_datasets::manifest::{Entity, Manifest};
use serde_json::Value;
use site::Site;

impl Site {
    fn headwater(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// A run from the beginning of the input.
    fn run(&self, state: &str, workers: u32) -> Value {
        self.run_with(state, workers, &["--fresh", "--yes"])
    }

    fn run_with(&self, state: &str, workers: u32, more: &[&str]) -> Value {
        let summary = self.path("summary.json");
        let (state, workers) = (format!("state={}", self.path(state).display()), workers.to_string());
        let file = summary.display().to_string();
        let args = [
            "run",
            "pipelines/quickstart.toml",
            "--quiet",
            "--workers",
            &workers,
            "--param",
            &state,
            "--summary",
            &file,
        ];
        let output = self.headwater(&[args.as_slice(), more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(&std::fs::read_to_string(summary).unwrap()).unwrap()
    }

    fn texts(&self, state: &str) -> Vec<String> {
        let vault = self.path(state).join("vault").display().to_string();
        let output = self.headwater(&["store", "cat", &vault, "--format", "jsonl"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let text =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["text"].as_str().unwrap().to_owned();
        lines.lines().map(text).collect()
    }
}

/// Lower case, words separated by single spaces: how a spoken form is looked for.
fn folded(text: &str) -> String {
    let plain: String =
        text.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The digits of every run of digits and separators.
fn digit_runs(text: &str) -> Vec<String> {
    text.split(|c: char| !(c.is_ascii_digit() || " -–.,()/+".contains(c)))
        .map(|run| run.chars().filter(char::is_ascii_digit).collect::<String>())
        .filter(|digits| digits.len() >= 5)
        .collect()
}

/// What of a planted value is left in a text, if anything.
fn leak(entity: &Entity, text: &str) -> Option<String> {
    let whole =
        [&entity.written, &entity.spoken].into_iter().find(|value| folded(text).contains(&folded(value)));
    if let Some(value) = whole {
        return Some(format!("the whole value, {} characters", value.len()));
    }
    let digits: Vec<char> = entity.written.chars().filter(char::is_ascii_digit).collect();
    let five = |run: &String| digits.windows(5).any(|five| run.contains(&five.iter().collect::<String>()));
    digit_runs(text).iter().any(five).then(|| "five consecutive digits".to_owned())
}

#[test]
fn the_leak_detector_finds_leaks() {
    let entity = Entity {
        kind: "phone".into(),
        written: "555-0134".into(),
        spoken: "five five five oh one three four".into(),
    };
    let check = |text: &str, leaks: bool| assert_eq!(leak(&entity, text).is_some(), leaks, "{text}");
    check("call 555-0134 now", true);
    check("call 55 50 13 now", true);
    check("call Five, five five oh one three four now", true);
    check("call <PHONE> now", false);
    check("call 555 now, at 0134", false);
    check("call 5550", false);
}

#[test]
fn quickstart_hears_redacts_and_repeats() {
    let site = Site::new();
    let first = site.run("one", 1);
    let (wer, wer_all) = (first["wer"].as_f64().unwrap(), first["wer_all"].as_f64().unwrap());
    println!(
        "wer {:.2} %, wer_all {:.2} %, fell back {}",
        wer * 100.0,
        wer_all * 100.0,
        first["stages"]["asr"]["figures"]["fell_back"]
    );
    println!(
        "audio {} s, wall {} s, peak {} bytes",
        first["audio_seconds"], first["wall_seconds"], first["peak_rss_bytes"]
    );
    assert!(wer <= 0.10, "word error rate on clean recordings: {wer}");

    nothing_personal_left(&site.texts("one"));
    every_recording_is_accounted_for(&first);

    let digest = first["digest"]["vault"].as_str().unwrap();
    assert_eq!(digest.len(), 64);
    for workers in [2, 3] {
        let other = site.run(&format!("with-{workers}"), workers);
        assert_eq!(other["digest"]["vault"], first["digest"]["vault"], "{workers} workers");
        assert_eq!(other["stages"]["vault"]["rows_in"], first["stages"]["vault"]["rows_in"]);
    }
    let rows = &first["stages"]["vault"]["rows_in"];
    assert_eq!(&first["stages"]["vault"]["figures"]["new_rows"], rows);
    let again = site.run("one", 1);
    assert_eq!(again["digest"]["vault"], first["digest"]["vault"], "the second run");
    assert_eq!(&again["stages"]["vault"]["figures"]["stored_before"], rows, "{}", again["stages"]["vault"]);
    assert_eq!(again["stages"]["vault"]["figures"]["new_rows"].as_u64().unwrap_or(0), 0);
    let later = site.run_with("one", 2, &[]);
    assert_eq!(later["stages"]["mic"]["rows_out"], 0, "the input was finished before");
    assert!(later["epochs_before"].as_u64().unwrap() > 5 && later["epochs"] == 0, "{later}");
}

fn nothing_personal_left(texts: &[String]) {
    let manifest =
        Manifest::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/voice/manifest.toml")))
            .unwrap();
    let entities: Vec<&Entity> = manifest.recordings.iter().flat_map(|r| &r.entities).collect();
    assert!(entities.len() >= 40, "{} planted values", entities.len());
    let mut leaks = Vec::new();
    for entity in entities {
        for text in texts {
            leaks.extend(
                leak(entity, text)
                    .map(|what| format!("{} {:?}: {what} in {text:?}", entity.kind, entity.written)),
            );
        }
    }
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
}

fn every_recording_is_accounted_for(summary: &Value) {
    let stage = |id: &str, field: &str| summary["stages"][id][field].as_u64().unwrap();
    assert_eq!(stage("mic", "rows_out"), stage("asr", "rows_in"));
    assert_eq!(stage("asr", "rows_out") + stage("asr", "rejected"), stage("asr", "rows_in"));
    assert_eq!(stage("redact", "rows_out"), stage("redact", "rows_in"));
    assert_eq!(stage("vault", "rows_in"), stage("redact", "rows_out"));
    assert!(stage("mic", "rows_out") >= 60);
}
