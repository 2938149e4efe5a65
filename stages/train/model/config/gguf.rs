//! A GGUF file's metadata in, an architecture or all its problems out. Keys are those of `gguf-py/gguf/constants.py`.

use super::super::gguf::{Gguf, Value};
use super::super::problem::Problems;
use super::{Architecture, Family, RopeScaling, to_f32};

/// Reads an architecture from `general.architecture` and the keys that begin with its name.
pub fn from_gguf(file: &Gguf, problems: &mut Problems) -> Option<Architecture> {
    const KEY: &str = "general.architecture";
    let (prefix, family) = match file.get(KEY).and_then(Value::as_str) {
        // The converter writes Mistral's models as llama, too: they compute the same.
        Some("llama") => ("llama", Family::Llama),
        Some("qwen2") => ("qwen2", Family::Qwen2),
        _ => {
            let found = file.get(KEY).map_or_else(|| "nothing".into(), ToString::to_string);
            problems.add(file.name(), KEY, found, "\"llama\" or \"qwen2\"");
            return None;
        }
    };
    let mut sheet = Sheet { file, prefix, problems };
    sheet.refuse_what_is_not_computed();
    let (hidden, layers) = (sheet.size("embedding_length"), sheet.size("block_count"));
    let (heads, context) = (sheet.size("attention.head_count"), sheet.size("context_length"));
    let intermediate = sheet.size("feed_forward_length");
    let kv_heads = sheet.size_or("attention.head_count_kv", heads);
    let head_dim = sheet.size_or("attention.key_length", hidden.zip(heads).map(|(h, n)| h / n));
    for key in ["attention.value_length", "rope.dimension_count"] {
        let size = sheet.size_or(key, head_dim);
        if let (Some(size), Some(head_dim)) = (size, head_dim)
            && size != head_dim
        {
            sheet.report(key, size.to_string(), &format!("{head_dim}, the width of a head"));
        }
    }
    let rms_eps = sheet.float("attention.layer_norm_rms_epsilon", None);
    let rope_theta = sheet.float("rope.freq_base", Some(10_000.0));
    let rope_scaling = sheet.scaling();
    let vocab = sheet.vocab();
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
        rope_theta: rope_theta?,
        rope_scaling: rope_scaling?,
        tied: !file.header().tensors.contains_key("output.weight"),
        qkv_bias: family == Family::Qwen2 || file.header().tensors.contains_key("blk.0.attn_q.bias"),
        context: context?,
    };
    found.checked(file.name(), problems)
}

struct Sheet<'a> {
    file: &'a Gguf,
    prefix: &'static str,
    problems: &'a mut Problems,
}

impl<'a> Sheet<'a> {
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.file.get(&format!("{}.{key}", self.prefix))
    }

    fn report(&mut self, key: &str, found: impl Into<String>, expected: &str) {
        self.problems.add(self.file.name(), format!("{}.{key}", self.prefix), found, expected);
    }

    fn size(&mut self, key: &str) -> Option<usize> {
        let value = self.get(key);
        let size = value.and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        if size.is_none() {
            self.report(key, shown(value), "a positive whole number, the same for all layers");
        }
        size
    }

    fn size_or(&mut self, key: &str, default: Option<usize>) -> Option<usize> {
        if self.get(key).is_none() { default } else { self.size(key) }
    }

    fn float(&mut self, key: &str, default: Option<f32>) -> Option<f32> {
        let value = self.get(key);
        match (value.and_then(Value::as_f64), value, default) {
            (Some(x), ..) => Some(to_f32(x)),
            (None, None, Some(default)) => Some(default),
            _ => {
                self.report(key, shown(value), "a number");
                None
            }
        }
    }

    /// Rows of the token table: what the tensor says, since tokenizers may be shorter or longer.
    fn vocab(&mut self) -> Option<usize> {
        let table = self.file.header().tensors.get("token_embd.weight");
        let rows = table.and_then(|info| info.shape.first().copied());
        let stated = self.size_or("vocab_size", rows);
        match (stated, rows) {
            (Some(stated), Some(rows)) if stated != rows => {
                self.report(
                    "vocab_size",
                    stated.to_string(),
                    &format!("{rows}, the rows of token_embd.weight"),
                );
                None
            }
            (None, None) => {
                self.problems.add(self.file.name(), "token_embd.weight", "no such tensor", "the token table");
                None
            }
            _ => stated,
        }
    }

    fn scaling(&mut self) -> Option<RopeScaling> {
        const FREQUENCIES: &str = "rope_freqs.weight";
        if self.file.header().tensors.contains_key(FREQUENCIES) {
            let tensor = self.problems.take(self.file.tensor(FREQUENCIES));
            return tensor.map(|t| RopeScaling::Divisors(t.to_f32()));
        }
        let old = "rope.scale_linear";
        match self.get("rope.scaling.type").map(|v| v.as_str().unwrap_or_default()) {
            None if self.get(old).is_some() => {
                self.float(old, None).map(|factor| RopeScaling::Linear { factor })
            }
            None | Some("none") => Some(RopeScaling::Default),
            Some("linear") => {
                self.float("rope.scaling.factor", None).map(|factor| RopeScaling::Linear { factor })
            }
            Some(_) => {
                let found = shown(self.get("rope.scaling.type"));
                let expected = "\"none\", \"linear\", or a tensor rope_freqs.weight (Llama 3)";
                self.report("rope.scaling.type", found, expected);
                None
            }
        }
    }

    /// Options that change what a model computes, in ways that are not computed here.
    fn refuse_what_is_not_computed(&mut self) {
        if self.get("expert_count").is_some_and(|v| v.as_u64() != Some(0)) {
            self.report(
                "expert_count",
                shown(self.get("expert_count")),
                "no experts (one feed-forward block)",
            );
        }
        if let Some(window) = self.get("attention.sliding_window").filter(|v| v.as_u64() != Some(0)) {
            let context = self.get("context_length").and_then(Value::as_u64);
            if window.as_u64().zip(context).is_none_or(|(window, context)| window < context) {
                let expected = "attention over the whole context (sliding windows are not known)";
                self.report("attention.sliding_window", window.to_string(), expected);
            }
        }
        if self.get("attention.causal") == Some(&Value::Bool(false)) {
            self.report("attention.causal", "false", "a causal language model");
        }
        for key in ["rope.scaling.attn_factor", "logit_scale", "embedding_scale", "residual_scale"] {
            if let Some(value) = self.get(key).filter(|v| v.as_f64() != Some(1.0)) {
                self.report(key, value.to_string(), "no such factor, or 1");
            }
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".into(), ToString::to_string)
}
