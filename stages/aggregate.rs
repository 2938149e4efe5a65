//! Aggregation: the updates of a round become one exact sum, and at the root a step of the global adapter.
//!
//! In: payloads of single updates, or sums of a lower tier, with their round and examples. Out: by group one sum
//! (docs/formats/sums.md); of all together, the adapter after the step. Sums are of whole numbers, so flat and hierarchical
//! aggregation agree to the bit, in any order. What cannot count is rejected with its reason. It must not know how updates were
//! compressed, nor what their parameters mean.

mod group;
mod root;

use std::collections::BTreeMap;

use arrow::array::{
    BinaryArray, Float32Array, ListArray, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::UInt32Type;
use headwater_contract::columns::{binary, list_items, list_row, typed_column, u32_list};
use headwater_contract::identity::IdentityColumns;
use headwater_contract::{choice, prelude::*};
use headwater_federation::aggregate::root::Closed;
use headwater_federation::aggregate::{Examples, Round};

use group::{Group, RoundSum};
use root::{Published, Roots};

choice! {
    /// How the mean of the updates moves the adapter.
    pub enum Rule {
        /// By itself: FedAvg.
        Mean = "mean",
        /// With momentum: FedAvgM.
        Momentum = "momentum",
        /// With Adam's two means: FedAdam.
        Adam = "adam",
    }
}

options! {
    /// Adds up the updates of a round exactly; the one that reads all of them moves the global adapter.
    pub struct Aggregate {
        /// The column that names the groups, such as "gateway": one sum for each. Without it there is one group, the root.
        by: Option<String>;
        /// The root moves the adapter only when so many devices took part; until then their sum waits.
        min_devices: u64 = 2, in 1 ..= 1000000000;
        /// An update counts for at most so many examples.
        max_weight: u32 = 65536, in 1 ..= 65536;
        /// An update of a greater Euclidean norm is shortened to it.
        max_norm: Option<f64>;
        /// How the mean of the updates moves the adapter.
        rule: Rule = Rule::Mean;
        /// What the mean, or what the rule makes of it, is multiplied by.
        lr: f64 = 1.0, in 0.000001 ..= 1000.0;
        /// The momentum of "momentum".
        momentum: f64 = 0.9, in 0.0 ..= 0.999999;
    }
}

/// The kind of this stage.
pub const KIND: Kind = Kind::stage::<Aggregate>();

/// The group of a root, and the device of the rows that it sends.
const ALL: &str = "all";

fn sum_columns() -> Vec<Field> {
    vec![
        uint64("round"),
        utf8("kind"),
        uint64("devices"),
        uint64("examples"),
        u32_list("tensors"),
        binary("payload"),
    ]
}

fn adapter_columns() -> Vec<Field> {
    vec![uint64("round"), uint64("devices"), uint64("examples"), u32_list("tensors"), f32_list("adapter")]
}

impl StageConfig for Aggregate {
    const KIND: &'static str = "aggregate";

    fn signature(&self) -> Signature {
        let mut needs = vec![uint64("round"), uint64("examples"), u32_list("tensors"), binary("payload")];
        let routing = match &self.by {
            Some(column) => Routing::ByKey(column.clone().into()),
            None => Routing::Gather,
        };
        needs.extend(self.by.as_deref().map(utf8));
        let sums = Output::new("out", Rows::Exactly(sum_columns())).optional();
        let signature =
            Signature::sink(needs).routing(routing).order(Order::Sorted).output(sums).state(1, &["by"]);
        if self.by.is_some() {
            return signature;
        }
        let adapter = Output::new("adapter", Rows::Exactly(adapter_columns()));
        signature.output(adapter.optional().label(LabelRule::RootAggregate))
    }

    fn wrongs(&self) -> Vec<Wrong> {
        let norm = self.max_norm.filter(|norm| !(*norm > 0.0 && norm.is_finite()));
        norm.map(|_| Wrong::new("max_norm", "expected a number above 0")).into_iter().collect()
    }

    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        let roots = if self.by.is_none() { Some(Roots::read(self, cx.saved)?) } else { None };
        Ok(Aggregator {
            options: self.clone(),
            id: cx.id.into(),
            sums: cx.output(0)?,
            adapters: if roots.is_some() { Some(cx.output(1)?) } else { None },
            groups: group::read(cx.saved)?,
            roots,
            newest: Round(0),
        })
    }
}

struct Aggregator {
    options: Aggregate,
    id: String,
    sums: SchemaRef,
    adapters: Option<SchemaRef>,
    groups: BTreeMap<String, Group>,
    roots: Option<Roots>,
    /// The newest round that an update can be of: later ones have not begun.
    newest: Round,
}

