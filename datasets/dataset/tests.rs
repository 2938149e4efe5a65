//! Data sets of every form, good and wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

use proptest::prelude::*;

use super::check::check;
use super::stats::Stats;
use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

fn open(root: &Path, name: &str) -> Dataset {
    Dataset::open(&root.join(name), &Select::default()).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// The faults, without the folder that they lie in.
fn faults(root: &Path, name: &str) -> Vec<String> {
    let found = match Dataset::open(&root.join(name), &Select::default()) {
        Ok(dataset) => check(&dataset),
        Err(faults) => faults,
    };
    found.iter().map(|fault| fault.to_string().replace(&format!("{}/", root.display()), "")).collect()
}

const ROWS: &str = "{\"user\": \"ann\", \"text\": \"call 555-0147\", \"mood\": 3, \"spans\": [[5, 13, \"PHONE\"]]}\n\n\
                    {\"user\": \"bob\", \"text\": \"hello\", \"captured_at\": \"2026-03-02T08:15:00Z\", \"split\": \"train\"}\n";

#[test]
fn rows_are_the_same_in_every_form() {
    let presidio = r#"[{"full_text": "call 555-0147", "spans": [{"entity_type": "PHONE", "entity_value": "555-0147",
        "start_position": 5, "end_position": 13}]}]"#;
    let csv =
        "user,text,split,spans,mood\nann,call 555-0147,,\"[[5,13,\"\"PHONE\"\"]]\",3\nbob,hello,train,,\n";
    let root = folder(&[("rows.jsonl", ROWS), ("rows.csv", csv), ("spans.json", presidio)]);
    let lines = open(root.path(), "rows.jsonl");
    let of_csv = open(root.path(), "rows.csv");
    let span = Span { kind: "PHONE".into(), start: 5, end: 13, optional: false };
    for dataset in [&lines, &of_csv] {
        let [ann, bob] = &dataset.rows[..] else { panic!("two rows") };
        assert_eq!((ann.device.as_str(), ann.text.as_deref()), ("ann", Some("call 555-0147")));
        assert_eq!(ann.spans.as_deref(), Some(std::slice::from_ref(&span)));
        assert_eq!(ann.columns["mood"], "3");
        assert_eq!((bob.split.as_deref(), bob.spans.as_ref(), bob.id.as_str()), (Some("train"), None, "1"));
    }
    assert_eq!(lines.rows[1].captured_at.unwrap().to_string(), "2026-03-02T08:15:00Z");
    let of_presidio = open(root.path(), "spans.json");
    assert_eq!(
        (of_presidio.rows[0].device.as_str(), of_presidio.rows[0].spans.clone()),
        ("0", Some(vec![span]))
    );
    assert!(faults(root.path(), "rows.jsonl").is_empty());
    let stats = Stats::of(&lines);
    assert_eq!((stats.all.rows, stats.all.words, stats.kinds["phone"]), (2, 3, 1));
}

const MANIFEST: &str = r#"
format = "headwater-dataset"
version = 1
name = "small"
licence = "CC0-1.0"

[splits]
train = "devices"
heldout = "devices"

[[file]]
path = "rows.jsonl"
rows = 2

[[row]]
device = "cay"
text = "my code is 4821"
split = "heldout"
[[row.span]]
kind = "PIN"
start = 11
end = 15

[[canary]]
pattern = "my code is {}"
secret = "4821"
"#;

#[test]
fn a_manifest_has_rows_of_its_own_and_of_files() {
    let root = folder(&[("manifest.toml", MANIFEST), ("rows.jsonl", ROWS)]);
    let dataset = open(root.path(), "");
    assert_eq!(dataset.rows.iter().map(|row| row.device.as_str()).collect::<Vec<_>>(), ["cay", "ann", "bob"]);
    assert_eq!(faults(root.path(), ""), [""; 0]);
    let one = Dataset::open(root.path(), &Select { split: Some("train".into()), file: None }).unwrap();
    assert_eq!(one.rows.len(), 1);
    let file = Dataset::open(root.path(), &Select { split: None, file: Some("rows.jsonl".into()) }).unwrap();
    assert_eq!(file.rows.len(), 2);
    let none = Dataset::open(root.path(), &Select { split: None, file: Some("other.jsonl".into()) });
    assert!(none.unwrap_err()[0].what.contains("there are: rows.jsonl"));
}

