//! Examples of devices in, one joined batch of tensors out. Rows are ordered by device, and every device has as many
//! rows: those that are missing are empty. Rows are padded at their end; under causal attention no token sees what
//! comes after it, so that padding needs no mask, and it is never scored.

use tch::Tensor;

use super::error::{Doing, Result, TrainError};

/// A tokenised text.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// How much predicting each token from those before it counts; 0 for a prompt. The first is not looked at.
    pub weights: Vec<f32>,
}

impl Example {
    /// Every token counts alike.
    pub fn plain(tokens: Vec<u32>) -> Example {
        let weights = vec![1.0; tokens.len()];
        Example { tokens, weights }
    }

    /// The sum of weights of what is predicted.
    pub fn weight(&self) -> f64 {
        self.weights.iter().skip(1).map(|w| f64::from(*w)).sum()
    }
}

/// Predictions that count, ordered by device.
#[derive(Debug, Default)]
pub(super) struct Scored {
    /// Where the hidden state stands, counted over all rows: row * T + position.
    pub(super) places: Vec<i64>,
    /// The token to predict.
    pub(super) targets: Vec<i64>,
    pub(super) weights: Vec<f32>,
    /// Whose it is, from 0: the first of the batch.
    pub(super) devices: Vec<usize>,
}

/// Rows of all devices of a group.
#[derive(Debug)]
pub(super) struct JoinedBatch {
    /// D * B.
    pub(super) rows: i64,
    /// T.
    pub(super) length: i64,
    /// Token ids, `[D * B * T]`.
    pub(super) tokens: Tensor,
    pub(super) scored: Scored,
    /// What stands in each row: (device of the group, place among its examples, tokens).
    pub(super) held: Vec<Option<(usize, usize, i64)>>,
}

impl JoinedBatch {
    /// `chosen` names the examples of each device by place; `first` is the first device's number in its group. None if nothing is there to be learnt.
    pub(super) fn new(
        examples: &[&[Example]],
        chosen: &[Vec<usize>],
        first: usize,
        vocabulary: i64,
    ) -> Result<Option<JoinedBatch>> {
        let per_device = chosen.iter().map(Vec::len).max().unwrap_or(0);
        let pick = |device: usize, at: usize| examples.get(device).and_then(|all| all.get(at));
        let all = || {
            chosen.iter().enumerate().flat_map(|(device, places)| {
                (0..per_device).map(move |row| places.get(row).map(|place| (device, *place)))
            })
        };
        let length = all().flatten().filter_map(|(d, at)| pick(d, at)).map(|e| e.tokens.len()).max();
        let length = length.unwrap_or(0);
        if length < 2 {
            return Ok(None);
        }
        let mut tokens = Vec::with_capacity(all().count() * length);
        let (mut scored, mut held) = (Scored::default(), Vec::new());
        for (row, one) in all().enumerate() {
            let found = one.and_then(|(device, at)| pick(device, at).map(|e| (device, at, e)));
            if let Some((device, at, example)) = found {
                check(example, vocabulary)?;
                tokens.extend(example.tokens.iter().map(|t| i64::from(*t)));
                for (i, (target, weight)) in example.tokens.iter().zip(&example.weights).enumerate().skip(1) {
                    if *weight > 0.0 {
                        scored.places.push((row * length + i - 1) as i64);
                        scored.targets.push(i64::from(*target));
                        scored.weights.push(*weight);
                        scored.devices.push(device);
                    }
                }
                held.push(Some((first + device, at, example.tokens.len() as i64)));
            } else {
                held.push(None);
            }
            tokens.resize((row + 1) * length, 0);
        }
        Ok(Some(JoinedBatch {
            rows: held.len() as i64,
            length: length as i64,
            tokens: Tensor::f_from_slice(&tokens).doing("making a batch of tokens")?,
            scored,
            held,
        }))
    }
}

fn check(example: &Example, vocabulary: i64) -> Result<()> {
    if example.tokens.len() != example.weights.len() {
        return Err(TrainError::value(
            "an example's number of weights",
            example.weights.len(),
            format!("one for each of its {} tokens", example.tokens.len()),
        ));
    }
    if let Some(token) = example.tokens.iter().find(|t| i64::from(**t) >= vocabulary) {
        return Err(TrainError::value(
            "a token",
            token,
            format!("below {vocabulary}, the model's vocabulary"),
        ));
    }
    if let Some(weight) = example.weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
        return Err(TrainError::value("a weight of an example", weight, "a number from 0 up"));
    }
    Ok(())
}
