//! Hidden states in, hidden states a layer higher out: RMSNorm, rotary grouped-query attention, SwiGLU (Touvron et al.:
//! LLaMA, 2023), with the low-rank parts of all devices beside the frozen maps. The frozen maps see the rows of all
//! devices as one matrix; the low-rank parts are one batched product over devices. No row sees another: what is not a
//! number in one device's rows stays there.

use tch::{TchError, Tensor};

use super::adapters::Adapters;
use super::base::{Base, Layer};
use super::dropout::Dropout;
use super::error::{Doing, Result};
use super::rope::Rope;
use super::shape::Module;

/// What all layers of one pass share.
pub(super) struct Pass<'a> {
    pub(super) base: &'a Base,
    /// N: rows of the joined batch.
    pub(super) rows: i64,
    /// T: tokens a row.
    pub(super) length: i64,
    pub(super) rope: &'a Rope,
    /// None below the adapters' lowest layer.
    pub(super) adapters: Option<&'a Adapters>,
    pub(super) dropout: Option<&'a Dropout>,
}

impl Pass<'_> {
    /// Token ids `[N * T]` to embeddings `[N * T, hidden]`.
    pub(super) fn embed(&self, tokens: &Tensor) -> Result<Tensor> {
        self.base.embedding.f_index_select(0, tokens).doing("looking up embeddings")
    }

    /// `[N * T, hidden]` to `[N * T, hidden]`, through layer number `at`.
    pub(super) fn layer(&self, at: usize, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let normal = self.norm(x, &layer.before_attention)?;
        let x = x.f_add(&self.attention(at, layer, &normal)?).doing("adding attention")?;
        let normal = self.norm(&x, &layer.before_mlp)?;
        let gate = self.linear(at, layer, Module::Gate, &normal)?;
        let up = self.linear(at, layer, Module::Up, &normal)?;
        let inner = gate.f_silu().and_then(|g| g.f_mul(&up)).doing("the gate")?;
        x.f_add(&self.linear(at, layer, Module::Down, &inner)?).doing("adding the feed-forward part")
    }

    /// RMSNorm (Zhang, Sennrich, 2019).
    pub(super) fn norm(&self, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let shape = self.base.shape();
        x.f_rms_norm([shape.hidden], Some(weight), shape.norm_eps).doing("RMSNorm")
    }

    fn attention(&self, at: usize, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let shape = self.base.shape();
        let heads = |module: Module, count: i64| {
            let flat = self.linear(at, layer, module, x)?;
            let split = flat.f_view([self.rows, self.length, count, shape.head_dim]);
            split.and_then(|t| t.f_transpose(1, 2)).doing("splitting heads")
        };
        let q = self.rope.turn(&heads(Module::Q, shape.heads)?)?;
        let k = self.rope.turn(&heads(Module::K, shape.kv_heads)?)?;
        let v = heads(Module::V, shape.kv_heads)?;
        let (k, v) = (self.repeat(&k).doing("repeating keys")?, self.repeat(&v).doing("repeating values")?);
        let none = None::<&Tensor>;
        let mixed = Tensor::f_scaled_dot_product_attention(&q, &k, &v, none, 0.0, true, None::<f64>, false);
        let width = shape.heads * shape.head_dim;
        let flat = mixed.and_then(|m| m.f_transpose(1, 2)?.f_reshape([self.rows * self.length, width]));
        self.linear(at, layer, Module::O, &flat.doing("attention")?)
    }

    /// `[N, key heads, T, width]` to `[N, heads, T, width]`.
    fn repeat(&self, x: &Tensor) -> std::result::Result<Tensor, TchError> {
        let shape = self.base.shape();
        let times = shape.heads / shape.kv_heads;
        if times == 1 {
            return Ok(x.shallow_clone());
        }
        let wide = [self.rows, shape.kv_heads, times, self.length, shape.head_dim];
        let flat = [self.rows, shape.heads, self.length, shape.head_dim];
        x.f_unsqueeze(2)?.f_expand(wide, false)?.f_reshape(flat)
    }

    /// `[N * T, input]` to `[N * T, output]`. The rows stay in one matrix: a product of a frozen map with a tensor of
    /// three dimensions would become one small product a row.
    fn linear(&self, at: usize, layer: &Layer, module: Module, x: &Tensor) -> Result<Tensor> {
        let map = layer.linear(module)?;
        let frozen = x.f_linear(&map.weight, map.bias.as_ref()).doing("a frozen linear map")?;
        let Some((adapters, pair)) = self.adapters.and_then(|a| Some((a, a.pair(at, module)?))) else {
            return Ok(frozen);
        };
        let devices = adapters.devices.max(1);
        let (input, output) = module.widths(self.base.shape());
        let tall = self.rows * self.length / devices;
        let mut by_device = x.f_view([devices, tall, input]).doing("splitting rows by device")?;
        if let Some(dropout) = self.dropout {
            let rows = (self.rows / devices).unsigned_abs();
            let mask = dropout.mask(at, module, rows, self.length, input)?;
            by_device = by_device.f_mul(&mask).doing("dropout")?;
        }
        let low_rank = || {
            let narrow = by_device.f_bmm(&pair.a.f_transpose(1, 2)?)?;
            let sum = frozen.f_view([devices, tall, output])?.f_baddbmm(
                &narrow,
                &pair.b.f_transpose(1, 2)?,
                1.0,
                adapters.scaling,
            )?;
            sum.f_view([self.rows * self.length, output])
        };
        low_rank().doing("a low-rank part")
    }
}
