//! Digits into other digits of the same number, and back: FF1 of NIST SP 800-38G with AES-256 and radix 10.
//!
//! In: a key, a tweak, digits 0 to 9. Out: as many digits. It must not know what the digits mean.

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use crate::Key;

/// The fewest digits that may be encrypted: with fewer all could be tried (SP 800-38G asks for a million).
pub const FEWEST: usize = 6;
/// The most digits: two halves of eighteen.
pub const MOST: usize = 36;
const ROUNDS: u8 = 10;

impl Key {
    /// The digits encrypted under a tweak; `None` for fewer than six, more than 36, or anything but 0 to 9.
    pub fn encrypt_digits(&self, tweak: &[u8], digits: &[u8]) -> Option<Vec<u8>> {
        let mut halves = Halves::split(digits)?;
        let cipher = Aes256::new(self.expose().into());
        for round in 0..ROUNDS {
            let y = halves.round(&cipher, tweak, round, halves.b);
            let modulus = halves.modulus(round);
            let c = (u128::from(halves.a) + y % u128::from(modulus)) % u128::from(modulus);
            (halves.a, halves.b) = (halves.b, u64::try_from(c).ok()?);
        }
        Some(halves.joined())
    }

    /// The inverse of [`Key::encrypt_digits`].
    pub fn decrypt_digits(&self, tweak: &[u8], digits: &[u8]) -> Option<Vec<u8>> {
        let mut halves = Halves::split(digits)?;
        let cipher = Aes256::new(self.expose().into());
        for round in (0..ROUNDS).rev() {
            let y = halves.round(&cipher, tweak, round, halves.a);
            let modulus = u128::from(halves.modulus(round));
            let c = (u128::from(halves.b) + modulus - y % modulus) % modulus;
            (halves.a, halves.b) = (u64::try_from(c).ok()?, halves.a);
        }
        Some(halves.joined())
    }
}

/// The two halves as numbers.
struct Halves {
    u: u32,
    v: u32,
    a: u64,
    b: u64,
}

impl Halves {
    fn split(digits: &[u8]) -> Option<Self> {
        if !(FEWEST..=MOST).contains(&digits.len()) || digits.iter().any(|digit| *digit > 9) {
            return None;
        }
        let (left, right) = digits.split_at(digits.len() / 2);
        let number = |half: &[u8]| half.iter().fold(0, |number, digit| number * 10 + u64::from(*digit));
        let length = |half: &[u8]| u32::try_from(half.len()).ok();
        Some(Self { u: length(left)?, v: length(right)?, a: number(left), b: number(right) })
    }

    /// The modulus of a round.
    fn modulus(&self, round: u8) -> u64 {
        10_u64.pow(if round.is_multiple_of(2) { self.u } else { self.v })
    }

    /// The number that a round adds: the first d bytes of the CBC-MAC over P and Q.
    fn round(&self, cipher: &Aes256, tweak: &[u8], round: u8, half: u64) -> u128 {
        let width = (64 - (10_u64.pow(self.v) - 1).leading_zeros()).div_ceil(8) as usize;
        let mut message = vec![1, 2, 1, 0, 0, 10, 10, self.u.to_be_bytes()[3]];
        message.extend((self.u + self.v).to_be_bytes());
        message.extend(u32::try_from(tweak.len()).unwrap_or(u32::MAX).to_be_bytes());
        message.extend(tweak);
        let padded = (message.len() + 1 + width).next_multiple_of(16);
        message.resize(padded - 1 - width, 0);
        message.push(round);
        message.extend(half.to_be_bytes().iter().skip(8 - width));
        let mut state = [0_u8; 16];
        for block in message.chunks(16) {
            for (byte, next) in state.iter_mut().zip(block) {
                *byte ^= next;
            }
            let mut sealed = state.into();
            cipher.encrypt_block(&mut sealed);
            state = sealed.into();
        }
        let taken = 4 * width.div_ceil(4) + 4;
        u128::from_be_bytes(state) >> (8 * (16 - taken))
    }

    fn joined(&self) -> Vec<u8> {
        // Ten rounds swap the halves an even number of times, so their lengths are what they were.
        format!("{:0u$}{:0v$}", self.a, self.b, u = self.u as usize, v = self.v as usize)
            .bytes()
            .map(|byte| byte - b'0')
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> Key {
        Key::from_bytes([
            0x2B, 0x7E, 0x15, 0x16, 0x28, 0xAE, 0xD2, 0xA6, 0xAB, 0xF7, 0x15, 0x88, 0x09, 0xCF, 0x4F, 0x3C,
            0xEF, 0x43, 0x59, 0xD8, 0xD5, 0x80, 0xAA, 0x4F, 0x7F, 0x03, 0x6D, 0x6F, 0x04, 0xFC, 0x6A, 0x94,
        ])
    }

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|byte| byte - b'0').collect()
    }

    /// Samples 7 and 8 of NIST's FF1 examples.
    #[test]
    fn it_agrees_with_the_samples_of_nist() {
        let check = |tweak: &[u8], plain: &str, sealed: &str| {
            assert_eq!(key().encrypt_digits(tweak, &digits(plain)), Some(digits(sealed)));
            assert_eq!(key().decrypt_digits(tweak, &digits(sealed)), Some(digits(plain)));
        };
        check(b"", "0123456789", "6657667009");
        check(&[0x39, 0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31, 0x30], "0123456789", "1001623463");
    }

    #[test]
    fn too_few_and_too_many_digits_are_refused() {
        for text in ["12345", &"1".repeat(37)] {
            assert_eq!(key().encrypt_digits(b"", &digits(text)), None);
        }
        assert_eq!(key().encrypt_digits(b"", &[10; 8]), None);
    }

    proptest! {
        #[test]
        fn every_length_comes_back(plain in proptest::collection::vec(0..10_u8, FEWEST..=MOST), tweak in proptest::collection::vec(any::<u8>(), 0..40)) {
            let sealed = key().encrypt_digits(&tweak, &plain).unwrap();
            prop_assert_eq!(sealed.len(), plain.len());
            prop_assert_eq!(key().decrypt_digits(&tweak, &sealed), Some(plain));
        }
    }
}
