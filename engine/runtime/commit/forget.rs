//! Asking a pipeline at rest to forget a device.
//!
//! In: a plan, what its last life left, a device's name. Out: the same, with a row under way to every input that takes names of
//! devices to forget. It must not know what a stage does with it.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use arrow::datatypes::SchemaRef;
use headwater_contract::{Result, StageError, identity};

use super::restore::Restored;
use crate::plan::Plan;

/// The name of an input that takes devices to forget.
const FORGET: &str = "forget";

/// Who names the device, where a source would stand.
const ASKED: &str = "[forget]";

/// Puts a row of the device on the way to each such input; gives the stages that have one.
pub(super) fn ask(plan: &Plan, restored: &mut Restored, device: &str) -> Result<Vec<String>> {
    let epoch = restored.first_epoch().0;
    let mut asked = Vec::new();
    for stage in &plan.stages {
        let inputs = stage.inputs.iter().zip(&stage.signature.inputs);
        for (input, _) in inputs.filter(|(input, signed)| input.name == FORGET && signed.feedback) {
            restored.put_back(format!("{}.{FORGET}", stage.id), row(&input.schema, device, epoch)?);
            asked.push(stage.id.clone());
        }
    }
    Ok(asked)
}

fn row(schema: &SchemaRef, device: &str, epoch: u64) -> Result<RecordBatch> {
    let column = |name: &str| -> Option<ArrayRef> {
        Some(match name {
            identity::DEVICE => Arc::new(StringArray::from(vec![device])),
            identity::SOURCE => Arc::new(StringArray::from(vec![ASKED])),
            identity::SEQ => Arc::new(UInt64Array::from(vec![epoch])),
            identity::PART => Arc::new(UInt32Array::from(vec![0])),
            identity::CAPTURED_AT => Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")),
            _ => return None,
        })
    };
    let columns = schema.fields().iter().map(|field| {
        let unknown = || StageError::new(format!("an input `{FORGET}` asks for a column `{}`", field.name()));
        column(field.name()).ok_or_else(unknown)
    });
    Ok(RecordBatch::try_new(schema.clone(), columns.collect::<Result<_>>()?)?)
}
