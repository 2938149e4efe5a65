//! Updates and sums through the stage: flat and in tiers to the bit, once each, and what does not count.

mod attempts;
mod forget;
mod judge;
mod rules;

use arrow::array::{
    ArrowPrimitiveType, AsArray, BinaryArray, Float64Array, ListArray, PrimitiveArray, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Float32Type, UInt32Type};
use headwater_contract::Label;
use headwater_contract::columns::typed_column;
use headwater_contract::conformance::{Outcome, assert_stage, text_rows};
use headwater_federation::compress::payload::{Layout, Values as Written, encode};

use super::*;

const LENGTHS: [u32; 2] = [3, 2];

/// device, gateway, round, examples, positions and values.
type Row<'a> = (&'a str, &'a str, u64, u64, &'a [(u32, f32)]);

fn list<T: ArrowPrimitiveType>(rows: &[Vec<T::Native>]) -> ArrayRef
where
    PrimitiveArray<T>: From<Vec<T::Native>>,
{
    let item = Arc::new(Field::new_list_field(T::DATA_TYPE, false));
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(Vec::len));
    Arc::new(
        ListArray::try_new(item, offsets, Arc::new(PrimitiveArray::<T>::from(rows.concat())), None).unwrap(),
    )
}

fn payload(values: &[(u32, f32)]) -> Vec<u8> {
    payload_of(&LENGTHS, values)
}

fn payload_of(lengths: &[u32], values: &[(u32, f32)]) -> Vec<u8> {
    let layout = Layout::new(lengths).unwrap();
    let (positions, values): (Vec<u32>, Vec<f32>) = values.iter().copied().unzip();
    encode(&layout, &positions, &values, Written::Float32).unwrap().bytes
}

fn updates(rows: &[Row<'_>]) -> RecordBatch {
    updates_of(&LENGTHS, rows)
}

/// The identity of rows of these devices, and then these columns.
fn with_identity(devices: &[&str], columns: Vec<(Field, ArrayRef)>) -> RecordBatch {
    let base = text_rows(&devices.iter().map(|device| (*device, "")).collect::<Vec<_>>()).unwrap();
    let mut fields: Vec<Field> = base.schema().fields().iter().take(5).map(|f| f.as_ref().clone()).collect();
    let mut all: Vec<ArrayRef> = base.columns().iter().take(5).cloned().collect();
    for (field, column) in columns {
        fields.push(field);
        all.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), all).unwrap()
}

fn updates_of(lengths: &[u32], rows: &[Row<'_>]) -> RecordBatch {
    let whole = |of: fn(&Row<'_>) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(of)))
    };
    let gateways: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1)));
    let payloads = BinaryArray::from_iter_values(rows.iter().map(|r| payload_of(lengths, r.4)));
    with_identity(
        &rows.iter().map(|row| row.0).collect::<Vec<_>>(),
        vec![
            (utf8("gateway"), gateways),
            (uint64("round"), whole(|r| r.2)),
            (uint64("examples"), whole(|r| r.3)),
            (u32_list("tensors"), list::<UInt32Type>(&vec![lengths.to_vec(); rows.len()])),
            (binary("payload"), Arc::new(payloads)),
        ],
    )
}

fn config(options: &str) -> Aggregate {
    headwater_contract::Options::from_table(&options.parse().unwrap()).unwrap()
}

fn adapters(outcome: &Outcome) -> Vec<(u64, Vec<f32>)> {
    adapters_of(&outcome.outputs[1])
}

fn adapters_of(rows: &RecordBatch) -> Vec<(u64, Vec<f32>)> {
    let rounds: &UInt64Array = typed_column(rows, "round").unwrap();
    let lists: &ListArray = typed_column(rows, "adapter").unwrap();
    let values = |row| lists.value(row).as_primitive::<Float32Type>().values().to_vec();
    (0..rows.num_rows()).map(|row| (rounds.value(row), values(row))).collect()
}

