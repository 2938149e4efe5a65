//! The memory of a run: state, positions and barriers, committed together with an epoch.
//!
//! In: what changed up to an epoch that has taken effect everywhere. Out: one durable step of a [`StateFolder`], and what a
//! later attempt begins with. It must not know timely, nor how the folder keeps bytes.
//!
//! A commit of epoch e holds everything that later epochs hang on: the states of stages after e, the rows that came back over
//! cycles in e, and how far the intake had come when it closed e. An attempt that begins from it does what an undisturbed run
//! would have done from e + 1 on.

mod forget;
mod panics;
mod record;
mod restore;
mod state_partitions;
mod state_row;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use headwater_contract::state::Owner;
use headwater_contract::units::Epoch;
use headwater_contract::{Result, StageError};

use crate::instance::{Failure, PoisonRow};
use crate::intake::{Acknowledged, Progress};
use crate::plan::Plan;

pub(crate) use forget::{FORGET, named};
pub(crate) use panics::{PANICS, PoisonRows, epoch_of};
use record::shapes;
pub use record::{Record, Shape};
pub(crate) use restore::Restored;
pub(crate) use restore::in_flight_key;
use restore::restore;
pub use restore::under_way;
pub(crate) use state_partitions::StatePartitions;
pub(crate) use state_row::{StateRow, Table};

/// The name of the folder in failures, where a stage's id would stand.
pub const NAME: &str = "[state]";

/// The table of rows that came back over cycles.
pub(crate) const IN_FLIGHT: &str = "[back]";
/// The table of what changed the members.
pub(crate) const MEMBERS: &str = "[members]";

/// The table of the digests of sinks: sums over all rows that are committed, by stage id.
pub(crate) const DIGESTS: &str = "[digests]";
/// The table of devices whose rows are excluded.
pub(crate) const EXCLUDED: &str = "[left out]";

/// One row of a table that is kept.
#[derive(Clone, Debug)]
pub struct KeptRow {
    /// Its key, one row of the table.
    pub key: Vec<u8>,
    /// The owner.
    pub owner: Owner,
    /// The row.
    pub row: RecordBatch,
}

/// One row put into a table, or taken out of it.
#[derive(Clone, Debug)]
pub struct KeptChange {
    /// The table: a stage's id, or a word in brackets.
    pub table: String,
    /// The key.
    pub key: Vec<u8>,
    /// The new row and whose it is; nothing when it is taken out.
    pub row: Option<(Owner, RecordBatch)>,
}

/// The input of a live source that is not committed yet.
#[derive(Clone, Debug)]
pub enum Logged {
    /// Rows of a source, in the epoch.
    Rows(Epoch, String, RecordBatch),
    /// The epoch was closed, with the record of the intake.
    Closed(Epoch, Vec<u8>),
}

/// Where the state of one pipeline lies. Only the coordinator calls it, and one attempt at a time.
pub trait StateFolder: Send {
    /// The record of the last commit; nothing before the first.
    ///
    /// # Errors
    /// It cannot be read.
    fn record(&mut self) -> Result<Option<Vec<u8>>>;

    /// All rows of a table.
    ///
    /// # Errors
    /// They cannot be read.
    fn rows(&mut self, table: &str) -> Result<Vec<KeptRow>>;

    /// Changes tables and record in one durable step: after a crash all of it is there, or nothing.
    ///
    /// # Errors
    /// It may not be durable; nothing more may be given.
    fn commit(&mut self, record: &[u8], changes: Vec<KeptChange>) -> Result<()>;

    /// Notes rows of a live source. They are durable after the next [`log_barrier`](Self::log_barrier).
    ///
    /// # Errors
    /// They could not be written.
    fn log_rows(&mut self, epoch: Epoch, source: &str, rows: &RecordBatch) -> Result<()>;

    /// Notes that an epoch of live input is closed: durable when it returns.
    ///
    /// # Errors
    /// It may not be durable.
    fn log_barrier(&mut self, epoch: Epoch, intake: &[u8]) -> Result<()>;

    /// Returns the log of epochs after this one, in order.
    ///
    /// # Errors
    /// It cannot be read.
    fn logged(&mut self, after: Option<Epoch>) -> Result<Vec<Logged>>;

    /// Rows of epochs up to this one are committed: what was noted of them is made unreadable.
    ///
    /// # Errors
    /// It could not be removed.
    fn release(&mut self, up_to: Epoch) -> Result<()>;
}

/// When epochs are committed. It decides how much is done again after a crash, never what comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitRule {
    /// After so many epochs.
    Epochs(u64),
    /// When so much time has passed.
    Every(std::time::Duration),
}

impl Default for CommitRule {
    fn default() -> Self {
        CommitRule::Every(std::time::Duration::from_secs(1))
    }
}

/// A failure of the folder.
fn of_folder(what: &str) -> Failure {
    Failure::new(NAME, what)
}

/// One attempt of a pipeline: its open state folder, and what earlier attempts left there.
pub struct Attempt {
    folder: Arc<Mutex<dyn StateFolder>>,
    restored: Restored,
}

