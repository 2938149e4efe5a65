//! Every byte of every kind of file, flipped, and every file cut at every length: always an error or exactly
//! the rows that were written, never others.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[path = "rows/root.rs"]
mod root;
mod rows;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_vault::{Error, FrameLog, KeyFile, SimulatedDisk, Store, StoreOptions, StoreReader, verify};
use root::Root;
use rows::{content, expected, of_device, rows};

/// A small store of two devices with sealed rows and rows in its log.
fn small_store(folder: &Path) -> (PathBuf, KeyFile) {
    let (path, key) = (folder.join("vault"), KeyFile::at(folder.join("root.key")));
    let mut store = Store::open(&path, &key, StoreOptions::default()).unwrap();
    store.append(&rows(&[("a", 0), ("b", 0)])).unwrap();
    store.seal().unwrap();
    store.append(&rows(&[("a", 1)])).unwrap();
    store.commit().unwrap();
    (path, key)
}

fn read(path: &Path, key: &KeyFile) -> Result<Vec<(String, u64, String)>, Error> {
    let batches = StoreReader::open(path, key)?.rows().collect::<Result<Vec<_>, _>>()?;
    Ok(content(&batches))
}

fn file_ending(folder: &Path, end: &str) -> PathBuf {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    names.into_iter().find(|p| p.to_string_lossy().ends_with(end)).unwrap()
}

/// Writes a file from scratch. Overwriting one in place makes some file systems wait for the disk each time.
fn put(path: &Path, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
    fs::remove_file(path)?;
    fs::write(path, bytes)
}

/// Flips and cuts `file` everywhere; `check` gets a description of the damage.
fn damage_everywhere(file: &Path, mut check: impl FnMut(&str)) {
    let whole = fs::read(file).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        put(file, &flipped).unwrap();
        check(&format!("byte {at} of {} flipped", whole.len()));
    }
    for length in 0..whole.len() {
        put(file, &whole[..length]).unwrap();
        check(&format!("cut to {length} of {}", whole.len()));
    }
    put(file, [&whole[..], b"x"].concat()).unwrap();
    check("one byte more");
    put(file, &whole).unwrap();
}

#[test]
fn a_damaged_segment_gives_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = small_store(folder.path());
    let file = file_ending(&path, ".parquet");
    damage_everywhere(&file, |what| {
        let reader = StoreReader::open(&path, &key);
        // Opening reads only what it needs; rows come only from a file that was verified as a whole.
        let rows = reader.and_then(|r| {
            let damaged = r.segments().iter().find(|s| s.path == file).unwrap().clone();
            r.read(&damaged).map(Iterator::count)
        });
        let error = rows.err().unwrap_or_else(|| panic!("{what}: no error"));
        assert!(matches!(error, Error::Damaged { .. }), "{what}: {error}");
        assert!(error.to_string().contains(&file.display().to_string()), "{what}: {error}");
    });
    assert!(read(&path, &key).is_ok());
}

#[test]
fn a_damaged_keystore_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = small_store(folder.path());
    damage_everywhere(&path.join("keystore"), |what| {
        let error = read(&path, &key).err().unwrap_or_else(|| panic!("{what}: no error"));
        assert!(matches!(error, Error::Damaged { .. } | Error::Foreign { .. }), "{what}: {error}");
    });
    assert!(read(&path, &key).is_ok());
}

#[test]
fn a_damaged_log_gives_an_error_or_whole_frames() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = small_store(folder.path());
    let file = file_ending(&path, ".frames");
    let sealed = expected([("a", 0), ("b", 0)]);
    damage_everywhere(&file, |what| match read(&path, &key) {
        Ok(found) => {
            assert!(what.starts_with("cut") || what == "one byte more", "{what}: no error");
            assert_eq!(found[..2], sealed, "{what}");
            let torn = verify(&path, &key).unwrap().torn;
            // Cut right behind its header, the file is a log without rows.
            assert!(
                torn.len() == 1 || what.starts_with("cut to 42 "),
                "{what}: a cut in a frame is reported"
            );
        }
        Err(error) => {
            assert!(matches!(error, Error::Damaged { .. } | Error::Foreign { .. }), "{what}: {error}");
        }
    });
}

/// A log of three frames in one file, and its disk.
fn three_frames() -> (SimulatedDisk, PathBuf) {
    let disk = SimulatedDisk::new(3);
    let mut log = frame_log(&disk).unwrap();
    for n in 0..3 {
        log.append(&of_device("a", n..n + 1)).unwrap();
        log.sync().unwrap();
    }
    let file = disk.files().into_iter().find(|path| path.extension().is_some_and(|e| e == "frames")).unwrap();
    (disk, file)
}

fn frame_log(disk: &SimulatedDisk) -> Result<FrameLog, Error> {
    FrameLog::open_on(Path::new("/log"), &Root(1), Arc::new(disk.clone()))
}

