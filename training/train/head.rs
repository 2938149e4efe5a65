//! Normalised hidden states of scored tokens in, cross-entropy of each and the gradient for the states out. The
//! vocabulary's logits exist for one chunk of tokens at a time, in one place: their gradient is known in closed form
//! (softmax minus one-hot) and takes it over, so nothing has to be kept for later. The head as f32 exists for one part of
//! the vocabulary at a time. Knows no device.

use tch::{Device, Kind, Tensor, no_grad};

use super::adapters::floats;
use super::error::{ErrorContext, Result};
use super::forward::Torch;
use super::stored::Weight;

pub(super) struct Entropy {
    /// Cross-entropy of each token, in nats.
    pub(super) losses: Vec<f32>,
    /// `[tokens, hidden]`: the gradient of the sum of losses times `factors`.
    pub(super) gradient: Option<Tensor>,
}

/// Logits whose softmax is computed at a time: they stay in a core's cache from one operation to the next.
const NEAR: i64 = 1 << 18;

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
        let chunk = chunk.clamp(1, targets.len().max(1));
        let (vocabulary, parts) = (head.rows(), head.parts());
        let all = Tensor::f_empty([chunk as i64, vocabulary], (Kind::Float, Device::Cpu)).doing(what)?;
        let gradient = factors.map(|_| states.f_zeros_like()).transpose().doing(what)?;
        let mut losses = Vec::with_capacity(targets.len());
        let (mut start, near) = (0, (NEAR / vocabulary.max(1)).max(1));
        for (number, targets) in targets.chunks(chunk).enumerate() {
            let size = targets.len() as i64;
            let narrow = |t: &Tensor, at, size| t.f_narrow(0, at, size).doing(what);
            let (logits, rows) = (narrow(&all, 0, size)?, narrow(states, start, size)?);
            for (first, count) in &parts {
                let part = head.part(*first, *count)?;
                let product =
                    || rows.f_mm_out(&logits.f_narrow(1, *first, *count)?, &part.f_transpose(0, 1)?);
                let _ = product().doing("the head's logits")?;
            }
            let factors = factors.and_then(|f| f.chunks(chunk).nth(number));
            let mut done = 0;
            for (number, targets) in targets.chunks(usize::try_from(near).unwrap_or(1)).enumerate() {
                let size = targets.len() as i64;
                let factors = factors.and_then(|f| f.chunks(usize::try_from(near).unwrap_or(1)).nth(number));
                let mut logits = narrow(&logits, done, size)?;
                losses.extend(floats(&softmax(&mut logits, targets, factors).doing(what)?)?);
                done += size;
            }
            if let Some(gradient) = &gradient {
                let mut gradient = narrow(gradient, start, size)?;
                for (first, count) in &parts {
                    let part = head.part(*first, *count)?;
                    let mut product = || gradient.f_addmm_(&logits.f_narrow(1, *first, *count)?, &part);
                    let _ = product().doing("the gradient of the cross-entropy")?;
                }
            }
            start += size;
        }
        Ok(Entropy { losses, gradient })
    })
}

/// Logits become their gradient where there are `factors`. Returns the cross-entropies.
fn softmax(logits: &mut Tensor, targets: &[i64], factors: Option<&[f32]>) -> Torch<Tensor> {
    let size = targets.len() as i64;
    let index = Tensor::f_from_slice(targets)?.f_view([size, 1])?;
    let logs = logits.f_log_softmax(-1, Kind::Float)?;
    let chosen = logs.f_gather(1, &index, false)?.f_neg()?;
    if let Some(factors) = factors {
        let scale = Tensor::f_from_slice(factors)?.f_view([size, 1])?;
        let minus = Tensor::f_full([size, 1], -1.0, (Kind::Float, Device::Cpu))?;
        let _ = logs.f_exp_out(logits)?;
        let _ = logits.f_scatter_add_(1, &index, &minus)?;
        let _ = logits.f_mul_(&scale)?;
    }
    Ok(chosen)
}
