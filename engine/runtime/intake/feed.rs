//! Between a source's thread and the intake: a bounded channel, and waking only when the other side sleeps.
//!
//! In: what a source sends, on its own thread. Out: items in order, at most so many and so many bytes ahead. It must not
//! know epochs.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use crossbeam_channel::{Receiver, SendTimeoutError, Sender, TryRecvError, bounded};
use headwater_contract::identity::IdentityColumns;
use headwater_contract::state::Change;
use headwater_contract::units::Micros;
use headwater_contract::{Boundedness, EpochEnd, Feed, FeedSink, Position, RowId, Source};

use super::row_keys::{self, RowKeySet};
use super::size::size_of_rows;
use super::{Acknowledged, SourceProgress};
use crate::caught::quietly;
use crate::instance::Failure;
use crate::metrics::{Metrics, thread_cpu};
use crate::offload::Wake;

/// Batches that a source may be ahead of the intake: enough that a step of a worker has more than one to do.
const AHEAD: usize = 64;
/// Bytes that a source may be ahead of the intake; a single larger batch passes all the same.
const AHEAD_BYTES: u64 = 8 << 20;
/// The interval at which a source that waits for space polls the stop flag: only a full channel waits, so that it may be short.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Something a source could not make into rows.
#[derive(Clone, Debug)]
pub struct SourceReject {
    /// Its identity.
    pub id: RowId,
    /// When it was captured.
    pub captured_at: Micros,
    /// A short stable word.
    pub code: &'static str,
    /// The reason.
    pub reason: String,
}

impl SourceReject {
    /// Bytes that it takes, about.
    pub(super) fn bytes(&self) -> u64 {
        (size_of::<SourceReject>() + self.reason.len()) as u64
    }
}

/// Rows and what ends of epochs depend on, measured on the source's thread rather than on the worker's.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) rows: RecordBatch,
    pub(super) bytes: u64,
    /// When the last of them was captured.
    pub(super) captured: Option<Micros>,
}

impl Measured {
    pub(super) fn of(rows: RecordBatch) -> Self {
        let captured = IdentityColumns::of(&rows).ok().and_then(|ids| ids.last_captured());
        Measured { bytes: size_of_rows(&rows), captured, rows }
    }

    /// The first rows and the rest.
    pub(super) fn split(self, at: usize) -> (Measured, Option<Measured>) {
        // Slicing costs an allocation for each column: it is skipped when all rows are meant, as they nearly always are.
        if at >= self.rows.num_rows() {
            return (self, None);
        }
        let rest = self.rows.slice(at, self.rows.num_rows() - at);
        (Measured::of(self.rows.slice(0, at)), Some(Measured::of(rest)))
    }
}

pub(super) enum Item {
    Rows(Measured, Position),
    Rejected(SourceReject),
    /// Something to be remembered with the rows around it.
    Kept(Change),
    /// Rows of the source's `rejected` port, as they were recorded.
    RejectedRows(RecordBatch, Position),
    /// An epoch ended here when the rows were recorded.
    Closed(EpochEnd, Position),
    Failed(Failure),
}

impl Item {
    fn bytes(&self) -> u64 {
        match self {
            Item::Rows(rows, _) => rows.bytes,
            Item::RejectedRows(rows, _) => size_of_rows(rows),
            Item::Rejected(_) | Item::Kept(_) | Item::Closed(..) | Item::Failed(_) => 0,
        }
    }
}

/// The intake's end of a source thread.
pub struct Inlet {
    pub(super) id: String,
    /// The progress of its input.
    pub(super) taken: SourceProgress,
    /// Rows and rejects that an earlier attempt took in behind the position, and that have not come again.
    pub(super) again: RowKeySet,
    pub(super) items: Receiver<Item>,
    pub(super) ahead: Arc<Ahead>,
    pub(super) boundedness: Boundedness,
    /// True if the source declares where epochs end; and its last end.
    pub(super) cuts: bool,
    pub(super) closed: Option<EpochEnd>,
    pub(super) ended: bool,
}

