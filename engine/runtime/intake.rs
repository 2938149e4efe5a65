//! Sources in, epochs out: the one place where input is cut.
//!
//! In: batches from sources, each on an operating-system thread behind a bounded channel. Out: [`Cut`]s in order: rows of
//! the open epoch, rejects, and the mark that closes it. Recorded input is cut by its rows and captured times alone, so
//! that a second reading cuts the same way; live input by a monotone clock. Room in the window never moves a cut. It must
//! not know timely.

mod feed;
mod rounds;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use crossbeam_channel::TryRecvError;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::units::{Bytes, Epoch, Micros};
use headwater_contract::{Mark, Pace};

pub use feed::{Inlet, InletContext, SourceReject, start};
use feed::{Item, Measured};
use rounds::Rounds;

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
    ready: VecDeque<(usize, Measured)>,
    open: OpenEpoch,
    epoch: Epoch,
    rounds: Rounds,
    /// Rounds that are ended after the input.
    flush: u32,
    watermark: Option<Micros>,
    finishing: Finish,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finish {
    No,
    /// The mark that says so.
    EndOfInput,
    /// So many more ends of rounds.
    Rounds(u32),
    End,
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
        }
    }

    /// The epoch that is open.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn live(&self) -> bool {
        self.inlets.iter().any(|inlet| inlet.pace == Pace::Live && !inlet.ended)
    }

    /// The next thing, without waiting.
    pub fn cut(&mut self) -> Cut {
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
            self.finishing = Finish::End;
            // What was taken in is carried through; the rest of the input is for the next life.
            return if self.open.rows > 0 { Cut::Close(self.close(false)) } else { Cut::End };
        }
        if let Some((source, given)) = self.ready.pop_front() {
            return self.place(source, given);
        }
        if self.full_by_rows() || self.over_by_clock() {
            return Cut::Close(self.close(false));
        }
        self.take_in()
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
                Ok(Item::Rows(given, _position)) => {
                    self.turn = self.after(turn);
                    return self.place(turn, given);
                }
                Ok(Item::Rejected(reject)) => {
                    self.open.rows += 1;
                    return Cut::Rejected(turn, reject);
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
        Cut::Close(self.end_of_input())
    }

    /// The mark at which what was held back must come: it ends the last round, and so many more follow as the plan says.
    fn end_of_input(&mut self) -> Mark {
        self.finishing = Finish::Rounds(self.flush);
        Mark { end_of_input: true, ..self.close(true) }
    }

    /// Puts rows into the open epoch, or closes it first and keeps them.
    fn place(&mut self, source: usize, given: Measured) -> Cut {
        if given.rows.num_rows() == 0 {
            return Cut::Wait(Some(Duration::ZERO));
        }
        let fits = self.fitting(&given);
        if fits == 0 {
            self.ready.push_front((source, given));
            return Cut::Close(self.close(false));
        }
        if self.open.rows == 0 {
            self.open.since = Instant::now();
        }
        let (Measured { rows, bytes, captured }, rest) = given.split(fits);
        self.ready.extend(rest.map(|rest| (source, rest)));
        self.open.rows += fits as u64;
        self.open.bytes = self.open.bytes.saturating_add(bytes);
        self.watermark = self.watermark.max(captured);
        Cut::Rows(source, rows)
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
        let mark = Mark {
            epoch: self.epoch,
            round: self.rounds.round(),
            watermark: self.watermark,
            checkpoint: true,
            round_end: by_rule || round_end,
            end_of_input: false,
        };
        if mark.round_end {
            self.rounds.begin_next();
        }
        self.epoch = self.epoch.next();
        self.open = OpenEpoch::new();
        mark
    }
}

/// Bytes of the rows themselves, whatever buffers they are slices of. The sum over slices is that of the whole, so that
/// batches do not move cuts: bitmaps count a byte a row, and offsets one for each row.
fn size_of_rows(rows: &RecordBatch) -> u64 {
    rows.columns().iter().map(size_of).sum()
}

fn size_of(column: &ArrayRef) -> u64 {
    const OFFSET: u64 = 4;
    let rows = column.len() as u64;
    match column.data_type() {
        DataType::Boolean => rows,
        DataType::Utf8 => OFFSET * rows + extent(column.as_string::<i32>().value_offsets()).1,
        DataType::Binary => OFFSET * rows + extent(column.as_binary::<i32>().value_offsets()).1,
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let (from, items) = extent(lists.value_offsets());
            OFFSET * rows + size_of(&lists.values().slice(whole(from), whole(items)))
        }
        DataType::Struct(_) => column.as_struct().columns().iter().map(size_of).sum(),
        other => match other.primitive_width() {
            Some(width) => rows * width as u64,
            None => column.to_data().get_slice_memory_size().unwrap_or(0) as u64,
        },
    }
}

/// Where the values of a column of offsets begin, and how many there are.
fn extent(offsets: &[i32]) -> (u64, u64) {
    let at = |offset: Option<&i32>| offset.and_then(|o| u64::try_from(*o).ok()).unwrap_or(0);
    let (from, to) = (at(offsets.first()), at(offsets.last()));
    (from, to.saturating_sub(from))
}

fn whole(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
