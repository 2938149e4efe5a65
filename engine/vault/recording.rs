//! A recording: the rows at some ports of a run, epoch by epoch, in the frame files of a folder of its own. In: the head, then
//! rows and the ends of epochs, then the end. Out: the same in order, one frame at a time, or an error that names file, frame
//! and byte. A recording without its end is an error, so that it is never read short in silence, unless only its complete epochs
//! are requested. It must not know what an epoch or a label means. See docs/formats/recording.md.

mod format;
mod reader;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::batches;
use crate::disk::Disk;
use crate::durable::{self, FolderLock};
use crate::file_check::{self, FileCheck};
use crate::frames::{Owner, Part};
use crate::keystore::{self, Keystore};
use crate::log_files::LogFiles;
use crate::root_key::KeyProvider;
use crate::{Error, Result};

pub(crate) use format::fuzz;
pub use reader::{Recording, RecordingEntries, Truncation, UnfinishedPolicy};

/// The head of a recording: its pipeline, facts and ports.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingHead {
    /// The pipeline that was run.
    pub pipeline: String,
    /// Facts about the run, by name.
    pub facts: BTreeMap<String, String>,
    /// The ports, by number.
    pub ports: Vec<RecordedPort>,
}

/// A port that was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedPort {
    /// Its name: `talk.out`.
    pub name: String,
    /// The privacy label of its rows, as a pipeline file spells it.
    pub label: String,
    /// Its columns.
    pub columns: SchemaRef,
}

/// The end of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedEnd {
    /// The epoch.
    pub epoch: u64,
    /// The round that was open.
    pub round: u64,
    /// The highest captured time so far, in microseconds since 1970.
    pub watermark: Option<i64>,
    /// True if the round ended with it.
    pub round_end: bool,
    /// True if no input came after it.
    pub end_of_input: bool,
}

/// One entry of a recording.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordingEntry {
    /// Rows of a port, of the epoch that ends next.
    Rows {
        /// The port's number.
        port: usize,
        /// The rows, without those of forgotten devices; `None` when all of them are.
        rows: Option<RecordBatch>,
    },
    /// An epoch ended.
    End(RecordedEnd),
}

/// The totals of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordedTotals {
    /// Rows of all ports.
    pub rows: u64,
    /// Ends of epochs.
    pub ends: u64,
}

/// A recording that is being written.
pub struct RecordingWriter {
    folder: PathBuf,
    keystore: Keystore,
    files: LogFiles,
    ports: usize,
    totals: RecordedTotals,
    _lock: FolderLock,
}

impl RecordingWriter {
    /// Begins a recording in `folder`, which must be new or empty.
    pub fn create(
        folder: &Path,
        provider: &dyn KeyProvider,
        disk: Arc<dyn Disk>,
        head: &RecordingHead,
    ) -> Result<RecordingWriter> {
        durable::create_folder(&*disk, folder)?;
        let lock = FolderLock::take(&*disk, folder)?;
        if durable::exists(&*disk, &folder.join(keystore::FILE_NAME))? {
            let found = "the folder is not empty; give a new or empty folder";
            return Err(Error::foreign(folder, "place for a recording", found));
        }
        let mut keystore = Keystore::open_or_create(&disk, folder, provider)?;
        let mut files = LogFiles::new(&disk, folder);
        let mut parts = vec![own(format::head(head)?)];
        for (port, number) in head.ports.iter().zip(0u32..) {
            // Arrow writes columns alone as a batch without rows.
            let columns = RecordBatch::new_empty(Arc::clone(&port.columns));
            batches::put(&mut parts, number, &columns, (&mut keystore, folder))?;
        }
        files.append(&mut keystore, &parts)?;
        files.sync()?;
        let (ports, folder) = (head.ports.len(), folder.to_owned());
        Ok(RecordingWriter { folder, keystore, files, ports, totals: RecordedTotals::default(), _lock: lock })
    }

    /// Adds rows of a port to the epoch that ends next.
    pub fn rows(&mut self, port: usize, rows: &RecordBatch) -> Result {
        let number = u32::try_from(port).ok().filter(|_| port < self.ports);
        let number = number.ok_or_else(|| Error::BadRows(format!("the recording has no port {port}")))?;
        let mut parts = vec![own(format::rows(number, self.totals.rows))];
        batches::put(&mut parts, 0, rows, (&mut self.keystore, &self.folder))?;
        self.files.append(&mut self.keystore, &parts)?;
        self.totals.rows += rows.num_rows() as u64;
        Ok(())
    }

    /// Ends an epoch.
    pub fn end(&mut self, end: &RecordedEnd) -> Result {
        self.files.append(&mut self.keystore, &[own(format::end(end))])?;
        self.totals.ends += 1;
        Ok(())
    }

    /// Ends the recording: it is durable then, and can be read.
    pub fn finish(mut self) -> Result<RecordedTotals> {
        self.files.append(&mut self.keystore, &[own(format::totals(self.totals))])?;
        self.files.close(&mut self.keystore)?;
        Ok(self.totals)
    }
}

impl Recording {
    /// Verifies every byte of a recording.
    pub fn verify(folder: &Path, provider: &dyn KeyProvider) -> Result<Vec<FileCheck>> {
        file_check::check_log(&crate::disk::real(), folder, provider)
    }

    /// Deletes a device's key, so that its rows cannot be read from then on; returns false if it had none.
    pub fn forget(
        folder: &Path,
        provider: &dyn KeyProvider,
        disk: Arc<dyn Disk>,
        device: &str,
    ) -> Result<bool> {
        let _lock = FolderLock::take(&*disk, folder)?;
        let mut keystore = Keystore::open(&disk, folder, provider)?;
        if keystore.forget(device).is_none() {
            return Ok(false);
        }
        keystore.save().map(|()| true)
    }
}

fn own(plain: zeroize::Zeroizing<Vec<u8>>) -> Part {
    Part { owner: Owner::Log, plain }
}
