//! The root key: its id, its bytes in a file, and its provider. In: a secret, or bytes. Out: a [`RootKey`] with its id.
//! It must not know what the key protects, nor where its file lies. The file is described in docs/formats/root-key.md.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

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

    /// Parses an id.
    pub fn read(text: &str) -> Option<KeyId> {
        let number = u64::from_str_radix(text, 16).ok()?;
        Some(KeyId(number.to_be_bytes())).filter(|id| id.to_string() == text)
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
    /// Creates a random key.
    pub fn random() -> Result<RootKey> {
        Ok(RootKey::new(Key::random()?, SystemTime::now()))
    }

    /// Creates a key from its secret and creation time (to the second).
    pub fn new(key: Key, made: SystemTime) -> RootKey {
        let seconds = made.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        RootKey { id: KeyId::of(&key), key, made: UNIX_EPOCH + Duration::from_secs(seconds) }
    }

    /// Its public name.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Its creation time.
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

    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
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

    pub(crate) fn decode(path: &Path, bytes: &[u8]) -> Result<RootKey> {
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

/// Provides the root key. The default is a [`KeyFile`](crate::KeyFile); a hardware module or a service may replace it.
pub trait KeyProvider {
    /// The current root key, which must exist: without it no data can be read.
    fn root_key(&self) -> Result<RootKey>;
    /// The root key with this id, if available: the current one, or one that is kept beside it.
    fn root_key_of(&self, id: KeyId) -> Result<Option<RootKey>> {
        let current = self.root_key()?;
        Ok((current.id() == id).then_some(current))
    }
    /// The root key for new data; created if there is none yet.
    fn root_key_or_create(&self) -> Result<RootKey>;
    /// The origin of the key, for messages.
    fn origin(&self) -> String;
}

#[cfg(test)]
mod tests;
