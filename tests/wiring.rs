//! Pipeline files and the exact answers they get.
//!
//! Every `tests/wiring/NAME.toml` is checked; `NAME.txt` holds what `headwater check` answers, or for a good one what
//! `headwater plan` shows, or when its table of members is wrong what `headwater run` answers. A first line `#! --set stage.asr.threads=0 --param x=y --env` says what the command line adds.
//! `HEADWATER_BLESS=1` writes the answers instead of comparing them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[path = "wiring/explained.rs"]
mod explained;
#[path = "wiring/random.rs"]
mod random;
#[path = "wiring/kinds.rs"]
mod test_kinds;
#[path = "wiring/verbs.rs"]
mod verbs;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use headwater::plan::describe;
use headwater_contract::StageFactory;
use headwater_runtime::check::{Settings, check};
use headwater_runtime::diagnostic::Style;
use headwater_runtime::run::members;

/// The kinds that the pipelines are checked against: all built-in ones, and some of the tests' own.
fn kinds() -> &'static [StageFactory] {
    static KINDS: LazyLock<Vec<StageFactory>> =
        LazyLock::new(|| headwater_stages::STAGES.iter().chain(test_kinds::KINDS).copied().collect());
    &KINDS
}

/// What a first line such as `#! --param x=y` adds.
fn settings(words: &str) -> Settings {
    let mut settings = Settings::default();
    let mut words = words.split_whitespace();
    while let Some(word) = words.next() {
        let mut pair = || {
            let (name, value) = words.next().unwrap().split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        };
        match word {
            "--env" => settings.environment = true,
            "--param" => settings.params.push(pair()),
            "--set" => settings.set.push(pair()),
            other => panic!("{other}"),
        }
    }
    settings
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wiring")
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    files.sort();
    files
}

fn answer(name: &str, text: &str) -> String {
    let settings = settings(text.lines().next().and_then(|l| l.strip_prefix("#!")).unwrap_or_default());
    let checked = check(name, text, kinds(), &settings);
    assert!(checked.plan.is_none() || !checked.has_errors(), "{name}");
    let messages = checked.draw(text, Style::Plain);
    let Some(plan) = &checked.plan else { return messages };
    match members(plan) {
        Ok(_) => messages + &describe(plan),
        Err(wrong) => {
            messages + &wrong.iter().map(|failure| format!("error: {failure}\n")).collect::<String>()
        }
    }
}

#[test]
fn every_pipeline_gets_its_exact_answer() {
    let bless = std::env::var_os("HEADWATER_BLESS").is_some();
    let mut wrong = Vec::new();
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let answer = answer(&name, &text);
        let golden = path.with_extension("txt");
        if bless {
            std::fs::write(&golden, &answer).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != answer {
            wrong.push(format!("== {name}\n{answer}"));
        }
    }
    assert!(wrong.is_empty(), "answers changed; HEADWATER_BLESS=1 writes them\n{}", wrong.join("\n"));
}

#[test]
fn there_are_enough_of_them_and_every_code_is_among_them() {
    let answers: Vec<String> =
        files().iter().map(|p| std::fs::read_to_string(p.with_extension("txt")).unwrap()).collect();
    let bad = answers.iter().filter(|a| a.contains("error[H")).count();
    assert!(bad >= 40, "{bad} bad pipelines");
    let printed = answers.concat();
    let missing: Vec<&str> = headwater_runtime::explain::ENTRIES
        .iter()
        .map(|entry| entry.code)
        .filter(|code| !printed.contains(&format!("[{code}]")))
        .collect();
    assert!(missing.is_empty(), "no pipeline shows {missing:?}");
}
