//! A damaged log goes back to a step that was committed, or stays as it is.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use headwater_vault::{CommitLog, Disk, SimulatedDisk};

use crate::model::{FOLDER, KEY, Model, frames, open, small_log, state_change, used};

#[test]
fn a_damaged_log_goes_back_to_a_step_that_was_committed() {
    let disk = SimulatedDisk::new(1);
    let states = small_log(&disk);
    let used = used(&disk);
    let (mut back, mut lost) = (BTreeSet::new(), 0);
    for path in frames(&disk) {
        let whole = disk.bytes(&path).unwrap();
        for byte in 0..used[&path] {
            let damaged = disk.after_kill();
            let mut bytes = whole.clone();
            bytes[byte] ^= 1;
            damaged.put(&path, bytes.clone());
            if open(&damaged).is_ok() {
                continue;
            }
            let beneath: Arc<dyn Disk> = Arc::new(damaged.clone());
            let rollback = CommitLog::roll_back_on(Path::new(FOLDER), &KEY, &beneath).unwrap().unwrap();
            assert!(rollback.problem.to_string().contains(&*path.to_string_lossy()), "byte {byte}");
            if rollback.note.is_none() {
                lost += 1;
                assert!(
                    open(&damaged).is_err() && rollback.moved_to.is_empty(),
                    "byte {byte}: nothing was done"
                );
                continue;
            }
            let aside = rollback.moved_to.first().and_then(|path| damaged.bytes(path));
            assert_eq!(aside.as_ref(), Some(&bytes), "byte {byte}: the damaged file is kept");
            let log = open(&damaged).unwrap();
            let state = states.iter().position(|state| *state == Model::of(&log));
            back.insert(state.unwrap_or_else(|| panic!("byte {byte}: no such step was committed")));
            assert!(CommitLog::roll_back_on(Path::new(FOLDER), &KEY, &beneath).is_err(), "it is open");
            drop(log);
            assert!(CommitLog::roll_back_on(Path::new(FOLDER), &KEY, &beneath).unwrap().is_none());
        }
    }
    assert_eq!((back, lost > 0), (BTreeSet::from([1, 2, 3]), true), "before the first step there is nothing");
}

#[test]
fn a_compaction_that_is_damaged_is_no_step() {
    let disk = SimulatedDisk::new(1);
    small_log(&disk);
    let mut log = open(&disk).unwrap();
    log.compact().unwrap();
    log.commit(b"after", vec![state_change(&(3, 1, None, Some(9)))]).unwrap();
    log.commit(b"last", vec![]).unwrap();
    let model = Model::of(&log);
    drop(log);
    let [path] = &frames(&disk)[..] else { panic!("one file") };
    let bytes = disk.bytes(path).unwrap();
    let mut notes = BTreeSet::new();
    for byte in (0..used(&disk)[path]).step_by(7) {
        let damaged = disk.after_kill();
        let mut flipped = bytes.clone();
        flipped[byte] ^= 4;
        damaged.put(path, flipped);
        if open(&damaged).is_ok() {
            continue;
        }
        let beneath: Arc<dyn Disk> = Arc::new(damaged.clone());
        let rollback = CommitLog::roll_back_on(Path::new(FOLDER), &KEY, &beneath).unwrap().unwrap();
        if let Some(note) = rollback.note {
            let found = Model::of(&open(&damaged).unwrap());
            let missing: Vec<_> =
                model.rows.iter().filter(|(key, _)| !found.rows.contains_key(*key)).collect();
            assert!(found.note.as_ref() == Some(&note) && missing.len() <= 1, "byte {byte}: {missing:?}");
            notes.insert(note);
        }
    }
    assert!(notes.contains(b"noted".as_slice()) && notes.contains(b"after".as_slice()), "{notes:?}");
}
