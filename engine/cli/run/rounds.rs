//! The course of a loop, round by round: what devices learned, what the adapter is worth, what was sent.
//!
//! In: rows of training, compressing and aggregating stages, as they pass. Out: one line a round, for people and for scripts.
//! No number of a single device is kept beyond its round's sums.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::{Array, BinaryArray, Float32Array, Float64Array, ListArray, RecordBatch, UInt64Array};
use arrow::datatypes::{Float32Type, UInt32Type};
use headwater_contract::StageError;
use headwater_contract::columns::{list_items, typed_column};
use headwater_evaluate::score::language::{Nats, Perplexity};
use headwater_runtime::plan::{OutPort, Plan, PlanStage};
use headwater_runtime::run::{Notes, Tap};
use headwater_stages::train::registry::{AdapterRegistry, LATEST};
use serde::{Deserialize, Serialize};

use crate::plot::{Figure, PixelWidth, RoundPoint, png, svg};
use crate::table::align;

/// The summary of one round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoundSummary {
    /// Its number, from 0.
    pub round: u64,
    /// Devices that sent an update.
    pub devices: u64,
    /// True if anything was learned: whether an update changed something, and the global adapter moved where there is one.
    pub learned: bool,
    /// Texts that they trained on.
    pub examples: u64,
    /// Mean loss of the devices before their steps, in nats a token, on held-out texts where there are any.
    pub loss_before: Option<f64>,
    /// And after.
    pub loss_after: Option<f64>,
    /// On the texts that were held out, over all their tokens.
    pub perplexity: Perplexity,
    /// Bytes of one upload, on average.
    pub upload_bytes: u64,
    /// Bytes that the same upload would have as plain f32.
    pub dense_bytes: u64,
    /// Bytes that all uploads of each compressing stage, and all sums of each tier, have together.
    pub tiers: BTreeMap<String, u64>,
    /// Seconds from the end of the round before to the end of this one.
    pub seconds: f64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct RoundLog {
    devices: u64,
    /// Updates that change something.
    changes: u64,
    /// True if the root published an adapter.
    published: bool,
    examples: u64,
    losses: (f64, f64),
    /// Tokens, and nats of the base, of the adapter at the start, of the devices' own.
    tokens: u64,
    nats: [f64; 3],
    uploads: u64,
    upload_bytes: u64,
    dense_bytes: u64,
    tiers: BTreeMap<String, u64>,
    /// The time of the last update, since the run began.
    at: Option<Duration>,
}

impl RoundLog {
    fn add(&mut self, other: RoundLog) {
        self.devices += other.devices;
        self.changes += other.changes;
        self.published |= other.published;
        self.examples += other.examples;
        self.losses.0 += other.losses.0;
        self.losses.1 += other.losses.1;
        self.tokens += other.tokens;
        self.nats.iter_mut().zip(other.nats).for_each(|(sum, nats)| *sum += nats);
        self.uploads += other.uploads;
        self.upload_bytes += other.upload_bytes;
        self.dense_bytes += other.dense_bytes;
        for (tier, bytes) in other.tiers {
            *self.tiers.entry(tier).or_default() += bytes;
        }
        self.at = self.at.max(other.at);
    }
}

/// By round.
#[derive(Debug)]
struct Seens {
    rounds: Mutex<BTreeMap<u64, RoundLog>>,
    begun: Instant,
}

impl Seens {
    fn new() -> Arc<Self> {
        Arc::new(Seens { rounds: Mutex::default(), begun: Instant::now() })
    }

    fn rounds(&self) -> MutexGuard<'_, BTreeMap<u64, RoundLog>> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes for Seens {
    fn part(&self) -> Vec<u8> {
        serde_json::to_vec(&*self.rounds()).unwrap_or_default()
    }

