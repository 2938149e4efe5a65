//! The error of a stage that cannot continue.
//!
//! An error names what happened, what was expected and what to do; the engine adds where (stage, epoch, device, seq).
//! It must never carry a value of a row: errors are logged, and rows are private.

use std::borrow::Cow;
use std::fmt;

use arrow::error::ArrowError;

/// The result of everything a stage does.
pub type Result<T = ()> = std::result::Result<T, StageError>;

/// The reason why a stage cannot continue. It carries no value of any row.
#[derive(Debug)]
pub struct StageError {
    what: Cow<'static, str>,
    expected: Option<Cow<'static, str>>,
    help: Option<Cow<'static, str>>,
    disk_full: bool,
}

impl StageError {
    /// Creates an error from what happened, in a few words and without any value of a row.
    pub fn new(what: impl Into<Cow<'static, str>>) -> Self {
        StageError { what: what.into(), expected: None, help: None, disk_full: false }
    }

    /// Adds what was expected instead.
    pub fn expected(mut self, expected: impl Into<Cow<'static, str>>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Adds what the user can do about it.
    pub fn help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Barriers the error as caused by a full disk: the same input may be given again when there is space.
    pub fn for_want_of_disk_space(self) -> Self {
        StageError { disk_full: true, ..self }
    }

    /// Returns true if the reason is a full disk.
    pub fn needs_disk_space(&self) -> bool {
        self.disk_full
    }

    /// Returns what happened, without expectation and help.
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(expected) = &self.expected {
            write!(f, "; expected {expected}")?;
        }
        if let Some(help) = &self.help {
            write!(f, " (help: {help})")?;
        }
        Ok(())
    }
}

impl std::error::Error for StageError {}

/// Arrow's messages may quote the value that failed to parse or cast: only the kind of failure is kept.
impl From<ArrowError> for StageError {
    fn from(error: ArrowError) -> Self {
        let what = match error {
            ArrowError::SchemaError(_) => "arrow: the schema does not fit",
            ArrowError::CastError(_) => "arrow: a value does not fit the column's type",
            ArrowError::ParseError(_) => "arrow: a value could not be read",
            ArrowError::InvalidArgumentError(_) => "arrow: the columns do not fit the schema",
            ArrowError::MemoryError(_) => "arrow: out of memory",
            ArrowError::IoError(..) | ArrowError::IpcError(_) => {
                "arrow: the batch could not be read or written"
            }
            ArrowError::ArithmeticOverflow(_) | ArrowError::DivideByZero => "arrow: arithmetic overflow",
            ArrowError::OffsetOverflowError(_) => "arrow: a column is larger than its offsets can address",
            _ => "arrow: an operation failed",
        };
        StageError::new(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrow_errors_lose_their_values() {
        let error = StageError::from(ArrowError::ParseError("could not parse '555-0199'".into()));
        assert!(!error.to_string().contains("555"), "{error}");
    }

    #[test]
    fn all_parts_are_shown() {
        let error = StageError::new("no model.onnx in the folder").expected("three graphs").help("copy them");
        assert_eq!(error.to_string(), "no model.onnx in the folder; expected three graphs (help: copy them)");
    }
}
