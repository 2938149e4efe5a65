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

/// The device whose data the row is: the key of keyed stages.
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

/// The identity of a row at a port. Safe to log: it holds no content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId {
    /// The device whose data it is.
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

/// A name or a message on one line of a terminal: characters that move the cursor, end the line or turn the order of what is read
/// around are written as escapes. Names of devices and files come from outside.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for c in self.0.chars() {
            if c.is_control() || is_invisible(c) {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Barriers of direction, ends of lines and blanks without width. Joiners stay: scripts need them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
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

    /// Returns true if there is no row.
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

    /// The part of a row; 0 past the end.
    pub fn part(&self, row: usize) -> u32 {
        self.parts.values().get(row).copied().unwrap_or_default()
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
            part: self.part(row),
        }
    }

    /// The stable hash of a row's identity: what `Spread` routes by.
    pub fn hash(&self, row: usize) -> u64 {
        let device = crate::hash::stable(self.device(row).as_bytes());
        crate::hash::mix(crate::hash::mix(device, self.seq(row)), u64::from(self.part(row)))
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

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn what_could_move_a_terminal_is_escaped() {
        let check = |text: &str, expected: &str| assert_eq!(Escaped(text).to_string(), expected, "{text:?}");
        check("kitchen-01", "kitchen-01");
        check(
            "Küche \u{915}\u{94d}\u{200d}\u{937} e\u{301} \"q\" \\",
            "Küche \u{915}\u{94d}\u{200d}\u{937} e\u{301} \"q\" \\",
        );
        check("a\u{1b}[2Jb", "a\\u{1b}[2Jb");
        check("a\nerror: b\r\tc\u{7}\u{7f}", "a\\nerror: b\\r\\tc\\u{7}\\u{7f}");
        check("\u{9b}31m", "\\u{9b}31m");
        check("abc\u{202e}gpj.exe\u{2066}\u{feff}", "abc\\u{202e}gpj.exe\\u{2066}\\u{feff}");
    }
}
