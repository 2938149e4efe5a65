//! The root key: where it comes from. In: a path (or another provider). Out: a [`RootKey`] with its id.
//! It knows nothing of what the key protects. The file is described in docs/formats/root-key.md.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

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
        let mut file = File::open(&self.path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::Absent { what: "root key", path: self.path.clone(), remedy }
            }
            _ => Error::io("open", &self.path)(e),
        })?;
        // Asked of the open file, so that it cannot be exchanged between the look and the read.
        let mode = file.metadata().map_err(Error::io("look at", &self.path))?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::KeyExposed { path: self.path.clone(), mode });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(128));
        file.by_ref().take(4096).read_to_end(&mut bytes).map_err(Error::io("read", &self.path))?;
        RootKey::decode(&self.path, &bytes)
    }

    /// Reads the key or makes it; the flag says whether it was made now.
    pub fn read_or_create(&self) -> Result<(RootKey, bool)> {
        match self.read() {
            Err(Error::Absent { .. }) => {}
            other => return other.map(|key| (key, false)),
        }
        durable::create_folder(durable::parent(&self.path))?;
        let fresh = RootKey::random()?;
        if durable::create_new(&self.path, &fresh.encode())? {
            return Ok((fresh, true));
        }
        // Somebody else made it in the meantime: theirs counts.
        self.read().map(|key| (key, false))
    }

    /// Puts a key here. Another key that is already there is overwritten only with [`Overwrite::Force`].
    pub fn install(&self, key: &RootKey, overwrite: Overwrite) -> Result {
        durable::create_folder(durable::parent(&self.path))?;
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
        durable::replace(&self.path, &key.encode())
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
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

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
}
