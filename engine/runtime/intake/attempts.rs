//! Attempts of the intake: where one begins, what it leaves, and what it replays.
//!
//! In: how far an earlier attempt had come, and the epochs that it closed and did not commit. Out: the intake that continues from
//! there. It must not know where any of it is kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use arrow::array::{Array, AsArray, BinaryArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use headwater_contract::Result;
use headwater_contract::state::{Change, Owner};
use headwater_contract::units::Micros;

use super::due::Due;
use super::progress::Finish;
use super::{Closing, Intake, IntakeEvent, Progress};
use crate::commit::CommitRule;

/// A closed epoch of live input, from the log of an earlier attempt.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Rows by the port of the source that gave them.
    pub rows: VecDeque<(Port, RecordBatch)>,
    /// Its end.
    pub closed: Closing,
}

/// A source's port in the log of live input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// Rows of the source of that id.
    Rows(String),
    /// Rows that it rejected.
    Rejected(String),
    /// A row that it wants remembered, with its key.
    Kept(String),
}

/// The column of the key of what a source wants remembered.
const KEY: &str = "[key]";

/// A row with its key, as the log of live input has it.
///
/// # Errors
/// Arrow refuses the column.
pub(crate) fn with_key(key: &[u8], row: &RecordBatch) -> Result<RecordBatch> {
    let mut fields: Vec<_> = row.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(KEY, DataType::Binary, false)));
    let mut columns = row.columns().to_vec();
    columns.push(Arc::new(BinaryArray::from_vec(vec![key])));
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// The key and the row again.
pub(crate) fn without_key(logged: &RecordBatch) -> Option<(Vec<u8>, RecordBatch)> {
    let key =
        logged.column_by_name(KEY)?.as_binary_opt::<i32>().filter(|key| key.len() == 1)?.value(0).to_vec();
    let own: Vec<usize> = (0..logged.num_columns().saturating_sub(1)).collect();
    Some((key, logged.project(&own).ok()?))
}

impl Port {
    const REJECTED: &str = ".rejected";
    const KEPT: &str = ".[kept]";

    /// The port of that name.
    pub(crate) fn of(name: &str) -> Self {
        match (name.strip_suffix(Self::REJECTED), name.strip_suffix(Self::KEPT)) {
            (Some(id), _) => Port::Rejected(id.to_owned()),
            (_, Some(id)) => Port::Kept(id.to_owned()),
            (None, None) => Port::Rows(name.to_owned()),
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> String {
        match self {
            Port::Rows(id) => id.clone(),
            Port::Rejected(id) => format!("{id}{}", Self::REJECTED),
            Port::Kept(id) => format!("{id}{}", Self::KEPT),
        }
    }
}

impl Intake {
    /// The same, with barriers that say when to commit.
    pub fn committing(self, rule: CommitRule) -> Self {
        Intake { due: Some(Due::new(rule)), ..self }
    }

    /// The same, continuing from where an earlier attempt was committed, through what it closed after that.
    pub fn resume(mut self, from: Progress, replayed: Vec<Replayed>) -> Self {
        self.adopt(from);
        self.replayed = replayed.into();
        self
    }

    /// Continues from there.
    fn adopt(&mut self, from: Progress) {
        self.complete = from.is_finished();
        self.epoch = from.next_epoch();
        self.rounds.resume(from.round);
        self.watermark = from.watermark.map(Micros);
        self.quiet.resume(self.watermark);
        let turn = self.inlets.iter().position(|inlet| Some(&inlet.id) == from.turn.as_ref());
        self.turn = turn.unwrap_or(0);
        self.finishing = if self.complete { Finish::No } else { from.finish };
        for inlet in &mut self.inlets {
            inlet.resume(from.source(&inlet.id));
        }
        self.left = from;
    }

    /// The same, but it takes in nothing: it ends the open round, and as many more as delay what comes of it.
    /// Epochs that an earlier attempt closed come first.
    pub fn ending_a_round(self) -> Self {
        Intake { ends_a_round: true, ..self }
    }

    /// Ends the open round, if it was asked to: no row is taken in any more.
    pub(super) fn end_a_round(&mut self) {
        if std::mem::take(&mut self.ends_a_round) {
            self.before = Some(if self.complete { Finish::Rounds(0) } else { self.finishing });
            self.finishing = Finish::Rounds(self.flush.saturating_add(1));
        }
    }

    /// Returns the progress: to be asked for when an epoch was closed.
    pub fn progress(&self) -> Progress {
        let sources = self.inlets.iter().map(|inlet| (inlet.id.clone(), inlet.taken.clone()));
        // A batch that waits is given again, before other sources have their turn.
        let turn = self.ready.front().map_or(self.turn, |(source, ..)| *source);
        Progress {
            epoch: self.epoch.0,
            round: self.rounds.progress(),
            watermark: self.watermark.map(|watermark| watermark.0),
            turn: self
                .inlets
                .get(turn)
                .map_or_else(|| self.left.turn.clone(), |inlet| Some(inlet.id.clone())),
            finish: self.before.unwrap_or(self.finishing),
            sources: self.left.sources.clone().into_iter().chain(sources).collect(),
            live: if self.inlets.is_empty() { self.left.live } else { self.has_live() },
        }
    }

    /// Returns true if what it gives next was closed by an earlier attempt.
    pub fn is_replaying(&self) -> bool {
        !self.replayed.is_empty()
    }

    /// The next thing of the epochs that an earlier attempt closed.
    pub(super) fn replay(&mut self) -> Option<IntakeEvent> {
        let epoch = self.replayed.front_mut()?;
        let Some((port, rows)) = epoch.rows.pop_front() else {
            let closed = self.replayed.pop_front()?.closed;
            self.adopt(closed.after.clone());
            return Some(IntakeEvent::Close(closed.barrier()));
        };
        let opened = |id: &String| self.inlets.iter().position(|inlet| inlet.id == *id);
        let place = |id: &String| opened(id).or_else(|| self.sources.iter().position(|source| source == id));
        Some(match port {
            Port::Rows(id) => IntakeEvent::Rows(place(&id)?, rows),
            Port::Rejected(id) => IntakeEvent::RejectedRows(place(&id)?, rows),
            Port::Kept(id) => {
                let (key, row) = without_key(&rows)?;
                IntakeEvent::Kept(place(&id)?, Change { key, row: Some((Owner::everyone(), row)) })
            }
        })
    }

    /// Returns true if the epoch that is closed is committed. The barriers that follow the input are: a later attempt should find it
    /// finished.
    pub(super) fn is_committed(&mut self) -> bool {
        let last = self.finishing != Finish::No || self.stopping.load(Relaxed);
        self.due.as_mut().is_some_and(|due| due.commits(last))
    }
}

#[cfg(test)]
mod tests {
    use headwater_contract::conformance::text_rows;

    use super::*;

    #[test]
    fn what_is_remembered_is_logged_with_its_key() {
        let row = text_rows(&[("hall", "one")]).unwrap();
        let logged = with_key(b"\x00key", &row).unwrap();
        assert_eq!(without_key(&logged), Some((b"\x00key".to_vec(), row.clone())));
        assert_eq!(without_key(&row), None);
        for port in [Port::Rows("mic".into()), Port::Rejected("mic".into()), Port::Kept("mic".into())] {
            assert_eq!(Port::of(&port.name()), port);
        }
    }
}
