//! Reads a recording frame by frame: only one frame is in memory, however long the recording is.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{self, First};
use super::{RecordedEnd, RecordedPort, RecordedTotals, RecordingEntry, RecordingHead};
use crate::batches;
use crate::disk::{self, Disk};
use crate::frames::{Frame, FrameReader};
use crate::keystore::Keystore;
use crate::log_files;
use crate::root_key::KeyProvider;
use crate::secret::Key;
use crate::{Error, Result};

const KIND: &str = "recording of Headwater";

/// The policy for a recording that was never ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnfinishedPolicy {
    /// It is an error that names the place where it breaks off.
    #[default]
    Refused,
    /// It is read up to the end of its last complete epoch.
    CompleteEpochs,
}

/// The place where an unfinished recording breaks off, and its complete part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// The file that was being written.
    pub path: PathBuf,
    /// Its whole frames.
    pub frames: u64,
    /// The end of those frames, in bytes.
    pub at: u64,
    /// Complete epochs of the whole recording.
    pub epochs: u64,
    /// The end of the last of them.
    pub last: Option<RecordedEnd>,
}

impl Truncation {
    /// Describes the place and the complete part for a message.
    pub fn describe(&self) -> String {
        let complete = match self.last {
            Some(last) => format!("epoch {} is the last complete one", last.epoch),
            None => "no epoch is complete".to_owned(),
        };
        format!(
            "it breaks off after frame {} at byte {} without its end ({complete}): its run was killed, or is still active",
            self.frames, self.at
        )
    }
}

/// A recording, open for reading.
pub struct Recording {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    keystore: Keystore,
    head: RecordingHead,
    truncation: Option<Truncation>,
}

impl Recording {
    /// Opens the recording in `folder`. One whose writer did not end it is refused, with the place where it breaks off.
    pub fn open(folder: &Path, provider: &dyn KeyProvider) -> Result<Recording> {
        Recording::open_on(folder, provider, disk::real())
    }

    /// As [`Recording::open`], on another disk.
    pub fn open_on(folder: &Path, provider: &dyn KeyProvider, disk: Arc<dyn Disk>) -> Result<Recording> {
        let found = Recording::find_on(folder, provider, disk, UnfinishedPolicy::Refused)?;
        found.ok_or_else(|| absent(folder))
    }

    /// Opens the recording in `folder`, and of one that was never ended its complete epochs.
    pub fn open_complete(folder: &Path, provider: &dyn KeyProvider) -> Result<Recording> {
        let found = Recording::find_on(folder, provider, disk::real(), UnfinishedPolicy::CompleteEpochs)?;
        found.ok_or_else(|| absent(folder))
    }

    /// Opens the recording in `folder`; returns `None` if the folder holds something else, such as a store.
    pub fn find(
        folder: &Path,
        provider: &dyn KeyProvider,
        unfinished: UnfinishedPolicy,
    ) -> Result<Option<Recording>> {
        Recording::find_on(folder, provider, disk::real(), unfinished)
    }

    fn find_on(
        folder: &Path,
        provider: &dyn KeyProvider,
        disk: Arc<dyn Disk>,
        unfinished: UnfinishedPolicy,
    ) -> Result<Option<Recording>> {
        let keystore = Keystore::open(&disk, folder, provider)?;
        let Some((number, ..)) = keystore.logs().next() else { return Ok(None) };
        let path = log_files::path_of(folder, number);
        let first = match files(&*disk, folder, &keystore).next() {
            Some(reader) => reader?.next_frame()?,
            None => None,
        };
        let Some((first, head)) = first.and_then(|frame| first_of(&frame).map(|head| (frame, head))) else {
            return Ok(None);
        };
        let head = match head {
            First::Head(head) => head,
            First::Version(version) => {
                let found = format!("its version is {version}, this program reads {}", format::VERSION);
                return Err(Error::foreign(folder, KIND, found));
            }
            First::Rows(..) | First::End(_) | First::Totals(_) => return Ok(None),
        };
        let mut columns = batches::take(&first, &path)?;
        let ports = head.ports.into_iter().zip(0u32..).map(|((name, label), number)| {
            let columns = columns.remove(&number)?.schema();
            Some(RecordedPort { name, label, columns })
        });
        let ports = ports.collect::<Option<_>>().ok_or_else(|| strange(&path, &first))?;
        let head = RecordingHead { pipeline: head.pipeline, facts: head.facts, ports };
        let truncation = truncation(&*disk, folder, &keystore)?;
        match truncation {
            Some(place) if unfinished == UnfinishedPolicy::Refused => {
                Err(Error::damaged(&place.path, place.describe()))
            }
            truncation => Ok(Some(Recording { disk, folder: folder.to_owned(), keystore, head, truncation })),
        }
    }

    /// The place where an unfinished recording breaks off.
    pub fn truncation(&self) -> Option<&Truncation> {
        self.truncation.as_ref()
    }

    /// The pipeline, facts and ports of the recording.
    pub fn head(&self) -> &RecordingHead {
        &self.head
    }

    /// All entries, in order. The first error ends the iteration; without one the recording is complete.
    pub fn entries(&self) -> RecordingEntries<'_> {
        RecordingEntries {
            recording: self,
            files: self.keystore.logs().collect(),
            reader: None,
            frames: 0,
            totals: RecordedTotals::default(),
            forgotten: 0,
            state: State::Running,
        }
    }
}

