//! Adapters and examples of a group of devices in, each device's loss and gradient out, of ONE joined pass: the frozen
//! maps see all rows at once. Losses are normalised by device, over all batches of a step, so that a device's gradient
//! is what it would be alone. Knows no optimiser and no round.

use tch::{Tensor, no_grad};

use super::adapters::Adapters;
use super::base::Base;
use super::batch::{Example, JoinedBatch};
use super::dropout::Dropout;
use super::error::{Doing, Result};
use super::forward::Pass;
use super::head;
use super::lora::{Factors, Layout};
use super::prefix::{self, Prefix};
use super::rope::Rope;
use super::rules::narrow;

/// What all steps of a round share.
pub(super) struct Joined<'a> {
    pub(super) base: &'a Base,
    pub(super) layout: &'a Layout,
    /// Tokens whose logits exist at a time.
    pub(super) chunk: usize,
    /// Keep only each layer's input, and compute it again on the way back (Chen et al., 2016).
    pub(super) checkpoint: bool,
    /// Of each device.
    pub(super) examples: Vec<&'a [Example]>,
    pub(super) kept: Option<Prefix>,
}

/// For each device, the places of its examples in one batch.
pub(super) type Chosen = Vec<Vec<usize>>;

/// One device's part of a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gradient {
    /// Mean cross-entropy by weight, in nats; 0 where nothing is scored.
    pub(super) loss: f64,
    /// The sum of weights.
    pub(super) weight: f64,
    /// In canonical order.
    pub(super) flat: Vec<f32>,
}

/// Where a step's dropout is drawn: p, seed, keys of the devices, round, step.
pub(super) struct DropoutPlace<'a> {
    pub(super) p: f64,
    pub(super) seed: u64,
    pub(super) devices: &'a [u64],
    pub(super) round: u64,
    pub(super) step: u64,
}

