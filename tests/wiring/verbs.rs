//! The verbs that look at pipelines and kinds: what they write and how they end.

use std::path::PathBuf;

use headwater::check::{CheckArgs, Format};
use headwater::explain::ExplainArgs;
use headwater::graph::{mermaid, svg};
use headwater::new::NewArgs;
use headwater::pipeline::PipelineArgs;
use headwater::{explain, new, stages};
use headwater_runtime::check::{Settings, check};
use headwater_runtime::explain::ENTRIES;
use headwater_runtime::schema::schema;

use super::{files, folder, kinds};

fn pipeline(name: &str) -> PipelineArgs {
    PipelineArgs { file: folder().join(name), ..PipelineArgs::default() }
}

#[test]
fn check_ends_with_0_1_or_2() {
    let check = |args: PipelineArgs, expected: u8| {
        for format in [Format::Text, Format::Json] {
            let mut out = Vec::new();
            let args = CheckArgs { pipeline: args.clone(), format };
            assert_eq!(headwater::check::run(&args, kinds(), &mut out), expected, "{args:?}");
            assert_eq!(out.is_empty(), expected == 2, "{args:?}");
        }
    };
    check(pipeline("good_quickstart.toml"), 0);
    check(pipeline("warn_window_one.toml"), 0);
    check(pipeline("unknown_stage.toml"), 1);
    check(pipeline("no_such_file.toml"), 2);
    let set = vec![("stage.asr.threads".to_owned(), "0".to_owned())];
    check(PipelineArgs { set, ..pipeline("good_quickstart.toml") }, 1);
}

#[test]
fn json_names_every_place() {
    let mut out = Vec::new();
    let args = CheckArgs { pipeline: pipeline("unknown_stage.toml"), format: Format::Json };
    headwater::check::run(&args, kinds(), &mut out);
    let answer: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&answer["version"], &answer["errors"]), (&1.into(), &1.into()));
    let found = &answer["diagnostics"][0];
    assert_eq!(found["code"], "H0301");
    assert_eq!(found["primary"]["span"]["start"]["line"], 16);
    assert_eq!(found["primary"]["span"]["start"]["column"], 8);
    assert_eq!(found["secondary"][0]["span"]["start"]["line"], 9);
    assert_eq!(found["suggestion"]["replacement"], "\"asr\"");
}

#[test]
fn suggestions_can_be_pasted() {
    let mut pasted = 0;
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let before = check("x", &text, kinds(), &Settings::default()).diagnostics;
        for diagnostic in &before {
            let Some(suggestion) = &diagnostic.suggestion else { continue };
            let mut mended = text.clone();
            mended.replace_range(suggestion.span.clone(), &suggestion.replacement);
            let after = check("x", &mended, kinds(), &Settings::default()).diagnostics;
            let same = |d: &&headwater_runtime::diagnostic::Diagnostic| {
                (d.code, &d.message) == (diagnostic.code, &diagnostic.message)
            };
            let count = |all: &[_]| all.iter().filter(same).count();
            assert!(count(&after) < count(&before), "{}: {} stays", path.display(), diagnostic.message);
            pasted += 1;
        }
    }
    assert!(pasted >= 20, "{pasted}");
}

#[test]
fn a_new_pipeline_is_clean_and_nothing_is_overwritten() {
    let room = tempfile::tempdir().unwrap();
    let args = NewArgs { dir: room.path().join("kitchen-talk") };
    let mut out = Vec::new();
    assert_eq!(new::run(&args, kinds(), &mut out), 0);
    let file = args.dir.join("pipeline.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, new::text("kitchen-talk"));
    let checked = check("new", &text, kinds(), &Settings::default());
    assert!(checked.diagnostics.is_empty() && checked.plan.is_some());
    std::fs::write(&file, "mine").unwrap();
    assert_eq!(new::run(&args, kinds(), &mut out), 2);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn every_code_is_explained_in_any_spelling() {
    let ask = |code: &str| {
        let mut out = Vec::new();
        let end = explain::run(&ExplainArgs { code: Some(code.to_owned()) }, &mut out);
        (end, String::from_utf8(out).unwrap())
    };
    for entry in ENTRIES {
        assert_eq!(ask(entry.code), (0, entry.text.to_owned()));
        assert_eq!(ask(&entry.code.to_lowercase()).0, 0);
    }
    assert_eq!(ask("H9999").0, 2);
    assert_eq!(ask("nonsense").0, 2);
}

#[test]
fn help_and_schema_show_every_option_of_every_kind() {
    let schema = schema(kinds());
    let forms = schema["properties"]["stage"]["additionalProperties"]["oneOf"].as_array().unwrap();
    assert_eq!(forms.len(), kinds().len());
    for (kind, form) in kinds().iter().zip(forms) {
        let help = stages::show(*kind);
        assert!(stages::list(kinds()).contains(kind.name()));
        for spec in kind.options() {
            assert!(help.contains(&format!("\n  {}\n", spec.name)), "{kind:?} {}", spec.name);
            assert!(form["properties"].get(spec.name).is_some(), "{kind:?} {}", spec.name);
            assert_eq!(form["required"].as_array().unwrap().contains(&spec.name.into()), spec.required);
        }
    }
}

#[test]
fn pictures_show_every_stage_and_label() {
    let good: Vec<PathBuf> = files()
        .into_iter()
        .filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with("good"))
        .collect();
    assert!(good.len() >= 5);
    for path in good {
        let text = std::fs::read_to_string(&path).unwrap();
        let Some(plan) = check("x", &text, kinds(), &Settings::default()).plan else { continue };
        let (chart, picture) = (mermaid(&plan), svg(&plan));
        for stage in &plan.stages {
            assert!(chart.contains(&format!("s_{}[", stage.id)), "{}", path.display());
            assert!(picture.contains(&format!(">{}</text>", stage.id)), "{}", path.display());
        }
        if path.ends_with("good_members.toml") {
            assert!(chart.contains("joined: gateway") && picture.contains("joined: region"));
        }
        for output in plan.stages.iter().flat_map(|s| &s.outputs).filter(|o| o.read) {
            assert!(chart.contains(output.label.name()) && picture.contains(output.label.name()));
        }
    }
}

#[test]
fn shipped_pipelines_are_clean() {
    let shipped = folder().join("../../pipelines");
    let files = std::fs::read_dir(shipped).unwrap().map(|entry| entry.unwrap().path());
    let mut seen = 0;
    for path in files.filter(|p| p.extension().is_some_and(|e| e == "toml")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let checked = check("shipped", &text, kinds(), &Settings::default());
        assert!(checked.diagnostics.is_empty() && checked.plan.is_some(), "{}", path.display());
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
#[cfg(feature = "train")]
fn shipped_pipelines_are_fine() {
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let mut seen = 0;
    for entry in std::fs::read_dir(shipped).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let told = check("x", &text, headwater_stages::STAGES, &Settings::default()).diagnostics;
        assert!(told.is_empty(), "{}: {told:?}", path.display());
        seen += 1;
    }
    assert!(seen >= 5);
}
