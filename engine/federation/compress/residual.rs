//! The residual of compression, so that nothing of an update is lost but only sent later: error feedback.
//!
//! In: one device's delta of a round. Out: a payload, and the residual that waits. Per round: e <- e * decay + delta; the largest
//! values are sent; e <- e minus exactly what the receiver adds, after quantisation, the clip to plus and minus 8 and the grid
//! of 2^-24 (half to even). It must not know how updates are added up, nor where residuals are kept.
//!
//! Error feedback is due to Seide et al., "1-bit stochastic gradient descent" (2014); that it keeps convergence is shown by
//! Stich et al., "Sparsified SGD with memory" (2018) and Karimireddy et al., "Error feedback fixes SignSGD" (2019).

use super::grid::{CLIP, Steps, clips};
use super::payload::{Layout, PayloadError, Values, encode};
use super::top_k::{Amount, ChoiceError, choose};

/// The factor of a residual before a round: 0 forgets it, 1 keeps all of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decay(f32);

impl Decay {
    /// Keeps all: then what was sent and the residual add up to all deltas.
    pub const NONE: Decay = Decay(1.0);

    /// `None` unless it is from 0 to 1.
    pub fn new(factor: f32) -> Option<Decay> {
        (0.0..=1.0).contains(&factor).then_some(Decay(factor))
    }
}

/// The settings of compression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// The amount that is sent.
    pub amount: Amount,
    /// The encoding of values.
    pub values: Values,
    /// The factor of the residual.
    pub decay: Decay,
}

/// The part of an update that is sent in a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Transmission {
    /// The payload.
    pub payload: Vec<u8>,
    /// Values in it.
    pub nonzeros: usize,
    /// Values that were clipped to plus or minus 8; the rest of them stays in the residual.
    pub clipped: usize,
}

/// Why nothing was sent. The residual is then as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResidualError {
    /// A vector of another length.
    #[error("there are {found} values, and {expected} parameters")]
    Length {
        /// Values given.
        found: usize,
        /// Parameters of the residual.
        expected: usize,
    },
    /// NaN or an infinity, or a sum that became one.
    #[error("the value at position {position} is not a finite number")]
    NotFinite {
        /// Where, in the flat vector.
        position: usize,
    },
    /// Nothing could be chosen.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// No payload could be written.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

/// The values not sent yet, in the adapter's canonical parameter order. Every value is finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Residual(Vec<f32>);

impl Residual {
    /// Nothing waits.
    pub fn empty(parameters: u32) -> Residual {
        Residual(vec![0.0; parameters as usize])
    }

    /// From values that were kept.
    ///
    /// # Errors
    /// When a value is NaN or infinite.
    pub fn of(values: Vec<f32>) -> Result<Residual, ResidualError> {
        finite(&values)?;
        Ok(Residual(values))
    }

    /// The values that wait.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// Adds a delta and sends the largest values.
    ///
    /// # Errors
    /// When the delta has the wrong length or holds NaN or an infinity, or when not even an empty payload fits.
    pub fn send(
        &mut self,
        delta: &[f32],
        layout: &Layout,
        plan: Plan,
    ) -> Result<Transmission, ResidualError> {
        let mut next = self.with(delta, plan.decay)?;
        let positions = choose(&next, plan.amount, layout, plan.values)?;
        let values: Vec<f32> =
            positions.iter().map(|at| at_position(&next, *at).clamp(-CLIP, CLIP)).collect();
        let clipped = positions.iter().filter(|at| clips(at_position(&next, **at))).count();
        let payload = encode(layout, &positions, &values, plan.values)?;
        for (position, value) in positions.iter().zip(&payload.values) {
            let steps = Steps::of(*value).ok_or(PayloadError::NotFinite { position: *position })?;
            if let Some(kept) = next.get_mut(*position as usize) {
                *kept -= steps.to_f32();
            }
        }
        self.0 = next;
        Ok(Transmission { payload: payload.bytes, nonzeros: positions.len(), clipped })
    }

