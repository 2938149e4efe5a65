//! The writing side of a store. In: batches of many devices. Out: each row once, durable at
//! [`Store::commit`], in encrypted segments. Rows first go to a log of sealed frames; when enough have come
//! they are sorted, split by device and sealed. It must not know stages and epochs.

mod repair;
mod upkeep;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{Schema, SchemaRef};

use crate::batches;
use crate::disk::{self, Disk};
use crate::durable::{self, FolderLock};
use crate::frames::TornTail;
use crate::identity::{self, Columns, Identities};
use crate::keystore::{DeviceTag, Keystore};
use crate::log_files::{self, LogFiles};
use crate::root_key::KeyProvider;
use crate::segment::{self, Level};
use crate::store_folder::{self, StoreFolder};
use crate::{Error, Result};

pub use repair::Repair;
pub use upkeep::{Compaction, Keep, Removal};

/// Bytes of rows in memory at which they are sealed even if they are few.
const SEAL_BYTES: usize = 64 * 1024 * 1024;

/// Options of writing a store.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Rows, over all devices, that are collected before they are sealed into segments.
    pub seal_rows: usize,
    /// Compression of the segments.
    pub level: Level,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions { seal_rows: 64 * 1024, level: Level::default() }
    }
}

/// Counts of the rows passed to [`Store::append`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AppendCounts {
    /// Rows that the store did not have.
    pub new: u64,
    /// Rows that it had, by their identity.
    pub already_stored: u64,
}

/// A store open for writing. One process at a time may hold it.
pub struct Store {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    options: StoreOptions,
    keystore: Keystore,
    log: LogFiles,
    known: Identities,
    /// Unreadable segments: they stay as they are, in case a copy of the file is restored.
    damaged: BTreeMap<u64, Error>,
    pending: Vec<RecordBatch>,
    pending_rows: u64,
    pending_bytes: usize,
    unlogged: Vec<RecordBatch>,
    totals: AppendCounts,
    torn: Vec<TornTail>,
    _lock: FolderLock,
}

impl Store {
    /// Opens or creates the store in `folder`, recovers from a crash, and reads the identities of all stored
    /// rows.
    pub fn open(folder: &Path, provider: &dyn KeyProvider, options: StoreOptions) -> Result<Store> {
        Store::open_on(folder, provider, options, disk::real())
    }

    /// As [`Store::open`], on another disk.
    pub fn open_on(
        folder: &Path,
        provider: &dyn KeyProvider,
        options: StoreOptions,
        disk: Arc<dyn Disk>,
    ) -> Result<Store> {
        durable::create_folder(&*disk, folder)?;
        let lock = FolderLock::take(&*disk, folder)?;
        let keystore = Keystore::open_or_create(&disk, folder, provider)?;
        store_folder::recover(&*disk, folder, &keystore)?;
        log_files::remove_leftovers(&*disk, folder, &keystore)?;
        let (known, damaged) = StoreFolder::of(&*disk, folder, &keystore)?.identities()?;
        let mut store = Store {
            log: LogFiles::new(&disk, folder),
            disk,
            folder: folder.to_owned(),
            options,
            keystore,
            known,
            damaged,
            pending: Vec::new(),
            pending_rows: 0,
            pending_bytes: 0,
            unlogged: Vec::new(),
            totals: AppendCounts::default(),
            torn: Vec::new(),
            _lock: lock,
        };
        store.read_log()?;
        Ok(store)
    }

    fn read_log(&mut self) -> Result {
        let mut logged = Vec::new();
        let found = self.log.replay(&self.keystore, &mut |place, frame| {
            let path = log_files::path_of(&self.folder, place.file);
            logged.extend(batches::take(&frame, &path)?.into_values());
            Ok(())
        })?;
        for frame in &found.unsettled {
            logged.extend(batches::take(frame, &self.folder)?.into_values());
        }
        self.log.resume(&mut self.keystore, &found)?;
        self.torn.extend(found.torn);
        for batch in logged {
            if let Some(rows) = self.take_new(&batch)?.0 {
                self.hold(rows);
            }
        }
        Ok(())
    }

