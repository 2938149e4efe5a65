//! A manifest for what lies in a folder: recordings, or files of rows.
//!
//! In: a folder. Out: the text of its `manifest.toml`, with lengths and hashes; what only people know is left open. It writes nothing.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::check::{seconds, sha256};
use super::{FORMAT, Fault, rows_of};

const AUDIO: [&str; 13] =
    ["flac", "wav", "mp3", "ogg", "oga", "opus", "webm", "m4a", "aac", "mp2", "aiff", "aif", "caf"];
const ROWS: [&str; 5] = ["jsonl", "ndjson", "csv", "parquet", "json"];

/// The manifest of a folder. A recording's device is the first folder below; the text of `NAME.txt` beside it is its reference.
///
/// # Errors
/// Files that cannot be read, or none at all.
pub fn manifest(folder: &Path) -> Result<String, Vec<Fault>> {
    let mut files = Vec::new();
    find(folder, folder, &mut files)
        .map_err(|error| vec![Fault::new(folder.display(), format!("the folder cannot be read: {error}"))])?;
    let name = folder.file_name().map_or_else(|| "dataset".into(), |name| name.to_string_lossy());
    let mut text = String::new();
    let mut faults = Vec::new();
    let head = format!(
        "format  = \"{FORMAT}\"\nversion = 1\nname    = {}\nlicence = \"\"                # an SPDX identifier, \
         such as CC0-1.0\n\n[splits]                    # \"devices\": no device is in another split too\n\
         # train   = \"rows\"\n# heldout = \"rows\"\n",
        quoted(&name)
    );
    // Writing to a String cannot fail.
    let _ = write!(text, "{head}");
    let known = |file: &&PathBuf, suffixes: &[&str]| {
        let suffix = file.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
        suffix.is_some_and(|suffix| suffixes.contains(&suffix.as_str()))
    };
    for file in files.iter().filter(|file| known(file, &ROWS)) {
        match rows_of(&folder.join(file), &[]) {
            Err(wrong) => faults.extend(wrong),
            Ok(rows) => drop(write!(text, "\n[[file]]\npath   = {}\nrows   = {}\n", path(file), rows.len())),
        }
        digest(&mut text, folder, file, &mut faults);
    }
    for (number, file) in files.iter().filter(|file| known(file, &AUDIO)).enumerate() {
        let device = file.iter().next().filter(|_| file.iter().count() > 1);
        let device = device.map_or_else(|| name.clone(), |device| device.to_string_lossy());
        match seconds(&folder.join(file)) {
            Err(error) => faults.push(Fault::new(folder.join(file).display(), error.to_string())),
            Ok(seconds) => {
                let (minute, second) = (number / 60, number % 60);
                let _ = write!(
                    text,
                    "\n[[row]]\nfile = {}\ndevice = {}\ncaptured_at = \"2000-01-{:02}T{:02}:{:02}:{second:02}Z\"\n\
                     seconds = {seconds:.3}\n",
                    path(file),
                    quoted(&device),
                    1 + minute / 1440 % 28,
                    minute / 60 % 24,
                    minute % 60,
                );
            }
        }
        if let Ok(said) = crate::regular::read_to_string(&folder.join(file).with_extension("txt")) {
            let _ = writeln!(text, "text = {}", quoted(said.trim()));
        }
        digest(&mut text, folder, file, &mut faults);
    }
    if text == head && faults.is_empty() {
        let what = "no recordings (.flac, .wav, .mp3, .ogg, .opus, .m4a and others) and no rows (.jsonl, .csv, .parquet, .json) lie here";
        faults.push(Fault::new(folder.display(), what));
    }
    if faults.is_empty() { Ok(text) } else { Err(faults) }
}

fn digest(text: &mut String, folder: &Path, file: &Path, faults: &mut Vec<Fault>) {
    match sha256(&folder.join(file)) {
        Ok(digest) => drop(writeln!(text, "sha256 = \"{digest}\"")),
        Err(error) => faults.push(Fault::new(folder.join(file).display(), error.to_string())),
    }
}

/// A path with slashes, quoted.
fn path(file: &Path) -> String {
    quoted(&file.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/"))
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn find(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries.into_iter().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')) {
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            find(root, &path, found)?;
        } else {
            found.push(path.strip_prefix(root).unwrap_or(&path).to_owned());
        }
    }
    Ok(())
}
