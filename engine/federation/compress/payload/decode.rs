//! Reads payloads. In: untrusted bytes. Out: positions and finite values, or what is wrong with the bytes. It allocates no
//! more values than the layout has parameters and the bytes have bits for. It must not know who wrote.

use super::bits::BitReader;
use super::gaps::{self, Mode};
use super::layout::ID_BYTES;
use super::levels::Scale;
use super::wire::{Fields, checked};
use super::{Layout, MAGIC, PayloadError, Split, VERSION, Values};

/// The values of an update that are not zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// Where they stand in the flat vector, ascending.
    pub positions: Vec<u32>,
    /// The values, all finite.
    pub values: Vec<f32>,
}

/// Reads a payload for an adapter of this layout.
///
/// # Errors
/// When the bytes are no whole payload of this version for this layout.
pub fn decode(layout: &Layout, bytes: &[u8]) -> Result<Update, PayloadError> {
    if bytes.first_chunk() != Some(&MAGIC) {
        return Err(PayloadError::Foreign);
    }
    if let Some(version) = bytes.get(MAGIC.len()).filter(|v| **v != VERSION) {
        return Err(PayloadError::Version(*version));
    }
    let body = checked(bytes).ok_or(PayloadError::Damaged("its checksum does not fit"))?;
    let (how, cut, heads, mut bits) = read_head(layout, body)?;
    let count = heads.iter().map(|head| head.count as usize).sum();
    let mut update = Update { positions: Vec::with_capacity(count), values: Vec::with_capacity(count) };
    for (head, (start, length)) in heads.iter().zip(cut.parts(layout)) {
        match head.mode {
            Some(mode) => {
                gaps::read(&mut bits, mode, head.count, (start, length), &mut update.positions)
                    .map_err(PayloadError::Damaged)?;
            }
            None => update.positions.extend((start..).take(head.count as usize)),
        }
        read_values(how, head, &mut bits, &mut update)?;
    }
    bits.end().map_err(PayloadError::Damaged)?;
    Ok(update)
}

/// The header before the bits of a tensor.
struct Head {
    count: u32,
    mode: Option<Mode>,
    scale: Option<Scale>,
}

const TRUNCATED: PayloadError = PayloadError::Damaged("its head is truncated");

fn read_head<'a>(
    layout: &Layout,
    body: &'a [u8],
) -> Result<(Values, Split, Vec<Head>, BitReader<'a>), PayloadError> {
    let mut fields = Fields(body);
    fields.array::<{ MAGIC.len() + 1 }>().ok_or(TRUNCATED)?;
    let how = Values::of_code(fields.u8().ok_or(TRUNCATED)?)
        .ok_or(PayloadError::Damaged("its values are written in an unknown way"))?;
    let id = fields.array::<ID_BYTES>().ok_or(TRUNCATED)?;
    let tensors = fields.varint().ok_or(TRUNCATED)?;
    let parameters = fields.varint().ok_or(TRUNCATED)?;
    let (known_tensors, known_parameters) = (layout.lengths().len(), layout.parameters());
    if id != layout.id() || tensors != known_tensors as u64 || parameters != u64::from(known_parameters) {
        return Err(PayloadError::Layout { tensors, parameters, known_tensors, known_parameters });
    }
    let cut =
        Split::of_code(fields.u8().ok_or(TRUNCATED)?).ok_or(PayloadError::Damaged("its split is unknown"))?;
    let mut heads = Vec::with_capacity(known_tensors);
    // A value takes its own bits, and at least one for its position unless its tensor is full.
    let mut least_bits = 0_u64;
    for (_, length) in cut.parts(layout) {
        let head = read_tensor_head(how, length, &mut fields)?;
        let each = how.bits() + u32::from(head.mode.is_some());
        least_bits += u64::from(head.count) * u64::from(each);
        heads.push(head);
    }
    let bits = BitReader::new(fields.0);
    if least_bits > bits.left() {
        return Err(PayloadError::Damaged("it holds fewer values than it names"));
    }
    Ok((how, cut, heads, bits))
}

fn read_tensor_head(how: Values, length: u32, fields: &mut Fields<'_>) -> Result<Head, PayloadError> {
    let count = fields.varint().ok_or(TRUNCATED)?;
    let count = u32::try_from(count)
        .ok()
        .filter(|count| *count <= length)
        .ok_or(PayloadError::Damaged("a tensor has more values than parameters"))?;
    let mut head = Head { count, mode: None, scale: None };
    if 0 < count && count < length {
        let mode = Mode::of_code(fields.u8().ok_or(TRUNCATED)?);
        head.mode = Some(mode.ok_or(PayloadError::Damaged("the mode of a tensor's gaps is unknown"))?);
    }
    if let Some(levels) = how.levels().filter(|_| count > 0) {
        let (scale, spread) = (fields.u16().ok_or(TRUNCATED)?, fields.u8().ok_or(TRUNCATED)?);
        let scale = Scale::of_parts(levels, scale, spread);
        head.scale = Some(scale.ok_or(PayloadError::Damaged("a scale is not a positive number"))?);
    }
    Ok(head)
}

fn read_values(
    how: Values,
    head: &Head,
    bits: &mut BitReader<'_>,
    update: &mut Update,
) -> Result<(), PayloadError> {
    const SHORT: PayloadError = PayloadError::Damaged("it holds fewer values than it names");
    let Some(scale) = head.scale else {
        for _ in 0..head.count {
            let value = f32::from_bits(bits.get(how.bits()).ok_or(SHORT)?);
            if !value.is_finite() {
                let position = update.positions.get(update.values.len()).copied().unwrap_or(0);
                return Err(PayloadError::NotFinite { position });
            }
            update.values.push(value);
        }
        return Ok(());
    };
    // What a value's bits stand for: the levels, then the same below zero.
    let mut table = scale.magnitudes();
    table.extend_from_within(..);
    let half = table.len() / 2;
    table.iter_mut().skip(half).for_each(|value| *value = -*value);
    for _ in 0..head.count {
        let code = bits.get(how.bits()).ok_or(SHORT)?;
        update.values.push(table.get(code as usize).copied().ok_or(SHORT)?);
    }
    Ok(())
}
