//! The state of a redactor that outlives a run: for each device the words said last, and the row that waits for the next one.
//!
//! In: what the running stage holds. Out: rows of the state, and back. Each row belongs to the device that it names.

use arrow::array::Int64Array;
use headwater_contract::columns::typed_column;
use headwater_contract::prelude::*;
use headwater_contract::units::Micros;

use super::running::{Conversation, HeldRow};
use super::utterances::Before;

/// The rows of the words said last, and of the rows that wait: in front of the device's name in the key.
const SAID: u8 = b's';
const HELD: u8 = b'h';

fn key(of: u8, device: &str) -> Vec<u8> {
    [&[of], device.as_bytes()].concat()
}

/// Writes what is held of a device; nothing if it holds nothing any more.
pub fn save(state: &mut StateWriter<'_>, device: &str, conversation: Option<&Conversation>) -> Result {
    match conversation {
        Some(conversation) => state.put(Owner::device(device), key(SAID, device), said_row(conversation)?)?,
        None => state.delete(key(SAID, device)),
    }
    match conversation.and_then(|conversation| conversation.held.as_ref()) {
        Some(held) => state.put(Owner::device(device), key(HELD, device), held.row.clone())?,
        None => state.delete(key(HELD, device)),
    }
    Ok(())
}

fn said_row(conversation: &Conversation) -> Result<RecordBatch> {
    let schema = Schema::new(vec![utf8("before"), Field::new("at", DataType::Int64, false)]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![conversation.before.as_str()])),
        Arc::new(Int64Array::from(vec![conversation.at.0])),
    ];
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}

/// The rows that wait in a saved state.
pub fn held_back(saved: &StateTable) -> HeldBack {
    let waits = |(key, row): (&[u8], &RecordBatch)| (key.first() == Some(&HELD)).then(|| row.clone());
    HeldBack { rows: saved.iter().filter_map(waits).collect(), unfinished: 0 }
}

/// The devices that a saved state holds. A row that waits keeps the columns it came with: an input with others cannot take it up.
pub fn restore(saved: &StateTable, input: &SchemaRef) -> Result<Vec<(String, Conversation)>> {
    let mut talks = Vec::new();
    for (key, row) in saved.iter().filter(|(key, _)| key.first() == Some(&SAID)) {
        let name = key.get(1..).unwrap_or(&[]);
        let device = String::from_utf8_lossy(name).into_owned();
        let before = text_column(row, "before")?.iter().flatten().next().unwrap_or_default().to_owned();
        let at: &Int64Array = typed_column(row, "at")?;
        let at = Micros(at.values().first().copied().unwrap_or_default());
        let held = saved.get(&self::key(HELD, &device)).map(|row| HeldRow { row: row.clone(), tagged: None });
        if held.as_ref().is_some_and(|held| held.row.schema_ref().fields() != input.fields()) {
            return Err(StageError::new("a row that waits in the state has other columns than the input")
                .expected("the columns of the last run, or a new state"));
        }
        talks.push((device, Conversation { before: Before::new(before), at, held }));
    }
    Ok(talks)
}
