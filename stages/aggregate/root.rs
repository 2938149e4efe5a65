//! The root: the global adapter, or its two factors where they are trained in alternate rounds, and the history it came from.
//!
//! In: closed rounds, corrections, verdicts. Out: the adapters that moved. The state is the rounds themselves: an adapter is what
//! living through them gives, to the bit, which is also how a device is forgotten. It must not know how rows travel.

use std::collections::BTreeMap;

use arrow::array::{BinaryArray, Float32Array, ListArray, UInt32Array};
use arrow::datatypes::{Float32Type, UInt32Type};
use headwater_contract::columns::{list_items, list_row, typed_column};
use headwater_contract::prelude::*;
use headwater_federation::aggregate::history::{
    Entry, History, HistoryError, LayoutId, RoundContent, Settings,
};
use headwater_federation::aggregate::recorded::RecordedUpdate;
use headwater_federation::aggregate::robust::{Trim, clip_norm, median, trimmed_mean};
use headwater_federation::aggregate::root::{CloseResult, Quorum, RobustMean};
use headwater_federation::aggregate::server::{Rule as ServerRule, Server};
use headwater_federation::aggregate::{Refusal, Round, Shape, Sum, Values};
use headwater_federation::compress::payload::Layout;

use super::group::RoundSum;
use super::{Aggregate, Robust, Rule, saved};

/// An adapter that is to be published: its change since training began, in the canonical parameter order.
pub(super) struct PublishedAdapter {
    pub(super) round: Round,
    pub(super) part: u32,
    pub(super) devices: u64,
    pub(super) examples: u64,
    pub(super) tensors: Vec<u32>,
    pub(super) adapter: Vec<f32>,
}

impl PublishedAdapter {
    /// Notes the adapter, so that it does not count as changed.
    pub(super) fn note(&self, before: &mut PreviousAdapters) {
        if let Some(layout) = Layout::new(&self.tensors) {
            before.insert(layout.id(), self.adapter.clone());
        }
    }
}

/// The adapters of all shapes, before something that may change them.
pub(super) type PreviousAdapters = BTreeMap<LayoutId, Vec<f32>>;

/// The adapters and their history. The history is held in memory too, each round as its encoded sum: that is what exactness after a
/// correction or a refusal costs.
pub(super) struct Roots {
    history: History,
    /// The number of adapters published that no update had moved.
    repeated: u64,
    repeated_changed: bool,
}

const KEY: &[u8] = b"round/";
const REPEATED: &[u8] = b"repeated";
/// Numbers of parts from here on are adapters that came of a correction or a refusal.
const FIRST_REPEATED: u32 = 1 << 31;

fn failed(error: impl std::fmt::Display) -> StageError {
    StageError::new(error.to_string())
}

