//! The progress of the intake, from which a later attempt continues.
//!
//! In: closed epochs. Out: numbers that go into the record of a commit, and bytes of a closed epoch for the log of live input.
//! It must not know where they are kept.

use std::collections::BTreeMap;
use std::fmt;

use headwater_contract::units::{Epoch, Micros, Round};
use headwater_contract::{Barrier, Position, Result, StageError};
use serde::{Deserialize, Serialize};

use super::row_keys::RowKeySet;

/// The barriers that follow the last row of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Finish {
    /// It has not come.
    #[default]
    No,
    /// The barrier that says so.
    EndOfInput,
    /// So many more ends of rounds.
    Rounds(u32),
    /// Nothing.
    End,
}

/// The progress of one source: its last position, and the rows that were taken in behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceProgress {
    /// Behind the last batch that was taken in whole.
    position: Option<Vec<u8>>,
    /// Rows and rejects that were taken in behind the position. They are known by their identities, not by their number: by the next
    /// attempt the source may have new rows before them, or may have lost them.
    pub(super) behind: RowKeySet,
    /// Behind the last batch of which nothing waits: that of a live source has its position as soon as it is begun.
    #[serde(skip)]
    whole: Option<Vec<u8>>,
}

impl SourceProgress {
    /// A batch was taken in to its end. `behind` the new position: what an earlier attempt took in and the source has not given again.
    pub(super) fn reached(&mut self, position: Position, behind: RowKeySet) {
        let whole = Some(position.0.clone());
        *self = SourceProgress { position: Some(position.0), behind, whole };
    }

    /// The same in a later attempt: nothing of it waits, what was taken in is committed or logged.
    pub(super) fn resumed(self) -> Self {
        SourceProgress { whole: self.position.clone(), ..self }
    }

    /// A batch that does not come again was begun: a later attempt continues behind it.
    pub(super) fn began(&mut self, position: Position) {
        (self.position, self.behind) = (Some(position.0), RowKeySet::default());
    }

    /// Where the source begins in a later attempt.
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

/// The progress of the intake when it closed an epoch.
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
    /// True if some source is live: its rows are in the log until they are committed.
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

    /// By source id: where sources begin in a later attempt.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (String, Position)> {
        self.sources.iter().filter_map(|(id, source)| Some((id.clone(), source.position()?)))
    }

    /// By source id: the positions before which everything has been taken in.
    pub(crate) fn whole(&self) -> impl Iterator<Item = (&String, Position)> {
        self.sources.iter().filter_map(|(id, source)| Some((id, Position(source.whole.clone()?))))
    }

    /// Returns the progress of a source.
    pub(crate) fn source(&self, id: &str) -> SourceProgress {
        self.sources.get(id).cloned().unwrap_or_default()
    }

    /// Restarts a source from scratch.
    pub(crate) fn forget_source(&mut self, id: &str) {
        self.sources.remove(id);
    }

    /// Returns true if everything that there was has been taken in, and all barriers that follow it have been sent.
    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.finish, Finish::Rounds(0) | Finish::End)
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} epochs, {} rounds", self.epoch, self.round.round)?;
        f.write_str(if self.is_finished() { ", to the end of the input" } else { "; the input continues" })
    }
}

/// The end of an epoch, as it stands in the log of live input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    round: u64,
    watermark: Option<i64>,
    round_end: bool,
    end_of_input: bool,
    /// The progress of the intake.
    pub(crate) after: Progress,
}

impl Closing {
    /// Creates the note of a barrier.
    pub(crate) fn of(barrier: &Barrier, after: Progress) -> Self {
        Closing {
            round: barrier.round.0,
            watermark: barrier.watermark.map(|watermark| watermark.0),
            round_end: barrier.round_end,
            end_of_input: barrier.end_of_input,
            after,
        }
    }

    /// The barrier again; committed, so that it need not be replayed once more.
    pub(super) fn barrier(&self) -> Barrier {
        Barrier {
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
        "finish":{"Rounds":1},"sources":{"door":{"position":null,"behind":[]},"mic":{"position":[1,2,3],"behind":[[9,0,4,7],[9,1,4,4]]}},
        "live":true}}}"#;

    #[test]
    fn what_is_begun_is_not_whole() {
        let mut source = SourceProgress::default();
        let at = |n: u8| Position(vec![n]);
        let positions = |source: &SourceProgress| (source.position(), source.whole.clone().map(Position));
        source.reached(at(1), RowKeySet::default());
        assert_eq!(positions(&source), (Some(at(1)), Some(at(1))));
        source.began(at(2));
        assert_eq!(positions(&source), (Some(at(2)), Some(at(1))));
        source.reached(at(2), RowKeySet::default());
        assert_eq!(positions(&source), (Some(at(2)), Some(at(2))));
    }

    #[test]
    fn the_end_of_an_epoch_is_read_as_it_was_written() {
        let closing = Closing::decode(KEPT.as_bytes()).unwrap();
        let barrier = closing.barrier();
        assert_eq!(
            (barrier.epoch, barrier.round, barrier.watermark),
            (Epoch(7), Round(2), Some(Micros(5_000_000)))
        );
        assert!(barrier.round_end && !barrier.end_of_input && barrier.checkpoint);
        let mic = closing.after.source("mic");
        assert_eq!((mic.position(), mic.behind.is_empty()), (Some(Position(vec![1, 2, 3])), false));
        assert_eq!(closing.after.finish, Finish::Rounds(1));
        let plain: String = KEPT.split_whitespace().collect();
        assert_eq!(String::from_utf8(closing.encode().unwrap()).unwrap(), plain);
        let newer = KEPT.replacen("\"version\":1", "\"version\":2", 1);
        for wrong in ["", "{}", newer.as_str()] {
            assert!(Closing::decode(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
