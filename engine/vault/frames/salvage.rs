//! The frames of a file that may be damaged. In: a file. Out: its whole frames in order, up to each damage and behind it, and what was wrong
//! first. It must not know what a repair makes of them.

use std::path::Path;

use super::{Frame, FrameReader};
use crate::Error;
use crate::Result;
use crate::disk::Disk;
use crate::keystore::Keystore;
use crate::secret::Key;

/// A file of which what is whole is read.
pub(crate) struct Salvage<'k> {
    /// Nothing for a file that cannot even be opened.
    reader: Option<FrameReader<'k>>,
    problem: Option<Error>,
    /// Whether the reader stands before a damaged frame.
    damaged: bool,
}

impl<'k> Salvage<'k> {
    /// Opens a file as [`FrameReader::open`] does. Only a disk that does not read is an error.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        (number, key, closed): (u64, &Key, Option<u64>),
        keystore: &'k Keystore,
    ) -> Result<Salvage<'k>> {
        let mut problem = None;
        let opened = FrameReader::open(disk, path, (number, key, closed), keystore).or_else(|error| {
            problem = Some(error);
            // It may be shorter than what was acknowledged: what is there may still be whole.
            FrameReader::open(disk, path, (number, key, None), keystore)
        });
        let reader = match opened {
            Err(error @ Error::Io { .. }) => return Err(error),
            opened => opened.ok(),
        };
        Ok(Salvage { reader, problem, damaged: false })
    }

    /// The next whole frame; nothing before a damaged one, and at the end.
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

    /// Goes on behind the damage, if there is one.
    pub(crate) fn go_on(&mut self) -> Result<bool> {
        let Some(reader) = self.reader.as_mut().filter(|_| self.damaged) else { return Ok(false) };
        reader.skip_damage()?;
        self.damaged = false;
        Ok(true)
    }

    /// What was wrong first.
    pub(crate) fn into_problem(self) -> Option<Error> {
        self.problem
    }
}