impl Roots {
    /// The adapters that the saved rounds lead to.
    pub(super) fn read<'c>(
        options: &Aggregate,
        corrections: impl Iterator<Item = &'c str>,
        table: &StateTable,
    ) -> Result<Self> {
        let rule = match options.rule {
            Rule::Momentum => ServerRule::Momentum { momentum: options.momentum },
            Rule::Adam => ServerRule::Adam { first: 0.9, second: 0.99, epsilon: 0.001 },
            Rule::Mean | Rule::TrimmedMean | Rule::Median => ServerRule::Mean,
        };
        let server = Server::new(rule, options.lr).map_err(failed)?;
        let quorum = Quorum {
            devices: options.min_devices,
            updates: options.min_updates,
            available: options.min_available,
        };
        let rounds = saved::under(table, KEY).map(|(_, row)| entry(row)).collect::<Result<Vec<_>>>()?;
        let settings = Settings { server, quorum };
        let history = History::of(settings, rounds, corrections.map(Into::into)).map_err(failed)?;
        let repeated = table.get(REPEATED).map_or(Ok(0), |row| saved::number(row, "repeated"))?;
        Ok(Roots { history, repeated, repeated_changed: false })
    }

    /// Closes a round.
    pub(super) fn close(&mut self, round: &RoundSum, robust: Option<Robust>) -> Result<CloseResult> {
        let (sum, available) = (&round.sum, round.available.len() as u64);
        let available = available.max(sum.devices());
        let Some(robust) = robust else {
            return self.history.close(&round.tensors, sum, available).map_err(failed);
        };
        let values = middle(&round.singles, sum.shape(), robust)?;
        let (devices, examples) = (sum.devices(), sum.examples());
        let middle = RobustMean { round: sum.round(), values: &values, devices, examples };
        self.history.close_middle(&round.tensors, sum.shape(), middle, available).map_err(failed)
    }

    /// Notes a round whose updates started from a refused adapter.
    pub(super) fn close_refused(&mut self, round: &RoundSum) {
        self.history.close_dropped(&round.tensors, round.sum.round(), round.sum.shape());
    }

    /// Returns true if a round from this one on, before another, counts: whether the adapter with which that one started came of them.
    pub(super) fn moved(&self, from: Round, before: Round) -> bool {
        self.history.counts(from, before)
    }

    /// Goes back to before a round. Gives how many updates of rounds from `started` on were dropped: those that started from what is
    /// refused.
    pub(super) fn go_back(&mut self, before: Round, started: Round) -> Result<u64> {
        let last = before.0.checked_sub(1).map(Round);
        let dropped = self.history.go_back_to(last).map_err(failed)?;
        Ok(dropped.range(started..).map(|(_, updates)| updates).sum())
    }

    /// Takes updates out of a round; an error names why they cannot have been in it.
    pub(super) fn take_out(&mut self, id: &str, part: &Sum) -> Result<std::result::Result<bool, Refusal>> {
        match self.history.take_out(id, part) {
            Ok(changed) => Ok(Ok(changed)),
            Err(HistoryError::Refused(refusal)) => Ok(Err(refusal)),
            Err(error) => Err(failed(error)),
        }
    }

    /// Makes the middle of a round again, of the updates that are left of it. Whether it counts at all.
    pub(super) fn make_again(
        &mut self,
        shape: Shape,
        round: Round,
        left: &[RecordedUpdate],
        robust: Robust,
    ) -> Result<bool> {
        let held = self.history.entry(round, shape.layout).map(|entry| &entry.held);
        if !matches!(held, Some(RoundContent::RobustMean { .. })) {
            return Ok(false);
        }
        let values = middle(left, shape, robust)?;
        let examples = left.iter().map(|update| u64::from(update.examples.get())).sum();
        let middle = RobustMean { round, values: &values, devices: left.len() as u64, examples };
        self.history.replace_middle(shape, middle).map_err(failed)?;
        Ok(true)
    }

    /// Replays all rounds.
    pub(super) fn replay(&mut self) -> Result {
        self.history.replay().map_err(failed)
    }

    /// The adapters as they are.
    pub(super) fn adapters(&self) -> PreviousAdapters {
        let shapes = self.history.shapes();
        let adapter = |layout: &LayoutId| Some((*layout, self.history.adapter(*layout)?.to_vec()));
        shapes.keys().filter_map(adapter).collect()
    }

    /// An adapter that a round moved.
    pub(super) fn published(&self, round: &RoundSum, devices: u64, examples: u64) -> PublishedAdapter {
        let adapter = self.history.adapter(round.sum.shape().layout).unwrap_or_default().to_vec();
        let (part, tensors) = (round.part, round.tensors.clone());
        PublishedAdapter { round: round.sum.round(), part, devices, examples, tensors, adapter }
    }

    /// The adapters that are others than before, though no update moved them.
    pub(super) fn changed(
        &mut self,
        before: &PreviousAdapters,
        round: Option<Round>,
    ) -> Vec<PublishedAdapter> {
        let round = round.or(self.history.last()).unwrap_or_default();
        let mut changed = Vec::new();
        for (layout, tensors) in self.history.shapes() {
            let Some(adapter) = self.history.adapter(layout) else { continue };
            let same = before
                .get(&layout)
                .is_some_and(|old| old.iter().map(|v| v.to_bits()).eq(adapter.iter().map(|v| v.to_bits())));
            if same {
                continue;
            }
            let part = FIRST_REPEATED.saturating_add(u32::try_from(self.repeated).unwrap_or(u32::MAX));
            self.repeated += 1;
            self.repeated_changed = true;
            let (tensors, adapter) = (tensors.to_vec(), adapter.to_vec());
            changed.push(PublishedAdapter { round, part, devices: 0, examples: 0, tensors, adapter });
        }
        changed
    }

    pub(super) fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        if std::mem::take(&mut self.repeated_changed) {
            state.put(
                Owner::everyone(),
                REPEATED,
                saved::row([("repeated", saved::numbers(self.repeated))])?,
            )?;
        }
        for ((round, layout), entry) in self.history.changes() {
            let (form, sum, (values, devices, examples)) = match &entry.held {
                RoundContent::Sum(bytes) => ("sum", bytes.as_slice(), (&[][..], 0, 0)),
                RoundContent::RobustMean { values, devices, examples } => {
                    ("middle", &[][..], (values.as_slice(), *devices, *examples))
                }
                RoundContent::Dropped => ("dropped", &[][..], (&[][..], 0, 0)),
            };
            let row = saved::row([
                ("round", saved::numbers(round.0)),
                ("tensors", list_row(UInt32Array::from(entry.tensors.clone()))?),
                ("available", saved::numbers(entry.available)),
                ("form", saved::texts(form)),
                ("sum", Arc::new(BinaryArray::from_iter_values([sum]))),
                ("values", list_row(Float32Array::from(values.to_vec()))?),
                ("devices", saved::numbers(devices)),
                ("examples", saved::numbers(examples)),
            ])?;
            state.put(Owner::everyone(), saved::key(KEY, &[&round.0.to_be_bytes(), &layout]), row)?;
        }
        Ok(())
    }
}

