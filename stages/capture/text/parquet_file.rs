//! The rows of a Parquet file as utterances: the n-th row is what the n-th line of a JSON lines text would be.
//!
//! A row group whose pages are damaged is rejected once, from the first row that it lacks, and the next one is read.

use std::path::Path;

use headwater_contract::{Result, StageError};
use headwater_datasets::dataset::check;
use headwater_datasets::parquet_text::{
    Cell, Cells, ColumnRequest, ColumnType, Next, ParquetText, ParquetTextError, Rows,
};

use super::super::file_ledger::Note;
use super::super::lines::LONGEST;
use super::super::recordings;
use super::super::utterance::{self, Place, PrefixDigest, Rejection, Tally, Utterance, Utterances};
use super::{Column, Columns, Fields, NAMED, RecordError, UtteranceBuilder, When};

/// Opens a Parquet file and sees whether it has the columns.
///
/// # Errors
/// It is not there, is damaged, or a column is missing or holds something else.
pub fn open_parquet(path: &Path, columns: &Columns) -> Result<ParquetText> {
    let column = |column: &Column, holds| ColumnRequest {
        name: column.name.clone(),
        holds,
        required: column.required,
    };
    let needed = |name: &String, holds| ColumnRequest { name: name.clone(), holds, required: true };
    let mut wanted =
        vec![needed(&columns.text, ColumnType::Text), column(&columns.captured_at, ColumnType::Time)];
    wanted.extend(columns.kept.iter().map(|name| needed(name, ColumnType::Scalar)));
    wanted.extend(columns.device.as_ref().map(|device| column(device, ColumnType::Name)));
    ParquetText::open(path, wanted).map_err(|error| {
        let failure = StageError::new(format!("`{}`: {error}", path.display()));
        match error {
            ParquetTextError::Missing => recordings::absent(path),
            ParquetTextError::NoColumn { .. } | ParquetTextError::WrongType { .. } => failure.help(NAMED),
            _ => failure,
        }
    })
}

/// The first bytes of the SHA-256 of a Parquet file. It is written once, from its end: what was read before a place can only be known
/// by the whole.
///
/// # Errors
/// It cannot be read.
pub fn parquet_content(path: &Path) -> Result<PrefixDigest> {
    let failed = |error| StageError::new(format!("`{}`: {error}", path.display()));
    Ok(utterance::first(&check::digest(path).map_err(failed)?))
}

/// The utterances of one Parquet file.
pub struct ParquetRecordReader {
    file: ParquetText,
    content: PrefixDigest,
    builder: UtteranceBuilder,
    /// The rows at hand, and how many of them were given.
    rows: Rows,
    taken: usize,
    /// The number of the row that comes next: all before it were given or are lost.
    next: u64,
    tally: Tally,
}

impl ParquetRecordReader {
    /// Reads on in a file of which `given` rows were read before.
    pub fn new(
        mut file: ParquetText,
        builder: UtteranceBuilder,
        place: Place,
        content: PrefixDigest,
    ) -> Self {
        let given = place.items;
        file.seek(given);
        let rows = Rows { count: 0, columns: Vec::new() };
        Self { file, content, builder, rows, taken: 0, next: given, tally: Tally::default() }
    }

    /// The fields of one of the rows at hand. The order of the columns is that of [`open_parquet`].
    fn fields(&self, row: usize) -> std::result::Result<Fields, RecordError> {
        let mut cells = self.rows.columns.iter().map(|column: &Cells| column.cell(row));
        let mut next = || cells.next().flatten();
        let (text, captured_at) = (next(), next());
        let kept: Vec<_> = self.builder.columns.kept.iter().map(|_| next()).collect();
        let device = next();
        let all = kept.iter().chain([&text, &captured_at, &device]).flatten();
        let bytes: usize = all.map(length).sum();
        if bytes > LONGEST {
            return Err(("row_too_long", format!("its texts have more than {LONGEST} bytes")));
        }
        Ok(Fields {
            text: text.map(written),
            device: device.map(written),
            captured_at: captured_at.map(|cell| match cell {
                Cell::Text(text) => When::ModificationTimes(text.to_owned()),
                Cell::Time(micros) => When::Micros(micros),
            }),
            kept: kept.into_iter().map(|cell| cell.map(written).unwrap_or_default()).collect(),
        })
    }

