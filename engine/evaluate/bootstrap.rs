//! The uncertainty of a metric: confidence intervals by drawing the units of a data set again, with replacement.
//!
//! In: for each unit (an utterance, a device) the counts that it adds. Out: the interval of a figure over sums of them. The seed is fixed, so
//! that the same counts give the same interval. It must not know what the counts mean.

/// The number of draws.
pub const DRAWS: usize = 1000;

/// The part of the draws that an interval holds.
pub const SURE: f64 = 0.95;

/// The number from which draws are counted.
pub const SEED: u64 = 0x4845_4144_5741_5445;

/// A figure of sums.
pub type Figure = fn(&[f64]) -> Option<f64>;

/// The counts of one unit.
pub type Counts = Vec<f64>;

/// An interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// A number by its place, of 64 bits.
fn bits(place: u64) -> u64 {
    let mut z = place.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(SEED);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A unit of so many, drawn by its place.
fn drawn(place: u64, units: usize) -> usize {
    let wide = u128::from(bits(place)) * units as u128;
    usize::try_from(wide >> 64).unwrap_or_default()
}

fn total(units: &[Counts], draw: usize) -> Counts {
    let mut sum = Counts::new();
    for slot in 0..units.len() {
        let place = (draw as u64) << 32 | slot as u64;
        if let Some(counts) = units.get(drawn(place, units.len())) {
            sum.resize(counts.len().max(sum.len()), 0.0);
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }
    sum
}

fn ends(mut values: Vec<f64>) -> Option<Interval> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = share * values.len().saturating_sub(1) as f64;
        let nearest = (0..values.len())
            .min_by(|a, b| (*a as f64 - place).abs().total_cmp(&(*b as f64 - place).abs()))?;
        values.get(nearest).copied()
    };
    let tail = (1.0 - SURE) / 2.0;
    Some(Interval { low: at(tail)?, high: at(1.0 - tail)? })
}

/// The interval of a figure; nothing of fewer than two units.
pub fn interval(units: &[Counts], figure: Figure) -> Option<Interval> {
    if units.len() < 2 {
        return None;
    }
    ends((0..DRAWS).filter_map(|draw| figure(&total(units, draw))).collect())
}

/// The interval of the difference of a figure between two trials. Where both have the same units, each draw takes the same ones of both.
pub fn difference(ours: &[Counts], others: &[Counts], paired: bool, figure: Figure) -> Option<Interval> {
    if ours.len() < 2 || others.len() < 2 {
        return None;
    }
    let apart = if paired { 0 } else { DRAWS };
    let draws = (0..DRAWS)
        .filter_map(|draw| Some(figure(&total(ours, draw))? - figure(&total(others, draw + apart))?));
    ends(draws.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(sums: &[f64]) -> Option<f64> {
        let [part, whole] = sums else { return None };
        (*whole > 0.0).then(|| part / whole)
    }

    #[test]
    fn intervals_hold_the_figure_and_narrow_with_units() {
        let units = |n: usize| (0..n).map(|i| vec![f64::from(u8::from(i % 4 == 0)), 1.0]).collect::<Vec<_>>();
        let (few, many) = (interval(&units(20), ratio).unwrap(), interval(&units(2000), ratio).unwrap());
        for of in [few, many] {
            assert!(of.low < 0.25 && 0.25 < of.high, "{of:?}");
        }
        assert!(many.high - many.low < (few.high - few.low) / 5.0, "{few:?} {many:?}");
        assert_eq!(interval(&units(20), ratio), Some(few), "the same units give the same interval");
        assert_eq!(interval(&units(1), ratio), None);
    }

    #[test]
    fn paired_units_tell_small_differences() {
        // The second trial is worse by a little in every unit, and units differ much.
        let ours: Vec<Counts> = (0..50).map(|i| vec![f64::from(i % 10), 10.0]).collect();
        let others: Vec<Counts> = ours.iter().map(|c| vec![c[0] + 0.1, c[1]]).collect();
        let paired = difference(&ours, &others, true, ratio).unwrap();
        assert!(paired.high < 0.0 && paired.low < 0.0, "{paired:?}");
        let apart = difference(&ours, &others, false, ratio).unwrap();
        assert!(apart.low < 0.0 && apart.high > 0.0, "{apart:?}");
    }
}
