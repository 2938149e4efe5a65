//! The tiny model's numbers against those of the `gguf` package 0.19.0 (tests/golden/slm/tiny.json, made by tests/golden/slm/tiny.py), and
//! folders that are written from it, whole and broken.

use std::fmt::Write;
use std::fs;

use ::safetensors::Dtype as TensorType;
use ::safetensors::tensor::{TensorView, serialize};
use serde_json::Value;

use super::super::config;
use super::*;

pub(crate) fn golden(file: &str) -> std::path::PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/slm")).join(file)
}

fn tiny() -> (Architecture, Weights) {
    let file = Gguf::open(&golden("tiny.gguf")).unwrap();
    let mut problems = Problems::default();
    let architecture = config::from_gguf(&file, &mut problems).unwrap();
    let weights = Weights::open_gguf(file, &architecture, &mut problems).unwrap();
    assert!(problems.is_empty());
    (architecture, weights)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        write!(text, "{b:02x}").unwrap();
        text
    })
}

/// Every tensor, bit for bit.
pub(crate) fn equals_golden(weights: &Weights, file: &str) {
    let json: Value = serde_json::from_slice(&fs::read(golden(file)).unwrap()).unwrap();
    assert_eq!(json.as_object().unwrap().len(), weights.entries().len());
    for entry in weights.entries() {
        let (name, expected) = (&entry.name, &json[&entry.name]);
        assert_eq!(serde_json::to_value(&entry.shape).unwrap(), expected["shape"], "{name}");
        assert_eq!(entry.dtype.name(), expected["type"], "{name}");
        let numbers = weights.read_f32(name).unwrap();
        // Four numbers in plain sight; the digest is over all.
        for (x, expected) in numbers.iter().zip(expected["first"].as_array().unwrap()) {
            assert!((f64::from(*x) - expected.as_f64().unwrap()).abs() < 1e-12, "{name}: {x} for {expected}");
        }
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(hex(&Sha256::digest(&bytes)), expected["sha256"], "{name}");
    }
}

#[test]
fn numbers_equal_the_gguf_packages() {
    let (architecture, weights) = tiny();
    equals_golden(&weights, "tiny.json");
    let types: BTreeSet<Dtype> = weights.entries().iter().map(|e| e.dtype).collect();
    assert_eq!(types.len(), Dtype::ALL.len(), "all formats are in the tiny model");
    let numbers: usize = weights.entries().iter().map(Entry::numbers).sum();
    assert_eq!(numbers, architecture.parameters());
    assert!(
        weights.tensor("model.layers.9.mlp.up_proj.weight").unwrap_err().found.contains("no such tensor")
    );
}

/// Name, shape and bytes.
type Plain = (String, Vec<usize>, Vec<u8>);

/// All tensors of the tiny model as f32, for a folder.
fn as_f32() -> Vec<Plain> {
    let (_, weights) = tiny();
    let entry = |e: &Entry| {
        let numbers = weights.read_f32(&e.name).unwrap();
        (e.name.clone(), e.shape.clone(), numbers.iter().flat_map(|x| x.to_le_bytes()).collect())
    };
    weights.entries().iter().map(entry).collect()
}

fn file(tensors: &[Plain]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name.clone(), TensorView::new(TensorType::F32, shape.clone(), bytes).unwrap())
    });
    serialize(views, None).unwrap()
}

fn open(folder: &Path) -> Result<Weights, Vec<String>> {
    let mut problems = Problems::default();
    let weights = Weights::open_folder(folder, &tiny().0, &mut problems);
    let messages: Vec<String> = problems.list().iter().map(ToString::to_string).collect();
    weights.filter(|_| messages.is_empty()).ok_or(messages)
}

#[test]
fn the_fingerprint_is_of_the_numbers_not_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = as_f32();
    fs::write(folder.path().join("model.safetensors"), file(&tensors)).unwrap();
    let (from_gguf, single) = (tiny().1.fingerprint().unwrap(), open(folder.path()).unwrap());
    assert_eq!(single.fingerprint().unwrap(), from_gguf);
    tensors[3].2[0] ^= 1;
    fs::write(folder.path().join("model.safetensors"), file(&tensors)).unwrap();
    assert_ne!(open(folder.path()).unwrap().fingerprint().unwrap(), from_gguf);
}

