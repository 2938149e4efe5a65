//! A data set as the input of a pipeline's source, and where else the pipeline would write.
//!
//! In: a data set, a plan, an empty folder. Out: files in the folder that the source can read, the options that make it read them, and which row
//! of the data set a row of the pipeline came of. Nothing of the data set is copied but texts.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use headwater_contract::StageError;
use headwater_contract::identity::IdentityColumns;
use headwater_datasets::dataset::{Dataset, Row};
use headwater_runtime::plan::{Plan, PlanStage};
use headwater_stages::capture::recordings::SEQS;

/// The names of the pipeline's rows.
pub(super) struct Input {
    /// The source's id.
    pub source: String,
    /// The options that the trial sets.
    pub set: Vec<(String, String)>,
    audio: bool,
    /// Of recordings: the row of the n-th of a device.
    places: BTreeMap<(String, u64), usize>,
    /// Of texts: the row of the n-th line.
    order: Vec<usize>,
    one_device: bool,
}

impl Input {
    /// The row of the data set that a row of a batch came of.
    pub(super) fn row(&self, ids: &IdentityColumns<'_>, row: usize) -> Option<usize> {
        let seq = ids.seq(row);
        let at = if self.audio {
            let device = if self.one_device { "" } else { ids.device(row) };
            *self.places.get(&(device.to_owned(), seq / SEQS))?
        } else {
            *self.order.get(usize::try_from(seq).ok()?)?
        };
        (ids.id(row).source.as_ref() == self.source).then_some(at)
    }
}

/// Lays a data set before the source of a plan.
pub(super) fn lay(
    plan: &Plan,
    source: Option<&str>,
    dataset: &Dataset,
    folder: &Path,
) -> Result<Input, StageError> {
    let audio = dataset.is_audio();
    let stage = source_of(plan, source, audio)?;
    let io =
        |error: std::io::Error| StageError::new(format!("`{}` cannot be written: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(io)?;
    let order = if audio { Vec::new() } else { in_order(dataset) };
    let path =
        if audio { recordings(dataset, folder) } else { texts(dataset, &order, folder) }.map_err(io)?;
    let one_device = stage.options.get("one_device").and_then(toml::Value::as_bool).unwrap_or_default();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut places = BTreeMap::new();
    for (at, row) in dataset.rows.iter().enumerate().filter(|(_, row)| row.audio.is_some()) {
        let device = if one_device { String::new() } else { device(row).to_owned() };
        let count = counts.entry(device.clone()).or_default();
        places.insert((device, *count), at);
        *count += 1;
    }
    let option = |stage: &PlanStage, name: &str, value: String| (format!("stage.{}.{name}", stage.id), value);
    let mut set = vec![option(stage, "path", path)];
    if !audio {
        set.push(option(stage, "format", "jsonl".into()));
        set.push(option(stage, "text_column", "text".into()));
    }
    for (name, column) in [("device_column", "device"), ("captured_at_column", "captured_at")] {
        if stage.options.contains_key(name) {
            set.push(option(stage, name, column.into()));
        }
    }
    Ok(Input { source: stage.id.clone(), set, audio, places, order, one_device })
}

/// Options that send the output of a trial to its own folder: those of stages that keep things. Where memorisation is measured, they are kept.
pub(super) fn redirected(plan: &Plan, folder: &Path, remembers: bool) -> Vec<(String, String)> {
    let mut set = Vec::new();
    for stage in &plan.stages {
        let id = &stage.id;
        let place = folder.join(id).display().to_string();
        match stage.kind.name() {
            "store" => set.push((format!("stage.{id}.path"), place)),
            "train" if remembers || stage.options.contains_key("publish") => {
                set.push((format!("stage.{id}.publish"), place));
                set.extend(remembers.then(|| (format!("stage.{id}.personal"), "true".to_owned())));
            }
            _ => {}
        }
    }
    set
}

/// The source that takes rows of this form.
fn source_of<'p>(plan: &'p Plan, asked: Option<&str>, audio: bool) -> Result<&'p PlanStage, StageError> {
    let hears = |stage: &&PlanStage| {
        let columns = stage.outputs.first().map(|output| output.schema.clone());
        columns.is_some_and(|columns| columns.column_with_name("samples").is_some())
    };
    let sources: Vec<&PlanStage> =
        plan.stages.iter().filter(|stage| stage.kind.name() == "capture").collect();
    let fitting: Vec<&PlanStage> = sources
        .iter()
        .copied()
        .filter(|stage| hears(stage) == audio && asked.is_none_or(|asked| stage.id == asked))
        .collect();
    let ids = sources.iter().map(|stage| format!("`{}`", stage.id)).collect::<Vec<_>>().join(", ");
    let form = if audio { "recordings" } else { "rows of text" };
    match fitting.as_slice() {
        [one] => Ok(one),
        [] => Err(StageError::new(format!(
            "the data set has {form}, and no source of the pipeline takes them"
        ))
        .expected(format!(
            "a `capture` of {form}{}; sources: {ids}",
            asked.map_or_else(String::new, |a| format!(" named `{a}`"))
        ))
        .help("a data set of recordings needs a pipeline that hears, one of texts a pipeline that reads")),
        _ => Err(StageError::new(format!("more than one source takes {form}: {ids}"))
            .help("choose one: --source ID")),
    }
}

/// Returns the device of a row.
pub(super) fn device(row: &Row) -> &str {
    if row.device.is_empty() { "device" } else { &row.device }
}

/// Links to the recordings, with a manifest.
fn recordings(dataset: &Dataset, folder: &Path) -> std::io::Result<String> {
    let root = dataset.root.canonicalize()?;
    let mut text = "format = \"headwater-recordings\"\nversion = 1\n".to_owned();
    for (at, row) in dataset.rows.iter().enumerate() {
        let Some(audio) = &row.audio else { continue };
        let suffix = audio.extension().map_or_else(String::new, |s| format!(".{}", s.to_string_lossy()));
        let name = format!("{at:06}{suffix}");
        std::os::unix::fs::symlink(root.join(audio), folder.join(&name))?;
        let device = toml::Value::String(device(row).to_owned());
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n[[recording]]\nfile = \"{name}\"\ndevice = {device}\ncaptured_at = \"{}\"\n",
            row.captured(at as u64)
        );
    }
    let path = folder.join("manifest.toml");
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}

/// Rows of text in the order of capture: those of several files come as they were said.
fn in_order(dataset: &Dataset) -> Vec<usize> {
    let mut order: Vec<usize> = (0..dataset.rows.len()).collect();
    order.sort_by_key(|at| dataset.rows.get(*at).map(|row| row.captured(*at as u64)));
    order
}

/// The texts as JSON lines, with their further columns.
fn texts(dataset: &Dataset, order: &[usize], folder: &Path) -> std::io::Result<String> {
    let mut lines = String::new();
    for (at, row) in order.iter().filter_map(|at| Some((*at, dataset.rows.get(*at)?))) {
        let mut line = serde_json::Map::new();
        let mut put = |name: &str, value: &str| {
            line.insert(name.to_owned(), serde_json::Value::String(value.to_owned()))
        };
        for (name, value) in &row.columns {
            put(name, value);
        }
        put("device", device(row));
        put("captured_at", &row.captured(at as u64).to_string());
        put("text", row.text.as_deref().unwrap_or_default());
        if let Some(split) = &row.split {
            put("split", split);
        }
        lines += &serde_json::Value::Object(line).to_string();
        lines.push('\n');
    }
    let path = folder.join("rows.jsonl");
    std::fs::write(&path, lines)?;
    Ok(path.display().to_string())
}
