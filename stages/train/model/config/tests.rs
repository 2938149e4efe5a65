//! config.json files and GGUF metadata: what is read, and what is refused in which words.

use std::path::Path;

use serde_json::{Value, json};

use super::super::gguf::{Gguf, Value as Meta};
use super::*;

fn llama() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": 576,
        "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 100000, "tie_word_embeddings": true,
        "vocab_size": 49152
    })
}

fn with(changes: Value) -> Value {
    let mut json = llama();
    for (key, value) in changes.as_object().unwrap() {
        json[key] = value.clone();
    }
    json
}

fn read(json: &Value) -> Result<Architecture, Vec<String>> {
    let mut problems = Problems::default();
    match from_json(json, &mut problems) {
        Some(found) if problems.is_empty() => Ok(found),
        _ => Err(problems.list().iter().map(ToString::to_string).collect()),
    }
}

#[test]
fn sizes_are_read() {
    let found = read(&llama()).unwrap();
    assert_eq!((found.head_dim, found.kv_heads, found.tied, found.qkv_bias), (64, 3, true, false));
    assert_eq!(found.parameters(), 134_515_008);
    assert_eq!(found.rope_scaling, RopeScaling::Default);
    // Qwen2.5-0.5B: 494,032,768 parameters by its model card's file
    let qwen = read(&with(json!({
        "architectures": ["Qwen2ForCausalLM"], "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
        "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151936, "sliding_window": 32768,
        "use_sliding_window": false
    })));
    let qwen = qwen.unwrap();
    assert!(qwen.qkv_bias);
    assert_eq!(qwen.parameters(), 494_032_768);
}

#[test]
fn defaults_and_new_spellings_are_known() {
    let check = |changes: Value, expected: fn(&Architecture) -> bool| {
        let found = read(&with(changes.clone())).unwrap();
        assert!(expected(&found), "{changes}: {found:?}");
    };
    check(json!({ "num_key_value_heads": null }), |a| a.kv_heads == 9);
    check(json!({ "head_dim": 128 }), |a| a.head_dim == 128);
    check(json!({ "rope_theta": null }), |a| a.rope_theta == 10_000.0);
    check(json!({ "tie_word_embeddings": null }), |a| !a.tied);
    check(json!({ "architectures": null }), |a| a.family == Family::Llama);
    check(json!({ "architectures": ["MistralForCausalLM"], "sliding_window": 8192 }), |a| {
        a.family == Family::Mistral
    });
    check(json!({ "rope_scaling": { "type": "linear", "factor": 2 } }), |a| {
        a.rope_scaling == RopeScaling::Linear { factor: 2.0 }
    });
    let new = json!({ "rope_theta": null, "rope_parameters": { "rope_type": "default", "rope_theta": 5e5 } });
    check(new, |a| a.rope_theta == 500_000.0 && a.rope_scaling == RopeScaling::Default);
}

#[test]
fn what_cannot_be_computed_is_refused_by_name() {
    let check = |changes: Value, expected: &[&str]| {
        let messages = read(&with(changes)).unwrap_err();
        assert_eq!(messages.len(), expected.len(), "{messages:#?}");
        expected
            .iter()
            .zip(&messages)
            .for_each(|(e, t)| assert!(t.starts_with(&format!("config.json: {e}")), "{t}"));
    };
    check(
        json!({ "architectures": ["GemmaForCausalLM"] }),
        &["architectures: found \"GemmaForCausalLM\"; expected"],
    );
    check(
        json!({ "architectures": null, "model_type": null }),
        &["model_type: found null; expected LlamaFor"],
    );
    let yarn = json!({ "rope_scaling": { "rope_type": "yarn", "factor": 4 } });
    check(yarn, &["rope_scaling.rope_type: found \"yarn\"; expected default, linear or llama3"]);
    check(
        json!({ "architectures": ["MistralForCausalLM"], "sliding_window": 4096 }),
        &["sliding_window: found 4096"],
    );
    let qwen = json!({ "architectures": ["Qwen2ForCausalLM"], "use_sliding_window": true });
    check(qwen, &["use_sliding_window: found true; expected attention over the whole context"]);
    check(
        json!({ "layer_types": ["full_attention", "sliding_attention"] }),
        &["layer_types: found layers other"],
    );
    check(json!({ "hidden_act": "gelu" }), &["hidden_act: found \"gelu\"; expected \"silu\""]);
    check(json!({ "attention_bias": true }), &["attention_bias: found true"]);
    check(
        json!({ "quantization_config": { "quant_method": "gptq" } }),
        &["quantization_config: found \"gptq\""],
    );
    check(json!({ "partial_rotary_factor": 0.5 }), &["partial_rotary_factor: found 0.5"]);
    check(json!({ "num_key_value_heads": 2 }), &["the key-value heads: found 2 for 9 query heads"]);
    check(json!({ "head_dim": 7 }), &["the width of a head: found 7; expected an even number"]);
    check(
        json!({ "num_hidden_layers": 1_000_000_000_000u64 }),
        &["the number of layers: found 1000000000000"],
    );
    check(json!({ "head_dim": u64::MAX - 1, "num_attention_heads": 9 }), &["the number of heads: found 9"]);
    check(
        json!({ "hidden_size": 575 }),
        &["num_attention_heads: found 9 for a hidden_size of 575", "the width of"],
    );
    // All at once.
    check(
        json!({ "hidden_size": -1, "vocab_size": "many", "rms_norm_eps": null, "mlp_bias": true }),
        &[
            "mlp_bias: found true",
            "hidden_size: found -1",
            "vocab_size: found \"many\"",
            "rms_norm_eps: found null",
        ],
    );
}

