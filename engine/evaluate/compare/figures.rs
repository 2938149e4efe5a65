//! The figures that are given with an interval and compared with a baseline.
//!
//! In: rows of a table. Out: counts of units for each figure, and the figure of their sums.

use std::collections::BTreeMap;

use crate::bootstrap::{self, Figure};
use crate::report::Report;
use crate::score::redaction::f_beta;
use crate::table::{DEVICE_ROUND, UTTERANCE, UnitRow};

/// Which of two values is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The lower one.
    Lower,
    /// The higher one.
    Higher,
}

/// A figure that is known here.
pub struct Metric {
    /// Its name in the report.
    pub name: &'static str,
    /// The direction that is better.
    pub better: Better,
    /// The unit that it is counted over.
    unit: &'static str,
    /// The columns it is made of.
    columns: &'static [&'static str],
    /// The figure of their sums.
    pub of_sums: Figure,
    /// Its value in a report.
    pub value: fn(&Report) -> Option<f64>,
}

fn ratio(sums: &[f64]) -> Option<f64> {
    let [part, whole] = sums else { return None };
    (*whole > 0.0).then(|| part / whole)
}

fn perplexity(sums: &[f64]) -> Option<f64> {
    ratio(sums).map(f64::exp)
}

fn f2(sums: &[f64]) -> Option<f64> {
    let [hit, gold, right, found] = sums else { return None };
    let rate = |part: &f64, whole: &f64| (*whole > 0.0).then(|| part / whole);
    f_beta(rate(right, found), rate(hit, gold), 2.0)
}

/// All of them.
pub const FIGURES: &[Metric] = &[
    Metric {
        name: "transcription.wer",
        better: Better::Lower,
        unit: UTTERANCE,
        columns: &["word_errors", "words"],
        of_sums: ratio,
        value: |r| r.transcription.as_ref()?.wer,
    },
    Metric {
        name: "transcription.cer",
        better: Better::Lower,
        unit: UTTERANCE,
        columns: &["char_errors", "chars"],
        of_sums: ratio,
        value: |r| r.transcription.as_ref()?.cer,
    },
    Metric {
        name: "redaction.leaked_chars",
        better: Better::Lower,
        unit: UTTERANCE,
        columns: &["leaked_chars", "pii_chars"],
        of_sums: ratio,
        value: |r| r.redaction.as_ref()?.all.leaked_chars,
    },
    Metric {
        name: "redaction.over_masked_chars",
        better: Better::Lower,
        unit: UTTERANCE,
        columns: &["over_masked_chars", "text_chars"],
        of_sums: ratio,
        value: |r| r.redaction.as_ref()?.over_masked_chars,
    },
    Metric {
        name: "redaction.f2",
        better: Better::Higher,
        unit: UTTERANCE,
        columns: &["hit", "gold", "right", "found"],
        of_sums: f2,
        value: |r| r.redaction.as_ref()?.all.f2,
    },
    Metric {
        name: "language.global",
        better: Better::Lower,
        unit: DEVICE_ROUND,
        columns: &["nats_global", "global_tokens"],
        of_sums: perplexity,
        value: |r| r.language.as_ref()?.global,
    },
    Metric {
        name: "language.personal",
        better: Better::Lower,
        unit: DEVICE_ROUND,
        columns: &["nats_personal", "tokens"],
        of_sums: perplexity,
        value: |r| r.language.as_ref()?.personal,
    },
];

impl Metric {
    /// The counts of each unit: an utterance, or a device in the last round.
    pub fn units(&self, rows: &[UnitRow]) -> BTreeMap<String, Vec<f64>> {
        let of_unit = || rows.iter().filter(|row| row.unit == self.unit);
        let last = of_unit().filter_map(|row| row.get("round")).max_by(f64::total_cmp);
        let counts = |row: &UnitRow| {
            let counts: Option<Vec<f64>> = self.columns.iter().map(|column| row.get(column)).collect();
            let name = if self.unit == DEVICE_ROUND { &row.device } else { &row.id };
            Some((name.clone(), counts?))
        };
        of_unit().filter(|row| row.get("round") == last).filter_map(counts).collect()
    }
}

/// The intervals of all metrics that rows give.
pub fn intervals(rows: &[UnitRow]) -> BTreeMap<String, [f64; 2]> {
    let interval = |figure: &Metric| {
        let units: Vec<Vec<f64>> = figure.units(rows).into_values().collect();
        let of = bootstrap::interval(&units, figure.of_sums)?;
        Some((figure.name.to_owned(), [of.low, of.high]))
    };
    FIGURES.iter().filter_map(interval).collect()
}
