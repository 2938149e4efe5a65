//! Every layout of ONNX files against onnxruntime: tiny random models exported by optimum, in f32, f16 and int8.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::path::{Path, PathBuf};

use headwater_stages::transcribe::recogniser::{Model, Options};
use serde_json::Value;

const BANDS: usize = 80;
const FRAMES: usize = 3000;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/whisper").join(name)
}

/// The spectrogram that the golden numbers were made with, by their own formula.
fn features() -> Vec<f32> {
    let value = |m: usize, t: usize| ((37 * m + 11 * t + (m * t) % 13) % 101) as f32 / 50.5 - 1.0;
    (0..BANDS).flat_map(|m| (0..FRAMES).map(move |t| value(m, t))).collect()
}

fn ids(list: &Value) -> Vec<usize> {
    list.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as usize).collect()
}

fn floats(list: &Value) -> Vec<f32> {
    list.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Compares encoder states and logits with one record of a golden file.
fn check(name: &str, record: &str, within: f32) {
    let folder = folder(name);
    let golden: Value = serde_json::from_slice(&std::fs::read(folder.join("golden.json")).unwrap()).unwrap();
    let record = &golden[record];
    let model = Model::load(&folder, Options::default()).unwrap();
    let states = model.encode(&features()).unwrap();
    for (position, expected) in record["encoder"].as_object().unwrap() {
        let (position, expected) = (position.parse::<usize>().unwrap(), floats(expected));
        let width = states.len() / (FRAMES / 2);
        let found = &states[position * width..][..expected.len()];
        assert!(furthest(found, &expected) <= within, "{name}: position {position} of the encoder");
    }
    let prompt = ids(&golden["prompt"]);
    let tokens: Vec<u32> = prompt.iter().chain(&ids(&golden["forced"])).map(|t| *t as u32).collect();
    let logits = model.logits(&features(), &tokens).unwrap();
    let rows: Vec<&[f32]> = logits.chunks(logits.len() / tokens.len()).skip(prompt.len() - 1).collect();
    let columns = ids(&record["tokens"]);
    let expected: Vec<Vec<f32>> = record["logits"].as_array().unwrap().iter().map(floats).collect();
    assert_eq!(rows.len(), expected.len());
    for (step, (row, expected)) in rows.iter().zip(&expected).enumerate() {
        let found: Vec<f32> = columns.iter().map(|c| row[*c]).collect();
        let distance = furthest(&found, expected);
        assert!(distance <= within, "{name}: logits of step {step} differ by {distance}");
    }
}

#[test]
fn two_decoder_files() {
    check("tiny-random-split", "onnxruntime", 1e-4);
}

#[test]
fn a_merged_decoder() {
    check("tiny-random-merged", "onnxruntime", 1e-4);
}

#[test]
fn dynamic_int8() {
    // Against the same weights with activations in f32, which is what dequantising at load gives.
    check("tiny-random-split-int8", "weights_only", 1e-4);
    check("tiny-random-merged-int8", "weights_only", 1e-4);
}

#[test]
fn half_floats() {
    // onnxruntime computes these in f16, eleven bits; here they are widened at load.
    check("tiny-random-split-f16", "onnxruntime", 1e-2);
    check("tiny-random-merged-f16", "onnxruntime", 1e-2);
}
