//! The verbs that look at pipelines and kinds: what they write and how they end.

use std::path::PathBuf;

use clap::ValueEnum;

use headwater::check::{CheckArgs, Format};
use headwater::explain::ExplainArgs;
use headwater::graph::{mermaid, svg};
use headwater::new::{NewArgs, Template};
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
            let args = CheckArgs { pipeline: args.clone(), format, ..CheckArgs::default() };
            assert_eq!(headwater::check::run(&args, kinds(), &mut out).code(), expected, "{args:?}");
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
    let args =
        CheckArgs { pipeline: pipeline("unknown_stage.toml"), format: Format::Json, ..CheckArgs::default() };
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
fn every_template_is_clean_and_nothing_is_overwritten() {
    for template in Template::value_variants() {
        let room = tempfile::tempdir().unwrap();
        let args = NewArgs { dir: room.path().join("kitchen-talk"), template: *template };
        let mut out = Vec::new();
        assert_eq!(new::run(&args, kinds(), &mut out).code(), 0, "{template:?}");
        for (name, text) in new::files(*template, "kitchen-talk") {
            assert_eq!(std::fs::read_to_string(args.dir.join(name)).unwrap(), text, "{template:?} {name}");
        }
        let file = args.dir.join("pipeline.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("\"kitchen-talk\""), "{template:?}");
        if *template != Template::Stage {
            let checked = check("new", &text, kinds(), &Settings::default());
            let trained = cfg!(feature = "train") || *template != Template::Personalize;
            assert!(
                !trained || checked.diagnostics.is_empty() && checked.plan.is_some(),
                "{:?}",
                checked.diagnostics
            );
        }
        std::fs::write(&file, "mine").unwrap();
        assert_eq!(new::run(&args, kinds(), &mut out).code(), 2);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }
}

/// The crate's source is the plugin's, which is built and tested with all else: what is new is its manifest.
#[test]
fn the_crate_of_a_stage_finds_its_dependencies() {
    let room = tempfile::tempdir().unwrap();
    let dir = room.path().join("alerts");
    let args = NewArgs { dir: dir.clone(), template: Template::Stage };
    assert_eq!(new::run(&args, kinds(), &mut Vec::new()).code(), 0);
    let pipeline = std::fs::read_to_string(dir.join("pipeline.toml")).unwrap();
    assert!(
        !pipeline.contains("plugins/") && pipeline.contains("cargo run -- run pipeline.toml"),
        "{pipeline}"
    );
    // Crates of other platforms need not have been downloaded.
    let rustc = std::process::Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let cargo = std::process::Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--offline",
            "--filter-platform",
            host,
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(dir.join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let printed: serde_json::Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let packages = printed["packages"].as_array().unwrap();
    let versions = |name: &str| packages.iter().filter(|package| package["name"] == name).count();
    assert_eq!(["alerts", "headwater", "headwater-contract", "arrow"].map(versions), [1; 4]);
}

#[test]
fn check_takes_many_files() {
    let ask = |names: &[&str], format: Format| {
        let mut out = Vec::new();
        let more = names[1..].iter().map(|name| folder().join(name)).collect();
        let args = CheckArgs { pipeline: pipeline(names[0]), more, format };
        (headwater::check::run(&args, kinds(), &mut out).code(), String::from_utf8(out).unwrap())
    };
    let (code, text) =
        ask(&["good_quickstart.toml", "unknown_stage.toml", "warn_window_one.toml"], Format::Text);
    assert_eq!((code, text.lines().filter(|line| line.contains(".toml: ")).count()), (1, 3), "{text}");
    assert_eq!(ask(&["good_quickstart.toml", "warn_window_one.toml"], Format::Text).0, 0);
    let (code, text) = ask(&["no_such_file.toml", "unknown_stage.toml"], Format::Text);
    assert!(code == 2 && text.contains("error[H0301]"), "what can be read is checked all the same: {text}");
    let (code, text) = ask(&["good_quickstart.toml", "unknown_stage.toml"], Format::Json);
    let answers: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &answers[0]["errors"], &answers[1]["errors"]), (1, &0.into(), &1.into()));
}

#[test]
fn every_code_is_explained_in_any_spelling() {
    let ask = |code: &str| {
        let mut out = Vec::new();
        let end = explain::run(&ExplainArgs { code: Some(code.to_owned()) }, &mut out).code();
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

/// The pipelines whose names begin so.
fn files_of(begin: &str) -> Vec<PathBuf> {
    let begins = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(begin);
    files().into_iter().filter(begins).collect()
}

#[test]
fn pictures_show_every_stage_and_label() {
    let good = files_of("good");
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

/// The pictures in the docs are those that `graph` draws; HEADWATER_BLESS=1 renews them.
#[test]
#[cfg(feature = "train")]
fn pictures_in_the_docs_are_those_of_today() {
    let house = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, picture) in [("quickstart", "quickstart.svg"), ("personalize", "loop.svg")] {
        let text = std::fs::read_to_string(house.join(format!("pipelines/{name}.toml"))).unwrap();
        let plan = check("x", &text, kinds(), &Settings::default()).plan.unwrap();
        let (drawn, kept) = (svg(&plan), house.join("docs").join(picture));
        if std::env::var_os("HEADWATER_BLESS").is_some() {
            std::fs::write(kept, drawn).unwrap();
        } else {
            assert!(
                std::fs::read_to_string(kept).unwrap_or_default() == drawn,
                "docs/{picture} is another one"
            );
        }
    }
}

/// A number of an attribute.
fn number(node: roxmltree::Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name).unwrap().parse().unwrap()
}

#[test]
fn pictures_write_over_no_box_and_draw_what_comes_back() {
    let shipped = folder().join("../../pipelines");
    let files = std::fs::read_dir(shipped).unwrap().map(|entry| entry.unwrap().path());
    let mut looked = 0;
    for path in files.chain(files_of("good_")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let Some(plan) = check("x", &text, kinds(), &Settings::default()).plan else { continue };
        let feeds = |at: usize| {
            let inputs = plan.stages[at].inputs.iter().flat_map(|input| &input.from);
            inputs.filter(|port| port.stage >= at).count()
        };
        let back: usize = (0..plan.stages.len()).map(feeds).sum();
        let picture = svg(&plan);
        assert_eq!(picture.matches("stroke-dasharray").count(), back, "{}", path.display());
        let picture = roxmltree::Document::parse(&picture).unwrap();
        let boxes = || picture.descendants().filter(|node| node.attribute("width") == Some("148"));
        assert_eq!(boxes().count(), plan.stages.len());
        for text in picture.descendants().filter(|node| node.attribute("font-size") == Some("11")) {
            let half = text.text().unwrap().chars().count() as f64 * 3.05;
            let (x, y) = (number(text, "x"), number(text, "y"));
            let over = |node: &roxmltree::Node<'_, '_>| {
                let (left, top) = (number(*node, "x"), number(*node, "y"));
                x + half > left
                    && x - half < left + 148.0
                    && y > top
                    && y - 11.0 < top + number(*node, "height")
            };
            assert!(!boxes().any(|node| over(&node)), "{}: {:?}", path.display(), text.text());
            looked += 1;
        }
    }
    assert!(looked >= 5, "{looked}");
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
        let printed = check("x", &text, headwater_stages::STAGES, &Settings::default()).diagnostics;
        assert!(printed.is_empty(), "{}: {printed:?}", path.display());
        seen += 1;
    }
    assert!(seen >= 5);
}
