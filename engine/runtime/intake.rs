//! Sources in, epochs out: the one place where input is cut.
//!
//! In: batches from sources, each on an operating-system thread behind a bounded channel. Out: [`Cut`]s in order: rows of
//! the open epoch, rejects, and the mark that closes it. Recorded input is cut by its rows and captured times alone, so
//! that a second reading cuts the same way; live input by a monotone clock. Room in the window never moves a cut. It must
//! not know timely.

mod due;
mod feed;
mod given;
mod lives;
mod progress;
mod rounds;
mod size;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use crossbeam_channel::TryRecvError;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::state::Change;
use headwater_contract::units::{Bytes, Epoch, Micros};
use headwater_contract::{Mark, Pace, Position};

use due::Due;
pub use feed::{Inlet, InletContext, SourceReject, start};
use feed::{Item, Measured};
pub use lives::{Port, Replayed};
pub(crate) use lives::{with_key, without_key};
use progress::Finish;
pub use progress::{Closing, Progress, SourceProgress};
use rounds::Rounds;
use size::size_of_rows;

use crate::instance::Failure;
use crate::plan::{EpochRule, Plan};

/// How long an open epoch of live input waits for its rows before it is cut with what it has.
const LINGER: Duration = Duration::from_secs(1);

/// The next thing for the dataflow, in order.
#[derive(Debug)]
pub enum Cut {
    /// Rows of the open epoch, from the source of that index among the intake's sources.
    Rows(usize, RecordBatch),
    /// Something rejected by that source, in the open epoch.
    Rejected(usize, SourceReject),
    /// The same from the log of an earlier life or from a recording, as rows of the `rejected` port.
    RejectedRows(usize, RecordBatch),
    /// Something that a source wants remembered, in the open epoch.
    Kept(usize, Change),
    /// The open epoch is closed.
    Close(Mark),
    /// Nothing comes any more.
    End,
    /// Nothing is there yet; look again when woken, or after this time.
    Wait(Option<Duration>),
    /// A source failed: the run ends.
    Failed(Failure),
}

/// Cuts what sources give into epochs.
pub struct Intake {
    inlets: Vec<Inlet>,
    turn: usize,
    rule: EpochRule,
    cap: Bytes,
    stopping: Arc<AtomicBool>,
    ready: VecDeque<(usize, Measured, Position)>,
    open: OpenEpoch,
    epoch: Epoch,
    rounds: Rounds,
    /// Rounds that are ended after the input.
    flush: u32,
    watermark: Option<Micros>,
    finishing: Finish,
    /// Whether an earlier life has come to the end of the input, and this one has taken in nothing yet.
    complete: bool,
    /// What followed the input when it was left, in a life that takes in nothing.
    before: Option<Finish>,
    /// How far the life before had come: it holds for sources that this one does not open.
    left: Progress,
    /// The ids of all sources of the plan, in the order in which they are opened.
    sources: Vec<String>,
    /// Whether nothing is taken in but what an earlier life closed.
    ends_a_round: bool,
    /// Epochs of live input that an earlier life closed and did not commit.
    replayed: VecDeque<Replayed>,
    /// Bytes that were taken in and not asked for yet.
    bytes: u64,
    due: Option<Due>,
}

#[derive(Debug)]
struct OpenEpoch {
    rows: u64,
    bytes: u64,
    /// For `every`: the captured time at which it is over.
    until: Option<i64>,
    since: Instant,
}

impl OpenEpoch {
    fn new() -> Self {
        OpenEpoch { rows: 0, bytes: 0, until: None, since: Instant::now() }
    }
}

impl Intake {
    /// An intake over running sources, which cuts as the plan says.
    pub fn new(inlets: Vec<Inlet>, plan: &Plan, stopping: Arc<AtomicBool>) -> Self {
        Intake {
            inlets,
            turn: 0,
            rule: plan.epoch,
            cap: plan.epoch_bytes,
            stopping,
            ready: VecDeque::new(),
            open: OpenEpoch::new(),
            epoch: Epoch(0),
            rounds: Rounds::new(plan.round),
            flush: plan.flush,
            watermark: None,
            finishing: Finish::No,
            complete: false,
            before: None,
            left: Progress::default(),
            sources: plan.source_stages().map(|stage| stage.id.clone()).collect(),
            ends_a_round: false,
            replayed: VecDeque::new(),
            bytes: 0,
            due: None,
        }
    }

    /// Whether some source is live, still or not.
    pub fn has_live(&self) -> bool {
        self.inlets.iter().any(|inlet| inlet.pace.is_endless())
    }

    /// The epoch that is open.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether the next rows that it takes in are the first of an epoch.
    pub fn would_open_an_epoch(&self) -> bool {
        self.open.rows == 0
            && self.finishing == Finish::No
            && !self.is_replaying()
            && !self.stopping.load(Relaxed)
    }

