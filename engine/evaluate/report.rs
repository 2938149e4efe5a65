//! The report: every figure of a trial, by section (docs/formats/report.md).
//!
//! In: an outcome. Out: one value that becomes report.json, and that report.html is drawn from. Field names are a promise: conditions and
//! scripts rely on them. All that differs between two trials of the same stands in `speed` and `resources`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::compare::{Comparison, figures};
use crate::outcome::{Outcome, RoundBytes};
use crate::score::language::{self, Perplexity};
use crate::score::memorisation::Memorisation;
use crate::score::redaction::{Counts, Scores};
use crate::score::{kinds, memorisation, rate, redaction, transcription};
use crate::table::UnitRow;

/// The value of `format`.
pub const FORMAT: &str = "headwater-report";
/// Its version.
pub const VERSION: u32 = 1;

/// Every figure of a trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Always [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// The data set's name.
    pub dataset: String,
    /// Rows of the data set.
    pub rows: u64,
    /// The quality of transcription.
    pub transcription: Option<Transcription>,
    /// The quality of redaction.
    pub redaction: Option<Redaction>,
    /// The worth of adapters.
    pub language: Option<Language>,
    /// The memorisation of planted secrets.
    pub memorisation: Option<Memorisation>,
    /// The bytes that were sent.
    pub federation: Option<Federation>,
    /// Rejected rows, by stage.
    pub rejected: BTreeMap<String, u64>,
    /// SHA-256 of each sink's rows.
    pub digest: BTreeMap<String, String>,
    /// 95 % intervals of figures, lower and upper end, by bootstrap over utterances or devices.
    pub intervals: BTreeMap<String, [f64; 2]>,
    /// Against a baseline.
    pub comparison: Option<Comparison>,
    /// The speed.
    pub speed: Speed,
    /// The resources.
    pub resources: Resources,
}

/// The quality of transcription.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transcription {
    /// Word errors for each word of the references.
    pub wer: Option<f64>,
    /// The same of utterances that the data set calls clean: clear speech without numbers.
    #[serde(default)]
    pub clean_wer: Option<f64>,
    /// Character errors for each character.
    pub cer: Option<f64>,
    /// Utterances with a reference.
    pub utterances: u64,
    /// Words of the references.
    pub words: u64,
    /// Words heard as others.
    pub substitutions: u64,
    /// Words transcribed that were not said.
    pub insertions: u64,
    /// Words not heard.
    pub deletions: u64,
    /// Seconds of audio taken in.
    pub audio_seconds: Option<f64>,
    /// Word error rate by device.
    pub devices: BTreeMap<String, Option<f64>>,
}

/// Figures of one kind of personal data, or of some.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Spans that should be found.
    pub gold: u64,
    /// Findings.
    pub found: u64,
    /// Right findings among all, IoU 0.5.
    pub precision: Option<f64>,
    /// Detection spans among all.
    pub recall: Option<f64>,
    /// Their harmonic mean.
    pub f1: Option<f64>,
    /// The same with recall weighing more.
    pub f2: Option<f64>,
    /// Findings with exactly the kind and place of a span.
    pub strict_precision: Option<f64>,
    /// Spans found so.
    pub strict_recall: Option<f64>,
    /// Findings with at least half of their characters in spans of any kind.
    pub blind_precision: Option<f64>,
    /// Spans covered wholly.
    pub whole: Option<f64>,
    /// Share of the spans' characters that nothing covers.
    pub leaked_chars: Option<f64>,
    /// Those characters.
    pub leaked: u64,
    /// Characters of the spans, blanks aside.
    pub chars: u64,
}

impl From<Counts> for Detection {
    fn from(c: Counts) -> Detection {
        Detection {
            gold: c.gold,
            found: c.found,
            precision: c.precision(),
            recall: c.recall(),
            f1: c.f(1.0),
            f2: c.f(2.0),
            strict_precision: rate(c.strict_right, c.found),
            strict_recall: rate(c.strict_hit, c.gold),
            blind_precision: rate(c.blind_right, c.found),
            whole: rate(c.whole, c.gold),
            leaked_chars: rate(c.leaked, c.chars),
            leaked: c.leaked,
            chars: c.chars,
        }
    }
}

