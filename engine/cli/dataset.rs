//! The verbs about data sets: make a manifest, check it, list, show, split, count.
//!
//! In: a folder or a file. Out: tables and texts. It must not know pipelines. Texts are shown on request only.

use std::io::Write;
use std::path::{Path, PathBuf};

use headwater_datasets::dataset::check::check;
use headwater_datasets::dataset::stats::{Counts, Stats};
use headwater_datasets::dataset::{Dataset, Fault, Row, Select, new};

use headwater_contract::quoted;

use crate::exit::Exit;
use crate::output::write_new;
use crate::table::align;

/// The verbs of `headwater dataset`.
#[derive(Debug, clap::Subcommand)]
pub enum DatasetVerb {
    /// Write a manifest.toml for the recordings or rows in a folder
    New {
        /// The folder
        folder: PathBuf,
    },
    /// Look for everything that is wrong: files, hashes, sound, spans, splits
    Check {
        /// A folder or a file
        path: PathBuf,
    },
    /// List rows: id, device, time, split, length
    Ls {
        /// A folder or a file
        path: PathBuf,
        /// Which rows
        #[command(flatten)]
        select: SelectArgs,
    },
    /// Show one row with its text
    Show {
        /// A folder or a file
        path: PathBuf,
        /// The row's id
        id: String,
    },
    /// Divide rows between splits by a hash of the device or the row, and write them as JSON lines with a column `split`
    Split {
        /// A folder or a file
        path: PathBuf,
        /// NAME=SHARE, such as train=0.9; the rest is `heldout`
        #[arg(long, value_name = "NAME=SHARE", value_parser = share, default_value = "train=0.9")]
        part: (String, f64),
        /// What is kept together
        #[arg(long, default_value = "device", value_parser = ["device", "row"])]
        by: String,
    },
    /// Count rows, words, seconds and spans by device and split
    Stats {
        /// A folder or a file
        path: PathBuf,
        /// Which rows
        #[command(flatten)]
        select: SelectArgs,
    },
}

/// Which rows.
#[derive(Debug, clap::Args)]
pub struct SelectArgs {
    /// Only rows of this split
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Only rows of this file of the data set
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
}

fn share(text: &str) -> Result<(String, f64), String> {
    let wrong = || "expected NAME=SHARE with a share between 0 and 1".to_owned();
    let (name, share) = text.split_once('=').ok_or_else(wrong)?;
    let share: f64 = share.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(wrong)?;
    Ok((name.to_owned(), share))
}

/// Carries a verb out; gives the exit code.
pub fn run(verb: &DatasetVerb, out: &mut dyn Write) -> Exit {
    let done = match verb {
        DatasetVerb::New { folder } => made(folder, out),
        DatasetVerb::Check { path } => checked(path, out),
        DatasetVerb::Ls { path, select } => opened(path, select).map(|d| said(out, &align(&list(&d)))),
        DatasetVerb::Show { path, id } => opened(path, &all()).and_then(|d| show(&d, id, out)),
        DatasetVerb::Split { path, part, by } => {
            opened(path, &all()).map(|d| said(out, &split(&d, (&part.0, part.1), by == "device")))
        }
        DatasetVerb::Stats { path, select } => opened(path, select).map(|d| said(out, &align(&counted(&d)))),
    };
    match done {
        Ok(()) => Exit::Fine,
        Err(faults) => {
            faults.iter().for_each(|fault| eprintln!("error: {fault}"));
            Exit::Failed
        }
    }
}

type Done = Result<(), Vec<Fault>>;

fn all() -> SelectArgs {
    SelectArgs { split: None, rows: None }
}

/// Prints a text; a reader that is gone wants no more.
fn said(out: &mut dyn Write, text: &str) {
    let _ = out.write_all(text.as_bytes());
}

fn opened(path: &Path, select: &SelectArgs) -> Result<Dataset, Vec<Fault>> {
    Dataset::open(path, &Select { split: select.split.clone(), file: select.rows.clone() })
}

fn made(folder: &Path, out: &mut dyn Write) -> Done {
    let path = folder.join("manifest.toml");
    let wrong = |error: std::io::Error| vec![Fault::new(path.display(), error.to_string())];
    let text = new::manifest(folder)?;
    // What people wrote into one that is there is not deleted.
    write_new(&path, 0o666, text.as_bytes()).map_err(wrong)?;
    said(
        out,
        &format!(
            "{}: fill in licence, texts and splits, then `headwater dataset check {}`\n",
            path.display(),
            quoted(&folder.to_string_lossy())
        ),
    );
    Ok(())
}

fn checked(path: &Path, out: &mut dyn Write) -> Done {
    let dataset = opened(path, &all())?;
    let faults = check(&dataset);
    if !faults.is_empty() {
        return Err(faults);
    }
    said(out, &format!("{}: {} rows, nothing wrong\n", dataset.name, dataset.rows.len()));
    Ok(())
}

