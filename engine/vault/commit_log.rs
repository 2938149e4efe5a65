//! A keyed table of sealed rows that changes in durable, atomic steps. In: changes and a note, together. Out: the live
//! rows of each table, and the last note. A step is one frame with one sync: after a crash it is there as a whole or
//! not at all. In memory are the keys and the places of their rows, not the rows. It must not know what tables, keys
//! and notes mean. See docs/formats/state.md.

mod compact;
mod content;
mod index;
mod roll_back;
mod view;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::disk::Disk;
use crate::durable::{self, FolderLock};
use crate::file_check::{self, FileCheck};
use crate::frames::{FrameReader, Owner, TornTail};
use crate::keystore::{DeviceTag, Keystore};
use crate::log_files::{self, LogFiles, Place};
use crate::root_key::KeyProvider;
use crate::rows;
use crate::{Error, Result};
use content::Content;
use index::Index;

pub use roll_back::Rollback;
pub use view::CommitLogView;

/// One change of a table.
#[derive(Clone, Debug)]
pub struct StateChange {
    /// The table's name.
    pub table: String,
    /// The row's key.
    pub key: Vec<u8>,
    /// The device that the row is about: its key seals the row.
    pub device: Option<String>,
    /// The row, a batch of one; `None` deletes it.
    pub row: Option<RecordBatch>,
}

/// A row of a table: its key, its device, and a batch of one row.
pub type StateRow = (Vec<u8>, Option<String>, RecordBatch);

/// The size of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitLogSize {
    /// Live rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Approximate bytes of the live rows.
    pub live_bytes: u64,
}

/// The log, open for writing. One process at a time may hold it.
pub struct CommitLog {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    keystore: Keystore,
    files: LogFiles,
    index: Index,
    /// Bytes of each file but the one that is being written.
    ended: BTreeMap<u64, u64>,
    /// Bytes below which no compaction runs.
    compact_above: u64,
    torn: Vec<TornTail>,
    /// None in a view, which writes nothing.
    _lock: Option<FolderLock>,
}

/// Dead bytes that are never worth a compaction.
const FEW_BYTES: u64 = 1 << 20;

impl CommitLog {
    /// Opens or creates the log in `folder`. An incomplete step from a crash is undone; its torn tail is cut and returned
    /// by [`CommitLog::torn`]. An acknowledged step that cannot be read is an error that names file and place.
    pub fn open(folder: &Path, provider: &dyn KeyProvider, disk: Arc<dyn Disk>) -> Result<CommitLog> {
        durable::create_folder(&*disk, folder)?;
        let lock = FolderLock::take(&*disk, folder)?;
        let keystore = Keystore::open_or_create(&disk, folder, provider)?;
        log_files::remove_leftovers(&*disk, folder, &keystore)?;
        let mut log = CommitLog::unread(&disk, folder, keystore, Some(lock));
        log.replay()?;
        log.compact_if_worth()?;
        Ok(log)
    }

    /// The log before its files are replayed; a view holds no lock.
    fn unread(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        keystore: Keystore,
        lock: Option<FolderLock>,
    ) -> CommitLog {
        CommitLog {
            files: LogFiles::new(disk, folder),
            disk: Arc::clone(disk),
            folder: folder.to_owned(),
            keystore,
            index: Index::default(),
            ended: BTreeMap::new(),
            compact_above: FEW_BYTES,
            torn: Vec::new(),
            _lock: lock,
        }
    }

    /// The bytes given with the last commit.
    pub fn note(&self) -> Option<&[u8]> {
        self.index.note.as_deref()
    }

