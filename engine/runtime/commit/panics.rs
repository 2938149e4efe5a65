//! Notes of panics in stateful stages, by which a later attempt finds the poison row and then skips it.
//!
//! In: where a stage panicked. Out: a note in the state folder, and the notes of a stage. After a first panic the stage
//! is given the rows of that epoch one by one; a row at which it panics again is rejected. A note is needed until its epoch is
//! committed: its rows never come again then. It must not know what a stage does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{UInt32Type, UInt64Type};
use headwater_contract::state::Owner;
use headwater_contract::units::Epoch;
use headwater_contract::{Port, Result, RowId};

use super::{KeptChange, KeptRow, Record, StateFolder};
use crate::instance::PoisonRow;
use crate::plan::Plan;

/// The table of the notes.
pub(crate) const PANICS: &str = "[panics]";

/// The noted panics of a stage.
#[derive(Clone, Debug, Default)]
pub(crate) struct PoisonRows {
    /// The last epoch in which it panicked.
    until: Option<Epoch>,
    /// Rows that it cannot take, each with the input that it came in by.
    rows: BTreeSet<(Port, RowId)>,
}

impl PoisonRows {
    /// Returns true if it is given the rows of this epoch one by one.
    pub(crate) fn gives_alone(&self, epoch: Epoch) -> bool {
        self.until.is_some_and(|until| epoch <= until)
    }

    /// Returns true if it cannot take the row.
    pub(crate) fn holds(&self, port: Port, row: &RowId) -> bool {
        // Few are known, and they are looked through only in an epoch that broke before.
        self.rows.iter().any(|(known, id)| *known == port && id == row)
    }
}

/// Notes a panic: durable when it returns.
///
/// # Errors
/// It may not be durable.
pub(super) fn note(plan: &Plan, folder: &mut dyn StateFolder, poison_row: &PoisonRow) -> Result<()> {
    let record = match folder.record()? {
        Some(record) => record,
        // Nothing is committed yet: the next attempt begins at the beginning, but knows this.
        None => Record::at_the_beginning(plan).encode()?,
    };
    let owner = match &poison_row.row {
        Some((_, row)) => Owner::everyone().about(&*row.device),
        None => Owner::everyone(),
    };
    let change =
        KeptChange { table: PANICS.into(), key: key(poison_row), row: Some((owner, row(poison_row)?)) };
    folder.commit(&record, vec![change])
}

/// Its epoch first: notes of epochs that are committed are found by it.
fn key(poison_row: &PoisonRow) -> Vec<u8> {
    let row = poison_row.row.as_ref().map(|(port, row)| format!("{port} {row}")).unwrap_or_default();
    [&poison_row.epoch.0.to_be_bytes(), poison_row.stage.as_bytes(), &[0], row.as_bytes()].concat()
}

/// The epoch of a note.
pub(crate) fn epoch_of(key: &[u8]) -> Option<Epoch> {
    key.first_chunk::<8>().map(|epoch| Epoch(u64::from_be_bytes(*epoch)))
}

fn row(poison_row: &PoisonRow) -> Result<RecordBatch> {
    let row = poison_row.row.as_ref();
    let text = |word: Option<&str>| -> ArrayRef { Arc::new(StringArray::from(vec![word])) };
    let number = |n: Option<u64>| -> ArrayRef { Arc::new(UInt64Array::from(vec![n])) };
    let columns = [
        ("stage", text(Some(&poison_row.stage))),
        ("epoch", number(Some(poison_row.epoch.0))),
        ("port", number(row.map(|(port, _)| *port as u64))),
        ("device", text(row.map(|(_, row)| &*row.device))),
        ("source", text(row.map(|(_, row)| &*row.source))),
        ("seq", number(row.map(|(_, row)| row.seq))),
        ("part", Arc::new(UInt32Array::from(vec![row.map(|(_, row)| row.part)])) as ArrayRef),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))?)
}

/// Returns the notes by stage. A note that cannot be read is ignored: its row is found once more.
pub(super) fn by_stage(notes: &[KeptRow]) -> BTreeMap<String, PoisonRows> {
    let mut known = BTreeMap::<String, PoisonRows>::new();
    for PoisonRow { stage, epoch, row } in notes.iter().filter_map(|kept| read(&kept.row)) {
        let of = known.entry(stage).or_default();
        of.until = of.until.max(Some(epoch));
        of.rows.extend(row);
    }
    known
}

fn read(note: &RecordBatch) -> Option<PoisonRow> {
    let there = |column: &&ArrayRef| column.len() == 1 && column.is_valid(0);
    let column = |name: &str| note.column_by_name(name).filter(there);
    let text = |name: &str| Some(column(name)?.as_string_opt::<i32>()?.value(0).to_owned());
    let number = |name: &str| Some(column(name)?.as_primitive_opt::<UInt64Type>()?.value(0));
    let row = || {
        let part = column("part")?.as_primitive_opt::<UInt32Type>()?.value(0);
        let (device, source) = (text("device")?.into(), text("source")?.into());
        Some((usize::try_from(number("port")?).ok()?, RowId { device, source, seq: number("seq")?, part }))
    };
    Some(PoisonRow { stage: text("stage")?, epoch: Epoch(number("epoch")?), row: row() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back_by_stage() {
        let id = |seq: u64| RowId { device: "porch".into(), source: "mic".into(), seq, part: 2 };
        let suspects = [
            PoisonRow { stage: "train".into(), epoch: Epoch(4), row: None },
            PoisonRow { stage: "train".into(), epoch: Epoch(4), row: Some((1, id(7))) },
            PoisonRow { stage: "small".into(), epoch: Epoch(9), row: None },
        ];
        let kept = |poison_row: &PoisonRow| {
            assert_eq!(read(&row(poison_row).unwrap()).as_ref(), Some(poison_row));
            let key = key(poison_row);
            assert_eq!(epoch_of(&key), Some(poison_row.epoch));
            KeptRow { key, owner: Owner::everyone(), row: row(poison_row).unwrap() }
        };
        let known = by_stage(&suspects.iter().map(kept).collect::<Vec<_>>());
        let (train, small) = (&known["train"], &known["small"]);
        assert!(train.gives_alone(Epoch(3)) && train.gives_alone(Epoch(4)) && !train.gives_alone(Epoch(5)));
        assert!(train.holds(1, &id(7)) && !train.holds(0, &id(7)) && !train.holds(1, &id(8)));
        assert!(small.gives_alone(Epoch(9)) && !small.holds(1, &id(7)));
        assert!(!PoisonRows::default().gives_alone(Epoch(0)));
    }
}
