//! The writing side of a store. In: batches of many devices. Out: each row once, durable at
//! [`Store::commit`], in encrypted segments. Rows first go to a log of sealed frames; when enough have come
//! they are sorted, cut by device and sealed. It knows nothing of stages and epochs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{Schema, SchemaRef};

use crate::durable::{self, FolderLock};
use crate::frame_log::FrameLog;
use crate::frames::TornTail;
use crate::identity::{self, Columns, Identities};
use crate::keystore::Keystore;
use crate::root_key::KeyProvider;
use crate::segment::{self, Level};
use crate::store_folder::{self, StoreFolder};
use crate::{Error, Result};

/// Bytes of rows in memory at which they are sealed even if they are few.
const SEAL_BYTES: usize = 64 * 1024 * 1024;

/// How a store is written.
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

/// What became of the rows given to [`Store::append`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Appended {
    /// Rows that the store did not have.
    pub new: u64,
    /// Rows that it had, by their identity.
    pub already_stored: u64,
}

/// A store open for writing. One process at a time may hold it.
pub struct Store {
    folder: PathBuf,
    options: StoreOptions,
    keystore: Keystore,
    log: FrameLog,
    known: Identities,
    pending: Vec<RecordBatch>,
    pending_rows: u64,
    pending_bytes: usize,
    unlogged: Vec<RecordBatch>,
    totals: Appended,
    torn: Vec<TornTail>,
    poisoned: Option<String>,
    _lock: FolderLock,
}

impl Store {
    /// Opens or makes the store in `folder`, finishes what a crash left half done, and learns the identities of
    /// all stored rows.
    pub fn open(folder: &Path, provider: &dyn KeyProvider, options: StoreOptions) -> Result<Store> {
        durable::create_folder(folder)?;
        let lock = FolderLock::take(folder)?;
        let keystore = Keystore::open_or_create(folder, provider)?;
        store_folder::recover(folder, &keystore)?;
        let known = StoreFolder::of(folder, &keystore)?.identities()?;
        let log = FrameLog::open(&folder.join(store_folder::LOG), provider)?;
        let content = log.content()?;
        let mut store = Store {
            folder: folder.to_owned(),
            options,
            keystore,
            log,
            known,
            pending: Vec::new(),
            pending_rows: 0,
            pending_bytes: 0,
            unlogged: Vec::new(),
            totals: Appended::default(),
            torn: content.torn,
            poisoned: None,
            _lock: lock,
        };
        for batch in content.batches {
            // What a crash left in the log after it was sealed is known already and falls away here.
            if let Some(rows) = store.take_new(&batch)?.0 {
                store.hold(rows);
            }
        }
        Ok(store)
    }

    /// Takes rows in. Rows whose identity is stored are counted and dropped. The columns must include device
    /// (Utf8), source (Utf8), seq (UInt64) and part (UInt32), without nulls; others are as they come, and may
    /// differ from call to call.
    pub fn append(&mut self, batch: &RecordBatch) -> Result<Appended> {
        self.check_usable()?;
        let (rows, appended) = self.take_new(batch)?;
        self.totals.new += appended.new;
        self.totals.already_stored += appended.already_stored;
        if let Some(rows) = rows {
            self.unlogged.push(rows.clone());
            self.hold(rows);
        }
        if self.is_full() {
            self.seal()?;
        }
        Ok(appended)
    }

    /// Makes all rows taken in so far durable. After an error the store takes nothing more.
    pub fn commit(&mut self) -> Result {
        self.check_usable()?;
        let unlogged = std::mem::take(&mut self.unlogged);
        if unlogged.is_empty() {
            return Ok(());
        }
        let logged =
            unlogged.iter().try_for_each(|batch| self.log.append(batch)).and_then(|()| self.log.sync());
        self.poison_on_error(logged)
    }

