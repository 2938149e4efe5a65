//! The digest of a sink: a sum over its rows, in which neither their order nor who added them matters.
//!
//! In: batches from any worker in any order, sums of other processes and of earlier attempts. Out: one digest, equal whatever the number
//! of workers and however rows were batched, split into epochs or spread over attempts. It keeps 2 KiB, however many rows there were.
//!
//! It is LtHash: BLAKE3 of a row's canonical encoding, extended to 2 KiB, is added lane by lane to 1,024 sums of 16 bits. To find other
//! rows with the same sums is as hard as to find short vectors in a lattice. Rows of a sink have identities, so that none stands twice in
//! the sum: 65,536 equal ones would vanish from it.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, BinaryArray, RecordBatch};
use headwater_contract::units::Epoch;
use headwater_contract::{StageError, digest};
use sha2::{Digest, Sha256};

/// Sums of 16 bits.
const LANES: usize = 1024;
/// Bytes of all sums.
const BYTES: usize = 2 * LANES;
/// The column of a digest that is kept or on its way to the coordinator.
const COLUMN: &str = "sums";

/// The sum over the rows of a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkDigest(Box<[u16; LANES]>);

impl Default for SinkDigest {
    fn default() -> Self {
        SinkDigest(Box::new([0; LANES]))
    }
}

impl SinkDigest {
    /// The sum over some rows.
    ///
    /// # Errors
    /// A column of a type that rows do not have.
    pub fn of(batch: &RecordBatch) -> Result<Self, StageError> {
        let mut sum = SinkDigest::default();
        let (mut encoded, mut extended) = (Vec::new(), [0; BYTES]);
        for row in 0..batch.num_rows() {
            encoded.clear();
            digest::encode_row(batch, row, &mut encoded)?;
            blake3::Hasher::new().update(&encoded).finalize_xof().fill(&mut extended);
            sum.add_lanes(&extended);
        }
        Ok(sum)
    }

    /// Adds the rows of another sum.
    pub fn add(&mut self, other: &SinkDigest) {
        for (sum, lane) in self.0.iter_mut().zip(other.0.iter()) {
            *sum = sum.wrapping_add(*lane);
        }
    }

    fn add_lanes(&mut self, lanes: &[u8; BYTES]) {
        let (lanes, _) = lanes.as_chunks::<2>();
        for (sum, lane) in self.0.iter_mut().zip(lanes) {
            *sum = sum.wrapping_add(u16::from_le_bytes(*lane));
        }
    }

    /// Returns true if it is the sum over no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|lane| *lane == 0)
    }

    /// The sums as bytes, for another process (docs/formats/cluster.md).
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.0.iter().flat_map(|lane| lane.to_le_bytes()).collect()
    }

    /// The sums again; `None` when the bytes are none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut sum = SinkDigest::default();
        sum.add_lanes(bytes.try_into().ok()?);
        Some(sum)
    }

    /// The sums as a row of a state.
    pub(crate) fn to_row(&self) -> Result<RecordBatch, StageError> {
        let sums = BinaryArray::from_vec(vec![&self.encode()]);
        Ok(RecordBatch::try_from_iter([(COLUMN, std::sync::Arc::new(sums) as _)])?)
    }

    /// The sums of a row of a state.
    ///
    /// # Errors
    /// It is another row.
    pub(crate) fn of_row(row: &RecordBatch) -> Result<Self, StageError> {
        let sums = row.column_by_name(COLUMN).and_then(|column| column.as_binary_opt::<i32>());
        let sums = sums.filter(|sums| sums.len() == 1).and_then(|sums| SinkDigest::decode(sums.value(0)));
        sums.ok_or_else(|| {
            StageError::new("the digest of a sink in the state folder is of another version")
                .help("begin from scratch: run --fresh")
        })
    }

    /// The digest of all rows, in hexadecimal: SHA-256 of the sums.
    pub fn finish(&self) -> String {
        digest::hex(&Sha256::digest(self.encode()))
    }
}

/// The digest of a sink in the making: rows of epochs that are committed, and of later ones.
#[derive(Debug, Default)]
pub(crate) struct RunningDigest {
    /// On the coordinator: rows of all epochs up to the last commit, of earlier attempts too.
    committed: SinkDigest,
    /// Rows that arrived in this process, by epoch. Those of complete epochs between two commits stand together under the last of them.
    open: BTreeMap<Epoch, SinkDigest>,
}

impl RunningDigest {
    /// A digest that continues from what earlier attempts committed.
    pub(crate) fn from(committed: SinkDigest) -> Self {
        RunningDigest { committed, open: BTreeMap::new() }
    }

    /// Adds rows that arrived in an epoch.
    pub(crate) fn add(&mut self, epoch: Epoch, rows: &SinkDigest) {
        self.open.entry(epoch).or_default().add(rows);
    }

    /// Takes out what arrived here in epochs up to this one.
    pub(crate) fn take_up_to(&mut self, epoch: Epoch) -> SinkDigest {
        let later = self.open.split_off(&epoch.next());
        let mut taken = SinkDigest::default();
        std::mem::replace(&mut self.open, later).values().for_each(|sum| taken.add(sum));
        taken
    }

