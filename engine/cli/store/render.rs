//! Rows as text: a table for people, JSON lines and CSV for programs; and Parquet without encryption.
//!
//! In: an open store. Out: its rows in one form, segment after segment, never all in memory at once.

use std::cell::RefCell;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::csv;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clap::ValueEnum;
use headwater_vault::{Error, Level, StoreReader, widen, write_clear};

use super::Failure;
use crate::table::{align, cut};

/// The form of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns, long values cut
    Table,
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values with a head line; nested values as JSON
    Csv,
}

/// Rows that are aligned with each other.
const SCREEN: usize = 500;

/// The rows that were written.
#[derive(Debug)]
pub struct Written {
    /// The number of rows.
    pub rows: u64,
    /// The errors of the segments whose rows are not among them.
    pub lost: Vec<Error>,
}

/// Writes the rows of a store, at most `limit`.
///
/// # Errors
/// The store cannot be read, or the output cannot be written.
pub fn rows(
    store: &StoreReader,
    format: Format,
    limit: Option<u64>,
    out: &mut dyn Write,
) -> Result<Written, Failure> {
    let whole = Whole { store, lost: RefCell::default() };
    let rows = match format {
        Format::Table => table(&whole, limit, out),
        Format::Jsonl => jsonl(&whole, limit, out),
        Format::Csv => comma_separated(&whole, limit, out),
    }?;
    Ok(Written { rows, lost: whole.lost.into_inner() })
}

/// Writes the rows of a store as Parquet without encryption.
///
/// # Errors
/// As [`rows`].
pub fn clear_parquet(store: &StoreReader, out: impl Write + Send, path: &Path) -> Result<Written, Failure> {
    let whole = Whole { store, lost: RefCell::default() };
    let schema = store.schema()?;
    let batches = limited(&whole, None).map(|batch| widen(&batch?, &schema));
    let rows = write_clear(&schema, batches, Level::default(), out, path)?;
    Ok(Written { rows, lost: whole.lost.into_inner() })
}

/// The segments of a store that read; what is wrong with the others is gathered.
struct Whole<'s> {
    store: &'s StoreReader,
    lost: RefCell<Vec<Error>>,
}

/// Batches until `limit` rows have come.
fn limited<'w>(
    whole: &'w Whole<'_>,
    limit: Option<u64>,
) -> impl Iterator<Item = Result<RecordBatch, Error>> + 'w {
    let mut left = limit.unwrap_or(u64::MAX);
    let batches = whole.store.rows().filter_map(|batch| match batch {
        Err(damage @ Error::Damaged { .. }) => {
            whole.lost.borrow_mut().push(damage);
            None
        }
        batch => Some(batch),
    });
    batches.map_while(move |batch| {
        if left == 0 {
            return None;
        }
        let cut = batch
            .map(|batch| batch.slice(0, batch.num_rows().min(usize::try_from(left).unwrap_or(usize::MAX))));
        left -= cut.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        Some(cut)
    })
}

fn jsonl(whole: &Whole<'_>, limit: Option<u64>, out: &mut dyn Write) -> Result<u64, Failure> {
    let mut count = 0;
    for batch in limited(whole, limit) {
        let batch = batch?;
        let mut writer = LineDelimitedWriter::new(&mut *out);
        writer.write(&in_offsets(&batch)?)?;
        writer.finish()?;
        count += batch.num_rows() as u64;
    }
    Ok(count)
}

fn comma_separated(whole: &Whole<'_>, limit: Option<u64>, out: &mut dyn Write) -> Result<u64, Failure> {
    let schema = whole.store.schema()?;
    let head: Vec<_> = schema.fields().iter().map(|f| Field::new(f.name(), DataType::Utf8, true)).collect();
    let mut writer = csv::WriterBuilder::new().with_header(true).build(out);
    // The head line stands there also when there is no row.
    writer.write(
        &flat(&RecordBatch::new_empty(Arc::clone(&schema)))?
            .unwrap_or(RecordBatch::new_empty(Arc::new(Schema::new(head)))),
    )?;
    let mut count = 0;
    for batch in limited(whole, limit) {
        let batch = widen(&batch?, &schema)?;
        count += batch.num_rows() as u64;
        if let Some(flat) = flat(&batch)? {
            writer.write(&flat)?;
        }
    }
    Ok(count)
}

fn table(whole: &Whole<'_>, limit: Option<u64>, out: &mut dyn Write) -> Result<u64, Failure> {
    let schema = whole.store.schema()?;
    let head: Vec<String> = schema.fields().iter().map(|f| f.name().to_uppercase()).collect();
    let mut lines = vec![head.clone()];
    let mut count = 0;
    for batch in limited(whole, limit) {
        let Some(batch) = flat(&widen(&batch?, &schema)?)? else { continue };
        count += batch.num_rows() as u64;
        for row in cells(&batch)? {
            lines.push(row);
            if lines.len() > SCREEN {
                out.write_all(align(&lines).as_bytes())?;
                lines = vec![head.clone()];
            }
        }
    }
    if lines.len() > 1 || count == 0 {
        out.write_all(align(&lines).as_bytes())?;
    }
    Ok(count)
}

fn cells(batch: &RecordBatch) -> Result<Vec<Vec<String>>, ArrowError> {
    let options = FormatOptions::default().with_display_error(true);
    let columns = batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let row = |row: usize| columns.iter().map(|column| cut(&column.value(row).to_string())).collect();
    Ok((0..batch.num_rows()).map(row).collect())
}

/// The batch with nested columns as JSON; nothing for an empty batch.
fn flat(batch: &RecordBatch) -> Result<Option<RecordBatch>, ArrowError> {
    if batch.num_rows() == 0 {
        return Ok(None);
    }
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let column = if field.data_type().is_nested() { as_json(column)? } else { Arc::clone(column) };
        columns.push((field.name().clone(), column, true));
    }
    in_offsets(&RecordBatch::try_from_iter_with_nullable(columns)?).map(Some)
}

/// Times in UTC, with the zone as an offset: how a zone's name is shown would need the world's time zones.
pub(crate) fn in_offsets(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let column = match field.data_type() {
            DataType::Timestamp(unit, Some(zone)) if zone.as_ref() == "UTC" => {
                cast(column, &DataType::Timestamp(*unit, Some("+00:00".into())))?
            }
            _ => Arc::clone(column),
        };
        Ok((field.name().clone(), column, true))
    });
    RecordBatch::try_from_iter_with_nullable(columns.collect::<Result<Vec<_>, ArrowError>>()?)
}

/// Each value of a column as JSON.
fn as_json(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let single = RecordBatch::try_from_iter_with_nullable([("v", Arc::clone(column), true)])?;
    let mut lines = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut lines);
    writer.write(&single)?;
    writer.finish()?;
    let text = String::from_utf8_lossy(&lines);
    // A line is {"v":VALUE}, or {} for null.
    let values = text.lines().map(|line| line.strip_prefix("{\"v\":").and_then(|v| v.strip_suffix('}')));
    Ok(Arc::new(values.collect::<StringArray>()))
}
