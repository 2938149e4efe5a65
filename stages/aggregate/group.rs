//! The open round of one group: what came of it so far, and what is closed.
//!
//! In: updates and sums with device and round. Out: one sum for each round and shape, once. It must not know the adapter.

use std::collections::BTreeMap;

use arrow::array::UInt64Array;
use headwater_contract::StateTable;
use headwater_contract::columns::typed_column;
use headwater_contract::prelude::*;
use headwater_federation::aggregate::format::{self, Kind as SumKind};
use headwater_federation::aggregate::robust::clip_norm;
use headwater_federation::aggregate::{Examples, Ledger, OpenRounds, Refusal, Round, Shape, Sum, Values};
use headwater_federation::compress::payload::{Layout, decode};

/// One row of the input.
pub(super) struct Given<'a> {
    pub(super) device: &'a str,
    pub(super) round: Round,
    /// The newest round that has begun.
    pub(super) newest: Round,
    pub(super) examples: u64,
    pub(super) cap: Examples,
    pub(super) max_norm: Option<f64>,
    pub(super) tensors: &'a [u32],
    pub(super) payload: &'a [u8],
}

/// The sum of a round, of updates of one shape.
pub(super) struct RoundSum {
    pub(super) tensors: Vec<u32>,
    /// Number of the shape within the round.
    pub(super) part: u32,
    pub(super) sum: Sum,
}

impl RoundSum {
    /// The sum as it travels.
    pub(super) fn encoded(&self) -> Vec<u8> {
        format::encode(SumKind::Sum, &self.sum)
    }
}

/// What came of a row, or why it does not count: a short stable word, and the reason.
type Counted<T> = std::result::Result<T, (&'static str, String)>;

/// What is known of a group.
#[derive(Default)]
pub(super) struct Group {
    /// Rounds before this one are closed.
    oldest: u64,
    changed: bool,
    ledger: Ledger,
    open: BTreeMap<(Round, [u8; 8]), (Vec<u32>, Sum)>,
}

const KEY: &[u8] = b"group/";

/// The groups of an earlier life.
pub(super) fn read(saved: &StateTable) -> Result<BTreeMap<String, Group>> {
    let rows = saved.iter().filter_map(|(key, row)| Some((key.strip_prefix(KEY)?, row)));
    rows.map(|(name, row)| {
        let oldest: &UInt64Array = typed_column(row, "oldest")?;
        let oldest = oldest.values().first().copied().unwrap_or_default();
        Ok((String::from_utf8_lossy(name).into_owned(), Group { oldest, ..Group::default() }))
    })
    .collect()
}

impl Group {
    /// Adds an update or a sum; gives how many of its values were clipped.
    pub(super) fn add(&mut self, given: &Given<'_>) -> Counted<u64> {
        let layout = Layout::new(given.tensors)
            .ok_or_else(|| ("wrong_shape", "the tensors have no parameters, or more than 2^32".to_owned()))?;
        let shape = Shape { parameters: layout.parameters(), layout: layout.id() };
        let part = part(given, &layout, shape)?;
        let rounds = OpenRounds { oldest: Round(self.oldest), newest: given.newest };
        let open = &mut self.open;
        let add = || {
            let empty = || (given.tensors.to_vec(), Sum::empty(given.round, shape));
            let (_, sum) = open.entry((given.round, layout.id())).or_insert_with(empty);
            sum.merge(&part)
        };
        self.ledger.accept(rounds, given.device, given.round, add).map_err(refused)?;
        Ok(part.clipped().0)
    }

    /// Closes every round that anything came of.
    pub(super) fn close(&mut self) -> Vec<RoundSum> {
        let mut closed: Vec<RoundSum> = Vec::new();
        for ((round, _), (tensors, sum)) in std::mem::take(&mut self.open) {
            self.oldest = self.oldest.max(round.0.saturating_add(1));
            self.changed = true;
            let before = closed.last().filter(|last| last.sum.round() == round);
            let part = before.map_or(0, |last| last.part + 1);
            closed.push(RoundSum { tensors, part, sum });
        }
        self.ledger.drop_before(Round(self.oldest));
        closed
    }

    pub(super) fn save(&mut self, name: &str, state: &mut StateWriter<'_>) -> Result {
        if !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        let schema = Arc::new(Schema::new(vec![uint64("oldest")]));
        let column: ArrayRef = Arc::new(UInt64Array::from(vec![self.oldest]));
        state.put([KEY, name.as_bytes()].concat(), RecordBatch::try_new(schema, vec![column])?)
    }
}

/// What a row adds, by itself.
fn part(given: &Given<'_>, layout: &Layout, shape: Shape) -> Counted<Sum> {
    if given.payload.starts_with(&format::MAGIC) {
        let (kind, sum) = format::decode(shape, given.payload).map_err(|e| ("bad_payload", e.to_string()))?;
        if kind == SumKind::Correction {
            return Err(("correction", "a correction cannot be added to a round".to_owned()));
        }
        if sum.round() != given.round {
            return Err(refused(Refusal::OtherRound { found: sum.round(), expected: given.round }));
        }
        return Ok(sum);
    }
    let mut update = decode(layout, given.payload).map_err(|e| ("bad_payload", e.to_string()))?;
    if let Some(most) = given.max_norm {
        clip_norm(&mut update.values, most).map_err(refused)?;
    }
    let examples = Examples::new(given.examples).map_err(refused)?.capped(given.cap);
    let mut sum = Sum::empty(given.round, shape);
    let values = Values::Sparse { positions: &update.positions, values: &update.values };
    sum.add(values, examples).map_err(refused)?;
    Ok(sum)
}

fn refused(refusal: Refusal) -> (&'static str, String) {
    (refusal.code(), refusal.to_string())
}
