//! The file operations of this crate as a trait, so that tests can use a disk that loses, tears and reorders unsynced
//! writes. In: paths and bytes. Out: the same, or the error of the system. It must not know the content of the files.
//! Nothing else in this crate touches the file system.

mod real;
mod simulated;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use real::RealDisk;
pub use simulated::{Fault, SimulatedDisk};

/// The file operations that this crate needs.
///
/// Guarantees: an append reaches the disk at the latest at the file's `sync`; a name, at the folder's
/// `sync_folder`; a rename is there whole or not at all. Before that, each may be lost, and in any order.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Creates a folder and its parents, for the owner alone, unless they exist.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Creates an empty file for the owner alone, replacing any file at the path.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskWriter>>;

    /// Opens a file for appending; creates it if needed.
    fn append_to(&self, path: &Path) -> io::Result<Box<dyn DiskWriter>>;

    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskReader>>;

    /// Returns true if something exists at a path.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Lists the paths in a folder, sorted.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// Moves a file in one step, replacing any file at the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, which must be free.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Locks a file until the guard is dropped; creates it if needed. The file then holds the owner's process id.
    fn lock(&self, path: &Path) -> io::Result<LockOutcome>;
}

/// A file that is written from its beginning to its end.
pub trait DiskWriter: fmt::Debug + Send {
    /// Appends some of the bytes; returns their number.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes what was appended durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that is read at any offset.
pub trait DiskReader: fmt::Debug + Send + Sync {
    /// Bytes of the file.
    fn length(&self) -> io::Result<u64>;

    /// Reads from an offset into the buffer; returns the number of bytes, 0 at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// The permission bits of the open file, where the disk has any: read from the open file, not its path, so that the file cannot
    /// be exchanged between the check and the read.
    fn mode(&self) -> io::Result<Option<u32>> {
        Ok(None)
    }
}

/// The outcome of an attempt to lock.
#[derive(Debug)]
pub enum LockOutcome {
    /// The lock is held until the guard is dropped.
    Acquired(Box<dyn LockGuard>),
    /// The process of this id holds the lock; `None` if its id could not be read.
    Busy(Option<u32>),
}

/// A lock that is held.
pub trait LockGuard: fmt::Debug + Send + Sync {}

/// The disk of this machine.
pub fn real() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

/// Reads until the buffer is full or the file ends; returns the number of bytes.
pub(crate) fn read_full(file: &dyn DiskReader, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(offset + filled as u64, rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
