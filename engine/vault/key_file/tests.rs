//! A key is made once, kept from others, and found by its id.

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
fn another_key_is_kept_beside_and_found_by_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeyFile::at(folder.path().join("root.key"));
    let [first, second, third] = [(); 3].map(|()| RootKey::random().unwrap());
    file.install(&first).unwrap();
    file.install(&first).unwrap();
    assert!(file.others().unwrap().is_empty());
    file.install(&second).unwrap();
    file.keep(&third).unwrap();
    assert_eq!(file.read().unwrap().id(), second.id());
    let others: std::collections::BTreeSet<_> =
        file.others().unwrap().into_iter().map(|(path, _)| path).collect();
    assert_eq!(others, [first.id(), third.id()].map(|id| file.place_of(id)).into());
    for key in [&first, &second, &third] {
        assert_eq!(file.root_key_of(key.id()).unwrap().unwrap().key(), key.key());
    }
    assert!(file.root_key_of(RootKey::random().unwrap().id()).unwrap().is_none());
    // A file under the name of one key that holds another is not taken for it.
    std::fs::copy(file.place_of(first.id()), file.place_of(third.id())).unwrap();
    assert!(file.root_key_of(third.id()).unwrap().is_none());
    std::fs::write(folder.path().join("root.key.txt"), "no key").unwrap();
    assert_eq!(file.others().unwrap().len(), 2, "other files are left alone");
    for path in others {
        assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o600);
    }
}
