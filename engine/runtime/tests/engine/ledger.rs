//! What test stages saw, kept by name so that each run has a ledger of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::{Barrier, RowId};

/// One thing that a stage saw.
#[derive(Clone, Debug)]
pub enum Event {
    Row(RowId, i64),
    End(Barrier),
}

/// Events with the number of the instance that saw them.
pub type Entries = Vec<(u64, Event)>;

static LEDGERS: LazyLock<Mutex<HashMap<String, Entries>>> = LazyLock::new(Mutex::default);
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// Returns a number that is unique in this process.
pub fn unique() -> u64 {
    NUMBERS.fetch_add(1, Relaxed)
}

/// Returns a unique name for a ledger.
pub fn fresh() -> String {
    format!("ledger-{}", unique())
}

pub fn note(ledger: &str, instance: u64, seen: impl IntoIterator<Item = Event>) {
    let mut ledgers = LEDGERS.lock().unwrap();
    let entries = ledgers.entry(ledger.to_owned()).or_default();
    entries.extend(seen.into_iter().map(|seen| (instance, seen)));
}

/// Returns the events so far.
pub fn entries(ledger: &str) -> Entries {
    LEDGERS.lock().unwrap().get(ledger).cloned().unwrap_or_default()
}

/// The rows that were seen, sorted by identity; none may have come twice.
pub fn rows(ledger: &str) -> Vec<(RowId, i64)> {
    let mut rows: Vec<(RowId, i64)> = entries(ledger)
        .into_iter()
        .filter_map(|(_, seen)| match seen {
            Event::Row(id, value) => Some((id, value)),
            Event::End(_) => None,
        })
        .collect();
    rows.sort();
    if let Some(pair) = rows.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        panic!("{} came twice", pair[0].0);
    }
    rows
}

/// The barriers that each instance saw, in the order of the calls.
pub fn barriers(ledger: &str) -> Vec<Vec<Barrier>> {
    let mut by_instance = std::collections::BTreeMap::<u64, Vec<Barrier>>::new();
    for (instance, seen) in entries(ledger) {
        let barriers = by_instance.entry(instance).or_default();
        if let Event::End(barrier) = seen {
            barriers.push(barrier);
        }
    }
    by_instance.into_values().collect()
}

/// The rows of a batch as entries; the value is that of the column `value`, where there is one.
pub fn of_batch(batch: &RecordBatch) -> Vec<Event> {
    let ids = IdentityColumns::of(batch).unwrap();
    let values = batch.column_by_name("value").map(|c| c.as_primitive::<Int64Type>().clone());
    (0..ids.len()).map(|row| Event::Row(ids.id(row), values.as_ref().map_or(0, |v| v.value(row)))).collect()
}
