//! A store as its users see it: each row once, durable when committed, read back as it was written, over
//! many attempts and after crashes at any step.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod rows;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array, UInt64Array};
use headwater_vault::{AppendCounts, Error, KeyFile, Level, Store, StoreOptions, StoreReader, verify, widen};
use rows::{content, expected, of_device, rows};

struct Fixture {
    folder: tempfile::TempDir,
    key: KeyFile,
}

impl Fixture {
    fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyFile::at(folder.path().join("root.key"));
        Fixture { folder, key }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("vault")
    }

    fn open(&self, seal_rows: usize) -> Store {
        let options = StoreOptions { seal_rows, level: Level::default() };
        Store::open(&self.path(), &self.key, options).unwrap()
    }

    fn reader(&self) -> StoreReader {
        StoreReader::open(&self.path(), &self.key).unwrap()
    }

    fn content(&self) -> Vec<(String, u64, String)> {
        let batches: Vec<_> = self.reader().rows().map(Result::unwrap).collect();
        content(&batches)
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let mut paths: Vec<_> = fs::read_dir(self.path()).unwrap().map(|e| e.unwrap().path()).collect();
        paths.retain(|p| p.extension().is_some_and(|e| e == extension));
        paths.sort();
        paths
    }
}

#[test]
fn a_second_run_over_the_same_rows_stores_nothing() {
    let fixture = Fixture::new();
    let batch = rows(&[("kitchen", 2), ("hall", 1), ("kitchen", 0), ("kitchen", 2), ("hall", 0)]);
    let mut store = fixture.open(100);
    assert_eq!(store.append(&batch).unwrap(), AppendCounts { new: 4, already_stored: 1 });
    assert_eq!(store.append(&batch).unwrap(), AppendCounts { new: 0, already_stored: 5 });
    assert_eq!(store.seal().unwrap(), 4);
    assert_eq!(store.totals(), AppendCounts { new: 4, already_stored: 6 });
    drop(store);
    let mut again = fixture.open(100);
    assert_eq!(again.append(&batch).unwrap(), AppendCounts { new: 0, already_stored: 5 });
    assert_eq!(again.seal().unwrap(), 0);
    let sorted = expected([("hall", 0), ("hall", 1), ("kitchen", 0), ("kitchen", 2)]);
    assert_eq!(fixture.content(), sorted);
    assert_eq!(fixture.files("parquet").len(), 2, "one segment for each device");
}

#[test]
fn committed_rows_survive_without_being_sealed() {
    let fixture = Fixture::new();
    let mut store = fixture.open(100);
    store.append(&of_device("a", 0..3)).unwrap();
    store.commit().unwrap();
    store.append(&of_device("a", 3..5)).unwrap();
    drop(store); // As a crash would: the last two rows were never acknowledged.
    assert_eq!(fixture.content(), expected((0..3).map(|n| ("a", n))));
    let mut store = fixture.open(100);
    assert_eq!(store.unsealed_rows(), 3);
    assert_eq!(store.append(&of_device("a", 0..5)).unwrap(), AppendCounts { new: 2, already_stored: 3 });
    store.commit().unwrap();
    drop(store);
    assert_eq!(fixture.content(), expected((0..5).map(|n| ("a", n))));
    let mut store = fixture.open(100);
    store.seal().unwrap();
    assert_eq!(fixture.content(), expected((0..5).map(|n| ("a", n))));
    assert_eq!(fixture.reader().unsealed().len(), 0);
    assert_eq!(fixture.files("parquet").len(), 1);
}

#[test]
fn enough_rows_are_sealed_by_themselves() {
    let fixture = Fixture::new();
    let mut store = fixture.open(10);
    for at in 0..7 {
        store.append(&of_device("a", at * 4..at * 4 + 4)).unwrap();
        store.commit().unwrap();
    }
    assert_eq!(fixture.files("parquet").len(), 2);
    assert_eq!(fixture.content(), expected((0..28).map(|n| ("a", n))));
    assert!(verify(&fixture.path(), &fixture.key).unwrap().problems.is_empty());
}

#[test]
fn a_second_writer_waits_its_turn() {
    let fixture = Fixture::new();
    let first = fixture.open(10);
    let second = Store::open(&fixture.path(), &fixture.key, StoreOptions::default());
    assert!(matches!(second, Err(Error::Busy { .. })));
    drop(first);
    fixture.open(10);
}

