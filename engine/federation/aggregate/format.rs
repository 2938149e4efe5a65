//! The format of a sum on the wire, from one tier to the next.
//!
//! In: a sum, or untrusted bytes. Out: documented, versioned, checksummed bytes; and back. Reading never panics, allocates no
//! more than the bytes hold (8 bytes a cell, once), and accepts only what can be a sum of updates. Equal sums have equal bytes. It
//! must not know who sends.
//!
//! The format, byte by byte (docs/formats/sums.md says the same with its reasons). Numbers are little-endian, a varint is
//! LEB128 in its shortest form.
//!
//! | bytes | content |
//! |---|---|
//! | 4 | magic `HWSU` |
//! | 1 | version, 1 |
//! | 1 | kind: 0 a sum, 1 a correction: a sum of updates to be taken out |
//! | 8 | id of the adapter's layout |
//! | 8 | round |
//! | varint | parameters |
//! | varint | devices: updates in the sum |
//! | varint | examples |
//! | varint | values that were clipped |
//! | 1 | form: 0 dense, 1 sparse |
//! | 1 | width: the bytes of one number, 1 to 8; 0 when all sums are zero |
//! | ... | sparse only: how many sums are not zero (varint); before each of them the number of zeros (varints) |
//! | ... | the numbers, all of them or those that are not zero: width bytes each, in two's complement |
//! | 8 | checksum: the first 8 bytes of SHA-256 over all before |

pub mod fuzz;

#[cfg(test)]
mod cases;

use super::cells::Cells;
use super::sum::{Shape, Sum, check_shape};
use super::wire::{Fields, checked, checksum, put_varint, varint_bytes};
use super::{Refusal, Round};

pub use fuzz::fuzz;

/// The magic bytes of a sum.
pub const MAGIC: [u8; 4] = *b"HWSU";
/// The version that this code writes and reads.
pub const VERSION: u8 = 1;

const DENSE: u8 = 0;
const SPARSE: u8 = 1;

/// The use of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Add it.
    Sum,
    /// Take it out: its updates are forgotten.
    Correction,
}

/// Why bytes are no sum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SumError {
    /// Other bytes.
    #[error("these bytes are no sum of updates: they do not begin with HWSU")]
    Foreign,
    /// A version that this code does not read.
    #[error("the sum has version {0}; this program reads {VERSION}")]
    Version(u8),
    /// Truncated, changed on the way, or not what a sum of updates can be.
    #[error("the sum is damaged: {0}")]
    Damaged(&'static str),
    /// For another adapter.
    #[error("the sum does not fit: {0}")]
    Shape(Refusal),
}

const TRUNCATED: SumError = SumError::Damaged("it is truncated");

/// Writes a sum.
pub fn encode(kind: Kind, sum: &Sum) -> Vec<u8> {
    let (mut count, mut most, mut gap_bytes, mut next) = (0_u64, 0, 0, 0);
    for (position, value) in sum.nonzeros() {
        count += 1;
        most = most.max(bytes_of(value));
        gap_bytes += varint_bytes(u64::from(position) - next);
        next = u64::from(position) + 1;
    }
    let sparse_bytes = varint_bytes(count) + gap_bytes + count * u64::from(most);
    let dense_bytes = u64::from(sum.shape.parameters) * u64::from(most);
    let sparse = most == 0 || sparse_bytes < dense_bytes;
    let mut out = Vec::with_capacity(usize::try_from(sparse_bytes.min(dense_bytes)).unwrap_or(0) + 80);
    out.extend(MAGIC);
    out.extend([VERSION, u8::from(kind == Kind::Correction)]);
    out.extend(sum.shape.layout);
    out.extend(sum.round.0.to_le_bytes());
    for number in [sum.shape.parameters.into(), sum.devices, sum.examples, sum.clipped] {
        put_varint(&mut out, number);
    }
    out.extend([if sparse { SPARSE } else { DENSE }, most]);
    let width = usize::from(most);
    if sparse {
        put_varint(&mut out, count);
        let mut next = 0;
        for (position, _) in sum.nonzeros() {
            put_varint(&mut out, u64::from(position - next));
            next = position.saturating_add(1);
        }
        sum.nonzeros().for_each(|(_, value)| put_number(&mut out, value, width));
    } else {
        let mut next = 0;
        for (position, value) in sum.nonzeros() {
            out.resize(out.len() + (position - next) as usize * width, 0);
            put_number(&mut out, value, width);
            next = position.saturating_add(1);
        }
        out.resize(out.len() + (sum.shape.parameters - next) as usize * width, 0);
    }
    out.extend(checksum(&out));
    out
}

