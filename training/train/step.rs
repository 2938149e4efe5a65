//! Adapters and examples of a group of devices in, each device's loss and gradient out, of ONE joined pass: the frozen
//! maps see all rows at once. Losses are normalised by device, over all batches of a step, so that a device's gradient
//! is what it would be alone. Knows no optimiser and no round.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::adapters::Adapters;
use super::backward::{Flats, norm_back};
use super::base::Base;
use super::batch::{Example, JoinedBatch};
use super::dropout::Dropout;
use super::error::{ErrorContext, Result};
use super::forward::Pass;
use super::head;
use super::lora::{Factors, Layout};
use super::prefix::{self, Prefix};
use super::rope::Rope;
use super::rules::narrow;
use super::spare::Spare;

/// The context that all steps of a round share.
pub(super) struct JoinedPass<'a> {
    pub(super) base: &'a Base,
    pub(super) layout: &'a Layout,
    /// Tokens whose logits exist at a time.
    pub(super) chunk: usize,
    /// Keep only each layer's input, and compute it again on the way back (Chen et al., 2016).
    pub(super) checkpoint: bool,
    /// Tokens of a pass: what more devices would add is another pass.
    pub(super) tile: usize,
    /// Of each device.
    pub(super) examples: Vec<&'a [Example]>,
    pub(super) kept: Option<Prefix>,
    pub(super) spare: Spare,
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

/// Devices that are passed together: `first` and those after it.
struct Tile<'t> {
    first: usize,
    flats: &'t [&'t [f32]],
    adapters: Adapters,
}

/// The outputs of one pass besides losses.
struct PassRequest<'w> {
    dropout: Option<&'w Dropout>,
    /// Of each scored token in its device's loss.
    shares: &'w [f32],
    flats: Flats<'w>,
}

