//! The payload of one sparse update: which values of a flat vector are not zero, and about how large they are.
//!
//! In: ascending positions and finite values, and the [`Layout`] (lengths of tensors) that both sides know. Out: documented,
//! versioned bytes; and back, from untrusted bytes: reading never panics and allocates only what the bytes can hold. It
//! must not know tensors by name, how values were chosen, or how they are added up.
//!
//! The format, byte by byte (docs/formats/payload.md says the same with its reasons). Numbers are little-endian, a varint is
//! LEB128 in its shortest form.
//!
//! | bytes | content |
//! |---|---|
//! | 4 | magic `HWUP` |
//! | 1 | version, 1 |
//! | 1 | values: 0 sign + 2 bits, 1 sign + 3 bits, 2 sign + 7 bits, 3 f32 |
//! | 8 | layout: the first 8 bytes of SHA-256 over the tensors' lengths |
//! | varint | number of tensors |
//! | varint | number of parameters, the sum of their lengths |
//! | 1 | split: 0 by tensor, 1 joint: the whole vector counts as one tensor below |
//! | ... | for each tensor its head, see below |
//! | ... | one stream of bits: for each tensor its gaps, then its values; zero bits up to a whole byte |
//! | 8 | checksum: the first 8 bytes of SHA-256 over all before |
//!
//! A tensor's head is the number of its values (varint); if that is neither 0 nor the tensor's length, the mode of its gaps
//! (1 byte, see [`gaps`]); if it is not 0 and values are not f32, its scale (2 bytes) and spread (1 byte, see [`levels`]).
//!
//! The writer cuts by tensor, with a scale for each, unless the heads of many tensors with few values each would take more than
//! 3 % of the bytes: the values of such an update were chosen by one threshold, and one scale does for them.

pub mod bits;
pub mod decode;
pub mod encode;
pub mod fuzz;
pub mod gaps;
pub mod layout;
pub mod levels;

#[cfg(test)]
mod properties;

use super::wire;

pub use decode::{Update, decode};
pub use encode::{Payload, encode, payload_bytes};
pub use fuzz::fuzz;
pub use layout::Layout;

/// The magic bytes of a payload.
pub const MAGIC: [u8; 4] = *b"HWUP";
/// The version that this code writes and reads.
pub const VERSION: u8 = 1;

/// The encoding of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Values {
    /// Sign and one of 4 levels: 3 bits.
    #[default]
    Levels2,
    /// Sign and one of 8 levels: 4 bits.
    Bits4,
    /// Sign and one of 128 levels: 8 bits.
    Bits8,
    /// As it is: 32 bits.
    Float32,
}

impl Values {
    /// Every way.
    pub const ALL: [Values; 4] = [Values::Levels2, Values::Bits4, Values::Bits8, Values::Float32];

    /// Bits of one value.
    pub fn bits(self) -> u32 {
        self.levels().map_or(32, |levels| levels.bits() + 1)
    }

    /// The levels of a magnitude; `None` for f32.
    pub fn levels(self) -> Option<levels::Levels> {
        match self {
            Values::Levels2 => Some(levels::Levels::Four),
            Values::Bits4 => Some(levels::Levels::Eight),
            Values::Bits8 => Some(levels::Levels::Many),
            Values::Float32 => None,
        }
    }

    fn code(self) -> u8 {
        match self {
            Values::Levels2 => 0,
            Values::Bits4 => 1,
            Values::Bits8 => 2,
            Values::Float32 => 3,
        }
    }

    fn of_code(code: u8) -> Option<Values> {
        Values::ALL.into_iter().find(|values| values.code() == code)
    }
}

/// The split of the flat vector for coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Split {
    /// Each tensor has a head of its own.
    Tensors,
    /// All parameters have one.
    Joint,
}

impl Split {
    /// For each part its first position and its length.
    fn parts(self, layout: &Layout) -> Vec<(u32, u32)> {
        match self {
            Split::Tensors => layout.tensors().collect(),
            Split::Joint => vec![(0, layout.parameters())],
        }
    }

    fn code(self) -> u8 {
        match self {
            Split::Tensors => 0,
            Split::Joint => 1,
        }
    }

    fn of_code(code: u8) -> Option<Split> {
        [Split::Tensors, Split::Joint].into_iter().find(|cut| cut.code() == code)
    }
}

