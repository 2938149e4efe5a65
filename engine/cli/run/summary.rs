//! What a run did, as a table for people and as JSON for scripts (docs/formats/summary.md).
//!
//! In: the run's report, word errors if recordings had texts. Out: one page. Field names are a promise: scripts rely on
//! them, new ones may be added, none change their meaning within a version.

use std::collections::BTreeMap;
use std::fmt::Write;

use headwater_contract::units::Epoch;
use headwater_runtime::metrics::Figures;
use headwater_runtime::plan::Plan;
use headwater_runtime::run::Report;
use serde::Serialize;

use super::hearing::HeardErrors;
use super::rounds::{self, Loop, RoundSummary};
use crate::quarantine::KeptCounts;
use crate::site::Settings;

/// Version of the JSON summary.
pub const VERSION: u32 = 1;

/// One stage's line.
#[derive(Clone, Debug, Serialize)]
pub struct StageSummary {
    /// Its kind.
    pub kind: &'static str,
    /// Rows that came in; for a source, that it gave.
    pub rows_in: u64,
    /// Rows that went out, over all ports.
    pub rows_out: u64,
    /// Rows set aside.
    pub rejected: u64,
    /// CPU time over all its threads.
    pub cpu_seconds: f64,
    /// The stage's own figures.
    pub figures: Figures,
}

/// What a run did.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Always `headwater-summary`.
    pub format: &'static str,
    /// [`VERSION`].
    pub version: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// How many processes ran it.
    pub processes: usize,
    /// Whether it was stopped before the end of its input.
    pub stopped: bool,
    /// By stage id.
    pub stages: BTreeMap<String, StageSummary>,
    /// Epochs that took effect.
    pub epochs: u64,
    /// Epochs that earlier runs had committed: this one began after them.
    pub epochs_before: u64,
    /// Whether an earlier run had come to the end of its input.
    #[serde(skip)]
    pub found_finished: bool,
    /// Seconds of audio taken in, silence included; nothing without audio.
    pub audio_seconds: Option<f64>,
    /// Seconds from the first to the last epoch.
    pub wall_seconds: f64,
    /// Wall seconds per second of audio.
    pub real_time_factor: Option<f64>,
    /// The most memory that was resident at once.
    pub peak_rss_bytes: Option<u64>,
    /// Word error rate over recordings marked clean and free of numbers.
    pub wer: Option<f64>,
    /// Word error rate over all recordings with a text.
    pub wer_all: Option<f64>,
    /// What came of each round; empty where nothing is trained.
    pub rounds: Vec<RoundSummary>,
    /// Stages that sent something, from the devices upwards.
    #[serde(skip)]
    pub tiers: Vec<String>,
    /// SHA-256 of the newest published adapter's parameters.
    pub adapter_sha256: Option<String>,
    /// Rejected rows that the quarantine took.
    pub quarantined: KeptCounts,
    /// By sink: SHA-256 over its rows in sorted order.
    pub digest: BTreeMap<String, String>,
}

impl Summary {
    /// The summary of a finished run.
    pub fn new(
        plan: &Plan,
        report: &Report,
        errors: Option<HeardErrors>,
        learnt: Loop,
        quarantined: KeptCounts,
    ) -> Self {
        let stages: BTreeMap<String, StageSummary> = plan
            .stages
            .iter()
            .zip(&report.counts.stages)
            .map(|(stage, counts)| {
                let summary = StageSummary {
                    kind: stage.kind.name(),
                    rows_in: counts.rows_in,
                    rows_out: counts.rows_out,
                    rejected: counts.rejected,
                    cpu_seconds: counts.cpu.as_secs_f64(),
                    figures: counts.figures.clone(),
                };
                (stage.id.clone(), summary)
            })
            .collect();
        let audio_ms: u64 = stages.values().filter_map(|s| s.figures.get("audio_ms")).sum();
        let audio_seconds = (audio_ms > 0).then_some(audio_ms as f64 / 1000.0);
        let wall_seconds = report.wall.as_secs_f64();
        Summary {
            format: "headwater-summary",
            version: VERSION,
            pipeline: plan.name.clone(),
            processes: report.processes,
            stopped: report.stopped,
            stages,
            epochs: report.counts.epochs_done,
            epochs_before: 0,
            found_finished: false,
            audio_seconds,
            wall_seconds,
            real_time_factor: audio_seconds.map(|audio| wall_seconds / audio),
            peak_rss_bytes: peak_rss(),
            wer: errors.and_then(|e| e.clean.rate()),
            wer_all: errors.and_then(|e| e.all.rate()),
            rounds: learnt.rounds,
            tiers: learnt.tiers,
            adapter_sha256: learnt.adapter_sha256,
            quarantined,
            digest: report.digests.clone(),
        }
    }

