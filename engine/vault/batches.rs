//! Batches as parts of frames, and back. In: batches of rows of any devices. Out: parts of which each holds the rows of
//! one device, under its key; and the batches again, in the order of their rows, without those of forgotten devices.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use zeroize::Zeroizing;

use crate::frames::{Frame, Owner, Part};
use crate::keystore::Keystore;
use crate::rows;
use crate::wire::Fields;
use crate::{Error, Result};

/// Kinds of parts below this one are free for other uses.
pub(crate) const ROWS: u8 = 16;

/// Adds a batch to the parts of a frame. `number` is its own in that frame.
pub(crate) fn put(
    parts: &mut Vec<Part>,
    number: u32,
    batch: &RecordBatch,
    (keystore, folder): (&mut Keystore, &Path),
) -> Result {
    let by_device = rows::by_device(batch);
    if by_device.len() < 2 {
        let device = by_device.into_keys().next().flatten();
        parts.push(part(number, &[], batch, device, keystore, folder)?);
        return Ok(());
    }
    for (device, positions) in by_device {
        let taken = take_record_batch(batch, &UInt32Array::from(positions.clone()));
        let taken = taken.map_err(Error::rows("encode", folder))?;
        parts.push(part(number, &positions, &taken, device, keystore, folder)?);
    }
    Ok(())
}

fn part(
    number: u32,
    positions: &[u32],
    rows: &RecordBatch,
    device: Option<&str>,
    keystore: &mut Keystore,
    folder: &Path,
) -> Result<Part> {
    let owner = device.map_or(Ok(Owner::Log), |device| keystore.device(device).map(Owner::Device))?;
    let mut plain = Zeroizing::new(Vec::with_capacity(2048));
    plain.push(ROWS);
    plain.extend(number.to_le_bytes());
    let count = u32::try_from(positions.len()).map_err(|_| Error::BadRows("too many rows at once".into()))?;
    plain.extend(count.to_le_bytes());
    positions.iter().for_each(|position| plain.extend(position.to_le_bytes()));
    rows::encode_onto(&mut plain, folder, rows)?;
    Ok(Part { owner, plain })
}

/// The batches of a frame, by their numbers. A batch whose rows are all of forgotten devices is missing.
pub(crate) fn take(frame: &Frame, path: &Path) -> Result<BTreeMap<u32, RecordBatch>> {
    let strange = || Error::damaged(path, format!("frame {}: it opens, but holds no rows", frame.sequence));
    let mut pieces: BTreeMap<u32, Vec<(Vec<u32>, RecordBatch)>> = BTreeMap::new();
    let contents = frame.parts.iter().filter_map(|part| part.content.as_ref());
    for part in contents.filter(|part| part.plain.first() == Some(&ROWS)) {
        let (number, positions, stream) = fields_of(&part.plain).ok_or_else(strange)?;
        pieces.entry(number).or_default().push((positions, rows::decode(path, stream)?));
    }
    pieces.into_iter().map(|(number, pieces)| Ok((number, join(pieces, path)?))).collect()
}

fn fields_of(plain: &[u8]) -> Option<(u32, Vec<u32>, &[u8])> {
    let mut fields = Fields(plain);
    fields.u8()?;
    let (number, count) = (fields.u32()?, fields.u32()?);
    let positions = (0..count).map(|_| fields.u32()).collect::<Option<_>>()?;
    Some((number, positions, fields.0))
}

/// Rows of several devices in the order that they had.
fn join(mut pieces: Vec<(Vec<u32>, RecordBatch)>, path: &Path) -> Result<RecordBatch> {
    if pieces.len() == 1
        && let Some((_, batch)) = pieces.pop()
    {
        return Ok(batch);
    }
    let strange = || Error::damaged(path, "rows of one batch do not fit each other");
    let schema = pieces.first().ok_or_else(strange)?.1.schema();
    let all = concat_batches(&schema, pieces.iter().map(|(_, batch)| batch)).map_err(|_| strange())?;
    let positions = pieces.iter().flat_map(|(positions, _)| positions);
    let mut order: Vec<(u32, u32)> = positions.copied().zip(0..).collect();
    if order.len() != all.num_rows() {
        return Err(strange());
    }
    order.sort_unstable();
    let order: UInt32Array = order.into_iter().map(|(_, row)| row).collect();
    take_record_batch(&all, &order).map_err(|_| strange())
}
