//! Hugging Face's config.json in, an architecture or all its problems out. Old and new spellings are read: rotary
//! options stand at the top with `rope_scaling`, or since transformers 5 in `rope_parameters`.

use serde_json::{Map, Value};

use super::super::problem::{Problems, shorten};
use super::{Architecture, Family, RopeScaling, to_f32};

const FILE: &str = "config.json";

/// Reads an architecture from the JSON of a config.json.
pub fn from_json(json: &Value, problems: &mut Problems) -> Option<Architecture> {
    let Some(top) = json.as_object() else {
        problems.add(FILE, "", "JSON, but no object at its top", "a JSON object");
        return None;
    };
    let family = family(top, problems)?;
    let mut sheet = Sheet { top, problems };
    let scaling = sheet.rope(family);
    sheet.refuse_what_is_not_computed(family);
    let (hidden, layers) = (sheet.size("hidden_size"), sheet.size("num_hidden_layers"));
    let (heads, intermediate) = (sheet.size("num_attention_heads"), sheet.size("intermediate_size"));
    let (vocab, context) = (sheet.size("vocab_size"), sheet.size("max_position_embeddings"));
    let kv_heads = sheet.size_or("num_key_value_heads", heads);
    let head_dim = sheet.size_or("head_dim", hidden.zip(heads).map(|(h, n)| h / n));
    if sheet.none("head_dim")
        && let (Some(hidden), Some(heads)) = (hidden, heads)
        && !hidden.is_multiple_of(heads)
    {
        sheet.report("num_attention_heads", format!("{heads} for a hidden_size of {hidden}, no head_dim"), {
            "heads that divide the width, or head_dim"
        });
    }
    let rms_eps = sheet.float("rms_norm_eps");
    let tied = sheet.truth("tie_word_embeddings");
    let bias = sheet.truth("attention_bias");
    let (rope_scaling, rope_theta) = scaling?;
    let found = Architecture {
        family,
        hidden: hidden?,
        layers: layers?,
        heads: heads?,
        kv_heads: kv_heads?,
        head_dim: head_dim?,
        intermediate: intermediate?,
        vocab: vocab?,
        rms_eps: rms_eps?,
        rope_theta,
        rope_scaling,
        tied: tied?,
        qkv_bias: bias? || family == Family::Qwen2,
        context: context?,
    };
    found.checked(FILE, problems)
}

fn family(top: &Map<String, Value>, problems: &mut Problems) -> Option<Family> {
    const KNOWN: &str = "LlamaForCausalLM, MistralForCausalLM or Qwen2ForCausalLM";
    let listed = top.get("architectures").and_then(Value::as_array).and_then(|list| list.first());
    let (item, name) = match listed {
        Some(name) => ("architectures", name),
        None => ("model_type", top.get("model_type").unwrap_or(&Value::Null)),
    };
    match name.as_str() {
        Some("LlamaForCausalLM" | "llama") => Some(Family::Llama),
        Some("MistralForCausalLM" | "mistral") => Some(Family::Mistral),
        Some("Qwen2ForCausalLM" | "qwen2") => Some(Family::Qwen2),
        _ => {
            problems.add(FILE, item, shorten(&name.to_string()), KNOWN);
            None
        }
    }
}

struct Sheet<'a> {
    top: &'a Map<String, Value>,
    problems: &'a mut Problems,
}

