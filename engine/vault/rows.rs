//! Rows as bytes, and the rows of each device. In: record batches. Out: Arrow IPC streams of one batch, and back; the
//! positions of each device's rows. It must not know files.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::ipc::MetadataVersion;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

use crate::identity;
use crate::{Error, Result};

/// Appends a batch as an IPC stream.
pub(crate) fn encode_onto(out: &mut Vec<u8>, path: &Path, batch: &RecordBatch) -> Result {
    let fail = || Error::rows("encode", path);
    let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5).map_err(|e| fail()(e))?;
    let mut writer =
        StreamWriter::try_new_with_options(out, &batch.schema(), options).map_err(|e| fail()(e))?;
    writer.write(batch).and_then(|()| writer.finish()).map_err(|e| fail()(e))
}

/// The batch of an IPC stream.
pub(crate) fn decode(path: &Path, plain: &[u8]) -> Result<RecordBatch> {
    let mut reader = StreamReader::try_new(plain, None).map_err(Error::rows("decode", path))?;
    match reader.next() {
        Some(batch) => batch.map_err(Error::rows("decode", path)),
        None => Err(Error::damaged(path, "a frame holds no batch")),
    }
}

/// The positions of each device's rows, by its name; those of rows that name no device come first.
pub(crate) fn by_device(batch: &RecordBatch) -> BTreeMap<Option<&str>, Vec<u32>> {
    let [device, ..] = identity::COLUMNS;
    let devices = batch.column_by_name(device).and_then(|column| column.as_string_opt::<i32>());
    let mut positions: BTreeMap<Option<&str>, Vec<u32>> = BTreeMap::new();
    let mut last: Option<(Option<&str>, Vec<u32>)> = None;
    for (row, position) in (0..batch.num_rows()).zip(0u32..) {
        let device = devices.filter(|devices| devices.is_valid(row)).map(|devices| devices.value(row));
        match &mut last {
            // Rows of one device are mostly adjacent.
            Some((same, run)) if *same == device => run.push(position),
            _ => {
                if let Some((device, run)) = last.replace((device, vec![position])) {
                    positions.entry(device).or_default().extend(run);
                }
            }
        }
    }
    if let Some((device, run)) = last {
        positions.entry(device).or_default().extend(run);
    }
    positions
}
