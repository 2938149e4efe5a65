//! What every format of text has in common: the fields of a record and its number in, an utterance or a rejection out.
//!
//! Knows no bytes and no formats.

use std::sync::Arc;

use headwater_contract::units::Micros;

use super::super::utterance::{Content, Rejected, Utterance};
use super::{Columns, Fields, When, Wrong};

/// Device names longer than this are a mistake: they would stand in every row, key and message.
const LONGEST_DEVICE: usize = 256;

/// How the records of one text are taken in.
pub struct Taking {
    /// The columns to read.
    pub columns: Columns,
    /// What to call the text in a reason.
    pub name: String,
    /// Whose the records are that do not say.
    pub device: Arc<str>,
    /// How they are numbered.
    pub numbers: Numbers,
}

impl Taking {
    /// The utterance of a record that has these fields.
    pub fn utterance(&self, fields: Fields, seq: u64) -> Result<Utterance, Wrong> {
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
            Some(when) => instant(&when, &captured_at.name)?,
            None if captured_at.required => return Err(missing(&captured_at.name)),
            None => self.numbers.undated(seq),
        };
        Ok(Utterance { device: whose, seq, captured_at, content })
    }

    /// The rejection of what stands at `place` of the text (such as `:12`) and has this number.
    pub fn rejected(&self, seq: u64, place: &str, (code, what): Wrong) -> Rejected {
        let reason = format!("{}{place}: {what}", self.name);
        let captured_at = self.numbers.undated(seq);
        Rejected { device: self.device.clone(), seq, captured_at, code, reason }
    }
}

fn instant(when: &When, column: &str) -> Result<Micros, Wrong> {
    let (time, form) = match when {
        When::Written(text) => {
            (text.parse().ok(), "a time and its offset (RFC 3339), such as 2026-03-02T08:15:00Z")
        }
        When::Micros(micros) => {
            (jiff::Timestamp::from_microsecond(*micros).ok(), "a time before the year 10000")
        }
    };
    let time: jiff::Timestamp = time.ok_or_else(|| ("bad_time", format!("`{column}` must be {form}")))?;
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
