//! Kept files are read by every later version. Those in tests/golden/vault-2 are of version 2: `HEADWATER_BLESS=1` writes them
//! again, which only a new format version should need.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod rows;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use headwater_vault::{
    AuditAction, AuditLog, CommitLog, FrameLog, Intake, IntakeContent, IntakeLog, Key, KeyFile, RootKey,
    StateChange, Store, StoreOptions, StoreReader, backup, real_disk, verify,
};
use rows::{content, expected, of_device, rows};

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

/// The key of the kept files protects nothing: it stands here.
fn root() -> RootKey {
    RootKey::new(
        Key::from_bytes(*b"kept for the tests, no secret at"),
        UNIX_EPOCH + Duration::from_secs(1_750_000_000),
    )
}

/// A kept folder as a copy, and its root key. A checkout does not keep the mode that a key file must have.
fn copy_of(name: &str) -> (tempfile::TempDir, KeyFile) {
    let own = tempfile::tempdir().unwrap();
    copy(&kept(name), own.path());
    let key = KeyFile::at(own.path().join("root.key"));
    fs::set_permissions(key.path(), fs::Permissions::from_mode(0o600)).unwrap();
    (own, key)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn files_of_another_version_are_refused() {
    for (file, store) in [("store/keystore", true), ("store/00000003.frames", true), ("root.key", false)] {
        let (own, key) = copy_of("vault-2");
        let path = own.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        let version = if store { 1 } else { 2 };
        bytes[8] = version;
        fs::write(&path, bytes).unwrap();
        let error = StoreReader::open(&own.path().join("store"), &key).err().unwrap().to_string();
        let expected = format!("its version is {version}, this program reads {}", 3 - version);
        assert!(error.contains(&expected), "{file}: {error}");
    }
}

/// Files of version 2: a store, a commit log, an intake log and a log of frames, each over two attempts.
fn bless(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    let key = KeyFile::at(folder.join("root.key"));
    key.install(&root()).unwrap();
    fs::write(folder.join("root.backup.txt"), &*backup::write(&root())).unwrap();
    let mut store = Store::open(&folder.join("store"), &key, StoreOptions::default()).unwrap();
    store.append(&rows(&[("hall", 0), ("kitchen", 0), ("hall", 1)])).unwrap();
    store.seal().unwrap();
    store.append(&rows(&[("kitchen", 1), ("hall", 2)])).unwrap();
    store.commit().unwrap();
    for attempt in 0..2 {
        let mut state = CommitLog::open(&folder.join("state"), &key, real_disk()).unwrap();
        let change = |table: &str, key: u8, device: Option<&str>, row| StateChange {
            table: table.into(),
            key: vec![key],
            device: device.map(str::to_owned),
            row,
        };
        let changes = vec![
            change(
                "train",
                attempt,
                Some("hall"),
                Some(of_device("hall", u64::from(attempt)..u64::from(attempt) + 1)),
            ),
            change("intake", 0, None, Some(of_device("any", u64::from(attempt)..u64::from(attempt) + 1))),
        ];
        state.commit(b"first", changes).unwrap();
        state.commit(format!("life {attempt}").as_bytes(), vec![change("train", 9, None, None)]).unwrap();
        let mut intake = IntakeLog::open(&folder.join("intake"), &key, real_disk()).unwrap();
        intake
            .append(u64::from(attempt), "mic", &rows(&[("hall", 1), ("loft", 2), ("hall", 3)]), b"here")
            .unwrap();
        intake.barrier(u64::from(attempt), b"mark").unwrap();
        intake.sync().unwrap();
        let mut log = FrameLog::open(&folder.join("quarantine"), &key).unwrap();
        log.append(&rows(&[("hall", u64::from(attempt)), ("loft", 7)])).unwrap();
        log.sync().unwrap();
        let audit = AuditLog::at(folder, &key, real_disk());
        audit.record(AuditAction::Export, &[("rows", serde_json::json!(attempt))]).unwrap();
    }
    for folder in ["store", "state", "intake", "quarantine"].map(|name| folder.join(name)) {
        fs::remove_file(folder.join("lock")).unwrap();
    }
    fs::remove_file(folder.join("audit.lock")).unwrap();
}

#[test]
fn files_of_version_2_are_read() {
    if std::env::var_os("HEADWATER_BLESS").is_some() {
        bless(&kept("vault-2"));
    }
    let (own, key) = copy_of("vault-2");
    let at = |name: &str| own.path().join(name);
    let read = key.read().unwrap();
    assert_eq!((read.id(), read.key(), read.made()), (root().id(), root().key(), root().made()));
    let text = fs::read_to_string(at("root.backup.txt")).unwrap();
    assert_eq!(backup::read(&text).unwrap().key(), root().key());
    let found = verify(&at("store"), &key).unwrap();
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    assert_eq!((found.segments, found.rows, found.unsealed_rows), (2, 3, 2));
    let batches: Vec<_> = StoreReader::open(&at("store"), &key).unwrap().rows().map(Result::unwrap).collect();
    let order = [("hall", 0), ("hall", 1), ("kitchen", 0), ("kitchen", 1), ("hall", 2)];
    assert_eq!(content(&batches), expected(order));

    let checks = CommitLog::verify(&at("state"), &key).unwrap();
    assert!(checks.len() == 2 && checks.iter().all(|check| check.problem.is_none()), "{checks:?}");
    let state = CommitLog::open(&at("state"), &key, real_disk()).unwrap();
    assert_eq!(state.note(), Some(&b"life 1"[..]));
    assert_eq!(state.tables().collect::<Vec<_>>(), ["intake", "train"]);
    let train = [0u8, 1].map(|attempt| {
        (
            vec![attempt],
            Some("hall".to_owned()),
            of_device("hall", u64::from(attempt)..u64::from(attempt) + 1),
        )
    });
    assert_eq!(state.rows("train").unwrap(), train);
    assert_eq!(state.rows("intake").unwrap(), [(vec![0], None, of_device("any", 1..2))]);

    let intake = IntakeLog::open(&at("intake"), &key, real_disk()).unwrap().content(None).unwrap();
    let expected_intake = [0, 1].into_iter().flat_map(|epoch| {
        let rows = Some(rows(&[("hall", 1), ("loft", 2), ("hall", 3)]));
        let batch = IntakeContent::Batch { source: "mic".into(), rows, position: b"here".to_vec() };
        [batch, IntakeContent::Barrier(b"mark".to_vec())].map(|content| Intake { epoch, content })
    });
    assert_eq!(intake, expected_intake.collect::<Vec<_>>());

    let log = FrameLog::read(&at("quarantine"), &key).unwrap();
    assert_eq!(log.batches, [0, 1].map(|attempt| rows(&[("hall", attempt), ("loft", 7)])));
    let audit = AuditLog::at(own.path(), &key, real_disk()).check().unwrap();
    assert_eq!((audit.lines.len(), audit.problems.len(), audit.other_keys), (2, 0, 0));
}
