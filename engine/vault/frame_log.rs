//! A folder of frame files that reads as one log of batches. In: batches, from one writer at a time, over many
//! attempts; rows that name a device are sealed under its key. Out: all of them, in order, without those of
//! forgotten devices. It must not know what the rows mean.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::Result;
use crate::batches;
use crate::disk::{self, Disk};
use crate::durable::{self, FolderLock};
use crate::file_check::{self, FileCheck};
use crate::frames::TornTail;
use crate::keystore::Keystore;
use crate::log_files::{self, LogFiles};
use crate::root_key::KeyProvider;
use crate::secret::Key;

/// The writing side of a log.
pub struct FrameLog {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    keystore: Keystore,
    files: LogFiles,
    torn: Vec<TornTail>,
    _lock: FolderLock,
}

/// Bytes of a file after which the next batch goes to another one: files are removed as a whole.
const FILE_BYTES: u64 = 4 << 20;

/// A file of a log that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedFile {
    /// Its number: older files have lower ones.
    pub number: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
}

/// The content of a log.
#[derive(Debug, Default)]
pub struct LogContent {
    /// Its batches, in the order in which they were appended.
    pub batches: Vec<RecordBatch>,
    /// Torn tails from a crash; they were never acknowledged.
    pub torn: Vec<TornTail>,
}

impl FrameLog {
    /// Opens the log in `folder` for appending; creates the folder and its keystore if needed.
    pub fn open(folder: &Path, provider: &dyn KeyProvider) -> Result<FrameLog> {
        FrameLog::open_on(folder, provider, disk::real())
    }

    /// As [`FrameLog::open`], on another disk.
    pub fn open_on(folder: &Path, provider: &dyn KeyProvider, disk: Arc<dyn Disk>) -> Result<FrameLog> {
        durable::create_folder(&*disk, folder)?;
        let lock = FolderLock::take(&*disk, folder)?;
        let mut keystore = Keystore::open_or_create(&disk, folder, provider)?;
        log_files::remove_leftovers(&*disk, folder, &keystore)?;
        let mut files = LogFiles::new(&disk, folder);
        let found = files.replay_last(&keystore)?;
        files.resume(&mut keystore, &found)?;
        let torn = found.torn.into_iter().collect();
        Ok(FrameLog { disk, folder: folder.to_owned(), keystore, files, torn, _lock: lock })
    }

    /// Reads a log that may be open for writing elsewhere. One that was never written to is empty.
    pub fn read(folder: &Path, provider: &dyn KeyProvider) -> Result<LogContent> {
        FrameLog::read_on(folder, provider, &disk::real())
    }

    /// As [`FrameLog::read`], on another disk.
    pub fn read_on(folder: &Path, provider: &dyn KeyProvider, disk: &Arc<dyn Disk>) -> Result<LogContent> {
        let keystore = Keystore::open_if_any(disk, folder, provider)?;
        keystore.map_or_else(|| Ok(LogContent::default()), |keystore| content(disk, folder, &keystore))
    }

    /// The current content, including appended rows.
    pub fn content(&self) -> Result<LogContent> {
        let mut content = content(&self.disk, &self.folder, &self.keystore)?;
        // Until the next file is started, the tail of the last one is found again.
        let earlier =
            self.torn.iter().filter(|tail| !content.torn.contains(tail)).cloned().collect::<Vec<_>>();
        content.torn.extend(earlier);
        Ok(content)
    }

    /// Appends one batch. It is durable after [`FrameLog::sync`].
    pub fn append(&mut self, batch: &RecordBatch) -> Result {
        if self.files.current().is_some_and(|(_, bytes)| bytes >= FILE_BYTES) {
            self.files.start(&mut self.keystore, &[], &mut |_| Ok(()))?;
        }
        let mut parts = Vec::new();
        batches::put(&mut parts, 0, batch, (&mut self.keystore, &self.folder))?;
        self.files.append(&mut self.keystore, &parts).map(|_| ())
    }

    /// Makes everything appended durable.
    pub fn sync(&mut self) -> Result {
        self.files.sync()
    }

    /// Replaces the content of the log with `batches`, in one durable step.
    pub fn replace(&mut self, batches: &[RecordBatch]) -> Result {
        let old: Vec<u64> = self.keystore.logs().map(|(number, ..)| number).collect();
        if batches.is_empty() {
            return self.files.remove(&mut self.keystore, &old);
        }
        let mut frames = Vec::new();
        for batch in batches {
            let mut parts = Vec::new();
            batches::put(&mut parts, 0, batch, (&mut self.keystore, &self.folder))?;
            frames.push(parts);
        }
        self.files.start(&mut self.keystore, &old, &mut |writing| {
            frames.iter().try_for_each(|parts| writing.append(parts).map(|_| ()))
        })
    }

    /// The complete files, oldest first.
    pub fn ended(&self) -> Vec<EndedFile> {
        let ended = |(number, _, closed): (u64, &Key, Option<u64>)| {
            Some(EndedFile { number, path: log_files::path_of(&self.folder, number), bytes: closed? })
        };
        self.keystore.logs().filter_map(ended).collect()
    }

    /// Removes files from the log, in one durable step: without their keys they cannot be read.
    pub fn remove(&mut self, files: &[u64]) -> Result {
        self.files.remove(&mut self.keystore, files)
    }

    /// Deletes a device's key, so that its rows cannot be read from then on; returns their number.
    pub fn forget(&mut self, device: &str) -> Result<u64> {
        let rows = |batches: &[RecordBatch]| batches.iter().map(|b| b.num_rows() as u64).sum::<u64>();
        let before = rows(&self.content()?.batches);
        if self.keystore.forget(device).is_none() {
            return Ok(0);
        }
        self.keystore.save().map_err(|error| self.files.poison(error))?;
        Ok(before - rows(&self.content()?.batches))
    }

    /// Verifies every byte of a log, which may be open for writing elsewhere.
    pub fn verify(folder: &Path, provider: &dyn KeyProvider) -> Result<Vec<FileCheck>> {
        file_check::check_log(&disk::real(), folder, provider)
    }
}

fn content(disk: &Arc<dyn Disk>, folder: &Path, keystore: &Keystore) -> Result<LogContent> {
    let mut content = LogContent::default();
    let mut unsettled = Vec::new();
    let found = LogFiles::new(disk, folder).replay(keystore, &mut |place, frame| {
        let path = log_files::path_of(folder, place.file);
        content.batches.extend(batches::take(&frame, &path)?.into_values());
        Ok(())
    })?;
    for frame in &found.unsettled {
        unsettled.extend(batches::take(frame, folder)?.into_values());
    }
    content.batches.extend(unsettled);
    content.torn.extend(found.torn);
    Ok(content)
}
