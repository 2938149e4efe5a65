//! One JSON object per line (<https://jsonlines.org>).

use serde_json::{Map, Value};

use super::{Columns, Fields, Records, When, Wrong};

/// Reads JSON objects.
pub struct JsonRecords;

impl Records for JsonRecords {
    fn is_open(&self, _: &[u8], _: bool) -> bool {
        false
    }

    fn read(&self, record: &[u8], columns: &Columns) -> Result<Fields, Wrong> {
        // serde_json's own words may quote the text; its column does not.
        let value: Value = serde_json::from_slice(record).map_err(|error| {
            let kind = if std::str::from_utf8(record).is_err() { "UTF-8" } else { "JSON" };
            ("bad_json", format!("it is not valid {kind} (at byte {})", error.column()))
        })?;
        let Value::Object(mut object) = value else {
            return Err(("bad_json", "it is not a JSON object".to_owned()));
        };
        // A kept column may be the device's or the time's too: those are taken out last.
        let kept = columns.kept.iter().map(|column| scalar(&object, column)).collect::<Result<_, Wrong>>()?;
        let device = columns.device.as_ref().map(|column| name(&mut object, &column.name));
        Ok(Fields {
            kept,
            text: string(&mut object, &columns.text)?,
            device: device.transpose()?.flatten(),
            captured_at: string(&mut object, &columns.captured_at.name)?.map(When::Written),
        })
    }
}

/// A string; absent when it is null.
fn string(object: &mut Map<String, Value>, column: &str) -> Result<Option<String>, Wrong> {
    match object.get_mut(column).map(Value::take) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong_type(column, &other)),
    }
}

/// A string, or a whole number that names a device.
fn name(object: &mut Map<String, Value>, column: &str) -> Result<Option<String>, Wrong> {
    match object.get(column) {
        Some(Value::Number(number)) if !number.is_f64() => Ok(Some(number.to_string())),
        _ => string(object, column),
    }
}

/// A string, a number, true or false, as text; empty when it is absent or null.
fn scalar(object: &Map<String, Value>, column: &str) -> Result<String, Wrong> {
    match object.get(column) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value @ (Value::Bool(_) | Value::Number(_))) => Ok(value.to_string()),
        Some(other) => Err(must_be("a string, a number, true or false", column, other)),
    }
}

fn wrong_type(column: &str, found: &Value) -> Wrong {
    must_be("a string", column, found)
}

fn must_be(expected: &str, column: &str, found: &Value) -> Wrong {
    let found = match found {
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::Array(_) => "a list",
        _ => "an object",
    };
    ("bad_type", format!("`{column}` must be {expected}, but it is {found}"))
}
