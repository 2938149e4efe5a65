//! What lies in a store's folder: segments by number and device, the keystore, the log. In: a folder and its
//! keystore. Out: the segments that belong to it, or an error for a file that does not. See
//! docs/formats/store.md.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::durable;
use crate::identity::{self, Columns, Identities};
use crate::keystore::{DeviceTag, Keystore};
use crate::segment::SegmentReader;
use crate::{Error, Result, secret};

/// The folder of the log inside a store.
pub(crate) const LOG: &str = "log";

/// One segment of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number: segments of one device are read in this order.
    pub number: u64,
    /// Whose rows it holds.
    pub device: String,
    /// The file.
    pub path: PathBuf,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// A device shows in a file's name only as the first bytes of its keyed tag.
pub(crate) fn segment_path(folder: &Path, number: u64, device: DeviceTag) -> PathBuf {
    let [a, b, c, d, ..] = device.0;
    folder.join(format!("{number:08}-{}.parquet", secret::hex(&[a, b, c, d])))
}

/// A store's folder with its keystore.
pub(crate) struct StoreFolder<'a> {
    folder: &'a Path,
    keystore: &'a Keystore,
}

impl<'a> StoreFolder<'a> {
    /// Checks that every Parquet file in the folder belongs to the store.
    pub(crate) fn of(folder: &'a Path, keystore: &'a Keystore) -> Result<StoreFolder<'a>> {
        let store = StoreFolder { folder, keystore };
        store.foreign_files()?.into_iter().next().map_or(Ok(store), Err)
    }

    /// A folder that may hold files of others.
    pub(crate) fn unchecked(folder: &'a Path, keystore: &'a Keystore) -> StoreFolder<'a> {
        StoreFolder { folder, keystore }
    }

    /// An error for each Parquet file that does not belong to the store.
    pub(crate) fn foreign_files(&self) -> Result<Vec<Error>> {
        let found = "its keystore does not know it; move the file away, or bring back the keystore that \
                     belongs to it";
        let expected = segment_paths(self.folder, self.keystore);
        let strangers = files_ending(self.folder, "parquet")?.into_iter().filter(|p| !expected.contains(p));
        Ok(strangers.map(|path| Error::foreign(&path, "segment of this store", found)).collect())
    }

    /// The identities of all sealed rows, read from the identity columns alone.
    pub(crate) fn identities(&self) -> Result<Identities> {
        let mut known = Identities::default();
        for info in self.segments()? {
            let seal = self.keystore.segment(info.number)?;
            for batch in SegmentReader::open_columns(&info.path, &seal, &identity::COLUMNS)? {
                known.insert(&Columns::of(&batch?)?);
            }
        }
        Ok(known)
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
        let path = present(segment_path(self.folder, number, tag))?;
        Ok(SegmentInfo { number, device, path, rows: seal.rows, bytes: seal.length })
    }
}

/// The segment's path, or its unfinished one if a crash came before the rename.
fn present(path: PathBuf) -> Result<PathBuf> {
    let unfinished = durable::beside(&path);
    // The rename may come between two looks, so the final name is looked at once more.
    for place in [&path, &unfinished, &path] {
        if place.exists() {
            return Ok(place.clone());
        }
    }
    Err(Error::damaged(&path, "the keystore has its key, but the file is gone"))
}

/// Finishes what a crash left: gives sealed segments their name, removes files that never were part of the
/// store. Only the writer may call it.
pub(crate) fn recover(folder: &Path, keystore: &Keystore) -> Result {
    let expected = segment_paths(folder, keystore);
    for unfinished in files_ending(folder, durable::UNFINISHED)? {
        let path = unfinished.with_extension("");
        if expected.contains(&path) && !path.exists() {
            durable::rename(&unfinished, &path)?;
        } else if path.extension().is_some_and(|e| e == "parquet") {
            durable::remove(&unfinished)?;
        }
    }
    durable::sync_folder(folder)
}

fn segment_paths(folder: &Path, keystore: &Keystore) -> BTreeSet<PathBuf> {
    keystore.segments().map(|(number, tag)| segment_path(folder, number, tag)).collect()
}

fn files_ending(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let list = || Error::io("list", folder);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| list()(e))? {
        let path = entry.map_err(|e| list()(e))?.path();
        if path.extension().is_some_and(|e| e == extension) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
