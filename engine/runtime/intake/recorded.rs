//! Recorded epochs: the epochs and rounds of a recording are closed where it says.
//!
//! In: items of sources of which each says where its epochs end. Out: the same events again. Every source is read up to its next
//! end of an epoch, one source after the other, and all of them must say the same of it.

use arrow::array::RecordBatch;
use crossbeam_channel::TryRecvError;
use headwater_contract::EpochEnd;

use super::feed::Item;
use super::progress::Finish;
use super::{Intake, IntakeEvent};
use crate::instance::Failure;

/// The next step of one source.
enum SourceStep {
    IntakeEvent(IntakeEvent),
    /// It has ended, or is at the end of the open epoch.
    AtEnd,
}

impl Intake {
    /// Returns true if all input replays recorded epochs.
    pub(super) fn is_cut_already(&self) -> bool {
        !self.inlets.is_empty() && self.inlets.iter().all(|inlet| inlet.cuts)
    }

    /// The next thing of a recording.
    pub(super) fn take_given(&mut self) -> IntakeEvent {
        for source in 0..self.inlets.len() {
            if let SourceStep::IntakeEvent(cut) = self.take_up_to_end(source) {
                return cut;
            }
        }
        self.close_given()
    }

    fn take_up_to_end(&mut self, source: usize) -> SourceStep {
        loop {
            let Some(inlet) = self.inlets.get_mut(source).filter(|i| !i.ended && i.closed.is_none()) else {
                return SourceStep::AtEnd;
            };
            let cut = match inlet.try_take() {
                Ok(Item::Rows(given, position)) => {
                    let given = match inlet.without_taken(given) {
                        Ok(given) => given,
                        Err(error) => return SourceStep::IntakeEvent(self.unfiltered(source, &error)),
                    };
                    self.reached(source, position);
                    if given.rows.num_rows() == 0 {
                        continue;
                    }
                    self.complete = false;
                    self.open.rows += given.rows.num_rows() as u64;
                    IntakeEvent::Rows(source, given.rows)
                }
                Ok(Item::RejectedRows(rows, position)) => {
                    self.reached(source, position);
                    self.rejected_again(source, rows)
                }
                Ok(Item::Rejected(reject)) => IntakeEvent::Rejected(source, reject),
                Ok(Item::Closed(end, position)) => {
                    inlet.closed = Some(end);
                    self.reached(source, position);
                    return SourceStep::AtEnd;
                }
                Ok(Item::Kept(change)) => IntakeEvent::Kept(source, change),
                Ok(Item::Failed(failure)) => IntakeEvent::Failed(failure),
                Err(TryRecvError::Empty) => IntakeEvent::Wait(None),
                Err(TryRecvError::Disconnected) => {
                    inlet.ended = true;
                    return SourceStep::AtEnd;
                }
            };
            return SourceStep::IntakeEvent(cut);
        }
    }

    pub(super) fn rejected_again(&mut self, source: usize, rows: RecordBatch) -> IntakeEvent {
        self.complete = false;
        self.open.rejects += rows.num_rows() as u64;
        IntakeEvent::RejectedRows(source, rows)
    }

    /// All sources are at the end of the open epoch, or have ended.
    fn close_given(&mut self) -> IntakeEvent {
        let ends = || self.inlets.iter().filter_map(|inlet| Some((&inlet.id, inlet.closed?)));
        let Some((first, end)) = ends().next() else {
            // It was stopped there when it was recorded: what then followed is for a later run.
            self.finishing = Finish::End;
            return IntakeEvent::End;
        };
        if let Some((other, _)) = ends().find(|(_, other)| *other != end) {
            let what = format!(
                "the recordings of `{first}` and `{other}` do not belong together: they close this epoch in different ways"
            );
            return IntakeEvent::Failed(Failure::new(other.clone(), what).at(self.epoch, None));
        }
        self.inlets.iter_mut().for_each(|inlet| inlet.closed = None);
        let EpochEnd { round, watermark, round_end, end_of_input } = end;
        self.complete = false;
        self.rounds.goes_on_as(round);
        self.watermark = watermark;
        if end_of_input {
            // As many ends of rounds follow as this plan needs.
            self.finishing = Finish::Rounds(self.flush);
        }
        IntakeEvent::Close(self.close_with(round_end, end_of_input))
    }
}