impl Inlet {
    pub(super) fn new(id: &str, items: Receiver<Item>, ahead: Arc<Ahead>, boundedness: Boundedness) -> Self {
        let id = id.to_owned();
        Inlet {
            id,
            taken: SourceProgress::default(),
            again: RowKeySet::default(),
            items,
            ahead,
            boundedness,
            cuts: false,
            closed: None,
            ended: false,
        }
    }

    /// Continues from where an earlier attempt came to. What a live source gave behind its position does not come again.
    pub(super) fn resume(&mut self, from: SourceProgress) {
        if self.boundedness != Boundedness::Live {
            self.again = from.behind.clone();
        }
        self.taken = from.resumed();
    }

    /// Returns the rows of a batch that no earlier attempt took in.
    pub(super) fn without_taken(&mut self, given: Measured) -> Result<Measured, ArrowError> {
        let Some(ids) = IdentityColumns::of(&given.rows).ok().filter(|_| !self.again.is_empty()) else {
            return Ok(given);
        };
        let is_new: BooleanArray =
            row_keys::keys(&ids).into_iter().map(|key| Some(!self.again.remove(key))).collect();
        if is_new.true_count() == is_new.len() {
            return Ok(given);
        }
        Ok(Measured::of(filter_record_batch(&given.rows, &is_new)?))
    }

    /// Returns the next item. When there is none the source is asked to wake the intake, and a last poll follows, so that an item
    /// that came in between is not missed.
    pub(super) fn try_take(&self) -> Result<Item, TryRecvError> {
        let taken = self.items.try_recv().or_else(|none| {
            self.ahead.waiting.store(true, SeqCst);
            if none == TryRecvError::Empty { self.items.try_recv() } else { Err(none) }
        });
        if let Ok(item) = &taken {
            self.ahead.leave(item.bytes());
        }
        taken
    }
}

/// The budget between a source and the intake.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    held: Mutex<Held>,
    room: Condvar,
    /// True if the intake found nothing and must be woken.
    waiting: AtomicBool,
}

#[derive(Debug, Default)]
struct Held {
    bytes: u64,
    /// True if the source waits for space: waking it costs a system call.
    awaited: bool,
}

impl Ahead {
    /// Waits for space at most for a while. Returns true if these bytes may go.
    fn enter(&self, bytes: u64) -> bool {
        let Ok(held) = self.held.lock() else { return false };
        let full = |held: &mut Held| {
            held.awaited = held.bytes > 0 && held.bytes.saturating_add(bytes) > AHEAD_BYTES;
            held.awaited
        };
        let Ok((mut held, waited)) = self.room.wait_timeout_while(held, POLL_INTERVAL, full) else {
            return false;
        };
        if waited.timed_out() {
            return false;
        }
        held.bytes = held.bytes.saturating_add(bytes);
        true
    }

    fn leave(&self, bytes: u64) {
        let Ok(mut held) = self.held.lock() else { return };
        held.bytes = held.bytes.saturating_sub(bytes);
        if held.awaited {
            self.room.notify_one();
        }
    }
}

/// The context of a source thread.
pub struct InletContext {
    /// The stage's id.
    pub id: String,
    /// Its index in the plan.
    pub index: usize,
    /// Recorded or live.
    pub boundedness: Boundedness,
    /// The run's counters.
    pub metrics: Arc<Metrics>,
    /// Set when nothing more is to be taken in.
    /// A flag that publishes no other data and is polled: `Relaxed` is enough.
    pub stopping: Arc<AtomicBool>,
    /// Wakes the intake.
    pub wake: Wake,
    /// The committed positions of sources.
    pub committed: Arc<Acknowledged>,
}