    /// Seals all rows taken in so far into segments; they are durable afterwards. Returns the rows sealed.
    pub fn seal(&mut self) -> Result<u64> {
        self.check_usable()?;
        let sealed = self.seal_pending();
        let outcome = sealed.as_ref().map(|_| ()).map_err(ToString::to_string);
        self.poisoned = outcome.err();
        sealed
    }

    /// What came in since the store was opened.
    pub fn totals(&self) -> Appended {
        self.totals
    }

    /// Rows in memory and log that are not in a segment yet.
    pub fn unsealed_rows(&self) -> u64 {
        self.pending_rows
    }

    /// Tails of the log that a crash left and that were cut at open; they were never acknowledged.
    pub fn torn(&self) -> &[TornTail] {
        &self.torn
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn take_new(&mut self, batch: &RecordBatch) -> Result<(Option<RecordBatch>, Appended)> {
        let fresh = self.known.insert(&Columns::of(batch)?);
        let new = fresh.len() as u64;
        let appended = Appended { new, already_stored: batch.num_rows() as u64 - new };
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

    fn seal_pending(&mut self) -> Result<u64> {
        self.unlogged.clear();
        let pending = std::mem::take(&mut self.pending);
        (self.pending_rows, self.pending_bytes) = (0, 0);
        if pending.is_empty() {
            return Ok(0);
        }
        let mut written = Vec::new();
        let mut rows = 0;
        for run in runs_by_device(&pending).map_err(Error::rows("encode", &self.folder))? {
            rows += run.num_rows() as u64;
            written.push(self.write_segment(&run)?);
        }
        // From here on the rows are durable: each file is synced under its unfinished name, and the keystore
        // says that it belongs to the store. Names and log follow; recovery does the same after a crash.
        durable::sync_folder(&self.folder)?;
        self.keystore.save()?;
        for path in &written {
            durable::rename(&durable::beside(path), path)?;
        }
        durable::sync_folder(&self.folder)?;
        self.log.replace(&[])?;
        Ok(rows)
    }

    fn write_segment(&mut self, run: &RecordBatch) -> Result<PathBuf> {
        let device = Columns::of(run)?.device;
        let device = if device.is_empty() { "" } else { device.value(0) };
        let tag = self.keystore.device(device)?;
        let number = self.keystore.next_number();
        let path = store_folder::segment_path(&self.folder, number, tag);
        let name = format!("headwater/1 store={} segment={number}", self.keystore.store_name());
        let (bytes, seal) = segment::encode(run, &name, self.options.level, &path)?;
        durable::write_synced(&durable::beside(&path), &bytes)?;
        self.keystore.add_segment(number, tag, &seal)?;
        Ok(path)
    }

    fn check_usable(&self) -> Result {
        match &self.poisoned {
            Some(why) => Err(Error::Poisoned { path: self.folder.clone(), why: why.clone() }),
            None => Ok(()),
        }
    }

    fn poison_on_error(&mut self, result: Result) -> Result {
        if let Err(e) = &result {
            self.poisoned = Some(e.to_string());
        }
        result
    }
}

/// A schema's metadata is not part of what is stored: batches that differ only in it belong together.
fn without_metadata(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = Arc::new(Schema::new(batch.schema().fields().clone()));
    batch.clone().with_schema(schema).map_err(|e| Error::BadRows(e.to_string()))
}

/// The rows of each (device, schema), sorted by identity.
fn runs_by_device(batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, arrow::error::ArrowError> {
    let mut by_schema: Vec<(SchemaRef, Vec<&RecordBatch>)> = Vec::new();
    for batch in batches {
        match by_schema.iter_mut().find(|(schema, _)| *schema == batch.schema()) {
            Some((_, same)) => same.push(batch),
            None => by_schema.push((batch.schema(), vec![batch])),
        }
    }
    let mut runs = Vec::new();
    for (schema, batches) in by_schema {
        let rows = sorted(&concat_batches(&schema, batches)?)?;
        runs.extend(cut_by_device(&rows));
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
