//! Keys in memory and their two uses: sealing bytes (AES-256-GCM, NIST SP 800-38D) and
//! deriving (HMAC-SHA-256, RFC 2104; one block of HKDF-Expand, RFC 5869). It must not know files.

use std::fmt;

use aes_gcm::aead::{Aead, AeadInOut, Payload};
use aes_gcm::{Aes256Gcm, Key as CipherKey, KeyInit};
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::{Error, Result};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;
/// Bytes of an authentication tag.
pub const TAG_BYTES: usize = 16;

/// A 256-bit secret. It is wiped when dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; KEY_BYTES]);

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// A fresh key from the system's generator.
    pub fn random() -> Result<Key> {
        random_bytes().map(Key)
    }

    /// The key made of these bytes.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Key {
        Key(bytes)
    }

    /// The secret itself. The caller must not let it reach a log.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// A key for one purpose; different labels give independent keys.
    pub fn derive(&self, label: &str, context: &[u8]) -> Key {
        Key(self.authenticate(&[b"headwater derive v1\0", label.as_bytes(), b"\0", context]))
    }

    /// HMAC-SHA-256 of the parts, each preceded by its length so that they cannot run into each other.
    pub fn authenticate(&self, parts: &[&[u8]]) -> [u8; 32] {
        // HMAC takes keys of any length, so this branch is never left.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return [0; 32] };
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Encrypts under a nonce that the caller guarantees to be used once with this key.
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        self.cipher()
            .encrypt(&nonce.into(), Payload { msg: plain, aad })
            .map_err(|_| Error::Crypto("the cipher refused to encrypt"))
    }

    /// As [`Key::seal`], appending the sealed bytes to `out`; returns the tag, with which they end.
    pub fn seal_onto(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<[u8; TAG_BYTES]> {
        let from = out.len();
        out.extend_from_slice(plain);
        let space = out.get_mut(from..).unwrap_or_default();
        let tag = self
            .cipher()
            .encrypt_inout_detached(&nonce.into(), aad, space.into())
            .map_err(|_| Error::Crypto("the cipher refused to encrypt"))?;
        out.extend_from_slice(&tag);
        Ok(tag.into())
    }

    /// Decrypts; `None` when key, nonce, associated data or a single bit do not fit.
    pub fn open(&self, nonce: [u8; NONCE_BYTES], aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.cipher().decrypt(&nonce.into(), Payload { msg: sealed, aad }).ok().map(Zeroizing::new)
    }

    /// Encrypts under a random nonce, which goes in front.
    pub fn wrap(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let nonce = random_bytes()?;
        let mut wrapped = nonce.to_vec();
        wrapped.extend(self.seal(nonce, aad, plain)?);
        Ok(wrapped)
    }

    /// The inverse of [`Key::wrap`].
    pub fn unwrap(&self, aad: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_BYTES>()?;
        self.open(*nonce, aad, sealed)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&CipherKey::<Aes256Gcm>::from(self.0))
    }
}

/// Fresh random bytes from the system's generator.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Error::Crypto("the system gave no random bytes"))?;
    Ok(bytes)
}

/// SHA-256 of the parts, one after the other.
pub fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// The first bytes of a digest, where fewer are enough.
pub fn prefix<const N: usize>(digest: &[u8; 32]) -> [u8; N] {
    let mut short = [0; N];
    for (to, from) in short.iter_mut().zip(digest) {
        *to = *from;
    }
    short
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|n| char::from_digit(n.into(), 16))
        .collect()
}

/// Returns true if two MACs are equal, in a time that does not reveal where they differ.
pub fn equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |acc, (l, r)| acc | (l ^ r)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_opens_only_with_its_key_and_purpose() {
        let key = Key::random().unwrap();
        let wrapped = key.wrap(b"purpose", b"secret").unwrap();
        assert_eq!(key.unwrap(b"purpose", &wrapped).unwrap().as_slice(), b"secret");
        assert!(key.unwrap(b"other", &wrapped).is_none());
        assert!(Key::random().unwrap().unwrap(b"purpose", &wrapped).is_none());
        for at in 0..wrapped.len() {
            let mut flipped = wrapped.clone();
            flipped[at] ^= 1;
            assert!(key.unwrap(b"purpose", &flipped).is_none(), "byte {at}");
            assert!(key.unwrap(b"purpose", &wrapped[..at]).is_none(), "length {at}");
        }
    }

    #[test]
    fn derived_keys_differ_by_label_and_context() {
        let key = Key::from_bytes([7; 32]);
        let all = [key.derive("a", b""), key.derive("b", b""), key.derive("a", b"x"), key.derive("ax", b"")];
        for (i, left) in all.iter().enumerate() {
            for right in &all[i + 1..] {
                assert_ne!(left, right);
            }
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        assert_eq!(format!("{:?}", Key::from_bytes([0xab; 32])), "Key(..)");
    }
}
