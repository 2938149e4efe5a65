//! Updates through a whole pipeline: one tier, two or three, any number of workers, the same adapter to the bit; also when a device
//! is forgotten on the way, and when an adapter is taken back because devices measured that it is too bad.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::{Arc, Mutex};

use arrow::array::{ListArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::concat_batches;
use headwater::contract::columns::{typed_column, u32_list};
use headwater::contract::prelude::*;
use headwater_runtime::check::{Settings, check};
use headwater_runtime::plan::OutPort;
use headwater_runtime::run::{RunOptions, Tap, run};

const DEVICES: u64 = 12;
const ROUNDS: u64 = 4;
const LENGTHS: [u32; 3] = [300, 40, 160];

options! {
    /// Updates of some devices for some rounds, made of a counter: a stand-in for training.
    pub struct Updates {
        /// The device from which the rows of a round begin.
        first: u64 = 0;
        /// A device that is not there.
        without: Option<u64>;
    }
}

options! {
    /// Asks in the third epoch for a device to be forgotten, in the others for one that is not there.
    pub struct Asks {
        /// Which one.
        device: u64 = 0;
    }
}

options! {
    /// What devices measured: in one round that the adapter is bad.
    pub struct Measures {
        /// The round whose start was bad.
        bad: u64 = 99;
    }
}

/// A column of one number.
fn number(n: u64) -> ArrayRef {
    Arc::new(UInt64Array::from(vec![n]))
}

/// The identity of a row.
fn identity(device: u64, source: &str, seq: u64) -> Vec<ArrayRef> {
    vec![
        Arc::new(StringArray::from(vec![format!("device-{device}")])),
        Arc::new(StringArray::from(vec![source])),
        number(seq),
        Arc::new(UInt32Array::from(vec![0])),
        Arc::new(
            arrow::array::TimestampMicrosecondArray::from(vec![seq as i64 * 1_000_000]).with_timezone("UTC"),
        ),
    ]
}

impl SourceConfig for Asks {
    const KIND: &'static str = "asks";
    fn signature(&self) -> Signature {
        Signature::source([])
    }
    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }
    fn open(&self, cx: SourceContext<'_>) -> Result<impl Source> {
        let device = |round| if round == 2 { self.device } else { 99 };
        let row = |round| RecordBatch::try_new(cx.schema.clone(), identity(device(round), cx.id, round));
        Ok(Rows((0..ROUNDS).map(row).collect::<std::result::Result<_, _>>()?))
    }
}

impl SourceConfig for Measures {
    const KIND: &'static str = "measures";
    fn signature(&self) -> Signature {
        let nats = |name| Field::new(name, DataType::Float64, false);
        Signature::source([uint64("round"), uint64("tokens"), nats("base"), nats("start"), nats("own")])
    }
    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }
    fn open(&self, cx: SourceContext<'_>) -> Result<impl Source> {
        let mut rows = Vec::new();
        for round in 0..ROUNDS {
            let mut here = Vec::new();
            for device in 0..DEVICES {
                let nats = |nats: f64| -> ArrayRef { Arc::new(arrow::array::Float64Array::from(vec![nats])) };
                let mut columns = identity(device, cx.id, round);
                let start = if round == self.bad { 900.0 } else { 300.0 };
                columns.extend([number(round), number(100), nats(460.0), nats(start), nats(250.0)]);
                here.push(RecordBatch::try_new(cx.schema.clone(), columns)?);
            }
            rows.push(concat_batches(&cx.schema, &here)?);
        }
        Ok(Rows(rows))
    }
}

struct Rows(Vec<RecordBatch>);

impl Source for Rows {
    fn run(self: Box<Self>, mut feed: Feed<'_>) -> Result {
        self.0.into_iter().try_for_each(|row| feed.send(row, Position::default()))
    }
}

impl SourceConfig for Updates {
    const KIND: &'static str = "updates";
    fn signature(&self) -> Signature {
        Signature::source([
            utf8("gateway"),
            uint64("round"),
            uint64("examples"),
            u32_list("tensors"),
            f32_list("delta"),
        ])
    }
    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }
    fn open(&self, cx: SourceContext<'_>) -> Result<impl Source> {
        Ok(Giving { first: self.first, without: self.without, id: cx.id.into(), schema: cx.schema })
    }
}

struct Giving {
    first: u64,
    without: Option<u64>,
    id: String,
    schema: SchemaRef,
}

