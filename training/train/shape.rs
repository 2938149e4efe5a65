//! The numbers that make a Llama-family model: what a folder's config.json or a GGUF's keys say, in one small struct.
//! Reads no file.

/// The scaling of the angles of rotary positions beyond the length a model was first trained for.
#[derive(Debug, Clone, PartialEq)]
pub enum Scaling {
    /// As in the paper (Su et al.: RoFormer, 2021).
    Default,
    /// Positions are divided by `factor`.
    Linear {
        /// At least 1.
        factor: f64,
    },
    /// Low frequencies are divided by `factor`, high ones are kept, those between are blended (Llama 3.1).
    Llama3 {
        /// At least 1.
        factor: f64,
        /// Wavelengths above `original / low` are low frequencies.
        low: f64,
        /// Wavelengths below `original / high` are high frequencies.
        high: f64,
        /// Positions of the first training.
        original: f64,
    },
    /// Each frequency is divided by a number of its own: `head_dim / 2` of them.
    Divisors(Vec<f32>),
}

/// The shape of a model. All counts are of elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Tokens of the vocabulary.
    pub vocabulary: i64,
    /// Width of the residual stream.
    pub hidden: i64,
    /// Width of the feed-forward part.
    pub intermediate: i64,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: i64,
    /// Key and value heads: a divisor of `heads`.
    pub kv_heads: i64,
    /// Width of a head; even.
    pub head_dim: i64,
    /// Added under the root of RMSNorm.
    pub norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// See [`Scaling`].
    pub rope_scaling: Scaling,
    /// True if the head is the embedding.
    pub tied: bool,
    /// True if q, k and v have biases (Qwen2).
    pub qkv_bias: bool,
}

/// A linear map of a layer, in the order that parameters have in an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Module {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// The attention's output.
    O,
    /// The gate of SwiGLU.
    Gate,
    /// The map whose output the gate multiplies.
    Up,
    /// Back to the residual stream.
    Down,
}

impl Module {
    /// All of a layer, in canonical order.
    pub const ALL: [Module; 7] =
        [Module::Q, Module::K, Module::V, Module::O, Module::Gate, Module::Up, Module::Down];

    /// Its last name in Hugging Face's layout.
    pub fn name(self) -> &'static str {
        match self {
            Module::Q => "q_proj",
            Module::K => "k_proj",
            Module::V => "v_proj",
            Module::O => "o_proj",
            Module::Gate => "gate_proj",
            Module::Up => "up_proj",
            Module::Down => "down_proj",
        }
    }

    /// Its full name in Hugging Face's layout, without ".weight".
    pub fn path(self, layer: usize) -> String {
        let block = match self {
            Module::Q | Module::K | Module::V | Module::O => "self_attn",
            Module::Gate | Module::Up | Module::Down => "mlp",
        };
        format!("model.layers.{layer}.{block}.{}", self.name())
    }

    /// Columns and rows of its matrix: (input width, output width).
    pub fn widths(self, shape: &Shape) -> (i64, i64) {
        let heads = shape.heads * shape.head_dim;
        let kv_heads = shape.kv_heads * shape.head_dim;
        match self {
            Module::Q => (shape.hidden, heads),
            Module::K | Module::V => (shape.hidden, kv_heads),
            Module::O => (heads, shape.hidden),
            Module::Gate | Module::Up => (shape.hidden, shape.intermediate),
            Module::Down => (shape.intermediate, shape.hidden),
        }
    }
}
