//! Every byte of every kind of file, flipped, and every file cut at every length: always an error or exactly
//! the rows that were written, never others.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod rows;

use std::fs;
use std::path::{Path, PathBuf};

use headwater_vault::{
    Error, FrameLog, FrameReader, FrameWriter, Key, KeyFile, Store, StoreOptions, StoreReader, TornTail,
    verify,
};
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

/// Writes a file anew. Overwriting one in place makes some file systems wait for the disk each time.
fn put(path: &Path, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
    fs::remove_file(path)?;
    fs::write(path, bytes)
}

/// Flips and cuts `file` everywhere; `check` is told what was done.
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
        // Opening looks only at what it needs; rows come only from a file that was compared whole.
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
    for file in [path.join("keystore"), path.join("log/keystore")] {
        damage_everywhere(&file, |what| {
            let error = read(&path, &key).err().unwrap_or_else(|| panic!("{what}: no error"));
            assert!(matches!(error, Error::Damaged { .. } | Error::Foreign { .. }), "{what}: {error}");
        });
    }
    assert!(read(&path, &key).is_ok());
}

#[test]
fn a_damaged_log_gives_an_error_or_whole_frames() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = small_store(folder.path());
    let file = file_ending(&path.join("log"), ".frames");
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

/// Three frames in one file, and where each ends.
fn three_frames(folder: &Path) -> (PathBuf, Key, Vec<u64>) {
    let (path, key) = (folder.join("one.frames"), Key::from_bytes([9; 32]));
    let mut writer = FrameWriter::create(&path, 5, key.clone()).unwrap();
    let ends = (0..3u64).map(|n| {
        writer.append(&of_device("a", n..n + 1)).unwrap();
        writer.sync().unwrap()
    });
    let ends = ends.collect();
    (path, key, ends)
}

fn frames(path: &Path, key: &Key, durable: u64) -> (Result<usize, Error>, Option<TornTail>) {
    let mut reader = match FrameReader::open(path, 5, key.clone(), durable) {
        Ok(reader) => reader,
        Err(e) => return (Err(e), None),
    };
    let mut count = 0;
    for batch in reader.by_ref() {
        match batch {
            Ok(batch) => assert_eq!(content(&[batch]), expected([("a", count as u64)])),
            Err(e) => return (Err(e), None),
        }
        count += 1;
    }
    (Ok(count), reader.torn().cloned())
}

#[test]
fn frames_are_whole_in_order_or_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key, ends) = three_frames(folder.path());
    let whole = fs::read(&path).unwrap();
    assert!(matches!(frames(&path, &key, ends[2]), (Ok(3), None)));
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x80;
        put(&path, &flipped).unwrap();
        assert!(frames(&path, &key, 0).0.is_err(), "byte {at}");
    }
    let header = (whole.len() as u64 - (ends[2] - ends[0]) - (ends[0] - 42)) as usize;
    for length in 0..whole.len() {
        put(&path, &whole[..length]).unwrap();
        let (found, torn) = frames(&path, &key, 0);
        if length < header {
            assert!(found.is_err(), "cut to {length}");
            continue;
        }
        let complete = ends.iter().filter(|end| **end <= length as u64).count();
        assert_eq!(found.unwrap(), complete, "cut to {length}");
        let end = ends.iter().rev().find(|end| **end <= length as u64).copied().unwrap_or(header as u64);
        assert_eq!(torn.map_or(0, |t| t.bytes), length as u64 - end, "cut to {length}");
        // What was acknowledged must be there.
        let acknowledged = frames(&path, &key, ends[2]).0;
        assert!(matches!(acknowledged, Err(Error::Damaged { .. })), "cut to {length}");
    }
}

#[test]
fn frames_cannot_be_swapped_dropped_repeated_or_moved() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key, ends) = three_frames(folder.path());
    let whole = fs::read(&path).unwrap();
    let at: Vec<usize> = [42, ends[0], ends[1], ends[2]].iter().map(|n| *n as usize).collect();
    let part = |n: usize| &whole[at[n]..at[n + 1]];
    let cases = [
        ("swapped", [part(1), part(0), part(2)].concat()),
        ("first dropped", [part(1), part(2)].concat()),
        ("middle dropped", [part(0), part(2)].concat()),
        ("repeated", [part(0), part(0), part(1)].concat()),
    ];
    for (what, body) in cases {
        put(&path, [&whole[..42], &body].concat()).unwrap();
        assert!(matches!(frames(&path, &key, 0).0, Err(Error::Damaged { .. })), "{what}");
    }
    put(&path, &whole).unwrap();
    let moved = FrameReader::open(&path, 6, key.clone(), 0);
    assert!(matches!(moved.err(), Some(Error::Damaged { .. })));
    assert!(
        matches!(frames(&path, &Key::from_bytes([8; 32]), 0).0, Err(Error::Damaged { .. })),
        "another key"
    );
}

#[test]
fn a_tail_of_zeros_is_cut_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key, ends) = three_frames(folder.path());
    let whole = fs::read(&path).unwrap();
    put(&path, [&whole[..ends[1] as usize], &[0; 9000]].concat()).unwrap();
    let (found, torn) = frames(&path, &key, ends[1]);
    assert_eq!(found.unwrap(), 2);
    assert_eq!(torn.unwrap(), TornTail { path: path.clone(), at: ends[1], bytes: 9000 });
    put(&path, [&whole[..ends[1] as usize], &[0; 9000], b"x"].concat()).unwrap();
    assert!(matches!(frames(&path, &key, ends[1]).0, Err(Error::Damaged { .. })), "zeros and more");
}

#[test]
fn a_log_reads_over_many_lives_and_can_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("quarantine"), KeyFile::at(folder.path().join("root.key")));
    for life in 0..3 {
        let mut log = FrameLog::open(&path, &key).unwrap();
        log.append(&of_device("a", life..life + 1)).unwrap();
        log.sync().unwrap();
        assert_eq!(content(&log.content().unwrap().batches), expected((0..=life).map(|n| ("a", n))));
    }
    assert_eq!(fs::read_dir(&path).unwrap().count(), 3 + 2, "a file for each life, keystore and lock");
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