/// The quality of redaction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Redaction {
    /// Over all kinds.
    #[serde(flatten)]
    pub all: Detection,
    /// Share of all texts' characters that are masked and in no span.
    pub over_masked_chars: Option<f64>,
    /// Those characters.
    pub over_masked: u64,
    /// Characters of all texts, blanks aside.
    pub text_chars: u64,
    /// Texts without personal data.
    pub negatives: u64,
    /// Of them: with a finding.
    pub negatives_masked: u64,
    /// Texts scored.
    pub texts: u64,
    /// Texts whose redacted form could not be laid over what was read, or never came: they count as if nothing was found.
    pub unmatched: u64,
    /// Over cards, phones and the like.
    pub core: Detection,
    /// Over all kinds that have a form.
    pub structured: Detection,
    /// By kind.
    pub kinds: BTreeMap<String, Detection>,
}

/// The worth of adapters: perplexities after the last round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Language {
    /// Of the base alone.
    pub base: Option<f64>,
    /// Of the global adapter.
    pub global: Option<f64>,
    /// Of the devices' own adapters, each on its own texts.
    pub personal: Option<f64>,
    /// Held-out tokens.
    pub tokens: u64,
    /// By round.
    pub rounds: Vec<LanguageRound>,
    /// By device, after the last round.
    pub devices: BTreeMap<String, Perplexity>,
}

/// One round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LanguageRound {
    /// Its number.
    pub round: u64,
    /// Devices that trained.
    pub devices: u64,
    /// Texts they trained on.
    pub examples: u64,
    /// Mean over devices, nats a token.
    pub loss_before: Option<f64>,
    /// The same after their steps.
    pub loss_after: Option<f64>,
    /// On held-out texts.
    pub perplexity: Perplexity,
}

/// The bytes that were sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Federation {
    /// Rounds in which devices trained.
    pub rounds: u64,
    /// Bytes of one upload, on average.
    pub upload_bytes: f64,
    /// Bytes it would have as plain f32.
    pub dense_bytes: f64,
    /// Bytes of all uploads and sums.
    pub bytes: u64,
    /// By the stage that sent them.
    pub tiers: BTreeMap<String, u64>,
    /// Updates that were refused.
    pub refused: u64,
    /// By round.
    pub by_round: Vec<RoundBytes>,
}

/// The speed. It differs from trial to trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// From start to end.
    pub wall_seconds: f64,
    /// Wall seconds for each second of audio.
    pub real_time_factor: Option<f64>,
    /// From the source to the last text, all input at once: rows wait for those before them.
    pub latency_ms: Option<Latency>,
}

/// Percentiles over utterances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half are faster.
    pub p50: f64,
    /// 95 of 100 are.
    pub p95: f64,
    /// 99 of 100 are.
    pub p99: f64,
}

/// The resources. They differ from trial to trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// By stage.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// The most memory that was resident at once.
    pub peak_rss_bytes: Option<u64>,
    /// Stores, adapters and state that the trial wrote.
    pub disk_bytes: u64,
}

impl Resources {
    /// CPU seconds of all stages together.
    pub fn all_cpu_seconds(&self) -> f64 {
        self.cpu_seconds.values().sum()
    }
}

impl Report {
    /// The report of an outcome, with the rows that stand for it.
    pub fn of(outcome: &Outcome, rows: &[UnitRow]) -> Report {
        Report {
            format: FORMAT.to_owned(),
            version: VERSION,
            pipeline: outcome.pipeline.clone(),
            dataset: outcome.dataset.clone(),
            rows: outcome.rows,
            transcription: transcription_of(outcome),
            redaction: redaction_of(outcome),
            language: language_of(outcome),
            memorisation: memorisation::together(&outcome.exposures),
            federation: federation_of(outcome),
            rejected: outcome.rejected.clone(),
            digest: outcome.digest.clone(),
            intervals: figures::intervals(rows),
            comparison: None,
            speed: speed_of(outcome),
            resources: Resources {
                cpu_seconds: outcome.cost.cpu_seconds.clone(),
                peak_rss_bytes: outcome.cost.peak_rss_bytes,
                disk_bytes: outcome.cost.disk_bytes,
            },
        }
    }

    /// The same report without what differs from trial to trial.
    pub fn timeless(&self) -> Report {
        Report { speed: Speed::default(), resources: Resources::default(), ..self.clone() }
    }
}

