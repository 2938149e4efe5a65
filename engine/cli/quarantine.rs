//! The quarantine: rejected rows, encrypted, until they are inspected or retried.
//!
//! In: rows of `rejected` ports. Out: a list by stage and reason, the rows themselves on request, and a second try. One
//! row is kept once for each stage that rejected it, however often its input is run, under its device's key
//! (docs/formats/quarantine.md).

mod retention;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::signature::{REJECTED_BY, REJECTED_CODE, REJECTED_REASON};
use headwater_contract::{Escaped, HostEnv, StageError};
use headwater_runtime::plan::{Plan, PlanInput};
use headwater_runtime::run::Quarantine;
use headwater_vault::{FrameLog, Identities, KeyFile};
use serde::Serialize;

use crate::exit::Exit;
use crate::run::{Memory, RunArgs, run_plan};
use crate::site::Settings;
use crate::state;
use headwater_stages::vault_error::of_vault;
pub use retention::Retention;

/// Rows that a run gave to the quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeptCounts {
    /// Rows that were not there before.
    pub new: u64,
    /// Rows that were there already.
    pub known: u64,
}

/// The quarantine of one pipeline, open for writing.
pub struct QuarantineLog {
    folder: PathBuf,
    key: KeyFile,
    log: Option<FrameLog>,
    /// By stage: what is kept already, read when the first row comes.
    known: Option<BTreeMap<String, Identities>>,
    retention: Retention,
    counts: KeptCounts,
}

/// The folder of the quarantine of a pipeline.
pub fn folder_of(site: &HostEnv) -> PathBuf {
    site.state.join("quarantine")
}

/// Returns the folder of rows that are being tried again: a crash leaves them there.
fn trying_of(site: &HostEnv) -> PathBuf {
    site.state.join("retrying")
}

/// Takes back rows that were being tried when the program died.
///
/// # Errors
/// They cannot be read, or not be put back.
pub fn recover(site: &HostEnv) -> Result<(), StageError> {
    let (folder, key) = (trying_of(site), KeyFile::at(&site.key_file));
    if !folder.exists() {
        return Ok(());
    }
    match FrameLog::open(&folder, &key) {
        Ok(trying) => put_back(site, trying),
        // The verb that retries them takes them back.
        Err(headwater_vault::Error::Busy { .. }) => Ok(()),
        Err(error) => Err(of_vault(error)),
    }
}

/// Puts back all rows that were tried and are not in the quarantine.
fn put_back(site: &HostEnv, mut trying: FrameLog) -> Result<(), StageError> {
    let mut keeper = QuarantineLog::of(site);
    for batch in trying.content().map_err(of_vault)?.batches {
        if batch.num_rows() > 0 {
            keeper.keep(&stage_of(&batch, 0), &batch)?;
        }
    }
    keeper.sync()?;
    trying.replace(&[]).map_err(of_vault)
}

impl QuarantineLog {
    /// The quarantine of a site. Nothing is read or made on disk before the first row comes, and all is kept.
    pub fn of(site: &HostEnv) -> Self {
        let (folder, key) = (folder_of(site), KeyFile::at(&site.key_file));
        let (retention, counts) = (Retention::default(), KeptCounts::default());
        QuarantineLog { folder, key, log: None, known: None, retention, counts }
    }

    /// The same; what is older or more than this is let go, by whole files.
    ///
    /// # Errors
    /// Files could not be removed for good.
    pub fn keeping(mut self, retention: Retention) -> Result<Self, StageError> {
        self.retention = retention;
        if self.folder.exists() {
            self.let_go()?;
            // Until a row is rejected, others may have it.
            self.log = None;
        }
        Ok(self)
    }

    fn let_go(&mut self) -> Result<(), StageError> {
        let (retention, folder) = (self.retention, self.folder.display().to_string());
        let log = self.open_log()?;
        let gone = retention.gone(&log.ended(), SystemTime::now());
        if !gone.is_empty() {
            tracing::warn!(
                files = gone.len(),
                folder,
                "the oldest rejected rows in the quarantine are let go: {retention}"
            );
            log.remove(&gone).map_err(of_vault)?;
        }
        Ok(())
    }

