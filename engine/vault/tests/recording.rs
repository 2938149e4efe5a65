//! Recordings: what was recorded comes again, or an error that names the place; never less in silence.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[allow(dead_code, reason = "shared with other tests, which use more of it")]
mod rows;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use headwater_vault::{
    Error, KeyFile, RecordedEnd, RecordedPort, Recording, RecordingEntry, RecordingHead, RecordingWriter,
    UnfinishedPolicy, real_disk,
};
use rows::rows;

/// Rows of two devices in each of three epochs, at two ports.
const EPOCHS: [[(&str, u64); 2]; 3] =
    [[("hall", 0), ("kitchen", 0)], [("kitchen", 1), ("hall", 1)], [("hall", 2), ("hall", 3)]];

fn head() -> RecordingHead {
    let columns = rows(&[("hall", 0)]).schema();
    let port = |name: &str, label: &str| RecordedPort {
        name: name.into(),
        label: label.into(),
        columns: columns.clone(),
    };
    RecordingHead {
        pipeline: "talk".into(),
        facts: BTreeMap::from([("program".to_owned(), "0".to_owned())]),
        ports: vec![port("talk.out", "raw"), port("redact.out", "redacted")],
    }
}

fn end(epoch: u64) -> RecordedEnd {
    let watermark = (epoch > 0).then_some(epoch.cast_signed() * 1_000_000);
    RecordedEnd { epoch, round: epoch / 2, watermark, round_end: epoch == 1, end_of_input: epoch == 2 }
}

fn expected() -> Vec<RecordingEntry> {
    let epoch = |(epoch, of): (u64, &[(&str, u64); 2])| {
        let rows = |port| RecordingEntry::Rows { port, rows: Some(rows(of)) };
        [rows(0), rows(1), RecordingEntry::End(end(epoch))]
    };
    (0..).zip(&EPOCHS).flat_map(epoch).collect()
}

fn begin(folder: &Path, key: &KeyFile) -> RecordingWriter {
    let mut writer = RecordingWriter::create(folder, key, real_disk(), &head()).unwrap();
    for (epoch, of) in (0..).zip(&EPOCHS) {
        for port in 0..2 {
            writer.rows(port, &rows(of)).unwrap();
        }
        writer.end(&end(epoch)).unwrap();
    }
    writer
}

fn read(folder: &Path, key: &KeyFile) -> Result<Vec<RecordingEntry>, Error> {
    Recording::open(folder, key)?.entries().collect()
}

struct Own(tempfile::TempDir);

impl Own {
    fn new() -> Self {
        Own(tempfile::tempdir().unwrap())
    }
    fn key(&self) -> KeyFile {
        KeyFile::at(self.0.path().join("root.key"))
    }
    fn folder(&self) -> PathBuf {
        self.0.path().join("rec")
    }
    fn frames(&self) -> PathBuf {
        self.folder().join("00000001.frames")
    }
}

#[test]
fn what_was_recorded_comes_again() {
    let own = Own::new();
    let totals = begin(&own.folder(), &own.key()).finish().unwrap();
    assert_eq!((totals.rows, totals.ends), (12, 3));
    let recording = Recording::open(&own.folder(), &own.key()).unwrap();
    assert_eq!(recording.head(), &head());
    assert_eq!(read(&own.folder(), &own.key()).unwrap(), expected());
    let checks = Recording::verify(&own.folder(), &own.key()).unwrap();
    assert!(checks.iter().all(|check| check.problem.is_none()), "{checks:?}");
    assert!(matches!(
        RecordingWriter::create(&own.folder(), &own.key(), real_disk(), &head()),
        Err(Error::Foreign { .. })
    ));
}

#[test]
fn every_shorter_file_is_refused_with_the_place() {
    let own = Own::new();
    begin(&own.folder(), &own.key()).finish().unwrap();
    let whole = fs::read(own.frames()).unwrap();
    for length in (0..100).chain((100..whole.len()).step_by(11)).chain([whole.len() - 1]) {
        fs::write(own.frames(), &whole[..length]).unwrap();
        let message = read(&own.folder(), &own.key()).unwrap_err().to_string();
        assert!(message.contains("00000001.frames"), "{length}: {message}");
    }
    fs::remove_file(own.frames()).unwrap();
    assert!(read(&own.folder(), &own.key()).is_err());
}

#[test]
fn every_changed_byte_is_refused_with_the_place() {
    let own = Own::new();
    begin(&own.folder(), &own.key()).finish().unwrap();
    let whole = fs::read(own.frames()).unwrap();
    // All bytes of the head, and of the rest so many that every kind of field is met.
    for at in (0..100).chain((100..whole.len()).step_by(11)) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(own.frames(), &changed).unwrap();
        match read(&own.folder(), &own.key()) {
            Ok(_) => panic!("byte {at} of {} was changed unnoticed", whole.len()),
            Err(error) => assert!(error.to_string().contains("rec"), "{at}: {error}"),
        }
    }
}

