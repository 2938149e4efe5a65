//! What the engine costs: five stages of x * 2 + 1 over Arrow batches, against the same five operators written by hand on
//! timely. Prints a table; bars: 0.85 of the throughput by hand at 64 rows a batch, 0.95 at 1,024.
//!
//! Both read their batches from a thread through a channel of 64 batches, one worker, epochs of 16 batches, the same kernel and
//! the same columns. What is measured is the CPU time of the worker's thread, so that a busy machine disturbs little; runs
//! alternate, and medians are printed. `cargo test --workspace --bench engine` runs it with the profile of the tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

use std::sync::mpsc::sync_channel;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use arrow::array::{Int64Array, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use headwater_contract::prelude::*;
use headwater_contract::units::Bytes;
use headwater_contract::{HostEnv as ContractSite, Role};
use headwater_runtime::commit::CommitRule;
use headwater_runtime::metrics::thread_cpu;
use headwater_runtime::plan::{
    EpochRule, OutPort, Plan, PlanInput, PlanOutput, PlanStage, PortRef, RejectedTo, Tier,
};
use headwater_runtime::run::{RunOptions, run};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::{Input as _, Probe};

/// Batches of one epoch.
const EPOCH: u64 = 16;
/// Batches that the reading thread may be ahead.
const AHEAD: usize = 64;
/// Stages of the pipeline that the bars are set for.
const STAGES: usize = 5;
/// Stages of a longer one: what one more costs, without the intake.
const MORE: usize = 25;
/// Each measurement is taken so often.
const TIMES: usize = 5;

/// The kernel of both.
fn double(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    let values = batch.column(5).as_primitive::<Int64Type>();
    let doubled: Int64Array = values.unary(|x| x.wrapping_mul(2).wrapping_add(1));
    with_columns(batch, schema, [("value", Arc::new(doubled) as ArrayRef)])
}

fn sample(schema: &SchemaRef, rows: u64) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values((0..rows).map(|n| format!("device-{}", n % 7)))),
        Arc::new(StringArray::from_iter_values((0..rows).map(|_| "mic"))),
        Arc::new(UInt64Array::from_iter_values(0..rows)),
        Arc::new(UInt32Array::from_iter_values((0..rows).map(|_| 0))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(0..rows as i64).with_timezone("UTC")),
        Arc::new(Int64Array::from_iter_values(0..rows as i64)),
    ];
    RecordBatch::try_new(schema.clone(), columns).unwrap()
}

options! {
    /// Sends one batch again and again.
    pub struct Same {
        /// Rows of the batch.
        rows: u64;
        /// How often.
        batches: u64;
    }
}

fn columns() -> Signature {
    Signature::source([Field::new("value", DataType::Int64, false)])
}

impl SourceConfig for Same {
    const KIND: &'static str = "same";
    fn signature(&self) -> Signature {
        columns()
    }
    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }
    fn open(&self, cx: SourceContext<'_>) -> Result<impl Source> {
        Ok(Sending { batch: sample(&cx.schema, self.rows), batches: self.batches })
    }
}

struct Sending {
    batch: RecordBatch,
    batches: u64,
}

impl Source for Sending {
    fn run(self: Box<Self>, mut feed: Feed<'_>) -> Result {
        (0..self.batches).try_for_each(|_| feed.send(self.batch.clone(), Position::default()))
    }
}

options! {
    /// x * 2 + 1.
    pub struct Double {}
}

impl StageConfig for Double {
    const KIND: &'static str = "double";
    fn signature(&self) -> Signature {
        let same = Rows::Input { minus: vec![], plus: vec![] };
        Signature::sink([Field::new("value", DataType::Int64, false)])
            .output(Output::new("out", same).optional())
    }
    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        note_cpu();
        Ok(Doubling { schema: cx.output(0)? })
    }
}

struct Doubling {
    schema: SchemaRef,
}

impl Stage for Doubling {
    fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        out.send(double(batch, &self.schema)?);
        Ok(())
    }
}

impl Drop for Doubling {
    fn drop(&mut self) {
        note_cpu();
    }
}

/// The worker's CPU clock, whenever a stage was built or dropped on it: from the first to the last is the run.
static CLOCK: LazyLock<Mutex<Vec<Duration>>> = LazyLock::new(Mutex::default);

fn note_cpu() {
    CLOCK.lock().unwrap().push(thread_cpu());
}

