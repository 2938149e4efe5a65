//! The rows that the stage sends. In: sums, corrections, adapters, reports. Out: batches of one row. It must not know how they came
//! about.

use arrow::array::{
    BinaryArray, Float32Array, Float64Array, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use headwater_contract::columns::{binary, list_row, u32_list};
use headwater_contract::prelude::*;
use headwater_federation::aggregate::judge::Report;
use headwater_federation::aggregate::{Round, Sum};

use super::ALL;
use super::evaluate::Verdict;
use super::root::PublishedAdapter;

/// The columns of `out`, beside the identity.
pub(super) fn sum_columns() -> Vec<Field> {
    vec![
        uint64("round"),
        utf8("kind"),
        uint64("devices"),
        uint64("examples"),
        u32_list("tensors"),
        binary("payload"),
    ]
}

/// The columns of `adapter`, beside the identity.
pub(super) fn adapter_columns() -> Vec<Field> {
    vec![uint64("round"), uint64("devices"), uint64("examples"), u32_list("tensors"), f32_list("adapter")]
}

/// The columns of `evaluated`, beside the identity.
pub(super) fn report_columns() -> Vec<Field> {
    let number = |name| Field::new(name, DataType::Float64, false);
    vec![
        uint64("round"),
        uint64("devices"),
        uint64("tokens"),
        number("base_ppl"),
        number("ppl"),
        number("own_ppl"),
        utf8("verdict"),
    ]
}

/// The sender of a row, and its time.
pub(super) struct Sender<'a> {
    pub(super) id: &'a str,
    pub(super) watermark: i64,
}

fn whole(number: u64) -> ArrayRef {
    Arc::new(UInt64Array::from(vec![number]))
}

fn number(number: f64) -> ArrayRef {
    Arc::new(Float64Array::from(vec![number]))
}

fn word(word: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![word]))
}

impl Sender<'_> {
    /// device = the group, seq = the round; a round of several shapes has a part for each.
    fn identity(&self, group: &str, round: Round, part: u32) -> Vec<ArrayRef> {
        vec![
            word(group),
            word(self.id),
            whole(round.0),
            Arc::new(UInt32Array::from(vec![part])),
            Arc::new(TimestampMicrosecondArray::from(vec![self.watermark]).with_timezone("UTC")),
        ]
    }

    /// A row of a group for a round: its sum, its mean, or a correction. `payload` with its examples.
    pub(super) fn sum(
        &self,
        schema: &SchemaRef,
        (group, part, kind): (&str, u32, &str),
        tensors: &[u32],
        sum: &Sum,
        (payload, examples): (&[u8], u64),
    ) -> Result<RecordBatch> {
        let mut columns = self.identity(group, sum.round(), part);
        columns.extend([
            whole(sum.round().0),
            word(kind),
            whole(sum.devices()),
            whole(examples),
            list_row(UInt32Array::from(tensors.to_vec()))?,
            Arc::new(BinaryArray::from_iter_values([payload])),
        ]);
        Ok(RecordBatch::try_new(schema.clone(), columns)?)
    }

    /// An adapter.
    pub(super) fn adapter(&self, schema: &SchemaRef, published: PublishedAdapter) -> Result<RecordBatch> {
        let PublishedAdapter { round, part, devices, examples, tensors, adapter } = published;
        let mut columns = self.identity(ALL, round, part);
        columns.extend([
            whole(round.0),
            whole(devices),
            whole(examples),
            list_row(UInt32Array::from(tensors))?,
            list_row(Float32Array::from(adapter))?,
        ]);
        Ok(RecordBatch::try_new(schema.clone(), columns)?)
    }

    /// The evaluation of devices in a round.
    pub(super) fn report(
        &self,
        schema: &SchemaRef,
        round: Round,
        report: &Report,
        verdict: Verdict,
    ) -> Result<RecordBatch> {
        let mut columns = self.identity(ALL, round, 0);
        columns.extend([
            whole(round.0),
            whole(report.devices),
            whole(report.tokens),
            number(report.base),
            number(report.start),
            number(report.own),
            word(verdict.word()),
        ]);
        Ok(RecordBatch::try_new(schema.clone(), columns)?)
    }
}
