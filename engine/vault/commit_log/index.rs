//! The places of the live rows of each table. In: the parts of frames, in their order. Out: a place for each key. It must not
//! know files.

use std::collections::BTreeMap;

use super::content::Content;
use crate::frames::{Owner, Part};
use crate::log_files::Place;

/// The place of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) place: Place,
    /// The number of its part in the frame, and its own in the part.
    pub(super) part: usize,
    pub(super) in_part: usize,
    pub(super) owner: Owner,
    /// Its share of its part's bytes.
    bytes: u64,
}

/// The tables, without their rows.
#[derive(Default)]
pub(super) struct Index {
    pub(super) note: Option<Vec<u8>>,
    pub(super) tables: BTreeMap<String, BTreeMap<Vec<u8>, Row>>,
    row_bytes: u64,
}

impl Index {
    /// Approximate bytes of the live rows and the note.
    pub(super) fn live_bytes(&self) -> u64 {
        self.row_bytes + self.note.as_ref().map_or(0, |note| note.len() as u64)
    }

    /// Applies the parts of a frame in order, each with its number and bytes. Returns `None` if one is not a valid content.
    pub(super) fn apply<'p>(
        &mut self,
        place: Place,
        parts: impl Iterator<Item = (usize, &'p Part, u64)>,
    ) -> Option<()> {
        for (part, Part { owner, plain }, bytes) in parts {
            match Content::decode(plain)? {
                Content::Note(note) => self.note = Some(note.into_owned()),
                Content::Drop(table) => {
                    let rows = self.tables.remove(&table).unwrap_or_default();
                    self.row_bytes -= rows.values().map(|row| row.bytes).sum::<u64>();
                }
                Content::Delete { table, keys } => keys.iter().for_each(|key| self.delete(&table, key)),
                Content::Put { table, keys, .. } => {
                    let bytes = bytes / (keys.len() as u64).max(1);
                    for (in_part, key) in keys.into_iter().enumerate() {
                        self.delete(&table, &key);
                        let row = Row { place, part, in_part, owner: *owner, bytes };
                        self.tables.entry(table.clone()).or_default().insert(key, row);
                        self.row_bytes += bytes;
                    }
                }
            }
        }
        Some(())
    }

    /// Removes all rows of an owner; returns their number.
    pub(super) fn forget(&mut self, owner: Owner) -> u64 {
        let (mut rows, mut bytes) = (0, 0);
        for table in self.tables.values_mut() {
            table.retain(|_, row| {
                let goes = row.owner == owner;
                rows += u64::from(goes);
                bytes += if goes { row.bytes } else { 0 };
                !goes
            });
        }
        self.tables.retain(|_, rows| !rows.is_empty());
        self.row_bytes -= bytes;
        rows
    }

    fn delete(&mut self, table: &str, key: &[u8]) {
        let Some(rows) = self.tables.get_mut(table) else { return };
        if let Some(row) = rows.remove(key) {
            self.row_bytes -= row.bytes;
        }
        if rows.is_empty() {
            self.tables.remove(table);
        }
    }
}
