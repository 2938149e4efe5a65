//! Bytes of a weight as a file stores them in; f32 numbers, or a weight kept for use, out. Must not know which file they
//! come from and which weight they are.
//!
//! Block formats are those of ggml: 32 weights of one row share a scale d (and a minimum m), f16, little-endian. Low
//! nibbles are weights 0-15 of a block, high nibbles 16-31. Each operation is rounded once (no fused multiply-add), as in
//! ggml's own reference. Blocks lie along a row, so that whole rows may be put into another order before they come here.

use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::error::{ErrorContext, Result};

/// The number format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
    /// 34 bytes for 32 weights: d, 32 x i8; w = d q.
    Q8_0,
    /// 18 bytes for 32 weights: d, 16 bytes of nibbles; w = d (q - 8).
    Q4_0,
    /// 20 bytes for 32 weights: d, m, 16 bytes of nibbles; w = d q + m.
    Q4_1,
}

/// A weight as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Outermost first: `[output, input]` for a linear map.
    pub sizes: Vec<i64>,
    /// The format of `bytes`.
    pub format: Format,
    /// Row after row, little-endian.
    pub bytes: Vec<u8>,
}

/// How a frozen base is kept in memory. The arithmetic is that of f32 in every case: a weight is turned into f32 for each
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

/// Weights of one block.
const BLOCK: usize = 32;
/// Numbers that are turned into f32 at a time: they stay in a core's cache until they are where they belong.
const PIECE: usize = 1 << 15;
/// Numbers of a part of a large matrix, where it is used part by part: 4 MB.
const PART: i64 = 1 << 20;

impl Format {
    /// (weights of a block, bytes of a block).
    pub fn block(self) -> (usize, usize) {
        match self {
            Format::F32 => (1, 4),
            Format::F16 | Format::Bf16 => (1, 2),
            Format::Q8_0 => (BLOCK, 34),
            Format::Q4_0 => (BLOCK, 18),
            Format::Q4_1 => (BLOCK, 20),
        }
    }

