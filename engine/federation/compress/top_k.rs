//! The values of an update that are sent: the k largest by magnitude.
//!
//! In: a flat vector and how much may be sent (a number, a density, or bytes). Out: ascending positions. Of equal magnitudes the
//! one that stands first goes first, so the choice never depends on how it was found. It must not know what happens to the rest.

use super::grid::ROUNDS_TO_ZERO;
use super::payload::{Layout, PayloadError, Values, payload_bytes};

/// A share of all parameters: above 0, at most 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Density(f64);

impl Density {
    /// `None` unless the share is above 0 and at most 1.
    pub fn new(share: f64) -> Option<Density> {
        (share > 0.0 && share <= 1.0).then_some(Density(share))
    }

    /// The share.
    pub fn get(self) -> f64 {
        self.0
    }

    /// This share of so many parameters, to the nearest whole number (half to even), and at least one.
    pub fn of(self, parameters: u32) -> u32 {
        let count = (self.0 * f64::from(parameters)).round_ties_even();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the parameters")]
        let count = count as u32;
        count.clamp(parameters.min(1), parameters)
    }
}

/// Sends more in the first rounds, when updates are large and residuals would grow stale: round 0 at `start`, then each round a
/// quarter of the one before, down to `target`. This is the schedule of Lin et al., "Deep Gradient Compression" (2018), by round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmUp {
    /// The density of round 0; 0.25 in the paper.
    pub start: Density,
    /// The density in the end.
    pub target: Density,
}

impl WarmUp {
    /// The density of a round, counted from the first in which the device took part. Divisions by four are exact, so every
    /// machine gives the same.
    pub fn density(self, round: u64) -> Density {
        let mut share = self.start.0;
        for _ in 0..round {
            share /= 4.0;
            if share <= self.target.0 {
                return self.target;
            }
        }
        Density(share.max(self.target.0))
    }
}

/// The amount that is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// So many values.
    Values(u32),
    /// This share of all parameters.
    Density(Density),
    /// As many values as a payload of so many bytes holds.
    Bytes(u64),
}

/// Why no positions can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// NaN or an infinity.
    #[error("the value at position {position} is not a finite number")]
    NotFinite {
        /// Where, in the flat vector.
        position: usize,
    },
    /// The vector does not fit the layout.
    #[error("the update has {found} values, the adapter {expected} parameters")]
    Length {
        /// Values of the vector.
        found: usize,
        /// Parameters of the layout.
        expected: u32,
    },
    /// Not even an empty payload fits.
    #[error("a payload without any value takes {needed} bytes, and only {budget} are allowed")]
    Budget {
        /// Bytes of an empty payload.
        needed: u64,
        /// Bytes that are allowed.
        budget: u64,
    },
    /// Positions that make no payload.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

/// The positions of the values to send. Values that the grid of sums rounds to zero are never among them.
///
/// For a budget in bytes, k is found by halving: the payload of the k largest fits and that of the k + 1 largest does not (a
/// payload grows with k, but for a byte here and there where another mode of gaps becomes cheaper).
///
/// # Errors
/// When a value is NaN or infinite, the length is wrong, or the budget is too small for an empty payload.
pub fn choose(values: &[f32], amount: Amount, layout: &Layout, how: Values) -> Result<Vec<u32>, ChoiceError> {
    if values.len() != layout.parameters() as usize {
        return Err(ChoiceError::Length { found: values.len(), expected: layout.parameters() });
    }
    match amount {
        Amount::Values(k) => largest(values, k),
        Amount::Density(density) => largest(values, density.of(layout.parameters())),
        Amount::Bytes(budget) => within(values, budget, layout, how),
    }
}