    fn add(&self, part: &[u8]) -> Result<(), StageError> {
        let other: BTreeMap<u64, RoundLog> =
            serde_json::from_slice(part).map_err(|e| StageError::new(e.to_string()))?;
        let mut rounds = self.rounds();
        for (round, seen) in other {
            rounds.entry(round).or_default().add(seen);
        }
        Ok(())
    }
}

/// Listens to the training stages of a run.
pub(crate) struct Rounds {
    taps: Vec<(String, usize, Look)>,
    /// True if a root moves a global adapter.
    has_root: bool,
    registry: Option<PathBuf>,
    seen: Arc<Seens>,
}

type Look = fn(&mut RoundLog, &RecordBatch, usize, &str) -> Result<(), StageError>;

impl Rounds {
    /// Listens, when the pipeline trains.
    pub(crate) fn of(plan: &Plan) -> Option<Self> {
        let train = plan.stages.iter().find(|stage| stage.kind.name() == "train")?;
        Some(Rounds::of_stage(plan, train))
    }

    /// Listens to one of several training stages.
    pub(crate) fn of_stage(plan: &Plan, train: &PlanStage) -> Self {
        let of_kind = |kind: &'static str| plan.stages.iter().filter(move |s| s.kind.name() == kind);
        let mut taps: Vec<(String, usize, Look)> =
            vec![(train.id.clone(), 0, update), (train.id.clone(), 1, evaluation)];
        taps.extend(of_kind("compress").map(|s| (s.id.clone(), 0, upload as Look)));
        let tiers = of_kind("aggregate").filter(|s| s.options.contains_key("by"));
        taps.extend(tiers.map(|s| (s.id.clone(), 0, sum as Look)));
        let roots: Vec<_> = of_kind("aggregate").filter(|s| !s.options.contains_key("by")).collect();
        taps.extend(roots.iter().map(|s| (s.id.clone(), 1, published as Look)));
        Rounds { taps, has_root: !roots.is_empty(), registry: shelf_of(train), seen: Seens::new() }
    }

    /// Returns the notes for the coordinator.
    pub(super) fn notes(&self) -> Arc<dyn Notes> {
        self.seen.clone()
    }

    pub(crate) fn taps(&self) -> Vec<Tap> {
        let tap = |(stage, port, look): &(String, usize, Look)| {
            let (seen, id, look) = (self.seen.clone(), stage.clone(), *look);
            let look = move |batch: &RecordBatch| note(&seen, batch, &id, look);
            Tap { stage: stage.clone(), port: OutPort::Out(*port), inspect: Arc::new(look) }
        };
        self.taps.iter().map(tap).collect()
    }

    /// The rounds, and the digest of the newest adapter where adapters are published.
    pub(crate) fn finish(self) -> Loop {
        let seen = std::mem::take(&mut *self.seen.rounds());
        let mut rounds = Vec::new();
        let mut before = Duration::ZERO;
        for (round, s) in seen.iter().filter(|(_, s)| s.devices > 0) {
            let mean = |sum: f64| Some(sum / (s.devices as f64));
            let at = s.at.unwrap_or(before);
            // What came of this round is measured by the devices that begin the next one with it.
            let next = seen.get(&(round + 1)).cloned().unwrap_or_default();
            let ([base, _, personal], [_, global, _]) = (s.nats, next.nats);
            let nats = Nats { tokens: s.tokens, base, personal, global_tokens: next.tokens, global };
            rounds.push(RoundSummary {
                round: *round,
                devices: s.devices,
                learned: s.changes > 0 && (s.published || !self.has_root),
                examples: s.examples,
                loss_before: mean(s.losses.0),
                loss_after: mean(s.losses.1),
                perplexity: nats.perplexity(),
                upload_bytes: s.upload_bytes / s.uploads.max(1),
                dense_bytes: s.dense_bytes / s.uploads.max(1),
                tiers: s.tiers.clone(),
                seconds: at.saturating_sub(before).as_secs_f64(),
            });
            before = at;
        }
        let published = self.registry.as_deref().filter(|_| !rounds.is_empty());
        let adapter_sha256 = published
            .and_then(|registry| AdapterRegistry::at(registry).open(LATEST).ok())
            .map(|adapter| adapter.digest());
        let sent = self.taps.iter().map(|(id, ..)| id);
        let tiers = sent.filter(|id| rounds.iter().any(|r| r.tiers.contains_key(*id))).cloned().collect();
        Loop { rounds, tiers, adapter_sha256, registry: self.registry }
    }
}

