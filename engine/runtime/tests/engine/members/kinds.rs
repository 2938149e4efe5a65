//! Kinds that ask for columns of members, that learn from members, and that change them.

use std::collections::BTreeMap;

use arrow::array::{AsArray, Int64Array, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use arrow::datatypes::Int64Type;
use headwater_contract::prelude::*;
use headwater_contract::{Erasure, Input};

use crate::kinds::{NUMBERS, WATCH};

pub const KINDS: &[StageFactory] = &[
    NUMBERS,
    WATCH,
    StageFactory::stage::<Tag>(),
    StageFactory::stage::<Sum>(),
    StageFactory::stage::<Study>(),
    StageFactory::stage::<Moves>(),
    StageFactory::stage::<Diary>(),
];

fn value() -> Field {
    Field::new("value", DataType::Int64, false)
}

options! {
    /// Asks for a text column and lets rows pass with it.
    pub struct Tag {
        /// The column.
        column: String = "gateway".into();
        /// True if rows come to where the column's value says.
        keyed: bool = false;
    }
}

impl StageConfig for Tag {
    const KIND: &'static str = "tag";
    fn signature(&self) -> Signature {
        let tag = Signature::map([utf8(&self.column), value()], []);
        if self.keyed { tag.routing(Routing::ByKey(self.column.clone().into())) } else { tag }
    }
    fn build(&self, _: BuildContext<'_>) -> Result<impl Stage> {
        Ok(Passing)
    }
}

struct Passing;

impl Stage for Passing {
    fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        out.send(batch.clone());
        Ok(())
    }
}

options! {
    /// At the end of every epoch, the sum of each group: the group is the device of what leaves.
    pub struct Sum {
        /// The column that names the groups.
        by: String = "gateway".into();
    }
}

impl StageConfig for Sum {
    const KIND: &'static str = "sum";
    fn signature(&self) -> Signature {
        let needs = vec![value(), utf8(&self.by)];
        let sum = Signature::sink(needs).routing(Routing::ByKey(self.by.clone().into())).order(Order::Sorted);
        sum.output(Output::new("out", headwater_contract::Rows::Exactly(vec![value()]))).state(1, &[])
    }
    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        Ok(Summing { by: self.by.clone(), id: cx.id.into(), schema: cx.output(0)?, sums: BTreeMap::new() })
    }
}

struct Summing {
    by: String,
    id: String,
    schema: SchemaRef,
    sums: BTreeMap<String, i64>,
}

impl Stage for Summing {
    fn batch(&mut self, _: Port, batch: &RecordBatch, _: &mut Outbox<'_>) -> Result {
        let (groups, values) = (text_column(batch, &self.by)?, values(batch));
        for row in 0..batch.num_rows() {
            *self.sums.entry(groups.value(row).into()).or_default() += values.value(row);
        }
        Ok(())
    }
    fn epoch_end(&mut self, barrier: &Barrier, out: &mut Outbox<'_>) -> Result {
        for (group, sum) in std::mem::take(&mut self.sums) {
            let columns: Vec<ArrayRef> = vec![
                Arc::new(StringArray::from(vec![group])),
                Arc::new(StringArray::from(vec![self.id.as_str()])),
                Arc::new(UInt64Array::from(vec![barrier.epoch.0])),
                Arc::new(UInt32Array::from(vec![0])),
                Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")),
                Arc::new(Int64Array::from(vec![sum])),
            ];
            out.send(RecordBatch::try_new(self.schema.clone(), columns)?);
        }
        Ok(())
    }
}

pub fn values(batch: &RecordBatch) -> &Int64Array {
    batch.column_by_name("value").unwrap().as_primitive::<Int64Type>()
}

options! {
    /// Learns from rows: it lets members pass. Rows may come back to it.
    pub struct Study {}
}

impl StageConfig for Study {
    const KIND: &'static str = "study";
    fn signature(&self) -> Signature {
        let mut study = Signature::map([value()], []);
        study.inputs = vec![Input::new("in", [value()]).members()];
        study.input(Input::new("back", [value()]).feedback()).state(1, &[])
    }
    fn build(&self, _: BuildContext<'_>) -> Result<impl Stage> {
        Ok(Studying)
    }
}

struct Studying;

impl Stage for Studying {
    fn batch(&mut self, input: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        if input == 0 {
            out.send(batch.clone());
        }
        Ok(())
    }
}

options! {
    /// Makes changes of rows: value n becomes the n-th of `script`, "gateway region consent", where "-" leaves a cell empty.
    pub struct Moves {
        /// The fate of the values.
        script: Vec<String> = Vec::new();
    }
}

