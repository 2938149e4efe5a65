//! The stage at work: rows in, rounds closed and trained, rows out.
//!
//! In: texts and adapters as rows, barriers. Out: rows of updates and evaluations. Between them it holds what devices said, and at
//! most one round that is trained while the next is collected. It must not know how training is done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Float32Array, Float64Array, ListArray, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{Float32Type, UInt32Type};
use headwater_contract::columns::{list_items, list_row, typed_column};
use headwater_contract::hash;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::prelude::*;
use headwater_training::train::round::Update;

use super::adapter::{Global, tensors, trained};
use super::base::LoadedBase;
use super::job::{Adapter, DeviceResult, Evaluation, Job, Running};
use super::publish::AdapterNotice;
use super::state::{self, Pending, Progress, SavedState};
use super::texts::{Choice, Device, shares};
use super::{Start, TrainOptions, personal};

pub(super) struct Learner {
    options: TrainOptions,
    base: Arc<LoadedBase>,
    id: String,
    /// Where personal adapters lie, and the root key that they are encrypted with.
    personal: (PathBuf, PathBuf),
    /// True if this process is a peer: the coordinator publishes.
    is_peer: bool,
    update: SchemaRef,
    evaluation: SchemaRef,
    devices: BTreeMap<String, Device>,
    global: Global,
    own: BTreeMap<String, Adapter>,
    progress: Progress,
    /// Devices that are forgotten once the pending round, which began with them, has ended.
    leaving: BTreeSet<String>,
    running: Option<Running>,
    /// A hash of what the running round measures.
    measuring: u64,
    news: Vec<AdapterNotice>,
    unsaved: UnsavedChanges,
}

/// Changes since the state was written.
#[derive(Default)]
struct UnsavedChanges {
    devices: BTreeSet<String>,
    texts: BTreeSet<(String, u64)>,
    own: BTreeSet<String>,
    leaving: BTreeSet<String>,
    global: bool,
}

impl Learner {
    pub(super) fn new(options: TrainOptions, base: Arc<LoadedBase>, cx: &BuildContext<'_>) -> Result<Self> {
        let saved = SavedState::read(cx.saved)?;
        let mut global = Global::new(&base.layout, base.start.clone());
        for (tensors, change) in saved.changes {
            global
                .take(&base.layout, tensors, change)
                .map_err(|what| StageError::new(format!("the saved adapter does not fit: {what}")))?;
        }
        Ok(Learner {
            options,
            base,
            id: cx.id.into(),
            personal: (personal::folder(cx.host, cx.id), cx.host.key_file.clone()),
            is_peer: cx.host.is_peer,
            update: cx.output(0)?,
            evaluation: cx.output(1)?,
            devices: saved.devices,
            global,
            own: saved.own,
            progress: saved.progress,
            leaving: saved.leaving,
            running: None,
            measuring: 0,
            news: Vec::new(),
            unsaved: UnsavedChanges::default(),
        })
    }

    fn hear(&mut self, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let ids = IdentityColumns::of(batch)?;
        let texts = text_column(batch, "text")?;
        let splits = text_column(batch, "split").ok();
        for row in 0..ids.len() {
            match self.base.text_tokens(texts.value(row), self.options.max_tokens) {
                Ok((tokens, cut)) => {
                    let held_out = match splits.map(|splits| splits.value(row)) {
                        Some("heldout") => true,
                        Some("train") => false,
                        _ => held_out(ids.hash(row), self.options.holdout),
                    };
                    let name = ids.device(row).to_owned();
                    let device = self.devices.entry(name.clone()).or_default();
                    if device.is_full(held_out, self.options.max_examples) {
                        out.count("left_out", 1);
                        continue;
                    }
                    let number = device.hear(self.progress.open, held_out, tokens);
                    self.unsaved.texts.insert((name.clone(), number));
                    self.unsaved.devices.insert(name);
                    out.count(if held_out { "held_out" } else { "texts" }, 1);
                    out.count("cut", u64::from(cut));
                }
                Err((code, reason)) => out.reject(0, batch, row, code, reason),
            }
        }
        Ok(())
    }

    fn take_adapter(&mut self, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let rounds: &UInt64Array = typed_column(batch, "round")?;
        let lengths: &ListArray = typed_column(batch, "tensors")?;
        let adapters: &ListArray = typed_column(batch, "adapter")?;
        for row in 0..batch.num_rows() {
            let tensors = list_items::<UInt32Type>(lengths, row);
            let change = list_items::<Float32Type>(adapters, row);
            match self.global.take(&self.base.layout, tensors, change) {
                Ok(()) => {
                    let round = rounds.values().get(row).copied().unwrap_or_default();
                    self.news.push(AdapterNotice::of(batch, row, round, self.global.now().clone()));
                    self.unsaved.global = true;
                }
                Err(reason) => out.reject(1, batch, row, "wrong_shape", reason),
            }
        }
        Ok(())
    }

