//! Numbers and checksums as the documented formats of updates use them.
//!
//! In: numbers, or bytes from anywhere. Out: little-endian bytes, or the numbers they stand for. Reading never panics: what is
//! too short, or not written as it should be, is `None`. It must not know what the numbers mean.

use sha2::{Digest as _, Sha256};

/// Bytes of a checksum.
pub const CHECK_BYTES: usize = 8;

/// The first 8 bytes of SHA-256: they detect damage, not malice.
pub fn checksum(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let mut check = [0; CHECK_BYTES];
    for (to, from) in check.iter_mut().zip(digest) {
        *to = from;
    }
    check
}

/// Splits off a trailing checksum; `None` when it does not fit.
pub fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (body, check) = bytes.split_last_chunk::<CHECK_BYTES>()?;
    (checksum(body) == *check).then_some(body)
}

/// Appends a number, 7 bits in each byte, the low ones first; all bytes but the last have their high bit set (LEB128).
pub fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// Bytes that [`put_varint`] takes.
pub fn varint_bytes(number: u64) -> u64 {
    u64::from((64 - number.leading_zeros()).div_ceil(7).max(1))
}

/// Reads fields from the front of a slice.
#[derive(Clone, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The next N bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number as [`put_varint`] writes it; a longer form of the same number is `None`.
    pub fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return None;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                let shortest = byte != 0 || shift == 0;
                return shortest.then_some(number);
            }
        }
        None
    }

    /// A varint that must fit 32 bits.
    pub fn varint32(&mut self) -> Option<u32> {
        self.varint().and_then(|number| u32::try_from(number).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn varints_have_one_form() {
        let check = |bytes: &[u8], expected: Option<u64>| {
            assert_eq!(Fields(bytes).varint(), expected, "{bytes:?}");
        };
        check(&[0], Some(0));
        check(&[0x7f], Some(127));
        check(&[0x80, 1], Some(128));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Some(u64::MAX));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], None);
        check(&[0x80, 0], None);
        check(&[0x80], None);
        check(&[], None);
        check(&[0xff; 11], None);
    }

    proptest! {
        #[test]
        fn varints_come_back(number in any::<u64>(), shift in 0..64_u32) {
            let number = number >> shift;
            let mut out = Vec::new();
            put_varint(&mut out, number);
            prop_assert_eq!(out.len() as u64, varint_bytes(number));
            let mut fields = Fields(&out);
            prop_assert_eq!(fields.varint(), Some(number));
            prop_assert!(fields.0.is_empty());
        }
    }
}
