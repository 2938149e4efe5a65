//! Problems of a model's files go in, one by one; one error that lists all of them comes out.
//! Knows no format: readers name the file, the place in it, what they found and what they expected.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::detected_format::{DetectedFormat, JSON, named};

/// One thing that is wrong in a model's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the model's folder.
    pub file: String,
    /// The key or tensor that is wrong; empty if it is the file itself.
    pub item: String,
    /// The value found there.
    pub found: String,
    /// The expected value.
    pub expected: String,
    /// The remedy; empty where that follows from the rest.
    pub help: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if !self.item.is_empty() {
            write!(f, "{}: ", self.item)?;
        }
        write!(f, "found {}; expected {}", self.found, self.expected)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, " (help: {})", self.help) }
    }
}

impl std::error::Error for Problem {}

/// Why a model cannot be used: all problems at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelError {
    /// The folder or file as it was given.
    pub path: PathBuf,
    /// At least one problem.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use the language model in {}:", self.path.display())?;
        self.problems.iter().try_for_each(|p| write!(f, "\n  {p}"))
    }
}

impl std::error::Error for ModelError {}

/// The problems found so far.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Adds a problem.
    pub fn add(
        &mut self,
        file: &str,
        item: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.push(Problem {
            file: file.to_owned(),
            item: item.into(),
            found: found.into(),
            expected: expected.into(),
            help: String::new(),
        });
    }

    /// Adds that a file is not `format` but something else, with what to do; gives false where its first bytes do not identify it.
    pub fn add_mistaken(&mut self, file: &str, first: &[u8], format: &str) -> bool {
        let detected_format = named(first, format);
        if let Some(DetectedFormat { found, help }) = detected_format {
            let (found, expected, help) = (found.to_owned(), format.to_owned(), help.to_owned());
            self.push(Problem { file: file.to_owned(), item: String::new(), found, expected, help });
        }
        detected_format.is_some()
    }

    /// Adds a problem that a reader made.
    pub fn push(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    /// The value, with its problem noted if there is none.
    pub fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|p| self.push(p)).ok()
    }

    /// Returns true if nothing was wrong so far.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The problems, in the order in which they were found.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// Returns the value if it is there and no problem was added.
    pub fn finish<T>(self, path: &Path, value: Option<T>) -> Result<T, ModelError> {
        match value {
            Some(value) if self.list.is_empty() => Ok(value),
            _ => Err(ModelError { path: path.to_owned(), problems: self.list }),
        }
    }
}

/// The JSON of a file, or a problem.
pub fn json(file: &str, bytes: &[u8], problems: &mut Problems) -> Option<Value> {
    let read = serde_json::from_slice(bytes);
    read.map_err(|e| {
        if !problems.add_mistaken(file, bytes, JSON) {
            problems.add(file, "", format!("no valid JSON ({e})"), JSON);
        }
    })
    .ok()
}

/// A list for a message: the first few, and how many there are beyond them.
pub fn few<T: fmt::Display>(items: &[T]) -> String {
    const SHOWN: usize = 5;
    let mut text = items.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if items.len() > SHOWN {
        text.push_str(&format!(" and {} more", items.len() - SHOWN));
    }
    text
}

/// A text from a file, cut so that a message stays readable.
pub fn shorten(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
