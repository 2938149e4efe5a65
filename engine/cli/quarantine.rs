//! Rows that stages set aside, encrypted, until somebody looks at them or tries them again.
//!
//! In: rows of `rejected` ports. Out: a list by stage and reason, the rows themselves on request, and a second try. One
//! row is kept once for each stage that rejected it, however often its input is run, under its device's key
//! (docs/formats/quarantine.md).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::signature::{REJECTED_BY, REJECTED_CODE, REJECTED_REASON};
use headwater_contract::{RowId, Site, StageError};
use headwater_runtime::plan::{Plan, PlanInput};
use headwater_runtime::run::Quarantine;
use headwater_vault::{FrameLog, KeyFile};
use serde::Serialize;

use crate::run::{Memory, RunArgs, run_plan};
use crate::site::Settings;
use crate::vault_error::of_vault;

/// Rows that a run gave to the quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeptCounts {
    /// Rows that were not there before.
    pub new: u64,
    /// Rows that were there already.
    pub known: u64,
}

/// The quarantine of one pipeline, open for writing.
pub struct Keeper {
    folder: PathBuf,
    key: KeyFile,
    log: Option<FrameLog>,
    known: BTreeSet<(String, RowId)>,
    counts: KeptCounts,
}

fn folder_of(site: &Site) -> PathBuf {
    site.state.join("quarantine")
}

/// Where rows lie that are being tried again: a crash leaves them there.
fn trying_of(site: &Site) -> PathBuf {
    site.state.join("retrying")
}

/// Takes back rows that were being tried when the program died.
///
/// # Errors
/// They cannot be read, or not be put back.
pub fn recover(site: &Site) -> Result<(), StageError> {
    let (folder, key) = (trying_of(site), KeyFile::at(&site.key_file));
    if !folder.exists() {
        return Ok(());
    }
    match FrameLog::open(&folder, &key) {
        Ok(trying) => put_back(site, trying),
        // Whoever tries them now takes them back.
        Err(headwater_vault::Error::Busy { .. }) => Ok(()),
        Err(error) => Err(of_vault(error)),
    }
}

/// Puts back all rows that were tried and are not in the quarantine.
fn put_back(site: &Site, mut trying: FrameLog) -> Result<(), StageError> {
    let mut keeper = Keeper::open(site)?;
    for batch in trying.content().map_err(of_vault)?.batches {
        if batch.num_rows() > 0 {
            keeper.keep(&stage_of(&batch, 0), &batch)?;
        }
    }
    keeper.sync()?;
    trying.replace(&[]).map_err(of_vault)
}

impl Keeper {
    /// Opens the quarantine of a site; nothing is made on disk before the first row comes.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub fn open(site: &Site) -> Result<Self, StageError> {
        let (folder, key) = (folder_of(site), KeyFile::at(&site.key_file));
        let mut known = BTreeSet::new();
        for batch in content(&folder, &key)? {
            let ids = IdentityColumns::of(&batch)?;
            for row in 0..ids.len() {
                known.insert((stage_of(&batch, row), ids.id(row)));
            }
        }
        Ok(Keeper { folder, key, log: None, known, counts: KeptCounts::default() })
    }

    /// Makes a device's rows unreadable; says how many there were.
    ///
    /// # Errors
    /// The device's key could not be deleted for good.
    pub fn forget(&mut self, device: &str) -> Result<u64, StageError> {
        if !self.folder.exists() {
            return Ok(0);
        }
        self.known.retain(|(_, id)| &*id.device != device);
        self.open_log()?.forget(device).map_err(of_vault)
    }

    fn open_log(&mut self) -> Result<&mut FrameLog, StageError> {
        if self.log.is_none() {
            self.log = Some(FrameLog::open(&self.folder, &self.key).map_err(of_vault)?);
        }
        self.log.as_mut().ok_or_else(|| StageError::new("the quarantine is not open"))
    }

    /// What was kept since it was opened.
    pub fn counts(&self) -> KeptCounts {
        self.counts
    }
}

impl Quarantine for Keeper {
    fn keep(&mut self, stage: &str, rows: &RecordBatch) -> Result<(), StageError> {
        let ids = IdentityColumns::of(rows)?;
        let mut fresh = BTreeMap::new();
        for (row, position) in (0..ids.len()).zip(0u32..) {
            let id = (stage.to_owned(), ids.id(row));
            if self.known.contains(&id) || fresh.contains_key(&id) {
                self.counts.known += 1;
            } else {
                fresh.insert(id, position);
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let mut positions: Vec<u32> = fresh.values().copied().collect();
        positions.sort_unstable();
        let kept = take_record_batch(rows, &UInt32Array::from(positions))?;
        self.open_log()?.append(&kept).map_err(of_vault)?;
        // Only now: what could not be kept may come again.
        self.counts.new += fresh.len() as u64;
        self.known.extend(fresh.into_keys());
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StageError> {
        self.log.as_mut().map_or(Ok(()), |log| log.sync().map_err(of_vault))
    }
}

fn content(folder: &Path, key: &KeyFile) -> Result<Vec<RecordBatch>, StageError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    FrameLog::read(folder, key).map(|content| content.batches).map_err(of_vault)
}

fn text_of(batch: &RecordBatch, column: &str, row: usize) -> String {
    let texts = batch.column_by_name(column).and_then(|c| c.as_string_opt::<i32>());
    texts.filter(|t| row < t.len()).map(|t| t.value(row).to_owned()).unwrap_or_default()
}

fn stage_of(batch: &RecordBatch, row: usize) -> String {
    text_of(batch, REJECTED_BY, row)
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
            writeln!(out, "{} {code}: {reason} [{}]", stage_of(&batch, row), ids.id(row))
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

/// Gives the rows that a stage set aside to it again, through the pipeline as it is now. What passes leaves the
/// quarantine; what is rejected again stays. Gives the exit code.
///
/// # Errors
/// There is nothing to try, the stage is not there, or the rows no longer fit its input.
pub fn retry(args: &RunArgs, plan: Plan, stage: &str, settings: &Settings) -> Result<u8, StageError> {
    let site = settings.site(&plan.name);
    let (folder, key) = (folder_of(&site), KeyFile::at(&site.key_file));
    recover(&site)?;
    let (tried, others): (Vec<RecordBatch>, Vec<RecordBatch>) = content(&folder, &key)?
        .into_iter()
        .partition(|batch| batch.num_rows() > 0 && stage_of(batch, 0) == stage);
    if tried.is_empty() {
        return Err(StageError::new(format!("nothing of stage `{stage}` is in the quarantine"))
            .help("headwater quarantine ls"));
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
    let code = run_plan(args, settings, Arc::new(retried), Memory::None);
    if code == 0 {
        trying.replace(&[]).map_err(of_vault)?;
    } else {
        // The run failed: what it had not kept again is put back.
        put_back(&site, trying)?;
    }
    Ok(code)
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
                .help("the pipeline has changed since they were set aside")
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(input.clone(), columns)?)
}
