//! Upkeep of a store: joins small segments, removes old ones, forgets devices. In: a store open for writing.
//! Out: counts of what was done. Each is one durable step: a crash leaves the store before it or after it.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;

use super::{Store, runs_by_device, without_metadata};
use crate::identity::Columns;
use crate::keystore::DeviceTag;
use crate::segment::{self, SegmentReader};
use crate::store_folder::{SegmentInfo, StoreFolder};
use crate::{Error, Result};

/// Rows of a segment from which it is not joined.
const FULL_ROWS: u64 = 64 * 1024;
/// Small segments of a device and day at which they are joined while a pipeline runs.
const MANY: usize = 32;
/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// The retention of a store: segments above a limit are removed, the oldest first. Only sealed segments count, each as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The age of the newest row of a segment, measured from the newest row of the store: no clock is asked.
    pub days: Option<u32>,
    /// The bytes of all segments.
    pub bytes: Option<u64>,
    /// Segments with this number or a higher one stay, whatever their age and size.
    pub from: Option<u64>,
}

/// Counts of what was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Segments.
    pub segments: u64,
    /// Rows, in segments and in the log.
    pub rows: u64,
    /// Bytes of the segments.
    pub bytes: u64,
}

/// The result of a compaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compaction {
    /// Segments before.
    pub before: u64,
    /// Segments after.
    pub after: u64,
}

impl Store {
    /// Seals what is in the log and joins the small segments of each device.
    pub fn compact(&mut self) -> Result<Compaction> {
        self.seal()?;
        self.join_small(2, |info| (info.device.clone(), 0))
    }

    /// Joins the small segments of a device that were captured on one day, where they are many: frequent seals leave them. Days stay
    /// separate, so that retention, which removes whole segments, can remove each day in time.
    pub fn tidy(&mut self) -> Result<Compaction> {
        self.join_small(MANY, |info| (info.device.clone(), info.newest.unwrap_or_default().div_euclid(DAY)))
    }

    /// Joins small segments of one name, where there are at least so many.
    fn join_small(
        &mut self,
        least: usize,
        name: impl Fn(&SegmentInfo) -> (String, i64),
    ) -> Result<Compaction> {
        let segments = self.segments()?;
        let before = segments.len() as u64;
        let mut by_name: BTreeMap<(String, i64), Vec<SegmentInfo>> = BTreeMap::new();
        let joins = |info: &SegmentInfo| info.rows < FULL_ROWS && !self.damaged.contains_key(&info.number);
        for info in segments.into_iter().filter(joins) {
            by_name.entry(name(&info)).or_default().push(info);
        }
        for small in by_name.into_values().filter(|small| small.len() >= least) {
            let mut group: Vec<SegmentInfo> = Vec::new();
            for info in small {
                if group.iter().map(|g| g.rows).sum::<u64>() + info.rows > FULL_ROWS {
                    self.join(&std::mem::take(&mut group))?;
                }
                group.push(info);
            }
            self.join(&group)?;
        }
        Ok(Compaction { before, after: self.segments()?.len() as u64 })
    }

    fn join(&mut self, group: &[SegmentInfo]) -> Result {
        if group.len() < 2 {
            return Ok(());
        }
        let mut batches = Vec::new();
        for info in group {
            for batch in SegmentReader::open(&*self.disk, &info.path, &self.keystore.segment(info.number)?)? {
                batches.push(without_metadata(&batch?)?);
            }
        }
        let runs = runs_by_device(&batches).map_err(Error::rows("encode", &self.folder))?;
        if runs.len() >= group.len() {
            return Ok(());
        }
        let old = self.tags_of(group);
        self.exchange(&runs, &old, &[])
    }

