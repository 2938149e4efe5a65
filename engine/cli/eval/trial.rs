//! One trial: a pipeline, run once from its beginning over a data set, with nothing left but what is scored.
//!
//! In: a file, options, a data set. Out: its outcome. Its state, key, stores and adapters lie in a folder of the trial, which is temporary.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use headwater_contract::{StageError, StageFactory};
use headwater_datasets::dataset::{Dataset, Row};
use headwater_evaluate::outcome::{Cost, Outcome, Redacted, RoundBytes, Span, Utterance};
use headwater_evaluate::spans;
use headwater_runtime::metrics::StageCounts;
use headwater_runtime::plan::Plan;
use headwater_runtime::run::{self, Report, RunOptions};
use headwater_stages::redact::{Entities, Finding, Profile, Scanner, Style};
use headwater_stages::train::personal;
use headwater_vault::KeyFile;

use super::input;
use super::memory::{self, Left};
use super::scored::Scored;
use super::watch::{Observations, Sight, Watch};
use super::{EvalArgs, Stopped, unwritten};
use crate::elsewhere;
use crate::exit::Exit;
use crate::quarantine::QuarantineLog;
use crate::run::rounds::{Loop, Rounds};
use crate::run::{RunArgs, plan_of};
use crate::site::Settings;

/// The result of a trial.
pub(super) struct Tried {
    pub outcome: Outcome,
}

/// The folder of a trial; deleted when it is dropped.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new(out: &Path) -> Result<TemporaryFolder, Stopped> {
        let folder = out.join(format!("trial-{}.tmp", std::process::id()));
        // What a trial that was killed left.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(|error| unwritten(&folder, error))?;
        folder.canonicalize().map(TemporaryFolder).map_err(|error| unwritten(&folder, error))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the trial's folder stays");
        }
    }
}

/// Returns true if the file can be run with these options; what is wrong is reported.
pub(super) fn can_be(
    args: &EvalArgs,
    set: &[(String, String)],
    kinds: &[StageFactory],
) -> Result<(), Stopped> {
    plan_of(&asked(args, &args.file, set), kinds).map(drop).map_err(Stopped)
}

/// The run of a file with these options beside those of the command line.
fn asked(args: &EvalArgs, file: &Path, set: &[(String, String)]) -> RunArgs {
    let set = args.set.iter().chain(set).cloned().collect();
    RunArgs { file: file.to_owned(), params: args.params.clone(), set, ..RunArgs::default() }
}

/// Runs a file over a data set.
pub(super) fn run(
    args: &EvalArgs,
    file: &Path,
    set: &[(String, String)],
    dataset: &Dataset,
    settings: &Settings,
    kinds: &[StageFactory],
) -> Result<Tried, Stopped> {
    let workshop = TemporaryFolder::new(&args.out)?;
    let mut asked = asked(args, file, set);
    let plan = plan_of(&asked, kinds).map_err(Stopped)?;
    elsewhere::may_be_tried(&plan, &asked.set, &args.allow_writes)?;
    let input = input::lay(&plan, args.source.as_deref(), dataset, &workshop.0.join("input"))?;
    asked.set.extend(input.set.iter().cloned());
    asked.set.extend(input::redirected(&plan, &workshop.0.join("kept"), !dataset.canaries.is_empty()));
    let plan = Arc::new(plan_of(&asked, kinds).map_err(Stopped)?);
    let scored = Scored::of(&plan, &args.scored, file == args.file)?;
    let watch = Watch::of(&plan, Arc::new(input), &scored);
    let rounds = scored.trains.map(|train| Rounds::of_stage(&plan, train));
    let mut settings = settings.clone();
    (settings.state, settings.key_file) = (workshop.0.join("state"), workshop.0.join("root.key"));
    let report = ran(&plan, &watch, rounds.as_ref(), &settings)?;
    let disk = size(&workshop.0.join("kept")) + size(&workshop.0.join("state"));
    let trained = rounds.map(Rounds::finish).unwrap_or_default();
    let mut outcome = outcome(&plan, dataset, watch, &report, &trained, disk);
    if let Some(train) = scored.trains {
        let left = Left {
            options: &train.options,
            published: &workshop.0.join("kept").join(&train.id),
            personal: &personal::folder(&settings.site(&plan.name), &train.id),
            key_file: &settings.key_file,
        };
        outcome.exposures = memory::exposures(&dataset.canaries, &left)?;
    }
    Ok(Tried { outcome })
}

