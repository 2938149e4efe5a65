//! Memory is bounded by the window, not by the input: an hour of audio through the whole pipeline, and millions of rows of text.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headwater_contract::HostEnv;
use headwater_datasets::audio::AudioReader;
use headwater_runtime::check::{Settings, check};
use headwater_runtime::run::{RunOptions, ready, run};

const SAMPLES_A_SECOND: usize = 16_000;
const HOUR: usize = 3600 * SAMPLES_A_SECOND;
/// Silence after each utterance, so that most of the hour is quiet, as a room is.
const PAUSE: usize = 20 * SAMPLES_A_SECOND;

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn speech() -> Vec<i16> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut samples = Vec::new();
    for name in ["001", "002", "004", "005"] {
        let mut reader =
            AudioReader::open(&root.join(format!("datasets/voice/kitchen/{name}.flac"))).unwrap();
        while let Some(chunk) = reader.next_chunk().unwrap() {
            samples.extend(chunk.iter().map(|s| (s * 32767.0) as i16));
        }
        samples.extend(std::iter::repeat_n(0i16, PAUSE));
    }
    samples
}

/// A mono 16-bit WAV of one hour, written piece by piece.
fn write_hour(path: &Path) {
    let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
    let bytes = (HOUR * 2) as u32;
    let mut header = b"RIFF".to_vec();
    header.extend((36 + bytes).to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend(16u32.to_le_bytes());
    header.extend([1u16, 1].map(u16::to_le_bytes).concat());
    header.extend((SAMPLES_A_SECOND as u32).to_le_bytes());
    header.extend((2 * SAMPLES_A_SECOND as u32).to_le_bytes());
    header.extend([2u16, 16].map(u16::to_le_bytes).concat());
    header.extend(b"data");
    header.extend(bytes.to_le_bytes());
    file.write_all(&header).unwrap();
    let speech = speech();
    let mut written = 0;
    while written < HOUR {
        let part = &speech[..speech.len().min(HOUR - written)];
        let bytes: Vec<u8> = part.iter().flat_map(|s| s.to_le_bytes()).collect();
        file.write_all(&bytes).unwrap();
        written += part.len();
    }
}

#[test]
fn an_hour_of_audio_needs_no_more_memory_than_five_minutes() {
    let folder = tempfile::tempdir().unwrap();
    write_hour(&folder.path().join("hour.wav"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("pipelines/quickstart.toml")).unwrap();
    let param = |name: &str, path: &Path| (name.to_owned(), path.display().to_string());
    let model = root.join("datasets/models/whisper-tiny.en").display().to_string();
    let settings = Settings {
        params: vec![param("recordings", &folder.path().join("hour.wav")), param("state", folder.path())],
        set: vec![("stage.asr.model".into(), model)],
        environment: false,
    };
    let plan = Arc::new(check("quickstart.toml", &text, headwater_stages::STAGES, &settings).plan.unwrap());
    let site = HostEnv {
        state: folder.path().join("state"),
        key_file: folder.path().join("root.key"),
        is_peer: false,
    };
    ready(&plan, &site).unwrap();
    let options = RunOptions::new(&plan, site);
    let metrics = options.metrics.clone();
    let running = std::thread::spawn(move || run(plan, options).unwrap());
    let (mut after_five_minutes, mut highest) = (None, 0);
    while !running.is_finished() {
        std::thread::sleep(Duration::from_millis(50));
        let now = resident();
        let heard = metrics.snapshot().stages[0].metrics.get("audio_ms").copied().unwrap_or(0);
        if heard >= 300_000 {
            after_five_minutes.get_or_insert(now);
            highest = highest.max(now);
        }
    }
    let report = running.join().unwrap();
    let start = after_five_minutes.expect("five minutes of audio were never reached");
    println!(
        "resident after 5 minutes of audio {} MiB, highest after that {} MiB",
        start >> 20,
        highest >> 20
    );
    assert!(report.counts.stages[3].rows_in > 100, "{:?}", report.counts.stages[3]);
    assert!(highest - start <= 64 << 20, "grew by {} MiB", (highest - start) >> 20);
}

const ROWS: &str = r#"
[pipeline]
name = "long"
epoch = { rows = 1000 }

[params]
talk = {}
vault = {}

[stage.talk]
type = "capture"
path = "${talk}"

[stage.vault]
type = "store"
from = ["talk"]
path = "${vault}"
"#;

/// Lines of forty devices, of which every five hundredth is rejected.
fn write_lines(path: &Path, lines: u64) {
    let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
    for n in 0..lines {
        let (device, text) = (n % 40, "the kettle is on and the door of the shed stands open");
        if n % 500 == 499 {
            writeln!(file, r#"{{"device": "d{device}", "text": {n}"#).unwrap();
        } else {
            let at = r#""captured_at": "2026-03-02T08:15:00Z""#;
            writeln!(file, r#"{{"device": "d{device}", {at}, "text": "{text} {n}"}}"#).unwrap();
        }
    }
}

/// The most memory that a run of so many lines needs, and the rows that it stored.
fn run_of_lines(folder: &Path, lines: u64) -> (u64, u64) {
    let folder = folder.join(lines.to_string());
    std::fs::create_dir(&folder).unwrap();
    let [talk, file, summary] = ["talk.jsonl", "long.toml", "summary.json"].map(|name| folder.join(name));
    write_lines(&talk, lines);
    std::fs::write(&file, ROWS).unwrap();
    let param = |name: &str, path: &Path| format!("{name}={}", path.display());
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_headwater"))
        .args(["run", "--quiet", "--log-level", "error", "--param", &param("talk", &talk)])
        .args(["--param", &param("vault", &folder.join("vault")), "--state"])
        .args([
            folder.join("state"),
            "--key-file".into(),
            folder.join("root.key"),
            "--summary".into(),
            summary.clone(),
        ])
        .arg(&file)
        .status();
    assert!(status.unwrap().success());
    let summary: serde_json::Value = serde_json::from_slice(&std::fs::read(&summary).unwrap()).unwrap();
    assert_eq!(summary["quarantined"]["new"], lines / 500);
    (
        summary["peak_rss_bytes"].as_u64().unwrap(),
        summary["stages"]["vault"]["figures"]["new_rows"].as_u64().unwrap(),
    )
}

/// Nothing is kept of a row that is stored, rejected or counted in a digest: neither its identity nor its hash.
#[test]
fn two_million_rows_need_no_more_memory_than_half_a_million() {
    let folder = tempfile::tempdir().unwrap();
    let (half, _) = run_of_lines(folder.path(), 500_000);
    let (two, rows) = run_of_lines(folder.path(), 2_000_000);
    println!("at most {} MiB for half a million rows, {} MiB for two millions", half >> 20, two >> 20);
    assert_eq!(rows, 1_996_000);
    assert!(two.saturating_sub(half) <= 8 << 20, "grew by {} MiB", (two - half) >> 20);
}
