//! The entry point of a fuzzer that reads sums. In: bytes, of which the first says how they are used. Out: nothing, or a panic if a promise is
//! broken. It must not know how sums come about.

use super::super::sum::Shape;
use super::super::wire::{checksum, put_varint};
use super::{MAGIC, VERSION, decode, encode};

/// The entry point of a fuzzer: any bytes in, a panic out if reading a sum breaks a promise. Half of the time the bytes get a right head and
/// a right checksum.
///
/// # Panics
/// If a sum that was read does not come back when written again.
#[expect(clippy::panic, reason = "this is how a fuzz target reports")]
pub fn fuzz(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let shape = Shape { parameters: if choice & 2 == 0 { 5 } else { 1_000_000 }, layout: [7; 8] };
    let read = if choice & 1 == 0 { decode(shape, rest) } else { decode(shape, &dressed(shape, rest)) };
    if let Ok((kind, sum)) = read
        && decode(shape, &encode(kind, &sum)).as_ref() != Ok(&(kind, sum))
    {
        panic!("what was read and written does not come back");
    }
}

/// The bytes behind a right head and before a right checksum.
pub(super) fn dressed(shape: Shape, rest: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend([VERSION, rest.first().map_or(0, |byte| byte & 1)]);
    out.extend(shape.layout);
    out.extend([1; 8]);
    put_varint(&mut out, shape.parameters.into());
    out.extend(rest.iter().skip(1));
    out.extend(checksum(&out));
    out
}
