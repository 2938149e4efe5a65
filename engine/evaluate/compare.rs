//! One trial against another: which figures differ, by how much, and whether that can be chance.
//!
//! In: two reports with their rows. Out: one line for each figure that both have. A figure is a regression when it is worse and the interval
//! of the difference does not hold 0. It must not know what was changed between them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bootstrap;
use crate::report::Report;
use crate::table::UnitRow;

pub mod figures;

use figures::{Better, FIGURES};

/// A number that was written as JSON and read again may differ in its last digit.
const SLACK: f64 = 1e-9;

/// Against a baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The pipeline of the baseline.
    pub baseline: String,
    /// Its data set.
    pub dataset: String,
    /// Figures that both have.
    pub figures: Vec<Difference>,
}

/// One figure of two trials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Its name.
    pub figure: String,
    /// Here.
    pub value: f64,
    /// There.
    pub baseline: f64,
    /// Here less there.
    pub difference: f64,
    /// The 95 % interval of the difference, where rows of both are known.
    pub interval: Option<[f64; 2]>,
    /// True if the same units were measured, and drawn together.
    pub paired: bool,
    /// True if it is worse here, and not by chance. Without an interval: whether it is worse at all.
    pub regression: bool,
}

/// Compares two trials.
pub fn compare(ours: (&Report, &[UnitRow]), others: (&Report, &[UnitRow])) -> Comparison {
    let figure = |figure: &figures::Metric| {
        let (value, baseline) = ((figure.value)(ours.0)?, (figure.value)(others.0)?);
        let (here, there) = (figure.units(ours.1), figure.units(others.1));
        let ids = |units: &BTreeMap<String, Vec<f64>>| units.keys().cloned().collect::<Vec<_>>();
        let paired = !here.is_empty() && ids(&here) == ids(&there);
        let counts = |units: BTreeMap<String, Vec<f64>>| units.into_values().collect::<Vec<_>>();
        let interval = bootstrap::difference(&counts(here), &counts(there), paired, figure.of_sums);
        let worse = match figure.better {
            Better::Lower => interval.map_or(value - baseline > SLACK, |of| of.low > 0.0),
            Better::Higher => interval.map_or(baseline - value > SLACK, |of| of.high < 0.0),
        };
        Some(Difference {
            figure: figure.name.to_owned(),
            value,
            baseline,
            difference: value - baseline,
            interval: interval.map(|of| [of.low, of.high]),
            paired,
            regression: worse,
        })
    };
    Comparison {
        baseline: others.0.pipeline.clone(),
        dataset: others.0.dataset.clone(),
        figures: FIGURES.iter().filter_map(figure).collect(),
    }
}
