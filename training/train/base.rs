//! Weights by name in, a frozen Llama-family model in memory out. Which file they come from, and how they were packed,
//! is left to the caller. It is frozen: no gradient of it is ever kept, and all adapters share it.

use tch::Tensor;

use super::error::{Result, TrainError};
use super::shape::{Module, Shape};
use super::stored::{Storage, Stored, Weight};

/// Weights under Hugging Face's names.
pub trait Weights {
    /// A weight as the file stores it, its rows in Hugging Face's order. The error says what is wrong with the file,
    /// without the weight's name.
    fn tensor(&self, name: &str) -> std::result::Result<Stored, String>;
}

/// A linear map: `[output, input]`, and perhaps a bias `[output]`.
#[derive(Debug)]
pub(super) struct Linear {
    pub(super) weight: Weight,
    pub(super) bias: Option<Tensor>,
}

#[derive(Debug)]
pub(super) struct Layer {
    pub(super) before_attention: Tensor,
    pub(super) before_mlp: Tensor,
    /// In the order of [`Module::ALL`].
    linears: Vec<Linear>,
}

/// A frozen model. Norms and biases are f32; matrices are kept as [`Storage`] says, and turned into f32 for each use.
#[derive(Debug)]
pub struct Base {
    shape: Shape,
    /// `[vocabulary, hidden]`.
    pub(super) embedding: Weight,
    pub(super) layers: Vec<Layer>,
    pub(super) last_norm: Tensor,
    /// `[vocabulary, hidden]`; the embedding itself where they are tied.
    pub(super) head: Weight,
}

impl Base {
    /// Takes what the shape names; a missing weight or one of another size is an error.
    pub fn load(shape: &Shape, weights: &impl Weights, storage: Storage) -> Result<Base> {
        check(shape)?;
        let vector = |name: &str, size: i64| take(weights, name, &[size], Storage::F32)?.f32();
        let matrix = |name: &str, sizes: [i64; 2]| take(weights, name, &sizes, storage);
        let norm = |name: &str| vector(name, shape.hidden);
        let embedding = matrix("model.embed_tokens.weight", [shape.vocabulary, shape.hidden])?;
        let head = if shape.tied {
            embedding.share()
        } else {
            matrix("lm_head.weight", [shape.vocabulary, shape.hidden])?
        };
        let mut layers = Vec::with_capacity(shape.layers);
        for layer in 0..shape.layers {
            let mut linears = Vec::with_capacity(Module::ALL.len());
            for module in Module::ALL {
                let (input, output) = module.widths(shape);
                let path = module.path(layer);
                let biased = shape.qkv_bias && matches!(module, Module::Q | Module::K | Module::V);
                linears.push(Linear {
                    weight: matrix(&format!("{path}.weight"), [output, input])?,
                    bias: biased.then(|| vector(&format!("{path}.bias"), output)).transpose()?,
                });
            }
            layers.push(Layer {
                before_attention: norm(&format!("model.layers.{layer}.input_layernorm.weight"))?,
                before_mlp: norm(&format!("model.layers.{layer}.post_attention_layernorm.weight"))?,
                linears,
            });
        }
        Ok(Base { shape: shape.clone(), embedding, layers, last_norm: norm("model.norm.weight")?, head })
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The same weights for another thread: LibTorch's handles may move between threads, but not be shared.
    pub fn share(&self) -> Base {
        let linear = |l: &Linear| Linear {
            weight: l.weight.share(),
            bias: l.bias.as_ref().map(Tensor::shallow_clone),
        };
        let layer = |l: &Layer| Layer {
            before_attention: l.before_attention.shallow_clone(),
            before_mlp: l.before_mlp.shallow_clone(),
            linears: l.linears.iter().map(linear).collect(),
        };
        Base {
            shape: self.shape.clone(),
            embedding: self.embedding.share(),
            layers: self.layers.iter().map(layer).collect(),
            last_norm: self.last_norm.shallow_clone(),
            head: self.head.share(),
        }
    }
}

impl Layer {
    pub(super) fn linear(&self, module: Module) -> Result<&Linear> {
        let missing = || TrainError::value("a linear map", module.name(), "one of the layer's");
        self.linears.get(module as usize).ok_or_else(missing)
    }
}

/// To be called once by each thread that trains: one thread an operation. How sums are split between threads would
/// change their rounding, and threads of several lanes would wait for each other.
pub fn one_thread_a_lane() {
    tch::set_num_threads(1);
}

fn take(weights: &impl Weights, name: &str, sizes: &[i64], storage: Storage) -> Result<Weight> {
    let wrong = |reason: String| TrainError::Weight { name: name.to_owned(), reason };
    let stored = weights.tensor(name).map_err(wrong)?;
    stored.check(sizes).map_err(wrong)?;
    Weight::keep(stored, storage)
}

fn check(shape: &Shape) -> Result<()> {
    let positive = [
        ("vocabulary", shape.vocabulary),
        ("hidden size", shape.hidden),
        ("intermediate size", shape.intermediate),
        ("number of layers", shape.layers as i64),
        ("number of heads", shape.heads),
        ("number of key and value heads", shape.kv_heads),
        ("width of a head", shape.head_dim),
    ];
    for (what, found) in positive {
        if found < 1 {
            return Err(TrainError::value(format!("the model's {what}"), found, "1 or more"));
        }
    }
    if shape.heads % shape.kv_heads != 0 {
        let expected = format!("a divisor of its {} heads", shape.heads);
        return Err(TrainError::value("the model's number of key and value heads", shape.kv_heads, expected));
    }
    if shape.head_dim % 2 != 0 {
        return Err(TrainError::value("the model's width of a head", shape.head_dim, "an even number"));
    }
    Ok(())
}
