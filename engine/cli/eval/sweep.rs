//! Trials of one pipeline with an option at several values: one report with what is paid for what.
//!
//! In: `stage.ID.OPTION=VALUE,VALUE`. Out: sweep.json, report.html, and each trial's report in `trials`. A trial whose report is there is not
//! run again: a sweep that was ended goes on.

use std::io::Write;
use std::path::{Path, PathBuf};

use headwater_contract::digest::hex;
use headwater_contract::{StageError, StageFactory};
use headwater_datasets::dataset::Dataset;
use headwater_datasets::dataset::check::sha256;
use headwater_evaluate::page::{self, Trial};
use headwater_evaluate::report::Report;
use headwater_evaluate::table;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{EvalArgs, Stopped, trial, unwritten, verdict};
use crate::exit::Exit;
use crate::site::Settings;

const FORMAT: &str = "headwater-sweep";
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Sweep<'t> {
    format: &'static str,
    version: u32,
    trials: &'t [Trial],
}

/// A finished trial, with a digest of all that it hangs on.
#[derive(Serialize, Deserialize)]
struct Kept {
    of: String,
    #[serde(flatten)]
    trial: Trial,
}

pub(super) fn run(
    args: &EvalArgs,
    dataset: &Dataset,
    settings: &Settings,
    kinds: &[StageFactory],
    out: &mut dyn Write,
) -> Result<Exit, Stopped> {
    let combined = combinations(&args.sweep)?;
    let folder = args.out.join("trials");
    std::fs::create_dir_all(&folder).map_err(|error| unwritten(&folder, error))?;
    let of = hangs_on(args, dataset)?;
    // A value that cannot be is reported before hours were spent on those before it.
    combined.iter().try_for_each(|set| trial::can_be(args, set, kinds))?;
    let mut trials = Vec::new();
    let mut code = Exit::Fine;
    for set in combined {
        let path = folder.join(file_name(&set));
        let trial = if let Some(trial) = kept(&path, &of) {
            trial
        } else {
            let tried = trial::run(args, &args.file, &set, dataset, settings, kinds)?;
            let report = Report::of(&tried.outcome, &table::rows(&tried.outcome));
            let kept = Kept { of: of.clone(), trial: Trial { set, report } };
            write(&path, &kept)?;
            kept.trial
        };
        if !args.quiet {
            let _ = writeln!(out, "{}", line(&trial));
        }
        code = verdict(args, &trial.report, out)?.max(code);
        trials.push(trial);
    }
    write(&args.out.join("sweep.json"), &Sweep { format: FORMAT, version: VERSION, trials: &trials })?;
    let html = args.out.join("report.html");
    std::fs::write(&html, page::sweep(&trials)).map_err(|error| unwritten(&html, error))?;
    if !args.quiet {
        let _ = writeln!(out, "report  {}", html.display());
    }
    Ok(code)
}

/// Every choice of one value for each option.
fn combinations(options: &[String]) -> Result<Vec<Vec<(String, String)>>, Stopped> {
    let mut all: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for option in options {
        let wrong =
            || StageError::new(format!("`{option}` is no sweep")).expected("stage.ID.OPTION=VALUE,VALUE,...");
        let (path, values) = option.split_once('=').ok_or_else(wrong)?;
        let values: Vec<&str> = values.split(',').map(str::trim).filter(|value| !value.is_empty()).collect();
        if values.is_empty() {
            return Err(wrong().into());
        }
        let with = |set: &Vec<(String, String)>, value: &str| {
            let mut set = set.clone();
            set.push((path.trim().to_owned(), value.to_owned()));
            set
        };
        all = all.iter().flat_map(|set| values.iter().map(move |value| with(set, value))).collect();
    }
    Ok(all)
}

fn file_name(set: &[(String, String)]) -> String {
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let parts: Vec<String> = set.iter().map(|(path, value)| format!("{path}-{value}")).collect();
    format!("{}.json", parts.join("+").chars().map(safe).collect::<String>())
}

/// A digest of what a trial hangs on beside its own options: the file, other options, the rows, the program's version.
fn hangs_on(args: &EvalArgs, dataset: &Dataset) -> Result<String, Stopped> {
    let mut hasher = Sha256::new();
    let file =
        sha256(&args.file).map_err(|error| StageError::new(format!("{}: {error}", args.file.display())))?;
    hasher.update(file);
    hasher.update(format!(
        "{:?} {:?} {:?} {:?} {}",
        args.set,
        args.params,
        args.source,
        args.scored,
        env!("CARGO_PKG_VERSION")
    ));
    hasher.update(format!("{:?}", dataset.rows));
    Ok(hex(&hasher.finalize()))
}

fn kept(path: &Path, of: &str) -> Option<Trial> {
    let text = std::fs::read_to_string(path).ok()?;
    let kept: Kept = serde_json::from_str(&text).ok()?;
    (kept.of == of).then_some(kept.trial)
}

/// Writes a file whole or not at all.
fn write(path: &Path, value: &impl Serialize) -> Result<(), Stopped> {
    let text = serde_json::to_string_pretty(value).map_err(|error| unwritten(path, error))?;
    let beside: PathBuf = path.with_extension("tmp");
    std::fs::write(&beside, text + "\n")
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(|error| unwritten(path, error))
}

fn line(trial: &Trial) -> String {
    let r = &trial.report;
    let mut parts = vec![trial.label()];
    let mut say =
        |name: &str, value: Option<String>| parts.extend(value.map(|value| format!("{name} {value}")));
    let percent = |value: Option<f64>| value.map(|v| format!("{:.2} %", v * 100.0));
    say("WER", percent(r.transcription.as_ref().and_then(|t| t.wer)));
    say("leaked", percent(r.redaction.as_ref().and_then(|r| r.all.leaked_chars)));
    say("perplexity", r.language.as_ref().and_then(|l| l.global).map(|v| format!("{v:.2}")));
    say("upload", r.federation.as_ref().map(|f| format!("{:.1} kB", f.upload_bytes / 1000.0)));
    say("CPU", Some(format!("{:.1} s", r.resources.all_cpu_seconds())));
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_tried() {
        let pair = |path: &str, value: &str| (path.to_owned(), value.to_owned());
        let asked = ["a.b=1, 2".to_owned(), "c.d=x".to_owned()];
        let all = combinations(&asked).map_err(|Stopped(code)| code).unwrap();
        assert_eq!(all, [[pair("a.b", "1"), pair("c.d", "x")], [pair("a.b", "2"), pair("c.d", "x")]]);
        assert_eq!(file_name(&all[0]), "a.b-1_c.d-x.json");
        for wrong in ["a.b", "a.b=", "a.b= , "] {
            assert!(combinations(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
