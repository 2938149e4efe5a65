//! The entry point of a fuzzer: any bytes in, a panic out if reading a payload breaks a promise.
//!
//! In: bytes, of which the first says how they are used. Out: nothing. It checks that what was read is in order, finite and within
//! the layout, and comes back when written again.

use super::wire::checksum;
use super::{Layout, MAGIC, Update, VERSION, Values, decode, encode};

/// Reads bytes as a payload, half of the time with a head and a checksum that let the reader get further.
///
/// # Panics
/// If a promise is broken.
#[expect(clippy::panic, reason = "this is how a fuzz target reports")]
pub fn fuzz(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let lengths: &[u32] = match choice >> 1 & 3 {
        0 => &[],
        1 => &[1, 0, 7, 100],
        2 => &[1_000_000],
        _ => &[u32::MAX],
    };
    let Some(layout) = Layout::new(lengths) else { return };
    let read = if choice & 1 == 0 { decode(&layout, rest) } else { decode(&layout, &dressed(&layout, rest)) };
    if let Ok(update) = read
        && let Err(broken) = check(&layout, &update)
    {
        panic!("{broken}");
    }
}

/// The bytes behind a right head and before a right checksum.
pub(super) fn dressed(layout: &Layout, rest: &[u8]) -> Vec<u8> {
    let how = rest.first().map_or(0, |byte| byte & 3);
    let mut bytes = MAGIC.to_vec();
    bytes.extend([VERSION, how]);
    bytes.extend(layout.id());
    super::wire::put_varint(&mut bytes, layout.lengths().len() as u64);
    super::wire::put_varint(&mut bytes, u64::from(layout.parameters()));
    // The split stands in the second bit, so that few bytes get far.
    bytes.push(rest.first().map_or(0, |byte| byte >> 2 & 1));
    bytes.extend(rest.iter().skip(1));
    bytes.extend(checksum(&bytes));
    bytes
}

/// Checks what holds for everything that was read.
///
/// # Errors
/// The promise that is broken.
pub fn check(layout: &Layout, update: &Update) -> Result<(), &'static str> {
    if update.positions.len() != update.values.len() {
        return Err("positions and values differ in number");
    }
    let written = encode(layout, &update.positions, &update.values, Values::Float32);
    let written = written.map_err(|_| "what was read cannot be written")?;
    if decode(layout, &written.bytes).as_ref() != Ok(update) {
        return Err("what was read and written does not come back");
    }
    Ok(())
}
