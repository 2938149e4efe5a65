//! The recordings that were begun, each known by its place and its content, so that a later attempt takes in what is new and nothing twice.
//!
//! In: a list of recordings, notes of earlier attempts, how far they came. Out: the recordings that are to be heard, in order, each
//! with a number that no other has; a note for each. A recording keeps its number, and with it the identity of what is heard in
//! it, whatever is put before, between or behind others. Notes hold digests alone: no name of a file or device.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, Int64Array, UInt64Array};
use arrow::datatypes::{Int64Type, UInt64Type};
use headwater_contract::StateTable;
use headwater_contract::prelude::*;
use headwater_contract::units::Micros;
use headwater_datasets::dataset::check;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use super::recordings::{SEQS, Take};
use super::stamp;
use super::utterance::{Place, first};

/// The first bytes of a SHA-256.
type Content = [u8; 16];

/// A note for the engine: a key and a row.
pub type Note = (Vec<u8>, RecordBatch);

/// A recording that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// Digests of its path below the root, of its device's name and of what is in it.
    path: Content,
    device: Content,
    content: Content,
    /// The number of recordings of its device that were begun before it.
    ordinal: u64,
    /// When its first sample was captured, as it was found when it was begun: a file's date may change later.
    captured_at: Micros,
}

/// The comparison of a list with the recordings known before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListComparison {
    /// Never seen.
    pub new: u64,
    /// Begun before.
    pub known: u64,
    /// Another content at a known place.
    pub changed: u64,
    /// A known content at another place, where the old one is gone.
    pub renamed: u64,
}

/// The recordings that were begun, in this attempt and earlier ones.
pub struct FileLedger {
    /// The folder to which paths are relative.
    root: PathBuf,
    /// The zone of times that name none.
    zone: TimeZone,
    /// By number: the order in which they were begun.
    entries: BTreeMap<u64, Entry>,
    /// Recordings so far, by device.
    counts: HashMap<Content, u64>,
    /// Digests of files that have not been touched since.
    fresh: HashMap<PathBuf, (Stat, Content)>,
    notes: VecDeque<Note>,
}

/// Properties of a file that change with a write; compared within one attempt alone.
type Stat = (u64, i64, i64, u64);

fn stat(path: &Path) -> Option<Stat> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ino()))
}

fn digest(bytes: &[u8]) -> Content {
    first(&Sha256::digest(bytes))
}

/// The digest of a file's content; zeros where it cannot be read.
fn digest_of(path: &Path) -> Content {
    first(&check::digest(path).unwrap_or_default())
}

impl FileLedger {
    /// Reads the notes of earlier attempts on the recordings at a path.
    ///
    /// # Errors
    /// A note is of another version.
    pub fn open(path: &Path, saved: &StateTable, zone: TimeZone) -> Result<Self> {
        let root = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
        let entries = saved.iter().map(|(key, row)| read(key, row)).collect::<Result<BTreeMap<_, _>>>()?;
        let mut counts = HashMap::new();
        for entry in entries.values() {
            let count: &mut u64 = counts.entry(entry.device).or_default();
            *count = (*count).max(entry.ordinal + 1);
        }
        let (fresh, notes) = (HashMap::new(), VecDeque::new());
        Ok(FileLedger { root: root.to_owned(), zone, entries, counts, fresh, notes })
    }

    /// Returns true if nothing was ever begun.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes over the progress of an attempt without notes: the first recordings of the list are known by their places there.
    pub fn adopt(&mut self, takes: &[Take], place: Place) {
        let begun = place.file.saturating_add(u64::from(place.items > 0));
        for (take, number) in takes.iter().zip(0..begun) {
            let entry = Entry { ordinal: take.first_seq / SEQS, ..self.entry(take) };
            self.begun(number, entry);
        }
    }

    /// Those of a list that are to be heard after this place, in order: what was begun before, then the rest as it is listed.
    pub fn unheard(&mut self, takes: Vec<Take>, place: Place) -> (Vec<Take>, ListComparison) {
        let listed: HashSet<Content> = takes.iter().map(|take| self.below(&take.path)).collect();
        let by_path: HashMap<Content, u64> =
            self.entries.iter().map(|(number, e)| (e.path, *number)).collect();
        let gone = |entry: &Entry| !listed.contains(&entry.path);
        let mut gone: Vec<u64> = self.entries.iter().filter(|(_, e)| gone(e)).map(|(n, _)| *n).collect();
        let (mut begun, mut rest, mut found) = (BTreeMap::new(), Vec::new(), ListComparison::default());
        for take in takes {
            let known = if let Some(number) = by_path.get(&self.below(&take.path)) {
                let content = self.content(&take.path);
                let same = self.entries.get(number).is_some_and(|entry| entry.content == content);
                let count = if same { &mut found.known } else { &mut found.changed };
                *count += 1;
                same.then_some(*number)
            } else {
                let renamed = self.renamed(&take, &mut gone);
                let count = if renamed.is_some() { &mut found.renamed } else { &mut found.new };
                *count += 1;
                renamed
            };
            match known {
                Some(number) if number < place.file => {}
                Some(number) => drop(begun.insert(number, take)),
                None => rest.push(take),
            }
        }
        for (number, take) in &mut begun {
            if let Some(entry) = self.entries.get(number) {
                number_take(take, *number, entry);
            }
        }
        (begun.into_values().chain(rest).collect(), found)
    }

