//! Rules that look at single updates, and the clipping of norms: against a device that is broken or lies.
//!
//! In: the updates of one round. Out: one vector in place of their mean. Values go to the grid first, so the order of devices
//! never matters. Every device counts the same, whatever its number of examples. It must not know who sent what.
//!
//! Trimmed mean and median are by coordinate, as in Yin et al., "Byzantine-robust distributed learning" (2018). A value that was not
//! sent is zero, so they ask for dense updates: where most devices send no value for a parameter, its median is zero.

use super::grid::{STEPS_PER_UNIT, Steps};
use super::{Refusal, Values};

/// Parameters that are sorted at a time, so that they stay in cache.
const BLOCK: usize = 256;

/// A share of devices that is cut off at either end: from 0 to below 0.5.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trim(f64);

impl Trim {
    /// `None` unless the share is from 0 to below 0.5.
    pub fn new(share: f64) -> Option<Trim> {
        (0.0..0.5).contains(&share).then_some(Trim(share))
    }

    /// The number of devices, of so many, that are cut off at either end: rounded down, so that at least one stays.
    pub fn of(self, devices: usize) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below half of the devices"
        )]
        let count = (self.0 * devices as f64) as usize;
        count.min(devices.saturating_sub(1) / 2)
    }
}

/// For each parameter the mean of what is left when the largest and the smallest values are cut off.
///
/// # Errors
/// When an update has the wrong length or holds NaN or an infinity.
pub fn trimmed_mean(updates: &[Values<'_>], parameters: u32, trim: Trim) -> Result<Vec<f32>, Refusal> {
    let cut = trim.of(updates.len());
    by_parameter(updates, parameters, |values| mean(middle(values, cut, values.len() - 2 * cut)))
}

/// For each parameter the value in the middle; of an even number of devices the mean of the two.
///
/// # Errors
/// When an update has the wrong length or holds NaN or an infinity.
pub fn median(updates: &[Values<'_>], parameters: u32) -> Result<Vec<f32>, Refusal> {
    by_parameter(updates, parameters, |values| {
        let first = values.len().saturating_sub(1) / 2;
        mean(middle(values, first, values.len() - 2 * first))
    })
}

/// The `count` values behind the `first` smallest ones, in any order.
fn middle(values: &mut [i32], first: usize, count: usize) -> &[i32] {
    if first == 0 || count == 0 || first >= values.len() {
        return values;
    }
    values.select_nth_unstable(first);
    let (_, rest) = values.split_at_mut(first);
    if count < rest.len() {
        rest.select_nth_unstable(count);
    }
    rest.get(..count).unwrap_or(&[])
}

/// The exact sum in steps, divided once.
fn mean(steps: &[i32]) -> f32 {
    if steps.is_empty() {
        return 0.0;
    }
    let sum: i64 = steps.iter().map(|steps| i64::from(*steps)).sum();
    #[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest f32")]
    let mean = (sum as f64 / (steps.len() as f64 * STEPS_PER_UNIT)) as f32;
    mean
}

fn by_parameter(
    updates: &[Values<'_>],
    parameters: u32,
    rule: impl Fn(&mut [i32]) -> f32,
) -> Result<Vec<f32>, Refusal> {
    for update in updates {
        update.check(parameters)?;
    }
    let parameters = parameters as usize;
    let mut out = Vec::with_capacity(parameters);
    let mut columns = vec![vec![0; updates.len()]; BLOCK];
    // The next position of each sparse update.
    let mut next = vec![0; updates.len()];
    for start in (0..parameters).step_by(BLOCK) {
        let end = (start + BLOCK).min(parameters);
        for (device, (update, next)) in updates.iter().zip(&mut next).enumerate() {
            let mut put = |at: usize, value: f32| {
                if let Some(cell) = columns.get_mut(at).and_then(|column| column.get_mut(device)) {
                    *cell = Steps::of(value).unwrap_or_default().get();
                }
            };
            match update {
                Values::Dense(values) => {
                    let block = values.get(start..end).unwrap_or(&[]);
                    block.iter().enumerate().for_each(|(at, value)| put(at, *value));
                }
                Values::Sparse { positions, values } => {
                    // The block before has put the cells in another order.
                    (0..end - start).for_each(|at| put(at, 0.0));
                    let rest = (positions.get(*next..).unwrap_or(&[]), values.get(*next..).unwrap_or(&[]));
                    let rest = rest.0.iter().zip(rest.1);
                    for (at, value) in rest.take_while(|(at, _)| (**at as usize) < end) {
                        put(*at as usize - start, *value);
                        *next += 1;
                    }
                }
            }
        }
        out.extend(columns.iter_mut().take(end - start).map(|column| rule(column)));
    }
    Ok(out)
}

/// The result of clipping a norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// The Euclidean norm that the update had.
    pub before: f64,
    /// True if it was shortened.
    pub clipped: bool,
}

/// Shortens an update to a Euclidean norm of at most `most`; its direction stays. The values may be those of a sparse update. The
/// norm is summed in f64 in the order of the positions.
///
/// # Errors
/// When a value is NaN or infinite; then nothing has changed.
pub fn clip_norm(values: &mut [f32], most: f64) -> Result<Norm, Refusal> {
    if let Some(position) = values.iter().position(|value| !value.is_finite()) {
        return Err(Refusal::NotFinite { position });
    }
    let before = values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt();
    let clipped = before > most;
    if clipped {
        let factor = most / before;
        for value in values {
            #[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest f32")]
            let shorter = (f64::from(*value) * factor) as f32;
            *value = shorter;
        }
    }
    Ok(Norm { before, clipped })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn outliers_do_not_count() {
        let check = |values: &[f32], trim: f64, trimmed: f32, middle: f32| {
            let updates: Vec<[f32; 1]> = values.iter().map(|value| [*value]).collect();
            let updates: Vec<Values<'_>> = updates.iter().map(|update| Values::Dense(update)).collect();
            let found = trimmed_mean(&updates, 1, Trim::new(trim).unwrap()).unwrap();
            assert_eq!(found, [trimmed], "{values:?} {trim}");
            assert_eq!(median(&updates, 1).unwrap(), [middle], "{values:?}");
        };
        check(&[], 0.1, 0.0, 0.0);
        check(&[0.5], 0.4, 0.5, 0.5);
        check(&[0.5, 1.5], 0.4, 1.0, 1.0);
        check(&[7.0, 0.25, -8.0], 0.34, 0.25, 0.25);
        check(&[7.0, 0.25, -7.0], 0.0, 0.25 / 3.0, 0.25);
        check(&[1.0, 2.0, 3.0, 4.0, -8.0], 0.2, 2.0, 2.0);
        check(&[1.0, 2.0, 3.0, 8.0], 0.25, 2.5, 2.5);
    }

    #[test]
    fn wrong_updates_are_refused() {
        let check = |update: &[f32], expected: &str| {
            let updates = [Values::Dense(&[0.0, 1.0]), Values::Dense(update)];
            assert_eq!(median(&updates, 2).unwrap_err().code(), expected);
            assert_eq!(trimmed_mean(&updates, 2, Trim::new(0.1).unwrap()).unwrap_err().code(), expected);
        };
        check(&[0.0], "wrong_shape");
        check(&[0.0, f32::NAN], "not_finite");
        assert_eq!((Trim::new(0.5), Trim::new(-0.1), Trim::new(f64::NAN)), (None, None, None));
    }

    #[test]
    fn norms_are_clipped() {
        let check = |values: &[f32], most: f64, expected: &[f32], before: f64| {
            let mut clipped = values.to_vec();
            let norm = clip_norm(&mut clipped, most).unwrap();
            assert_eq!((clipped.as_slice(), norm.before), (expected, before));
            assert_eq!(norm.clipped, before > most);
        };
        check(&[3.0, -4.0], 5.0, &[3.0, -4.0], 5.0);
        check(&[3.0, -4.0], 2.5, &[1.5, -2.0], 5.0);
        check(&[3.0, -4.0], 0.0, &[0.0, -0.0], 5.0);
        check(&[0.0], 0.0, &[0.0], 0.0);
        check(&[], 1.0, &[], 0.0);
        assert_eq!(clip_norm(&mut [1.0, f32::NAN], 1.0), Err(Refusal::NotFinite { position: 1 }));
    }

    proptest! {
        #[test]
        fn the_order_of_devices_does_not_matter(
            mut updates in proptest::collection::vec(proptest::collection::vec(-9.0..9.0_f32, 300), 1..9),
            turn in 0..9_usize,
            trim in 0.0..0.5_f64,
        ) {
            let trim = Trim::new(trim).unwrap();
            let both = |updates: &[Vec<f32>]| {
                let updates: Vec<Values<'_>> = updates.iter().map(|update| Values::Dense(update)).collect();
                (trimmed_mean(&updates, 300, trim).unwrap(), median(&updates, 300).unwrap())
            };
            let first = both(&updates);
            let by = turn % updates.len();
            updates.rotate_left(by);
            updates.reverse();
            prop_assert_eq!(both(&updates), first);
        }

        #[test]
        fn what_was_not_sent_is_zero(
            updates in proptest::collection::vec(proptest::collection::vec(prop_oneof![2 => Just(0.0_f32), 1 => -9.0..9.0_f32], 600), 1..9),
            sparse in any::<u16>(),
            trim in 0.0..0.5_f64,
        ) {
            let trim = Trim::new(trim).unwrap();
            let parts: Vec<(Vec<u32>, Vec<f32>)> =
                updates.iter().map(|u| (0..).zip(u.iter().copied()).filter(|(_, v)| *v != 0.0).unzip()).collect();
            let dense: Vec<Values<'_>> = updates.iter().map(|update| Values::Dense(update)).collect();
            let mixed: Vec<Values<'_>> = dense
                .iter()
                .zip(&parts)
                .enumerate()
                .map(|(n, (dense, (positions, values)))| {
                    if sparse >> n & 1 == 1 { Values::Sparse { positions, values } } else { *dense }
                })
                .collect();
            prop_assert_eq!(trimmed_mean(&mixed, 600, trim).unwrap(), trimmed_mean(&dense, 600, trim).unwrap());
            prop_assert_eq!(median(&mixed, 600).unwrap(), median(&dense, 600).unwrap());
        }
    }
}
