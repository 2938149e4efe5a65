//! Recordings and stores that are played again, without the engine.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_contract::conformance::text_rows;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::testing::{SourceItem, SourceOutput};
use headwater_contract::units::Round;
use headwater_contract::{EpochEnd, Options};
use headwater_vault::{
    RecordedEnd, RecordedPort, RecordingHead, RecordingWriter, Store, StoreOptions, real_disk,
};

use super::*;

/// The output of a replay: names of rows, of rejected rows, and ends of epochs, in order.
struct ReplayOutput {
    rows: Vec<String>,
    ends: Vec<EpochEnd>,
    places: Vec<Position>,
    rejected: Vec<String>,
    last: Option<RecordBatch>,
}

fn names(batch: &RecordBatch) -> Vec<String> {
    let ids = IdentityColumns::of(batch).unwrap();
    (0..ids.len()).map(|row| format!("{}{}", ids.device(row), ids.seq(row))).collect()
}

impl From<SourceOutput> for ReplayOutput {
    fn from(output: SourceOutput) -> Self {
        let (mut rows, mut ends, mut rejected, mut last) = (Vec::new(), Vec::new(), Vec::new(), None);
        for item in output.items {
            match item {
                SourceItem::Batch(batch) => {
                    rows.extend(names(&batch));
                    last = Some(batch);
                }
                SourceItem::Rejection(id, ..) => rejected.push(format!("{}{}", id.device, id.seq)),
                SourceItem::End(end) => {
                    rows.push("|".into());
                    ends.push(end);
                }
            }
        }
        Self { rows, ends, places: output.positions, rejected, last }
    }
}

struct Fixture(tempfile::TempDir);

