//! A data set: rows to try a pipeline with, whatever form they lie in.
//!
//! In: a folder or a file (a manifest, LibriSpeech's folders, Presidio's JSON, JSON lines, CSV, Parquet). Out: one [`Dataset`], or every
//! fault of it at once. Whether audio can be heard is [`check`]'s to say. It must not know what a row is used for; messages name files,
//! lines and keys, never a text.
//!
//! The manifest is described in docs/evaluate.md. Offsets of spans count Unicode code points.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::manifest::{Entity, FILE_NAME};

pub mod check;
mod librispeech;
mod lines;
pub(crate) mod manifest;
pub mod new;
mod parquet_rows;
mod record;
pub mod stats;

/// The value of `format` in a manifest.
pub const FORMAT: &str = "headwater-dataset";

/// Rows and what is known of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// The name.
    pub name: String,
    /// Its licence, by SPDX identifier.
    pub licence: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// The folder that paths of audio are below.
    pub root: PathBuf,
    /// The meaning of its columns.
    pub columns: BTreeMap<String, String>,
    /// Its splits, and what each must share with no other.
    pub splits: BTreeMap<String, Apart>,
    /// Its files of rows.
    pub files: Vec<RowFile>,
    /// Its rows, in order.
    pub rows: Vec<Row>,
    /// Secrets that were planted to see whether a model remembers them.
    pub canaries: Vec<Canary>,
}

/// The property that two splits may not share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Apart {
    /// Rows.
    #[default]
    Rows,
    /// Devices, and so rows.
    Devices,
}

/// A file of rows beside a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFile {
    /// Path below the root.
    pub path: PathBuf,
    /// The number of rows by its manifest.
    pub rows: Option<u64>,
    /// Its SHA-256, as its manifest says.
    pub sha256: Option<String>,
    /// True if its rows are read only when it is asked for by name.
    pub aside: bool,
}

/// One row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The id, unique in its data set.
    pub id: String,
    /// The device.
    pub device: String,
    /// When it was captured.
    pub captured_at: Option<Timestamp>,
    /// Audio, below the root.
    pub audio: Option<PathBuf>,
    /// The text that was said or written; of audio, the reference.
    pub text: Option<String>,
    /// Audio: clear speech without numbers.
    pub clean: bool,
    /// Audio: its length.
    pub seconds: Option<f64>,
    /// SHA-256 of the audio.
    pub sha256: Option<String>,
    /// The split it belongs to.
    pub split: Option<String>,
    /// Where personal data stands in the text, where that is known. None: not annotated.
    pub spans: Option<Vec<Span>>,
    /// Values that are spoken, where only they are known.
    pub entities: Vec<Entity>,
    /// Kinds that may be found in it and count neither for nor against.
    pub allowed: Vec<String>,
    /// Further columns.
    pub columns: BTreeMap<String, String>,
    /// The file and line that it stands in.
    pub place: String,
}

impl Row {
    /// When it was captured. Rows that do not say follow each other by a minute, from 2000 on: this is the `number`-th, from 0.
    pub fn captured(&self, number: u64) -> Timestamp {
        const BEGIN: i64 = 946_684_800;
        let later = i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(60).saturating_add(BEGIN);
        self.captured_at.unwrap_or_else(|| Timestamp::from_second(later).unwrap_or(Timestamp::MAX))
    }
}

/// A place of personal data in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The kind, by any name.
    pub kind: String,
    /// Its first character.
    pub start: usize,
    /// The character behind its last.
    pub end: usize,
    /// True if it is right to find it and right not to.
    pub optional: bool,
}

/// A secret that was planted: `{}` of the pattern stands for random digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The device in whose rows it was planted.
    pub device: Option<String>,
    /// The sentence, with `{}` in place of the secret.
    pub pattern: String,
    /// The secret: digits.
    pub secret: String,
    /// In how many rows it stands.
    pub copies: u64,
    /// The group that it shares with others, such as what becomes of it on the way.
    pub group: Option<String>,
}

/// Something that is wrong with a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, and the line where there is one.
    pub place: String,
    /// The mistake, and the expected value.
    pub what: String,
}