/// The ascending positions of the k largest magnitudes, of equal ones the first; in time proportional to the values.
///
/// # Errors
/// When a value is NaN or infinite.
pub fn largest(values: &[f32], k: u32) -> Result<Vec<u32>, ChoiceError> {
    if let Some(position) = values.iter().position(|value| !value.is_finite()) {
        return Err(ChoiceError::NotFinite { position });
    }
    let k = k as usize;
    let mut magnitudes: Vec<u32> = values.iter().filter_map(|value| magnitude(*value)).collect();
    if k == 0 || magnitudes.is_empty() {
        return Ok(Vec::new());
    }
    // Positions at the k-th magnitude that are taken.
    let (threshold, mut equal) = if magnitudes.len() <= k {
        (0, 0)
    } else {
        let (above, kth, _) = magnitudes.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
        let kth = *kth;
        (kth, k - above.iter().filter(|m| **m > kth).count())
    };
    let mut positions = Vec::with_capacity(k.min(magnitudes.len()));
    for (position, value) in (0_u32..).zip(values) {
        let Some(magnitude) = magnitude(*value) else { continue };
        if magnitude == threshold {
            if equal == 0 {
                continue;
            }
            equal -= 1;
        }
        if magnitude >= threshold {
            positions.push(position);
        }
    }
    Ok(positions)
}

/// A finite magnitude as a number that orders like it; `None` for what the grid rounds to zero.
#[inline]
fn magnitude(value: f32) -> Option<u32> {
    let magnitude = value.abs();
    (magnitude > ROUNDS_TO_ZERO).then_some(magnitude.to_bits())
}

