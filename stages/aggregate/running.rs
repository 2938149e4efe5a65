//! The stage at work: rows to their groups, and at the end of an epoch what follows of them, in a fixed order.
//!
//! In: batches of each input, barriers. Out: sums and corrections up, adapters and reports. It must not know how any of them is made.

use std::collections::BTreeMap;

use arrow::array::{BinaryArray, ListArray, UInt64Array};
use arrow::datatypes::UInt32Type;
use headwater_contract::columns::{list_items, typed_column};
use headwater_contract::identity::IdentityColumns;
use headwater_contract::prelude::*;
use headwater_federation::aggregate::Round;
use headwater_federation::aggregate::format::{self, Kind as SumKind};
use headwater_federation::aggregate::judge::Condition;
use headwater_federation::aggregate::root::CloseResult;

use super::evaluate::{self, Evaluations, Verdict};
use super::group::{self, Correction, CountResult, Group, IncomingUpdate, RoundSum};
use super::root::{PreviousAdapters, PublishedAdapter, Roots};
use super::rows::Sender;
use super::update_store::UpdateStore;
use super::uplink::UplinkCompressor;
use super::{ALL, Aggregate, saved};

/// Numbers of parts from here on are corrections, not sums.
const FIRST_CORRECTION: u64 = 1 << 31;
const NEWEST: &[u8] = b"newest";

pub(super) struct Aggregator {
    options: Aggregate,
    id: String,
    outputs: Vec<SchemaRef>,
    groups: BTreeMap<String, Group>,
    /// Corrections of this epoch, with their group.
    corrections: Vec<(String, Correction)>,
    kept: Option<UpdateStore>,
    roots: Option<Roots>,
    evaluations: Option<Evaluations>,
    up: Option<UplinkCompressor>,
    /// The newest round that an update can be of: later ones have not begun.
    newest: Round,
    newest_changed: bool,
}

/// The adapters that the root published in an epoch, and those before.
struct Step {
    before: PreviousAdapters,
    published: Vec<PublishedAdapter>,
    /// The round of a refusal.
    refused_in: Option<Round>,
}

impl Aggregator {
    pub(super) fn new(options: &Aggregate, cx: &BuildContext<'_>) -> Result<Self> {
        let groups = group::read(cx.saved)?;
        let corrections = groups.get(ALL).into_iter().flat_map(Group::applied);
        let root = options.by.is_none();
        let roots = root.then(|| Roots::read(options, corrections, cx.saved)).transpose()?;
        let condition = options.accept_if.as_deref().map(Condition::parse).transpose();
        let condition = condition.map_err(|e| StageError::new(format!("`accept_if`: {e}")))?;
        let evaluations = (root && options.evaluates())
            .then(|| Evaluations::read(condition, options.min_eval(), cx.saved))
            .transpose()?;
        Ok(Aggregator {
            options: options.clone(),
            id: cx.id.into(),
            outputs: cx.outputs.to_vec(),
            groups,
            corrections: Vec::new(),
            kept: options.keep_updates.then(|| UpdateStore::read(cx.saved)).transpose()?,
            roots,
            evaluations,
            up: options.up_ratio.map(|ratio| UplinkCompressor::read(ratio, cx.saved)).transpose()?,
            newest: Round(cx.saved.get(NEWEST).map_or(Ok(0), |row| saved::number(row, "newest"))?),
            newest_changed: false,
        })
    }
}

impl Stage for Aggregator {
    fn batch(&mut self, input: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        match (input, &mut self.evaluations, &mut self.kept) {
            (0, _, _) => self.updates(batch, out),
            (1, Some(evaluations), _) => {
                let ids = IdentityColumns::of(batch)?;
                for row in 0..ids.len() {
                    let (round, measured) = evaluate::measured(batch, row)?;
                    let taken = evaluations.add(ids.device(row), round, self.newest, measured);
                    if let Err((code, reason)) = taken {
                        out.count(code, 1);
                        out.reject(input, batch, row, code, reason);
                    }
                }
                Ok(())
            }
            (_, _, Some(kept)) => {
                let ids = IdentityColumns::of(batch)?;
                (0..ids.len()).for_each(|row| kept.want(ids.device(row)));
                Ok(())
            }
            _ => Err(StageError::new(format!("rows came to input {input}, which is not there"))),
        }
    }

