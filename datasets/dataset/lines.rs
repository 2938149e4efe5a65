//! Rows of JSON lines, CSV, and JSON lists with spans (the form of Presidio's research data).
//!
//! In: a file's name and text. Out: its rows, or all lines that are wrong. It must not know manifests, nor where a text lies.

use serde_json::{Map, Value};

use super::{Fault, Row, record};

/// Rows, of objects and their places.
fn rows<'v>(
    objects: impl Iterator<Item = (String, Option<&'v Map<String, Value>>)>,
) -> Result<Vec<Row>, Vec<Fault>> {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for (number, (place, object)) in objects.enumerate() {
        let Some(object) = object else {
            faults.push(Fault::new(place, "this is no JSON object"));
            continue;
        };
        match record::row(object, number, place.clone()) {
            Ok(row) => rows.push(row),
            Err(wrong) => faults.extend(wrong.into_iter().map(|what| Fault::new(&place, what))),
        }
    }
    if faults.is_empty() { Ok(rows) } else { Err(faults) }
}

/// JSON lines; blank ones are passed over.
pub(super) fn json(name: &str, text: &str) -> Result<Vec<Row>, Vec<Fault>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read: Vec<(String, Option<Value>)> =
        lines.map(|(at, line)| (format!("{name}:{}", at + 1), serde_json::from_str(line).ok())).collect();
    rows(read.iter().map(|(place, value)| (place.clone(), value.as_ref().and_then(Value::as_object))))
}

/// A JSON list of records with `full_text` and `spans`. A record without a device is a device of its own: what one says does not continue
/// in the next.
pub(super) fn presidio(name: &str, text: &str) -> Result<Vec<Row>, Vec<Fault>> {
    let list: Vec<Value> = serde_json::from_str(text).map_err(|error| {
        let what =
            format!("this is no JSON list of records: line {}, column {}", error.line(), error.column());
        vec![Fault::new(name, what)]
    })?;
    let place = |at: usize| format!("{name}: record {}", at + 1);
    let mut rows = rows(list.iter().enumerate().map(|(at, value)| (place(at), value.as_object())))?;
    for row in &mut rows {
        if row.device.is_empty() {
            row.device.clone_from(&row.id);
        }
        row.spans.get_or_insert_default();
    }
    Ok(rows)
}

/// CSV with a header; spans are JSON in a cell.
pub(super) fn csv(name: &str, text: &str) -> Result<Vec<Row>, Vec<Fault>> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let header = reader.headers().map_err(|_| vec![Fault::new(name, "there is no header line")])?.clone();
    let (mut objects, mut faults) = (Vec::new(), Vec::new());
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let cells = header.iter().zip(&record).filter(|(_, cell)| !cell.is_empty());
                let object: Map<String, Value> =
                    cells.map(|(name, cell)| (name.to_owned(), Value::String(cell.to_owned()))).collect();
                objects.push((format!("{name}:{line}"), object));
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let what = "this line has other columns than the header, or is no UTF-8";
                faults.push(Fault::new(format!("{name}:{line}"), what));
            }
        }
    }
    match rows(objects.iter().map(|(place, object)| (place.clone(), Some(object)))) {
        Ok(rows) if faults.is_empty() => Ok(rows),
        Ok(_) => Err(faults),
        Err(more) => Err(faults.into_iter().chain(more).collect()),
    }
}
