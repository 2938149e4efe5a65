//! The verb `eval`: a pipeline over a data set, scored.
//!
//! In: a pipeline file and a data set. Out: a folder with report.json, report.parquet and report.html (docs/formats/report.md). The
//! file is not edited: its source reads the data set, its stores and adapters lie in a temporary folder. Exit code 4: what must not be
//! is so.

mod input;
mod memory;
mod scored;
mod sweep;
mod trial;
mod watch;

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use headwater_contract::{StageError, StageFactory};
use headwater_datasets::dataset::{Dataset, Fault, Select};
use headwater_evaluate::compare::{Comparison, compare};
use headwater_evaluate::condition::{Broken, Condition};
use headwater_evaluate::page;
use headwater_evaluate::report::Report;
use headwater_evaluate::table::{self, UnitRow};

use crate::exit::Exit;
use crate::site::Settings;
use trial::Tried;

/// The arguments of `eval`.
#[derive(Clone, Debug, clap::Args)]
pub struct EvalArgs {
    /// The pipeline file
    #[arg(value_hint = clap::ValueHint::FilePath)]
    pub file: PathBuf,
    /// The data set: a folder or a file (see `headwater dataset`)
    #[arg(long, value_name = "PATH")]
    pub dataset: PathBuf,
    /// Where the report is written
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Only rows of this split
    #[arg(long, value_name = "NAME", help_heading = "Rows")]
    pub split: Option<String>,
    /// Only rows of this file of the data set
    #[arg(long, value_name = "FILE", help_heading = "Rows")]
    pub rows: Option<PathBuf>,
    /// The source that reads the data set, where the file has more than one
    #[arg(long, value_name = "ID", help_heading = "Rows")]
    pub source: Option<String>,
    /// The stage that is scored, where the file has several of its kind; may be given for each kind
    #[arg(long = "score", value_name = "ID", help_heading = "Rows")]
    pub scored: Vec<String>,
    /// What it is compared with: another pipeline file, or a report.json
    #[arg(long, value_name = "FILE", help_heading = "Verdict")]
    pub baseline: Option<PathBuf>,
    /// Fail (exit code 4) if this holds, such as "wer > 0.2"
    #[arg(long, value_name = "CONDITION", value_parser = condition, help_heading = "Verdict")]
    pub fail_if: Vec<Condition>,
    /// Fail (exit code 4) if a figure is worse than the baseline's, beyond chance
    #[arg(long, requires = "baseline", help_heading = "Verdict")]
    pub fail_on_regression: bool,
    /// Try each value of an option: stage.ID.OPTION=VALUE,VALUE,...
    #[arg(long, value_name = "PATH=VALUES", conflicts_with_all = ["baseline"])]
    pub sweep: Vec<String>,
    /// Let a stage of your own that may keep rows write where the file says, in the trial too; may be given several times
    #[arg(long = "allow-writes", value_name = "ID")]
    pub allow_writes: Vec<String>,
    /// Show raw texts in the page
    #[arg(long)]
    pub show_raw: bool,
    /// Worker threads
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Set an option: stage.ID.OPTION=VALUE
    #[arg(long, value_name = "PATH=VALUE", value_parser = crate::pipeline::pair)]
    pub set: Vec<(String, String)>,
    /// Set a param: NAME=VALUE
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = crate::pipeline::pair)]
    pub params: Vec<(String, String)>,
    /// No display, no figures
    #[arg(long, short)]
    pub quiet: bool,
}

fn condition(text: &str) -> Result<Condition, String> {
    text.parse().map_err(|error: headwater_evaluate::condition::ConditionError| error.to_string())
}

/// Why there is no report: the exit code, after messages.
pub(super) struct Stopped(pub Exit);

impl From<StageError> for Stopped {
    fn from(error: StageError) -> Stopped {
        eprintln!("error: {error}");
        Stopped(Exit::Failed)
    }
}

