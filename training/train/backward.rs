//! The gradient of a layer's output and its tape in; gradients of the low-rank parts collected, and the gradient of the
//! layer's input out. The frozen maps need none of their own, so each is turned into f32 once more, used for one product
//! and let go of: no graph holds it. What is not needed below the lowest adapter is not computed.

use tch::Tensor;

use super::adapters::collect;
use super::base::Layer;
use super::error::{ErrorContext, Result};
use super::forward::{Pass, Tape, Torch};
use super::shape::Module;

/// Where gradients of the devices' adapters are summed.
pub(super) type Flats<'a> = &'a mut [Vec<f32>];

/// The inputs of the backward pass through one map.
struct MapBackward<'a> {
    at: usize,
    layer: &'a Layer,
    module: Module,
    /// A times the input, from the tape.
    narrow: Option<&'a Tensor>,
    /// The map's input, where A is trained.
    input: Option<&'a Tensor>,
}

impl Pass<'_> {
    /// `above` is the gradient of the layer's output, `[M, hidden]`. None comes back where no parameter stands below.
    pub(super) fn back(
        &self,
        (at, layer): (usize, &Layer),
        tape: Tape,
        mut above: Tensor,
        flats: Flats<'_>,
    ) -> Result<Option<Tensor>> {
        let Tape { input, input_scale, q, k, v, middle, middle_scale, gate, up, narrow } = tape;
        let [q_narrow, k_narrow, v_narrow, o_narrow, gate_narrow, up_narrow, down_narrow] = &narrow;
        let needs_input = |module| self.adapters.is_some_and(|a| a.factors.a && a.pair(at, module).is_some());
        let below = |module| self.adapters.is_some_and(|a| a.reach_below(at, module));
        let mut map = |module, narrow: &Option<Tensor>, input: &Option<Tensor>, gradient: &Tensor, sum| {
            let (narrow, input) = (narrow.as_ref(), input.as_ref());
            self.linear_back(&MapBackward { at, layer, module, narrow, input }, gradient, sum, &mut *flats)
        };

        let silu = gate.f_silu().doing("the gate, back")?;
        let inner = needs_input(Module::Down).then(|| silu.f_mul(&up)).transpose().doing("the gate, back")?;
        let Some(mut inner) = map(Module::Down, down_narrow, &inner, &above, None)? else {
            return Ok(None);
        };
        let to_up = inner.f_mul(&silu).doing("the gate, back")?;
        drop(silu);
        let to_gate =
            inner.f_mul_(&up).and_then(|inner| gate.f_silu_backward(&inner)).doing("the gate, back")?;
        self.spare.give([gate, up]);
        drop(inner);
        let wanted = needs_input(Module::Gate) || needs_input(Module::Up);
        let normal = normed(&middle, &middle_scale, &layer.before_mlp, wanted)?;
        let sum = map(Module::Gate, gate_narrow, &normal, &to_gate, None)?;
        drop(to_gate);
        let sum = map(Module::Up, up_narrow, &normal, &to_up, sum)?;
        drop((to_up, normal));
        let Some(sum) = sum else { return Ok(None) };
        norm_back(&middle, &middle_scale, &layer.before_mlp, sum, &mut above).doing("RMSNorm, back")?;
        self.spare.give([middle]);
        drop(middle_scale);

        let (k, v) = (self.repeat(&k).doing("keys, back")?, self.repeat(&v).doing("values, back")?);
        let (mixed, sums) = Self::mix(&q, &k, &v).doing("attention")?;
        let wanted = needs_input(Module::O).then(|| self.join_heads(&mixed));
        let flat = wanted.transpose().doing("attention, back")?;
        let Some(sum) = map(Module::O, o_narrow, &flat, &above, None)? else { return Ok(None) };
        drop(flat);
        let (to_q, to_k, to_v) = self.attention_back(&sum, (&q, &k, &v), &mixed, &sums)?;
        drop((sum, q, k, v, mixed, sums));
        let wanted = [Module::Q, Module::K, Module::V].into_iter().any(needs_input);
        let normal = normed(&input, &input_scale, &layer.before_attention, wanted)?;
        let sum = map(Module::Q, q_narrow, &normal, &to_q, None)?;
        let sum = map(Module::K, k_narrow, &normal, &to_k, sum)?;
        let sum = map(Module::V, v_narrow, &normal, &to_v, sum)?;
        drop(normal);
        let Some(sum) = sum.filter(|_| below(Module::Q)) else { return Ok(None) };
        norm_back(&input, &input_scale, &layer.before_attention, sum, &mut above).doing("RMSNorm, back")?;
        self.spare.give([input]);
        Ok(Some(above))
    }

    /// From the gradient of a map's output, that of its input, added to `sum`. None where it is not needed.
    fn linear_back(
        &self,
        map: &MapBackward<'_>,
        gradient: &Tensor,
        sum: Option<Tensor>,
        flats: Flats<'_>,
    ) -> Result<Option<Tensor>> {
        let Some(adapters) = self.adapters else { return Ok(None) };
        let asked = adapters.reach_below(map.at, map.module);
        let frozen = || {
            let weight = map.layer.linear(map.module)?.weight.f32()?;
            let sum = match sum {
                Some(mut sum) => sum.f_addmm_(gradient, &weight),
                None => gradient.f_mm(&weight),
            };
            sum.doing("a frozen linear map, back")
        };
        let sum = asked.then(frozen).transpose()?;
        let (Some(pair), Some(narrow)) = (adapters.pair(map.at, map.module), map.narrow) else {
            return Ok(sum);
        };
        let what = "a low-rank part, back";
        if adapters.factors.b {
            collect(flats, &pair.b_range, &self.rows.outer(gradient, narrow).doing(what)?)?;
        }
        if !adapters.factors.a && sum.is_none() {
            return Ok(sum);
        }
        let to_narrow = || self.rows.product(gradient, &pair.b)?.f_mul_scalar_(adapters.scaling);
        let to_narrow = to_narrow().doing(what)?;
        if let Some(input) = map.input.filter(|_| adapters.factors.a) {
            let input = self.kept(map.at, map.module, input)?;
            collect(flats, &pair.a_range, &self.rows.outer(&to_narrow, &input).doing(what)?)?;
        }
        if let Some(sum) = &sum {
            let mask = self.mask(map.at, map.module)?;
            let add = || match mask {
                Some(mask) => {
                    let back = self.rows.product(&to_narrow, &pair.a)?;
                    sum.shallow_clone().f_addcmul_(&back, &mask).map(drop)
                }
                None => self.rows.add_product(sum, &to_narrow, &pair.a),
            };
            add().doing(what)?;
        }
        Ok(sum)
    }

    /// Gradients of what the maps of queries, keys and values gave, each `[M, width]`.
    fn attention_back(
        &self,
        gradient: &Tensor,
        (q, k, v): (&Tensor, &Tensor, &Tensor),
        mixed: &Tensor,
        sums: &Tensor,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let shape = self.base.shape();
        let times = shape.heads / shape.kv_heads;
        let back = || {
            let gradient = self.split_heads(gradient, shape.heads)?;
            let none = None::<&Tensor>;
            Tensor::f_internal_scaled_dot_product_flash_attention_for_cpu_backward(
                &gradient, q, k, v, mixed, sums, 0.0, true, none, None,
            )
        };
        let (to_q, to_k, to_v) = back().doing("attention, back")?;
        // A head of keys served several of queries.
        let fold = |x: Tensor| {
            if times == 1 {
                return Ok(x);
            }
            let wide = [self.rows.count, shape.kv_heads, times, self.rows.longest, shape.head_dim];
            x.f_unflatten(1, &wide[1..3])?.f_sum_dim_intlist(2, false, None)
        };
        let (to_k, to_v) = (fold(to_k).doing("keys, back")?, fold(to_v).doing("values, back")?);
        let flat = |x: &Tensor| self.join_heads(x).doing("joining heads, back");
        Ok((flat(&self.rope.turn_back(&to_q)?)?, flat(&self.rope.turn_back(&to_k)?)?, flat(&to_v)?))
    }
}

/// Adds the gradient of RMSNorm's input to `sum`, from that of its output.
pub(super) fn norm_back(
    x: &Tensor,
    scale: &Tensor,
    weight: &Tensor,
    mut gradient: Tensor,
    sum: &mut Tensor,
) -> Torch<()> {
    let unit = x.f_mul(scale)?;
    let mut gradient = gradient.f_mul_(weight)?;
    let along = gradient.f_mul(&unit)?.f_mean_dim(-1, true, None)?.f_neg_()?;
    let _ = gradient.f_addcmul_(&unit, &along)?;
    let _ = sum.f_addcmul_(&gradient, scale)?;
    Ok(())
}

/// RMSNorm's output, from its tape; None where it is not needed.
fn normed(x: &Tensor, scale: &Tensor, weight: &Tensor, wanted: bool) -> Result<Option<Tensor>> {
    let normal = || x.f_mul(scale)?.f_mul_(weight);
    wanted.then(normal).transpose().doing("RMSNorm")
}
