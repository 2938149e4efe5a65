//! Rows of a plain Parquet file: the usual columns, and those that a manifest names.
//!
//! In: a file. Out: its rows, or why there are none. It must not know how Parquet is read.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Fault, Row, record};
use crate::parquet_text::{Cell, ColumnRequest, ColumnType, Next, ParquetText};

const USUAL: [&str; 11] = [
    "text",
    "full_text",
    "transcript",
    "device",
    "user",
    "speaker",
    "file",
    "split",
    "id",
    "spans",
    "sha256",
];

pub(super) fn read(path: &Path, columns: &[String]) -> Result<Vec<Row>, Vec<Fault>> {
    let mut names: Vec<String> = USUAL.iter().map(|name| (*name).to_owned()).collect();
    names.push("captured_at".to_owned());
    let further: Vec<String> = columns.iter().filter(|name| !names.contains(name)).cloned().collect();
    names.extend(further);
    let holds = |name: &str| match name {
        "captured_at" => ColumnType::Time,
        "text" | "full_text" | "transcript" | "spans" | "sha256" | "file" => ColumnType::Text,
        _ => ColumnType::Scalar,
    };
    let wanted = |name: &String| ColumnRequest { name: name.clone(), holds: holds(name), required: false };
    let wrong = |what: String| vec![Fault::new(path.display(), what)];
    let mut file = ParquetText::open(path, names.iter().map(wanted).collect())
        .map_err(|error| wrong(error.to_string()))?;
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    loop {
        match file.next_rows() {
            Next::End => break,
            Next::Lost { rows: lost, reason } => {
                faults.extend(wrong(format!(
                    "{lost} rows from row {} on cannot be read: {reason}",
                    rows.len() + 1
                )));
            }
            Next::Rows(read) => {
                for at in 0..read.count {
                    let place = format!("{}: row {}", path.display(), rows.len() + 1);
                    let cells = names.iter().zip(&read.columns);
                    let object: Map<String, Value> = cells
                        .filter_map(|(name, cells)| Some((name.clone(), value(cells.cell(at)?))))
                        .collect();
                    match record::row(&object, rows.len(), place.clone()) {
                        Ok(row) => rows.push(row),
                        Err(all) => faults.extend(all.into_iter().map(|what| Fault::new(&place, what))),
                    }
                }
            }
        }
    }
    if faults.is_empty() { Ok(rows) } else { Err(faults) }
}

fn value(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Text(text) => Value::String(text.to_owned()),
        Cell::Time(micros) => {
            Timestamp::from_microsecond(micros).map_or(Value::Null, |at| Value::String(at.to_string()))
        }
    }
}
