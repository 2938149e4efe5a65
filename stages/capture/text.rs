//! Text rows: JSON lines, CSV or Parquet in; utterances out, and a rejection for every line or row that is none.
//!
//! At most one record (1 MiB) is held, and of a Parquet file a page of each column. Reasons give the file, the line or
//! row and the column's name, never a value. The n-th record of a text has the same identity in every format.

use std::io::BufRead;

use headwater_contract::units::Micros;
use headwater_contract::{Result, StageError};

use super::file_ledger::Note;
use super::lines::{BufferedLine, Line, Lines};
use super::utterance::{Place, Rejection, Tally, Utterance, Utterances};

mod csv_record;
pub mod dates;
mod encoding;
mod json_record;
mod parquet_file;
pub mod times;
mod utterance_builder;

pub use csv_record::{COMMA, CsvRecords, NAMED};
pub use encoding::refused;
pub use json_record::JsonRecords;
pub use parquet_file::{ParquetRecordReader, open_parquet, parquet_content};
use times::Times;
pub use utterance_builder::{Numbers, ROWS, UtteranceBuilder};

/// Lines that a quoted field may run over. One that runs on was not meant to: what it took is read again, line by line.
const LINES: usize = 1000;

/// Names of the columns to read.
#[derive(Debug, Clone)]
pub struct Columns {
    /// The text that was said.
    pub text: String,
    /// The device; none where all is one device's.
    pub device: Option<Column>,
    /// When it was said.
    pub captured_at: Column,
    /// Columns that each row keeps under the same name.
    pub kept: Vec<String>,
    /// The format of times.
    pub times: Times,
}

impl Columns {
    /// The instant in a value of the column of times.
    pub fn instant(&self, when: &When) -> std::result::Result<Micros, RecordError> {
        self.times.instant(when, &self.captured_at.name)
    }
}

/// A column that the options ask for, or that is taken if it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// True if a record without it is wrong.
    pub required: bool,
}

/// The values of a record, as far as it has them.
pub struct Fields {
    /// The text that was said.
    pub text: Option<String>,
    /// The device.
    pub device: Option<String>,
    /// When it was said.
    pub captured_at: Option<When>,
    /// The kept columns, in their order; empty texts where there is nothing.
    pub kept: Vec<String>,
}

/// A time as a record gives it.
pub enum When {
    /// In the form that the options say.
    ModificationTimes(String),
    /// Microseconds since 1970.
    Micros(i64),
}

/// Why a record is wrong: a code, and what is wrong with it in words without its values.
pub type RecordError = (&'static str, String);

/// The state of quotes in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// The record ends with the line.
    Closed,
    /// A quoted field continues in the next line.
    Open,
    /// A quote stands where none may.
    Stray,
}

/// A format of text records.
pub trait Records {
    /// The state of quotes in this line; `open` is true if a quoted field continues in it.
    fn quotes(&self, line: &[u8], open: bool) -> Quotes;

    /// Returns true if the lines that an open quote of the first one has taken up are records by themselves.
    fn are_apart(&self, first: &[u8], rest: &[&[u8]]) -> bool;

    /// Reads one record, which is not blank.
    fn read(&self, record: &[u8], columns: &Columns) -> std::result::Result<Fields, RecordError>;
}

/// The utterances of one text.
pub struct RecordReader<R> {
    lines: Lines<R>,
    format: Box<dyn Records>,
    builder: UtteranceBuilder,
    given: u64,
    record: Vec<u8>,
    tally: Tally,
    ended: bool,
    /// Of a file that may grow: how its reader goes back to a byte.
    seek: Option<Seek<R>>,
    /// True if more may be written behind what is there.
    growing: bool,
}

/// Goes to a byte of a reader.
type Seek<R> = fn(&mut R, u64) -> std::io::Result<()>;

impl<R: BufRead> RecordReader<R> {
    /// Reads on from `lines`, which stand at this place.
    pub fn new(lines: Lines<R>, format: Box<dyn Records>, builder: UtteranceBuilder, place: Place) -> Self {
        let (given, record, tally) = (place.items, Vec::new(), Tally::default());
        Self { lines, format, builder, given, record, tally, ended: false, seek: None, growing: false }
    }

    /// The same, of a file that may grow.
    pub fn in_growing_file(self, seek: Seek<R>) -> Self {
        Self { seek: Some(seek), ..self }
    }

    /// Returns true if more is expected behind what is there: then a record that is cut off there is left for later.
    pub fn expect_more(&mut self, growing: bool) {
        self.growing = growing;
    }

    /// The bytes beneath.
    pub fn reader(&self) -> &R {
        self.lines.reader()
    }

    /// Reads lines until a record is whole. `Some(Err)` when it cannot become one. A quoted field that is not closed as it should be takes no line
    /// but its first: the others come again.
    fn next_record(&mut self) -> Option<std::result::Result<(), RecordError>> {
        self.record.clear();
        loop {
            match self.lines.next(&mut self.record) {
                Err(error) => return Some(Err(self.unreadable(&error))),
                Ok(None) => return None,
                Ok(Some(Line::TooLong)) => return Some(Err(too_long())),
                Ok(Some(Line::Whole)) => {}
            }
            if self.lines.line() == 1 && self.record.starts_with(BOM) {
                self.record.drain(..BOM.len());
            }
            if !self.record.trim_ascii().is_empty() {
                break;
            }
            self.record.clear();
        }
        Some(match self.format.quotes(&self.record, false) {
            Quotes::Closed => Ok(()),
            Quotes::Stray => Err(("bad_csv", "a quote in a quoted field is not doubled".to_owned())),
            Quotes::Open => self.rest_of_record(),
        })
    }

