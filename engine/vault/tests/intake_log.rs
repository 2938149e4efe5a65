//! Input of sources is read back in order until it is released, and never after.

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

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_vault::{Error, Fault, Intake, IntakeContent, IntakeLog, IntakeLogOptions, SimulatedDisk};
use root::Root;

const FOLDER: &str = "/state/intake";

fn open(disk: &SimulatedDisk) -> Result<IntakeLog, Error> {
    let options = IntakeLogOptions { file_bytes: 6000, file_epochs: 2 };
    IntakeLog::open_with(Path::new(FOLDER), &Root(5), Arc::new(disk.clone()), options)
}

/// The input of an epoch: rows of two devices, mixed, and a barrier.
fn epoch(number: u64) -> [Intake; 2] {
    let rows = rows::rows(&[("hall", number * 3), ("loft", number), ("hall", number * 3 + 1)]);
    let position = format!("position {number}").into_bytes();
    let batch = IntakeContent::Batch { source: "mic".into(), rows: Some(rows), position };
    let barrier = IntakeContent::Barrier(format!("barrier {number}").into_bytes());
    [Intake { epoch: number, content: batch }, Intake { epoch: number, content: barrier }]
}

fn put(log: &mut IntakeLog, intake: &Intake) -> Result<(), Error> {
    match &intake.content {
        IntakeContent::Barrier(barrier) => log.barrier(intake.epoch, barrier),
        IntakeContent::Batch { source, rows, position } => {
            log.append(intake.epoch, source, rows.as_ref().unwrap(), position)
        }
    }
}

fn take_in(log: &mut IntakeLog, number: u64) -> Result<(), Error> {
    epoch(number).iter().try_for_each(|intake| put(log, intake))?;
    log.sync()
}

fn all(epochs: std::ops::Range<u64>) -> Vec<Intake> {
    epochs.flat_map(epoch).collect()
}

fn frames(disk: &SimulatedDisk) -> Vec<PathBuf> {
    disk.files().into_iter().filter(|path| path.extension().is_some_and(|e| e == "frames")).collect()
}

#[test]
fn input_is_read_back_in_order_over_many_attempts() {
    let disk = SimulatedDisk::new(1);
    for attempt in 0..4 {
        let mut log = open(&disk).unwrap();
        assert_eq!(log.content(None).unwrap(), all(0..attempt * 3));
        for number in attempt * 3..attempt * 3 + 3 {
            take_in(&mut log, number).unwrap();
        }
        assert_eq!(log.content(None).unwrap(), all(0..attempt * 3 + 3));
        assert_eq!(log.content(Some(1)).unwrap(), all(2..attempt * 3 + 3));
    }
}

#[test]
fn released_epochs_leave_neither_files_nor_keys() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk).unwrap();
    for number in 0..6 {
        take_in(&mut log, number).unwrap();
    }
    // Copies of all files are kept.
    let copies: Vec<_> =
        disk.files().into_iter().map(|path| (path.clone(), disk.bytes(&path).unwrap())).collect();
    let files = frames(&disk);
    assert_eq!(files.len(), 3);
    log.release(2).unwrap();
    assert_eq!(frames(&disk), files[1..], "the second file still holds epoch 3");
    assert_eq!(log.content(Some(2)).unwrap(), all(3..6));
    log.release(5).unwrap();
    assert_eq!(frames(&disk), Vec::<PathBuf>::new());
    assert_eq!(log.content(None).unwrap(), []);
    take_in(&mut log, 6).unwrap();
    drop(log);
    assert_eq!(open(&disk).unwrap().content(None).unwrap(), all(6..7));
    // Copies of the files beside the current keystore cannot be opened, and are treated as leftovers.
    for (path, bytes) in copies.iter().filter(|(path, _)| files.contains(path)) {
        disk.put(path, bytes.clone());
        for word in [&b"said sentence"[..], b"hall", b"position", b"barrier"] {
            assert!(!bytes.windows(word.len()).any(|w| w == word), "{}", path.display());
        }
    }
    let log = open(&disk).unwrap();
    assert_eq!(log.content(None).unwrap(), all(6..7));
    assert!(files.iter().all(|file| !frames(&disk).contains(file)));
    // The old keystore would open them: a copy must not include it.
    drop(log);
    for (path, bytes) in copies {
        disk.put(&path, bytes);
    }
    for later in frames(&disk).iter().filter(|path| !files.contains(path)) {
        headwater_vault::Disk::remove(&disk, later).unwrap();
    }
    assert_eq!(open(&disk).unwrap().content(None).unwrap(), all(0..6));
}

