//! Random numbers that depend on nothing but their place: (seed, device, round, step, layer, ...) in, numbers out.
//! No generator has a state, so the order of work, the grouping of devices and the number of threads cannot change a
//! draw. LibTorch's own generator is never used.

/// The purpose of a random number: two purposes never share a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The start of an adapter.
    Init = 1,
    /// The order of examples.
    Order = 2,
    /// Dropout of an adapter's inputs.
    Dropout = 3,
    /// Rehearsal of older texts.
    Rehearse = 4,
}

/// A stream of draws, addressed by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chance {
    key: u64,
}

impl Chance {
    /// The stream at a place. The order of `place` is part of the address.
    pub fn new(purpose: Purpose, place: &[u64]) -> Chance {
        Chance { key: place.iter().fold(mix(purpose as u64), |key, part| mix(key ^ part)) }
    }

    /// The stream one level below.
    pub fn at(self, part: u64) -> Chance {
        Chance { key: mix(self.key ^ part) }
    }

    /// 64 random bits.
    pub fn bits(self, index: u64) -> u64 {
        mix(self.key ^ index)
    }

    /// A number in [0, 1).
    pub fn uniform(self, index: u64) -> f64 {
        // The upper 53 bits: all that a double can hold.
        (self.bits(index) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The numbers below `length` in an order of chance (Fisher and Yates).
    pub fn order(self, length: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..length).collect();
        for last in (1..length).rev() {
            // Multiply and shift (Lemire 2019): the bias is below 2^-32 for any set that fits in memory here.
            let draw = (u128::from(self.bits(last as u64)) * (last as u128 + 1)) >> 64;
            order.swap(last, usize::try_from(draw).unwrap_or(0));
        }
        order
    }
}

/// One step of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn mix(key: u64) -> u64 {
    let z = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        // The first output of SplitMix64 from seed 0.
        assert_eq!(mix(0), 0xE220_A839_7B1D_CDAF);
    }

    #[test]
    fn draws_are_even_and_every_part_of_the_place_counts() {
        let chance = Chance::new(Purpose::Init, &[7, 1, 2]);
        let mean = (0..10_000).map(|i| chance.uniform(i)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        for other in [&[8, 1, 2], &[7, 2, 1], &[7, 1, 3]] {
            assert_ne!(chance.bits(0), Chance::new(Purpose::Init, other).bits(0));
        }
        assert_ne!(chance.bits(0), Chance::new(Purpose::Dropout, &[7, 1, 2]).bits(0));
    }

    #[test]
    fn an_order_has_every_number_once() {
        for length in [0, 1, 2, 100] {
            let mut order = Chance::new(Purpose::Order, &[3]).order(length);
            if length == 100 {
                assert_ne!(order, (0..length).collect::<Vec<_>>());
            }
            order.sort_unstable();
            assert_eq!(order, (0..length).collect::<Vec<_>>());
        }
    }
}
