//! Sources in, epochs out: the one place where epochs are closed.
//!
//! In: batches from sources, each on an operating-system thread behind a bounded channel. Out: [`IntakeEvent`]s in order: rows of
//! the open epoch, rejects, and the barrier that closes it. Epochs of recorded input end by its rows and captured times alone, so
//! that a second reading closes the same epochs; those of live input by a monotone clock. Free places in the window never move an end. It
//! must not know timely.

mod acknowledged;
mod attempts;
mod due;
mod feed;
mod progress;
mod quiet;
mod recorded;
mod rounds;
mod row_keys;
mod size;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use crossbeam_channel::TryRecvError;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::state::Change;
use headwater_contract::units::{Bytes, Epoch, Micros};
use headwater_contract::{Barrier, Boundedness, Position};

pub use acknowledged::Acknowledged;
pub use attempts::{Port, Replayed};
pub(crate) use attempts::{with_key, without_key};
use due::Due;
pub use feed::{Inlet, InletContext, SourceReject, start};
use feed::{Item, Measured};
use progress::Finish;
pub use progress::{Closing, Progress, SourceProgress};
use quiet::Quiet;
use rounds::Rounds;
use size::size_of_rows;

use crate::instance::Failure;
use crate::plan::{EpochRule, Plan};

/// The time for which an open epoch of live input waits for more rows before it is closed: the latency that a quiet input may add.
const LINGER: Duration = Duration::from_secs(1);

/// The next thing for the dataflow, in order.
#[derive(Debug)]
pub enum IntakeEvent {
    /// Rows of the open epoch, from the source of that index among the intake's sources.
    Rows(usize, RecordBatch),
    /// Something rejected by that source, in the open epoch.
    Rejected(usize, SourceReject),
    /// The same from the log of an earlier attempt or from a recording, as rows of the `rejected` port.
    RejectedRows(usize, RecordBatch),
    /// Something that a source wants remembered, in the open epoch.
    Kept(usize, Change),
    /// The open epoch is closed.
    Close(Barrier),
    /// Nothing comes any more.
    End,
    /// Nothing is there yet; look again when woken, or after this time.
    Wait(Option<Duration>),
    /// A source failed: the run ends.
    Failed(Failure),
}

/// Splits the input of sources into epochs.
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
    quiet: Quiet,
    finishing: Finish,
    /// True if an earlier attempt has come to the end of the input, and this one has taken in nothing yet.
    complete: bool,
    /// The state of finishing before this attempt, where it takes in nothing.
    before: Option<Finish>,
    /// The progress of the attempt before: it holds for sources that this one does not open.
    left: Progress,
    /// The ids of all sources of the plan, in the order in which they are opened.
    sources: Vec<String>,
    /// True if nothing is taken in but what an earlier attempt closed.
    ends_a_round: bool,
    /// Epochs of live input that an earlier attempt closed and did not commit.
    replayed: VecDeque<Replayed>,
    /// Bytes that were taken in and not asked for yet.
    bytes: u64,
    due: Option<Due>,
}

#[derive(Debug)]
struct OpenEpoch {
    rows: u64,
    /// The rejects of sources: they are in the epoch, and open none.
    rejects: u64,
    bytes: u64,
    /// For `every`: the captured time at which it is over.
    until: Option<i64>,
    since: Instant,
}

impl OpenEpoch {
    fn new() -> Self {
        OpenEpoch { rows: 0, rejects: 0, bytes: 0, until: None, since: Instant::now() }
    }

    fn is_empty(&self) -> bool {
        self.rows == 0 && self.rejects == 0
    }
}

impl Intake {
    /// An intake over running sources, which closes epochs as the plan says.
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
            quiet: Quiet::new(plan.hold()),
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

    /// Returns true if some source is live, still or not.
    pub fn has_live(&self) -> bool {
        self.inlets.iter().any(|inlet| inlet.boundedness.is_endless())
    }

    /// The epoch that is open.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Returns true if the next rows that it takes in are the first of an epoch.
    pub fn would_open_an_epoch(&self) -> bool {
        self.open.is_empty()
            && self.finishing == Finish::No
            && !self.is_replaying()
            && !self.stopping.load(Relaxed)
    }

    /// Bytes that were taken in since this was last asked.
    pub fn bytes_since(&mut self) -> u64 {
        std::mem::take(&mut self.bytes)
    }

    fn live(&self) -> bool {
        self.inlets.iter().any(|inlet| inlet.boundedness.is_endless() && !inlet.ended)
    }

