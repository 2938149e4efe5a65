//! What this crate asks of a disk, as a trait: so that tests can put one under it that loses, tears and reorders what
//! was not synced. In: paths and bytes. Out: the same, or the error of the system. It knows nothing of what is in the
//! files. Nothing else in this crate touches the file system.

mod real;
mod simulated;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use real::RealDisk;
pub(crate) use real::read_private;
pub use simulated::{Fault, SimulatedDisk};

/// The few file operations that bytes at rest are made of.
///
/// What it promises: an append reaches the disk at the latest at the file's `sync`; a name, at the folder's
/// `sync_folder`; a rename is there whole or not at all. Before that, each may be lost, and in any order.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a folder and its parents, for the owner alone; that it is there already is fine.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes an empty file for the owner alone, in the place of whatever was there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskWriter>>;

    /// Opens a file for writing behind what is in it; it is made if need be.
    fn append_to(&self, path: &Path) -> io::Result<Box<dyn DiskWriter>>;

    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskReader>>;

    /// Whether there is something at a path.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// The paths of all that lies in a folder, sorted.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// Moves a file, in one step, over whatever was there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, which must be free.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Locks a file, which is made if need be, until the guard is dropped. The file then holds the owner's process id.
    fn lock(&self, path: &Path) -> io::Result<Locked>;
}

/// A file that is written from its beginning to its end.
pub trait DiskWriter: fmt::Debug + Send {
    /// Appends some of the bytes; returns how many.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes what was appended durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that is read anywhere.
pub trait DiskReader: fmt::Debug + Send + Sync {
    /// Bytes of the file.
    fn length(&self) -> io::Result<u64>;

    /// Reads from an offset into the buffer; returns how many bytes, 0 at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// What came of a try to lock.
#[derive(Debug)]
pub enum Locked {
    /// It is ours until this is dropped.
    Ours(Box<dyn LockGuard>),
    /// It belongs to the process of this id, if that could be read.
    Theirs(Option<u32>),
}

/// A lock that is held.
pub trait LockGuard: fmt::Debug + Send + Sync {}

/// The disk of this machine.
pub fn real() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

/// Reads until the buffer is full or the file ends; returns how many bytes.
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
