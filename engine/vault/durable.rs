//! Files that exist whole or not at all, also after a power cut: written beside their place, synced,
//! renamed, and the folder synced. In: a disk, paths, bytes. It must not know their content.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskReader, DiskWriter, LockGuard, LockOutcome, read_full};
use crate::{Error, Result};

/// The extension of a file that is not complete yet.
pub(crate) const UNFINISHED: &str = "tmp";

/// The place where `path` is written before it is renamed.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(UNFINISHED);
    path.with_file_name(name)
}

/// Creates the folder and its parents for the owner alone, durably.
pub(crate) fn create_folder(disk: &dyn Disk, path: &Path) -> Result {
    let mut missing = Vec::new();
    for folder in path.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
        if exists(disk, folder)? {
            break;
        }
        missing.push(folder);
    }
    disk.create_folder(path).map_err(Error::io("create the folder", path))?;
    missing.iter().try_for_each(|folder| sync_folder(disk, parent(folder)))
}

/// Writes a new file for the owner alone and syncs it.
pub(crate) fn write_synced(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result {
    let mut file = create(disk, path)?;
    append(&mut *file, path, bytes)?;
    sync(&mut *file, path)
}

/// Replaces the file at `path` with `bytes` in one step.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result {
    let unfinished = beside(path);
    write_synced(disk, &unfinished, bytes)?;
    rename(disk, &unfinished, path)?;
    sync_folder(disk, parent(path))
}

/// Writes `bytes` to `path` unless it exists; returns false if it does.
pub(crate) fn create_new(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<bool> {
    let mut unfinished = beside(path);
    unfinished
        .set_extension(format!("{}.{UNFINISHED}", crate::secret::hex(&crate::secret::random_bytes::<6>()?)));
    write_synced(disk, &unfinished, bytes)?;
    let linked = disk.link(&unfinished, path);
    disk.remove(&unfinished).map_err(Error::io("remove", &unfinished))?;
    match linked {
        Ok(()) => sync_folder(disk, parent(path)).map(|()| true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(Error::io("create", path)(e)),
    }
}

pub(crate) fn create(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DiskWriter>> {
    disk.create(path).map_err(Error::io("create", path))
}

/// Appends all of the bytes, in as many calls as the disk needs.
pub(crate) fn append(file: &mut dyn DiskWriter, path: &Path, bytes: &[u8]) -> Result {
    let mut rest = bytes;
    while !rest.is_empty() {
        match file.append(rest) {
            Ok(0) => return Err(Error::io("write", path)(io::ErrorKind::WriteZero.into())),
            Ok(n) => rest = rest.get(n..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io("write", path)(e)),
        }
    }
    Ok(())
}

/// A failed sync is never reported as a full disk: the content of the file on the disk is unknown.
pub(crate) fn sync(file: &mut dyn DiskWriter, path: &Path) -> Result {
    file.sync().map_err(|source| Error::Io { action: "sync", path: path.to_owned(), source })
}

pub(crate) fn rename(disk: &dyn Disk, from: &Path, to: &Path) -> Result {
    disk.rename(from, to).map_err(Error::io("rename to", to))
}

/// Removes a file, if it exists.
pub(crate) fn remove(disk: &dyn Disk, path: &Path) -> Result {
    match disk.remove(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}

/// Gives a damaged file a second name, under which it is kept; returns `None` if it does not exist.
pub(crate) fn move_aside(disk: &dyn Disk, path: &Path) -> Result<Option<PathBuf>> {
    if !exists(disk, path)? {
        return Ok(None);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".damaged");
    let aside = path.with_file_name(name);
    remove(disk, &aside)?;
    disk.link(path, &aside).map_err(Error::io("move aside to", &aside))?;
    sync_folder(disk, parent(path))?;
    Ok(Some(aside))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(disk: &dyn Disk, folder: &Path) -> Result {
    disk.sync_folder(folder).map_err(|source| Error::Io {
        action: "sync the folder",
        path: folder.to_owned(),
        source,
    })
}

pub(crate) fn exists(disk: &dyn Disk, path: &Path) -> Result<bool> {
    disk.exists(path).map_err(Error::io("inspect", path))
}

/// Lists a folder in the order of the names.
pub(crate) fn list(disk: &dyn Disk, folder: &Path) -> Result<Vec<PathBuf>> {
    disk.list(folder).map_err(Error::io("list", folder))
}

/// The files of a folder whose names end in an extension.
pub(crate) fn list_ending(disk: &dyn Disk, folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut paths = list(disk, folder)?;
    paths.retain(|path| path.extension().is_some_and(|e| e == extension));
    Ok(paths)
}

/// The folder of a path, also for a bare file name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// Reads a whole file. A missing file is [`Error::Absent`].
pub(crate) fn read(
    disk: &dyn Disk,
    path: &Path,
    what: &'static str,
    remedy: &'static str,
) -> Result<Vec<u8>> {
    let file = disk.open(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Error::Absent { what, path: path.to_owned(), remedy },
        _ => Error::io("read", path)(e),
    })?;
    read_all(&*file, path)
}

/// Reads all of an open file.
pub(crate) fn read_all(file: &dyn DiskReader, path: &Path) -> Result<Vec<u8>> {
    let length = file.length().map_err(Error::io("inspect", path))?;
    read_part(file, path, 0, usize::try_from(length).unwrap_or(usize::MAX))
}

/// Reads bytes from an offset; fewer where the file ends.
pub(crate) fn read_part(file: &dyn DiskReader, path: &Path, offset: u64, bytes: usize) -> Result<Vec<u8>> {
    let mut buffer = vec![0; bytes];
    let n = read_full(file, offset, &mut buffer).map_err(Error::io("read", path))?;
    buffer.truncate(n);
    Ok(buffer)
}

/// A lock on a folder, held until dropped: one writer at a time.
#[derive(Debug)]
pub(crate) struct FolderLock(#[allow(dead_code, reason = "held for its lock")] Box<dyn LockGuard>);

impl FolderLock {
    pub(crate) fn take(disk: &dyn Disk, folder: &Path) -> Result<FolderLock> {
        let path = folder.join("lock");
        match disk.lock(&path).map_err(Error::io("lock", &path))? {
            LockOutcome::Acquired(guard) => Ok(FolderLock(guard)),
            LockOutcome::Busy(pid) => Err(Error::Busy { path: folder.to_owned(), pid }),
        }
    }
}
