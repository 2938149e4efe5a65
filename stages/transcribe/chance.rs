//! Random numbers that depend on nothing but their place: (seed, window, attempt, step) in, a number in [0, 1) out.
//! No generator has a state, so the order of work and the number of threads cannot change a draw.

/// Where a draw stands, but for its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chance {
    /// From the options.
    pub seed: u64,
    /// The window of the recording.
    pub window: u64,
    /// The attempt at this window (one a temperature).
    pub attempt: u64,
}

impl Chance {
    /// The draw of one step.
    pub fn draw(&self, step: u64) -> f64 {
        let key = [self.seed, self.window, self.attempt, step].iter().fold(0, |key, part| mix(key ^ part));
        // The upper 53 bits: all that a double can hold.
        (key >> 11) as f64 / (1u64 << 53) as f64
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
        // The first outputs of SplitMix64 from seed 0: its state grows by the constant that `mix` adds.
        let golden = 0x9E37_79B9_7F4A_7C15u64;
        let outputs = [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F];
        for (n, expected) in (0u64..).zip(outputs) {
            assert_eq!(mix(golden.wrapping_mul(n)), expected);
        }
    }

    #[test]
    fn draws_are_even_and_differ_by_place() {
        let here = Chance { seed: 1, window: 0, attempt: 2 };
        let draws: Vec<f64> = (0..10_000).map(|step| here.draw(step)).collect();
        assert!(draws.iter().all(|d| (0.0..1.0).contains(d)));
        let mean = draws.iter().sum::<f64>() / 1e4;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        for other in [Chance { seed: 2, ..here }, Chance { window: 1, ..here }, Chance { attempt: 1, ..here }]
        {
            assert_ne!(other.draw(0), here.draw(0));
        }
    }
}
