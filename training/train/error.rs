//! The errors of training; each names the part. No text of a device is ever in a message.

use tch::TchError;

/// Why something could not be trained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// LibTorch refused an operation.
    #[error("LibTorch failed at {what}: {reason}")]
    Torch {
        /// The operation.
        what: &'static str,
        /// The first line of LibTorch's own words.
        reason: String,
    },
    /// A weight of the base is missing or has another shape.
    #[error("weight {name}: {reason}")]
    Weight {
        /// Its name, as Hugging Face calls it.
        name: String,
        /// The mistake in it.
        reason: String,
    },
    /// A value that was given to this part does not fit.
    #[error("{what} is {found}; expected {expected}")]
    Value {
        /// The option or the argument.
        what: String,
        /// The value found.
        found: String,
        /// The expected value.
        expected: String,
    },
}

impl TrainError {
    /// A value that does not fit.
    pub fn value(what: impl Into<String>, found: impl ToString, expected: impl Into<String>) -> TrainError {
        TrainError::Value { what: what.into(), found: found.to_string(), expected: expected.into() }
    }
}

/// A result of this part.
pub type Result<T> = std::result::Result<T, TrainError>;

/// Says what LibTorch was doing.
pub(super) trait ErrorContext<T> {
    fn doing(self, what: &'static str) -> Result<T>;
}

impl<T> ErrorContext<T> for std::result::Result<T, TchError> {
    fn doing(self, what: &'static str) -> Result<T> {
        self.map_err(|error| {
            let words = error.to_string();
            let reason = words.lines().next().unwrap_or_default().to_owned();
            TrainError::Torch { what, reason }
        })
    }
}
