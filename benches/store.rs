//! What encryption at rest costs: the same rows written through the store (identity check, encrypted log, sort, encrypted
//! Parquet, fsyncs) and as plain Parquet (one file, one fsync) with the same compression. And what durability costs, beside
//! SQLite. Prints tables. One of them alone: `-- cost`, `rows`, `steps` or `recovery`.
//!
//!     cargo test --workspace --bench store

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[path = "store/durable.rs"]
mod durable;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    Array, ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow::compute::concat_batches;
use headwater_vault::{KeyFile, Level, Store, StoreOptions, StoreReader, encode_clear};

const DEVICES: u64 = 8;
const ROWS: u64 = 400_000;
const BATCH: u64 = 1024;

/// Sentences of about 100 bytes, no two alike, from a fixed generator.
fn batches() -> Vec<RecordBatch> {
    const WORDS: [&str; 32] = [
        "the", "kettle", "is", "on", "please", "call", "<PHONE>", "before", "noon", "and", "bring", "a",
        "new", "valve", "for", "pump", "seven", "patient", "in", "room", "four", "asked", "water", "garden",
        "gate", "stands", "open", "again", "tomorrow", "<NUMBER>", "weld", "seam",
    ];
    let mut state = 1u64;
    let mut sentence = || {
        let word = |_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            WORDS[(state >> 59) as usize]
        };
        (0..20).map(word).collect::<Vec<_>>().join(" ")
    };
    let mut make = |first: u64| {
        let rows = first..(first + BATCH).min(ROWS);
        let columns: [(&str, ArrayRef); 6] = [
            (
                "device",
                Arc::new(StringArray::from_iter_values(
                    rows.clone().map(|n| format!("device-{}", n % DEVICES)),
                )),
            ),
            ("source", Arc::new(StringArray::from_iter_values(rows.clone().map(|_| "mic")))),
            ("seq", Arc::new(UInt64Array::from_iter_values(rows.clone().map(|n| n / DEVICES)))),
            ("part", Arc::new(UInt32Array::from_iter_values(rows.clone().map(|_| 0)))),
            (
                "captured_at",
                Arc::new(
                    TimestampMicrosecondArray::from_iter_values(
                        rows.clone().map(|n| n.cast_signed() * 250_000),
                    )
                    .with_timezone("UTC"),
                ),
            ),
            ("text", Arc::new(StringArray::from_iter_values(rows.clone().map(|_| sentence())))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    (0..ROWS).step_by(BATCH as usize).map(&mut make).collect()
}

/// Bytes of the values themselves, without spare capacity of buffers.
fn payload(batches: &[RecordBatch]) -> u64 {
    batches
        .iter()
        .flat_map(RecordBatch::columns)
        .map(|c| c.to_data().get_slice_memory_size().unwrap() as u64)
        .sum()
}

/// CPU seconds of this process so far.
pub fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let ticks: f64 = after.split_whitespace().skip(11).take(2).map(|n| n.parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

struct Measured {
    seconds: f64,
    cpu: f64,
}

fn measure(work: impl FnOnce()) -> Measured {
    let (cpu, clock) = (cpu_seconds(), Instant::now());
    work();
    Measured { seconds: clock.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu }
}

fn print(what: &str, bytes: u64, disk: u64, measured: &Measured, base: &Measured) {
    println!(
        "{what:<44} {:>8.1} MB/s {:>7.2} CPU s {:>8.1} MB {:>6.2} x CPU",
        bytes as f64 / 1e6 / measured.seconds,
        measured.cpu,
        disk as f64 / 1e6,
        measured.cpu / base.cpu
    );
}

/// Bytes of all files below a folder.
pub fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap());
    entries.map(|e| if e.path().is_dir() { size(&e.path()) } else { e.metadata().unwrap().len() }).sum()
}

fn store(folder: &Path, batches: &[RecordBatch], commit_every: usize) {
    let key = KeyFile::at(folder.join("root.key"));
    let mut store = Store::open(&folder.join("vault"), &key, StoreOptions::default()).unwrap();
    for (number, batch) in batches.iter().enumerate() {
        store.append(batch).unwrap();
        if number % commit_every == commit_every - 1 {
            store.commit().unwrap();
        }
    }
    store.seal().unwrap();
}

fn plain(file: &Path, batches: &[RecordBatch]) {
    let mut out = fs::File::create(file).unwrap();
    // As many rows at a time as the store seals.
    for run in batches.chunks(64) {
        let rows = concat_batches(&run[0].schema(), run).unwrap();
        out.write_all(&encode_clear(&rows, Level::default()).unwrap()).unwrap();
    }
    out.sync_all().unwrap();
}

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let tables: [(&str, fn()); 4] =
        [("cost", cost), ("rows", durable::rows), ("steps", durable::steps), ("recovery", durable::recovery)];
    let named = |name: &str| asked.iter().any(|word| word == name);
    let any = tables.iter().any(|(name, _)| named(name));
    tables.iter().filter(|(name, _)| !any || named(name)).for_each(|(_, table)| table());
}

fn cost() {
    let folder = tempfile::tempdir().unwrap();
    let batches = batches();
    let bytes = payload(&batches);
    println!(
        "{ROWS} rows of {DEVICES} devices, {:.1} MB of values, batches of {BATCH}\n",
        bytes as f64 / 1e6
    );
    let file = folder.path().join("plain.parquet");
    plain(&file, &batches[..40]);
    let base = measure(|| plain(&file, &batches));
    print("Parquet, not encrypted", bytes, fs::metadata(&file).unwrap().len(), &base, &base);
    for (what, commit_every) in
        [("store, sealed when full, no commit between", usize::MAX), ("store, a commit every batch", 1)]
    {
        let place = folder.path().join(format!("store-{commit_every}"));
        fs::create_dir(&place).unwrap();
        let measured = measure(|| store(&place, &batches, commit_every));
        print(what, bytes, size(&place), &measured, &base);
    }
    let place = folder.path().join("store-1");
    let again = measure(|| store(&place, &batches, usize::MAX));
    print("store, the same rows again (nothing is new)", bytes, size(&place), &again, &base);
    let read = measure(|| {
        let reader = StoreReader::open(&place.join("vault"), &KeyFile::at(place.join("root.key"))).unwrap();
        assert_eq!(reader.rows().map(|b| b.unwrap().num_rows() as u64).sum::<u64>(), ROWS);
    });
    print("read back, every byte checked", bytes, size(&place), &read, &base);
}
