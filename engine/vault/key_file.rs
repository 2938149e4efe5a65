//! The file of the root key, and the keys beside it. In: a path. Out: the current root key, created on first use, and by its id any
//! other key that is kept: the next one during a rotation, and older ones that it replaced. It must not know what a key protects. See docs/formats/root-key.md.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::disk::{self, Disk, read_full};
use crate::durable;
use crate::root_key::{KeyId, KeyProvider, RootKey};
use crate::{Error, Result};

/// The most bytes read: more than a key file has.
const MOST_BYTES: usize = 4096;
/// The suffix of the next key's file.
const NEXT: &str = "next";

/// The root key in a file of mode 0600, created on first use.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

impl KeyFile {
    /// The file at this path; nothing is touched yet.
    pub fn at(path: impl Into<PathBuf>) -> KeyFile {
        KeyFile::at_on(path, disk::real())
    }

    /// As [`KeyFile::at`], on another disk.
    pub fn at_on(path: impl Into<PathBuf>, disk: Arc<dyn Disk>) -> KeyFile {
        KeyFile { path: path.into(), disk }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the current key; an absent file is an error.
    pub fn read(&self) -> Result<RootKey> {
        self.read_if_any(&self.path)?.ok_or_else(|| {
            let remedy = "the first run creates one; `headwater key restore` restores one from its backup";
            Error::Absent { what: "root key", path: self.path.clone(), remedy }
        })
    }

    /// Reads the key or creates it; the flag is true if it was created now.
    pub fn read_or_create(&self) -> Result<(RootKey, bool)> {
        match self.read() {
            Err(Error::Absent { .. }) => {}
            other => return other.map(|key| (key, false)),
        }
        durable::create_folder(&*self.disk, durable::parent(&self.path))?;
        let fresh = RootKey::random()?;
        if durable::create_new(&*self.disk, &self.path, &fresh.encode())? {
            return Ok((fresh, true));
        }
        // Another process created it meanwhile: use that one.
        self.read().map(|key| (key, false))
    }

    /// Makes a key the current one. The previous key is kept beside it.
    pub fn install(&self, key: &RootKey) -> Result {
        // An unreadable file holds no key to keep.
        if let Ok(present) = self.read()
            && present.id() != key.id()
        {
            self.keep(&present)?;
        }
        durable::create_folder(&*self.disk, durable::parent(&self.path))?;
        durable::replace(&*self.disk, &self.path, &key.encode())
    }

    /// Keeps a key beside the current one, so that data under it can be read.
    pub fn keep(&self, key: &RootKey) -> Result {
        durable::create_folder(&*self.disk, durable::parent(&self.path))?;
        durable::replace(&*self.disk, &self.place_of(key.id()), &key.encode())
    }

    /// The path of an older key.
    pub fn place_of(&self, id: KeyId) -> PathBuf {
        self.beside(&id.to_string())
    }

    /// The keys beside the current one, each with its file: the next one of an unfinished rotation, and older ones.
    pub fn others(&self) -> Result<Vec<(PathBuf, RootKey)>> {
        let folder = durable::parent(&self.path);
        if !durable::exists(&*self.disk, folder)? {
            return Ok(Vec::new());
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_key = |path: &PathBuf| {
            let suffix =
                path.file_name().and_then(|file| file.to_str()?.strip_prefix(&*name)?.strip_prefix('.'));
            suffix.is_some_and(|s| s == NEXT || (s.len() == 16 && s.bytes().all(|b| b.is_ascii_hexdigit())))
        };
        let paths = durable::list(&*self.disk, folder)?.into_iter().filter(is_key);
        paths.map(|path| Ok((path.clone(), self.read_if_any(&path)?.ok_or_else(|| gone(&path))?))).collect()
    }

    /// The target key of an unfinished rotation.
    pub fn next(&self) -> Result<Option<RootKey>> {
        self.read_if_any(&self.beside(NEXT))
    }

    /// Creates the target key of a rotation, durably.
    pub(crate) fn make_next(&self) -> Result<RootKey> {
        let fresh = RootKey::random()?;
        durable::replace(&*self.disk, &self.beside(NEXT), &fresh.encode())?;
        Ok(fresh)
    }

    /// Makes the next key the current one; the previous one is kept beside it.
    pub(crate) fn promote_next(&self) -> Result {
        self.keep(&self.read()?)?;
        durable::rename(&*self.disk, &self.beside(NEXT), &self.path)?;
        durable::sync_folder(&*self.disk, durable::parent(&self.path))
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".");
        name.push(suffix);
        self.path.with_file_name(name)
    }

    fn read_if_any(&self, path: &Path) -> Result<Option<RootKey>> {
        let file = match self.disk.open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(Error::io("read", path))?,
        };
        if let Some(mode) = file.mode().map_err(Error::io("inspect", path))?.filter(|mode| mode & 0o077 != 0)
        {
            return Err(Error::KeyExposed { path: path.to_owned(), mode });
        }
        let mut bytes = Zeroizing::new(vec![0; MOST_BYTES]);
        let length = read_full(&*file, 0, &mut bytes).map_err(Error::io("read", path))?;
        RootKey::decode(path, bytes.get(..length).unwrap_or_default()).map(Some)
    }
}

fn gone(path: &Path) -> Error {
    Error::io("read", path)(io::ErrorKind::NotFound.into())
}

impl KeyProvider for KeyFile {
    fn root_key(&self) -> Result<RootKey> {
        self.read()
    }

    fn root_key_of(&self, id: KeyId) -> Result<Option<RootKey>> {
        let current = self.read()?;
        if current.id() == id {
            return Ok(Some(current));
        }
        let is_it = |key: &RootKey| key.id() == id;
        match self.next()?.filter(is_it) {
            Some(next) => Ok(Some(next)),
            None => Ok(self.read_if_any(&self.place_of(id))?.filter(is_it)),
        }
    }

    fn root_key_or_create(&self) -> Result<RootKey> {
        self.read_or_create().map(|(key, _)| key)
    }

    fn origin(&self) -> String {
        self.path.display().to_string()
    }
}

#[cfg(test)]
mod tests;
