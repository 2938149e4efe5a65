//! A vector in, its product with an int8 matrix out, in integers.
//!
//! A step of the decoder is little else: its weights are read once for one token, so what counts is their bytes.
//! They stay int8 as stored (one scale a row), the vector becomes i16, products are summed in i32. Integer sums are
//! exact: the result is the same on every CPU and however the compiler orders them. Rounding the vector to 16 bits
//! moves a logit by about 1e-5 of the logits' range.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{ensure, format_err};

use super::lanes;

/// Weights [rows][columns] with one scale a row.
#[derive(Debug, PartialEq)]
pub struct Int8Matrix {
    weights: Vec<i8>,
    scales: Vec<f32>,
    columns: usize,
    /// The largest magnitude an i16 may take, so that no row's sum leaves i32.
    limit: f32,
}

impl Int8Matrix {
    /// From weights [rows, columns] and scales [rows].
    pub fn from_rows(weights: &Tensor, scales: &Tensor) -> TractResult<Int8Matrix> {
        let (weights, shape) = plain(weights)?;
        Int8Matrix::new(weights, scales, shape)
    }

    /// From weights [columns, rows] (as `MatMul(x, W)` stores them) and scales [rows].
    pub fn from_columns(weights: &Tensor, scales: &Tensor) -> TractResult<Int8Matrix> {
        let (weights, [columns, rows]) = plain(weights)?;
        let transposed =
            (0..rows).flat_map(|row| weights.iter().skip(row).step_by(rows.max(1)).copied()).collect();
        Int8Matrix::new(transposed, scales, [rows, columns])
    }

    fn new(weights: Vec<i8>, scales: &Tensor, [rows, columns]: [usize; 2]) -> TractResult<Int8Matrix> {
        let scales: Vec<f32> = scales.to_plain_array_view::<f32>()?.iter().copied().collect();
        ensure!(
            scales.len() == rows && columns > 0,
            "{} scales for weights [{rows}, {columns}]",
            scales.len()
        );
        let magnitude = |row: &[i8]| row.iter().map(|w| u64::from(w.unsigned_abs())).sum::<u64>();
        let largest = weights.chunks_exact(columns).map(magnitude).max().unwrap_or(0).max(1);
        // One less than would fit: the vector's values are rounded, and so may pass the limit by a half.
        let limit = (f64::from(i32::MAX) / largest as f64 - 1.0).clamp(1.0, f64::from(i16::MAX)).floor();
        #[allow(clippy::cast_possible_truncation)]
        let limit = limit as f32;
        Ok(Int8Matrix { weights, scales, columns, limit })
    }

    /// Length of the result.
    pub fn rows(&self) -> usize {
        self.scales.len()
    }

    /// Length of the vector.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The product of the first `out.len()` rows with a vector of `columns()` values.
    pub fn multiply(&self, vector: &[f32], out: &mut [f32]) {
        let largest = vector.iter().fold(0f32, |m, v| m.max(v.abs())).max(f32::MIN_POSITIVE);
        let scale = self.limit / largest;
        // `as` saturates, and NaN becomes 0: no value can leave i16.
        #[allow(clippy::cast_possible_truncation)]
        let quantised: Vec<i16> = vector.iter().map(|v| (v * scale).round() as i16).collect();
        let step = largest / self.limit;
        lanes::widest(|| self.multiply_rows(&quantised, step, out));
    }

    // Inlined, so that it is compiled once for each set of instructions.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn multiply_rows(&self, vector: &[i16], step: f32, out: &mut [f32]) {
        let rows = self.weights.chunks_exact(self.columns).zip(&self.scales);
        for (value, (row, scale)) in out.iter_mut().zip(rows) {
            *value = lanes::dot_integers(row, vector) as f32 * step * scale;
        }
    }
}

fn plain(weights: &Tensor) -> TractResult<(Vec<i8>, [usize; 2])> {
    let &[first, second] = weights.shape() else {
        return Err(format_err!("int8 weights of shape {:?} are no matrix", weights.shape()));
    };
    Ok((weights.to_plain_array_view::<i8>()?.iter().copied().collect(), [first, second]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matrix(weights: &[i8], scales: &[f32]) -> Int8Matrix {
        let weights = Tensor::from_shape(&[scales.len(), weights.len() / scales.len()], weights).unwrap();
        Int8Matrix::from_rows(&weights, &tensor1(scales)).unwrap()
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let check = |weights: &[usize], scales: &[usize], fits: bool| {
            let (weights, scales) =
                (Tensor::zero::<i8>(weights).unwrap(), Tensor::zero::<f32>(scales).unwrap());
            assert_eq!(Int8Matrix::from_rows(&weights, &scales).is_ok(), fits);
        };
        check(&[5, 4], &[5], true);
        check(&[5, 4], &[4], false);
        check(&[20], &[5], false);
        check(&[5, 0], &[5], false);
    }

    #[test]
    fn rows_and_columns_are_the_same_matrix() {
        let rows = matrix(&[1, 2, 3, 4, 5, 6], &[1.0, 0.5]);
        let columns = Tensor::from_shape(&[3, 2], &[1i8, 4, 2, 5, 3, 6]).unwrap();
        assert_eq!(Int8Matrix::from_columns(&columns, &tensor1(&[1f32, 0.5])).unwrap(), rows);
        let mut out = [0.0; 2];
        rows.multiply(&[1.0, 0.0, -1.0], &mut out);
        assert!((out[0] + 2.0).abs() < 1e-3 && (out[1] + 1.0).abs() < 1e-3, "{out:?}");
    }

    #[test]
    fn extremes_do_not_overflow() {
        for columns in [3, 1280, 5120, 70_000] {
            for weight in [i8::MIN, i8::MAX] {
                let matrix = matrix(&vec![weight; columns], &[1.0]);
                let mut out = [0.0];
                matrix.multiply(&vec![-3.0; columns], &mut out);
                let expected = -3.0 * f32::from(weight) * columns as f32;
                assert!((out[0] / expected - 1.0).abs() < 2e-3, "{} for {expected}", out[0]);
            }
        }
        let mut out = [7.0];
        matrix(&[5, 5], &[1.0]).multiply(&[0.0, 0.0], &mut out);
        assert_eq!(out, [0.0]);
    }

    proptest! {
        #[test]
        fn equals_the_float_product(
            weights in prop::collection::vec(any::<i8>(), 7 * 48),
            scales in prop::collection::vec(1e-4f32..0.1, 7),
            vector in prop::collection::vec(-20f32..20.0, 48),
        ) {
            let mut out = vec![0.0; 7];
            matrix(&weights, &scales).multiply(&vector, &mut out);
            let largest = vector.iter().fold(0f32, |m, v| m.max(v.abs()));
            for ((found, row), scale) in out.iter().zip(weights.chunks(48)).zip(&scales) {
                let exact: f64 = row.iter().zip(&vector).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                // Half a step of rounding for each of the 48 products.
                let bound = (48.0 * 128.0 * f64::from(largest) / 32767.0 * 0.5 + 1e-3) * f64::from(*scale);
                prop_assert!((f64::from(*found) - exact * f64::from(*scale)).abs() <= bound);
            }
        }
    }
}