    /// The names of the tables that have rows.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.index.tables.keys().map(String::as_str)
    }

    /// The live rows of a table, by key.
    pub fn rows(&self, table: &str) -> Result<Vec<StateRow>> {
        let mut wanted: BTreeMap<Place, Vec<_>> = BTreeMap::new();
        for (key, row) in self.index.tables.get(table).into_iter().flatten() {
            wanted.entry(row.place).or_default().push((key, row));
        }
        let mut found = Vec::new();
        for (place, rows) in wanted {
            let batches =
                batches_of(&self.folder, place, &self.files.reader(&self.keystore, place.file, None)?)?;
            for (key, row) in rows {
                let batch = batches.get(&row.part).filter(|batch| row.in_part < batch.num_rows());
                let batch = batch.ok_or_else(|| lost(&self.folder, place))?.slice(row.in_part, 1);
                found.push((key.clone(), self.name_of(row.owner), batch));
            }
        }
        found.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(found)
    }

    /// Makes changes and a note durable in one step: after a crash all of them are there, or none. Of several changes of
    /// one key the last counts. When the disk is full nothing has changed, and the commit may be repeated; after any
    /// other error the log accepts no more commits.
    pub fn commit(&mut self, note: &[u8], changes: Vec<StateChange>) -> Result {
        let mut contents = vec![(Owner::Log, Content::Note(note.into()))];
        contents.extend(self.contents_of(changes)?);
        self.write(&contents)?;
        self.compact_if_worth()
    }

    /// Deletes a table; returns the number of its rows.
    pub fn drop_table(&mut self, table: &str) -> Result<u64> {
        let rows = self.index.tables.get(table).map_or(0, |rows| rows.len() as u64);
        if rows > 0 {
            self.write(&[(Owner::Log, Content::Drop(table.to_owned()))])?;
            self.compact_if_worth()?;
        }
        Ok(rows)
    }

    /// Deletes a device's key: its rows cannot be read from then on, even from copies of the files, and count as
    /// deleted. Returns their number.
    pub fn forget(&mut self, device: &str) -> Result<u64> {
        self.files.check_usable()?;
        let Some(tag) = self.keystore.tag_if_known(device) else { return Ok(0) };
        self.keystore.forget(device);
        self.keystore.save().map_err(|error| self.files.poison(error))?;
        let rows = self.index.forget(Owner::Device(tag));
        self.compact_if_worth()?;
        Ok(rows)
    }

    /// Torn tails from a crash that were cut; nothing in them was acknowledged.
    pub fn torn(&self) -> &[TornTail] {
        &self.torn
    }

    /// The size of the log.
    pub fn size(&self) -> CommitLogSize {
        let current = self.files.current().map_or(0, |(_, bytes)| bytes);
        CommitLogSize {
            rows: self.index.tables.values().map(|rows| rows.len() as u64).sum(),
            files: self.ended.len() as u64 + u64::from(current > 0),
            bytes: self.ended.values().sum::<u64>() + current,
            live_bytes: self.index.live_bytes(),
        }
    }

    /// Verifies every byte of a log, which may be open for writing elsewhere.
    pub fn verify(folder: &Path, provider: &dyn KeyProvider) -> Result<Vec<FileCheck>> {
        CommitLog::verify_on(folder, provider, &crate::disk::real())
    }

    /// As [`CommitLog::verify`], on another disk.
    pub fn verify_on(
        folder: &Path,
        provider: &dyn KeyProvider,
        disk: &Arc<dyn Disk>,
    ) -> Result<Vec<FileCheck>> {
        file_check::check_log(disk, folder, provider)
    }

    fn replay(&mut self) -> Result {
        let (index, folder) = (&mut self.index, &self.folder);
        let found = self.files.replay(&self.keystore, &mut |place, frame| {
            let parts = frame.parts.iter().enumerate();
            let parts = parts.filter_map(|(n, part)| Some((n, part.content.as_ref()?, part.bytes)));
            index.apply(place, parts).ok_or_else(|| lost(folder, place))
        })?;
        self.torn.extend(found.torn.clone());
        self.ended = self.keystore.logs().filter_map(|(n, _, closed)| Some((n, closed?))).collect();
        self.ended.extend(found.last);
        let carried = self.files.resume(&mut self.keystore, &found)?;
        for (frame, (place, bytes)) in found.unsettled.iter().zip(carried) {
            let contents = frame.parts.iter().filter_map(|part| part.content.as_ref()).zip(bytes);
            let parts = contents.enumerate().map(|(n, (part, bytes))| (n, part, bytes));
            self.index.apply(place, parts).ok_or_else(|| lost(&self.folder, place))?;
        }
        self.ended.retain(|number, _| self.keystore.log_key(*number).is_some());
        Ok(())
    }

    /// Writes one frame durably, and only then changes the tables.
    fn write(&mut self, contents: &[(Owner, Content<'_>)]) -> Result {
        let parts = content::parts(&self.folder, contents)?;
        let before = self.files.current();
        let (place, bytes) = self.files.append(&mut self.keystore, &parts)?;
        self.files.sync()?;
        // A full disk ends a file early.
        self.ended.extend(before.filter(|(number, _)| *number != place.file));
        let parts = parts.iter().zip(bytes).enumerate().map(|(n, (part, bytes))| (n, part, bytes));
        self.index.apply(place, parts).ok_or_else(|| lost(&self.folder, place))
    }

    fn name_of(&self, owner: Owner) -> Option<String> {
        match owner {
            Owner::Log => None,
            Owner::Device(tag) => self.keystore.device_name(tag).map(str::to_owned),
        }
    }

    fn owner_of(&mut self, device: Option<&str>) -> Result<Owner> {
        device.map_or(Ok(Owner::Log), |device| self.keystore.device(device).map(Owner::Device))
    }
}

/// The rows of the parts of a frame, by the number of the part.
fn batches_of(folder: &Path, place: Place, reader: &FrameReader<'_>) -> Result<BTreeMap<usize, RecordBatch>> {
    let path = log_files::path_of(folder, place.file);
    let frame = reader.frame_at(place.at, place.sequence)?;
    let mut batches = BTreeMap::new();
    for (number, part) in frame.parts.iter().enumerate() {
        let Some(part) = &part.content else { continue };
        if let Some(Content::Put { rows, .. }) = Content::decode(&part.plain) {
            batches.insert(number, rows::decode(&path, &rows)?);
        }
    }
    Ok(batches)
}

fn lost(folder: &Path, place: Place) -> Error {
    let what =
        format!("frame {} at byte {}: it opens, but is not what a commit writes", place.sequence, place.at);
    Error::damaged(&log_files::path_of(folder, place.file), what)
}

/// The changes of one table under one device's key.
#[derive(Default)]
struct TableChanges {
    deleted: Vec<Vec<u8>>,
    put: Vec<(Vec<u8>, RecordBatch)>,
}

impl CommitLog {
    /// Changes as the contents of parts. A row that is replaced by another device's row is deleted under its own
    /// device's key: else it would reappear when the other device is forgotten.
    fn contents_of(&mut self, changes: Vec<StateChange>) -> Result<Vec<(Owner, Content<'static>)>> {
        let mut last: BTreeMap<(String, Vec<u8>), (Owner, Option<RecordBatch>)> = BTreeMap::new();
        for StateChange { table, key, device, row } in changes {
            if row.as_ref().is_some_and(|row| row.num_rows() != 1) {
                let what = "a change of state holds one row, or none to delete it";
                return Err(Error::BadRows(what.into()));
            }
            let owner = if row.is_some() { self.owner_of(device.as_deref())? } else { Owner::Log };
            last.insert((table, key), (owner, row));
        }
        let mut gathered: BTreeMap<(String, Option<DeviceTag>), TableChanges> = BTreeMap::new();
        let of = |owner| match owner {
            Owner::Log => None,
            Owner::Device(tag) => Some(tag),
        };
        for ((table, key), (owner, row)) in last {
            let present = self.index.tables.get(&table).and_then(|rows| rows.get(&key)).map(|row| row.owner);
            if let Some(present) = present.filter(|present| row.is_none() || *present != owner) {
                gathered.entry((table.clone(), of(present))).or_default().deleted.push(key.clone());
            }
            if let Some(row) = row {
                gathered.entry((table, of(owner))).or_default().put.push((key, row));
            }
        }
        let (mut deletes, mut puts) = (Vec::new(), Vec::new());
        for ((table, tag), TableChanges { deleted, put }) in gathered {
            let owner = tag.map_or(Owner::Log, Owner::Device);
            if !deleted.is_empty() {
                deletes.push((owner, Content::Delete { table: table.clone(), keys: deleted }));
            }
            puts.extend(
                content::puts(&self.folder, &table, put)?.into_iter().map(|content| (owner, content)),
            );
        }
        deletes.extend(puts);
        Ok(deletes)
    }
}
