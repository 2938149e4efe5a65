//! The exact sum of updates: per parameter a whole number of steps of 2^-24, times examples.
//!
//! In: the decoded values of updates with their numbers of examples, or sums of a lower tier. Out: one sum. Every value goes to
//! the grid (clipped to plus and minus 8, half to even), so that addition is associative and commutative: any tree of
//! gateways and regions, in any order, gives the same bits as one flat sum. It must not know devices or where it is sent.
//!
//! No sum leaves i64. A sum over E examples is at most 2^27 * E in magnitude, and E is kept below 2^36; so one check of E when
//! something is added covers every parameter, and what is refused does not depend on signs or on luck.

use super::cells::Cells;
use super::grid::{CLIP_STEPS, any_clips, clips};
use super::{Examples, Refusal, Round};

/// The most examples that one sum may stand for.
pub const MAX_EXAMPLES: u64 = (1 << 36) - 1;

/// The shape of a sum: the number of parameters, and their tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Parameters of the flat vector.
    pub parameters: u32,
    /// The id of the adapter's layout, by which two sides see that they mean the same tensors.
    pub layout: [u8; 8],
}

/// The values of one update.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// One for each parameter.
    Dense(&'a [f32]),
    /// Those that are not zero.
    Sparse {
        /// Where they stand in the flat vector, ascending.
        positions: &'a [u32],
        /// As many values.
        values: &'a [f32],
    },
}

impl Values<'_> {
    /// Checks the values, and counts those that the grid clips.
    ///
    /// # Errors
    /// When the values do not fit a flat vector of this length, or one is NaN or infinite.
    pub fn check(self, parameters: u32) -> Result<Clipped, Refusal> {
        let values = match self {
            Values::Dense(values) => {
                if values.len() != parameters as usize {
                    let (found, expected) = (values.len() as u64, parameters.into());
                    return Err(Refusal::WrongShape { found, expected });
                }
                values
            }
            Values::Sparse { positions, values } => {
                check_positions(positions, values.len(), parameters)?;
                values
            }
        };
        if !any_clips(values) {
            return Ok(Clipped(0));
        }
        let Some(index) = values.iter().position(|value| !value.is_finite()) else {
            return Ok(Clipped(values.iter().filter(|value| clips(**value)).count() as u64));
        };
        let position = match self {
            Values::Dense(_) => index,
            Values::Sparse { positions, .. } => positions.get(index).map_or(index, |at| *at as usize),
        };
        Err(Refusal::NotFinite { position })
    }
}

fn check_positions(positions: &[u32], values: usize, parameters: u32) -> Result<(), Refusal> {
    let mut next = 0;
    for (index, position) in positions.iter().enumerate() {
        if *position < next || *position >= parameters || index >= values {
            return Err(Refusal::WrongPositions { index });
        }
        next = position + 1;
    }
    if values > positions.len() {
        return Err(Refusal::WrongPositions { index: positions.len() });
    }
    Ok(())
}

/// The number of values clipped to plus or minus 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clipped(pub u64);

/// The sum of the updates of one round, or of some of them. Two sums are equal when every number of theirs is.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    pub(super) round: Round,
    pub(super) shape: Shape,
    pub(super) devices: u64,
    pub(super) examples: u64,
    pub(super) clipped: u64,
    pub(super) cells: Cells,
}

impl Sum {
    /// Of no updates.
    pub fn empty(round: Round, shape: Shape) -> Sum {
        Sum { round, shape, devices: 0, examples: 0, clipped: 0, cells: Cells::empty() }
    }

    /// The round whose updates are added.
    pub fn round(&self) -> Round {
        self.round
    }

    /// The shape of the sum.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The number of updates in it.
    pub fn devices(&self) -> u64 {
        self.devices
    }

    /// For how many examples they stand.
    pub fn examples(&self) -> u64 {
        self.examples
    }

    /// The number of their values that were clipped.
    pub fn clipped(&self) -> Clipped {
        Clipped(self.clipped)
    }

    /// The sums that are not zero, by position: steps of 2^-24 times examples.
    pub fn nonzeros(&self) -> impl Iterator<Item = (u32, i64)> {
        self.cells.nonzeros()
    }

    /// Adds one update.
    ///
    /// # Errors
    /// When its values do not fit or are not finite, or the sum cannot hold its examples.
    pub fn add(&mut self, values: Values<'_>, examples: Examples) -> Result<Clipped, Refusal> {
        let clipped = values.check(self.shape.parameters)?;
        let total = room(self.examples, examples.get().into())?;
        self.cells.add_values(values, examples.get(), self.shape.parameters);
        self.examples = total;
        self.devices += 1;
        self.clipped = self.clipped.saturating_add(clipped.0);
        Ok(clipped)
    }

