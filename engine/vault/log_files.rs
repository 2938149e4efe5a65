//! The frame files of one folder as one log, over many attempts. In: frames, from one writer at a time. Out: all
//! acknowledged frames, in order. Each attempt writes a new file under a new key, since a nonce counter is never resumed. The
//! keystore lists the files of the log, so a change of files is one step. It must not know the content of a frame.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::durable;
use crate::frames::{Frame, FrameReader, FrameWriter, HEADER_BYTES, Part, TornTail};
use crate::keystore::Keystore;
use crate::{Error, Result};

/// The place of a frame: the number of its file, its offset there, and its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: u64,
    pub(crate) at: u64,
    pub(crate) sequence: u64,
}

/// The writing side of the files of a log.
pub(crate) struct LogFiles {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    current: Option<Current>,
    /// The last file of the previous attempt, and its end: recorded when a new file is started.
    last: Option<(u64, u64)>,
    poisoned: Option<String>,
}

struct Current {
    number: u64,
    writer: FrameWriter,
    frames: u64,
    /// True after a failed write: later frames go to another file.
    broken: bool,
}

/// The result of replaying the files.
#[derive(Default)]
pub(crate) struct Replay {
    /// Frames at the end that may not be on the disk: a killed process leaves them in the system's memory, and so does a
    /// failed sync. They must be written again before they count.
    pub(crate) unsettled: Vec<Frame>,
    /// The file that was being written, and its end without those frames.
    pub(crate) last: Option<(u64, u64)>,
    pub(crate) torn: Option<TornTail>,
}

/// A frame that was written: its place, and the bytes of each part.
pub(crate) type Written = (Place, Vec<u64>);

impl LogFiles {
    pub(crate) fn new(disk: &Arc<dyn Disk>, folder: &Path) -> LogFiles {
        LogFiles {
            disk: Arc::clone(disk),
            folder: folder.to_owned(),
            current: None,
            last: None,
            poisoned: None,
        }
    }

    /// Passes every frame that is certainly on the disk to `each`, in order; returns the others.
    pub(crate) fn replay(
        &self,
        keystore: &Keystore,
        each: &mut dyn FnMut(Place, Frame) -> Result,
    ) -> Result<Replay> {
        self.replay_files(keystore, |_| true, each)
    }

    fn replay_files(
        &self,
        keystore: &Keystore,
        wanted: impl Fn(Option<u64>) -> bool,
        each: &mut dyn FnMut(Place, Frame) -> Result,
    ) -> Result<Replay> {
        let mut found = Replay::default();
        for (file, key, closed) in keystore.logs().filter(|(.., closed)| wanted(*closed)) {
            let path = path_of(&self.folder, file);
            let mut reader = FrameReader::open(&*self.disk, &path, (file, key, closed), keystore)?;
            let mut held: Vec<Frame> = Vec::new();
            let give = |frame: Frame, each: &mut dyn FnMut(Place, Frame) -> Result| {
                each(Place { file, at: frame.at, sequence: frame.sequence }, frame)
            };
            while let Some(frame) = reader.next_frame()? {
                let settled = held.iter().take_while(|held| held.sequence < frame.durable).count();
                held.drain(..settled).try_for_each(|frame| give(frame, each))?;
                if closed.is_some() { give(frame, each)? } else { held.push(frame) }
            }
            if closed.is_none() {
                found.last = Some((file, held.first().map_or(reader.at(), |frame| frame.at)));
                found.torn = reader.torn().cloned();
            }
            // Only the last file can be without an end; an earlier one is as the keystore has it.
            found.unsettled.extend(held);
        }
        Ok(found)
    }

    /// Replays only the file that was written last: all others are closed, and are read on demand.
    pub(crate) fn replay_last(&self, keystore: &Keystore) -> Result<Replay> {
        self.replay_files(keystore, |closed| closed.is_none(), &mut |_, _| Ok(()))
    }

    /// Begins an attempt after a replay: writes unsettled frames durably to a new file and returns their places. Without any,
    /// the first frame starts a file.
    pub(crate) fn resume(&mut self, keystore: &mut Keystore, found: &Replay) -> Result<Vec<Written>> {
        self.last = found.last;
        let mut carried = Vec::new();
        if !found.unsettled.is_empty() {
            self.start(keystore, &[], &mut |writing| {
                found.unsettled.iter().try_for_each(|frame| {
                    carried.push(writing.carry(frame)?);
                    Ok(())
                })
            })?;
        }
        Ok(carried)
    }

