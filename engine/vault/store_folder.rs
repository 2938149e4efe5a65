//! The content of a store's folder: segments by number and device, the keystore, the log. In: a folder and its
//! keystore. Out: the segments that belong to it, or an error for a file that does not. See
//! docs/formats/store.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;

use crate::disk::Disk;
use crate::durable;
use crate::identity::{self, Columns, Identities};
use crate::keystore::{DeviceTag, Keystore};
use crate::segment::SegmentReader;
use crate::{Error, Result, secret};

/// One segment of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number: segments of one device are read in this order.
    pub number: u64,
    /// The device whose rows it holds.
    pub device: String,
    /// The file.
    pub path: PathBuf,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// The capture time of the newest row in microseconds since 1970, if known.
    pub newest: Option<i64>,
}

/// A device shows in a file's name only as the first bytes of its keyed tag.
pub(crate) fn segment_path(folder: &Path, number: u64, device: DeviceTag) -> PathBuf {
    let [a, b, c, d, ..] = device.0;
    folder.join(format!("{number:08}-{}.parquet", secret::hex(&[a, b, c, d])))
}

/// A store's folder with its keystore.
pub(crate) struct StoreFolder<'a> {
    disk: &'a dyn Disk,
    folder: &'a Path,
    keystore: &'a Keystore,
}

impl<'a> StoreFolder<'a> {
    /// Checks that every Parquet file in the folder belongs to the store.
    pub(crate) fn of(
        disk: &'a dyn Disk,
        folder: &'a Path,
        keystore: &'a Keystore,
    ) -> Result<StoreFolder<'a>> {
        let store = StoreFolder::unchecked(disk, folder, keystore);
        store.foreign_files()?.into_iter().next().map_or(Ok(store), Err)
    }

    /// Opens a folder that may hold foreign files.
    pub(crate) fn unchecked(disk: &'a dyn Disk, folder: &'a Path, keystore: &'a Keystore) -> StoreFolder<'a> {
        StoreFolder { disk, folder, keystore }
    }

    /// An error for each Parquet file that does not belong to the store.
    pub(crate) fn foreign_files(&self) -> Result<Vec<Error>> {
        let found =
            "its keystore does not name it; move the file away, or restore the keystore that belongs to it";
        let mut foreign = durable::list_ending(self.disk, self.folder, "parquet")?;
        foreign.retain(|path| !number_of(path).is_some_and(|n| self.keystore.has_assigned(n)));
        Ok(foreign.iter().map(|path| Error::foreign(path, "segment of this store", found)).collect())
    }

    /// Reads the identities of all sealed rows from the identity columns alone; also returns the damaged segments, whose rows are
    /// unknown.
    pub(crate) fn identities(&self) -> Result<(Identities, BTreeMap<u64, Error>)> {
        let (mut known, mut damaged) = (Identities::default(), BTreeMap::new());
        for info in self.segments()? {
            match self.identity_columns(&info) {
                Ok(batches) => {
                    for batch in &batches {
                        known.insert(&Columns::of(batch)?);
                    }
                }
                Err(error @ Error::Damaged { .. }) => drop(damaged.insert(info.number, error)),
                Err(other) => return Err(other),
            }
        }
        Ok((known, damaged))
    }

    fn identity_columns(&self, info: &SegmentInfo) -> Result<Vec<RecordBatch>> {
        let seal = self.keystore.segment(info.number)?;
        SegmentReader::open_columns(self.disk, &info.path, &seal, &identity::COLUMNS)?.collect()
    }

    /// All segments, by device and number.
    pub(crate) fn segments(&self) -> Result<Vec<SegmentInfo>> {
        let mut infos = Vec::new();
        for (number, tag) in self.keystore.segments() {
            infos.push(self.segment(number, tag)?);
        }
        infos.sort_by(|l, r| (&l.device, l.number).cmp(&(&r.device, r.number)));
        Ok(infos)
    }

    pub(crate) fn segment(&self, number: u64, tag: DeviceTag) -> Result<SegmentInfo> {
        let seal = self.keystore.segment(number)?;
        let device = self.keystore.device_name(tag).unwrap_or_default().to_owned();
        let path = present(self.disk, segment_path(self.folder, number, tag))?;
        Ok(SegmentInfo { number, device, path, rows: seal.rows, bytes: seal.length, newest: seal.newest })
    }
}

/// The segment's path, or its unfinished one if a crash came before the rename. For a missing segment, the path where it should be.
fn present(disk: &dyn Disk, path: PathBuf) -> Result<PathBuf> {
    let unfinished = durable::beside(&path);
    // The rename may happen between two checks, so the final name is checked once more.
    for place in [&path, &unfinished, &path] {
        if durable::exists(disk, place)? {
            return Ok(place.clone());
        }
    }
    Ok(path)
}

/// Recovers from a crash: renames sealed segments to their final names and removes files that are not or no longer part of
/// the store. Only the writer may call it.
pub(crate) fn recover(disk: &dyn Disk, folder: &Path, keystore: &Keystore) -> Result {
    let expected: BTreeSet<PathBuf> =
        keystore.segments().map(|(number, tag)| segment_path(folder, number, tag)).collect();
    for unfinished in durable::list_ending(disk, folder, durable::UNFINISHED)? {
        let path = unfinished.with_extension("");
        if expected.contains(&path) && !durable::exists(disk, &path)? {
            durable::rename(disk, &unfinished, &path)?;
        } else if path.extension().is_some_and(|e| e == "parquet") {
            durable::remove(disk, &unfinished)?;
        }
    }
    for path in durable::list_ending(disk, folder, "parquet")? {
        if !expected.contains(&path) && number_of(&path).is_some_and(|n| keystore.has_assigned(n)) {
            durable::remove(disk, &path)?;
        }
    }
    durable::sync_folder(disk, folder)
}

/// The number in the name of a segment.
fn number_of(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.split_once('-')?.0.parse().ok()
}
