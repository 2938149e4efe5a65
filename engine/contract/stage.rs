//! A stage: batches in, batches out, an end of every epoch.
//!
//! In: record batches at numbered ports and the barrier that closes each epoch. Out: batches, rejected rows, metrics, and
//! what changed in the state. What a stage emits at an epoch depends only on its input up to that epoch, never on the
//! number of workers or on time.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::error::{Result, StageError};
use crate::options::{ConfigError, Options};
use crate::signature::Signature;
use crate::state::{HeldBack, StateTable, StateWriter};
use crate::units::{Epoch, Micros, Round};

/// The index of an input or output port, in the order of the signature.
pub type Port = usize;

/// Closes an epoch: made by the intake alone and sent to every worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// The epoch it closes.
    pub epoch: Epoch,
    /// The round that is open in this epoch.
    pub round: Round,
    /// The highest captured time so far. Where live input is quiet it continues, for as long as a stage holds rows back.
    pub watermark: Option<Micros>,
    /// True if state is saved with this epoch.
    pub checkpoint: bool,
    /// True if the round ends here.
    pub round_end: bool,
    /// True if no input comes after this: held-back rows are flushed now.
    pub end_of_input: bool,
}

/// Where this machine keeps things: from the site settings, never from the pipeline file.
#[derive(Clone, Debug, Default)]
pub struct HostEnv {
    /// The state folder of this pipeline.
    pub state: PathBuf,
    /// The file of the root key.
    pub key_file: PathBuf,
    /// True if this process belongs to a cluster and is not its coordinator. The coordinator alone keeps things: the paths are empty here.
    pub is_peer: bool,
}

/// The context of a stage that is built.
pub struct BuildContext<'a> {
    /// The stage's id in the pipeline.
    pub id: &'a str,
    /// The columns of each input.
    pub inputs: &'a [SchemaRef],
    /// The columns of each output: build batches with exactly these.
    pub outputs: &'a [SchemaRef],
    /// The saved state of the keys that this instance holds.
    pub saved: &'a StateTable,
    /// Where the machine keeps things.
    pub host: &'a HostEnv,
    /// Ends of rounds until all that follows from a row has come, on the slowest way through the pipeline: rows of round r have been
    /// learned from when round r + `round_delay` is over. 0 where nothing waits for rounds.
    pub round_delay: u32,
    /// True if a source continues until it is stopped. It may decide when something is done, never what comes out.
    pub live: bool,
}

impl BuildContext<'_> {
    /// The columns of an input.
    ///
    /// # Errors
    /// There is no such port.
    pub fn input(&self, port: Port) -> Result<SchemaRef> {
        self.inputs.get(port).cloned().ok_or_else(|| StageError::new(format!("no input port {port}")))
    }

    /// The columns of an output.
    ///
    /// # Errors
    /// There is no such port.
    pub fn output(&self, port: Port) -> Result<SchemaRef> {
        self.outputs.get(port).cloned().ok_or_else(|| StageError::new(format!("no output port {port}")))
    }
}

/// The options of a stage and what they say about it.
pub trait StageConfig: Options + Send + Sync + 'static {
    /// The kind's name: what `type = "..."` says.
    const KIND: &'static str;

    /// Returns its inputs and outputs. Must not look at files, models or the network: `check` calls it anywhere.
    fn signature(&self) -> Signature;

    /// Values of an option, as TOML, between which the signature may differ in a way that the option's shape does not show: the check
    /// tries them all where it cannot know the value.
    fn telling(_option: &str) -> &'static [&'static str] {
        &[]
    }

    /// Returns the errors of the options together, beyond each alone.
    fn validate(&self) -> Vec<ConfigError> {
        Vec::new()
    }

    /// Called once before anything runs, on one thread: loads the model, opens the folder. Keep what is costly in the
    /// config (behind a `OnceLock`), so that every instance shares it.
    ///
    /// # Errors
    /// A model or a file is missing or does not fit.
    fn ready(&self, _host: &HostEnv) -> Result {
        Ok(())
    }

    /// Files and folders that shape what it computes, such as a model: all processes of a cluster must have the same.
    fn models(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The option by which every instance keeps files in the state folder, if one says so. In a cluster an instance may run
    /// where there is no such folder: the run is then refused. A gathered stage, which runs on the coordinator, need not declare it.
    fn keeps_files(&self) -> Option<&'static str> {
        None
    }

    /// Folders that grow while it runs, each of this stage alone: nothing is taken in while the disk of one of them is nearly full, and
    /// `check` refuses two stages that fill one.
    fn fills(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Returns the input whose rows a saved state holds back: when the state is dropped, its rows go to the quarantine, and the rest is
    /// counted.
    ///
    /// # Errors
    /// The state is of another version.
    fn held_back(&self, _saved: &StateTable) -> Result<HeldBack> {
        Ok(HeldBack::default())
    }

    /// Builds an instance, on the thread that will run it; called once per worker or thread.
    ///
    /// # Errors
    /// The instance cannot be built.
    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage>;
}