/// The course of a loop.
#[derive(Debug, Default)]
pub struct Loop {
    /// One entry a round.
    pub rounds: Vec<RoundSummary>,
    /// Stages that sent something, from the devices upwards.
    pub tiers: Vec<String>,
    /// SHA-256 of the newest published adapter's parameters.
    pub adapter_sha256: Option<String>,
    /// The folder where adapters are published.
    pub registry: Option<PathBuf>,
}

fn shelf_of(train: &PlanStage) -> Option<PathBuf> {
    train.options.get("publish").and_then(|path| path.as_str()).map(|path| Path::new(path).to_owned())
}

/// Rows without the columns of a round say nothing here: a stage of another make may have the same kind's name.
fn note(seen: &Seens, batch: &RecordBatch, stage: &str, look: Look) {
    let Ok(rounds) = typed_column::<UInt64Array>(batch, "round") else { return };
    let at = seen.begun.elapsed();
    let mut seen = seen.rounds();
    for (row, round) in rounds.values().iter().enumerate() {
        let of_round = seen.entry(*round).or_default();
        let devices = of_round.devices;
        if look(of_round, batch, row, stage).is_err() {
            return;
        }
        if of_round.devices > devices {
            of_round.at = Some(at);
        }
    }
}

fn whole(batch: &RecordBatch, column: &str, row: usize) -> Result<u64, StageError> {
    let values: &UInt64Array = typed_column(batch, column)?;
    Ok(values.values().get(row).copied().unwrap_or_default())
}

fn update(seen: &mut RoundLog, batch: &RecordBatch, row: usize, _: &str) -> Result<(), StageError> {
    let loss = |column: &str| -> Result<f64, StageError> {
        let values: &Float32Array = typed_column(batch, column)?;
        Ok(values.values().get(row).copied().map_or(0.0, f64::from))
    };
    let deltas: &ListArray = typed_column(batch, "delta")?;
    seen.devices += 1;
    seen.changes += u64::from(list_items::<Float32Type>(deltas, row).iter().any(|value| *value != 0.0));
    seen.examples += whole(batch, "examples", row)?;
    seen.losses.0 += loss("loss_before")?;
    seen.losses.1 += loss("loss_after")?;
    Ok(())
}

fn evaluation(seen: &mut RoundLog, batch: &RecordBatch, row: usize, _: &str) -> Result<(), StageError> {
    seen.tokens += whole(batch, "tokens", row)?;
    for (sum, column) in seen.nats.iter_mut().zip(["base", "start", "own"]) {
        let values: &Float64Array = typed_column(batch, column)?;
        *sum += values.values().get(row).copied().unwrap_or_default();
    }
    Ok(())
}

fn payload_bytes(batch: &RecordBatch, row: usize) -> Result<u64, StageError> {
    let payloads: &BinaryArray = typed_column(batch, "payload")?;
    Ok(if row < payloads.len() { payloads.value(row).len() as u64 } else { 0 })
}

fn upload(seen: &mut RoundLog, batch: &RecordBatch, row: usize, stage: &str) -> Result<(), StageError> {
    let tensors: &ListArray = typed_column(batch, "tensors")?;
    let bytes = payload_bytes(batch, row)?;
    seen.uploads += 1;
    seen.upload_bytes += bytes;
    seen.dense_bytes +=
        list_items::<UInt32Type>(tensors, row).into_iter().map(|n| u64::from(n) * 4).sum::<u64>();
    *seen.tiers.entry(stage.to_owned()).or_default() += bytes;
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "one of several that note a row")]
fn published(seen: &mut RoundLog, _: &RecordBatch, _: usize, _: &str) -> Result<(), StageError> {
    seen.published = true;
    Ok(())
}

