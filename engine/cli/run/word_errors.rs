//! Word error rates of a run: transcripts held against the texts of the manifest.
//!
//! In: rows of a transcribing stage as they pass, in all processes, and at the coordinator the manifest of the recordings that the pipeline
//! takes in. Out: errors and words, over recordings that this run heard from beginning to end. No text is kept or sent: of a transcript
//! remains which words of the recording's reference it has, as numbers, and 0 for any other word.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arrow::array::RecordBatch;
use headwater_contract::StageError;
use headwater_contract::columns::text_column;
use headwater_contract::identity::IdentityColumns;
use headwater_datasets::manifest::{Manifest, Recording};
use headwater_datasets::wer::{WordErrors, english};
use headwater_runtime::plan::{OutPort, Plan, PlanStage};
use headwater_runtime::run::{Notes, Tap};
use headwater_stages::capture::recordings::SEQS;
use serde::{Deserialize, Serialize};

/// Word errors of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct WerTotals {
    /// Over recordings that are marked clean and free of numbers.
    pub clean: WordErrors,
    /// Over all recordings with a text.
    pub all: WordErrors,
    /// The number of recordings with a text that this run heard from beginning to end.
    pub recordings: u64,
    /// The number that the manifest has.
    pub of: u64,
}

/// The part of its recordings that a run read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// True if it began at the beginning of the input.
    pub(super) from_start: bool,
    /// True if it was stopped before the end.
    pub(super) stopped: bool,
}

/// A recording, as all processes know it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Reference {
    device: String,
    /// The time at which it began, in microseconds.
    began: i64,
    /// The words of its text, each once, in order; none where it has no text.
    vocabulary: Vec<String>,
}

impl Reference {
    fn of(recording: &Recording) -> Self {
        let words: BTreeSet<String> =
            english::words(recording.text.as_deref().unwrap_or_default()).into_iter().collect();
        let began = recording.captured_at.as_microsecond();
        Reference { device: recording.device.clone(), began, vocabulary: words.into_iter().collect() }
    }

    /// The numbers of a text's words: from 1 on those that the recording's text has, 0 all others.
    fn numbers(&self, text: &str) -> Vec<u32> {
        let number = |word: String| {
            let at = self.vocabulary.binary_search(&word).ok();
            at.and_then(|at| u32::try_from(at + 1).ok()).unwrap_or(0)
        };
        english::words(text).into_iter().map(number).collect()
    }
}

/// By recording and seq: the numbers of the words of an utterance.
type Transcripts = BTreeMap<(usize, u64), Vec<u32>>;

/// The rows that passed in this process and, at the coordinator, in the others.
#[derive(Default)]
struct WerNotes {
    known: OnceLock<Vec<Reference>>,
    heard: Mutex<Transcripts>,
}

impl WerNotes {
    fn known(&self) -> &[Reference] {
        self.known.get().map(Vec::as_slice).unwrap_or_default()
    }

    fn heard(&self) -> MutexGuard<'_, Transcripts> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, batch: &RecordBatch) {
        let known = self.known();
        let (Ok(ids), Ok(texts)) = (IdentityColumns::of(batch), text_column(batch, "text")) else { return };
        for (row, text) in texts.iter().enumerate().take(ids.len()) {
            let Some(at) = recording_at(known, ids.device(row), ids.captured_at(row).0) else { continue };
            let Some(recording) = known.get(at).filter(|known| !known.vocabulary.is_empty()) else {
                continue;
            };
            let numbers = recording.numbers(text.unwrap_or_default());
            self.heard().insert((at, ids.seq(row)), numbers);
        }
    }
}

impl Notes for WerNotes {
    fn brief(&self) -> Vec<u8> {
        serde_json::to_vec(self.known()).unwrap_or_default()
    }

    fn take_brief(&self, brief: &[u8]) -> Result<(), StageError> {
        let known = serde_json::from_slice(brief).map_err(|e| StageError::new(e.to_string()))?;
        self.known.get_or_init(|| known);
        Ok(())
    }

    fn news(&self) -> Vec<u8> {
        let heard = std::mem::take(&mut *self.heard());
        if heard.is_empty() {
            return Vec::new();
        }
        serde_json::to_vec(&heard.into_iter().collect::<Vec<_>>()).unwrap_or_default()
    }

    fn part(&self) -> Vec<u8> {
        self.news()
    }

    fn add(&self, part: &[u8]) -> Result<(), StageError> {
        if part.is_empty() {
            return Ok(());
        }
        let other: Vec<((usize, u64), Vec<u32>)> =
            serde_json::from_slice(part).map_err(|e| StageError::new(e.to_string()))?;
        self.heard().extend(other);
        Ok(())
    }
}

/// The utterances that were taken in, at the coordinator.
#[derive(Default)]
struct Taken {
    /// By recording: their seqs.
    seqs: BTreeMap<usize, BTreeSet<u64>>,
    /// The recording that was taken in last: there may be more of it.
    last: Option<usize>,
}

/// Collects what the word error rates of a run need.
pub(super) struct WerCollector {
    recordings: Vec<Recording>,
    capture: Option<String>,
    transcribe: String,
    notes: Arc<WerNotes>,
    taken: Arc<Mutex<Taken>>,
}