/// A file that could not be written.
pub(super) fn unwritten(path: &Path, error: impl std::fmt::Display) -> Stopped {
    eprintln!("error: {} cannot be written: {error}", path.display());
    Stopped(Exit::CouldNotLook)
}

/// Runs, scores, writes; gives the exit code.
pub fn run(args: &EvalArgs, settings: &Settings, kinds: &[StageFactory], out: &mut dyn Write) -> Exit {
    evaluated(args, settings, kinds, out).unwrap_or_else(|Stopped(code)| code)
}

fn evaluated(
    args: &EvalArgs,
    settings: &Settings,
    kinds: &[StageFactory],
    out: &mut dyn Write,
) -> Result<Exit, Stopped> {
    let select = Select { split: args.split.clone(), file: args.rows.clone() };
    let dataset = Dataset::open(&args.dataset, &select).map_err(|faults| tell(&faults))?;
    std::fs::create_dir_all(&args.out).map_err(|error| unwritten(&args.out, error))?;
    if !args.sweep.is_empty() {
        return sweep::run(args, &dataset, settings, kinds, out);
    }
    let ours = trial::run(args, &args.file, &[], &dataset, settings, kinds)?;
    let rows = table::rows(&ours.outcome);
    let mut report = Report::of(&ours.outcome, &rows);
    if let Some(baseline) = &args.baseline {
        report.comparison = Some(against(args, baseline, (&report, &rows), &dataset, settings, kinds)?);
    }
    write(args, &ours, &report, &rows)?;
    if !args.quiet {
        let _ = out.write_all(printed(args, &report).as_bytes());
    }
    verdict(args, &report, out)
}

pub(super) fn tell(faults: &[Fault]) -> Stopped {
    for fault in faults {
        eprintln!("error: {fault}");
    }
    Stopped(Exit::Failed)
}

/// The comparison with a baseline: one that was reported, or one that is tried now on the same rows.
fn against(
    args: &EvalArgs,
    baseline: &Path,
    ours: (&Report, &[UnitRow]),
    dataset: &Dataset,
    settings: &Settings,
    kinds: &[StageFactory],
) -> Result<Comparison, Stopped> {
    if baseline.extension().is_some_and(|suffix| suffix == "json") {
        let wrong = |what: String| StageError::new(format!("`{}` is no report: {what}", baseline.display()));
        let text = std::fs::read_to_string(baseline).map_err(|error| wrong(error.to_string()))?;
        let report: Report = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let beside = baseline.with_extension("parquet");
        let rows = match table::read(&beside) {
            Ok(rows) => rows,
            Err(error) => {
                eprintln!("warning: {error}; figures are compared without intervals");
                Vec::new()
            }
        };
        return Ok(compare(ours, (&report, &rows)));
    }
    let others = trial::run(args, baseline, &[], dataset, settings, kinds)?;
    let rows = table::rows(&others.outcome);
    Ok(compare(ours, (&Report::of(&others.outcome, &rows), &rows)))
}

fn write(args: &EvalArgs, tried: &Tried, report: &Report, rows: &[UnitRow]) -> Result<(), Stopped> {
    let json = args.out.join("report.json");
    let text = serde_json::to_string_pretty(report).map_err(|error| unwritten(&json, error))?;
    std::fs::write(&json, text + "\n").map_err(|error| unwritten(&json, error))?;
    let parquet = args.out.join("report.parquet");
    table::write(&parquet, rows).map_err(|error| unwritten(&parquet, error))?;
    let html = args.out.join("report.html");
    let page = page::html(report, &tried.outcome, rows, args.show_raw);
    std::fs::write(&html, page).map_err(|error| unwritten(&html, error))
}

