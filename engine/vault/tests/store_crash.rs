//! A store on a disk that fails: at any call, a power cut loses no acknowledged row and duplicates none, and the store
//! opens again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[path = "rows/root.rs"]
mod root;
#[allow(dead_code)]
mod rows;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_vault::{
    Disk, Error, Fault, Keep, Level, SimulatedDisk, Store, StoreOptions, StoreReader, verify_on,
};
use root::Root;

const FOLDER: &str = "/data/store";
const KEY: Root = Root(3);

type Rows = BTreeSet<(String, u64)>;

fn open(disk: &SimulatedDisk) -> Result<Store, Error> {
    let options = StoreOptions { seal_rows: 7, level: Level::default() };
    Store::open_on(Path::new(FOLDER), &KEY, options, Arc::new(disk.clone()))
}

fn stored(disk: &SimulatedDisk) -> Rows {
    let reader = StoreReader::open_on(Path::new(FOLDER), &KEY, Arc::new(disk.clone())).unwrap();
    let batches: Vec<_> = reader.rows().map(Result::unwrap).collect();
    let found = rows::content(&batches);
    let set: Rows = found.iter().map(|(device, seq, _)| (device.clone(), *seq)).collect();
    assert_eq!(set.len(), found.len(), "a row is there twice");
    assert!(found.iter().all(|(device, seq, text)| *text == rows::text_of(device, *seq)));
    set
}

fn batch(number: u64) -> (arrow::array::RecordBatch, Rows) {
    let ids = [("hall", number), ("loft", number), ("hall", number + 1000)];
    (rows::rows(&ids), ids.iter().map(|(device, seq)| ((*device).to_owned(), *seq)).collect())
}

/// The rows that the attempts acknowledged and added, and how they ended.
#[derive(Default)]
struct Attempt {
    acknowledged: Rows,
    given: Rows,
    whole: bool,
    forgotten: bool,
}

fn run(disk: &SimulatedDisk) -> Attempt {
    let mut attempt = Attempt::default();
    let done = try_run(disk, &mut attempt);
    attempt.whole = done.is_ok();
    attempt
}

fn try_run(disk: &SimulatedDisk, attempt: &mut Attempt) -> Result<(), Error> {
    for numbers in [0..3, 3..6] {
        let mut store = open(disk)?;
        for number in numbers {
            let (batch, ids) = batch(number);
            attempt.given.extend(ids);
            store.append(&batch)?;
            store.commit()?;
            attempt.acknowledged = attempt.given.clone();
        }
    }
    let mut store = open(disk)?;
    store.seal()?;
    store.compact()?;
    attempt.forgotten = true;
    store.forget("loft")?;
    attempt.given.retain(|(device, _)| device != "loft");
    attempt.acknowledged = attempt.given.clone();
    attempt.forgotten = false;
    Ok(())
}

fn check(disk: &SimulatedDisk, attempt: &Attempt, what: &str) {
    let handle: Arc<dyn Disk> = Arc::new(disk.clone());
    let found = stored(disk);
    let lost: Vec<_> = attempt
        .acknowledged
        .difference(&found)
        // While a device is being forgotten its rows may be there or not.
        .filter(|(device, _)| !(attempt.forgotten && device == "loft"))
        .collect();
    assert!(lost.is_empty(), "{what}: lost {lost:?}");
    assert!(found.is_subset(&attempt.given), "{what}");
    let verified = verify_on(Path::new(FOLDER), &KEY, &handle).unwrap();
    assert!(verified.problems.is_empty(), "{what}: {:?}", verified.problems);
}

#[test]
fn a_fault_at_any_call_loses_and_doubles_nothing() {
    for fault in [Fault::PowerCut, Fault::Io, Fault::DiskFull] {
        for at in 0.. {
            let disk = SimulatedDisk::new(at);
            disk.fault_at(at, fault);
            let attempt = run(&disk);
            if attempt.whole && disk.changes() <= at {
                break;
            }
            let what = format!("{fault:?} at call {at}");
            let next = if fault == Fault::PowerCut { disk.after_power_cut() } else { disk.after_kill() };
            for recovery in 0.. {
                let again = next.after_kill();
                again.fault_at(recovery, Fault::PowerCut);
                let opened = open(&again).is_ok();
                let last = again.after_power_cut();
                let mut store = open(&last).unwrap();
                check(&last, &attempt, &what);
                if opened {
                    // The store continues: rows that are added again are stored once.
                    for number in 0..7 {
                        store.append(&batch(number).0).unwrap();
                    }
                    store.commit().unwrap();
                    assert_eq!(stored(&last).len(), 7 * 3, "{what}");
                    break;
                }
            }
        }
    }
}

