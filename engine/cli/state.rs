//! The verb `state`, and the state folder of a pipeline: what a run remembers for the next.
//!
//! In: a pipeline's name. Out: what is kept of it, whether every byte of it is whole, and a way to begin from scratch. For runs: the
//! runtime's state folder on the vault's logs. It must not know what a stage keeps.

pub(crate) mod dropping;
mod mending;
mod repair;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use clap::{Subcommand, ValueHint};
use headwater_contract::columns::text_column;
use headwater_contract::state::Owner;
use headwater_contract::units::{Bytes, Epoch};
use headwater_contract::{HostEnv, Result, StageError};
use headwater_runtime::commit::{KeptChange, KeptRow, Logged, Record, StateFolder};
use headwater_vault::{
    CommitLog, CommitLogView, Error, FileCheck, Intake, IntakeContent, IntakeLog, KeyFile, StateChange,
    real_disk,
};

use crate::exit::{self, Exit};
use crate::quarantine::folder_of as quarantine;
use crate::site::Settings;
use headwater_stages::vault_error::of_vault;
pub(crate) use mending::of_damage;
use mending::{mending, of_state, with_help};

/// The verbs of a pipeline's state.
#[derive(Debug, Subcommand)]
pub enum StateVerb {
    /// Show how far a pipeline has come, and what is kept of each stage
    Show {
        /// The pipeline: its name or its file
        #[arg(value_hint = ValueHint::FilePath)]
        pipeline: String,
    },
    /// Look at every byte that is kept; exit code 1 if something is damaged
    Verify {
        /// The pipeline: its name or its file
        #[arg(value_hint = ValueHint::FilePath)]
        pipeline: String,
    },
    /// Move aside what cannot be read, so that the pipeline can be run again; exit code 1 if something is damaged
    Repair {
        /// The pipeline: its name or its file
        #[arg(value_hint = ValueHint::FilePath)]
        pipeline: String,
        /// Really do it
        #[arg(long)]
        yes: bool,
    },
    /// Delete what is kept: the next run begins at the beginning of its input
    Reset {
        /// The pipeline: its name or its file
        #[arg(value_hint = ValueHint::FilePath)]
        pipeline: String,
        /// Really do it
        #[arg(long)]
        yes: bool,
    },
}

impl StateVerb {
    /// The pipeline that is meant.
    pub(crate) fn pipeline(&mut self) -> &mut String {
        match self {
            StateVerb::Show { pipeline }
            | StateVerb::Verify { pipeline }
            | StateVerb::Repair { pipeline, .. }
            | StateVerb::Reset { pipeline, .. } => pipeline,
        }
    }
}

fn commits(site: &HostEnv) -> PathBuf {
    site.state.join("commits")
}

fn intake(site: &HostEnv) -> PathBuf {
    site.state.join("intake")
}

/// The state folder of one pipeline, open: no other process can have it open too.
pub struct Folder {
    key: KeyFile,
    log: CommitLog,
    intake: PathBuf,
    /// The command that mends it.
    mending: String,
    /// Opened by the first live input.
    live: Option<IntakeLog>,
}

impl Folder {
    /// Opens the state folder of a site; it is made if need be.
    ///
    /// # Errors
    /// Another process has it open, or what is there cannot be read.
    pub fn open(site: &HostEnv) -> Result<Self> {
        let key = KeyFile::at(&site.key_file);
        let log = CommitLog::open(&commits(site), &key, real_disk())
            .map_err(|error| of_state(error, &mending(site)))?;
        for torn in log.torn() {
            let (path, bytes) = (torn.path.display(), torn.bytes);
            tracing::warn!("{path}: {bytes} bytes at its end were never completely written, and are cut");
        }
        Ok(Folder { key, log, intake: intake(site), mending: mending(site), live: None })
    }

    /// The folders of the stores of a site's pipeline, as its last commit has them; nothing before the first.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn stores(site: &HostEnv) -> Result<Vec<PathBuf>> {
        if !Folder::is_there(site) {
            return Ok(Vec::new());
        }
        let key = KeyFile::at(&site.key_file);
        let view = CommitLogView::open(&commits(site), &key, &real_disk())
            .map_err(|error| of_state(error, &mending(site)))?;
        let Some(record) = view.note().map(Record::decode).transpose()? else { return Ok(Vec::new()) };
        let stores = record.stages.values().filter(|shape| shape.kind == "store");
        Ok(stores.filter_map(|shape| path_of(shape.options.get("path")?)).collect())
    }

    /// Returns true if a state of the site's pipeline is kept.
    pub fn is_there(site: &HostEnv) -> bool {
        commits(site).exists()
    }

    /// Returns the progress of the last attempt; nothing before the first.
    ///
    /// # Errors
    /// It is of another version.
    pub fn last(&self) -> Result<Option<Record>> {
        self.log.note().map(Record::decode).transpose()
    }

    /// Makes all rows about a device unreadable, in the state and in the log of live input; says how many were in the state.
    ///
    /// # Errors
    /// A key could not be deleted for good.
    pub fn forget(&mut self, device: &str) -> Result<u64> {
        if self.intake.exists() {
            self.live()?.forget(device).map_err(of_vault)?;
        }
        self.log.forget(device).map_err(of_vault)
    }

    fn live(&mut self) -> Result<&mut IntakeLog> {
        if self.live.is_none() {
            let opened = IntakeLog::open(&self.intake, &self.key, real_disk());
            self.live = Some(opened.map_err(|error| of_state(error, &self.mending))?);
        }
        self.live.as_mut().ok_or_else(|| StageError::new("the log of live input is not open"))
    }
}