fn entry(row: &RecordBatch) -> Result<((Round, LayoutId), Entry)> {
    let tensors: &ListArray = typed_column(row, "tensors")?;
    let sum: &BinaryArray = typed_column(row, "sum")?;
    let values: &ListArray = typed_column(row, "values")?;
    let tensors = list_items::<UInt32Type>(tensors, 0);
    let layout = Layout::new(&tensors)
        .ok_or_else(|| StageError::new("a saved round has more than 2^32 parameters"))?;
    let held = match saved::text(row, "form")?.as_str() {
        "sum" => RoundContent::Sum(sum.value(0).to_vec()),
        "middle" => RoundContent::RobustMean {
            values: list_items::<Float32Type>(values, 0),
            devices: saved::number(row, "devices")?,
            examples: saved::number(row, "examples")?,
        },
        _ => RoundContent::Dropped,
    };
    let available = saved::number(row, "available")?;
    let at = (Round(saved::number(row, "round")?), layout.id());
    Ok((at, Entry { tensors, parameters: layout.parameters(), available, held }))
}

/// Applies a rule to single updates.
fn middle(updates: &[RecordedUpdate], shape: Shape, robust: Robust) -> Result<Vec<f32>> {
    let shortened = |update: &RecordedUpdate| -> Result<Vec<f32>> {
        let mut values = update.values.clone();
        if let Some(most) = update.max_norm {
            clip_norm(&mut values, most).map_err(failed)?;
        }
        Ok(values)
    };
    let shortened = updates.iter().map(shortened).collect::<Result<Vec<_>>>()?;
    let of = updates.iter().zip(&shortened);
    let views: Vec<Values<'_>> =
        of.map(|(update, values)| Values::Sparse { positions: &update.positions, values }).collect();
    match robust {
        Robust::Median => median(&views, shape.parameters),
        Robust::TrimmedMean(share) => {
            let trim = Trim::new(share).ok_or_else(|| StageError::new("`trim` is out of its range"))?;
            trimmed_mean(&views, shape.parameters, trim)
        }
    }
    .map_err(failed)
}
