//! whisper-tiny.en as it stands in the box against transformers' spectrogram and onnxruntime's states, logits and text.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::path::{Path, PathBuf};

use headwater_datasets::audio::AudioReader;
use headwater_stages::transcribe::recogniser::{Arithmetic, Model, Options, Padding};
use serde_json::Value;

const RATE: usize = 16_000;
const HOP: usize = 160;
const POSITIONS: usize = 1500;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn jfk() -> Vec<f32> {
    let mut reader = AudioReader::open(&project().join("datasets/voice/radio/001.flac")).unwrap();
    let mut samples = Vec::new();
    while let Some(chunk) = reader.next_chunk().unwrap() {
        samples.extend_from_slice(chunk);
    }
    samples
}

fn tones() -> Vec<f32> {
    let wave = |n: usize| {
        let (t, turn) = (n as f64 / RATE as f64, 2.0 * std::f64::consts::PI);
        0.3 * (turn * 220.0 * t).sin() + 0.2 * (turn * 1760.0 * t).sin() * (1.0 - t / 3.0)
    };
    (0..3 * RATE).map(|n| wave(n) as f32).collect()
}

fn bursts() -> Vec<f32> {
    let mut x: u64 = 1;
    let mut noise = move |n: usize| {
        x = (1_103_515_245 * x + 12_345) % (1 << 31);
        let loud = if (n / (RATE / 4)).is_multiple_of(2) { 0.2 } else { 0.002 };
        ((x as f64 / (1u64 << 31) as f64 - 0.5) * loud) as f32
    };
    (0..42 * RATE / 10).map(&mut noise).collect()
}

fn floats(list: &Value) -> Vec<f32> {
    list.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn numbers(list: &Value) -> Vec<usize> {
    list.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as usize).collect()
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Compares every number of a golden file. The padding of its runs is 30 s, and one second of silence.
fn check(name: &str, samples: &[f32]) {
    let path = project().join(format!("tests/golden/whisper/whisper-tiny.en/{name}.json"));
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for (run, padding) in
        golden["runs"].as_array().unwrap().iter().zip([Padding::Full, Padding::Silence(1.0)])
    {
        let arithmetic = Arithmetic::Float;
        let options = Options { padding, arithmetic, temperatures: vec![], ..Options::default() };
        let model = Model::load(&project().join("datasets/models/whisper-tiny.en"), options).unwrap();
        let frames = run["frames"].as_u64().unwrap() as usize;
        let mel = model.spectrogram(samples, frames * HOP);
        for (frame, expected) in run["log_mel"].as_object().unwrap() {
            let frame: usize = frame.parse().unwrap();
            let found: Vec<f32> = mel.iter().skip(frame).step_by(frames).copied().collect();
            let distance = furthest(&found, &floats(expected));
            assert!(distance <= 1e-4, "{name}, {padding:?}: frame {frame} differs by {distance}");
        }
        let states = model.encode(&mel).unwrap();
        let width = states.len() / (frames / 2).min(POSITIONS);
        for (position, expected) in run["encoder"].as_object().unwrap() {
            let (position, expected) = (position.parse::<usize>().unwrap(), floats(expected));
            let distance = furthest(&states[position * width..][..expected.len()], &expected);
            assert!(distance <= 1e-3, "{name}, {padding:?}: state {position} differs by {distance}");
        }
        let prompt = numbers(&golden["prompt"]);
        let text = numbers(&run["token_ids"]);
        let expected: Vec<Vec<f32>> = run["logits"].as_array().unwrap().iter().map(floats).collect();
        let given = prompt.iter().chain(&text).map(|t| *t as u32);
        let given: Vec<u32> = given.take(prompt.len() - 1 + expected.len()).collect();
        let logits = model.logits(&mel, &given).unwrap();
        let rows = logits.chunks(logits.len() / given.len()).skip(prompt.len() - 1);
        let columns = numbers(&golden["tokens"]);
        for (step, (row, expected)) in rows.zip(&expected).enumerate() {
            let found: Vec<f32> = columns.iter().map(|c| row[*c]).collect();
            let distance = furthest(&found, expected);
            assert!(distance <= 1e-4, "{name}, {padding:?}: logits of step {step} differ by {distance}");
        }
    }
}

#[test]
fn speech() {
    check("jfk", &jfk());
}

#[test]
fn tones_and_noise() {
    check("tones", &tones());
    check("bursts", &bursts());
}
