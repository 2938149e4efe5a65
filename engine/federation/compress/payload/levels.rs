//! A magnitude as one of few levels. In: the magnitudes of one tensor's values. Out: three bytes that name the levels, and the
//! nearest level of each magnitude. It must not know signs or positions.
//!
//! The bytes are a scale (the upper 16 bits of a positive, finite f32) and a spread. With a spread of 0, level j is scale * j.
//! Else level j is scale * (1 + j * spread / unit): what is sent is the largest of many values, so none is near zero and the
//! levels begin at the scale. There are 4, 8 or 128 levels with a unit of 32, 64 or 1024. Every level is an f32 without
//! rounding (8 bits of scale times at most 16 of factor), so both sides agree to the bit; below 2^-126 an f32 has fewer bits,
//! and the grid of sums rounds to zero anyway.
//!
//! The writer tries levels over the whole range, levels from zero, and either moved to the least squared error as in
//! S. P. Lloyd, "Least squares quantization in PCM" (1982), and takes what errs least. What the levels lose stays in the residual.

/// The number of levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Levels {
    /// 4, in 2 bits.
    Four,
    /// 8, in 3 bits.
    Eight,
    /// 128, in 7 bits.
    Many,
}

impl Levels {
    /// Bits of a level.
    pub fn bits(self) -> u32 {
        match self {
            Levels::Four => 2,
            Levels::Eight => 3,
            Levels::Many => 7,
        }
    }

    /// The number of the highest level.
    fn top(self) -> u16 {
        (1 << self.bits()) - 1
    }

    /// A spread of this many takes the first level to twice the scale.
    fn unit(self) -> u16 {
        match self {
            Levels::Four => 32,
            Levels::Eight => 64,
            Levels::Many => 1024,
        }
    }
}

/// The levels of one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    upper: u16,
    spread: u8,
    levels: Levels,
}

impl Scale {
    /// From the bytes of a payload; `None` unless the scale is positive and the highest level finite.
    pub fn of_parts(levels: Levels, scale: u16, spread: u8) -> Option<Scale> {
        let it = Scale { upper: scale, spread, levels };
        let positive = it.scale() > 0.0 && !it.scale().is_sign_negative();
        (positive && it.magnitude(levels.top()).is_finite()).then_some(it)
    }

    /// The bytes of a payload.
    pub fn parts(self) -> (u16, u8) {
        (self.upper, self.spread)
    }

    fn scale(self) -> f32 {
        f32::from_bits(u32::from(self.upper) << 16)
    }

    /// The magnitude of a level.
    pub fn magnitude(self, level: u16) -> f32 {
        if self.spread == 0 {
            return self.scale() * f32::from(level);
        }
        let unit = self.levels.unit();
        let factor = f32::from(unit) + f32::from(level) * f32::from(self.spread);
        self.scale() * (factor / f32::from(unit))
    }

    /// The magnitudes of all levels, from the lowest.
    pub fn magnitudes(self) -> Vec<f32> {
        (0..=self.levels.top()).map(|level| self.magnitude(level)).collect()
    }

    /// The first level and the way to the next.
    fn line(self) -> Line {
        let first = f64::from(self.magnitude(0));
        Line { first, step: f64::from(self.magnitude(1)) - first, top: f64::from(self.levels.top()) }
    }

    /// The level nearest to a magnitude.
    pub fn nearest(self) -> impl Fn(f32) -> u16 {
        let line = self.line();
        move |magnitude| line.level(magnitude)
    }

    /// The sum of squared errors.
    fn error(self, magnitudes: &[f32]) -> f64 {
        let line = self.line();
        let error = |m: &f32| f64::from(*m) - (line.first + line.step * f64::from(line.level(*m)));
        magnitudes.iter().map(|m| error(m) * error(m)).sum()
    }

    /// Levels for these magnitudes, which are finite and not negative.
    pub fn fit(levels: Levels, magnitudes: &[f32]) -> Scale {
        let low = magnitudes.iter().copied().fold(f32::INFINITY, f32::min);
        let high = magnitudes.iter().copied().fold(0.0, f32::max).min(f32::MAX / 4.0);
        let (low, high) = (f64::from(low.min(high)), f64::from(high));
        let top = f64::from(levels.top());
        let whole = Line { first: low, step: (high - low) / top, top };
        let zero = Line { first: 0.0, step: high / top, top };
        let starts = [whole, zero];
        let moved = starts.map(|line| line.moved(magnitudes, if levels == Levels::Many { 0 } else { 6 }));
        let mut best: Option<(f64, Scale)> = None;
        for line in moved.into_iter().chain(starts) {
            let scale = line.rounded(levels);
            let error = scale.error(magnitudes);
            if best.is_none_or(|(least, _)| error < least) {
                best = Some((error, scale));
            }
        }
        best.map_or(Scale { upper: 1, spread: 0, levels }, |(_, scale)| scale)
    }
}

/// Levels before they are rounded to three bytes.
#[derive(Clone, Copy, Debug)]
struct Line {
    first: f64,
    step: f64,
    top: f64,
}

impl Line {
    #[inline]
    fn level(&self, magnitude: f32) -> u16 {
        let level = if self.step > 0.0 { (f64::from(magnitude) - self.first) / self.step } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=127")]
        let level = (level + 0.5).clamp(0.0, self.top) as u16;
        level
    }