impl Fixture {
    fn new() -> Self {
        let own = tempfile::tempdir().unwrap();
        KeyFile::at(own.path().join("root.key")).read_or_create().unwrap();
        Fixture(own)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn host(&self) -> HostEnv {
        HostEnv { key_file: self.path("root.key"), ..HostEnv::default() }
    }

    fn config(&self, more: &str) -> Replay {
        let text = format!("path = '{}'\n{more}", self.path("rec").display());
        Replay::from_table(&text.parse().unwrap()).unwrap()
    }

    /// Two epochs of rows of two devices, labelled so.
    fn record(&self, label: &str) {
        let rows = text_rows(ROWS).unwrap();
        let columns = rows.schema();
        let port = RecordedPort { name: "talk.out".into(), label: label.into(), columns };
        let head = RecordingHead { pipeline: "p".into(), facts: BTreeMap::default(), ports: vec![port] };
        let key = KeyFile::at(self.path("root.key"));
        let mut writer = RecordingWriter::create(&self.path("rec"), &key, real_disk(), &head).unwrap();
        for (epoch, from) in [(0, 0), (1, 2)] {
            writer.rows(0, &rows.slice(from, 2)).unwrap();
            writer.end(&end(epoch)).unwrap();
        }
        writer.finish().unwrap();
    }

    fn play(&self, config: &Replay, position: Option<Position>, stop: Option<usize>) -> ReplayOutput {
        let schema = config.signature().apply(&[]).unwrap()[0].clone();
        let host = self.host();
        config.ready(&host).unwrap();
        let cx = SourceContext {
            id: "again",
            pipeline: "p",
            schema,
            position,
            saved: &headwater_contract::StateTable::default(),
            host: &host,
        };
        let source = config.open(cx).unwrap();
        let mut output = SourceOutput { stop_after: stop, ..SourceOutput::default() };
        let ended = Box::new(source).run(Feed::new(&mut output));
        assert_eq!(ended.is_err(), stop.is_some_and(|stop| output.positions.len() >= stop));
        output.into()
    }
}

const ROWS: &[(&str, &str)] = &[("hall", "one"), ("porch", "two"), ("hall", "three"), ("hall", "four")];

fn end(epoch: u64) -> RecordedEnd {
    let watermark = Some(i64::try_from(epoch).unwrap());
    RecordedEnd { epoch, round: 7 + epoch, watermark, round_end: epoch == 1, end_of_input: epoch == 1 }
}

#[test]
fn a_recording_comes_again_as_it_was_cut() {
    let fixture = Fixture::new();
    fixture.record("raw");
    let output = fixture.play(&fixture.config(""), None, None);
    assert_eq!(output.rows.iter().filter(|name| *name == "|").count(), 2);
    let ended: Vec<_> =
        output.ends.iter().map(|e| (e.round, e.watermark, e.round_end, e.end_of_input)).collect();
    let at = |n| Some(Micros(n));
    assert_eq!(ended, [(Round(7), at(0), false, false), (Round(8), at(1), true, true)]);
    // From every place on, what follows is the same.
    for (given, place) in output.places.iter().enumerate() {
        let rest = fixture.play(&fixture.config(""), Some(place.clone()), None);
        let all: Vec<_> = output.rows.iter().rev().take(rest.rows.len()).rev().collect();
        assert_eq!(rest.rows.iter().collect::<Vec<_>>(), all, "after {given}");
    }
    let stopped = fixture.play(&fixture.config("speed = 1.0"), None, Some(1));
    assert_eq!(stopped.places.len(), 1, "the first row waits for nothing, and then it was stopped");
}

#[test]
fn rows_are_chosen_by_device_and_time() {
    let fixture = Fixture::new();
    fixture.record("raw");
    let check = |more: &str, expected: usize| {
        let output = fixture.play(&fixture.config(more), None, None);
        let rows = output.rows.iter().filter(|name| *name != "|").count();
        assert_eq!(
            (rows, output.ends.len()),
            (expected, 2),
            "{more}: the epochs are kept whatever is chosen"
        );
    };
    check("", 4);
    check("devices = ['porch']", 1);
    check("devices = ['hall', 'porch']", 4);
    check("devices = ['stranger']", 0);
    check("until = '1960-01-01T00:00:00Z'", 0);
    check("since = '1960-01-01T00:00:00Z'", 4);
    check("speed = 1000000.0", 4);
}

#[test]
fn labels_are_held_in_both_directions() {
    for (recorded, given, fine) in [
        ("raw", "raw", true),
        ("raw", "redacted", false),
        ("redacted", "raw", false),
        ("redacted", "redacted", true),
        ("update", "public", false),
    ] {
        let fixture = Fixture::new();
        fixture.record(recorded);
        let config = fixture.config(&format!("label = '{given}'"));
        assert_eq!(config.signature().outputs[0].label.apply([]).name(), given);
        let ready = config.ready(&fixture.host());
        assert_eq!(ready.is_ok(), fine, "{recorded} as {given}");
        if let Err(error) = ready {
            assert!(error.to_string().contains(&format!("label = \"{recorded}\"")), "{error}");
        }
    }
}

#[test]
fn a_store_comes_again_in_the_order_of_capture() {
    let fixture = Fixture::new();
    let key = KeyFile::at(fixture.path("root.key"));
    let rows = text_rows(ROWS).unwrap();
    let mut store = Store::open(&fixture.path("rec"), &key, StoreOptions::default()).unwrap();
    store.append(&rows.slice(0, 3)).unwrap();
    store.seal().unwrap();
    store.append(&rows.slice(3, 1)).unwrap();
    store.commit().unwrap();
    drop(store);
    let output = fixture.play(&fixture.config(""), None, None);
    assert_eq!(output.rows, names(&rows), "as they were captured, not by device");
    assert!(output.ends.is_empty(), "a store was not cut");
    for (given, place) in output.places.iter().enumerate() {
        let rest = fixture.play(&fixture.config(""), Some(place.clone()), None);
        assert!(output.rows.ends_with(&rest.rows), "after {given}");
    }
    for invalid in ["label = 'redacted'", "port = 'x.out'", "columns = ['gone']", "columns = ['text f32']"] {
        assert!(fixture.config(invalid).ready(&fixture.host()).is_err(), "{invalid}");
    }
}

/// Rows of every form, the second captured before the first; the third names no device and no time.
const FORMS: [(&str, &str); 4] = [
    (
        "set.jsonl",
        r#"{"device": "hall", "captured_at": "2026-03-02T08:15:00Z", "text": "one", "mood": "glad", "split": "train"}
{"device": "porch", "captured_at": "2026-03-02T08:00:00Z", "text": "two", "split": "train"}
{"text": "three", "split": "heldout"}
"#,
    ),
    (
        "set.csv",
        "device,captured_at,text,mood,split\nhall,2026-03-02T08:15:00Z,one,glad,train\n\
         porch,2026-03-02T08:00:00Z,two,,train\n,,three,,heldout\n",
    ),
    ("set.toml", "format = 'headwater-dataset'\nversion = 1\nname = 'set'\n[[file]]\npath = 'set.jsonl'\n"),
    (
        "set.json",
        r#"[{"device": "hall", "captured_at": "2026-03-02T08:15:00Z", "full_text": "one", "mood": "glad", "spans": [], "split": "train"},
{"device": "porch", "captured_at": "2026-03-02T08:00:00Z", "full_text": "two", "spans": [], "split": "train"},
{"device": "p", "full_text": "three", "spans": [], "split": "heldout"}]"#,
    ),
];

