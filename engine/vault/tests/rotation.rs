//! Another root key for all that one wraps: whatever call the power goes at, every folder opens at once, for reading and for
//! writing, and a second try ends with all of them under one key.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[allow(dead_code)]
mod rows;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_vault::{
    CommitLog, CommitLogView, Disk, Error, Fault, FrameLog, IntakeLog, KeyFile, KeyId, RecordedPort,
    Recording, RecordingEntry, RecordingHead, RecordingWriter, Rotation, RotationCounts, SimulatedDisk,
    StateChange, Store, StoreOptions, StoreReader, Target,
};

const KEY: &str = "/keys/root.key";

fn folders() -> Vec<PathBuf> {
    [
        "/data/store",
        "/state/p/commits",
        "/state/p/intake",
        "/state/p/quarantine",
        "/state/p/recordings/000001",
    ]
    .map(PathBuf::from)
    .to_vec()
}

fn handle(disk: &SimulatedDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn key_on(disk: &SimulatedDisk) -> KeyFile {
    KeyFile::at_on(KEY, handle(disk))
}

/// Fills one folder of each form.
fn fill(disk: &SimulatedDisk) {
    let (key, all) = (key_on(disk), folders());
    key.read_or_create().unwrap();
    let mut store = Store::open_on(&all[0], &key, StoreOptions::default(), handle(disk)).unwrap();
    store.append(&rows::rows(&[("hall", 0), ("loft", 0)])).unwrap();
    store.seal().unwrap();
    store.append(&rows::rows(&[("hall", 1)])).unwrap();
    store.commit().unwrap();
    let mut state = CommitLog::open(&all[1], &key, handle(disk)).unwrap();
    let row = Some(rows::rows(&[("hall", 7)]));
    let change = StateChange { table: "t".into(), key: b"k".to_vec(), device: Some("hall".into()), row };
    state.commit(b"note", vec![change]).unwrap();
    let mut intake = IntakeLog::open(&all[2], &key, handle(disk)).unwrap();
    intake.append(1, "mic", &rows::rows(&[("hall", 2)]), b"p").unwrap();
    intake.sync().unwrap();
    let mut log = FrameLog::open_on(&all[3], &key, handle(disk)).unwrap();
    log.append(&rows::rows(&[("hall", 3)])).unwrap();
    log.sync().unwrap();
    let batch = rows::rows(&[("hall", 4)]);
    let port = RecordedPort { name: "mic.out".into(), label: "raw".into(), columns: batch.schema() };
    let head = RecordingHead { pipeline: "p".into(), facts: [].into(), ports: vec![port] };
    let mut recording = RecordingWriter::create(&all[4], &key, handle(disk), &head).unwrap();
    recording.rows(0, &batch).unwrap();
    recording.finish().unwrap();
}

/// Reads all of it, beside a writer and then as one.
fn assert_all_is_there(disk: &SimulatedDisk, what: &str) {
    let (key, all) = (key_on(disk), folders());
    let reader = StoreReader::open_on(&all[0], &key, handle(disk)).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(reader.rows().map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 3, "{what}");
    assert_eq!(
        CommitLogView::open(&all[1], &key, &handle(disk)).unwrap().rows("t").unwrap().len(),
        1,
        "{what}"
    );
    let quarantine = FrameLog::read_on(&all[3], &key, &handle(disk)).unwrap();
    assert_eq!(quarantine.batches, [rows::rows(&[("hall", 3)])], "{what}");
    let recording = Recording::open_on(&all[4], &key, handle(disk)).unwrap();
    let played: Vec<_> = recording.entries().map(Result::unwrap).collect();
    assert_eq!(played, [RecordingEntry::Rows { port: 0, rows: Some(rows::rows(&[("hall", 4)])) }], "{what}");
    assert_eq!(
        IntakeLog::open(&all[2], &key, handle(disk)).unwrap().content(None).unwrap().len(),
        1,
        "{what}"
    );
    let state = CommitLog::open(&all[1], &key, handle(disk)).unwrap();
    assert_eq!(state.note(), Some(b"note".as_slice()), "{what}");
    let mut store = Store::open_on(&all[0], &key, StoreOptions::default(), handle(disk)).unwrap();
    assert_eq!(store.append(&rows::rows(&[("hall", 1)])).unwrap().new, 0, "{what}");
}

fn rotate(disk: &SimulatedDisk, of: &[PathBuf]) -> Result<(Target, RotationCounts), Error> {
    let key = key_on(disk);
    let rotation = Rotation::begin(&key, of, &handle(disk))?;
    Ok((rotation.target(), rotation.run()?))
}

fn current(disk: &SimulatedDisk) -> KeyId {
    key_on(disk).read().unwrap().id()
}

#[test]
fn a_crash_at_any_call_leaves_all_readable_and_a_second_try_finishes() {
    for fault in [Fault::PowerCut, Fault::Io, Fault::DiskFull] {
        for at in 0.. {
            let disk = SimulatedDisk::new(at);
            fill(&disk);
            let before = current(&disk);
            disk.fault_at(at, fault);
            let done = rotate(&disk, &folders());
            let what = format!("{fault:?} at call {at}");
            let after = if fault == Fault::PowerCut { disk.after_power_cut() } else { disk.after_kill() };
            assert_all_is_there(&after.after_kill(), &what);
            let wanted = if current(&after) == before {
                rotate(&after, &folders()).unwrap()
            } else {
                // It came through, and one more makes another key.
                (Target::Fresh, RotationCounts { wrapped: 5, already: 0 })
            };
            assert!(matches!(wanted.0, Target::Fresh | Target::Resumed), "{what}: {wanted:?}");
            assert_eq!(wanted.1.wrapped + wanted.1.already, 5, "{what}");
            assert_ne!(current(&after), before, "{what}");
            assert!(key_on(&after).next().unwrap().is_none(), "{what}: nothing is unfinished");
            // Without the older key all of it opens still.
            after.put(&key_on(&after).place_of(before), b"gone".to_vec());
            assert_all_is_there(&after, &what);
            if done.is_ok() {
                assert!(at > 20, "{at} calls");
                break;
            }
        }
    }
}

#[test]
fn what_is_not_named_opens_with_the_older_key_and_follows_later() {
    let disk = SimulatedDisk::new(3);
    fill(&disk);
    let first = current(&disk);
    assert_eq!(
        rotate(&disk, &folders()[..2]).unwrap(),
        (Target::Fresh, RotationCounts { wrapped: 2, already: 0 })
    );
    let second = current(&disk);
    assert_ne!(first, second);
    assert_all_is_there(&disk, "two of five");
    // Those that are all under an older key follow to the current one.
    assert_eq!(
        rotate(&disk, &folders()[2..]).unwrap(),
        (Target::Current, RotationCounts { wrapped: 3, already: 0 })
    );
    assert_eq!(current(&disk), second);
    assert_eq!(
        rotate(&disk, &folders()).unwrap(),
        (Target::Fresh, RotationCounts { wrapped: 5, already: 0 })
    );
    let others = key_on(&disk).others().unwrap().into_iter().map(|(_, key)| key.id());
    assert_eq!(others.collect::<std::collections::HashSet<_>>(), [first, second].into());
    assert_all_is_there(&disk, "all");
}

#[test]
fn a_folder_that_is_written_to_or_does_not_open_changes_nothing() {
    let disk = SimulatedDisk::new(5);
    fill(&disk);
    let changes = || (current(&disk), key_on(&disk).next().unwrap().map(|key| key.id()), disk.files());
    let before = changes();
    let open = CommitLog::open(&folders()[1], &key_on(&disk), handle(&disk)).unwrap();
    assert!(
        matches!(rotate(&disk, &folders()).unwrap_err(), Error::Busy { path, .. } if path == folders()[1])
    );
    drop(open);
    let other = KeyFile::at_on("/keys/other.key", handle(&disk));
    other.read_or_create().unwrap();
    let place = Path::new("/data/other");
    drop(Store::open_on(place, &other, StoreOptions::default(), handle(&disk)).unwrap());
    let all = [folders(), vec![place.to_owned()]].concat();
    assert!(matches!(rotate(&disk, &all).unwrap_err(), Error::WrongKey { .. }));
    assert_eq!((before.0, before.1), (changes().0, changes().1));
    assert!(rotate(&disk, &folders()).is_ok(), "the locks are free again");
}
