//! Forgetting: what is left is, to the bit, what it would be without the device; flat, in two tiers and in three.

use std::collections::BTreeMap;

use headwater_contract::testing::StageOutput;
use headwater_federation::aggregate::format;

use super::attempts::{Adapters, Rows, live};
use super::*;

/// A and B of two maps, as they train in alternate rounds.
const FACTORS: [[u32; 4]; 2] = [[5, 0, 3, 0], [0, 4, 0, 6]];
const DEVICES: [(&str, &str); 5] =
    [("a", "north"), ("b", "north"), ("c", "south"), ("d", "south"), ("e", "east")];

fn value(device: usize, round: u64, at: u32) -> f32 {
    let mut x = (device as u64 + 1) * 7919 + round * 104_729 + u64::from(at) * 1_299_709;
    x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (x >> 40) as f32 / (1 << 24) as f32 - 0.4
}

/// Updates of a round: all devices but `without`; device a takes no part in round 2.
fn round(round: u64, without: &str) -> RecordBatch {
    let lengths = FACTORS[usize::from(round % 2 == 1)];
    let values: Vec<Vec<(u32, f32)>> = (0..DEVICES.len())
        .map(|device| (0..lengths.iter().sum()).map(|at| (at, value(device, round, at))).collect())
        .collect();
    let rows: Vec<Row<'_>> = DEVICES
        .iter()
        .zip(&values)
        .enumerate()
        .filter(|(_, ((device, _), _))| *device != without && !(*device == "a" && round == 2))
        .map(|(n, ((device, gateway), values))| (*device, *gateway, round, n as u64 + 2, values.as_slice()))
        .collect();
    updates_of(&lengths, &rows)
}

fn rounds(count: u64, without: &str) -> Vec<Rows> {
    (0..count).map(|number| vec![(0, round(number, without))]).collect()
}

fn ask(device: &str) -> RecordBatch {
    with_identity(&[device], Vec::new())
}

/// The bits of the last adapter of each factor.
fn factors(output: &StageOutput) -> BTreeMap<usize, Vec<u32>> {
    output.adapters().into_iter().map(|(_, bits)| (bits.len(), bits)).collect()
}

/// Sums by round and layout, as encoded bytes, after all corrections that followed.
fn sums(rows: &[RecordBatch]) -> BTreeMap<(u64, Vec<u32>), Vec<u8>> {
    use headwater_federation::aggregate::{Shape, Sum};
    let mut of = BTreeMap::<(u64, Vec<u32>), Sum>::new();
    for row in rows {
        let tensors: &ListArray = typed_column(row, "tensors").unwrap();
        let tensors = tensors.value(0).as_primitive::<UInt32Type>().values().to_vec();
        let payload: &BinaryArray = typed_column(row, "payload").unwrap();
        let layout = Layout::new(&tensors).unwrap();
        let shape = Shape { parameters: layout.parameters(), layout: layout.id() };
        let (kind, sum) = format::decode(shape, payload.value(0)).unwrap();
        let known = of.entry((sum.round().0, tensors)).or_insert_with(|| Sum::empty(sum.round(), shape));
        let word = text_column(row, "kind").unwrap().value(0).to_owned();
        match kind {
            format::Kind::Sum => known.merge(&sum).unwrap(),
            format::Kind::Correction => known.subtract(&sum).unwrap(),
        }
        assert_eq!(word, if kind == format::Kind::Sum { "sum" } else { "correction" });
    }
    of.into_iter().map(|(at, sum)| (at, format::encode(format::Kind::Sum, &sum))).collect()
}

const RULES: [&str; 4] =
    ["", "rule = 'momentum'", "rule = 'adam'\nlr = 0.5", "max_norm = 0.5\nmin_updates = 5"];

#[test]
fn flat_the_adapter_is_as_if_the_device_had_never_been() {
    for rule in RULES {
        let config = config(&format!("keep_updates = true\n{rule}"));
        let mut epochs = rounds(6, "");
        // Asked for in epoch 4: updates of round 4 are in, and are taken out at once; those of round 5 count again.
        epochs[4].push((1, ask("b")));
        epochs[5] = vec![(0, round(5, "b"))];
        let (output, _) = live(&config, &epochs);
        let (expected, _) = live(&config, &rounds(6, "b"));
        assert_eq!(factors(&output), factors(&expected), "{rule}");
        assert_eq!(sums(output.of_port(0)), sums(expected.of_port(0)), "{rule}");
        assert_eq!(output.metric("forgotten_updates"), 5, "{rule}");
        let (lived, _) = live(&config, &rounds(6, ""));
        assert_ne!(factors(&lived), factors(&expected), "{rule}");
        // Forgetting an unknown device changes nothing, and so does a second request.
        let mut again = epochs.clone();
        again[5].push((1, ask("b")));
        again[5].push((1, ask("stranger")));
        let (again, _) = live(&config, &again);
        assert_eq!(again.adapters(), output.adapters(), "{rule}");
    }
}