fn sum(seen: &mut RoundLog, batch: &RecordBatch, row: usize, stage: &str) -> Result<(), StageError> {
    *seen.tiers.entry(stage.to_owned()).or_default() += payload_bytes(batch, row)?;
    Ok(())
}

/// One line a round, for people.
pub(super) fn table(rounds: &[RoundSummary], tiers: &[String]) -> String {
    let number = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let mut lines = vec![
        [
            "round",
            "devices",
            "texts",
            "loss before",
            "after",
            "ppl base",
            "global",
            "own",
            "upload",
            "dense",
            "s",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    if let Some(head) = lines.first_mut() {
        head.extend(tiers.iter().map(|tier| format!("all {tier}")));
    }
    for r in rounds {
        let mut line = vec![
            r.round.to_string(),
            r.devices.to_string(),
            r.examples.to_string(),
            number(r.loss_before, 3),
            number(r.loss_after, 3),
            number(r.perplexity.base, 1),
            number(r.perplexity.global, 2),
            number(r.perplexity.personal, 2),
            kilobytes(r.upload_bytes),
            kilobytes(r.dense_bytes),
            format!("{:.1}", r.seconds),
        ];
        line.extend(tiers.iter().map(|tier| kilobytes(r.tiers.get(tier).copied().unwrap_or_default())));
        lines.push(line);
    }
    let text = align(&lines);
    match without_learning(rounds) {
        Some(nothing) => format!("{text}{nothing}\n"),
        None => text,
    }
}

/// The rounds of a run in which nothing was learned, if there were some: those before the last in which no device took part, and those whose
/// updates moved no adapter.
fn without_learning(rounds: &[RoundSummary]) -> Option<String> {
    let first = rounds.first()?.round;
    let took_part = |round: &u64| rounds.iter().any(|r| r.round == *round);
    let empty: Vec<u64> = (first..rounds.last()?.round).filter(|round| !took_part(round)).collect();
    let still: Vec<u64> = rounds.iter().filter(|r| !r.learned).map(|r| r.round).collect();
    let line = |rounds: &[u64], why: &str| {
        let word = if rounds.len() == 1 { "round" } else { "rounds" };
        let numbers: Vec<String> = rounds.iter().map(ToString::to_string).collect();
        (!rounds.is_empty()).then(|| format!("nothing was learned in {word} {}: {why}", numbers.join(", ")))
    };
    let lines: Vec<String> = [line(&empty, "no device took part"), line(&still, "the adapter did not move")]
        .into_iter()
        .flatten()
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Draws the rounds beside the published adapters, as rounds.svg and rounds.png; gives the path of the latter.
pub(super) fn draw(plan: &Plan, trained: &Loop) -> Result<Option<PathBuf>, StageError> {
    let Some(registry) = trained.registry.as_deref().filter(|_| !trained.rounds.is_empty()) else {
        return Ok(None);
    };
    let point = |r: &RoundSummary| RoundPoint {
        round: r.round,
        perplexity_base: r.perplexity.base,
        perplexity_global: r.perplexity.global,
        perplexity_personal: r.perplexity.personal,
        upload_bytes: r.upload_bytes,
        tiers: trained.tiers.iter().filter_map(|tier| Some((tier.clone(), *r.tiers.get(tier)?))).collect(),
        dense_bytes: r.dense_bytes,
        seconds: r.seconds,
    };
    let points: Vec<RoundPoint> = trained.rounds.iter().map(point).collect();
    let devices = trained.rounds.iter().map(|r| r.devices).max().unwrap_or_default();
    let subtitle = format!("{devices} devices, {} rounds; held-out texts", points.len());
    let figure = Figure { title: &plan.name, subtitle: &subtitle, points: &points };
    let failed = |e: &dyn std::fmt::Display| StageError::new(e.to_string());
    let bitmap = png(&figure, PixelWidth::SLIDE).map_err(|e| failed(&e))?;
    let path = registry.join("rounds.png");
    std::fs::write(&path, bitmap).map_err(|e| failed(&e))?;
    std::fs::write(registry.join("rounds.svg"), svg(&figure)).map_err(|e| failed(&e))?;
    Ok(Some(path))
}

fn kilobytes(bytes: u64) -> String {
    if bytes == 0 {
        return "-".to_owned();
    }
    format!("{:.1} kB", bytes as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_is_measured_by_the_round_after_it() {
        let rounds = Rounds { taps: Vec::new(), has_root: false, registry: None, seen: Seens::new() };
        let of = |devices: u64, tokens: u64, nats: [f64; 3]| RoundLog {
            devices,
            changes: devices,
            losses: (devices as f64, devices as f64 / 2.0),
            tokens,
            nats,
            uploads: devices,
            upload_bytes: 15 * devices,
            dense_bytes: 150 * devices,
            ..RoundLog::default()
        };
        rounds.seen.rounds().insert(0, of(1, 5, [15.0, 10.0, 5.0]));
        let elsewhere = Seens::new();
        elsewhere.rounds().insert(0, of(1, 5, [15.0, 10.0, 5.0]));
        elsewhere.rounds().insert(1, of(0, 10, [30.0, 15.0, 15.0]));
        rounds.seen.add(&elsewhere.part()).unwrap();
        rounds.seen.add(b"no notes").unwrap_err();
        let line = rounds.finish().rounds;
        assert_eq!(line.len(), 1, "a round without training has no line");
        let exp = |nats: f64| Some((nats / 10.0).exp());
        let expected = Perplexity { base: exp(30.0), global: exp(15.0), personal: exp(10.0) };
        assert_eq!(line[0].perplexity, expected);
        assert_eq!((line[0].upload_bytes, line[0].dense_bytes), (15, 150));
        assert_eq!((line[0].loss_before, line[0].loss_after), (Some(1.0), Some(0.5)));
        assert!(table(&line, &[]).lines().nth(1).unwrap().starts_with("0      2        0      1.000"));
    }

    #[test]
    fn rounds_that_learned_nothing_say_so() {
        // (round, devices, updates that change something, whether the root published)
        let check = |has_root: bool, seen: &[(u64, u64, u64, bool)], expected: &[&str]| {
            let rounds = Rounds { taps: Vec::new(), has_root, registry: None, seen: Seens::new() };
            for (round, devices, changes, published) in seen.iter().copied() {
                rounds
                    .seen
                    .rounds()
                    .insert(round, RoundLog { devices, changes, published, ..RoundLog::default() });
            }
            let text = table(&rounds.finish().rounds, &[]);
            let line: Vec<&str> = text.lines().filter(|line| line.starts_with("nothing")).collect();
            assert_eq!(line, expected, "{has_root} {seen:?}");
        };
        check(true, &[(0, 2, 2, true), (1, 3, 3, true)], &[]);
        check(false, &[(0, 2, 2, false), (1, 3, 1, false)], &[]);
        check(
            true,
            &[(0, 2, 2, true), (1, 3, 0, true)],
            &["nothing was learned in round 1: the adapter did not move"],
        );
        check(
            true,
            &[(0, 2, 2, false), (1, 3, 3, false)],
            &["nothing was learned in rounds 0, 1: the adapter did not move"],
        );
        check(
            true,
            &[(0, 2, 2, true), (1, 0, 0, false), (4, 1, 1, true)],
            &["nothing was learned in rounds 1, 2, 3: no device took part"],
        );
        check(
            true,
            &[(1, 2, 0, true), (3, 1, 1, true)],
            &[
                "nothing was learned in round 2: no device took part",
                "nothing was learned in round 1: the adapter did not move",
            ],
        );
    }
}
