//! Parquet files as pyarrow writes them, whole and damaged.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::cast_possible_truncation)]

use std::path::{Path, PathBuf};

use headwater_datasets::parquet_text::{
    Cell, ColumnRequest, ColumnType, Next, ParquetText, ParquetTextError, ROWS,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use serde_json::Value;

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parquet").join(name)
}

fn wanted(name: &str, holds: ColumnType) -> ColumnRequest {
    ColumnRequest { name: name.to_owned(), holds, required: true }
}

/// Every column of `talk.parquet` that can be read, in the way in which it can be.
fn all_columns() -> Vec<ColumnRequest> {
    use ColumnType::{Name, Scalar, Text, Time};
    [
        ("text", Text),
        ("text_large", Text),
        ("text_view", Text),
        ("device", Name),
        ("captured_at", Time),
        ("at_us", Time),
        ("at_ms", Time),
        ("at_text", Time),
        ("split", Scalar),
        ("session", Scalar),
        ("spoken", Scalar),
        ("weight", Scalar),
        ("nothing", Text),
    ]
    .map(|(name, holds)| wanted(name, holds))
    .to_vec()
}

/// Rows as texts, and what was lost.
fn read(file: &mut ParquetText) -> (Vec<Vec<String>>, Vec<(u64, String)>) {
    let (mut rows, mut lost) = (Vec::new(), Vec::new());
    loop {
        match file.next_rows() {
            Next::End => return (rows, lost),
            Next::Lost { rows, reason } => lost.push((rows, reason.to_string())),
            Next::Rows(some) => {
                assert!((1..=ROWS).contains(&some.count));
                let show = |row| {
                    let cell = |column: &headwater_datasets::parquet_text::Cells| match column.cell(row) {
                        None => "-".to_owned(),
                        Some(Cell::Text(text)) => text.to_owned(),
                        Some(Cell::Time(time)) => format!("{time} us"),
                    };
                    some.columns.iter().map(cell).collect()
                };
                rows.extend((0..some.count).map(show));
            }
        }
    }
}

fn open(name: &str, columns: Vec<ColumnRequest>) -> Result<ParquetText, ParquetTextError> {
    ParquetText::open(&kept(name), columns)
}

/// The same rows stand in `talk.jsonl`.
#[test]
fn every_storage_of_a_column_gives_the_same_cells() {
    let mut file = open("talk.parquet", all_columns()).unwrap();
    assert_eq!(file.rows(), 50);
    let (rows, lost) = read(&mut file);
    assert_eq!(lost, []);
    let lines = std::fs::read_to_string(kept("talk.jsonl")).unwrap();
    let expected: Vec<Vec<String>> = lines
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let cell = |name: &str| match &line[name] {
                Value::Null => "-".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let time = line["captured_at"].as_str().map(|time| time.parse::<jiff::Timestamp>().unwrap());
            let time = time.map(jiff::Timestamp::as_microsecond);
            let micros = time.map_or("-".to_owned(), |time| format!("{time} us"));
            let millis = time.map_or("-".to_owned(), |time| format!("{} us", time / 1000 * 1000));
            let text = cell("text");
            vec![
                text.clone(),
                text.clone(),
                text,
                cell("device"),
                micros.clone(),
                micros,
                millis,
                cell("captured_at"),
                cell("split"),
                cell("session"),
                cell("spoken"),
                cell("weight"),
                "-".to_owned(),
            ]
        })
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn times_of_96_bits_reach_beyond_nanoseconds() {
    let mut file = open("int96.parquet", vec![wanted("captured_at", ColumnType::Time)]).unwrap();
    let (rows, _) = read(&mut file);
    let expected = ["-11676096000000000 us", "-", "1772439300000000 us", "253402300799999999 us"];
    assert_eq!(rows.concat(), expected);
}

/// Left at any row and opened again, a file gives the same rows.
#[test]
fn a_file_can_be_read_from_any_row() {
    let columns = || vec![wanted("text_large", ColumnType::Text), wanted("session", ColumnType::Scalar)];
    let (whole, _) = read(&mut open("talk.parquet", columns()).unwrap());
    for row in 0..=whole.len() + 1 {
        let mut file = open("talk.parquet", columns()).unwrap();
        file.seek(row as u64);
        assert_eq!(read(&mut file).0, whole[row.min(whole.len())..], "from row {row}");
    }
}

#[test]
fn columns_that_are_missing_or_hold_something_else() {
    let check = |name: &str, holds, expected: &str| {
        let error = open("talk.parquet", vec![wanted(name, holds)]).err().unwrap().to_string();
        assert_eq!(error, expected);
    };
    check(
        "say",
        ColumnType::Text,
        "there is no column `say`; the file has words, text, text_large, text_view, device, captured_at, at_us, at_ms, \
         at_text, split, session, spoken, weight, nothing, bytes",
    );
    check("words", ColumnType::Text, "column `words` holds lists; expected texts");
    check("session", ColumnType::Text, "column `session` holds whole numbers; expected texts");
    check(
        "bytes",
        ColumnType::Text,
        "column `bytes` holds bytes that are not marked as text; expected texts",
    );
    check("weight", ColumnType::Name, "column `weight` holds numbers; expected texts or whole numbers");
    check(
        "captured_at",
        ColumnType::Scalar,
        "column `captured_at` holds timestamps; expected texts, numbers, or true and false",
    );
    let time = "expected timestamps, or texts such as 2026-03-02T08:15:00Z (RFC 3339)";
    check("session", ColumnType::Time, &format!("column `session` holds whole numbers; {time}"));
    check("spoken", ColumnType::Time, &format!("column `spoken` holds true and false; {time}"));
}

