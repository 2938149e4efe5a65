//! Rotary positions: a shape and a length in, the tables of cosines and signed sines out (Su et al.: RoFormer, 2021).
//! In the layout of Hugging Face: element i of a head turns with element i + head_dim / 2. Knows no layer.

use tch::Tensor;

use super::error::{ErrorContext, Result};
use super::shape::{Scaling, Shape};

/// Tables for positions 0 to T - 1.
#[derive(Debug)]
pub(super) struct Rope {
    /// `[T, head_dim]`.
    cos: Tensor,
    /// `[T, head_dim]`; the first half of a row is negative sines.
    sin: Tensor,
    /// The same, negative: it turns back.
    back: Tensor,
    half: i64,
}

impl Rope {
    pub(super) fn new(shape: &Shape, length: i64) -> Result<Rope> {
        let frequencies = frequencies(shape);
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for position in 0..length {
            // Single precision from here on, as in Hugging Face's code.
            let angles = frequencies.iter().map(|f| f * position as f32);
            let row: Vec<(f32, f32)> = angles.map(f32::sin_cos).collect();
            for negate in [-1.0, 1.0] {
                sin.extend(row.iter().map(|(sin, _)| negate * sin));
                cos.extend(row.iter().map(|(_, cos)| *cos));
            }
        }
        let table = |values: &[f32]| Tensor::f_from_slice(values)?.f_reshape([length, shape.head_dim]);
        let what = "the tables of rotary positions";
        let (cos, sin) = (table(&cos).doing(what)?, table(&sin).doing(what)?);
        let back = sin.f_neg().doing(what)?;
        Ok(Rope { cos, sin, back, half: shape.head_dim / 2 })
    }

    /// Turns `[.., T, head_dim]`.
    pub(super) fn turn(&self, x: &Tensor) -> Result<Tensor> {
        self.by(x, &self.sin)
    }

    /// The transpose of [`Rope::turn`], which is its inverse.
    pub(super) fn turn_back(&self, x: &Tensor) -> Result<Tensor> {
        self.by(x, &self.back)
    }

    fn by(&self, x: &Tensor, sin: &Tensor) -> Result<Tensor> {
        let turned = || x.f_mul(&self.cos)?.f_addcmul_(&x.f_roll(self.half, -1)?, sin);
        turned().doing("turning queries and keys")
    }
}

/// Radians a position, one for each pair of elements of a head.
fn frequencies(shape: &Shape) -> Vec<f32> {
    let pairs = shape.head_dim / 2;
    let plain = (0..pairs).map(|i| shape.rope_theta.powf(-(i as f64) / pairs as f64));
    let scaled = plain.enumerate().map(|(pair, frequency)| match &shape.rope_scaling {
        Scaling::Default => frequency,
        Scaling::Linear { factor } => frequency / factor,
        Scaling::Divisors(by) => frequency / by.get(pair).copied().map_or(1.0, f64::from),
        Scaling::Llama3 { factor, low, high, original } => {
            let turns = original * frequency / std::f64::consts::TAU;
            let blend = ((turns - low) / (high - low)).clamp(0.0, 1.0);
            (1.0 - blend) * frequency / factor + blend * frequency
        }
    });
    scaled.map(narrow).collect()
}

#[allow(clippy::cast_possible_truncation)]
fn narrow(value: f64) -> f32 {
    value as f32
}
