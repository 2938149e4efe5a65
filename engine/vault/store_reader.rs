//! The reading side of a store, which may be open for writing elsewhere. In: a folder and the root key. Out:
//! its segments, its rows (sealed and still in the log, each once), and a verification of
//! every byte. It must not know how rows are shown.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::batches;
use crate::disk::{self, Disk};
use crate::file_check::{self, FileCheck};
use crate::frame_log::LogContent;
use crate::frames::TornTail;
use crate::identity::{Columns, Identities};
use crate::keystore::{Keystore, SegmentSeal};
use crate::log_files::{self, LogFiles};
use crate::root_key::{KeyId, KeyProvider};
use crate::segment::SegmentReader;
use crate::store_folder::{SegmentInfo, StoreFolder};
use crate::{Error, Result};

/// A store open for reading, as it was when it was opened.
pub struct StoreReader {
    disk: Arc<dyn Disk>,
    keystore: Keystore,
    segments: Vec<SegmentInfo>,
    unsealed: Vec<RecordBatch>,
    torn: Vec<TornTail>,
}

impl StoreReader {
    /// Opens the store in `folder`.
    pub fn open(folder: &Path, provider: &dyn KeyProvider) -> Result<StoreReader> {
        StoreReader::open_on(folder, provider, disk::real())
    }

    /// As [`StoreReader::open`], on another disk.
    pub fn open_on(folder: &Path, provider: &dyn KeyProvider, disk: Arc<dyn Disk>) -> Result<StoreReader> {
        Keystore::read_beside_writer(&disk, folder, provider, &|keystore| {
            StoreReader::with_keystore(folder, &disk, keystore)
        })
    }

    fn with_keystore(folder: &Path, disk: &Arc<dyn Disk>, keystore: Keystore) -> Result<StoreReader> {
        let log = read_log(disk, folder, &keystore)?;
        let store = StoreFolder::of(&**disk, folder, &keystore)?;
        let segments = store.segments()?;
        let mut unsealed = Vec::new();
        if !log.batches.is_empty() {
            let (mut known, _) = store.identities()?;
            for batch in &log.batches {
                unsealed.extend(new_rows(&mut known, batch)?);
            }
        }
        Ok(StoreReader { disk: Arc::clone(disk), keystore, segments, unsealed, torn: log.torn })
    }

    /// The id of the root key that opened it.
    pub fn root(&self) -> KeyId {
        self.keystore.root()
    }

    /// All segments, by device and number.
    pub fn segments(&self) -> &[SegmentInfo] {
        &self.segments
    }

    /// Rows that are durable in the log and not in a segment yet.
    pub fn unsealed(&self) -> &[RecordBatch] {
        &self.unsealed
    }

    /// Torn tails of the log.
    pub fn torn(&self) -> &[TornTail] {
        &self.torn
    }

    /// The key of a segment (its Parquet footer key), length and digest.
    pub fn seal(&self, segment: &SegmentInfo) -> Result<SegmentSeal> {
        self.keystore.segment(segment.number)
    }

    /// The rows of one segment, whose bytes were compared with its seal.
    pub fn read(&self, segment: &SegmentInfo) -> Result<SegmentReader> {
        SegmentReader::open(&*self.disk, &segment.path, &self.seal(segment)?)
    }

    /// The columns of one segment.
    pub fn columns(&self, segment: &SegmentInfo) -> Result<SchemaRef> {
        Ok(SegmentReader::open_columns(&*self.disk, &segment.path, &self.seal(segment)?, &[])?.file_schema())
    }

    /// All rows: segment after segment, by device and number, then the log. Each batch has its own schema.
    /// An unreadable segment gives one error, and the iteration continues with the next one.
    pub fn rows(&self) -> impl Iterator<Item = Result<RecordBatch>> + '_ {
        let sealed = self.segments.iter().flat_map(|segment| match self.read(segment) {
            Ok(reader) => Either::Rows(reader),
            Err(e) => Either::Failed(Some(e)),
        });
        sealed.chain(self.unsealed.iter().cloned().map(Ok))
    }

    /// One schema for all rows: every column that any segment has, in the order of first occurrence. A column that some
    /// segments lack is nullable. A column with two types is an error. A damaged segment has no columns.
    pub fn schema(&self) -> Result<SchemaRef> {
        let mut schemas = Vec::new();
        for segment in &self.segments {
            match self.columns(segment) {
                Err(Error::Damaged { .. }) => {}
                columns => schemas.push(columns?),
            }
        }
        schemas.extend(self.unsealed.iter().map(RecordBatch::schema));
        merge(&schemas)
    }
}

enum Either {
    Rows(SegmentReader),
    Failed(Option<Error>),
}

impl Iterator for Either {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Either::Rows(reader) => {
                let next = reader.next();
                if matches!(next, Some(Err(_))) {
                    *self = Either::Failed(None);
                }
                next
            }
            Either::Failed(error) => error.take().map(Err),
        }
    }
}

/// The result of verifying every byte of a store.
#[derive(Debug, Default)]
pub struct Verification {
    /// Segments whose bytes match their seals.
    pub segments: usize,
    /// Their rows.
    pub rows: u64,
    /// Rows in the log.
    pub unsealed_rows: u64,
    /// Torn tails of the log.
    pub torn: Vec<TornTail>,
    /// Parts of the log whose device was forgotten: verified, but unreadable for good.
    pub forgotten: u64,
    /// The problems, one per file.
    pub problems: Vec<Error>,
}

