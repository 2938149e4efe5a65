//! The digest of a sink: SHA-256 over the canonical encoding of all its rows in `Sorted` order.
//!
//! In: batches from any worker in any order. Out: one digest, equal whatever the number of workers and however rows were
//! batched. Rows are hashed one by one, so that only their identity and 32 bytes are kept; nothing of their content is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::{RowId, StageError, digest};
use sha2::{Digest, Sha256};

use crate::cluster::wire::{Fields, put_len, put_text, put_u64};

/// The rows of a sink, as hashes.
#[derive(Debug, Default)]
pub struct SinkDigest {
    rows: Vec<(RowId, [u8; 32])>,
    names: BTreeSet<Arc<str>>,
}

impl SinkDigest {
    /// Adds rows.
    ///
    /// # Errors
    /// A batch without identity, or a column of a type that rows do not have.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), StageError> {
        let ids = IdentityColumns::of(batch)?;
        let mut encoded = Vec::new();
        for row in 0..ids.len() {
            encoded.clear();
            digest::encode_row(batch, row, &mut encoded)?;
            let id = ids.id(row);
            let id = RowId { device: self.name(id.device), source: self.name(id.source), ..id };
            self.rows.push((id, Sha256::digest(&encoded).into()));
        }
        Ok(())
    }

    /// One allocation for each device, not for each row.
    fn name(&mut self, name: Arc<str>) -> Arc<str> {
        if let Some(known) = self.names.get(&name) {
            known.clone()
        } else {
            self.names.insert(name.clone());
            name
        }
    }

    /// The rows' hashes as bytes, for another process (docs/formats/cluster.md).
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_len(&mut out, self.names.len());
        let numbers: BTreeMap<&str, u64> = self.names.iter().map(|name| &**name).zip(0..).collect();
        self.names.iter().for_each(|name| put_text(&mut out, name));
        put_len(&mut out, self.rows.len());
        for (id, hash) in &self.rows {
            for name in [&id.device, &id.source] {
                put_u64(&mut out, numbers.get(&**name).copied().unwrap_or(u64::MAX));
            }
            put_u64(&mut out, id.seq);
            out.extend_from_slice(&id.part.to_le_bytes());
            out.extend_from_slice(hash);
        }
        out
    }

    /// Adds the rows of another process; `None` when the bytes are none.
    pub(crate) fn merge(&mut self, bytes: &[u8]) -> Option<()> {
        let mut fields = Fields(bytes);
        let names = fields.list(|fields| fields.text().map(|name| self.name(name.into())))?;
        let rows = fields.list(|fields| {
            let mut name = || names.get(fields.index()?).cloned();
            let (device, source) = (name()?, name()?);
            Some((RowId { device, source, seq: fields.u64()?, part: fields.u32()? }, fields.array()?))
        })?;
        fields.end()?;
        self.rows.extend(rows);
        Some(())
    }

    /// The digest of all rows, in hexadecimal.
    pub fn finish(&mut self) -> String {
        self.rows.sort_unstable();
        let mut all = Sha256::new();
        for (_, hash) in &self.rows {
            all.update(hash);
        }
        digest::hex(&all.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_contract::conformance::text_rows;

    fn digest_of(batches: &[RecordBatch]) -> String {
        let mut digest = SinkDigest::default();
        batches.iter().for_each(|b| digest.add(b).unwrap());
        digest.finish()
    }

    #[test]
    fn batches_and_order_do_not_matter_but_content_does() {
        let rows = text_rows(&[("a", "one"), ("b", "two"), ("a", "three")]).unwrap();
        let whole = digest_of(std::slice::from_ref(&rows));
        assert_eq!(digest_of(&[rows.slice(2, 1), rows.slice(0, 2)]), whole);
        assert_ne!(digest_of(&[rows.slice(0, 2)]), whole);
        let other = text_rows(&[("a", "one"), ("b", "two"), ("a", "thrее")]).unwrap();
        assert_ne!(digest_of(&[other]), whole);
    }

    #[test]
    fn parts_of_processes_are_one_digest() {
        let rows = text_rows(&[("a", "one"), ("b", "two"), ("a", "three")]).unwrap();
        let whole = digest_of(std::slice::from_ref(&rows));
        let (mut home, mut other) = (SinkDigest::default(), SinkDigest::default());
        home.add(&rows.slice(1, 1)).unwrap();
        other.add(&rows.slice(0, 1)).unwrap();
        other.add(&rows.slice(2, 1)).unwrap();
        let part = other.encode();
        for cut in 0..part.len() {
            assert_eq!(SinkDigest::default().merge(&part[..cut]), None, "cut at {cut}");
        }
        assert_eq!(home.merge(&part), Some(()));
        assert_eq!(home.finish(), whole);
    }
}