#[test]
fn rows_of_several_schemas_live_in_one_store() {
    let fixture = Fixture::new();
    let mut store = fixture.open(100);
    let full = of_device("a", 0..2);
    let bare = of_device("a", 2..4).project(&[0, 1, 2, 3, 5]).unwrap();
    store.append(&full).unwrap();
    store.append(&bare).unwrap();
    store.seal().unwrap();
    let reader = fixture.reader();
    assert_eq!(reader.segments().len(), 2);
    let schema = reader.schema().unwrap();
    assert_eq!(schema.fields().len(), 7);
    assert!(schema.field_with_name("entities").unwrap().is_nullable());
    let wide: Vec<_> = reader.rows().map(|b| widen(&b.unwrap(), &schema).unwrap()).collect();
    assert_eq!(content(&wide), expected((0..4).map(|n| ("a", n))));
    let entities = wide.iter().map(|b| b.column_by_name("entities").unwrap().null_count()).sum::<usize>();
    assert_eq!(entities, 2);
    // Read back with the very types that were written.
    let first = reader.rows().next().unwrap().unwrap();
    assert_eq!(first, full);
}

#[test]
fn one_column_of_two_types_is_said_where_it_matters() {
    let fixture = Fixture::new();
    let mut store = fixture.open(100);
    store.append(&of_device("a", 0..2)).unwrap();
    let number: ArrayRef = Arc::new(UInt32Array::from(vec![7]));
    store.append(&with_column(&of_device("a", 5..6), "text", number)).unwrap();
    store.seal().unwrap();
    let error = fixture.reader().schema().unwrap_err().to_string();
    assert!(error.contains("`text`") && error.contains("Utf8") && error.contains("UInt32"), "{error}");
}

#[test]
fn rows_without_an_identity_are_refused_by_name() {
    let fixture = Fixture::new();
    let mut store = fixture.open(100);
    let batch = of_device("a", 0..2);
    let seq_as = |column: ArrayRef| with_column(&batch, "seq", column);
    let cases = [
        (batch.project(&[0, 1, 3]).unwrap(), "`seq` is missing"),
        (seq_as(Arc::new(StringArray::from(vec!["0", "1"]))), "`seq` is Utf8, not UInt64"),
        (seq_as(Arc::new(UInt64Array::from(vec![Some(0), None]))), "`seq` is null in row 1"),
    ];
    for (batch, expected) in cases {
        let error = store.append(&batch).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(store.append(&batch).unwrap().new, 2, "the store continues");
}

#[test]
fn names_and_rows_do_not_show_in_the_files() {
    let fixture = Fixture::new();
    let mut store = fixture.open(100);
    store.append(&of_device("bedroom-of-ada", 0..20)).unwrap();
    store.commit().unwrap();
    let mut seen = 0;
    let mut inspect = |folder: &Path| {
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()) {
            assert!(!entry.to_string_lossy().contains("ada"));
            let bytes = fs::read(&entry).unwrap();
            for word in [&b"bedroom-of-ada"[..], b"sentence number", b"PHONE"] {
                assert!(!bytes.windows(word.len()).any(|w| w == word), "{}", entry.display());
            }
            seen += 1;
        }
    };
    inspect(&fixture.path());
    store.seal().unwrap();
    inspect(&fixture.path());
    assert_eq!(seen, 3 + 3, "keystore, lock and a file of the log; then a segment");
}

#[test]
fn another_root_key_is_named() {
    let fixture = Fixture::new();
    fixture.open(10).append(&of_device("a", 0..2)).unwrap();
    let other = KeyFile::at(fixture.folder.path().join("other.key"));
    let (needed, provided) = (fixture.key.read().unwrap().id(), other.read_or_create().unwrap().0.id());
    for error in [
        StoreReader::open(&fixture.path(), &other).err().unwrap(),
        Store::open(&fixture.path(), &other, StoreOptions::default()).err().unwrap(),
    ] {
        assert!(matches!(error, Error::WrongKey { .. }));
        let text = error.to_string();
        assert!(text.contains(&needed.to_string()) && text.contains(&provided.to_string()), "{text}");
    }
}