    /// Moves the levels to where the squared error is least for what is nearest to them, some times.
    fn moved(mut self, magnitudes: &[f32], times: usize) -> Line {
        let count = magnitudes.len() as f64;
        for _ in 0..times {
            let (mut j1, mut j2, mut m1, mut jm) = (0.0, 0.0, 0.0, 0.0);
            for magnitude in magnitudes {
                let (level, magnitude) = (f64::from(self.level(*magnitude)), f64::from(*magnitude));
                j1 += level;
                j2 += level * level;
                m1 += magnitude;
                jm += level * magnitude;
            }
            let next = if self.first == 0.0 {
                Line { step: jm / j2, ..self }
            } else {
                let step = (count * jm - j1 * m1) / (count * j2 - j1 * j1);
                Line { first: (m1 - step * j1) / count, step, ..self }
            };
            let sound =
                next.first >= 0.0 && next.step > 0.0 && (next.first + next.step * self.top).is_finite();
            if !sound {
                break;
            }
            self = next;
        }
        self
    }

    /// The nearest levels that three bytes can name. What is wider than a spread of 255 begins at zero.
    fn rounded(&self, levels: Levels) -> Scale {
        let unit = f64::from(levels.unit());
        let upper = upper_bits(self.first);
        let spread = (self.step / f64::from(f32::from_bits(u32::from(upper) << 16)) * unit).round_ties_even();
        if self.first > 0.0 && spread <= 255.0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=255")]
            let spread = spread.clamp(1.0, 255.0) as u8;
            return Scale { upper, spread, levels };
        }
        let step = self.step.max(self.first / self.top);
        Scale { upper: upper_bits(step), spread: 0, levels }
    }
}

/// The nearest positive f32 with 8 significant bits, as its upper 16 bits.
fn upper_bits(value: f64) -> u16 {
    #[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest f32")]
    let bits = (value as f32).to_bits();
    let upper = (u64::from(bits) + 0x8000) >> 16;
    // The greatest scale admits the greatest factor.
    u16::try_from(upper).unwrap_or(u16::MAX).clamp(1, 0x7c00)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Levels; 3] = [Levels::Four, Levels::Eight, Levels::Many];

    #[test]
    fn levels_lie_as_documented() {
        let check = |levels: Levels, scale: f32, spread: u8, level: u16, expected: f32| {
            let scale = Scale::of_parts(levels, (scale.to_bits() >> 16) as u16, spread).unwrap();
            assert_eq!(scale.magnitude(level), expected, "{scale:?} {level}");
        };
        check(Levels::Four, 0.5, 0, 0, 0.0);
        check(Levels::Four, 0.5, 0, 3, 1.5);
        check(Levels::Four, 0.5, 32, 0, 0.5);
        check(Levels::Four, 0.5, 32, 3, 2.0);
        check(Levels::Four, 0.5, 8, 1, 0.625);
        check(Levels::Eight, 1.0, 32, 7, 4.5);
        check(Levels::Many, 1.0, 255, 127, 33_409.0 / 1024.0);
        check(Levels::Many, 1.0, 1, 1, 1025.0 / 1024.0);
    }

    #[test]
    fn only_positive_scales_count() {
        let check = |scale: u16, spread: u8, known: bool| {
            for levels in ALL {
                assert_eq!(Scale::of_parts(levels, scale, spread).is_some(), known, "{scale:#x} {spread}");
            }
        };
        check(0, 5, false);
        check(1, 5, true);
        check(0x8000, 5, false);
        check(0xbf80, 5, false);
        check(0x3f80, 0, true);
        check(0x7f7f, 255, false);
        check(0x7f80, 5, false);
        check(0x7fc0, 5, false);
        check(0xffff, 0, false);
    }

    #[test]
    fn fits_are_close() {
        // What exceeds a threshold in an exponential tail: the values of a top-k selection.
        let tail: Vec<f32> =
            (0..1000).map(|i| 0.1 * (4.6 - (1.0 - (i as f32 + 0.5) / 1000.0).ln())).collect();
        let power: f64 = tail.iter().map(|m| f64::from(*m).powi(2)).sum();
        let check = |levels: Levels, magnitudes: &[f32], most: f64| {
            let error = Scale::fit(levels, magnitudes).error(magnitudes);
            assert!(error <= most * power, "{levels:?}: {} of the power", error / power);
        };
        check(Levels::Four, &tail, 0.005);
        check(Levels::Eight, &tail, 0.002);
        check(Levels::Many, &tail, 0.000_02);
        check(Levels::Four, &tail[..1], 1e-5);
        check(Levels::Many, &[0.0, 0.0], 1e-9);
    }

    proptest! {
        #[test]
        fn any_magnitudes_fit(bits in proptest::collection::vec(0..0x7f80_0000_u32, 0..40)) {
            let magnitudes: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
            for levels in ALL {
                let scale = Scale::fit(levels, &magnitudes);
                let (parts, spread) = scale.parts();
                prop_assert_eq!(Scale::of_parts(levels, parts, spread), Some(scale));
                let all = scale.magnitudes();
                prop_assert!(all.windows(2).all(|two| two[0] < two[1]), "{:?}", scale);
                for magnitude in magnitudes.iter().filter(|m| **m < 1e30) {
                    let nearest = all[usize::from(scale.nearest()(*magnitude))];
                    let best = all.iter().map(|m| (m - magnitude).abs()).fold(f32::INFINITY, f32::min);
                    prop_assert!((nearest - magnitude).abs() <= best * 1.001 + f32::MIN_POSITIVE);
                }
            }
        }
    }
}