fn absent(folder: &Path) -> Error {
    Error::foreign(folder, KIND, "its first frame is not that of a recording")
}

/// A writer that ended closed every file; one that was killed or is still active did not.
fn truncation(disk: &dyn Disk, folder: &Path, keystore: &Keystore) -> Result<Option<Truncation>> {
    if keystore.logs().all(|(.., closed)| closed.is_some()) {
        return Ok(None);
    }
    let mut place = Truncation { path: folder.to_owned(), frames: 0, at: 0, epochs: 0, last: None };
    for (number, key, closed) in keystore.logs() {
        let path = log_files::path_of(folder, number);
        let mut reader = FrameReader::open(disk, &path, (number, key, closed), keystore)?;
        let mut frames = 0;
        while let Some(frame) = reader.next_frame()? {
            frames += 1;
            if let Some(First::End(end)) = first_of(&frame) {
                (place.last, place.epochs) = (Some(end), place.epochs + 1);
            }
        }
        if closed.is_none() {
            (place.path, place.frames, place.at) = (path, frames, reader.at());
        }
    }
    Ok(Some(place))
}

fn files<'a>(
    disk: &'a dyn Disk,
    folder: &'a Path,
    keystore: &'a Keystore,
) -> impl Iterator<Item = Result<FrameReader<'a>>> + 'a {
    keystore.logs().map(move |(number, key, closed)| {
        FrameReader::open(disk, &log_files::path_of(folder, number), (number, key, closed), keystore)
    })
}

fn first_of(frame: &Frame) -> Option<First> {
    format::read(&frame.parts.first()?.content.as_ref()?.plain)
}

fn strange(path: &Path, frame: &Frame) -> Error {
    let what = format!(
        "frame {} at byte {}: it opens, but is not what a recording holds there",
        frame.sequence, frame.at
    );
    Error::damaged(path, what)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Ended,
    Failed,
}

/// The entries of a recording, in order.
pub struct RecordingEntries<'r> {
    recording: &'r Recording,
    files: VecDeque<(u64, &'r Key, Option<u64>)>,
    reader: Option<(PathBuf, FrameReader<'r>)>,
    frames: u64,
    totals: RecordedTotals,
    forgotten: u64,
    state: State,
}

impl RecordingEntries<'_> {
    /// The totals read so far.
    pub fn totals(&self) -> RecordedTotals {
        self.totals
    }

    /// The number of parts skipped because their devices were forgotten.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn next_frame(&mut self) -> Result<Option<(PathBuf, Frame)>> {
        loop {
            if let Some((path, reader)) = &mut self.reader
                && let Some(frame) = reader.next_frame()?
            {
                return Ok(Some((path.clone(), frame)));
            }
            let Some((number, key, closed)) = self.files.pop_front() else { return Ok(None) };
            let path = log_files::path_of(&self.recording.folder, number);
            let (disk, keystore) = (&*self.recording.disk, &self.recording.keystore);
            let reader = FrameReader::open(disk, &path, (number, key, closed), keystore)?;
            self.reader = Some((path, reader));
        }
    }

    fn step(&mut self) -> Result<Option<RecordingEntry>> {
        let complete = self.recording.truncation.as_ref().map(|place| place.epochs);
        if complete == Some(self.totals.ends) {
            return Ok(None);
        }
        while let Some((path, frame)) = self.next_frame()? {
            let first = first_of(&frame).ok_or_else(|| strange(&path, &frame))?;
            let is_head = self.frames == 0;
            self.frames += 1;
            if self.state == State::Ended || is_head != matches!(first, First::Head(_)) {
                return Err(strange(&path, &frame));
            }
            match first {
                First::Head(_) => {}
                First::Rows(port, before) => return self.rows(&path, &frame, (port, before)).map(Some),
                First::End(end) => {
                    self.totals.ends += 1;
                    return Ok(Some(RecordingEntry::End(end)));
                }
                First::Totals(totals) if self.forgotten > 0 || totals == self.totals => {
                    self.state = State::Ended;
                }
                First::Totals(_) | First::Version(_) => return Err(strange(&path, &frame)),
            }
        }
        if self.state == State::Ended {
            return Ok(None);
        }
        Err(Error::damaged(
            &self.recording.folder,
            format!("it breaks off after frame {} without its end", self.frames),
        ))
    }

    fn rows(&mut self, path: &Path, frame: &Frame, (port, before): (u32, u64)) -> Result<RecordingEntry> {
        let port = usize::try_from(port).ok().filter(|port| *port < self.recording.head.ports.len());
        let port = port.ok_or_else(|| strange(path, frame))?;
        self.forgotten += frame.parts.iter().filter(|part| part.content.is_none()).count() as u64;
        if self.forgotten == 0 && before != self.totals.rows {
            return Err(strange(path, frame));
        }
        let rows = batches::take(frame, path)?.remove(&0);
        self.totals.rows += rows.as_ref().map_or(0, |rows| rows.num_rows() as u64);
        Ok(RecordingEntry::Rows { port, rows })
    }
}

impl Iterator for RecordingEntries<'_> {
    type Item = Result<RecordingEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Failed {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.state = State::Failed;
        }
        step.transpose()
    }
}
