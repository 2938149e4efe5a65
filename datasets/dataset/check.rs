//! A data set in, everything that is wrong with it out: files, hashes, sound, spans, splits.
//!
//! It reads every file whole. It must not know what the rows are used for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::{BufReader, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Apart, Dataset, Fault, Row};
use crate::audio::AudioReader;

/// A recording may be so much longer or shorter than its manifest says.
const SECONDS: f64 = 0.05;

/// Everything that is wrong.
pub fn check(dataset: &Dataset) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in &dataset.files {
        let path = dataset.root.join(&file.path);
        hash(&path, file.sha256.as_deref(), &path.display().to_string(), &mut faults);
        let rows = if file.aside { None } else { file.rows };
        let found = dataset.rows.iter().filter(|row| is_in(row, &path)).count() as u64;
        if let Some(rows) = rows.filter(|rows| found > 0 && *rows != found) {
            faults.push(Fault::new(path.display(), format!("it has {found} rows; the manifest says {rows}")));
        }
    }
    for row in &dataset.rows {
        audio(dataset, row, &mut faults);
        spans(row, &mut faults);
        entities(row, &mut faults);
    }
    splits(dataset, &mut faults);
    canaries(dataset, &mut faults);
    faults
}

fn is_in(row: &Row, path: &Path) -> bool {
    row.place.starts_with(&format!("{}:", path.display()))
}

/// SHA-256 of a file.
///
/// # Errors
/// It cannot be read.
pub fn digest(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut file = BufReader::new(crate::regular::open(path)?);
    let mut hasher = Sha256::new();
    let mut bytes = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut bytes)?;
        let Some(part) = bytes.get(..read).filter(|part| !part.is_empty()) else { break };
        hasher.update(part);
    }
    Ok(hasher.finalize().into())
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// It cannot be read.
pub fn sha256(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    for byte in digest(path)? {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Returns true if a file is there, and is the one that was described.
fn hash(path: &Path, expected: Option<&str>, place: &str, faults: &mut Vec<Fault>) -> bool {
    match sha256(path) {
        Err(error) => {
            faults.push(Fault::new(place, format!("`{}` cannot be read: {error}", path.display())));
            return false;
        }
        Ok(found) => {
            if let Some(expected) = expected.filter(|expected| *expected != found) {
                let what =
                    format!("`{}` is another file: its SHA-256 is {found}, not {expected}", path.display());
                faults.push(Fault::new(place, what));
            }
        }
    }
    true
}

fn audio(dataset: &Dataset, row: &Row, faults: &mut Vec<Fault>) {
    let Some(audio) = &row.audio else { return };
    let path = dataset.root.join(audio);
    if !hash(&path, row.sha256.as_deref(), &row.place, faults) {
        return;
    }
    match seconds(&path) {
        Err(error) => faults.push(Fault::new(&row.place, format!("`{}`: {error}", path.display()))),
        Ok(found) => {
            if let Some(said) = row.seconds.filter(|said| (said - found).abs() > SECONDS) {
                let what = format!("`{}` lasts {found:.3} s; the manifest says {said:.3} s", path.display());
                faults.push(Fault::new(&row.place, what));
            }
        }
    }
}

/// The length of a recording.
///
/// # Errors
/// It cannot be heard to its end.
pub fn seconds(path: &Path) -> Result<f64, crate::audio::AudioError> {
    let mut reader = AudioReader::open(path)?;
    while reader.next_chunk()?.is_some() {}
    Ok(reader.seconds_read())
}

fn spans(row: &Row, faults: &mut Vec<Fault>) {
    let (Some(spans), Some(text)) = (&row.spans, &row.text) else { return };
    let length = text.chars().count();
    for (number, span) in spans.iter().enumerate().filter(|(_, span)| span.end > length) {
        let what = format!(
            "span {} ({}) goes to {}, but the text has {length} characters",
            number + 1,
            span.kind,
            span.end
        );
        faults.push(Fault::new(&row.place, what));
    }
}

fn entities(row: &Row, faults: &mut Vec<Fault>) {
    let Some(text) = &row.text else { return };
    for entity in row.entities.iter().filter(|entity| !text.contains(&entity.spoken)) {
        let what = format!("what is `spoken` of its {} does not stand in its text", entity.kind);
        faults.push(Fault::new(&row.place, what));
    }
}

/// Rows and devices in two splits that should share none.
fn splits(dataset: &Dataset, faults: &mut Vec<Fault>) {
    let declared = |split: &String| dataset.splits.contains_key(split);
    let undeclared: BTreeSet<&String> = dataset.rows.iter().filter_map(|row| row.split.as_ref()).collect();
    if !dataset.splits.is_empty() {
        for split in undeclared.into_iter().filter(|split| !declared(split)) {
            let known: Vec<&str> = dataset.splits.keys().map(String::as_str).collect();
            let what = format!("rows are in the split `{split}`; the manifest has {}", known.join(", "));
            faults.push(Fault::new(dataset.root.display(), what));
        }
    }
    let mut texts: BTreeMap<(&str, &str), (&str, &str)> = BTreeMap::new();
    let mut devices: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for row in &dataset.rows {
        let Some(split) = row.split.as_deref() else { continue };
        let what = row.audio.as_deref().map_or_else(|| row.text.as_deref(), |audio| audio.to_str());
        if let Some(what) = what {
            let (first, place) = *texts.entry((row.device.as_str(), what)).or_insert((split, &row.place));
            if first != split {
                let what =
                    format!("the same row is in the split `{first}` at {place}, and here in `{split}`");
                faults.push(Fault::new(&row.place, what));
            }
        }
        let apart = |split: &str| dataset.splits.get(split) == Some(&Apart::Devices);
        let (first, place) = *devices.entry(row.device.as_str()).or_insert((split, &row.place));
        if first != split && (apart(first) || apart(split)) {
            let what = format!(
                "device {} is in the split `{first}` at {place}, and here in `{split}`; they share no device",
                row.device
            );
            faults.push(Fault::new(&row.place, what));
        }
    }
}

fn canaries(dataset: &Dataset, faults: &mut Vec<Fault>) {
    for (number, canary) in dataset.canaries.iter().enumerate() {
        let planted = canary.pattern.replace("{}", &canary.secret);
        let found =
            dataset.rows.iter().filter(|row| row.text.as_deref() == Some(planted.as_str())).count() as u64;
        if found != canary.copies {
            let what =
                format!("canary {} stands in {found} rows; the manifest says {}", number + 1, canary.copies);
            faults.push(Fault::new(dataset.root.display(), what));
        }
    }
}
