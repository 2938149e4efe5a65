//! The table of members as plain Parquet.
//!
//! In: the path of the file and the columns that count. Out: what each row states of a device, or what is wrong, with the
//! number of the row. A damaged file is an answer, never a panic. It must not know timely.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use crate::caught;

use super::super::members::{CONSENT, DEVICE, Mistake, Stated, wrong_columns};
use super::{NOWHERE, Read};

/// The rows of a table. `columns` are those that count where they are there; `asked` must be there.
pub(super) fn rows(path: &Path, columns: &[String], asked: &[&str]) -> Read {
    let read = || read(path, columns, asked);
    caught::read(read).unwrap_or_else(|_| Err(broken("it contradicts itself")))
}

fn broken(why: impl std::fmt::Display) -> Vec<Mistake<u64>> {
    vec![Mistake::new("H0001", format!("the Parquet file cannot be read: {why}"), NOWHERE)]
}

fn read(path: &Path, columns: &[String], asked: &[&str]) -> Read {
    let file = File::open(path).map_err(broken)?;
    // What the writer's Arrow called a column counts for nothing: dictionaries and views of texts are stored as texts.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(broken)?;
    let names: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    let wanted: Vec<&str> = std::iter::once(DEVICE).chain(asked.iter().copied()).collect();
    let there: Vec<&str> = names.iter().map(String::as_str).collect();
    let places: Vec<(&str, u64)> = there.iter().map(|name| (*name, NOWHERE)).collect();
    let mut wrong = wrong_columns(columns, &wanted, &places, &NOWHERE);
    let counts =
        |name: &str| name == DEVICE || name == CONSENT || columns.iter().any(|column| column == name);
    for (at, name) in there.iter().enumerate() {
        if counts(name) && there.iter().take(at).any(|before| before == name) {
            wrong.push(Mistake::new("H0002", format!("the column `{name}` stands twice"), NOWHERE));
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let counting = (0..there.len()).filter(|at| there.get(*at).is_some_and(|name| counts(name)));
    let mask = ProjectionMask::roots(builder.parquet_schema(), counting);
    let mut stated = Vec::new();
    for batch in builder.with_projection(mask).build().map_err(broken)? {
        state(&batch.map_err(broken)?, &wanted, &mut stated)?;
    }
    Ok(stated)
}

/// Adds what the rows of a batch state.
fn state(
    batch: &RecordBatch,
    wanted: &[&str],
    stated: &mut Vec<Stated<u64>>,
) -> Result<(), Vec<Mistake<u64>>> {
    let schema = batch.schema();
    let mut columns = Vec::new();
    let mut wrong = Vec::new();
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        let name = field.name().as_str();
        let fits = holds_text(array) || (name == CONSENT && array.as_boolean_opt().is_some());
        if fits {
            columns.push((name, array));
        } else if name == CONSENT || wanted.contains(&name) {
            let error =
                Mistake::new("H0005", format!("the column `{name}` is {}", array.data_type()), NOWHERE);
            wrong.push(error.expected(if name == CONSENT { "texts, or true and false" } else { "texts" }));
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    for row in 0..batch.num_rows() {
        let place = stated.len() as u64 + 1;
        let mut said = Stated { device: String::new(), place, cells: Vec::new() };
        for (name, array) in &columns {
            let word = word(array, row);
            if *name == DEVICE {
                said.device = word;
            } else {
                said.cells.push(((*name).to_owned(), word, place));
            }
        }
        stated.push(said);
    }
    Ok(())
}

fn holds_text(array: &ArrayRef) -> bool {
    array.as_string_opt::<i32>().is_some()
}

/// Returns the text of a cell; nothing where it is null.
fn word(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return String::new();
    }
    let text = array.as_string_opt::<i32>().map(|texts| texts.value(row).trim().to_owned());
    let switch = || array.as_boolean_opt().map(|switches| switches.value(row).to_string());
    text.or_else(switch).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, DictionaryArray, Int64Array, LargeStringArray, StringArray};
    use arrow::datatypes::Int32Type;
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    }

    fn mistakes(bytes: &[u8]) -> Vec<(u64, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("members.parquet");
        std::fs::write(&path, bytes).unwrap();
        let said = |s: Stated<u64>| {
            let cells: Vec<String> =
                s.cells.into_iter().map(|(name, word, _)| format!("{name}={word}")).collect();
            (s.place, format!("{} {}", s.device, cells.join(" ")))
        };
        match rows(&path, &["gateway".into(), "region".into()], &["region"]) {
            Ok(stated) => stated.into_iter().map(said).collect(),
            Err(wrong) => wrong.into_iter().map(|m| (m.place, m.message)).collect(),
        }
    }

    fn texts(words: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(words.to_vec()))
    }

    #[test]
    fn rows_are_read_in_every_form_of_text() {
        let check = |region: ArrayRef, consent: ArrayRef, expected: [&str; 2]| {
            let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
            let device = texts(&[Some("a"), Some(" b ")]);
            let bytes = parquet(vec![
                ("device", device),
                ("room", numbers),
                ("region", region),
                ("consent", consent),
            ]);
            let expected: Vec<_> = (1u64..).zip(expected.map(str::to_owned)).collect();
            assert_eq!(mistakes(&bytes), expected);
        };
        let words = texts(&[Some("yes"), Some("no")]);
        check(
            texts(&[Some("n"), Some("s")]),
            words.clone(),
            ["a region=n consent=yes", "b region=s consent=no"],
        );
        let dictionary: DictionaryArray<Int32Type> = vec!["n", "n"].into_iter().collect();
        let switches: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None]));
        check(Arc::new(dictionary), switches, ["a region=n consent=true", "b region=n consent="]);
        let large: ArrayRef = Arc::new(LargeStringArray::from(vec![Some("n"), None]));
        check(large, words, ["a region=n consent=yes", "b region= consent=no"]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let check = |bytes: &[u8], expected: &str| {
            let found = mistakes(bytes);
            assert!(
                found.iter().any(|(place, what)| *place == NOWHERE && what.contains(expected)),
                "{found:?}"
            );
        };
        let device = || texts(&[Some("a")]);
        let number: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        check(&parquet(vec![("device", device())]), "no column `region`");
        check(
            &parquet(vec![("device", device()), ("region", number.clone())]),
            "the column `region` is Int64",
        );
        check(
            &parquet(vec![("device", device()), ("region", device()), ("consent", number)]),
            "the column `consent` is Int64",
        );
        let twice = vec![("device", device()), ("region", device()), ("region", device())];
        check(&parquet(twice), "the column `region` stands twice");
        for name in ["Consent", "consent ", "consents", "consent_given"] {
            let columns = vec![("device", device()), ("region", device()), (name, device())];
            check(&parquet(columns), &format!("the column `{name}` would be ignored"));
        }
        let whole = parquet(vec![("device", device()), ("region", device())]);
        check(b"", "cannot be read");
        check(b"device,region", "cannot be read");
        check(&whole[..whole.len() - 5], "cannot be read");
        let mut damaged = whole.clone();
        damaged[4..60].fill(0xAA);
        check(&damaged, "cannot be read");
    }
}