impl Joined<'_> {
    /// Gradients of one step over `batches` (accumulated).
    pub(super) fn gradients(
        &mut self,
        batches: &[Chosen],
        flats: &[&[f32]],
        factors: Factors,
        dropout: &DropoutPlace<'_>,
    ) -> Result<Vec<Gradient>> {
        let weights = self.weights(batches, flats.len());
        let adapters = Adapters::new(self.layout, flats, Some(factors))?;
        let mut sums = vec![0.0; flats.len()];
        let mut first_row = 0;
        for chosen in batches {
            let Some(batch) = self.batch(chosen)? else { continue };
            let mask = Dropout::new(
                dropout.p,
                dropout.seed,
                dropout.devices,
                dropout.round,
                dropout.step,
                first_row,
            );
            first_row += (batch.rows / batch.devices.max(1)).unsigned_abs();
            let share = |(weight, device): (&f32, &usize)| {
                narrow(f64::from(*weight) / weights.get(*device).copied().unwrap_or(1.0))
            };
            let shares: Vec<f32> =
                batch.scored.weights.iter().zip(&batch.scored.devices).map(share).collect();
            self.pass(&batch, &adapters, mask.as_ref(), Some(&shares), &mut sums)?;
        }
        let flats = adapters.gradients(self.layout)?;
        let each = sums.into_iter().zip(weights).zip(flats);
        Ok(each.map(|((sum, weight), flat)| Gradient { loss: mean(sum, weight), weight, flat }).collect())
    }

    /// Each device's mean loss over `batches`, without dropout: (loss, weight).
    pub(super) fn losses(&mut self, batches: &[Chosen], flats: &[&[f32]]) -> Result<Vec<(f64, f64)>> {
        let weights = self.weights(batches, flats.len());
        let adapters = Adapters::new(self.layout, flats, None)?;
        let mut sums = vec![0.0; flats.len()];
        for chosen in batches {
            let Some(batch) = self.batch(chosen)? else { continue };
            self.pass(&batch, &adapters, None, None, &mut sums)?;
        }
        Ok(sums.into_iter().zip(weights).map(|(sum, weight)| (mean(sum, weight), weight)).collect())
    }

    fn batch(&self, chosen: &Chosen) -> Result<Option<JoinedBatch>> {
        let batch = JoinedBatch::new(&self.examples, chosen, self.base.shape().vocabulary)?;
        Ok(batch.filter(|batch| !batch.scored.places.is_empty()))
    }

    fn weights(&self, batches: &[Chosen], devices: usize) -> Vec<f64> {
        let of_device = |device: usize| {
            let places = batches.iter().filter_map(|chosen| chosen.get(device)).flatten();
            let found = places.filter_map(|at| self.examples.get(device)?.get(*at));
            found.map(Example::weight).sum()
        };
        (0..devices).map(of_device).collect()
    }

    /// One batch forward and, with `shares` (of each scored token in its device's loss), backward. Adds each device's
    /// weighted losses to `sums`.
    fn pass(
        &mut self,
        batch: &JoinedBatch,
        adapters: &Adapters,
        dropout: Option<&Dropout>,
        shares: Option<&[f32]>,
        sums: &mut [f64],
    ) -> Result<()> {
        let lowest = self.layout.lowest();
        let rope = &Rope::new(self.base.shape(), batch.length)?;
        let start = prefix::states(self.base, lowest, rope, batch, self.kept.as_mut())?;
        let (rows, length) = (batch.rows, batch.length);
        let pass = Pass { base: self.base, rows, length, rope, adapters: Some(adapters), dropout };
        let layers: Vec<_> = self.base.layers.iter().enumerate().skip(lowest).collect();
        let checkpoint = self.checkpoint && shares.is_some();

        let mut inputs = Vec::new();
        let mut forward = || {
            let mut x = start.shallow_clone();
            for (at, layer) in &layers {
                let above = pass.layer(*at, layer, &x)?;
                if checkpoint {
                    inputs.push(x);
                }
                x = above;
            }
            Ok(x)
        };
        let top = if checkpoint || shares.is_none() { no_grad(forward)? } else { forward()? };
        let top = if checkpoint { leaf(&top)? } else { top };

        let places = Tensor::f_from_slice(&batch.scored.places).doing("choosing scored tokens")?;
        let picked = top.f_index_select(0, &places).doing("choosing scored tokens")?;
        let states = pass.norm(&picked, &self.base.last_norm)?;
        let detached = states.f_detach().doing("the head")?;
        let scored = &batch.scored;
        let entropy = head::entropy(&self.base.head, &detached, &scored.targets, shares, self.chunk)?;
        let losses = entropy.losses.iter().zip(&scored.weights).zip(&scored.devices);
        for ((loss, weight), device) in losses {
            if let Some(sum) = sums.get_mut(*device) {
                *sum += f64::from(*loss) * f64::from(*weight);
            }
        }

        let Some(gradient) = entropy.gradient else { return Ok(()) };
        backward(&states, &gradient)?;
        if checkpoint {
            let mut gradient = top.f_grad().doing("going back from the head")?;
            for ((at, layer), input) in layers.into_iter().zip(inputs).rev() {
                let input = leaf(&input)?;
                backward(&pass.layer(at, layer, &input)?, &gradient)?;
                gradient = input.f_grad().doing("going back through a layer")?;
            }
        }
        Ok(())
    }
}

fn leaf(x: &Tensor) -> Result<Tensor> {
    x.f_detach().and_then(|x| x.f_set_requires_grad(true)).doing("cutting the graph")
}

/// Goes back from `output`, whose gradient is known: that of sum(output * gradient) is the same.
fn backward(output: &Tensor, gradient: &Tensor) -> Result<()> {
    let sum = output.f_mul(gradient).and_then(|product| product.f_sum(tch::Kind::Float));
    sum.and_then(|sum| sum.f_backward()).doing("going back")
}

fn mean(sum: f64, weight: f64) -> f64 {
    if weight > 0.0 { sum / weight } else { 0.0 }
}