    fn epoch_end(&mut self, barrier: &Barrier, out: &mut Outbox<'_>) -> Result {
        // An update of a round leaves at the end of the next one at the latest.
        let newest = Round(barrier.round.0.saturating_add(u64::from(barrier.round_end)));
        self.newest_changed |= newest != self.newest;
        self.newest = newest;
        let mut closed = Vec::new();
        for (name, group) in &mut self.groups {
            closed.extend(group.close().into_iter().map(|sum| (name.clone(), sum)));
        }
        let mut step = Step { before: PreviousAdapters::new(), published: Vec::new(), refused_in: None };
        let judged = self.judge(&mut closed, &mut step, barrier, out)?;
        let corrections = self.corrections_of(barrier, &mut closed, &mut step, out)?;
        for (name, sum) in &closed {
            out.count("updates", sum.sum.devices());
            self.send_sum(name, sum, barrier, out)?;
        }
        let again = self.correct(corrections, &mut step, barrier, out)?;
        for (_, sum) in &closed {
            self.close(sum, &mut step, out)?;
        }
        self.publish(step, judged || again, barrier, out)
    }

    fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        if std::mem::take(&mut self.newest_changed) {
            state.put(Owner::everyone(), NEWEST, saved::row([("newest", saved::numbers(self.newest.0))])?)?;
        }
        for (name, group) in &mut self.groups {
            group.save(name, state)?;
        }
        self.kept.as_mut().map_or(Ok(()), |kept| kept.save(state))?;
        self.up.as_mut().map_or(Ok(()), |up| up.save(state))?;
        self.evaluations.as_mut().map_or(Ok(()), |evaluations| evaluations.save(state))?;
        self.roots.as_mut().map_or(Ok(()), |roots| roots.save(state))
    }
}

fn sender<'a>(id: &'a str, barrier: &Barrier) -> Sender<'a> {
    Sender { id, watermark: barrier.watermark.map_or(0, |watermark| watermark.0) }
}

impl Aggregator {
    fn updates(&mut self, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let ids = IdentityColumns::of(batch)?;
        let rounds: &UInt64Array = typed_column(batch, "round")?;
        let examples: &UInt64Array = typed_column(batch, "examples")?;
        let tensors: &ListArray = typed_column(batch, "tensors")?;
        let payloads: &BinaryArray = typed_column(batch, "payload")?;
        let names = self.options.by.as_deref().map(|column| text_column(batch, column)).transpose()?;
        for row in 0..ids.len() {
            let name = names.map_or(ALL, |names| names.value(row));
            let tensors = list_items::<UInt32Type>(tensors, row);
            let incoming = IncomingUpdate {
                device: ids.device(row),
                round: Round(rounds.value(row)),
                newest: self.newest,
                examples: examples.value(row),
                tensors: &tensors,
                payload: payloads.value(row),
                id: ids.id(row).to_string(),
                row: batch.slice(row, 1),
            };
            out.count("bytes_in", incoming.payload.len() as u64);
            let payload = incoming.payload;
            match self.groups.entry(name.to_owned()).or_default().add(incoming, &self.options) {
                Ok(CountResult::Single { clipped, update }) => {
                    out.count("clipped", clipped);
                    if let Some(kept) = &mut self.kept {
                        kept.note(name, &tensors, payload, &update);
                    }
                }
                Ok(CountResult::Sum) => {}
                Ok(CountResult::Correction(correction)) => {
                    self.corrections.push((name.to_owned(), correction));
                }
                Err((code, reason)) => {
                    out.count(code, 1);
                    out.reject(0, batch, row, code, reason);
                }
            }
        }
        Ok(())
    }