#[test]
fn a_full_disk_is_reported_and_the_commit_repeated() {
    for space in (0..40_000).step_by(1111) {
        let disk = SimulatedDisk::new(space);
        let mut store = open(&disk).unwrap();
        disk.leave_space(Some(space as usize));
        let mut given = Rows::new();
        for number in 0..6 {
            let (batch, ids) = batch(number);
            given.extend(ids);
            store.append(&batch).unwrap();
            while let Err(error) = store.commit() {
                assert!(error.is_disk_full(), "{error}");
                disk.leave_space(None);
            }
            assert_eq!(stored(&disk.after_power_cut()), given, "{space} bytes of space");
        }
    }
}

#[test]
fn old_segments_go_and_the_rest_stays() {
    let disk = SimulatedDisk::new(1);
    let mut store = open(&disk).unwrap();
    let day = 86_400_000_000;
    for number in 0..5 {
        // Rows are captured at their seq in microseconds.
        store.append(&rows::rows(&[("hall", number * day)])).unwrap();
        store.seal().unwrap();
    }
    let bytes: u64 = store.segments().unwrap().iter().map(|segment| segment.bytes).sum();
    let days = Keep { days: Some(2), bytes: None, from: None };
    assert_eq!(store.retain(Keep { days: Some(4), bytes: Some(bytes), from: None }).unwrap().segments, 0);
    assert_eq!(store.retain(days).unwrap().rows, 2);
    assert_eq!(store.retain(days).unwrap().rows, 0, "no clock is asked");
    store.append(&rows::rows(&[("loft", 9 * day)])).unwrap();
    store.commit().unwrap();
    assert_eq!(
        store.retain(Keep { days: Some(6), bytes: None, from: None }).unwrap().rows,
        1,
        "the log counts as the newest"
    );
    let first = store.segments().unwrap()[0].number;
    let nothing = Keep { days: None, bytes: Some(0), from: Some(first) };
    assert_eq!(store.retain(nothing).unwrap().segments, 0, "from there on all stays");
    let most = store.segments().unwrap()[0].bytes + 1;
    assert_eq!(store.retain(Keep { days: None, bytes: Some(most), from: None }).unwrap().segments, 1);
    drop(store);
    open(&disk).unwrap();
    assert_eq!(stored(&disk), Rows::from([("hall".to_owned(), 4 * day), ("loft".to_owned(), 9 * day)]));
}

#[test]
fn what_is_damaged_is_moved_aside_and_the_rest_is_kept() {
    let disk = SimulatedDisk::new(1);
    let mut store = open(&disk).unwrap();
    store.append(&rows::rows(&[("hall", 0), ("loft", 0)])).unwrap();
    store.seal().unwrap();
    for number in 1..4 {
        store.append(&rows::rows(&[("hall", number)])).unwrap();
        store.commit().unwrap();
    }
    drop(store);
    let handle: Arc<dyn Disk> = Arc::new(disk.clone());
    let repair = || Store::repair_on(Path::new(FOLDER), &KEY, &handle).unwrap();
    assert!(repair().is_empty(), "nothing is wrong yet");
    let ending = |end: &str| -> PathBuf {
        disk.files().into_iter().find(|path| path.to_string_lossy().ends_with(end)).unwrap()
    };
    let flip = |path: &Path, at: usize| {
        let mut bytes = disk.bytes(path).unwrap();
        bytes[at] ^= 4;
        disk.put(path, bytes);
    };
    let (segment, log) = (ending(".parquet"), ending(".frames"));
    flip(&segment, 50);
    flip(&log, 42 + 100);
    assert!(open(&disk).is_err());
    let repaired = repair();
    assert_eq!(repaired.len(), 2);
    assert_eq!((repaired[0].lost_rows, repaired[1].kept_frames), (Some(1), 2));
    for repair in &repaired {
        assert!(disk.bytes(repair.moved_to.as_ref().unwrap()).is_some());
        assert!(repair.problem.to_string().contains(&*repair.path.to_string_lossy()));
    }
    assert!(repair().is_empty());
    open(&disk).unwrap();
    let found = stored(&disk);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.contains(&("hall".to_owned(), 2)) && found.contains(&("hall".to_owned(), 3)));
    assert!(verify_on(Path::new(FOLDER), &KEY, &handle).unwrap().problems.is_empty());
}
