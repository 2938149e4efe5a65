//! The log of live input, kept until its results are durable elsewhere. In: batches and barriers, by epoch, which only
//! grows. Out: both again, in order, of epochs that were not released. The files of released epochs lose their keys
//! before they are removed, so that no copy of them can be opened. It must not know sources, nor what barriers and
//! positions mean. See docs/formats/intake-log.md.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use zeroize::Zeroizing;

use crate::batches;
use crate::disk::Disk;
use crate::durable::{self, FolderLock};
use crate::file_check::{self, FileCheck};
use crate::frames::{Frame, Owner, Part, TornTail};
use crate::keystore::Keystore;
use crate::log_files::{self, LogFiles, Place};
use crate::root_key::KeyProvider;
use crate::wire::{Fields, put_bytes};
use crate::{Error, Result};

const BATCH: u8 = 1;
const BARRIER: u8 = 2;

/// The limits of a file. Files are released as a whole, since each has one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntakeLogOptions {
    /// Bytes of a file after which the next epoch goes to another one.
    pub file_bytes: u64,
    /// Epochs of a file after which the next one goes to another.
    pub file_epochs: u64,
}

impl Default for IntakeLogOptions {
    fn default() -> IntakeLogOptions {
        IntakeLogOptions { file_bytes: 16 << 20, file_epochs: 8 }
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Intake {
    /// Its epoch.
    pub epoch: u64,
    /// Its content.
    pub content: IntakeContent,
}

/// A batch or a barrier.
#[derive(Clone, Debug, PartialEq)]
pub enum IntakeContent {
    /// A batch of a source.
    Batch {
        /// The source.
        source: String,
        /// The rows, without those of forgotten devices; `None` when all of them are.
        rows: Option<RecordBatch>,
        /// The source's position behind them.
        position: Vec<u8>,
    },
    /// A barrier that closes the epoch.
    Barrier(Vec<u8>),
}

/// The log, open for writing. One process at a time may hold it.
pub struct IntakeLog {
    folder: PathBuf,
    options: IntakeLogOptions,
    keystore: Keystore,
    files: LogFiles,
    /// The first and the last epoch of each file.
    epochs: BTreeMap<u64, (u64, u64)>,
    /// The first and the last unsynced epoch.
    unsynced: Option<(u64, u64)>,
    torn: Vec<TornTail>,
    _lock: FolderLock,
}

impl IntakeLog {
    /// Opens or creates the log in `folder`. Unsynced entries of the previous writer may be lost; those that are there are
    /// made durable.
    pub fn open(folder: &Path, provider: &dyn KeyProvider, disk: Arc<dyn Disk>) -> Result<IntakeLog> {
        IntakeLog::open_with(folder, provider, disk, IntakeLogOptions::default())
    }

    /// As [`IntakeLog::open`], with files of another length.
    pub fn open_with(
        folder: &Path,
        provider: &dyn KeyProvider,
        disk: Arc<dyn Disk>,
        options: IntakeLogOptions,
    ) -> Result<IntakeLog> {
        durable::create_folder(&*disk, folder)?;
        let lock = FolderLock::take(&*disk, folder)?;
        let mut keystore = Keystore::open_or_create(&disk, folder, provider)?;
        log_files::remove_leftovers(&*disk, folder, &keystore)?;
        let (mut files, mut epochs) = (LogFiles::new(&disk, folder), BTreeMap::new());
        let found = files.replay(&keystore, &mut |place, frame| {
            widen(&mut epochs, place.file, epoch_of(&frame, &log_files::path_of(folder, place.file))?);
            Ok(())
        })?;
        let carried = files.resume(&mut keystore, &found)?;
        for (frame, (place, _)) in found.unsettled.iter().zip(carried) {
            widen(&mut epochs, place.file, epoch_of(frame, folder)?);
        }
        epochs.retain(|file, _| keystore.log_key(*file).is_some());
        let torn = found.torn.into_iter().collect();
        let folder = folder.to_owned();
        Ok(IntakeLog { folder, options, keystore, files, epochs, unsynced: None, torn, _lock: lock })
    }

    /// Appends a batch of a source and the position behind it. It is durable after [`IntakeLog::sync`]. When the disk is full
    /// it is not in the log, and may be appended again.
    pub fn append(&mut self, epoch: u64, source: &str, rows: &RecordBatch, position: &[u8]) -> Result {
        let mut head = head(BATCH, epoch);
        put_bytes(&mut head, source.as_bytes())?;
        put_bytes(&mut head, position)?;
        let mut parts = vec![Part { owner: Owner::Log, plain: head }];
        batches::put(&mut parts, 0, rows, (&mut self.keystore, &self.folder))?;
        self.write(epoch, &parts)
    }

    /// Appends a barrier, as [`IntakeLog::append`] does.
    pub fn barrier(&mut self, epoch: u64, barrier: &[u8]) -> Result {
        let mut plain = head(BARRIER, epoch);
        plain.extend(barrier);
        self.write(epoch, &[Part { owner: Owner::Log, plain }])
    }

    /// Makes everything appended durable. After an error the log accepts nothing more.
    pub fn sync(&mut self) -> Result {
        self.files.sync()?;
        self.unsynced = None;
        Ok(())
    }

    /// The entries of epochs after this one, in order; of all epochs with `None`.
    pub fn content(&self, after_epoch: Option<u64>) -> Result<Vec<Intake>> {
        let mut content = Vec::new();
        let mut take = |file: Option<u64>, frame: &Frame| {
            let path = file.map_or_else(|| self.folder.clone(), |n| log_files::path_of(&self.folder, n));
            let intake = intake_of(frame, &path)?;
            if after_epoch.is_none_or(|after| intake.epoch > after) {
                content.push(intake);
            }
            Ok(())
        };
        let each = &mut |place: Place, frame: Frame| take(Some(place.file), &frame);
        let found = self.files.replay(&self.keystore, each)?;
        found.unsettled.iter().try_for_each(|frame| take(None, frame))?;
        Ok(content)
    }

    /// Releases epochs up to this one: each file without a later epoch loses its key, durably, and is then removed.
    pub fn release(&mut self, up_to_epoch: u64) -> Result {
        let done: Vec<u64> =
            self.epochs.iter().filter(|(_, (_, last))| *last <= up_to_epoch).map(|(file, _)| *file).collect();
        if done.is_empty() {
            return Ok(());
        }
        self.files.remove(&mut self.keystore, &done)?;
        self.epochs.retain(|file, _| !done.contains(file));
        self.unsynced = self.unsynced.filter(|(_, last)| *last > up_to_epoch);
        Ok(())
    }

    /// Deletes a device's key: its rows cannot be read from then on. Returns false if it had none.
    pub fn forget(&mut self, device: &str) -> Result<bool> {
        self.files.check_usable()?;
        if self.keystore.forget(device).is_none() {
            return Ok(false);
        }
        self.keystore.save().map(|()| true).map_err(|error| self.files.poison(error))
    }

    /// Torn tails from a crash that were cut; nothing in them was acknowledged.
    pub fn torn(&self) -> &[TornTail] {
        &self.torn
    }

    /// Verifies every byte of a log, which may be open for writing elsewhere.
    pub fn verify(folder: &Path, provider: &dyn KeyProvider) -> Result<Vec<FileCheck>> {
        file_check::check_log(&crate::disk::real(), folder, provider)
    }

    fn write(&mut self, epoch: u64, parts: &[Part]) -> Result {
        if self.is_long_enough_before(epoch) {
            self.sync()?;
            self.files.start(&mut self.keystore, &[], &mut |_| Ok(()))?;
        }
        let before = self.files.current().map(|(file, _)| file);
        let (place, _) = self.files.append(&mut self.keystore, parts)?;
        if before.is_some_and(|before| before != place.file)
            && let Some((first, last)) = self.unsynced
        {
            // A full disk ended the previous file; unsynced entries were copied to the new one.
            widen(&mut self.epochs, place.file, first);
            widen(&mut self.epochs, place.file, last);
        }
        widen(&mut self.epochs, place.file, epoch);
        let (first, last) = self.unsynced.unwrap_or((epoch, epoch));
        self.unsynced = Some((first.min(epoch), last.max(epoch)));
        Ok(())
    }

    /// Returns true if the current file has reached its limit and `epoch` is a new one.
    fn is_long_enough_before(&self, epoch: u64) -> bool {
        let Some((file, bytes)) = self.files.current() else { return false };
        let Some((first, last)) = self.epochs.get(&file) else { return false };
        epoch > *last
            && (bytes >= self.options.file_bytes || epoch.saturating_sub(*first) >= self.options.file_epochs)
    }
}

fn widen(epochs: &mut BTreeMap<u64, (u64, u64)>, file: u64, epoch: u64) {
    let (first, last) = epochs.entry(file).or_insert((epoch, epoch));
    (*first, *last) = ((*first).min(epoch), (*last).max(epoch));
}

fn head(kind: u8, epoch: u64) -> Zeroizing<Vec<u8>> {
    let mut head = Zeroizing::new(Vec::with_capacity(64));
    head.push(kind);
    head.extend(epoch.to_le_bytes());
    head
}

/// The first part of a frame.
enum Head {
    Batch { source: String, position: Vec<u8> },
    Barrier(Vec<u8>),
}

fn head_of(frame: &Frame) -> Option<(u64, Head)> {
    let first = frame.parts.first()?.content.as_ref()?;
    let mut fields = Fields(&first.plain);
    let (kind, epoch) = (fields.u8()?, fields.u64()?);
    match kind {
        BATCH => {
            let source = std::str::from_utf8(fields.bytes()?).ok()?.to_owned();
            let position = fields.bytes()?.to_vec();
            fields.end().map(|()| (epoch, Head::Batch { source, position }))
        }
        BARRIER => Some((epoch, Head::Barrier(fields.0.to_vec()))),
        _ => None,
    }
}

fn strange(frame: &Frame, path: &Path) -> Error {
    let what = format!("frame {}: it opens, but is not what an intake log writes", frame.sequence);
    Error::damaged(path, what)
}

fn epoch_of(frame: &Frame, path: &Path) -> Result<u64> {
    head_of(frame).map(|(epoch, _)| epoch).ok_or_else(|| strange(frame, path))
}

fn intake_of(frame: &Frame, path: &Path) -> Result<Intake> {
    let (epoch, head) = head_of(frame).ok_or_else(|| strange(frame, path))?;
    let content = match head {
        Head::Barrier(barrier) => IntakeContent::Barrier(barrier),
        Head::Batch { source, position } => {
            IntakeContent::Batch { source, rows: batches::take(frame, path)?.remove(&0), position }
        }
    };
    Ok(Intake { epoch, content })
}
