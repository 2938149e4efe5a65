//! The open rounds of one group: what came of them so far, and what is closed.
//!
//! In: updates, sums and corrections with device and round. Out: one sum for each round and shape, once; and the corrections, each
//! once. It must not know the adapter, nor where rows go.

use std::collections::{BTreeMap, BTreeSet};

use headwater_contract::prelude::*;
use headwater_federation::aggregate::format::{self, Kind as SumKind};
use headwater_federation::aggregate::recorded::RecordedUpdate;
use headwater_federation::aggregate::{Examples, Ledger, OpenRounds, Refusal, Round, Shape, Sum};
use headwater_federation::choice::chosen;
use headwater_federation::compress::payload::{Layout, decode};

use super::{Aggregate, saved};

/// One row of the input.
pub(super) struct IncomingUpdate<'a> {
    pub(super) device: &'a str,
    pub(super) round: Round,
    /// The newest round that has begun.
    pub(super) newest: Round,
    pub(super) examples: u64,
    pub(super) tensors: &'a [u32],
    pub(super) payload: &'a [u8],
    /// Names the row: a correction counts once.
    pub(super) id: String,
    /// The row itself.
    pub(super) row: RecordBatch,
}

/// The result of adding a row.
pub(super) enum CountResult {
    /// One device's update.
    Single { clipped: u64, update: RecordedUpdate },
    /// A sum of updates.
    Sum,
    /// Waits for the end of the epoch.
    Correction(Correction),
}

/// Updates that are to be taken out of a round.
pub(super) struct Correction {
    pub(super) id: String,
    pub(super) tensors: Vec<u32>,
    pub(super) part: Sum,
    /// The row that brought it, to be rejected if it does not fit; nothing for what this stage itself forgets.
    pub(super) row: Option<RecordBatch>,
}

/// A closed round, of updates of one shape.
pub(super) struct RoundSum {
    pub(super) tensors: Vec<u32>,
    /// Number of the shape within the round.
    pub(super) part: u32,
    pub(super) sum: Sum,
    /// The updates one by one, for a rule over single updates.
    pub(super) singles: Vec<RecordedUpdate>,
    /// Devices that were seen in the round, whether their updates count or not.
    pub(super) available: BTreeSet<Box<str>>,
}

impl RoundSum {
    pub(super) fn is_of(&self, round: Round, layout: [u8; 8]) -> bool {
        self.sum.round() == round && self.sum.shape().layout == layout
    }
}

impl Correction {
    /// Says why it does not fit.
    pub(super) fn reject(&self, refusal: Refusal, out: &mut Outbox<'_>) {
        let (code, reason) = refused(refusal);
        out.count(code, 1);
        if let Some(row) = &self.row {
            out.reject(0, row, 0, code, reason);
        }
    }
}

