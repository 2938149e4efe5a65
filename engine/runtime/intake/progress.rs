//! How far the intake has come: what a later life goes on from.
//!
//! In: what was cut. Out: numbers that go into the record of a commit, and bytes of a closed epoch for the log of live input.
//! It must not know where they are kept.

use std::collections::BTreeMap;
use std::fmt;

use headwater_contract::units::{Epoch, Micros, Round};
use headwater_contract::{Mark, Position, Result, StageError};
use serde::{Deserialize, Serialize};

/// What follows the last row of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Finish {
    /// It has not come.
    #[default]
    No,
    /// The mark that says so.
    EndOfInput,
    /// So many more ends of rounds.
    Rounds(u32),
    /// Nothing.
    End,
}

/// How far one source has been taken in: its last position, and what was taken behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceProgress {
    /// Behind the last batch that was taken in whole.
    position: Option<Vec<u8>>,
    /// Rows that were taken in behind the position.
    pub(super) rows: u64,
    /// Rejects that were taken in behind the position.
    pub(super) rejects: u64,
}

impl SourceProgress {
    /// A batch was taken in to its end; `left` of its rows, counted behind the new position, were taken in an earlier life.
    pub(super) fn reached(&mut self, position: Position, left: u64) {
        *self = SourceProgress { position: Some(position.0), rows: left, rejects: 0 };
    }

    /// Where the source begins in a later life.
    pub(crate) fn position(&self) -> Option<Position> {
        self.position.clone().map(Position)
    }
}

/// The round that was open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RoundProgress {
    pub(super) round: u64,
    pub(super) epochs: u64,
    pub(super) rows: u64,
    pub(super) until: Option<i64>,
}

/// How far the intake had come when it closed an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The epoch that is opened next.
    pub(super) epoch: u64,
    pub(super) round: RoundProgress,
    pub(super) watermark: Option<i64>,
    /// The source whose turn it is.
    pub(super) turn: Option<String>,
    pub(super) finish: Finish,
    pub(super) sources: BTreeMap<String, SourceProgress>,
    /// Whether some source is live: its rows are in the log until they are committed.
    pub(crate) live: bool,
}

impl Progress {
    /// Nothing is taken in yet.
    pub(crate) fn at_the_beginning(live: bool) -> Self {
        Progress { live, ..Progress::default() }
    }

    /// The epoch that is opened next.
    pub(crate) fn next_epoch(&self) -> Epoch {
        Epoch(self.epoch)
    }

    /// The last epoch that was closed.
    pub(crate) fn committed(&self) -> Option<Epoch> {
        self.epoch.checked_sub(1).map(Epoch)
    }

    /// How far a source has been taken in.
    pub(crate) fn source(&self, id: &str) -> SourceProgress {
        self.sources.get(id).cloned().unwrap_or_default()
    }

    /// Begins a source anew.
    pub(crate) fn forget_source(&mut self, id: &str) {
        self.sources.remove(id);
    }

    /// Whether everything that there was has been taken in, and all marks that follow it have been sent.
    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.finish, Finish::Rounds(0) | Finish::End)
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} epochs, {} rounds", self.epoch, self.round.round)?;
        f.write_str(if self.is_finished() { ", to the end of the input" } else { "; the input goes on" })
    }
}

/// The end of an epoch, as it stands in the log of live input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    round: u64,
    watermark: Option<i64>,
    round_end: bool,
    end_of_input: bool,
    /// How far the intake had come.
    pub(crate) after: Progress,
}

impl Closing {
    /// What is noted of a mark.
    pub(crate) fn of(mark: &Mark, after: Progress) -> Self {
        Closing {
            round: mark.round.0,
            watermark: mark.watermark.map(|watermark| watermark.0),
            round_end: mark.round_end,
            end_of_input: mark.end_of_input,
            after,
        }
    }

    /// The mark again; committed, so that it need not be replayed once more.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            epoch: self.after.committed().unwrap_or_default(),
            round: Round(self.round),
            watermark: self.watermark.map(Micros),
            checkpoint: true,
            round_end: self.round_end,
            end_of_input: self.end_of_input,
        }
    }

    /// As bytes.
    ///
    /// # Errors
    /// None that it can have.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let versioned = Versioned { version: VERSION, closing: self.clone() };
        serde_json::to_vec(&versioned).map_err(|e| StageError::new(format!("the end of an epoch: {e}")))
    }

    /// From bytes.
    ///
    /// # Errors
    /// They are something else.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let wrong =
            |what: String| StageError::new(format!("the log of live input holds no end of an epoch: {what}"));
        let Versioned { version, closing } =
            serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        if version == VERSION {
            Ok(closing)
        } else {
            Err(wrong(format!("its version is {version}, not {VERSION}")))
        }
    }
}

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Versioned {
    version: u32,
    closing: Closing,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a log of this version holds it.
    const KEPT: &str = r#"{"version":1,"closing":{"round":2,"watermark":5000000,"round_end":true,"end_of_input":false,
        "after":{"epoch":8,"round":{"round":3,"epochs":0,"rows":0,"until":null},"watermark":5000000,"turn":"mic",
        "finish":{"Rounds":1},"sources":{"door":{"position":null,"rows":0,"rejects":0},"mic":{"position":[1,2,3],"rows":4,"rejects":1}},
        "live":true}}}"#;

    #[test]
    fn the_end_of_an_epoch_is_read_as_it_was_written() {
        let closing = Closing::decode(KEPT.as_bytes()).unwrap();
        let mark = closing.mark();
        assert_eq!((mark.epoch, mark.round, mark.watermark), (Epoch(7), Round(2), Some(Micros(5_000_000))));
        assert!(mark.round_end && !mark.end_of_input && mark.checkpoint);
        let mic = closing.after.source("mic");
        assert_eq!((mic.position(), mic.rows, mic.rejects), (Some(Position(vec![1, 2, 3])), 4, 1));
        assert_eq!(closing.after.finish, Finish::Rounds(1));
        let plain: String = KEPT.split_whitespace().collect();
        assert_eq!(String::from_utf8(closing.encode().unwrap()).unwrap(), plain);
        let newer = KEPT.replacen("\"version\":1", "\"version\":2", 1);
        for wrong in ["", "{}", newer.as_str()] {
            assert!(Closing::decode(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