    /// The same of a run that began after these epochs, and whether it found its input finished.
    pub fn after(self, begun: Option<(Epoch, bool)>) -> Self {
        let (first, found_finished) = begun.unwrap_or_default();
        let epochs = self.epochs.saturating_sub(first.0);
        let told = Summary { epochs, epochs_before: first.0, found_finished, ..self };
        if !told.nothing_new() {
            return told;
        }
        // What was heard again to see that nothing is new says nothing of this run.
        Summary { audio_seconds: None, real_time_factor: None, wer: None, wer_all: None, ..told }
    }

    /// Whether an earlier run had taken in everything.
    fn nothing_new(&self) -> bool {
        self.found_finished && self.epochs == 0
    }

    /// What an earlier run left, and what of it this one went on with.
    fn write_before(&self, text: &mut String) -> std::fmt::Result {
        if self.nothing_new() {
            return writeln!(
                text,
                "before     {} epochs, to the end of the input: nothing is new since (run --fresh begins anew)",
                self.epochs_before
            );
        }
        if self.epochs_before > 0 {
            writeln!(
                text,
                "before     {} epochs were committed by earlier runs: this one went on",
                self.epochs_before
            )?;
        }
        Ok(())
    }

    /// The summary for people.
    pub fn table(&self, plan: &Plan, settings: &Settings) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_table(&mut text, plan, settings);
        text
    }

    fn write_table(&self, text: &mut String, plan: &Plan, settings: &Settings) -> std::fmt::Result {
        let widest = plan.stages.iter().map(|s| s.id.len()).max().unwrap_or(5).max(5);
        writeln!(
            text,
            "{:widest$}  {:>8} {:>8} {:>8} {:>9} {:>10}",
            "stage", "rows in", "out", "rejected", "CPU s", "rows/s"
        )?;
        for stage in &plan.stages {
            let Some(s) = self.stages.get(&stage.id) else { continue };
            let rate = format!("{:.1}", s.rows_in as f64 / self.wall_seconds.max(0.001));
            write!(
                text,
                "{:widest$}  {:>8} {:>8} {:>8} {:>9.3} {:>10}",
                stage.id, s.rows_in, s.rows_out, s.rejected, s.cpu_seconds, rate
            )?;
            let figures: Vec<String> =
                s.figures.iter().map(|(name, n)| format!("{} {n}", name.replace('_', " "))).collect();
            writeln!(text, "{}{}", if figures.is_empty() { "" } else { "  " }, figures.join(", "))?;
        }
        writeln!(text)?;
        self.write_before(text)?;
        if !self.rounds.is_empty() {
            writeln!(text, "{}", rounds::table(&self.rounds, &self.tiers))?;
        }
        if let (Some(audio), Some(factor)) = (self.audio_seconds, self.real_time_factor) {
            writeln!(
                text,
                "audio      {audio:.1} s in {:.1} s: {:.1} times real time",
                self.wall_seconds,
                1.0 / factor.max(1e-9)
            )?;
        } else {
            writeln!(text, "time       {:.2} s", self.wall_seconds)?;
        }
        if let Some(bytes) = self.peak_rss_bytes {
            writeln!(text, "memory     {} MiB at most", bytes >> 20)?;
        }
        let percent = |rate: Option<f64>| rate.map_or("-".into(), |r| format!("{:.1} %", r * 100.0));
        if self.wer_all.is_some() {
            writeln!(
                text,
                "words      {} wrong in clean recordings, {} in all",
                percent(self.wer),
                percent(self.wer_all)
            )?;
        }
        for (sink, digest) in &self.digest {
            writeln!(text, "digest     {sink} {digest}")?;
        }
        if let Some(digest) = &self.adapter_sha256 {
            writeln!(text, "adapter    {digest}")?;
        }
        let KeptCounts { new, known } = self.quarantined;
        if new + known > 0 {
            writeln!(
                text,
                "set aside  {new} rows in the quarantine ({known} were there before): headwater quarantine ls {}",
                plan.name
            )?;
        }
        if self.stopped {
            writeln!(text, "stopped    before the end of the input: the next run goes on from here")?;
        }
        for stage in plan.stages.iter().filter(|s| s.kind.name() == "store") {
            let path = stage.options.get("path").and_then(|p| p.as_str()).unwrap_or_default();
            writeln!(
                text,
                "store      {path}  (root key: {}; without it the store cannot be read)",
                settings.key_file.display()
            )?;
            writeln!(text, "read it    headwater store cat {path}")?;
        }
        Ok(())
    }
}

/// The most memory that was resident at once, where the system tells.
pub(crate) fn peak_rss() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
