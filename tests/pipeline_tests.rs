//! The verb `test`: the shipped pipelines pass their tests; what differs is shown; blessing changes nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

const HOUSE: &str = env!("CARGO_MANIFEST_DIR");

fn headwater(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command.current_dir(HOUSE).args(args).env_remove("HEADWATER_RECORDINGS").stdin(Stdio::null());
    command.output().unwrap()
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_shipped_pipelines_pass_their_tests() {
    let folder = Path::new(HOUSE).join("pipelines");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|path| path.ends_with(".toml"))
        .collect();
    files.sort();
    let own = tempfile::tempdir().unwrap();
    let junit = own.path().join("junit.xml").display().to_string();
    let mut args = vec!["test", "--junit", &junit];
    args.extend(files.iter().map(String::as_str));
    let output = headwater(&args);
    let printed = printed(&output);
    assert!(output.status.success() && !printed.contains("no tests"), "{printed}");
    let report = std::fs::read_to_string(&junit).unwrap();
    let report = roxmltree::Document::parse(&report).unwrap();
    let suites: Vec<_> = report.descendants().filter(|node| node.has_tag_name("testsuite")).collect();
    assert_eq!(suites.len(), files.len());
    assert!(suites.iter().all(|suite| suite.attribute("failures") == Some("0")));
}

/// A pipeline whose tests fail in every way, with comments between.
const WRONG: &str = r#"[pipeline]
name = "example"

[stage.talk]
type = "capture"
path = "talk.jsonl"                  # never read

[stage.redact]
type = "redact"
from = "talk"

[stage.vault]
type = "store"
from = "redact"
path = "data/vault"

[[test]]                             # rows
name = "rows"
feed.talk = [{ device = "a", text = "call 555-0142" }, { device = "b", text = "tea is ready" }]
expect.redact = { rows = [{ text = "call 555-0142" }, { text = "tea is ready" }], count = 3 } # both wrong

[[test]]
name = "patterns"
feed.talk = [{ text = "call 555-0142" }]
expect.redact = { match = "<CARD>", none_match = "call" }

[[test]]
name = "a file"
feed.talk = "talk-of-the-test.jsonl"
expect.redact.rows = "expected.jsonl"
"#;

#[test]
fn what_differs_is_shown_and_blessed_in_place() {
    let own = tempfile::tempdir().unwrap();
    let path = own.path().join("example.toml");
    let write = |name: &str, text: &str| std::fs::write(own.path().join(name), text).unwrap();
    write("example.toml", WRONG);
    write("talk-of-the-test.jsonl", "{\"text\": \"tea\"}\n{\"text\": \"call 555-0142\"}\n");
    write("expected.jsonl", "{\"text\": \"tea\"}\n");
    let file = path.display().to_string();
    let output = headwater(&["test", &file]);
    assert_eq!(output.status.code(), Some(1));
    let first = printed(&output);
    for expected in [
        "2 rows came; expected 3",
        "- {\"text\":\"call 555-0142\"}",
        "+ {\"text\":\"call <PHONE>\"}",
        "  {\"text\":\"tea is ready\"}",
        "none of 1 rows matches \"<CARD>\"",
        "a row matches \"call\", and none should",
        "3 tests: 0 passed, 3 failed",
    ] {
        assert!(first.contains(expected), "{expected:?} is not in\n{first}");
    }
    let output = headwater(&["test", "--bless", &file]);
    assert_eq!(output.status.code(), Some(1), "patterns are not blessed: {}", printed(&output));
    let blessed = std::fs::read_to_string(&path).unwrap();
    let rows = "[\n    { text = \"call <PHONE>\" },\n    { text = \"tea is ready\" },\n]";
    let expected = WRONG.replace(
        "[{ text = \"call 555-0142\" }, { text = \"tea is ready\" }], count = 3",
        &format!("{rows}, count = 2"),
    );
    assert_eq!(blessed, expected, "all else stays, comments too");
    let lines = std::fs::read_to_string(own.path().join("expected.jsonl")).unwrap();
    assert_eq!(lines, "{\"text\":\"tea\"}\n{\"text\":\"call <PHONE>\"}\n");
    let again = printed(&headwater(&["test", &file]));
    assert!(again.contains("3 tests: 2 passed, 1 failed"), "{again}");
    let one = printed(&headwater(&["test", &file, "--name", "rows"]));
    assert!(one.contains("1 test: 1 passed, 0 failed"), "{one}");
    assert!(!own.path().join("data").exists() && !Path::new(HOUSE).join("data/vault").join("x").exists());
}

#[test]
fn a_file_with_mistakes_is_not_tested() {
    let own = tempfile::tempdir().unwrap();
    let path = own.path().join("example.toml");
    std::fs::write(&path, WRONG.replace("expect.redact.rows", "expect.recat.rows")).unwrap();
    let output = headwater(&["test", &path.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(printed(&output).contains("H0602"), "{}", printed(&output));
    assert_eq!(headwater(&["test", "/nowhere.toml"]).status.code(), Some(2));
}
