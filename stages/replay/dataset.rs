//! Plays a data set: its rows in the order in which they were captured, each with its number in the set as seq.
//!
//! In: a data set of any form. Out: rows of text, or recordings whole (they are not cut at pauses, since each is a row) with what was said
//! as `reference`. Of recordings one is in memory. What cannot be decoded is rejected; the rest is read.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::{Float32Array, ListArray, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use arrow::buffer::OffsetBuffer;
use headwater_contract::columns::FILE;
use headwater_contract::prelude::*;
use headwater_contract::units::Micros;
use headwater_datasets::audio::{AudioError, AudioReader, SAMPLE_RATE};
use headwater_datasets::dataset::{Dataset, Fault, Row, Select};

use super::Place;
use super::pace::Pacer;

/// Rows of text that are sent at once where no pace is kept.
const ROWS: usize = 1024;
/// The longest recording that is one row: it is in memory whole.
const LONGEST_SECONDS: usize = 600;

const TEXT: &str = "text";
const RATE: &str = "sample_rate";
const SAMPLES: &str = "samples";
const REFERENCE: &str = "reference";
const ID: &str = "id";
const SPLIT: &str = "split";

/// Reads the rows of a data set; audio is not opened.
pub(super) fn open(path: &Path) -> Result<Dataset> {
    Dataset::open(path, &Select::default()).map_err(|faults: Vec<Fault>| {
        let messages: Vec<String> = faults.iter().take(10).map(Fault::to_string).collect();
        let more = faults.len().saturating_sub(messages.len());
        let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
        StageError::new(format!("{}{more}", messages.join("\n")))
            .expected("a recording, a store or a data set (`headwater dataset check` checks the last)")
    })
}

/// Checks that a data set has rows of a split.
pub(super) fn has_split(dataset: &Dataset, split: &str) -> Result {
    let known: BTreeSet<&str> = dataset.rows.iter().filter_map(|row| row.split.as_deref()).collect();
    if known.contains(split) {
        return Ok(());
    }
    let known = known.into_iter().collect::<Vec<_>>().join(" or ");
    Err(StageError::new(format!("the data set {} has no rows in the split {split:?}", dataset.name))
        .expected(if known.is_empty() { "no `split`: no row is in one".to_owned() } else { known }))
}

/// The columns that its rows have.
pub(super) fn schema(dataset: &Dataset) -> Schema {
    let own: &[Field] = if dataset.is_audio() {
        &[utf8(FILE), uint32(RATE), f32_list(SAMPLES), utf8(REFERENCE), utf8(ID), utf8(SPLIT)]
    } else {
        &[utf8(FILE), utf8(TEXT), utf8(ID), utf8(SPLIT)]
    };
    let mut fields = identity::fields();
    fields.extend_from_slice(own);
    let further: BTreeSet<&String> = dataset.rows.iter().flat_map(|row| row.columns.keys()).collect();
    for name in further {
        if !fields.iter().any(|field| field.name() == name) {
            fields.push(utf8(name));
        }
    }
    Schema::new(fields)
}

/// A row that is played: its number, whose it is, and when it was captured.
struct PlayedRow<'d> {
    seq: u64,
    row: &'d Row,
    file: &'d str,
    device: String,
    at: Micros,
}

impl PlayedRow<'_> {
    fn id(&self, source: &str) -> identity::RowId {
        identity::RowId { device: self.device.as_str().into(), source: source.into(), seq: self.seq, part: 0 }
    }

    /// The value of a column of text; empty where the row has none.
    fn text(&self, column: &str) -> &str {
        let row = self.row;
        let said = match column {
            TEXT => row.text.as_deref(),
            REFERENCE if row.audio.is_some() => row.text.as_deref(),
            ID => Some(row.id.as_str()),
            FILE => return self.file,
            SPLIT => row.split.as_deref(),
            other => row.columns.get(other).map(String::as_str),
        };
        said.unwrap_or_default()
    }
}

/// The stage that plays it, and the device of rows that name none.
pub(super) struct Names<'p> {
    pub(super) source: &'p str,
    pub(super) device: &'p str,
}

