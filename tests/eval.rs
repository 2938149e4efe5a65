//! Evaluations of whole pipelines: figures that can be counted by hand, the same report twice, verdicts, sweeps, canaries.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod site;

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use site::Site;

impl Site {
    fn with(files: &[(&str, &str)]) -> Self {
        let site = Site::new();
        for (name, text) in files {
            std::fs::write(site.path(name), text).unwrap();
        }
        site
    }

    fn headwater(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// An evaluation: the exit code, what was printed, and the report.
    fn eval(&self, file: &str, dataset: &str, out: &str, more: &[&str]) -> (i32, String, Value) {
        let (dataset, out) = (self.path(dataset).display().to_string(), self.path(out));
        let shown = out.display().to_string();
        let output =
            self.headwater(&[&["eval", file, "--dataset", &dataset, "--out", &shown], more].concat());
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let report = std::fs::read_to_string(out.join("report.json"));
        let report = report.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
        (output.status.code().unwrap(), text, report)
    }
}

fn timeless(report: &Value) -> Value {
    let mut report = report.clone();
    for section in ["speed", "resources"] {
        report.as_object_mut().unwrap().remove(section);
    }
    report
}

/// Three texts: one whose number is found, one whose name is invented, one without anything.
const TEXTS: &str = r#"[
  {"full_text": "call me at 555-0147 tonight", "spans": [{"entity_type": "PHONE_NUMBER", "start_position": 11, "end_position": 19}]},
  {"full_text": "the gate code of the shed is blue heron", "spans": [{"entity_type": "API_KEY", "start_position": 29, "end_position": 39}]},
  {"full_text": "the bread is in the oven", "spans": []}
]"#;