    /// Turns whole blocks into f32. Stops where either side ends.
    pub fn decode(self, bytes: &[u8], out: &mut [f32]) {
        match self {
            Format::F32 => each(bytes, out, f32::from_le_bytes),
            Format::F16 => each(bytes, out, |b| half(u16::from_le_bytes(b))),
            Format::Bf16 => each(bytes, out, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
            Format::Q8_0 => blocks::<34>(bytes, out, |block, out| {
                let [d0, d1, quants @ ..] = block;
                let d = half(u16::from_le_bytes([*d0, *d1]));
                for (w, q) in out.iter_mut().zip(quants) {
                    *w = d * f32::from(i8::from_le_bytes([*q]));
                }
            }),
            Format::Q4_0 => blocks::<18>(bytes, out, |block, out| {
                let [d0, d1, quants @ ..] = block;
                let d = half(u16::from_le_bytes([*d0, *d1]));
                nibbles(quants, out, |q| d * (f32::from(q) - 8.0));
            }),
            Format::Q4_1 => blocks::<20>(bytes, out, |block, out| {
                let [d0, d1, m0, m1, quants @ ..] = block;
                let d = half(u16::from_le_bytes([*d0, *d1]));
                let m = half(u16::from_le_bytes([*m0, *m1]));
                nibbles(quants, out, |q| d * f32::from(q) + m);
            }),
        }
    }

    fn kind(self) -> Option<Kind> {
        match self {
            Format::F32 => Some(Kind::Float),
            Format::F16 => Some(Kind::Half),
            Format::Bf16 => Some(Kind::BFloat16),
            Format::Q8_0 | Format::Q4_0 | Format::Q4_1 => None,
        }
    }
}

impl Stored {
    /// Numbers in single precision.
    pub fn f32(sizes: Vec<i64>, values: &[f32]) -> Stored {
        Stored { sizes, format: Format::F32, bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
    }

    /// The mistake in it, if it is not exactly `sizes` of finite numbers.
    pub(super) fn check(&self, sizes: &[i64]) -> std::result::Result<(), String> {
        if self.sizes != sizes {
            return Err(format!("its sizes are {:?}; expected {sizes:?}", self.sizes));
        }
        let (weights, size) = self.format.block();
        let count = sizes.iter().try_fold(1usize, |n, s| n.checked_mul(usize::try_from(*s).ok()?));
        let row = sizes.last().and_then(|s| usize::try_from(*s).ok()).unwrap_or(1);
        if !row.is_multiple_of(weights) {
            return Err(format!("a row has {row} values; {:?} keeps {weights} in a block", self.format));
        }
        let bytes = count.and_then(|count| (count / weights).checked_mul(size));
        if bytes != Some(self.bytes.len()) {
            return Err(format!("it has {} bytes; {sizes:?} expects another number", self.bytes.len()));
        }
        let mut values = vec![0.0f32; PIECE];
        for (number, piece) in self.bytes.chunks(PIECE / weights * size).enumerate() {
            let values = values.get_mut(..piece.len() / size * weights).unwrap_or_default();
            self.format.decode(piece, values);
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
    format: Format,
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
        let weight = if let Some(kind) = stored.format.kind() {
            Weight::Numbers(numbers(&stored, kind)?)
        } else {
            let columns = stored.sizes.last().copied().unwrap_or(1);
            let rows = stored.sizes.iter().product::<i64>() / columns.max(1);
            let bytes = Arc::new(stored.bytes);
            Weight::Blocks(Blocks { format: stored.format, rows, columns, bytes })
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
                    blocks.format.decode(blocks.bytes_of(*number, 1), out);
                }
                let sizes = [numbers.len() as i64, blocks.columns];
                Tensor::f_from_slice(&values).and_then(|t| t.f_reshape(sizes)).doing(what)
            }
        }
    }
}

impl Blocks {
    fn bytes_of(&self, start: i64, count: i64) -> &[u8] {
        let (weights, size) = self.format.block();
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
            self.format.decode(self.bytes_of(start + done, now), values);
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

fn each<const N: usize>(bytes: &[u8], out: &mut [f32], number: impl Fn([u8; N]) -> f32) {
    let (numbers, _) = bytes.as_chunks::<N>();
    for (w, b) in out.iter_mut().zip(numbers) {
        *w = number(*b);
    }
}

fn blocks<const N: usize>(bytes: &[u8], out: &mut [f32], block: impl Fn(&[u8; N], &mut [f32; BLOCK])) {
    let (numbers, _) = bytes.as_chunks::<N>();
    let (out, _) = out.as_chunks_mut::<BLOCK>();
    for (w, b) in out.iter_mut().zip(numbers) {
        block(b, w);
    }
}

#[inline]
fn nibbles(quants: &[u8; BLOCK / 2], out: &mut [f32; BLOCK], weight: impl Fn(u8) -> f32) {
    let (low, high) = out.split_at_mut(BLOCK / 2);
    for ((l, h), q) in low.iter_mut().zip(high).zip(quants) {
        *l = weight(q & 0x0f);
        *h = weight(q >> 4);
    }
}

/// IEEE 754 binary16. Multiplying by 2^112 moves the exponent from one bias to the other, and is exact, for subnormal
/// numbers too.
pub(super) fn half(bits: u16) -> f32 {
    let (sign, rest) = (u32::from(bits & 0x8000) << 16, u32::from(bits & 0x7FFF) << 13);
    let size = if bits & 0x7C00 == 0x7C00 {
        rest | 0x7F80_0000
    } else {
        (f32::from_bits(rest) * f32::from_bits((127 + 112) << 23)).to_bits()
    };
    f32::from_bits(size | sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_as_ggml_writes_them() {
        // d = 0.5, m = -1; quants of weight i: i for bytes, i % 16 for nibbles.
        let (d, m) = (0x3800u16.to_le_bytes(), 0xBC00u16.to_le_bytes());
        let nibbles: Vec<u8> = (0..16).map(|i| i | ((15 - i) << 4)).collect();
        let bytes: Vec<u8> = (0..32u8).map(|i| i.wrapping_sub(16)).collect();
        let q = |i: usize| if i < 16 { i as f32 } else { (31 - i) as f32 };
        let check = |format: Format, parts: &[&[u8]], expected: &dyn Fn(usize) -> f32| {
            let block = parts.concat();
            assert_eq!(block.len(), format.block().1, "{format:?}");
            let mut out = [f32::NAN; 32];
            format.decode(&block, &mut out);
            assert_eq!(out.to_vec(), (0..32).map(expected).collect::<Vec<_>>(), "{format:?}");
        };
        check(Format::Q8_0, &[&d, &bytes], &|i| 0.5 * (i as f32 - 16.0));
        check(Format::Q4_0, &[&d, &nibbles], &|i| 0.5 * (q(i) - 8.0));
        check(Format::Q4_1, &[&d, &m, &nibbles], &|i| 0.5 * q(i) - 1.0);
    }

    #[test]
    fn halves_are_those_of_ieee() {
        for (bits, expected) in [
            (0x0000, 0.0),
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x0001, 2f32.powi(-24)),
            (0x83FF, -1023.0 * 2f32.powi(-24)),
            (0x7BFF, 65504.0),
            (0x7C00, f32::INFINITY),
        ] {
            assert_eq!(half(bits), expected, "{bits:04x}");
        }
        assert!(half(0x7E00).is_nan());
        assert!(half(0x8000).is_sign_negative());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let q8 = |d: u16| [&d.to_le_bytes()[..], &[1; 32]].concat();
        for (sizes, format, bytes, expected) in [
            (vec![1, 32], Format::Q8_0, q8(0x3C00), None),
            (vec![1, 32], Format::Q8_0, q8(0x7C00), Some("value 0 is not a finite number")),
            (vec![1, 32], Format::Q4_1, q8(0x3C00), Some("it has 34 bytes")),
            (vec![2, 16], Format::Q8_0, q8(0x3C00), Some("a row has 16 values")),
            (vec![32], Format::Q8_0, q8(0x3C00), Some("its sizes are [32]")),
        ] {
            let wanted = if sizes == [2, 16] { vec![2, 16] } else { vec![1, 32] };
            let found = Stored { sizes, format, bytes }.check(&wanted).err();
            assert_eq!(found.is_some(), expected.is_some());
            assert!(found.unwrap_or_default().starts_with(expected.unwrap_or("")));
        }
    }
}