const ROWS: &[Row<'_>] = &[
    ("a", "north", 0, 3, &[(0, 0.1), (4, -0.7)]),
    ("b", "north", 0, 1, &[(0, 0.3)]),
    ("c", "south", 0, 7, &[(1, 0.2), (4, 0.9)]),
    ("d", "south", 0, 2, &[(2, 1e-3)]),
];

#[test]
fn the_mean_is_weighted_by_examples() {
    let outcome = assert_stage(&config(""), &[updates(ROWS)]);
    let adapters = adapters(&outcome);
    let expected = [0.6 / 13.0, 1.4 / 13.0, 0.002 / 13.0, 0.0, 4.2 / 13.0];
    assert_eq!(adapters.len(), 1);
    for (found, expected) in adapters[0].1.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-7, "{found} {expected}");
    }
    assert_eq!(outcome.labels, [Label::Raw, Label::Raw]);
    assert_eq!(LabelRule::RootAggregate.apply([Label::Update]), Label::Public);
    assert_eq!(outcome.metrics["updates"], 4);
}

#[test]
fn tiers_give_the_same_bits() {
    let flat = adapters(&assert_stage(&config(""), &[updates(ROWS)]));
    let gateways = assert_stage(&config("by = 'gateway'"), &[updates(ROWS)]);
    let sums = gateways.outputs[0].clone();
    assert_eq!(
        text_column(&sums, "device").unwrap().iter().flatten().collect::<Vec<_>>(),
        ["north", "south"]
    );
    assert_eq!(adapters(&assert_stage(&config(""), &[sums])), flat);
}

#[test]
fn each_device_counts_once_a_round_and_only_when_it_is_open() {
    let rows = updates(&[
        ("a", "north", 0, 1, &[(0, 1.0)]),
        ("a", "north", 0, 1, &[(0, 1.0)]),
        ("b", "north", 9, 1, &[(0, 1.0)]),
        ("c", "north", 0, 0, &[(0, 1.0)]),
        ("d", "north", 0, 100_000, &[(0, 1.0)]),
        ("e", "north", 0, 1, &[(0, 3.0)]),
    ]);
    let outcome = assert_stage(&config(""), &[rows]);
    let mut codes: Vec<_> = outcome.rejected.iter().map(|r| r.code).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["duplicate", "future_round", "no_examples", "too_many_examples"]);
    assert_eq!(adapters(&outcome), [(0, vec![2.0, 0.0, 0.0, 0.0, 0.0])]);
}

#[test]
fn too_few_devices_move_nothing_yet() {
    let outcome = assert_stage(&config("min_devices = 5"), &[updates(ROWS)]);
    assert!(adapters(&outcome).is_empty());
    assert_eq!((outcome.outputs[0].num_rows(), outcome.metrics["rounds_waiting"]), (1, 1));
}

#[test]
fn long_updates_are_shortened_and_heavy_ones_lightened() {
    let check = |options: &str, expected: f32| {
        let rows = updates(&[("a", "x", 0, 30, &[(0, 4.0)]), ("b", "x", 0, 10, &[(0, 0.0), (1, 0.0)])]);
        assert_eq!(adapters(&assert_stage(&config(options), &[rows]))[0].1[0], expected, "{options}");
    };
    check("", 3.0);
    check("max_norm = 2.0", 1.5);
    check("max_weight = 10", 2.0);
    check("lr = 0.5", 1.5);
    check("rule = 'momentum'", 3.0);
}

#[test]
fn what_is_no_payload_is_rejected() {
    let rows = updates(&ROWS[..2]);
    let mut columns = rows.columns().to_vec();
    let at = rows.schema().index_of("payload").unwrap();
    columns[at] = Arc::new(BinaryArray::from_iter_values([b"nonsense".to_vec(), payload(&[(0, 1.0)])]));
    let rows = RecordBatch::try_new(rows.schema(), columns).unwrap();
    let outcome = assert_stage(&config("min_devices = 1"), &[rows]);
    assert_eq!(outcome.rejected.iter().map(|r| r.code).collect::<Vec<_>>(), ["bad_payload"]);
    assert_eq!(adapters(&outcome)[0].1[0], 1.0);
    assert_eq!(config("max_norm = 0.0").validate().len(), 1);
}