    /// Puts back what a receiver refused: the values as it decoded them.
    ///
    /// # Errors
    /// When a position lies outside, has no value, or its value is NaN or infinite.
    pub fn put_back(&mut self, positions: &[u32], values: &[f32]) -> Result<(), ResidualError> {
        if positions.len() != values.len() {
            return Err(PayloadError::Counts { positions: positions.len(), values: values.len() }.into());
        }
        let mut next = self.0.clone();
        for (position, value) in positions.iter().zip(values) {
            let position = *position as usize;
            let steps = Steps::of(*value).ok_or(ResidualError::NotFinite { position })?;
            let wrong = ResidualError::Length { found: position.saturating_add(1), expected: self.0.len() };
            *next.get_mut(position).ok_or(wrong)? += steps.to_f32();
        }
        finite(&next)?;
        self.0 = next;
        Ok(())
    }

    fn with(&self, delta: &[f32], decay: Decay) -> Result<Vec<f32>, ResidualError> {
        if delta.len() != self.0.len() {
            return Err(ResidualError::Length { found: delta.len(), expected: self.0.len() });
        }
        let next: Vec<f32> = self.0.iter().zip(delta).map(|(kept, delta)| kept * decay.0 + delta).collect();
        finite(&next)?;
        Ok(next)
    }
}

fn at_position(values: &[f32], position: u32) -> f32 {
    values.get(position as usize).copied().unwrap_or(0.0)
}

