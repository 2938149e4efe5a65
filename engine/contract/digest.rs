//! A canonical encoding of rows, over which digests are taken.
//!
//! In: one row of a batch. Out: bytes that are equal exactly when the row's columns (names, types, values) are equal.
//! Neither the batch it came in, nor buffers, offsets or the order of a dictionary matter. The encoding is part of the
//! promise "same bytes": it may not change.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, UInt8Type,
    UInt32Type, UInt64Type,
};

use crate::error::{Result, StageError};

/// Appends the canonical encoding of a row: for each column its name, a type tag and the value.
///
/// # Errors
/// A column of a type that rows do not have (dates, decimals, maps, ...).
pub fn encode_row(batch: &RecordBatch, row: usize, out: &mut Vec<u8>) -> Result {
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        bytes(field.name().as_bytes(), out);
        encode_value(column, row, out)?;
    }
    Ok(())
}

/// A digest as people read it: two small hexadecimal digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(n.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn bytes(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    out.extend_from_slice(value);
}

/// Every NaN counts as one: its sign and payload depend on the machine.
fn float(value: f64) -> [u8; 8] {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }.to_le_bytes()
}

fn encode_value(column: &ArrayRef, row: usize, out: &mut Vec<u8>) -> Result {
    if row >= column.len() || column.is_null(row) {
        out.push(0);
        return Ok(());
    }
    match column.data_type() {
        DataType::Boolean => out.extend([1, u8::from(column.as_boolean().value(row))]),
        DataType::UInt8 => unsigned(u64::from(column.as_primitive::<UInt8Type>().value(row)), out),
        DataType::UInt32 => unsigned(u64::from(column.as_primitive::<UInt32Type>().value(row)), out),
        DataType::UInt64 => unsigned(column.as_primitive::<UInt64Type>().value(row), out),
        DataType::Int32 => signed(i64::from(column.as_primitive::<Int32Type>().value(row)), out),
        DataType::Int64 => signed(column.as_primitive::<Int64Type>().value(row), out),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            signed(column.as_primitive::<TimestampMicrosecondType>().value(row), out);
        }
        DataType::Float32 => {
            out.push(4);
            out.extend(float(f64::from(column.as_primitive::<Float32Type>().value(row))));
        }
        DataType::Float64 => {
            out.push(4);
            out.extend(float(column.as_primitive::<Float64Type>().value(row)));
        }
        DataType::Utf8 => {
            out.push(5);
            bytes(column.as_string::<i32>().value(row).as_bytes(), out);
        }
        DataType::Binary => {
            out.push(6);
            bytes(column.as_binary::<i32>().value(row), out);
        }
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            out.push(7);
            out.extend((items.len() as u64).to_le_bytes());
            for item in 0..items.len() {
                encode_value(&items, item, out)?;
            }
        }
        DataType::Struct(fields) => {
            out.push(8);
            for (field, inner) in fields.iter().zip(column.as_struct().columns()) {
                bytes(field.name().as_bytes(), out);
                encode_value(inner, row, out)?;
            }
        }
        other => return Err(StageError::new(format!("rows may not hold columns of type {other}"))),
    }
    Ok(())
}

fn unsigned(value: u64, out: &mut Vec<u8>) {
    out.push(2);
    out.extend(value.to_le_bytes());
}

fn signed(value: i64, out: &mut Vec<u8>) {
    out.push(3);
    out.extend(value.to_le_bytes());
}