/// Why a row does not count: a short stable word, and the reason.
pub(super) type Refused = (&'static str, String);

struct Open {
    tensors: Vec<u32>,
    sum: Sum,
    singles: Vec<RecordedUpdate>,
}

/// The state of a group.
#[derive(Default)]
pub(super) struct Group {
    /// Rounds before this one are closed.
    oldest: u64,
    /// The number of rounds closed.
    closed: u64,
    /// The number of corrections that this group sent.
    corrected: u64,
    /// Corrections that came and were taken.
    applied: BTreeSet<String>,
    unsaved: Vec<String>,
    changed: bool,
    ledger: Ledger,
    seen: BTreeMap<Round, BTreeSet<Box<str>>>,
    open: BTreeMap<(Round, [u8; 8]), Open>,
}

const KEY: &[u8] = b"group/";
const APPLIED: &[u8] = b"applied/";

/// The groups of an earlier attempt.
pub(super) fn read(table: &StateTable) -> Result<BTreeMap<String, Group>> {
    let mut groups = BTreeMap::<String, Group>::new();
    for (_, row) in saved::under(table, KEY) {
        let group = groups.entry(saved::text(row, "group")?).or_default();
        group.oldest = saved::number(row, "oldest")?;
        group.closed = saved::number(row, "closed")?;
        group.corrected = saved::number(row, "corrected")?;
    }
    for (_, row) in saved::under(table, APPLIED) {
        groups.entry(saved::text(row, "group")?).or_default().applied.insert(saved::text(row, "id")?);
    }
    Ok(groups)
}

impl Group {
    /// Adds an update or a sum, or takes a correction in.
    pub(super) fn add(
        &mut self,
        incoming: IncomingUpdate<'_>,
        options: &Aggregate,
    ) -> std::result::Result<CountResult, Refused> {
        let layout = Layout::new(incoming.tensors)
            .ok_or_else(|| ("wrong_shape", "the tensors have no parameters, or more than 2^32".to_owned()))?;
        let shape = Shape { parameters: layout.parameters(), layout: layout.id() };
        let rounds = OpenRounds { oldest: Round(self.oldest), newest: incoming.newest };
        if !incoming.payload.starts_with(&format::MAGIC) {
            return self.add_single(&incoming, options, &layout, rounds);
        }
        let (kind, sum) =
            format::decode(shape, incoming.payload).map_err(|e| ("bad_payload", e.to_string()))?;
        if sum.round() != incoming.round {
            return Err(refused(Refusal::OtherRound { found: sum.round(), expected: incoming.round }));
        }
        if options.robust().is_some() {
            let reason = "the rule needs single updates, not sums or corrections of sums";
            return Err(("needs_updates", reason.to_owned()));
        }
        if kind == SumKind::Correction {
            return self.correction(incoming, sum, options);
        }
        self.finished(options)?;
        let open = &mut self.open;
        let tensors = incoming.tensors;
        // A group has a sum of each shape; a device has one update.
        let name = format!("{} {:016x}", incoming.device, u64::from_be_bytes(shape.layout));
        let add = || slot(open, incoming.round, shape, tensors).sum.merge(&sum);
        self.ledger.accept(rounds, &name, incoming.round, add).map_err(refused)?;
        Ok(CountResult::Sum)
    }

    fn add_single(
        &mut self,
        incoming: &IncomingUpdate<'_>,
        options: &Aggregate,
        layout: &Layout,
        rounds: OpenRounds,
    ) -> std::result::Result<CountResult, Refused> {
        self.finished(options)?;
        rounds.check(incoming.round).map_err(refused)?;
        self.seen.entry(incoming.round).or_default().insert(incoming.device.into());
        if !chosen(options.seed, incoming.round, incoming.device, options.fraction) {
            return Err(("not_chosen", "the device was not chosen for this round".to_owned()));
        }
        let decoded = decode(layout, incoming.payload).map_err(|e| ("bad_payload", e.to_string()))?;
        let cap = Examples::new(options.max_weight.into()).map_err(refused)?;
        let shape = Shape { parameters: layout.parameters(), layout: layout.id() };
        let update = RecordedUpdate {
            device: incoming.device.into(),
            round: incoming.round,
            shape,
            examples: Examples::new(incoming.examples).map_err(refused)?.capped(cap),
            max_norm: options.max_norm,
            positions: decoded.positions,
            values: decoded.values,
        };
        let sum = update.sum().map_err(refused)?;
        let open = &mut self.open;
        let add = || {
            let slot = slot(open, incoming.round, shape, incoming.tensors);
            slot.sum.merge(&sum)?;
            if options.robust().is_some() {
                slot.singles.push(update.clone());
            }
            Ok(())
        };
        self.ledger.accept(rounds, incoming.device, incoming.round, add).map_err(refused)?;
        Ok(CountResult::Single { clipped: sum.clipped().0, update })
    }

    fn correction(
        &mut self,
        incoming: IncomingUpdate<'_>,
        part: Sum,
        options: &Aggregate,
    ) -> std::result::Result<CountResult, Refused> {
        if options.up_ratio.is_some() {
            let reason = "this tier sends compressed means: nothing can be taken out of them again";
            return Err(("recompressed", reason.to_owned()));
        }
        if incoming.round > incoming.newest {
            return Err(refused(Refusal::FutureRound { found: incoming.round, newest: incoming.newest }));
        }
        if !self.applied.insert(incoming.id.clone()) {
            return Err(("duplicate", "this correction is already there".to_owned()));
        }
        self.unsaved.push(incoming.id.clone());
        let (id, tensors) = (incoming.id, incoming.tensors.to_vec());
        Ok(CountResult::Correction(Correction { id, tensors, part, row: Some(incoming.row) }))
    }

    fn finished(&self, options: &Aggregate) -> std::result::Result<(), Refused> {
        match options.rounds {
            Some(rounds) if self.closed >= rounds => {
                Err(("finished", format!("{rounds} rounds are closed, and no more were asked for")))
            }
            _ => Ok(()),
        }
    }

    /// A new number for a correction that this group sends.
    pub(super) fn next_correction(&mut self) -> u64 {
        self.changed = true;
        self.corrected += 1;
        self.corrected - 1
    }

    /// The corrections that were taken.
    pub(super) fn applied(&self) -> impl Iterator<Item = &str> {
        self.applied.iter().map(String::as_str)
    }

    /// Closes every round that anything came of.
    pub(super) fn close(&mut self) -> Vec<RoundSum> {
        let mut closed: Vec<RoundSum> = Vec::new();
        let mut seen = std::mem::take(&mut self.seen);
        for ((round, _), Open { tensors, sum, singles }) in std::mem::take(&mut self.open) {
            self.oldest = self.oldest.max(round.0.saturating_add(1));
            self.changed = true;
            let before = closed.last().filter(|last| last.sum.round() == round);
            let part = before.map_or(0, |last| last.part + 1);
            self.closed += u64::from(part == 0);
            let available = match before {
                Some(last) => last.available.clone(),
                None => seen.remove(&round).unwrap_or_default(),
            };
            closed.push(RoundSum { tensors, part, sum, singles, available });
        }
        self.ledger.drop_before(Round(self.oldest));
        closed
    }

    pub(super) fn save(&mut self, name: &str, state: &mut StateWriter<'_>) -> Result {
        for id in self.unsaved.drain(..) {
            let row = saved::row([("group", saved::texts(name)), ("id", saved::texts(&id))])?;
            state.put(Owner::key(name), saved::key(APPLIED, &[name.as_bytes(), id.as_bytes()]), row)?;
        }
        if !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        let row = saved::row([
            ("group", saved::texts(name)),
            ("oldest", saved::numbers(self.oldest)),
            ("closed", saved::numbers(self.closed)),
            ("corrected", saved::numbers(self.corrected)),
        ])?;
        state.put(Owner::key(name), saved::key(KEY, &[name.as_bytes()]), row)
    }
}

fn slot<'o>(
    open: &'o mut BTreeMap<(Round, [u8; 8]), Open>,
    round: Round,
    shape: Shape,
    tensors: &[u32],
) -> &'o mut Open {
    let empty = || Open { tensors: tensors.to_vec(), sum: Sum::empty(round, shape), singles: Vec::new() };
    open.entry((round, shape.layout)).or_insert_with(empty)
}

pub(super) fn refused(refusal: Refusal) -> Refused {
    (refusal.code(), refusal.to_string())
}
