//! Text rows: JSON lines or CSV in; utterances out, and a rejection for every line that is none.
//!
//! At most one record (1 MiB) is held. Reasons give the file, the line and the column's name, never a value.

use std::io::BufRead;
use std::sync::Arc;

use headwater_contract::units::Micros;
use headwater_contract::{Result, StageError};

use super::lines::{Line, Lines};
use super::utterance::{Content, Place, Rejected, Tally, Utterance, Utterances};

mod csv_record;
mod json_record;

pub use csv_record::CsvRecords;
pub use json_record::JsonRecords;

/// Names of the columns to read.
#[derive(Debug, Clone)]
pub struct Columns {
    /// What was said.
    pub text: String,
    /// Whose it is.
    pub device: Column,
    /// When it was said.
    pub captured_at: Column,
}

/// A column that somebody asked for, or that is taken if it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Whether a record without it is wrong.
    pub required: bool,
}

/// The three values of a record, as far as it has them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// What was said.
    pub text: Option<String>,
    /// Whose it is.
    pub device: Option<String>,
    /// When it was said, RFC 3339.
    pub captured_at: Option<String>,
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

/// Device names longer than this are a mistake: they would stand in every row, key and message.
const LONGEST_DEVICE: usize = 256;

/// The utterances of one text.
pub struct Reading<R> {
    lines: Lines<R>,
    format: Box<dyn Records>,
    columns: Columns,
    /// What to call the text in a reason.
    name: String,
    /// Whose the records are that do not say.
    device: Arc<str>,
    numbers: Numbers,
    given: u64,
    record: Vec<u8>,
    tally: Tally,
    ended: bool,
}

impl<R: BufRead> Reading<R> {
    /// Reads on from `lines`, of which `given` records were read before.
    pub fn new(
        lines: Lines<R>,
        format: Box<dyn Records>,
        columns: Columns,
        name: String,
        device: Arc<str>,
        numbers: Numbers,
        given: u64,
    ) -> Self {
        let (record, tally) = (Vec::new(), Tally::default());
        Self { lines, format, columns, name, device, numbers, given, record, tally, ended: false }
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

    fn utterance(&self, fields: Fields, seq: u64) -> std::result::Result<Utterance, Wrong> {
        let missing = |name: &str| ("column_missing", format!("it has no column `{name}`"));
        let Columns { text, device, captured_at } = &self.columns;
        let content = fields.text.ok_or_else(|| missing(text))?;
        let whose = match fields.device {
            Some(whose) if whose.is_empty() || whose.len() > LONGEST_DEVICE => {
                let what = format!("`{}` must have 1 to {LONGEST_DEVICE} bytes", device.name);
                return Err(("bad_device", what));
            }
            Some(whose) => whose.into(),
            None if device.required => return Err(missing(&device.name)),
            None => self.device.clone(),
        };
        let captured_at = match fields.captured_at {
            Some(when) => instant(&when, &captured_at.name)?,
            None if captured_at.required => return Err(missing(&captured_at.name)),
            None => self.numbers.undated(seq),
        };
        Ok(Utterance { device: whose, seq, captured_at, content: Content::Text(content) })
    }
}

fn instant(text: &str, column: &str) -> std::result::Result<Micros, Wrong> {
    let time: jiff::Timestamp = text.parse().map_err(|_| {
        let form = "a time and its offset (RFC 3339), such as 2026-03-02T08:15:00Z";
        ("bad_time", format!("`{column}` must be {form}"))
    })?;
    Ok(Micros(time.as_microsecond()))
}

/// Where the numbers of the records begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// At 0: the text can be read again, and gives the same rows.
    Zero,
    /// At the microseconds since 1970 when reading began: what was read is gone, and the next life's first record is
    /// another row than this one's.
    Now,
}

impl Numbers {
    /// The first number of a life that begins now.
    pub fn first(self) -> u64 {
        match self {
            Numbers::Zero => 0,
            Numbers::Now => u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(0),
        }
    }

    /// When a record without a time was captured: of a text, one second after the one before, from 1970-01-01 on, the same
    /// on every machine; else about now, which is what its number says.
    fn undated(self, seq: u64) -> Micros {
        let number = i64::try_from(seq).unwrap_or(i64::MAX);
        Micros(if self == Numbers::Zero { number.saturating_mul(1_000_000) } else { number })
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
            .and_then(|()| self.format.read(&self.record, &self.columns))
            .and_then(|fields| self.utterance(fields, seq));
        Some(utterance.map_err(|(code, what)| {
            self.tally.rejected += 1;
            let line = self.lines.line().max(first);
            let reason = format!("{}:{line}: {what}", self.name);
            Rejected {
                device: self.device.clone(),
                seq,
                captured_at: self.numbers.undated(seq),
                code,
                reason,
            }
        }))
    }
}

impl<R: BufRead> Utterances for Reading<R> {
    fn place(&self) -> Place {
        Place { file: 0, items: self.given, line: self.lines.line(), byte: self.lines.byte() }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

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
    CsvRecords::with_header(header, columns).map_err(|(_, what)| {
        StageError::new(format!("`{name}`:1: {what}"))
            .help("name them with the options `text_column`, `device_column` and `captured_at_column`")
    })
}

#[cfg(test)]
mod tests;