    /// Removes segments beyond the retention.
    pub fn retain(&mut self, keep: Keep) -> Result<Removal> {
        self.log.check_usable()?;
        let mut segments = Vec::new();
        for info in self.segments()? {
            segments.push((self.newest(&info)?, info));
        }
        let of_rows = self.pending.iter().filter_map(segment::newest_of);
        let newest = segments.iter().map(|(newest, _)| *newest).chain(of_rows).max().unwrap_or(i64::MIN);
        segments.sort_by_key(|(newest, info)| (*newest, info.number));
        let mut bytes: u64 = segments.iter().map(|(_, info)| info.bytes).sum();
        let oldest = keep.days.map(|days| newest.saturating_sub(i64::from(days) * DAY));
        let mut gone = Vec::new();
        for (at, info) in segments {
            let too_old = oldest.is_some_and(|oldest| at < oldest);
            let may_go = keep.from.is_none_or(|from| info.number < from);
            if may_go && (too_old || keep.bytes.is_some_and(|most| bytes > most)) {
                bytes -= info.bytes;
                gone.push(info);
            }
        }
        if gone.is_empty() {
            return Ok(Removal::default());
        }
        let old = self.tags_of(&gone);
        self.exchange(&[], &old, &[])?;
        Ok(removed(&gone))
    }

    /// Deletes a device's key: its rows cannot be read from then on, even from copies of the files. Its segments
    /// are removed too.
    pub fn forget(&mut self, device: &str) -> Result<Removal> {
        self.log.check_usable()?;
        let gone: Vec<_> = self.segments()?.into_iter().filter(|info| info.device == device).collect();
        let Some(old) = self.keystore.forget(device) else { return Ok(Removal::default()) };
        self.keystore.save().map_err(|error| self.log.poison(error))?;
        let mut removed = removed(&gone);
        let before = self.pending_rows;
        self.pending = without_device(&self.pending, device, &self.folder)?;
        self.unlogged = without_device(&self.unlogged, device, &self.folder)?;
        self.pending_rows = self.pending.iter().map(|batch| batch.num_rows() as u64).sum();
        removed.rows += before - self.pending_rows;
        self.finish_exchange(&[], &old).map_err(|error| self.log.poison(error))?;
        Ok(removed)
    }

    /// The lowest number of the segments that are sealed from now on.
    pub fn next_segment(&self) -> u64 {
        self.keystore.next()
    }

    /// All segments, by device and number.
    pub fn segments(&self) -> Result<Vec<SegmentInfo>> {
        StoreFolder::unchecked(&*self.disk, &self.folder, &self.keystore).segments()
    }

    /// The capture time of the newest row of a segment: from the keystore, else from the rows.
    fn newest(&self, info: &SegmentInfo) -> Result<i64> {
        if let Some(newest) = info.newest {
            return Ok(newest);
        }
        let seal = self.keystore.segment(info.number)?;
        let mut newest = i64::MIN;
        for batch in SegmentReader::open_columns(&*self.disk, &info.path, &seal, &["captured_at"])? {
            newest = newest.max(segment::newest_of(&batch?).unwrap_or(i64::MIN));
        }
        Ok(newest)
    }

    fn tags_of(&self, infos: &[SegmentInfo]) -> Vec<(u64, DeviceTag)> {
        let wanted = |number: &u64| infos.iter().any(|info| info.number == *number);
        self.keystore.segments().filter(|(number, _)| wanted(number)).collect()
    }
}

fn removed(infos: &[SegmentInfo]) -> Removal {
    Removal {
        segments: infos.len() as u64,
        rows: infos.iter().map(|info| info.rows).sum(),
        bytes: infos.iter().map(|info| info.bytes).sum(),
    }
}

fn without_device(batches: &[RecordBatch], device: &str, folder: &Path) -> Result<Vec<RecordBatch>> {
    let mut others = Vec::new();
    for batch in batches {
        let columns = Columns::of(batch)?;
        let rows: UInt32Array = (0u32..)
            .zip(columns.device.iter())
            .filter(|(_, of)| *of != Some(device))
            .map(|(row, _)| row)
            .collect();
        if !rows.is_empty() {
            others.push(take_record_batch(batch, &rows).map_err(Error::rows("encode", folder))?);
        }
    }
    Ok(others)
}
