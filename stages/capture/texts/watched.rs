//! Text files that are written to while they are read.
//!
//! In: lists of files, now and then. Out: those that changed. A file that grows stays open, so that a renamed one is read to its end. What is
//! cut off in its last line is taken in once no process has written to it for a while. Time decides when something is taken in, and nothing else.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::BufReader;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::Format;
use super::super::text::RecordReader;
use super::super::utterance::Utterances;
use super::ledger::{HEAD, Ledger};
use super::listing::{Stat, TextFile};

/// The time without writes to a text whose last line is whole although it has no end.
const REST: Duration = Duration::from_secs(10);
/// The time without writes to a file that is written as a whole, as Parquet is.
const SETTLED: Duration = Duration::from_secs(2);
/// Files that stay open.
const MOST: usize = 64;
/// Bytes before a place that are compared when a file has grown: a file that was truncated and has grown beyond the place is another one.
const TAIL: u64 = 64;

/// A file that is open.
pub struct Open {
    /// Where it is, or was when it was opened.
    pub path: PathBuf,
    /// Its rows.
    pub reading: RecordReader<BufReader<File>>,
    stat: Stat,
    since: Instant,
    tail: Vec<u8>,
}

impl Open {
    /// A file that was opened when it was so.
    pub fn new(path: PathBuf, stat: Stat, reading: RecordReader<BufReader<File>>) -> Self {
        Self { path, reading, stat, since: Instant::now(), tail: Vec::new() }
    }

    fn file(&self) -> &File {
        self.reading.reader().get_ref()
    }

    /// Before what is there is read: where the file is watched and not at rest, a last line without an end waits.
    pub fn begin_pass(&mut self, watch: bool) {
        let growing = watch && !is_old(&self.stat, self.since, REST);
        self.reading.expect_more(growing);
    }

    /// Its first bytes.
    pub fn head(&self) -> Vec<u8> {
        self.bytes(0, HEAD)
    }

    /// After it was read.
    pub fn end_pass(&mut self) {
        let byte = self.reading.place().byte;
        self.tail = self.bytes(byte.saturating_sub(TAIL), byte);
    }

    fn bytes(&self, from: u64, to: u64) -> Vec<u8> {
        let length = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
        let mut bytes = vec![0; length];
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.file().read_at(rest, from + read as u64) {
                Ok(0) | Err(_) => break,
                Ok(count) => read += count,
            }
        }
        bytes.truncate(read);
        bytes
    }

    /// Returns true if the file still holds what was read, as far as its metadata show.
    fn goes_on(&self, stat: &Stat) -> bool {
        let byte = self.reading.place().byte;
        stat.len >= byte && self.bytes(byte.saturating_sub(TAIL), byte) == self.tail
    }
}

fn is_old(stat: &Stat, since: Instant, age: Duration) -> bool {
    let written = stat.modified.and_then(|written| written.elapsed().ok());
    written.is_some_and(|written| written >= age) || since.elapsed() >= age
}

/// A file as it was listed.
#[derive(Clone, Copy)]
struct FileState {
    stat: Stat,
    since: Instant,
    /// True if it was read as it is.
    looked: bool,
}

/// The state of the files that are watched.
#[derive(Default)]
pub struct WatchedFiles {
    open: Vec<Open>,
    seen: HashMap<PathBuf, FileState>,
}

/// A list of files against what was seen of them.
pub struct Poll {
    /// Those that are new or have changed, and are not open.
    pub changed: Vec<TextFile>,
    /// Where the others are.
    pub unchanged: Vec<PathBuf>,
}

impl WatchedFiles {
    /// The open files that have something to be read.
    pub fn take_grown(&mut self) -> Vec<Open> {
        let mut grown = Vec::new();
        for mut open in std::mem::take(&mut self.open) {
            let Ok(stat) = open.file().metadata().map(|meta| Stat::of(&meta)) else { continue };
            let waits = stat.len > open.reading.place().byte;
            if stat != open.stat {
                if !open.goes_on(&stat) {
                    // It is read as a new one.
                    self.seen.remove(&open.path);
                    continue;
                }
                (open.stat, open.since) = (stat, Instant::now());
                grown.push(open);
            } else if waits && is_old(&stat, open.since, REST) {
                grown.push(open);
            } else if is_old(&stat, open.since, REST) && is_elsewhere(&open.path, &stat) {
                // Renamed or removed, and read to its end.
            } else {
                self.open.push(open);
            }
        }
        grown
    }

    /// Keeps a file open, so that it is read on.
    pub fn keep(&mut self, open: Open) {
        self.open.push(open);
        if self.open.len() > MOST {
            let oldest = self.open.iter().enumerate().min_by_key(|(_, open)| open.since).map(|(at, _)| at);
            let closed = oldest.map(|at| self.open.swap_remove(at));
            let seen =
                |open: Open| (open.path, FileState { stat: open.stat, since: open.since, looked: true });
            self.seen.extend(closed.map(seen));
        }
    }

    /// The numbers of the files that are open.
    pub fn numbers(&self) -> HashSet<u64> {
        self.open.iter().map(|open| open.reading.place().file).collect()
    }

    /// Returns the files of a list to be read.
    pub fn poll(&mut self, files: Vec<TextFile>, format: Format, ledger: &mut Ledger) -> Poll {
        let mut poll = Poll { changed: Vec::new(), unchanged: Vec::new() };
        let before = std::mem::take(&mut self.seen);
        for file in files {
            if let Some(open) = self.open.iter_mut().find(|open| open.stat.inode == file.stat.inode) {
                if open.path != file.path {
                    open.path.clone_from(&file.path);
                    ledger.renamed(open.reading.place().file, &file.path);
                }
                poll.unchanged.push(file.path);
                continue;
            }
            let now = FileState { stat: file.stat, since: Instant::now(), looked: false };
            let mut seen =
                before.get(&file.path).copied().filter(|seen| seen.stat == file.stat).unwrap_or(now);
            let is_whole = format != Format::Parquet || is_old(&seen.stat, seen.since, SETTLED);
            let is_due = is_whole && !std::mem::replace(&mut seen.looked, is_whole);
            self.seen.insert(file.path.clone(), seen);
            if is_due {
                poll.changed.push(file);
            } else {
                poll.unchanged.push(file.path);
            }
        }
        poll
    }
}

/// Returns true if another file, or none, stands where this one was.
fn is_elsewhere(path: &Path, stat: &Stat) -> bool {
    fs::metadata(path).map_or(true, |meta| Stat::of(&meta).inode != stat.inode)
}