    /// Starts a new file with the frames from `write`, closes the previous one, and removes files, all in one durable
    /// step.
    pub(crate) fn start(
        &mut self,
        keystore: &mut Keystore,
        remove: &[u64],
        write: &mut dyn FnMut(&mut Writing<'_>) -> Result,
    ) -> Result {
        if self.current.as_ref().is_some_and(|current| !current.broken) {
            self.sync()?;
        }
        self.check_usable()?;
        let before = keystore.before();
        let fresh = keystore.next();
        let ended = self.current.as_ref().map(|c| (c.number, c.writer.durable_length())).or(self.last);
        let ended = ended.filter(|(number, _)| !remove.contains(number));
        let emptied = ended.filter(|(_, length)| *length <= HEADER_BYTES as u64).map(|(number, _)| number);
        let removed: Vec<u64> = remove.iter().copied().chain(emptied).collect();
        let saved = self.write_file(keystore, write).and_then(|current| {
            if let Some((number, length)) = ended {
                keystore.close_log(number, length);
            }
            removed.iter().for_each(|number| keystore.remove_log(*number));
            keystore.save().map(|()| current)
        });
        match saved {
            Ok(current) => (self.current, self.last) = (Some(current), None),
            Err(error) => {
                keystore.restore(before);
                if error.is_disk_full() {
                    // Free its disk space; if that fails, the next open does it.
                    let _ = durable::remove(&*self.disk, &path_of(&self.folder, fresh));
                }
                return Err(self.poison(error));
            }
        }
        self.remove_files(&removed)
    }

    fn write_file(
        &mut self,
        keystore: &mut Keystore,
        write: &mut dyn FnMut(&mut Writing<'_>) -> Result,
    ) -> Result<Current> {
        let (number, key) = keystore.add_log()?;
        let path = path_of(&self.folder, number);
        let writer = FrameWriter::create(&*self.disk, &path, number, &key)?;
        let mut current = Current { number, writer, frames: 0, broken: false };
        write(&mut Writing { current: &mut current, keystore })?;
        current.writer.sync()?;
        durable::sync_folder(&*self.disk, &self.folder)?;
        Ok(current)
    }

    /// Removes files from the log, in one durable step.
    pub(crate) fn remove(&mut self, keystore: &mut Keystore, numbers: &[u64]) -> Result {
        self.check_usable()?;
        let before = keystore.before();
        numbers.iter().for_each(|number| keystore.remove_log(*number));
        if let Err(error) = keystore.save() {
            keystore.restore(before);
            return Err(self.poison(error));
        }
        self.forget_files(numbers);
        self.remove_files(numbers)
    }

    /// Drops references to files that the saved keystore no longer names.
    pub(crate) fn forget_files(&mut self, numbers: &[u64]) {
        self.current.take_if(|current| numbers.contains(&current.number));
        self.last.take_if(|(number, _)| numbers.contains(number));
    }

    /// Removes files without a key. Those that a crash leaves, the next open removes.
    pub(crate) fn remove_files(&mut self, numbers: &[u64]) -> Result {
        let mut paths = numbers.iter().map(|number| path_of(&self.folder, *number));
        let removed = paths.try_for_each(|path| durable::remove(&*self.disk, &path));
        removed.map_err(|error| self.poison(error))
    }

    /// Appends one frame, to a new file if there is none yet. It is durable after [`LogFiles::sync`]. When the disk is full
    /// the frame is not in the log, and may be appended again.
    pub(crate) fn append(&mut self, keystore: &mut Keystore, parts: &[Part]) -> Result<Written> {
        self.check_usable()?;
        self.need_file(keystore)?;
        keystore.save_devices().map_err(|error| self.poison(error))?;
        let Some(current) = &mut self.current else { return Err(Error::Crypto("the log has no file")) };
        let written = current.append(keystore, parts);
        written.map_err(|error| {
            if let Some(current) = &mut self.current {
                current.broken |= !matches!(error, Error::BadRows(_));
            }
            self.poison(error)
        })
    }

    /// Makes all frames durable. After an error the log accepts no more frames.
    pub(crate) fn sync(&mut self) -> Result {
        self.check_usable()?;
        let synced = self.current.as_mut().map_or(Ok(()), |current| current.writer.sync());
        synced.map_err(|error| self.poison(error))
    }

    /// Ends the log for good: all frames are durable, and the file that was being written is closed in the keystore.
    pub(crate) fn close(&mut self, keystore: &mut Keystore) -> Result {
        self.sync()?;
        let Some(current) = self.current.take() else { return Ok(()) };
        keystore.close_log(current.number, current.writer.durable_length());
        keystore.save().map_err(|error| self.poison(error))
    }

    fn need_file(&mut self, keystore: &mut Keystore) -> Result {
        match &self.current {
            Some(current) if !current.broken => Ok(()),
            Some(current) => {
                // Unsynced frames before the failed one are copied to the new file.
                let (number, settled, end) =
                    (current.number, current.writer.durable_length(), current.writer.length());
                let unsynced = self.frames_between(keystore, number, settled, end)?;
                self.start(keystore, &[], &mut |writing| {
                    unsynced.iter().try_for_each(|frame| writing.carry(frame).map(|_| ()))
                })
            }
            None => self.start(keystore, &[], &mut |_| Ok(())),
        }
    }

    fn frames_between(&self, keystore: &Keystore, number: u64, from: u64, to: u64) -> Result<Vec<Frame>> {
        let mut frames = Vec::new();
        if from < to {
            let mut reader = self.reader(keystore, number, Some(to))?;
            while let Some(frame) = reader.next_frame()? {
                if frame.at >= from {
                    frames.push(frame);
                }
            }
        }
        Ok(frames)
    }

    /// Reads frames of one file.
    pub(crate) fn reader<'k>(
        &self,
        keystore: &'k Keystore,
        number: u64,
        closed: Option<u64>,
    ) -> Result<FrameReader<'k>> {
        let key = keystore.log_key(number).ok_or(Error::Crypto("a file of the log has no key"))?;
        FrameReader::open(&*self.disk, &path_of(&self.folder, number), (number, key, closed), keystore)
    }

