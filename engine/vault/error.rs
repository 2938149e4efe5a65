//! Errors of bytes at rest. Every message names the file, what was expected and what
//! to do; none carries a key, a device's name or a value from a row.

use std::io;
use std::path::{Path, PathBuf};

/// The result of this crate's functions.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// An error of writing or reading bytes at rest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The operation, as in "read" or "rename".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The disk is full. Nothing acknowledged is lost, and the rejected rows may be written again.
    #[error("cannot {action} {}: the disk is full; free some space", path.display())]
    DiskFull {
        /// The operation.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
    },
    /// Nothing exists at this path.
    #[error("there is no {what} at {}; {remedy}", path.display())]
    Absent {
        /// The missing thing.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The remedy.
        remedy: &'static str,
    },
    /// The file is of another kind, or of a later version.
    #[error("{} is not a {expected}: {found}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The expected kind of file.
        expected: &'static str,
        /// The difference found.
        found: String,
    },
    /// The file was changed, cut short or mixed up since it was written.
    #[error("{} is damaged: {what}. Nothing was read from it; restore it from a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The mismatch.
        what: String,
    },
    /// The available root key is not the one that this keystore was created with.
    #[error(
        "{} was made with root key {needed}, but the key at {provided_by} is {provided}; give the key file \
         of {needed} (`--key-file`), or restore it from its backup (`headwater key restore`)",
        path.display()
    )]
    WrongKey {
        /// The keystore or backup.
        path: PathBuf,
        /// Id of the key it needs.
        needed: String,
        /// Id of the available key.
        provided: String,
        /// The origin of the available key.
        provided_by: String,
    },
    /// The key file can be read by others.
    #[error(
        "the root key {} may be read by others (mode {mode:03o}, expected 600); run `chmod 600 {}`, and make \
         a new key if another person may have read this one",
        path.display(), path.display()
    )]
    KeyExposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A backup text was mistyped or cut.
    #[error("the backup text is wrong: {0}")]
    BadBackup(String),
    /// Another process has the folder open for writing.
    #[error(
        "{} is being written by {}; wait for it to end, or give another path",
        path.display(), process(*pid)
    )]
    Busy {
        /// The folder.
        path: PathBuf,
        /// The process that has it open, if that is known.
        pid: Option<u32>,
    },
    /// Rows that cannot be stored.
    #[error("rows cannot be stored: {0}")]
    BadRows(String),
    /// Segments disagree about the type of a column.
    #[error(
        "column `{column}` is {first} in some segments and {second} in others, so they do not fit one table; \
         read them as JSON lines, or select other columns"
    )]
    MixedTypes {
        /// The column.
        column: String,
        /// One of its types.
        first: String,
        /// Another one.
        second: String,
    },
    /// An earlier write failed, so that what is on the disk is uncertain.
    #[error(
        "{} takes no more rows: an earlier write failed ({why}). Free space or repair the disk, then start \
         again; what was acknowledged is safe",
        path.display()
    )]
    Poisoned {
        /// The folder or file.
        path: PathBuf,
        /// The failure.
        why: String,
    },
    /// Encoding or decoding rows failed.
    #[error("cannot {action} rows in {}: {source}", path.display())]
    Rows {
        /// "encode" or "decode".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the library.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The system gave no random bytes, or a cipher refused its input.
    #[error("cryptography failed: {0}")]
    Crypto(&'static str),
}

impl Error {
    /// A closure for `map_err` on an input or output error.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull { action, path },
            _ => Error::Io { action, path, source },
        }
    }

    /// Returns true if the disk is full: the operation may be tried again later.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Error::DiskFull { .. })
    }

    /// A closure for `map_err` on an error of arrow or parquet.
    pub(crate) fn rows<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Error {
        let path = path.to_owned();
        move |source| Error::Rows { action, path, source: source.into() }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Error {
        Error::Damaged { path: path.to_owned(), what: what.into() }
    }

    pub(crate) fn foreign(path: &Path, expected: &'static str, found: impl Into<String>) -> Error {
        Error::Foreign { path: path.to_owned(), expected, found: found.into() }
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}