fn plan(stages: usize, rows: u64, batches: u64) -> Plan {
    let mut planned: Vec<PlanStage> = Vec::new();
    for index in 0..=stages {
        let (kind, options) = match index {
            0 => (StageFactory::source::<Same>(), format!("rows = {rows}\nbatches = {batches}")),
            _ => (StageFactory::stage::<Double>(), String::new()),
        };
        let options: toml::Table = options.parse().unwrap();
        let role: Role = kind.plan(&options).unwrap();
        let signature = role.signature();
        let inputs: Vec<PlanInput> = signature
            .inputs
            .iter()
            .map(|input| {
                let before = &planned[index - 1].outputs[0];
                let from = vec![PortRef { stage: index - 1, port: OutPort::Out(0) }];
                PlanInput {
                    name: input.name.to_string(),
                    from,
                    schema: before.schema.clone(),
                    label: before.label,
                    asks: None,
                }
            })
            .collect();
        let schemas: Vec<SchemaRef> = inputs.iter().map(|i| i.schema.clone()).collect();
        let schema = signature.apply(&schemas).unwrap().remove(0);
        planned.push(PlanStage {
            id: format!("s{index}"),
            kind,
            role,
            tier: Tier::Gateway,
            outputs: vec![PlanOutput { name: "out".into(), schema, label: Label::Raw, read: index < stages }],
            rejected: Signature::rejected(&schemas),
            rejected_to: RejectedTo::Quarantine,
            signature,
            inputs,
            options,
        });
    }
    let epoch = EpochRule::Rows(EPOCH * rows);
    Plan {
        name: "bench".into(),
        epoch,
        round: None,
        flush: 0,
        epoch_bytes: Bytes(1 << 30),
        window: 4,
        commit: CommitRule::default(),
        members: None,
        record: Vec::new(),
        stages: planned,
    }
}

/// CPU seconds of the engine's worker.
fn engine(stages: usize, rows: u64, batches: u64) -> f64 {
    let plan = Arc::new(plan(stages, rows, batches));
    CLOCK.lock().unwrap().clear();
    let options = RunOptions { digests: false, ..RunOptions::new(&plan, ContractSite::default()) };
    let report = run(plan, options).unwrap();
    assert_eq!(report.counts.stages[stages].rows_out, rows * batches, "every row went all the way");
    let clock = CLOCK.lock().unwrap();
    (*clock.iter().max().unwrap() - *clock.iter().min().unwrap()).as_secs_f64()
}

type Batches = Vec<RecordBatch>;
type Builder = CapacityContainerBuilder<Batches>;

/// CPU seconds of a worker whose pipeline is written by hand.
fn by_hand(stages: usize, rows: u64, batches: u64) -> f64 {
    timely::execute(timely::Config::thread(), move |worker| {
        let schema = columns().apply(&[]).unwrap().remove(0);
        let batch = sample(&schema, rows);
        let (sender, receiver) = sync_channel(AHEAD);
        let reading =
            std::thread::spawn(move || (0..batches).for_each(|_| sender.send(batch.clone()).unwrap()));

        let begun = thread_cpu();
        let mut input = InputHandle::<u64, Builder>::new();
        let probe = worker.dataflow::<u64, _, _>(|scope| {
            let mut stream = scope.input_from(&mut input);
            for _ in 0..stages {
                let schema = schema.clone();
                stream = stream.unary::<Builder, _, _, _>(Pipeline, "double", |_, _| {
                    move |input, output| {
                        input.for_each(|time, batches| {
                            for batch in batches.iter_mut() {
                                *batch = double(batch, &schema).unwrap();
                            }
                            output.session(&time).give_container(batches);
                        });
                    }
                });
            }
            stream.probe().0
        });
        for (n, batch) in (1u64..).zip(receiver) {
            input.send_batch(&mut vec![batch]);
            if n % EPOCH == 0 {
                input.advance_to(n / EPOCH);
                worker.step();
            }
        }
        input.close();
        while !probe.done() {
            worker.step();
        }
        let cpu = thread_cpu() - begun;
        reading.join().unwrap();
        cpu.as_secs_f64()
    })
    .unwrap()
    .join()
    .remove(0)
    .unwrap()
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// Medians of alternating runs: by hand, the engine.
fn compare(stages: usize, rows: u64, batches: u64) -> (f64, f64) {
    let (mut hand, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        hand.push(by_hand(stages, rows, batches));
        ours.push(engine(stages, rows, batches));
    }
    (median(hand), median(ours))
}

fn main() {
    println!(
        "One worker, epochs of {EPOCH} batches, medians of {TIMES} alternating runs, CPU time of the worker."
    );
    println!("ratio: throughput of the engine over throughput by hand.\n");
    println!(
        "{:>10} {:>7} {:>20} {:>20} {:>9} {:>6}",
        "rows/batch", "stages", "by hand ns/batch/st", "engine ns/batch/st", "ratio", "bar"
    );
    for (rows, batches, bar) in [(64, 4_000, 0.85), (1024, 2_000, 0.95)] {
        let mut of_stages = Vec::new();
        for stages in [STAGES, MORE] {
            let (hand, ours) = compare(stages, rows, batches);
            let per = |seconds: f64| seconds * 1e9 / batches as f64 / stages as f64;
            let bar = if stages == STAGES {
                format!("{bar}{}", if hand / ours < bar { " !" } else { "" })
            } else {
                String::new()
            };
            println!(
                "{rows:>10} {stages:>7} {:>20.0} {:>20.0} {:>9.2} {bar:>6}",
                per(hand),
                per(ours),
                hand / ours
            );
            of_stages.push((hand, ours));
        }
        let per = |more: f64, few: f64| (more - few) * 1e9 / batches as f64 / (MORE - STAGES) as f64;
        let (few, more) = (of_stages[0], of_stages[1]);
        let (hand, ours) = (per(more.0, few.0), per(more.1, few.1));
        println!("{rows:>10} {:>7} {hand:>20.0} {ours:>20.0} {:>9.2}", "one more", hand / ours);
    }
}
