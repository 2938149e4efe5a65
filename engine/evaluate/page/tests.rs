//! Pages are XML that shows what the report has, and nothing that it must not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use super::*;
use crate::compare::compare;
use crate::outcome::{DeviceRound, Redacted, RoundBytes, Span, Utterance};
use crate::table;

fn said(id: &str, heard: &str, found: Vec<Span>) -> Utterance {
    let redacted = Redacted { original: heard.into(), found, passed: true, ..Redacted::default() };
    Utterance {
        id: id.into(),
        device: "kitchen".into(),
        reference: Some("call ann at five five five".into()),
        heard: Some(heard.into()),
        redacted: Some(redacted),
        gold: Some(vec![Span::new("person", 5, 8)]),
        latency_ms: Some(12.0),
        ..Utterance::default()
    }
}

fn outcome(pairs: &[(&str, bool)]) -> Outcome {
    let spans = |found: bool| if found { vec![Span::new("PERSON", 5, 8)] } else { Vec::new() };
    let device = |round: u64| DeviceRound {
        device: "kitchen".into(),
        round,
        examples: 3,
        tokens: 10,
        base: 50.0,
        start: 40.0 - 10.0 * round as f64,
        own: 25.0,
        losses: (round < 2).then_some((4.0, 3.0)),
        upload_bytes: 100,
    };
    let round = |round| RoundBytes {
        round,
        upload_bytes: 100,
        dense_bytes: 4000,
        tiers: BTreeMap::from([("small".into(), 100)]),
    };
    Outcome {
        pipeline: "demo <1>".into(),
        dataset: "said".into(),
        rows: pairs.len() as u64,
        utterances: pairs
            .iter()
            .enumerate()
            .map(|(at, (heard, found))| said(&format!("row {at}"), heard, spans(*found)))
            .collect(),
        devices: (0..3).map(device).collect(),
        rounds: vec![round(0), round(1)],
        audio_seconds: Some(4.0),
        ..Outcome::default()
    }
}

/// Equal, but for the last digit of a number: JSON is read fast, not exactly.
fn is_near(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (a, b) {
        (Number(x), Number(y)) => (x.as_f64().unwrap() - y.as_f64().unwrap()).abs() < 1e-12,
        (Array(x), Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| is_near(x, y)),
        (Object(x), Object(y)) => x.len() == y.len() && x.iter().all(|(key, x)| is_near(x, &y[key])),
        _ => a == b,
    }
}

#[test]
fn a_page_shows_its_report() {
    let ours = [("call ann at 555", true), ("call ann at 55", false), ("tall ann", false)];
    let ours = outcome(&ours.repeat(8));
    let rows = table::rows(&ours);
    let mut report = Report::of(&ours, &rows);
    let better = outcome(&[("call ann at 555", true); 24]);
    let others = table::rows(&better);
    report.comparison = Some(compare((&report, &rows), (&Report::of(&better, &others), &others)));
    let page = html(&report, &ours, &rows, false);
    let xml = page.replace("<!doctype html>", "").replace("<meta charset=\"utf-8\">", "");
    let xml = xml
        .replace("initial-scale=1\">", "initial-scale=1\"/>")
        .replace("'unsafe-inline'\">", "'unsafe-inline'\"/>");
    let tree = roxmltree::Document::parse(&xml).unwrap_or_else(|e| panic!("{e}\n{xml}"));
    let plots: Vec<&str> =
        tree.descendants().filter(|node| node.has_tag_name("h3")).filter_map(|node| node.text()).collect();
    assert_eq!(
        plots,
        [
            "WER by device",
            "Leaked by kind",
            "Perplexity by round",
            "Loss by round",
            "Bytes against quality",
            "Perplexity by device",
            "Latency",
        ]
    );
    assert!(page.contains("███") && !page.contains("ann"), "leaked text is shown");
    assert!(html(&report, &ours, &rows, true).contains("ann"));
    assert!(page.contains("transcription.wer") && page.contains("worse"));
    for word in ["http://", "https://", "<script", "url("] {
        assert!(!page.contains(word), "the page reaches out: {word}");
    }
    let set = |value: &str| vec![("stage.small.ratio".to_owned(), value.to_owned())];
    let mut trials =
        vec![Trial { set: set("0.1"), report: report.clone() }, Trial { set: set("0.2"), report }];
    assert!(!sweep(&trials).contains("<figure"), "where nothing differs there is no curve");
    trials[1].report.federation.as_mut().unwrap().upload_bytes = 200.0;
    assert!(sweep(&trials).contains("Bytes against perplexity"));
}

#[test]
fn an_empty_report_has_a_page() {
    let none = Outcome::default();
    let page = html(&Report::of(&none, &[]), &none, &[], false);
    assert!(page.contains("</html>") && !page.contains("NaN"));
}

#[test]
fn a_report_comes_back_and_tables_too() {
    let ours = outcome(&[("call ann at 555", true), ("call", false)]);
    let rows = table::rows(&ours);
    let report = Report::of(&ours, &rows);
    let text = serde_json::to_string(&report).unwrap();
    let back = serde_json::to_value(serde_json::from_str::<Report>(&text).unwrap()).unwrap();
    assert!(is_near(&back, &serde_json::to_value(&report).unwrap()), "{back}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.parquet");
    table::write(&path, &rows).unwrap();
    assert_eq!(table::read(&path).unwrap(), rows);
    std::fs::write(&path, b"PAR1 and more").unwrap();
    assert!(table::read(&path).is_err());
}
