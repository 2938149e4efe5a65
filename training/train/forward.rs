//! Hidden states in, hidden states a layer higher out: RMSNorm, rotary grouped-query attention, SwiGLU (Touvron et al.:
//! LLaMA, 2023), with the low-rank parts of all devices beside the frozen maps. The frozen maps see the rows of all
//! devices as one matrix; the low-rank parts are each device's own. No row sees another: what is not a number in one
//! device's rows stays there. Rows are as long as the longest in attention alone: under a causal mask no token sees what
//! comes after it, so that what stands behind the end of a row needs no mask of its own.
//!
//! LibTorch records nothing of it: what the way back needs stands in a [`Tape`], which holds no weight. A weight as f32
//! is kept for one product, on the way back too.

use tch::{TchError, Tensor};

use super::adapters::Adapters;
use super::base::{Base, Layer};
use super::dropout::Dropout;
use super::error::{ErrorContext, Result};
use super::rope::Rope;
use super::rows::Rows;
use super::shape::Module;
use super::spare::Spare;

/// The result of an operation of LibTorch.
pub(super) type Torch<T> = std::result::Result<T, TchError>;

/// The context that all layers of one pass share.
pub(super) struct Pass<'a> {
    pub(super) base: &'a Base,
    pub(super) rows: &'a Rows,
    pub(super) rope: &'a Rope,
    /// None below the adapters' lowest layer.
    pub(super) adapters: Option<&'a Adapters>,
    pub(super) dropout: Option<&'a Dropout>,
    pub(super) spare: &'a Spare,
}

/// The values that the backward pass of a layer needs. M tokens stand in N rows, the longest of which has T.
pub(super) struct Tape {
    /// `[M, hidden]`: the layer's input.
    pub(super) input: Tensor,
    /// `[M, 1]`: what RMSNorm multiplied it by.
    pub(super) input_scale: Tensor,
    /// Queries, keys (both turned) and values: `[N, heads, T, width]`, keys and values once for each of their heads. What
    /// attention makes of them is computed again: little work beside the maps.
    pub(super) q: Tensor,
    pub(super) k: Tensor,
    pub(super) v: Tensor,
    /// `[M, hidden]`: with attention added.
    pub(super) middle: Tensor,
    pub(super) middle_scale: Tensor,
    /// `[M, intermediate]`.
    pub(super) gate: Tensor,
    pub(super) up: Tensor,
    /// In the order of [`Module::ALL`]: A times the input, scaled, `[M, r]`.
    pub(super) narrow: [Option<Tensor>; 7],
}

/// A map's output, and what its low-rank part had in its middle.
type Mapped = (Tensor, Option<Tensor>);