impl Attempt {
    /// Begins an attempt of a plan. States of the stages in `dropped` are taken out first.
    ///
    /// # Errors
    /// Every stage whose state does not fit the plan; or what cannot be read.
    pub fn begin(
        plan: &Plan,
        folder: Arc<Mutex<dyn StateFolder>>,
        dropped: &[String],
    ) -> std::result::Result<Attempt, Vec<Failure>> {
        let restored = match folder.lock() {
            Ok(mut open) => restore(plan, &mut *open, dropped)?,
            Err(_) => {
                return Err(vec![of_folder("the state folder's lock is poisoned: another thread panicked")]);
            }
        };
        Ok(Attempt { folder, restored })
    }

    /// The same, but it takes in nothing new: it forgets a device, ends the open round and whatever delays what comes of it. Gives
    /// the stages that take out the device's share of what is mixed.
    ///
    /// # Errors
    /// What an earlier attempt logged cannot be read.
    pub fn forgetting(mut self, plan: &Plan, device: &str) -> Result<(Attempt, Vec<String>)> {
        let asked = forget::ask(plan, &mut self.restored, device)?;
        self.restored.takes_nothing_of(device)?;
        Ok((self, asked))
    }

    /// The same, as if a device had never said anything: what sources give of it is excluded, in this attempt and in every later one,
    /// until [`end_exclusion`]. Of what earlier attempts did nothing may be kept.
    ///
    /// # Errors
    /// The state folder is not empty, or cannot be written.
    pub fn excluding(mut self, plan: &Plan, device: &str) -> Result<Attempt> {
        forget::ask(plan, &mut self.restored, device)?;
        match self.folder.lock() {
            Ok(mut folder) => forget::exclude(plan, &mut *folder, device)?,
            Err(_) => {
                return Err(StageError::new("the state folder's lock is poisoned: another thread panicked"));
            }
        }
        self.restored.excluded.insert(device.to_owned());
        Ok(self)
    }

    /// The first epoch that it opens: those before are committed.
    pub fn first_epoch(&self) -> Epoch {
        self.restored.first_epoch()
    }

    /// Returns the number of rows about a device that states of stages hold.
    pub fn rows_about(&self, device: &str) -> u64 {
        self.restored.rows_about(device)
    }

    /// Returns true if an earlier attempt came to the end of its input.
    pub fn found_finished(&self) -> bool {
        self.restored.is_finished()
    }

    pub(crate) fn share(self, plan: &Plan) -> (Restored, Commits) {
        let acknowledged = Acknowledged::restored(self.restored.committed_positions());
        let (shapes, acknowledged) = (shapes(plan), Arc::new(acknowledged));
        let commits = Commits { folder: self.folder, closed: Mutex::default(), shapes, acknowledged };
        (self.restored, commits)
    }
}

/// Takes in a device's rows again.
///
/// # Errors
/// The state folder cannot be written.
pub fn end_exclusion(folder: &mut dyn StateFolder, device: &str) -> Result<()> {
    forget::end_exclusion(folder, device)
}

/// An epoch that is to be committed, as the intake left it.
struct Closed {
    progress: Progress,
    /// The rows that sources want remembered.
    kept: Vec<KeptChange>,
}

/// The open state folder of a run, and what waits to be committed.
pub(crate) struct Commits {
    folder: Arc<Mutex<dyn StateFolder>>,
    /// The progress of the intake when it closed an epoch that is to be committed.
    closed: Mutex<BTreeMap<u64, Closed>>,
    /// By stage: what its state hangs on.
    shapes: BTreeMap<String, Shape>,
    /// The committed positions of sources.
    acknowledged: Arc<Acknowledged>,
}

impl Commits {
    /// The intake closed an epoch that is to be committed.
    pub(crate) fn closed(&self, epoch: Epoch, progress: Progress, kept: Vec<KeptChange>) {
        let closed = Closed { progress, kept };
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).insert(epoch.0, closed);
    }

    /// Commits an epoch, with the changes of all epochs since the last commit.
    pub(crate) fn commit(&self, epoch: Epoch, mut changes: Vec<KeptChange>) -> Result<()> {
        let last = {
            let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
            let later = closed.split_off(&epoch.0.saturating_add(1));
            let upto = std::mem::replace(&mut *closed, later);
            let mut last = None;
            for (of, Closed { progress, kept }) in upto {
                changes.extend(kept);
                last = Some(progress).filter(|_| of == epoch.0);
            }
            last
        };
        let Some(intake) = last else {
            return Err(StageError::new(format!(
                "internal error: commit of epoch {epoch}, which was never closed"
            )));
        };
        let record = Record { stages: self.shapes.clone(), intake };
        let encoded = record.encode()?;
        self.with(|folder| {
            folder.commit(&encoded, changes)?;
            if record.intake.live { folder.release(epoch) } else { Ok(()) }
        })?;
        self.acknowledged.note(&record.intake);
        Ok(())
    }

    /// The committed positions of sources.
    pub(crate) fn acknowledged(&self) -> Arc<Acknowledged> {
        self.acknowledged.clone()
    }

    /// Notes where a stage panicked, for later attempts.
    pub(crate) fn note_panic(&self, plan: &Plan, poison_row: &PoisonRow) -> Result<()> {
        self.with(|folder| panics::note(plan, folder, poison_row))
    }

    /// Works on the folder.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut dyn StateFolder) -> Result<T>) -> Result<T> {
        match self.folder.lock() {
            Ok(mut folder) => work(&mut *folder),
            Err(_) => Err(StageError::new("the state folder's lock is poisoned: another thread panicked")),
        }
    }
}
