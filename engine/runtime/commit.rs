//! What a run remembers: state, positions and marks, committed together with an epoch.
//!
//! In: what changed up to an epoch that has taken effect everywhere. Out: one durable step of a [`StateFolder`], and what a
//! later life begins with. It must not know timely, nor how the folder keeps bytes.
//!
//! A commit of epoch e holds everything that later epochs hang on: the states of stages after e, the rows that came back over
//! cycles in e, and how far the intake had come when it closed e. A life that begins from it does what an undisturbed run
//! would have done from e + 1 on.

mod forget;
mod panics;
mod portion;
mod record;
mod restore;
mod state_row;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use headwater_contract::state::Owner;
use headwater_contract::units::Epoch;
use headwater_contract::{Result, StageError};

use crate::instance::{Failure, Suspect};
use crate::intake::Progress;
use crate::plan::Plan;

pub(crate) use forget::{FORGET, named};
pub(crate) use panics::{PANICS, Suspected, epoch_of};
pub(crate) use portion::Portion;
use record::shapes;
pub use record::{Record, Shape};
pub(crate) use restore::Restored;
pub(crate) use restore::back_key;
use restore::restore;
pub(crate) use state_row::{StateRow, Table};

/// What a failure of the folder is told of.
pub const NAME: &str = "[state]";

/// The table of rows that came back over cycles.
pub(crate) const BACK: &str = "[back]";
/// The table of what changed the members.
pub(crate) const MEMBERS: &str = "[members]";

/// The table of devices whose rows are left out.
pub(crate) const LEFT_OUT: &str = "[left out]";

/// One row of a table that is kept.
#[derive(Clone, Debug)]
pub struct KeptRow {
    /// Its key, one row of the table.
    pub key: Vec<u8>,
    /// Whose it is.
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

/// What a live source gave, before its epoch was committed.
#[derive(Clone, Debug)]
pub enum Logged {
    /// Rows of a source, in the epoch.
    Rows(Epoch, String, RecordBatch),
    /// The epoch was closed, with the record of the intake.
    Closed(Epoch, Vec<u8>),
}

/// Where the state of one pipeline lies. Only home calls it, and one life at a time.
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

    /// Notes rows of a live source. They are durable after the next [`log_mark`](Self::log_mark).
    ///
    /// # Errors
    /// They could not be written.
    fn log_rows(&mut self, epoch: Epoch, source: &str, rows: &RecordBatch) -> Result<()>;

    /// Notes that an epoch of live input is closed: durable when it returns.
    ///
    /// # Errors
    /// It may not be durable.
    fn log_mark(&mut self, epoch: Epoch, intake: &[u8]) -> Result<()>;

    /// What was noted of epochs after this one, in order.
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

/// What went wrong with the folder.
fn of_folder(what: &str) -> Failure {
    Failure::new(NAME, what)
}

/// One life of a pipeline: its open state folder, and what earlier lives left there.
pub struct Life {
    folder: Arc<Mutex<dyn StateFolder>>,
    restored: Restored,
}

impl Life {
    /// Begins a life of a plan. States of the stages in `dropped` are taken out first.
    ///
    /// # Errors
    /// Every stage whose state does not fit the plan; or what cannot be read.
    pub fn begin(
        plan: &Plan,
        folder: Arc<Mutex<dyn StateFolder>>,
        dropped: &[String],
    ) -> std::result::Result<Life, Vec<Failure>> {
        let restored = match folder.lock() {
            Ok(mut open) => restore(plan, &mut *open, dropped)?,
            Err(_) => return Err(vec![of_folder("a thread died while it held the state folder")]),
        };
        Ok(Life { folder, restored })
    }

    /// The same, but it takes in nothing new: it forgets a device, ends the open round and whatever delays what comes of it. Gives
    /// the stages that take out the device's share of what is mixed.
    ///
    /// # Errors
    /// What an earlier life logged cannot be read.
    pub fn forgetting(mut self, plan: &Plan, device: &str) -> Result<(Life, Vec<String>)> {
        let asked = forget::ask(plan, &mut self.restored, device)?;
        self.restored.takes_nothing_of(device)?;
        Ok((self, asked))
    }

    /// The same, as if a device had never said anything: what sources give of it is left out, in this life and in every later one,
    /// until [`end_leaving_out`]. Of what earlier lives did nothing may be kept.
    ///
    /// # Errors
    /// Something is kept, or it cannot be written down whom is left out.
    pub fn leaving_out(mut self, plan: &Plan, device: &str) -> Result<Life> {
        forget::ask(plan, &mut self.restored, device)?;
        match self.folder.lock() {
            Ok(mut folder) => forget::leave_out(plan, &mut *folder, device)?,
            Err(_) => return Err(StageError::new("a thread died while it held the state folder")),
        }
        self.restored.left_out.insert(device.to_owned());
        Ok(self)
    }

    /// The first epoch that it opens: those before are committed.
    pub fn first_epoch(&self) -> Epoch {
        self.restored.first_epoch()
    }

    /// How many rows about a device the states of stages hold.
    pub fn rows_about(&self, device: &str) -> u64 {
        self.restored.rows_about(device)
    }

    /// Whether an earlier life came to the end of its input.
    pub fn found_finished(&self) -> bool {
        self.restored.is_finished()
    }

    pub(crate) fn share(self, plan: &Plan) -> (Restored, Commits) {
        let commits = Commits { folder: self.folder, closed: Mutex::default(), shapes: shapes(plan) };
        (self.restored, commits)
    }
}

/// What sources give of a device is taken in again.
///
/// # Errors
/// It cannot be written down.
pub fn end_leaving_out(folder: &mut dyn StateFolder, device: &str) -> Result<()> {
    forget::let_in(folder, device)
}

/// An epoch that is to be committed, as the intake left it.
struct Closed {
    progress: Progress,
    /// What sources want remembered.
    kept: Vec<KeptChange>,
}

/// The open state folder of a run, and what waits to be committed.
pub(crate) struct Commits {
    folder: Arc<Mutex<dyn StateFolder>>,
    /// How far the intake had come when it closed an epoch that is to be committed.
    closed: Mutex<BTreeMap<u64, Closed>>,
    /// By stage: what its state hangs on.
    shapes: BTreeMap<String, Shape>,
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
            return Err(StageError::new("an epoch was to be committed that the intake did not close"));
        };
        let live = intake.live;
        let record = Record { stages: self.shapes.clone(), intake }.encode()?;
        self.with(|folder| {
            folder.commit(&record, changes)?;
            if live { folder.release(epoch) } else { Ok(()) }
        })
    }

    /// Notes where a stage panicked, for the lives that follow.
    pub(crate) fn note_panic(&self, plan: &Plan, suspect: &Suspect) -> Result<()> {
        self.with(|folder| panics::note(plan, folder, suspect))
    }

    /// Works on the folder.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut dyn StateFolder) -> Result<T>) -> Result<T> {
        match self.folder.lock() {
            Ok(mut folder) => work(&mut *folder),
            Err(_) => Err(StageError::new("a thread died while it held the state folder")),
        }
    }
}
