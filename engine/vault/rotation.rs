//! Rotation of the root key for all or some folders. In: a key file and folders with a keystore and no writer. Out:
//! each keystore wrapped under the other key, one durable step a folder, and at the end that key as the current one. At any
//! moment, and after a crash at any step, every folder opens: the key file has both keys. It must not know the content of a
//! folder beside its keystore. See docs/formats/root-key.md.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::durable::FolderLock;
use crate::key_file::KeyFile;
use crate::keystore::Keystore;
use crate::root_key::{KeyId, KeyProvider, RootKey};
use crate::{Error, Result};

/// A prepared rotation: every folder is locked, and the target key is durable.
pub struct Rotation<'k> {
    key: &'k KeyFile,
    disk: Arc<dyn Disk>,
    folders: Vec<(PathBuf, FolderLock)>,
    from: KeyId,
    to: RootKey,
    target: Target,
}

/// The target key of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A new key.
    Fresh,
    /// The key of an earlier, interrupted rotation.
    Resumed,
    /// The current key: all the folders were under older ones.
    Current,
}

/// Counts of the folders of a rotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RotationCounts {
    /// Folders that were wrapped under another key.
    pub wrapped: u64,
    /// Folders that were already under the key.
    pub already: u64,
}

impl<'k> Rotation<'k> {
    /// Locks the folders and chooses the key. Fails without changing anything if a folder has a writer, or
    /// if no available key opens it.
    pub fn begin(key: &'k KeyFile, folders: &[PathBuf], disk: &Arc<dyn Disk>) -> Result<Rotation<'k>> {
        let current = key.read()?;
        let (mut locked, mut on_current, mut on_older) = (Vec::new(), false, false);
        for folder in folders {
            locked.push((folder.clone(), FolderLock::take(&**disk, folder)?));
            let root = Keystore::open(disk, folder, key)?.root();
            on_current |= root == current.id();
            on_older |= root != current.id();
        }
        let from = current.id();
        let (to, target) = match key.next()? {
            Some(next) => (next, Target::Resumed),
            None if on_older && !on_current => (current, Target::Current),
            None => (key.make_next()?, Target::Fresh),
        };
        Ok(Rotation { key, disk: Arc::clone(disk), folders: locked, from, to, target })
    }

    /// The current key.
    pub fn from(&self) -> KeyId {
        self.from
    }

    /// The target key.
    pub fn to(&self) -> KeyId {
        self.to.id()
    }

    /// The kind of the target key.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Wraps the keystore of every folder, and makes the key the current one. An interrupted run can be repeated.
    pub fn run(self) -> Result<RotationCounts> {
        let mut done = RotationCounts::default();
        for (folder, _) in &self.folders {
            let wrapped = wrap(&self.disk, folder, self.key, &self.to)?;
            *(if wrapped { &mut done.wrapped } else { &mut done.already }) += 1;
        }
        if self.target != Target::Current {
            self.key.promote_next()?;
        }
        Ok(done)
    }
}

/// Wraps the keys of a folder, in one durable step; returns false if they are already under the key.
fn wrap(disk: &Arc<dyn Disk>, folder: &Path, key: &dyn KeyProvider, to: &RootKey) -> Result<bool, Error> {
    let mut keystore = Keystore::open(disk, folder, key)?;
    if keystore.root() == to.id() {
        return Ok(false);
    }
    keystore.rotate(to)?;
    keystore.save().map(|()| true)
}
