//! A change of a stage's state on its way to the coordinator.
//!
//! In: what an instance saved. Out: the same on the coordinator, as a change of the stage's table. Between the threads of a process
//! nothing is copied; between processes a row travels as an Arrow IPC stream. It must not know when anything is committed.

use arrow::array::RecordBatch;
use headwater_contract::state::{Change, Owner};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::KeptChange;
use crate::exchange::{decode_batch, encode_batch};

/// One row put into a stage's state, or taken out of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StateRow {
    table: Table,
    key: Vec<u8>,
    row: Option<Owned>,
}

/// The table whose rows changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Table {
    /// That of the stage at this index of the plan.
    Stage(u64),
    /// The members.
    Members,
    /// The digest of the sink at this index of the plan: no state of its own, but the sum over rows that arrived in one process.
    Digest(u64),
}

/// A row, the value by which it is routed, and the device under whose key it is sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Owned {
    routed_by: Option<String>,
    device: Option<String>,
    row: Wire,
}

#[derive(Clone, Debug)]
struct Wire(RecordBatch);

impl StateRow {
    /// A change of a table.
    pub(crate) fn new(table: Table, change: Change) -> Self {
        let owned = |(owner, row): (Owner, RecordBatch)| Owned {
            routed_by: owner.routed_by().map(str::to_owned),
            device: owner.of_device().map(str::to_owned),
            row: Wire(row),
        };
        StateRow { table, key: change.key, row: change.row.map(owned) }
    }

    /// Which table it changes.
    pub(crate) fn table(&self) -> Table {
        self.table
    }

    /// The change of the table of that name.
    pub(crate) fn of_table(self, table: String) -> KeptChange {
        let row = self.row.map(|Owned { routed_by, device, row }| {
            let owner = routed_by.map_or_else(Owner::everyone, Owner::key);
            let owner = match device {
                Some(device) => owner.about(device),
                None => owner,
            };
            (owner, row.0)
        });
        KeptChange { table, key: self.key, row }
    }
}

impl Serialize for Wire {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&encode_batch(&self.0).map_err(S::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        decode_batch(&bytes)
            .map(Wire)
            .ok_or_else(|| D::Error::custom("a state row is not an Arrow IPC stream"))
    }
}