#[test]
fn a_column_that_is_not_required_may_be_absent() {
    let absent = ColumnRequest { required: false, ..wanted("say", ColumnType::Text) };
    let (rows, _) =
        read(&mut open("talk.parquet", vec![absent.clone(), wanted("session", ColumnType::Name)]).unwrap());
    assert_eq!(rows[49], ["-", "-"]);
    assert_eq!(rows[48], ["-", "4"]);
    let (rows, _) = read(&mut open("talk.parquet", vec![absent]).unwrap());
    assert_eq!(rows.len(), 50);
}

#[test]
fn what_is_no_parquet_file() {
    let whole = std::fs::read(kept("talk.parquet")).unwrap();
    let check = |bytes: &[u8], expected: &str| {
        let error = ParquetText::from_bytes(bytes.to_vec(), all_columns()).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(b"", "empty (0 bytes)");
    check(b"PAR", "no Parquet file");
    check(b"{\"text\": \"a\"}", "no Parquet file");
    check(b"PAR1PAR1", "cut off");
    check(b"PAR1\0\0\0\0PAR1", "damaged");
    check(b"PAR1\xff\xff\xff\xffPAR1", "damaged");
    check(&[b"PARE", &whole[4..]].concat(), "encrypted");
    check(&[&whole[..whole.len() - 4], b"PARE"].concat(), "encrypted");
    let message = |path: &Path| ParquetText::open(path, all_columns()).err().unwrap().to_string();
    assert_eq!(message(&kept("absent.parquet")), "the file does not exist");
    assert!(message(&kept("")).contains("this is a folder"));
}

/// Whatever the bytes are: rows that were given and rows that were lost are together those that the footer states.
fn survives(bytes: Vec<u8>) -> bool {
    let Ok(mut file) = ParquetText::from_bytes(bytes, all_columns()) else { return false };
    if file.rows() > 100_000 {
        return true;
    }
    let (rows, lost) = read(&mut file);
    assert_eq!(rows.len() as u64 + lost.iter().map(|(rows, _)| rows).sum::<u64>(), file.rows());
    true
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    let whole = std::fs::read(kept("talk.parquet")).unwrap();
    for length in 0..whole.len() {
        assert!(!survives(whole[..length].to_vec()), "cut off after {length} bytes");
    }
    assert!(survives(whole));
}

#[test]
fn any_one_byte_may_be_wrong() {
    let whole = std::fs::read(kept("talk.parquet")).unwrap();
    for at in 0..whole.len() {
        for change in [0xff, 0x01] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            survives(bytes);
        }
    }
}

/// Damage to the pages of one row group leaves the others, and their numbers.
#[test]
fn a_damaged_row_group_is_lost_alone() {
    let mut bytes = std::fs::read(kept("talk.parquet")).unwrap();
    let (whole, _) = read(&mut ParquetText::from_bytes(bytes.clone(), all_columns()).unwrap());
    // Column `text` of the second row group.
    bytes[2784..3082].fill(0);
    let mut file = ParquetText::from_bytes(bytes, all_columns()).unwrap();
    let (rows, lost) = read(&mut file);
    assert_eq!(rows, [&whole[..20], &whole[40..]].concat());
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].0, 20);
    assert!(
        lost[0].1.starts_with("row group 2 of the Parquet file cannot be read further: "),
        "{}",
        lost[0].1
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_may_be_wrong(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40), footer in any::<bool>()) {
        let mut bytes = std::fs::read(kept("talk.parquet")).unwrap();
        let from = if footer { bytes.len() - 7000 } else { 4 };
        for (at, byte) in changes {
            let place = from + at.index(bytes.len() - from);
            bytes[place] = byte;
        }
        survives(bytes);
    }

    #[test]
    fn any_bytes_between_the_marks(between in prop::collection::vec(any::<u8>(), 0..300)) {
        let length = (between.len() as u32).to_le_bytes();
        survives([b"PAR1", &between[..], &length, b"PAR1"].concat());
    }
}

/// Whatever other programs compress with is read.
#[test]
fn every_compression_is_read() {
    let texts: Vec<String> = (0..500).map(|n| format!("a text that is much like the others, {n}")).collect();
    let column: arrow::array::ArrayRef = std::sync::Arc::new(arrow::array::StringArray::from(texts.clone()));
    let rows = arrow::array::RecordBatch::try_from_iter([("text", column)]).unwrap();
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(parquet::basic::GzipLevel::default()),
        Compression::BROTLI(parquet::basic::BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(parquet::basic::ZstdLevel::default()),
    ] {
        let properties = WriterProperties::builder().set_compression(compression).build();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        let mut file = ParquetText::from_bytes(bytes, vec![wanted("text", ColumnType::Text)]).unwrap();
        let (read, lost) = read(&mut file);
        assert!(lost.is_empty(), "{compression:?}: {lost:?}");
        assert_eq!(read.concat(), texts, "{compression:?}");
    }
}