    /// Bytes that were taken in since this was last asked.
    pub fn bytes_since(&mut self) -> u64 {
        std::mem::take(&mut self.bytes)
    }

    fn live(&self) -> bool {
        self.inlets.iter().any(|inlet| inlet.pace.is_endless() && !inlet.ended)
    }

    /// The next thing, without waiting.
    pub fn cut(&mut self) -> Cut {
        if let Some(cut) = self.replay() {
            return cut;
        }
        self.end_a_round();
        match self.finishing {
            Finish::End => return Cut::End,
            Finish::EndOfInput => return Cut::Close(self.end_of_input()),
            Finish::Rounds(0) => {
                self.finishing = Finish::End;
                return Cut::End;
            }
            Finish::Rounds(left) => {
                self.finishing = Finish::Rounds(left - 1);
                return Cut::Close(self.close(true));
            }
            Finish::No => (),
        }
        if self.stopping.load(Relaxed) {
            return self.stop();
        }
        if self.is_cut_already() {
            return self.take_given();
        }
        if let Some((source, given, position)) = self.ready.pop_front() {
            return self.place(source, given, position);
        }
        if self.full_by_rows() || self.over_by_clock() {
            return Cut::Close(self.close(false));
        }
        self.take_in()
    }

    /// Nothing more is taken in. Where a later life can take in the rest of a recorded epoch, that epoch stays open; else what was
    /// taken in is carried through.
    fn stop(&mut self) -> Cut {
        self.finishing = Finish::End;
        if self.open.rows == 0 || self.leaves_epoch_open() {
            return Cut::End;
        }
        Cut::Close(self.close(false))
    }

    /// Whether rows are in an epoch that a later life takes in again, and closes.
    pub fn leaves_epoch_open(&self) -> bool {
        self.finishing == Finish::End && self.open.rows > 0 && self.due.is_some() && !self.has_live()
    }

    fn take_in(&mut self) -> Cut {
        let live = self.live();
        for _ in 0..self.inlets.len() {
            let turn = self.turn;
            let Some(inlet) = self.inlets.get_mut(turn).filter(|inlet| !inlet.ended) else {
                self.turn = self.after(turn);
                continue;
            };
            match inlet.try_take() {
                Ok(Item::Rows(given, position)) => {
                    let given = inlet.without_taken(given);
                    self.turn = self.after(turn);
                    return self.place(turn, given, position);
                }
                Ok(Item::Rejected(_)) if inlet.rejects_taken > 0 => {
                    inlet.rejects_taken -= 1;
                    return Cut::Wait(Some(Duration::ZERO));
                }
                Ok(Item::Rejected(reject)) => {
                    inlet.taken.rejects += 1;
                    self.complete = false;
                    self.open.rows += 1;
                    return Cut::Rejected(turn, reject);
                }
                Ok(Item::Kept(change)) => {
                    return Cut::Kept(turn, change);
                }
                Ok(Item::RejectedRows(rows, position)) => {
                    self.reached(turn, position);
                    self.turn = self.after(turn);
                    return self.rejected_again(turn, rows);
                }
                // Not all sources were cut before: where this one was is of no use.
                Ok(Item::Closed(_, position)) => {
                    self.reached(turn, position);
                    return Cut::Wait(Some(Duration::ZERO));
                }
                Ok(Item::Failed(failure)) => return Cut::Failed(failure),
                // Recorded sources take turns: which rows meet in an epoch must not depend on who is faster.
                Err(TryRecvError::Empty) if inlet.pace == Pace::Recorded && !live => return Cut::Wait(None),
                Err(TryRecvError::Empty) => self.turn = self.after(turn),
                Err(TryRecvError::Disconnected) => {
                    inlet.ended = true;
                    // Others may have rows: nobody would wake the intake for them again.
                    return self.take_in();
                }
            }
        }
        if self.inlets.iter().all(|inlet| inlet.ended) { self.finish() } else { Cut::Wait(self.patience()) }
    }

    fn after(&self, turn: usize) -> usize {
        (turn + 1) % self.inlets.len().max(1)
    }

    fn finish(&mut self) -> Cut {
        if self.open.rows > 0 {
            self.finishing = Finish::EndOfInput;
            return Cut::Close(self.close(false));
        }
        if self.complete {
            // An earlier life has told everybody, and nothing is new.
            self.finishing = Finish::End;
            return Cut::End;
        }
        Cut::Close(self.end_of_input())
    }

    /// The mark at which what was held back must come: it ends the last round, and so many more follow as the plan says.
    fn end_of_input(&mut self) -> Mark {
        self.finishing = Finish::Rounds(self.flush);
        Mark { end_of_input: true, ..self.close(true) }
    }

