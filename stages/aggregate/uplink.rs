//! Compression between tiers: in place of its exact sum a group sends the largest values of its mean, and keeps the rest for later.
//!
//! In: sums of closed rounds. Out: payloads, as a device sends them, and for how many examples they stand. What was kept back is
//! state. It must not know who reads them.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{BinaryArray, Float32Array, ListArray};
use arrow::datatypes::Float32Type;
use headwater_contract::columns::{list_items, list_row, typed_column};
use headwater_contract::prelude::*;
use headwater_federation::aggregate::{MAX_EXAMPLES_PER_UPDATE, Sum, Total};
use headwater_federation::compress::payload::{Layout, Values};
use headwater_federation::compress::residual::{Decay, Plan, Residual};
use headwater_federation::compress::top_k::{Amount, Density};

use super::saved;

const KEY: &[u8] = b"residual/";

/// The residuals by group and layout.
pub(super) struct UplinkCompressor {
    plan: Plan,
    waiting: BTreeMap<(String, [u8; 8]), Residual>,
    changed: BTreeSet<(String, [u8; 8])>,
}

impl UplinkCompressor {
    /// Reads the state that an earlier attempt saved.
    pub(super) fn read(ratio: f64, table: &StateTable) -> Result<Self> {
        let ratio = Density::new(ratio).ok_or_else(|| StageError::new("`up_ratio` is out of its range"))?;
        let plan = Plan { amount: Amount::Density(ratio), values: Values::Bits8, decay: Decay::NONE };
        let mut waiting = BTreeMap::new();
        for (_, row) in saved::under(table, KEY) {
            let layout: &BinaryArray = typed_column(row, "layout")?;
            let values: &ListArray = typed_column(row, "residual")?;
            let layout =
                layout.value(0).try_into().map_err(|_| StageError::new("a layout of a wrong length"))?;
            let residual = Residual::of(list_items::<Float32Type>(values, 0)).map_err(failed)?;
            waiting.insert((saved::text(row, "group")?, layout), residual);
        }
        Ok(UplinkCompressor { plan, waiting, changed: BTreeSet::new() })
    }

    /// Compresses the mean of a group in a round: a payload and its examples, at most as many as one update may stand for.
    pub(super) fn send(&mut self, group: &str, tensors: &[u32], sum: &Sum) -> Result<(Vec<u8>, u64)> {
        let layout = Layout::new(tensors).ok_or_else(|| StageError::new("a sum without a layout"))?;
        let mut total = Total::empty(sum.shape());
        total.add(sum).map_err(failed)?;
        let mean = total.mean().ok_or_else(|| StageError::new("a sum of no updates"))?;
        let key = (group.to_owned(), layout.id());
        let empty = || Residual::empty(layout.parameters());
        let residual = self.waiting.entry(key.clone()).or_insert_with(empty);
        let sent = residual.send(&mean, &layout, self.plan).map_err(failed)?;
        self.changed.insert(key);
        Ok((sent.payload, sum.examples().min(MAX_EXAMPLES_PER_UPDATE.into())))
    }

    pub(super) fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        for key in std::mem::take(&mut self.changed) {
            let Some(residual) = self.waiting.get(&key) else { continue };
            let (group, layout) = key;
            let layouts = BinaryArray::from_iter_values([layout]);
            let row = saved::row([
                ("group", saved::texts(&group)),
                ("layout", Arc::new(layouts)),
                ("residual", list_row(Float32Array::from(residual.values().to_vec()))?),
            ])?;
            state.put(Owner::key(&group), saved::key(KEY, &[group.as_bytes(), &layout]), row)?;
        }
        Ok(())
    }
}

fn failed(error: impl std::fmt::Display) -> StageError {
    StageError::new(error.to_string())
}
