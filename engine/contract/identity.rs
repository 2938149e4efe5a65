//! The identity that every row carries, and the order it gives.
//!
//! In: record batches whose first five columns by name are `device`, `source`, `seq`, `part` and `captured_at`. Out: the
//! identity of a row and batches in `Sorted` order. It must not know what else a row holds.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{
    DataType, Field, SchemaRef, TimeUnit, TimestampMicrosecondType, UInt32Type, UInt64Type,
};

use crate::error::{Result, StageError};
use crate::units::Micros;

/// Whose data a row is: the key of keyed stages.
pub const DEVICE: &str = "device";
/// The source stage that took the row in.
pub const SOURCE: &str = "source";
/// The row's position in its device's stream.
pub const SEQ: &str = "seq";
/// Numbers the rows that one row became.
pub const PART: &str = "part";
/// When it was captured: microseconds, UTC.
pub const CAPTURED_AT: &str = "captured_at";

/// The columns whose values are together unique at each port, in sorting order.
pub const KEY: [&str; 4] = [DEVICE, SOURCE, SEQ, PART];

/// The five columns that every row carries.
pub fn fields() -> Vec<Field> {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    vec![
        Field::new(DEVICE, DataType::Utf8, false),
        Field::new(SOURCE, DataType::Utf8, false),
        Field::new(SEQ, DataType::UInt64, false),
        Field::new(PART, DataType::UInt32, false),
        Field::new(CAPTURED_AT, utc, false),
    ]
}

/// What names one row at a port. Safe to log: it holds no content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId {
    /// Whose data it is.
    pub device: Arc<str>,
    /// The source stage that took it in.
    pub source: Arc<str>,
    /// Position in the device's stream.
    pub seq: u64,
    /// Number among the rows that one row became.
    pub part: u32,
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device {:?} source {:?} seq {} part {}", self.device, self.source, self.seq, self.part)
    }
}

fn missing(column: &str) -> StageError {
    StageError::new(format!("a batch lacks the identity column `{column}`"))
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| missing(name))
}

/// The identity columns of one batch, typed once so that rows can be named cheaply.
pub struct IdentityColumns<'b> {
    devices: &'b arrow::array::StringArray,
    sources: &'b arrow::array::StringArray,
    seqs: &'b arrow::array::UInt64Array,
    parts: &'b UInt32Array,
    captured: &'b arrow::array::TimestampMicrosecondArray,
}

impl<'b> IdentityColumns<'b> {
    /// Finds the identity columns of a batch.
    ///
    /// # Errors
    /// The name of the column that is missing or has another type.
    pub fn of(batch: &'b RecordBatch) -> Result<Self> {
        Ok(IdentityColumns {
            devices: column(batch, DEVICE)?.as_string_opt().ok_or_else(|| missing(DEVICE))?,
            sources: column(batch, SOURCE)?.as_string_opt().ok_or_else(|| missing(SOURCE))?,
            seqs: column(batch, SEQ)?.as_primitive_opt::<UInt64Type>().ok_or_else(|| missing(SEQ))?,
            parts: column(batch, PART)?.as_primitive_opt::<UInt32Type>().ok_or_else(|| missing(PART))?,
            captured: column(batch, CAPTURED_AT)?
                .as_primitive_opt::<TimestampMicrosecondType>()
                .ok_or_else(|| missing(CAPTURED_AT))?,
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.seqs.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The device of a row; empty past the end.
    pub fn device(&self, row: usize) -> &'b str {
        if row < self.devices.len() { self.devices.value(row) } else { "" }
    }

    /// The seq of a row; 0 past the end.
    pub fn seq(&self, row: usize) -> u64 {
        self.seqs.values().get(row).copied().unwrap_or_default()
    }

    /// When a row was captured; the epoch of Unix time past the end.
    pub fn captured_at(&self, row: usize) -> Micros {
        Micros(self.captured.values().get(row).copied().unwrap_or_default())
    }

    /// When the last of the rows was captured; nothing of no rows.
    pub fn last_captured(&self) -> Option<Micros> {
        self.captured.values().iter().copied().max().map(Micros)
    }

    /// The four values that name a row.
    pub fn id(&self, row: usize) -> RowId {
        RowId {
            device: self.device(row).into(),
            source: if row < self.sources.len() { self.sources.value(row) } else { "" }.into(),
            seq: self.seq(row),
            part: self.parts.values().get(row).copied().unwrap_or_default(),
        }
    }

    /// The stable hash of a row's identity: what `Spread` routes by.
    pub fn hash(&self, row: usize) -> u64 {
        let device = crate::hash::stable(self.device(row).as_bytes());
        let part = self.parts.values().get(row).copied().unwrap_or_default();
        crate::hash::mix(crate::hash::mix(device, self.seq(row)), u64::from(part))
    }
}

/// The identity of one row, for messages.
pub fn row_id(batch: &RecordBatch, row: usize) -> Option<RowId> {
    let columns = IdentityColumns::of(batch).ok()?;
    (row < columns.len()).then(|| columns.id(row))
}

/// Joins batches of one schema and puts their rows into `Sorted` order: device, source, seq, part.
///
/// # Errors
/// A batch without the identity columns, or of another schema.
pub fn sorted(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch> {
    let whole = match batches {
        [one] => one.clone(),
        many => concat_batches(schema, many)?,
    };
    let keys = KEY
        .iter()
        .map(|name| Ok(SortColumn { values: column(&whole, name)?.clone(), options: None }))
        .collect::<Result<Vec<_>>>()?;
    if whole.num_rows() < 2 {
        return Ok(whole);
    }
    let order = lexsort_to_indices(&keys, None)?;
    if order.values().iter().zip(0u32..).all(|(at, row)| *at == row) {
        return Ok(whole);
    }
    Ok(take_record_batch(&whole, &order)?)
}
