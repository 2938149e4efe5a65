#![allow(clippy::type_complexity)]

mod interrupted;

use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use headwater_contract::prelude::*;
use headwater_contract::state::Change;
use headwater_contract::units::Micros;
use headwater_contract::{FeedSink, RowId};

use super::super::Capture;

/// A source's end that does something to the files whenever the source has nothing to read, and stops it when there is nothing more to do.
#[derive(Default)]
struct Script {
    /// `file seq text` of rows, `seq code` of rejections.
    rows: Vec<String>,
    position: Option<Position>,
    remembered: StateTable,
    steps: VecDeque<Box<dyn FnOnce()>>,
}

impl FeedSink for Script {
    fn send(&mut self, batch: RecordBatch, position: Position) -> bool {
        let ids = identity::IdentityColumns::of(&batch).unwrap();
        let (files, texts) = (text_column(&batch, "file").unwrap(), text_column(&batch, "text").unwrap());
        for row in 0..batch.num_rows() {
            self.rows.push(format!("{} {} {}", files.value(row), ids.seq(row), texts.value(row)));
        }
        self.position = Some(position);
        true
    }
    fn reject(&mut self, id: RowId, _: Micros, code: &'static str, _: String) -> bool {
        self.rows.push(format!("{} {code}", id.seq));
        true
    }
    fn count(&mut self, _: &'static str, _: u64) {}
    fn remember(&mut self, change: Change) -> bool {
        self.remembered.apply(vec![change]);
        true
    }
    fn rest(&mut self, _: Duration) -> bool {
        let step = self.steps.pop_front();
        let goes_on = step.is_some();
        step.into_iter().for_each(|step| step());
        goes_on
    }
    fn committed(&self) -> Option<Position> {
        None
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// An attempt that does these steps between its polls, and continues from where `before` stopped.
    #[expect(clippy::unused_self, reason = "an attempt is one of a folder")]
    fn attempt(&self, options: &str, steps: Vec<Box<dyn FnOnce()>>, before: &mut Script) -> Vec<String> {
        let capture = Capture::from_table(&options.parse().unwrap()).unwrap();
        assert!(SourceConfig::validate(&capture).is_empty());
        SourceConfig::ready(&capture, &HostEnv::default()).unwrap();
        let saved = std::mem::take(&mut before.remembered);
        let schema = capture.signature().apply(&[]).unwrap().remove(0);
        let (position, site) = (before.position.clone(), HostEnv::default());
        let cx = SourceContext { id: "log", pipeline: "home", schema, position, saved: &saved, host: &site };
        let source = SourceConfig::open(&capture, cx).unwrap();
        let watch = options.contains("watch");
        *before = Script {
            remembered: saved.clone(),
            position: before.position.clone(),
            steps: steps.into(),
            ..Script::default()
        };
        let ended = Box::new(source).run(Feed::new(before));
        assert_eq!(ended.is_err(), watch, "{ended:?}");
        std::mem::take(&mut before.rows)
    }
}

fn options(path: &std::path::Path, more: &str) -> String {
    format!("path = '{}'\n{more}", path.display())
}

fn put(path: PathBuf, text: &'static str) -> Box<dyn FnOnce()> {
    Box::new(move || append(&path, text))
}

fn append(path: &std::path::Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = fs::File::options().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// As if no process had written to it for a while.
fn aged(path: PathBuf) -> Box<dyn FnOnce()> {
    Box::new(move || {
        let file = fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_mins(1)).unwrap();
    })
}

fn rename(from: PathBuf, to: PathBuf) -> Box<dyn FnOnce()> {
    Box::new(move || fs::rename(&from, &to).unwrap())
}

fn nothing() -> Box<dyn FnOnce()> {
    Box::new(|| ())
}

const CSV: &str = "watch = true";

#[test]
fn a_log_is_read_on_across_rotation() {
    let folder = Folder::new();
    let log = folder.path("x.csv");
    append(&log, "text\none\n");
    let mut script = Script::default();
    let rows = folder.attempt(
        &options(&log, CSV),
        vec![
            put(log.clone(), "two\nthr"),
            put(log.clone(), "ee\n"),
            // Renamed: what is still written to it is read, and so is the new one.
            rename(log.clone(), folder.path("x.csv.1")),
            put(folder.path("x.csv.1"), "four\n"),
            put(log.clone(), "te"),
            put(log.clone(), "xt\nfive\n"),
            nothing(),
        ],
        &mut script,
    );
    let expected = ["x.csv 0 one", "x.csv 1 two", "x.csv 2 three", "x.csv 3 four", "x.csv 1000000000 five"];
    assert_eq!(rows, expected);
    // While nothing runs it is rotated twice more, and written to before.
    append(&log, "six\n");
    fs::rename(folder.path("x.csv.1"), folder.path("x.csv.2")).unwrap();
    fs::rename(&log, folder.path("x.csv.1")).unwrap();
    append(&log, "text\nseven\n");
    let rows = folder.attempt(&options(&log, CSV), vec![nothing(), nothing()], &mut script);
    assert_eq!(rows, ["x.csv.1 1000000001 six", "x.csv 2000000000 seven"]);
    let rows = folder.attempt(
        &options(&log, CSV),
        vec![nothing(), put(log.clone(), "eight\n"), nothing()],
        &mut script,
    );
    assert_eq!(rows, ["x.csv 2000000001 eight"]);
}

#[test]
fn a_truncated_log_is_a_new_one() {
    let folder = Folder::new();
    let log = folder.path("x.jsonl");
    append(&log, "{\"text\":\"one\"}\n{\"text\":\"two\"}\n");
    let mut script = Script::default();
    // Copied and truncated, with a line that was written in between.
    let (from, to) = (log.clone(), folder.path("x.jsonl.1"));
    let copy = move || {
        append(&from, "{\"text\":\"three\"}\n");
        fs::copy(&from, &to).unwrap();
        fs::write(&from, "{\"text\":\"four\"}\n").unwrap();
    };
    let rows = folder.attempt(&options(&log, CSV), vec![Box::new(copy), nothing(), nothing()], &mut script);
    assert_eq!(rows, ["x.jsonl 0 one", "x.jsonl 1 two", "x.jsonl.1 2 three", "x.jsonl 1000000000 four"]);
    // Truncated, and longer than before when it is read.
    let to = log.clone();
    let longer = move || fs::write(&to, "{\"text\":\"five\"}\n{\"text\":\"six\"}\n").unwrap();
    let rows = folder.attempt(&options(&log, CSV), vec![nothing(), Box::new(longer), nothing()], &mut script);
    assert_eq!(rows, ["x.jsonl 2000000000 five", "x.jsonl 2000000001 six"]);
}

#[test]
fn the_last_line_waits_for_its_end_or_for_rest() {
    let folder = Folder::new();
    let log = folder.path("x.jsonl");
    append(&log, "{\"text\":\"one\"}\n{\"text\":\"two\"}");
    let mut script = Script::default();
    let rows = folder.attempt(&options(&log, CSV), vec![nothing()], &mut script);
    assert_eq!(rows, ["x.jsonl 0 one"]);
    let rows = folder.attempt(&options(&log, CSV), vec![aged(log.clone()), nothing()], &mut script);
    assert_eq!(rows, ["x.jsonl 1 two"]);
    let rows = folder.attempt(
        &options(&log, CSV),
        vec![put(log.clone(), "\n{\"text\":\"three\"}\n"), nothing()],
        &mut script,
    );
    assert_eq!(rows, ["x.jsonl 2 three"]);
}

#[test]
fn folders_and_patterns_of_texts() {
    let folder = Folder::new();
    append(&folder.path("b/1.csv"), "text\none\ntwo\n");
    append(&folder.path("a/2.csv"), "text\nthree\n");
    append(&folder.path("a/bad.csv"), "other\nfour\n");
    append(&folder.path("a/notes.txt"), "no row\n");
    let mut script = Script::default();
    let all = options(folder.0.path(), "format = 'csv'");
    let rows = folder.attempt(&all, Vec::new(), &mut script);
    assert_eq!(
        rows,
        ["a/2.csv 0 three", "1000000000 text_unreadable", "b/1.csv 2000000000 one", "b/1.csv 2000000001 two"]
    );
    // What is appended, put between, renamed, mended: each row once.
    append(&folder.path("b/1.csv"), "five\n");
    append(&folder.path("a/0.csv"), "text\nsix\n");
    fs::rename(folder.path("a/2.csv"), folder.path("a/9.csv")).unwrap();
    fs::write(folder.path("a/bad.csv"), "text\nfour\n").unwrap();
    let rows = folder.attempt(&all, Vec::new(), &mut script);
    assert_eq!(rows, ["b/1.csv 2000000002 five", "a/0.csv 3000000000 six", "a/bad.csv 4000000000 four"]);
    assert_eq!(folder.attempt(&all, Vec::new(), &mut script), Vec::<String>::new());
    let rows = folder.attempt(&options(&folder.path("b/*.csv"), ""), Vec::new(), &mut Script::default());
    assert_eq!(rows, ["1.csv 0 one", "1.csv 1 two", "1.csv 2 five"]);
}

/// Cut off anywhere, with files that change before it is read on: no row twice, none lost.
#[test]
fn a_watched_folder_goes_on_in_a_later_attempt() {
    let folder = Folder::new();
    let (one, two) = (folder.path("one.jsonl"), folder.path("two.jsonl"));
    append(&one, "{\"text\":\"a\"}\n");
    let mut script = Script::default();
    let all = options(folder.0.path(), "format = 'jsonl'\nwatch = true");
    let rows = folder.attempt(
        &all,
        vec![put(two.clone(), "{\"text\":\"b\"}\nnone\n"), put(one.clone(), "{\"text\":\"c\"}\n"), nothing()],
        &mut script,
    );
    assert_eq!(rows, ["one.jsonl 0 a", "two.jsonl 1000000000 b", "1000000001 bad_json", "one.jsonl 1 c"]);
    append(&two, "{\"text\":\"d\"}\n");
    append(&one, "{\"text\":\"e\"}\n");
    let rows = folder.attempt(&all, vec![nothing()], &mut script);
    assert_eq!(rows, ["one.jsonl 2 e", "two.jsonl 1000000002 d"]);
}

#[test]
fn what_is_remembered_holds_no_name() {
    let folder = Folder::new();
    append(&folder.path("porch.csv"), "text\nhello\n");
    let mut script = Script::default();
    folder.attempt(&options(&folder.path("porch.csv"), ""), Vec::new(), &mut script);
    let notes = format!("{:?}", script.remembered);
    assert!(!script.remembered.is_empty() && !notes.contains("porch") && !notes.contains("hello"), "{notes}");
}
