//! A model of the tables of a log, and small logs on a simulated disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::UInt64Type;
use headwater_vault::{CommitLog, Disk, Error, SimulatedDisk, StateChange};

use crate::root::Root;

pub const FOLDER: &str = "/state/commits";
pub const KEY: Root = Root(7);

/// The expected tables and note: (table, key) -> (device, value).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub note: Option<Vec<u8>>,
    pub rows: BTreeMap<(String, Vec<u8>), (Option<String>, u64)>,
}

/// One change: table, key, device, value.
pub type Change = (u8, u8, Option<u8>, Option<u64>);

pub fn row(value: u64) -> RecordBatch {
    let number: ArrayRef = Arc::new(UInt64Array::from(vec![value]));
    let text: ArrayRef = Arc::new(StringArray::from(vec![format!("state number {value}")]));
    // Rows of a table may differ in their columns.
    if value.is_multiple_of(5) {
        return RecordBatch::try_from_iter([("value", number)]).unwrap();
    }
    RecordBatch::try_from_iter([("value", number), ("text", text)]).unwrap()
}

pub fn state_change(change: &Change) -> StateChange {
    let (table, key, device, value) = *change;
    StateChange {
        table: format!("table-{table}"),
        key: vec![key; usize::from(key % 3)],
        device: device.map(|device| format!("device-{device}")),
        row: value.map(row),
    }
}

impl Model {
    pub fn after(&self, note: &[u8], changes: &[Change]) -> Model {
        let mut after = Model { note: Some(note.to_vec()), rows: self.rows.clone() };
        for change in changes {
            let StateChange { table, key, device, .. } = state_change(change);
            match change.3 {
                Some(value) => drop(after.rows.insert((table, key), (device, value))),
                None => drop(after.rows.remove(&(table, key))),
            }
        }
        after
    }

    pub fn without_device(&self, device: &str) -> Model {
        let mut after = self.clone();
        after.rows.retain(|_, (of, _)| of.as_deref() != Some(device));
        after
    }

    pub fn of(log: &CommitLog) -> Model {
        let mut found = Model { note: log.note().map(<[u8]>::to_vec), rows: BTreeMap::new() };
        for table in log.tables().map(str::to_owned).collect::<Vec<_>>() {
            for (key, device, batch) in log.rows(&table).unwrap() {
                assert_eq!(batch.num_rows(), 1);
                let value = batch.column_by_name("value").unwrap().as_primitive::<UInt64Type>().value(0);
                assert_eq!(batch, row(value));
                found.rows.insert((table.clone(), key), (device, value));
            }
        }
        found
    }
}

pub fn open(disk: &SimulatedDisk) -> Result<CommitLog, Error> {
    CommitLog::open(Path::new(FOLDER), &KEY, Arc::new(disk.clone()))
}

/// A log with a few rows of two devices in two files: what its tables were, step by step.
pub fn small_log(disk: &SimulatedDisk) -> Vec<Model> {
    let mut states = vec![Model::default()];
    let attempts: [&[&[Change]]; 2] = [
        &[&[(0, 1, Some(0), Some(1))], &[(0, 2, Some(1), Some(2)), (1, 1, None, Some(5))]],
        &[&[(0, 1, Some(0), Some(3))], &[(1, 2, Some(1), Some(7)), (1, 1, None, None)]],
    ];
    for attempt in attempts {
        let mut log = open(disk).unwrap();
        for changes in attempt {
            states.push(states[states.len() - 1].after(b"noted", changes));
            log.commit(b"noted", changes.iter().map(state_change).collect()).unwrap();
        }
    }
    states
}

/// The bytes of each file that count: the last frame of an attempt is written again at the beginning of the next file.
pub fn used(disk: &SimulatedDisk) -> BTreeMap<PathBuf, usize> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let checks = CommitLog::verify_on(Path::new(FOLDER), &KEY, &disk).unwrap();
    assert!(checks.iter().all(|check| check.problem.is_none() && check.torn.is_none()), "{checks:?}");
    checks.into_iter().map(|check| (check.path, check.bytes as usize)).collect()
}

pub fn frames(disk: &SimulatedDisk) -> Vec<PathBuf> {
    disk.files().into_iter().filter(|path| path.extension().is_some_and(|e| e == "frames")).collect()
}
