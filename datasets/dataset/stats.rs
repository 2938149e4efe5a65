//! Statistics of a data set: rows, words, seconds, spans, by device and split.
//!
//! In: a data set. Out: counts. No text is kept.

use std::collections::BTreeMap;

use super::{Dataset, Row};

/// Counts over some rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Rows.
    pub rows: u64,
    /// Rows with a text.
    pub texts: u64,
    /// Words of their texts, between blanks.
    pub words: u64,
    /// Characters of their texts.
    pub chars: u64,
    /// Seconds of audio that the manifest states.
    pub seconds: f64,
    /// Spans and spoken values of personal data.
    pub spans: u64,
}

impl Counts {
    fn add(&mut self, row: &Row) {
        self.rows += 1;
        if let Some(text) = &row.text {
            self.texts += 1;
            self.words += text.split_whitespace().count() as u64;
            self.chars += text.chars().count() as u64;
        }
        self.seconds += row.seconds.unwrap_or_default();
        self.spans += (row.spans.as_ref().map_or(0, Vec::len) + row.entities.len()) as u64;
    }
}

/// Statistics of a data set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Of all rows.
    pub all: Counts,
    /// By device.
    pub devices: BTreeMap<String, Counts>,
    /// By split; rows without one under an empty name.
    pub splits: BTreeMap<String, Counts>,
    /// Spans and spoken values, by kind.
    pub kinds: BTreeMap<String, u64>,
}

impl Stats {
    /// Counts a data set.
    pub fn of(dataset: &Dataset) -> Stats {
        let mut stats = Stats::default();
        for row in &dataset.rows {
            stats.all.add(row);
            stats.devices.entry(row.device.clone()).or_default().add(row);
            stats.splits.entry(row.split.clone().unwrap_or_default()).or_default().add(row);
            let spans = row.spans.iter().flatten().map(|span| &span.kind);
            for kind in spans.chain(row.entities.iter().map(|entity| &entity.kind)) {
                *stats.kinds.entry(kind.to_lowercase()).or_default() += 1;
            }
        }
        stats
    }
}