impl WerCollector {
    /// A collector of the coordinator, when the pipeline captures recordings with a manifest that has texts, and transcribes them.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let mut captures = plan.stages.iter().filter(|s| s.kind.name() == "capture");
        let (capture, manifest) = captures.find_map(|s| Some((s.id.clone(), manifest_of(s)?)))?;
        let recordings = manifest.recordings;
        if !recordings.iter().any(has_text) {
            return None;
        }
        let mut collector = WerCollector::elsewhere(plan)?;
        collector.notes.known.get_or_init(|| recordings.iter().map(Reference::of).collect());
        (collector.recordings, collector.capture) = (recordings, Some(capture));
        Some(collector)
    }

    /// A collector of another process: it notes what the coordinator asks for.
    pub(super) fn elsewhere(plan: &Plan) -> Option<Self> {
        let transcribe = plan.stages.iter().find(|s| s.kind.name() == "transcribe")?.id.clone();
        let (notes, taken) = (Arc::default(), Arc::default());
        Some(WerCollector { recordings: Vec::new(), capture: None, transcribe, notes, taken })
    }

    /// Returns the notes for the coordinator.
    pub(super) fn notes(&self) -> Arc<dyn Notes> {
        self.notes.clone()
    }

    pub(super) fn taps(&self) -> Vec<Tap> {
        let notes = self.notes.clone();
        let look = Arc::new(move |batch: &RecordBatch| notes.note(batch));
        let mut taps = vec![Tap { stage: self.transcribe.clone(), port: OutPort::Out(0), inspect: look }];
        taps.extend(self.capture.clone().map(|stage| {
            let (notes, taken) = (self.notes.clone(), self.taken.clone());
            let look = Arc::new(move |batch: &RecordBatch| take_in(batch, notes.known(), &taken));
            Tap { stage, port: OutPort::Out(0), inspect: look }
        }));
        taps
    }

    /// The errors, over recordings that were heard from beginning to end: words that were not heard yet, or by an earlier run, are no errors.
    pub(super) fn finish(self, extent: Extent) -> WerTotals {
        let heard = std::mem::take(&mut *self.notes.heard());
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut errors = WerTotals::default();
        let each = self.recordings.iter().zip(self.notes.known()).enumerate();
        for (at, (recording, known)) in each.filter(|(_, (recording, _))| has_text(recording)) {
            errors.of += 1;
            if !is_whole(at, &taken, &heard, extent) {
                continue;
            }
            let said = known.numbers(recording.text.as_deref().unwrap_or_default());
            let utterances = heard.range((at, 0)..=(at, u64::MAX));
            let numbers: Vec<u32> = utterances.flat_map(|(_, numbers)| numbers.iter().copied()).collect();
            let found = WordErrors::of_words(&said, &numbers);
            errors.recordings += 1;
            errors.all += found;
            if recording.clean {
                errors.clean += found;
            }
        }
        errors
    }
}

fn has_text(recording: &Recording) -> bool {
    recording.text.as_ref().is_some_and(|text| !text.is_empty())
}

/// Returns true if a run heard a recording from beginning to end.
fn is_whole(at: usize, taken: &Taken, heard: &Transcripts, Extent { from_start, stopped }: Extent) -> bool {
    let Some(seqs) = taken.seqs.get(&at) else {
        // Nothing was taken in of it: it is silent, if the run had all.
        return from_start && !stopped;
    };
    let begun = from_start || seqs.first().is_some_and(|first| first.is_multiple_of(SEQS));
    let ended = || taken.last != Some(at) && seqs.iter().all(|seq| heard.contains_key(&(at, *seq)));
    begun && (!stopped || ended())
}

/// The recording of a device that was running at a captured time: the last one that began before.
fn recording_at(known: &[Reference], device: &str, at: i64) -> Option<usize> {
    let candidates = known.iter().enumerate().filter(|(_, r)| r.device == device && r.began <= at);
    candidates.max_by_key(|(_, r)| r.began).map(|(index, _)| index)
}

fn take_in(batch: &RecordBatch, known: &[Reference], taken: &Mutex<Taken>) {
    let Ok(ids) = IdentityColumns::of(batch) else { return };
    let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    for row in 0..ids.len() {
        let at = recording_at(known, ids.device(row), ids.captured_at(row).0);
        if let Some(at) = at {
            taken.seqs.entry(at).or_default().insert(ids.seq(row));
        }
        taken.last = at;
    }
}

fn manifest_of(stage: &PlanStage) -> Option<Manifest> {
    let path = PathBuf::from(stage.options.get("path")?.as_str()?);
    let file = if path.is_dir() { path.join("manifest.toml") } else { path };
    let is_manifest = file.file_name().is_some_and(|n| n == Path::new("manifest.toml")) && file.is_file();
    is_manifest.then(|| Manifest::read(&file).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array,
    };
    use arrow::datatypes::Schema;
    use headwater_contract::columns::utf8;
    use headwater_contract::identity;

    use super::*;

    /// (device, seq, second, text)
    type Row = (&'static str, u64, i64, &'static str);

    fn rows(rows: &[Row]) -> RecordBatch {
        let mut fields = identity::fields();
        fields.push(utf8("text"));
        let at = Int64Array::from_iter_values(rows.iter().map(|row| row.2 * 1_000_000));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|_| "mic"))),
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.1))),
            Arc::new(UInt32Array::from(vec![0; rows.len()])),
            Arc::new(at.reinterpret_cast::<arrow::datatypes::TimestampMicrosecondType>().with_timezone("UTC"))
                as Arc<TimestampMicrosecondArray>,
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.3))),
        ];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    const MANIFEST: &str = r#"
