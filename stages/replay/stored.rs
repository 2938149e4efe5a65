//! Plays a store: the rows of all devices in the order in which they were captured. Of each device one batch is in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use headwater_contract::identity::IdentityColumns;
use headwater_contract::prelude::*;
use headwater_contract::units::Micros;
use headwater_vault::{StoreReader, widen};

use super::Place;
use super::pace::Pacer;
use crate::vault_error::of_vault;

/// Rows that come one behind the other: those of one device, or of the log.
struct RowStream<'s> {
    batches: Box<dyn Iterator<Item = headwater_vault::Result<RecordBatch>> + 's>,
    batch: RecordBatch,
    row: usize,
}

impl RowStream<'_> {
    /// When the next row was captured; nothing at the end.
    fn next_at(&mut self) -> Result<Option<Micros>> {
        while self.row >= self.batch.num_rows() {
            let Some(batch) = self.batches.next() else { return Ok(None) };
            (self.batch, self.row) = (batch.map_err(of_vault)?, 0);
        }
        Ok(Some(IdentityColumns::of(&self.batch)?.captured_at(self.row)))
    }

    /// The next rows up to a time, at least one.
    fn take(&mut self, until: Option<Micros>) -> Result<RecordBatch> {
        let ids = IdentityColumns::of(&self.batch)?;
        let fits = |row: &usize| until.is_none_or(|until| ids.captured_at(*row) <= until);
        let count = (self.row..ids.len()).take_while(fits).count().max(1);
        let rows = self.batch.slice(self.row, count.min(ids.len() - self.row));
        self.row += rows.num_rows();
        Ok(rows)
    }
}

/// Plays a store, but for as many wanted rows as were given before.
pub(super) fn play(store: &StoreReader, mut pacer: Pacer, from: Place, mut feed: Feed<'_>) -> Result {
    let schema = store.schema().map_err(of_vault)?;
    let mut strands = strands(store);
    let mut next = BinaryHeap::new();
    for (number, strand) in strands.iter_mut().enumerate() {
        next.extend(strand.next_at()?.map(|at| Reverse((at.0, number))));
    }
    let mut seen = 0_u64;
    while let Some(Reverse((_, number))) = next.pop() {
        let Some(strand) = strands.get_mut(number) else { continue };
        let others = next.peek().map(|Reverse((at, _))| Micros(*at));
        let rows = widen(&strand.take(others)?, &schema).map_err(of_vault)?;
        let wanted = pacer.choice().of(&rows)?;
        let (before, count) = (seen, wanted.num_rows() as u64);
        seen += count;
        let given = from.rows.saturating_sub(before).min(count);
        pacer.send(&wanted, given, |rows| Place { entries: 0, rows: before + rows }, &mut feed)?;
        next.extend(strand.next_at()?.map(|at| Reverse((at.0, number))));
    }
    Ok(())
}

fn strands(store: &StoreReader) -> Vec<RowStream<'_>> {
    let mut by_device: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for segment in store.segments() {
        by_device.entry(&segment.device).or_default().push(segment);
    }
    let strand = |batches: Box<dyn Iterator<Item = _>>| RowStream {
        batches,
        batch: RecordBatch::new_empty(Arc::new(Schema::empty())),
        row: 0,
    };
    let sealed = by_device.into_values().map(|segments| {
        let rows = segments.into_iter().flat_map(|segment| match store.read(segment) {
            Ok(rows) => Box::new(rows) as Box<dyn Iterator<Item = _>>,
            Err(error) => Box::new(std::iter::once(Err(error))),
        });
        strand(Box::new(rows))
    });
    let unsealed = store.unsealed().iter().cloned();
    let mut strands: Vec<_> = sealed.collect();
    strands.extend(unsealed.map(|batch| strand(Box::new(std::iter::once(Ok(batch))))));
    strands
}
