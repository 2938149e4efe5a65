//! Where rows come from: a source runs on an operating-system thread of its own and feeds the intake.
//!
//! In: files, lines, a microphone. Out: batches with the position behind them. It must not know epochs: the intake
//! alone closes them.

use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::error::{Result, StageError};
use crate::identity::RowId;
use crate::options::{ConfigError, Options};
use crate::signature::Signature;
use crate::stage::HostEnv;
use crate::state::{Change, Owner, StateTable, StateWriter};
use crate::units::{Micros, Round};

/// The interval at which a waiting source polls the stop flag: short enough that stopping feels immediate, long enough to cost nothing.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The position of a source, in a form of its own (at most 64 KiB). It is given back when the source is opened next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position(pub Vec<u8>);

/// Where the input of a source ends, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundedness {
    /// It has an end, and reading it again gives the same rows.
    Bounded,
    /// It continues until it is stopped; what is not taken in is gone.
    Live,
    /// It continues until it is stopped, but what was not taken in can be read again: files that come one by one.
    Followed,
}

impl Boundedness {
    /// Returns true if it continues until it is stopped: a clock closes its epochs, and what was taken in is logged with their ends.
    pub fn is_endless(self) -> bool {
        self != Boundedness::Bounded
    }
}

/// The options of a source and what they say about it.
pub trait SourceConfig: Options + Send + Sync + 'static {
    /// The kind's name: what `type = "..."` says.
    const KIND: &'static str;

    /// The columns it gives. Must not look at files, models or the network: `check` calls it anywhere.
    fn signature(&self) -> Signature;

    /// Where its input ends, if it does.
    fn boundedness(&self) -> Boundedness;

    /// Values of an option, as TOML, between which the signature may differ in a way that the option's shape does not show: the check
    /// tries them all where it cannot know the value.
    fn telling(_option: &str) -> &'static [&'static str] {
        &[]
    }

    /// Returns the errors of the options together, beyond each alone.
    fn validate(&self) -> Vec<ConfigError> {
        Vec::new()
    }

    /// Called once before anything runs: whether the input is there.
    ///
    /// # Errors
    /// A model, a file or a device is missing.
    fn ready(&self, _host: &HostEnv) -> Result {
        Ok(())
    }

    /// Opens the source, from the last durable position if there is one.
    ///
    /// # Errors
    /// The input cannot be opened.
    fn open(&self, cx: SourceContext<'_>) -> Result<impl Source>;
}

/// The context of a source that is opened.
pub struct SourceContext<'a> {
    /// The stage's id in the pipeline: the `source` column of its rows.
    pub id: &'a str,
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// The columns of its output.
    pub schema: SchemaRef,
    /// The last durable position, when this is a later attempt.
    pub position: Option<Position>,
    /// The rows that it asked to be remembered up to there.
    pub saved: &'a StateTable,
    /// Where the machine keeps things.
    pub host: &'a HostEnv,
}

/// The end of an epoch, as a recording has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The round that was open.
    pub round: Round,
    /// The highest captured time so far.
    pub watermark: Option<Micros>,
    /// True if the round ended with it.
    pub round_end: bool,
    /// True if no input came after it.
    pub end_of_input: bool,
}

/// A running source.
pub trait Source: Send + 'static {
    /// Returns true if it says where epochs and rounds end ([`Feed::close`]), because its rows were cut before. Where all sources of a
    /// pipeline do, the file's rules for epochs and rounds are not asked; else what they say of it is passed over.
    fn cuts(&self) -> bool {
        false
    }

    /// Feeds everything there is, then returns. Runs on a thread of its own and may block.
    ///
    /// # Errors
    /// The input failed as a whole; a bad part of it is rejected instead and the rest continues.
    fn run(self: Box<Self>, feed: Feed<'_>) -> Result;
}

