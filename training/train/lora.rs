//! Options and a shape in, the layout of an adapter out: which linear maps get a low-rank part, and where each of its
//! parameters stands in one flat vector. Knows no tensor library.
//!
//! **Canonical order.** By layer, ascending; in a layer q, k, v, o, gate, up, down (those chosen); of each first
//! A `[r, input]`, then B `[output, r]`, both by rows. An adapter is a vector of f32 in this order, and an update is the
//! difference of two. LoRA: Hu et al., 2021: y = W x + scaling * B A x.

use std::ops::Range;

use super::chance::{Chance, Purpose};
use super::error::{Result, TrainError};
use super::shape::{Module, Shape};
use super::targets;

/// The linear maps that get a low-rank part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// All of every layer; never the head.
    AllLinear,
    /// Full names or their endings ("q_proj", "self_attn.q_proj", "model.layers.3.mlp.up_proj").
    Names(Vec<String>),
}

/// The layers that get low-rank parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layers {
    /// Every layer.
    All,
    /// The last so many.
    Top(usize),
}

/// The factors that are trained by round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// B in even rounds, A in odd ones (Chen et al.: RoLoRA, 2024): a mean of updates is the update of the mean. While B is zero, B in
    /// all: A has no gradient then, and the round would be lost.
    RoLora,
    /// B alone; A stays as it was drawn (Sun et al.: FFA-LoRA, 2024).
    Ffa,
    /// A and B in every round (Zhang et al.: FedIT, 2023).
    Both,
}

/// The factors that a round trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factors {
    /// True if A is trained.
    pub a: bool,
    /// True if B is trained.
    pub b: bool,
}

impl Method {
    /// The factors that round number `round` (from 0) trains; `untrained` where it begins with an adapter whose B is zero.
    pub fn factors(self, round: u64, untrained: bool) -> Factors {
        match self {
            Method::RoLora => {
                let a = round % 2 == 1 && !untrained;
                Factors { a, b: !a }
            }
            Method::Ffa => Factors { a: false, b: true },
            Method::Both => Factors { a: true, b: true },
        }
    }
}

/// An adapter's options.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraOptions {
    /// The rank.
    pub r: i64,
    /// The low-rank part is multiplied by alpha / r.
    pub alpha: f64,
    /// By alpha / sqrt(r) instead (Kalajdzievski: rsLoRA, 2023).
    pub rslora: bool,
    /// The probability that an element of a low-rank part's input is dropped in training.
    pub dropout: f64,
    /// See [`Targets`].
    pub targets: Targets,
    /// See [`Layers`].
    pub layers: Layers,
}

/// One linear map with a low-rank part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Its layer, from 0.
    pub layer: usize,
    /// The map.
    pub module: Module,
    /// Width of its input: columns of A.
    pub input: usize,
    /// Width of its output: rows of B.
    pub output: usize,
    /// Where A stands.
    pub a: Range<usize>,
    /// Where B stands.
    pub b: Range<usize>,
}

/// Where each parameter of an adapter stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// In canonical order.
    pub sites: Vec<Site>,
    /// The rank.
    pub rank: usize,
    /// The factor of the low-rank part.
    pub scaling: f64,
    /// The probability that an element of a low-rank part's input is dropped in training.
    pub dropout: f64,
    /// Parameters of an adapter.
    pub length: usize,
}

/// A matrix of an adapter, as optimisers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// Where it stands.
    pub range: Range<usize>,
    /// Its rows.
    pub rows: usize,
    /// Its columns.
    pub columns: usize,
}

impl Layout {
    /// Returns true if every B of an adapter is zero: it changes nothing of the base, and its A has no gradient.
    pub fn is_untrained(&self, adapter: &[f32]) -> bool {
        let zero = |site: &Site| adapter.get(site.b.clone()).is_some_and(|b| b.iter().all(|v| *v == 0.0));
        self.sites.iter().all(zero)
    }

    /// Refuses options that do not fit the model.
    pub fn new(shape: &Shape, options: &LoraOptions) -> Result<Layout> {
        let rank = usize::try_from(options.r).ok().filter(|r| (1..=4096).contains(r));
        let rank = rank.ok_or_else(|| TrainError::value("r", options.r, "1 to 4096"))?;
        if !(options.alpha > 0.0 && options.alpha.is_finite()) {
            return Err(TrainError::value("alpha", options.alpha, "a number above 0"));
        }
        if !(0.0..1.0).contains(&options.dropout) {
            return Err(TrainError::value("dropout", options.dropout, "0 or more and below 1"));
        }
        let root = if options.rslora { (rank as f64).sqrt() } else { rank as f64 };
        let mut sites = Vec::new();
        let mut length = 0;
        for (layer, module) in targets::chosen(shape, options)? {
            let width = |w: i64| usize::try_from(w).map_err(|_| TrainError::value("a width", w, "0 or more"));
            let (input, output) = module.widths(shape);
            let (input, output) = (width(input)?, width(output)?);
            let a = length..length + rank * input;
            let b = a.end..a.end + output * rank;
            length = b.end;
            sites.push(Site { layer, module, input, output, a, b });
        }
        Ok(Layout { sites, rank, scaling: options.alpha / root, dropout: options.dropout, length })
    }

