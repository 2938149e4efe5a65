//! Compaction: copies live rows to a new file and removes the old files. In: the log. Out: the same tables, in fewer bytes, in one step.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::RecordBatch;

use super::content::{self, Content};
use super::index::{Index, Row};
use super::{CommitLog, FEW_BYTES, batches_of, lost};
use crate::disk::Disk;
use crate::frames::{FrameReader, Owner};
use crate::log_files::{self, Place, Writing};
use crate::{Error, Result};

/// Bytes of rows that are collected for one frame.
const FRAME_BYTES: usize = 4 << 20;
/// Number of files, one for each attempt, above which a compaction runs.
const MANY_FILES: u64 = 32;

/// A row of the index: its table, key and place.
type LiveRow<'i> = (&'i str, &'i Vec<u8>, &'i Row);

/// Rows of one table and owner that wait to be written.
type Waiting = BTreeMap<(String, Owner), Vec<(Vec<u8>, RecordBatch)>>;

impl CommitLog {
    /// Compacts when the dead bytes outweigh the live ones. A full disk postpones it.
    pub(super) fn compact_if_worth(&mut self) -> Result {
        let size = self.size();
        let heavy = size.bytes > self.compact_above && size.bytes > 2 * size.live_bytes + FEW_BYTES;
        if !heavy && size.files <= MANY_FILES {
            return Ok(());
        }
        match self.compact() {
            Err(Error::DiskFull { .. }) => {
                self.compact_above = size.bytes + size.bytes / 4;
                Ok(())
            }
            done => done,
        }
    }

    /// Writes the live rows to a new file, which replaces all others in one step.
    pub fn compact(&mut self) -> Result {
        let all: Vec<u64> = self.keystore.logs().map(|(number, ..)| number).collect();
        let (index, folder, disk) = (&self.index, &self.folder, &*self.disk);
        let mut fresh = Index::default();
        self.files.start(&mut self.keystore, &all, &mut |writing| {
            rewrite(index, &mut fresh, (disk, folder), writing)
        })?;
        self.index = fresh;
        self.ended.clear();
        self.compact_above = FEW_BYTES;
        Ok(())
    }
}

fn rewrite(
    index: &Index,
    fresh: &mut Index,
    (disk, folder): (&dyn Disk, &Path),
    writing: &mut Writing<'_>,
) -> Result {
    let mut by_place: BTreeMap<Place, Vec<LiveRow<'_>>> = BTreeMap::new();
    for (table, rows) in &index.tables {
        for (key, row) in rows {
            by_place.entry(row.place).or_default().push((table, key, row));
        }
    }
    let (mut waiting, mut bytes) = (Waiting::new(), 0);
    let mut open: Option<(u64, FrameReader<'_>)> = None;
    for (place, rows) in by_place {
        if open.as_ref().is_none_or(|(file, _)| *file != place.file) {
            let key = writing.keystore().log_key(place.file).ok_or_else(|| lost(folder, place))?;
            let path = log_files::path_of(folder, place.file);
            let reader = FrameReader::open(disk, &path, (place.file, key, None), writing.keystore())?;
            open = Some((place.file, reader));
        }
        let Some((_, reader)) = &open else { continue };
        let batches = batches_of(folder, place, reader)?;
        for (table, key, row) in rows {
            let batch = batches.get(&row.part).filter(|batch| row.in_part < batch.num_rows());
            let batch = batch.ok_or_else(|| lost(folder, place))?.slice(row.in_part, 1);
            waiting.entry((table.to_owned(), row.owner)).or_default().push((key.clone(), batch));
        }
        bytes += batches.values().map(RecordBatch::get_array_memory_size).sum::<usize>();
        if bytes > FRAME_BYTES {
            write(fresh, folder, writing, &contents(folder, std::mem::take(&mut waiting))?)?;
            bytes = 0;
        }
    }
    write(fresh, folder, writing, &contents(folder, waiting)?)?;
    // The note comes last: rows without a note are not committed.
    let note = index.note.iter().map(|note| (Owner::Log, Content::Note(note.into()))).collect::<Vec<_>>();
    write(fresh, folder, writing, &note)
}

fn contents(folder: &Path, waiting: Waiting) -> Result<Vec<(Owner, Content<'static>)>> {
    let mut contents = Vec::new();
    for ((table, owner), rows) in waiting {
        let puts = content::puts(folder, &table, rows)?;
        contents.extend(puts.into_iter().map(|content| (owner, content)));
    }
    Ok(contents)
}

fn write(
    fresh: &mut Index,
    folder: &Path,
    writing: &mut Writing<'_>,
    contents: &[(Owner, Content<'_>)],
) -> Result {
    if contents.is_empty() {
        return Ok(());
    }
    let parts = content::parts(folder, contents)?;
    let (place, bytes) = writing.append(&parts)?;
    let parts = parts.iter().zip(bytes).enumerate().map(|(n, (part, bytes))| (n, part, bytes));
    fresh.apply(place, parts).ok_or_else(|| lost(folder, place))
}
