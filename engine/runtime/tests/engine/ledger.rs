//! What test stages saw, kept by name so that each run has a ledger of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::{Mark, RowId};

/// One thing that a stage saw.
#[derive(Clone, Debug)]
pub enum Seen {
    Row(RowId, i64),
    End(Mark),
}

/// What was seen, with the number of the instance that saw it.
pub type Entries = Vec<(u64, Seen)>;

static LEDGERS: LazyLock<Mutex<HashMap<String, Entries>>> = LazyLock::new(Mutex::default);
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// A name or a number that nobody else has in this process.
pub fn unique() -> u64 {
    NUMBERS.fetch_add(1, Relaxed)
}

/// A ledger's name that nobody else has.
pub fn fresh() -> String {
    format!("ledger-{}", unique())
}

pub fn note(ledger: &str, instance: u64, seen: impl IntoIterator<Item = Seen>) {
    let mut ledgers = LEDGERS.lock().unwrap();
    let entries = ledgers.entry(ledger.to_owned()).or_default();
    entries.extend(seen.into_iter().map(|seen| (instance, seen)));
}

/// What was seen so far.
pub fn entries(ledger: &str) -> Entries {
    LEDGERS.lock().unwrap().get(ledger).cloned().unwrap_or_default()
}

/// The rows that were seen, sorted by identity; none may have come twice.
pub fn rows(ledger: &str) -> Vec<(RowId, i64)> {
    let mut rows: Vec<(RowId, i64)> = entries(ledger)
        .into_iter()
        .filter_map(|(_, seen)| match seen {
            Seen::Row(id, value) => Some((id, value)),
            Seen::End(_) => None,
        })
        .collect();
    rows.sort();
    if let Some(pair) = rows.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        panic!("{} came twice", pair[0].0);
    }
    rows
}

/// The marks that each instance saw, in the order of the calls.
pub fn marks(ledger: &str) -> Vec<Vec<Mark>> {
    let mut by_instance = std::collections::BTreeMap::<u64, Vec<Mark>>::new();
    for (instance, seen) in entries(ledger) {
        let marks = by_instance.entry(instance).or_default();
        if let Seen::End(mark) = seen {
            marks.push(mark);
        }
    }
    by_instance.into_values().collect()
}

/// The rows of a batch as entries; the value is that of the column `value`, where there is one.
pub fn of_batch(batch: &RecordBatch) -> Vec<Seen> {
    let ids = IdentityColumns::of(batch).unwrap();
    let values = batch.column_by_name("value").map(|c| c.as_primitive::<Int64Type>().clone());
    (0..ids.len()).map(|row| Seen::Row(ids.id(row), values.as_ref().map_or(0, |v| v.value(row)))).collect()
}
