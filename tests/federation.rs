//! Updates through a whole pipeline: one tier or two, any number of workers, the same adapter to the bit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::{Arc, Mutex};

use arrow::array::{ListArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::buffer::OffsetBuffer;
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
    fn pace(&self) -> Pace {
        Pace::Recorded
    }
    fn open(&self, cx: SourceContext<'_>) -> Result<impl Source> {
        Ok(Giving { first: self.first, id: cx.id.into(), schema: cx.schema })
    }
}

struct Giving {
    first: u64,
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
            for n in 0..DEVICES {
                let device = (n + self.first) % DEVICES;
                let delta: Vec<f32> = (0..parameters).map(|at| parameter(device, round, at)).collect();
                let text = |t: String| -> ArrayRef { Arc::new(StringArray::from(vec![t])) };
                let number = |n: u64| -> ArrayRef { Arc::new(UInt64Array::from(vec![n])) };
                let list = |values: ArrayRef| -> Result<ArrayRef> {
                    let item = Arc::new(Field::new_list_field(values.data_type().clone(), false));
                    let offsets = OffsetBuffer::from_lengths([values.len()]);
                    Ok(Arc::new(ListArray::try_new(item, offsets, values, None)?))
                };
                let columns = vec![
                    text(format!("device-{device}")),
                    text(self.id.clone()),
                    number(round),
                    Arc::new(UInt32Array::from(vec![0])),
                    Arc::new(arrow::array::TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")),
                    text(format!("gateway-{}", device % 3)),
                    number(round),
                    number(device + 1),
                    list(Arc::new(UInt32Array::from(LENGTHS.to_vec())))?,
                    list(Arc::new(arrow::array::Float32Array::from(delta)))?,
                ];
                feed.send(RecordBatch::try_new(self.schema.clone(), columns)?, Position::default())?;
            }
        }
        Ok(())
    }
}

/// The adapters that a pipeline publishes, as the bits of their numbers.
fn adapters(first: u64, tiers: &str, workers: usize) -> Vec<(u64, Vec<u32>)> {
    let text = format!(
        "[pipeline]\nname = 'federation'\nepoch = {{ rows = {DEVICES} }}\nround = {{ epochs = 1 }}\n
        [stage.updates]\ntype = 'updates'\nfirst = {first}\n
        [stage.small]\ntype = 'compress'\nfrom = 'updates'\nratio = 0.05\nwarm_up = 0.25\n{tiers}"
    );
    let kinds: Vec<Kind> =
        headwater_stages::STAGES.iter().copied().chain([Kind::source::<Updates>()]).collect();
    let checked = check("federation.toml", &text, &kinds, &Settings::default());
    let told: Vec<_> =
        checked.diagnostics.iter().filter(|d| d.is_error()).map(|d| d.message.clone()).collect();
    let plan = Arc::new(checked.plan.unwrap_or_else(|| panic!("{told:?}")));
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
    let mut options = RunOptions::new(&plan, Site::default());
    options.workers = workers;
    options.taps = vec![Tap { stage: "root".into(), port: OutPort::Out(1), look }];
    let report = run(plan, options).unwrap();
    assert!(report.counts.stages.iter().all(|stage| stage.rejected == 0), "an update was refused");
    seen.lock().unwrap().clone()
}

const FLAT: &str = "[stage.root]\ntype = 'aggregate'\nfrom = 'small'\nrule = 'momentum'\n";
const TIERS: &str = "[stage.near]\ntype = 'aggregate'\nfrom = 'small'\nby = 'gateway'\n
[stage.root]\ntype = 'aggregate'\nfrom = 'near'\nrule = 'momentum'\n";

#[test]
fn tiers_orders_and_workers_change_no_bit() {
    let expected = adapters(0, FLAT, 1);
    assert_eq!(expected.iter().map(|(round, _)| *round).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(expected[3].1.iter().any(|bits| f32::from_bits(*bits) != 0.0));
    for workers in 1..=3 {
        for first in [0, 5] {
            assert!(adapters(first, FLAT, workers) == expected, "flat, {workers} workers, from {first}");
            assert!(
                adapters(first, TIERS, workers) == expected,
                "two tiers, {workers} workers, from {first}"
            );
        }
    }
}