    fn known(&mut self) -> Result<&mut BTreeMap<String, Identities>, StageError> {
        if self.known.is_none() {
            let mut known = BTreeMap::<String, Identities>::new();
            for batch in content(&self.folder, &self.key)? {
                for (stage, rows) in by_stage(&batch)? {
                    known.entry(stage).or_default().add(&rows).map_err(of_vault)?;
                }
            }
            self.known = Some(known);
        }
        Ok(self.known.get_or_insert_default())
    }

    /// Makes a device's rows unreadable; says how many there were.
    ///
    /// # Errors
    /// The device's key could not be deleted for good.
    pub fn forget(&mut self, device: &str) -> Result<u64, StageError> {
        if !self.folder.exists() {
            return Ok(0);
        }
        self.known.iter_mut().flat_map(BTreeMap::values_mut).for_each(|known| known.forget(device));
        self.open_log()?.forget(device).map_err(of_vault)
    }

    fn open_log(&mut self) -> Result<&mut FrameLog, StageError> {
        if self.log.is_none() {
            let opened = FrameLog::open(&self.folder, &self.key);
            self.log = Some(opened.map_err(|error| state::of_damage(error, &self.folder, &self.key))?);
        }
        self.log.as_mut().ok_or_else(|| StageError::new("the quarantine is not open"))
    }

    /// Returns the counts of rows kept since it was opened.
    pub fn counts(&self) -> KeptCounts {
        self.counts
    }
}

impl Quarantine for QuarantineLog {
    fn keep(&mut self, stage: &str, rows: &RecordBatch) -> Result<(), StageError> {
        let fresh = self.known()?.entry(stage.to_owned()).or_default().unknown(rows).map_err(of_vault)?;
        let new = fresh.len() as u64;
        self.counts.known += rows.num_rows() as u64 - new;
        if fresh.is_empty() {
            return Ok(());
        }
        let kept = take_record_batch(rows, &UInt32Array::from(fresh))?;
        let files = self.open_log()?.ended().len();
        self.open_log()?.append(&kept).map_err(of_vault)?;
        // Only now: what could not be kept may come again.
        self.counts.new += new;
        self.known()?.entry(stage.to_owned()).or_default().add(&kept).map_err(of_vault)?;
        if self.open_log()?.ended().len() > files { self.let_go() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), StageError> {
        self.log.as_mut().map_or(Ok(()), |log| log.sync().map_err(of_vault))
    }
}

fn content(folder: &Path, key: &KeyFile) -> Result<Vec<RecordBatch>, StageError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let content = FrameLog::read(folder, key).map_err(|error| state::of_damage(error, folder, key))?;
    Ok(content.batches)
}

fn text_of(batch: &RecordBatch, column: &str, row: usize) -> String {
    let texts = batch.column_by_name(column).and_then(|c| c.as_string_opt::<i32>());
    texts.filter(|t| row < t.len()).map(|t| t.value(row).to_owned()).unwrap_or_default()
}

fn stage_of(batch: &RecordBatch, row: usize) -> String {
    text_of(batch, REJECTED_BY, row)
}

/// The rows of each stage in a batch, which are those of one nearly always.
fn by_stage(batch: &RecordBatch) -> Result<Vec<(String, RecordBatch)>, StageError> {
    let mut rows = BTreeMap::<String, Vec<u32>>::new();
    for (row, position) in (0..batch.num_rows()).zip(0u32..) {
        rows.entry(stage_of(batch, row)).or_default().push(position);
    }
    let of = |(stage, rows)| Ok((stage, take_record_batch(batch, &UInt32Array::from(rows))?));
    rows.into_iter().map(of).collect()
}

/// Lists what is in the quarantine of a pipeline, by stage and reason.
///
/// # Errors
/// It cannot be read, or the output cannot be written.
pub fn ls(pipeline: &str, settings: &Settings, out: &mut dyn Write) -> Result<(), StageError> {
    let site = settings.site(pipeline);
    recover(&site)?;
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for batch in content(&folder_of(&site), &KeyFile::at(&site.key_file))? {
        for row in 0..batch.num_rows() {
            *counts.entry((stage_of(&batch, row), text_of(&batch, REJECTED_CODE, row))).or_default() += 1;
        }
    }
    let written = if counts.is_empty() {
        writeln!(out, "nothing is in the quarantine of `{pipeline}` ({})", folder_of(&site).display())
    } else {
        counts.iter().try_for_each(|((stage, code), rows)| writeln!(out, "{rows:>7}  {stage}  {code}"))
    };
    written.map_err(|e| StageError::new(e.to_string()))
}

