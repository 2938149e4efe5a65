//! Manifests of recordings: `manifest.toml` in, [`Manifest`] or every mistake of the file at once out.
//!
//! ```toml
//! format  = "headwater-recordings"
//! version = 1
//!
//! [[recording]]
//! file        = "kitchen/0001.flac"       # below the manifest's folder
//! device      = "kitchen"
//! captured_at = "2026-03-02T08:15:00Z"    # RFC 3339
//! seconds     = 4.2                       # the rest is optional
//! text        = "my number is five five five oh one two three"
//! clean       = true                      # counts for the word error rate
//! voice       = "slt"
//! sha256      = "..."
//! [[recording.entity]]
//! kind    = "PHONE"
//! written = "555-0123"
//! spoken  = "five five five oh one two three"
//! ```
//!
//! A manifest of a data set (`headwater-dataset`, see [`crate::dataset`]) is read too: its rows with audio are the recordings.
//!
//! Knows nothing of audio: whether a file exists or can be heard is found out when it is read. Messages
//! quote keys and types, never a recording's text or an entity's value.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use thiserror::Error;

pub(crate) mod fields;
pub(crate) mod mistake;

pub use mistake::Mistake;

use fields::Fields;

use crate::dataset;

/// The file name that makes a folder a described set of recordings.
pub const FILE_NAME: &str = "manifest.toml";

const FORMAT: &str = "headwater-recordings";
const VERSION: i64 = 1;

/// A described set of recordings, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The recordings; none is named twice.
    pub recordings: Vec<Recording>,
}

/// One recording: what, whose, when, and what was said in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Path below the manifest's folder.
    pub file: PathBuf,
    /// The device of the recording.
    pub device: String,
    /// When its first sample was captured.
    pub captured_at: Timestamp,
    /// Its length.
    pub seconds: Option<f64>,
    /// The text that was said; empty without speech, `None` when unknown.
    pub text: Option<String>,
    /// Clear speech without numbers, fit for a word error rate.
    pub clean: bool,
    /// The voice.
    pub voice: Option<String>,
    /// SHA-256 of the file, 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
    /// The personal values spoken in it.
    pub entities: Vec<Entity>,
    /// The manifest's line where it begins, from 1.
    pub line: usize,
}

/// A personal value that is spoken in a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// `PHONE`, `EMAIL`, `CARD`, ...
    pub kind: String,
    /// As one would write it.
    pub written: String,
    /// As it was said.
    pub spoken: String,
}

/// Why there is no manifest.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// The file could not be read.
    #[error("{}: cannot read the manifest: {error}", path.display())]
    Unreadable {
        /// The manifest.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The file was read and is wrong.
    #[error("{}", Lines(mistakes))]
    Mistakes {
        /// Every mistake, in the order of the file; at least one.
        mistakes: Vec<Mistake>,
    },
}

struct Lines<'a>(&'a [Mistake]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl Manifest {
    /// Reads a manifest file.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = crate::regular::read_to_string(path)
            .map_err(|error| ManifestError::Unreadable { path: path.to_owned(), error })?;
        Self::parse(path, &text)
    }

    /// Reads the text of a manifest; `path` stands in the messages only.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ManifestError> {
        if is_dataset(text) {
            return of_dataset(path, text);
        }
        let (document, errors) = toml::de::DeTable::parse_recoverable(text);
        let mut mistakes: Vec<Mistake> =
            errors.iter().map(|e| Mistake::new(path, text, e.span().unwrap_or(0..0), e.message())).collect();
        let mut at = |span, message: String| mistakes.push(Mistake::new(path, text, span, &message));
        let recordings = read_document(text, &document, &mut at);
        mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        if mistakes.is_empty() { Ok(Self { recordings }) } else { Err(ManifestError::Mistakes { mistakes }) }
    }
}

/// Returns true if a manifest is of the form that all data sets have.
fn is_dataset(text: &str) -> bool {
    let table = toml::from_str::<toml::Table>(text).ok();
    table.is_some_and(|table| table.get("format").and_then(toml::Value::as_str) == Some(dataset::FORMAT))
}

/// The recordings of a data set: its rows with audio.
fn of_dataset(path: &Path, text: &str) -> Result<Manifest, ManifestError> {
    let mistake = |(start, what): (usize, String)| Mistake::new(path, text, start..start, &what);
    let wrong = |faults: Vec<(usize, String)>| ManifestError::Mistakes {
        mistakes: faults.into_iter().map(mistake).collect(),
    };
    let dataset = dataset::manifest::placed(path, text).map_err(wrong)?;
    let (mut recordings, mut faults) = (Vec::new(), Vec::new());
    for row in dataset.rows {
        let Some(file) = row.audio else { continue };
        let line = row.place.rsplit(':').next().and_then(|line| line.parse().ok()).unwrap_or(1);
        let Some(captured_at) = row.captured_at else {
            let start = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
            faults.push((start, "a recording that is captured needs `captured_at`".to_owned()));
            continue;
        };
        recordings.push(Recording {
            file,
            device: row.device,
            captured_at,
            seconds: row.seconds,
            text: row.text,
            clean: row.clean,
            voice: None,
            sha256: row.sha256,
            entities: row.entities,
            line,
        });
    }
    if faults.is_empty() { Ok(Manifest { recordings }) } else { Err(wrong(faults)) }
}

