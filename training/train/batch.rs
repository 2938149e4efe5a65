//! Examples of devices in, one joined batch out: rows ordered by device, their tokens one after another.

use tch::Tensor;

use super::error::{ErrorContext, Result, TrainError};
use super::rows::Rows;

/// A tokenised text.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// The weight of predicting each token from those before it; 0 for a prompt. The first is not used.
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
pub(super) struct ScoredTokens {
    /// Where the hidden state stands, counted over all tokens.
    pub(super) places: Vec<i64>,
    /// The token to predict.
    pub(super) targets: Vec<i64>,
    pub(super) weights: Vec<f32>,
    /// The device, counted from 0, the first of the batch.
    pub(super) devices: Vec<usize>,
    /// In which row of the batch it stands, from 0.
    pub(super) rows: Vec<usize>,
}

/// Rows of all devices of a group.
#[derive(Debug)]
pub(super) struct JoinedBatch {
    pub(super) rows: Rows,
    /// Token ids, `[M]`.
    pub(super) tokens: Tensor,
    pub(super) scored: ScoredTokens,
    /// The content of each row: (device of the group, place among its examples, tokens).
    pub(super) held: Vec<(usize, usize, i64)>,
}

impl JoinedBatch {
    /// `chosen` names the examples of each device by place; `first` is the first device's number in its group. None if
    /// nothing is there to be learned.
    pub(super) fn new(
        examples: &[&[Example]],
        chosen: &[Vec<usize>],
        first: usize,
        vocabulary: i64,
    ) -> Result<Option<JoinedBatch>> {
        let mut tokens: Vec<i64> = Vec::new();
        let (mut scored, mut held, mut lengths) = (ScoredTokens::default(), Vec::new(), Vec::new());
        for (device, places) in chosen.iter().enumerate() {
            let of_device = |at: &usize| Some((*at, examples.get(device)?.get(*at)?));
            let mut rows = Vec::with_capacity(places.len());
            for (at, example) in places.iter().filter_map(of_device) {
                check(example, vocabulary)?;
                for (i, (target, weight)) in example.tokens.iter().zip(&example.weights).enumerate().skip(1) {
                    if *weight > 0.0 {
                        scored.places.push((tokens.len() + i - 1) as i64);
                        scored.targets.push(i64::from(*target));
                        scored.weights.push(*weight);
                        scored.devices.push(device);
                        scored.rows.push(held.len());
                    }
                }
                tokens.extend(example.tokens.iter().map(|t| i64::from(*t)));
                rows.push(example.tokens.len() as i64);
                held.push((first + device, at, example.tokens.len() as i64));
            }
            lengths.push(rows);
        }
        if scored.places.is_empty() {
            return Ok(None);
        }
        let tokens = Tensor::f_from_slice(&tokens).doing("making a batch of tokens")?;
        Ok(Some(JoinedBatch { rows: Rows::new(lengths)?, tokens, scored, held }))
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
