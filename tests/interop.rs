//! A store is read by the programs of others: the scripts that `headwater store key` prints are run by Python with
//! pyarrow and by DuckDB, and give exactly the rows that were stored, nested columns included.
//!
//! A virtual environment of its own, below the target folder, gets the pinned versions from the package index. In CI
//! (environment `CI`) that must work; elsewhere the test says that it was skipped when there is no network.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod python;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ListBuilder, RecordBatch, StringArray, StringBuilder, StructBuilder, TimestampMicrosecondArray,
    UInt32Array, UInt32Builder, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Fields};
use headwater_vault::{KeyFile, Store, StoreOptions};
use serde_json::{Value, json};

/// Enough rows for several row groups, so that readers meet more than the first.
const MANY: u64 = 40_000;

#[test]
fn pyarrow_and_duckdb_read_the_whole_store() {
    let Some(python) = python::with_readers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("it's a vault"), folder.path().join("root.key"));
    let expected = fill(&path, &KeyFile::at(&key));
    let script = |format: &str| {
        let printed = headwater(&key, &["store", "key", path.to_str().unwrap(), "--format", format]);
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        String::from_utf8(printed.stdout).unwrap()
    };

    let pyarrow = run_python(&python, folder.path(), &(script("python") + PYARROW));
    assert_eq!(pyarrow, expected, "pyarrow");
    let duckdb = run_python(&python, folder.path(), &(script("duckdb") + DUCKDB));
    assert_eq!(duckdb, expected, "DuckDB with pyarrow for nested columns");

    // What DuckDB decrypts all by itself: everything but the nested column.
    let sql = format!("import duckdb\ndb = duckdb.connect()\ndb.execute({})\n", json!(script("sql")));
    let padded = "db.execute('CREATE TEMP VIEW padded AS SELECT *, 0 AS entities FROM store')\n";
    let alone =
        run_python(&python, folder.path(), &(sql + padded + &DUCKDB.replace("FROM store", "FROM padded")));
    let flat = |result: &Value| -> Vec<Vec<Value>> {
        let rows = result["rows"].as_array().unwrap().iter();
        rows.map(|row| row.as_array().unwrap()[..4].to_vec()).collect()
    };
    assert_eq!(flat(&alone), flat(&expected), "DuckDB alone");
    for sum in ["count", "seqs", "micros"] {
        assert_eq!(alone[sum], expected[sum], "{sum}");
    }
}

#[test]
fn a_script_with_a_wrong_key_reads_nothing() {
    let Some(python) = python::with_readers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("vault"), folder.path().join("root.key"));
    fill(&path, &KeyFile::at(&key));
    let printed = headwater(&key, &["store", "key", path.to_str().unwrap()]);
    let script = folder.path().join("read.py");
    std::fs::write(&script, printed.stdout).unwrap();
    let fails = |expected: &str| {
        let output = Command::new(&python).arg(&script).output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains(expected), "{output:?}");
    };
    let (kept, keystore) = (std::fs::read(&key).unwrap(), std::fs::read(path.join("keystore")).unwrap());
    std::fs::remove_file(&key).unwrap();
    fails("root.key");
    KeyFile::at(&key).read_or_create().unwrap();
    fails("was made with root key");
    std::fs::write(&key, kept).unwrap();
    // The MAC is found out by the script itself, and not only the checksum.
    let mut changed = keystore[..keystore.len() - 8].to_vec();
    changed[20] ^= 1;
    let checksum = <sha2::Sha256 as sha2::Digest>::digest(&changed);
    changed.extend(&checksum[..8]);
    std::fs::write(path.join("keystore"), changed).unwrap();
    fails("the seal of the keystore does not fit");
    std::fs::write(path.join("keystore"), keystore).unwrap();
    let segment = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.into_iter().find(|path| path.extension().is_some_and(|e| e == "parquet")).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[100] ^= 1;
    std::fs::write(segment, bytes).unwrap();
    fails("ecrypt");
}

