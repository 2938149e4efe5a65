//! The identities of stored rows. In: batches with the identity columns device, source, seq, part. Out: the
//! new rows among them. A row's memory is small: one bit where seqs are neighbours, 2 bytes where those of many devices alternate.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, UInt32Type, UInt64Type};
use roaring::RoaringTreemap;

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

/// The identities of many rows, as compressed sets of seqs. Names of devices and sources are kept once.
#[derive(Debug, Default)]
pub struct Identities {
    names: HashMap<String, usize>,
    streams: HashMap<(usize, usize, u32), RoaringTreemap>,
}

impl Identities {
    /// Adds the rows of a batch; returns the positions of new ones, in order. A row that is twice in the batch is
    /// new once.
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

    /// Adds the rows of a batch.
    pub fn add(&mut self, batch: &RecordBatch) -> Result {
        self.insert(&Columns::of(batch)?);
        Ok(())
    }

    /// Returns the positions of the rows of a batch that are unknown, in order. A row that is twice in it is new once.
    pub fn unknown(&self, batch: &RecordBatch) -> Result<Vec<u32>> {
        let columns = Columns::of(batch)?;
        let mut in_batch = Identities::default();
        let mut fresh = in_batch.insert(&columns);
        fresh.retain(|position| !self.contains(&columns, *position as usize));
        Ok(fresh)
    }

    /// Removes the rows of a device.
    pub fn forget(&mut self, device: &str) {
        if let Some(number) = self.names.get(device) {
            self.streams.retain(|(of, ..), _| of != number);
        }
    }

    fn contains(&self, columns: &Columns<'_>, row: usize) -> bool {
        let number = |name: &str| self.names.get(name).copied();
        let stream = || {
            let (device, source) = (number(columns.device.value(row))?, number(columns.source.value(row))?);
            self.streams.get(&(device, source, columns.part.value(row)))
        };
        stream().is_some_and(|stream| stream.contains(columns.seq.value(row)))
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
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use arrow::array::ArrayRef;
    use proptest::prelude::*;

    use super::*;

    fn batch(rows: &[(u8, u64, u32)]) -> RecordBatch {
        let text = |text: fn(u8) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| text(row.0))))
        };
        RecordBatch::try_from_iter([
            ("device", text(|n| format!("device-{n}"))),
            ("source", text(|n| if n % 2 == 0 { "mic".into() } else { "talk".into() })),
            ("seq", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.1))) as ArrayRef),
            ("part", Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.2))) as ArrayRef),
        ])
        .unwrap()
    }

    proptest! {
        #[test]
        fn identities_are_a_set(batches in proptest::collection::vec(proptest::collection::vec(
            (0u8..4, prop_oneof![0u64..40, Just(u64::MAX), Just(u64::MAX - 1)], 0u32..2), 0..20), 0..12)) {
            let (mut known, mut set) = (Identities::default(), BTreeSet::new());
            for rows in batches {
                let batch = batch(&rows);
                let expected: Vec<u32> =
                    (0u32..).zip(&rows).filter(|(_, row)| set.insert(**row)).map(|(position, _)| position).collect();
                prop_assert_eq!(known.unknown(&batch).unwrap(), expected.clone());
                prop_assert_eq!(known.insert(&Columns::of(&batch).unwrap()), expected);
                prop_assert!(known.unknown(&batch).unwrap().is_empty());
            }
            known.forget("device-2");
            let all: Vec<(u8, u64, u32)> = set.into_iter().collect();
            let gone = all.iter().filter(|row| row.0 == 2).count();
            prop_assert_eq!(known.unknown(&batch(&all)).unwrap().len(), gone);
        }
    }

    /// A million rows of one device need no more than their bits, and of forty that take turns less than three bytes each.
    #[test]
    fn identities_need_little_memory() {
        let check = |devices: u64, most: u64| {
            let mut streams: Vec<RoaringTreemap> = (0..devices).map(|_| RoaringTreemap::new()).collect();
            for n in 0..1_000_000 {
                let device = usize::try_from(n % devices).unwrap();
                streams[device].insert(n);
            }
            let bytes: u64 = streams.iter().map(|seqs| seqs.serialized_size() as u64).sum();
            assert!(bytes <= most, "{devices} devices: {bytes} bytes");
        };
        check(1, 140_000);
        check(40, 2_100_000);
    }
}