    /// Rejects what stands at these rows, and continues behind them.
    fn reject(&mut self, place: &str, rows: u64, error: RecordError) -> Rejection {
        let rejected = self.builder.rejected(self.next, 0, place, error);
        self.next = self.next.saturating_add(rows);
        self.tally.inputs += rows;
        self.tally.rejected += rows;
        rejected
    }
}

impl Iterator for ParquetRecordReader {
    type Item = std::result::Result<Utterance, Rejection>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.taken == self.rows.count {
            match self.file.next_rows() {
                Next::End => return None,
                Next::Rows(rows) => (self.rows, self.taken) = (rows, 0),
                Next::Lost { rows, reason } => {
                    let (first, last) = (self.next + 1, self.next.saturating_add(rows));
                    let what = format!("{reason}; {rows} rows are lost");
                    let place = format!(": rows {first} to {last}");
                    return Some(Err(self.reject(&place, rows, ("rows_unreadable", what))));
                }
            }
        }
        let row = self.taken;
        self.taken += 1;
        let taken = self.fields(row).and_then(|fields| self.builder.utterance(fields, self.next, 0));
        Some(match taken {
            Ok(utterance) => {
                self.next += 1;
                self.tally.inputs += 1;
                Ok(utterance)
            }
            Err(error) => Err(self.reject(&format!(": row {}", self.next + 1), 1, error)),
        })
    }
}

impl Utterances for ParquetRecordReader {
    fn place(&self) -> Place {
        Place { file: self.builder.number, items: self.next, before: Some(self.content), ..Place::default() }
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn note(&mut self) -> Option<Note> {
        self.builder.dates.note()
    }
}

fn length(cell: &Cell<'_>) -> usize {
    match cell {
        Cell::Text(text) => text.len(),
        Cell::Time(_) => 0,
    }
}

/// The text of a cell of a column that holds no times.
fn written(cell: Cell<'_>) -> String {
    match cell {
        Cell::Text(text) => text.to_owned(),
        Cell::Time(micros) => micros.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringViewArray};
    use arrow::datatypes::TimeUnit;

    use super::super::dates::Dates;
    use super::*;

    /// Cells that no kept file has: as many bytes as a line may have and one more, and times beyond the calendar.
    #[test]
    fn cells_that_are_too_long_or_too_late() {
        let column = |name: &str| Column { name: name.to_owned(), required: false };
        let columns = Columns {
            text: "text".to_owned(),
            device: None,
            captured_at: column("captured_at"),
            kept: vec!["split".to_owned()],
            times: super::super::times::Times::default(),
        };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/tests/parquet/talk.parquet");
        let file = open_parquet(&path, &columns).unwrap();
        let (device, dates) = (Arc::from("home"), Dates::Numbered);
        let builder =
            UtteranceBuilder { columns, name: "t".to_owned(), file: None, number: 0, device, dates };
        let mut reading = ParquetRecordReader::new(file, builder, Place::default(), PrefixDigest::default());
        let texts = [LONGEST - 5, LONGEST - 4, 0, 0].map(|length| "x".repeat(length));
        reading.rows = Rows {
            count: 4,
            columns: vec![
                Cells::Texts(StringViewArray::from_iter_values(texts)),
                Cells::Times(TimeUnit::Second, Int64Array::from(vec![7, 7, i64::MAX, i64::MIN])),
                Cells::Texts(StringViewArray::from_iter_values(["split"; 4])),
            ],
        };
        let rows: Vec<String> = reading
            .take(4)
            .map(|row| match row {
                Ok(utterance) => format!("{} {}", utterance.seq, utterance.captured_at.0),
                Err(rejected) => format!("{} {} {}", rejected.seq, rejected.code, rejected.reason),
            })
            .collect();
        assert_eq!(
            rows,
            [
                "0 7000000",
                "1 row_too_long t: row 2: its texts have more than 1048576 bytes",
                "2 bad_time t: row 3: `captured_at` must be a time before the year 10000",
                "3 bad_time t: row 4: `captured_at` must be a time before the year 10000",
            ]
        );
    }
}
