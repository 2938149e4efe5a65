//! The root key: where it comes from. In: a path (or another provider). Out: a [`RootKey`] with its id.
//! It knows nothing of what the key protects. The file is described in docs/formats/root-key.md.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::disk::{self, RealDisk};
use crate::durable;
use crate::secret::{self, KEY_BYTES, Key};
use crate::wire::Fields;
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"HWROOTK1";
const VERSION: u16 = 1;
const CHECK_BYTES: usize = 8;

/// Names a root key without revealing it: the first 8 bytes of a SHA-256 over it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct KeyId(pub [u8; 8]);

impl KeyId {
    fn of(key: &Key) -> KeyId {
        KeyId(secret::prefix(&secret::digest(&[b"headwater root key id\0", key.expose()])))
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&secret::hex(&self.0))
    }
}

/// The key that all others are wrapped by.
#[derive(Clone, Debug)]
pub struct RootKey {
    key: Key,
    id: KeyId,
    made: SystemTime,
}

impl RootKey {
    /// A fresh one.
    pub fn random() -> Result<RootKey> {
        Ok(RootKey::new(Key::random()?, SystemTime::now()))
    }

    /// From its secret and when it was made (to the second).
    pub fn new(key: Key, made: SystemTime) -> RootKey {
        let seconds = made.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        RootKey { id: KeyId::of(&key), key, made: UNIX_EPOCH + Duration::from_secs(seconds) }
    }

    /// Its public name.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// When it was made.
    pub fn made(&self) -> SystemTime {
        self.made
    }

    /// The secret itself.
    pub fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn made_seconds(&self) -> u64 {
        self.made.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(96));
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(self.made_seconds().to_le_bytes());
        out.extend(self.id.0);
        out.extend(self.key.expose());
        let check: [u8; CHECK_BYTES] = secret::prefix(&secret::digest(&[&out]));
        out.extend(check);
        out
    }

    fn decode(path: &Path, bytes: &[u8]) -> Result<RootKey> {
        let mut fields = Fields(bytes);
        if fields.array::<8>().as_ref() != Some(MAGIC) {
            return Err(Error::foreign(path, "root key of Headwater", "it does not begin with HWROOTK1"));
        }
        let version = fields.u16();
        if version != Some(VERSION) {
            let found = format!("its version is {}, this program reads {VERSION}", version.unwrap_or(0));
            return Err(Error::foreign(path, "root key of Headwater", found));
        }
        let broken = || Error::damaged(path, "its checksum does not fit");
        let made = fields.u64().ok_or_else(broken)?;
        let id = fields.array().ok_or_else(broken)?;
        let key = Key::from_bytes(fields.array::<KEY_BYTES>().ok_or_else(broken)?);
        let check = fields.array::<CHECK_BYTES>().ok_or_else(broken)?;
        fields.end().ok_or_else(broken)?;
        let body = bytes.get(..bytes.len().saturating_sub(CHECK_BYTES)).ok_or_else(broken)?;
        if secret::prefix::<CHECK_BYTES>(&secret::digest(&[body])) != check || KeyId::of(&key).0 != id {
            return Err(broken());
        }
        let made = UNIX_EPOCH.checked_add(Duration::from_secs(made)).ok_or_else(broken)?;
        Ok(RootKey::new(key, made))
    }
}

/// Gives the root key. The default is a [`KeyFile`]; a hardware module or a service may stand in for it.
pub trait KeyProvider {
    /// The root key, which must be there: without it nothing that exists can be read.
    fn root_key(&self) -> Result<RootKey>;
    /// The root key for something new, made if there is none yet.
    fn root_key_or_create(&self) -> Result<RootKey>;
    /// Where the key comes from, for messages.
    fn origin(&self) -> String;
}

/// The root key in a file of mode 0600, made on first use.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The file at this path; nothing is touched yet.
    pub fn at(path: impl Into<PathBuf>) -> KeyFile {
        KeyFile { path: path.into() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the key; an absent file is an error.
    pub fn read(&self) -> Result<RootKey> {
        let remedy = "the first run makes one; `headwater key restore` brings one back from its backup";
        let (mode, bytes) = disk::read_private(&self.path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::Absent { what: "root key", path: self.path.clone(), remedy }
            }
            _ => Error::io("read", &self.path)(e),
        })?;
        if mode & 0o077 != 0 {
            return Err(Error::KeyExposed { path: self.path.clone(), mode });
        }
        RootKey::decode(&self.path, &bytes)
    }

    /// Reads the key or makes it; the flag says whether it was made now.
    pub fn read_or_create(&self) -> Result<(RootKey, bool)> {
        match self.read() {
            Err(Error::Absent { .. }) => {}
            other => return other.map(|key| (key, false)),
        }
        durable::create_folder(&RealDisk, durable::parent(&self.path))?;
        let fresh = RootKey::random()?;
        if durable::create_new(&RealDisk, &self.path, &fresh.encode())? {
            return Ok((fresh, true));
        }
        // Somebody else made it in the meantime: theirs counts.
        self.read().map(|key| (key, false))
    }

    /// Puts a key here. Another key that is already there is overwritten only with [`Overwrite::Force`].
    pub fn install(&self, key: &RootKey, overwrite: Overwrite) -> Result {
        durable::create_folder(&RealDisk, durable::parent(&self.path))?;
        if overwrite == Overwrite::Refuse {
            match self.read() {
                Ok(present) if present.id() == key.id() => return Ok(()),
                Ok(present) => {
                    return Err(Error::KeyPresent {
                        path: self.path.clone(),
                        present: present.id().to_string(),
                        offered: key.id().to_string(),
                    });
                }
                Err(Error::Absent { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        durable::replace(&RealDisk, &self.path, &key.encode())
    }
}

/// What to do about a key that is already there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overwrite {
    /// Leave it and say so.
    Refuse,
    /// Replace it.
    Force,
}

impl KeyProvider for KeyFile {
    fn root_key(&self) -> Result<RootKey> {
        self.read()
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
