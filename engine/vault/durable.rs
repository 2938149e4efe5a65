//! Files that are there whole or not at all, also after a power cut: written beside their place, synced,
//! renamed, and the folder synced. It knows nothing of what is in them.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// What the name of a file that is not complete yet ends in.
pub(crate) const UNFINISHED: &str = "tmp";

/// The place where `path` is written before it is renamed.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(UNFINISHED);
    path.with_file_name(name)
}

/// Creates the folder and its parents for the owner alone.
pub(crate) fn create_folder(path: &Path) -> Result {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::io("create the folder", path))
}

/// Writes a new file for the owner alone and syncs it.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::io("create", path))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.sync_all().map_err(Error::io("sync", path))
}

/// Puts `bytes` at `path`, replacing what was there, in one step.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result {
    let unfinished = beside(path);
    write_synced(&unfinished, bytes)?;
    rename(&unfinished, path)?;
    sync_folder_of(path)
}

/// Puts `bytes` at `path` only if nothing is there; `false` when something is.
pub(crate) fn create_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    let mut unfinished = beside(path);
    unfinished
        .set_extension(format!("{}.{UNFINISHED}", crate::secret::hex(&crate::secret::random_bytes::<6>()?)));
    write_synced(&unfinished, bytes)?;
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished).map_err(Error::io("remove", &unfinished))?;
    match linked {
        Ok(()) => sync_folder_of(path).map(|()| true),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(Error::io("create", path)(e)),
    }
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result {
    fs::rename(from, to).map_err(Error::io("rename to", to))
}

/// Removes a file; that it is gone already is fine.
pub(crate) fn remove(path: &Path) -> Result {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}

/// Makes the names in the folder of `path` durable.
pub(crate) fn sync_folder_of(path: &Path) -> Result {
    sync_folder(parent(path))
}

pub(crate) fn sync_folder(folder: &Path) -> Result {
    File::open(folder).and_then(|f| f.sync_all()).map_err(Error::io("sync the folder", folder))
}

/// The folder that a path lies in, also for a bare file name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// Reads a whole file; an absent one is said to be absent.
pub(crate) fn read(path: &Path, what: &'static str, remedy: &'static str) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::Absent { what, path: path.to_owned(), remedy },
        _ => Error::io("read", path)(e),
    })
}

/// A lock on a folder, held until dropped: one writer at a time.
#[derive(Debug)]
pub(crate) struct FolderLock(#[allow(dead_code, reason = "held for its lock")] File);

impl FolderLock {
    pub(crate) fn take(folder: &Path) -> Result<FolderLock> {
        let path = folder.join("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io("create", &path))?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(FolderLock(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Busy { path: folder.to_owned() }),
            Err(e) => Err(Error::io("lock", &path)(e.into())),
        }
    }
}
