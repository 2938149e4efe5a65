//! Ends of stages and sources for unit tests.
//!
//! In: what a stage emits, or what a source feeds. Out: the same, in public fields. It must not know any stage or the engine.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use crate::identity::RowId;
use crate::source::{EpochEnd, FeedSink, Position};
use crate::stage::{Emit, Port, Rejected};
use crate::state::{Change, StateTable};
use crate::units::Micros;

/// The output of a stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageOutput {
    /// Batches by port, in the order in which they were emitted.
    pub batches: BTreeMap<Port, Vec<RecordBatch>>,
    /// Code and reason of rejected rows, in order.
    pub rejections: Vec<(&'static str, String)>,
    /// The sum of each metric.
    pub metrics: BTreeMap<&'static str, u64>,
}

impl StageOutput {
    /// The batches of a port.
    pub fn of_port(&self, port: Port) -> &[RecordBatch] {
        self.batches.get(&port).map_or(&[], Vec::as_slice)
    }

    /// The sum of a metric; 0 if it was never counted.
    pub fn metric(&self, name: &str) -> u64 {
        self.metrics.get(name).copied().unwrap_or_default()
    }

    /// The codes of rejected rows, in order.
    pub fn codes(&self) -> Vec<&'static str> {
        self.rejections.iter().map(|(code, _)| *code).collect()
    }
}

impl Emit for StageOutput {
    fn emit(&mut self, port: Port, batch: RecordBatch) {
        self.batches.entry(port).or_default().push(batch);
    }
    fn reject(&mut self, rejected: Rejected) {
        self.rejections.push((rejected.code, rejected.reason));
    }
    fn count(&mut self, metric: &'static str, n: u64) {
        *self.metrics.entry(metric).or_default() += n;
    }
}

/// One item that a source fed.
#[derive(Clone, Debug)]
pub enum SourceItem {
    /// Rows.
    Batch(RecordBatch),
    /// A row that could not be made: its identity, the code and the reason.
    Rejection(RowId, &'static str, String),
    /// The end of an epoch.
    End(EpochEnd),
}

/// The output of a source.
#[derive(Debug, Default)]
pub struct SourceOutput {
    /// Items in the order in which they were fed.
    pub items: Vec<SourceItem>,
    /// The position behind each batch and each end of an epoch.
    pub positions: Vec<Position>,
    /// The notes of the source.
    pub remembered: StateTable,
    /// The sum of each metric.
    pub metrics: BTreeMap<&'static str, u64>,
    /// The number of positions after which the source is stopped; none to run it to its end.
    pub stop_after: Option<usize>,
}

impl FeedSink for SourceOutput {
    fn send(&mut self, batch: RecordBatch, position: Position) -> bool {
        self.items.push(SourceItem::Batch(batch));
        self.positions.push(position);
        self.stop_after.is_none_or(|limit| self.positions.len() < limit)
    }
    fn reject(&mut self, id: RowId, _: Micros, code: &'static str, reason: String) -> bool {
        self.items.push(SourceItem::Rejection(id, code, reason));
        true
    }
    fn close(&mut self, end: EpochEnd, position: Position) -> bool {
        self.items.push(SourceItem::End(end));
        self.positions.push(position);
        true
    }
    fn count(&mut self, metric: &'static str, n: u64) {
        *self.metrics.entry(metric).or_default() += n;
    }
    fn remember(&mut self, change: Change) -> bool {
        self.remembered.apply(vec![change]);
        true
    }
    fn committed(&self) -> Option<Position> {
        None
    }
}
