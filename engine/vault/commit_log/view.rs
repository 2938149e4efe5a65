//! A commit log as it was at its last commit, for reading beside the process that writes it. In: a folder and the root key. Out: the
//! last note, the live rows, the size. Nothing is locked, written or repaired.

use std::path::Path;
use std::sync::Arc;

use super::{CommitLog, CommitLogSize, StateRow, lost};
use crate::disk::Disk;
use crate::keystore::Keystore;
use crate::log_files::{self, Place};
use crate::root_key::KeyProvider;
use crate::{Error, Result};

/// A read-only view of a log.
pub struct CommitLogView(CommitLog);

impl CommitLogView {
    /// Opens the log in `folder` for reading.
    pub fn open(folder: &Path, provider: &dyn KeyProvider, disk: &Arc<dyn Disk>) -> Result<CommitLogView> {
        Keystore::read_beside_writer(disk, folder, provider, &|keystore| {
            CommitLogView(CommitLog::unread(disk, folder, keystore, None)).replayed()
        })
    }

    /// The bytes given with the last commit.
    pub fn note(&self) -> Option<&[u8]> {
        self.0.note()
    }

    /// The live rows of a table, by key.
    pub fn rows(&self, table: &str) -> Result<Vec<StateRow>> {
        self.0.rows(table)
    }

    /// The size of the log.
    pub fn size(&self) -> CommitLogSize {
        self.0.size()
    }

    fn replayed(mut self) -> Result<CommitLogView> {
        let log = &mut self.0;
        let (index, folder) = (&mut log.index, &log.folder);
        let mut take = |place: Place, frame: &crate::frames::Frame| {
            let parts = frame.parts.iter().enumerate();
            let parts = parts.filter_map(|(n, part)| Some((n, part.content.as_ref()?, part.bytes)));
            index.apply(place, parts).ok_or_else(|| lost(folder, place))
        };
        let found = log.files.replay(&log.keystore, &mut |place, frame| take(place, &frame))?;
        // Only the writer needs to know whether they are durable.
        for frame in &found.unsettled {
            let (file, _) = found.last.ok_or(Error::Crypto("a frame of the log has no file"))?;
            take(Place { file, at: frame.at, sequence: frame.sequence }, frame)?;
        }
        for (number, _, closed) in log.keystore.logs() {
            let path = log_files::path_of(folder, number);
            let length = || log.disk.open(&path).and_then(|file| file.length());
            log.ended.insert(number, closed.map_or_else(length, Ok).map_err(Error::io("inspect", &path))?);
        }
        Ok(self)
    }
}
