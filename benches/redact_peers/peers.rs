//! The redactors of the crates `pii` and `redact-core` over JSON lines {"id", "text"}: megabytes per CPU second on one thread.
//!
//! In: a file, and how many megabytes to scan. Out: one line for each. It knows nothing of our redactor.

use std::hint::black_box;

use pii::nlp::SimpleNlpEngine;
use pii::presets::default_recognizers;
use pii::types::Language;

fn main() {
    let mut args = std::env::args().skip(1);
    let (path, megabytes) = (args.next().expect("a file"), args.next().expect("megabytes"));
    let megabytes: f64 = megabytes.parse().expect("a number");
    let texts: Vec<String> = std::fs::read_to_string(path)
        .expect("a readable file")
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["text"]
                .as_str()
                .expect("a text")
                .to_owned()
        })
        .collect();
    let english = Language::from("en");
    let pii = pii::Analyzer::new(
        Box::new(SimpleNlpEngine::default()),
        default_recognizers(),
        Vec::new(),
        pii::PolicyConfig::default(),
    );
    measure("pii", &texts, megabytes, |text| {
        black_box(pii.analyze(text, &english).is_ok());
    });
    let redact = redact_core::AnalyzerEngine::new();
    measure("redact-core", &texts, megabytes, |text| {
        black_box(redact.analyze(text, None).is_ok());
    });
}

fn measure(name: &str, texts: &[String], megabytes: f64, mut scan: impl FnMut(&str)) {
    scan("warm up 555-0147");
    let (mut bytes, start) = (0.0, cpu());
    while bytes < megabytes * 1e6 {
        for text in texts {
            bytes += text.len() as f64;
            scan(text);
        }
    }
    println!(
        "{name:<34} {:<11} {:>9.1} {:>9.2} {:>9} {:>9.2}",
        "",
        bytes / 1e6,
        cpu() - start,
        "",
        bytes / 1e6 / (cpu() - start)
    );
}

/// CPU seconds of this process (Linux).
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks = fields[11].parse::<f64>().expect("ticks") + fields[12].parse::<f64>().expect("ticks");
    ticks / 100.0
}
