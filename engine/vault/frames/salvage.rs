//! The frames of a file that may be damaged. In: a file. Out: its whole frames in order, before and behind each damage, and the first
//! problem. It must not know how a repair uses them.

use std::path::Path;

use super::{Frame, FrameReader};
use crate::Error;
use crate::Result;
use crate::disk::Disk;
use crate::keystore::Keystore;
use crate::secret::Key;

/// Reads the whole frames of a file that may be damaged.
pub(crate) struct Salvage<'k> {
    /// `None` if the file cannot be opened.
    reader: Option<FrameReader<'k>>,
    problem: Option<Error>,
    /// True while the reader stands before a damaged frame.
    damaged: bool,
}

impl<'k> Salvage<'k> {
    /// Opens a file as [`FrameReader::open`] does. Only an I/O error is returned; damage becomes the problem.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        (number, key, closed): (u64, &Key, Option<u64>),
        keystore: &'k Keystore,
    ) -> Result<Salvage<'k>> {
        let mut problem = None;
        let opened = FrameReader::open(disk, path, (number, key, closed), keystore).or_else(|error| {
            problem = Some(error);
            // The file may be shorter than what was acknowledged: its frames may still be whole.
            FrameReader::open(disk, path, (number, key, None), keystore)
        });
        let reader = match opened {
            Err(error @ Error::Io { .. }) => return Err(error),
            opened => opened.ok(),
        };
        Ok(Salvage { reader, problem, damaged: false })
    }

    /// Returns the next whole frame, or `None` at a damaged one and at the end.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>> {
        let Some(reader) = self.reader.as_mut().filter(|_| !self.damaged) else { return Ok(None) };
        match reader.next_frame() {
            Err(error @ Error::Io { .. }) => Err(error),
            Err(error) => {
                self.damaged = true;
                self.problem.get_or_insert(error);
                Ok(None)
            }
            next => next,
        }
    }

    /// Resumes behind the damage; returns false if there is none.
    pub(crate) fn resume(&mut self) -> Result<bool> {
        let Some(reader) = self.reader.as_mut().filter(|_| self.damaged) else { return Ok(false) };
        reader.skip_damage()?;
        self.damaged = false;
        Ok(true)
    }

    /// Returns the first problem.
    pub(crate) fn into_problem(self) -> Option<Error> {
        self.problem
    }
}
