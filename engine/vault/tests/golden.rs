//! Files of format version 1, kept in tests/golden/vault, are read by every later version: the root key, the
//! keystore, the segments and the log. `HEADWATER_BLESS=1` writes them anew, which only a new format version
//! should need.

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

use headwater_vault::{Key, KeyFile, Overwrite, RootKey, Store, StoreOptions, StoreReader, backup, verify};
use rows::{content, expected, of_device, rows};

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/vault")
}

/// The key of the kept files protects nothing: it stands here.
fn root() -> RootKey {
    RootKey::new(
        Key::from_bytes(*b"kept for the tests, no secret at"),
        UNIX_EPOCH + Duration::from_secs(1_750_000_000),
    )
}

fn bless(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    let key = KeyFile::at(folder.join("root.key"));
    key.install(&root(), Overwrite::Force).unwrap();
    fs::write(folder.join("root.backup.txt"), backup::write(&root()).as_str()).unwrap();
    let mut store = Store::open(&folder.join("store"), &key, StoreOptions::default()).unwrap();
    store.append(&rows(&[("hall", 0), ("kitchen", 0), ("hall", 1)])).unwrap();
    store.seal().unwrap();
    store.append(&of_device("kitchen", 1..3).project(&[0, 1, 2, 3, 4, 5]).unwrap()).unwrap();
    store.seal().unwrap();
    store.append(&of_device("kitchen", 3..5)).unwrap();
    store.commit().unwrap();
    drop(store);
    for lock in ["store/lock", "store/log/lock"] {
        fs::remove_file(folder.join(lock)).unwrap();
    }
}

#[test]
fn files_of_version_1_are_read() {
    let kept = kept();
    if std::env::var_os("HEADWATER_BLESS").is_some() {
        bless(&kept);
    }
    // A checkout does not keep the mode that a key file must have.
    let own = tempfile::tempdir().unwrap();
    let key = KeyFile::at(own.path().join("root.key"));
    fs::copy(kept.join("root.key"), key.path()).unwrap();
    fs::set_permissions(key.path(), fs::Permissions::from_mode(0o600)).unwrap();
    let read = key.read().unwrap();
    assert_eq!((read.id(), read.key(), read.made()), (root().id(), root().key(), root().made()));
    let text = fs::read_to_string(kept.join("root.backup.txt")).unwrap();
    assert_eq!(backup::read(&text).unwrap().key(), root().key());
    let store = kept.join("store");
    let found = verify(&store, &key).unwrap();
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    assert_eq!((found.segments, found.rows, found.unsealed_rows), (3, 5, 2));
    let batches: Vec<_> = StoreReader::open(&store, &key).unwrap().rows().map(Result::unwrap).collect();
    let order = [
        ("hall", 0),
        ("hall", 1),
        ("kitchen", 0),
        ("kitchen", 1),
        ("kitchen", 2),
        ("kitchen", 3),
        ("kitchen", 4),
    ];
    assert_eq!(content(&batches), expected(order));
    assert_eq!(batches[0], rows(&[("hall", 0), ("hall", 1)]));
}