    /// Adds rows. Rows whose identity is stored are counted and dropped. The columns must include device
    /// (Utf8), source (Utf8), seq (UInt64) and part (UInt32), without nulls; other columns may
    /// differ from call to call.
    pub fn append(&mut self, batch: &RecordBatch) -> Result<AppendCounts> {
        self.log.check_usable()?;
        let (rows, appended) = self.take_new(batch)?;
        self.totals.new += appended.new;
        self.totals.already_stored += appended.already_stored;
        if let Some(rows) = rows {
            self.unlogged.push(rows.clone());
            self.hold(rows);
        }
        if self.is_full() {
            match self.seal() {
                // The rows wait in memory; the commit reports the full disk.
                Err(Error::DiskFull { .. }) => {}
                sealed => drop(sealed?),
            }
        }
        Ok(appended)
    }

    /// Makes all rows added so far durable, those of all devices with one sync. When the disk is full they stay in
    /// memory, and the commit may be repeated; after any other error the store accepts no more rows.
    pub fn commit(&mut self) -> Result {
        self.log.check_usable()?;
        if self.unlogged.is_empty() {
            return Ok(());
        }
        let mut parts = Vec::new();
        let together = by_schema(&self.unlogged).map_err(Error::rows("encode", &self.folder))?;
        for (rows, number) in together.iter().zip(0u32..) {
            batches::put(&mut parts, number, rows, (&mut self.keystore, &self.folder))?;
        }
        self.log.append(&mut self.keystore, &parts)?;
        self.log.sync()?;
        self.unlogged.clear();
        Ok(())
    }

    /// Seals all rows added so far into segments; they are durable afterwards. Returns the rows sealed. When the disk
    /// is full nothing has changed.
    pub fn seal(&mut self) -> Result<u64> {
        self.log.check_usable()?;
        if self.pending.is_empty() {
            return Ok(0);
        }
        let runs = runs_by_device(&self.pending).map_err(Error::rows("encode", &self.folder))?;
        let logs: Vec<u64> = self.keystore.logs().map(|(number, ..)| number).collect();
        self.exchange(&runs, &[], &logs)?;
        let rows = self.pending_rows;
        self.unlogged.clear();
        self.pending.clear();
        (self.pending_rows, self.pending_bytes) = (0, 0);
        Ok(rows)
    }

    /// Counts of the rows added since the store was opened.
    pub fn totals(&self) -> AppendCounts {
        self.totals
    }

    /// Rows in memory and log that are not in a segment yet.
    pub fn unsealed_rows(&self) -> u64 {
        self.pending_rows
    }

    /// Torn tails of the log that were cut at open; they were never acknowledged.
    pub fn torn(&self) -> &[TornTail] {
        &self.torn
    }

