//! Repairs a store: damaged files are moved aside, and the rest is a whole store again. In: a folder. Out: each repair and
//! its cost. Nothing is deleted: damaged files are kept beside the store, under another name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Store;
use crate::disk::{self, Disk};
use crate::durable::{self, FolderLock};
use crate::frames::{Frame, Salvage};
use crate::keystore::Keystore;
use crate::log_files::{self, LogFiles};
use crate::root_key::KeyProvider;
use crate::secret::Key;
use crate::segment::SegmentReader;
use crate::store_folder::{self, StoreFolder};
use crate::{Error, Result};

/// One file that was repaired.
#[derive(Debug)]
pub struct Repair {
    /// The file.
    pub path: PathBuf,
    /// The new path of its damaged bytes; `None` if the file did not exist.
    pub moved_to: Option<PathBuf>,
    /// The problem.
    pub problem: Error,
    /// Lost rows, if their number is known.
    pub lost_rows: Option<u64>,
    /// Frames of the log that could be kept.
    pub kept_frames: u64,
}

impl Store {
    /// Moves damaged files aside, so that the store opens and verifies again. A whole store is not changed.
    pub fn repair(folder: &Path, provider: &dyn KeyProvider) -> Result<Vec<Repair>> {
        Store::repair_on(folder, provider, &disk::real())
    }

    /// As [`Store::repair`], on another disk.
    pub fn repair_on(folder: &Path, provider: &dyn KeyProvider, disk: &Arc<dyn Disk>) -> Result<Vec<Repair>> {
        let _lock = FolderLock::take(&**disk, folder)?;
        let mut keystore = Keystore::open(disk, folder, provider)?;
        let mut repaired = segments(&**disk, folder, &mut keystore)?;
        let files: Vec<(u64, Key, Option<u64>)> =
            keystore.logs().map(|(number, key, closed)| (number, key.clone(), closed)).collect();
        for (number, key, closed) in files {
            repaired.extend(log_file(disk, folder, &mut keystore, (number, &key, closed))?);
        }
        Ok(repaired)
    }
}

fn segments(disk: &dyn Disk, folder: &Path, keystore: &mut Keystore) -> Result<Vec<Repair>> {
    let mut repaired = Vec::new();
    for (number, tag) in keystore.segments().collect::<Vec<_>>() {
        let path = store_folder::segment_path(folder, number, tag);
        let seal = keystore.segment(number)?;
        let whole = StoreFolder::unchecked(disk, folder, keystore).segment(number, tag).and_then(|info| {
            SegmentReader::open(disk, &info.path, &seal)?.try_for_each(|batch| batch.map(drop))
        });
        let Err(problem) = whole else { continue };
        if matches!(problem, Error::Io { .. }) {
            return Err(problem);
        }
        let moved_to = durable::move_aside(disk, &path)?;
        keystore.remove_segment(number);
        repaired.push(Repair { path, moved_to, problem, lost_rows: Some(seal.rows), kept_frames: 0 });
    }
    if !repaired.is_empty() {
        keystore.save()?;
        for path in repaired.iter().filter(|repair| repair.moved_to.is_some()).map(|repair| &repair.path) {
            durable::remove(disk, path)?;
        }
    }
    Ok(repaired)
}

/// Repairs a damaged file of the log: its whole frames are copied to a new one.
fn log_file(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    keystore: &mut Keystore,
    file: (u64, &Key, Option<u64>),
) -> Result<Option<Repair>> {
    let path = log_files::path_of(folder, file.0);
    let (frames, problem) = whole_frames(&**disk, &path, file, keystore)?;
    let Some(problem) = problem else { return Ok(None) };
    let moved_to = durable::move_aside(&**disk, &path)?;
    LogFiles::new(disk, folder).start(keystore, &[file.0], &mut |writing| {
        frames.iter().try_for_each(|frame| writing.carry(frame).map(|_| ()))
    })?;
    let kept_frames = frames.len() as u64;
    Ok(Some(Repair { path, moved_to, problem, lost_rows: None, kept_frames }))
}

fn whole_frames(
    disk: &dyn Disk,
    path: &Path,
    file: (u64, &Key, Option<u64>),
    keystore: &Keystore,
) -> Result<(Vec<Frame>, Option<Error>)> {
    let mut salvage = Salvage::open(disk, path, file, keystore)?;
    let mut frames = Vec::new();
    loop {
        while let Some(frame) = salvage.next_frame()? {
            frames.push(frame);
        }
        if !salvage.resume()? {
            return Ok((frames, salvage.into_problem()));
        }
    }
}