/// The path that an option holds, as the file had it.
fn path_of(option: &str) -> Option<PathBuf> {
    let table: toml::Table = format!("path = {option}").parse().ok()?;
    table.get("path")?.as_str().map(PathBuf::from)
}

/// The column that says by which value a row is routed.
const ROUTED_BY: &str = "[routed by]";

/// A row with the value by which it is routed.
fn with_owner(owner: &Owner, row: &RecordBatch) -> Result<RecordBatch> {
    let schema = row.schema();
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(ROUTED_BY, DataType::Utf8, true)));
    let mut columns = row.columns().to_vec();
    columns.push(Arc::new(StringArray::from(vec![owner.routed_by()])));
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// The row alone, and the value by which it is routed.
fn without_owner(kept: &RecordBatch) -> Result<(Option<String>, RecordBatch)> {
    let values = text_column(kept, ROUTED_BY)?;
    let value = values.iter().next().flatten().map(str::to_owned);
    let own: Vec<usize> = (0..kept.num_columns().saturating_sub(1)).collect();
    Ok((value, kept.project(&own)?))
}

impl StateFolder for Folder {
    fn record(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(self.log.note().map(<[u8]>::to_vec))
    }

    fn rows(&mut self, table: &str) -> Result<Vec<KeptRow>> {
        let rows = self.log.rows(table).map_err(of_vault)?;
        let kept = |(key, device, row): (Vec<u8>, Option<String>, RecordBatch)| -> Result<KeptRow> {
            let (value, row) = without_owner(&row)?;
            let owner = value.map_or_else(Owner::everyone, Owner::key);
            let owner = match device {
                Some(device) => owner.about(device),
                None => owner,
            };
            Ok(KeptRow { key, owner, row })
        };
        rows.into_iter().map(kept).collect()
    }

    fn commit(&mut self, record: &[u8], changes: Vec<KeptChange>) -> Result<()> {
        let change = |KeptChange { table, key, row }| -> Result<StateChange> {
            let device =
                row.as_ref().and_then(|(owner, _): &(Owner, _)| owner.of_device().map(str::to_owned));
            let row = row.map(|(owner, row)| with_owner(&owner, &row)).transpose()?;
            Ok(StateChange { table, key, device, row })
        };
        let changes = changes.into_iter().map(change).collect::<Result<Vec<_>>>()?;
        self.log.commit(record, changes).map_err(of_vault)
    }

    fn log_rows(&mut self, epoch: Epoch, source: &str, rows: &RecordBatch) -> Result<()> {
        self.live()?.append(epoch.0, source, rows, &[]).map_err(of_vault)
    }

    fn log_barrier(&mut self, epoch: Epoch, intake: &[u8]) -> Result<()> {
        let live = self.live()?;
        live.barrier(epoch.0, intake).and_then(|()| live.sync()).map_err(of_vault)
    }

    fn logged(&mut self, after: Option<Epoch>) -> Result<Vec<Logged>> {
        if self.live.is_none() && !self.intake.exists() {
            return Ok(Vec::new());
        }
        let entries = self.live()?.content(after.map(|epoch| epoch.0)).map_err(of_vault)?;
        let logged = |Intake { epoch, content }| match content {
            // Rows of devices that were forgotten are gone.
            IntakeContent::Batch { source, rows, .. } => Some(Logged::Rows(Epoch(epoch), source, rows?)),
            IntakeContent::Barrier(mark) => Some(Logged::Closed(Epoch(epoch), mark)),
        };
        Ok(entries.into_iter().filter_map(logged).collect())
    }

    fn release(&mut self, up_to: Epoch) -> Result<()> {
        self.live()?.release(up_to.0).map_err(of_vault)
    }
}

