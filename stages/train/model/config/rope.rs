//! A rotary base and its scaling go in; one frequency for each pair of a head's numbers comes out. Knows no file.

use std::f64::consts::PI;

use super::super::problem::Problems;
use super::{Architecture, to_f32};

/// The scaling of the rotary frequencies for contexts longer than those of the first training.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    Default,
    /// All divided by one factor.
    Linear {
        /// The factor, at least 1.
        factor: f32,
    },
    /// Low frequencies divided by `factor`, high ones kept, between them a smooth passage (Llama 3.1).
    Llama3 {
        /// The factor, at least 1.
        factor: f32,
        /// Wavelengths above `original_context / low` are divided by the factor.
        low: f32,
        /// Wavelengths below `original_context / high` are kept.
        high: f32,
        /// Tokens of the first training's context.
        original_context: usize,
    },
    /// Each divided by a number of its own: what GGUF files keep of the above (`rope_freqs.weight`).
    Divisors(
        /// `head_dim / 2` numbers.
        Vec<f32>,
    ),
}

impl Architecture {
    /// The angle in radians by which a position turns each pair (i, i + head_dim / 2): `head_dim / 2` numbers.
    /// Computed in f64 and rounded once.
    pub fn rope_frequencies(&self) -> Vec<f32> {
        let dim = self.head_dim as f64;
        let plain = (0..self.head_dim / 2).map(|i| f64::from(self.rope_theta).powf(-2.0 * i as f64 / dim));
        match &self.rope_scaling {
            RopeScaling::Default => plain.map(to_f32).collect(),
            RopeScaling::Linear { factor } => plain.map(|f| to_f32(f / f64::from(*factor))).collect(),
            RopeScaling::Llama3 { factor, low, high, original_context } => {
                let [factor, low, high] = [*factor, *low, *high].map(f64::from);
                let scaled = |f: f64| {
                    let turns = *original_context as f64 * f / (2.0 * PI);
                    let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    (1.0 - kept) * f / factor + kept * f
                };
                plain.map(|f| to_f32(scaled(f))).collect()
            }
            RopeScaling::Divisors(by) => plain.zip(by).map(|(f, by)| to_f32(f / f64::from(*by))).collect(),
        }
    }
}

impl RopeScaling {
    /// The numbers behind it, by their bits.
    pub(super) fn canonical(&self) -> String {
        match self {
            RopeScaling::Default => "default".into(),
            RopeScaling::Linear { factor } => format!("linear:{:08x}", factor.to_bits()),
            RopeScaling::Llama3 { factor, low, high, original_context } => {
                let [factor, low, high] = [*factor, *low, *high].map(f32::to_bits);
                format!("llama3:{factor:08x}:{low:08x}:{high:08x}:{original_context}")
            }
            RopeScaling::Divisors(by) => {
                let by: Vec<String> = by.iter().map(|x| format!("{:08x}", x.to_bits())).collect();
                format!("divisors:{}", by.join(":"))
            }
        }
    }

    pub(super) fn check(&self, file: &str, head_dim: usize, problems: &mut Problems) {
        const ITEM: &str = "the rotary scaling";
        let factor_ok = |factor: f32| factor.is_finite() && factor >= 1.0;
        match self {
            RopeScaling::Default => {}
            RopeScaling::Linear { factor } if factor_ok(*factor) => {}
            RopeScaling::Linear { factor } => {
                problems.add(file, ITEM, format!("the factor {factor}"), "a factor of at least 1");
            }
            RopeScaling::Llama3 { factor, low, high, original_context } => {
                if !factor_ok(*factor) {
                    problems.add(file, ITEM, format!("the factor {factor}"), "a factor of at least 1");
                }
                if !(low.is_finite() && high.is_finite() && *low > 0.0 && high > low) {
                    let found = format!("low_freq_factor {low} and high_freq_factor {high}");
                    problems.add(file, ITEM, found, "0 < low < high");
                }
                if *original_context == 0 {
                    problems.add(file, ITEM, "original_max_position_embeddings 0", "at least 1");
                }
            }
            RopeScaling::Divisors(by) => {
                if by.len() != head_dim / 2 || !by.iter().all(|x| x.is_finite() && *x > 0.0) {
                    let expected = format!("{} positive numbers, half a head", head_dim / 2);
                    problems.add(file, "rope_freqs.weight", format!("{} numbers", by.len()), expected);
                }
            }
        }
    }
}