#[test]
fn a_data_set_of_any_form_comes_in_the_order_of_capture() {
    let fixture = Fixture::new();
    for (name, text) in FORMS {
        std::fs::write(fixture.path(name), text).unwrap();
    }
    for (name, _) in FORMS {
        let config = |more: &str| {
            let text = format!("path = '{}'\n{more}", fixture.path(name).display());
            Replay::from_table(&text.parse().unwrap()).unwrap()
        };
        let output = fixture.play(&config("columns = ['text', 'mood', 'id']"), None, None);
        assert_eq!(output.rows, ["p2", "porch1", "hall0"], "{name}: what names no device is the pipeline's");
        assert!(output.ends.is_empty(), "a data set was not cut");
        let paced = fixture.play(&config("speed = 1e12"), None, None);
        assert_eq!(paced.rows, output.rows, "{name}");
        for (given, place) in paced.places.iter().enumerate() {
            let rest = fixture.play(&config(""), Some(place.clone()), None);
            assert!(output.rows.ends_with(&rest.rows), "{name} after {given}");
        }
        let check = |more: &str, expected: &[&str]| {
            assert_eq!(fixture.play(&config(more), None, None).rows, expected, "{name}: {more}");
        };
        check("split = 'train'", &["porch1", "hall0"]);
        check("devices = ['hall']", &["hall0"]);
        check("since = '2026-03-02T08:10:00Z'", &["hall0"]);
        check("until = '2026-03-02T08:10:00Z'", &["p2", "porch1"]);
        for invalid in [
            "label = 'redacted'",
            "port = 'x.out'",
            "columns = ['gone']",
            "columns = ['samples [f32]']",
            "split = 'gone'",
            "complete_epochs = true",
        ] {
            assert!(config(invalid).ready(&fixture.host()).is_err(), "{name}: {invalid}");
        }
    }
}

#[test]
fn recordings_of_a_data_set_come_whole_or_are_set_aside() {
    let fixture = Fixture::new();
    let voice = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/voice/hallway");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(voice).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let folder = fixture.path("set/7/1");
    std::fs::create_dir_all(&folder).unwrap();
    let suffix = files[0].extension().unwrap().to_str().unwrap();
    std::fs::copy(&files[0], folder.join(format!("7-1-0.{suffix}"))).unwrap();
    let bytes = std::fs::read(&files[0]).unwrap();
    std::fs::write(folder.join(format!("7-1-1.{suffix}")), &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(folder.join("7-1.trans.txt"), "7-1-0 HELLO THERE\n7-1-1 BROKEN OFF\n").unwrap();
    let text = "columns = ['sample_rate u32', 'samples [f32]', 'reference', 'id']";
    let text = format!("path = '{}'\n{text}", fixture.path("set").display());
    let config = Replay::from_table(&text.parse().unwrap()).unwrap();
    let output = fixture.play(&config, None, None);
    assert_eq!((output.rows, output.rejected), (vec!["70".to_owned()], vec!["71".to_owned()]));
    let batch = output.last.unwrap();
    let reference = batch.column_by_name("reference").unwrap();
    assert_eq!(reference.as_any().downcast_ref::<StringArray>().unwrap().value(0), "HELLO THERE");
    assert!(batch.get_array_memory_size() > 4 * 16_000, "a second of samples at least");
}

#[test]
fn what_is_not_there_is_told() {
    let fixture = Fixture::new();
    let message = |more: &str| fixture.config(more).ready(&fixture.host()).unwrap_err().to_string();
    assert!(message("").contains("rec"), "{}", message(""));
    fixture.record("raw");
    assert!(message("port = 'mic.out'").contains("talk.out"), "{}", message("port = 'mic.out'"));
    assert!(message("columns = ['words']").contains("text string"), "{}", message("columns = ['words']"));
    assert!(message(&format!("key_file = '{}'", Path::new("gone").display())).contains("gone"));
}

#[test]
fn options_are_checked() {
    let check = |more: &str, option: &str| {
        let read = Replay::from_table(&format!("path = 'x'\n{more}").parse().unwrap());
        let errors = read.map_or_else(|errors| errors, |config| config.validate());
        let named: Vec<_> = errors.iter().map(|invalid| invalid.option.as_str()).collect();
        assert_eq!(named, [option], "{more}");
    };
    check("speed = 0", "speed");
    check("speed = -1.0", "speed");
    check("speed = 'fast'", "speed");
    check("since = 'yesterday'", "since");
    check("until = '2026-13-01'", "until");
    check("columns = ['text words']", "columns");
    check("columns = ['']", "columns");
    check("label = 'secret'", "label");
}

#[test]
fn columns_have_words() {
    for words in ["text string", "seconds f32", "samples [f32]", "note string?", "at time", "lists [[u32]]?"]
    {
        let field = columns::field_of(words).unwrap();
        assert_eq!(word_of(&field).as_deref(), Some(words));
    }
    assert_eq!(columns::field_of("text").unwrap(), utf8("text"));
}
