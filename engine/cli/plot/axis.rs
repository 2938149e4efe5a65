//! Axes: from values to places, and the ticks between.
//!
//! In: the values to be shown. Out: an axis that holds them all, with ticks at 1, 2 or 5 times a power of
//! ten. It knows no font and no unit.

/// More ticks than this cannot be read on a slide.
const MOST_TICKS: usize = 10;
/// Powers of ten from one tick to the next, where not each has one: 3 is the step of the units of bytes.
const STRIDES: [i32; 8] = [1, 2, 3, 6, 10, 20, 50, 100];
/// A value stands this share of the span clear of the frame.
const CLEAR: f64 = 0.03;
/// A span below this share of the greatest value is drawn as nearly flat: three digits could not show its
/// ticks apart.
const LEAST_SPAN: f64 = 0.1;
/// Values outside would overflow while the axis is rounded outwards.
const DRAWABLE: std::ops::RangeInclusive<f64> = 1e-300..=1e300;

/// Returns true if an axis can show the value.
pub fn drawable(value: f64) -> bool {
    DRAWABLE.contains(&value)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Linear,
    Log,
}

/// An axis of values above zero.
#[derive(Debug)]
pub struct Axis {
    pub scale: Scale,
    low: f64,
    high: f64,
    pub ticks: Vec<f64>,
    /// Lines without a label between the ticks.
    pub faint: Vec<f64>,
}

impl Axis {
    /// An axis from the least to the greatest of drawable values.
    pub fn new(scale: Scale, least: f64, greatest: f64) -> Self {
        match scale {
            Scale::Linear => Self::linear(least, greatest),
            Scale::Log => Self::log(least, greatest),
        }
    }

    fn linear(least: f64, greatest: f64) -> Self {
        let span = (greatest - least).max(greatest * LEAST_SPAN);
        let middle = f64::midpoint(least, greatest);
        let (least, greatest) = (least.min(middle - span / 2.0), greatest.max(middle + span / 2.0));
        let step = grid().map(|(_, _, value)| value).find(|step| *step >= span / 5.0).unwrap_or(span);
        // Counted in steps, so that a tick is a whole multiple and no error adds up.
        let first = ((least - CLEAR * span) / step).floor().max(0.0);
        let last = ((greatest + CLEAR * span) / step).ceil().max(first + 1.0);
        let ticks: Vec<f64> = (0..=2 * MOST_TICKS)
            .map(|place| first + place as f64)
            .take_while(|count| *count <= last)
            .map(|count| count * step)
            .collect();
        Self { scale: Scale::Linear, low: first * step, high: last * step, ticks, faint: Vec::new() }
    }

    fn log(least: f64, greatest: f64) -> Self {
        let mut low = grid()
            .map(|(_, _, value)| value)
            .take_while(|value| *value <= least * 0.95)
            .last()
            .unwrap_or(least);
        if least >= 1.0 {
            // Neither a count nor a perplexity goes below one.
            low = low.max(1.0);
        }
        let high =
            grid().map(|(_, _, value)| value).find(|value| *value >= greatest * 1.05).unwrap_or(greatest);
        let inside = || grid().filter(|(_, _, value)| (low..=high).contains(value));
        let every: Vec<f64> = inside().map(|(_, _, value)| value).collect();
        if every.len() <= MOST_TICKS {
            return Self { scale: Scale::Log, low, high, ticks: every, faint: Vec::new() };
        }
        let decades = |stride: i32| -> Vec<f64> {
            let whole = inside().filter(|(digit, power, _)| *digit == 1 && power % stride == 0);
            whole.map(|(_, _, value)| value).collect()
        };
        let faint = if decades(1).len() <= MOST_TICKS { every } else { Vec::new() };
        let ticks =
            STRIDES.into_iter().map(decades).find(|ticks| ticks.len() <= MOST_TICKS).unwrap_or_default();
        Self { scale: Scale::Log, low, high, ticks, faint }
    }

    /// Returns how far up the axis the value stands, from 0 to 1.
    pub fn share(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value.log10() - self.low.log10()) / (self.high.log10() - self.low.log10()),
        };
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.5 }
    }
}

/// 1, 2 and 5 times each power of ten, ascending, each the nearest number there is: the digit, the power,
/// the number.
fn grid() -> impl Iterator<Item = (u8, i32, f64)> {
    (-303..=303).flat_map(|power: i32| {
        let number = move |digit: u8| Some((digit, power, format!("{digit}e{power}").parse().ok()?));
        [1, 2, 5].into_iter().filter_map(number)
    })
}

/// The axis of rounds: whole numbers.
#[derive(Debug)]
pub struct Rounds {
    first: u64,
    last: u64,
}