fn ran(
    plan: &Arc<Plan>,
    watch: &Watch,
    rounds: Option<&Rounds>,
    settings: &Settings,
) -> Result<Report, Stopped> {
    let site = settings.site(&plan.name);
    // Made in a temporary folder: no user needs to know of the new key.
    KeyFile::at(&settings.key_file).read_or_create().map_err(|error| StageError::new(error.to_string()))?;
    if let Err(missing) = run::ready(plan, &site) {
        for failure in missing {
            eprintln!("error: {failure}");
        }
        return Err(Stopped(Exit::Failed));
    }
    let keeper = QuarantineLog::of(&site);
    // The highest memory is this trial's, not that of one before. Where the system does not know how, it stays.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let mut options = RunOptions::new(plan, site);
    options.workers = settings.workers;
    options.quarantine = Some(Arc::new(Mutex::new(keeper)));
    options.taps = watch.taps();
    options.taps.extend(rounds.into_iter().flat_map(Rounds::taps));
    crate::run::stop_on_signals(&options.stopping);
    let report = run::run(plan.clone(), options).map_err(|failure| {
        eprintln!("error: {failure}");
        Stopped(Exit::Failed)
    })?;
    if report.stopped {
        eprintln!("error: it was stopped before the end of the data set: there is no report");
        return Err(Stopped(Exit::Failed));
    }
    Ok(report)
}

/// CPU time of a stage. What it does on threads that the engine does not know, it counts itself.
fn cpu_seconds(counts: &StageCounts) -> f64 {
    let own = counts.metrics.get("training_ms").copied().unwrap_or_default();
    counts.cpu.as_secs_f64() + own as f64 / 1000.0
}

/// Bytes of all files below a folder.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}

fn outcome(
    plan: &Plan,
    dataset: &Dataset,
    watch: Watch,
    report: &Report,
    trained: &Loop,
    disk: u64,
) -> Outcome {
    let (hears, redacts, profile) = (watch.hears, watch.redacts, watch.profile.clone());
    let mut sight: Sight = watch.finish();
    let profile = if profile.as_deref() == Some("text") { Profile::Text } else { Profile::Transcript };
    let scanner = Scanner::new(profile, Style::Tag, Entities::usual());
    let spoken = dataset.rows.iter().any(|row| !row.entities.is_empty());
    let utterance = |(at, row): (usize, &Row)| {
        let seen = sight.rows.remove(&at).unwrap_or_default();
        said(row, &seen, UtteranceSources { hears, redacts, spoken, scanner: &scanner })
    };
    let utterances = dataset.rows.iter().enumerate().map(utterance).collect();
    let counts = || plan.stages.iter().zip(&report.counts.stages);
    let audio_ms: u64 = counts().filter_map(|(_, counts)| counts.metrics.get("audio_ms")).sum();
    let round = |r: &crate::run::rounds::RoundSummary| RoundBytes {
        round: r.round,
        upload_bytes: r.upload_bytes,
        dense_bytes: r.dense_bytes,
        tiers: r.tiers.clone(),
    };
    Outcome {
        pipeline: plan.name.clone(),
        dataset: dataset.name.clone(),
        rows: dataset.rows.len() as u64,
        utterances,
        devices: sight.devices.into_values().collect(),
        rounds: trained.rounds.iter().map(round).collect(),
        rejected: counts().map(|(stage, counts)| (stage.id.clone(), counts.rejected)).collect(),
        exposures: Vec::new(),
        audio_seconds: (audio_ms > 0).then_some(audio_ms as f64 / 1000.0),
        digest: report.digests.clone(),
        cost: Cost {
            wall_seconds: report.wall.as_secs_f64(),
            cpu_seconds: counts().map(|(stage, counts)| (stage.id.clone(), cpu_seconds(counts))).collect(),
            peak_rss_bytes: crate::run::summary::peak_rss(),
            disk_bytes: disk,
        },
    }
}

