//! Weights by name in, a frozen Llama-family model in memory out. Which file they come from, and how they were packed,
//! is the affair of whoever gives them. It is frozen: no gradient of it is ever kept, and all adapters share it.

use tch::{Kind, Tensor};

use super::error::{Doing, Result, TrainError};
use super::shape::{Module, Shape};

/// Weights under Hugging Face's names.
pub trait Weights {
    /// Sizes and values, by rows. The error says what is wrong with the file, without the weight's name.
    fn tensor(&self, name: &str) -> std::result::Result<(Vec<i64>, Vec<f32>), String>;
}

/// A linear map: `[output, input]`, and perhaps a bias `[output]`.
#[derive(Debug)]
pub(super) struct Linear {
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
}

#[derive(Debug)]
pub(super) struct Layer {
    pub(super) before_attention: Tensor,
    pub(super) before_mlp: Tensor,
    /// In the order of [`Module::ALL`].
    linears: Vec<Linear>,
}

/// A frozen model, single precision.
#[derive(Debug)]
pub struct Base {
    shape: Shape,
    /// `[vocabulary, hidden]`.
    pub(super) embedding: Tensor,
    pub(super) layers: Vec<Layer>,
    pub(super) last_norm: Tensor,
    /// `[vocabulary, hidden]`; the embedding itself where they are tied.
    pub(super) head: Tensor,
}

impl Base {
    /// Takes what the shape names; a missing weight or one of another size is an error.
    pub fn load(shape: &Shape, weights: &impl Weights) -> Result<Base> {
        check(shape)?;
        let norm = |name: &str| take(weights, name, &[shape.hidden]);
        let embedding = take(weights, "model.embed_tokens.weight", &[shape.vocabulary, shape.hidden])?;
        let head = if shape.tied {
            embedding.shallow_clone()
        } else {
            take(weights, "lm_head.weight", &[shape.vocabulary, shape.hidden])?
        };
        let mut layers = Vec::with_capacity(shape.layers);
        for layer in 0..shape.layers {
            let mut linears = Vec::with_capacity(Module::ALL.len());
            for module in Module::ALL {
                let (input, output) = module.widths(shape);
                let path = module.path(layer);
                let biased = shape.qkv_bias && matches!(module, Module::Q | Module::K | Module::V);
                linears.push(Linear {
                    weight: take(weights, &format!("{path}.weight"), &[output, input])?,
                    bias: biased.then(|| take(weights, &format!("{path}.bias"), &[output])).transpose()?,
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
            weight: l.weight.shallow_clone(),
            bias: l.bias.as_ref().map(Tensor::shallow_clone),
        };
        let layer = |l: &Layer| Layer {
            before_attention: l.before_attention.shallow_clone(),
            before_mlp: l.before_mlp.shallow_clone(),
            linears: l.linears.iter().map(linear).collect(),
        };
        Base {
            shape: self.shape.clone(),
            embedding: self.embedding.shallow_clone(),
            layers: self.layers.iter().map(layer).collect(),
            last_norm: self.last_norm.shallow_clone(),
            head: self.head.shallow_clone(),
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

fn take(weights: &impl Weights, name: &str, sizes: &[i64]) -> Result<Tensor> {
    let wrong = |reason: String| TrainError::Weight { name: name.to_owned(), reason };
    let (found, values) = weights.tensor(name).map_err(wrong)?;
    if found != sizes {
        return Err(wrong(format!("its sizes are {found:?}; expected {sizes:?}")));
    }
    if usize::try_from(sizes.iter().product::<i64>()) != Ok(values.len()) {
        return Err(wrong(format!("it has {} values; expected {sizes:?}", values.len())));
    }
    if let Some(at) = values.iter().position(|v| !v.is_finite()) {
        return Err(wrong(format!("value {at} is not a finite number")));
    }
    let tensor = Tensor::f_from_slice(&values).and_then(|t| t.f_reshape(sizes));
    tensor.and_then(|t| t.f_to_kind(Kind::Float)).doing("copying a weight")
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
