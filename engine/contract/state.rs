//! A stage's state as a keyed table: key (bytes) -> one Arrow row.
//!
//! In: the puts and deletes of `Stage::save`. Out: the rows given back at the next build. Each row says whose it is, so that
//! any number of workers finds its share and a row lies under the key of its device. It must not know where the table is
//! kept.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use crate::error::{Result, StageError};

/// The owner of a state row: selects the instance that restores it and the device key that encrypts it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    key: Option<String>,
    device: Option<String>,
}

impl Owner {
    /// A device's, in a stage whose rows are routed by `device`, or by groups of devices.
    pub fn device(name: impl Into<String>) -> Self {
        let name = name.into();
        Owner { key: Some(name.clone()), device: Some(name) }
    }

    /// That of a value of the column by which the stage's rows are routed: given to the instance that such rows reach.
    pub fn key(value: impl Into<String>) -> Self {
        Owner { key: Some(value.into()), device: None }
    }

    /// Every instance's: what came by broadcast or follows from the barriers, and so is the same in all of them.
    pub fn everyone() -> Self {
        Owner::default()
    }

    /// The same, but what the row says is about a device, and is gone when that device is forgotten.
    pub fn about(self, device: impl Into<String>) -> Self {
        Owner { device: Some(device.into()), ..self }
    }

    /// The value of the routed column; nothing if it is every instance's.
    pub fn routed_by(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The device under whose key the row is sealed.
    pub fn of_device(&self) -> Option<&str> {
        self.device.as_deref()
    }
}

/// The input of which nothing has come yet that a stage's saved state holds.
#[derive(Clone, Debug, Default)]
pub struct HeldBack {
    /// Rows of its first input that wait, whole.
    pub rows: Vec<RecordBatch>,
    /// The number of rows that wait in another form, from which no row can be given back.
    pub unfinished: u64,
}

/// The rows of a state that an instance is given when it is built.
#[derive(Clone, Debug, Default)]
pub struct StateTable {
    rows: BTreeMap<Vec<u8>, RecordBatch>,
}

impl StateTable {
    /// A table of these rows.
    pub fn of(rows: impl IntoIterator<Item = (Vec<u8>, RecordBatch)>) -> Self {
        StateTable { rows: rows.into_iter().collect() }
    }

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

    /// Returns true if nothing was saved.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Applies what an instance saved.
    pub fn apply(&mut self, changes: Vec<Change>) {
        for Change { key, row } in changes {
            match row {
                Some((_, row)) => self.rows.insert(key, row),
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
    /// Its new row and whose it is, or nothing when it was deleted.
    pub row: Option<(Owner, RecordBatch)>,
}

/// Takes what changed since the last call of `Stage::save`.
#[derive(Debug, Default)]
pub struct StateWriter<'a> {
    changes: Vec<Change>,
    _of_this_epoch: std::marker::PhantomData<&'a ()>,
}

impl StateWriter<'_> {
    /// Sets a key's row. A key is one row, whatever its owner.
    ///
    /// # Errors
    /// The batch does not hold exactly one row.
    pub fn put(&mut self, owner: Owner, key: impl Into<Vec<u8>>, row: RecordBatch) -> Result {
        if row.num_rows() != 1 {
            return Err(StageError::new(format!("a state row of {} rows", row.num_rows()))
                .expected("exactly one row"));
        }
        self.changes.push(Change { key: key.into(), row: Some((owner, row)) });
        Ok(())
    }

    /// Deletes a key.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.changes.push(Change { key: key.into(), row: None });
    }

    /// Returns the puts and deletes, in order.
    pub fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}
