//! The state of the stage between two attempts: texts of devices, personal adapters, changes of the global one, the pending round.
//!
//! In: the stage's parts. Out: one Arrow row for each key, and the parts again. Keys: `device/` and a name; `text/`, a name, a
//! zero byte and a number; `own/` and a name; `leaving/` and a name; `change/` and tensors; `round`. It must not know how any of it is used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{BooleanArray, Float32Array, ListArray, UInt32Array, UInt64Array};
use arrow::datatypes::{Float32Type, UInt32Type};
use headwater_contract::StateTable;
use headwater_contract::columns::{list_items, list_row, typed_column, u32_list};
use headwater_contract::prelude::*;

use super::adapter::Tensors;
use super::job::Adapter;
use super::texts::{Device, TextRecord};

/// A closed round that is not trained to its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pending {
    pub(super) round: u64,
    /// The adapter that it begins with, once that is known.
    pub(super) start: Option<Adapter>,
}

/// Where the stage stands in the rounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// The round that is open.
    pub(super) open: u64,
    pub(super) pending: Option<Pending>,
    /// A hash of what was measured last.
    pub(super) measured: u64,
}

/// The state that an earlier attempt left.
#[derive(Default)]
pub(super) struct SavedState {
    pub(super) devices: BTreeMap<String, Device>,
    pub(super) own: BTreeMap<String, Adapter>,
    pub(super) changes: Vec<(Tensors, Vec<f32>)>,
    pub(super) progress: Progress,
    /// Devices that are forgotten once the pending round has ended.
    pub(super) leaving: BTreeSet<String>,
}

const ROUND: &[u8] = b"round";

fn number(n: u64) -> ArrayRef {
    Arc::new(UInt64Array::from(vec![n]))
}

fn switch(on: bool) -> ArrayRef {
    Arc::new(BooleanArray::from(vec![on]))
}

