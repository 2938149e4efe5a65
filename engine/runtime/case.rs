//! A test inside a pipeline file: what is fed where, and what must come of it.
//!
//! In: what the check read of `[[test]]`. Out: values. It must not know how a test is run, nor how its result is reported.

use std::path::PathBuf;

use crate::diagnostic::Span;

/// One `[[test]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// The rows that stand in for outputs.
    pub feeds: Vec<FeedAt>,
    /// The expected rows.
    pub expects: Vec<ExpectAt>,
    /// Values of params, as `--param` gives them.
    pub params: Vec<(String, String)>,
    /// Options, as `--set` gives them.
    pub set: Vec<(String, String)>,
}

/// Rows in the place of what a stage gives.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedAt {
    /// The port: `talk`, `train.update`.
    pub port: String,
    /// The rows.
    pub rows: RowsOf,
}

/// Rows of a test.
#[derive(Clone, Debug, PartialEq)]
pub enum RowsOf {
    /// They are written in the file.
    Here(Vec<toml::Table>),
    /// They are lines of JSON in another file, whose path begins at this one's folder.
    File(PathBuf),
}

/// The expected rows at a place.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectAt {
    /// The stage, or one of its ports.
    pub place: String,
    /// All rows, with the columns that are named.
    pub rows: Option<(RowsOf, Span)>,
    /// Patterns that some row holds.
    pub matches: Vec<Pattern>,
    /// Patterns that no row holds.
    pub none_match: Vec<Pattern>,
    /// The number of rows.
    pub count: Option<(u64, Span)>,
}

/// A regular expression over a column of text, or over all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The column; nothing for all.
    pub column: Option<String>,
    /// The expression.
    pub regex: String,
}
