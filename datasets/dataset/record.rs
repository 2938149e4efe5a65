//! One object with the usual keys in, a row out.
//!
//! The keys are those that data sets in the field have: `text`, `full_text` or `transcript`; `device`, `user` or `speaker`; spans as Presidio
//! writes them or short. It must not know where the object stood.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{Row, Span};

const TEXT: [&str; 4] = ["text", "full_text", "transcript", "sentence"];
const DEVICE: [&str; 5] = ["device", "user", "user_id", "speaker", "speaker_id"];
const TIME: [&str; 2] = ["captured_at", "timestamp"];
const AUDIO: [&str; 3] = ["file", "audio", "audio_filepath"];
const KIND: [&str; 4] = ["kind", "entity_type", "type", "label"];
const START: [&str; 2] = ["start", "start_position"];
const END: [&str; 2] = ["end", "end_position"];

/// A row of an object. `number` is its place, from 0, and names it where nothing else does.
pub(super) fn row(object: &Map<String, Value>, number: usize, place: String) -> Result<Row, Vec<String>> {
    let mut wrong = Vec::new();
    let mut row = Row { place, ..Row::default() };
    let mut rest = object.clone();
    let mut take = |names: &[&str]| {
        let name = names.iter().find(|name| rest.contains_key(**name))?;
        rest.shift_remove(*name).map(|value| ((*name).to_owned(), value))
    };
    let mut text_of = |names: &[&str], wrong: &mut Vec<String>| match take(names) {
        None | Some((_, Value::Null)) => None,
        Some((_, Value::String(text))) => Some(text),
        Some((_, value @ (Value::Number(_) | Value::Bool(_)))) => Some(value.to_string()),
        Some((name, _)) => {
            wrong.push(format!("`{name}` must be a text"));
            None
        }
    };
    row.text = text_of(&TEXT, &mut wrong);
    row.id = text_of(&["id"], &mut wrong).unwrap_or_else(|| number.to_string());
    row.device = text_of(&DEVICE, &mut wrong).unwrap_or_default();
    row.audio = text_of(&AUDIO, &mut wrong).map(PathBuf::from);
    row.sha256 = text_of(&["sha256"], &mut wrong);
    row.split = text_of(&["split"], &mut wrong);
    if let Some(time) = text_of(&TIME, &mut wrong) {
        row.captured_at = time.parse().ok();
        if row.captured_at.is_none() {
            wrong.push("the time must be RFC 3339 with an offset, such as 2026-03-02T08:15:00Z".to_owned());
        }
    }
    if let Some((_, value)) = take(&["spans"]) {
        row.spans = spans(&value, &mut wrong);
    }
    if let Some((_, value)) = take(&["allowed"]) {
        match value.as_array().map(|kinds| kinds.iter().map(Value::as_str).collect::<Option<Vec<_>>>()) {
            Some(Some(kinds)) => row.allowed = kinds.into_iter().map(str::to_owned).collect(),
            _ => wrong.push("`allowed` must be a list of kinds".to_owned()),
        }
    }
    if let Some((_, value)) = take(&["seconds", "duration"]) {
        row.seconds = value.as_f64();
    }
    if row.text.is_none() && row.audio.is_none() {
        wrong.push(format!("there is neither a text ({}) nor audio ({})", TEXT.join(", "), AUDIO.join(", ")));
    }
    row.columns = rest
        .into_iter()
        .filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, text)),
            Value::Number(_) | Value::Bool(_) => Some((name, value.to_string())),
            _ => None,
        })
        .collect();
    if wrong.is_empty() { Ok(row) } else { Err(wrong) }
}

/// A list of spans, or the same as a text (a cell of CSV).
fn spans(value: &Value, wrong: &mut Vec<String>) -> Option<Vec<Span>> {
    let read;
    let list = match value {
        Value::String(text) if text.trim().is_empty() => return None,
        Value::String(text) => {
            read = serde_json::from_str(text).unwrap_or_default();
            &read
        }
        other => other,
    };
    let Some(list) = list.as_array() else {
        wrong.push("`spans` must be a list".to_owned());
        return None;
    };
    let mut spans = Vec::new();
    for (number, item) in list.iter().enumerate() {
        match span(item) {
            Some(span) => spans.push(span),
            None => wrong.push(format!(
                "span {} must be {{kind, start, end}} or [start, end, kind], with start before end",
                number + 1
            )),
        }
    }
    Some(spans)
}

fn span(item: &Value) -> Option<Span> {
    let place = |value: Option<&Value>| usize::try_from(value?.as_u64()?).ok();
    let of = |names: &[&str]| names.iter().find_map(|name| item.get(name));
    let span = match item {
        Value::Array(parts) => Span {
            kind: parts.get(2)?.as_str()?.to_owned(),
            start: place(parts.first())?,
            end: place(parts.get(1))?,
            optional: false,
        },
        _ => Span {
            kind: of(&KIND)?.as_str()?.to_owned(),
            start: place(of(&START))?,
            end: place(of(&END))?,
            optional: item.get("optional").and_then(Value::as_bool).unwrap_or_default(),
        },
    };
    (span.start < span.end).then_some(span)
}
