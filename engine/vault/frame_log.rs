//! A folder of frame files that reads as one log. In: batches, from one writer at a time, over many lives of
//! the process. Out: all of them, in order. Each life writes to a new file under a new key, since a
//! nonce counter is never resumed. It knows nothing of what the rows mean.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;

use crate::durable::{self, FolderLock};
use crate::frames::{FrameReader, FrameWriter, TornTail};
use crate::keystore::Keystore;
use crate::root_key::KeyProvider;
use crate::{Error, Result};

/// The writing side of a log.
pub struct FrameLog {
    folder: PathBuf,
    keystore: Keystore,
    writer: Option<FrameWriter>,
    _lock: FolderLock,
}

/// What a log holds.
#[derive(Debug, Default)]
pub struct LogContent {
    /// Its batches, in the order in which they were appended.
    pub batches: Vec<RecordBatch>,
    /// Tails that a crash left; they were never acknowledged.
    pub torn: Vec<TornTail>,
}

impl FrameLog {
    /// Opens the log in `folder` for appending; the folder and its keystore are made if need be.
    pub fn open(folder: &Path, provider: &dyn KeyProvider) -> Result<FrameLog> {
        durable::create_folder(folder)?;
        let lock = FolderLock::take(folder)?;
        let keystore = Keystore::open_or_create(folder, provider)?;
        remove_leftovers(folder, &keystore)?;
        Ok(FrameLog { folder: folder.to_owned(), keystore, writer: None, _lock: lock })
    }

    /// Reads a log that may be open for writing elsewhere. One that was never written to is empty.
    pub fn read(folder: &Path, provider: &dyn KeyProvider) -> Result<LogContent> {
        let keystore = Keystore::open_if_any(folder, provider)?;
        keystore.map_or_else(|| Ok(LogContent::default()), |keystore| content(folder, &keystore))
    }

    /// What the log holds now, appended rows included.
    pub fn content(&self) -> Result<LogContent> {
        content(&self.folder, &self.keystore)
    }

    /// Appends one batch. It is durable after [`FrameLog::sync`].
    pub fn append(&mut self, batch: &RecordBatch) -> Result {
        if self.writer.is_none() {
            self.writer = Some(self.start_file()?);
        }
        match &mut self.writer {
            Some(writer) => writer.append(batch),
            None => Ok(()),
        }
    }

    /// Makes everything appended durable.
    pub fn sync(&mut self) -> Result {
        match &mut self.writer {
            Some(writer) => writer.sync().map(|_| ()),
            None => Ok(()),
        }
    }

    /// Puts `batches` in the place of all that the log holds, in one durable step.
    pub fn replace(&mut self, batches: &[RecordBatch]) -> Result {
        let old = self.keystore.frames();
        let mut fresh = None;
        if !batches.is_empty() {
            let (number, key) = self.keystore.add_frames()?;
            let mut writer = FrameWriter::create(&path_of(&self.folder, number), number, key)?;
            batches.iter().try_for_each(|batch| writer.append(batch))?;
            writer.sync()?;
            fresh = Some(writer);
        }
        for number in &old {
            self.keystore.remove_frames(*number);
        }
        self.keystore.save()?;
        self.writer = fresh;
        old.iter().try_for_each(|number| durable::remove(&path_of(&self.folder, *number)))?;
        durable::sync_folder(&self.folder)
    }

    fn start_file(&mut self) -> Result<FrameWriter> {
        let (number, key) = self.keystore.add_frames()?;
        // The file first: a keystore never has a key whose file was not there.
        let writer = FrameWriter::create(&path_of(&self.folder, number), number, key)?;
        self.keystore.save()?;
        Ok(writer)
    }
}

fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.frames"))
}

fn content(folder: &Path, keystore: &Keystore) -> Result<LogContent> {
    let mut content = LogContent::default();
    for number in keystore.frames() {
        let key = keystore.frames_key(number)?;
        let mut reader = FrameReader::open(&path_of(folder, number), number, key, 0)?;
        for batch in reader.by_ref() {
            content.batches.push(batch?);
        }
        content.torn.extend(reader.torn().cloned());
    }
    Ok(content)
}

/// Removes frame files that have no key: a crash came between the file and the keystore. Nobody can read them.
/// A number that this keystore never gave belongs to a foreign file, which is left and named.
fn remove_leftovers(folder: &Path, keystore: &Keystore) -> Result {
    let known = keystore.frames();
    let names = std::fs::read_dir(folder).map_err(Error::io("list", folder))?;
    for entry in names {
        let path = entry.map_err(Error::io("list", folder))?.path();
        if path.extension().is_none_or(|e| e != "frames") {
            continue;
        }
        let number = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse::<u64>().ok());
        match number {
            Some(number) if known.contains(&number) => {}
            // One past the last: the file was made, the keystore with its number was not saved.
            Some(number) if keystore.has_given(number) || keystore.is_next(number) => durable::remove(&path)?,
            _ => {
                return Err(Error::foreign(&path, "frame file of this log", "its keystore does not know it"));
            }
        }
    }
    Ok(())
}
