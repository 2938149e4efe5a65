//! The grid on which values are added: steps of 2^-24, from -8 to 8.
//!
//! In: f32 values. Out: whole numbers of steps, and whether a value had to be clipped. Sums of steps are exact, so they do not
//! depend on their order. It must not know where values come from or what is summed.
//!
//! Every value on the grid is an f32: below 1 it has at most 24 significant bits, and from 1 to 8 an f32 has no bits below
//! 2^-24 to lose. So [`Steps::to_f32`] rounds nothing, and a sender can subtract exactly what its receiver adds.

/// One step is 2^-24.
pub const STEP_BITS: u32 = 24;
/// Steps in 1.0.
pub const STEPS_PER_UNIT: f64 = 16_777_216.0;
/// Values are clipped to plus and minus this.
pub const CLIP: f32 = 8.0;
/// The clip in steps: 2^27.
pub const CLIP_STEPS: i32 = 1 << 27;
/// Values no larger than this in magnitude round to zero steps (half a step rounds to even).
pub const ROUNDS_TO_ZERO: f32 = 1.0 / 33_554_432.0;

/// Adding and subtracting 1.5 * 2^52 leaves a whole number: there the f64 next to another lies one further, and IEEE 754 rounds
/// half to even. The low bits of the sum are the whole number in two's complement.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// A value in steps of 2^-24; its magnitude is at most [`CLIP_STEPS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Steps(i32);

impl Steps {
    /// The nearest point of the grid, half to even, after the clip to plus and minus 8. `None` for NaN and infinities.
    pub fn of(value: f32) -> Option<Steps> {
        value.is_finite().then(|| {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 2^27")]
            let steps = weighted(value, 1.0) as i32;
            Steps(steps)
        })
    }

    /// The number of steps.
    pub fn get(self) -> i32 {
        self.0
    }

    /// The value of these steps: exact.
    pub fn to_f32(self) -> f32 {
        #[expect(clippy::cast_possible_truncation, reason = "a point of the grid is an f32")]
        let value = (f64::from(self.0) / STEPS_PER_UNIT) as f32;
        value
    }
}

/// Returns true if the grid clips a value.
pub fn clips(value: f32) -> bool {
    value.abs() > CLIP
}

/// Returns true if the grid clips any of the values; so does it infinities and what is no number. In whole numbers, which a compiler
/// turns into vectors: without their sign, the bits of f32 are ordered as magnitudes are, and NaN stands above all.
pub fn any_clips(values: &[f32]) -> bool {
    let magnitude = |value: &f32| (value.to_bits() & (u32::MAX >> 1)).cast_signed();
    values.iter().map(magnitude).fold(0, i32::max) > magnitude(&CLIP)
}

/// The steps of a finite value times a whole number of at most 2^16, in arithmetic that a compiler turns into vectors: every
/// number is whole and below 2^51, so f64 holds it exactly.
#[inline]
pub fn weighted(value: f32, weight: f64) -> i64 {
    let steps = (f64::from(value.clamp(-CLIP, CLIP)) * STEPS_PER_UNIT + ROUNDER) - ROUNDER;
    ((steps * weight + ROUNDER).to_bits() as i64).wrapping_sub(ROUNDER.to_bits() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_clipped_value_is_noticed() {
        for (value, expected) in [
            (0.0, false),
            (8.0, false),
            (-8.0, false),
            (8.0_f32.next_up(), true),
            (-9.0, true),
            (f32::INFINITY, true),
            (f32::NEG_INFINITY, true),
            (f32::NAN, true),
            (-f32::NAN, true),
        ] {
            assert_eq!(any_clips(&[1.0, value, -2.0]), expected, "{value}");
        }
        assert!(!any_clips(&[]));
    }

    #[test]
    fn values_land_on_the_grid() {
        let step = 1.0 / 16_777_216.0_f32;
        let check = |value: f32, expected: Option<i32>| {
            assert_eq!(Steps::of(value).map(Steps::get), expected, "{value:e}");
        };
        check(0.0, Some(0));
        check(-0.0, Some(0));
        check(1.0, Some(1 << 24));
        check(8.0, Some(CLIP_STEPS));
        check(9.0, Some(CLIP_STEPS));
        check(-1e30, Some(-CLIP_STEPS));
        check(0.5 * step, Some(0));
        check(1.5 * step, Some(2));
        check(2.5 * step, Some(2));
        check(-2.5 * step, Some(-2));
        check(-3.5 * step, Some(-4));
        check(ROUNDS_TO_ZERO, Some(0));
        check(ROUNDS_TO_ZERO * 1.0001, Some(1));
        check(f32::MIN_POSITIVE, Some(0));
        check(f32::NAN, None);
        check(f32::INFINITY, None);
        check(f32::NEG_INFINITY, None);
    }

    proptest! {
        #[test]
        fn every_point_is_an_f32(steps in -CLIP_STEPS..=CLIP_STEPS, fine in -(1 << 24)..=(1 << 24_i32)) {
            for value in [steps, fine] {
                let value = value as f32 / 16_777_216.0;
                let point = Steps::of(value).unwrap();
                prop_assert_eq!(point.to_f32(), Steps::of(point.to_f32()).unwrap().to_f32());
                prop_assert_eq!(f64::from(point.to_f32()) * STEPS_PER_UNIT, f64::from(point.get()));
            }
        }

        #[test]
        fn rounding_is_half_to_even(bits in any::<u32>(), small in -9.0..9.0_f32, weight in 1..=65_536_u32) {
            for value in [f32::from_bits(bits), small, small * 1e-6] {
                if value.is_finite() {
                    let steps = (f64::from(value.clamp(-CLIP, CLIP)) * STEPS_PER_UNIT).round_ties_even();
                    prop_assert_eq!(f64::from(Steps::of(value).unwrap().get()), steps);
                    prop_assert_eq!(weighted(value, f64::from(weight)) as f64, steps * f64::from(weight));
                }
            }
        }
    }
}
