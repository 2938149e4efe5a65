//! The global adapter as this stage holds it: what it began with, and what has come back of each factor.
//!
//! In: changes since training began, named by the lengths of their tensors. Out: the whole adapter. An update lists all tensors of
//! the adapter in canonical order, A and B of each linear map; those that its round does not train have length 0. So the two
//! factors of alternate rounds are two shapes, whatever the widths of the model. It must not know rounds or devices.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_training::train::lora::{Factors, Layout, Site};

use super::job::Adapter;

/// The lengths of an update's tensors.
pub(super) type Tensors = Vec<u32>;

const KINDS: [Factors; 3] =
    [Factors { a: true, b: false }, Factors { a: false, b: true }, Factors { a: true, b: true }];

/// The lengths of the tensors that a round with these factors sends.
pub(super) fn tensors(layout: &Layout, factors: Factors) -> Tensors {
    let length = |trained: bool, range: &std::ops::Range<usize>| {
        if trained { u32::try_from(range.len()).unwrap_or(u32::MAX) } else { 0 }
    };
    let of_site = |site: &Site| [length(factors.a, &site.a), length(factors.b, &site.b)];
    layout.sites.iter().flat_map(of_site).collect()
}

/// The trained part of a whole adapter's change.
pub(super) fn trained(layout: &Layout, factors: Factors, whole: &[f32]) -> Vec<f32> {
    let matrices = layout.matrices(factors);
    matrices.iter().filter_map(|matrix| whole.get(matrix.range.clone())).flatten().copied().collect()
}

/// The newest global adapter.
pub(super) struct Global {
    start: Adapter,
    now: Adapter,
    /// By their tensors, the factors of a change.
    kinds: BTreeMap<Tensors, Factors>,
    /// The changes that came back, to be saved.
    changes: BTreeMap<Tensors, Vec<f32>>,
}

impl Global {
    pub(super) fn new(layout: &Layout, start: Vec<f32>) -> Global {
        let start = Arc::new(start);
        let kinds = KINDS.iter().map(|factors| (tensors(layout, *factors), *factors)).collect();
        Global { now: start.clone(), start, kinds, changes: BTreeMap::new() }
    }

    pub(super) fn now(&self) -> &Adapter {
        &self.now
    }

    pub(super) fn changes(&self) -> impl Iterator<Item = (&Tensors, &Vec<f32>)> {
        self.changes.iter()
    }

    /// Takes a change in. Gives what was expected instead, if it does not fit or holds a number that is none.
    pub(super) fn take(&mut self, layout: &Layout, tensors: Tensors, change: Vec<f32>) -> Result<(), String> {
        let Some(factors) = self.kinds.get(&tensors) else {
            return Err(format!("expected the {} tensors of this stage's adapter", layout.sites.len() * 2));
        };
        let matrices = layout.matrices(*factors);
        let length: usize = matrices.iter().map(|matrix| matrix.range.len()).sum();
        if change.len() != length {
            return Err(format!("{} parameters; expected {length}", change.len()));
        }
        if change.iter().any(|value| !value.is_finite()) {
            return Err("a parameter is not a finite number".into());
        }
        let mut now = Vec::clone(&self.now);
        let mut next = change.iter();
        for matrix in matrices {
            let start = self.start.get(matrix.range.clone()).unwrap_or_default();
            let into = now.get_mut(matrix.range).unwrap_or_default();
            for ((into, start), change) in into.iter_mut().zip(start).zip(next.by_ref()) {
                *into = start + change;
            }
        }
        self.now = Arc::new(now);
        self.changes.insert(tensors, change);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_training::train::lora::{Layers, LoraOptions, Targets};
    use headwater_training::train::shape::{Scaling, Shape};

    /// q and o of a model whose widths are all alike: A and B have the same length.
    fn layout() -> Layout {
        let shape = Shape {
            vocabulary: 9,
            hidden: 4,
            intermediate: 4,
            layers: 1,
            heads: 2,
            kv_heads: 2,
            head_dim: 2,
            norm_eps: 1e-5,
            rope_theta: 1e4,
            rope_scaling: Scaling::Default,
            tied: true,
            qkv_bias: false,
        };
        let targets = Targets::Names(vec!["q_proj".into(), "o_proj".into()]);
        let lora =
            LoraOptions { r: 1, alpha: 1.0, rslora: false, dropout: 0.0, targets, layers: Layers::All };
        Layout::new(&shape, &lora).unwrap()
    }

    #[test]
    fn two_factors_are_two_shapes_even_of_one_length() {
        let layout = layout();
        assert_eq!(tensors(&layout, KINDS[0]), [4, 0, 4, 0]);
        assert_eq!(tensors(&layout, KINDS[1]), [0, 4, 0, 4]);
        assert_eq!(tensors(&layout, KINDS[2]), [4, 4, 4, 4]);
    }

    #[test]
    fn changes_of_both_factors_add_to_the_start() {
        let layout = layout();
        let start: Vec<f32> = (0..16u8).map(f32::from).collect();
        let mut global = Global::new(&layout, start.clone());
        global.take(&layout, tensors(&layout, KINDS[1]), vec![0.5; 8]).unwrap();
        global.take(&layout, tensors(&layout, KINDS[0]), vec![0.25; 8]).unwrap();
        global.take(&layout, tensors(&layout, KINDS[1]), vec![1.5; 8]).unwrap();
        let expected: Vec<f32> =
            start.iter().zip(0..).map(|(v, at)| v + if at / 4 % 2 == 0 { 0.25 } else { 1.5 }).collect();
        assert_eq!(**global.now(), expected);
        let part = trained(&layout, KINDS[1], &expected);
        assert_eq!(part, [5.5, 6.5, 7.5, 8.5, 13.5, 14.5, 15.5, 16.5]);
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let layout = layout();
        let mut global = Global::new(&layout, vec![1.0; 16]);
        let b = || tensors(&layout, KINDS[1]);
        for (tensors, change, expected) in [
            (vec![4, 4], vec![0.0; 8], "expected the 4 tensors"),
            (b(), vec![0.0; 7], "7 parameters; expected 8"),
            (b(), vec![f32::NAN; 8], "not a finite number"),
        ] {
            let message = global.take(&layout, tensors, change).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
        assert_eq!(**global.now(), [1.0; 16]);
    }
}