impl Pass<'_> {
    /// Token ids `[M]` to embeddings `[M, hidden]`.
    pub(super) fn embed(&self, tokens: &Tensor) -> Result<Tensor> {
        self.base.embedding.select(tokens)
    }

    /// `[M, hidden]` to `[M, hidden]`, through layer number `at`.
    pub(super) fn layer(&self, at: usize, layer: &Layer, x: Tensor) -> Result<(Tensor, Tape)> {
        let mut tape = self.tape(at, layer, x)?;
        let inner = tape.gate.f_silu().and_then(|mut g| g.f_mul_(&tape.up)).doing("the gate")?;
        let (mut down, narrow) = self.linear(at, layer, Module::Down, &inner)?;
        let [.., last] = &mut tape.narrow;
        *last = narrow;
        let above = down.f_add_(&tape.middle).doing("adding the feed-forward part")?;
        Ok((above, tape))
    }

    /// All but the last map of a layer: as much as the way back needs, unless that map has a low-rank part.
    fn tape(&self, at: usize, layer: &Layer, input: Tensor) -> Result<Tape> {
        let shape = self.base.shape();
        let (normal, input_scale) = self.norm(&input, &layer.before_attention)?;
        let heads = |(flat, narrow): Mapped, count: i64| {
            Ok((self.split_heads(&flat, count).doing("splitting heads")?, narrow))
        };
        let (q, q_narrow) = heads(self.linear(at, layer, Module::Q, &normal)?, shape.heads)?;
        let (k, k_narrow) = heads(self.linear(at, layer, Module::K, &normal)?, shape.kv_heads)?;
        let (v, v_narrow) = heads(self.linear(at, layer, Module::V, &normal)?, shape.kv_heads)?;
        drop(normal);
        let (q, k) = (self.rope.turn(&q)?, self.rope.turn(&k)?);
        let mix = || Self::mix(&q, &self.repeat(&k)?, &self.repeat(&v)?);
        let (mixed, _) = mix().doing("attention")?;
        let flat = self.join_heads(&mixed).doing("attention")?;
        let (mut out, o_narrow) = self.linear(at, layer, Module::O, &flat)?;
        drop((flat, mixed));
        let middle = out.f_add_(&input).doing("adding attention")?;
        let (normal, middle_scale) = self.norm(&middle, &layer.before_mlp)?;
        let (gate, gate_narrow) = self.linear(at, layer, Module::Gate, &normal)?;
        let (up, up_narrow) = self.linear(at, layer, Module::Up, &normal)?;
        let narrow = [q_narrow, k_narrow, v_narrow, o_narrow, gate_narrow, up_narrow, None];
        Ok(Tape { input, input_scale, q, k, v, middle, middle_scale, gate, up, narrow })
    }

    /// The tape of a layer that was passed before without keeping one.
    pub(super) fn again(&self, at: usize, layer: &Layer, x: Tensor) -> Result<Tape> {
        if self.adapters.is_some_and(|a| a.pair(at, Module::Down).is_some()) {
            return Ok(self.layer(at, layer, x)?.1);
        }
        self.tape(at, layer, x)
    }

    /// RMSNorm (Zhang, Sennrich, 2019): the output, and what it multiplied each row by, `[M, 1]`.
    pub(super) fn norm(&self, x: &Tensor, weight: &Tensor) -> Result<(Tensor, Tensor)> {
        let shape = self.base.shape();
        let normal = || {
            let mut scale = x.f_square()?.f_mean_dim(-1, true, None)?;
            let scale = scale.f_add_scalar_(shape.norm_eps)?.f_rsqrt_()?;
            Ok((x.f_mul(&scale)?.f_mul_(weight)?, scale))
        };
        normal().doing("RMSNorm")
    }

    /// `[N, heads, T, width]`, and the logarithms of attention's sums.
    pub(super) fn mix(q: &Tensor, k: &Tensor, v: &Tensor) -> Torch<(Tensor, Tensor)> {
        let none = None::<&Tensor>;
        Tensor::f_internal_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, true, none, None)
    }

    /// `[N, key heads, T, width]` to `[N, heads, T, width]`.
    pub(super) fn repeat(&self, x: &Tensor) -> Torch<Tensor> {
        let shape = self.base.shape();
        let times = shape.heads / shape.kv_heads;
        if times == 1 {
            return Ok(x.shallow_clone());
        }
        let wide = [self.rows.count, shape.kv_heads, times, self.rows.longest, shape.head_dim];
        let flat = [self.rows.count, shape.heads, self.rows.longest, shape.head_dim];
        x.f_unsqueeze(2)?.f_expand(wide, false)?.f_reshape(flat)
    }

    /// `[M, heads * width]` to `[N, heads, T, width]`.
    pub(super) fn split_heads(&self, x: &Tensor, heads: i64) -> Torch<Tensor> {
        let sizes = [self.rows.count, self.rows.longest, heads, self.base.shape().head_dim];
        self.rows.pad(x)?.f_view(sizes)?.f_transpose(1, 2)
    }

    /// `[N, heads, T, width]` to `[M, heads * width]`.
    pub(super) fn join_heads(&self, x: &Tensor) -> Torch<Tensor> {
        let flat = x.f_transpose(1, 2)?.f_reshape([self.rows.count * self.rows.longest, -1])?;
        self.rows.unpad(flat)
    }

    /// `[M, input]` to `[M, output]`. The rows stay in one matrix: a product of a frozen map with a tensor of three
    /// dimensions would become one small product a row.
    fn linear(&self, at: usize, layer: &Layer, module: Module, x: &Tensor) -> Result<Mapped> {
        let map = layer.linear(module)?;
        let weight = map.weight.f32()?;
        let product = || match module {
            // These stay in the tape.
            Module::O | Module::Gate | Module::Up | Module::Down if map.bias.is_none() => {
                let (_, output) = module.widths(self.base.shape());
                x.f_mm_out(&self.spare.take(output)?, &weight.f_transpose(0, 1)?)
            }
            _ => x.f_linear(&weight, map.bias.as_ref()),
        };
        let frozen = product().doing("a frozen linear map")?;
        drop(weight);
        let Some((adapters, pair)) = self.adapters.and_then(|a| Some((a, a.pair(at, module)?))) else {
            return Ok((frozen, None));
        };
        let input = self.kept(at, module, x)?;
        let low_rank = || {
            let mut narrow = self.rows.product(&input, &pair.a.f_transpose(1, 2)?)?;
            let narrow = narrow.f_mul_scalar_(adapters.scaling)?;
            self.rows.add_product(&frozen, &narrow, &pair.b.f_transpose(1, 2)?)?;
            Ok(narrow)
        };
        let narrow = low_rank().doing("a low-rank part")?;
        Ok((frozen, Some(narrow)))
    }

    /// A low-rank part's input: what dropout keeps of it.
    pub(super) fn kept(&self, at: usize, module: Module, x: &Tensor) -> Result<Tensor> {
        match self.mask(at, module)? {
            Some(mask) => x.f_mul(&mask).doing("dropout"),
            None => Ok(x.shallow_clone()),
        }
    }

    /// The mask of a low-rank part's input, `[M, width]`; the same on the way back.
    pub(super) fn mask(&self, at: usize, module: Module) -> Result<Option<Tensor>> {
        let Some(dropout) = self.dropout else { return Ok(None) };
        let (input, _) = module.widths(self.base.shape());
        dropout.mask(at, module, &self.rows.lengths, input).map(Some)
    }
}