/// The parts of a trial that describe a row.
struct UtteranceSources<'t> {
    hears: bool,
    redacts: bool,
    /// True if the data set names spoken values: then a row without any has none.
    spoken: bool,
    scanner: &'t Scanner,
}

fn said(row: &Row, seen: &Observations, sources: UtteranceSources<'_>) -> Utterance {
    let heard = sources.hears.then(|| joined(seen.heard.values()));
    let redacted = sources.redacts.then(|| match &row.text {
        // It was rejected before it was read: nothing of it was taken out.
        Some(text) if seen.read.is_empty() && !sources.hears => {
            Redacted { original: text.clone(), ..Redacted::default() }
        }
        _ => redacted(seen, sources.scanner),
    });
    let gold = gold(row, sources.spoken).map(|gold| match (&redacted, &row.text) {
        (Some(redacted), Some(text)) if sources.hears => spans::heard(text, &redacted.original, &gold),
        _ => gold,
    });
    Utterance {
        id: row.id.clone(),
        device: input::device(row).to_owned(),
        reference: row.text.clone().filter(|text| sources.hears && !text.is_empty()),
        clean: row.clean,
        heard,
        redacted,
        gold,
        allowed: row.allowed.clone(),
        seconds: row.seconds,
        latency_ms: seen
            .began
            .zip(seen.ended)
            .map(|(from, to)| to.saturating_sub(from).as_secs_f64() * 1000.0),
    }
}

fn joined<'t>(texts: impl Iterator<Item = &'t String>) -> String {
    texts.map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Returns the redactor's findings in all results of a row.
fn redacted(seen: &Observations, scanner: &Scanner) -> Redacted {
    let mut all = Redacted { passed: true, ..Redacted::default() };
    for (place, original) in &seen.read {
        if !all.original.is_empty() {
            all.original.push(' ');
            all.text.push(' ');
        }
        let (from, to) = (all.original.chars().count(), all.text.chars().count());
        let moved =
            |span: &Span, by: usize| Span { start: span.start + by, end: span.end + by, ..span.clone() };
        match seen.redacted.get(place) {
            Some((text, tags)) => {
                let hints: Vec<Span> = scanner.scan(original).iter().map(|f| hint(f, original)).collect();
                match spans::taken_out(original, text, tags, &hints) {
                    Some(found) => all.found.extend(found.iter().map(|span| moved(span, from))),
                    None => all.passed = false,
                }
                all.tags.extend(tags.iter().map(|span| moved(span, to)));
                all.text += text;
            }
            None => all.passed = false,
        }
        all.original += original;
    }
    all
}

/// A finding as a span of characters.
fn hint(finding: &Finding, text: &str) -> Span {
    let chars = |bytes: usize| text.char_indices().take_while(|(at, _)| *at < bytes).count();
    Span::new(finding.kind.name(), chars(finding.start), chars(finding.end))
}

/// Returns the spans of personal data in a row's text, if they are known.
fn gold(row: &Row, spoken: bool) -> Option<Vec<Span>> {
    if let Some(spans) = &row.spans {
        let span = |s: &headwater_datasets::dataset::Span| Span {
            kind: s.kind.clone(),
            start: s.start,
            end: s.end,
            optional: s.optional,
        };
        return Some(spans.iter().map(span).collect());
    }
    let text = row.text.as_ref().filter(|_| spoken)?;
    let mut gold: Vec<Span> = Vec::new();
    for entity in &row.entities {
        if let Some((start, end)) = spans::find(text, &entity.spoken, &gold) {
            gold.push(Span::new(entity.kind.clone(), start, end));
        }
    }
    Some(gold)
}
