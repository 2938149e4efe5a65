//! A key is made once, kept from others, and never read from damaged bytes.

use super::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn a_key_is_made_once_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeyFile::at(folder.path().join("deep/root.key"));
    assert!(matches!(file.read(), Err(Error::Absent { .. })));
    let (made, new) = file.read_or_create().unwrap();
    assert!(new);
    assert_eq!(std::fs::metadata(file.path()).unwrap().mode() & 0o777, 0o600);
    let (read, new) = file.read_or_create().unwrap();
    assert!(!new);
    assert_eq!((made.id(), made.key(), made.made()), (read.id(), read.key(), read.made()));
    assert_eq!(std::fs::read_dir(file.path().parent().unwrap()).unwrap().count(), 1, "no leftovers");
}

#[test]
fn a_key_that_others_may_read_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeyFile::at(folder.path().join("root.key"));
    file.read_or_create().unwrap();
    for mode in [0o644, 0o640, 0o604, 0o666] {
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let error = file.root_key().unwrap_err().to_string();
        assert!(error.contains(&format!("mode {mode:03o}")) && error.contains("chmod 600"), "{error}");
    }
}

#[test]
fn no_flipped_byte_and_no_cut_gives_a_key() {
    let path = Path::new("root.key");
    let bytes = RootKey::random().unwrap().encode();
    assert!(RootKey::decode(path, &bytes).is_ok());
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        assert!(RootKey::decode(path, &flipped).is_err(), "byte {at}");
        assert!(RootKey::decode(path, &bytes[..at]).is_err(), "length {at}");
    }
    assert!(RootKey::decode(path, &[&bytes[..], b"x"].concat()).is_err());
}

#[test]
fn another_key_is_overwritten_only_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeyFile::at(folder.path().join("root.key"));
    let (first, second) = (RootKey::random().unwrap(), RootKey::random().unwrap());
    file.install(&first, Overwrite::Refuse).unwrap();
    file.install(&first, Overwrite::Refuse).unwrap();
    assert!(matches!(file.install(&second, Overwrite::Refuse), Err(Error::KeyPresent { .. })));
    assert_eq!(file.read().unwrap().id(), first.id());
    file.install(&second, Overwrite::Force).unwrap();
    assert_eq!(file.read().unwrap().id(), second.id());
}
