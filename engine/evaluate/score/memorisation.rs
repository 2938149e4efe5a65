//! The memorisation of planted secrets: exposures together, and by how often a secret was said.
//!
//! In: exposures of canaries to models. Out: the highest, which is the secret that is easiest to draw out, and means, which chance moves
//! less. It must not know how an exposure is measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::outcome::Exposure;

/// The exposure of planted secrets: 0 is worse than any other, `log2(compared)` better than all others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memorisation {
    /// The highest exposure to each model.
    #[serde(flatten)]
    pub highest: Exposures,
    /// The average exposure of a secret that no model has met.
    pub unknown: f64,
    /// Means over all canaries.
    #[serde(default)]
    pub mean: Exposures,
    /// Means over canaries that have in common how often they stand in the texts, and their group.
    #[serde(default)]
    pub by_copies: Vec<OfCopies>,
    /// Each secret and model.
    pub exposures: Vec<Exposure>,
}

/// Exposures to the three models, in bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Exposures {
    /// To the base.
    pub base: Option<f64>,
    /// To the global adapter.
    pub global: Option<f64>,
    /// To the own adapter of the device that said it.
    pub personal: Option<f64>,
}

/// Canaries that have something in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfCopies {
    /// The group that the manifest gives them.
    pub group: Option<String>,
    /// In how many rows each stands.
    pub copies: u64,
    /// The number of canaries.
    pub canaries: u64,
    /// Their means.
    pub mean: Exposures,
}

impl Exposures {
    fn of(exposures: &[&Exposure], sum_up: fn(&[f64]) -> Option<f64>) -> Exposures {
        let of = |wanted: &dyn Fn(&str) -> bool| {
            let bits: Vec<f64> = exposures.iter().filter(|e| wanted(&e.model)).map(|e| e.exposure).collect();
            sum_up(&bits)
        };
        Exposures {
            base: of(&|model| model == "base"),
            global: of(&|model| model == "global"),
            personal: of(&|model| model != "base" && model != "global"),
        }
    }
}

fn highest(bits: &[f64]) -> Option<f64> {
    bits.iter().copied().max_by(f64::total_cmp)
}

fn mean(bits: &[f64]) -> Option<f64> {
    (!bits.is_empty()).then(|| bits.iter().sum::<f64>() / bits.len() as f64)
}

/// The mean exposure over all ranks among so many.
fn unknown(compared: u64) -> f64 {
    let bits = (1..=compared).map(|rank| (compared as f64).log2() - (rank as f64).log2());
    if compared == 0 { 0.0 } else { bits.sum::<f64>() / compared as f64 }
}

/// All together; nothing where there is no exposure.
pub fn together(exposures: &[Exposure]) -> Option<Memorisation> {
    let compared = exposures.iter().map(|e| e.compared).max()?;
    let all: Vec<&Exposure> = exposures.iter().collect();
    let mut alike: BTreeMap<(Option<&str>, u64), Vec<&Exposure>> = BTreeMap::new();
    for exposure in exposures {
        alike.entry((exposure.group.as_deref(), exposure.copies)).or_default().push(exposure);
    }
    let of_copies = |((group, copies), exposures): ((Option<&str>, u64), Vec<&Exposure>)| {
        let canaries: std::collections::BTreeSet<usize> = exposures.iter().map(|e| e.canary).collect();
        OfCopies {
            group: group.map(str::to_owned),
            copies,
            canaries: canaries.len() as u64,
            mean: Exposures::of(&exposures, mean),
        }
    };
    Some(Memorisation {
        highest: Exposures::of(&all, highest),
        unknown: unknown(compared),
        mean: Exposures::of(&all, mean),
        by_copies: alike.into_iter().map(of_copies).collect(),
        exposures: exposures.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposures_are_put_together() {
        let of = |canary: usize, copies: u64, model: &str, rank: u64| Exposure {
            canary,
            group: (canary > 1).then(|| "seen".to_owned()),
            copies,
            model: model.into(),
            compared: 8,
            rank,
            exposure: 3.0 - (rank as f64).log2(),
        };
        let all = [
            of(0, 1, "base", 8),
            of(0, 1, "ann", 2),
            of(1, 1, "base", 4),
            of(1, 1, "bob", 1),
            of(2, 4, "global", 1),
        ];
        let m = together(&all).unwrap();
        assert_eq!(m.highest, Exposures { base: Some(1.0), global: Some(3.0), personal: Some(3.0) });
        assert_eq!(m.mean, Exposures { base: Some(0.5), global: Some(3.0), personal: Some(2.5) });
        let actual: Vec<_> =
            m.by_copies.iter().map(|c| (c.group.as_deref(), c.copies, c.canaries, c.mean.personal)).collect();
        assert_eq!(actual, [(None, 1, 2, Some(2.5)), (Some("seen"), 4, 1, None)]);
        assert!((m.unknown - 1.0875).abs() < 1e-3, "{}", m.unknown);
        assert_eq!(together(&[]), None);
    }
}
