//! How well it was heard: transcripts held against the texts of the manifest.
//!
//! In: rows of a transcribing stage, as they pass, and the manifest of the recordings that the pipeline takes in. Out: word
//! error rates. Texts stay in memory until the end and are never printed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use headwater_contract::StageError;
use headwater_contract::columns::text_column;
use headwater_contract::identity::IdentityColumns;
use headwater_datasets::manifest::{Manifest, Recording};
use headwater_datasets::wer::WordErrors;
use headwater_evaluate::score::transcription::score;
use headwater_runtime::plan::{OutPort, Plan, PlanStage};
use headwater_runtime::run::{Notes, Tap};

/// Word errors of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeardErrors {
    /// Over recordings that are marked clean and free of numbers.
    pub clean: WordErrors,
    /// Over all recordings with a text.
    pub all: WordErrors,
}

/// By device and captured time, what was heard.
type Heard = BTreeMap<(String, i64, u64), String>;

/// What was heard in this process and, at home, in the others.
#[derive(Default)]
struct HeardNotes(Mutex<Heard>);

impl Notes for HeardNotes {
    fn part(&self) -> Vec<u8> {
        let heard = self.0.lock().map(|heard| heard.clone().into_iter().collect::<Vec<_>>());
        heard.ok().and_then(|heard| serde_json::to_vec(&heard).ok()).unwrap_or_default()
    }

    fn add(&self, part: &[u8]) -> Result<(), StageError> {
        let other: Vec<((String, i64, u64), String)> =
            serde_json::from_slice(part).map_err(|e| StageError::new(e.to_string()))?;
        if let Ok(mut heard) = self.0.lock() {
            heard.extend(other);
        }
        Ok(())
    }
}

/// Listens to the transcripts of a run.
pub(super) struct Hearing {
    recordings: Vec<Recording>,
    stage: String,
    heard: Arc<HeardNotes>,
}

impl Hearing {
    /// Listens, when the pipeline captures recordings with a manifest and writes them down.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let manifest = plan.stages.iter().filter(|s| s.kind.name() == "capture").find_map(manifest_of)?;
        let stage = plan.stages.iter().find(|s| s.kind.name() == "transcribe")?;
        Some(Hearing { recordings: manifest.recordings, stage: stage.id.clone(), heard: Arc::default() })
    }

    /// Listens for home, which alone has the manifest.
    pub(super) fn away(plan: &Plan) -> Option<Self> {
        let stage = plan.stages.iter().find(|s| s.kind.name() == "transcribe")?;
        Some(Hearing { recordings: Vec::new(), stage: stage.id.clone(), heard: Arc::default() })
    }

    /// What was heard, for home.
    pub(super) fn notes(&self) -> Arc<dyn Notes> {
        self.heard.clone()
    }

    pub(super) fn taps(&self) -> Vec<Tap> {
        let heard = self.heard.clone();
        let look = move |batch: &RecordBatch| note(batch, &heard);
        vec![Tap { stage: self.stage.clone(), port: OutPort::Out(0), look: Arc::new(look) }]
    }

    pub(super) fn finish(self) -> HeardErrors {
        let heard = self.heard.0.lock().map(|mut h| std::mem::take(&mut *h)).unwrap_or_default();
        let mut texts: BTreeMap<usize, String> = BTreeMap::new();
        for ((device, at, _), text) in &heard {
            if let Some(recording) = recording_at(&self.recordings, device, *at) {
                let joined = texts.entry(recording).or_default();
                joined.push_str(text);
                joined.push(' ');
            }
        }
        let mut errors = HeardErrors::default();
        for (index, recording) in self.recordings.iter().enumerate() {
            let Some(spoken) = recording.text.as_deref().filter(|t| !t.is_empty()) else { continue };
            let heard = texts.get(&index).map_or("", String::as_str);
            let found = score(spoken, heard).words;
            errors.all += found;
            if recording.clean {
                errors.clean += found;
            }
        }
        errors
    }
}

/// The recording of a device that was running at a captured time: the last one that began before.
fn recording_at(recordings: &[Recording], device: &str, at: i64) -> Option<usize> {
    let began = |r: &Recording| r.captured_at.as_microsecond();
    let candidates = recordings.iter().enumerate().filter(|(_, r)| r.device == device && began(r) <= at);
    candidates.max_by_key(|(_, r)| began(r)).map(|(index, _)| index)
}

fn note(batch: &RecordBatch, heard: &HeardNotes) {
    let (Ok(ids), Ok(texts)) = (IdentityColumns::of(batch), text_column(batch, "text")) else { return };
    let Ok(mut heard) = heard.0.lock() else { return };
    for (row, text) in texts.iter().enumerate().take(ids.len()) {
        let key = (ids.device(row).to_owned(), ids.captured_at(row).0, ids.seq(row));
        heard.insert(key, text.unwrap_or_default().to_owned());
    }
}

fn manifest_of(stage: &PlanStage) -> Option<Manifest> {
    let path = PathBuf::from(stage.options.get("path")?.as_str()?);
    let file = if path.is_dir() { path.join("manifest.toml") } else { path };
    let is_manifest = file.file_name().is_some_and(|n| n == Path::new("manifest.toml")) && file.is_file();
    is_manifest.then(|| Manifest::read(&file).ok()).flatten()
}
