//! One row for each utterance, and one for each device and round: what report.parquet has, and what intervals are drawn from.
//!
//! In: an outcome; or a file that was written before. Out: rows, a Parquet file. It holds counts, ids and devices, and no text.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, UInt64Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use thiserror::Error;

use crate::outcome::Outcome;
use crate::score::{language, redaction, transcription};

/// A row is about an utterance, or about a device in a round.
pub const UTTERANCE: &str = "utterance";
/// See [`UTTERANCE`].
pub const DEVICE_ROUND: &str = "device_round";

/// One row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitRow {
    /// [`UTTERANCE`] or [`DEVICE_ROUND`].
    pub unit: String,
    /// The row's id in the data set, or the device and the round.
    pub id: String,
    /// The device.
    pub device: String,
    /// Counts, in the order of [`COUNTS`]. None: not measured.
    pub counts: [Option<u64>; COUNTS.len()],
    /// Numbers, in the order of [`NUMBERS`].
    pub numbers: [Option<f64>; NUMBERS.len()],
}

/// Columns of whole numbers.
pub const COUNTS: [&str; 20] = [
    "round",
    "words",
    "word_errors",
    "substitutions",
    "insertions",
    "deletions",
    "chars",
    "char_errors",
    "gold",
    "hit",
    "found",
    "right",
    "pii_chars",
    "leaked_chars",
    "text_chars",
    "over_masked_chars",
    "examples",
    "tokens",
    "global_tokens",
    "upload_bytes",
];

/// Columns of other numbers.
pub const NUMBERS: [&str; 7] =
    ["seconds", "latency_ms", "nats_base", "nats_global", "nats_personal", "loss_before", "loss_after"];

impl UnitRow {
    fn set(&mut self, column: &str, value: u64) {
        if let Some(place) =
            COUNTS.iter().position(|name| *name == column).and_then(|at| self.counts.get_mut(at))
        {
            *place = Some(value);
        }
    }

    fn put(&mut self, column: &str, value: Option<f64>) {
        if let Some(place) =
            NUMBERS.iter().position(|name| *name == column).and_then(|at| self.numbers.get_mut(at))
        {
            *place = value;
        }
    }

    /// A number by its column.
    pub fn get(&self, column: &str) -> Option<f64> {
        let count = COUNTS.iter().position(|name| *name == column).and_then(|at| *self.counts.get(at)?);
        let number =
            || NUMBERS.iter().position(|name| *name == column).and_then(|at| *self.numbers.get(at)?);
        count.map(|count| count as f64).or_else(number)
    }
}

/// The rows of an outcome: utterances in the order of the data set, then rounds with their devices.
pub fn rows(outcome: &Outcome) -> Vec<UnitRow> {
    let mut rows = Vec::with_capacity(outcome.utterances.len());
    for said in &outcome.utterances {
        let mut row = UnitRow {
            unit: UTTERANCE.into(),
            id: said.id.clone(),
            device: said.device.clone(),
            ..UnitRow::default()
        };
        row.put("seconds", said.seconds);
        row.put("latency_ms", said.latency_ms);
        if let (Some(reference), Some(heard)) = (&said.reference, &said.heard) {
            let scores = transcription::score(reference, heard);
            let (words, chars) = (scores.words, scores.chars);
            row.set("words", words.words as u64);
            row.set("word_errors", words.errors() as u64);
            row.set("substitutions", words.substitutions as u64);
            row.set("insertions", words.insertions as u64);
            row.set("deletions", words.deletions as u64);
            row.set("chars", chars.words as u64);
            row.set("char_errors", chars.errors() as u64);
        }
        if let (Some(redacted), Some(gold)) = (&said.redacted, &said.gold) {
            let scores = redaction::score(&redacted.original, gold, &said.allowed, &redacted.found);
            let all = scores.sum(None);
            row.set("gold", all.gold);
            row.set("hit", all.hit);
            row.set("found", all.found);
            row.set("right", all.right);
            row.set("pii_chars", all.chars);
            row.set("leaked_chars", all.leaked);
            row.set("text_chars", scores.text_chars);
            row.set("over_masked_chars", scores.over_masked);
        }
        rows.push(row);
    }
    for (round, devices) in language::rounds(&outcome.devices) {
        for (name, (device, nats)) in devices {
            let mut row = UnitRow {
                unit: DEVICE_ROUND.into(),
                id: format!("{name}/{round}"),
                device: name.to_owned(),
                ..UnitRow::default()
            };
            row.set("round", round);
            row.set("examples", device.examples);
            row.set("tokens", nats.tokens);
            row.set("global_tokens", nats.global_tokens);
            row.set("upload_bytes", device.upload_bytes);
            row.put("nats_base", Some(nats.base));
            row.put("nats_global", Some(nats.global));
            row.put("nats_personal", Some(nats.personal));
            row.put("loss_before", device.losses.map(|(before, _)| before));
            row.put("loss_after", device.losses.map(|(_, after)| after));
            rows.push(row);
        }
    }
    rows
}

