//! The number formats in which weights are stored. In: bytes as a file stores them. Out: f32 numbers. It must not know files, nor the
//! names and shapes of tensors.
//!
//! Block formats are those of ggml (`ggml-quants.h`): 32 weights of one row share a scale d (and a minimum m), f16,
//! little-endian. Low nibbles are weights 0-15 of a block, high nibbles 16-31. All arithmetic is in f32, each operation
//! rounded once (no fused multiply-add), so that the numbers are those of ggml's own reference.

use std::fmt;

use half::{bf16, f16};

/// The number format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dtype {
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

/// Weights of one block of a quantised format.
pub const BLOCK: usize = 32;

impl Dtype {
    /// All formats.
    pub const ALL: [Dtype; 6] = [Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::Q8_0, Dtype::Q4_0, Dtype::Q4_1];

    /// The name that ggml and Hugging Face use.
    pub const fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "F32",
            Dtype::F16 => "F16",
            Dtype::Bf16 => "BF16",
            Dtype::Q8_0 => "Q8_0",
            Dtype::Q4_0 => "Q4_0",
            Dtype::Q4_1 => "Q4_1",
        }
    }

    /// Weights that are stored together: the length of a row must be a multiple of it.
    pub const fn block(self) -> usize {
        match self {
            Dtype::F32 | Dtype::F16 | Dtype::Bf16 => 1,
            Dtype::Q8_0 | Dtype::Q4_0 | Dtype::Q4_1 => BLOCK,
        }
    }

    /// Bytes of one block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::Bf16 => 2,
            Dtype::Q8_0 => 34,
            Dtype::Q4_0 => 18,
            Dtype::Q4_1 => 20,
        }
    }

    /// Bytes of `elements` numbers; nothing if they are no whole number of blocks, or too many.
    pub fn bytes(self, elements: usize) -> Option<usize> {
        if elements.is_multiple_of(self.block()) {
            (elements / self.block()).checked_mul(self.block_bytes())
        } else {
            None
        }
    }

    /// Decodes whole blocks into f32. Stops where either side ends: the caller checks `out.len()`.
    pub fn decode(self, bytes: &[u8], out: &mut [f32]) {
        match self {
            Dtype::F32 => each(bytes, out, f32::from_le_bytes),
            Dtype::F16 => each(bytes, out, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::Bf16 => each(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::Q8_0 => blocks::<34>(bytes, out, |block, out| {
                let [d0, d1, quants @ ..] = block;
                let d = f16::from_le_bytes([*d0, *d1]).to_f32();
                for (w, q) in out.iter_mut().zip(quants) {
                    *w = d * f32::from(i8::from_le_bytes([*q]));
                }
            }),
            Dtype::Q4_0 => blocks::<18>(bytes, out, |block, out| {
                let [d0, d1, quants @ ..] = block;
                let d = f16::from_le_bytes([*d0, *d1]).to_f32();
                nibbles(quants, out, |q| d * (f32::from(q) - 8.0));
            }),
            Dtype::Q4_1 => blocks::<20>(bytes, out, |block, out| {
                let [d0, d1, m0, m1, quants @ ..] = block;
                let d = f16::from_le_bytes([*d0, *d1]).to_f32();
                let m = f16::from_le_bytes([*m0, *m1]).to_f32();
                nibbles(quants, out, |q| d * f32::from(q) + m);
            }),
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
fn nibbles(quants: &[u8], out: &mut [f32; BLOCK], weight: impl Fn(u8) -> f32) {
    let (low, high) = out.split_at_mut(BLOCK / 2);
    for ((l, h), q) in low.iter_mut().zip(high).zip(quants) {
        *l = weight(q & 0x0f);
        *h = weight(q >> 4);
    }
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
        let check = |dtype: Dtype, parts: &[&[u8]], expected: &dyn Fn(usize) -> f32| {
            let block = parts.concat();
            assert_eq!(block.len(), dtype.block_bytes(), "{dtype:?}");
            let mut out = [f32::NAN; 32];
            dtype.decode(&block, &mut out);
            assert_eq!(out.to_vec(), (0..32).map(expected).collect::<Vec<_>>(), "{dtype:?}");
        };
        check(Dtype::Q8_0, &[&d, &bytes], &|i| 0.5 * (i as f32 - 16.0));
        check(Dtype::Q4_0, &[&d, &nibbles], &|i| 0.5 * (q(i) - 8.0));
        check(Dtype::Q4_1, &[&d, &m, &nibbles], &|i| 0.5 * q(i) - 1.0);
    }
}
