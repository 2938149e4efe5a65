//! The cells of a column. In: an Arrow array of a type that fits. Out: texts and times by row. It knows no file.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use arrow::error::ArrowError;

use super::ColumnType;

/// A column of some rows.
pub enum Cells {
    /// The file has no such column, or nothing in it.
    Absent,
    /// Texts; numbers, true and false in their usual writing.
    Texts(StringViewArray),
    /// Points in time, in one of the units since 1970.
    Times(TimeUnit, Int64Array),
}

/// The content of one cell that is not null.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cell<'c> {
    /// A text.
    Text(&'c str),
    /// Microseconds since 1970 in UTC, rounded towards zero; the furthest there are where the cell's is further.
    Time(i64),
}

impl Cells {
    /// The cells of an array of a type that [`fits`].
    pub(super) fn of(array: &ArrayRef) -> Result<Self, ArrowError> {
        Ok(match array.data_type() {
            DataType::Null => Self::Absent,
            DataType::Timestamp(unit, _) => {
                Self::Times(*unit, cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            _ => Self::Texts(cast(array, &DataType::Utf8View)?.as_string_view().clone()),
        })
    }

    /// The cell of a row; nothing where it is null.
    pub fn cell(&self, row: usize) -> Option<Cell<'_>> {
        match self {
            Self::Absent => None,
            Self::Texts(texts) => {
                (row < texts.len() && texts.is_valid(row)).then(|| Cell::Text(texts.value(row)))
            }
            Self::Times(unit, times) => (row < times.len() && times.is_valid(row))
                .then(|| Cell::Time(micros(*unit, times.value(row)))),
        }
    }
}

fn micros(unit: TimeUnit, time: i64) -> i64 {
    match unit {
        TimeUnit::Second => time.saturating_mul(1_000_000),
        TimeUnit::Millisecond => time.saturating_mul(1000),
        TimeUnit::Microsecond => time,
        TimeUnit::Nanosecond => time / 1000,
    }
}

/// Checks that a column of this type can be read as one that is wanted; else what it holds, and what it must hold.
pub(super) fn fits(found: &DataType, wanted: ColumnType) -> Result<(), (String, &'static str)> {
    let text = matches!(found, DataType::Utf8View | DataType::Null);
    let whole = found.is_integer();
    let number = whole || matches!(found, DataType::Float16 | DataType::Float32 | DataType::Float64);
    let (fits, expected) = match wanted {
        ColumnType::Text => (text, "texts"),
        ColumnType::Name => (text || whole, "texts or whole numbers"),
        ColumnType::Scalar => {
            (text || number || *found == DataType::Boolean, "texts, numbers, or true and false")
        }
        ColumnType::Time => (
            text || matches!(found, DataType::Timestamp(..)),
            "timestamps, or texts such as 2026-03-02T08:15:00Z (RFC 3339)",
        ),
    };
    if fits { Ok(()) } else { Err((holding(found), expected)) }
}

fn holding(found: &DataType) -> String {
    match found {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "texts".to_owned(),
        DataType::Boolean => "true and false".to_owned(),
        DataType::Timestamp(..) => "timestamps".to_owned(),
        DataType::Date32 | DataType::Date64 => "dates".to_owned(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "lists".to_owned(),
        DataType::Struct(_) | DataType::Map(..) => "objects".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => {
            "bytes that are not marked as text".to_owned()
        }
        other if other.is_integer() => "whole numbers".to_owned(),
        other if other.is_floating() => "numbers".to_owned(),
        other => format!("values of the type {other}"),
    }
}