/// Reads a sum for an adapter of this shape.
///
/// # Errors
/// When the bytes are no whole sum of this version for this shape, or no updates can have such a sum.
pub fn decode(shape: Shape, bytes: &[u8]) -> Result<(Kind, Sum), SumError> {
    if bytes.first_chunk() != Some(&MAGIC) {
        return Err(SumError::Foreign);
    }
    if let Some(version) = bytes.get(MAGIC.len()).filter(|v| **v != VERSION) {
        return Err(SumError::Version(*version));
    }
    let body = checked(bytes).ok_or(SumError::Damaged("its checksum does not fit"))?;
    let mut fields = Fields(body);
    fields.array::<{ MAGIC.len() + 1 }>().ok_or(TRUNCATED)?;
    let kind = match fields.u8().ok_or(TRUNCATED)? {
        0 => Kind::Sum,
        1 => Kind::Correction,
        _ => return Err(SumError::Damaged("its kind is unknown")),
    };
    let layout = fields.array().ok_or(TRUNCATED)?;
    let round = Round(fields.u64().ok_or(TRUNCATED)?);
    let parameters =
        fields.varint32().ok_or(SumError::Damaged("its number of parameters is no such number"))?;
    check_shape(shape, Shape { parameters, layout }).map_err(SumError::Shape)?;
    let mut number = || fields.varint().ok_or(TRUNCATED);
    let (devices, examples, clipped) = (number()?, number()?, number()?);
    let (form, width) = (fields.u8().ok_or(TRUNCATED)?, fields.u8().ok_or(TRUNCATED)?);
    let cells = match form {
        SPARSE => read_sparse(parameters, width.into(), fields)?,
        DENSE => read_dense(parameters, width.into(), fields)?,
        _ => return Err(SumError::Damaged("its form is unknown")),
    };
    let sum = Sum { round, shape, devices, examples, clipped, cells };
    if sum.nonzeros().map(|(_, value)| bytes_of(value)).max().unwrap_or(0) != width {
        return Err(SumError::Damaged("its numbers are wider than needed"));
    }
    if !sum.is_sound() {
        return Err(SumError::Damaged("no updates can have this sum"));
    }
    Ok((kind, sum))
}

fn read_sparse(parameters: u32, width: usize, mut fields: Fields<'_>) -> Result<Cells, SumError> {
    const FEWER: SumError = SumError::Damaged("it holds fewer numbers than it names");
    let count = fields.varint32().filter(|count| *count <= parameters);
    let count = count.ok_or(SumError::Damaged("it names more numbers than parameters"))? as usize;
    // A gap takes a byte at least.
    if count.saturating_mul(width + 1) > fields.0.len() {
        return Err(FEWER);
    }
    let mut positions = Vec::with_capacity(count);
    let mut next = 0_u32;
    for _ in 0..count {
        let gap = fields.varint32().ok_or(FEWER)?;
        let position = next.checked_add(gap).filter(|position| *position < parameters);
        let position = position.ok_or(SumError::Damaged("a position lies outside the adapter"))?;
        positions.push(position);
        next = position + 1;
    }
    let sums = read_numbers(count, width, fields)?;
    if sums.contains(&0) {
        return Err(SumError::Damaged("a number that should not be zero is"));
    }
    Ok(Cells::sparse(positions, sums, parameters))
}

fn read_dense(parameters: u32, width: usize, fields: Fields<'_>) -> Result<Cells, SumError> {
    if width == 0 {
        return Err(SumError::Damaged("its form needs numbers"));
    }
    Ok(Cells::Dense(read_numbers(parameters as usize, width, fields)?))
}

/// Exactly these numbers, and nothing behind them.
fn read_numbers(count: usize, width: usize, fields: Fields<'_>) -> Result<Vec<i64>, SumError> {
    if width > 8 || count.checked_mul(width) != Some(fields.0.len()) {
        return Err(SumError::Damaged("its numbers take another number of bytes"));
    }
    Ok(fields.0.chunks_exact(width.max(1)).map(read_number).collect())
}

/// The fewest bytes that hold a number in two's complement; none for zero.
fn bytes_of(value: i64) -> u8 {
    let magnitude = if value < 0 { !value } else { value };
    // At most 64 bits with the sign.
    let bits = 65 - magnitude.leading_zeros();
    if value == 0 { 0 } else { u8::try_from(bits.div_ceil(8)).unwrap_or(8) }
}

fn put_number(out: &mut Vec<u8>, value: i64, width: usize) {
    out.extend(value.to_le_bytes().iter().take(width));
}

fn read_number(bytes: &[u8]) -> i64 {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut all = [if negative { 0xff } else { 0 }; 8];
    for (to, from) in all.iter_mut().zip(bytes) {
        *to = *from;
    }
    i64::from_le_bytes(all)
}