#[test]
fn a_forgotten_device_is_skipped_and_the_others_stay_in_order() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk).unwrap();
    take_in(&mut log, 1).unwrap();
    assert!(log.forget("hall").unwrap());
    assert!(!log.forget("hall").unwrap());
    let rows_of = |log: &IntakeLog| match log.content(None).unwrap().remove(0).content {
        IntakeContent::Batch { rows, .. } => rows,
        IntakeContent::Barrier(_) => panic!("a batch comes first"),
    };
    assert_eq!(rows_of(&log).unwrap(), rows::rows(&[("loft", 1)]));
    log.forget("loft").unwrap();
    assert_eq!(rows_of(&log), None);
    drop(log);
    let log = open(&disk).unwrap();
    assert_eq!((rows_of(&log), log.content(None).unwrap().len()), (None, 2));
}

/// Runs an attempt; returns the number of synced epochs and the first epoch that is not released.
fn run(disk: &SimulatedDisk, from: u64, to: u64) -> (u64, u64) {
    let Ok(mut log) = open(disk) else { return (from, 0) };
    let mut released = 0;
    for number in from..to {
        if take_in(&mut log, number).is_err() {
            return (number, released);
        }
        if number > 1 {
            if log.release(number - 2).is_err() {
                return (number + 1, number - 1);
            }
            released = number - 1;
        }
    }
    (to, released)
}

/// Checks that synced epochs are there in order unless released, followed at most by the beginning of one more.
fn check(found: &[Intake], synced: u64, released: u64, what: &str) {
    let found: Vec<_> = found.iter().filter(|intake| intake.epoch >= released).cloned().collect();
    let whole = all(released..synced + 1);
    assert!(found.len() >= all(released..synced).len(), "{what}: {} of {synced}", found.len());
    assert_eq!(found[..], whole[..found.len()], "{what}");
}

#[test]
fn a_power_cut_at_any_call_loses_nothing_that_was_synced() {
    for fault in [Fault::PowerCut, Fault::Io, Fault::DiskFull, Fault::Short] {
        for seed in 0..2 {
            for at in 0.. {
                let disk = SimulatedDisk::new(seed * 1000 + at);
                disk.fault_at(at, fault);
                let (synced, released) = run(&disk, 0, 7);
                let what = format!("{fault:?} at call {at}, seed {seed}");
                let next = if fault == Fault::PowerCut { disk.after_power_cut() } else { disk.after_kill() };
                for recovery in 0.. {
                    let again = next.after_kill();
                    again.fault_at(recovery, Fault::PowerCut);
                    let recovered = open(&again).map(|log| log.content(None).unwrap());
                    let cut = open(&again.after_power_cut()).unwrap().content(None).unwrap();
                    check(&cut, synced, released, &what);
                    if let Ok(recovered) = recovered {
                        assert_eq!(recovered, cut, "{what}: what was read back was durable");
                        break;
                    }
                }
                if synced == 7 && !disk.is_dead() && disk.changes() <= at {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_full_disk_between_two_syncs_loses_and_doubles_nothing() {
    for space in (0..12_000).step_by(97) {
        let disk = SimulatedDisk::new(space);
        let mut log = open(&disk).unwrap();
        disk.leave_space(Some(space as usize));
        for intake in all(0..6) {
            while let Err(error) = put(&mut log, &intake) {
                assert!(error.is_disk_full(), "{error}");
                disk.leave_space(None);
            }
            if matches!(intake.content, IntakeContent::Barrier(_)) && intake.epoch % 2 == 1 {
                log.sync().unwrap();
            }
        }
        assert_eq!(log.content(None).unwrap(), all(0..6), "{space} bytes of space");
        drop(log);
        assert_eq!(
            open(&disk.after_power_cut()).unwrap().content(None).unwrap(),
            all(0..6),
            "{space} bytes of space"
        );
    }
}
