//! What durability costs: rows that are acknowledged batch by batch, beside SQLite with the same batches; steps of a
//! commit log; and how long it takes to open what was left.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use headwater_vault::{CommitLog, KeyFile, StateChange, Store, StoreOptions, StoreReader, real_disk};

use crate::cpu_seconds;

const DEVICES: u64 = 8;
const ROWS: u64 = 200_000;
/// What is asked for, on one core.
const BAR: f64 = 200_000.0;

/// Rows of 100 bytes: device 8, source 3, seq 8, part 4, time 8, text 69.
fn batch(rows: std::ops::Range<u64>) -> RecordBatch {
    let texts = |n| format!("{n:012} the kettle is on, please call <PHONE> before noon. and bring");
    let column = |array: ArrayRef| array;
    RecordBatch::try_from_iter([
        (
            "device",
            column(Arc::new(StringArray::from_iter_values(
                rows.clone().map(|n| format!("device-{}", n % DEVICES)),
            ))),
        ),
        ("source", column(Arc::new(StringArray::from_iter_values(rows.clone().map(|_| "mic"))))),
        ("seq", column(Arc::new(UInt64Array::from_iter_values(rows.clone().map(|n| n / DEVICES))))),
        ("part", column(Arc::new(UInt32Array::from_iter_values(rows.clone().map(|_| 0))))),
        (
            "captured_at",
            column(Arc::new(
                TimestampMicrosecondArray::from_iter_values(rows.clone().map(|n| n.cast_signed() * 250_000))
                    .with_timezone("UTC"),
            )),
        ),
        ("text", column(Arc::new(StringArray::from_iter_values(rows.map(texts))))),
    ])
    .unwrap()
}

struct Timed {
    seconds: f64,
    cpu: f64,
    p50: f64,
    p99: f64,
}

/// Times each piece of work, in milliseconds for one.
fn timed<T>(work: impl Iterator<Item = T>, mut each: impl FnMut(T)) -> Timed {
    let mut times = Vec::new();
    let (cpu, clock) = (cpu_seconds(), Instant::now());
    for item in work {
        let since = Instant::now();
        each(item);
        times.push(since.elapsed().as_secs_f64() * 1e3);
    }
    let (seconds, cpu) = (clock.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    times.sort_by(f64::total_cmp);
    Timed {
        seconds,
        cpu,
        p50: times[times.len() / 2],
        p99: times[(times.len() * 99 / 100).min(times.len() - 1)],
    }
}

fn print(what: &str, timed: &Timed, base: Option<&Timed>) {
    let rows = ROWS as f64;
    let ratio = base.map_or(String::new(), |base| {
        format!(
            "  {:>5.2} x the rate, {:>5.2} x the CPU of SQLite",
            base.seconds / timed.seconds,
            timed.cpu / base.cpu
        )
    });
    println!(
        "{what:<34} {:>9.0} rows/s {:>9.0} rows/CPU s {:>8.2} ms p50 {:>8.2} ms p99{ratio}",
        rows / timed.seconds,
        rows / timed.cpu,
        timed.p50,
        timed.p99
    );
}

/// The same rows in SQLite, through python3's module.
fn sqlite(folder: &Path, batch: u64) -> Option<Timed> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/store/sqlite.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(folder.join(format!("{batch}.db")));
    command.args([ROWS, batch, DEVICES].map(|n| n.to_string()));
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let numbers: Vec<f64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let [seconds, cpu, p50, p99] = numbers[..] else { return None };
    Some(Timed { seconds, cpu, p50, p99 })
}

/// Rows that are durable, batch by batch.
pub fn rows() {
    println!(
        "\n{ROWS} rows of 100 bytes of {DEVICES} devices, acknowledged batch by batch (the bar: {BAR:.0} rows/s on one core)\n"
    );
    for size in [100, 1000, 10_000] {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyFile::at(folder.path().join("root.key"));
        let mut store = Store::open(&folder.path().join("vault"), &key, StoreOptions::default()).unwrap();
        let batches: Vec<_> =
            (0..ROWS).step_by(size).map(|at| batch(at..(at + size as u64).min(ROWS))).collect();
        let ours = timed(batches.iter(), |batch| {
            store.append(batch).unwrap();
            store.commit().unwrap();
        });
        let reference = sqlite(folder.path(), size as u64);
        print(&format!("store, {size} rows a batch"), &ours, reference.as_ref());
        match reference {
            Some(reference) => print(&format!("SQLite, {size} rows a batch"), &reference, None),
            None => println!("SQLite: no python3 with its module here"),
        }
    }
}

fn change(key: u64) -> StateChange {
    StateChange {
        table: "state".into(),
        key: (key % 1000).to_le_bytes().to_vec(),
        device: Some(format!("device-{}", key % DEVICES)),
        row: Some(batch(key..key + 1)),
    }
}

/// Steps of a commit log, and how long it takes to open it again.
pub fn steps() {
    const STEPS: u64 = 2000;
    println!("\nsteps of a commit log, each durable\n");
    for changes in [1, 10, 100] {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyFile::at(folder.path().join("root.key"));
        let mut log = CommitLog::open(&folder.path().join("state"), &key, real_disk()).unwrap();
        let note = vec![7; 1000];
        let all: Vec<Vec<_>> =
            (0..STEPS).map(|step| (0..changes).map(|n| change(step * changes + n)).collect()).collect();
        let done = timed(all.into_iter(), |changes| log.commit(&note, changes).unwrap());
        println!(
            "{changes:>4} rows a step {:>8.0} steps/s {:>8.0} steps/CPU s {:>8.2} ms p50 {:>8.2} ms p99",
            STEPS as f64 / done.seconds,
            STEPS as f64 / done.cpu,
            done.p50,
            done.p99
        );
    }
}

/// How long it takes to open what was left, by its size.
pub fn recovery() {
    println!("\nopening after the process has ended without a word\n");
    for rows in [10_000u64, 50_000, 200_000] {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyFile::at(folder.path().join("root.key"));
        let path = folder.path().join("vault");
        let options = StoreOptions { seal_rows: usize::MAX, ..StoreOptions::default() };
        let mut store = Store::open(&path, &key, options).unwrap();
        for at in (0..rows).step_by(1000) {
            store.append(&batch(at..at + 1000)).unwrap();
            store.commit().unwrap();
        }
        drop(store);
        let bytes = crate::size(&path);
        let opened = timed([()].into_iter(), |()| {
            assert_eq!(Store::open(&path, &key, options).unwrap().unsealed_rows(), rows);
        });
        let read = timed([()].into_iter(), |()| drop(StoreReader::open(&path, &key).unwrap()));
        println!(
            "{:>8.1} MB of log, {rows:>7} rows: {:>7.0} ms to write on, {:>7.0} ms to read ({:.0} MB/CPU s)",
            bytes as f64 / 1e6,
            opened.seconds * 1e3,
            read.seconds * 1e3,
            bytes as f64 / 1e6 / opened.cpu.max(0.01)
        );
    }
}