/// Shows each row of the quarantine with its reason; what it holds only when asked for, since that is raw.
///
/// # Errors
/// It cannot be read, or the output cannot be written.
pub fn show(
    pipeline: &str,
    stage: Option<&str>,
    with_content: bool,
    settings: &Settings,
    out: &mut dyn Write,
) -> Result<(), StageError> {
    let site = settings.site(pipeline);
    recover(&site)?;
    for batch in content(&folder_of(&site), &KeyFile::at(&site.key_file))? {
        let ids = IdentityColumns::of(&batch)?;
        for row in (0..ids.len()).filter(|row| stage.is_none_or(|s| s == stage_of(&batch, *row))) {
            let (code, reason) = (text_of(&batch, REJECTED_CODE, row), text_of(&batch, REJECTED_REASON, row));
            writeln!(out, "{} {code}: {} [{}]", stage_of(&batch, row), Escaped(&reason), ids.id(row))
                .map_err(|e| StageError::new(e.to_string()))?;
            if with_content {
                let texts = batch
                    .schema_ref()
                    .fields()
                    .iter()
                    .skip(8)
                    .filter(|f| f.data_type() == &arrow::datatypes::DataType::Utf8);
                for field in texts {
                    let value = text_of(&batch, field.name(), row);
                    writeln!(out, "    {} = {value:?}", field.name())
                        .map_err(|e| StageError::new(e.to_string()))?;
                }
            }
        }
    }
    Ok(())
}

/// Gives the rows that a stage rejected to it again, through the pipeline as it is now. What passes leaves the
/// quarantine; what is rejected again stays. Gives the exit code.
///
/// # Errors
/// There is nothing to try, the stage is not there, or the rows no longer fit its input.
pub fn retry(args: &RunArgs, plan: Plan, stage: &str, settings: &Settings) -> Result<Exit, StageError> {
    let site = settings.site(&plan.name);
    let (folder, key) = (folder_of(&site), KeyFile::at(&site.key_file));
    recover(&site)?;
    let (tried, others): (Vec<RecordBatch>, Vec<RecordBatch>) = content(&folder, &key)?
        .into_iter()
        .partition(|batch| batch.num_rows() > 0 && stage_of(batch, 0) == stage);
    if tried.is_empty() {
        return Err(StageError::new(format!("nothing of stage `{stage}` is in the quarantine"))
            .help(format!("`{}`", settings.command(&format!("quarantine ls {}", plan.name)))));
    }
    let input = plan.stage(stage).and_then(|s| s.inputs.first()).map(PlanInput::given);
    let input = input.ok_or_else(|| {
        StageError::new(format!("`{stage}` takes no rows in"))
            .expected("a stage with an input")
            .help("a source reads its files again at the next `headwater run`")
    })?;
    let rows = tried.iter().map(|batch| as_input(batch, &input)).collect::<Result<Vec<_>, _>>()?;
    let retried = headwater_runtime::retry::plan_for(plan, stage, rows)
        .ok_or_else(|| StageError::new(format!("no stage `{stage}` in the pipeline")))?;
    // They are in one of the two places at any time, and only what passed is in none.
    let mut trying = FrameLog::open(&trying_of(&site), &key).map_err(of_vault)?;
    trying.replace(&tried).map_err(of_vault)?;
    FrameLog::open(&folder, &key).and_then(|mut log| log.replace(&others)).map_err(of_vault)?;
    let exit = run_plan(args, settings, Arc::new(retried), Memory::None).exit();
    if exit == Exit::Fine {
        trying.replace(&[]).map_err(of_vault)?;
    } else {
        // The run failed: what it had not kept again is put back.
        put_back(&site, trying)?;
    }
    Ok(exit)
}