#[test]
fn frequencies_are_scaled() {
    let check = |scaling: Value, expected: [f32; 4]| {
        let found =
            read(&with(json!({ "head_dim": 8, "rope_theta": 10000, "rope_scaling": scaling }))).unwrap();
        let found = found.rope_frequencies();
        assert_eq!(found.len(), 4);
        let close = found.iter().zip(expected).all(|(f, e)| (f - e).abs() <= 1e-6 * e);
        assert!(close, "{found:?} for {expected:?}");
    };
    check(Value::Null, [1.0, 0.1, 0.01, 0.001]);
    check(json!({ "rope_type": "linear", "factor": 4 }), [0.25, 0.025, 0.0025, 0.00025]);
    // transformers 5.23's `_compute_llama3_parameters` formula by hand: wavelengths 6.28, 62.8, 628, 6283; kept below
    // 256, divided above 1024, between them (1024 / 628.3 - 1) / 3 of the way.
    let llama3 = json!({ "rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
                         "original_max_position_embeddings": 1024 });
    check(llama3, [1.0, 0.1, 0.003086761, 0.000125]);
}

fn tiny() -> Gguf {
    Gguf::open(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/slm/tiny.gguf"))).unwrap()
}

#[test]
fn metadata_is_read() {
    let mut problems = Problems::default();
    let found = from_gguf(&tiny(), &mut problems).unwrap();
    assert!(problems.is_empty());
    assert_eq!((found.hidden, found.heads, found.kv_heads, found.head_dim), (64, 4, 2, 16));
    assert_eq!((found.rms_eps, found.rope_theta, found.vocab, found.tied), (1e-5, 1e5, 2048, true));
}

#[test]
fn metadata_is_refused_by_key() {
    let check = |changes: &[(&str, Meta)], expected: &[&str]| {
        let (mut file, mut problems) = (tiny(), Problems::default());
        changes.iter().for_each(|(key, value)| file.set(key, value.clone()));
        from_gguf(&file, &mut problems);
        let messages: Vec<String> = problems.list().iter().map(ToString::to_string).collect();
        assert_eq!(messages.len(), expected.len(), "{messages:#?}");
        expected
            .iter()
            .zip(&messages)
            .for_each(|(e, t)| assert!(t.starts_with(&format!("tiny.gguf: {e}")), "{t}"));
    };
    let text = |t: &str| Meta::Text(t.into());
    check(
        &[("general.architecture", text("gemma3"))],
        &["general.architecture: found \"gemma3\"; expected \"llama\""],
    );
    check(&[("llama.rope.scaling.type", text("yarn"))], &["llama.rope.scaling.type: found \"yarn\""]);
    check(&[("llama.expert_count", Meta::U64(8))], &["llama.expert_count: found 8; expected no experts"]);
    check(
        &[("llama.attention.sliding_window", Meta::U64(100))],
        &["llama.attention.sliding_window: found 100"],
    );
    check(
        &[("llama.rope.dimension_count", Meta::U64(8))],
        &["llama.rope.dimension_count: found 8; expected 16"],
    );
    check(&[("llama.vocab_size", Meta::U64(9))], &["llama.vocab_size: found 9; expected 2048"]);
    check(
        &[("llama.block_count", text("two")), ("llama.attention.layer_norm_rms_epsilon", Meta::Bool(true))],
        &[
            "llama.block_count: found \"two\"",
            "llama.attention.layer_norm_rms_epsilon: found true; expected a number",
        ],
    );
}
