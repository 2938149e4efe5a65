//! One device's gradient in, its adapter moved, its moments kept. Plain loops over f32 in a fixed order: a device's
//! numbers depend on its own gradients alone, not on who trains beside it. Knows no tensor library and no model.

use super::lora::Matrix;
use super::rules;
pub use super::rules::Rule;

/// A rule and its memory, for one device. The memory covers the matrices that are trained, in canonical order.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimiser {
    rule: Rule,
    matrices: Vec<Matrix>,
    /// Steps taken.
    steps: u64,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Optimiser {
    /// With no memory.
    pub fn new(rule: Rule, matrices: Vec<Matrix>) -> Optimiser {
        let all: usize = matrices.iter().map(|m| m.range.len()).sum();
        let (first, second) = match rule {
            Rule::AdamW { .. } => (all, all),
            Rule::Sgd { .. } | Rule::Lion { .. } => (all, 0),
            Rule::Adafactor { .. } => {
                (matrices.iter().map(|m| m.rows).sum(), matrices.iter().map(|m| m.columns).sum())
            }
        };
        Optimiser { rule, matrices, steps: 0, first: vec![0.0; first], second: vec![0.0; second] }
    }

    /// The length of the gradient over all trained matrices (Euclidean, in double precision).
    pub fn norm(&self, gradient: &[f32]) -> f64 {
        let trained = self.matrices.iter().flat_map(|m| gradient.get(m.range.clone()).unwrap_or_default());
        trained.map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt()
    }

    /// Shortens the gradient to `limit` as PyTorch's `clip_grad_norm_` does. Returns the length it had.
    pub fn clip(&self, gradient: &mut [f32], limit: Option<f64>) -> f64 {
        let norm = self.norm(gradient);
        if let Some(limit) = limit {
            let factor = limit / (norm + 1e-6);
            if factor < 1.0 {
                let factor = rules::narrow(factor);
                for matrix in &self.matrices {
                    for g in gradient.get_mut(matrix.range.clone()).unwrap_or_default() {
                        *g *= factor;
                    }
                }
            }
        }
        norm
    }

    /// Moves `parameters` by one step at learning rate `rate`. Both vectors are whole adapters; what is not trained is
    /// left alone.
    pub fn step(&mut self, rate: f64, parameters: &mut [f32], gradient: &[f32]) {
        self.steps += 1;
        let (mut first, mut second) = (self.first.as_mut_slice(), self.second.as_mut_slice());
        for matrix in &self.matrices {
            let size = matrix.range.len();
            let (one, two) = match self.rule {
                Rule::AdamW { .. } => (size, size),
                Rule::Sgd { .. } | Rule::Lion { .. } => (size, 0),
                Rule::Adafactor { .. } => (matrix.rows, matrix.columns),
            };
            let Some((here, rest)) = first.split_at_mut_checked(one) else { return };
            first = rest;
            let Some((there, rest)) = second.split_at_mut_checked(two) else { return };
            second = rest;
            let Some(p) = parameters.get_mut(matrix.range.clone()) else { return };
            let Some(g) = gradient.get(matrix.range.clone()) else { return };
            rules::apply(&self.rule, matrix, self.steps, rate, p, g, here, there);
        }
    }
}
