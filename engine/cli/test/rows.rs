//! Rows as JSON objects, and batches of a port's columns made of them.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::json::{LineDelimitedWriter, ReaderBuilder};
use headwater_contract::identity;
use headwater_runtime::case::RowsOf;
use serde_json::{Map, Value, json};

use crate::store::render::in_offsets;

/// One row.
pub(super) type Row = Map<String, Value>;

/// The rows that a test writes down.
pub(super) fn rows_of(rows: &RowsOf, folder: &Path) -> Result<Vec<Row>, String> {
    match rows {
        RowsOf::Here(tables) => {
            tables.iter().map(|table| object(&toml::Value::Table(table.clone()))).collect()
        }
        RowsOf::File(name) => {
            let path = folder.join(name);
            let text = std::fs::read_to_string(&path)
                .map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
            let line = |(number, line): (usize, &str)| {
                serde_json::from_str(line)
                    .map_err(|e| format!("{}:{}: no JSON object: {e}", path.display(), number + 1))
            };
            text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
        }
    }
}

fn object(value: &toml::Value) -> Result<Row, String> {
    match as_json(value) {
        Value::Object(row) => Ok(row),
        _ => Err("a row is no table".into()),
    }
}

fn as_json(value: &toml::Value) -> Value {
    match value {
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(items) => items.iter().map(as_json).collect(),
        toml::Value::Table(table) => table.iter().map(|(key, value)| (key.clone(), as_json(value))).collect(),
        other => serde_json::to_value(other).unwrap_or(Value::Null),
    }
}

/// Rows with these columns. Columns that a row omits are empty or 0; its identity is made up: a second lies between two rows.
pub(super) fn batch_of(
    rows: Vec<Row>,
    schema: &SchemaRef,
    source: &str,
) -> Result<Option<RecordBatch>, String> {
    let full: Vec<Row> = rows
        .into_iter()
        .zip(0_u64..)
        .map(|(row, number)| {
            let value = |field: &Arc<Field>| {
                let given = row.get(field.name()).cloned();
                given.unwrap_or_else(|| made_up(field, source, number))
            };
            let known = schema.fields().iter().map(|field| (field.name().clone(), value(field)));
            let unknown = row.iter().filter(|(name, _)| schema.field_with_name(name).is_err());
            let unknown: Vec<_> = unknown.map(|(name, value)| (name.clone(), value.clone())).collect();
            known.chain(unknown).collect()
        })
        .collect();
    let decode = || -> Result<Option<RecordBatch>, arrow::error::ArrowError> {
        let offsets = Arc::new(in_zone(schema, "+00:00"));
        let mut decoder = ReaderBuilder::new(offsets)
            .with_strict_mode(true)
            .with_batch_size(full.len().max(1))
            .build_decoder()?;
        decoder.serialize(&full)?;
        decoder.flush()?.map(|batch| in_utc(&batch, schema)).transpose()
    };
    decode().map_err(|error| format!("the rows do not fit: {error}"))
}

fn made_up(field: &Field, source: &str, number: u64) -> Value {
    match field.name().as_str() {
        identity::DEVICE => json!("test"),
        identity::SOURCE => json!(source),
        identity::SEQ => json!(number),
        identity::PART => json!(0),
        identity::CAPTURED_AT => {
            let (minutes, seconds) = ((number / 60) % 1440, number % 60);
            let day = 1 + number / 86_400 % 28;
            json!(format!("2026-01-{day:02}T{:02}:{:02}:{seconds:02}Z", minutes / 60, minutes % 60))
        }
        _ if field.is_nullable() => Value::Null,
        _ => empty(field.data_type()),
    }
}

fn empty(kind: &DataType) -> Value {
    match kind {
        DataType::Boolean => json!(false),
        DataType::List(_) => json!([]),
        DataType::Struct(fields) => {
            fields.iter().map(|field| (field.name().clone(), empty(field.data_type()))).collect()
        }
        DataType::Timestamp(..) => json!("1970-01-01T00:00:00Z"),
        kind if kind.is_numeric() => json!(0),
        _ => json!(""),
    }
}

/// The columns with times in this zone: what reads JSON knows offsets alone.
fn in_zone(schema: &Schema, zone: &str) -> Schema {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            Arc::new(field.as_ref().clone().with_data_type(DataType::Timestamp(*unit, Some(zone.into()))))
        }
        _ => field.clone(),
    };
    Schema::new(schema.fields().iter().map(field).collect::<Fields>())
}

fn in_utc(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, arrow::error::ArrowError> {
    let column = |(field, column): (&Arc<Field>, &ArrayRef)| -> ArrayRef {
        match (field.data_type(), column.as_primitive_opt::<TimestampMicrosecondType>()) {
            (DataType::Timestamp(_, Some(zone)), Some(times)) => {
                Arc::new(times.clone().with_timezone(zone.clone()))
            }
            _ => column.clone(),
        }
    };
    let columns = schema.fields().iter().zip(batch.columns()).map(column).collect();
    RecordBatch::try_new(schema.clone(), columns)
}

/// Batches as rows, in the order of their identity.
pub(super) fn json_of(batches: &[RecordBatch]) -> Result<Vec<Row>, String> {
    let Some(schema) = batches.first().map(RecordBatch::schema) else { return Ok(Vec::new()) };
    let sorted = identity::sorted(&schema, batches).map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    let mut write = || {
        let mut writer = LineDelimitedWriter::new(&mut lines);
        writer.write(&in_offsets(&sorted)?)?;
        writer.finish()
    };
    write().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&lines);
    text.lines().map(|line| serde_json::from_str(line).map_err(|error| error.to_string())).collect()
}