    /// Reports what devices measured, judges the adapter, and goes back where it is refused. Whether it went back.
    fn judge(
        &mut self,
        closed: &mut [(String, RoundSum)],
        step: &mut Step,
        barrier: &Barrier,
        out: &mut Outbox<'_>,
    ) -> Result<bool> {
        let (Some(evaluations), Some(roots)) = (&mut self.evaluations, &mut self.roots) else {
            return Ok(false);
        };
        for (_, sum) in closed {
            sum.available.extend(evaluations.devices(sum.sum.round()).map(Into::into));
        }
        let mut back = false;
        for (round, report) in evaluations.reports() {
            let Ok(report) = report else {
                out.count("rounds_not_measured", 1);
                continue;
            };
            let from = evaluations.first_open();
            let verdict = evaluations.judge(round, &report, roots.moved(from, round));
            out.count("rounds_measured", 1);
            if let Some(schema) = self.outputs.get(2) {
                out.send_to(2, sender(&self.id, barrier).report(schema, round, &report, verdict)?);
            }
            if verdict == Verdict::Refused {
                if step.before.is_empty() {
                    step.before = roots.adapters();
                }
                let started = roots.go_back(from, round)?;
                out.count("adapters_refused", 1);
                out.count("started_from_refused", started);
                tracing::warn!(
                    stage = self.id,
                    round = round.0.saturating_sub(1),
                    "the adapter of this round is refused: devices measured that it is too bad; the one before is back"
                );
                (back, step.refused_in) = (true, Some(round));
            }
        }
        Ok(back)
    }

    /// The corrections that came, and those of devices that are forgotten now, without those for rounds that are closed only now:
    /// these are taken out at once.
    fn corrections_of(
        &mut self,
        barrier: &Barrier,
        closed: &mut [(String, RoundSum)],
        step: &mut Step,
        out: &mut Outbox<'_>,
    ) -> Result<Vec<(String, Correction)>> {
        let mut corrections = std::mem::take(&mut self.corrections);
        let found = match &mut self.kept {
            Some(kept) if barrier.round_end => kept.forget()?,
            _ => Vec::new(),
        };
        for found in found {
            out.count("forgotten_updates", 1);
            let (round, shape) = (found.update.round, found.update.shape);
            let open =
                closed.iter_mut().find(|(name, sum)| name == &found.group && sum.is_of(round, shape.layout));
            let part = found.update.sum().map_err(|e| StageError::new(e.to_string()))?;
            if let Some((_, sum)) = open {
                sum.singles.retain(|update| update.device != found.update.device);
                sum.available.remove(&found.update.device);
                sum.sum.subtract(&part).map_err(|e| StageError::new(e.to_string()))?;
            } else if let (Some(robust), Some(roots), Some(kept)) =
                (self.options.robust(), &mut self.roots, &self.kept)
            {
                if step.before.is_empty() {
                    step.before = roots.adapters();
                }
                let left = kept.of_round(&found.group, round, shape.layout)?;
                roots.make_again(shape, round, &left, robust)?;
                roots.replay()?;
            } else {
                let number = self.groups.entry(found.group.clone()).or_default().next_correction();
                let id = format!("{} {:?} {number}", self.id, found.group);
                let tensors = found.tensors;
                corrections.push((found.group, Correction { id, tensors, part, row: None }));
            }
        }
        corrections.retain(|(group, correction)| {
            let (round, layout) = (correction.part.round(), correction.part.shape().layout);
            let open = closed.iter_mut().find(|(name, sum)| name == group && sum.is_of(round, layout));
            let Some((_, sum)) = open else { return true };
            match sum.sum.subtract(&correction.part) {
                Ok(()) => out.count("corrections", 1),
                Err(refusal) => correction.reject(refusal, out),
            }
            false
        });
        Ok(corrections)
    }

