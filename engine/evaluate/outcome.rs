//! The outcome of a trial: every utterance with all that was made of it, every device's rounds, and the cost.
//!
//! In: the caller that ran the trial fills it in. It must not know where a row came from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A trial of a pipeline over a data set.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The pipeline's name.
    pub pipeline: String,
    /// The data set's name.
    pub dataset: String,
    /// Rows of the data set.
    pub rows: u64,
    /// One for each row, in the order of the data set.
    pub utterances: Vec<Utterance>,
    /// The measurements of adapters, by device and round.
    pub devices: Vec<DeviceRound>,
    /// The bytes that were sent, by round.
    pub rounds: Vec<RoundBytes>,
    /// Rejected rows, by stage.
    pub rejected: BTreeMap<String, u64>,
    /// The exposures of planted secrets in each model.
    pub exposures: Vec<Exposure>,
    /// Seconds of audio taken in.
    pub audio_seconds: Option<f64>,
    /// The digest of each sink.
    pub digest: BTreeMap<String, String>,
    /// The cost.
    pub cost: Cost,
}

/// A row of the data set, and what became of it. All offsets count characters.
#[derive(Clone, Debug, Default)]
pub struct Utterance {
    /// Its id in the data set.
    pub id: String,
    /// The device.
    pub device: String,
    /// The spoken text, where it is known and the pipeline transcribes it.
    pub reference: Option<String>,
    /// True if the data set calls it clear speech without numbers.
    pub clean: bool,
    /// The transcript, where the pipeline transcribes.
    pub heard: Option<String>,
    /// The redactor's input and output, where the pipeline has one.
    pub redacted: Option<Redacted>,
    /// The spans of personal data in the redactor's input, where they are known.
    pub gold: Option<Vec<Span>>,
    /// Kinds that may be found and count neither for nor against.
    pub allowed: Vec<String>,
    /// Its duration.
    pub seconds: Option<f64>,
    /// The time from the source to the last text.
    pub latency_ms: Option<f64>,
}

/// A text before and after redaction.
#[derive(Clone, Debug, Default)]
pub struct Redacted {
    /// The input.
    pub original: String,
    /// The output.
    pub text: String,
    /// The spans of the output that replace a value.
    pub tags: Vec<Span>,
    /// The spans of the input that were masked.
    pub found: Vec<Span>,
    /// True if the row came out at all.
    pub passed: bool,
}

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The kind of the value.
    pub kind: String,
    /// Its first character.
    pub start: usize,
    /// The character behind its last.
    pub end: usize,
    /// True if finding it and not finding it are both right.
    pub optional: bool,
}

impl Span {
    /// A span that must be found.
    pub fn new(kind: impl Into<String>, start: usize, end: usize) -> Self {
        Span { kind: kind.into(), start, end, optional: false }
    }
}

/// The losses of a device's held-out texts in a round: sums of nats over its tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceRound {
    /// The device.
    pub device: String,
    /// The round.
    pub round: u64,
    /// Texts it trained on.
    pub examples: u64,
    /// Held-out tokens.
    pub tokens: u64,
    /// With the base alone.
    pub base: f64,
    /// With the global adapter that the round began with.
    pub start: f64,
    /// With its own adapter after its steps.
    pub own: f64,
    /// Mean loss before its steps, and after; where it took some.
    pub losses: Option<(f64, f64)>,
    /// Bytes it sent up.
    pub upload_bytes: u64,
}

/// The bytes that were sent in a round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RoundBytes {
    /// The round.
    pub round: u64,
    /// Bytes of one upload, on average.
    pub upload_bytes: u64,
    /// Bytes that it would have as plain f32.
    pub dense_bytes: u64,
    /// Bytes of all that a stage sent.
    pub tiers: BTreeMap<String, u64>,
}

/// The exposure of a planted secret in a model: log2 of how many random secrets there are to each that is at least as probable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exposure {
    /// Its place in the manifest, from 0.
    pub canary: usize,
    /// Its group, if the manifest says one.
    #[serde(default)]
    pub group: Option<String>,
    /// In how many rows it stands.
    pub copies: u64,
    /// `base`, `global`, or a device.
    pub model: String,
    /// Of so many secrets, its own among them, that were compared.
    pub compared: u64,
    /// Its rank by probability, from 1.
    pub rank: u64,
    /// log2(compared) - log2(rank).
    pub exposure: f64,
}

/// The cost of a trial: the only part that differs from trial to trial.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// From start to end, models loaded before.
    pub wall_seconds: f64,
    /// CPU time of each stage.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// The most memory that was resident at once.
    pub peak_rss_bytes: Option<u64>,
    /// Bytes that the trial left on disk: stores, adapters.
    pub disk_bytes: u64,
}
