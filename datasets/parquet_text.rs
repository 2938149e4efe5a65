//! Columns of texts and times in plain Parquet files, a few rows at a time.
//!
//! In: a file and the columns that are wanted of it. Out: their cells, row group by row group. What is held in memory is
//! the pages that the next rows lie in (the format allows 2 GiB, writers make 1 MiB), however long the file is. It must
//! not know devices, labels or stages. A file is a stranger's: whatever its bytes are, the answer is cells or an error.
//!
//! The type of a column is read from the Parquet schema alone. An Arrow schema that the writer put beside it says
//! nothing that counts here: large, viewed and dictionary-encoded texts are all stored as texts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type as Physical;
use parquet::file::metadata::ParquetMetaData;

mod bounded;
mod cells;
mod error;

pub use cells::{Cell, Cells};
pub use error::ParquetTextError;

use bounded::Bounded;
use error::words;

/// Rows that are given at a time, at most.
pub const ROWS: usize = 256;

/// The expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Texts.
    Text,
    /// Texts or whole numbers: names.
    Name,
    /// Texts, numbers, or true and false.
    Scalar,
    /// Timestamps of any unit, or texts.
    Time,
}

/// A column that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnRequest {
    /// Its name.
    pub name: String,
    /// The expected type.
    pub holds: ColumnType,
    /// True if a file without it is wrong.
    pub required: bool,
}

/// One Parquet file, read from its first row to its last.
pub struct ParquetText {
    file: Bounded,
    metadata: ArrowReaderMetadata,
    wanted: Vec<ColumnRequest>,
    mask: ProjectionMask,
    /// Rows of each row group.
    groups: Vec<u64>,
    /// The row group that is read, and the row in it that comes next.
    at: (usize, u64),
    reader: Option<ParquetRecordBatchReader>,
}

/// The next item of a file.
pub enum Next {
    /// Some rows, one [`Cells`] for each wanted column.
    Rows(Rows),
    /// So many rows from here on, to the end of their row group, cannot be read; the next group can be tried.
    Lost {
        /// The number.
        rows: u64,
        /// Why.
        reason: ParquetTextError,
    },
    /// There are no more.
    End,
}

/// Some rows of a file.
pub struct Rows {
    /// The number found.
    pub count: usize,
    /// The wanted columns, in the order in which they were asked for.
    pub columns: Vec<Cells>,
}

impl ParquetText {
    /// Opens a file by its footer: no row is read yet.
    ///
    /// # Errors
    /// It is no Parquet file, or damaged, or a wanted column is missing or holds something else.
    pub fn open(path: &Path, wanted: Vec<ColumnRequest>) -> Result<Self, ParquetTextError> {
        Self::of(Bounded::open(path)?, wanted)
    }

    /// Reads a file that is already in memory.
    ///
    /// # Errors
    /// As [`ParquetText::open`].
    pub fn from_bytes(bytes: Vec<u8>, wanted: Vec<ColumnRequest>) -> Result<Self, ParquetTextError> {
        Self::of(Bounded::of_bytes(bytes), wanted)
    }

    fn of(file: Bounded, wanted: Vec<ColumnRequest>) -> Result<Self, ParquetTextError> {
        file.sniff()?;
        let metadata = guarded(|| read_metadata(&file)).map_err(ParquetTextError::Damaged)?;
        let groups = groups(metadata.metadata())?;
        let roots = roots(&metadata, &wanted)?;
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots);
        Ok(Self { file, metadata, wanted, mask, groups, at: (0, 0), reader: None })
    }

    /// Rows in the whole file, as its footer says.
    pub fn rows(&self) -> u64 {
        self.groups.iter().sum()
    }

    /// Goes to a row, counted from 0 at the start of the file. Row groups before it are not read.
    pub fn seek(&mut self, mut row: u64) {
        self.reader = None;
        for (group, rows) in self.groups.iter().enumerate() {
            if row < *rows {
                self.at = (group, row);
                return;
            }
            row -= rows;
        }
        self.at = (self.groups.len(), 0);
    }

    /// The next rows.
    pub fn next_rows(&mut self) -> Next {
        loop {
            let (group, row) = self.at;
            let Some(rows) = self.groups.get(group) else { return Next::End };
            let left = rows.saturating_sub(row);
            if left == 0 {
                self.pass_over_group();
                continue;
            }
            return match self.read(group, row, left) {
                Ok(rows) => {
                    self.at.1 += rows.count as u64;
                    Next::Rows(rows)
                }
                Err(reason) => {
                    self.pass_over_group();
                    Next::Lost { rows: left, reason }
                }
            };
        }
    }

    fn pass_over_group(&mut self) {
        self.reader = None;
        self.at = (self.at.0 + 1, 0);
    }

    /// Reads on in a row group, of which `left` rows are still to come.
    fn read(&mut self, group: usize, row: u64, left: u64) -> Result<Rows, ParquetTextError> {
        let damaged = |reason: String| ParquetTextError::DamagedGroup { group: group + 1, reason };
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.group_reader(group, row).map_err(damaged)?,
        };
        let (batch, reader) = guarded(move || {
            let batch = reader.next().transpose().map_err(|error| words(&error.into()))?;
            Ok((batch, reader))
        })
        .map_err(damaged)?;
        let batch = batch.filter(|batch| batch.num_rows() > 0);
        let batch = batch.ok_or_else(|| damaged(format!("{left} rows are missing at its end")))?;
        self.reader = Some(reader);
        let columns = self.cells(&batch).map_err(|error| damaged(words(&error.into())))?;
        Ok(Rows { count: batch.num_rows(), columns })
    }

    fn group_reader(&self, group: usize, row: u64) -> Result<ParquetRecordBatchReader, String> {
        let past = usize::try_from(row).unwrap_or(usize::MAX);
        guarded(|| {
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), self.metadata.clone())
                .with_row_groups(vec![group])
                .with_projection(self.mask.clone())
                .with_batch_size(ROWS)
                .with_offset(past)
                .build()
                .map_err(|error| words(&error))
        })
    }

    fn cells(&self, batch: &RecordBatch) -> Result<Vec<Cells>, ArrowError> {
        let column =
            |wanted: &ColumnRequest| batch.column_by_name(&wanted.name).map_or(Ok(Cells::Absent), Cells::of);
        self.wanted.iter().map(column).collect()
    }
}