    /// The number of the file that is being written, and its bytes.
    pub(crate) fn current(&self) -> Option<(u64, u64)> {
        self.current.as_ref().map(|current| (current.number, current.writer.length()))
    }

    /// Returns an error if an earlier one left the files in an uncertain state.
    pub(crate) fn check_usable(&self) -> Result {
        match &self.poisoned {
            Some(why) => Err(Error::Poisoned { path: self.folder.clone(), why: why.clone() }),
            None => Ok(()),
        }
    }

    /// Every error except a full disk and rejected rows leaves the files in an uncertain state.
    pub(crate) fn poison(&mut self, error: Error) -> Error {
        if !matches!(error, Error::DiskFull { .. } | Error::BadRows(_) | Error::Poisoned { .. }) {
            self.poisoned = Some(error.to_string());
        }
        error
    }
}

impl Current {
    fn append(&mut self, keystore: &Keystore, parts: &[Part]) -> Result<Written> {
        let (at, bytes) = self.writer.append(keystore, parts)?;
        let place = Place { file: self.number, at, sequence: self.frames };
        self.frames += 1;
        Ok((place, bytes))
    }
}

/// A file while it is being started.
pub(crate) struct Writing<'w> {
    current: &'w mut Current,
    keystore: &'w Keystore,
}

impl<'w> Writing<'w> {
    pub(crate) fn keystore(&self) -> &'w Keystore {
        self.keystore
    }

    pub(crate) fn append(&mut self, parts: &[Part]) -> Result<Written> {
        self.current.append(self.keystore, parts)
    }

    /// Appends a frame of another file again; parts that do not open are skipped.
    pub(crate) fn carry(&mut self, frame: &Frame) -> Result<Written> {
        let parts = frame.parts.iter().filter_map(|part| part.content.clone()).collect::<Vec<_>>();
        self.append(&parts)
    }
}

pub(crate) fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.frames"))
}

/// Removes frame files that have no key, so that they cannot be read: a crash came between the file and the keystore. A
/// number that this keystore never assigned belongs to a foreign file, which is kept and reported.
pub(crate) fn remove_leftovers(disk: &dyn Disk, folder: &Path, keystore: &Keystore) -> Result {
    for path in durable::list_ending(disk, folder, "frames")? {
        let number = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse::<u64>().ok());
        match number {
            Some(n) if keystore.log_key(n).is_some() => {}
            // One past the last: the file was created, the keystore with its number was not saved.
            Some(n) if keystore.has_assigned(n) || keystore.is_next(n) => durable::remove(disk, &path)?,
            _ => {
                return Err(Error::foreign(&path, "frame file of this log", "its keystore does not name it"));
            }
        }
    }
    durable::remove(disk, &durable::beside(&folder.join(crate::keystore::FILE_NAME)))
}