    /// Puts rows into the open epoch, or closes it first and keeps them.
    fn place(&mut self, source: usize, given: Measured, position: Position) -> Cut {
        if given.rows.num_rows() == 0 {
            self.reached(source, position);
            return Cut::Wait(Some(Duration::ZERO));
        }
        let fits = self.fitting(&given);
        if fits == 0 {
            self.ready.push_front((source, given, position));
            return Cut::Close(self.close(false));
        }
        self.complete = false;
        if self.open.rows == 0 {
            self.open.since = Instant::now();
        }
        let (Measured { rows, bytes, captured }, rest) = given.split(fits);
        match rest {
            Some(rest) => {
                self.began(source, &position, fits as u64);
                self.ready.push_back((source, rest, position));
            }
            None => self.reached(source, position),
        }
        self.open.rows += fits as u64;
        self.open.bytes = self.open.bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        self.watermark = self.watermark.max(captured);
        Cut::Rows(source, rows)
    }

    /// A batch of a source was taken in whole.
    fn reached(&mut self, source: usize, position: Position) {
        if let Some(inlet) = self.inlets.get_mut(source) {
            inlet.taken.reached(position, inlet.rows_taken);
        }
    }

    /// So many rows of a batch were taken in. What a live source gave does not come again: its position is behind the batch.
    fn began(&mut self, source: usize, position: &Position, rows: u64) {
        match self.inlets.get_mut(source) {
            Some(inlet) if inlet.pace == Pace::Live => inlet.taken.reached(position.clone(), 0),
            Some(inlet) => inlet.taken.rows = inlet.taken.rows.saturating_add(rows),
            None => {}
        }
    }

    /// How many of the first rows still belong to the open epoch. An empty epoch takes at least one.
    fn fitting(&mut self, given: &Measured) -> usize {
        let batch = &given.rows;
        let by_rule = match self.rule {
            EpochRule::Rows(limit) => {
                usize::try_from(limit.saturating_sub(self.open.rows)).unwrap_or(usize::MAX)
            }
            EpochRule::Every(_) if self.live() => usize::MAX,
            EpochRule::Every(every) => self.fitting_in_time(batch, every),
        };
        let of_first = |rows: usize| {
            if rows == batch.num_rows() { given.bytes } else { size_of_rows(&batch.slice(0, rows)) }
        };
        let mut rows = by_rule.min(batch.num_rows());
        while rows > 0 && self.open.bytes.saturating_add(of_first(rows)) > self.cap.0 {
            if rows == 1 && self.open.rows == 0 {
                break;
            }
            rows /= 2;
        }
        rows
    }

    fn fitting_in_time(&mut self, batch: &RecordBatch, every: Duration) -> usize {
        let Ok(ids) = IdentityColumns::of(batch) else { return usize::MAX };
        let every = i64::try_from(every.as_micros()).unwrap_or(i64::MAX).max(1);
        let first = ids.captured_at(0).0;
        let until =
            *self.open.until.get_or_insert(first.div_euclid(every).saturating_add(1).saturating_mul(every));
        (0..ids.len()).take_while(|row| ids.captured_at(*row).0 < until).count()
    }

    fn full_by_rows(&self) -> bool {
        matches!(self.rule, EpochRule::Rows(limit) if self.open.rows >= limit)
    }

    /// Live input is cut by elapsed time too: rows that are there do not wait for others for ever.
    fn over_by_clock(&self) -> bool {
        self.live() && self.open.rows > 0 && self.open.since.elapsed() >= self.linger()
    }

    fn linger(&self) -> Duration {
        match self.rule {
            EpochRule::Every(every) => every,
            EpochRule::Rows(_) => LINGER,
        }
    }

    fn patience(&self) -> Option<Duration> {
        (self.live() && self.open.rows > 0).then(|| self.linger().saturating_sub(self.open.since.elapsed()))
    }

    /// Closes the open epoch, and the open round where its rule or `round_end` says so.
    fn close(&mut self, round_end: bool) -> Mark {
        let by_rule = self.rounds.ends(self.open.rows, self.watermark);
        self.close_with(by_rule || round_end, false)
    }

    fn close_with(&mut self, round_end: bool, end_of_input: bool) -> Mark {
        let mark = Mark {
            epoch: self.epoch,
            round: self.rounds.round(),
            watermark: self.watermark,
            checkpoint: self.is_committed(),
            round_end,
            end_of_input,
        };
        if mark.round_end {
            self.rounds.begin_next();
        }
        self.epoch = self.epoch.next();
        self.open = OpenEpoch::new();
        mark
    }
}

#[cfg(test)]
mod tests;