/// A parameter of an update: any number, the same for the same place.
fn parameter(device: u64, round: u64, at: u64) -> f32 {
    let mut x = (device << 40 | round << 24 | at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 29;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let even = (x >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
    even * even * even
}

impl Source for Giving {
    fn run(self: Box<Self>, mut feed: Feed<'_>) -> Result {
        let parameters = u64::from(LENGTHS.iter().sum::<u32>());
        for round in 0..ROUNDS {
            let mut rows = Vec::new();
            for n in 0..DEVICES {
                let device = (n + self.first) % DEVICES;
                if self.without == Some(device) {
                    continue;
                }
                let delta: Vec<f32> = (0..parameters).map(|at| parameter(device, round, at)).collect();
                let list = |values: ArrayRef| -> Result<ArrayRef> {
                    let item = Arc::new(Field::new_list_field(values.data_type().clone(), false));
                    let offsets = OffsetBuffer::from_lengths([values.len()]);
                    Ok(Arc::new(ListArray::try_new(item, offsets, values, None)?))
                };
                let mut columns = identity(device, &self.id, round);
                columns.extend([
                    Arc::new(StringArray::from(vec![format!("gateway-{}", device % 3)])),
                    number(round),
                    number(device + 1),
                    list(Arc::new(UInt32Array::from(LENGTHS.to_vec())))?,
                    list(Arc::new(arrow::array::Float32Array::from(delta)))?,
                ]);
                rows.push(RecordBatch::try_new(self.schema.clone(), columns)?);
            }
            // One batch a round: sources take turns by batches.
            feed.send(concat_batches(&self.schema, &rows)?, Position::default())?;
        }
        Ok(())
    }
}

/// Where epochs are cut: all rows have the captured time of their round, in seconds.
const HEAD: &str = "[pipeline]\nname = 'federation'\nepoch = { every = '1s' }\nround = { epochs = 1 }\n";

/// The adapters that a pipeline publishes, as the bits of their numbers.
fn adapters(updates: &str, tiers: &str, workers: usize) -> Vec<(u64, Vec<u32>)> {
    let text = format!(
        "{HEAD}\n[stage.updates]\ntype = 'updates'\n{updates}\n
        [stage.small]\ntype = 'compress'\nfrom = 'updates'\nratio = 0.05\nwarm_up = 0.25\n{tiers}"
    );
    let kinds: Vec<StageFactory> = headwater_stages::STAGES
        .iter()
        .copied()
        .chain([
            StageFactory::source::<Updates>(),
            StageFactory::source::<Asks>(),
            StageFactory::source::<Measures>(),
        ])
        .collect();
    let checked = check("federation.toml", &text, &kinds, &Settings::default());
    let printed: Vec<_> =
        checked.diagnostics.iter().filter(|d| d.is_error()).map(|d| d.message.clone()).collect();
    let plan = Arc::new(checked.plan.unwrap_or_else(|| panic!("{printed:?}")));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let look = Arc::new(move |rows: &RecordBatch| {
        let rounds: &UInt64Array = typed_column(rows, "round").unwrap();
        let lists: &ListArray = typed_column(rows, "adapter").unwrap();
        for row in 0..rows.num_rows() {
            let values = lists.value(row);
            let values: &arrow::array::Float32Array = values.as_any().downcast_ref().unwrap();
            noted
                .lock()
                .unwrap()
                .push((rounds.value(row), values.values().iter().map(|v| v.to_bits()).collect()));
        }
    });
    let mut options = RunOptions::new(&plan, HostEnv::default());
    options.workers = workers;
    options.taps = vec![Tap { stage: "root".into(), port: OutPort::Out(1), inspect: look }];
    let report = run(plan, options).unwrap();
    assert!(report.counts.stages.iter().all(|stage| stage.rejected == 0), "an update was refused");
    seen.lock().unwrap().clone()
}

const FLAT: &str = "[stage.root]\ntype = 'aggregate'\nfrom = 'small'\nrule = 'momentum'\n";
const TIERS: &str = "[stage.near]\ntype = 'aggregate'\nfrom = 'small'\nby = 'gateway'\n
[stage.root]\ntype = 'aggregate'\nfrom = 'near'\nrule = 'momentum'\n";
/// The middle tier's groups are those of the lowest: what matters is that sums are summed up once more.
const THREE: &str = "[stage.near]\ntype = 'aggregate'\nfrom = 'small'\nby = 'gateway'\n
[stage.region]\ntype = 'aggregate'\nfrom = 'near'\nby = 'device'\n
[stage.root]\ntype = 'aggregate'\nfrom = 'region'\nrule = 'momentum'\n";

#[test]
fn tiers_orders_and_workers_change_no_bit() {
    let expected = adapters("", FLAT, 1);
    assert_eq!(expected.iter().map(|(round, _)| *round).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(expected[3].1.iter().any(|bits| f32::from_bits(*bits) != 0.0));
    for workers in 1..=3 {
        for first in ["", "first = 5"] {
            for tiers in [FLAT, TIERS, THREE] {
                assert!(adapters(first, tiers, workers) == expected, "{tiers} {workers} workers, {first}");
            }
        }
    }
}

/// The stage that reads single updates keeps them, and hears whom to forget.
fn forgetting(tiers: &str) -> String {
    let keeping = "from = { in = 'small', forget = 'asks' }\nkeep_updates = true";
    format!("{}\n[stage.asks]\ntype = 'asks'\ndevice = 4\n", tiers.replacen("from = 'small'", keeping, 1))
}

#[test]
fn a_device_forgotten_on_the_way_was_never_there() {
    let expected = adapters("without = 4", FLAT, 1);
    let lived = adapters("", FLAT, 1);
    for workers in 1..=3 {
        for tiers in [FLAT, TIERS, THREE] {
            let found = adapters("", &forgetting(tiers), workers);
            assert!(
                found[..3] == lived[..3],
                "{tiers} {workers} workers: it was there until the third round"
            );
            assert!(found.last() == expected.last(), "{tiers} {workers} workers");
        }
    }
    assert!(lived.last() != expected.last());
}

#[test]
fn a_bad_adapter_is_taken_back() {
    let judged = |bad: u64, workers: usize| {
        let root = FLAT.replace("from = 'small'", "from = { in = 'small', evaluation = 'measures' }");
        let tiers = format!(
            "{root}accept_if = 'heldout_ppl <= 1.02 * previous'\n[stage.measures]\ntype = 'measures'\nbad = {bad}\n"
        );
        adapters("", &tiers, workers)
    };
    assert!(
        judged(99, 1) == adapters("", FLAT, 1),
        "adapters that are good enough are those without a judge"
    );
    let expected = judged(2, 1);
    assert_eq!(expected.iter().map(|(round, _)| *round).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(expected[1].1 != expected[0].1);
    assert!(expected[2].1 == expected[0].1, "the adapter of round 1 is refused when round 2 is over");
    assert!(expected[3].1 != expected[0].1);
    for workers in 2..=3 {
        assert!(judged(2, workers) == expected, "{workers} workers");
    }
}