#[test]
fn one_that_was_not_ended_is_refused_with_the_place() {
    let own = Own::new();
    drop(begin(&own.folder(), &own.key()));
    let message = read(&own.folder(), &own.key()).unwrap_err().to_string();
    assert!(message.contains("00000001.frames") && message.contains("after frame 10 at byte"), "{message}");
    assert!(message.contains("epoch 2 is the last complete one"), "{message}");
    let whole = fs::read(own.frames()).unwrap();
    for length in (42..whole.len()).step_by(7) {
        fs::write(own.frames(), &whole[..length]).unwrap();
        assert!(read(&own.folder(), &own.key()).is_err(), "{length}");
    }
}

/// Wherever one breaks off, what is read of it on request is whole epochs from its beginning.
#[test]
fn complete_epochs_of_one_that_was_not_ended_can_be_read() {
    let own = Own::new();
    drop(begin(&own.folder(), &own.key()));
    let complete = || -> Result<Vec<RecordingEntry>, Error> {
        Recording::open_complete(&own.folder(), &own.key())?.entries().collect()
    };
    assert_eq!(complete().unwrap(), expected());
    let whole = fs::read(own.frames()).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let mut is_whole_epochs = |read: &[RecordingEntry], of: &str| {
        assert!(read.len().is_multiple_of(3) && expected().starts_with(read), "{of}: {} entries", read.len());
        seen.insert(read.len() / 3);
    };
    for length in (42..whole.len()).step_by(7) {
        fs::write(own.frames(), &whole[..length]).unwrap();
        if let Ok(read) = complete() {
            is_whole_epochs(&read, &format!("cut at {length}"));
            let recording = Recording::open_complete(&own.folder(), &own.key()).unwrap();
            let place = recording.truncation().unwrap();
            assert_eq!((place.epochs as usize, place.last.is_some()), (read.len() / 3, !read.is_empty()));
        }
    }
    for at in (42..whole.len()).step_by(13) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(own.frames(), &changed).unwrap();
        if let Ok(read) = complete() {
            is_whole_epochs(&read, &format!("changed at {at}"));
        }
    }
    assert_eq!(seen, [0, 1, 2].into());
    let ended = Own::new();
    begin(&ended.folder(), &ended.key()).finish().unwrap();
    let recording = Recording::open_complete(&ended.folder(), &ended.key()).unwrap();
    assert!(recording.truncation().is_none(), "one that was ended is read to its end");
    assert_eq!(recording.entries().collect::<Result<Vec<_>, _>>().unwrap(), expected());
}

#[test]
fn a_forgotten_device_is_gone_and_the_rest_is_provable() {
    let own = Own::new();
    begin(&own.folder(), &own.key()).finish().unwrap();
    assert!(Recording::forget(&own.folder(), &own.key(), real_disk(), "hall").unwrap());
    assert!(!Recording::forget(&own.folder(), &own.key(), real_disk(), "hall").unwrap());
    let recording = Recording::open(&own.folder(), &own.key()).unwrap();
    let mut entries = recording.entries();
    let kept: Vec<Option<u64>> = (&mut entries)
        .filter_map(|entry| match entry.unwrap() {
            RecordingEntry::Rows { rows, .. } => Some(rows.map(|rows| rows.num_rows() as u64)),
            RecordingEntry::End(_) => None,
        })
        .collect();
    assert_eq!(kept, [Some(1), Some(1), Some(1), Some(1), None, None]);
    assert_eq!((entries.forgotten(), entries.totals().ends), (6, 3));
}

#[test]
fn what_is_no_recording_is_told_apart() {
    let own = Own::new();
    assert!(matches!(
        Recording::find(&own.folder(), &own.key(), UnfinishedPolicy::Refused),
        Err(Error::Absent { .. })
    ));
    let mut log = headwater_vault::FrameLog::open(&own.folder(), &own.key()).unwrap();
    log.append(&rows(&[("hall", 0)])).unwrap();
    log.sync().unwrap();
    assert!(Recording::find(&own.folder(), &own.key(), UnfinishedPolicy::Refused).unwrap().is_none());
    assert!(matches!(Recording::open(&own.folder(), &own.key()), Err(Error::Foreign { .. })));
}

/// The kept recording of version 1. `HEADWATER_BLESS=1` writes it again, which only a new format version should need.
#[test]
fn a_kept_recording_is_read() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/recording");
    let own = Own::new();
    if std::env::var_os("HEADWATER_BLESS").is_some() {
        let _ = fs::remove_dir_all(&golden);
        begin(&own.folder(), &own.key()).finish().unwrap();
        fs::create_dir_all(&golden).unwrap();
        fs::copy(own.key().path(), golden.join("root.key")).unwrap();
        for name in ["keystore", "00000001.frames"] {
            fs::copy(own.folder().join(name), golden.join(name)).unwrap();
        }
    }
    fs::create_dir_all(own.folder()).unwrap();
    fs::copy(golden.join("root.key"), own.key().path()).unwrap();
    // A checkout does not keep the mode that a key file must have.
    fs::set_permissions(own.key().path(), fs::Permissions::from_mode(0o600)).unwrap();
    for name in ["keystore", "00000001.frames"] {
        fs::copy(golden.join(name), own.folder().join(name)).unwrap();
    }
    let recording = Recording::open(&own.folder(), &own.key()).unwrap();
    assert_eq!(recording.head(), &head());
    assert_eq!(read(&own.folder(), &own.key()).unwrap(), expected());
}
