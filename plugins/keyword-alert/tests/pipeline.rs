//! The whole way: the stage's own binary checks, runs and reads back its own pipeline.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const PIPELINE: &str = "plugins/keyword-alert/alert.toml";

/// Runs the binary from the top folder, with keys and state in `folder`, and returns what it printed.
fn keyword_alert(folder: &Path, arguments: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_keyword-alert"))
        .args(arguments)
        .arg("--key-file")
        .arg(folder.join("root.key"))
        .arg("--state")
        .arg(folder.join("engine"))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{arguments:?}: {}\n{out}{err}", done.status);
    out.into_owned()
}

#[test]
fn the_verbs_know_the_stage() {
    let folder = tempfile::tempdir().unwrap();
    keyword_alert(folder.path(), &["check", PIPELINE]);
    let tested = keyword_alert(folder.path(), &["test", PIPELINE]);
    assert!(tested.contains("1 test: 1 passed, 0 failed"), "{tested}");
    let help = keyword_alert(folder.path(), &["stages", "keyword-alert"]);
    assert!(help.contains("words") && help.contains("The words to listen for"), "{help}");
    let drawn = keyword_alert(folder.path(), &["plan", PIPELINE]);
    assert!(drawn.contains("keyword"), "{drawn}");
}

#[test]
fn alerts_are_stored_redacted() {
    let folder = tempfile::tempdir().unwrap();
    let state = format!("state={}", folder.path().display());
    keyword_alert(folder.path(), &["run", PIPELINE, "--param", &state]);
    let store = folder.path().join("alerts").display().to_string();
    let rows = keyword_alert(folder.path(), &["store", "cat", &store, "--format", "jsonl"]);
    let mut keywords: Vec<String> = rows
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["keyword"].as_str().unwrap().to_owned())
        .collect();
    keywords.sort_unstable();
    assert_eq!(keywords, ["leak", "smoke", "water"], "{rows}");
    for value in ["555", "0142", "jo.field", "example.com"] {
        assert!(!rows.contains(value), "personal data was stored: {rows}");
    }
}

#[test]
fn the_readme_shows_the_stage_as_it_is() {
    let shown = |from: &str, to: &str| {
        let source = include_str!("../main.rs");
        let begin = source.find(from).unwrap();
        source[begin..begin + source[begin..].find(to).unwrap()].trim_end().to_owned()
    };
    assert!(include_str!("../../../README.md").contains(&shown("options! {", "#[cfg(test)]")));
}
