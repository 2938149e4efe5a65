//! Why a Parquet file could not be read, or a part of it. The messages name columns, types and places, never a value.

use std::io;

use parquet::errors::ParquetError;
use thiserror::Error;

/// Why a Parquet file could not be read, or a part of it.
#[derive(Debug, Error)]
pub enum ParquetTextError {
    /// There is no such file.
    #[error("the file does not exist")]
    Missing,
    /// A folder, a named pipe, a socket or a device.
    #[error("{0}")]
    NotAFile(#[source] io::Error),
    /// The operating system would not read it.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// No bytes at all.
    #[error("the file is empty (0 bytes)")]
    Empty,
    /// It does not begin as Parquet does.
    #[error("this is no Parquet file: it does not begin with PAR1")]
    NotParquet,
    /// Its footer is sealed by a key.
    #[error("the Parquet file is encrypted, but only plain ones are read")]
    Encrypted,
    /// It begins as Parquet does, and does not end so.
    #[error("the Parquet file is cut off: it does not end with PAR1")]
    CutOff,
    /// The footer contradicts the format, or itself.
    #[error("the Parquet file is damaged: {0}")]
    Damaged(String),
    /// The pages of a row group contradict the footer or the format.
    #[error("row group {group} of the Parquet file cannot be read further: {reason}")]
    DamagedGroup {
        /// Its number, from 1.
        group: usize,
        /// The contradiction.
        reason: String,
    },
    /// A wanted column is not there.
    #[error("there is no column `{column}`; the file has {has}")]
    NoColumn {
        /// The wanted column.
        column: String,
        /// The columns found.
        has: String,
    },
    /// A wanted column is there more than once.
    #[error("there are several columns `{column}`, but one is needed")]
    TwoColumns {
        /// The wanted column.
        column: String,
    },
    /// A wanted column holds something else.
    #[error("column `{column}` holds {found}; expected {expected}")]
    WrongType {
        /// The wanted column.
        column: String,
        /// The type found.
        found: String,
        /// The expected type.
        expected: &'static str,
    },
}

impl ParquetTextError {
    /// The operating system's answer to opening or reading.
    pub(super) fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::InvalidInput => Self::NotAFile(error),
            _ => Self::Unreadable(error),
        }
    }
}

/// The Parquet library's message on a file's structure. Its words on Arrow's and other libraries' behalf may quote a
/// value: only the kind is kept of those.
pub(super) fn words(error: &ParquetError) -> String {
    match error {
        ParquetError::General(what) => what.clone(),
        ParquetError::NYI(what) => format!("not supported: {what}"),
        ParquetError::EOF(what) => format!("it ends too early: {what}"),
        ParquetError::External(cause) if cause.is::<io::Error>() => "its bytes cannot be read".to_owned(),
        ParquetError::IndexOutOfBound(..) => "it names a column that it has not".to_owned(),
        ParquetError::NeedMoreData(_) | ParquetError::NeedMoreDataRange(_) => "it ends too early".to_owned(),
        _ => "its values contradict its schema".to_owned(),
    }
}