impl Rounds {
    pub fn new(first: u64, last: u64) -> Self {
        Self { first: first.min(last), last: last.max(first) }
    }

    /// Returns how far along the axis the round stands; a sole round stands in the middle.
    pub fn share(&self, round: u64) -> f64 {
        let span = self.last - self.first;
        if span == 0 { 0.5 } else { (round.saturating_sub(self.first) as f64 / span as f64).clamp(0.0, 1.0) }
    }

    /// At most `most` ticks at multiples of a step of 1, 2 or 5 times a power of ten, and the first round
    /// where it stands clear of the next.
    pub fn ticks(&self, most: u64) -> Vec<u64> {
        let most = most.max(1);
        let span = self.last - self.first;
        let step = (0..20)
            .flat_map(|power| [1_u64, 2, 5].map(|digit| 10_u64.checked_pow(power)?.checked_mul(digit)))
            .flatten()
            .find(|step| span / step < most);
        let Some(step) = step else { return vec![self.first] };
        let start = self.first.div_ceil(step).checked_mul(step);
        let multiples = std::iter::successors(start, |tick| tick.checked_add(step));
        let mut ticks: Vec<u64> = multiples.take_while(|tick| *tick <= self.last).collect();
        let clear = ticks.first().is_none_or(|tick| (tick - self.first) as f64 >= 0.7 * step as f64);
        if clear && ticks.len() as u64 <= most {
            ticks.insert(0, self.first);
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Axis, Rounds, Scale};

    #[test]
    fn ticks_are_round_numbers() {
        let check = |scale, least, greatest, expected: &[f64]| {
            assert_eq!(Axis::new(scale, least, greatest).ticks, expected, "{least} to {greatest}");
        };
        check(Scale::Log, 6.0, 2000.0, &[5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3]);
        check(Scale::Log, 3e3, 2e5, &[2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5]);
        check(Scale::Log, 1.0, 9e9, &[1.0, 100.0, 1e4, 1e6, 1e8, 1e10]);
        check(Scale::Linear, 2.0, 9.0, &[0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        check(Scale::Linear, 1000.0, 1000.0, &[940.0, 960.0, 980.0, 1000.0, 1020.0, 1040.0, 1060.0]);
    }

    #[test]
    fn rounds_have_whole_ticks() {
        let check = |first, last, most, expected: &[u64]| {
            assert_eq!(Rounds::new(first, last).ticks(most), expected, "{first} to {last}");
        };
        check(1, 8, 10, &[1, 2, 3, 4, 5, 6, 7, 8]);
        check(0, 8, 5, &[0, 2, 4, 6, 8]);
        check(1, 500, 8, &[1, 100, 200, 300, 400, 500]);
        check(7, 7, 8, &[7]);
        check(u64::MAX - 1, u64::MAX, 8, &[u64::MAX - 1, u64::MAX]);
    }

    proptest! {
        #[test]
        fn an_axis_holds_its_values(
            low in -300.0..300.0_f64, high in -300.0..300.0_f64, share in 0.0..1.0_f64, linear: bool,
        ) {
            let (least, greatest) = (10_f64.powf(low.min(high)), 10_f64.powf(low.max(high)));
            let axis = Axis::new(if linear { Scale::Linear } else { Scale::Log }, least, greatest);
            prop_assert!(axis.low <= least && greatest <= axis.high && axis.low < axis.high, "{:?}", axis);
            prop_assert!((2..=10).contains(&axis.ticks.len()), "{:?}", axis);
            prop_assert!(axis.ticks.windows(2).all(|two| two[0] < two[1]), "{:?}", axis);
            prop_assert!(axis.ticks.iter().all(|tick| (axis.low..=axis.high).contains(tick)), "{:?}", axis);
            let between = least + share * (greatest - least);
            prop_assert!(axis.share(least) <= axis.share(between));
            prop_assert!(axis.share(between) <= axis.share(greatest));
        }

        #[test]
        fn ticks_of_rounds_lie_between_them(a: u64, b: u64, most in 1_u64..12) {
            let rounds = Rounds::new(a.min(b), a.max(b));
            let ticks = rounds.ticks(most);
            prop_assert!(!ticks.is_empty() && ticks.len() as u64 <= most + 1, "{:?}", ticks);
            prop_assert!(ticks.windows(2).all(|two| two[0] < two[1]), "{:?}", ticks);
            prop_assert!(ticks.iter().all(|tick| (a.min(b)..=a.max(b)).contains(tick)));
            prop_assert!(ticks.iter().all(|tick| (0.0..=1.0).contains(&rounds.share(*tick))));
        }
    }
}
