//! Verifies every byte of the frame files of a folder, without taking its lock. In: a folder and the root key. Out: for
//! each file its frames, its forgotten parts, its torn tail and its problem.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::durable;
use crate::frames::{FrameReader, TornTail};
use crate::keystore::Keystore;
use crate::log_files;
use crate::root_key::KeyProvider;
use crate::secret::Key;
use crate::{Error, Result};

/// The result of verifying one file.
#[derive(Debug)]
pub struct FileCheck {
    /// The file.
    pub path: PathBuf,
    /// Its bytes up to the end of the last whole frame.
    pub bytes: u64,
    /// Whole frames.
    pub frames: u64,
    /// Parts of frames whose device was forgotten: verified, but unreadable for good.
    pub forgotten: u64,
    /// A tail that was never completely written.
    pub torn: Option<TornTail>,
    /// The problem found.
    pub problem: Option<Error>,
}

impl FileCheck {
    fn of(path: PathBuf, problem: Option<Error>) -> FileCheck {
        FileCheck { path, bytes: 0, frames: 0, forgotten: 0, torn: None, problem }
    }
}

/// Verifies all frame files of a folder.
pub(crate) fn check_log(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    provider: &dyn KeyProvider,
) -> Result<Vec<FileCheck>> {
    let keystore = Keystore::open(disk, folder, provider)?;
    let mut checks = Vec::new();
    for (number, key, closed) in keystore.logs() {
        let check = check_file(&**disk, folder, (number, key, closed), &keystore);
        // The writer may have replaced the file meanwhile.
        if check.problem.is_none() || Keystore::open(disk, folder, provider)?.log_key(number).is_some() {
            checks.push(check);
        }
    }
    for path in durable::list_ending(&**disk, folder, "frames")? {
        let number = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse::<u64>().ok());
        let known = number.is_some_and(|n| keystore.has_assigned(n) || keystore.is_next(n));
        if !known {
            let found = "its keystore does not name it";
            let problem = Error::foreign(&path, "frame file of this log", found);
            checks.push(FileCheck::of(path, Some(problem)));
        }
    }
    Ok(checks)
}

fn check_file(
    disk: &dyn Disk,
    folder: &Path,
    file: (u64, &Key, Option<u64>),
    keystore: &Keystore,
) -> FileCheck {
    let path = log_files::path_of(folder, file.0);
    let mut reader = match FrameReader::open(disk, &path, file, keystore) {
        Ok(reader) => reader,
        Err(problem) => return FileCheck::of(path, Some(problem)),
    };
    let mut check = FileCheck::of(path, None);
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                check.frames += 1;
                check.forgotten += frame.parts.iter().filter(|part| part.content.is_none()).count() as u64;
            }
            Ok(None) => break,
            Err(problem) => {
                check.problem = Some(problem);
                break;
            }
        }
    }
    check.bytes = reader.at();
    check.torn = reader.torn().cloned();
    check
}
