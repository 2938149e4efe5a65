//! The text files that were begun, and how far each was read, so that a later attempt reads what is new and nothing twice.
//!
//! In: lists of files, what earlier attempts remembered, how far they came. Out: the files to be read, each with a number that no other has and the
//! place to read on from; notes to be remembered. A file is known by its path and what was read of it: one that was renamed continues under its
//! number, one that holds something else is a new one. Notes hold digests and places alone: no name of a file.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, BinaryArray};
use headwater_contract::StateTable;
use headwater_contract::prelude::*;
use headwater_datasets::regular;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use super::super::file_ledger::Note;
use super::super::lines::Lines;
use super::super::text::{self, dates::Dates};
use super::super::utterance::{Place, PrefixDigest, first};
use super::listing::{TextFile, root};
use super::watched::Poll;

/// Bytes at the start of a file by which one that was renamed is looked for before all of it is compared.
pub const HEAD: u64 = 256;

/// The head of an entry that stands further on than when its first bytes were digested.
const NO_HEAD: PrefixDigest = [0; 16];

/// The line of a file that was refused as a whole.
pub const REFUSED: u64 = u64::MAX;

/// The last byte of a key: what the row holds.
const PLACE: u8 = b'p';
const DATES: u8 = b'd';

/// A file that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// The digest of its path below the root.
    path: PrefixDigest,
    /// The digest of its first bytes, as far as they were read; [`NO_HEAD`] where that is not known.
    head: PrefixDigest,
    /// Up to where it was read.
    place: Place,
}

/// A file to be read.
#[derive(Debug)]
pub struct Job {
    /// The file.
    pub file: TextFile,
    /// Where to read on; of a new file its number alone, which it has once it is begun.
    pub place: Place,
    /// True if it was never begun.
    pub is_new: bool,
}

/// A file that cannot be continued: another one stands in its place.
#[derive(Debug)]
pub struct ChangedFile {
    /// The file.
    pub file: TextFile,
    /// Up to where it had been read.
    pub place: Place,
}

/// The text files that were begun, in this attempt and in those before.
pub struct Ledger {
    root: PathBuf,
    zone: TimeZone,
    is_parquet: bool,
    entries: BTreeMap<u64, Entry>,
    /// Of entries of earlier attempts: the rows that hold when they were captured.
    dates: HashMap<u64, RecordBatch>,
    /// The entry that the last attempt was reading: what follows its place comes first.
    reading: Option<u64>,
    /// Entries that stand at no listed file any more, and were looked for among those that do.
    gone: HashSet<u64>,
    notes: VecDeque<Note>,
}

impl Ledger {
    /// Reads the notes of earlier attempts on the texts at a path; the last attempt ended at this place.
    ///
    /// # Errors
    /// Something that is remembered is of another version.
    pub fn open(
        path: &Path,
        saved: &StateTable,
        place: Option<Place>,
        zone: TimeZone,
        is_parquet: bool,
    ) -> Result<Self> {
        let (mut entries, mut dates) = (BTreeMap::new(), HashMap::new());
        for (key, row) in saved.iter() {
            match read(key, row) {
                Some(NoteKind::Place(number, entry)) => drop(entries.insert(number, entry)),
                Some(NoteKind::Dates(number)) => drop(dates.insert(number, row.clone())),
                None => {
                    return Err(StageError::new(
                        "what is kept of the texts that were taken in is of another version",
                    )
                    .help("begin again: run --fresh"));
                }
            }
        }
        let mut notes = VecDeque::new();
        // The position is of the last commit, the entry may be of one before: it must be known when the position has moved on to another file.
        if let Some(place) = place
            && let Some(entry) = entries.get_mut(&place.file).filter(|entry| entry.place != place)
        {
            if entry.place.byte < HEAD {
                entry.head = NO_HEAD;
            }
            entry.place = place;
            notes.extend(written(place.file, entry));
        }
        let reading = place.map(|place| place.file);
        let gone = HashSet::new();
        Ok(Self { root: root(path), zone, is_parquet, entries, dates, reading, gone, notes })
    }

    /// The dates of an entry.
    ///
    /// # Errors
    /// What is remembered of them is of another version.
    pub fn dates(&self, number: u64, path: &Path, read: u64) -> Result<Dates> {
        Dates::of_file(path, key(number, DATES), self.dates.get(&number), read, self.zone.clone())
    }