    /// The next thing, without waiting.
    pub fn next_event(&mut self) -> IntakeEvent {
        if let Some(cut) = self.replay() {
            return cut;
        }
        self.end_a_round();
        match self.finishing {
            Finish::End => return IntakeEvent::End,
            Finish::EndOfInput => return IntakeEvent::Close(self.end_of_input()),
            Finish::Rounds(0) => {
                self.finishing = Finish::End;
                return IntakeEvent::End;
            }
            Finish::Rounds(left) => {
                self.finishing = Finish::Rounds(left - 1);
                return IntakeEvent::Close(self.close(true));
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
        if self.is_full() || self.over_by_clock() {
            return IntakeEvent::Close(self.close(false));
        }
        // An epoch that was not begun by a row belongs to no round.
        if self.is_quiet() {
            return IntakeEvent::Close(self.close_with(false, false));
        }
        if self.commit_is_due() {
            return IntakeEvent::Close(self.close_for_commit());
        }
        self.take_in()
    }

    /// Nothing more is taken in. Where a later attempt can take in the rest of a recorded epoch, that epoch stays open; else what was
    /// taken in is carried through.
    fn stop(&mut self) -> IntakeEvent {
        self.finishing = Finish::End;
        if self.open.is_empty() || self.leaves_epoch_open() {
            return IntakeEvent::End;
        }
        IntakeEvent::Close(self.close(false))
    }

    /// Returns true if rows are in an epoch that a later attempt takes in again, and closes.
    pub fn leaves_epoch_open(&self) -> bool {
        self.finishing == Finish::End && !self.open.is_empty() && self.due.is_some() && !self.has_live()
    }

    fn take_in(&mut self) -> IntakeEvent {
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
                    return match given {
                        Ok(given) => self.place(turn, given, position),
                        Err(error) => self.unfiltered(turn, &error),
                    };
                }
                Ok(Item::Rejected(reject)) if inlet.again.remove(row_keys::key(&reject.id)) => {
                    return IntakeEvent::Wait(Some(Duration::ZERO));
                }
                Ok(Item::Rejected(reject)) => {
                    inlet.taken.behind.insert(row_keys::key(&reject.id));
                    self.complete = false;
                    if self.open.is_empty() {
                        self.open.since = Instant::now();
                    }
                    self.open.rejects += 1;
                    self.open.bytes = self.open.bytes.saturating_add(reject.bytes());
                    return IntakeEvent::Rejected(turn, reject);
                }
                Ok(Item::Kept(change)) => {
                    return IntakeEvent::Kept(turn, change);
                }
                Ok(Item::RejectedRows(rows, position)) => {
                    self.reached(turn, position);
                    self.turn = self.after(turn);
                    return self.rejected_again(turn, rows);
                }
                // Not all sources replay recorded epochs: the end of this one's is of no use.
                Ok(Item::Closed(_, position)) => {
                    self.reached(turn, position);
                    return IntakeEvent::Wait(Some(Duration::ZERO));
                }
                Ok(Item::Failed(failure)) => return IntakeEvent::Failed(failure),
                // Recorded sources take turns: which rows meet in an epoch must not depend on who is faster.
                Err(TryRecvError::Empty) if inlet.boundedness == Boundedness::Bounded && !live => {
                    return IntakeEvent::Wait(None);
                }
                Err(TryRecvError::Empty) => self.turn = self.after(turn),
                Err(TryRecvError::Disconnected) => {
                    inlet.ended = true;
                    // Others may have rows: nothing would wake the intake for them again.
                    return self.take_in();
                }
            }
        }
        if self.inlets.iter().all(|inlet| inlet.ended) {
            self.finish()
        } else {
            IntakeEvent::Wait(self.patience())
        }
    }

    fn after(&self, turn: usize) -> usize {
        (turn + 1) % self.inlets.len().max(1)
    }

    fn finish(&mut self) -> IntakeEvent {
        if self.open.rows > 0 {
            self.finishing = Finish::EndOfInput;
            return IntakeEvent::Close(self.close(false));
        }
        if self.complete {
            // An earlier attempt has sent the end of the input, and nothing is new.
            self.finishing = Finish::End;
            return IntakeEvent::End;
        }
        IntakeEvent::Close(self.end_of_input())
    }

    /// The barrier at which what was held back must come: it ends the last round, and so many more follow as the plan says.
    fn end_of_input(&mut self) -> Barrier {
        self.finishing = Finish::Rounds(self.flush);
        Barrier { end_of_input: true, ..self.close(true) }
    }

    /// Puts rows into the open epoch, or closes it first and keeps them.
    fn place(&mut self, source: usize, given: Measured, position: Position) -> IntakeEvent {
        if given.rows.num_rows() == 0 {
            self.reached(source, position);
            return IntakeEvent::Wait(Some(Duration::ZERO));
        }
        let fits = self.fitting(&given);
        if fits == 0 {
            self.ready.push_front((source, given, position));
            return IntakeEvent::Close(self.close(false));
        }
        self.complete = false;
        if self.open.rows == 0 {
            self.open.since = Instant::now();
        }
        let (Measured { rows, bytes, captured }, rest) = given.split(fits);
        match rest {
            Some(rest) => {
                self.began(source, &position, &rows);
                self.ready.push_back((source, rest, position));
            }
            None => self.reached(source, position),
        }
        self.open.rows += fits as u64;
        self.open.bytes = self.open.bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        self.watermark = self.watermark.max(captured);
        self.quiet.taken(captured);
        IntakeEvent::Rows(source, rows)
    }

    /// A batch of a source was taken in whole.
    fn reached(&mut self, source: usize, position: Position) {
        if let Some(inlet) = self.inlets.get_mut(source) {
            inlet.taken.reached(position, inlet.again.clone());
        }
    }

    /// The first rows of a batch were taken in. What a live source gave does not come again: its position is behind the batch.
    fn began(&mut self, source: usize, position: &Position, rows: &RecordBatch) {
        match self.inlets.get_mut(source) {
            Some(inlet) if inlet.boundedness == Boundedness::Live => inlet.taken.began(position.clone()),
            Some(inlet) => {
                let ids = IdentityColumns::of(rows).map(|ids| row_keys::keys(&ids)).unwrap_or_default();
                ids.into_iter().for_each(|key| inlet.taken.behind.insert(key));
            }
            None => {}
        }
    }

    fn unfiltered(&self, source: usize, error: &ArrowError) -> IntakeEvent {
        let id = self.inlets.get(source).map(|inlet| inlet.id.clone()).unwrap_or_default();
        IntakeEvent::Failed(
            Failure::new(id, format!("its rows cannot be identified: {error}")).at(self.epoch, None),
        )
    }

    /// Returns the number of first rows that still belong to the open epoch. An empty epoch takes at least one.
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

    fn is_full(&self) -> bool {
        let by_rows = matches!(self.rule, EpochRule::Rows(limit) if self.open.rows >= limit);
        // What is rejected makes no epoch, and yet its reader must not have to hold more than others.
        by_rows || (self.open.rejects > 0 && self.open.bytes >= self.cap.0)
    }

    /// Returns true if the clock closes the epoch: rows of live input do not wait for others for ever.
    fn over_by_clock(&self) -> bool {
        self.live() && self.open.rows > 0 && self.open.since.elapsed() >= self.linger()
    }

    fn linger(&self) -> Duration {
        match self.rule {
            EpochRule::Every(every) => every,
            EpochRule::Rows(_) => LINGER,
        }
    }

    /// Returns true if live input has been quiet for as long as rows may be held back: a barrier lets them go.
    fn is_quiet(&self) -> bool {
        self.open.rows == 0 && self.live() && self.quiet.left().is_some_and(|left| left.is_zero())
    }

    /// Returns true if rejects or closed epochs of live input wait for their commit, and no row comes that would close the open epoch.
    fn commit_is_due(&self) -> bool {
        self.open.rows == 0 && self.live() && self.until_commit().is_some_and(|left| left.is_zero())
    }

    fn close_for_commit(&mut self) -> Barrier {
        let barrier = self.close_with(false, false);
        if let Some(due) = &mut self.due {
            due.commits(true);
        }
        Barrier { checkpoint: true, ..barrier }
    }

    fn until_commit(&self) -> Option<Duration> {
        let due = self.due.as_ref()?;
        let of_rejects =
            (self.open.rejects > 0).then(|| self.linger().saturating_sub(self.open.since.elapsed()));
        [due.left(), of_rejects].into_iter().flatten().min()
    }

    fn patience(&self) -> Option<Duration> {
        if !self.live() {
            return None;
        }
        if self.open.rows == 0 {
            return [self.quiet.left(), self.until_commit()].into_iter().flatten().min();
        }
        Some(self.linger().saturating_sub(self.open.since.elapsed()))
    }

    /// Closes the open epoch, and the open round where its rule or `round_end` says so.
    fn close(&mut self, round_end: bool) -> Barrier {
        let by_rule = self.rounds.ends(self.open.rows, self.watermark);
        self.close_with(by_rule || round_end, false)
    }

    fn close_with(&mut self, round_end: bool, end_of_input: bool) -> Barrier {
        if self.live() {
            self.watermark = self.watermark.max(self.quiet.watermark());
            if self.open.rows > 0 {
                self.quiet.closed(self.open.since);
            }
            self.quiet.marked();
        }
        let barrier = Barrier {
            epoch: self.epoch,
            round: self.rounds.round(),
            watermark: self.watermark,
            checkpoint: self.is_committed(),
            round_end,
            end_of_input,
        };
        if barrier.round_end {
            self.rounds.begin_next();
        }
        self.epoch = self.epoch.next();
        self.open = OpenEpoch::new();
        barrier
    }
}

#[cfg(test)]
mod tests;
