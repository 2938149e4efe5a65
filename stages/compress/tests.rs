//! Updates through the stage: what is sent and what waits add up, rounds and restarts included; what cannot be sent.

use arrow::array::AsArray;
use arrow::buffer::OffsetBuffer;
use headwater_contract::Label;
use headwater_contract::conformance::{Outcome, assert_stage, text_rows};

use super::*;

const LENGTHS: [u32; 2] = [6, 4];

fn lists<T: arrow::datatypes::ArrowPrimitiveType>(name: &str, rows: &[Vec<T::Native>]) -> (Field, ArrayRef)
where
    arrow::array::PrimitiveArray<T>: From<Vec<T::Native>>,
{
    let item = Arc::new(Field::new_list_field(T::DATA_TYPE, false));
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(Vec::len));
    let values = arrow::array::PrimitiveArray::<T>::from(rows.concat());
    let list = ListArray::try_new(item.clone(), offsets, Arc::new(values), None).unwrap();
    (Field::new(name, DataType::List(item), false), Arc::new(list))
}

fn updates(rows: &[(&str, Vec<f32>)]) -> RecordBatch {
    let base = text_rows(&rows.iter().map(|(device, _)| (*device, "")).collect::<Vec<_>>()).unwrap();
    let mut fields: Vec<Field> = base.schema().fields().iter().take(5).map(|f| f.as_ref().clone()).collect();
    let mut columns: Vec<ArrayRef> = base.columns().iter().take(5).cloned().collect();
    let tensors = lists::<arrow::datatypes::UInt32Type>("tensors", &vec![LENGTHS.to_vec(); rows.len()]);
    let deltas =
        lists::<Float32Type>("delta", &rows.iter().map(|(_, delta)| delta.clone()).collect::<Vec<_>>());
    for (field, column) in [tensors, deltas] {
        fields.push(field);
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn config(options: &str) -> Compress {
    headwater_contract::Options::from_table(&options.parse().unwrap()).unwrap()
}

fn delta(scale: f32) -> Vec<f32> {
    (0..10i8).map(|n| f32::from(n - 4) * scale).collect()
}

/// Positions and values that each row sent.
fn sent(outcome: &Outcome) -> Vec<(Vec<u32>, Vec<f32>)> {
    let layout = Layout::new(&LENGTHS).unwrap();
    let payloads = outcome.outputs[0].column_by_name("payload").unwrap().as_binary::<i32>();
    let read = |bytes| decode(&layout, bytes).map(|update| (update.positions, update.values)).unwrap();
    payloads.iter().flatten().map(read).collect()
}

#[test]
fn the_largest_values_go_and_the_rest_follows() {
    let rows = updates(&[("a", delta(1.0)), ("b", delta(0.5)), ("a", vec![0.0; 10])]);
    let outcome = assert_stage(&config("ratio = 0.3\nvalues = 'f32'"), &[rows]);
    assert_eq!(
        sent(&outcome),
        [
            (vec![0, 8, 9], vec![-4.0, 4.0, 5.0]),
            (vec![1, 2, 7], vec![-3.0, -2.0, 3.0]),
            (vec![0, 8, 9], vec![-2.0, 2.0, 2.5]),
        ]
    );
    assert_eq!((outcome.metrics["nonzeros"], &outcome.labels[..]), (9, &[Label::Raw][..]));
    let names: Vec<String> =
        outcome.outputs[0].schema().fields().iter().skip(5).map(|f| f.name().clone()).collect();
    assert_eq!(names, ["tensors", "payload", "nonzeros", "bits"]);
}

#[test]
fn options_say_how_much() {
    let check = |options: &str, expected: &[usize]| {
        let rows = updates(&[("a", delta(1.0)), ("a", delta(1.0)), ("a", delta(1.0))]);
        let outcome = assert_stage(&config(options), &[rows]);
        let counts: Vec<usize> = sent(&outcome).iter().map(|(positions, _)| positions.len()).collect();
        assert_eq!(counts, expected, "{options}");
    };
    check("ratio = 0.1", &[1, 1, 1]);
    check("ratio = 0.1\nwarm_up = 0.8", &[8, 2, 1]);
    check("ratio = 0.5\nvalues = '8 bits'", &[5, 5, 5]);
    check("budget = '1KiB'\nvalues = 'f32'", &[9, 9, 9]);
}

#[test]
fn what_cannot_be_sent_is_rejected_and_its_neighbours_are_not() {
    let mut broken = delta(1.0);
    broken[3] = f32::NAN;
    let rows = updates(&[("a", delta(1.0)), ("a", broken), ("b", vec![1.0; 3]), ("b", delta(1.0))]);
    let outcome = assert_stage(&config("ratio = 0.2"), std::slice::from_ref(&rows));
    assert_eq!(outcome.rejected.iter().map(|r| r.code).collect::<Vec<_>>(), ["not_finite", "wrong_shape"]);
    assert_eq!(sent(&outcome).len(), 2);
    let outcome = assert_stage(&config("budget = '4B'"), &[rows]);
    assert_eq!(outcome.rejected[0].code, "budget_too_small");
}

#[test]
fn wrong_options_are_told() {
    let check = |options: &str, expected: &str| {
        let messages: Vec<String> = config(options).validate().into_iter().map(|w| w.what).collect();
        assert_eq!(messages, [expected], "{options}");
    };
    check("warm_up = 0.005", "expected more than `ratio`, and at most 1");
    check("warm_up = 0.2\nbudget = '1KiB'", "a budget in bytes holds from the first round on");
}

#[test]
fn nothing_waits_of_a_device_that_is_forgotten() {
    let config = config("ratio = 0.3\nvalues = 'f32'");
    let rows = updates(&[("a", delta(1.0)), ("b", delta(1.0))]);
    let schema = StageConfig::signature(&config).apply(&[rows.schema()]).unwrap();
    let site = headwater_contract::HostEnv::default();
    let mut state = StateTable::default();
    let mut waits = |forgets: Option<&str>| -> Vec<String> {
        let cx = BuildContext {
            id: "small",
            inputs: &[rows.schema()],
            outputs: &schema,
            saved: &state,
            host: &site,
            round_delay: 0,
            live: false,
        };
        let mut stage = config.build(cx).unwrap();
        let mut output = headwater_contract::testing::StageOutput::default();
        let mut out = Outbox::new(&mut output);
        match forgets {
            None => stage.batch(0, &rows, &mut out).unwrap(),
            Some(device) => {
                stage.batch(2, &text_rows(&[(device, "")]).unwrap(), &mut out).unwrap();
            }
        }
        let mut writer = StateWriter::default();
        stage.save(&mut writer).unwrap();
        state.apply(writer.into_changes());
        state.iter().map(|(key, _)| String::from_utf8_lossy(&key[8..]).into_owned()).collect()
    };
    assert_eq!(waits(None), ["a", "b"]);
    assert_eq!(waits(Some("stranger")), ["a", "b"]);
    assert_eq!(waits(Some("a")), ["b"]);
}
