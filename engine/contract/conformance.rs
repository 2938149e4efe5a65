//! Holds a stage to the contract: what every stage's tests, built-in or a user's own, call.
//!
//! In: a stage's options and sample rows. Out: what the stage made of them, or everything it broke: outputs that do not
//! match the signature, identities that are not unique, results that depend on how rows were batched or ordered, state
//! that does not survive a restart, reasons that quote a row. It runs stages without the engine, on one thread.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, SchemaRef};

use crate::identity::{self, IdentityColumns};
use crate::signature::{Input, Label, Order, Signature};
use crate::stage::{Barrier, BuildContext, Emit, HostEnv, Outbox, Port, Rejected};
use crate::state::{StateTable, StateWriter};
use crate::units::{Epoch, Round};
use crate::{PlannedStage, StageConfig, digest};

/// The results of a stage for the sample rows, given as one batch in one epoch.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The rows of each output, in `Sorted` order.
    pub outputs: Vec<RecordBatch>,
    /// The rejected rows.
    pub rejected: Vec<Rejected>,
    /// The metrics that the stage counted.
    pub metrics: std::collections::BTreeMap<&'static str, u64>,
    /// The label of each output when the input is raw.
    pub labels: Vec<Label>,
}

/// Runs a stage in all the ways the contract allows and returns what it made.
///
/// # Panics
/// With everything that the stage broke.
pub fn assert_stage<C: StageConfig>(config: &C, rows: &[RecordBatch]) -> Outcome {
    assert_stage_at(config, rows, &HostEnv::default())
}

/// As [`assert_stage`], for a stage that keeps something on this machine.
///
/// # Panics
/// With everything that the stage broke.
#[expect(clippy::panic, reason = "a test kit reports by panicking")]
pub fn assert_stage_at<C: StageConfig>(config: &C, rows: &[RecordBatch], host: &HostEnv) -> Outcome {
    check_stage_at(config, rows, host)
        .unwrap_or_else(|broken| panic!("`{}` breaks the contract:\n- {}", C::KIND, broken.join("\n- ")))
}

/// As [`assert_stage`], but returns what is broken.
///
/// # Errors
/// Each way in which the stage breaks the contract.
pub fn check_stage(config: &dyn PlannedStage, rows: &[RecordBatch]) -> Result<Outcome, Vec<String>> {
    check_stage_at(config, rows, &HostEnv::default())
}

fn check_stage_at(
    config: &dyn PlannedStage,
    rows: &[RecordBatch],
    host: &HostEnv,
) -> Result<Outcome, Vec<String>> {
    let bench = Bench::new(config, rows, host.clone()).map_err(|e| vec![e])?;
    let mut broken = Vec::new();
    let whole = bench.play(std::slice::from_ref(&bench.whole)).map_err(|e| vec![e])?;
    bench.match_signature(&whole, &mut broken);
    keep_reasons_clean(&whole, &mut broken);
    compare("rows given one by one", &whole, bench.play(&[bench.singles()]), &mut broken);
    if bench.signature.order == Order::Any {
        compare("rows given in reverse order", &whole, bench.play(&[bench.reversed()]), &mut broken);
    }
    let halves = bench.halves();
    if let Ok(through) = bench.play(&halves) {
        compare("a restart between two epochs", &through, bench.play_restarted(&halves), &mut broken);
    }
    if broken.is_empty() { bench.outcome(whole).map_err(|e| vec![e]) } else { Err(broken) }
}

type Rows = Vec<RecordBatch>;

struct Bench<'a> {
    config: &'a dyn PlannedStage,
    signature: Signature,
    inputs: Vec<SchemaRef>,
    outputs: Vec<SchemaRef>,
    whole: Rows,
    host: HostEnv,
}

#[derive(Default)]
struct Recorder {
    outputs: Vec<(Port, RecordBatch)>,
    rejected: Vec<Rejected>,
    metrics: std::collections::BTreeMap<&'static str, u64>,
}

impl Recorder {
    fn is_empty(&self) -> bool {
        self.outputs.is_empty() && self.rejected.is_empty() && self.metrics.is_empty()
    }
}

impl Emit for Recorder {
    fn emit(&mut self, port: Port, batch: RecordBatch) {
        self.outputs.push((port, batch));
    }
    fn reject(&mut self, rejected: Rejected) {
        self.rejected.push(rejected);
    }
    fn count(&mut self, metric: &'static str, n: u64) {
        *self.metrics.entry(metric).or_default() += n;
    }
}