/// The receiver of mistakes: the bytes they stand at, and what is wrong.
pub(crate) type Report<'a> = &'a mut dyn FnMut(std::ops::Range<usize>, String);

fn read_document(
    text: &str,
    document: &toml::Spanned<toml::de::DeTable<'_>>,
    report: Report<'_>,
) -> Vec<Recording> {
    let mut top = Fields::new("the manifest", document.span(), document.get_ref());
    if let Some((format, span)) = top.string("format", report)
        && format != FORMAT
    {
        report(span, format!("`format` must be \"{FORMAT}\""));
    }
    if let Some((version, span)) = top.integer("version", report)
        && version != VERSION
    {
        report(span, format!("version {version} is not known here; this program reads version {VERSION}"));
    }
    let tables = top.tables("recording", report);
    top.finish(report);
    let mut recordings: Vec<Recording> = Vec::with_capacity(tables.len());
    let mut seen = std::collections::HashMap::new();
    for table in tables {
        let line = mistake::place(text, table.span().start).0;
        let Some((recording, span)) = read_recording(line, table, report) else { continue };
        if let Some(first) = seen.insert(recording.file.clone(), line) {
            report(span, format!("this file is already listed at line {first}"));
        }
        recordings.push(recording);
    }
    recordings
}

fn read_recording(
    line: usize,
    table: &toml::Spanned<toml::de::DeValue<'_>>,
    report: Report<'_>,
) -> Option<(Recording, std::ops::Range<usize>)> {
    let mut fields = Fields::of("[[recording]]", table, report)?;
    let file = fields.string("file", report);
    let device = fields.string("device", report);
    let captured_at = fields.timestamp("captured_at", report);
    let seconds = fields.optional("seconds", |f, key| f.number(key, report));
    let text = fields.optional("text", |f, key| f.string(key, report));
    let clean = fields.optional("clean", |f, key| f.boolean(key, report));
    let voice = fields.optional("voice", |f, key| f.string(key, report));
    let sha256 = fields.optional("sha256", |f, key| f.string(key, report));
    let entities = fields.tables("entity", report);
    fields.finish(report);
    let entities = entities.into_iter().filter_map(|entity| read_entity(entity, report)).collect();
    if let Some((seconds, span)) = &seconds
        && !(seconds.is_finite() && *seconds >= 0.0)
    {
        report(span.clone(), "`seconds` must be a number that is not negative".to_owned());
    }
    if let Some((digest, span)) = &sha256
        && !(digest.len() == 64 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
    {
        report(span.clone(), "`sha256` must be 64 lower-case hexadecimal digits".to_owned());
    }
    if let Some((device, span)) = &device
        && device.is_empty()
    {
        report(span.clone(), "`device` must not be empty".to_owned());
    }
    let (file, span) = file?;
    if !is_below(Path::new(&file)) {
        report(span.clone(), "`file` must be a relative path below the manifest's folder".to_owned());
    }
    let recording = Recording {
        file: PathBuf::from(file),
        device: device?.0,
        captured_at: captured_at?,
        seconds: seconds.map(|(value, _)| value),
        text: text.map(|(value, _)| value),
        clean: clean.is_some_and(|(value, _)| value),
        voice: voice.map(|(value, _)| value),
        sha256: sha256.map(|(value, _)| value),
        entities,
        line,
    };
    Some((recording, span))
}

pub(crate) fn read_entity(
    table: &toml::Spanned<toml::de::DeValue<'_>>,
    report: Report<'_>,
) -> Option<Entity> {
    let mut fields = Fields::of("[[recording.entity]]", table, report)?;
    let kind = fields.string("kind", report);
    let written = fields.string("written", report);
    let spoken = fields.string("spoken", report);
    fields.finish(report);
    Some(Entity { kind: kind?.0, written: written?.0, spoken: spoken?.0 })
}

/// A manifest comes with its recordings: it does not reach for files elsewhere.
pub(crate) fn is_below(file: &Path) -> bool {
    use std::path::Component::{CurDir, Normal};
    file.components().all(|part| matches!(part, Normal(_) | CurDir))
        && file.components().any(|part| matches!(part, Normal(_)))
}
