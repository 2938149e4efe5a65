//! Adapters as PEFT and others save them: what is taken, and what is refused with which words.

use safetensors::tensor::serialize;
use serde_json::Map;

use super::super::model::config::from_json;
use super::*;

/// A base of 3 layers: 4 heads of width 4, 2 of them for keys and values.
fn architecture() -> Architecture {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true,
        "attention_bias": false, "mlp_bias": false, "hidden_act": "silu", "head_dim": 4,
    });
    let mut problems = Problems::default();
    let read = from_json(&config, &mut problems);
    assert!(problems.is_empty(), "{:?}", problems.list());
    read.unwrap()
}

/// The tensors of an adapter: name, sizes, values.
type Plain = Vec<(String, Vec<usize>, Vec<f32>)>;

/// An adapter of rank 2 on q and v of these layers, of this width.
fn tensors(layers: std::ops::Range<usize>, width: usize) -> Plain {
    let mut all = Plain::new();
    for layer in layers {
        for (part, output) in [("q_proj", width), ("v_proj", width / 2)] {
            for (factor, sizes) in [("A", vec![2, width]), ("B", vec![output, 2])] {
                let name =
                    format!("base_model.model.model.layers.{layer}.self_attn.{part}.lora_{factor}.weight");
                let values = vec![0.25; sizes.iter().product()];
                all.push((name, sizes, values));
            }
        }
    }
    all
}

fn bytes(tensors: &Plain) -> Vec<u8> {
    let raw: Vec<Vec<u8>> =
        tensors.iter().map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors
        .iter()
        .zip(&raw)
        .map(|((name, sizes, _), raw)| (name, TensorView::new(Dtype::F32, sizes.clone(), raw).unwrap()));
    serialize(views, None).unwrap()
}

/// The configuration that PEFT writes of such an adapter, with other values of some keys.
fn config(other: Value) -> Vec<u8> {
    let mut config = json!({
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "someone/model", "r": 2,
        "lora_alpha": 4, "lora_dropout": 0.05, "target_modules": ["v_proj", "q_proj"], "bias": "none",
        "fan_in_fan_out": false, "init_lora_weights": true, "layer_replication": null, "layers_pattern": null,
        "layers_to_transform": null, "lora_bias": false, "modules_to_save": null, "rank_pattern": {},
        "alpha_pattern": {}, "target_parameters": null, "trainable_token_indices": null, "use_dora": false,
        "use_qalora": false, "use_rslora": false, "alora_invocation_tokens": null, "qalora_group_size": 16,
    });
    for (key, value) in other.as_object().unwrap_or(&Map::new()) {
        config[key] = value.clone();
    }
    serde_json::to_vec(&config).unwrap()
}

fn inspected(config: &[u8], weights: &[u8]) -> Result<AdapterSummary, String> {
    check(Path::new("some/adapter"), &architecture(), config, weights).map_err(|error| error.to_string())
}

#[test]
fn plain_adapters_are_described() {
    let check = |other: Value, tensors: Plain, options: &str| {
        let described = inspected(&config(other), &bytes(&tensors)).unwrap();
        assert_eq!(described.options(), options);
        assert_eq!(described.parameters, tensors.iter().map(|(_, _, values)| values.len()).sum::<usize>());
    };
    let all = "r = 2\nalpha = 4.0\ntarget_modules = [\"q_proj\", \"v_proj\"]\n";
    check(json!({}), tensors(0..3, 16), all);
    check(json!({ "target_modules": ".*\\.self_attn\\.(q_proj|v_proj)" }), tensors(0..3, 16), all);
    check(json!({ "init_lora_weights": "gaussian", "use_qalora": null }), tensors(0..3, 16), all);
    check(json!({ "lora_alpha": 1.5, "use_rslora": true }), tensors(0..3, 16), {
        "r = 2\nalpha = 1.5\nrslora = true\ntarget_modules = [\"q_proj\", \"v_proj\"]\n"
    });
    check(json!({ "layers_to_transform": [1, 2] }), tensors(1..3, 16), &format!("{all}layers = \"top:2\"\n"));
    check(json!({ "layers_to_transform": [0] }), tensors(0..1, 16), {
        "r = 2\nalpha = 4.0\ntarget_modules = [\"model.layers.0.self_attn.q_proj\", \"model.layers.0.self_attn.v_proj\"]\n"
    });
}

/// Each line after the first must be one of the problems, and begin as said.
fn refused(config: &[u8], weights: &[u8], expected: &[&str]) {
    let message = inspected(config, weights).unwrap_err();
    let mut lines = message.lines();
    assert_eq!(lines.next(), Some("`some/adapter` is no adapter for this base:"));
    let lines: Vec<&str> = lines.map(str::trim_start).collect();
    assert_eq!(lines.len(), expected.len(), "{message}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\nexpected {expected}");
    }
}

