//! The stored bytes of one tensor go in; rows of f32 come out, at every use. Knows no file and no architecture.

use std::ops::Range;

use headwater_dtype::Dtype;

/// A tensor as it is stored: quantised weights stay quantised until they are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    shape: Vec<usize>,
    dtype: Dtype,
    bytes: Vec<u8>,
}

impl Tensor {
    /// A tensor of `shape` (outermost dimension first). Nothing if the bytes are not exactly those of the shape.
    pub fn new(shape: Vec<usize>, dtype: Dtype, bytes: Vec<u8>) -> Option<Tensor> {
        (byte_len(&shape, dtype)? == bytes.len()).then_some(Tensor { shape, dtype, bytes })
    }

    /// The shape, outermost dimension first: `[out, in]` for a matrix that is applied as x Wᵀ.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number format.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The bytes as stored, row after row.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Numbers in all.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns true if there are no numbers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows: the outermost dimension of a matrix; a vector is one row.
    pub fn rows(&self) -> usize {
        match self.shape.as_slice() {
            [] | [_] => 1,
            [rows, ..] => *rows,
        }
    }

    /// Numbers of one row.
    pub fn row_len(&self) -> usize {
        row_len(&self.shape)
    }

    /// Writes rows as f32 to `out`, which must hold exactly them; otherwise nothing is written and false comes back.
    pub fn read_rows(&self, rows: Range<usize>, out: &mut [f32]) -> bool {
        let Some(row_bytes) = self.dtype.bytes(self.row_len()) else { return false };
        let fits = rows.len().checked_mul(self.row_len()) == Some(out.len());
        let start = rows.start.checked_mul(row_bytes);
        let end = rows.end.checked_mul(row_bytes);
        match (fits, start.zip(end).and_then(|(start, end)| self.bytes.get(start..end))) {
            (true, Some(bytes)) => {
                self.dtype.decode(bytes, out);
                true
            }
            _ => false,
        }
    }

    /// All numbers as f32, row after row.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.len()];
        self.dtype.decode(&self.bytes, &mut out);
        out
    }

    /// The same tensor with row i taken from row `from(i)`; of a vector, its numbers. Nothing if a row is not there.
    pub(super) fn with_rows_from(self, from: impl Fn(usize) -> usize) -> Option<Tensor> {
        let (count, unit) = match self.shape.as_slice() {
            [count] => (*count, self.dtype.bytes(1)?),
            _ => (self.rows(), self.dtype.bytes(self.row_len())?),
        };
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for row in 0..count {
            let start = from(row).checked_mul(unit)?;
            bytes.extend_from_slice(self.bytes.get(start..start.checked_add(unit)?)?);
        }
        Some(Tensor { bytes, ..self })
    }
}

/// Numbers of one row of a shape: the product of all dimensions but the outermost; of a vector, its length.
pub fn row_len(shape: &[usize]) -> usize {
    match shape {
        [] => 1,
        [len] => *len,
        [_, inner @ ..] => inner.iter().product(),
    }
}

/// Bytes of a tensor; nothing if that overflows or a row is no whole number of blocks.
pub fn byte_len(shape: &[usize], dtype: Dtype) -> Option<usize> {
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))?;
    // Blocks lie along the innermost dimension.
    let inner = shape.last().copied().unwrap_or(1);
    dtype.bytes(inner)?;
    dtype.bytes(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_asked() {
        let bytes: Vec<u8> = (0..6u8).flat_map(|i| f32::from(i).to_le_bytes()).collect();
        let tensor = Tensor::new(vec![3, 2], Dtype::F32, bytes).unwrap();
        let check = |rows: Range<usize>, expected: Option<&[f32]>| {
            let mut out = vec![-1.0; rows.len() * 2];
            let read = tensor.read_rows(rows.clone(), &mut out);
            assert_eq!(read.then_some(out.as_slice()), expected, "{rows:?}");
        };
        check(0..1, Some(&[0.0, 1.0]));
        check(1..3, Some(&[2.0, 3.0, 4.0, 5.0]));
        check(3..3, Some(&[]));
        check(2..4, None);
        check(usize::MAX - 1..usize::MAX, None);
        assert!(!tensor.read_rows(0..1, &mut [0.0]), "the buffer is too small");
        let turned = tensor.clone().with_rows_from(|i| 2 - i).unwrap();
        assert_eq!(turned.to_f32(), [4.0, 5.0, 2.0, 3.0, 0.0, 1.0]);
        assert_eq!(tensor.with_rows_from(|i| i + 1), None);
    }

    #[test]
    fn sizes_are_checked() {
        let check =
            |shape: &[usize], dtype, expected| assert_eq!(byte_len(shape, dtype), expected, "{shape:?}");
        check(&[], Dtype::F32, Some(4));
        check(&[3, 32], Dtype::Q4_1, Some(60));
        check(&[64], Dtype::Q8_0, Some(68));
        check(&[32, 3], Dtype::Q4_0, None); // a row is no block
        check(&[usize::MAX, 2], Dtype::F16, None);
        check(&[usize::MAX], Dtype::F32, None);
        assert_eq!(Tensor::new(vec![2], Dtype::F16, vec![0; 3]), None);
    }
}
