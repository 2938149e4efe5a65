//! The sampling of devices for a round: a stable draw, the same wherever it is computed.
//!
//! In: a seed, a round, a device, and the share that is to take part. Out: yes or no. It keeps nothing and counts nothing, so that
//! a device, its gateway and an auditor years later agree without talking. It must not know what a device does when chosen.

use sha2::{Digest as _, Sha256};

use crate::aggregate::Round;

/// Returns true if a device takes part in a round: each with a chance of `fraction`, on its own, drawn again in each round.
///
/// The first 8 bytes of SHA-256 over `headwater choice v1`, a zero byte, the seed and the round (8 bytes each, little-endian) and
/// the device, read as a big-endian fraction of 2^64 (of which the upper 53 bits count), lie below `fraction`. So a device that is chosen at a fraction is chosen at every larger
/// one; at 1 all are, at 0 or NaN none.
#[must_use]
pub fn chosen(seed: u64, round: Round, device: &str, fraction: f64) -> bool {
    let mut hash = Sha256::new();
    hash.update(b"headwater choice v1\0");
    hash.update(seed.to_le_bytes());
    hash.update(round.0.to_le_bytes());
    hash.update(device.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    // 53 bits: every one of them is an f64 below 1.
    let drawn = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte)) >> 11;
    let drawn = drawn as f64 / (1_u64 << 53) as f64;
    drawn < fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(seed: u64, round: u64, fraction: f64) -> usize {
        let devices = (0..1000).map(|n| format!("device-{n}"));
        devices.filter(|device| chosen(seed, Round(round), device, fraction)).count()
    }

    /// A device and its gateway may run other versions: what is drawn may never change.
    #[test]
    fn the_lot_is_frozen() {
        let drawn: Vec<bool> = (0..12).map(|round| chosen(7, Round(round), "kitchen", 0.5)).collect();
        let drawn: String = drawn.iter().map(|yes| if *yes { '1' } else { '0' }).collect();
        assert_eq!(drawn, "010010001001");
    }

    #[test]
    fn about_the_fraction_is_chosen_and_others_in_each_round() {
        for fraction in [0.1, 0.5, 0.9] {
            let found = count(1, 3, fraction) as f64 / 1000.0;
            assert!((found - fraction).abs() < 0.06, "{fraction} {found}");
        }
        assert_eq!((count(1, 3, 1.0), count(1, 3, 0.0), count(1, 3, f64::NAN)), (1000, 0, 0));
        let in_both = |a: (u64, u64), b: (u64, u64)| {
            let of = |(seed, round), device: &str| chosen(seed, Round(round), device, 0.5);
            (0..1000).map(|n| format!("device-{n}")).filter(|d| of(a, d) && of(b, d)).count()
        };
        for other in [(1, 4), (2, 3)] {
            assert!((180..320).contains(&in_both((1, 3), other)), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn a_larger_fraction_only_adds(seed in any::<u64>(), round in any::<u64>(), device in ".{0,12}", low in 0.0..1.0_f64, high in 0.0..1.0_f64) {
            let (low, high) = (low.min(high), low.max(high));
            let at = |fraction| chosen(seed, Round(round), &device, fraction);
            prop_assert!(!at(low) || at(high));
        }
    }
}
