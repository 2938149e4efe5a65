//! Whole models: a folder with everything wrong at once, and the real SmolLM2-135M if its file is there.

use std::fs;
use std::time::Instant;

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn the_tiny_model_opens() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/slm/tiny.gguf");
    let base = Base::open(&path).unwrap();
    assert_eq!(base.weights.entries().len(), 20);
    assert!(base.tokens.len() <= base.architecture.vocab);
}

#[test]
fn slm_nano_opens_and_has_the_tokens_of_transformers() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let base = Base::open(&project.join("datasets/models/slm-nano")).unwrap();
    assert_eq!(base.architecture.parameters(), 2_034_720);
    let golden = fs::read(project.join("tests/golden/slm/slm-nano.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_slice(&golden).unwrap();
    for text in golden["texts"].as_array().unwrap() {
        let ids: Vec<u64> = text["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
        let found = base.tokens.encode(text["text"].as_str().unwrap()).unwrap();
        assert_eq!(found.into_iter().map(u64::from).collect::<Vec<_>>(), ids);
    }
}

/// Every variant's numbers, of folders that hold no tokenizer.
#[test]
fn variants_are_read() {
    let check = |name: &str, tied: bool, bias: bool| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/slm").join(name);
        let mut problems = Problems::default();
        let json = serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
        let architecture = config::from_json(&json, &mut problems).expect(name);
        let weights = Weights::open_folder(&folder, &architecture, &mut problems).expect(name);
        let numbers: usize = weights.entries().iter().map(weights::Entry::numbers).sum();
        assert_eq!(numbers, architecture.parameters(), "{name}");
        assert_eq!((architecture.tied, architecture.qkv_bias), (tied, bias), "{name}");
        weights.fingerprint().expect(name);
    };
    check("llama-tied", true, false);
    check("llama-untied", false, false);
    check("llama-head-dim", true, false);
    check("mistral", false, false);
    check("qwen2", true, true);
    check("bf16", true, false);
    check("f16", true, false);
    check("sharded", false, false);
    check("rope-linear", true, false);
    check("rope-llama3", true, false);
    check("rope-llama3-v5", true, false);
}

#[test]
fn all_problems_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "vocab_size": 10,
        "attention_bias": true
    });
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let messages = Base::open(folder.path()).unwrap_err().to_string();
    for expected in
        ["config.json: attention_bias: found true", "model.safetensors: found no", "tokenizer.json: found"]
    {
        assert!(messages.contains(expected), "{messages}");
    }
    let messages = Base::open(&folder.path().join("none.gguf")).unwrap_err().to_string();
    assert!(messages.contains("none.gguf: found it cannot be read"), "{messages}");
}

proptest! {
    #[test]
    fn headers_of_safetensors_never_panic(
        at: prop::sample::Index,
        byte: u8,
        numbers in prop::array::uniform4(any::<u64>()),
    ) {
        let [a, b, c, d] = numbers;
        let text = format!(r#"{{"w":{{"dtype":"F32","shape":[{a},{b}],"data_offsets":[{c},{d}]}}}}"#);
        weights::fuzz_safetensors(text.as_bytes());
        let mut text = br#"{"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}}"#.to_vec();
        let at = at.index(text.len());
        text[at] = byte;
        weights::fuzz_safetensors(&text);
    }
}

#[test]
#[ignore = "needs `headwater model get smollm2-135m` (98 MB)"]
fn smollm2_is_read_exactly() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/models");
    let path = models.join("smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf");
    let start = Instant::now();
    let base = Base::open(&path).unwrap();
    println!("opened in {:?}", start.elapsed());
    assert_eq!(base.architecture.rope_theta, 100_000.0); // short texts hardly show a wrong one
    assert_eq!(base.architecture.parameters(), 134_515_008);
    let sum = |count: fn(&weights::Entry) -> usize| base.weights.entries().iter().map(count).sum::<usize>();
    assert_eq!(sum(weights::Entry::numbers), 134_515_008);
    println!("{} parameters, {} bytes of weights", sum(weights::Entry::numbers), sum(weights::Entry::bytes));
    weights::tests::equals_golden(&base.weights, "real.json");
    assert_eq!(tokenizer::tests::differences(&base.tokens, "tokens.json", "smollm"), [""; 0]);
    assert_eq!(base.tokens.absent_bytes().len(), 21);
    let start = Instant::now();
    let fingerprint = base.weights.fingerprint().unwrap();
    println!("fingerprint {fingerprint:02x?} in {:?}", start.elapsed());
    let table = base.weights.tensor(weights::names::EMBEDDING).unwrap();
    let layer = base.weights.tensor("model.layers.0.mlp.up_proj.weight").unwrap();
    for (name, tensor) in [("token table, Q8_0", table), ("up_proj, Q4_1", layer)] {
        let mut out = vec![0.0; tensor.len()];
        let start = Instant::now();
        assert!(tensor.read_rows(0..tensor.rows(), &mut out));
        println!("{name}: {} numbers as f32 in {:?}", out.len(), start.elapsed());
    }
}
