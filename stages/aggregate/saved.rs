//! Rows of the state: keys of several parts that cannot be confused, and rows of few columns.
//!
//! In: texts, numbers and lists. Out: the key and the row; and back. It must not know what is kept.

use arrow::array::{Float64Array, UInt64Array};
use headwater_contract::columns::typed_column;
use headwater_contract::prelude::*;

/// A key: what it is of, then each part behind its length.
pub(super) fn key(of: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut key = of.to_vec();
    for part in parts {
        key.extend((part.len() as u64).to_be_bytes());
        key.extend(*part);
    }
    key
}

/// The rows whose keys begin so.
pub(super) fn under<'t>(
    table: &'t StateTable,
    of: &'static [u8],
) -> impl Iterator<Item = (&'t [u8], &'t RecordBatch)> {
    table.iter().filter(move |(key, _)| key.starts_with(of))
}

/// A row of these columns, none of them null.
pub(super) fn row<const N: usize>(columns: [(&str, ArrayRef); N]) -> Result<RecordBatch> {
    let field = |(name, column): &(&str, ArrayRef)| Field::new(*name, column.data_type().clone(), false);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    Ok(RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, column)| column).collect())?)
}

/// A text column of one row.
pub(super) fn texts(text: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![text]))
}

/// A column of one whole number.
pub(super) fn numbers(number: u64) -> ArrayRef {
    Arc::new(UInt64Array::from(vec![number]))
}

/// A column of one number.
pub(super) fn floats(number: f64) -> ArrayRef {
    Arc::new(Float64Array::from(vec![number]))
}

/// The text of a row.
pub(super) fn text(row: &RecordBatch, name: &str) -> Result<String> {
    let column = text_column(row, name)?;
    Ok(column.iter().flatten().next().unwrap_or_default().to_owned())
}

/// The whole number of a row.
pub(super) fn number(row: &RecordBatch, name: &str) -> Result<u64> {
    let column: &UInt64Array = typed_column(row, name)?;
    Ok(column.values().first().copied().unwrap_or_default())
}

/// The number of a row.
pub(super) fn float(row: &RecordBatch, name: &str) -> Result<f64> {
    let column: &Float64Array = typed_column(row, name)?;
    Ok(column.values().first().copied().unwrap_or_default())
}
