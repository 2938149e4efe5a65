//! A damaged log goes back to the last step before the damage. In: a folder. Out: what is wrong, and the note of that step; then a log that
//! opens again and gives it. Nothing is thrown away: damaged files, and those behind them, stay beside the log under another name.

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

/// What is wrong with a log whose keystore is whole.
#[derive(Debug)]
pub struct Setback {
    /// The first damage.
    pub problem: Error,
    /// The note of the last step before it; nothing if none is whole, and the log cannot be rolled back.
    pub note: Option<Vec<u8>>,
    /// Where files are now that were moved aside.
    pub moved_to: Vec<PathBuf>,
}

/// The damage, and what is whole before it.
struct Damage {
    problem: Error,
    note: Option<Vec<u8>>,
    /// Frames of the damaged file up to that step.
    kept: Vec<Frame>,
    /// The damaged file, and those behind it.
    files: Vec<u64>,
}

impl CommitLog {
    /// The setback that a damaged log would take; nothing if it is whole. Nothing is changed.
    pub fn setback(folder: &Path, provider: &dyn KeyProvider) -> Result<Option<Setback>> {
        let disk = disk::real();
        let keystore = Keystore::open(&disk, folder, provider)?;
        let damage = look(&*disk, folder, &keystore)?;
        Ok(damage.map(|Damage { problem, note, .. }| Setback { problem, note, moved_to: Vec::new() }))
    }

    /// Rolls a damaged log back to the last whole step. One that is whole, or of which no step is, is left alone.
    pub fn roll_back(folder: &Path, provider: &dyn KeyProvider) -> Result<Option<Setback>> {
        CommitLog::roll_back_on(folder, provider, &disk::real())
    }

    /// As [`CommitLog::roll_back`], on another disk.
    pub fn roll_back_on(
        folder: &Path,
        provider: &dyn KeyProvider,
        disk: &Arc<dyn Disk>,
    ) -> Result<Option<Setback>> {
        let _lock = FolderLock::take(&**disk, folder)?;
        let mut keystore = Keystore::open(disk, folder, provider)?;
        let Some(Damage { problem, note, kept, files }) = look(&**disk, folder, &keystore)? else {
            return Ok(None);
        };
        let mut moved_to = Vec::new();
        if note.is_some() {
            for number in &files {
                moved_to.extend(durable::set_aside(&**disk, &log_files::path_of(folder, *number))?);
            }
            LogFiles::new(disk, folder).start(&mut keystore, &files, &mut |writing| {
                kept.iter().try_for_each(|frame| writing.carry(frame).map(drop))
            })?;
        }
        Ok(Some(Setback { problem, note, moved_to }))
    }
}

fn look(disk: &dyn Disk, folder: &Path, keystore: &Keystore) -> Result<Option<Damage>> {
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
        let last = (0..frames.len()).rfind(|n| frames.get(*n).is_some_and(|frame| ends_a_step(*n, frame)));
        frames.truncate(last.map_or(0, |last| last + 1));
        note = frames.last().and_then(note_of).or(note);
        let files = std::iter::once(number).chain(logs.map(|(number, ..)| number)).collect();
        return Ok(Some(Damage { problem, note, kept: frames, files }));
    }
    Ok(None)
}

/// Whether what was committed is whole up to a frame of a file. A note that stands alone at the head of a file may be that of a compaction
/// whose rows follow, as they once did: it is not relied on.
fn ends_a_step(number: usize, frame: &Frame) -> bool {
    note_of(frame).is_some() && !(number == 0 && frame.parts.len() == 1)
}

fn note_of(frame: &Frame) -> Option<Vec<u8>> {
    frame.parts.iter().find_map(|part| match Content::decode(&part.content.as_ref()?.plain)? {
        Content::Note(note) => Some(note.into_owned()),
        Content::Put { .. } | Content::Delete { .. } | Content::Drop(_) => None,
    })
}