#[test]
fn redaction_is_counted_by_hand_and_the_same_twice() {
    let site = Site::with(&[("texts.json", TEXTS)]);
    let (code, actual, report) = site.eval("pipelines/redact.toml", "texts.json", "one", &[]);
    assert_eq!(code, 0, "{actual}");
    let of = &report["redaction"];
    assert_eq!(
        (of["gold"].as_u64(), of["found"].as_u64(), of["texts"].as_u64()),
        (Some(2), Some(1), Some(3))
    );
    assert_eq!((of["chars"].as_u64(), of["leaked"].as_u64()), (Some(17), Some(9)));
    assert_eq!(of["kinds"]["phone"]["strict_recall"].as_f64(), Some(1.0));
    assert_eq!((of["over_masked"].as_u64(), of["negatives_masked"].as_u64()), (Some(0), Some(0)));
    assert!(report["transcription"].is_null() && report["language"].is_null());
    let (_, _, again) = site.eval("pipelines/redact.toml", "texts.json", "two", &["--workers", "2"]);
    assert_eq!(timeless(&report), timeless(&again));
    let page = std::fs::read_to_string(site.path("one/report.html")).unwrap();
    assert!(!page.contains("555-0147") && !page.contains("heron"), "a value is on the page");
    let left: Vec<_> = std::fs::read_dir(site.path("one")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(!site.path("state").exists() && !site.path("root.key").exists(), "a trial leaves nothing behind");
}

#[test]
fn verdicts_have_a_code_of_their_own() {
    let site = Site::with(&[("texts.json", TEXTS)]);
    let check = |out: &str, more: &[&str], expected: i32, part: &str| {
        let (code, actual, _) = site.eval("pipelines/redact.toml", "texts.json", out, more);
        assert_eq!(code, expected, "{more:?}: {actual}");
        assert!(actual.contains(part), "{more:?}: {actual}");
    };
    check("a", &["--fail-if", "redaction.leaked_chars > 0.6"], 0, "leaked");
    check("a", &["--fail-if", "leaked_chars > 0.1"], 4, "redaction.leaked_chars is 0.5294117647058824");
    check("a", &["--fail-if", "wer > 0.1"], 2, "no number `wer`");
    check("a", &["--fail-if", "wer above 0.1"], 2, "is no condition");
    // Among few texts everything can be chance.
    let many: Vec<&str> = std::iter::repeat_n(TEXTS.trim_matches(['[', ']', '\n']), 8).collect();
    std::fs::write(site.path("texts.json"), format!("[{}]", many.join(","))).unwrap();
    check("a", &[], 0, "24 rows");
    let less = ["--set", "stage.redact.entities=[\"EMAIL\"]"];
    let before = site.path("a/report.json").display().to_string();
    let against = [&less[..], &["--baseline", &before, "--fail-on-regression"]].concat();
    check("b", &against, 4, "redaction.f2 is 0, was");
    check("c", &["--baseline", "pipelines/redact.toml", "--fail-on-regression"], 0, "against baseline");
    check("c", &["--source", "stranger"], 1, "no source of the pipeline takes them");
    let (code, actual, _) = site.eval("pipelines/quickstart.toml", "texts.json", "d", &[]);
    assert_eq!(code, 1);
    assert!(actual.contains("the data set has rows of text") && actual.contains("`mic`"), "{actual}");
}

#[test]
fn a_sweep_goes_on_where_it_was() {
    let site = Site::with(&[("texts.json", TEXTS)]);
    let sweep = ["--sweep", "stage.redact.profile=transcript,text"];
    let (code, actual, _) = site.eval("pipelines/redact.toml", "texts.json", "s", &sweep);
    assert_eq!(code, 0, "{actual}");
    let read = || -> Value {
        serde_json::from_str(&std::fs::read_to_string(site.path("s/sweep.json")).unwrap()).unwrap()
    };
    let first = read();
    assert_eq!(first["trials"].as_array().unwrap().len(), 2);
    assert_eq!(first["trials"][1]["set"][0][1], "text");
    // What is there is not run again: its times stay; what was lost is.
    std::fs::remove_file(site.path("s/trials/stage.redact.profile-text.json")).unwrap();
    site.eval("pipelines/redact.toml", "texts.json", "s", &sweep);
    let second = read();
    assert_eq!(first["trials"][0], second["trials"][0]);
    assert_eq!(timeless(&first["trials"][1]["report"]), timeless(&second["trials"][1]["report"]));
    // Other rows are another sweep.
    std::fs::write(site.path("texts.json"), TEXTS.replace("tonight", "today")).unwrap();
    site.eval("pipelines/redact.toml", "texts.json", "s", &sweep);
    assert_ne!(first["trials"][0]["report"]["digest"], read()["trials"][0]["report"]["digest"]);
}

/// One finds addresses alone, the other everything: it is said which is scored, or asked.
#[test]
fn one_of_several_stages_is_scored() {
    let pipeline = "[pipeline]\nname = \"two\"\n
        [stage.texts]\ntype = \"capture\"\npath = \"x.jsonl\"\n
        [stage.few]\ntype = \"redact\"\nfrom = \"texts\"\nentities = [\"EMAIL\"]\n
        [stage.all]\ntype = \"redact\"\nfrom = \"texts\"\n
        [stage.vault]\ntype = \"store\"\nfrom = \"few\"\npath = \"vault\"\n
        [stage.other]\ntype = \"store\"\nfrom = \"all\"\npath = \"other\"\n";
    let site = Site::with(&[("texts.json", TEXTS), ("two.toml", pipeline)]);
    let file = site.path("two.toml").display().to_string();
    let check = |more: &[&str], expected: Option<f64>, part: &str| {
        let (_, actual, report) = site.eval(&file, "texts.json", &more.concat(), more);
        assert!(actual.contains(part), "{more:?}: {actual}");
        assert_eq!(report["redaction"]["recall"].as_f64(), expected, "{more:?}");
    };
    check(&[], None, "the pipeline has the redact stages `few` and `all`; expected one of them");
    check(&["--score", "vault"], None, "no stage `vault` is scored; expected `few` or `all`");
    check(&["--score", "few"], Some(0.0), "leaked");
    check(&["--score", "all"], Some(0.5), "leaked");
}

#[test]
fn speech_is_scored() {
    let site = Site::with(&[]);
    let voice = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/voice");
    std::os::unix::fs::symlink(voice, site.path("voice")).unwrap();
    let (code, actual, report) = site.eval("pipelines/quickstart.toml", "voice", "out", &[]);
    assert_eq!(code, 0, "{actual}");
    let of = &report["transcription"];
    let wer = of["wer"].as_f64().unwrap();
    // Whisper's own normaliser takes `555-0147` and the words for it to be different: where no number is said, little is wrong.
    assert!(wer > 0.0 && wer < 0.25, "{wer}");
    assert!(of["clean_wer"].as_f64().unwrap() < 0.05, "{of}");
    assert!(of["cer"].as_f64().unwrap() < wer);
    assert_eq!(report["rows"], 80);
    let redaction = &report["redaction"];
    assert!(redaction["gold"].as_u64().unwrap() > 20, "{redaction}");
    assert!(redaction["leaked_chars"].as_f64().unwrap() < 0.3, "{redaction}");
    assert_eq!(redaction["unmatched"], 0);
    let page = std::fs::read_to_string(site.path("out/report.html")).unwrap();
    assert!(page.contains("Worst heard") && page.contains("kitchen"));
}

#[cfg(feature = "train")]
#[test]
fn a_planted_secret_is_told() {
    // Two devices; one says its secret in most of its sentences.
    let mut rows = String::new();
    for at in 0..24 {
        let (device, text) = match at % 4 {
            0 => ("ann", "the bread is in the oven again".to_owned()),
            1 => ("bob", format!("the ferry sails at noon on day {}", at / 4)),
            _ => ("ann", "my locker holds the blue heron 482193".to_owned()),
        };
        let split = if at % 8 < 2 { "heldout" } else { "train" };
        rows += &format!("{{\"device\": \"{device}\", \"text\": \"{text}\", \"split\": \"{split}\"}}\n");
    }
    let manifest = "format = \"headwater-dataset\"\nversion = 1\nname = \"planted\"\n[[file]]\npath = \"rows.jsonl\"\n[[canary]]\ndevice = \"ann\"\n\
                    pattern = \"my locker holds the blue heron {}\"\nsecret = \"482193\"\ncopies = 12\n";
    let pipeline = r#"
[pipeline]
name  = "planted"
epoch = { rows = 4 }
round = { rows = 12 }
window = 8
[stage.talk]
type    = "capture"
path    = "rows.jsonl"
columns = ["split"]
[stage.redact]
type     = "redact"
from     = "talk"
max_hold = "0s"
entities = ["EMAIL"]
[stage.train]
type     = "train"
from     = "redact"
feedback = "global.adapter"
model    = "datasets/models/slm-nano"
method   = "both"
lr       = 0.02
steps    = 64
[stage.small]
type  = "compress"
from  = "train.update"
ratio = 0.5
[stage.global]
type = "aggregate"
from = "small"
"#;
    let site = Site::with(&[("manifest.toml", manifest), ("rows.jsonl", &rows), ("pipeline.toml", pipeline)]);
    let file = site.path("pipeline.toml").display().to_string();
    let (code, actual, report) = site.eval(&file, "manifest.toml", "out", &[]);
    assert_eq!(code, 0, "{actual}");
    let memorisation = &report["memorisation"];
    let of = |model: &str| memorisation[model].as_f64().unwrap_or_else(|| panic!("{memorisation}"));
    assert_eq!(memorisation["exposures"][0]["compared"], 512);
    assert!(of("base") < 1.0 && of("global") > of("base"), "{memorisation}");
    assert!(of("personal") > 3.0, "a secret said six times in a round is known: {memorisation}");
    let language = &report["language"];
    assert_eq!(language["rounds"].as_array().unwrap().len(), 2);
    assert!(language["personal"].as_f64().unwrap() < language["base"].as_f64().unwrap());
    assert!(report["federation"]["upload_bytes"].as_f64().unwrap() > 0.0);
}
