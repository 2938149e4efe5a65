//! Watched logs whose reader is cut off anywhere, while they are written to, rotated and truncated: every line is taken in once.
//!
//! In: steps by chance. Out: the lines that an engine took in, which commits at any row, also in the middle of a batch, and passes over what it took
//! in behind the position it committed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;

/// What writers do to the logs between two polls, and what the reader does.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// So many lines more for one of the logs.
    Write(usize, usize),
    /// The first half of a line, and its end at the next step for this log.
    Half(usize),
    /// Renamed; the next line begins a new file.
    Rotate(usize),
    /// Emptied, if all of it is committed.
    Truncate(usize),
    /// The reader polls.
    Poll,
    /// The reader is cut off once it has taken in so many rows more, at the next row or before it, and begins again behind its last commit.
    CutOff(usize, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let log = 0usize..3;
    let step = prop_oneof![
        5 => (log.clone(), 1usize..6).prop_map(|(log, lines)| Step::Write(log, lines)),
        1 => log.clone().prop_map(Step::Half),
        1 => log.clone().prop_map(Step::Rotate),
        1 => log.prop_map(Step::Truncate),
        4 => Just(Step::Poll),
        2 => (0usize..7, any::<bool>()).prop_map(|(rows, at_once)| Step::CutOff(rows, at_once)),
    ];
    prop::collection::vec(step, 1..40)
}

/// The logs of a folder, and every line that was written.
struct Writers {
    folder: PathBuf,
    written: BTreeSet<String>,
    /// By log: the lines of the file that has its name, and the rest of a half line.
    lines: BTreeMap<usize, (Vec<String>, Option<String>)>,
    rotated: usize,
}

impl Writers {
    fn path(&self, log: usize) -> PathBuf {
        self.folder.join(format!("{log}.jsonl"))
    }

    fn complete(&mut self, log: usize) {
        if let Some(rest) = self.lines.entry(log).or_default().1.take() {
            append(&self.path(log), &rest);
        }
    }

    fn line(&mut self, log: usize) -> String {
        let text = format!("line {}", self.written.len());
        self.written.insert(text.clone());
        self.lines.entry(log).or_default().0.push(text.clone());
        format!("{{\"text\":\"{text}\"}}\n")
    }

    fn act(&mut self, step: Step, committed: &BTreeSet<String>) {
        match step {
            Step::Write(log, lines) => {
                self.complete(log);
                let text: String = (0..lines).map(|_| self.line(log)).collect();
                append(&self.path(log), &text);
            }
            Step::Half(log) => {
                self.complete(log);
                let line = self.line(log);
                let (first, rest) = line.split_at(line.len() / 2);
                append(&self.path(log), first);
                self.lines.entry(log).or_default().1 = Some(rest.to_owned());
            }
            Step::Rotate(log) => {
                self.complete(log);
                if self.path(log).exists() {
                    self.rotated += 1;
                    fs::rename(self.path(log), self.folder.join(format!("{log}.jsonl.{}", self.rotated)))
                        .unwrap();
                }
                self.lines.remove(&log);
            }
            Step::Truncate(log) => {
                let path = self.path(log);
                let lines = self.lines.entry(log).or_default();
                if lines.1.is_none()
                    && !lines.0.is_empty()
                    && lines.0.iter().all(|line| committed.contains(line))
                {
                    fs::write(path, "").unwrap();
                    lines.0.clear();
                    // A file system tells times apart by its ticks: what is written within one to the same length is not seen.
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            Step::Poll | Step::CutOff(..) => {}
        }
    }
}

type Key = (u64, u32);

/// What a commit holds.
#[derive(Clone, Default)]
struct Commit {
    position: Option<Position>,
    /// Rows that were taken in behind the position.
    behind: BTreeSet<Key>,
    remembered: StateTable,
    lines: Vec<String>,
}

/// The engine's end of the source: commits row by row until it is cut off.
struct Engine<'w> {
    commit: Commit,
    again: BTreeSet<Key>,
    /// Rows that are taken in before it is cut off.
    left: Option<usize>,
    /// Nothing that the source wants remembered behind the last of them is.
    at_once: bool,
    steps: Rc<RefCell<VecDeque<Step>>>,
    writers: &'w mut Writers,
}

impl FeedSink for Engine<'_> {
    fn send(&mut self, batch: RecordBatch, position: Position) -> bool {
        let ids = identity::IdentityColumns::of(&batch).unwrap();
        let texts = text_column(&batch, "text").unwrap();
        for row in 0..batch.num_rows() {
            let key = (ids.seq(row), ids.part(row));
            if self.again.remove(&key) {
                continue;
            }
            if self.left == Some(0) {
                return false;
            }
            self.left = self.left.map(|left| left - 1);
            self.commit.lines.push(texts.value(row).to_owned());
            self.commit.behind.insert(key);
        }
        (self.commit.position, self.commit.behind) = (Some(position), self.again.clone());
        true
    }
    fn reject(&mut self, _: RowId, _: Micros, code: &'static str, reason: String) -> bool {
        panic!("{code}: {reason}");
    }
    fn count(&mut self, _: &'static str, _: u64) {}
    fn remember(&mut self, change: Change) -> bool {
        if self.at_once && self.left == Some(0) {
            return false;
        }
        self.commit.remembered.apply(vec![change]);
        true
    }
    fn rest(&mut self, _: Duration) -> bool {
        loop {
            let Some(step) = self.steps.borrow_mut().pop_front() else { return false };
            match step {
                Step::Poll => return true,
                Step::CutOff(rows, at_once) => {
                    (self.left, self.at_once) = (Some(rows), at_once);
                    return true;
                }
                step => self.writers.act(step, &self.commit.lines.iter().cloned().collect()),
            }
        }
    }
    fn committed(&self) -> Option<Position> {
        None
    }
}

fn attempt(
    folder: &Path,
    commit: Commit,
    steps: &Rc<RefCell<VecDeque<Step>>>,
    writers: &mut Writers,
) -> Commit {
    let capture =
        Capture::from_table(&options(folder, "format = 'jsonl'\nwatch = true").parse().unwrap()).unwrap();
    let schema = capture.signature().apply(&[]).unwrap().remove(0);
    let (saved, position, site) = (commit.remembered.clone(), commit.position.clone(), HostEnv::default());
    let cx = SourceContext { id: "log", pipeline: "home", schema, position, saved: &saved, host: &site };
    let source = SourceConfig::open(&capture, cx).unwrap();
    let again = commit.behind.clone();
    let mut engine = Engine { commit, again, left: None, at_once: false, steps: steps.clone(), writers };
    Box::new(source).run(Feed::new(&mut engine)).unwrap_err();
    engine.commit
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_line_is_taken_in_once(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let mut writers = Writers {
            folder: folder.path().to_owned(),
            written: BTreeSet::new(),
            lines: BTreeMap::new(),
            rotated: 0,
        };
        let mut commit = Commit::default();
        let steps: Rc<RefCell<VecDeque<Step>>> = Rc::new(RefCell::new(steps.into()));
        while !steps.borrow().is_empty() {
            commit = attempt(folder.path(), commit, &steps, &mut writers);
        }
        (0..3).for_each(|log| writers.complete(log));
        steps.borrow_mut().extend([Step::Poll, Step::Poll]);
        commit = attempt(folder.path(), commit, &steps, &mut writers);
        let mut lines = commit.lines;
        lines.sort();
        let written: Vec<String> = writers.written.into_iter().collect();
        prop_assert_eq!(lines, written);
    }
}
