//! One JSON object per line (<https://jsonlines.org>).

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{Columns, Fields, Quotes, RecordError, Records, When, encoding};

/// Reads JSON objects.
pub struct JsonRecords;

impl Records for JsonRecords {
    fn quotes(&self, _: &[u8], _: bool) -> Quotes {
        Quotes::Closed
    }

    fn are_apart(&self, _: &[u8], _: &[&[u8]]) -> bool {
        false
    }

    fn read(&self, record: &[u8], columns: &Columns) -> Result<Fields, RecordError> {
        let Object { fields: mut object, twice } =
            serde_json::from_slice(record).map_err(|error| wrong_json(record, &error))?;
        let read = |name: &String| {
            let own = [
                Some(&columns.text),
                Some(&columns.captured_at.name),
                columns.device.as_ref().map(|c| &c.name),
            ];
            own.contains(&Some(name)) || columns.kept.contains(name)
        };
        if let Some(name) = twice.iter().find(|name| read(name)) {
            return Err(("duplicate_key", format!("`{name}` stands in it twice; expected each key once")));
        }
        // A kept column may be the device's or the time's too: those are taken out last.
        let kept =
            columns.kept.iter().map(|column| scalar(&object, column)).collect::<Result<_, RecordError>>()?;
        let device = columns.device.as_ref().map(|column| name(&mut object, &column.name));
        Ok(Fields {
            kept,
            text: string(&mut object, &columns.text)?,
            device: device.transpose()?.flatten(),
            captured_at: time(&mut object, columns)?.map(When::ModificationTimes),
        })
    }
}

/// An object, and the keys that stand in it more than once: the last value of each holds.
struct Object {
    fields: Map<String, Value>,
    twice: Vec<String>,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut object = Object { fields: Map::new(), twice: Vec::new() };
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            if object.fields.contains_key(&key) {
                object.twice.push(key.clone());
            }
            object.fields.insert(key, value);
        }
        Ok(object)
    }
}

/// The mistake in a record that is no JSON object. serde_json's own words may quote the text; its column does not.
fn wrong_json(record: &[u8], error: &serde_json::Error) -> RecordError {
    if std::str::from_utf8(record).is_err() {
        return encoding::not_utf8("bad_json", record);
    }
    let at = error.column();
    let what = if error.is_data() {
        "it is not a JSON object".to_owned()
    } else if let Some(half) = lone_surrogate(record).filter(|half| *half < at) {
        let half = half + 1;
        format!(
            "half a surrogate pair (\\ud800 to \\udfff) stands alone in it and is no character (at byte {half})"
        )
    } else if error.is_eof() {
        "the JSON object is cut off".to_owned()
    } else {
        let behind =
            serde_json::from_slice::<Value>(record.get(..at.saturating_sub(1)).unwrap_or_default()).is_ok();
        let more = if behind {
            "; something stands behind the first value, and one object is expected in a line"
        } else {
            ""
        };
        format!("it is not valid JSON (at byte {at}){more}")
    };
    ("bad_json", what)
}

/// Where half of a surrogate pair is escaped in a text without its other half.
fn lone_surrogate(text: &[u8]) -> Option<usize> {
    let unit = |at: usize| {
        let [b'\\', b'u', digits @ ..] = text.get(at..at + 6)? else { return None };
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut at = 0;
    while at < text.len() {
        at += match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => return Some(at),
            (Some(_), _) => 6,
            (None, _) if text.get(at) == Some(&b'\\') => 2,
            (None, _) => 1,
        };
    }
    None
}

/// The column of times: a string, or a number where times are counts.
fn time(object: &mut Map<String, Value>, columns: &Columns) -> Result<Option<String>, RecordError> {
    let name = &columns.captured_at.name;
    match object.get(name) {
        Some(Value::Number(number)) if columns.times.are_numbers() => Ok(Some(number.to_string())),
        Some(number @ Value::Number(_)) => {
            let (code, what) = wrong_type(name, number);
            Err((
                code,
                format!(
                    "{what}; `time_format = \"unix\"` reads counts of seconds, \"unix_ms\" of milliseconds"
                ),
            ))
        }
        _ => string(object, name),
    }
}

/// A string; absent when it is null.
fn string(object: &mut Map<String, Value>, column: &str) -> Result<Option<String>, RecordError> {
    match object.get_mut(column).map(Value::take) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong_type(column, &other)),
    }
}

/// A string, or a whole number that names a device.
fn name(object: &mut Map<String, Value>, column: &str) -> Result<Option<String>, RecordError> {
    match object.get(column) {
        Some(Value::Number(number)) if !number.is_f64() => Ok(Some(number.to_string())),
        _ => string(object, column),
    }
}

/// A string, a number, true or false, as text; empty when it is absent or null.
fn scalar(object: &Map<String, Value>, column: &str) -> Result<String, RecordError> {
    match object.get(column) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value @ (Value::Bool(_) | Value::Number(_))) => Ok(value.to_string()),
        Some(other) => Err(must_be("a string, a number, true or false", column, other)),
    }
}

fn wrong_type(column: &str, found: &Value) -> RecordError {
    must_be("a string", column, found)
}

fn must_be(expected: &str, column: &str, found: &Value) -> RecordError {
    let found = match found {
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::Array(_) => "a list",
        _ => "an object",
    };
    ("bad_type", format!("`{column}` must be {expected}, but it is {found}"))
}