    /// The files of a list to be read, in order: the one that the last attempt was reading, the others begun, new ones. Files beside the listed
    /// ones are asked for where an entry is looked for.
    pub fn jobs(
        &mut self,
        poll: Poll,
        open: &HashSet<u64>,
        beside: impl FnOnce() -> Vec<TextFile>,
    ) -> (Vec<Job>, Vec<ChangedFile>) {
        let Poll { changed: files, unchanged } = poll;
        let unchanged: HashSet<PrefixDigest> = unchanged.iter().map(|path| self.below(path)).collect();
        let mut known: BTreeMap<u64, TextFile> = BTreeMap::new();
        let (mut rest, mut changed) = (Vec::new(), Vec::new());
        for file in files {
            let path = self.below(&file.path);
            let mut here = self.entries.iter().rev().filter(|(number, e)| {
                e.path == path && !known.contains_key(number) && !open.contains(number)
            });
            let same = here.clone().find(|(_, entry)| self.holds(&file, entry)).map(|(number, _)| *number);
            if let Some(number) = same {
                self.gone.remove(&number);
                known.insert(number, file);
                continue;
            }
            // One that was refused as a whole may have been mended.
            if let Some((_, entry)) = here.next().filter(|(_, entry)| entry.place.line != REFUSED) {
                changed.push((file.path.clone(), entry.place));
            }
            rest.push(file);
        }
        let lost: Vec<u64> = self
            .entries
            .iter()
            .filter(|(number, e)| {
                let is_there =
                    known.contains_key(number) || open.contains(number) || unchanged.contains(&e.path);
                !is_there && !self.gone.contains(number) && e.place.items > 0
            })
            .map(|(number, _)| *number)
            .collect();
        let mut beside = if lost.is_empty() { Vec::new() } else { beside() };
        beside.retain(|file| rest.iter().all(|listed| listed.path != file.path));
        for number in lost {
            self.gone.insert(number);
            let Some(mut entry) = self.entries.get(&number).copied() else { continue };
            let moved = |files: &mut Vec<TextFile>| {
                let at = files.iter().position(|file| self.is_moved(file, &entry))?;
                Some(files.remove(at))
            };
            let Some(file) = moved(&mut rest).or_else(|| moved(&mut beside)) else { continue };
            entry.path = self.below(&file.path);
            self.put(number, entry);
            known.insert(number, file);
        }
        let is_there = |path: &Path| rest.iter().find(|file| file.path == path).cloned();
        let changed = changed
            .into_iter()
            .filter_map(|(path, place)| Some(ChangedFile { file: is_there(&path)?, place }));
        let changed = changed.collect();
        let mut jobs: Vec<Job> = Vec::new();
        for (number, file) in known {
            let Some(entry) = self.entries.get(&number) else { continue };
            let job = Job { file, place: Place { file: number, ..entry.place }, is_new: false };
            if Some(number) == self.reading { jobs.insert(0, job) } else { jobs.push(job) }
        }
        let next = self.entries.last_key_value().map_or(0, |(last, _)| last + 1);
        jobs.extend((next..).zip(rest).map(|(number, file)| {
            let place = Place { file: number, ..Place::default() };
            Job { file, place, is_new: true }
        }));
        (jobs, changed)
    }

    /// Notes up to where a file was read that begins with these bytes.
    pub fn came_to(&mut self, path: &Path, place: Place, head: &[u8]) {
        let entry = Entry { path: self.below(path), head: head_of(head, place.byte), place };
        if self.entries.get(&place.file) != Some(&entry) {
            self.put(place.file, entry);
        }
    }

    /// The path of a file that was begun is another one now.
    pub fn renamed(&mut self, number: u64, path: &Path) {
        let path = self.below(path);
        if let Some(entry) = self.entries.get(&number).copied().filter(|entry| entry.path != path) {
            self.put(number, Entry { path, ..entry });
        }
    }

    /// A note that the engine has not been given yet.
    pub fn note(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    fn put(&mut self, number: u64, entry: Entry) {
        self.entries.insert(number, entry);
        self.notes.extend(written(number, &entry));
    }

    fn below(&self, path: &Path) -> PrefixDigest {
        first(&Sha256::digest(path.strip_prefix(&self.root).unwrap_or(path).as_os_str().as_encoded_bytes()))
    }

    /// Returns true if a file holds what was read of an entry.
    fn holds(&self, file: &TextFile, entry: &Entry) -> bool {
        if self.is_parquet {
            return text::parquet_content(&file.path)
                .is_ok_and(|content| Some(content) == entry.place.before);
        }
        let Ok(reader) = regular::open(&file.path) else { return false };
        let mut lines = Lines::at(BufReader::new(reader), 0, 0);
        file.stat.len >= entry.place.byte && lines.pass_to(entry.place).unwrap_or(false)
    }

    /// The same, asked first of its first bytes where they are known.
    fn is_moved(&self, file: &TextFile, entry: &Entry) -> bool {
        let head = || regular::open(&file.path).map(|reader| head_of(reader, entry.place.byte));
        let alike = self.is_parquet
            || (entry.place.byte > 0
                && file.stat.len >= entry.place.byte
                && (entry.head == NO_HEAD || head().is_ok_and(|head| head == entry.head)));
        alike && self.holds(file, entry)
    }
}

/// The digest of the first bytes of what was read.
fn head_of(reader: impl Read, read: u64) -> PrefixDigest {
    let mut bytes = Vec::new();
    // What cannot be read is found out when the rest is.
    let _ = reader.take(read.min(HEAD)).read_to_end(&mut bytes);
    first(&Sha256::digest(&bytes))
}

fn key(number: u64, what: u8) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[what]].concat()
}

enum NoteKind {
    Place(u64, Entry),
    Dates(u64),
}

fn written(number: u64, entry: &Entry) -> Option<Note> {
    let bytes = |bytes: &[u8]| -> ArrayRef { Arc::new(BinaryArray::from_vec(vec![bytes])) };
    let row = RecordBatch::try_from_iter([
        ("path", bytes(&entry.path)),
        ("head", bytes(&entry.head)),
        ("place", bytes(&entry.place.to_bytes())),
    ]);
    Some((key(number, PLACE), row.ok()?))
}

fn read(key: &[u8], row: &RecordBatch) -> Option<NoteKind> {
    let (number, what) = key.split_first_chunk::<8>()?;
    let number = u64::from_be_bytes(*number);
    if what == [DATES] {
        return Some(NoteKind::Dates(number));
    }
    let bytes = |name: &str| {
        let column = row.column_by_name(name)?.as_binary_opt::<i32>().filter(|column| column.len() == 1)?;
        Some(column.value(0))
    };
    let entry = Entry {
        path: bytes("path")?.try_into().ok()?,
        head: bytes("head")?.try_into().ok()?,
        place: Place::from_bytes(bytes("place")?)?,
    };
    (what == [PLACE]).then_some(NoteKind::Place(number, entry))
}