#[test]
fn configurations_that_mean_something_else_are_refused() {
    let weights = bytes(&tensors(0..3, 16));
    let check = |other: Value, expected: &[&str]| {
        let expected: Vec<String> = expected.iter().map(|e| format!("adapter_config.json: {e}")).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        refused(&config(other), &weights, &expected);
    };
    check(json!({ "peft_type": "IA3" }), &["peft_type: found \"IA3\"; expected \"LORA\""]);
    check(json!({ "peft_type": null }), &["peft_type: found null"]);
    check(json!({ "r": 0 }), &["r: found 0; expected the rank"]);
    check(json!({ "r": "2", "lora_alpha": 0 }), &["r: found \"2\"", "lora_alpha: found 0"]);
    check(json!({ "rank_pattern": { "q_proj": 4 } }), &["rank_pattern: found {\"q_proj\":4}; expected {}"]);
    check(json!({ "alpha_pattern": { "q_proj": 32 } }), &["alpha_pattern: found {\"q_proj\":32}"]);
    check(
        json!({ "modules_to_save": ["lm_head"] }),
        &["modules_to_save: found [\"lm_head\"]; expected null (help:"],
    );
    check(json!({ "bias": "lora_only" }), &["bias: found \"lora_only\"; expected \"none\""]);
    check(json!({ "init_lora_weights": "pissa" }), &["init_lora_weights: found \"pissa\"; expected a way"]);
    check(json!({ "init_lora_weights": "pissa_niter_4" }), &["init_lora_weights: found \"pissa_niter_4\""]);
    check(json!({ "use_qalora": true }), &["use_qalora: found true; expected false"]);
    check(json!({ "use_something_new": true }), &["use_something_new: found true; expected false"]);
    check(json!({ "target_parameters": ["experts.gate_up_proj"] }), &["target_parameters: found"]);
    check(json!({ "use_dora": true, "fan_in_fan_out": true }), &["fan_in_fan_out: found", "use_dora: found"]);
    refused(b"<html>", &weights, &["adapter_config.json: found a web page; expected a JSON object"]);
    refused(b"{", &weights, &["adapter_config.json: found no valid JSON"]);
}

#[test]
fn tensors_that_mean_something_else_are_refused() {
    const Q: &str = "base_model.model.model.layers.0.self_attn.q_proj";
    let check = |change: &dyn Fn(&mut Plain), expected: &[&str]| {
        let mut tensors = tensors(0..3, 16);
        change(&mut tensors);
        refused(&config(json!({})), &bytes(&tensors), expected);
    };
    let own = |name: &str| format!("adapter_model.safetensors: {name}");
    check(
        &|t| *t = tensors(0..3, 8),
        &[
            &own("model.layers.0.self_attn.q_proj.lora_A.weight, "),
            &own("model.layers.0.self_attn.v_proj.lora_B.weight, "),
            &own("model.layers.0.self_attn.q_proj.lora_B.weight, "),
        ],
    );
    check(
        &|t| t.iter_mut().for_each(|t| t.0 = t.0.replace(".weight", ".default.weight")),
        &[&own(&format!("{Q}.lora_A.default.weight, "))],
    );
    check(
        &|t| t.iter_mut().for_each(|t| t.0 = t.0.replace(PREFIX, "")),
        &[&own("model.layers.0.self_attn.q_proj.lora_A.weight, ")],
    );
    check(
        &|t| t.push((format!("{Q}.lora_magnitude_vector"), vec![16], vec![1.0; 16])),
        &[&own(&format!("{Q}.lora_magnitude_vector: found magnitudes of DoRA; expected plain LoRA"))],
    );
    check(
        &|t| t[3].2[1] = f32::NAN,
        &[&own("model.layers.0.self_attn.v_proj.lora_B.weight: found values that are no finite numbers")],
    );
    check(
        &|t| t[0].2[0] = f32::INFINITY,
        &[&own("model.layers.0.self_attn.q_proj.lora_A.weight: found values that are no finite numbers")],
    );
    check(
        &|t| drop(t.remove(1)),
        &[&own("model.layers.0.self_attn.q_proj.lora_B.weight: found no such tensor")],
    );
    check(
        &|t| t[0] = (t[0].0.clone(), vec![4, 16], vec![0.5; 64]),
        &[&own("model.layers.0.self_attn.q_proj.lora_A.weight: found sizes [4, 16]; expected [2, 16]")],
    );
    check(
        &|t| t.extend(tensors(3..4, 16)),
        &[&own("base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight, ")],
    );
    check(
        &|t| {
            *t = vec![(
                "base_model.model.model.layers.0.self_attn.k_proj.ia3_l".into(),
                vec![8],
                vec![1.0; 8],
            )];
        },
        &[&own("base_model.model.model.layers.0.self_attn.k_proj.ia3_l: found scales of IA3")],
    );
    check(&|t| t.clear(), &["adapter_model.safetensors: found no tensor"]);
}

#[test]
fn files_that_are_no_weights_are_named() {
    let whole = bytes(&tensors(0..3, 16));
    let check = |weights: &[u8], expected: &str| {
        refused(&config(json!({})), weights, &[&format!("adapter_model.safetensors: found {expected}")]);
    };
    check(b"<!doctype html>\n<html>", "a web page; expected a safetensors file (help: the link led");
    check(b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS in place of the file");
    check(b"PK\x03\x04", "a ZIP archive, as PyTorch saves pickles");
    check(b"", "an empty file");
    check(&whole[..whole.len() - 8], "what cannot be read (");
}

#[test]
fn a_number_of_16_bits_is_finite_or_not() {
    let check = |dtype: Dtype, bits: u16, expected: bool| {
        let bytes = [0, 0, bits.to_le_bytes()[0], bits.to_le_bytes()[1]];
        let view = TensorView::new(dtype, vec![2], &bytes).unwrap();
        assert_eq!(is_finite(&view), expected, "{dtype:?} {bits:#x}");
    };
    check(Dtype::BF16, 0x7f7f, true);
    check(Dtype::BF16, 0x7f80, false);
    check(Dtype::BF16, 0xffc0, false);
    check(Dtype::F16, 0x7bff, true);
    check(Dtype::F16, 0x7c00, false);
    check(Dtype::F16, 0xfe00, false);
}
