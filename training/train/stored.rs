//! Bytes of a weight as a file stores them in; f32 numbers, or a weight kept for use, out. Must not know which file they
//! come from and which weight they are.
//!
//! Blocks lie along a row, so that whole rows may be put into another order before they come here.

use std::sync::Arc;

use headwater_dtype::Dtype;
use tch::{Device, Kind, Tensor};

use super::error::{ErrorContext, Result};

/// A weight as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Outermost first: `[output, input]` for a linear map.
    pub sizes: Vec<i64>,
    /// The number format of `bytes`.
    pub dtype: Dtype,
    /// Row after row, little-endian.
    pub bytes: Vec<u8>,
}

/// The form in which a frozen base is kept in memory. The arithmetic is that of f32 in every case: a weight is turned into f32 for each
/// use, and let go of after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// Turned into f32 once: most memory, no work for each use.
    F32,
    /// Rounded to bf16 once, whatever it was. Other numbers than the file's, unless they were bf16.
    Bf16,
    /// As the file stores it: exactly the file's numbers, in the file's own size.
    #[default]
    AsStored,
}

/// Numbers that are turned into f32 at a time: they stay in a core's cache until they are where they belong.
const PIECE: usize = 1 << 15;
/// Numbers of a part of a large matrix, where it is used part by part: 4 MB.
const PART: i64 = 1 << 20;

/// LibTorch's name of a number format, where it has one.
fn kind(dtype: Dtype) -> Option<Kind> {
    match dtype {
        Dtype::F32 => Some(Kind::Float),
        Dtype::F16 => Some(Kind::Half),
        Dtype::Bf16 => Some(Kind::BFloat16),
        Dtype::Q8_0 | Dtype::Q4_0 | Dtype::Q4_1 => None,
    }
}

impl Stored {
    /// Numbers in single precision.
    pub fn f32(sizes: Vec<i64>, values: &[f32]) -> Stored {
        Stored { sizes, dtype: Dtype::F32, bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
    }

    /// The mistake in it, if it is not exactly `sizes` of finite numbers.
    pub(super) fn check(&self, sizes: &[i64]) -> std::result::Result<(), String> {
        if self.sizes != sizes {
            return Err(format!("its sizes are {:?}; expected {sizes:?}", self.sizes));
        }
        let (weights, size) = (self.dtype.block(), self.dtype.block_bytes());
        let count = sizes.iter().try_fold(1usize, |n, s| n.checked_mul(usize::try_from(*s).ok()?));
        let row = sizes.last().and_then(|s| usize::try_from(*s).ok()).unwrap_or(1);
        if !row.is_multiple_of(weights) {
            return Err(format!("a row has {row} values; {:?} keeps {weights} in a block", self.dtype));
        }
        let bytes = count.and_then(|count| (count / weights).checked_mul(size));
        if bytes != Some(self.bytes.len()) {
            return Err(format!("it has {} bytes; {sizes:?} expects another number", self.bytes.len()));
        }
        let mut values = vec![0.0f32; PIECE];
        for (number, piece) in self.bytes.chunks(PIECE / weights * size).enumerate() {
            let values = values.get_mut(..piece.len() / size * weights).unwrap_or_default();
            self.dtype.decode(piece, values);
            if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                return Err(format!("value {} is not a finite number", number * PIECE + at));
            }
        }
        Ok(())
    }
}

/// A frozen weight, ready to be used as f32.
#[derive(Debug)]
pub(super) enum Weight {
    /// In a number format of LibTorch's.
    Numbers(Tensor),
    Blocks(Blocks),
}

/// A matrix in ggml's blocks.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    dtype: Dtype,
    rows: i64,
    columns: i64,
    bytes: Arc<Vec<u8>>,
}

impl Weight {
    /// Keeps a weight that was checked.
    pub(super) fn keep(stored: Stored, storage: Storage) -> Result<Weight> {
        let what = "copying a weight";
        let numbers = |stored: &Stored, kind| {
            // LibTorch takes the machine's order of bytes: little-endian wherever it runs.
            Tensor::f_from_data_size(&stored.bytes, &stored.sizes, kind).doing(what)
        };
        let weight = if let Some(kind) = kind(stored.dtype) {
            Weight::Numbers(numbers(&stored, kind)?)
        } else {
            let columns = stored.sizes.last().copied().unwrap_or(1);
            let rows = stored.sizes.iter().product::<i64>() / columns.max(1);
            let bytes = Arc::new(stored.bytes);
            Weight::Blocks(Blocks { dtype: stored.dtype, rows, columns, bytes })
        };
        let kind = match storage {
            Storage::AsStored => return Ok(weight),
            Storage::F32 => Kind::Float,
            Storage::Bf16 => Kind::BFloat16,
        };
        Ok(Weight::Numbers(weight.f32()?.f_to_kind(kind).doing(what)?))
    }

    /// The same weight for another owner.
    pub(super) fn share(&self) -> Weight {
        match self {
            Weight::Numbers(tensor) => Weight::Numbers(tensor.shallow_clone()),
            Weight::Blocks(blocks) => Weight::Blocks(blocks.clone()),
        }
    }