#[test]
fn foreign_missing_and_exchanged_files_are_named() {
    let fixture = Fixture::new();
    let mut store = fixture.open(10);
    store.append(&rows(&[("a", 0), ("b", 0)])).unwrap();
    store.seal().unwrap();
    drop(store);
    let files = fixture.files("parquet");
    let (first, second) = (fs::read(&files[0]).unwrap(), fs::read(&files[1]).unwrap());
    let problems = || verify(&fixture.path(), &fixture.key).unwrap().problems;
    let check = |what: &str, path: &Path| {
        let found = problems();
        assert!(!found.is_empty(), "{what}");
        assert!(
            found.iter().all(|p| p.to_string().contains(&path.display().to_string())),
            "{what}: {found:?}"
        );
        let read = StoreReader::open(&fixture.path(), &fixture.key)
            .and_then(|reader| reader.rows().collect::<Result<Vec<_>, _>>());
        assert!(read.is_err(), "{what}");
    };
    let stranger = fixture.path().join("00000009-00000000.parquet");
    fs::write(&stranger, &first).unwrap();
    check("a foreign file", &stranger);
    assert!(matches!(
        Store::open(&fixture.path(), &fixture.key, StoreOptions::default()),
        Err(Error::Foreign { .. })
    ));
    fs::remove_file(&stranger).unwrap();
    fs::write(&files[0], &second).unwrap();
    check("a file in the place of another", &files[0]);
    fs::remove_file(&files[0]).unwrap();
    check("a missing file", &files[0]);
    fs::write(&files[0], &first).unwrap();
    assert!(problems().is_empty());
}

#[test]
fn a_lost_root_key_is_said_and_not_replaced() {
    let fixture = Fixture::new();
    fixture.open(10).append(&of_device("a", 0..2)).unwrap();
    fs::remove_file(fixture.key.path()).unwrap();
    for error in [
        StoreReader::open(&fixture.path(), &fixture.key).err().unwrap(),
        Store::open(&fixture.path(), &fixture.key, StoreOptions::default()).err().unwrap(),
    ] {
        assert!(error.to_string().contains("there is no root key at"), "{error}");
    }
    assert!(!fixture.key.path().exists());
}

#[test]
fn a_lost_keystore_is_not_replaced_by_an_empty_one() {
    let fixture = Fixture::new();
    let mut store = fixture.open(10);
    store.append(&of_device("a", 0..2)).unwrap();
    store.seal().unwrap();
    drop(store);
    fs::remove_file(fixture.path().join("keystore")).unwrap();
    let error = Store::open(&fixture.path(), &fixture.key, StoreOptions::default()).err().unwrap();
    assert!(error.to_string().contains("restore the keystore"), "{error}");
    assert_eq!(fixture.files("parquet").len(), 1);
}

/// The states that a crash while sealing can leave behind, made by hand from a copy before and after.
#[test]
fn a_crash_at_any_step_of_sealing_loses_and_doubles_nothing() {
    let fixture = Fixture::new();
    let mut store = fixture.open(100);
    store.append(&rows(&[("a", 0), ("b", 0), ("a", 1)])).unwrap();
    store.commit().unwrap();
    drop(store);
    let (before, after) = (fixture.folder.path().join("before"), fixture.folder.path().join("after"));
    copy_folder(&fixture.path(), &before);
    let mut store = fixture.open(100);
    store.seal().unwrap();
    drop(store);
    copy_folder(&fixture.path(), &after);
    let segments: Vec<_> =
        fixture.files("parquet").iter().map(|p| p.file_name().unwrap().to_owned()).collect();
    let tmp = |name: &std::ffi::OsStr| format!("{}.tmp", name.to_string_lossy());
    let all = expected([("a", 0), ("a", 1), ("b", 0)]);
    for step in ["first file", "all files", "keystore", "first rename", "all renames"] {
        fs::remove_dir_all(fixture.path()).unwrap();
        copy_folder(&before, &fixture.path());
        let unfinished = if step == "first file" { 1 } else { 2 };
        for name in &segments[..unfinished] {
            fs::copy(after.join(name), fixture.path().join(tmp(name))).unwrap();
        }
        if step != "first file" && step != "all files" {
            fs::copy(after.join("keystore"), fixture.path().join("keystore")).unwrap();
        }
        let renamed = ["first rename", "all renames"].iter().position(|s| *s == step).map_or(0, |n| n + 1);
        for name in &segments[..renamed] {
            fs::rename(fixture.path().join(tmp(name)), fixture.path().join(name)).unwrap();
        }
        let sorted = |mut rows: Vec<(String, u64, String)>| {
            rows.sort();
            rows
        };
        assert_eq!(sorted(fixture.content()), all, "{step}: read as it was left");
        let mut store = fixture.open(100);
        let appended = store.append(&rows(&[("a", 0), ("b", 0), ("a", 1)])).unwrap();
        assert_eq!(appended, AppendCounts { new: 0, already_stored: 3 }, "{step}");
        store.seal().unwrap();
        drop(store);
        assert_eq!(fixture.content(), all, "{step}: after a restart");
        assert_eq!(fixture.files("tmp"), Vec::<PathBuf>::new(), "{step}");
        assert!(verify(&fixture.path(), &fixture.key).unwrap().problems.is_empty(), "{step}");
    }
}