    /// A device is to be forgotten. A round that began with its texts would round otherwise without them, and may be run again:
    /// until that has ended they stay.
    fn forget(&mut self, device: &str, out: &mut Outbox<'_>) -> Result {
        if !self.devices.contains_key(device) && !self.own.contains_key(device) {
            return self.base.forget_own(&self.personal.0, &self.personal.1, device);
        }
        if self.progress.pending.as_ref().is_some_and(|pending| pending.start.is_some()) {
            self.leaving.insert(device.to_owned());
            self.unsaved.leaving.insert(device.to_owned());
            return Ok(());
        }
        self.drop_device(device, out)
    }

    fn drop_device(&mut self, device: &str, out: &mut Outbox<'_>) -> Result {
        let texts = self.devices.remove(device).unwrap_or_default().texts;
        self.unsaved.texts.extend(texts.into_iter().map(|said| (device.to_owned(), said.number)));
        self.unsaved.devices.insert(device.to_owned());
        self.own.remove(device);
        out.count("forgotten_devices", 1);
        self.base.forget_own(&self.personal.0, &self.personal.1, device)
    }

    /// Starts the pending round, if it is not at work already.
    fn start(&mut self) -> Result {
        if self.running.is_some() {
            return Ok(());
        }
        let Some(pending) = &mut self.progress.pending else { return Ok(()) };
        let start = pending.start.get_or_insert_with(|| self.global.now().clone()).clone();
        let choice = Choice {
            min_examples: self.options.min_examples,
            rehearse: self.options.rehearse,
            evaluate: self.options.evaluate,
            seed: self.options.seed,
        };
        let shares = shares(&self.devices, pending.round, &choice, self.options.groups);
        let held_out = shares.values().flatten().map(|share| share.held_out.len() as u64);
        let bits = start.iter().map(|value| u64::from(value.to_bits()));
        self.measuring = held_out.chain(bits).fold(1, hash::mix);
        let is_own = self.options.start == Start::Personal;
        let measure_all = is_own || self.progress.measured != self.measuring;
        let own = if is_own { self.own.clone() } else { BTreeMap::new() };
        let job = Job { round: pending.round, shares, start, own, measure_all };
        self.running = Some(Running::start(self.base.clone(), job)?);
        Ok(())
    }

    /// Waits for the round at work, and sends what came of it.
    fn finish(&mut self, barrier: &Barrier, out: &mut Outbox<'_>) -> Result {
        let (Some(running), Some(pending)) = (self.running.take(), self.progress.pending.take()) else {
            return Ok(());
        };
        let outcome = running.wait()?;
        self.progress.measured = self.measuring;
        out.count("training_ms", u64::try_from(outcome.cpu.as_millis()).unwrap_or(u64::MAX));
        let mut moved = Vec::new();
        let leaving = std::mem::take(&mut self.leaving);
        for trained in outcome.trained.into_iter().filter(|trained| !leaving.contains(&trained.name)) {
            moved.extend(matches!(trained.update, Some(Ok(_))).then(|| trained.name.clone()));
            self.send(&pending, trained, barrier, out)?;
        }
        if self.options.personal && !moved.is_empty() {
            let own = moved.into_iter().filter_map(|name| {
                let adapter = self.own.get(&name)?.clone();
                Some((name, pending.round, adapter))
            });
            self.base.keep_own(&self.personal.0, &self.personal.1, own)?;
        }
        for device in leaving {
            self.drop_device(&device, out)?;
            self.unsaved.leaving.insert(device);
        }
        Ok(())
    }

    fn send(
        &mut self,
        pending: &Pending,
        trained: DeviceResult,
        barrier: &Barrier,
        out: &mut Outbox<'_>,
    ) -> Result {
        let DeviceResult { name, upto, update, evaluation } = trained;
        if let Some(device) = self.devices.get_mut(&name) {
            device.trained = upto;
            for number in device.forget(self.options.remember, self.options.evaluate) {
                self.unsaved.texts.insert((name.clone(), number));
            }
            self.unsaved.devices.insert(name.clone());
        }
        if let Some(e) = evaluation {
            let identity = self.identity(&name, pending.round, barrier);
            out.send_to(1, evaluation_row(&self.evaluation, identity, pending.round, e)?);
        }
        match update {
            None => {}
            Some(Err(dropped)) => {
                let (device, round, step, what) = (name.as_str(), pending.round, dropped.step, dropped.what);
                tracing::warn!(
                    stage = self.id,
                    device,
                    round,
                    step,
                    "dropped: the {what} is not a finite number"
                );
                out.count("dropped", 1);
            }
            Some(Ok(update)) => {
                self.keep_own(&name, pending, &update);
                let identity = self.identity(&name, pending.round, barrier);
                out.send(self.update_row(identity, pending.round, &update, evaluation)?);
            }
        }
        Ok(())
    }

    fn keep_own(&mut self, name: &str, pending: &Pending, update: &Update) {
        if !self.options.personal && self.options.start != Start::Personal {
            return;
        }
        let global = pending.start.as_ref().unwrap_or_else(|| self.global.now());
        let begun = match self.options.start {
            Start::Personal => self.own.get(name).unwrap_or(global),
            Start::Global => global,
        };
        let moved = begun.iter().zip(&update.delta).map(|(start, delta)| start + delta).collect();
        self.own.insert(name.to_owned(), Arc::new(moved));
        self.unsaved.own.insert(name.to_owned());
    }