fn list(dataset: &Dataset) -> Vec<Vec<String>> {
    let head =
        ["ID", "DEVICE", "CAPTURED", "SPLIT", "SECONDS", "CHARACTERS", "SPANS"].map(str::to_owned).to_vec();
    let row = |row: &Row| {
        let spans = row.spans.as_ref().map_or(0, Vec::len) + row.entities.len();
        vec![
            row.id.clone(),
            row.device.clone(),
            row.captured_at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
            row.split.clone().unwrap_or_else(|| "-".to_owned()),
            row.seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}")),
            row.text.as_ref().map_or_else(|| "-".to_owned(), |text| text.chars().count().to_string()),
            spans.to_string(),
        ]
    };
    std::iter::once(head).chain(dataset.rows.iter().map(row)).collect()
}

fn show(dataset: &Dataset, id: &str, out: &mut dyn Write) -> Done {
    let row = dataset.rows.iter().find(|row| row.id == id).ok_or_else(|| {
        vec![Fault::new(
            &dataset.name,
            format!(
                "there is no row `{id}`; `headwater dataset ls {}` lists them",
                quoted(&dataset.root.to_string_lossy())
            ),
        )]
    })?;
    let mut lines =
        vec![vec!["id".to_owned(), row.id.clone()], vec!["device".to_owned(), row.device.clone()]];
    let mut line =
        |name: &str, value: Option<String>| lines.extend(value.map(|value| vec![name.to_owned(), value]));
    line("at", Some(row.place.clone()));
    line("captured", row.captured_at.map(|at| at.to_string()));
    line("split", row.split.clone());
    line("audio", row.audio.as_ref().map(|audio| dataset.root.join(audio).display().to_string()));
    line("text", row.text.clone());
    let chars: Vec<char> = row.text.iter().flat_map(|text| text.chars()).collect();
    for span in row.spans.iter().flatten() {
        let value: String = chars.get(span.start..span.end).into_iter().flatten().collect();
        line("span", Some(format!("{}..{}  {}  {value:?}", span.start, span.end, span.kind)));
    }
    for entity in &row.entities {
        line("spoken", Some(format!("{}  {:?}", entity.kind, entity.spoken)));
    }
    for (name, value) in &row.columns {
        line(name, Some(value.clone()));
    }
    said(out, &align(&lines));
    Ok(())
}

/// Rows as JSON lines, each in a split: the same ones in every run.
fn split(dataset: &Dataset, part: (&str, f64), by_device: bool) -> String {
    let mut lines = String::new();
    for row in &dataset.rows {
        let key = if by_device { row.device.clone() } else { row.id.clone() };
        let hash = headwater_contract::hash::mix(headwater_contract::hash::stable(key.as_bytes()), 1);
        let inside = (hash >> 11) as f64 / ((1_u64 << 53) as f64) < part.1;
        let mut line = serde_json::Map::new();
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                line.insert(name.to_owned(), value.into());
            }
        };
        put("id", Some(row.id.clone()));
        put("device", Some(row.device.clone()));
        put("captured_at", row.captured_at.map(|at| at.to_string()));
        put("file", row.audio.as_ref().map(|audio| audio.display().to_string()));
        put("text", row.text.clone());
        put("split", Some(if inside { part.0 } else { "heldout" }.to_owned()));
        for (name, value) in &row.columns {
            put(name, Some(value.clone()));
        }
        if let Some(spans) = &row.spans {
            let spans =
                spans.iter().map(|s| serde_json::json!({"kind": s.kind, "start": s.start, "end": s.end}));
            line.insert("spans".to_owned(), spans.collect());
        }
        lines += &serde_json::Value::Object(line).to_string();
        lines.push('\n');
    }
    lines
}

fn counted(dataset: &Dataset) -> Vec<Vec<String>> {
    let stats = Stats::of(dataset);
    let mut lines =
        vec![["", "ROWS", "TEXTS", "WORDS", "CHARACTERS", "SECONDS", "SPANS"].map(str::to_owned).to_vec()];
    let mut line = |name: String, c: &Counts| {
        let seconds = format!("{:.1}", c.seconds);
        let numbers = [c.rows, c.texts, c.words, c.chars].map(|n| n.to_string());
        let mut cells = vec![name];
        cells.extend(numbers);
        cells.extend([seconds, c.spans.to_string()]);
        lines.push(cells);
    };
    line("all".to_owned(), &stats.all);
    for (split, counts) in stats.splits.iter().filter(|(split, _)| !split.is_empty()) {
        line(format!("split {split}"), counts);
    }
    for (device, counts) in &stats.devices {
        line(format!("device {device}"), counts);
    }
    for (kind, count) in &stats.kinds {
        let mut cells = vec![format!("kind {kind}")];
        cells.extend(["-"; 5].map(str::to_owned));
        cells.push(count.to_string());
        lines.push(cells);
    }
    lines
}
