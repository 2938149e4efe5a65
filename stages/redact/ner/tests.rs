//! Taggers of random weights against onnxruntime's numbers (datasets/recipes/ner), and what is wrong with a folder.

use super::*;
use crate::redact::scanner::Scanner;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/ner");
const TAGGERS: [&str; 2] = ["tiny-random-bert", "tiny-random-distilbert"];

fn place(name: &str) -> PathBuf {
    Path::new(GOLDEN).join(name)
}

struct Case {
    text: String,
    ids: Vec<i64>,
    offsets: Vec<(usize, usize)>,
    logits: Vec<f32>,
}

fn cases(name: &str) -> Vec<Case> {
    use serde_json::Value;
    let all: Value =
        serde_json::from_slice(&std::fs::read(place(name).join("golden.json")).unwrap()).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let whole = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let case = |case: &Value| Case {
        text: case["text"].as_str().unwrap().to_owned(),
        ids: list(&case["ids"]).iter().map(|id| id.as_i64().unwrap()).collect(),
        offsets: list(&case["offsets"]).iter().map(|pair| (whole(&pair[0]), whole(&pair[1]))).collect(),
        logits: serde_json::from_value::<Vec<Vec<f32>>>(case["logits"].clone()).unwrap().concat(),
    };
    list(&all).iter().map(case).collect()
}

#[test]
fn tokens_and_logits_are_those_of_onnxruntime() {
    for name in TAGGERS {
        let tagger = Tagger::open(&place(name)).unwrap();
        for case in cases(name) {
            let seen = tagger.see(&case.text).unwrap();
            let ids =
                tagger.ids_of(std::slice::from_ref(&seen), 0, &Window { start: 0, end: seen.ids.len() });
            assert_eq!(ids, case.ids, "{name}: {:?}", case.text);
            let offsets: Vec<(usize, usize)> = seen.pieces.iter().map(|p| (p.start, p.end)).collect();
            assert_eq!(offsets, case.offsets[1..case.offsets.len() - 1], "{name}: {:?}", case.text);
            let expected = &case.logits;
            let largest = expected.iter().fold(1f32, |most, value| most.max(value.abs()));
            // Padded to two lengths, and alone or among others: what is said of a token is the same.
            let mut before: Option<Vec<u32>> = None;
            for (length, count) in [(case.ids.len(), 1), (64, 1), (64, TOGETHER)] {
                let found = tagger.plan.run(&vec![ids.clone(); count], length, 0).unwrap();
                for row in &found {
                    assert_eq!(row.len(), expected.len());
                    let worst = row.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
                    assert!(worst <= 1e-4 * largest, "{name}: {:?} padded to {length}: {worst}", case.text);
                }
                let bits = |row: &Vec<f32>| row.iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
                if length == 64 {
                    let expected = before.get_or_insert_with(|| bits(&found[0])).clone();
                    assert!(found.iter().all(|row| bits(row) == expected), "{name}: {count} together");
                }
            }
        }
    }
}

#[test]
fn neighbours_change_no_finding() {
    let tagger = Tagger::open(&place(TAGGERS[0])).unwrap();
    let texts: Vec<String> =
        (0..21).map(|n| format!("{} Anna Schmidt {n}", "in Berlin call me ".repeat(n))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let together = tagger.tag(&texts, 0.0).unwrap();
    assert!(together.iter().flatten().count() > 21, "random weights tag much");
    for (text, found) in texts.iter().zip(&together) {
        assert_eq!(tagger.tag(&[text], 0.0).unwrap(), [found.as_slice()], "{text}");
        assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start), "{text}");
        assert!(found.iter().all(|f| text.get(f.start..f.end).is_some() && f.score > 0.0 && f.score <= 1.0));
    }
    assert!(tagger.tag(&[""], 0.0).unwrap()[0].is_empty());
}

#[test]
fn what_is_wrong_with_a_folder_is_told_at_once() {
    let check = |change: &dyn Fn(&Path), expected: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        for name in ["config.json", "tokenizer.json", "model.onnx"] {
            std::fs::copy(place(TAGGERS[0]).join(name), folder.path().join(name)).unwrap();
        }
        change(folder.path());
        let actual = Tagger::open(folder.path()).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(expected.iter().all(|words| actual.contains(words)), "{expected:?}: {actual}");
    };
    let edit = |folder: &Path, from: &str, to: &str| {
        let file = folder.join("config.json");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        std::fs::write(file, text.replace(from, to)).unwrap();
    };
    check(&|folder| std::fs::remove_file(folder.join("model.onnx")).unwrap(), &["there is no model.onnx"]);
    check(
        &|folder| {
            std::fs::write(folder.join("tokenizer.json"), "{}").unwrap();
            edit(folder, "\"bert\"", "\"gpt2\"");
        },
        &["tokenizer.json is no tokenizer", "model_type of config.json is gpt2, expected bert or distilbert"],
    );
    check(
        &|folder| edit(folder, "\"8\": \"I-MISC\"", "\"9\": \"I-MISC\""),
        &["does not name the labels 0 to 8"],
    );
    check(&|folder| edit(folder, "id2label", "labels"), &["has no id2label"]);
    check(&|folder| std::fs::write(folder.join("model.onnx"), "no graph").unwrap(), &["model.onnx"]);
    check(
        &|folder| {
            edit(folder, "\"8\": \"I-MISC\"", "\"8\": \"I-MISC\", \"9\": \"O\"");
        },
        &["it has 9 labels, config.json names 10"],
    );
}

#[test]
fn labels_stand_for_kinds() {
    let check = |label: &str, expected: Option<(Entity, bool)>| {
        assert_eq!(folder::tag(label).map(|tag| (tag.kind, tag.begins)), expected, "{label}");
    };
    check("O", None);
    check("B-MISC", None);
    check("B-PER", Some((Entity::Person, true)));
    check("I-per", Some((Entity::Person, false)));
    check("E-LOC", Some((Entity::Address, false)));
    check("PHONE", Some((Entity::Phone, false)));
    check("B-DATE_OF_BIRTH", Some((Entity::DateOfBirth, true)));
}

#[test]
fn patterns_come_first_and_nothing_tagged_is_left() {
    let check = |text: &str, tagged: &[&str], expected: &[(&str, &str)]| {
        let spans: Vec<Finding> = tagged
            .iter()
            .map(|words| {
                let start = text.find(words).unwrap();
                let end = start + words.len();
                Finding { kind: Entity::Person, start, end, score: 0.9, rule: "tagger", pattern: None }
            })
            .collect();
        let found = merged(text, Scanner::default().scan(text), &spans);
        let found: Vec<_> = found.iter().map(|f| (f.kind.name(), &text[f.start..f.end])).collect();
        assert_eq!(found, expected, "{text}");
    };
    check("ask qorvath about it", &["qorvath"], &[("PERSON", "qorvath")]);
    check("write to a@b.com now", &["a@b.com"], &[("EMAIL", "a@b.com")]);
    check(
        "to qorvath, 555-0147, zumi!",
        &["qorvath, 555-0147, zumi!"],
        &[("PERSON", "qorvath"), ("PHONE", "555-0147"), ("PERSON", "zumi")],
    );
    check("nothing here", &[], &[]);
}