/// Returns the number of frames read, which must be the first ones, and the number of torn tails.
fn frames(disk: &SimulatedDisk) -> Result<(usize, usize), Error> {
    let content = frame_log(disk)?.content()?;
    let count = content.batches.len();
    assert_eq!(rows::content(&content.batches), expected((0..count as u64).map(|n| ("a", n))));
    Ok((count, content.torn.len()))
}

/// Where the frames of a file begin, and where the last ends: each begins with its length.
fn places(bytes: &[u8]) -> Vec<usize> {
    let mut places = vec![42];
    while let Some(length) = bytes.get(places[places.len() - 1]..).and_then(|rest| rest.first_chunk::<4>()) {
        places.push(places[places.len() - 1] + 36 + u32::from_le_bytes(*length) as usize);
    }
    places
}

#[test]
fn frames_are_whole_in_order_or_an_error() {
    let (disk, file) = three_frames();
    let whole = disk.bytes(&file).unwrap();
    let places = places(&whole);
    assert_eq!((places.len(), places[3]), (4, whole.len()));
    assert_eq!(frames(&disk.after_kill()).unwrap(), (3, 0));
    for length in 0..whole.len() {
        let damaged = disk.after_kill();
        damaged.put(&file, whole[..length].to_vec());
        let found = frames(&damaged);
        if length < places[0] {
            assert!(found.is_err(), "cut to {length}");
            continue;
        }
        let complete = places[1..].iter().filter(|end| **end <= length).count();
        let cut = usize::from(!places.contains(&length));
        assert_eq!(found.unwrap(), (complete, cut), "cut to {length}");
    }
}

#[test]
fn frames_cannot_be_swapped_dropped_repeated_or_moved() {
    let (disk, file) = three_frames();
    let whole = disk.bytes(&file).unwrap();
    let places = places(&whole);
    let part = |n: usize| &whole[places[n]..places[n + 1]];
    let cases = [
        ("swapped", [part(1), part(0), part(2)].concat()),
        ("first dropped", [part(1), part(2)].concat()),
        ("middle dropped", [part(0), part(2)].concat()),
        ("repeated", [part(0), part(0), part(1)].concat()),
    ];
    for (what, body) in cases {
        let damaged = disk.after_kill();
        damaged.put(&file, [&whole[..42], &body].concat());
        assert!(matches!(frames(&damaged), Err(Error::Damaged { .. })), "{what}");
    }
    // A second attempt has another file; the bytes of the first one are not accepted for it.
    let mut log = frame_log(&disk).unwrap();
    log.append(&of_device("a", 3..4)).unwrap();
    log.sync().unwrap();
    drop(log);
    let other =
        disk.files().into_iter().filter(|p| p.extension().is_some_and(|e| e == "frames")).max().unwrap();
    assert_ne!(other, file);
    let damaged = disk.after_kill();
    damaged.put(&other, whole.clone());
    assert!(matches!(frames(&damaged), Err(Error::Damaged { .. })), "moved");
}

#[test]
fn a_tail_of_zeros_is_cut_and_reported() {
    let (disk, file) = three_frames();
    let whole = disk.bytes(&file).unwrap();
    let end = places(&whole)[2];
    let with = |tail: &[u8]| {
        let damaged = disk.after_kill();
        damaged.put(&file, [&whole[..end], tail].concat());
        frames(&damaged)
    };
    assert_eq!(with(&[0; 9000]).unwrap(), (2, 1));
    assert_eq!(with(&[&[0; 9000][..], b"x"].concat()).unwrap(), (2, 1));
    assert!(with(&[7; 9000]).is_err(), "no disk leaves that");
}

#[test]
fn a_log_reads_over_many_lives_and_can_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("quarantine"), KeyFile::at(folder.path().join("root.key")));
    for attempt in 0..3 {
        let mut log = FrameLog::open(&path, &key).unwrap();
        log.append(&of_device("a", attempt..attempt + 1)).unwrap();
        log.sync().unwrap();
        assert_eq!(content(&log.content().unwrap().batches), expected((0..=attempt).map(|n| ("a", n))));
    }
    // The last frame of an attempt is written again to the next file: the first attempt's file is empty and removed.
    assert_eq!(fs::read_dir(&path).unwrap().count(), 2 + 2, "two files, keystore and lock");
    let mut log = FrameLog::open(&path, &key).unwrap();
    log.replace(&[of_device("a", 1..2)]).unwrap();
    log.append(&of_device("a", 7..8)).unwrap();
    log.sync().unwrap();
    let read = FrameLog::read(&path, &key).unwrap();
    assert_eq!(content(&read.batches), expected([("a", 1), ("a", 7)]));
    assert!(read.torn.is_empty());
    log.replace(&[]).unwrap();
    assert!(FrameLog::read(&path, &key).unwrap().batches.is_empty());
    assert_eq!(fs::read_dir(&path).unwrap().count(), 2);
}