impl Sheet<'_> {
    fn report(&mut self, item: &str, found: impl Into<String>, expected: &str) {
        self.problems.add(FILE, item, found, expected);
    }

    fn none(&self, key: &str) -> bool {
        self.top.get(key).is_none_or(Value::is_null)
    }

    fn size(&mut self, key: &str) -> Option<usize> {
        let value = self.top.get(key);
        let size = value.and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        if size.is_none() {
            self.report(key, shown(value), "a positive whole number");
        }
        size
    }

    fn size_or(&mut self, key: &str, default: Option<usize>) -> Option<usize> {
        if self.none(key) { default } else { self.size(key) }
    }

    fn float(&mut self, key: &str) -> Option<f32> {
        let value = self.top.get(key);
        let float = value.and_then(Value::as_f64).map(to_f32);
        if float.is_none() {
            self.report(key, shown(value), "a number");
        }
        float
    }

    /// A truth value; false if it is not there.
    fn truth(&mut self, key: &str) -> Option<bool> {
        match self.top.get(key) {
            None | Some(Value::Null) => Some(false),
            Some(Value::Bool(b)) => Some(*b),
            other => {
                self.report(key, shown(other), "true or false");
                None
            }
        }
    }

    fn rope(&mut self, family: Family) -> Option<(RopeScaling, f32)> {
        // LLaMA's first files have no base: it was 10000 for all.
        let default = 10_000.0;
        let (item, table) = if self.none("rope_parameters") {
            ("rope_scaling", self.top.get("rope_scaling"))
        } else {
            ("rope_parameters", self.top.get("rope_parameters"))
        };
        let theta_of = |value: &Value| value.as_f64().map(to_f32);
        let own = table.and_then(|t| t.get("rope_theta")).filter(|v| !v.is_null());
        let theta = match own.or(self.top.get("rope_theta").filter(|v| !v.is_null())) {
            None => Some(default),
            Some(value) => theta_of(value).or_else(|| {
                self.report("rope_theta", shown(Some(value)), "a number");
                None
            }),
        };
        let scaling = match table {
            None | Some(Value::Null) => Some(RopeScaling::Default),
            Some(Value::Object(table)) => self.scaling(item, table, family),
            other => {
                self.report(item, shown(other), "an object or null");
                None
            }
        };
        scaling.zip(theta)
    }

    fn scaling(&mut self, item: &str, table: &Map<String, Value>, family: Family) -> Option<RopeScaling> {
        let kind = table.get("rope_type").or(table.get("type"));
        let mut number = |key: &str| {
            let value = table.get(key);
            let number = value.and_then(Value::as_f64).map(to_f32);
            if number.is_none() {
                self.report(&format!("{item}.{key}"), shown(value), "a number");
            }
            number
        };
        match kind.map(|k| k.as_str().unwrap_or_default()) {
            None | Some("default") => Some(RopeScaling::Default),
            Some("linear") => Some(RopeScaling::Linear { factor: number("factor")? }),
            Some("llama3") => {
                let (factor, low) = (number("factor"), number("low_freq_factor"));
                let high = number("high_freq_factor");
                let key = "original_max_position_embeddings";
                let original = table.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
                if original.is_none() {
                    self.report(&format!("{item}.{key}"), shown(table.get(key)), "a positive whole number");
                }
                Some(RopeScaling::Llama3 {
                    factor: factor?,
                    low: low?,
                    high: high?,
                    original_context: original?,
                })
            }
            Some(_) => {
                let expected =
                    format!("default, linear or llama3 (no other scaling is known for {family:?})");
                self.report(&format!("{item}.rope_type"), shown(kind), &expected);
                None
            }
        }
    }

    /// Options that change what a model computes, in ways that are not computed here.
    fn refuse_what_is_not_computed(&mut self, family: Family) {
        if !matches!(self.top.get("hidden_act").and_then(Value::as_str), None | Some("silu" | "swish")) {
            self.report("hidden_act", shown(self.top.get("hidden_act")), "\"silu\"");
        }
        if !self.none("quantization_config") {
            let found = shown(self.top.get("quantization_config").and_then(|q| q.get("quant_method")));
            self.report("quantization_config", found, "plain weights (BF16, F16, F32) or a GGUF file");
        }
        if self.truth("mlp_bias") == Some(true) {
            self.report("mlp_bias", "true", "no biases in the feed-forward block");
        }
        if family != Family::Qwen2 && self.truth("attention_bias") == Some(true) {
            self.report("attention_bias", "true", "false (a bias on the output of attention is not known)");
        }
        let partial = self.top.get("partial_rotary_factor").filter(|v| !v.is_null());
        if partial.is_some_and(|v| v.as_f64() != Some(1.0)) {
            self.report("partial_rotary_factor", shown(partial), "1 (all of a head is turned)");
        }
        self.refuse_windows(family);
    }

    fn refuse_windows(&mut self, family: Family) {
        const FULL: &str = "attention over the whole context (sliding windows are not known)";
        let is_full = |kind: &Value| kind == "full_attention";
        let mixed = self.top.get("layer_types").and_then(Value::as_array);
        if mixed.is_some_and(|kinds| !kinds.iter().all(is_full)) {
            self.report("layer_types", "layers other than full_attention", FULL);
        }
        if family == Family::Qwen2 {
            // The number stands in every file; this switch says whether it counts.
            if self.truth("use_sliding_window") == Some(true) {
                self.report("use_sliding_window", "true", FULL);
            }
        } else if let Some(window) = self.top.get("sliding_window").filter(|v| !v.is_null()) {
            let context = self.top.get("max_position_embeddings").and_then(Value::as_u64);
            if window.as_u64().zip(context).is_none_or(|(window, context)| window < context) {
                self.report("sliding_window", shown(Some(window)), FULL);
            }
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".into(), |v| shorten(&v.to_string()))
}