    /// Adds a sum of other updates of the same round.
    ///
    /// # Errors
    /// When it is for another round or adapter, or the sum cannot hold its examples.
    pub fn merge(&mut self, other: &Sum) -> Result<(), Refusal> {
        self.fits(other)?;
        let total = room(self.examples, other.examples)?;
        self.cells.add_cells(&other.cells, 1, self.shape.parameters);
        self.examples = total;
        self.devices += other.devices;
        self.clipped = self.clipped.saturating_add(other.clipped);
        Ok(())
    }

    /// Takes a sum of updates out again: the rest is, bit for bit, what it would be had they never been added.
    ///
    /// # Errors
    /// When it is for another round or adapter, or cannot be part of this sum.
    pub fn subtract(&mut self, part: &Sum) -> Result<(), Refusal> {
        self.fits(part)?;
        let left = |whole: u64, part: u64| whole.checked_sub(part).ok_or(Refusal::NotContained);
        let examples = left(self.examples, part.examples)?;
        let devices = left(self.devices, part.devices)?;
        let clipped = left(self.clipped, part.clipped)?;
        let mut cells = self.cells.clone();
        cells.add_cells(&part.cells, -1, self.shape.parameters);
        let rest = Sum { devices, examples, clipped, cells, ..*self };
        if !rest.is_sound() {
            return Err(Refusal::NotContained);
        }
        *self = rest;
        Ok(())
    }

    /// Returns true if the invariants of every sum of updates hold, which bytes from elsewhere may break.
    pub(super) fn is_sound(&self) -> bool {
        let most = u64::from(CLIP_STEPS.unsigned_abs()).saturating_mul(self.examples);
        self.examples <= MAX_EXAMPLES
            && self.devices <= self.examples
            && self.examples <= self.devices.saturating_mul(super::MAX_EXAMPLES_PER_UPDATE.into())
            && self.clipped <= self.devices.saturating_mul(self.shape.parameters.into())
            && self.nonzeros().all(|(_, sum)| sum.unsigned_abs() <= most)
    }

    fn fits(&self, other: &Sum) -> Result<(), Refusal> {
        check_shape(self.shape, other.shape)?;
        if other.round != self.round {
            return Err(Refusal::OtherRound { found: other.round, expected: self.round });
        }
        Ok(())
    }
}

pub(super) fn check_shape(expected: Shape, found: Shape) -> Result<(), Refusal> {
    if found.parameters != expected.parameters {
        let (found, expected) = (found.parameters.into(), expected.parameters.into());
        return Err(Refusal::WrongShape { found, expected });
    }
    if found.layout != expected.layout {
        return Err(Refusal::WrongLayout);
    }
    Ok(())
}