format = "headwater-recordings"
version = 1
[[recording]]
file = "a.flac"
device = "hall"
captured_at = "1970-01-01T00:00:10Z"
text = "the kettle is on the stove"
clean = true
[[recording]]
file = "b.flac"
device = "hall"
captured_at = "1970-01-01T00:00:20Z"
[[recording]]
file = "c.flac"
device = "hall"
captured_at = "1970-01-01T00:00:30Z"
text = "who is there"
[[recording]]
file = "d.flac"
device = "porch"
captured_at = "1970-01-01T00:00:15Z"
text = "maria came today"
clean = true
"#;

    fn collector() -> WerCollector {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.toml");
        std::fs::write(&path, MANIFEST).unwrap();
        let recordings = Manifest::read(&path).unwrap().recordings;
        let notes = Arc::<WerNotes>::default();
        notes.known.get_or_init(|| recordings.iter().map(Reference::of).collect());
        let (capture, transcribe) = (Some("mic".into()), "asr".into());
        WerCollector { recordings, capture, transcribe, notes, taken: Arc::default() }
    }

    /// All utterances, in the order in which they are taken in; one of the second recording has no text to be held against.
    const ALL: [Row; 6] = [
        ("hall", 0, 10, "The kettle is on"),
        ("hall", 1, 14, "a stove!"),
        ("hall", SEQS, 20, "nothing of that is written"),
        ("hall", 2 * SEQS, 30, "who's there"),
        ("hall", 2 * SEQS + 1, 33, "there"),
        ("porch", 0, 15, "maria came"),
    ];

    #[test]
    fn only_what_was_heard_from_beginning_to_end_counts() {
        let check =
            |taken: &[Row], heard: &[Row], (from_start, stopped), expected: (u64, usize, usize, usize)| {
                let collector = collector();
                for tap in collector.taps() {
                    (tap.inspect)(&rows(if tap.stage == "asr" { heard } else { taken }));
                }
                let errors = collector.finish(Extent { from_start, stopped });
                let actual =
                    (errors.recordings, errors.all.errors(), errors.all.words, errors.clean.errors());
                assert_eq!((actual, errors.of), (expected, 3), "{taken:?} {heard:?} {from_start} {stopped}");
            };
        // All of it: "a" in place of "the", one "there" too many, "today" not heard.
        check(&ALL, &ALL, (true, false), (3, 3, 12, 2));
        check(&ALL, &[], (true, false), (3, 12, 12, 9));
        check(&[], &[], (true, false), (3, 12, 12, 9));
        // Stopped: of the recording that was taken in last there may be more, and utterances may be on their way.
        check(&ALL, &ALL, (true, true), (2, 2, 9, 1));
        check(&ALL[..4], &ALL[..4], (true, true), (1, 1, 6, 1));
        check(&ALL[..4], &ALL[..1], (true, true), (0, 0, 0, 0));
        check(&[], &[], (true, true), (0, 0, 0, 0));
        // Gone on with: what an earlier run heard, or began to hear, is no error of this one.
        check(&ALL[1..], &ALL[1..], (false, false), (2, 2, 6, 1));
        check(&ALL[5..], &ALL[5..], (false, false), (1, 1, 3, 1));
        check(&[], &[], (false, false), (0, 0, 0, 0));
    }

    /// The messages of another process: numbers of words that the coordinator has already, while the run goes on, and once.
    #[test]
    fn no_text_goes_to_the_coordinator() {
        let here = collector();
        let elsewhere = WerNotes::default();
        elsewhere.take_brief(&here.notes.brief()).unwrap();
        elsewhere.note(&rows(&ALL[..3]));
        let news = elsewhere.news();
        assert_eq!(String::from_utf8_lossy(&news), "[[[0,0],[5,2,1,3]],[[0,1],[0,4]]]");
        elsewhere.note(&rows(&ALL[3..]));
        let rest = elsewhere.part();
        assert!(elsewhere.news().is_empty() && elsewhere.part().is_empty());
        for part in [news, rest, Vec::new()] {
            here.notes.add(&part).unwrap();
        }
        here.notes.add(b"no notes").unwrap_err();
        take_in(&rows(&ALL), here.notes.known(), &here.taken);
        let errors = here.finish(Extent { from_start: true, stopped: false });
        assert_eq!((errors.all.errors(), errors.all.words), (3, 12));
        let nobody_asks = WerNotes::default();
        nobody_asks.note(&rows(&ALL));
        assert!(nobody_asks.news().is_empty(), "without a manifest nothing is noted");
    }
}
