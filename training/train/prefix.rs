//! A joined batch in, its hidden states below the lowest adapter out. That part is frozen: its output for an example is
//! the same in every pass, and may be kept for a round. Kept states are unencrypted memory, made from a device's text:
//! they are dropped with the round, and never touch a disk.

use std::collections::BTreeMap;

use tch::{Tensor, no_grad};

use super::base::Base;
use super::batch::JoinedBatch;
use super::error::{ErrorContext, Result};
use super::forward::Pass;
use super::rope::Rope;
use super::rows::Rows;
use super::spare::Spare;

/// The outputs of frozen layers for examples, up to a limit of bytes; what is beyond it is computed again.
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

    fn states(&mut self, base: &Base, lowest: usize, batch: &JoinedBatch) -> Result<Tensor> {
        let what = "collecting kept states";
        let mut fresh = self.compute(base, lowest, batch)?;
        let mut all = Vec::with_capacity(batch.held.len());
        for (device, at, _) in &batch.held {
            let key = (*device, *at);
            if let Some(states) = fresh.remove(&key) {
                let size = states.numel() * size_of::<f32>();
                if self.bytes + size <= self.limit {
                    self.bytes += size;
                    self.kept.insert(key, states.shallow_clone());
                }
                all.push(states);
            } else if let Some(states) = self.kept.get(&key) {
                all.push(states.shallow_clone());
            }
        }
        Tensor::f_cat(&all, 0).doing(what)
    }

    /// The states of rows that are not kept, each in memory of its own.
    fn compute(
        &self,
        base: &Base,
        lowest: usize,
        batch: &JoinedBatch,
    ) -> Result<BTreeMap<(usize, usize), Tensor>> {
        let (mut tokens, mut missing, mut first) = (Vec::new(), Vec::new(), 0);
        for (device, at, length) in &batch.held {
            if !self.kept.contains_key(&(*device, *at)) {
                tokens.push(batch.tokens.f_narrow(0, first, *length).doing("choosing rows")?);
                missing.push((*device, *at, *length));
            }
            first += length;
        }
        if missing.is_empty() {
            return Ok(BTreeMap::new());
        }
        let tokens = Tensor::f_cat(&tokens, 0).doing("choosing rows")?;
        let rows = Rows::new(vec![missing.iter().map(|(.., length)| *length).collect()])?;
        let all = below(base, lowest, &tokens, &rows)?;
        let mut fresh = BTreeMap::new();
        let mut first = 0;
        for (device, at, length) in missing {
            let one = all.f_narrow(0, first, length).and_then(|one| one.f_detach_copy());
            fresh.insert((device, at), one.doing("keeping states")?);
            first += length;
        }
        Ok(fresh)
    }
}

/// `[M, hidden]` below layer `lowest`, without any gradient.
pub(super) fn states(
    base: &Base,
    lowest: usize,
    batch: &JoinedBatch,
    kept: Option<&mut Prefix>,
) -> Result<Tensor> {
    match kept {
        Some(prefix) if lowest > 0 => no_grad(|| prefix.states(base, lowest, batch)),
        _ => below(base, lowest, &batch.tokens, &batch.rows),
    }
}

fn below(base: &Base, lowest: usize, tokens: &Tensor, rows: &Rows) -> Result<Tensor> {
    let spare = &mut Spare::default();
    spare.of_rows(rows.tokens);
    let rope = &Rope::new(base.shape(), rows.longest)?;
    let pass = Pass { base, rows, rope, adapters: None, dropout: None, spare };
    no_grad(|| {
        let mut x = pass.embed(tokens)?;
        for (at, layer) in base.layers.iter().enumerate().take(lowest) {
            (x, _) = pass.layer(at, layer, x)?;
        }
        Ok(x)
    })
}
