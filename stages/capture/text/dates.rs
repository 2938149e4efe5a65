//! When records were captured that do not say so.
//!
//! In: a text file that may grow. Out: for each of its bytes when it was written, as near as is known: what there was at one look has
//! the time that the file gave then. What was found is remembered with the intake, so that a later attempt gives a record the same time.
//! What is read again elsewhere, such as the standard input, is dated by its number. It must not know what a record is.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, BinaryArray};
use headwater_contract::prelude::*;
use headwater_contract::units::Micros;
use jiff::tz::TimeZone;

use super::super::file_ledger::Note;
use super::super::stamp;

/// The times of one text.
pub enum Dates {
    /// A record's number is its time: microseconds since 1970.
    Numbered,
    /// Of a file.
    ModificationTimes(ModificationTimes),
}

/// The modification times that polls of a file found.
pub struct ModificationTimes {
    path: PathBuf,
    /// Under what its looks are remembered.
    key: Vec<u8>,
    /// The zone of a time in its name.
    zone: TimeZone,
    /// So many bytes there were, and the time that the file gave; both grow.
    times: Vec<(u64, Micros)>,
    /// True if the last look is not remembered yet.
    fresh: bool,
}

impl Dates {
    /// Those of a file of which earlier attempts read so many bytes and remembered a row, to be remembered under a key.
    ///
    /// # Errors
    /// What is remembered is of another version.
    pub fn of_file(
        path: &Path,
        key: Vec<u8>,
        saved: Option<&RecordBatch>,
        read: u64,
        zone: TimeZone,
    ) -> Result<Self> {
        let mut times = saved.map_or(Ok(Vec::new()), of_row)?;
        // Of what was read nothing comes again; of the rest every record has the time that it had.
        times.retain(|(bytes, _)| *bytes > read);
        Ok(Self::ModificationTimes(ModificationTimes {
            path: path.to_owned(),
            key,
            zone,
            times,
            fresh: false,
        }))
    }

    /// The time of the record of this number that begins at this byte.
    pub fn of(&mut self, number: u64, byte: u64) -> Micros {
        match self {
            Self::Numbered => Micros(i64::try_from(number).unwrap_or(i64::MAX)),
            Self::ModificationTimes(written) => written.at(byte),
        }
    }

    /// The note to be remembered.
    pub fn note(&mut self) -> Option<Note> {
        let Self::ModificationTimes(written) = self else { return None };
        std::mem::take(&mut written.fresh).then(|| to_row(&written.key, &written.times)).flatten()
    }
}

impl ModificationTimes {
    fn at(&mut self, byte: u64) -> Micros {
        let known =
            |times: &[(u64, Micros)]| times.iter().find(|(bytes, _)| byte < *bytes).map(|(_, at)| *at);
        if let Some(at) = known(&self.times) {
            return at;
        }
        let bytes = fs::metadata(&self.path).map_or(0, |meta| meta.len()).max(byte.saturating_add(1));
        let at = stamp::captured_at(&self.path, &self.zone);
        self.times.push((bytes, at));
        self.fresh = true;
        at
    }
}

fn to_row(key: &[u8], times: &[(u64, Micros)]) -> Option<Note> {
    let bytes: Vec<u8> =
        times.iter().flat_map(|(bytes, at)| [bytes.to_le_bytes(), at.0.to_le_bytes()]).flatten().collect();
    let column: ArrayRef = Arc::new(BinaryArray::from_vec(vec![&bytes]));
    Some((key.to_vec(), RecordBatch::try_from_iter([("looks", column)]).ok()?))
}

fn of_row(row: &RecordBatch) -> Result<Vec<(u64, Micros)>> {
    let read = || {
        let column =
            row.column_by_name("looks")?.as_binary_opt::<i32>().filter(|column| column.len() == 1)?;
        let (times, []) = column.value(0).as_chunks::<16>() else { return None };
        let poll = |poll: &[u8; 16]| {
            let (bytes, at) = poll.split_first_chunk::<8>()?;
            Some((u64::from_le_bytes(*bytes), Micros(i64::from_le_bytes(at.try_into().ok()?))))
        };
        times.iter().map(poll).collect()
    };
    read().ok_or_else(|| {
        StageError::new("the remembered times of the text are of another version")
            .help("begin again: run --fresh")
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::{Duration, UNIX_EPOCH};

    use headwater_contract::StateTable;
    use headwater_contract::state::Change;

    use super::*;

    struct Text(tempfile::TempDir);

    impl Text {
        fn path(&self) -> PathBuf {
            self.0.path().join("x.jsonl")
        }

        /// Appends so many bytes, at this second.
        fn grow(&self, bytes: usize, second: u64) {
            let mut file = fs::File::options().create(true).append(true).open(self.path()).unwrap();
            file.write_all(&vec![b'x'; bytes]).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(second)).unwrap();
        }

        /// The seconds of some bytes in an attempt that begins at the first of them.
        fn seconds(&self, saved: &mut StateTable, bytes: &[u64]) -> Vec<i64> {
            let mut dates =
                Dates::of_file(&self.path(), b"d".to_vec(), saved.get(b"d"), bytes[0], TimeZone::UTC)
                    .unwrap();
            let found = bytes.iter().map(|byte| dates.of(0, *byte).0 / 1_000_000).collect();
            while let Some((key, row)) = dates.note() {
                saved.apply(vec![Change { key, row: Some((Owner::everyone(), row)) }]);
            }
            found
        }
    }

    #[test]
    fn a_byte_keeps_the_time_of_the_first_look_at_it() {
        let text = Text(tempfile::tempdir().unwrap());
        let mut saved = StateTable::default();
        text.grow(10, 7);
        assert_eq!(text.seconds(&mut saved, &[0, 5]), [7, 7]);
        text.grow(10, 8);
        assert_eq!(text.seconds(&mut saved, &[0, 9, 10, 19]), [7, 7, 8, 8]);
        text.grow(10, 9);
        assert_eq!(text.seconds(&mut saved, &[0, 10, 20]), [7, 8, 9]);
        // What was read is let go, the rest is not.
        assert_eq!(text.seconds(&mut saved, &[10, 25]), [8, 9]);
        text.grow(1, 10);
        assert_eq!(text.seconds(&mut saved, &[20, 30]), [9, 10]);
        assert_eq!(saved.iter().map(|(_, row)| of_row(row).unwrap().len()).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn numbers_are_times_where_nothing_is_a_file() {
        assert_eq!(Dates::Numbered.of(1_772_439_300_000_000, 5), Micros(1_772_439_300_000_000));
        assert!(Dates::Numbered.note().is_none());
        let other = RecordBatch::new_empty(Arc::new(Schema::empty()));
        assert!(of_row(&other).is_err());
    }
}