/// One running instance of a stage.
pub trait Stage: 'static {
    /// Takes a batch of one or more rows from an input.
    ///
    /// # Errors
    /// The stage cannot continue. One bad row is no error: reject it.
    fn batch(&mut self, input: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result;

    /// The epoch is complete: every row of it has been given. Called for every epoch in order, empty ones too; only for a
    /// stage whose signature names a state, since a stage without one holds nothing that an end could finish.
    ///
    /// # Errors
    /// The stage cannot continue.
    fn epoch_end(&mut self, _mark: &Barrier, _out: &mut Outbox<'_>) -> Result {
        Ok(())
    }

    /// Writes what changed in the state since the last call.
    ///
    /// # Errors
    /// The state cannot be written.
    fn save(&mut self, _state: &mut StateWriter<'_>) -> Result {
        Ok(())
    }
}

/// Rows that a stage will not process, with the reason.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// The input they came from.
    pub input: Port,
    /// One row, with the input's columns.
    pub row: RecordBatch,
    /// A short stable word for the reason: "bad_audio".
    pub code: &'static str,
    /// The reason in words, without any value of the row.
    pub reason: String,
}

/// The engine's side of a stage's outbox.
pub trait Emit {
    /// Takes a batch for an output port.
    fn emit(&mut self, port: Port, batch: RecordBatch);
    /// Takes a rejected row.
    fn reject(&mut self, rejected: Rejected);
    /// Adds to one of the stage's metrics.
    fn count(&mut self, metric: &'static str, n: u64);
    /// Takes note that the stage holds so many rows more back; fewer where it is negative.
    fn hold(&mut self, _more: i64) {}
}

/// Where a stage puts what it makes.
pub struct Outbox<'a> {
    emit: &'a mut dyn Emit,
}

impl<'a> Outbox<'a> {
    /// An outbox over what takes the batches: the engine, or a test.
    pub fn new(emit: &'a mut dyn Emit) -> Self {
        Outbox { emit }
    }

    /// Sends a batch to the first output.
    pub fn send(&mut self, batch: RecordBatch) {
        self.send_to(0, batch);
    }

    /// Sends a batch to an output.
    pub fn send_to(&mut self, port: Port, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            self.emit.emit(port, batch);
        }
    }

    /// Sets one row of an input's batch aside: it goes to the `rejected` port with a short stable code and a reason that
    /// holds no value of the row.
    pub fn reject(
        &mut self,
        input: Port,
        batch: &RecordBatch,
        row: usize,
        code: &'static str,
        reason: impl Into<String>,
    ) {
        if row < batch.num_rows() {
            self.emit.reject(Rejected { input, row: batch.slice(row, 1), code, reason: reason.into() });
        }
    }

    /// Adds to one of the stage's metrics, shown in the summary: `fell_back`, `new_rows`, ...
    pub fn count(&mut self, metric: &'static str, n: u64) {
        self.emit.count(metric, n);
    }

    /// Says that the stage holds so many rows more back than it did, or fewer: shown while it runs.
    pub fn hold(&mut self, more: i64) {
        self.emit.hold(more);
    }
}
