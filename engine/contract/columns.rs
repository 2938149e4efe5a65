//! Short words for the Arrow columns that stages declare and read.
//!
//! In: names. Out: fields, typed columns, batches with some columns replaced.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, ListArray, RecordBatch, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};

use crate::error::{Result, StageError};

/// The column that says which file a row was taken from: its path below the folder that was read; nothing where they come
/// from no file.
pub const FILE: &str = "file";

/// A text column without nulls.
pub fn utf8(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

/// An unsigned 32-bit column without nulls.
pub fn uint32(name: &str) -> Field {
    Field::new(name, DataType::UInt32, false)
}

/// An unsigned 64-bit column without nulls.
pub fn uint64(name: &str) -> Field {
    Field::new(name, DataType::UInt64, false)
}

/// A 32-bit float column without nulls.
pub fn float32(name: &str) -> Field {
    Field::new(name, DataType::Float32, false)
}

/// A column of lists of 32-bit floats: samples, deltas.
pub fn f32_list(name: &str) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new_list_field(DataType::Float32, false))), false)
}

/// A column of lists of unsigned 32-bit numbers: lengths of tensors.
pub fn u32_list(name: &str) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new_list_field(DataType::UInt32, false))), false)
}

/// A column of bytes without nulls.
pub fn binary(name: &str) -> Field {
    Field::new(name, DataType::Binary, false)
}

/// A point in time: microseconds, UTC.
pub fn timestamp_us(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false)
}

/// The text column of that name.
///
/// # Errors
/// The column is missing or holds no text.
pub fn text_column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b StringArray> {
    batch
        .column_by_name(name)
        .and_then(|column| column.as_string_opt::<i32>())
        .ok_or_else(|| StageError::new(format!("the batch has no text column `{name}`")))
}

/// The column of that name as an array of some type.
///
/// # Errors
/// The column is missing or has another type.
pub fn typed_column<'b, A: Array + 'static>(batch: &'b RecordBatch, name: &str) -> Result<&'b A> {
    batch
        .column_by_name(name)
        .and_then(|column| column.as_any().downcast_ref())
        .ok_or_else(|| StageError::new(format!("the batch has no column `{name}` of the type it needs")))
}

/// A column of one row: a list of these numbers, as [`f32_list`] and [`u32_list`] declare it.
///
/// # Errors
/// More items than offsets of 32 bits reach.
pub fn list_row(items: impl Array + 'static) -> Result<ArrayRef> {
    let item = Arc::new(Field::new_list_field(items.data_type().clone(), false));
    let offsets = OffsetBuffer::from_lengths([items.len()]);
    Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(items), None)?))
}

/// The numbers of one row of a column of lists; none where the items are of another type.
pub fn list_items<T: ArrowPrimitiveType>(lists: &ListArray, row: usize) -> Vec<T::Native> {
    lists.value(row).as_primitive_opt::<T>().map(|items| items.values().to_vec()).unwrap_or_default()
}

/// The batch laid out as `schema`: the columns named in `new` are taken from there, all others from `batch`.
///
/// # Errors
/// A column of `schema` is in neither, or has another type or length.
pub fn with_columns<const N: usize>(
    batch: &RecordBatch,
    schema: &SchemaRef,
    new: [(&str, ArrayRef); N],
) -> Result<RecordBatch> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let fresh = new.iter().find(|(name, _)| name == field.name()).map(|(_, column)| column.clone());
            fresh
                .or_else(|| batch.column_by_name(field.name()).cloned())
                .ok_or_else(|| StageError::new(format!("no column `{}` to send", field.name())))
        })
        .collect::<Result<Vec<ArrayRef>>>()?;
    debug_assert!(columns.iter().all(|c| c.len() == batch.num_rows()));
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}