    fn identity(&self, device: &str, round: u64, barrier: &Barrier) -> Vec<ArrayRef> {
        let at = barrier.watermark.map_or(0, |watermark| watermark.0);
        vec![
            Arc::new(StringArray::from(vec![device])),
            Arc::new(StringArray::from(vec![self.id.as_str()])),
            Arc::new(UInt64Array::from(vec![round])),
            Arc::new(UInt32Array::from(vec![0])),
            Arc::new(TimestampMicrosecondArray::from(vec![at]).with_timezone("UTC")),
        ]
    }

    /// The losses are those on held-out texts; of a device that has none, those on what it trained on.
    fn update_row(
        &self,
        mut columns: Vec<ArrayRef>,
        round: u64,
        update: &Update,
        evaluation: Option<Evaluation>,
    ) -> Result<RecordBatch> {
        let mean = |sum: f64, tokens: u64| narrow(sum / (tokens.max(1) as f64));
        let (before, after) = match (evaluation, update.losses) {
            (Some(e), _) => (mean(e.start, e.tokens), mean(e.own, e.tokens)),
            (None, losses) => losses.map_or((0.0, 0.0), |(before, after)| (narrow(before), narrow(after))),
        };
        let delta = trained(&self.base.layout, update.factors, &update.delta);
        columns.extend([
            Arc::new(UInt64Array::from(vec![round])) as ArrayRef,
            Arc::new(UInt64Array::from(vec![update.examples as u64])),
            Arc::new(Float32Array::from(vec![before])),
            Arc::new(Float32Array::from(vec![after])),
            list_row(UInt32Array::from(tensors(&self.base.layout, update.factors)))?,
            list_row(Float32Array::from(delta))?,
        ]);
        Ok(RecordBatch::try_new(self.update.clone(), columns)?)
    }

    /// Publishes the adapters that came back. Every instance hears of them; the folder is written once.
    fn publish(&mut self) -> Result {
        for news in self.news.drain(..) {
            if let Some(publisher) = self.base.publisher.as_ref().filter(|_| !self.is_peer) {
                publisher.publish(&self.base.peft, &self.base.layout, &news)?;
            }
        }
        Ok(())
    }
}

fn evaluation_row(
    schema: &SchemaRef,
    mut columns: Vec<ArrayRef>,
    round: u64,
    e: Evaluation,
) -> Result<RecordBatch> {
    columns.extend([
        Arc::new(UInt64Array::from(vec![round])) as ArrayRef,
        Arc::new(UInt64Array::from(vec![e.tokens])),
        Arc::new(Float64Array::from(vec![e.base])),
        Arc::new(Float64Array::from(vec![e.start])),
        Arc::new(Float64Array::from(vec![e.own])),
    ]);
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

/// Returns true if a row of this hash is held out: the same rows in every run.
fn held_out(hash: u64, share: f64) -> bool {
    // Mixed once more, since rows are spread over workers by this hash.
    (hash::mix(hash, 1) >> 11) as f64 / ((1u64 << 53) as f64) < share
}

#[expect(clippy::cast_possible_truncation, reason = "a loss for people to read")]
fn narrow(value: f64) -> f32 {
    value as f32
}

impl Stage for Learner {
    fn batch(&mut self, input: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        match input {
            0 => self.hear(batch, out),
            1 => self.take_adapter(batch, out),
            _ => {
                let ids = IdentityColumns::of(batch)?;
                (0..ids.len()).try_for_each(|row| self.forget(ids.device(row), out))
            }
        }
    }

    fn epoch_end(&mut self, barrier: &Barrier, out: &mut Outbox<'_>) -> Result {
        self.publish()?;
        self.start()?;
        if barrier.round_end {
            self.finish(barrier, out)?;
            self.progress.pending = Some(Pending { round: barrier.round.0, start: None });
            self.progress.open = barrier.round.0 + 1;
        }
        Ok(())
    }

    fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        let UnsavedChanges { devices, texts, own, leaving, global } = std::mem::take(&mut self.unsaved);
        for name in devices {
            match self.devices.get(&name) {
                Some(device) => state::put_device(state, &name, device)?,
                None => state::delete_device(state, &name),
            }
        }
        for name in leaving {
            state::put_leaving(state, &name, self.leaving.contains(&name))?;
        }
        for (name, number) in texts {
            let texts = self.devices.get(&name).map(|device| &device.texts);
            match texts.and_then(|texts| texts.iter().find(|said| said.number == number)) {
                Some(said) => state::put_text(state, &name, said)?,
                None => state::delete_text(state, &name, number),
            }
        }
        for name in own {
            if let Some(adapter) = self.own.get(&name) {
                state::put_own(state, &name, adapter)?;
            }
        }
        if global {
            for (tensors, change) in self.global.changes() {
                state::put_change(state, tensors, change)?;
            }
        }
        state::put_progress(state, &self.progress)
    }
}