fn finite(values: &[f32]) -> Result<(), ResidualError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(position) => Err(ResidualError::NotFinite { position }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::payload::decode;
    use super::*;
    use proptest::prelude::*;

    fn plan(k: u32, values: Values) -> Plan {
        Plan { amount: Amount::Values(k), values, decay: Decay::NONE }
    }

    #[test]
    fn what_is_not_sent_waits() {
        let layout = Layout::new(&[4]).unwrap();
        let mut residual = Residual::empty(4);
        let mut check = |delta: [f32; 4], clipped: usize, expected: [f32; 4]| {
            let sent = residual.send(&delta, &layout, plan(1, Values::Float32)).unwrap();
            assert_eq!((sent.nonzeros, sent.clipped), (1, clipped));
            assert_eq!(residual.values(), expected);
        };
        check([0.5, -0.75, 0.0, 0.25], 0, [0.5, 0.0, 0.0, 0.25]);
        check([0.0, 0.0, 0.0, 0.5], 0, [0.5, 0.0, 0.0, 0.0]);
        check([0.0, 20.0, 0.0, 0.0], 1, [0.5, 12.0, 0.0, 0.0]);
        check([0.0; 4], 1, [0.5, 4.0, 0.0, 0.0]);
        check([0.0; 4], 0, [0.5, 0.0, 0.0, 0.0]);
        // Below the grid: 0.1 is no multiple of 2^-24.
        let tenth = Steps::of(0.1).unwrap().to_f32();
        check([0.1 - 0.5, 0.0, 0.0, 0.0], 0, [(0.5_f32 + (0.1 - 0.5)) - tenth, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_decay_forgets() {
        let layout = Layout::new(&[2]).unwrap();
        let mut residual = Residual::of(vec![1.0, 4.0]).unwrap();
        let plan = Plan { decay: Decay::new(0.5).unwrap(), ..plan(1, Values::Float32) };
        residual.send(&[0.0, 0.0], &layout, plan).unwrap();
        assert_eq!(residual.values(), [0.5, 0.0]);
        for wrong in [-0.1, 1.1, f32::NAN] {
            assert_eq!(Decay::new(wrong), None);
        }
    }

    #[test]
    fn a_refused_delta_changes_nothing() {
        let layout = Layout::new(&[2]).unwrap();
        let mut residual = Residual::of(vec![f32::MAX, 1.0]).unwrap();
        let before = residual.clone();
        let mut check = |delta: &[f32], amount: Amount, expected: &str| {
            let plan = Plan { amount, ..plan(1, Values::Levels2) };
            let message = residual.send(delta, &layout, plan).unwrap_err().to_string();
            assert_eq!(message, expected);
            assert_eq!(residual, before);
        };
        let one = Amount::Values(1);
        check(&[0.0], one, "there are 1 values, and 2 parameters");
        check(&[0.0, f32::NAN], one, "the value at position 1 is not a finite number");
        check(&[0.0, f32::NEG_INFINITY], one, "the value at position 1 is not a finite number");
        check(&[f32::MAX, 0.0], one, "the value at position 0 is not a finite number");
        let message = "a payload without any value takes 26 bytes, and only 3 are allowed";
        check(&[0.0, 0.0], Amount::Bytes(3), message);
        assert!(residual.put_back(&[2], &[1.0]).is_err());
        assert!(residual.put_back(&[0, 1], &[1.0]).is_err());
        assert!(residual.put_back(&[0], &[f32::NAN]).is_err());
        assert_eq!(residual, before);
        assert!(Residual::of(vec![f32::INFINITY]).is_err());
    }

    /// Sends some rounds; gives per parameter what arrived in steps, and the residual.
    fn rounds(deltas: &[Vec<f32>], k: u32, values: Values) -> (Vec<i64>, Residual) {
        let length = u32::try_from(deltas[0].len()).unwrap();
        let layout = Layout::new(&[length / 3, length - length / 3]).unwrap();
        let mut residual = Residual::empty(length);
        let mut arrived = vec![0_i64; length as usize];
        for delta in deltas {
            let sent = residual.send(delta, &layout, plan(k, values)).unwrap();
            let update = decode(&layout, &sent.payload).unwrap();
            for (position, value) in update.positions.iter().zip(&update.values) {
                arrived[*position as usize] += i64::from(Steps::of(*value).unwrap().get());
            }
        }
        (arrived, residual)
    }

    fn how() -> impl Strategy<Value = Values> {
        proptest::sample::select(Values::ALL.to_vec())
    }

    proptest! {
        /// The values sent and the residual add up to all deltas, but for the rounding of f32.
        #[test]
        fn nothing_is_lost(
            deltas in proptest::collection::vec(proptest::collection::vec(-3.0..3.0_f32, 50), 1..8),
            k in 0..60_u32,
            values in how(),
        ) {
            let (arrived, residual) = rounds(&deltas, k, values);
            for (at, (arrived, kept)) in arrived.iter().zip(residual.values()).enumerate() {
                let expected: f64 = deltas.iter().map(|delta| f64::from(delta[at])).sum();
                let found = *arrived as f64 / 16_777_216.0 + f64::from(*kept);
                // Two roundings a round, each at most half a unit in the last place of a number below 64.
                let most = deltas.len() as f64 * 2.0 * 32.0 * f64::from(f32::EPSILON);
                prop_assert!((found - expected).abs() <= most, "{} {}", found, expected);
            }
        }

        /// On the grid, and as long as f32 holds the sums, not a bit is lost.
        #[test]
        fn on_the_grid_nothing_is_lost_at_all(
            deltas in proptest::collection::vec(proptest::collection::vec(-(1 << 20)..(1 << 20_i32), 50), 1..8),
            k in 0..60_u32,
            values in how(),
        ) {
            let values_of = |delta: &Vec<i32>| delta.iter().map(|d| *d as f32 / 16_777_216.0).collect();
            let (arrived, residual) = rounds(&deltas.iter().map(values_of).collect::<Vec<_>>(), k, values);
            for (at, (arrived, kept)) in arrived.iter().zip(residual.values()).enumerate() {
                let expected: i64 = deltas.iter().map(|delta| i64::from(delta[at])).sum();
                prop_assert_eq!(*arrived as f64 + f64::from(*kept) * 16_777_216.0, expected as f64);
            }
        }

        /// Values that were refused and put back are sent as if for the first time.
        #[test]
        fn what_is_put_back_is_there_again(delta in proptest::collection::vec(-(1 << 20)..(1 << 20_i32), 50), values in how()) {
            let delta: Vec<f32> = delta.iter().map(|d| *d as f32 / 16_777_216.0).collect();
            let layout = Layout::new(&[50]).unwrap();
            let mut residual = Residual::empty(50);
            let sent = residual.send(&delta, &layout, plan(20, values)).unwrap();
            let update = decode(&layout, &sent.payload).unwrap();
            residual.put_back(&update.positions, &update.values).unwrap();
            prop_assert_eq!(residual.values(), &delta[..]);
        }
    }
}
