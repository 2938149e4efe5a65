//! Rows that were taken in behind a position, by their identities.
//!
//! In: the identities of rows and rejects of one source. Out: whether a row is among them. Runs of seq cost as much as one row, so that a
//! commit stays small. A device stands here by its hash alone: a commit keeps no name. It must not know where the rows went.

use std::collections::BTreeMap;

use headwater_contract::identity::IdentityColumns;
use headwater_contract::{RowId, hash};
use serde::{Deserialize, Serialize};

/// The identity of a row of one source: the hash of its device, its part and its seq.
pub(super) type Key = (u64, u32, u64);

/// A set of identities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Run>", into = "Vec<Run>")]
pub(super) struct RowKeySet {
    /// The last seq of each run, by the identity that it begins with. No run touches another.
    runs: BTreeMap<Key, u64>,
}

/// As a commit has it: the hash of the device, the part, the first seq and the last.
type Run = (u64, u32, u64, u64);

impl From<Vec<Run>> for RowKeySet {
    fn from(runs: Vec<Run>) -> Self {
        RowKeySet {
            runs: runs.into_iter().map(|(device, part, first, last)| ((device, part, first), last)).collect(),
        }
    }
}

impl From<RowKeySet> for Vec<Run> {
    fn from(row_keys: RowKeySet) -> Self {
        row_keys.runs.into_iter().map(|((device, part, first), last)| (device, part, first, last)).collect()
    }
}

/// The identities of rows, in their order.
pub(super) fn keys(ids: &IdentityColumns<'_>) -> Vec<Key> {
    let mut hashed = ("", hash::stable(b""));
    let key = |row| {
        let device = ids.device(row);
        if device != hashed.0 {
            hashed = (device, hash::stable(device.as_bytes()));
        }
        (hashed.1, ids.part(row), ids.seq(row))
    };
    (0..ids.len()).map(key).collect()
}

/// The identity of a reject.
pub(super) fn key(id: &RowId) -> Key {
    (hash::stable(id.device.as_bytes()), id.part, id.seq)
}

impl RowKeySet {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn insert(&mut self, key: Key) {
        let (device, part, seq) = key;
        if self.contains(key) {
            return;
        }
        let next = seq.checked_add(1).and_then(|next| self.runs.remove(&(device, part, next)));
        let last = next.unwrap_or(seq);
        match self.runs.range_mut(..=key).next_back() {
            Some((&(of, in_part, _), end))
                if (of, in_part) == (device, part) && end.checked_add(1) == Some(seq) =>
            {
                *end = last;
            }
            _ => drop(self.runs.insert(key, last)),
        }
    }

    /// Takes an identity out; whether it was there.
    pub(super) fn remove(&mut self, key: Key) -> bool {
        let (device, part, seq) = key;
        let Some((first, last)) = self.run(key) else { return false };
        self.runs.remove(&(device, part, first));
        if let Some(before) = seq.checked_sub(1).filter(|before| *before >= first) {
            self.runs.insert((device, part, first), before);
        }
        if let Some(after) = seq.checked_add(1).filter(|after| *after <= last) {
            self.runs.insert((device, part, after), last);
        }
        true
    }

    fn contains(&self, key: Key) -> bool {
        self.run(key).is_some()
    }

    /// The first and the last seq of the run that an identity is in.
    fn run(&self, key: Key) -> Option<(u64, u64)> {
        let (&(device, part, first), &last) = self.runs.range(..=key).next_back()?;
        ((device, part) == (key.0, key.1) && key.2 <= last).then_some((first, last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_run_costs_as_much_as_a_row() {
        let mut row_keys = RowKeySet::default();
        (0..1000).filter(|seq| *seq != 500).for_each(|seq| row_keys.insert((7, 0, seq)));
        row_keys.insert((7, 1, 500));
        row_keys.insert((7, 0, u64::MAX));
        assert_eq!(
            serde_json::to_string(&row_keys).unwrap(),
            format!("[[7,0,0,499],[7,0,501,999],[7,0,{0},{0}],[7,1,500,500]]", u64::MAX)
        );
        row_keys.insert((7, 0, 500));
        assert_eq!(Vec::<Run>::from(row_keys).len(), 3);
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((any::<bool>(), 0u64..3, 0u32..2, 0u64..12), 0..80)) {
            let (mut row_keys, mut model) = (RowKeySet::default(), BTreeSet::new());
            for (inserts, device, part, seq) in steps {
                let key = (device, part, seq);
                if inserts {
                    row_keys.insert(key);
                    model.insert(key);
                } else {
                    prop_assert_eq!(row_keys.remove(key), model.remove(&key));
                }
                prop_assert_eq!(row_keys.is_empty(), model.is_empty());
                let again: RowKeySet = serde_json::from_str(&serde_json::to_string(&row_keys).unwrap()).unwrap();
                prop_assert_eq!(&again, &row_keys);
            }
            let all = (0..3).flat_map(|device| (0..2).flat_map(move |part| (0..12).map(move |seq| (device, part, seq))));
            for key in all {
                prop_assert_eq!(row_keys.contains(key), model.contains(&key));
            }
        }
    }
}
