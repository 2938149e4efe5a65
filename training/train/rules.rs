//! The arithmetic of optimisers on one matrix: parameters, a gradient and moments in, moved parameters out. Checked
//! against PyTorch's own by the golden trajectories. Knows nothing else.

use super::lora::Matrix;

/// The optimiser.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Loshchilov, Hutter: Decoupled weight decay regularization, 2019. As `torch.optim.AdamW`.
    AdamW {
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the root of the second moment.
        eps: f64,
        /// Per step and unit of learning rate.
        weight_decay: f64,
    },
    /// Stochastic gradient descent. As `torch.optim.SGD`: the decay is added to the gradient.
    Sgd {
        /// Decay of the velocity; 0 for none.
        momentum: f64,
        /// Added to the gradient, times the parameter.
        weight_decay: f64,
    },
    /// Shazeer, Stern: Adafactor, 2018. As `torch.optim.Adafactor`, with its floors: 2^-23 below the second moment's
    /// root, 1e-3 below a matrix's size.
    Adafactor {
        /// The second moment's decay is 1 - step ^ this; -0.8 in the paper.
        beta2_decay: f64,
        /// A step longer than this (root mean square) is shortened.
        clip: f64,
        /// Per step and unit of learning rate.
        weight_decay: f64,
    },
    /// Chen et al.: Symbolic discovery of optimization algorithms, 2023.
    Lion {
        /// The decay of the first moment.
        beta1: f64,
        /// Decay of the moment.
        beta2: f64,
        /// Per step and unit of learning rate.
        weight_decay: f64,
    },
}

impl Rule {
    /// AdamW with PyTorch's defaults, but no decay.
    pub fn adamw() -> Rule {
        Rule::AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }
}

/// `steps` counts this one. What `first` and `second` hold, and how many, is the rule's affair.
#[allow(clippy::too_many_arguments)]
pub(super) fn apply(
    rule: &Rule,
    matrix: &Matrix,
    steps: u64,
    rate: f64,
    parameters: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    let decay = |parameters: &mut [f32], weight_decay: f64| {
        let keep = narrow(1.0 - rate * weight_decay);
        parameters.iter_mut().for_each(|p| *p *= keep);
    };
    match *rule {
        Rule::AdamW { beta1, beta2, eps, weight_decay } => {
            decay(parameters, weight_decay);
            let exponent = i32::try_from(steps).unwrap_or(i32::MAX);
            let size = narrow(rate / (1.0 - beta1.powi(exponent)));
            let root = narrow((1.0 - beta2.powi(exponent)).sqrt());
            let (grow, keep, add, eps) =
                (narrow(1.0 - beta1), narrow(beta2), narrow(1.0 - beta2), narrow(eps));
            let moments = first.iter_mut().zip(second);
            for ((p, g), (m, v)) in parameters.iter_mut().zip(gradient).zip(moments) {
                *m += grow * (g - *m);
                *v = keep * *v + add * g * g;
                *p -= size * *m / (v.sqrt() / root + eps);
            }
        }
        Rule::Sgd { momentum, weight_decay } => {
            let (rate, momentum, weight_decay) = (narrow(rate), narrow(momentum), narrow(weight_decay));
            for ((p, g), v) in parameters.iter_mut().zip(gradient).zip(first) {
                *v = momentum * *v + (g + weight_decay * *p);
                *p -= rate * *v;
            }
        }
        Rule::Adafactor { beta2_decay, clip, weight_decay } => {
            let scale = root_mean_square(parameters).max(1e-3) * rate.min(1.0 / (steps as f64).sqrt());
            decay(parameters, weight_decay);
            let grow = (steps as f64).powf(beta2_decay);
            let update = factored(matrix, grow, gradient, first, second);
            let step = scale / (root_mean_square(&update) / clip).max(1.0);
            for (p, u) in parameters.iter_mut().zip(update) {
                *p -= narrow(step * f64::from(u));
            }
        }
        Rule::Lion { beta1, beta2, weight_decay } => {
            decay(parameters, weight_decay);
            let (rate, beta1, beta2) = (narrow(rate), narrow(beta1), narrow(beta2));
            for ((p, g), m) in parameters.iter_mut().zip(gradient).zip(first) {
                let direction = beta1 * *m + (1.0 - beta1) * g;
                if direction != 0.0 {
                    *p -= rate * direction.signum();
                }
                *m = beta2 * *m + (1.0 - beta2) * g;
            }
        }
    }
}

/// The gradient over the root of its second moment, which is kept as means of rows and of columns.
fn factored(matrix: &Matrix, grow: f64, gradient: &[f32], rows: &mut [f32], columns: &mut [f32]) -> Vec<f32> {
    let square = |g: &f32| f64::from(*g) * f64::from(*g);
    let width = matrix.columns.max(1);
    let mut sums = vec![0.0; width];
    for (mean, row) in rows.iter_mut().zip(gradient.chunks(width)) {
        let sum: f64 = row.iter().map(square).sum();
        *mean = narrow(f64::from(*mean) + grow * (sum / width as f64 - f64::from(*mean)));
        sums.iter_mut().zip(row).for_each(|(sum, g)| *sum += square(g));
    }
    for (mean, sum) in columns.iter_mut().zip(sums) {
        *mean = narrow(f64::from(*mean) + grow * (sum / matrix.rows as f64 - f64::from(*mean)));
    }
    let eps = f64::from(f32::EPSILON);
    let all = (rows.iter().map(|r| f64::from(*r)).sum::<f64>() / matrix.rows as f64).max(eps);
    let mut update = Vec::with_capacity(gradient.len());
    for (row_mean, row) in rows.iter().zip(gradient.chunks(width)) {
        for (column_mean, g) in columns.iter().zip(row) {
            let moment = f64::from(*row_mean) * f64::from(*column_mean) / all;
            update.push(narrow(f64::from(*g) / moment.max(eps * eps).sqrt()));
        }
    }
    update
}

fn root_mean_square(values: &[f32]) -> f64 {
    let sum: f64 = values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
    (sum / values.len().max(1) as f64).sqrt()
}

#[allow(clippy::cast_possible_truncation)]
pub(super) fn narrow(value: f64) -> f32 {
    value as f32
}
