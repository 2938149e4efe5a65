//! The selection of rows, and their time.
//!
//! Rows are chosen by their identity alone, and none overtakes another. At a pace, a row leaves when as much time has passed
//! since the first one as lay between their captures; rows that were captured earlier than one before them leave with it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::prelude::*;
use headwater_contract::units::Micros;

use super::{Place, Speed, columns};

/// Rows that are sent at once where no pace is kept: a frame of a recording may hold more.
const ROWS: usize = 4096;

/// The selection of rows.
pub(super) struct Choice {
    pub(super) since: Option<Micros>,
    pub(super) until: Option<Micros>,
    pub(super) devices: BTreeSet<String>,
}

impl Choice {
    /// Returns true if a row of this device, captured then, is wanted.
    pub(super) fn takes(&self, device: &str, at: Micros) -> bool {
        self.since.is_none_or(|since| at >= since)
            && self.until.is_none_or(|until| at < until)
            && (self.devices.is_empty() || self.devices.contains(device))
    }

    /// The rows that are wanted.
    pub(super) fn of(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let ids = IdentityColumns::of(rows)?;
        let wanted: Vec<bool> =
            (0..ids.len()).map(|row| self.takes(ids.device(row), ids.captured_at(row))).collect();
        if wanted.iter().all(|wanted| *wanted) {
            return Ok(rows.clone());
        }
        Ok(filter_record_batch(rows, &BooleanArray::from(wanted))?)
    }
}

/// Gives rows at a pace.
pub(super) struct Pacer {
    speed: Speed,
    choice: Choice,
    schema: SchemaRef,
    /// When the first row left, and when it was captured.
    begun: Option<(Instant, Micros)>,
}

impl Pacer {
    pub(super) fn new(speed: Speed, choice: Choice, schema: SchemaRef) -> Self {
        Pacer { speed, choice, schema, begun: None }
    }

    pub(super) fn choice(&self) -> &Choice {
        &self.choice
    }

    /// The columns that rows leave with.
    pub(super) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Sends the wanted rows of a batch but for the first `given` of them. `at(n)` is the place behind the n-th.
    pub(super) fn send(
        &mut self,
        rows: &RecordBatch,
        given: u64,
        at: impl Fn(u64) -> Place,
        feed: &mut Feed<'_>,
    ) -> Result {
        let rows = columns::project(&self.choice.of(rows)?, &self.schema)?;
        let mut from = usize::try_from(given).unwrap_or(usize::MAX).min(rows.num_rows());
        while from < rows.num_rows() {
            let count = self.wait_for(&rows.slice(from, rows.num_rows() - from), feed)?;
            let to = from + count;
            feed.send(rows.slice(from, count), at(to as u64).position())?;
            from = to;
        }
        Ok(())
    }

    /// Waits until the first of some rows may leave; how many may.
    fn wait_for(&mut self, rows: &RecordBatch, feed: &Feed<'_>) -> Result<usize> {
        let Speed::Times(speed) = self.speed else { return Ok(rows.num_rows().min(ROWS)) };
        let ids = IdentityColumns::of(rows)?;
        let first = ids.captured_at(0);
        let (begun, origin) = *self.begun.get_or_insert_with(|| (Instant::now(), first));
        feed.wait(due(first, origin, speed).saturating_sub(begun.elapsed()))?;
        let elapsed = begun.elapsed();
        let ready = (0..ids.len()).take_while(|row| due(ids.captured_at(*row), origin, speed) <= elapsed);
        Ok(ready.count().max(1))
    }
}

/// When a row may leave, from the first one on.
fn due(at: Micros, origin: Micros, speed: f64) -> Duration {
    let micros = at.0.saturating_sub(origin.0).max(0);
    Duration::try_from_secs_f64(micros as f64 / 1e6 / speed).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_due_by_their_captures() {
        let check = |at: i64, speed: f64, expected: u64| {
            let due = due(Micros(at), Micros(1_000_000), speed);
            assert_eq!(due, Duration::from_millis(expected), "{at} at {speed}");
        };
        check(1_000_000, 1.0, 0);
        check(3_500_000, 1.0, 2500);
        check(3_500_000, 10.0, 250);
        check(3_500_000, 0.5, 5000);
        check(0, 1.0, 0);
    }
}