impl Fault {
    /// A fault at a place.
    pub fn new(place: impl fmt::Display, what: impl Into<String>) -> Self {
        Fault { place: place.to_string(), what: what.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// The selection of rows of a data set.
#[derive(Clone, Debug, Default)]
pub struct Select {
    /// Only rows of this split.
    pub split: Option<String>,
    /// Only rows of this file, which may be one that is otherwise left aside.
    pub file: Option<PathBuf>,
}

impl Dataset {
    /// Reads what lies at a path.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn open(path: &Path, select: &Select) -> Result<Dataset, Vec<Fault>> {
        if !path.exists() {
            let what = "there is no such file or folder; expected a manifest, a file of rows or a folder of recordings";
            return Err(vec![Fault::new(path.display().to_string(), what)]);
        }
        let mut dataset = if path.is_dir() { folder(path, select)? } else { file(path, select)? };
        let mut faults = twice(&dataset.rows);
        if let Some(split) = &select.split {
            let known = dataset.rows.iter().any(|row| row.split.as_ref() == Some(split));
            dataset.rows.retain(|row| row.split.as_ref() == Some(split));
            if !known {
                faults.push(Fault::new(path.display(), format!("no row is in the split `{split}`")));
            }
        }
        if dataset.rows.is_empty() && faults.is_empty() {
            faults.push(Fault::new(path.display(), "there are no rows; expected at least one"));
        }
        if faults.is_empty() { Ok(dataset) } else { Err(faults) }
    }

    /// Returns true if its rows are recordings.
    pub fn is_audio(&self) -> bool {
        self.rows.iter().any(|row| row.audio.is_some())
    }
}

fn folder(path: &Path, select: &Select) -> Result<Dataset, Vec<Fault>> {
    let described = path.join(FILE_NAME);
    if described.is_file() {
        return manifest::read(&described, select);
    }
    match librispeech::read(path)? {
        Some(dataset) => Ok(dataset),
        None => Err(vec![Fault::new(
            path.display(),
            format!(
                "this folder has neither a {FILE_NAME} nor transcripts (.trans.txt); \
                 `headwater dataset new` makes the first"
            ),
        )]),
    }
}

fn file(path: &Path, select: &Select) -> Result<Dataset, Vec<Fault>> {
    let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
    if suffix == "toml" {
        return manifest::read(path, select);
    }
    if let Some(asked) = select.file.as_ref().filter(|asked| !path.ends_with(asked)) {
        let what = format!("it is the only file of rows; `{}` was asked for", asked.display());
        return Err(vec![Fault::new(path.display(), what)]);
    }
    let rows = rows_of(path, &[])?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let root = path.parent().map(Path::to_owned).unwrap_or_default();
    let file = path.file_name().map(PathBuf::from).unwrap_or_default();
    let files = vec![RowFile { path: file, rows: None, sha256: None, aside: false }];
    Ok(Dataset { name, root, files, rows, ..Dataset::default() })
}

/// The rows of a file, by its suffix; `columns` are those that a Parquet file is asked for beside the usual ones.
fn rows_of(path: &Path, columns: &[String]) -> Result<Vec<Row>, Vec<Fault>> {
    let name = path.display().to_string();
    let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
    if suffix == "parquet" {
        return parquet_rows::read(path, columns);
    }
    let Some(read) = TEXTS.iter().find(|(known, _)| *known == suffix).map(|(_, read)| read) else {
        let what = "unknown format by this name; expected .toml, .jsonl, .ndjson, .csv, .parquet or .json";
        return Err(vec![Fault::new(name, what)]);
    };
    let text = crate::regular::read_to_string(path)
        .map_err(|error| vec![Fault::new(&name, format!("the file cannot be read: {error}"))])?;
    read(&name, &text)
}

/// Reads rows of a text; the name stands in faults only.
type ReadText = fn(&str, &str) -> Result<Vec<Row>, Vec<Fault>>;

/// Suffixes of texts of rows.
const TEXTS: [(&str, ReadText); 4] =
    [("jsonl", lines::json), ("ndjson", lines::json), ("csv", lines::csv), ("json", lines::presidio)];

/// Reads any bytes as a manifest and as rows of every form: what a fuzzer calls. It must return, whatever the bytes are.
pub fn fuzz_dataset(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let faults = manifest::described(Path::new("fuzz"), &text).err().unwrap_or_default();
    debug_assert!(faults.iter().all(|fault| !fault.what.is_empty()));
    for (_, read) in &TEXTS {
        let rows = read("fuzz", &text).unwrap_or_default();
        let dataset = Dataset { rows, ..Dataset::default() };
        let stats = stats::Stats::of(&dataset);
        debug_assert_eq!(stats.all.rows, dataset.rows.len() as u64);
    }
}

/// Rows whose id another has already.
fn twice(rows: &[Row]) -> Vec<Fault> {
    let mut seen = BTreeMap::new();
    let again = |row: &Row| {
        let first = seen.insert(row.id.clone(), row.place.clone())?;
        Some(Fault::new(&row.place, format!("another row, at {first}, has the same id; expected each once")))
    };
    rows.iter().filter_map(again).collect()
}

#[cfg(test)]
mod tests;