#[test]
fn every_mistake_is_told_at_once() {
    let check = |name: &str, text: &str, expected: &[&str]| {
        let root = folder(&[(name, text), ("rows.jsonl", ROWS)]);
        let messages = faults(root.path(), name);
        for part in expected {
            assert!(messages.iter().any(|fault| fault.contains(part)), "{name}: no `{part}` in {messages:?}");
        }
        assert_eq!(messages.len(), expected.len(), "{messages:?}");
        assert!(
            messages.iter().all(|fault| !fault.contains("555-0147")),
            "a message holds a text: {messages:?}"
        );
    };
    let wrong = MANIFEST
        .replace("version = 1", "version = 7")
        .replace("train = \"devices\"", "train = \"people\"")
        .replace("rows = 2", "rose = 2")
        .replace("pattern = \"my code is {}\"", "pattern = \"my code\"");
    let expected =
        ["version 7 is not known", "\"rows\" or \"devices\"", "no key `rose`", "must hold {} once"];
    check("manifest.toml", &wrong, &expected);
    let wrong = MANIFEST
        .replace("rows = 2", "rows = 3")
        .replace("end = 15", "end = 99")
        .replace("secret = \"4821\"", "secret = \"4822\"")
        .replace("device = \"cay\"", "device = \"bob\"");
    let expected = [
        "it has 2 rows",
        "goes to 99, but the text has 15",
        "canary 1 stands in 0 rows",
        "device bob is in the split",
    ];
    check("manifest.toml", &wrong, &expected);
    let sound =
        "[[row]]\ndevice = \"a\"\nfile = \"gone.wav\"\n[[row]]\ndevice = \"a\"\nfile = \"rows.jsonl\"\n";
    let wrong = format!("format = \"headwater-dataset\"\nversion = 1\nname = \"x\"\n{sound}");
    check("manifest.toml", &wrong, &["`", "`"]);
    check(
        "lines.jsonl",
        "{\"text\": 5}\nnothing\n{\"device\": \"x\"}\n",
        &["no JSON object", "neither a text"],
    );
    check("list.json", "{}", &["no JSON list"]);
    check("table.csv", "text,device\na\nb,c\n", &["other columns"]);
    check("notes.md", "", &["expected .toml"]);
    check("empty.jsonl", "", &["there are no rows"]);
    check("twice.jsonl", "{\"id\": 1, \"text\": \"a\"}\n{\"id\": 1, \"text\": \"b\"}", &["the same id"]);
}

#[test]
fn folders_of_librispeech_and_new_manifests() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sound = shipped.join("voice/kitchen/001.flac");
    let root = folder(&[("84/121/84-121.trans.txt", "84-121-0000 PUT THE KETTLE ON\n")]);
    let messages = faults(root.path(), "");
    assert_eq!(messages.len(), 1);
    assert!(messages[0].starts_with("84/121/84-121.trans.txt:1: no recording"), "{messages:?}");
    std::fs::copy(&sound, root.path().join("84/121/84-121-0000.flac")).unwrap();
    let dataset = open(root.path(), "");
    assert_eq!((dataset.rows[0].device.as_str(), dataset.is_audio()), ("84", true));
    assert_eq!(faults(root.path(), ""), [""; 0]);
    let text = new::manifest(root.path()).unwrap();
    std::fs::write(root.path().join("manifest.toml"), &text).unwrap();
    let described = open(root.path(), "");
    assert_eq!(described.rows[0].audio, dataset.rows[0].audio);
    assert!(described.rows[0].sha256.is_some() && described.rows[0].seconds.is_some());
    assert_eq!(faults(root.path(), ""), [""; 0]);
    assert!(new::manifest(folder(&[("readme.md", "")]).path()).is_err());
}

#[test]
fn the_shipped_data_sets_are_right() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, rows) in [("voice", 80), ("personal", 3848)] {
        let dataset = open(shipped, name);
        assert_eq!((dataset.rows.len(), check(&dataset)), (rows, Vec::new()), "{name}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_data_set_or_its_faults(text in "\\PC{0,200}") {
        fuzz_dataset(text.as_bytes());
    }

    #[test]
    fn a_manifest_with_anything_wrong_is_told(at in 0..MANIFEST.len(), put in "[\\[\\]{}\"=a-z0-9\n]{0,4}") {
        let mut text = MANIFEST.to_owned();
        text.insert_str(at, &put);
        fuzz_dataset(text.as_bytes());
        fuzz_dataset(&text.as_bytes()[..at]);
    }

    #[test]
    fn rows_come_back(rows in prop::collection::vec(("[a-z]{1,6}", "\\PC{1,30}"), 1..8)) {
        let line = |(device, text): &(String, String)| serde_json::json!({"device": device, "text": text}).to_string();
        let text: Vec<String> = rows.iter().map(line).collect();
        let read = lines::json("rows", &text.join("\n")).unwrap();
        let back: Vec<(String, String)> = read.into_iter().map(|row| (row.device, row.text.unwrap())).collect();
        prop_assert_eq!(back, rows);
    }
}
