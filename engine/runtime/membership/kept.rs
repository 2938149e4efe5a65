//! The changes of the members, from one attempt to the next.
//!
//! In: cells that rows changed, those of the open round apart. Out: rows of a kept table, and the cells again. Cells are kept by
//! the names of their columns, since a file may list its columns otherwise next time. It must not know timely.

use std::collections::BTreeMap;

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use headwater_contract::Result;
use headwater_contract::columns::text_column;
use headwater_contract::state::{Change, Owner};
use std::sync::Arc;

use super::members::Members;
use super::{COLUMNS, CONSENTS, Key, MEMBER};
use crate::commit::KeptRow;

/// Cells and what they hold.
pub(super) type Cells = BTreeMap<Key, Option<String>>;

/// Which changes: those that hold, and those that hold when the open round has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Now,
    NextRound,
}

impl When {
    const ALL: [When; 2] = [When::Now, When::NextRound];

    fn prefix(self) -> &'static [u8] {
        match self {
            When::Now => b"now/",
            When::NextRound => b"next/",
        }
    }
}

/// The name of a cell; nothing for one of a column that the file does not list.
fn name(cell: u32, members: &Members) -> Option<&str> {
    match cell {
        MEMBER => Some("[member]"),
        CONSENTS => Some("[consents]"),
        column => {
            members.columns.get(usize::try_from(column.checked_sub(COLUMNS)?).ok()?).map(String::as_str)
        }
    }
}

fn cell(named: &str, members: &Members) -> Option<u32> {
    let columns = u32::try_from(members.columns.len()).unwrap_or(u32::MAX);
    (0..COLUMNS.saturating_add(columns)).find(|cell| name(*cell, members) == Some(named))
}

fn key(when: When, device: &str, named: &str) -> Vec<u8> {
    [when.prefix(), device.as_bytes(), &[0], named.as_bytes()].concat()
}

/// A change of one cell as a change of the table.
pub(super) fn put(
    when: When,
    (device, cell): &Key,
    word: Option<&str>,
    members: &Members,
) -> Result<Option<Change>> {
    let Some(named) = name(*cell, members) else { return Ok(None) };
    let schema = Schema::new(vec![
        Field::new("device", DataType::Utf8, false),
        Field::new("cell", DataType::Utf8, false),
        Field::new("word", DataType::Utf8, true),
    ]);
    let column = |text: Option<&str>| Arc::new(StringArray::from(vec![text]));
    let row = RecordBatch::try_new(
        Arc::new(schema),
        vec![column(Some(device)), column(Some(named)), column(word)],
    )?;
    // Who is a member and who withdrew is still known when all rows about a device have become unreadable.
    let owner = match *cell {
        MEMBER | CONSENTS => Owner::everyone(),
        _ => Owner::everyone().about(device),
    };
    Ok(Some(Change { key: key(when, device, named), row: Some((owner, row)) }))
}

/// A change of the open round that is over.
pub(super) fn take_out(when: When, (device, cell): &Key, members: &Members) -> Option<Change> {
    Some(Change { key: key(when, device, name(*cell, members)?), row: None })
}

/// The cells that an earlier attempt kept: those that hold, and those of the open round.
pub(super) fn read(rows: &[KeptRow], members: &Members) -> Result<[Cells; 2]> {
    let mut found = [Cells::new(), Cells::new()];
    for kept in rows {
        let when = When::ALL.iter().position(|when| kept.key.starts_with(when.prefix()));
        let text = |column: &str| -> Result<Option<String>> {
            let texts = text_column(&kept.row, column)?;
            Ok((texts.len() == 1 && texts.is_valid(0)).then(|| texts.value(0).to_owned()))
        };
        let (Some(device), Some(named)) = (text("device")?, text("cell")?) else { continue };
        let place = when.and_then(|when| found.get_mut(when));
        if let (Some(cells), Some(cell)) = (place, cell(&named, members)) {
            cells.insert((device, cell), text("word")?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(columns: &[&str]) -> Members {
        let columns = columns.iter().map(ToString::to_string).collect();
        let given = super::super::members::MemberSource::Devices(Vec::new());
        Members { columns, groups: 1, given, changes: None, forget: false }
    }

    #[test]
    fn cells_are_found_again_by_name() {
        let (then, now) = (members(&["gateway", "language"]), members(&["region", "language", "gateway"]));
        let cells =
            [(MEMBER, Some("")), (CONSENTS, Some("no")), (COLUMNS, Some("harbour")), (COLUMNS + 1, None)];
        let rows: Vec<KeptRow> = cells
            .iter()
            .map(|(cell, word)| {
                let when = if *cell == CONSENTS { When::NextRound } else { When::Now };
                let change = put(when, &("porch".into(), *cell), *word, &then).unwrap().unwrap();
                let (owner, row) = change.row.unwrap();
                let about = matches!(*cell, MEMBER | CONSENTS).then_some(None).unwrap_or(Some("porch"));
                assert_eq!(owner.of_device(), about);
                KeptRow { key: change.key, owner, row }
            })
            .collect();
        let [holds, next] = read(&rows, &now).unwrap();
        let cell = |cell: u32| ("porch".to_owned(), cell);
        let expected = [
            (cell(MEMBER), Some(String::new())),
            (cell(COLUMNS + 1), None),
            (cell(COLUMNS + 2), Some("harbour".into())),
        ];
        assert_eq!(holds, Cells::from(expected));
        assert_eq!(next, Cells::from([(cell(CONSENTS), Some("no".into()))]));
        assert_eq!(read(&rows, &members(&[])).unwrap()[0].len(), 1, "columns that are gone are skipped");
    }
}