fn room(examples: u64, more: u64) -> Result<u64, Refusal> {
    let too_many = Refusal::TooManyExamples { found: more, most: MAX_EXAMPLES - examples };
    examples.checked_add(more).filter(|total| *total <= MAX_EXAMPLES).ok_or(too_many)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { parameters: 3, layout: *b"abcdefgh" };
    const UNIT: i64 = 1 << 24;

    fn sum(updates: &[(Values<'_>, u64)]) -> Result<Sum, Refusal> {
        let mut sum = Sum::empty(Round(1), SHAPE);
        for (values, examples) in updates {
            sum.add(*values, Examples::new(*examples)?)?;
        }
        Ok(sum)
    }

    #[test]
    fn updates_are_weighed_and_added() {
        let check = |updates: &[(Values<'_>, u64)], expected: &[(u32, i64)], clipped: u64| {
            let sum = sum(updates).unwrap();
            assert_eq!(sum.nonzeros().collect::<Vec<_>>(), expected);
            assert_eq!(sum.devices(), updates.len() as u64);
            assert_eq!(sum.examples(), updates.iter().map(|u| u.1).sum::<u64>());
            assert_eq!(sum.clipped(), Clipped(clipped));
        };
        let sparse = Values::Sparse { positions: &[2], values: &[0.5] };
        check(&[], &[], 0);
        check(&[(sparse, 3)], &[(2, 3 * UNIT / 2)], 0);
        check(&[(Values::Dense(&[1.0, 0.0, -1.5]), 2), (sparse, 6)], &[(0, 2 * UNIT)], 0);
        check(&[(sparse, 6), (Values::Dense(&[1.0, 0.0, -1.5]), 2)], &[(0, 2 * UNIT)], 0);
        check(&[(Values::Dense(&[9.0, -1e30, 8.0]), 1)], &[(0, 8 * UNIT), (1, -8 * UNIT), (2, 8 * UNIT)], 2);
        check(&[(Values::Dense(&[1e-9, 0.0, 0.0]), 65_536)], &[], 0);
    }

    #[test]
    fn wrong_updates_are_refused() {
        let check = |values: Values<'_>, examples: u64, expected: &str| {
            let mut sum = sum(&[(Values::Dense(&[1.0; 3]), 1)]).unwrap();
            let before = sum.clone();
            let refusal = Examples::new(examples).and_then(|e| sum.add(values, e)).unwrap_err();
            assert_eq!(refusal.code(), expected);
            assert_eq!(sum, before);
        };
        let sparse = |positions, values| Values::Sparse { positions, values };
        check(Values::Dense(&[1.0, f32::NAN, 0.0]), 1, "not_finite");
        check(Values::Dense(&[1.0, 0.0, f32::NEG_INFINITY]), 1, "not_finite");
        check(sparse(&[1], &[f32::INFINITY]), 1, "not_finite");
        check(Values::Dense(&[1.0; 2]), 1, "wrong_shape");
        check(sparse(&[3], &[1.0]), 1, "wrong_positions");
        check(sparse(&[1, 1], &[1.0, 1.0]), 1, "wrong_positions");
        check(sparse(&[1, 2], &[1.0]), 1, "wrong_positions");
        check(sparse(&[1], &[1.0, 1.0]), 1, "wrong_positions");
        check(Values::Dense(&[1.0; 3]), 0, "no_examples");
        check(Values::Dense(&[1.0; 3]), 65_537, "too_many_examples");
        check(Values::Dense(&[1.0; 3]), u64::MAX, "too_many_examples");
    }

    #[test]
    fn wrong_sums_are_refused() {
        let check = |other: Sum, expected: &str| {
            let mut sum = sum(&[(Values::Dense(&[1.0; 3]), 1)]).unwrap();
            let before = sum.clone();
            assert_eq!(sum.merge(&other).unwrap_err().code(), expected);
            assert_eq!(sum.subtract(&other).unwrap_err().code(), expected);
            assert_eq!(sum, before);
        };
        check(Sum::empty(Round(2), SHAPE), "other_round");
        check(Sum::empty(Round(1), Shape { parameters: 4, ..SHAPE }), "wrong_shape");
        check(Sum::empty(Round(1), Shape { layout: [0; 8], ..SHAPE }), "wrong_layout");
    }

    #[test]
    fn only_what_is_in_a_sum_is_taken_out() {
        let check = |values: [f32; 3], examples: u64, expected: Option<&str>| {
            let mut sum =
                sum(&[(Values::Dense(&[8.0, 1.0, 0.0]), 2), (Values::Dense(&[8.0; 3]), 1)]).unwrap();
            let mut part = Sum::empty(Round(1), SHAPE);
            part.add(Values::Dense(&values), Examples::new(examples).unwrap()).unwrap();
            assert_eq!(sum.subtract(&part).err().as_ref().map(Refusal::code), expected, "{values:?}");
        };
        check([8.0; 3], 1, None);
        check([8.0, 1.0, 0.0], 2, None);
        check([0.0, 1.0, 0.0], 2, Some("not_contained"));
        check([8.0; 3], 4, Some("not_contained"));
        check([9.0; 3], 1, Some("not_contained"));
    }

    #[test]
    fn the_largest_sums_fit_and_no_larger_are_made() {
        let mut sum = sum(&[(Values::Dense(&[8.0, -8.0, 1e30]), 65_536)]).unwrap();
        for _ in 0..19 {
            sum.merge(&sum.clone()).unwrap();
        }
        assert_eq!(sum.examples(), 1 << 35);
        assert_eq!(sum.nonzeros().next(), Some((0, 1 << 62)));
        assert_eq!(sum.merge(&sum.clone()).unwrap_err().code(), "too_many_examples");
        let mut half = sum.clone();
        half.subtract(&self::sum(&[(Values::Dense(&[8.0, -8.0, 1e30]), 65_536)]).unwrap()).unwrap();
        sum.merge(&half).unwrap();
        assert!(sum.is_sound());
        assert_eq!(
            sum.add(Values::Dense(&[0.0; 3]), Examples::new(65_536).unwrap()).unwrap_err().code(),
            "too_many_examples"
        );
    }
}