/// Why there is no table.
#[derive(Debug, Error)]
pub enum TableError {
    /// The file system said no.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The bytes are none of a table.
    #[error("{path}: this is no report.parquet: {what}")]
    Other {
        /// The file.
        path: String,
        /// Why.
        what: String,
    },
}

fn schema() -> Schema {
    let text = ["unit", "id", "device"].map(|name| Field::new(name, DataType::Utf8, false));
    let counts = COUNTS.map(|name| Field::new(name, DataType::UInt64, true));
    let numbers = NUMBERS.map(|name| Field::new(name, DataType::Float64, true));
    Schema::new(text.into_iter().chain(counts).chain(numbers).collect::<Vec<_>>())
}

/// Writes rows as Parquet.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, rows: &[UnitRow]) -> Result<(), TableError> {
    let shown = || path.display().to_string();
    let other = |what: &dyn std::fmt::Display| TableError::Other { path: shown(), what: what.to_string() };
    let text = |of: fn(&UnitRow) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    let mut columns = vec![text(|row| &row.unit), text(|row| &row.id), text(|row| &row.device)];
    for at in 0..COUNTS.len() {
        let values = rows.iter().map(|row| row.counts.get(at).copied().flatten());
        columns.push(Arc::new(values.collect::<UInt64Array>()));
    }
    for at in 0..NUMBERS.len() {
        let values = rows.iter().map(|row| row.numbers.get(at).copied().flatten());
        columns.push(Arc::new(values.collect::<Float64Array>()));
    }
    let schema = Arc::new(schema());
    let batch = RecordBatch::try_new(schema.clone(), columns).map_err(|e| other(&e))?;
    let file = File::create(path).map_err(|error| TableError::File { path: shown(), error })?;
    let mut writer = ArrowWriter::try_new(file, schema, None).map_err(|e| other(&e))?;
    writer.write(&batch).map_err(|e| other(&e))?;
    writer.close().map(drop).map_err(|e| other(&e))
}

/// Reads rows that [`write()`] wrote; columns that it has not are not measured.
///
/// # Errors
/// The file is not there, or another.
pub fn read(path: &Path) -> Result<Vec<UnitRow>, TableError> {
    let shown = || path.display().to_string();
    let other = |what: &dyn std::fmt::Display| TableError::Other { path: shown(), what: what.to_string() };
    let file = File::open(path).map_err(|error| TableError::File { path: shown(), error })?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|e| other(&e))?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| other(&e))?;
        let text = |name: &str| {
            let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
            column.ok_or_else(|| other(&format!("it has no column `{name}` of texts")))
        };
        let (units, ids, devices) = (text("unit")?, text("id")?, text("device")?);
        for at in 0..batch.num_rows() {
            let mut row = UnitRow {
                unit: units.value(at).into(),
                id: ids.value(at).into(),
                device: devices.value(at).into(),
                ..UnitRow::default()
            };
            for name in COUNTS {
                let column = batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<UInt64Type>());
                if let Some(column) = column.filter(|column| column.is_valid(at)) {
                    row.set(name, column.value(at));
                }
            }
            for name in NUMBERS {
                let column = batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<Float64Type>());
                row.put(name, column.filter(|column| column.is_valid(at)).map(|column| column.value(at)));
            }
            rows.push(row);
        }
    }
    Ok(rows)
}