    /// Sends corrections on; the root takes them out of its rounds. Whether it lived through them again.
    fn correct(
        &mut self,
        corrections: Vec<(String, Correction)>,
        step: &mut Step,
        barrier: &Barrier,
        out: &mut Outbox<'_>,
    ) -> Result<bool> {
        let mut again = self.options.robust().is_some() && !step.before.is_empty();
        for (group, correction) in corrections {
            if let Some(roots) = &mut self.roots {
                if step.before.is_empty() {
                    step.before = roots.adapters();
                }
                match roots.take_out(&correction.id, &correction.part)? {
                    Ok(changed) => again |= changed,
                    Err(refusal) => {
                        correction.reject(refusal, out);
                        continue;
                    }
                }
            }
            out.count("corrections", 1);
            let number = self.groups.entry(group.clone()).or_default().next_correction();
            let part = u32::try_from(FIRST_CORRECTION.saturating_add(number)).unwrap_or(u32::MAX);
            let payload = format::encode(SumKind::Correction, &correction.part);
            let schema = self.outputs.first().ok_or_else(|| StageError::new("no output"))?;
            out.count("bytes_out", payload.len() as u64);
            let examples = correction.part.examples();
            let kind = (group.as_str(), part, "correction");
            let sender = sender(&self.id, barrier);
            out.send(sender.sum(
                schema,
                kind,
                &correction.tensors,
                &correction.part,
                (&payload, examples),
            )?);
        }
        if let Some(roots) = self.roots.as_mut().filter(|_| again) {
            roots.replay()?;
        }
        Ok(again)
    }

    fn send_sum(&mut self, name: &str, round: &RoundSum, barrier: &Barrier, out: &mut Outbox<'_>) -> Result {
        let RoundSum { tensors, part, sum, .. } = round;
        // Those whom it was of are forgotten already.
        if sum.devices() == 0 {
            return Ok(());
        }
        let schema = self.outputs.first().ok_or_else(|| StageError::new("no output"))?;
        let (kind, payload, examples) = match &mut self.up {
            Some(up) => {
                let (payload, examples) = up.send(name, tensors, sum)?;
                ("mean", payload, examples)
            }
            None => ("sum", format::encode(SumKind::Sum, sum), sum.examples()),
        };
        out.count("bytes_out", payload.len() as u64);
        let sender = sender(&self.id, barrier);
        out.send(sender.sum(schema, (name, *part, kind), tensors, sum, (&payload, examples))?);
        Ok(())
    }

    /// Closes a round at the root.
    fn close(&mut self, sum: &RoundSum, step: &mut Step, out: &mut Outbox<'_>) -> Result {
        let Some(roots) = &mut self.roots else { return Ok(()) };
        let first_open = self.evaluations.as_ref().map_or(Round(0), Evaluations::first_open);
        if sum.sum.round() < first_open {
            roots.close_refused(sum);
            out.count("started_from_refused", sum.sum.devices());
            return Ok(());
        }
        match roots.close(sum, self.options.robust())? {
            CloseResult::Moved { devices, examples } => {
                out.count("rounds", 1);
                step.published.push(roots.published(sum, devices, examples));
            }
            CloseResult::Waiting { .. } => out.count("rounds_waiting", 1),
            CloseResult::TooFew { .. } => out.count("rounds_too_few", 1),
        }
        Ok(())
    }

    /// Publishes what moved; and if rounds were lived through again, every other adapter that is not what it was.
    fn publish(&mut self, step: Step, again: bool, barrier: &Barrier, out: &mut Outbox<'_>) -> Result {
        let (Some(roots), Some(schema)) = (&mut self.roots, self.outputs.get(1)) else { return Ok(()) };
        let sender = sender(&self.id, barrier);
        if again {
            let Step { mut before, published, refused_in } = step;
            // What an update moved after that is published as usual.
            published.iter().for_each(|moved| moved.note(&mut before));
            for repeated in roots.changed(&before, refused_in) {
                out.count("adapters_repeated", 1);
                out.send_to(1, sender.adapter(schema, repeated)?);
            }
            for moved in published {
                out.send_to(1, sender.adapter(schema, moved)?);
            }
            return Ok(());
        }
        for moved in step.published {
            out.send_to(1, sender.adapter(schema, moved)?);
        }
        Ok(())
    }
}
