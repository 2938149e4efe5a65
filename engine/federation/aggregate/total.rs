//! The sum at the root, and its one division.
//!
//! In: sums of lower tiers, of one round or of several that waited for enough devices. Out: the mean of all examples, as f32. Sums
//! are kept in i128, so no number of tiers below can fill them. It must not know what is done with the mean.

use super::sum::{Shape, Sum, check_shape};
use super::{Refusal, grid};

/// Everything that waits at the root.
#[derive(Clone, Debug, PartialEq)]
pub struct Total {
    shape: Shape,
    devices: u64,
    examples: u64,
    sums: Vec<i128>,
}

impl Total {
    /// Of no updates.
    pub fn empty(shape: Shape) -> Total {
        Total { shape, devices: 0, examples: 0, sums: vec![0; shape.parameters as usize] }
    }

    /// The number of updates in it.
    pub fn devices(&self) -> u64 {
        self.devices
    }

    /// For how many examples they stand.
    pub fn examples(&self) -> u64 {
        self.examples
    }

    /// Adds a sum, of whatever round.
    ///
    /// # Errors
    /// When it is for another adapter, or examples no longer fit 64 bits.
    pub fn add(&mut self, sum: &Sum) -> Result<(), Refusal> {
        check_shape(self.shape, sum.shape())?;
        let too_many = Refusal::TooManyExamples { found: sum.examples(), most: u64::MAX - self.examples };
        self.examples = self.examples.checked_add(sum.examples()).ok_or(too_many)?;
        // No more devices than examples, and no sum above 2^27 times the examples.
        self.devices += sum.devices();
        for (position, value) in sum.nonzeros() {
            if let Some(total) = self.sums.get_mut(position as usize) {
                *total += i128::from(value);
            }
        }
        Ok(())
    }

    /// The mean over all examples; `None` when there are none.
    ///
    /// Sum and divisor become f64, which divide once; the quotient becomes f32. Each step rounds as IEEE 754 says, so every
    /// machine gives the same bits.
    pub fn mean(&self) -> Option<Vec<f32>> {
        if self.examples == 0 {
            return None;
        }
        let divisor = self.examples as f64 * grid::STEPS_PER_UNIT;
        #[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest f32")]
        let mean = |sum: &i128| match i64::try_from(*sum) {
            Ok(sum) => (sum as f64 / divisor) as f32,
            Err(_) => (*sum as f64 / divisor) as f32,
        };
        Some(self.sums.iter().map(mean).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Examples, Round, Values};
    use super::*;

    const SHAPE: Shape = Shape { parameters: 2, layout: [0; 8] };

    fn sum(round: u64, values: [f32; 2], examples: u64) -> Sum {
        let mut sum = Sum::empty(Round(round), SHAPE);
        sum.add(Values::Dense(&values), Examples::new(examples).unwrap()).unwrap();
        sum
    }

    #[test]
    fn the_mean_weighs_examples() {
        let check = |sums: &[Sum], expected: Option<Vec<f32>>| {
            let mut total = Total::empty(SHAPE);
            sums.iter().for_each(|sum| total.add(sum).unwrap());
            assert_eq!(total.mean(), expected);
        };
        check(&[], None);
        check(&[Sum::empty(Round(1), SHAPE)], None);
        check(&[sum(1, [0.25, -3.0], 7)], Some(vec![0.25, -3.0]));
        check(&[sum(1, [1.0, 0.0], 3), sum(2, [0.0, 4.0], 1)], Some(vec![0.75, 1.0]));
        check(&[sum(1, [1.0, 0.0], 1), sum(1, [0.0; 2], 2)], Some(vec![1.0 / 3.0, 0.0]));
    }

    #[test]
    fn totals_outgrow_64_bits() {
        let mut large = sum(1, [8.0, -8.0], 65_536);
        for _ in 0..19 {
            large.merge(&large.clone()).unwrap();
        }
        let mut total = Total::empty(SHAPE);
        for _ in 0..100 {
            total.add(&large).unwrap();
        }
        assert_eq!(total.sums[0], 100 << 62);
        assert_eq!(total.mean(), Some(vec![8.0, -8.0]));
        let other = Sum::empty(Round(1), Shape { parameters: 3, ..SHAPE });
        assert_eq!(total.add(&other).unwrap_err().code(), "wrong_shape");
    }
}
