//! A config.json or a GGUF file's metadata goes in; the sizes and constants of a model of the Llama family come out.
//! Knows keys and their defaults, no tensor. What cannot be computed here is refused by name, never ignored.

mod gguf;
mod hugging_face;
mod rope;

use super::problem::Problems;

pub use gguf::from_gguf;
pub use hugging_face::from_json;
pub use rope::RopeScaling;

/// The family of the architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// LLaMA, TinyLlama, SmolLM (`LlamaForCausalLM`).
    Llama,
    /// Mistral without a sliding window (`MistralForCausalLM`).
    Mistral,
    /// Qwen2 and 2.5 (`Qwen2ForCausalLM`): biases on q, k and v.
    Qwen2,
}

/// The sizes and constants of a model: RMSNorm, rotary positions, grouped-query attention, SwiGLU.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// The family of the architecture.
    pub family: Family,
    /// Width of the hidden states.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Numbers of one head; even. `heads * head_dim` need not be `hidden`.
    pub head_dim: usize,
    /// Width inside the SwiGLU block.
    pub intermediate: usize,
    /// Rows of the token table; a tokenizer may have fewer tokens.
    pub vocab: usize,
    /// Added to the mean square in RMSNorm.
    pub rms_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_theta: f32,
    /// The scaling of the rotary frequencies for long contexts.
    pub rope_scaling: RopeScaling,
    /// True if the output head is the token table.
    pub tied: bool,
    /// True if q, k and v have biases.
    pub qkv_bias: bool,
    /// Positions that the model was made for, in tokens.
    pub context: usize,
}

/// The largest number of layers that is believed.
const MOST_LAYERS: usize = 1024;
/// The largest width, number of heads or vocabulary that is believed: its square does not overflow.
const MOST: usize = 1 << 24;

impl Architecture {
    /// Numbers in all weights; the head counts only if it is not tied. Without the biases' few, exact all the same.
    pub fn parameters(&self) -> usize {
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let attention = self.hidden * (2 * q + 2 * kv) + if self.qkv_bias { q + 2 * kv } else { 0 };
        let layer = attention + 3 * self.hidden * self.intermediate + 2 * self.hidden;
        let tables = if self.tied { 1 } else { 2 };
        tables * self.vocab * self.hidden + self.layers * layer + self.hidden
    }

    /// One line that two models share if and only if equal weights compute the same in both.
    pub fn canonical(&self) -> String {
        let Architecture { hidden, layers, heads, kv_heads, head_dim, intermediate, vocab, .. } = self;
        let (tied, bias) = (self.tied, self.qkv_bias);
        let (eps, theta) = (self.rms_eps.to_bits(), self.rope_theta.to_bits());
        let scaling = self.rope_scaling.canonical();
        format!(
            "llama hidden={hidden} layers={layers} heads={heads} kv_heads={kv_heads} head_dim={head_dim} \
             intermediate={intermediate} vocab={vocab} rms_eps={eps:08x} rope_theta={theta:08x} \
             rope_scaling={scaling} tied={tied} qkv_bias={bias}"
        )
    }

    /// Itself, if divisions come out even and sizes can be believed: later arithmetic relies on both.
    fn checked(self, file: &str, problems: &mut Problems) -> Option<Architecture> {
        let before = problems.list().len();
        self.check(file, problems);
        (problems.list().len() == before).then_some(self)
    }

    fn check(&self, file: &str, problems: &mut Problems) {
        let mut expect = |ok: bool, item: &str, found: String, expected: String| {
            if !ok {
                problems.add(file, item, found, expected);
            }
        };
        let sizes = [
            ("the number of layers", self.layers, MOST_LAYERS),
            ("the hidden width", self.hidden, MOST),
            ("the intermediate width", self.intermediate, MOST),
            ("the vocabulary", self.vocab, MOST),
            ("the number of heads", self.heads, MOST / self.head_dim.clamp(1, MOST)),
            ("the context length", self.context, 1 << 30),
        ];
        for (item, size, most) in sizes {
            expect((1..=most).contains(&size), item, size.to_string(), format!("1 to {most}"));
        }
        expect(
            self.head_dim.is_multiple_of(2) && self.head_dim > 0,
            "the width of a head",
            self.head_dim.to_string(),
            "an even number (rotary positions turn pairs)".into(),
        );
        expect(
            self.kv_heads > 0 && self.heads.is_multiple_of(self.kv_heads),
            "the key-value heads",
            format!("{} for {} query heads", self.kv_heads, self.heads),
            "a number that divides the query heads".into(),
        );
        expect(
            self.rms_eps.is_finite() && self.rms_eps >= 0.0,
            "the epsilon of RMSNorm",
            self.rms_eps.to_string(),
            "a small positive number".into(),
        );
        expect(
            self.rope_theta.is_finite() && self.rope_theta > 1.0,
            "the base of the rotary frequencies",
            self.rope_theta.to_string(),
            "a number above 1, such as 10000".into(),
        );
        self.rope_scaling.check(file, self.head_dim, problems);
    }
}

/// A number of a file as f32, which is what models compute with.
fn to_f32(x: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is wanted")]
    let rounded = x as f32;
    rounded
}

#[cfg(test)]
mod tests;