/// Starts a source on a thread of its own.
///
/// # Errors
/// The operating system gives no thread.
pub fn start(source: Box<dyn Source>, cx: InletContext) -> std::io::Result<Inlet> {
    let (items, inlet) = bounded(AHEAD);
    let (id, boundedness, ahead, cuts) =
        (cx.id.clone(), cx.boundedness, Arc::new(Ahead::default()), source.cuts());
    let of_thread = ahead.clone();
    let thread = std::thread::Builder::new().name(format!("hw-{}", cx.id));
    thread.spawn(move || drive(source, items, of_thread, &cx))?;
    Ok(Inlet { cuts, ..Inlet::new(&id, inlet, ahead, boundedness) })
}

fn drive(source: Box<dyn Source>, items: Sender<Item>, ahead: Arc<Ahead>, cx: &InletContext) {
    let mut sink = ThreadFeed { items, ahead, cx, cpu: thread_cpu() };
    let ended = quietly(|| source.run(Feed::new(&mut sink)));
    sink.count_cpu();
    let what = match ended {
        Ok(Ok(())) => None,
        Ok(Err(_)) if cx.stopping.load(Relaxed) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("the source panicked".to_owned()),
    };
    if let Some(what) = what {
        sink.put(Item::Failed(Failure::new(cx.id.clone(), what)));
    }
    // The channel closes before the intake is woken: it then sees the end.
    drop(sink);
    (cx.wake)();
}

struct ThreadFeed<'a> {
    items: Sender<Item>,
    ahead: Arc<Ahead>,
    cx: &'a InletContext,
    cpu: Duration,
}

impl ThreadFeed<'_> {
    fn put(&mut self, mut item: Item) -> bool {
        let bytes = item.bytes();
        let mut entered = false;
        loop {
            if self.cx.stopping.load(Relaxed) {
                return false;
            }
            entered = entered || self.ahead.enter(bytes);
            if !entered {
                continue;
            }
            match self.items.send_timeout(item, POLL_INTERVAL) {
                Ok(()) => break,
                Err(SendTimeoutError::Timeout(back)) => item = back,
                Err(SendTimeoutError::Disconnected(_)) => return false,
            }
        }
        if self.ahead.waiting.swap(false, SeqCst) {
            (self.cx.wake)();
        }
        true
    }

    fn count_cpu(&mut self) {
        let now = thread_cpu();
        if let Some(stage) = self.cx.metrics.stage(self.cx.index) {
            stage.add_cpu(now.saturating_sub(self.cpu));
        }
        self.cpu = now;
    }
}

impl FeedSink for ThreadFeed<'_> {
    fn send(&mut self, batch: RecordBatch, position: Position) -> bool {
        self.count_cpu();
        self.put(Item::Rows(Measured::of(batch), position))
    }
    fn reject(&mut self, id: RowId, captured_at: Micros, code: &'static str, reason: String) -> bool {
        self.put(Item::Rejected(SourceReject { id, captured_at, code, reason }))
    }
    fn reject_again(&mut self, rows: RecordBatch, position: Position) -> bool {
        self.count_cpu();
        self.put(Item::RejectedRows(rows, position))
    }
    fn close(&mut self, end: EpochEnd, position: Position) -> bool {
        self.put(Item::Closed(end, position))
    }
    fn stopping(&self) -> bool {
        self.cx.stopping.load(Relaxed)
    }
    fn count(&mut self, metric: &'static str, n: u64) {
        if let Some(stage) = self.cx.metrics.stage(self.cx.index) {
            stage.add_metric(metric, n);
        }
    }
    fn remember(&mut self, change: Change) -> bool {
        self.put(Item::Kept(change))
    }
    fn rest(&mut self, time: Duration) -> bool {
        let begun = Instant::now();
        self.count_cpu();
        while begun.elapsed() < time {
            if self.cx.stopping.load(Relaxed) {
                return false;
            }
            std::thread::sleep(POLL_INTERVAL.min(time));
        }
        true
    }
    fn committed(&self) -> Option<Position> {
        self.cx.committed.of(&self.cx.id)
    }
}