/// The figures for people.
fn printed(args: &EvalArgs, report: &Report) -> String {
    let mut text = String::new();
    let percent =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{:.2} %", v * 100.0));
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.2}"));
    let between = |name: &str| match report.intervals.get(name) {
        Some([low, high]) => format!("  ({:.2} to {:.2} %)", low * 100.0, high * 100.0),
        None => String::new(),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{} on {}, {} rows\n", report.pipeline, report.dataset, report.rows);
    if let Some(t) = &report.transcription {
        let clean = t.clean_wer.map_or_else(String::new, |_| {
            format!("; {} in clear speech without numbers", percent(t.clean_wer))
        });
        let (wer, cer) = (between("transcription.wer"), between("transcription.cer"));
        let _ = writeln!(
            text,
            "WER               {}{wer}{clean}\nCER               {}{cer}",
            percent(t.wer),
            percent(t.cer)
        );
    }
    if let Some(r) = &report.redaction {
        let (leak, over) = (between("redaction.leaked_chars"), between("redaction.over_masked_chars"));
        let _ = writeln!(
            text,
            "leaked            {}{leak}\nover-masked       {}{over}\nprecision, recall {}, {}; F2 {}",
            percent(r.all.leaked_chars),
            percent(r.over_masked_chars),
            number(r.all.precision),
            number(r.all.recall),
            number(r.all.f2)
        );
    }
    if let Some(l) = &report.language {
        let _ = writeln!(
            text,
            "perplexity        base {}, global {}, own {}",
            number(l.base),
            number(l.global),
            number(l.personal)
        );
    }
    if let Some(m) = &report.memorisation {
        let _ = writeln!(
            text,
            "secrets known     base {}, global {}, own {} bits on average; unknown ones have {:.2}",
            number(m.mean.base),
            number(m.mean.global),
            number(m.mean.personal),
            m.unknown
        );
    }
    if let Some(f) = &report.federation {
        let _ = writeln!(
            text,
            "sent              {} rounds, {:.1} kB an upload ({:.1} kB as f32), {} refused",
            f.rounds,
            f.upload_bytes / 1000.0,
            f.dense_bytes / 1000.0,
            f.refused
        );
    }
    let factor =
        report.speed.real_time_factor.map_or_else(String::new, |f| format!(", real-time factor {f:.4}"));
    let waits = report.speed.latency_ms.map_or_else(String::new, |l| {
        format!("; latency {:.0} ms at the median, {:.0} at 95 %, {:.0} at 99 %", l.p50, l.p95, l.p99)
    });
    let (wall, cpu) = (report.speed.wall_seconds, report.resources.all_cpu_seconds());
    let _ = writeln!(text, "time              {cpu:.1} CPU s in {wall:.1} s{factor}{waits}");
    for d in report.comparison.iter().flat_map(|c| &c.figures) {
        let verdict = if d.regression { "  worse" } else { "" };
        let ends = d.interval.map_or_else(String::new, |[low, high]| format!(" ({low:+.4} to {high:+.4})"));
        let _ = writeln!(
            text,
            "against baseline  {} {:.4}, was {:.4}: {:+.4}{ends}{verdict}",
            d.figure, d.value, d.baseline, d.difference
        );
    }
    let _ = writeln!(text, "report            {}", args.out.join("report.html").display());
    text
}

/// Decides the exit code, and prints a line for each bar that was missed.
fn verdict(args: &EvalArgs, report: &Report, out: &mut dyn Write) -> Result<Exit, Stopped> {
    let value = serde_json::to_value(report).map_err(|error| StageError::new(error.to_string()))?;
    let mut code = Exit::Fine;
    for condition in &args.fail_if {
        match condition.holds(&value) {
            Ok(None) => {}
            Ok(Some(Broken { condition, figure, value })) => {
                let _ = writeln!(out, "failed            {condition}: {figure} is {value}");
                code = Exit::NotGoodEnough;
            }
            Err(error) => {
                eprintln!("error: {error}");
                return Err(Stopped(Exit::CouldNotLook));
            }
        }
    }
    let worse = report.comparison.iter().flat_map(|c| &c.figures).filter(|d| d.regression);
    for d in worse.filter(|_| args.fail_on_regression) {
        let _ = writeln!(out, "failed            {} is {}, was {}", d.figure, d.value, d.baseline);
        code = Exit::NotGoodEnough;
    }
    Ok(code)
}