impl<'a> Bench<'a> {
    fn new(config: &'a dyn PlannedStage, rows: &[RecordBatch], host: HostEnv) -> Result<Self, String> {
        let signature = config.signature();
        let schema = rows.first().ok_or("no sample rows were given")?.schema();
        // What comes back over a cycle has columns of its own; nothing comes back here.
        let given = |input: &Input| if input.feedback { input.needed() } else { schema.clone() };
        let inputs: Vec<SchemaRef> = signature.inputs.iter().map(given).collect();
        let outputs =
            signature.apply(&inputs).map_err(|misfits| format!("the sample rows do not fit: {misfits:?}"))?;
        config.ready(&host).map_err(|e| format!("not ready: {e}"))?;
        Ok(Bench { config, signature, inputs, outputs, whole: rows.to_vec(), host })
    }

    fn build(&self, saved: &StateTable) -> Result<Box<dyn crate::Stage>, String> {
        let cx = BuildContext {
            id: "checked",
            inputs: &self.inputs,
            outputs: &self.outputs,
            saved,
            host: &self.host,
            round_delay: 0,
            live: false,
        };
        self.config.build(cx).map_err(|e| format!("it cannot be built: {e}"))
    }

    /// One attempt over all epochs.
    fn play(&self, epochs: &[Rows]) -> Result<Recorder, String> {
        let mut heard = Recorder::default();
        self.live(epochs, 0, epochs.len(), &mut StateTable::default(), &mut heard)?;
        Ok(heard)
    }

    /// One attempt for each epoch, each given the state that the last one saved.
    fn play_restarted(&self, epochs: &[Rows]) -> Result<Recorder, String> {
        let (mut heard, mut saved) = (Recorder::default(), StateTable::default());
        for first in 0..epochs.len() {
            self.live(epochs, first, first + 1, &mut saved, &mut heard)?;
        }
        Ok(heard)
    }

    fn live(
        &self,
        epochs: &[Rows],
        first: usize,
        end: usize,
        saved: &mut StateTable,
        heard: &mut Recorder,
    ) -> Result<(), String> {
        let mut stage = self.build(saved)?;
        for (number, rows) in epochs.iter().enumerate().take(end).skip(first) {
            for batch in self.ordered(rows)? {
                stage.batch(0, &batch, &mut Outbox::new(heard)).map_err(|e| format!("it failed: {e}"))?;
            }
            let last = number + 1 == epochs.len();
            let mark = Barrier {
                epoch: Epoch(number as u64),
                round: Round(0),
                watermark: None,
                checkpoint: true,
                round_end: last,
                end_of_input: last,
            };
            let mut ending = Recorder::default();
            let to = if self.signature.stateful() { &mut *heard } else { &mut ending };
            stage
                .epoch_end(&mark, &mut Outbox::new(to))
                .map_err(|e| format!("it failed at the end of an epoch: {e}"))?;
            if !ending.is_empty() {
                return Err("it acts at the end of an epoch, which only a stage with a state receives".into());
            }
            let mut writer = StateWriter::default();
            stage.save(&mut writer).map_err(|e| format!("it could not save: {e}"))?;
            saved.apply(writer.into_changes());
        }
        Ok(())
    }

    fn ordered(&self, rows: &Rows) -> Result<Rows, String> {
        let Some(first) = rows.first() else { return Ok(Rows::new()) };
        match self.signature.order {
            Order::Any => Ok(rows.clone()),
            Order::Sorted => Ok(vec![identity::sorted(&first.schema(), rows).map_err(|e| e.to_string())?]),
        }
    }

    fn singles(&self) -> Rows {
        self.whole.iter().flat_map(|b| (0..b.num_rows()).map(|row| b.slice(row, 1))).collect()
    }

    fn reversed(&self) -> Rows {
        let turn = |batch: &RecordBatch| {
            let rows = u32::try_from(batch.num_rows()).unwrap_or(0);
            take_record_batch(batch, &UInt32Array::from_iter_values((0..rows).rev()))
                .unwrap_or_else(|_| batch.clone())
        };
        self.whole.iter().rev().map(turn).collect()
    }

    fn halves(&self) -> [Rows; 2] {
        let rows = self.singles();
        let (first, second) = rows.split_at(rows.len() / 2);
        [first.to_vec(), second.to_vec()]
    }

    fn match_signature(&self, heard: &Recorder, broken: &mut Vec<String>) {
        let mut seen = BTreeSet::new();
        for (port, batch) in &heard.outputs {
            let Some(expected) = self.outputs.get(*port) else {
                broken.push(format!("it sends to output {port}, which its signature does not have"));
                continue;
            };
            if batch.schema_ref().fields() != expected.fields() {
                broken.push(format!(
                    "output {port} has the columns {}; its signature says {}",
                    columns(batch.schema_ref()),
                    columns(expected)
                ));
            }
            match IdentityColumns::of(batch) {
                Err(error) => broken.push(format!("output {port}: {error}")),
                Ok(ids) => {
                    for row in 0..ids.len() {
                        if !seen.insert((*port, ids.id(row))) {
                            broken.push(format!("output {port} holds {} twice", ids.id(row)));
                        }
                    }
                }
            }
        }
    }