/// Carries out what is asked; gives the exit code.
pub fn run(verb: &StateVerb, settings: &Settings, out: &mut dyn Write) -> Exit {
    let done = match verb {
        StateVerb::Show { pipeline } => show(pipeline, settings, out),
        StateVerb::Verify { pipeline } => verify(pipeline, settings, out),
        StateVerb::Repair { pipeline, yes } => repair::run(pipeline, *yes, settings, out),
        StateVerb::Reset { pipeline, yes } => reset(pipeline, *yes, settings, out),
    };
    done.unwrap_or_else(|error| exit::fails(&error, Exit::Failed))
}

fn show(pipeline: &str, settings: &Settings, out: &mut dyn Write) -> Result<Exit> {
    let site = settings.site(pipeline);
    if !commits(&site).exists() {
        return Err(absent(pipeline, &site));
    }
    // A running pipeline may put a file in the place of another between two looks.
    let looked = (0..LOOKS).map(|_| shown(&site)).find(|shown| !matches!(shown, Err(Unshown::Damaged(_))));
    let text = looked.unwrap_or_else(|| shown(&site)).map_err(|error| error.into_error(&site))?;
    written(out, &text)
}

/// The number of attempts to read a state that another process is writing.
const LOOKS: u32 = 5;

/// A state that cannot be shown.
enum Unshown {
    /// Its files do not read, perhaps since their writer replaced them meanwhile.
    Damaged(StageError),
    Other(StageError),
}

impl Unshown {
    fn into_error(self, site: &HostEnv) -> StageError {
        match self {
            Unshown::Damaged(error) => with_help(error, &mending(site)),
            Unshown::Other(error) => error,
        }
    }
}

impl From<Error> for Unshown {
    fn from(error: Error) -> Self {
        match error {
            Error::Damaged { .. } => Unshown::Damaged(of_vault(error)),
            other => Unshown::Other(of_vault(other)),
        }
    }
}

/// The last commit of a pipeline, in words. Nothing is locked: it may be running.
fn shown(site: &HostEnv) -> std::result::Result<String, Unshown> {
    let view = CommitLogView::open(&commits(site), &KeyFile::at(&site.key_file), &real_disk())?;
    let size = view.size();
    let mut text = format!("folder     {}\n", site.state.display());
    match view.note().map(Record::decode).transpose().map_err(Unshown::Other)? {
        None => text += "committed  nothing yet\n",
        Some(record) => {
            text += &format!("committed  {}\n", record.intake);
            for (id, shape) in &record.stages {
                let rows = view.rows(id)?;
                let devices: BTreeSet<_> = rows.iter().filter_map(|(_, device, _)| device.as_ref()).collect();
                let options = shape.options.iter().map(|(name, value)| format!(" {name} = {value}"));
                let options: String = options.collect();
                text += &format!(
                    "stage      {id} ({} {}){options}: {} rows of {} devices\n",
                    shape.kind,
                    shape.version,
                    rows.len(),
                    devices.len()
                );
            }
        }
    }
    text += &format!("on disk    {} in {} files\n", Bytes(size.bytes), size.files);
    Ok(text)
}

fn verify(pipeline: &str, settings: &Settings, out: &mut dyn Write) -> Result<Exit> {
    let site = settings.site(pipeline);
    let key = KeyFile::at(&site.key_file);
    let mut damaged = 0;
    let mut text = String::new();
    for folder in [commits(&site), intake(&site), quarantine(&site)].iter().filter(|folder| folder.exists()) {
        for check in CommitLog::verify(folder, &key).map_err(of_vault)? {
            damaged += usize::from(check.problem.is_some());
            text += &line_of(&check);
        }
    }
    if text.is_empty() {
        return Err(absent(pipeline, &site));
    }
    if damaged > 0 {
        text += &format!("to mend it: {}\n", settings.command(&format!("state repair {pipeline}")));
    }
    written(out, &text)?;
    Ok(Exit::of_mistakes(damaged > 0))
}

/// Returns the result of checking one file, as a line.
pub(crate) fn line_of(check: &FileCheck) -> String {
    let mut line = format!("{}: {} bytes, {} frames", check.path.display(), check.bytes, check.frames);
    if check.forgotten > 0 {
        line += &format!(", {} parts of forgotten devices, closed for good", check.forgotten);
    }
    if let Some(torn) = &check.torn {
        line += &format!(", {} bytes at its end that were never completely written", torn.bytes);
    }
    match &check.problem {
        Some(problem) => line + &format!("\n  DAMAGED: {problem}\n"),
        None => line + ": whole\n",
    }
}

fn reset(pipeline: &str, yes: bool, settings: &Settings, out: &mut dyn Write) -> Result<Exit> {
    let site = settings.site(pipeline);
    if !commits(&site).exists() {
        return Err(absent(pipeline, &site));
    }
    let thrown = begin_anew(&site, yes)?;
    written(out, &format!("deleted: {thrown}\n"))
}

