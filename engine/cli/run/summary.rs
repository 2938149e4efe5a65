//! The summary of a run, as a table for people and as JSON for scripts (docs/formats/summary.md).
//!
//! In: the run's report, word errors if recordings had texts. Out: one page. Field names are a promise: scripts rely on
//! them, new ones may be added, none change their meaning within a version.

use std::collections::BTreeMap;
use std::fmt::Write;

use headwater_contract::quoted;
use headwater_contract::units::Epoch;
use headwater_runtime::metrics::MetricValues;
use headwater_runtime::plan::Plan;
use headwater_runtime::run::Report;
use serde::Serialize;

use super::rounds::{self, Loop, RoundSummary};
use super::word_errors::WerTotals;
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
    /// Rejected rows.
    pub rejected: u64,
    /// CPU time over all its threads.
    pub cpu_seconds: f64,
    /// The stage's own figures.
    pub figures: MetricValues,
}

/// The summary of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Always `headwater-summary`.
    pub format: &'static str,
    /// [`VERSION`].
    pub version: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// The number of processes that ran it.
    pub processes: usize,
    /// True if it was stopped before the end of its input.
    pub stopped: bool,
    /// By stage id.
    pub stages: BTreeMap<String, StageSummary>,
    /// Epochs that took effect.
    pub epochs: u64,
    /// Epochs that earlier runs had committed: this one began after them.
    pub epochs_before: u64,
    /// True if an earlier run had come to the end of its input.
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
    /// Recordings with a text that this run heard from beginning to end: those that the rates are over.
    pub wer_recordings: Option<u64>,
    /// Recordings with a text in the manifest.
    #[serde(skip)]
    pub wer_of: u64,
    /// The results of each round; empty where nothing is trained.
    pub rounds: Vec<RoundSummary>,
    /// Stages that sent something, from the devices upwards.
    #[serde(skip)]
    pub tiers: Vec<String>,
    /// SHA-256 of the newest published adapter's parameters.
    pub adapter_sha256: Option<String>,
    /// Rejected rows that the quarantine took.
    pub quarantined: KeptCounts,
    /// By sink: the digest of all its rows, with those of earlier runs.
    pub digest: BTreeMap<String, String>,
}

impl Summary {
    /// The summary of a finished run.
    pub fn new(
        plan: &Plan,
        report: &Report,
        errors: Option<WerTotals>,
        trained: Loop,
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
                    figures: counts.metrics.clone(),
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
            // Input that goes on waits most of its time: how long that was says nothing of speed.
            real_time_factor: audio_seconds.filter(|_| !plan.is_endless()).map(|audio| wall_seconds / audio),
            peak_rss_bytes: peak_rss(),
            wer: errors.and_then(|e| e.clean.rate()),
            wer_all: errors.and_then(|e| e.all.rate()),
            wer_recordings: errors.map(|e| e.recordings),
            wer_of: errors.map(|e| e.of).unwrap_or_default(),
            rounds: trained.rounds,
            tiers: trained.tiers,
            adapter_sha256: trained.adapter_sha256,
            quarantined,
            digest: report.digests.clone(),
        }
    }

    /// The same of a run that began after these epochs, and whether it found its input finished.
    pub fn after(self, begun: Option<(Epoch, bool)>) -> Self {
        let (first, found_finished) = begun.unwrap_or_default();
        let epochs = self.epochs.saturating_sub(first.0);
        let summary = Summary { epochs, epochs_before: first.0, found_finished, ..self };
        if !summary.nothing_new() {
            return summary;
        }
        // What was heard again to see that nothing is new says nothing of this run.
        Summary {
            audio_seconds: None,
            real_time_factor: None,
            wer: None,
            wer_all: None,
            wer_recordings: None,
            ..summary
        }
    }

    /// Returns true if an earlier run had taken in everything.
    fn nothing_new(&self) -> bool {
        self.found_finished && self.epochs == 0
    }

    /// Writes the lines about the state that an earlier run left.
    fn write_before(&self, text: &mut String, afresh: &str) -> std::fmt::Result {
        if self.nothing_new() {
            return writeln!(
                text,
                "before     {} epochs, to the end of the input: nothing is new since\nagain      {afresh}",
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

    /// The summary for people; `afresh` is the command that begins from scratch.
    pub fn table(&self, plan: &Plan, settings: &Settings, afresh: &str) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_table(&mut text, plan, settings, afresh);
        text
    }

    fn write_table(
        &self,
        text: &mut String,
        plan: &Plan,
        settings: &Settings,
        afresh: &str,
    ) -> std::fmt::Result {
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
        self.write_before(text, afresh)?;
        if !self.rounds.is_empty() {
            writeln!(text, "{}", rounds::table(&self.rounds, &self.tiers))?;
        } else if !self.nothing_new() && plan.stages.iter().any(|stage| stage.kind.name() == "train") {
            writeln!(text, "rounds     nothing was learned: no device took part in any")?;
        }
        if let (Some(audio), Some(factor)) = (self.audio_seconds, self.real_time_factor) {
            writeln!(
                text,
                "audio      {audio:.1} s in {:.1} s: {:.1} times real time",
                self.wall_seconds,
                1.0 / factor.max(1e-9)
            )?;
        } else if let Some(audio) = self.audio_seconds {
            writeln!(text, "audio      {audio:.1} s in {:.1} s", self.wall_seconds)?;
        } else {
            writeln!(text, "time       {:.2} s", self.wall_seconds)?;
        }
        if let Some(bytes) = self.peak_rss_bytes {
            writeln!(text, "memory     {} MiB at most", bytes >> 20)?;
        }
        let percent = |rate: Option<f64>| rate.map_or("-".into(), |r| format!("{:.1} %", r * 100.0));
        if self.wer_all.is_some() {
            let (heard, of) = (self.wer_recordings.unwrap_or_default(), self.wer_of);
            let part = if heard < of {
                format!(", of the {heard} of {of} recordings that this run heard from beginning to end")
            } else {
                String::new()
            };
            writeln!(
                text,
                "words      {} wrong in clean recordings, {} in all{part}",
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
                "rejected   {new} rows in the quarantine ({known} were there before): {}",
                settings.command(&format!("quarantine ls {}", plan.name))
            )?;
        }
        if self.stopped {
            writeln!(text, "stopped    before the end of the input: the next run goes on from here")?;
        }
        for stage in plan.stages.iter().filter(|s| s.kind.name() == "store") {
            let option = |name: &str| stage.options.get(name).and_then(|value| value.as_str());
            let path = option("path").unwrap_or_default();
            let own = option("key_file");
            let key = own.map_or_else(|| settings.key_file.display().to_string(), str::to_owned);
            writeln!(text, "store      {path}  (root key: {key}; without it the store cannot be read)")?;
            let read = format!("store cat {}", quoted(path));
            let read = match own {
                Some(key) => format!("headwater {read} --key-file {}", quoted(key)),
                None => settings.command(&read),
            };
            writeln!(text, "read it    {read}")?;
        }
        Ok(())
    }
}

/// The most memory that was resident at once, where the system reports it.
pub(crate) fn peak_rss() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