/// One script reads the store while it grows, is joined, gets another root key and loses a device.
#[test]
fn a_script_stays_valid_as_the_store_grows() {
    let Some(python) = python::with_readers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("vault"), folder.path().join("root.key"));
    let open = || Store::open(&path, &KeyFile::at(&key), StoreOptions::default()).unwrap();
    let mut store = open();
    store.append(&batch("hall", 0..10)).unwrap();
    store.seal().unwrap();
    let script = |format: &str| {
        let output = folder.path().join(format);
        let (path, output) = (path.to_str().unwrap(), output.to_str().unwrap().to_owned());
        // The store is open for writing all the while.
        let written = headwater(&key, &["store", "key", path, "--format", format, "-o", &output]);
        assert!(written.status.success(), "{written:?}");
        std::fs::read_to_string(output).unwrap()
    };
    let count = "\nimport json\nprint('RESULT ' + json.dumps(COUNT))\n";
    let scripts = [
        script("python") + &count.replace("COUNT", "len(store)"),
        script("duckdb") + &count.replace("COUNT", "db.sql('SELECT count(*) FROM store').fetchall()[0][0]"),
    ];
    let check = |expected: u64, what: &str| {
        for script in &scripts {
            assert_eq!(run_python(&python, folder.path(), script), json!(expected), "{what}");
        }
    };
    check(10, "at first");
    for seqs in [10..12, 12..20] {
        store.append(&batch("hall", seqs)).unwrap();
        store.seal().unwrap();
    }
    store.append(&batch("loft", 0..5)).unwrap();
    store.seal().unwrap();
    check(25, "sealed later");
    store.compact().unwrap();
    check(25, "joined");
    drop(store);
    let state = folder.path().join("state");
    let arguments = ["--state", state.to_str().unwrap(), "key", "rotate", path.to_str().unwrap()];
    let rotated = headwater(&key, &arguments);
    assert!(rotated.status.success(), "{rotated:?}");
    check(25, "under another root key");
    open().forget("hall").unwrap();
    check(5, "without a device");
}

/// Prints count, sums and some rows of `store`, an Arrow table, as one JSON object.
const PYARROW: &str = r#"
import json
rows = store.select(["device", "seq", "part", "text", "entities"]).to_pylist()
rows.sort(key=lambda r: (r["device"], r["seq"]))
def plain(e):
    return None if e is None else [[x["kind"], x["start"], x["end"]] for x in e]
picked = [[r["device"], r["seq"], r["part"], r["text"], plain(r["entities"])] for r in rows[::1000] + rows[-3:]]
import pyarrow.compute as pc
micros = pc.sum(store["captured_at"].cast(pa.int64())).as_py()
print("RESULT " + json.dumps({"count": len(rows), "seqs": sum(r["seq"] for r in rows), "micros": micros, "rows": picked}))
"#;

/// The same of `store`, a DuckDB relation.
const DUCKDB: &str = r#"
import json
rows = db.sql("SELECT device, seq, part, text, entities FROM store ORDER BY device, seq").fetchall()
def plain(e):
    return None if e is None else e if isinstance(e, int) else [[x["kind"], x["start"], x["end"]] for x in e]
picked = [[*r[:4], plain(r[4])] for r in rows[::1000] + rows[-3:]]
micros = int(db.sql("SELECT sum(epoch_us(captured_at)) FROM store").fetchall()[0][0])
print("RESULT " + json.dumps({"count": len(rows), "seqs": sum(r[1] for r in rows), "micros": micros, "rows": picked}))
"#;

