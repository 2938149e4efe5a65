//! Input that was cut before: the epochs and rounds of a recording are closed where it says.
//!
//! In: items of sources of which each says where its epochs end. Out: the same cuts again. Every source is read up to its next
//! end of an epoch, one source after the other, and all of them must say the same of it.

use arrow::array::RecordBatch;
use crossbeam_channel::TryRecvError;
use headwater_contract::EpochEnd;

use super::feed::Item;
use super::progress::Finish;
use super::{Cut, Intake};
use crate::instance::Failure;

/// What one source had to give.
enum Taken {
    Cut(Cut),
    /// It has ended, or is at the end of the open epoch.
    AtEnd,
}

impl Intake {
    /// Whether all input was cut before.
    pub(super) fn is_cut_already(&self) -> bool {
        !self.inlets.is_empty() && self.inlets.iter().all(|inlet| inlet.cuts)
    }

    /// The next thing of a recording.
    pub(super) fn take_given(&mut self) -> Cut {
        for source in 0..self.inlets.len() {
            if let Taken::Cut(cut) = self.take_up_to_end(source) {
                return cut;
            }
        }
        self.close_given()
    }

    fn take_up_to_end(&mut self, source: usize) -> Taken {
        loop {
            let Some(inlet) = self.inlets.get_mut(source).filter(|i| !i.ended && i.closed.is_none()) else {
                return Taken::AtEnd;
            };
            let cut = match inlet.try_take() {
                Ok(Item::Rows(given, position)) => {
                    let given = inlet.without_taken(given);
                    self.reached(source, position);
                    if given.rows.num_rows() == 0 {
                        continue;
                    }
                    self.complete = false;
                    self.open.rows += given.rows.num_rows() as u64;
                    Cut::Rows(source, given.rows)
                }
                Ok(Item::RejectedRows(rows, position)) => {
                    self.reached(source, position);
                    self.rejected_again(source, rows)
                }
                Ok(Item::Rejected(reject)) => Cut::Rejected(source, reject),
                Ok(Item::Closed(end, position)) => {
                    inlet.closed = Some(end);
                    self.reached(source, position);
                    return Taken::AtEnd;
                }
                Ok(Item::Kept(change)) => Cut::Kept(source, change),
                Ok(Item::Failed(failure)) => Cut::Failed(failure),
                Err(TryRecvError::Empty) => Cut::Wait(None),
                Err(TryRecvError::Disconnected) => {
                    inlet.ended = true;
                    return Taken::AtEnd;
                }
            };
            return Taken::Cut(cut);
        }
    }

    pub(super) fn rejected_again(&mut self, source: usize, rows: RecordBatch) -> Cut {
        self.complete = false;
        self.open.rows += rows.num_rows() as u64;
        Cut::RejectedRows(source, rows)
    }

    /// All sources are at the end of the open epoch, or have ended.
    fn close_given(&mut self) -> Cut {
        let ends = || self.inlets.iter().filter_map(|inlet| Some((&inlet.id, inlet.closed?)));
        let Some((first, end)) = ends().next() else {
            // It was stopped there when it was recorded: what then followed is for a later run.
            self.finishing = Finish::End;
            return Cut::End;
        };
        if let Some((other, _)) = ends().find(|(_, other)| *other != end) {
            let what = format!(
                "the recordings of `{first}` and `{other}` were not cut together: they close this epoch in different ways"
            );
            return Cut::Failed(Failure::new(other.clone(), what).at(self.epoch, None));
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
        Cut::Close(self.close_with(round_end, end_of_input))
    }
}
