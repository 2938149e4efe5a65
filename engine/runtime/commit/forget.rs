//! Rows that ask stages to forget a device.
//!
//! In: a plan, what its last attempt left, a device's name. Out: the same, with a row under way to every input that takes names of
//! devices to forget; and the row itself, for members whose consent is withdrawn. It must not know what a stage does with it.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use headwater_contract::{Erasure, Owner, Result, StageError, identity};

use super::record::Record;
use super::restore::Restored;
use super::{EXCLUDED, KeptChange, StateFolder};
use crate::plan::Plan;

/// The name that stands for the source in rows that ask to forget.
pub(crate) const FORGET: &str = "[forget]";

/// Puts a row of the device on the way to each such input; gives the stages that take out its share of what is mixed.
pub(super) fn ask(plan: &Plan, restored: &mut Restored, device: &str) -> Result<Vec<String>> {
    let epoch = restored.first_epoch().0;
    let mut asked = Vec::new();
    for stage in &plan.stages {
        for input in stage.signature.inputs.iter().filter(|input| input.forgets()) {
            restored.put_back(format!("{}.{}", stage.id, input.name), named(device, epoch)?);
        }
        asked.extend((stage.signature.erasure == Erasure::TakenOut).then(|| stage.id.clone()));
    }
    Ok(asked)
}

/// The row that names a device which is to be forgotten, numbered by the epoch it is sent in.
pub(crate) fn named(device: &str, epoch: u64) -> Result<RecordBatch> {
    let columns = identity::fields().into_iter().map(|field| {
        let column: ArrayRef = match field.name().as_str() {
            identity::DEVICE => Arc::new(StringArray::from(vec![device])),
            identity::SOURCE => Arc::new(StringArray::from(vec![FORGET])),
            identity::SEQ => Arc::new(UInt64Array::from(vec![epoch])),
            identity::PART => Arc::new(UInt32Array::from(vec![0])),
            identity::CAPTURED_AT => Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")),
            other => return Err(StageError::new(format!("the identity has an unknown column `{other}`"))),
        };
        Ok((field, column))
    });
    let (fields, columns): (Vec<_>, Vec<_>) = columns.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    Ok(RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns)?)
}

/// Writes down, as the first thing that is kept, that a device's rows are excluded.
pub(super) fn exclude(plan: &Plan, folder: &mut dyn StateFolder, device: &str) -> Result<()> {
    if folder.record()?.is_some() {
        return Err(StageError::new("the state folder is not empty").expected("an empty state folder"));
    }
    // The owner is everyone: an exclusion stays readable when all rows about the device have become unreadable.
    let row = Some((Owner::everyone(), named(device, 0)?));
    let change = KeptChange { table: EXCLUDED.into(), key: device.as_bytes().to_vec(), row };
    folder.commit(&Record::at_the_beginning(plan).encode()?, vec![change])
}

/// The device's rows are taken in again.
pub(super) fn end_exclusion(folder: &mut dyn StateFolder, device: &str) -> Result<()> {
    let Some(record) = folder.record()? else { return Ok(()) };
    let change = KeptChange { table: EXCLUDED.into(), key: device.as_bytes().to_vec(), row: None };
    folder.commit(&record, vec![change])
}
