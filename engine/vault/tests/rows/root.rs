//! A root key that needs no file, for disks that are not there.

use std::time::UNIX_EPOCH;

use headwater_vault::{Key, KeyProvider, Result, RootKey};

/// A root key made of one byte.
pub struct Root(pub u8);

impl KeyProvider for Root {
    fn root_key(&self) -> Result<RootKey> {
        Ok(RootKey::new(Key::from_bytes([self.0; 32]), UNIX_EPOCH))
    }

    fn root_key_or_create(&self) -> Result<RootKey> {
        self.root_key()
    }

    fn origin(&self) -> String {
        "the test".into()
    }
}
