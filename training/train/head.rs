//! Normalised hidden states of scored tokens in, cross-entropy of each and the gradient for the states out. The
//! vocabulary's logits exist for one chunk at a time, forward and backward: their gradient is known in closed form
//! (softmax minus one-hot), so nothing has to be kept for later. Knows no device.

use tch::{Kind, Tensor, no_grad};

use super::adapters::floats;
use super::error::{Doing, Result};
use super::stored::Weight;

pub(super) struct Entropy {
    /// Cross-entropy of each token, in nats.
    pub(super) losses: Vec<f32>,
    /// `[tokens, hidden]`: the gradient of the sum of losses times `factors`.
    pub(super) gradient: Option<Tensor>,
}

/// `states`: `[tokens, hidden]`; `head`: `[vocabulary, hidden]`; `chunk`: tokens at a time. With `factors`, one a
/// token, the gradient is computed too.
pub(super) fn entropy(
    head: &Weight,
    states: &Tensor,
    targets: &[i64],
    factors: Option<&[f32]>,
    chunk: usize,
) -> Result<Entropy> {
    let what = "the cross-entropy of a chunk";
    no_grad(|| {
        let head = &head.f32()?;
        let (mut losses, mut gradients) = (Vec::with_capacity(targets.len()), Vec::new());
        let mut start = 0;
        for (number, part) in targets.chunks(chunk.max(1)).enumerate() {
            let size = part.len() as i64;
            let index = Tensor::f_from_slice(part).and_then(|t| t.f_view([size, 1])).doing(what)?;
            let rows = states.f_narrow(0, start, size).doing(what)?;
            let logits = rows.f_linear(head, None::<&Tensor>).doing("the head's logits")?;
            let mut logs = logits.f_log_softmax(-1, Kind::Float).doing(what)?;
            drop(logits);
            let chosen = logs.f_gather(1, &index, false).and_then(|t| t.f_neg()).doing(what)?;
            losses.extend(floats(&chosen)?);
            if let Some(of_chunk) = factors.and_then(|f| f.chunks(chunk.max(1)).nth(number)) {
                let mut backward = || {
                    let scale = Tensor::f_from_slice(of_chunk)?.f_view([size, 1])?;
                    let mut error = logs.f_exp_()?;
                    let minus = Tensor::f_full([size, 1], -1.0, (Kind::Float, tch::Device::Cpu))?;
                    let _ = error.f_scatter_add_(1, &index, &minus)?;
                    let _ = error.f_mul_(&scale)?;
                    error.f_mm(head)
                };
                gradients.push(backward().doing("the gradient of the cross-entropy")?);
            }
            start += size;
        }
        let gradient = match factors {
            Some(_) if !gradients.is_empty() => Some(Tensor::f_cat(&gradients, 0).doing(what)?),
            _ => None,
        };
        Ok(Entropy { losses, gradient })
    })
}