fn row(columns: Vec<(Field, ArrayRef)>) -> Result<RecordBatch> {
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn first(row: &RecordBatch, column: &str) -> Result<u64> {
    let values: &UInt64Array = typed_column(row, column)?;
    Ok(values.values().first().copied().unwrap_or_default())
}

fn is_on(row: &RecordBatch, column: &str) -> Result<bool> {
    let values: &BooleanArray = typed_column(row, column)?;
    Ok(!values.is_empty() && values.value(0))
}

fn floats(row: &RecordBatch, column: &str) -> Result<Vec<f32>> {
    let lists: &ListArray = typed_column(row, column)?;
    Ok(list_items::<Float32Type>(lists, 0))
}

fn name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl SavedState {
    pub(super) fn read(saved: &StateTable) -> Result<SavedState> {
        let mut all = SavedState::default();
        for (key, row) in saved.iter() {
            if key == ROUND {
                all.progress = progress(row)?;
            } else if let Some(device) = key.strip_prefix(b"device/") {
                let device = all.devices.entry(name(device)).or_default();
                (device.next, device.trained) = (first(row, "next")?, first(row, "learnt")?);
            } else if let Some(own) = key.strip_prefix(b"own/") {
                all.own.insert(name(own), Arc::new(floats(row, "adapter")?));
            } else if let Some(leaving) = key.strip_prefix(b"leaving/") {
                all.leaving.insert(name(leaving));
            } else if key.starts_with(b"change/") {
                let lists: &ListArray = typed_column(row, "tensors")?;
                all.changes.push((list_items::<UInt32Type>(lists, 0), floats(row, "change")?));
            } else if let Some(text) = key.strip_prefix(b"text/") {
                let device = text.split(|byte| *byte == 0).next().unwrap_or_default();
                // Keys of one device come in the order of their numbers.
                all.devices.entry(name(device)).or_default().texts.push_back(said(row)?);
            }
        }
        Ok(all)
    }
}

impl SavedState {
    /// The number of texts that were not trained on yet.
    pub(super) fn untrained(&self) -> u64 {
        let of = |device: &Device| {
            device.texts.iter().filter(|said| !said.held_out && said.number >= device.trained).count() as u64
        };
        self.devices.values().map(of).sum()
    }
}

fn progress(row: &RecordBatch) -> Result<Progress> {
    let start = floats(row, "start")?;
    let pending = if is_on(row, "waits")? {
        let start = is_on(row, "started")?.then(|| Arc::new(start));
        Some(Pending { round: first(row, "pending")?, start })
    } else {
        None
    };
    Ok(Progress { open: first(row, "open")?, pending, measured: first(row, "measured")? })
}

fn said(row: &RecordBatch) -> Result<TextRecord> {
    let tokens: &ListArray = typed_column(row, "tokens")?;
    Ok(TextRecord {
        number: first(row, "number")?,
        round: first(row, "round")?,
        held_out: is_on(row, "held_out")?,
        tokens: list_items::<UInt32Type>(tokens, 0),
    })
}

fn text_key(device: &str, number: u64) -> Vec<u8> {
    [b"text/", device.as_bytes(), &[0], &number.to_be_bytes()].concat()
}

pub(super) fn put_device(state: &mut StateWriter<'_>, name: &str, device: &Device) -> Result {
    let columns = vec![(uint64("next"), number(device.next)), (uint64("learnt"), number(device.trained))];
    state.put(Owner::device(name), [b"device/", name.as_bytes()].concat(), row(columns)?)
}

pub(super) fn put_text(state: &mut StateWriter<'_>, device: &str, said: &TextRecord) -> Result {
    let columns = vec![
        (uint64("number"), number(said.number)),
        (uint64("round"), number(said.round)),
        (Field::new("held_out", DataType::Boolean, false), switch(said.held_out)),
        (u32_list("tokens"), list_row(UInt32Array::from(said.tokens.clone()))?),
    ];
    state.put(Owner::device(device), text_key(device, said.number), row(columns)?)
}

pub(super) fn delete_text(state: &mut StateWriter<'_>, device: &str, number: u64) {
    state.delete(text_key(device, number));
}

pub(super) fn put_own(state: &mut StateWriter<'_>, device: &str, adapter: &Adapter) -> Result {
    let list = list_row(Float32Array::from(Vec::clone(adapter)))?;
    let own = row(vec![(f32_list("adapter"), list)])?;
    state.put(Owner::device(device), [b"own/", device.as_bytes()].concat(), own)
}

pub(super) fn put_leaving(state: &mut StateWriter<'_>, device: &str, leaves: bool) -> Result {
    let key = [b"leaving/", device.as_bytes()].concat();
    if leaves {
        return state.put(Owner::device(device), key, row(vec![(uint64("leaves"), number(1))])?);
    }
    state.delete(key);
    Ok(())
}

/// Nothing is kept of a device but what [`delete_text`] deletes.
pub(super) fn delete_device(state: &mut StateWriter<'_>, device: &str) {
    state.delete([b"device/", device.as_bytes()].concat());
    state.delete([b"own/", device.as_bytes()].concat());
}

pub(super) fn put_change(state: &mut StateWriter<'_>, tensors: &Tensors, change: &[f32]) -> Result {
    // One key for each shape: the list of tensors distinguishes them.
    let shape: Vec<u8> = tensors.iter().map(|length| u8::from(*length > 0)).collect();
    let columns = vec![
        (u32_list("tensors"), list_row(UInt32Array::from(tensors.clone()))?),
        (f32_list("change"), list_row(Float32Array::from(change.to_vec()))?),
    ];
    state.put(Owner::everyone(), [b"change/".as_slice(), &shape].concat(), row(columns)?)
}

pub(super) fn put_progress(state: &mut StateWriter<'_>, progress: &Progress) -> Result {
    let pending = progress.pending.as_ref();
    let start = pending.and_then(|pending| pending.start.clone());
    let list = list_row(Float32Array::from(start.as_deref().cloned().unwrap_or_default()))?;
    let on = |name: &str| Field::new(name, DataType::Boolean, false);
    let columns = vec![
        (uint64("open"), number(progress.open)),
        (on("waits"), switch(pending.is_some())),
        (uint64("pending"), number(pending.map_or(0, |pending| pending.round))),
        (on("started"), switch(start.is_some())),
        (f32_list("start"), list),
        (uint64("measured"), number(progress.measured)),
    ];
    state.put(Owner::everyone(), ROUND, row(columns)?)
}
