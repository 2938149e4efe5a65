//! A mistake in a text file, with its place.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One mistake of a manifest, shown as `file:line:column: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The manifest.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The bytes it is about.
    pub span: Range<usize>,
    /// The mistake and the expected value.
    pub message: String,
}

impl Mistake {
    pub(super) fn new(path: &Path, text: &str, span: Range<usize>, message: &str) -> Self {
        let (line, column) = place(text, span.start);
        Self { path: path.to_owned(), line, column, span, message: message.to_owned() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.path.display(), self.line, self.column, self.message)
    }
}

/// Line and column, both from 1, of a byte offset.
pub(crate) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before.get(line_start..).unwrap_or("").chars().count() + 1)
}