/// Fills a store over two attempts, with and without the nested column, and leaves rows in its log; returns what the
/// scripts should print.
fn fill(path: &Path, key: &KeyFile) -> Value {
    let options = StoreOptions { seal_rows: 1 << 20, ..StoreOptions::default() };
    let mut store = Store::open(path, key, options).unwrap();
    for first in (0..MANY).step_by(1000) {
        store.append(&batch("kitchen", first..first + 1000)).unwrap();
    }
    store.append(&batch("hall", 0..10)).unwrap();
    store.seal().unwrap();
    store.append(&batch("hall", 10..20).project(&[0, 1, 2, 3, 4, 5]).unwrap()).unwrap();
    store.seal().unwrap();
    store.append(&batch("Wohnzimmer \"süd\"", 0..5)).unwrap();
    store.commit().unwrap();

    let mut all: Vec<(&str, u64, bool)> = (0..MANY).map(|seq| ("kitchen", seq, true)).collect();
    all.extend((0..20).map(|seq| ("hall", seq, seq < 10)));
    all.extend((0..5).map(|seq| ("Wohnzimmer \"süd\"", seq, true)));
    all.sort_unstable();
    let row = |(device, seq, nested): &(&str, u64, bool)| {
        let entities = if *nested {
            entities(*seq).into_iter().map(|(k, s, e)| json!([k, s, e])).collect()
        } else {
            Value::Null
        };
        json!([device, seq, 0, text(device, *seq), entities])
    };
    let picked: Vec<Value> = all.iter().step_by(1000).chain(&all[all.len() - 3..]).map(row).collect();
    let seqs: u64 = all.iter().map(|(_, seq, _)| seq).sum();
    let micros: i64 = all.iter().map(|(_, seq, _)| captured(*seq)).sum();
    json!({ "count": all.len(), "seqs": seqs, "micros": micros, "rows": picked })
}

fn text(device: &str, seq: u64) -> String {
    format!("{device} sentence {seq}: call <PHONE>, „bitte“")
}

fn captured(seq: u64) -> i64 {
    // Small enough that the sum over all rows fits into 64 bits.
    1_000_000_000_000 + seq.cast_signed() * 250_001
}

fn entities(seq: u64) -> Vec<(&'static str, u32, u32)> {
    (0..(seq % 3) as u32).map(|n| ("PHONE", n, n + 7)).collect()
}

fn batch(device: &str, seqs: std::ops::Range<u64>) -> RecordBatch {
    let fields = Fields::from(vec![
        Field::new("kind", DataType::Utf8, false),
        Field::new("start", DataType::UInt32, false),
        Field::new("end", DataType::UInt32, false),
    ]);
    let item = Field::new_list_field(DataType::Struct(fields.clone()), false);
    let mut lists = ListBuilder::new(StructBuilder::from_fields(fields, 0)).with_field(item);
    for seq in seqs.clone() {
        for (kind, start, end) in entities(seq) {
            lists.values().field_builder::<StringBuilder>(0).unwrap().append_value(kind);
            lists.values().field_builder::<UInt32Builder>(1).unwrap().append_value(start);
            lists.values().field_builder::<UInt32Builder>(2).unwrap().append_value(end);
            lists.values().append(true);
        }
        lists.append(true);
    }
    let repeated =
        |value: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(seqs.clone().map(|_| value))) };
    let columns: [(&str, ArrayRef); 7] = [
        ("device", repeated(device)),
        ("source", repeated("mic")),
        ("seq", Arc::new(UInt64Array::from_iter_values(seqs.clone()))),
        ("part", Arc::new(UInt32Array::from_iter_values(seqs.clone().map(|_| 0)))),
        (
            "captured_at",
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(seqs.clone().map(captured)).with_timezone("UTC"),
            ),
        ),
        ("text", Arc::new(StringArray::from_iter_values(seqs.clone().map(|seq| text(device, seq))))),
        ("entities", Arc::new(lists.finish())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn headwater(key: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_headwater")).arg("--key-file").arg(key).args(arguments).output().unwrap()
}

fn run_python(python: &Path, folder: &Path, script: &str) -> Value {
    let file = folder.join("script.py");
    std::fs::write(&file, script).unwrap();
    let output = Command::new(python).arg(&file).env("PYTHONIOENCODING", "utf-8").output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let result = text.lines().find_map(|line| line.strip_prefix("RESULT "));
    let result = result.unwrap_or_else(|| panic!("no result from\n{script}\n{text}\n{errors}"));
    serde_json::from_str(result).unwrap()
}
