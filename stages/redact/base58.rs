//! Checksums of wallet addresses: base58check (Bitcoin) and bech32, bech32m (BIP 173, BIP 350).
//!
//! In: a text. Out: whether its checksum holds. It knows no text around it.

use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Returns true if a text is base58 of 25 bytes whose last four are the start of the double SHA-256 of the others.
pub fn is_checked(text: &str) -> bool {
    let mut number = [0_u8; 25];
    for byte in text.bytes() {
        let Some(digit) = ALPHABET.iter().position(|letter| *letter == byte) else { return false };
        let mut carry = digit;
        for place in number.iter_mut().rev() {
            carry += usize::from(*place) * 58;
            *place = u8::try_from(carry & 0xFF).unwrap_or(0);
            carry >>= 8;
        }
        if carry > 0 {
            return false;
        }
    }
    let Some((body, check)) = number.split_at_checked(21) else { return false };
    let twice = Sha256::digest(Sha256::digest(body));
    twice.starts_with(check)
}

/// Returns true if a text in one case is bech32 or bech32m: a prefix, "1", data with a checksum.
pub fn is_bech32(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    if text != lower && text != text.to_ascii_uppercase() {
        return false;
    }
    let Some((prefix, data)) = lower.rsplit_once('1') else { return false };
    let high = prefix.bytes().map(|byte| u32::from(byte >> 5));
    let low = prefix.bytes().map(|byte| u32::from(byte & 31));
    let mut check = 1_u32;
    for value in high.chain([0]).chain(low) {
        check = step(check, value);
    }
    for byte in data.bytes() {
        let Some(value) = BECH32.iter().position(|letter| *letter == byte) else { return false };
        check = step(check, u32::try_from(value).unwrap_or(0));
    }
    data.len() >= 6 && matches!(check, 1 | 0x2BC8_30A3)
}

fn step(check: u32, value: u32) -> u32 {
    const GENERATOR: [u32; 5] = [0x3B6A_57B2, 0x2650_8E6D, 0x1EA1_19FA, 0x3D42_33DD, 0x2A14_62B3];
    let top = check >> 25;
    let next = (check & 0x01FF_FFFF) << 5 ^ value;
    GENERATOR
        .iter()
        .enumerate()
        .filter(|(bit, _)| top >> bit & 1 == 1)
        .fold(next, |next, (_, generator)| next ^ generator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitcoin_addresses() {
        assert!(
            is_checked("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
                && is_checked("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy")
        );
        assert!(
            !is_checked("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb")
                && !is_checked("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfN0")
        );
        assert!(is_bech32("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"));
        assert!(is_bech32("bc1p5d7rjq7g6rdk2yhzks9smlaqtedr4dekq08ge8ztwac72sfr9rusxg3297"));
        assert!(!is_bech32("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5") && !is_bech32("Bc1qw"));
    }
}