/// Why bytes are no payload, or an update cannot become one. No message holds a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// Other bytes.
    #[error("these bytes are no payload of an update: they do not begin with HWUP")]
    Foreign,
    /// A version that this code does not read.
    #[error("the payload has version {0}; this program reads {VERSION}")]
    Version(u8),
    /// Truncated, or changed on the way.
    #[error("the payload is damaged: {0}")]
    Damaged(&'static str),
    /// Made for another adapter.
    #[error(
        "the payload is for {tensors} tensors with {parameters} parameters in all, or in another order; this adapter has {known_tensors} with {known_parameters}"
    )]
    Layout {
        /// Tensors that the payload names.
        tensors: u64,
        /// Parameters that the payload names.
        parameters: u64,
        /// Tensors of the layout at hand.
        known_tensors: usize,
        /// Parameters of the layout at hand.
        known_parameters: u32,
    },
    /// NaN or an infinity.
    #[error("the value at position {position} is not a finite number")]
    NotFinite {
        /// Where, in the flat vector.
        position: u32,
    },
    /// Positions that do not ascend, or lie outside.
    #[error("positions must ascend and lie below {parameters}; number {index} does not")]
    Positions {
        /// The position.
        index: usize,
        /// Parameters of the layout.
        parameters: u32,
    },
    /// As many values as positions are needed.
    #[error("{positions} positions and {values} values")]
    Counts {
        /// The number of positions.
        positions: usize,
        /// The number of values.
        values: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [f32; 6] = [0.5, -0.25, 1.0, 2.0, 3.0, -4.0];

    fn bytes() -> Vec<u8> {
        let layout = Layout::new(&[4, 8]).unwrap();
        encode(&layout, &[0, 1, 2, 3, 5, 6], &VALUES, Values::Float32).unwrap().bytes
    }

    /// Reads bits, the low one of each byte first.
    fn stream(bytes: &[u8]) -> impl FnMut(u32) -> u32 {
        let mut bits = bytes.iter().flat_map(|b| (0..8).map(move |at| b >> at & 1));
        move |width| (0..width).fold(0, |sum, at| sum | u32::from(bits.next().unwrap()) << at)
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let bytes = bytes();
        let layout = Layout::new(&[4, 8]).unwrap();
        assert_eq!(&bytes[..6], b"HWUP\x01\x03");
        assert_eq!(bytes[6..14], layout.id());
        // Tensors, parameters, split by tensor; four values that fill their tensor; two with gaps in mode 0.
        assert_eq!(&bytes[14..20], [2, 12, 0, 4, 2, 0]);
        let mut next = stream(&bytes[20..bytes.len() - 8]);
        for value in &VALUES[..4] {
            assert_eq!(f32::from_bits(next(32)), *value);
        }
        // Gap 1 with a parameter of 0: one zero, then a one. Gap 0: a one.
        assert_eq!((next(2), next(1)), (0b10, 1));
        for value in &VALUES[4..] {
            assert_eq!(f32::from_bits(next(32)), *value);
        }
        assert_eq!(next(5), 0);
        assert_eq!(bytes[bytes.len() - 8..], wire::checksum(&bytes[..bytes.len() - 8]));
    }

    #[test]
    fn few_values_are_cut_as_one() {
        let layout = Layout::new(&[4, 8]).unwrap();
        let bytes = encode(&layout, &[1, 11], &[0.5, -1.0], Values::Levels2).unwrap().bytes;
        // Tensors, parameters, joint; two values with gaps in mode 1; scale 0.5, spread 11: levels at 0.5 + j * 11 / 64.
        assert_eq!(&bytes[14..22], [2, 12, 1, 2, 1, 0x00, 0x3f, 11]);
        let mut next = stream(&bytes[22..bytes.len() - 8]);
        // Gap 1: quotient 0, rest 1. Gap 9: quotient 4, rest 1.
        assert_eq!((next(1), next(1), next(5), next(1)), (1, 1, 0b1_0000, 1));
        // Level 0; level 3 below zero.
        assert_eq!((next(3), next(3), next(2)), (0, 0b111, 0));
        assert_eq!(decode(&layout, &bytes).unwrap().values, [0.5, -1.015_625]);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let layout = Layout::new(&[4, 8]).unwrap();
        let check = |change: &dyn Fn(&mut Vec<u8>), expected: &str| {
            let mut bytes = bytes();
            bytes.truncate(bytes.len() - 8);
            change(&mut bytes);
            bytes.extend(wire::checksum(&bytes));
            assert_eq!(decode(&layout, &bytes).unwrap_err().to_string(), expected);
        };
        check(&|b| b[0] = b'h', "these bytes are no payload of an update: they do not begin with HWUP");
        check(&|b| b[4] = 9, "the payload has version 9; this program reads 1");
        check(&|b| b[5] = 4, "the payload is damaged: its values are written in an unknown way");
        let other = "the payload is for 2 tensors with 12 parameters in all, or in another order; this adapter has 2 with 12";
        check(&|b| b[6] ^= 1, other);
        check(&|b| b[16] = 2, "the payload is damaged: its split is unknown");
        check(&|b| b[17] = 5, "the payload is damaged: a tensor has more values than parameters");
        check(&|b| b[19] = 99, "the payload is damaged: the mode of a tensor's gaps is unknown");
        check(&|b| b[18] = 8, "the payload is damaged: it holds fewer values than it names");
        check(&|b| b.push(0), "the payload is damaged: bytes are left over");
        check(&|b| *b.last_mut().unwrap() |= 0x80, "the payload is damaged: its last bits are not zero");
        check(&|b| b.truncate(30), "the payload is damaged: it holds fewer values than it names");
        check(&|b| b.truncate(15), "the payload is damaged: its head is truncated");
        let mut cut = bytes();
        cut.pop();
        assert_eq!(decode(&layout, &cut), Err(PayloadError::Damaged("its checksum does not fit")));
        assert_eq!(decode(&layout, b"HWUP"), Err(PayloadError::Damaged("its checksum does not fit")));
    }

    #[test]
    fn wrong_updates_are_told() {
        let layout = Layout::new(&[4, 8]).unwrap();
        let check = |positions: &[u32], values: &[f32], expected: PayloadError| {
            for how in Values::ALL {
                assert_eq!(encode(&layout, positions, values, how).unwrap_err(), expected);
            }
        };
        check(&[1], &[], PayloadError::Counts { positions: 1, values: 0 });
        check(&[1, 1], &[1.0, 1.0], PayloadError::Positions { index: 1, parameters: 12 });
        check(&[2, 1], &[1.0, 1.0], PayloadError::Positions { index: 1, parameters: 12 });
        check(&[12], &[1.0], PayloadError::Positions { index: 0, parameters: 12 });
        check(&[3, 4], &[1.0, f32::NAN], PayloadError::NotFinite { position: 4 });
        check(&[3], &[f32::INFINITY], PayloadError::NotFinite { position: 3 });
    }
}