    /// Puts together what arrived in epochs below this one, none of which is committed alone.
    pub(crate) fn fold_below(&mut self, epoch: Epoch) {
        let Some(last) = epoch.0.checked_sub(1).map(Epoch) else { return };
        if self.open.range(..epoch).nth(1).is_some() {
            let together = self.take_up_to(last);
            self.open.insert(last, together);
        }
    }

    /// On the coordinator: rows of all processes are committed with an epoch. Gives the sum over all rows up to there.
    pub(crate) fn commit(&mut self, rows: &SinkDigest) -> &SinkDigest {
        self.committed.add(rows);
        &self.committed
    }

    /// The sum over all rows of epochs below this one; of all if there is none.
    pub(crate) fn below(&self, end: Option<Epoch>) -> SinkDigest {
        let mut all = self.committed.clone();
        let below = self.open.iter().filter(|(epoch, _)| end.is_none_or(|end| **epoch < end));
        below.for_each(|(_, sum)| all.add(sum));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_contract::conformance::text_rows;

    fn sum_of(batches: &[RecordBatch]) -> SinkDigest {
        let mut all = SinkDigest::default();
        batches.iter().for_each(|batch| all.add(&SinkDigest::of(batch).unwrap()));
        all
    }

    #[test]
    fn batches_and_order_do_not_matter_but_content_does() {
        let rows = text_rows(&[("a", "one"), ("b", "two"), ("a", "three")]).unwrap();
        let whole = sum_of(std::slice::from_ref(&rows));
        let check = |batches: &[RecordBatch], same: bool| {
            assert_eq!(sum_of(batches).finish() == whole.finish(), same, "{batches:?}");
        };
        check(&[rows.slice(2, 1), rows.slice(0, 2)], true);
        check(&[rows.slice(1, 1), rows.slice(0, 1), rows.slice(2, 1), rows.slice(0, 0)], true);
        check(&[rows.slice(0, 2)], false);
        check(&[rows.clone(), rows.slice(0, 1)], false);
        check(&[text_rows(&[("a", "one"), ("b", "two"), ("a", "thrее")]).unwrap()], false);
        check(&[text_rows(&[("a", "one"), ("b", "three"), ("a", "two")]).unwrap()], false);
        check(&[], false);
    }

    /// The promise: these sums are those of LtHash with 1,024 lanes of 16 bits over BLAKE3, and may not change.
    #[test]
    fn a_digest_is_what_it_was() {
        let rows = text_rows(&[("a", "one"), ("b", "two")]).unwrap();
        assert_eq!(
            sum_of(&[rows]).finish(),
            "4965eb6c68235b4219d54265e1245d614dc14c0c359fc6119cfee64ba0b6f48c"
        );
        let nothing = "e5a00aa9991ac8a5ee3109844d84a55583bd20572ad3ffcd42792f3c36b183ad";
        assert_eq!(SinkDigest::default().finish(), nothing, "SHA-256 of 2,048 zeros");
    }

    #[test]
    fn sums_travel_and_are_kept() {
        let rows = text_rows(&[("a", "one"), ("b", "two"), ("a", "three")]).unwrap();
        let sum = SinkDigest::of(&rows).unwrap();
        let bytes = sum.encode();
        assert_eq!((bytes.len(), SinkDigest::decode(&bytes).as_ref()), (BYTES, Some(&sum)));
        for wrong in [&bytes[..BYTES - 1], &[], &[bytes.as_slice(), &[0]].concat()] {
            assert_eq!(SinkDigest::decode(wrong), None, "{} bytes", wrong.len());
        }
        assert_eq!(SinkDigest::of_row(&sum.to_row().unwrap()).unwrap(), sum);
        assert!(SinkDigest::of_row(&rows).unwrap_err().to_string().contains("--fresh"));
    }

    #[test]
    fn what_is_committed_is_what_came_up_to_there() {
        let rows = text_rows(&[("a", "one"), ("b", "two"), ("a", "three"), ("c", "four")]).unwrap();
        let sum = |rows: &[RecordBatch]| sum_of(rows);
        let of = |row: usize| sum(&[rows.slice(row, 1)]);
        let mut here = RunningDigest::from(of(0));
        for (epoch, row) in [(5, 1), (7, 3), (6, 2)] {
            here.add(Epoch(epoch), &of(row));
        }
        assert_eq!(here.below(None), sum(std::slice::from_ref(&rows)));
        assert_eq!(here.below(Some(Epoch(6))), sum(&[rows.slice(0, 2)]));
        here.fold_below(Epoch(7));
        assert_eq!(here.open.len(), 2, "complete epochs stand together");
        let taken = here.take_up_to(Epoch(6));
        assert_eq!(taken, sum(&[rows.slice(1, 2)]));
        assert_eq!(*here.commit(&taken), sum(&[rows.slice(0, 3)]));
        assert!(here.take_up_to(Epoch(6)).is_empty());
        assert_eq!(here.below(None), sum(&[rows]));
    }
}