/// The batch with one column of it replaced.
fn with_column(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, old)| {
        let column = if field.name() == name { &column } else { old };
        (field.name().clone(), Arc::clone(column))
    });
    RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).unwrap()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|e| e.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn many_small_segments_of_a_day_are_joined_and_days_stay_apart() {
    let fixture = Fixture::new();
    let mut store = fixture.open(1);
    let day = 86_400_000_000;
    // Rows are captured at their seq in microseconds. Forty of one day, thirty-one of the next.
    for seq in (0..40).chain(day..day + 31) {
        store.append(&rows(&[("hall", seq)])).unwrap();
    }
    store.append(&rows(&[("loft", 0)])).unwrap();
    let before = fixture.content();
    let joined = store.tidy().unwrap();
    assert_eq!((joined.before, joined.after), (72, 1 + 31 + 1));
    assert_eq!(
        store.tidy().unwrap(),
        headwater_vault::Compaction { before: 33, after: 33 },
        "nothing is left to do"
    );
    store.append(&rows(&[("hall", day + 31)])).unwrap();
    assert_eq!(store.tidy().unwrap().after, 3);
    let sorted = |mut rows: Vec<_>| {
        rows.sort();
        rows
    };
    let after = sorted(fixture.content());
    assert_eq!(after.len(), before.len() + 1);
    assert!(sorted(before).iter().all(|row| after.contains(row)));
    assert!(verify(&fixture.path(), &fixture.key).unwrap().problems.is_empty());
}

#[test]
fn a_damaged_segment_is_told_left_alone_and_comes_back_from_a_copy() {
    let fixture = Fixture::new();
    let mut store = fixture.open(1);
    for seq in 0..40 {
        store.append(&rows(&[("hall", seq)])).unwrap();
    }
    drop(store);
    let file = fixture.files("parquet").remove(5);
    let whole = fs::read(&file).unwrap();
    for damage in [whole[..100].to_vec(), Vec::new()] {
        fs::write(&file, damage).unwrap();
        let mut store = fixture.open(1 << 10);
        let messages: Vec<_> = store.damaged().map(ToString::to_string).collect();
        assert!(messages.len() == 1 && messages[0].contains(&*file.to_string_lossy()), "{messages:?}");
        let found: Vec<_> = fixture.reader().rows().collect();
        assert_eq!(
            (found.iter().filter(|b| b.is_ok()).count(), found.iter().filter(|b| b.is_err()).count()),
            (39, 1)
        );
        // Unknown rows are stored: no row is lost for a file that may never be restored.
        let again = store.append(&rows(&[("hall", 5), ("hall", 6)])).unwrap();
        assert_eq!(again, AppendCounts { new: 1, already_stored: 1 });
    }
    fs::write(&file, &whole).unwrap();
    let mut store = fixture.open(1);
    assert_eq!(store.damaged().count(), 0);
    assert_eq!(store.append(&rows(&[("hall", 5)])).unwrap().new, 0);
    assert_eq!(fixture.content().len(), 40);
    fs::remove_file(&file).unwrap();
    let mut store = {
        drop(store);
        fixture.open(1)
    };
    assert_eq!(store.tidy().unwrap().after, 2, "the others are joined without it");
    assert_eq!(store.forget("hall").unwrap().rows, 40, "a device is forgotten with what is gone already");
}