fn within(values: &[f32], budget: u64, layout: &Layout, how: Values) -> Result<Vec<u32>, ChoiceError> {
    let needed = payload_bytes(layout, &[], how)?;
    if needed > budget {
        return Err(ChoiceError::Budget { needed, budget });
    }
    // More than this never fit, since each takes the bits of its value.
    let most = (budget - needed).saturating_mul(8) / u64::from(how.bits());
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    let mut ranked = largest(values, most)?;
    let rank = |position: &u32| values.get(*position as usize).copied().and_then(magnitude);
    // Stable: equal magnitudes stay in the order of their positions.
    ranked.sort_by_cached_key(|position| std::cmp::Reverse(rank(position)));
    let first = |k: usize| {
        let mut positions: Vec<u32> = ranked.iter().take(k).copied().collect();
        positions.sort_unstable();
        positions
    };
    let (mut fits, mut not) = (0, ranked.len() + 1);
    while not - fits > 1 {
        let k = fits + (not - fits) / 2;
        if payload_bytes(layout, &first(k), how)? <= budget {
            fits = k;
        } else {
            not = k;
        }
    }
    Ok(first(fits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_are_chosen() {
        let check = |values: &[f32], k: u32, expected: &[u32]| {
            assert_eq!(largest(values, k).unwrap(), expected, "{values:?} {k}");
        };
        check(&[1.0, -3.0, 2.0], 0, &[]);
        check(&[1.0, -3.0, 2.0], 1, &[1]);
        check(&[1.0, -3.0, 2.0], 2, &[1, 2]);
        check(&[1.0, -3.0, 2.0], 9, &[0, 1, 2]);
        check(&[1.0, -1.0, 1.0, 1.0], 2, &[0, 1]);
        check(&[1.0, -1.0, 2.0, 1.0], 2, &[0, 2]);
        check(&[0.0, -0.0, 0.5, 0.0], 3, &[2]);
        check(&[1e-9, 1e-6], 2, &[1]);
        check(&[], 2, &[]);
        for (values, position) in [([0.0, f32::NAN], 1), ([f32::NEG_INFINITY, 1.0], 0)] {
            assert_eq!(largest(&values, 1), Err(ChoiceError::NotFinite { position }));
        }
    }

    #[test]
    fn densities_are_counts() {
        let check = |share: f64, parameters: u32, expected: Option<u32>| {
            assert_eq!(Density::new(share).map(|d| d.of(parameters)), expected, "{share} of {parameters}");
        };
        check(0.01, 1_000_000, Some(10_000));
        check(0.5, 5, Some(2));
        check(0.5, 7, Some(4));
        check(1e-9, 1000, Some(1));
        check(1e-9, 0, Some(0));
        check(1.0, u32::MAX, Some(u32::MAX));
        check(0.0, 10, None);
        check(1.1, 10, None);
        check(f64::NAN, 10, None);
    }

    #[test]
    fn density_falls_by_round() {
        let of = |start, target| WarmUp {
            start: Density::new(start).unwrap(),
            target: Density::new(target).unwrap(),
        };
        let check = |warm: WarmUp, round: u64, expected: f64| {
            assert_eq!(warm.density(round).get(), expected, "{warm:?} {round}");
        };
        let paper = of(0.25, 0.001);
        check(paper, 0, 0.25);
        check(paper, 1, 0.0625);
        check(paper, 3, 0.003_906_25);
        check(paper, 4, 0.001);
        check(paper, u64::MAX, 0.001);
        check(of(0.01, 0.05), 0, 0.05);
        check(of(0.01, 0.05), 7, 0.05);
    }

    #[test]
    fn what_cannot_be_chosen_is_told() {
        let layout = Layout::new(&[3]).unwrap();
        let check = |values: &[f32], amount: Amount, expected: &str| {
            let message = choose(values, amount, &layout, Values::Levels2).unwrap_err().to_string();
            assert_eq!(message, expected);
        };
        check(&[1.0], Amount::Values(1), "the update has 1 values, the adapter 3 parameters");
        check(
            &[1.0; 3],
            Amount::Bytes(20),
            "a payload without any value takes 26 bytes, and only 20 are allowed",
        );
        check(&[f32::NAN; 3], Amount::Bytes(99), "the value at position 0 is not a finite number");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn it_is_what_sorting_gives(
            values in proptest::collection::vec(prop_oneof![-2.0..2.0_f32, (-3..3_i32).prop_map(|v| v as f32)], 0..300),
            k in 0..320_u32,
        ) {
            let mut ranked: Vec<u32> = (0_u32..).take(values.len()).collect();
            ranked.retain(|p| values[*p as usize].abs() > ROUNDS_TO_ZERO);
            ranked.sort_by(|a, b| values[*b as usize].abs().total_cmp(&values[*a as usize].abs()));
            ranked.truncate(k as usize);
            ranked.sort_unstable();
            prop_assert_eq!(largest(&values, k).unwrap(), ranked);
        }

        #[test]
        fn a_budget_is_used_up(
            values in proptest::collection::vec(prop_oneof![3 => Just(0.0), 1 => -2.0..2.0_f32], 2000),
            cut in 0..2000_u32,
            budget in 25..1500_u64,
            how in proptest::sample::select(Values::ALL.to_vec()),
        ) {
            let layout = Layout::new(&[cut, 2000 - cut]).unwrap();
            let size = |positions: &[u32]| payload_bytes(&layout, positions, how).unwrap();
            let empty = size(&[]);
            let chosen = choose(&values, Amount::Bytes(budget), &layout, how);
            if budget < empty {
                prop_assert_eq!(chosen, Err(ChoiceError::Budget { needed: empty, budget }));
            } else {
                let chosen = chosen.unwrap();
                let k = u32::try_from(chosen.len()).unwrap();
                prop_assert!(size(&chosen) <= budget);
                prop_assert_eq!(&chosen, &largest(&values, k).unwrap());
                let more = largest(&values, k + 1).unwrap();
                prop_assert!(more.len() == chosen.len() || size(&more) > budget);
                // No excluded value is much larger.
                let most = (k..k + 40).filter(|k| size(&largest(&values, *k).unwrap()) <= budget).map(|k| largest(&values, k).unwrap().len()).max();
                prop_assert!(most.unwrap_or(0) <= chosen.len() + 4, "{:?} {}", most, k);
            }
        }
    }
}