    fn outcome(&self, heard: Recorder) -> Result<Outcome, String> {
        let sorted = |port: usize, schema: &SchemaRef| {
            let batches: Rows =
                heard.outputs.iter().filter(|(p, _)| *p == port).map(|(_, b)| b.clone()).collect();
            identity::sorted(schema, &batches).map_err(|e| e.to_string())
        };
        let outputs = self
            .outputs
            .iter()
            .enumerate()
            .map(|(port, schema)| sorted(port, schema))
            .collect::<Result<_, _>>()?;
        let raw = self.signature.inputs.iter().map(|_| Label::Raw);
        let labels = self.signature.outputs.iter().map(|o| o.label.apply(raw.clone())).collect();
        Ok(Outcome { outputs, rejected: heard.rejected, metrics: heard.metrics, labels })
    }
}

fn keep_reasons_clean(heard: &Recorder, broken: &mut Vec<String>) {
    for rejected in &heard.rejected {
        for (field, column) in rejected.row.schema_ref().fields().iter().zip(rejected.row.columns()) {
            let content = identity::fields().iter().all(|f| f.name() != field.name());
            if let (true, Some(texts)) = (content, column.as_string_opt::<i32>()) {
                let quoted =
                    texts.iter().flatten().any(|text| text.len() > 3 && rejected.reason.contains(text));
                if quoted {
                    broken.push(format!(
                        "the reason of `{}` quotes column `{}`",
                        rejected.code,
                        field.name()
                    ));
                }
            }
        }
    }
}

fn compare(how: &str, expected: &Recorder, got: Result<Recorder, String>, broken: &mut Vec<String>) {
    match got.and_then(|got| Ok((fingerprint(expected)?, fingerprint(&got)?))) {
        Ok((expected, got)) if expected == got => (),
        Ok((expected, got)) => broken.push(format!(
            "{how}: the results differ ({} rows, {} expected)",
            got.len(),
            expected.len()
        )),
        Err(error) => broken.push(format!("{how}: {error}")),
    }
}

/// All rows in canonical form, whatever batch they came in.
fn fingerprint(heard: &Recorder) -> Result<Vec<Vec<u8>>, String> {
    let rejected = heard.rejected.iter().map(|r| (usize::MAX, &r.row, r.code));
    let sent = heard.outputs.iter().map(|(port, batch)| (*port, batch, ""));
    let mut rows = Vec::new();
    for (port, batch, code) in sent.chain(rejected) {
        for row in 0..batch.num_rows() {
            let mut line = port.to_be_bytes().to_vec();
            line.extend_from_slice(code.as_bytes());
            digest::encode_row(batch, row, &mut line).map_err(|e| e.to_string())?;
            rows.push(line);
        }
    }
    rows.sort_unstable();
    Ok(rows)
}

fn columns(schema: &SchemaRef) -> String {
    let show = |f: &std::sync::Arc<arrow::datatypes::Field>| match f.data_type() {
        DataType::Utf8 => f.name().clone(),
        other => format!("{} {other}", f.name()),
    };
    schema.fields().iter().map(show).collect::<Vec<_>>().join(", ")
}

/// Rows of text for tests: device, text; numbered and one second apart.
///
/// # Errors
/// Never for valid UTF-8; Arrow's types ask for it.
pub fn text_rows(rows: &[(&str, &str)]) -> crate::Result<RecordBatch> {
    use arrow::array::{StringArray, TimestampMicrosecondArray, UInt64Array};
    use std::sync::Arc;
    let mut fields = identity::fields();
    fields.push(crate::columns::utf8("text"));
    let mut next = std::collections::BTreeMap::<&str, u64>::new();
    let seqs: Vec<u64> = rows
        .iter()
        .map(|(device, _)| {
            let seq = next.entry(device).or_default();
            *seq += 1;
            *seq - 1
        })
        .collect();
    let instants = (0i64..).take(rows.len()).map(|n| n * 1_000_000);
    Ok(RecordBatch::try_new(
        Arc::new(arrow::datatypes::Schema::new(fields)),
        vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.0))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|_| "test"))),
            Arc::new(UInt64Array::from(seqs)),
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|_| 0))),
            Arc::new(TimestampMicrosecondArray::from_iter_values(instants).with_timezone("UTC")),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1))),
        ],
    )?)
}

#[cfg(test)]
mod tests;
