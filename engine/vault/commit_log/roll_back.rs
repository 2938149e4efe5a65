//! Rolls a damaged log back to the last step before the damage. In: a folder. Out: the problem and the note of that step; then a log that
//! opens at that step. Nothing is deleted: damaged files, and those behind them, are kept beside the log under another name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CommitLog;
use super::content::Content;
use crate::disk::{self, Disk};
use crate::durable::{self, FolderLock};
use crate::frames::{Frame, Salvage};
use crate::keystore::Keystore;
use crate::log_files::{self, LogFiles};
use crate::root_key::KeyProvider;
use crate::{Error, Result};

/// The rollback of a damaged log whose keystore is whole.
#[derive(Debug)]
pub struct Rollback {
    /// The first damage.
    pub problem: Error,
    /// The note of the last step before it; `None` if no step is whole, so that the log cannot be rolled back.
    pub note: Option<Vec<u8>>,
    /// The new paths of files that were moved aside.
    pub moved_to: Vec<PathBuf>,
}

/// The damage, and the whole part before it.
struct Damage {
    problem: Error,
    note: Option<Vec<u8>>,
    /// Frames of the damaged file up to that step.
    kept: Vec<Frame>,
    /// The damaged file, and those behind it.
    files: Vec<u64>,
}

impl CommitLog {
    /// Returns the rollback that a damaged log needs, or `None` if it is whole. Changes nothing.
    pub fn planned_rollback(folder: &Path, provider: &dyn KeyProvider) -> Result<Option<Rollback>> {
        let disk = disk::real();
        let keystore = Keystore::open(&disk, folder, provider)?;
        let damage = find_damage(&*disk, folder, &keystore)?;
        Ok(damage.map(|Damage { problem, note, .. }| Rollback { problem, note, moved_to: Vec::new() }))
    }

    /// Rolls a damaged log back to the last whole step. A log that is whole, or that has no whole step, is not changed.
    pub fn roll_back(folder: &Path, provider: &dyn KeyProvider) -> Result<Option<Rollback>> {
        CommitLog::roll_back_on(folder, provider, &disk::real())
    }

    /// As [`CommitLog::roll_back`], on another disk.
    pub fn roll_back_on(
        folder: &Path,
        provider: &dyn KeyProvider,
        disk: &Arc<dyn Disk>,
    ) -> Result<Option<Rollback>> {
        let _lock = FolderLock::take(&**disk, folder)?;
        let mut keystore = Keystore::open(disk, folder, provider)?;
        let Some(Damage { problem, note, kept, files }) = find_damage(&**disk, folder, &keystore)? else {
            return Ok(None);
        };
        let mut moved_to = Vec::new();
        if note.is_some() {
            for number in &files {
                moved_to.extend(durable::move_aside(&**disk, &log_files::path_of(folder, *number))?);
            }
            LogFiles::new(disk, folder).start(&mut keystore, &files, &mut |writing| {
                kept.iter().try_for_each(|frame| writing.carry(frame).map(drop))
            })?;
        }
        Ok(Some(Rollback { problem, note, moved_to }))
    }
}

fn find_damage(disk: &dyn Disk, folder: &Path, keystore: &Keystore) -> Result<Option<Damage>> {
    let mut note = None;
    let mut logs = keystore.logs();
    while let Some((number, key, closed)) = logs.next() {
        let path = log_files::path_of(folder, number);
        let mut salvage = Salvage::open(disk, &path, (number, key, closed), keystore)?;
        let mut frames = Vec::new();
        while let Some(frame) = salvage.next_frame()? {
            frames.push(frame);
        }
        let Some(problem) = salvage.into_problem() else {
            note = frames.iter().rev().find_map(note_of).or(note);
            continue;
        };
        // A note ends a step: frames behind the last one are not committed.
        let last = frames.iter().rposition(|frame| note_of(frame).is_some());
        frames.truncate(last.map_or(0, |last| last + 1));
        note = frames.last().and_then(note_of).or(note);
        let files = std::iter::once(number).chain(logs.map(|(number, ..)| number)).collect();
        return Ok(Some(Damage { problem, note, kept: frames, files }));
    }
    Ok(None)
}

fn note_of(frame: &Frame) -> Option<Vec<u8>> {
    frame.parts.iter().find_map(|part| match Content::decode(&part.content.as_ref()?.plain)? {
        Content::Note(note) => Some(note.into_owned()),
        Content::Put { .. } | Content::Delete { .. } | Content::Drop(_) => None,
    })
}
