//! Writes payloads. In: positions and values of an update. Out: bytes, and the values as a reader of these bytes sees them. It must
//! not know who reads.

use super::bits::BitWriter;
use super::gaps::{self, Mode};
use super::layout::ID_BYTES;
use super::levels::Scale;
use super::wire::{CHECK_BYTES, checksum, put_varint, varint_bytes};
use super::{Layout, MAGIC, PayloadError, Split, VERSION, Values};

/// A payload, and what its reader gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// For each position the value that [`super::decode()`] gives.
    pub values: Vec<f32>,
}

/// Writes the values that stand at ascending `positions` of the flat vector; all others are zero.
///
/// # Errors
/// When positions do not ascend or lie outside the layout, or a value is NaN or infinite.
pub fn encode(
    layout: &Layout,
    positions: &[u32],
    values: &[f32],
    how: Values,
) -> Result<Payload, PayloadError> {
    check(layout, positions, values)?;
    let (cut, _) = cheapest_split(layout, positions, how);
    let tensors = pieces(cut, layout, positions, values);
    let mut bytes = Vec::with_capacity(positions.len() * 6 + 64);
    bytes.extend(MAGIC);
    bytes.extend([VERSION, how.code()]);
    bytes.extend(layout.id());
    put_varint(&mut bytes, layout.lengths().len() as u64);
    put_varint(&mut bytes, u64::from(layout.parameters()));
    bytes.push(cut.code());
    let plans: Vec<Plan> = tensors.iter().map(|tensor| tensor.plan(how)).collect();
    for (tensor, plan) in tensors.iter().zip(&plans) {
        put_varint(&mut bytes, tensor.positions.len() as u64);
        bytes.extend(plan.mode.map(Mode::code));
        if let Some(scale) = plan.scale {
            let (scale, spread) = scale.parts();
            bytes.extend(scale.to_le_bytes());
            bytes.push(spread);
        }
    }
    let mut bits = BitWriter::behind(bytes);
    let mut seen = Vec::with_capacity(values.len());
    for (tensor, plan) in tensors.iter().zip(&plans) {
        if let Some(mode) = plan.mode {
            gaps::write(&mut bits, mode, tensor.positions, tensor.start, tensor.length);
        }
        tensor.write_values(plan.scale, &mut bits, &mut seen);
    }
    let mut bytes = bits.finish();
    bytes.extend(checksum(&bytes));
    Ok(Payload { bytes, values: seen })
}

/// The number of bytes that [`encode`] returns for values at these positions, whatever the values.
///
/// # Errors
/// When positions do not ascend or lie outside the layout.
pub fn payload_bytes(layout: &Layout, positions: &[u32], how: Values) -> Result<u64, PayloadError> {
    check_positions(layout, positions)?;
    Ok(cheapest_split(layout, positions, how).1)
}

/// By tensor, unless a joint split saves more than 3 %; and the bytes that it takes.
fn cheapest_split(layout: &Layout, positions: &[u32], how: Values) -> (Split, u64) {
    let tensors = split_bytes(Split::Tensors, layout, positions, how);
    if layout.lengths().len() < 2 {
        return (Split::Tensors, tensors);
    }
    let joint = split_bytes(Split::Joint, layout, positions, how);
    if joint.saturating_mul(100) < tensors.saturating_mul(97) {
        (Split::Joint, joint)
    } else {
        (Split::Tensors, tensors)
    }
}

fn split_bytes(cut: Split, layout: &Layout, positions: &[u32], how: Values) -> u64 {
    let head = MAGIC.len() + 2 + ID_BYTES + 1 + CHECK_BYTES;
    let mut bytes = head as u64
        + varint_bytes(layout.lengths().len() as u64)
        + varint_bytes(u64::from(layout.parameters()));
    let mut bits = positions.len() as u64 * u64::from(how.bits());
    for tensor in pieces(cut, layout, positions, &[]) {
        bytes += varint_bytes(tensor.positions.len() as u64);
        if tensor.is_sparse() {
            bytes += 1;
            bits += gaps::cheapest(tensor.positions, tensor.start, tensor.length).1;
        }
        if !tensor.positions.is_empty() && how.levels().is_some() {
            bytes += 3;
        }
    }
    bytes + bits.div_ceil(8)
}

/// The part of an update that lies in one tensor.
struct Tensor<'a> {
    start: u32,
    length: u32,
    positions: &'a [u32],
    values: &'a [f32],
}

/// The coding of a tensor.
struct Plan {
    /// `None` when positions need no bits.
    mode: Option<Mode>,
    /// `None` for f32, and for no values.
    scale: Option<Scale>,
}

impl Tensor<'_> {
    /// Neither empty nor full.
    fn is_sparse(&self) -> bool {
        !self.positions.is_empty() && self.positions.len() < self.length as usize
    }

    fn plan(&self, how: Values) -> Plan {
        let mode = self.is_sparse().then(|| gaps::cheapest(self.positions, self.start, self.length).0);
        let scale = how.levels().filter(|_| !self.values.is_empty()).map(|levels| {
            let magnitudes: Vec<f32> = self.values.iter().map(|v| v.abs()).collect();
            Scale::fit(levels, &magnitudes)
        });
        Plan { mode, scale }
    }

    fn write_values(&self, scale: Option<Scale>, bits: &mut BitWriter, seen: &mut Vec<f32>) {
        let Some(scale) = scale else {
            for value in self.values {
                bits.put(value.to_bits(), 32);
                seen.push(*value);
            }
            return;
        };
        let (magnitudes, nearest) = (scale.magnitudes(), scale.nearest());
        let width = magnitudes.len().trailing_zeros();
        for value in self.values {
            let level = nearest(value.abs());
            let magnitude = magnitudes.get(usize::from(level)).copied().unwrap_or(0.0);
            let negative = value.is_sign_negative();
            bits.put(u32::from(level) | u32::from(negative) << width, width + 1);
            seen.push(if negative { -magnitude } else { magnitude });
        }
    }
}

/// Cuts an update into its tensors, or takes it as one. Without values, tensors have none.
fn pieces<'a>(
    cut: Split,
    layout: &Layout,
    mut positions: &'a [u32],
    mut values: &'a [f32],
) -> Vec<Tensor<'a>> {
    let part = |(start, length): (u32, u32)| {
        // Both sums are at most the layout's, which fits.
        let count = positions.partition_point(|p| *p < start.saturating_add(length));
        let (here, behind) = positions.split_at(count);
        let (here_values, behind_values) = values.split_at(count.min(values.len()));
        (positions, values) = (behind, behind_values);
        Tensor { start, length, positions: here, values: here_values }
    };
    cut.parts(layout).into_iter().map(part).collect()
}

fn check_positions(layout: &Layout, positions: &[u32]) -> Result<(), PayloadError> {
    let parameters = layout.parameters();
    let mut next = 0;
    for (index, position) in positions.iter().enumerate() {
        if *position < next || *position >= parameters {
            return Err(PayloadError::Positions { index, parameters });
        }
        next = position + 1;
    }
    Ok(())
}

fn check(layout: &Layout, positions: &[u32], values: &[f32]) -> Result<(), PayloadError> {
    if positions.len() != values.len() {
        return Err(PayloadError::Counts { positions: positions.len(), values: values.len() });
    }
    check_positions(layout, positions)?;
    match positions.iter().zip(values).find(|(_, value)| !value.is_finite()) {
        Some((position, _)) => Err(PayloadError::NotFinite { position: *position }),
        None => Ok(()),
    }
}