/// Verifies every byte of a store: each segment against its seal, every row decoded, each identity once, no
/// foreign file, the log's frames. Continues after a problem; an error means that it could not begin.
pub fn verify(folder: &Path, provider: &dyn KeyProvider) -> Result<Verification> {
    verify_on(folder, provider, &disk::real())
}

/// As [`verify`], on another disk.
pub fn verify_on(folder: &Path, provider: &dyn KeyProvider, disk: &Arc<dyn Disk>) -> Result<Verification> {
    let keystore = Keystore::open(disk, folder, provider)?;
    let store = StoreFolder::unchecked(&**disk, folder, &keystore);
    let mut found = Verification { problems: store.foreign_files()?, ..Verification::default() };
    let mut known = Identities::default();
    for (number, tag) in keystore.segments() {
        let rows =
            store.segment(number, tag).and_then(|info| verify_segment(&**disk, &keystore, &info, &mut known));
        match rows {
            Ok(rows) => {
                found.segments += 1;
                found.rows += rows;
            }
            // The writer may have replaced the segment meanwhile.
            Err(_) if !Keystore::open(disk, folder, provider)?.has_segment(number) => {}
            Err(problem) => found.problems.push(problem),
        }
    }
    for FileCheck { forgotten, problem, .. } in file_check::check_log(disk, folder, provider)? {
        found.forgotten += forgotten;
        found.problems.extend(problem);
    }
    match read_log(disk, folder, &Keystore::open(disk, folder, provider)?) {
        Ok(log) => {
            for batch in &log.batches {
                found.unsealed_rows += new_rows(&mut known, batch)?.map_or(0, |b| b.num_rows() as u64);
            }
            found.torn = log.torn;
        }
        // The check of the log's files has reported it, unless the file was replaced or damaged since.
        Err(problem) if found.problems.is_empty() => found.problems.push(problem),
        Err(_) => {}
    }
    Ok(found)
}

fn verify_segment(
    disk: &dyn Disk,
    keystore: &Keystore,
    info: &SegmentInfo,
    known: &mut Identities,
) -> Result<u64> {
    let mut rows = 0;
    for batch in SegmentReader::open(disk, &info.path, &keystore.segment(info.number)?)? {
        let batch = batch?;
        let columns = Columns::of(&batch)?;
        if columns.device.iter().any(|d| d != Some(info.device.as_str())) {
            return Err(Error::damaged(&info.path, "it holds rows of another device"));
        }
        if known.insert(&columns).len() != batch.num_rows() {
            return Err(Error::damaged(&info.path, "it holds rows that are stored elsewhere already"));
        }
        rows += batch.num_rows() as u64;
    }
    if rows == info.rows {
        return Ok(rows);
    }
    Err(Error::damaged(&info.path, format!("it holds {rows} rows, {} were sealed", info.rows)))
}

fn read_log(disk: &Arc<dyn Disk>, folder: &Path, keystore: &Keystore) -> Result<LogContent> {
    let mut content = LogContent::default();
    let found = LogFiles::new(disk, folder).replay(keystore, &mut |place, frame| {
        let path = log_files::path_of(folder, place.file);
        content.batches.extend(batches::take(&frame, &path)?.into_values());
        Ok(())
    })?;
    for frame in &found.unsettled {
        content.batches.extend(batches::take(frame, folder)?.into_values());
    }
    content.torn.extend(found.torn);
    Ok(content)
}

fn new_rows(known: &mut Identities, batch: &RecordBatch) -> Result<Option<RecordBatch>> {
    let fresh = known.insert(&Columns::of(batch)?);
    if fresh.is_empty() {
        return Ok(None);
    }
    let rows = take_record_batch(batch, &UInt32Array::from(fresh));
    rows.map(Some).map_err(|e| Error::BadRows(e.to_string()))
}

fn merge(schemas: &[SchemaRef]) -> Result<SchemaRef> {
    let mut merged: Vec<(Field, usize)> = Vec::new();
    for field in schemas.iter().flat_map(|s| s.fields()) {
        let Some((known, seen)) = merged.iter_mut().find(|(known, _)| known.name() == field.name()) else {
            merged.push((Field::new(field.name(), field.data_type().clone(), field.is_nullable()), 1));
            continue;
        };
        if known.data_type() != field.data_type() {
            return Err(Error::MixedTypes {
                column: field.name().clone(),
                first: known.data_type().to_string(),
                second: field.data_type().to_string(),
            });
        }
        known.set_nullable(known.is_nullable() || field.is_nullable());
        *seen += 1;
    }
    let total = schemas.len();
    let fields = merged.into_iter().map(|(field, seen)| {
        let nullable = field.is_nullable() || seen < total;
        field.with_nullable(nullable)
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// The batch with the columns of `schema`, as [`StoreReader::schema`] returns it: missing columns are null.
pub fn widen(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let column = |field: &Arc<Field>| -> ArrayRef {
        let found = batch.column_by_name(field.name()).map(Arc::clone);
        found.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
    };
    let columns = schema.fields().iter().map(column).collect();
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|e| Error::BadRows(e.to_string()))
}