    /// The lowest layer with a low-rank part: what lies below it is frozen.
    pub fn lowest(&self) -> usize {
        self.sites.first().map_or(0, |site| site.layer)
    }

    /// The matrices that a round trains, in canonical order.
    pub fn matrices(&self, factors: Factors) -> Vec<Matrix> {
        let of_site = |site: &Site| {
            let a = Matrix { range: site.a.clone(), rows: self.rank, columns: site.input };
            let b = Matrix { range: site.b.clone(), rows: site.output, columns: self.rank };
            [factors.a.then_some(a), factors.b.then_some(b)]
        };
        self.sites.iter().flat_map(of_site).flatten().collect()
    }

    /// A new adapter, as PEFT starts one: B is zero, A Kaiming-uniform with a = sqrt(5) (He et al., 2015), which is
    /// uniform between -1 / sqrt(input) and 1 / sqrt(input). Depends on (seed, layer, map) alone: the same layer of
    /// another layout starts with the same numbers. Not the numbers that PyTorch's generator would draw.
    pub fn init(&self, seed: u64) -> Vec<f32> {
        let mut flat = vec![0.0; self.length];
        for site in &self.sites {
            let chance = Chance::new(Purpose::Init, &[seed, site.layer as u64, site.module as u64]);
            let bound = 1.0 / (site.input as f64).sqrt();
            for (index, value) in (0u64..).zip(flat.get_mut(site.a.clone()).unwrap_or_default()) {
                *value = narrow(bound * (2.0 * chance.uniform(index) - 1.0));
            }
        }
        flat
    }

    /// Refuses a vector of another length.
    pub fn check(&self, what: &str, found: usize) -> Result<()> {
        if found == self.length {
            return Ok(());
        }
        Err(TrainError::value(format!("the number of parameters of {what}"), found, self.length.to_string()))
    }
}

#[allow(clippy::cast_possible_truncation)]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape {
            vocabulary: 50,
            hidden: 16,
            intermediate: 24,
            layers: 3,
            heads: 4,
            kv_heads: 2,
            head_dim: 4,
            norm_eps: 1e-5,
            rope_theta: 1e4,
            rope_scaling: super::super::shape::Scaling::Default,
            tied: true,
            qkv_bias: false,
        }
    }

    fn options() -> LoraOptions {
        LoraOptions {
            r: 2,
            alpha: 8.0,
            rslora: false,
            dropout: 0.0,
            targets: Targets::AllLinear,
            layers: Layers::All,
        }
    }

    #[test]
    fn every_parameter_has_one_place_in_canonical_order() {
        let layout = Layout::new(&shape(), &options()).unwrap();
        let mut next = 0;
        for site in &layout.sites {
            assert_eq!((site.a.start, site.a.len()), (next, 2 * site.input));
            assert_eq!((site.b.start, site.b.len()), (site.a.end, site.output * 2));
            next = site.b.end;
        }
        assert_eq!(layout.length, next);
        assert!(layout.sites.is_sorted_by_key(|site| (site.layer, site.module)));
        assert_eq!(layout.scaling, 4.0);
    }

    #[test]
    fn a_start_is_that_of_peft_and_depends_on_its_place_alone() {
        let all = Layout::new(&shape(), &options()).unwrap();
        let top = Layout::new(&shape(), &LoraOptions { layers: Layers::Top(1), ..options() }).unwrap();
        let (flat, part) = (all.init(7), top.init(7));
        assert_ne!(flat, all.init(8));
        for site in &all.sites {
            let bound = 1.0 / (site.input as f32).sqrt();
            assert!(flat[site.a.clone()].iter().all(|v| v.abs() <= bound));
            assert!(flat[site.a.clone()].iter().any(|v| v.abs() > bound / 2.0));
            assert!(flat[site.b.clone()].iter().all(|v| *v == 0.0));
        }
        assert_eq!(flat[all.sites[14].a.start..], part[..]);
    }

    #[test]
    fn wrong_options_are_refused_with_what_they_may_be() {
        let names = |name: &str| Targets::Names(vec![name.into()]);
        for (wrong, expected) in [
            (LoraOptions { r: 0, ..options() }, "r is 0; expected 1 to 4096"),
            (LoraOptions { alpha: f64::NAN, ..options() }, "alpha is NaN; expected a number above 0"),
            (LoraOptions { dropout: 1.0, ..options() }, "dropout is 1; expected 0 or more and below 1"),
            (LoraOptions { layers: Layers::Top(4), ..options() }, "layers is top:4; expected top:1 to top:3"),
            (
                LoraOptions { targets: names("query"), ..options() },
                "target_modules is \"query\", which names nothing",
            ),
        ] {
            let found = Layout::new(&shape(), &wrong).unwrap_err().to_string();
            assert!(found.starts_with(expected), "{found}");
        }
    }
}
