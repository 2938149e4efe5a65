//! A joined batch in, its hidden states below the lowest adapter out. That part is frozen: its output for an example is
//! the same in every pass, and may be kept for a round. Kept states are unencrypted memory, made from a device's text:
//! they are dropped with the round, and never touch a disk.

use std::collections::BTreeMap;

use tch::{Kind, Tensor, no_grad};

use super::base::Base;
use super::batch::JoinedBatch;
use super::error::{Doing, Result};
use super::forward::Pass;
use super::rope::Rope;
use super::spare::Spare;

/// What frozen layers said about examples, up to a limit of bytes; what is beyond it is computed again.
#[derive(Debug)]
pub(super) struct Prefix {
    /// `[tokens, hidden]` by (device, place among its examples).
    kept: BTreeMap<(usize, usize), Tensor>,
    bytes: usize,
    limit: usize,
}

impl Prefix {
    pub(super) fn new(limit: usize) -> Prefix {
        Prefix { kept: BTreeMap::new(), bytes: 0, limit }
    }

    fn states(&mut self, base: &Base, lowest: usize, rope: &Rope, batch: &JoinedBatch) -> Result<Tensor> {
        let hidden = base.shape().hidden;
        let (mut missing, mut places) = (Vec::new(), Vec::new());
        for (row, held) in (0i64..).zip(&batch.held) {
            if let Some((device, at, length)) = *held
                && !self.kept.contains_key(&(device, at))
            {
                missing.push(row);
                places.push((row, device, at, length));
            }
        }
        let sizes = [batch.rows, batch.length, hidden];
        let options = (Kind::Float, tch::Device::Cpu);
        let all = Tensor::f_zeros(sizes, options).doing("collecting kept states")?;
        let put = |row: i64, states: &Tensor| {
            let length = states.size().first().copied().unwrap_or(0);
            all.f_select(0, row)?.f_narrow(0, 0, length)?.f_copy_(states)
        };
        if !missing.is_empty() {
            let rows = missing.len() as i64;
            let picked = || {
                let table = batch.tokens.f_view([batch.rows, batch.length])?;
                table.f_index_select(0, &Tensor::f_from_slice(&missing)?)?.f_view([-1])
            };
            let tokens = picked().doing("choosing rows")?;
            let fresh = below(base, lowest, rope, &tokens, (rows, batch.length))?;
            let fresh = fresh.f_view([rows, batch.length, hidden]).doing("choosing rows")?;
            for (number, (row, device, at, length)) in (0i64..).zip(places) {
                let one = || fresh.f_select(0, number)?.f_narrow(0, 0, length)?.f_detach_copy();
                let one = one().doing("keeping states")?;
                put(row, &one).doing("keeping states")?;
                let size = one.numel() * size_of::<f32>();
                if self.bytes + size <= self.limit {
                    self.bytes += size;
                    self.kept.insert((device, at), one);
                }
            }
        }
        for (row, held) in (0i64..).zip(&batch.held) {
            let known = held.and_then(|(device, at, _)| self.kept.get(&(device, at)));
            if let (Some(states), false) = (known, missing.contains(&row)) {
                put(row, states).doing("collecting kept states")?;
            }
        }
        all.f_view([batch.rows * batch.length, hidden]).doing("collecting kept states")
    }
}

/// `[N * T, hidden]` below layer `lowest`, without any gradient.
pub(super) fn states(
    base: &Base,
    lowest: usize,
    rope: &Rope,
    batch: &JoinedBatch,
    kept: Option<&mut Prefix>,
) -> Result<Tensor> {
    match kept {
        Some(prefix) if lowest > 0 => no_grad(|| prefix.states(base, lowest, rope, batch)),
        _ => below(base, lowest, rope, &batch.tokens, (batch.rows, batch.length)),
    }
}

fn below(
    base: &Base,
    lowest: usize,
    rope: &Rope,
    tokens: &Tensor,
    (rows, length): (i64, i64),
) -> Result<Tensor> {
    let spare = &mut Spare::default();
    spare.of_rows(rows * length);
    let pass = Pass { base, rows, length, rope, adapters: None, dropout: None, spare };
    no_grad(|| {
        let mut x = pass.embed(tokens)?;
        for (at, layer) in base.layers.iter().enumerate().take(lowest) {
            (x, _) = pass.layer(at, layer, x)?;
        }
        Ok(x)
    })
}
