//! A stage's state as a keyed table: key (bytes) -> one Arrow row.
//!
//! In: the puts and deletes of `Stage::save`. Out: the rows given back at the next build. Each key lies in one of 256
//! fixed partitions (by the stable hash), so that any number of workers finds its share. It must not know where the
//! table is kept.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use crate::error::{Result, StageError};
use crate::hash;

/// How many partitions the keys of every state are spread over.
pub const PARTITIONS: u64 = 256;

/// The partition of a key: frozen, since states on disk are laid out by it.
pub fn partition(key: &[u8]) -> u64 {
    hash::stable(key) % PARTITIONS
}

/// The rows of a state that an instance is given when it is built.
#[derive(Clone, Debug, Default)]
pub struct StateTable {
    rows: BTreeMap<Vec<u8>, RecordBatch>,
}

impl StateTable {
    /// The row of a key.
    pub fn get(&self, key: &[u8]) -> Option<&RecordBatch> {
        self.rows.get(key)
    }

    /// All rows, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &RecordBatch)> {
        self.rows.iter().map(|(key, row)| (key.as_slice(), row))
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing was saved.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Applies what an instance saved.
    pub fn apply(&mut self, changes: Vec<Change>) {
        for Change { key, row } in changes {
            match row {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
    }
}

/// One key put (`Some`) or deleted (`None`).
#[derive(Clone, Debug)]
pub struct Change {
    /// The key.
    pub key: Vec<u8>,
    /// Its new row, or nothing when it was deleted.
    pub row: Option<RecordBatch>,
}

/// Takes what changed since the last call of `Stage::save`.
#[derive(Debug, Default)]
pub struct StateWriter<'a> {
    changes: Vec<Change>,
    _of_this_epoch: std::marker::PhantomData<&'a ()>,
}

impl StateWriter<'_> {
    /// Sets a key's row.
    ///
    /// # Errors
    /// The batch does not hold exactly one row.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, row: RecordBatch) -> Result {
        if row.num_rows() != 1 {
            return Err(StageError::new(format!("a state row of {} rows", row.num_rows()))
                .expected("exactly one row"));
        }
        self.changes.push(Change { key: key.into(), row: Some(row) });
        Ok(())
    }

    /// Deletes a key.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.changes.push(Change { key: key.into(), row: None });
    }

    /// What was put and deleted, in order.
    pub fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}
