//! Which rows are already stored. In: batches with the identity columns device, source, seq, part. Out: which
//! of their rows are new. A row's memory is small: neighbouring seqs share one interval.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, AsArray, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, UInt32Type, UInt64Type};

use crate::{Error, Result};

/// The identity columns, in the order in which rows are sorted.
pub const COLUMNS: [&str; 4] = ["device", "source", "seq", "part"];

/// The identity columns of one batch.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    pub(crate) device: &'a StringArray,
    source: &'a StringArray,
    seq: &'a UInt64Array,
    part: &'a UInt32Array,
}

impl<'a> Columns<'a> {
    /// Finds and checks them: present, of the right type, without nulls.
    pub(crate) fn of(batch: &'a RecordBatch) -> Result<Columns<'a>> {
        let column = |name: &str, expected: DataType| {
            let array = batch
                .column_by_name(name)
                .ok_or_else(|| Error::BadRows(format!("the identity column `{name}` is missing")))?;
            if array.data_type() != &expected {
                let found = array.data_type();
                return Err(Error::BadRows(format!(
                    "the identity column `{name}` is {found}, not {expected}"
                )));
            }
            if array.null_count() > 0 {
                let row = (0..array.len()).find(|i| array.is_null(*i)).unwrap_or(0);
                return Err(Error::BadRows(format!("the identity column `{name}` is null in row {row}")));
            }
            Ok(array)
        };
        Ok(Columns {
            device: column("device", DataType::Utf8)?.as_string(),
            source: column("source", DataType::Utf8)?.as_string(),
            seq: column("seq", DataType::UInt64)?.as_primitive::<UInt64Type>(),
            part: column("part", DataType::UInt32)?.as_primitive::<UInt32Type>(),
        })
    }
}

/// A set of numbers as disjoint intervals: first -> last, both in it.
#[derive(Debug, Default)]
struct Intervals(BTreeMap<u64, u64>);

impl Intervals {
    /// Adds a number; `false` if it was there.
    fn insert(&mut self, n: u64) -> bool {
        let before = self.0.range(..=n).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| n <= last) {
            return false;
        }
        let first = before.filter(|(_, last)| last + 1 == n).map_or(n, |(first, _)| first);
        let last = n.checked_add(1).and_then(|next| self.0.remove(&next)).unwrap_or(n);
        self.0.insert(first, last);
        true
    }
}

/// The identities of all stored rows. Names of devices and sources are kept once.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    names: HashMap<String, usize>,
    streams: HashMap<(usize, usize, u32), Intervals>,
}

impl Identities {
    /// Takes the rows of a batch in; returns the positions of those that were not known, in order. A row that
    /// stands twice in the batch is new once.
    pub(crate) fn insert(&mut self, columns: &Columns<'_>) -> Vec<u32> {
        let mut fresh = Vec::new();
        for (row, position) in (0..columns.device.len()).zip(0u32..) {
            let device = self.name(columns.device.value(row));
            let source = self.name(columns.source.value(row));
            let stream = self.streams.entry((device, source, columns.part.value(row))).or_default();
            if stream.insert(columns.seq.value(row)) {
                fresh.push(position);
            }
        }
        fresh
    }

    fn name(&mut self, name: &str) -> usize {
        if let Some(number) = self.names.get(name) {
            return *number;
        }
        let number = self.names.len();
        self.names.insert(name.to_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn intervals_are_a_set(numbers in proptest::collection::vec(prop_oneof![0u64..40, Just(u64::MAX), Just(u64::MAX - 1)], 0..120)) {
            let (mut intervals, mut set) = (Intervals::default(), BTreeSet::new());
            for n in numbers {
                prop_assert_eq!(intervals.insert(n), set.insert(n), "{}", n);
            }
            let runs = set.iter().filter(|n| **n == 0 || !set.contains(&(**n - 1))).count();
            prop_assert_eq!(intervals.0.len(), runs, "neighbours share an interval");
        }
    }
}