/// Reads the footer. Texts are to be views into the pages: a long text that a dictionary page holds once and a thousand
/// rows name is then held once.
fn read_metadata(file: &Bounded) -> Result<ArrowReaderMetadata, String> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let plain = ArrowReaderMetadata::load(file, options.clone()).map_err(|error| words(&error))?;
    let int96 = |name: &str| {
        let mut roots = plain.parquet_schema().root_schema().get_fields().iter();
        let root = roots.find(|root| root.name() == name);
        root.is_some_and(|root| root.is_primitive() && root.get_physical_type() == Physical::INT96)
    };
    let hinted = |field: &Field| match field.data_type() {
        DataType::Utf8 => field.clone().with_data_type(DataType::Utf8View),
        // 64 bits of nanoseconds end in the year 2262, and what lies beyond would wrap.
        DataType::Timestamp(..) if int96(field.name()) => {
            field.clone().with_data_type(DataType::Timestamp(TimeUnit::Microsecond, None))
        }
        _ => field.clone(),
    };
    let fields: Vec<Field> = plain.schema().fields().iter().map(|field| hinted(field)).collect();
    let options = options.with_schema(Arc::new(Schema::new(fields)));
    ArrowReaderMetadata::try_new(plain.metadata().clone(), options).map_err(|error| words(&error))
}

/// The rows of each row group.
fn groups(metadata: &ParquetMetaData) -> Result<Vec<u64>, ParquetTextError> {
    let damaged = || ParquetTextError::Damaged("its numbers of rows contradict each other".to_owned());
    let counts = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).ok());
    let groups: Vec<u64> = counts.collect::<Option<_>>().ok_or_else(damaged)?;
    let sum = groups.iter().try_fold(0_u64, |sum, rows| sum.checked_add(*rows));
    if sum != u64::try_from(metadata.file_metadata().num_rows()).ok() {
        return Err(damaged());
    }
    Ok(groups)
}

/// The places in the file's schema of the wanted columns that it has.
fn roots(metadata: &ArrowReaderMetadata, wanted: &[ColumnRequest]) -> Result<Vec<usize>, ParquetTextError> {
    let names: Vec<&str> =
        metadata.parquet_schema().root_schema().get_fields().iter().map(|root| root.name()).collect();
    let mut roots = Vec::new();
    for column in wanted {
        let name = column.name.as_str();
        let mut places =
            names.iter().enumerate().filter(|(_, found)| **found == name).map(|(place, _)| place);
        let Some(place) = places.next() else {
            if column.required {
                let has = names.join(", ");
                return Err(ParquetTextError::NoColumn { column: name.to_owned(), has });
            }
            continue;
        };
        if places.next().is_some() {
            return Err(ParquetTextError::TwoColumns { column: name.to_owned() });
        }
        if let Ok(field) = metadata.schema().field_with_name(name)
            && let Err((found, expected)) = cells::fits(field.data_type(), column.holds)
        {
            return Err(ParquetTextError::WrongType { column: name.to_owned(), found, expected });
        }
        roots.push(place);
    }
    Ok(roots)
}

/// Should the Parquet reader panic on a file, that file is damaged; the others are not.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the reader gave up on it".to_owned()))
}