/// The same through tiers: what the lowest sends in each epoch goes to the next.
fn climb(
    lowest: &Aggregate,
    upper: &[Aggregate],
    epochs: &[Rows],
    mangle: impl Fn(&mut Vec<Rows>),
) -> StageOutput {
    let (_, mut sent) = live(lowest, epochs);
    let mut output = None;
    for (at, tier) in upper.iter().enumerate() {
        let mut incoming: Vec<Rows> =
            sent.iter().map(|rows| rows.iter().map(|row| (0, with_region(row))).collect()).collect();
        if at + 1 == upper.len() {
            mangle(&mut incoming);
        }
        let (here, next) = live(tier, &incoming);
        (output, sent) = (Some(here), next);
    }
    output.unwrap()
}

/// The row with the region of its gateway.
fn with_region(row: &RecordBatch) -> RecordBatch {
    let device = text_column(row, "device").unwrap().value(0);
    let region = if device == "east" { "asia" } else { "europe" };
    let mut fields: Vec<Field> = row.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    let mut columns = row.columns().to_vec();
    fields.push(utf8("region"));
    columns.push(Arc::new(StringArray::from(vec![region])));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

#[test]
fn corrections_climb_two_and_three_tiers_and_count_once() {
    for rule in RULES {
        let near = config(&format!(
            "by = 'gateway'\nkeep_updates = true\n{}",
            if rule.contains("max_norm") { "max_norm = 0.5" } else { "" }
        ));
        let region = config("by = 'region'");
        let root = config(rule);
        let mut epochs = rounds(6, "");
        epochs[4].push((1, ask("c")));
        epochs[5] = vec![(0, round(5, "c"))];
        let flat = config(&format!("keep_updates = true\n{rule}"));
        let (expected, _) = live(&flat, &rounds(6, "c"));
        let two = climb(&near, std::slice::from_ref(&root), &epochs, |_| {});
        assert_eq!(factors(&two), factors(&expected), "{rule}");
        assert_eq!(two.metric("corrections"), 4, "{rule}");
        assert_eq!(sums(two.of_port(0)), sums(expected.of_port(0)), "{rule}");
        let three = climb(&near, &[region, root.clone()], &epochs, |_| {});
        assert_eq!(factors(&three), factors(&expected), "{rule}");
        // Every row of epoch 4 comes once more in epoch 5.
        let twice = climb(&near, &[root], &epochs, |incoming| {
            let again = incoming[4].clone();
            incoming[5].extend(again);
        });
        assert_eq!(factors(&twice), factors(&expected), "{rule}");
        assert_eq!(twice.codes().iter().filter(|code| **code == "duplicate").count(), 4, "{rule}");
    }
}

#[test]
fn a_median_without_a_device_is_made_again() {
    for rule in
        ["rule = 'median'", "rule = 'trimmed_mean'\ntrim = 0.3\nlr = 0.7", "rule = 'median'\nmin_devices = 5"]
    {
        let config = config(&format!("keep_updates = true\n{rule}"));
        let mut epochs = rounds(6, "");
        epochs[4].push((1, ask("d")));
        epochs[5] = vec![(0, round(5, "d"))];
        let (output, _) = live(&config, &epochs);
        let (expected, _) = live(&config, &rounds(6, "d"));
        let mut bits = factors(&expected);
        if bits.is_empty() {
            bits = BTreeMap::from([(8, vec![0; 8]), (10, vec![0; 10])]);
        }
        assert_eq!(factors(&output), bits, "{rule}");
        assert_ne!(factors(&live(&config, &rounds(6, "")).0), bits, "{rule}");
    }
}

#[test]
fn a_correction_that_cannot_be_is_rejected() {
    let near = config("by = 'gateway'\nkeep_updates = true");
    let mut epochs = rounds(4, "");
    epochs[2].push((1, ask("a")));
    let (_, sent) = live(&near, &epochs);
    let correction = sent[2].iter().find(|row| text_column(row, "kind").unwrap().value(0) == "correction");
    let correction = correction.unwrap().clone();
    let [other, sum] = [0, 1].map(|at: usize| sent[0][at].clone());
    let check = |options: &str, rows: Vec<Rows>, expected: &[&str]| {
        let (output, _) = live(&config(options), &rows);
        assert_eq!(output.codes(), expected, "{options}");
    };
    // Of a round that was never closed; of a sum that does not hold it.
    check("", vec![vec![(0, correction.clone())]], &["not_contained"]);
    check("", vec![vec![(0, other)], vec![(0, correction.clone())]], &["not_contained"]);
    check("", vec![vec![(0, sum.clone())], vec![(0, correction.clone())]], &[]);
    check("rule = 'median'", vec![vec![(0, sum)], vec![(0, correction.clone())]], &["needs_updates"; 2]);
    let up = vec![vec![(0, with_region(&correction))]];
    check("by = 'region'\nup_ratio = 0.5", up, &["recompressed"]);
}