/// Writes the tiny model in two files with an index.
fn shards(folder: &Path) {
    let tensors = as_f32();
    let (first, second) = tensors.split_at(8);
    let mut map = serde_json::Map::new();
    for (name, part) in [("a.safetensors", first), ("b.safetensors", second)] {
        fs::write(folder.join(name), file(part)).unwrap();
        map.extend(part.iter().map(|(tensor, ..)| (tensor.clone(), name.into())));
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

#[test]
fn several_files_are_one_model() {
    let folder = tempfile::tempdir().unwrap();
    shards(folder.path());
    let weights = open(folder.path()).unwrap();
    assert_eq!(weights.fingerprint().unwrap(), tiny().1.fingerprint().unwrap());
    // A missing part is reported once, not once for each of its tensors.
    fs::remove_file(folder.path().join("b.safetensors")).unwrap();
    let messages = open(folder.path()).unwrap_err();
    assert!(
        messages.len() == 1 && messages[0].starts_with("b.safetensors: found it cannot be opened"),
        "{messages:?}"
    );
    let index = folder.path().join("model.safetensors.index.json");
    fs::write(&index, fs::read_to_string(&index).unwrap().replace("b.safe", "../b.safe")).unwrap();
    let messages = open(folder.path()).unwrap_err();
    assert!(
        messages.iter().all(|t| t.contains("expected a .safetensors file of this folder")),
        "{messages:?}"
    );
}

#[test]
fn what_is_wrong_with_a_folder_is_told_by_name() {
    let check = |change: &dyn Fn(&mut Vec<Plain>), cut: usize, expected: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let mut tensors = as_f32();
        change(&mut tensors);
        let mut bytes = file(&tensors);
        bytes.truncate(bytes.len() - cut);
        fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        let messages = open(folder.path()).unwrap_err();
        assert_eq!(messages.len(), expected.len(), "{messages:#?}");
        for (messages, expected) in messages.iter().zip(expected) {
            assert!(messages.starts_with(&format!("model.safetensors: {expected}")), "{messages}");
        }
    };
    check(
        &|t| drop(t.remove(2)),
        0,
        &["model.layers.0.self_attn.q_proj.weight: found no such tensor; expected shape [64, 64]"],
    );
    check(
        &|t| {
            t[1].1 = vec![8, 8];
            t[0].0 = "model.embed".into();
        },
        0,
        &[
            "model.embed_tokens.weight: found no such tensor; expected shape [2048, 64]",
            "model.layers.0.input_layernorm.weight: found shape [8, 8]; expected [64]",
            "model.embed: found 1 further tensors; expected only",
        ],
    );
    check(&|_| {}, 4, &["model."]);
    check(&|_| {}, 400, &["model."]);
    check(
        &|t| t.retain(|(n, ..)| !n.contains("layers.1")),
        0,
        &[
            "model.layers.1.input_layernorm.weight: found no such tensor",
            "model.layers.1.self_attn.q_proj.weight: found no such tensor",
            "model.layers.1.self_attn.k_proj.weight: found no such tensor",
            "model.layers.1.self_attn.v_proj.weight: found no such tensor",
            "model.layers.1.self_attn.o_proj.weight: found no such tensor",
            "model.layers.1.post_attention_layernorm.weight: found no such tensor",
            "model.layers.1.mlp.gate_proj.weight, model.layers.1.mlp.up_proj.weight, model.layers.1.mlp.down_proj.weight: found the same",
        ],
    );
}

#[test]
fn files_that_are_none_are_told() {
    let check = |name: &str, bytes: &[u8], expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), bytes).unwrap();
        let messages = open(folder.path()).unwrap_err();
        assert!(messages.len() == 1 && messages[0].starts_with(expected), "{messages:?}");
    };
    check(
        "model.safetensors",
        b"",
        "model.safetensors: found an empty file; expected a safetensors file (help:",
    );
    check(
        "model.safetensors",
        b"<!doctype html>",
        "model.safetensors: found a web page; expected a safetensors file",
    );
    check(
        "model.safetensors",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:cd",
        "model.safetensors: found a pointer of Git LFS in place of the file; expected a safetensors file (help: `git lfs pull`",
    );
    check(
        "model.safetensors",
        &[0xff; 20],
        "model.safetensors: found a header of 18446744073709551615 bytes; expected",
    );
    check(
        "model.safetensors",
        b"\x02\0\0\0\0\0\0\0[]",
        "model.safetensors: found a header that cannot be read",
    );
    check(
        "pytorch_model.bin",
        b"",
        "model.safetensors: found pytorch_model.bin; expected the weights in one file",
    );
    check(
        "model.safetensors.index.json",
        b"{",
        "model.safetensors.index.json: weight_map: found no such object",
    );
}