/// Refuses to delete a state while another process has it open, which would go on in what is gone.
fn must_be_free(site: &HostEnv) -> Result<()> {
    match CommitLog::open(&commits(site), &KeyFile::at(&site.key_file), real_disk()) {
        Err(busy @ Error::Busy { .. }) => Err(of_vault(busy)),
        _ => Ok(()),
    }
}

/// Deletes what is kept of a pipeline; says what it was.
///
/// # Errors
/// There is something, and it was not said that it may go; or another process has it open.
pub fn begin_anew(site: &HostEnv, yes: bool) -> Result<String> {
    let what = match Folder::open(site) {
        Ok(folder) => match folder.last()? {
            None => return Ok("nothing".into()),
            Some(record) => record.intake.to_string(),
        },
        // What cannot be read can be deleted all the same, if no process works on it.
        Err(_) if Folder::is_there(site) => {
            must_be_free(site)?;
            "a state that cannot be read".to_owned()
        }
        Err(error) => return Err(error),
    };
    if !yes {
        return Err(StageError::new(format!("there is a state of this pipeline: {what}"))
            .expected("a confirmation that it may be deleted")
            .help("add --yes; rows in stores and published adapters stay"));
    }
    for folder in [commits(site), intake(site)].iter().filter(|folder| folder.exists()) {
        std::fs::remove_dir_all(folder)
            .map_err(|e| StageError::new(format!("{} cannot be removed: {e}", folder.display())))?;
    }
    Ok(what)
}

fn absent(pipeline: &str, site: &HostEnv) -> StageError {
    StageError::new(format!("nothing is kept of a pipeline `{pipeline}` in {}", site.state.display()))
        .expected("the name of a pipeline that was run with this --state")
}

fn written(out: &mut dyn Write, text: &str) -> Result<Exit> {
    out.write_all(text.as_bytes()).map_err(|e| StageError::new(format!("the output: {e}")))?;
    Ok(Exit::Fine)
}

/// Opens the state folder for a run, deleted before if it is to begin from scratch.
///
/// # Errors
/// As for [`Folder::open`] and [`begin_anew`].
pub fn for_run(site: &HostEnv, fresh: Fresh) -> Result<Arc<Mutex<Folder>>> {
    match fresh {
        Fresh::No => {}
        Fresh::Asked { yes } => drop(begin_anew(site, yes)?),
    }
    Ok(Arc::new(Mutex::new(Folder::open(site)?)))
}

/// The choice whether a run begins from scratch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fresh {
    /// It goes on from the last commit.
    #[default]
    No,
    /// It does, and what was kept may be deleted if `yes`.
    Asked {
        /// `--yes` was given.
        yes: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;

    #[test]
    fn a_row_comes_back_with_its_owner() {
        let schema = Schema::new(vec![Field::new("value", DataType::Int64, false)]);
        let row = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(vec![7]))]).unwrap();
        for owner in [Owner::device("porch"), Owner::key("harbour").about("porch"), Owner::everyone()] {
            let kept = with_owner(&owner, &row).unwrap();
            let (value, back) = without_owner(&kept).unwrap();
            assert_eq!((value.as_deref(), &back), (owner.routed_by(), &row));
        }
    }

    #[test]
    fn a_folder_outlives_its_lives() {
        let root = tempfile::tempdir().unwrap();
        let site = HostEnv {
            state: root.path().join("state"),
            key_file: root.path().join("root.key"),
            is_peer: false,
        };
        let schema = Arc::new(Schema::new(vec![Field::new("value", DataType::Int64, false)]));
        let row = |n: i64| {
            RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from(vec![n])) as _]).unwrap()
        };
        let put = |key: &str, n: i64| KeptChange {
            table: "train".into(),
            key: key.into(),
            row: Some((Owner::device(key), row(n))),
        };
        let mut folder = Folder::open(&site).unwrap();
        assert!(folder.record().unwrap().is_none());
        assert!(Folder::open(&site).err().unwrap().to_string().contains(&std::process::id().to_string()));
        folder.commit(b"one", vec![put("porch", 1), put("hall", 2)]).unwrap();
        let gone = KeptChange { table: "train".into(), key: b"hall".to_vec(), row: None };
        folder.commit(b"two", vec![put("porch", 3), gone]).unwrap();
        drop(folder);
        let mut folder = Folder::open(&site).unwrap();
        assert_eq!(folder.record().unwrap().as_deref(), Some(b"two".as_slice()));
        let rows = folder.rows("train").unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].owner.of_device(), &rows[0].row), (Some("porch"), &row(3)));
    }
}