impl Stage for Aggregator {
    fn batch(&mut self, input: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let ids = IdentityColumns::of(batch)?;
        let rounds: &UInt64Array = typed_column(batch, "round")?;
        let examples: &UInt64Array = typed_column(batch, "examples")?;
        let tensors: &ListArray = typed_column(batch, "tensors")?;
        let payloads: &BinaryArray = typed_column(batch, "payload")?;
        let groups = self.options.by.as_deref().map(|column| text_column(batch, column)).transpose()?;
        let cap =
            Examples::new(self.options.max_weight.into()).map_err(|e| StageError::new(e.to_string()))?;
        for row in 0..ids.len() {
            let name = groups.map_or(ALL, |names| names.value(row));
            let group = self.groups.entry(name.to_owned()).or_default();
            let given = group::Given {
                device: ids.device(row),
                round: Round(rounds.value(row)),
                newest: self.newest,
                examples: examples.value(row),
                cap,
                max_norm: self.options.max_norm,
                tensors: &list_items::<UInt32Type>(tensors, row),
                payload: payloads.value(row),
            };
            match group.add(&given) {
                Ok(clipped) => out.count("clipped", clipped),
                Err((code, reason)) => out.reject(input, batch, row, code, reason),
            }
        }
        Ok(())
    }

    fn epoch_end(&mut self, mark: &Mark, out: &mut Outbox<'_>) -> Result {
        // An update of a round leaves at the end of the next one at the latest.
        self.newest = Round(mark.round.0.saturating_add(u64::from(mark.round_end)));
        let mut closed = Vec::new();
        for (name, group) in &mut self.groups {
            closed.extend(group.close().into_iter().map(|sum| (name.clone(), sum)));
        }
        for (name, sum) in closed {
            out.count("updates", sum.sum.devices());
            self.send_sum(&name, &sum, mark, out)?;
            self.move_adapter(&sum, mark, out)?;
        }
        Ok(())
    }

    fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        for (name, group) in &mut self.groups {
            group.save(name, state)?;
        }
        self.roots.as_mut().map_or(Ok(()), |roots| roots.save(state))
    }
}

impl Aggregator {
    fn send_sum(&self, name: &str, sum: &RoundSum, mark: &Mark, out: &mut Outbox<'_>) -> Result {
        let one = |n: u64| -> ArrayRef { Arc::new(UInt64Array::from(vec![n])) };
        let mut columns = self.identity(name, sum, mark);
        columns.extend([
            one(sum.sum.round().0),
            Arc::new(StringArray::from(vec!["sum"])),
            one(sum.sum.devices()),
            one(sum.sum.examples()),
            list_row(UInt32Array::from(sum.tensors.clone()))?,
            Arc::new(BinaryArray::from_iter_values([sum.encoded()])),
        ]);
        out.send(RecordBatch::try_new(self.sums.clone(), columns)?);
        Ok(())
    }

    fn move_adapter(&mut self, sum: &RoundSum, mark: &Mark, out: &mut Outbox<'_>) -> Result {
        let (Some(roots), Some(schema)) = (&mut self.roots, &self.adapters) else { return Ok(()) };
        let Published { closed, adapter } = roots.close(sum)?;
        let Closed::Moved { devices, examples } = closed else {
            out.count("rounds_waiting", 1);
            return Ok(());
        };
        let one = |n: u64| -> ArrayRef { Arc::new(UInt64Array::from(vec![n])) };
        let (adapter, schema) = (adapter.to_vec(), schema.clone());
        let mut columns = self.identity(ALL, sum, mark);
        columns.extend([
            one(sum.sum.round().0),
            one(devices),
            one(examples),
            list_row(UInt32Array::from(sum.tensors.clone()))?,
            list_row(Float32Array::from(adapter))?,
        ]);
        out.count("rounds", 1);
        out.send_to(1, RecordBatch::try_new(schema, columns)?);
        Ok(())
    }

    /// device = the group, seq = the round; a round of several shapes has a part for each.
    fn identity(&self, name: &str, sum: &RoundSum, mark: &Mark) -> Vec<ArrayRef> {
        let at = mark.watermark.map_or(0, |watermark| watermark.0);
        vec![
            Arc::new(StringArray::from(vec![name])),
            Arc::new(StringArray::from(vec![self.id.as_str()])),
            Arc::new(UInt64Array::from(vec![sum.sum.round().0])),
            Arc::new(UInt32Array::from(vec![sum.part])),
            Arc::new(TimestampMicrosecondArray::from(vec![at]).with_timezone("UTC")),
        ]
    }
}

#[cfg(test)]
mod tests;