    /// All of it. Made for this use, unless it is kept as f32.
    pub(super) fn f32(&self) -> Result<Tensor> {
        match self {
            Weight::Numbers(tensor) => tensor.f_to_kind(Kind::Float).doing("turning a weight into f32"),
            Weight::Blocks(blocks) => blocks.rows(0, blocks.rows),
        }
    }

    /// Rows of a matrix.
    pub(super) fn rows(&self) -> i64 {
        match self {
            Weight::Numbers(tensor) => tensor.size().first().copied().unwrap_or(0),
            Weight::Blocks(blocks) => blocks.rows,
        }
    }

    /// A matrix cut into (first row, rows), so that each part is small as f32; whole where it is f32 as it is.
    pub(super) fn parts(&self) -> Vec<(i64, i64)> {
        let (rows, columns) = match self {
            Weight::Numbers(tensor) if tensor.kind() == Kind::Float => return vec![(0, self.rows())],
            Weight::Numbers(tensor) => (self.rows(), tensor.size().last().copied().unwrap_or(1)),
            Weight::Blocks(blocks) => (blocks.rows, blocks.columns),
        };
        let count = (rows * columns / PART + 1).min(rows.max(1));
        (0..count)
            .map(|part| (part * rows / count, (part + 1) * rows / count - part * rows / count))
            .collect()
    }

    /// A part of it as f32.
    pub(super) fn part(&self, first: i64, count: i64) -> Result<Tensor> {
        match self {
            Weight::Numbers(tensor) => tensor
                .f_narrow(0, first, count)
                .and_then(|part| part.f_to_kind(Kind::Float))
                .doing("turning a part of a weight into f32"),
            Weight::Blocks(blocks) => blocks.rows(first, count),
        }
    }

    /// Rows by number.
    pub(super) fn select(&self, rows: &Tensor) -> Result<Tensor> {
        let what = "choosing rows of a weight";
        match self {
            Weight::Numbers(tensor) => {
                tensor.f_index_select(0, rows).and_then(|t| t.f_to_kind(Kind::Float)).doing(what)
            }
            Weight::Blocks(blocks) => {
                let mut numbers = vec![0i64; rows.numel()];
                rows.f_copy_data(&mut numbers, rows.numel()).doing(what)?;
                let width = usize::try_from(blocks.columns).unwrap_or(0);
                let mut values = vec![0.0; numbers.len() * width];
                for (number, out) in numbers.iter().zip(values.chunks_mut(width.max(1))) {
                    blocks.dtype.decode(blocks.bytes_of(*number, 1), out);
                }
                let sizes = [numbers.len() as i64, blocks.columns];
                Tensor::f_from_slice(&values).and_then(|t| t.f_reshape(sizes)).doing(what)
            }
        }
    }
}

impl Blocks {
    fn bytes_of(&self, start: i64, count: i64) -> &[u8] {
        let (weights, size) = (self.dtype.block(), self.dtype.block_bytes());
        let row = usize::try_from(self.columns).unwrap_or(0) / weights * size;
        let (start, count) = (usize::try_from(start).unwrap_or(0), usize::try_from(count).unwrap_or(0));
        self.bytes.get(start * row..(start + count) * row).unwrap_or_default()
    }

    fn rows(&self, start: i64, count: i64) -> Result<Tensor> {
        let what = "turning a quantised weight into f32";
        let out = Tensor::f_empty([count, self.columns], (Kind::Float, Device::Cpu)).doing(what)?;
        let piece = (PIECE as i64 / self.columns.max(1)).clamp(1, count.max(1));
        let mut values = vec![0.0f32; usize::try_from(piece * self.columns).unwrap_or(0)];
        let mut done = 0;
        while done < count {
            let now = piece.min(count - done);
            let values =
                values.get_mut(..usize::try_from(now * self.columns).unwrap_or(0)).unwrap_or_default();
            self.dtype.decode(self.bytes_of(start + done, now), values);
            let put = || {
                let part = Tensor::f_from_slice(values)?.f_view([now, self.columns])?;
                out.f_narrow(0, done, now)?.f_copy_(&part)
            };
            put().doing(what)?;
            done += now;
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        let q8 = |d: u16| [&d.to_le_bytes()[..], &[1; 32]].concat();
        for (sizes, dtype, bytes, expected) in [
            (vec![1, 32], Dtype::Q8_0, q8(0x3C00), None),
            (vec![1, 32], Dtype::Q8_0, q8(0x7C00), Some("value 0 is not a finite number")),
            (vec![1, 32], Dtype::Q4_1, q8(0x3C00), Some("it has 34 bytes")),
            (vec![2, 16], Dtype::Q8_0, q8(0x3C00), Some("a row has 16 values")),
            (vec![32], Dtype::Q8_0, q8(0x3C00), Some("its sizes are [32]")),
        ] {
            let wanted = if sizes == [2, 16] { vec![2, 16] } else { vec![1, 32] };
            let found = Stored { sizes, dtype, bytes }.check(&wanted).err();
            assert_eq!(found.is_some(), expected.is_some());
            assert!(found.unwrap_or_default().starts_with(expected.unwrap_or("")));
        }
    }
}