/// A rejected row with the columns of the stage's input, as it was before it was rejected.
fn as_input(batch: &RecordBatch, input: &arrow::datatypes::SchemaRef) -> Result<RecordBatch, StageError> {
    let columns = input
        .fields()
        .iter()
        .map(|field| {
            let column = batch.column_by_name(field.name()).filter(|c| c.data_type() == field.data_type());
            column.cloned().ok_or_else(|| {
                StageError::new(format!(
                    "the rows in the quarantine have no column `{}` of that type",
                    field.name()
                ))
                .help("the pipeline has changed since they were rejected")
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(input.clone(), columns)?)
}

#[cfg(test)]
mod tests {
    use headwater_contract::conformance::text_rows;
    use headwater_vault::FrameLog;

    use super::*;

    fn rejected(by: &str, rows: &[(&str, &str)]) -> RecordBatch {
        let rows = text_rows(rows).unwrap();
        let text = |text: &str| -> arrow::array::ArrayRef {
            Arc::new(arrow::array::StringArray::from(vec![text; rows.num_rows()]))
        };
        let mut fields: Vec<_> = rows.schema().fields().iter().cloned().collect();
        let mut columns = rows.columns().to_vec();
        for (at, (name, value)) in
            (5..).zip([(REJECTED_BY, by), (REJECTED_CODE, "odd"), (REJECTED_REASON, "it is odd")])
        {
            fields.insert(at, Arc::new(headwater_contract::columns::utf8(name)));
            columns.insert(at, text(value));
        }
        RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns).unwrap()
    }

    fn site(folder: &Path) -> HostEnv {
        HostEnv { state: folder.join("state"), key_file: folder.join("root.key"), is_peer: false }
    }

    #[test]
    fn a_row_is_kept_once_for_each_stage_whatever_run_rejects_it() {
        let folder = tempfile::tempdir().unwrap();
        let site = site(folder.path());
        let rows = rejected("strict", &[("hall", "one"), ("porch", "two"), ("hall", "three")]);
        let check = |stage: &str, rows: &RecordBatch, new: u64, known: u64| {
            let mut keeper = QuarantineLog::of(&site).keeping(Retention::default()).unwrap();
            keeper.keep(stage, rows).unwrap();
            keeper.keep(stage, rows).unwrap();
            keeper.sync().unwrap();
            assert_eq!(keeper.counts(), KeptCounts { new, known }, "{stage}");
        };
        check("strict", &rows.slice(0, 2), 2, 2);
        check("strict", &rows, 1, 5);
        check("strict", &rows, 0, 6);
        check("other", &rejected("other", &[("hall", "one")]), 1, 1);
        assert_eq!(QuarantineLog::of(&site).forget("hall").unwrap(), 3);
        check("strict", &rows, 2, 4);
    }

    /// A run begins without opening a single row: even rows that cannot be opened any more do no harm until one is asked for.
    #[test]
    fn a_start_reads_no_rows() {
        let folder = tempfile::tempdir().unwrap();
        let site = site(folder.path());
        let rows = rejected("strict", &[("hall", "one"), ("porch", "two")]);
        for row in 0..2 {
            let mut keeper = QuarantineLog::of(&site);
            keeper.keep("strict", &rows.slice(row, 1)).unwrap();
            keeper.sync().unwrap();
        }
        let log = FrameLog::open(&folder_of(&site), &KeyFile::at(&site.key_file)).unwrap();
        let ended = log.ended();
        assert_eq!(ended.len(), 1, "each run begins a file");
        drop(log);
        let whole = std::fs::read(&ended[0].path).unwrap();
        let mut broken = whole.clone();
        let middle = broken.len() / 2;
        broken[middle] ^= 1;
        std::fs::write(&ended[0].path, &broken).unwrap();
        let keeper = || QuarantineLog::of(&site).keeping(Retention { days: Some(1), bytes: None }).unwrap();
        assert!(keeper().keep("strict", &rows).unwrap_err().to_string().contains("frames"));
        std::fs::write(&ended[0].path, &whole).unwrap();
        let mut keeper = keeper();
        keeper.keep("strict", &rows).unwrap();
        assert_eq!(keeper.counts(), KeptCounts { new: 0, known: 2 });
    }

    #[test]
    fn what_is_beyond_the_limit_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let site = site(folder.path());
        let rows = rejected("strict", &[("hall", "one"), ("porch", "two"), ("hall", "three")]);
        for row in 0..3 {
            let mut keeper = QuarantineLog::of(&site);
            keeper.keep("strict", &rows.slice(row, 1)).unwrap();
            keeper.sync().unwrap();
        }
        let retention = Retention { days: None, bytes: Some(headwater_contract::units::Bytes(1)) };
        QuarantineLog::of(&site).keeping(retention).unwrap();
        let left = content(&folder_of(&site), &KeyFile::at(&site.key_file)).unwrap();
        assert_eq!(left, [rows.slice(2, 1)], "the file that was written last stays");
    }
}
