//! The residuals by device: one for each shape of update, as LoRA's B and A of alternate rounds are two.
//!
//! In: device and layout. Out: the residual, and the state rows of those that changed. It must not know how values are chosen.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Float32Array, ListArray, UInt64Array};
use arrow::datatypes::Float32Type;
use headwater_contract::StateTable;
use headwater_contract::columns::{list_items, list_row, typed_column};
use headwater_contract::prelude::*;
use headwater_federation::compress::payload::Layout;
use headwater_federation::compress::residual::Residual;

/// The residual of one device and shape.
pub(super) struct Wait {
    /// Rounds that it took part in.
    pub(super) rounds: u64,
    pub(super) residual: Residual,
}

/// The id of the layout, then the device: the key of the state row.
type Key = Vec<u8>;

#[derive(Default)]
pub(super) struct Residuals {
    waiting: BTreeMap<Key, Wait>,
    changed: BTreeSet<Key>,
}

fn key(device: &str, layout: &Layout) -> Key {
    [layout.id().as_slice(), device.as_bytes()].concat()
}

/// The device of a key's row: the id of a layout has eight bytes.
fn name_of(key: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(key.get(8..).unwrap_or_default())
}

impl Residuals {
    /// Reads the state that an earlier attempt saved.
    pub(super) fn read(saved: &StateTable) -> Result<Self> {
        let row = |(key, row): (&[u8], &RecordBatch)| -> Result<(Key, Wait)> {
            let rounds: &UInt64Array = typed_column(row, "rounds")?;
            let residual: &ListArray = typed_column(row, "residual")?;
            let waits = Residual::of(list_items::<Float32Type>(residual, 0))
                .map_err(|e| StageError::new(e.to_string()))?;
            let rounds = rounds.values().first().copied().unwrap_or_default();
            Ok((key.to_vec(), Wait { rounds, residual: waits }))
        };
        Ok(Residuals { waiting: saved.iter().map(row).collect::<Result<_>>()?, changed: BTreeSet::new() })
    }

    /// The residual of a device; empty for a new one.
    pub(super) fn of(&mut self, device: &str, layout: &Layout) -> &mut Wait {
        let empty = || Wait { rounds: 0, residual: Residual::empty(layout.parameters()) };
        self.waiting.entry(key(device, layout)).or_insert_with(empty)
    }

    /// Marks the residual of a device as changed.
    pub(super) fn changed(&mut self, device: &str, layout: &Layout) {
        self.changed.insert(key(device, layout));
    }

    /// Nothing waits of a device any more.
    pub(super) fn forget(&mut self, device: &str) {
        let ours: Vec<Key> = self.waiting.keys().filter(|key| name_of(key) == device).cloned().collect();
        for key in ours {
            self.waiting.remove(&key);
            self.changed.insert(key);
        }
    }

    pub(super) fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        let schema = Arc::new(Schema::new(vec![uint64("rounds"), f32_list("residual")]));
        for key in std::mem::take(&mut self.changed) {
            let Some(Wait { rounds, residual }) = self.waiting.get(&key) else {
                state.delete(key);
                continue;
            };
            let list = list_row(Float32Array::from(residual.values().to_vec()))?;
            let columns: Vec<ArrayRef> = vec![Arc::new(UInt64Array::from(vec![*rounds])), list];
            let owner = Owner::device(name_of(&key));
            state.put(owner, key, RecordBatch::try_new(schema.clone(), columns)?)?;
        }
        Ok(())
    }
}