impl StageConfig for Moves {
    const KIND: &'static str = "moves";
    fn signature(&self) -> Signature {
        let cell = |name: &str| Field::new(name, DataType::Utf8, true);
        let columns = vec![value(), cell("gateway"), cell("region"), cell("consent")];
        let mut moves = Signature::map([value()], []).routing(Routing::Spread);
        moves.outputs = vec![Output::new("out", headwater_contract::Rows::Exactly(columns)).optional()];
        moves
    }
    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        Ok(Moving { script: self.script.clone(), schema: cx.output(0)? })
    }
}

struct Moving {
    script: Vec<String>,
    schema: SchemaRef,
}

impl Stage for Moving {
    fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let said: Vec<Option<&String>> = values(batch)
            .values()
            .iter()
            .map(|n| self.script.get(*n as usize).filter(|s| !s.is_empty()))
            .collect();
        let kept =
            arrow::compute::filter_record_batch(batch, &said.iter().map(|s| Some(s.is_some())).collect())?;
        let cell = |at: usize| -> ArrayRef {
            let word = |said: &&String| said.split(' ').nth(at).filter(|w| *w != "-").map(str::to_owned);
            Arc::new(said.iter().flatten().map(word).collect::<StringArray>())
        };
        let new = [("gateway", cell(0)), ("region", cell(1)), ("consent", cell(2))];
        out.send(with_columns(&kept, &self.schema, new)?);
        Ok(())
    }
}

options! {
    /// Keeps the rows of members until their device is forgotten: then a row of it leaves, numbered by the epoch, with the sum of what
    /// was kept.
    pub struct Diary {
        /// True if it could take out of a mixture what a device gave.
        mixes: bool = false;
    }
}

impl StageConfig for Diary {
    const KIND: &'static str = "diary";
    fn signature(&self) -> Signature {
        let mut diary = Signature::sink([value()]).order(Order::Sorted);
        let by_device = Routing::ByKey("device".into());
        diary.inputs =
            vec![Input::new("in", [value()]).routing(by_device.clone()).members(), Input::forget(by_device)];
        let way = if self.mixes { Erasure::Mixed("no mixture") } else { Erasure::Apart };
        let left = Output::new("out", headwater_contract::Rows::Exactly(vec![value()])).optional();
        diary.output(left).state(1, &[]).erasure(way)
    }
    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        let kept = cx
            .saved
            .iter()
            .map(|(key, row)| (String::from_utf8_lossy(key).into_owned(), values(row).value(0)));
        Ok(Writing {
            id: cx.id.into(),
            schema: cx.output(0)?,
            kept: kept.collect(),
            changed: Vec::new(),
            gone: Vec::new(),
        })
    }
}

struct Writing {
    id: String,
    schema: SchemaRef,
    kept: BTreeMap<String, i64>,
    changed: Vec<String>,
    gone: Vec<(String, i64)>,
}

impl Stage for Writing {
    fn batch(&mut self, input: Port, batch: &RecordBatch, _: &mut Outbox<'_>) -> Result {
        let ids = headwater_contract::identity::IdentityColumns::of(batch)?;
        for row in 0..ids.len() {
            let device = ids.device(row).to_owned();
            if input == 0 {
                *self.kept.entry(device.clone()).or_default() += values(batch).value(row);
            } else {
                assert_eq!(batch.num_columns(), 5, "the identity alone");
                self.gone.extend(self.kept.remove(&device).map(|kept| (device.clone(), kept)));
            }
            self.changed.push(device);
        }
        Ok(())
    }
    fn epoch_end(&mut self, barrier: &Barrier, out: &mut Outbox<'_>) -> Result {
        for (device, kept) in std::mem::take(&mut self.gone) {
            let columns: Vec<ArrayRef> = vec![
                Arc::new(StringArray::from(vec![device])),
                Arc::new(StringArray::from(vec![self.id.as_str()])),
                Arc::new(UInt64Array::from(vec![barrier.epoch.0])),
                Arc::new(UInt32Array::from(vec![0])),
                Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")),
                Arc::new(Int64Array::from(vec![kept])),
            ];
            out.send(RecordBatch::try_new(self.schema.clone(), columns)?);
        }
        Ok(())
    }
    fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        let schema = Arc::new(Schema::new(vec![value()]));
        for device in std::mem::take(&mut self.changed) {
            let key = device.as_bytes().to_vec();
            match self.kept.get(&device) {
                Some(kept) => {
                    let row =
                        RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from(vec![*kept]))])?;
                    state.put(Owner::device(&device), key, row)?;
                }
                None => state.delete(key),
            }
        }
        Ok(())
    }
}