    /// Begins a recording: from now on it has a number.
    pub fn begin(&mut self, take: &mut Take) {
        if take.number.is_some() {
            return;
        }
        let entry = self.entry(take);
        let number = self.entries.last_key_value().map_or(0, |(last, _)| last + 1);
        number_take(take, number, &entry);
        self.begun(number, entry);
    }

    /// A note that the engine has not been given yet.
    pub fn note(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    fn entry(&mut self, take: &Take) -> Entry {
        let device = digest(take.device.as_bytes());
        Entry {
            path: self.below(&take.path),
            device,
            content: self.content(&take.path),
            ordinal: self.counts.get(&device).copied().unwrap_or_default(),
            captured_at: take.captured_at.unwrap_or_else(|| stamp::captured_at(&take.path, &self.zone)),
        }
    }

    fn begun(&mut self, number: u64, entry: Entry) {
        self.counts.insert(entry.device, entry.ordinal + 1);
        self.put(number, entry);
    }

    fn put(&mut self, number: u64, entry: Entry) {
        self.entries.insert(number, entry);
        // Columns of one row each always make a batch.
        self.notes.extend(written(number, &entry));
    }

    /// The number of a recording that has moved here from a place where it is gone.
    fn renamed(&mut self, take: &Take, gone: &mut Vec<u64>) -> Option<u64> {
        if gone.is_empty() {
            return None;
        }
        let (content, device) = (self.content(&take.path), digest(take.device.as_bytes()));
        let was = |number: &u64| {
            let entry = self.entries.get(number);
            entry.is_some_and(|e| e.content == content && e.device == device && content != Content::default())
        };
        let at = gone.iter().position(was)?;
        let number = gone.remove(at);
        let before = *self.entries.get(&number)?;
        self.put(number, Entry { path: self.below(&take.path), ..before });
        Some(number)
    }

    /// A path as it is noted: the same wherever the root lies.
    fn below(&self, path: &Path) -> Content {
        digest(path.strip_prefix(&self.root).unwrap_or(path).as_os_str().as_encoded_bytes())
    }

    fn content(&mut self, path: &Path) -> Content {
        let now = stat(path);
        if let (Some(now), Some((then, content))) = (&now, self.fresh.get(path))
            && now == then
        {
            return *content;
        }
        let content = digest_of(path);
        if let Some(now) = now {
            self.fresh.insert(path.to_owned(), (now, content));
        }
        content
    }
}

/// Gives a recording its number, the seqs that follow from how many of its device were begun before, and the time that was found then;
/// what a manifest says of the time holds.
fn number_take(take: &mut Take, number: u64, entry: &Entry) {
    take.number = Some(number);
    take.first_seq = entry.ordinal.saturating_mul(SEQS);
    take.captured_at.get_or_insert(entry.captured_at);
}

fn written(number: u64, entry: &Entry) -> Option<Note> {
    let bytes = |bytes: &Content| -> ArrayRef { Arc::new(BinaryArray::from_vec(vec![bytes])) };
    let row = RecordBatch::try_from_iter([
        ("path", bytes(&entry.path)),
        ("device", bytes(&entry.device)),
        ("content", bytes(&entry.content)),
        ("ordinal", Arc::new(UInt64Array::from(vec![entry.ordinal])) as ArrayRef),
        ("captured_at", Arc::new(Int64Array::from(vec![entry.captured_at.0])) as ArrayRef),
    ]);
    Some((number.to_be_bytes().to_vec(), row.ok()?))
}

fn read(key: &[u8], row: &RecordBatch) -> Result<(u64, Entry)> {
    let bytes = |name: &str| -> Option<Content> {
        row.column_by_name(name)?
            .as_binary_opt::<i32>()
            .filter(|column| column.len() == 1)?
            .value(0)
            .try_into()
            .ok()
    };
    let ordinal =
        || row.column_by_name("ordinal")?.as_primitive_opt::<UInt64Type>()?.values().first().copied();
    let captured_at = || {
        let times = row.column_by_name("captured_at")?.as_primitive_opt::<Int64Type>()?;
        times.values().first().copied().map(Micros)
    };
    let entry = || {
        let (path, device, content) = (bytes("path")?, bytes("device")?, bytes("content")?);
        let number = u64::from_be_bytes(key.try_into().ok()?);
        Some((number, Entry { path, device, content, ordinal: ordinal()?, captured_at: captured_at()? }))
    };
    entry().ok_or_else(|| {
        StageError::new("the saved list of recordings is of another version")
            .help("begin from scratch: run --fresh")
    })
}

#[cfg(test)]
mod tests;
