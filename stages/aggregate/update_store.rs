//! The updates of single devices, kept so that a device can be forgotten later.
//!
//! In: updates that counted, with their group; and devices that are to be forgotten. Out: their updates, which are then no longer
//! kept. It must not know sums, nor the receivers of a correction.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{BinaryArray, ListArray, UInt32Array};
use arrow::datatypes::UInt32Type;
use headwater_contract::columns::{list_items, list_row, typed_column};
use headwater_contract::prelude::*;
use headwater_federation::aggregate::recorded::RecordedUpdate;
use headwater_federation::aggregate::{Examples, Round, Shape};
use headwater_federation::compress::payload::{Layout, decode};

use super::saved;

const KEY: &[u8] = b"kept/";
const WANTED: &[u8] = b"forget/";

/// One update as it came, in its smallest form: the payload.
struct Entry {
    tensors: Vec<u32>,
    examples: Examples,
    max_norm: Option<f64>,
    payload: Vec<u8>,
}

/// Group, round and layout of an update.
type Place = (String, Round, [u8; 8]);

/// An update that was kept, with its group and the lengths of its tensors.
pub(super) struct StoredUpdate {
    pub(super) group: String,
    pub(super) tensors: Vec<u32>,
    pub(super) update: RecordedUpdate,
}

/// The updates kept by device, and the devices to be forgotten when the round ends.
#[derive(Default)]
pub(super) struct UpdateStore {
    updates: BTreeMap<String, BTreeMap<Place, Entry>>,
    wanted: BTreeSet<String>,
    changed: BTreeSet<(String, Place)>,
    wanted_changed: BTreeSet<String>,
}

fn key(device: &str, (group, round, layout): &Place) -> Vec<u8> {
    saved::key(KEY, &[device.as_bytes(), group.as_bytes(), &round.0.to_be_bytes(), layout])
}

impl UpdateStore {
    /// Reads the state that an earlier attempt saved.
    pub(super) fn read(table: &StateTable) -> Result<Self> {
        let mut kept = UpdateStore::default();
        for (_, row) in saved::under(table, KEY) {
            let tensors: &ListArray = typed_column(row, "tensors")?;
            let payload: &BinaryArray = typed_column(row, "payload")?;
            let tensors = list_items::<UInt32Type>(tensors, 0);
            let most = saved::float(row, "max_norm")?;
            let one = Entry {
                examples: Examples::new(saved::number(row, "examples")?).map_err(|e| damaged(&e))?,
                max_norm: most.is_finite().then_some(most),
                payload: payload.value(0).to_vec(),
                tensors,
            };
            let place =
                (saved::text(row, "group")?, Round(saved::number(row, "round")?), layout(&one.tensors)?.id());
            kept.updates.entry(saved::text(row, "device")?).or_default().insert(place, one);
        }
        for (_, row) in saved::under(table, WANTED) {
            kept.wanted.insert(saved::text(row, "device")?);
        }
        Ok(kept)
    }

    /// Keeps an update that counted.
    pub(super) fn note(&mut self, group: &str, tensors: &[u32], payload: &[u8], update: &RecordedUpdate) {
        let place = (group.to_owned(), update.round, update.shape.layout);
        let one = Entry {
            tensors: tensors.to_vec(),
            examples: update.examples,
            max_norm: update.max_norm,
            payload: payload.to_vec(),
        };
        self.updates.entry(update.device.to_string()).or_default().insert(place.clone(), one);
        self.changed.insert((update.device.to_string(), place));
    }

    /// A device is to be forgotten at the end of the round.
    pub(super) fn want(&mut self, device: &str) {
        self.wanted.insert(device.to_owned());
        self.wanted_changed.insert(device.to_owned());
    }

    /// Everything that was kept of the devices that are to be forgotten: by device, group, round and layout. It is no longer kept.
    pub(super) fn forget(&mut self) -> Result<Vec<StoredUpdate>> {
        let mut found = Vec::new();
        for device in std::mem::take(&mut self.wanted) {
            for (place, one) in self.updates.remove(&device).unwrap_or_default() {
                found.push(one.found(&device, &place)?);
                self.changed.insert((device.clone(), place));
            }
            self.wanted_changed.insert(device);
        }
        Ok(found)
    }

    /// The updates kept of a round and shape, of all devices.
    pub(super) fn of_round(&self, group: &str, round: Round, layout: [u8; 8]) -> Result<Vec<RecordedUpdate>> {
        let place = (group.to_owned(), round, layout);
        let ones = self.updates.iter().filter_map(|(device, of)| Some((device, of.get(&place)?)));
        ones.map(|(device, one)| Ok(one.found(device, &place)?.update)).collect()
    }

    pub(super) fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        for (device, place) in std::mem::take(&mut self.changed) {
            let Some(one) = self.updates.get(&device).and_then(|of| of.get(&place)) else {
                state.delete(key(&device, &place));
                continue;
            };
            let row = saved::row([
                ("device", saved::texts(&device)),
                ("group", saved::texts(&place.0)),
                ("round", saved::numbers(place.1.0)),
                ("tensors", list_row(UInt32Array::from(one.tensors.clone()))?),
                ("examples", saved::numbers(one.examples.get().into())),
                ("max_norm", saved::floats(one.max_norm.unwrap_or(f64::INFINITY))),
                ("payload", Arc::new(BinaryArray::from_iter_values([&one.payload]))),
            ])?;
            state.put(Owner::key(&place.0).about(&device), key(&device, &place), row)?;
        }
        for device in std::mem::take(&mut self.wanted_changed) {
            let key = saved::key(WANTED, &[device.as_bytes()]);
            if self.wanted.contains(&device) {
                let row = saved::row([("device", saved::texts(&device))])?;
                state.put(Owner::everyone().about(&device), key, row)?;
            } else {
                state.delete(key);
            }
        }
        Ok(())
    }
}

impl Entry {
    fn found(&self, device: &str, (group, round, _): &Place) -> Result<StoredUpdate> {
        let layout = layout(&self.tensors)?;
        let decoded = decode(&layout, &self.payload).map_err(|e| damaged(&e))?;
        let update = RecordedUpdate {
            device: device.into(),
            round: *round,
            shape: Shape { parameters: layout.parameters(), layout: layout.id() },
            examples: self.examples,
            max_norm: self.max_norm,
            positions: decoded.positions,
            values: decoded.values,
        };
        Ok(StoredUpdate { group: group.clone(), tensors: self.tensors.clone(), update })
    }
}

fn layout(tensors: &[u32]) -> Result<Layout> {
    Layout::new(tensors).ok_or_else(|| StageError::new("a kept update has more than 2^32 parameters"))
}

fn damaged(error: &dyn std::fmt::Display) -> StageError {
    StageError::new(format!("a kept update cannot be read: {error}"))
}
