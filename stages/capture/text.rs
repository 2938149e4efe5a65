//! Text rows: JSON lines, CSV or Parquet in; utterances out, and a rejection for every line or row that is none.
//!
//! At most one record (1 MiB) is held, and of a Parquet file a page of each column. Reasons give the file, the line or
//! row and the column's name, never a value. The n-th record of a text has the same identity in every format.

use std::io::BufRead;

use headwater_contract::{Result, StageError};

use super::lines::{Line, Lines};
use super::utterance::{Place, Rejected, Tally, Utterance, Utterances};

mod csv_record;
mod json_record;
mod parquet_file;
mod taking;

pub use csv_record::CsvRecords;
pub use json_record::JsonRecords;
pub use parquet_file::{ParquetReading, open_parquet, parquet_content};
pub use taking::{Numbers, Taking};

/// Names of the columns to read.
#[derive(Debug, Clone)]
pub struct Columns {
    /// What was said.
    pub text: String,
    /// Whose it is; nothing where all is one device's.
    pub device: Option<Column>,
    /// When it was said.
    pub captured_at: Column,
    /// What each row carries on under the same name.
    pub kept: Vec<String>,
}

/// A column that somebody asked for, or that is taken if it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Whether a record without it is wrong.
    pub required: bool,
}

/// The values of a record, as far as it has them.
pub struct Fields {
    /// What was said.
    pub text: Option<String>,
    /// Whose it is.
    pub device: Option<String>,
    /// When it was said.
    pub captured_at: Option<When>,
    /// The kept columns, in their order; empty texts where there is nothing.
    pub kept: Vec<String>,
}

/// A time as a record gives it.
pub enum When {
    /// RFC 3339.
    Written(String),
    /// Microseconds since 1970.
    Micros(i64),
}

/// Why a record is wrong: a code, and what is wrong with it in words without its values.
pub type Wrong = (&'static str, String);

/// A format of text records.
pub trait Records {
    /// Whether the record goes on after this line, of which `open` says whether it goes on in it.
    fn is_open(&self, line: &[u8], open: bool) -> bool;

    /// Reads one record, which is not blank.
    fn read(&self, record: &[u8], columns: &Columns) -> std::result::Result<Fields, Wrong>;
}

/// The utterances of one text.
pub struct Reading<R> {
    lines: Lines<R>,
    format: Box<dyn Records>,
    taking: Taking,
    given: u64,
    record: Vec<u8>,
    tally: Tally,
    ended: bool,
}

impl<R: BufRead> Reading<R> {
    /// Reads on from `lines`, of which `given` records were read before.
    pub fn new(lines: Lines<R>, format: Box<dyn Records>, taking: Taking, given: u64) -> Self {
        let (record, tally) = (Vec::new(), Tally::default());
        Self { lines, format, taking, given, record, tally, ended: false }
    }

    /// The bytes beneath.
    pub fn reader(&self) -> &R {
        self.lines.reader()
    }

    /// Reads lines until a record is whole. `Some(Err)` when it cannot become one.
    fn next_record(&mut self) -> Option<std::result::Result<(), Wrong>> {
        self.record.clear();
        let mut open = false;
        loop {
            let mut start = self.record.len();
            match self.lines.next(&mut self.record) {
                Err(error) => {
                    self.ended = true;
                    return Some(Err(("file_unreadable", format!("it cannot be read further: {error}"))));
                }
                Ok(None) if self.record.is_empty() => return None,
                Ok(None) => return Some(Err(("record_open", "a quoted field is not closed".to_owned()))),
                Ok(Some(Line::TooLong)) => return Some(Err(too_long())),
                Ok(Some(Line::Whole)) => {}
            }
            if self.lines.line() == 1 && self.record.starts_with(b"\xef\xbb\xbf") {
                self.record.drain(..3);
                start = 0;
            }
            if self.record.len() > super::lines::LONGEST {
                return Some(Err(too_long()));
            }
            let line = self.record.get(start..).unwrap_or_default();
            if !open && line.trim_ascii().is_empty() {
                self.record.clear();
                continue;
            }
            open = self.format.is_open(line, open);
            if !open {
                return Some(Ok(()));
            }
            self.record.push(b'\n');
        }
    }
}

fn too_long() -> Wrong {
    ("line_too_long", format!("it is longer than {} bytes", super::lines::LONGEST))
}

impl<R: BufRead> Iterator for Reading<R> {
    type Item = std::result::Result<Utterance, Rejected>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let first = self.lines.line() + 1;
        let read = self.next_record()?;
        let seq = self.given;
        self.given += 1;
        self.tally.inputs += 1;
        let utterance = read
            .and_then(|()| self.format.read(&self.record, &self.taking.columns))
            .and_then(|fields| self.taking.utterance(fields, seq));
        Some(utterance.map_err(|wrong| {
            self.tally.rejected += 1;
            let line = self.lines.line().max(first);
            self.taking.rejected(seq, &format!(":{line}"), wrong)
        }))
    }
}

impl<R: BufRead> Utterances for Reading<R> {
    fn place(&self) -> Place {
        let before = Some(self.lines.before());
        Place { file: 0, items: self.given, line: self.lines.line(), byte: self.lines.byte(), before }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

/// What to do about a column that is not there.
const NAMED: &str =
    "the options `text_column`, `device_column`, `captured_at_column` and `columns` name columns";

/// Reads the header of a CSV text, so that its columns are known before any row.
///
/// # Errors
/// There is none, or it lacks a column that was asked for.
pub fn csv_header<R: BufRead>(lines: &mut Lines<R>, columns: &Columns, name: &str) -> Result<CsvRecords> {
    let mut header = Vec::new();
    let read = lines.next(&mut header);
    if !matches!(read, Ok(Some(Line::Whole))) {
        return Err(StageError::new(format!("`{name}` has no readable first line"))
            .expected("the names of its columns, separated by commas"));
    }
    let header = header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&header);
    CsvRecords::with_header(header, columns)
        .map_err(|(_, what)| StageError::new(format!("`{name}`:1: {what}")).help(NAMED))
}

#[cfg(test)]
mod tests;
