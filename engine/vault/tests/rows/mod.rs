//! Rows to store: identity columns, a text, a time and a nested column, as the redactor gives them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ListBuilder, RecordBatch, StringArray, StringBuilder, StructBuilder, TimestampMicrosecondArray,
    UInt32Array, UInt32Builder, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Fields};

/// The text of a row: it follows from its identity, so that a test can check it.
pub fn text_of(device: &str, seq: u64) -> String {
    format!("{device} said sentence number {seq}, call <PHONE>")
}

/// One row for each (device, seq).
pub fn rows(identities: &[(&str, u64)]) -> RecordBatch {
    let devices = identities.iter().map(|(device, _)| *device);
    let texts = identities.iter().map(|(device, seq)| text_of(device, *seq));
    let times = identities.iter().map(|(_, seq)| 1_700_000_000_000_000 + i64::try_from(*seq).unwrap());
    let seqs: Vec<u64> = identities.iter().map(|(_, seq)| *seq).collect();
    let columns: [(&str, ArrayRef); 7] = [
        ("device", Arc::new(StringArray::from_iter_values(devices))),
        ("source", Arc::new(StringArray::from_iter_values(identities.iter().map(|_| "mic")))),
        ("seq", Arc::new(UInt64Array::from(seqs.clone()))),
        ("part", Arc::new(UInt32Array::from(vec![0; identities.len()]))),
        ("captured_at", Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))),
        ("text", Arc::new(StringArray::from_iter_values(texts))),
        ("entities", entities(&seqs)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// The rows of `seqs` of one device.
pub fn of_device(device: &str, seqs: std::ops::Range<u64>) -> RecordBatch {
    let identities: Vec<_> = seqs.map(|seq| (device, seq)).collect();
    rows(&identities)
}

/// No entity for each third row, else one or two.
fn entities(seqs: &[u64]) -> ArrayRef {
    let fields = Fields::from(vec![
        Field::new("kind", DataType::Utf8, true),
        Field::new("start", DataType::UInt32, true),
        Field::new("end", DataType::UInt32, true),
    ]);
    let mut list = ListBuilder::new(StructBuilder::from_fields(fields, seqs.len()));
    for seq in seqs {
        for n in 0..(*seq % 3) as u32 {
            let entity = list.values();
            entity.field_builder::<StringBuilder>(0).unwrap().append_value("PHONE");
            entity.field_builder::<UInt32Builder>(1).unwrap().append_value(n);
            entity.field_builder::<UInt32Builder>(2).unwrap().append_value(n + 7);
            entity.append(true);
        }
        list.append(true);
    }
    Arc::new(list.finish())
}

/// (device, seq, text) of every row, in order.
pub fn content(batches: &[RecordBatch]) -> Vec<(String, u64, String)> {
    use arrow::array::AsArray;
    use arrow::datatypes::UInt64Type;
    let mut found = Vec::new();
    for batch in batches {
        let device = batch.column_by_name("device").unwrap().as_string::<i32>();
        let seq = batch.column_by_name("seq").unwrap().as_primitive::<UInt64Type>();
        let text = batch.column_by_name("text").unwrap().as_string::<i32>();
        for row in 0..batch.num_rows() {
            found.push((device.value(row).to_owned(), seq.value(row), text.value(row).to_owned()));
        }
    }
    found
}

/// The [`content`] of these identities.
pub fn expected(identities: impl IntoIterator<Item = (&'static str, u64)>) -> Vec<(String, u64, String)> {
    identities.into_iter().map(|(device, seq)| (device.to_owned(), seq, text_of(device, seq))).collect()
}