/// Plays a data set, but for as many wanted rows as were given before.
pub(super) fn play(
    dataset: &Dataset,
    split: Option<&str>,
    names: &Names<'_>,
    mut pacer: Pacer,
    from: Place,
    mut feed: Feed<'_>,
) -> Result {
    let device = if_none(names.device);
    let wanted = |row: &PlayedRow<'_>| {
        split.is_none_or(|split| row.row.split.as_deref() == Some(split))
            && pacer.choice().takes(&row.device, row.at)
    };
    let numbered = |(seq, row): (u64, _)| {
        let at = Micros(Row::captured(row, seq).as_microsecond());
        PlayedRow { seq, row, file: file_of(dataset, row), device: device(row), at }
    };
    let mut rows: Vec<PlayedRow<'_>> = (0..).zip(&dataset.rows).map(numbered).filter(wanted).collect();
    rows.sort_by_key(|row| (row.at, row.seq));
    let schema = pacer.schema();
    let given = usize::try_from(from.rows).unwrap_or(usize::MAX).min(rows.len());
    let at_once = if dataset.is_audio() { 1 } else { ROWS };
    let mut before = given as u64;
    for rows in rows.get(given..).unwrap_or_default().chunks(at_once) {
        match samples(dataset, rows) {
            Ok(samples) => {
                let ms = samples.len() as u64 * 1000 / u64::from(SAMPLE_RATE);
                if ms > 0 {
                    feed.count("audio_ms", ms);
                }
                let batch = batch(&schema, rows, &samples, names.source)?;
                pacer.send(&batch, 0, |rows| Place { entries: 0, rows: before + rows }, &mut feed)?;
            }
            Err((code, reason)) => {
                for row in rows {
                    feed.reject(row.id(names.source), row.at, code, format!("{}: {reason}", row.row.place))?;
                }
            }
        }
        before += rows.len() as u64;
    }
    Ok(())
}

/// The file that a row lies in: its recording, or the text whose line or row it is.
fn file_of<'d>(dataset: &'d Dataset, row: &'d Row) -> &'d str {
    let text = || Path::new(row.place.rsplit_once(':').map_or(row.place.as_str(), |(file, _)| file));
    let file = row.audio.as_deref().unwrap_or_else(text);
    file.strip_prefix(&dataset.root).unwrap_or(file).to_str().unwrap_or_default()
}

fn if_none(default: &str) -> impl Fn(&Row) -> String {
    move |row| if row.device.is_empty() { default.to_owned() } else { row.device.clone() }
}

/// The samples of the recordings of some rows, of which there is one where there are recordings; or the code and the reason why they
/// cannot be heard to their end.
fn samples(
    dataset: &Dataset,
    rows: &[PlayedRow<'_>],
) -> std::result::Result<Vec<f32>, (&'static str, String)> {
    let mut samples = Vec::new();
    if !dataset.is_audio() {
        return Ok(samples);
    }
    for row in rows {
        let Some(audio) = &row.row.audio else {
            return Err((
                "no_recording",
                "this row has no recording, as the others of the data set have".to_owned(),
            ));
        };
        let messages = |error: AudioError| (error.code(), format!("{}: {error}", audio.display()));
        let mut reader = AudioReader::open(&dataset.root.join(audio)).map_err(messages)?;
        while let Some(chunk) = reader.next_chunk().map_err(messages)? {
            samples.extend_from_slice(chunk);
            if samples.len() > LONGEST_SECONDS * SAMPLE_RATE as usize {
                let reason = format!(
                    "{}: longer than {LONGEST_SECONDS} s, which is the most that is given as one row; `capture` cuts it at pauses",
                    audio.display()
                );
                return Err(("recording_too_long", reason));
            }
        }
    }
    Ok(samples)
}

fn batch(schema: &SchemaRef, rows: &[PlayedRow<'_>], samples: &[f32], source: &str) -> Result<RecordBatch> {
    let texts = |of: &dyn Fn(&PlayedRow<'_>) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    let column = |field: &Arc<Field>| -> ArrayRef {
        match field.name().as_str() {
            identity::DEVICE => texts(&|row| row.device.clone()),
            identity::SOURCE => texts(&|_| source.to_owned()),
            identity::SEQ => Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.seq))),
            identity::PART => Arc::new(UInt32Array::from(vec![0; rows.len()])),
            identity::CAPTURED_AT => {
                let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.at.0));
                Arc::new(times.with_timezone("UTC"))
            }
            RATE => Arc::new(UInt32Array::from(vec![SAMPLE_RATE; rows.len()])),
            SAMPLES => {
                let item = Arc::new(Field::new_list_field(DataType::Float32, false));
                let values = Arc::new(Float32Array::from(samples.to_vec()));
                Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([samples.len()]), values, None))
            }
            name => texts(&|row| row.text(name).to_owned()),
        }
    };
    Ok(RecordBatch::try_new(schema.clone(), schema.fields().iter().map(column).collect())?)
}