    /// Reads on behind a line in which a quoted field is open.
    fn rest_of_record(&mut self) -> std::result::Result<(), RecordError> {
        let (begin, first) = (self.lines.mark(), self.record.len());
        let mut rest: Vec<BufferedLine> = Vec::new();
        let fault = loop {
            let mut line = Vec::new();
            let kind = match self.lines.next(&mut line) {
                Err(error) => return Err(self.unreadable(&error)),
                Ok(None) => {
                    break format!("is not closed before the end of the text, {} further", lines(rest.len()));
                }
                Ok(Some(kind)) => kind,
            };
            rest.push(BufferedLine::new(&line, kind, self.lines.mark()));
            self.record.push(b'\n');
            self.record.extend_from_slice(&line);
            if kind == Line::TooLong || self.record.len() > super::lines::LONGEST {
                break format!("is not closed within {} bytes", super::lines::LONGEST);
            }
            match self.format.quotes(&line, true) {
                Quotes::Closed => {
                    let texts: Vec<&[u8]> = rest.iter().map(BufferedLine::text).collect();
                    if !self.format.are_apart(self.record.get(..first).unwrap_or_default(), &texts) {
                        return Ok(());
                    }
                    break format!("would take up {}, which are rows by themselves", lines(rest.len()));
                }
                Quotes::Stray => {
                    break format!("is not closed where a quote stands, in line {}", self.lines.line());
                }
                Quotes::Open if rest.len() >= LINES => break format!("is not closed within {LINES} lines"),
                Quotes::Open => {}
            }
        };
        self.lines.give_back(begin, rest);
        self.record.truncate(first);
        Err((
            "record_open",
            format!("a quoted field begins here and {fault}; reading continues in the next line"),
        ))
    }

    fn unreadable(&mut self, error: &std::io::Error) -> RecordError {
        self.ended = true;
        ("file_unreadable", format!("it cannot be read further: {error}"))
    }
}

/// The byte order mark of UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

fn lines(count: usize) -> String {
    format!("{count} line{}", if count == 1 { "" } else { "s" })
}

fn too_long() -> RecordError {
    ("line_too_long", format!("it is longer than {} bytes", super::lines::LONGEST))
}

impl<R: BufRead> Iterator for RecordReader<R> {
    type Item = std::result::Result<Utterance, Rejection>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let byte = self.lines.byte();
        let begin = self.growing.then(|| self.lines.mark());
        let read = self.next_record();
        if let (Some(begin), Some(seek), true) = (begin, self.seek, self.lines.is_cut_off()) {
            return self.lines.go_back(begin, seek).err().map(|error| {
                let error = self.unreadable(&error);
                self.reject(byte, (self.lines.line(), 0), error)
            });
        }
        let read = read?;
        // The line in which the record begins, which is not the first that was read where blank ones stand before it.
        let breaks = self.record.split(|byte| *byte == b'\n').count() as u64 - 1;
        let (first, last) = (self.lines.line().saturating_sub(breaks).max(1), self.lines.line());
        if self.builder.file.is_some() && self.given + 1 >= ROWS {
            self.ended = true;
            let error = ("text_too_long", format!("a text has at most {ROWS} rows; split it into several"));
            return Some(self.reject(byte, (first, last), error));
        }
        let taken = read
            .and_then(|()| self.format.read(&self.record, &self.builder.columns))
            .and_then(|fields| self.builder.utterance(fields, self.given, byte));
        Some(match taken {
            Ok(utterance) => {
                self.count();
                Ok(utterance)
            }
            Err(error) => self.reject(byte, (first, last), error),
        })
    }
}

impl<R: BufRead> RecordReader<R> {
    fn count(&mut self) {
        self.given += 1;
        self.tally.inputs += 1;
    }

    /// Rejects the record that begins at this byte and stands in these lines.
    fn reject(
        &mut self,
        byte: u64,
        (first, last): (u64, u64),
        error: RecordError,
    ) -> std::result::Result<Utterance, Rejection> {
        let to = if last > first { format!(" (to line {last})") } else { String::new() };
        let rejected = self.builder.rejected(self.given, byte, &format!(":{first}{to}"), error);
        self.count();
        self.tally.rejected += 1;
        Err(rejected)
    }
}

impl<R: BufRead> Utterances for RecordReader<R> {
    fn place(&self) -> Place {
        let before = Some(self.lines.before());
        Place {
            file: self.builder.number,
            items: self.given,
            line: self.lines.line(),
            byte: self.lines.byte(),
            before,
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn note(&mut self) -> Option<Note> {
        self.builder.dates.note()
    }
}

/// Reads the header of a CSV text, so that its columns are known before any row. Where no delimiter is asked for, a first line `sep=;`
/// names it.
///
/// # Errors
/// There is none, or it lacks a column that was asked for.
pub fn csv_header<R: BufRead>(
    lines: &mut Lines<R>,
    delimiter: Option<u8>,
    columns: &Columns,
    name: &str,
) -> Result<CsvRecords> {
    let mut named = delimiter;
    loop {
        let mut header = Vec::new();
        let read = lines.next(&mut header);
        if !matches!(read, Ok(Some(Line::Whole))) {
            return Err(StageError::new(format!("`{name}` has no readable first line"))
                .expected("the names of its columns, separated by commas"));
        }
        if let Some(error) = refused(&header, name) {
            return Err(error);
        }
        let header = header.strip_prefix(BOM).unwrap_or(&header);
        match header {
            [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', sep] if lines.line() == 1 => {
                named = delimiter.or(Some(*sep));
            }
            _ => {
                let records = CsvRecords::with_header(header, named.unwrap_or(COMMA), columns);
                return records.map_err(|bad| {
                    StageError::new(format!("`{name}`:{}: {}", lines.line(), bad.what)).help(bad.help)
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