impl JoinedPass<'_> {
    /// Gradients of one step over `batches` (accumulated).
    pub(super) fn gradients(
        &mut self,
        batches: &[Chosen],
        flats: &[&[f32]],
        factors: Factors,
        dropout: &DropoutPlace<'_>,
    ) -> Result<Vec<Gradient>> {
        let weights = self.weights(batches, flats.len());
        let mut sums = vec![0.0; flats.len()];
        let mut gradients = vec![vec![0.0; self.layout.length]; flats.len()];
        for tile in self.tiles(batches, flats, Some(factors))? {
            let of_tile = tile.first..tile.first + tile.flats.len();
            let weights = weights.get(of_tile.clone()).unwrap_or_default();
            let devices = dropout.devices.get(of_tile.clone()).unwrap_or_default();
            for (number, chosen) in (0u64..).zip(batches) {
                let Some(batch) = self.batch(chosen, &of_tile)? else { continue };
                // Rows of a batch are counted from the same number whatever else is in it.
                let first_row = number << 32;
                let (p, seed, round, step) = (dropout.p, dropout.seed, dropout.round, dropout.step);
                let mask = Dropout::new(p, seed, devices, round, step, first_row);
                let share = |(weight, device): (&f32, &usize)| {
                    narrow(f64::from(*weight) / weights.get(*device).copied().unwrap_or(1.0))
                };
                let shares: Vec<f32> =
                    batch.scored.weights.iter().zip(&batch.scored.devices).map(share).collect();
                let flats = gradients.get_mut(of_tile.clone()).unwrap_or_default();
                let wanted = PassRequest { dropout: mask.as_ref(), shares: &shares, flats };
                let losses = self.pass(&batch, &tile.adapters, Some(wanted))?;
                let sums = sums.get_mut(of_tile.clone()).unwrap_or_default();
                add(sums, &batch.scored.devices, &losses);
            }
        }
        let each = sums.into_iter().zip(weights).zip(gradients);
        Ok(each.map(|((sum, weight), flat)| Gradient { loss: mean(sum, weight), weight, flat }).collect())
    }

    /// Each device's mean loss over `batches`, without dropout: (loss, weight).
    pub(super) fn losses(&mut self, batches: &[Chosen], flats: &[&[f32]]) -> Result<Vec<(f64, f64)>> {
        let weights = self.weights(batches, flats.len());
        let mut sums = vec![0.0; flats.len()];
        for tile in self.tiles(batches, flats, None)? {
            let of_tile = tile.first..tile.first + tile.flats.len();
            for chosen in batches {
                let Some(batch) = self.batch(chosen, &of_tile)? else { continue };
                let losses = self.pass(&batch, &tile.adapters, None)?;
                let sums = sums.get_mut(of_tile.clone()).unwrap_or_default();
                add(sums, &batch.scored.devices, &losses);
            }
        }
        Ok(sums.into_iter().zip(weights).map(|(sum, weight)| (mean(sum, weight), weight)).collect())
    }

    /// The loss of each example of a group of one device, summed by weight, without dropout: one adapter for all of them.
    pub(super) fn nats(&mut self, batches: &[Vec<usize>], flat: &[f32]) -> Result<Vec<f64>> {
        let adapters = Adapters::new(self.layout, &[flat], None)?;
        let mut nats = vec![0.0; self.examples.first().map_or(0, |examples| examples.len())];
        for places in batches {
            let Some(batch) = self.batch(&vec![places.clone()], &(0..1))? else { continue };
            let losses = self.pass(&batch, &adapters, None)?;
            let mut of_rows = vec![0.0; batch.held.len()];
            add(&mut of_rows, &batch.scored.rows, &losses);
            for ((_, at, _), sum) in batch.held.iter().zip(of_rows) {
                if let Some(nats) = nats.get_mut(*at) {
                    *nats += sum;
                }
            }
        }
        Ok(nats)
    }

    /// The group, cut into devices that are passed together.
    fn tiles<'t>(
        &self,
        batches: &[Chosen],
        flats: &'t [&'t [f32]],
        factors: Option<Factors>,
    ) -> Result<Vec<Tile<'t>>> {
        let tokens = |device: usize, at: &usize| Some(self.examples.get(device)?.get(*at)?.tokens.len());
        let of_device = |(device, places): (usize, &Vec<usize>)| {
            places.iter().filter_map(|at| tokens(device, at)).sum::<usize>()
        };
        let of_batch = |chosen: &Chosen| chosen.iter().enumerate().map(of_device).max().unwrap_or(0);
        let most = batches.iter().map(of_batch).max().unwrap_or(0);
        let devices = (self.tile / most.max(1)).clamp(1, flats.len().max(1));
        // As even as can be: 16 devices by 6 are 6, 5 and 5.
        let parts = flats.len().div_ceil(devices);
        let mut tiles = Vec::with_capacity(parts);
        for part in 0..parts {
            let (first, end) = (part * flats.len() / parts, (part + 1) * flats.len() / parts);
            let flats = flats.get(first..end).unwrap_or_default();
            tiles.push(Tile { first, flats, adapters: Adapters::new(self.layout, flats, factors)? });
        }
        Ok(tiles)
    }

    fn batch(&self, chosen: &Chosen, devices: &Range<usize>) -> Result<Option<JoinedBatch>> {
        let examples = self.examples.get(devices.clone()).unwrap_or_default();
        let chosen = chosen.get(devices.clone()).unwrap_or_default();
        JoinedBatch::new(examples, chosen, devices.start, self.base.shape().vocabulary)
    }

    fn weights(&self, batches: &[Chosen], devices: usize) -> Vec<f64> {
        let of_device = |device: usize| {
            let places = batches.iter().filter_map(|chosen| chosen.get(device)).flatten();
            let found = places.filter_map(|at| self.examples.get(device)?.get(*at));
            found.map(Example::weight).sum()
        };
        (0..devices).map(of_device).collect()
    }

    /// One batch forward and, where gradients are wanted, back. Returns the weighted loss of each scored token.
    fn pass(
        &mut self,
        batch: &JoinedBatch,
        adapters: &Adapters,
        wanted: Option<PassRequest<'_>>,
    ) -> Result<Vec<f64>> {
        let lowest = self.layout.lowest();
        let rows = &batch.rows;
        let rope = &Rope::new(self.base.shape(), rows.longest)?;
        let mut x = prefix::states(self.base, lowest, batch, self.kept.as_mut())?;
        let dropout = wanted.as_ref().and_then(|wanted| wanted.dropout);
        self.spare.of_rows(rows.tokens);
        let spare = &self.spare;
        let pass = Pass { base: self.base, rows, rope, adapters: Some(adapters), dropout, spare };
        let layers: Vec<_> = self.base.layers.iter().enumerate().skip(lowest).collect();
        let (mut tapes, mut inputs) = (Vec::new(), Vec::new());
        for (at, layer) in &layers {
            let (above, tape) = pass.layer(*at, layer, x)?;
            match (&wanted, self.checkpoint) {
                (Some(_), true) => inputs.push(tape.input),
                (Some(_), false) => tapes.push(tape),
                (None, _) => (),
            }
            x = above;
        }

        let scored = &batch.scored;
        let places = Tensor::f_from_slice(&scored.places).doing("choosing scored tokens")?;
        let picked = x.f_index_select(0, &places).doing("choosing scored tokens")?;
        drop(x);
        let norm = &self.base.last_norm;
        let (states, scale) = pass.norm(&picked, norm)?;
        let shares = wanted.as_ref().map(|wanted| wanted.shares);
        let entropy = head::entropy(&self.base.head, &states, &scored.targets, shares, self.chunk)?;
        drop(states);
        let each = entropy.losses.iter().zip(&scored.weights);
        let losses = each.map(|(loss, weight)| f64::from(*loss) * f64::from(*weight)).collect();

        let (Some(gradient), Some(wanted)) = (entropy.gradient, wanted) else { return Ok(losses) };
        let back = || {
            let mut of_picked = picked.f_zeros_like()?;
            norm_back(&picked, &scale, norm, gradient, &mut of_picked)?;
            let sizes = [rows.tokens, self.base.shape().hidden];
            let mut above = Tensor::f_zeros(sizes, (Kind::Float, Device::Cpu))?;
            above.f_index_copy_(0, &places, &of_picked)
        };
        let mut above = Some(back().doing("going back from the head")?);
        drop(picked);
        for (at, layer) in layers.into_iter().rev() {
            let Some(gradient) = above else { break };
            let tape = match inputs.pop() {
                Some(input) => Some(pass.again(at, layer, input)?),
                None => tapes.pop(),
            };
            let Some(tape) = tape else { break };
            above = pass.back((at, layer), tape, gradient, &mut *wanted.flats)?;
        }
        Ok(losses)
    }
}

/// Adds each loss to the sum of whose it is.
fn add(sums: &mut [f64], owners: &[usize], losses: &[f64]) {
    for (owner, loss) in owners.iter().zip(losses) {
        if let Some(sum) = sums.get_mut(*owner) {
            *sum += loss;
        }
    }
}

fn mean(sum: f64, weight: f64) -> f64 {
    if weight > 0.0 { sum / weight } else { 0.0 }
}
