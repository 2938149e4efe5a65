//! Every code has an explanation, whose example gives that code and whose remedy is clean.

use headwater_runtime::check::check;
use headwater_runtime::explain::ENTRIES;

use super::{kinds, settings};

/// The pipelines in an explanation: what the line above adds to the command line, and the text.
fn pipelines(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("```toml") {
        let (info, after) = after.split_once('\n').unwrap();
        let (body, after) = after.split_once("```").unwrap();
        found.push((info.trim().to_owned(), body.to_owned()));
        rest = after;
    }
    found
}

#[test]
fn examples_are_wrong_as_they_say_and_remedies_are_clean() {
    for entry in ENTRIES {
        let code = entry.code;
        let found = pipelines(entry.text);
        assert!(found.len() >= 2, "{code} has an example and a remedy");
        let codes = |(arguments, text): &(String, String)| -> Vec<&'static str> {
            let checked = check(code, text, kinds(), &settings(arguments));
            checked.diagnostics.iter().map(|d| d.code).collect()
        };
        assert_eq!(codes(&found[0]), [code], "the example of {code}");
        for remedy in &found[1..] {
            assert_eq!(codes(remedy), [""; 0], "the remedy of {code}");
        }
    }
}

#[test]
fn codes_are_in_order_and_each_stands_once() {
    assert!(ENTRIES.windows(2).all(|pair| pair[0].code < pair[1].code));
    assert!(ENTRIES.iter().all(|e| e.text.starts_with(&format!("# {}: ", e.code))), "a title each");
}

#[test]
fn every_code_that_a_check_can_give_is_explained() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("engine/runtime");
    let mut printed = std::collections::BTreeSet::new();
    let mut folders = vec![sources];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let codes = text.split("\"H").skip(1).filter_map(|rest| rest.split('"').next());
                printed.extend(
                    codes
                        .filter(|c| c.len() == 4 && c.bytes().all(|b| b.is_ascii_digit()))
                        .map(|c| format!("H{c}")),
                );
            }
        }
    }
    let explained: std::collections::BTreeSet<String> = ENTRIES.iter().map(|e| e.code.to_owned()).collect();
    assert_eq!(printed, explained);
}
