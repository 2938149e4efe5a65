//! The retention of rejected rows: how long, and how many bytes of them.
//!
//! In: the files of a quarantine, oldest first. Out: those that are let go. The age of a file is that of its last write, by the clock of this
//! machine: what is rejected is no result of a pipeline, and the times in its rows may be wrong. It must not know what a row holds.

use std::fmt;
use std::time::{Duration, SystemTime};

use headwater_contract::units::Bytes;
use headwater_vault::EndedFile;

/// The limits of a quarantine; none where nothing is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Days since a file was written last.
    pub days: Option<u32>,
    /// Bytes of all files that get no more.
    pub bytes: Option<Bytes>,
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.days.map(|days| format!("{days} days"));
        let bytes = self.bytes.map(|bytes| bytes.to_string());
        let limits: Vec<String> = days.into_iter().chain(bytes).collect();
        write!(f, "the limit is {}", limits.join(", or "))
    }
}

impl Retention {
    /// The numbers of the files that are older than is kept, and of the oldest beyond the bytes that are.
    pub(super) fn gone(self, files: &[EndedFile], now: SystemTime) -> Vec<u64> {
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let mut gone = Vec::new();
        for file in files {
            if self.is_too_old(file, now) || self.bytes.is_some_and(|Bytes(most)| bytes > most) {
                bytes -= file.bytes;
                gone.push(file.number);
            }
        }
        gone
    }

    fn is_too_old(self, file: &EndedFile, now: SystemTime) -> bool {
        let written = std::fs::metadata(&file.path).and_then(|meta| meta.modified()).ok();
        let age = written.and_then(|written| now.duration_since(written).ok());
        let most = self.days.map(|days| Duration::from_hours(24 * u64::from(days)));
        age.zip(most).is_some_and(|(age, most)| age > most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_files_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        // Days since each was written, and its bytes.
        let check = |files: &[(u64, u64)], days: Option<u32>, bytes: Option<u64>, expected: &[u64]| {
            let of = |(number, (days, bytes)): (u64, &(u64, u64))| {
                let path = folder.path().join(number.to_string());
                let file = std::fs::File::create(&path).unwrap();
                file.set_modified(now - Duration::from_hours(24 * days)).unwrap();
                EndedFile { number, path, bytes: *bytes }
            };
            let files: Vec<EndedFile> = (1..).zip(files).map(of).collect();
            let gone = Retention { days, bytes: bytes.map(Bytes) }.gone(&files, now);
            assert_eq!(gone, expected, "{files:?}, {days:?} days, {bytes:?} bytes");
        };
        let files = [(100, 5), (50, 7), (20, 9), (0, 3)];
        check(&files, None, None, &[]);
        check(&files, Some(90), None, &[1]);
        check(&files, Some(30), None, &[1, 2]);
        check(&files, None, Some(24), &[]);
        check(&files, None, Some(23), &[1]);
        check(&files, None, Some(3), &[1, 2, 3]);
        check(&files, Some(90), Some(12), &[1, 2]);
        check(&files, Some(30), Some(1000), &[1, 2]);
        check(&[(2, 10), (100, 1)], Some(90), None, &[2]);
        check(&[], Some(1), Some(0), &[]);
    }
}
