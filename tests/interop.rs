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

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ListBuilder, RecordBatch, StringArray, StringBuilder, StructBuilder, TimestampMicrosecondArray,
    UInt32Array, UInt32Builder, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Fields};
use headwater_vault::{KeyFile, Store, StoreOptions};
use serde_json::{Value, json};

/// What is installed: the versions that the formats page names.
const PACKAGES: [&str; 2] = ["pyarrow==26.0.1", "duckdb==2.0.0"];
/// Enough rows for several row groups, so that readers meet more than the first.
const MANY: u64 = 40_000;

#[test]
fn pyarrow_and_duckdb_read_the_whole_store() {
    let Some(python) = python() else { return };
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
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("vault"), folder.path().join("root.key"));
    fill(&path, &KeyFile::at(&key));
    let printed = headwater(&key, &["store", "key", path.to_str().unwrap()]);
    let script = String::from_utf8(printed.stdout).unwrap();
    // Each key is the last thing in its line: one character of each is changed.
    let wrong = script.lines().map(spoil).collect::<Vec<_>>().join("\n");
    assert_ne!(wrong, script);
    std::fs::write(folder.path().join("wrong.py"), wrong).unwrap();
    let output = Command::new(python).arg(folder.path().join("wrong.py")).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("ecrypt"), "{output:?}");
}

fn spoil(line: &str) -> String {
    match line.rfind(", \"") {
        Some(at) if line.ends_with("\"),") => {
            let first = &line[at + 3..at + 4];
            format!("{}{}{}", &line[..at + 3], if first == "A" { "B" } else { "A" }, &line[at + 4..])
        }
        _ => line.to_owned(),
    }
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

/// Fills a store over two lives, with and without the nested column, and leaves rows in its log; returns what the
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

/// Python with the packages; nothing where they cannot be had and need not be.
fn python() -> Option<PathBuf> {
    // One at a time: both tests may want to make it.
    static MAKING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-venv");
    let python = folder.join("bin/python");
    let complete = folder.join(PACKAGES.join("-"));
    if complete.exists() {
        return Some(python);
    }
    let run = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().map_err(|e| e.to_string())?;
        output
            .status
            .success()
            .then_some(())
            .ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let made = run(Path::new("python3"), &["-m", "venv", folder.to_str().unwrap()]).and_then(|()| {
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(&python, &[&install[..], &PACKAGES].concat())
    });
    match made {
        Ok(()) => {
            std::fs::write(&complete, "").unwrap();
            Some(python)
        }
        Err(error) if std::env::var_os("CI").is_some() => panic!("in CI this test must run: {error}"),
        Err(error) => {
            eprintln!("skipped: {} could not be installed: {error}", PACKAGES.join(" and "));
            None
        }
    }
}