fn transcription_of(outcome: &Outcome) -> Option<Transcription> {
    let (mut all, mut clean) = (transcription::Scores::default(), transcription::Scores::default());
    let mut devices: BTreeMap<String, transcription::Scores> = BTreeMap::new();
    for said in &outcome.utterances {
        let (Some(reference), Some(heard)) = (&said.reference, &said.heard) else { continue };
        let scores = transcription::score(reference, heard);
        all.add(&scores);
        if said.clean {
            clean.add(&scores);
        }
        devices.entry(said.device.clone()).or_default().add(&scores);
    }
    (all.utterances > 0).then(|| Transcription {
        wer: all.words.rate(),
        clean_wer: clean.words.rate(),
        cer: all.chars.rate(),
        utterances: all.utterances,
        words: all.words.words as u64,
        substitutions: all.words.substitutions as u64,
        insertions: all.words.insertions as u64,
        deletions: all.words.deletions as u64,
        audio_seconds: outcome.audio_seconds,
        devices: devices.into_iter().map(|(device, scores)| (device, scores.words.rate())).collect(),
    })
}

fn redaction_of(outcome: &Outcome) -> Option<Redaction> {
    let (mut scores, mut texts, mut unmatched) = (Scores::default(), 0, 0);
    for said in &outcome.utterances {
        let (Some(redacted), Some(gold)) = (&said.redacted, &said.gold) else { continue };
        texts += 1;
        unmatched += u64::from(!redacted.passed);
        scores.add(&redaction::score(&redacted.original, gold, &said.allowed, &redacted.found));
    }
    let table = kinds::kinds();
    (texts > 0).then(|| Redaction {
        all: scores.sum(None).into(),
        over_masked_chars: rate(scores.over_masked, scores.text_chars),
        over_masked: scores.over_masked,
        text_chars: scores.text_chars,
        negatives: scores.negatives,
        negatives_masked: scores.negatives_masked,
        texts,
        unmatched,
        core: scores.sum(Some(&table.core)).into(),
        structured: scores.sum(Some(&table.structured)).into(),
        kinds: scores.kinds.iter().map(|(kind, counts)| (kind.clone(), (*counts).into())).collect(),
    })
}

fn language_of(outcome: &Outcome) -> Option<Language> {
    let rounds = language::rounds(&outcome.devices);
    let (_, last) = rounds.last_key_value()?;
    let of_last = language::sum(last);
    let Perplexity { base, global, personal } = of_last.perplexity();
    let line = |(round, devices): (&u64, &language::Round<'_>)| {
        let losses: Vec<(f64, f64)> = devices.values().filter_map(|(device, _)| device.losses).collect();
        let mean = |of: fn(&(f64, f64)) -> f64| {
            (!losses.is_empty()).then(|| losses.iter().map(of).sum::<f64>() / losses.len() as f64)
        };
        LanguageRound {
            round: *round,
            devices: devices.len() as u64,
            examples: devices.values().map(|(device, _)| device.examples).sum(),
            loss_before: mean(|(before, _)| *before),
            loss_after: mean(|(_, after)| *after),
            perplexity: language::sum(devices).perplexity(),
        }
    };
    Some(Language {
        base,
        global,
        personal,
        tokens: of_last.tokens,
        rounds: rounds.iter().map(line).collect(),
        devices: last.iter().map(|(name, (_, nats))| ((*name).to_owned(), nats.perplexity())).collect(),
    })
}

fn federation_of(outcome: &Outcome) -> Option<Federation> {
    let rounds = &outcome.rounds;
    if rounds.is_empty() {
        return None;
    }
    let mean = |of: fn(&RoundBytes) -> u64| rounds.iter().map(of).sum::<u64>() as f64 / rounds.len() as f64;
    let mut tiers: BTreeMap<String, u64> = BTreeMap::new();
    for (tier, bytes) in rounds.iter().flat_map(|round| &round.tiers) {
        *tiers.entry(tier.clone()).or_default() += bytes;
    }
    Some(Federation {
        rounds: rounds.len() as u64,
        upload_bytes: mean(|round| round.upload_bytes),
        dense_bytes: mean(|round| round.dense_bytes),
        bytes: tiers.values().sum(),
        refused: tiers.keys().filter_map(|stage| outcome.rejected.get(stage)).sum(),
        tiers,
        by_round: rounds.clone(),
    })
}

fn speed_of(outcome: &Outcome) -> Speed {
    let wall_seconds = outcome.cost.wall_seconds;
    let mut latencies: Vec<f64> = outcome.utterances.iter().filter_map(|said| said.latency_ms).collect();
    latencies.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let place = (latencies.len() * percent).div_ceil(100).max(1) - 1;
        latencies.get(place).copied().unwrap_or_default()
    };
    Speed {
        wall_seconds,
        real_time_factor: outcome
            .audio_seconds
            .filter(|audio| *audio > 0.0)
            .map(|audio| wall_seconds / audio),
        latency_ms: (!latencies.is_empty()).then(|| Latency { p50: at(50), p95: at(95), p99: at(99) }),
    }
}
