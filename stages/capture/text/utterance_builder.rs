//! The part that all formats of text share: the fields of a record and its number in, an utterance or a rejection out.
//!
//! Knows no bytes and no formats.

use std::sync::Arc;

use super::super::utterance::{Content, Rejection, Utterance};
use super::dates::Dates;
use super::{Columns, Fields, RecordError};

/// Device names longer than this are a mistake: they would stand in every row, key and message.
const LONGEST_DEVICE: usize = 256;

/// Rows that one file may have: the n-th file that is begun has the seqs from so many times n on.
pub const ROWS: u64 = 1_000_000_000;

/// Builds the utterances of one text from its records.
pub struct UtteranceBuilder {
    /// The columns to read.
    pub columns: Columns,
    /// The name of the text in a reason.
    pub name: String,
    /// The file that rows name; nothing where they come from none.
    pub file: Option<Arc<str>>,
    /// The file's number among those that were begun; 0 where there is none.
    pub number: u64,
    /// The device of the records that name none.
    pub device: Arc<str>,
    /// When those were captured that do not say.
    pub dates: Dates,
}

impl UtteranceBuilder {
    /// The utterance of a record that has these fields and this number, and begins at this byte.
    pub fn utterance(&mut self, fields: Fields, seq: u64, byte: u64) -> Result<Utterance, RecordError> {
        let missing = |name: &str| ("column_missing", format!("it has no value for `{name}`"));
        let Columns { text, device, captured_at, .. } = &self.columns;
        let content = Content::Text { text: fields.text.ok_or_else(|| missing(text))?, kept: fields.kept };
        let whose = match (device, fields.device) {
            (Some(column), Some(whose)) if whose.is_empty() || whose.len() > LONGEST_DEVICE => {
                let what = format!("`{}` must have 1 to {LONGEST_DEVICE} bytes", column.name);
                return Err(("bad_device", what));
            }
            (Some(_), Some(whose)) => whose.into(),
            (Some(column), None) if column.required => return Err(missing(&column.name)),
            _ => self.device.clone(),
        };
        let captured_at = match fields.captured_at {
            Some(when) => self.columns.instant(&when)?,
            None if captured_at.required => return Err(missing(&captured_at.name)),
            None => self.dates.of(seq, byte),
        };
        let seq = self.seq(seq);
        Ok(Utterance { device: whose, seq, part: 0, captured_at, file: self.file.clone(), content })
    }

    /// The rejection of what stands at `place` of the text (such as `:12`), has this number and begins at this byte.
    pub fn rejected(&mut self, seq: u64, byte: u64, place: &str, (code, what): RecordError) -> Rejection {
        let reason = format!("{}{place}: {what}", self.name);
        let captured_at = self.dates.of(seq, byte);
        Rejection { device: self.device.clone(), seq: self.seq(seq), captured_at, code, reason }
    }

    /// The seq of a record of the text by its number there.
    fn seq(&self, number: u64) -> u64 {
        self.number.saturating_mul(ROWS).saturating_add(number)
    }
}

/// Where the numbers of the records begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// At 0: the text can be read again, and gives the same rows.
    Zero,
    /// At the microseconds since 1970 when reading began: what was read is gone, and the next attempt's first record is
    /// another row than this one's.
    Now,
}

impl Numbers {
    /// The first number of an attempt that begins now.
    pub fn first(self) -> u64 {
        match self {
            Numbers::Zero => 0,
            Numbers::Now => u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(0),
        }
    }
}
