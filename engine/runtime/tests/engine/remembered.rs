//! A state folder in memory, whose power can be cut after so many commits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use headwater_contract::RowId;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::state::Owner;
use headwater_contract::units::Epoch;
use headwater_contract::{Result, StageError};
use headwater_runtime::commit::{Attempt, KeptChange, KeptRow, Logged, StateFolder};
use headwater_runtime::instance::Failure;
use headwater_runtime::plan::Plan;

type Table = BTreeMap<Vec<u8>, (Owner, RecordBatch)>;

/// What is durable, and when the power fails.
#[derive(Default)]
pub struct Memory {
    record: Option<Vec<u8>>,
    tables: BTreeMap<String, Table>,
    log: Vec<Logged>,
    /// Entries of the log that are durable.
    synced: usize,
    /// Commits that still succeed.
    power: Option<usize>,
    /// True if the log continues where commits fail.
    pub logs_on: bool,
    pub commits: usize,
    pub released: Option<Epoch>,
}

/// A folder that outlives runs.
pub fn memory() -> Arc<Mutex<Memory>> {
    Arc::default()
}

/// Begins an attempt that ends after so many commits, or with its input.
pub fn attempt(
    plan: &Plan,
    memory: &Arc<Mutex<Memory>>,
    power: Option<usize>,
    dropped: &[&str],
) -> std::result::Result<Attempt, Vec<Failure>> {
    {
        let mut memory = memory.lock().unwrap();
        memory.power = power;
        let synced = memory.synced;
        memory.log.truncate(synced);
    }
    let dropped: Vec<String> = dropped.iter().map(ToString::to_string).collect();
    Attempt::begin(plan, memory.clone(), &dropped)
}

impl Memory {
    fn check_log(&self) -> Result {
        if self.logs_on { Ok(()) } else { self.check_power() }
    }

    fn check_power(&self) -> Result {
        if self.power == Some(0) { Err(StageError::new("the power is gone")) } else { Ok(()) }
    }

    /// The rows of closed epochs that are logged and not committed.
    pub fn logged_rows(&self) -> Vec<RowId> {
        let last = self.log.iter().rposition(|entry| matches!(entry, Logged::Closed(..)));
        let closed = self.log.iter().take(last.map_or(0, |last| last.min(self.synced)));
        let rows = closed.filter_map(|entry| match entry {
            Logged::Rows(_, _, rows) => Some(rows),
            Logged::Closed(..) => None,
        });
        let ids = |rows: &RecordBatch| -> Vec<RowId> {
            let ids = IdentityColumns::of(rows).unwrap();
            (0..ids.len()).map(|row| ids.id(row)).collect()
        };
        rows.flat_map(ids).collect()
    }

    /// The tables that hold rows.
    pub fn tables(&self) -> Vec<&str> {
        self.tables.iter().filter(|(_, rows)| !rows.is_empty()).map(|(name, _)| name.as_str()).collect()
    }
}

fn epoch_of(entry: &Logged) -> Epoch {
    match entry {
        Logged::Rows(epoch, ..) | Logged::Closed(epoch, _) => *epoch,
    }
}

impl StateFolder for Memory {
    fn record(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(self.record.clone())
    }

    fn rows(&mut self, table: &str) -> Result<Vec<KeptRow>> {
        let rows = self.tables.get(table).into_iter().flatten();
        let kept = |(key, (owner, row)): (&Vec<u8>, &(Owner, RecordBatch))| KeptRow {
            key: key.clone(),
            owner: owner.clone(),
            row: row.clone(),
        };
        Ok(rows.map(kept).collect())
    }

    fn commit(&mut self, record: &[u8], changes: Vec<KeptChange>) -> Result<()> {
        self.check_power()?;
        self.power = self.power.map(|left| left - 1);
        self.commits += 1;
        self.record = Some(record.to_vec());
        for change in changes {
            let table = self.tables.entry(change.table).or_default();
            match change.row {
                Some(row) => drop(table.insert(change.key, row)),
                None => drop(table.remove(&change.key)),
            }
        }
        Ok(())
    }

    fn log_rows(&mut self, epoch: Epoch, source: &str, rows: &RecordBatch) -> Result<()> {
        self.check_log()?;
        self.log.push(Logged::Rows(epoch, source.into(), rows.clone()));
        Ok(())
    }

    fn log_barrier(&mut self, epoch: Epoch, intake: &[u8]) -> Result<()> {
        self.check_log()?;
        self.log.push(Logged::Closed(epoch, intake.to_vec()));
        self.synced = self.log.len();
        Ok(())
    }

    fn logged(&mut self, after: Option<Epoch>) -> Result<Vec<Logged>> {
        let later = |entry: &&Logged| after.is_none_or(|after| epoch_of(entry) > after);
        Ok(self.log.iter().filter(later).cloned().collect())
    }

    fn release(&mut self, up_to: Epoch) -> Result<()> {
        let before = self.log.len();
        self.log.retain(|entry| epoch_of(entry) > up_to);
        self.synced -= (before - self.log.len()).min(self.synced);
        self.released = Some(up_to);
        Ok(())
    }
}