/// The engine's side of a source's feed.
pub trait FeedSink {
    /// Takes a batch; blocks while the window is full. `false` when the source should stop.
    fn send(&mut self, batch: RecordBatch, position: Position) -> bool;
    /// Takes note of something that could not become rows.
    fn reject(&mut self, id: RowId, captured_at: Micros, code: &'static str, reason: String) -> bool;
    /// Takes rows that a source rejected when they were recorded: rows of its `rejected` port.
    fn reject_again(&mut self, _rows: RecordBatch, _position: Position) -> bool {
        true
    }
    /// Takes note that an epoch ended here.
    fn close(&mut self, _end: EpochEnd, _position: Position) -> bool {
        true
    }
    /// Returns true if nothing more is wanted.
    fn stopping(&self) -> bool {
        false
    }
    /// Adds to one of the stage's metrics.
    fn count(&mut self, metric: &'static str, n: u64);
    /// Takes what is to be remembered with the rows around it. `false` when the source should stop.
    fn remember(&mut self, _change: Change) -> bool {
        true
    }
    /// Waits. Returns true if the source should continue.
    fn rest(&mut self, _time: Duration) -> bool {
        true
    }
    /// The position up to which the last durable commit goes.
    fn committed(&self) -> Option<Position>;
}

/// Where a source puts its rows.
pub struct Feed<'a> {
    sink: &'a mut dyn FeedSink,
}

impl<'a> Feed<'a> {
    /// A feed over what takes the rows: the engine, or a test.
    pub fn new(sink: &'a mut dyn FeedSink) -> Self {
        Feed { sink }
    }

    /// Sends rows and the position behind them; blocks while the engine has no space.
    ///
    /// # Errors
    /// The engine is stopping: return at once with this error, it is not reported.
    pub fn send(&mut self, batch: RecordBatch, position: Position) -> Result {
        if self.sink.send(batch, position) { Ok(()) } else { Err(stopping()) }
    }

    /// Rejects something that could not become rows (a corrupt file, a malformed line), with a short stable code and
    /// a reason that holds no content. The identity must be one that no row of the source has.
    ///
    /// # Errors
    /// The engine is stopping.
    pub fn reject(
        &mut self,
        id: RowId,
        captured_at: Micros,
        code: &'static str,
        reason: impl Into<String>,
    ) -> Result {
        if self.sink.reject(id, captured_at, code, reason.into()) { Ok(()) } else { Err(stopping()) }
    }

    /// Rejects again what was rejected when it was recorded: rows of the source's `rejected` port.
    ///
    /// # Errors
    /// The engine is stopping.
    pub fn reject_again(&mut self, rows: RecordBatch, position: Position) -> Result {
        if self.sink.reject_again(rows, position) { Ok(()) } else { Err(stopping()) }
    }

    /// Says that an epoch ended here when the rows were recorded: for a source that [cuts](Source::cuts).
    ///
    /// # Errors
    /// The engine is stopping.
    pub fn close(&mut self, end: EpochEnd, position: Position) -> Result {
        if self.sink.close(end, position) { Ok(()) } else { Err(stopping()) }
    }

    /// Waits for this long, or until the engine is stopping.
    ///
    /// # Errors
    /// The engine is stopping.
    pub fn wait(&self, time: Duration) -> Result {
        let begun = Instant::now();
        loop {
            if self.sink.stopping() {
                return Err(stopping());
            }
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(POLL_INTERVAL));
        }
    }

    /// Adds to one of the stage's metrics, shown in the summary: `audio_ms`, `silent_files`, ...
    pub fn count(&mut self, metric: &'static str, n: u64) {
        self.sink.count(metric, n);
    }

    /// Remembers a row under a key, from the next commit on: it is in `saved` when the source is opened again. Remembering the same
    /// again changes nothing.
    ///
    /// # Errors
    /// The engine is stopping, or it is not exactly one row.
    pub fn remember(&mut self, key: impl Into<Vec<u8>>, row: RecordBatch) -> Result {
        let mut state = StateWriter::default();
        state.put(Owner::everyone(), key, row)?;
        let accepted = state.into_changes().into_iter().all(|change| self.sink.remember(change));
        if accepted { Ok(()) } else { Err(stopping()) }
    }

    /// Waits for more input.
    ///
    /// # Errors
    /// The engine is stopping.
    pub fn rest(&mut self, time: Duration) -> Result {
        if self.sink.rest(time) { Ok(()) } else { Err(stopping()) }
    }

    /// The position up to which the last durable commit goes: what a network source may acknowledge. Rows before it are never asked for
    /// again, in no later attempt. Nothing before the first commit, and where nothing is committed at all.
    pub fn committed(&self) -> Option<Position> {
        self.sink.committed()
    }
}

fn stopping() -> StageError {
    StageError::new("the engine is stopping")
}