    /// The problem of each segment that could not be read when the store was opened. Its rows are unknown, so that they are stored
    /// again if they are added again.
    pub fn damaged(&self) -> impl Iterator<Item = &Error> {
        self.damaged.values()
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn take_new(&mut self, batch: &RecordBatch) -> Result<(Option<RecordBatch>, AppendCounts)> {
        let fresh = self.known.insert(&Columns::of(batch)?);
        let new = fresh.len() as u64;
        let appended = AppendCounts { new, already_stored: batch.num_rows() as u64 - new };
        let batch = without_metadata(batch)?;
        let rows = match fresh.len() {
            0 => None,
            n if n == batch.num_rows() => Some(batch),
            _ => Some(
                take_record_batch(&batch, &UInt32Array::from(fresh))
                    .map_err(Error::rows("encode", &self.folder))?,
            ),
        };
        Ok((rows, appended))
    }

    fn hold(&mut self, rows: RecordBatch) {
        self.pending_rows += rows.num_rows() as u64;
        self.pending_bytes += rows.get_array_memory_size();
        self.pending.push(rows);
    }

    fn is_full(&self) -> bool {
        self.pending_rows >= self.options.seal_rows as u64 || self.pending_bytes >= SEAL_BYTES
    }

    /// Writes segments and removes other segments and files of the log, in one durable step.
    fn exchange(&mut self, runs: &[RecordBatch], segments: &[(u64, DeviceTag)], logs: &[u64]) -> Result {
        let before = self.keystore.before();
        let mut written = Vec::new();
        let saved = self.write_segments(runs, &mut written).and_then(|()| {
            segments.iter().for_each(|(number, _)| self.keystore.remove_segment(*number));
            logs.iter().for_each(|number| self.keystore.remove_log(*number));
            self.keystore.save()
        });
        if let Err(error) = saved {
            self.keystore.restore(before);
            if error.is_disk_full() {
                // Free their disk space; if that fails, the next open does it.
                for path in &written {
                    let _ = durable::remove(&*self.disk, &durable::beside(path));
                }
            }
            return Err(self.log.poison(error));
        }
        // From here on the rows are durable: each file is synced under its unfinished name, and the keystore
        // says that it belongs to the store. Names follow; recovery does the same after a crash.
        self.log.forget_files(logs);
        let finished = self.finish_exchange(&written, segments);
        finished.map_err(|error| self.log.poison(error))?;
        self.log.remove_files(logs)
    }

    fn write_segments(&mut self, runs: &[RecordBatch], written: &mut Vec<PathBuf>) -> Result {
        for run in runs {
            self.write_segment(run, written)?;
        }
        if runs.is_empty() { Ok(()) } else { durable::sync_folder(&*self.disk, &self.folder) }
    }

    fn finish_exchange(&self, written: &[PathBuf], segments: &[(u64, DeviceTag)]) -> Result {
        for path in written {
            durable::rename(&*self.disk, &durable::beside(path), path)?;
        }
        durable::sync_folder(&*self.disk, &self.folder)?;
        for (number, tag) in segments {
            durable::remove(&*self.disk, &store_folder::segment_path(&self.folder, *number, *tag))?;
        }
        Ok(())
    }

    fn write_segment(&mut self, run: &RecordBatch, written: &mut Vec<PathBuf>) -> Result {
        let device = Columns::of(run)?.device;
        let device = if device.is_empty() { "" } else { device.value(0) };
        let tag = self.keystore.device(device)?;
        let number = self.keystore.next_number();
        let path = store_folder::segment_path(&self.folder, number, tag);
        let name = format!("headwater/1 store={} segment={number}", self.keystore.store_name());
        let (bytes, seal) = segment::encode(run, &name, self.options.level, &path)?;
        written.push(path.clone());
        durable::write_synced(&*self.disk, &durable::beside(&path), &bytes)?;
        self.keystore.add_segment(number, tag, &seal)
    }
}

/// A schema's metadata is not part of what is stored: batches that differ only in it belong together.
fn without_metadata(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = Arc::new(Schema::new(batch.schema().fields().clone()));
    batch.clone().with_schema(schema).map_err(|e| Error::BadRows(e.to_string()))
}

/// The rows of each schema, in the order in which they came.
fn by_schema(batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, arrow::error::ArrowError> {
    let mut by_schema: Vec<(SchemaRef, Vec<&RecordBatch>)> = Vec::new();
    for batch in batches {
        match by_schema.iter_mut().find(|(schema, _)| *schema == batch.schema()) {
            Some((_, same)) => same.push(batch),
            None => by_schema.push((batch.schema(), vec![batch])),
        }
    }
    by_schema.into_iter().map(|(schema, batches)| concat_batches(&schema, batches)).collect()
}

/// The rows of each (device, schema), sorted by identity.
fn runs_by_device(batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, arrow::error::ArrowError> {
    let mut runs = Vec::new();
    for rows in by_schema(batches)? {
        runs.extend(cut_by_device(&sorted(&rows)?));
    }
    Ok(runs)
}

fn sorted(rows: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns = identity::COLUMNS.iter().filter_map(|name| rows.column_by_name(name));
    let columns: Vec<_> =
        columns.map(|values| SortColumn { values: Arc::clone(values), options: None }).collect();
    take_record_batch(rows, &lexsort_to_indices(&columns, None)?)
}

fn cut_by_device(sorted: &RecordBatch) -> Vec<RecordBatch> {
    let Ok(columns) = Columns::of(sorted) else { return Vec::new() };
    let mut starts = BTreeMap::new();
    for row in 0..sorted.num_rows() {
        starts.entry(columns.device.value(row)).or_insert(row);
    }
    let starts: Vec<usize> = starts.into_values().collect();
    let ends = starts.iter().skip(1).copied().chain([sorted.num_rows()]);
    starts.iter().zip(ends).map(|(start, end)| sorted.slice(*start, end - start)).collect()
}
