//! Ranges of bytes of an open file go out, each in one read. Knows no format.
//! Weights are read where they are needed instead of being mapped: mapping needs unsafe code, and a mapped file that
//! someone truncates kills the process.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A file that is read at several places, from several threads.
#[derive(Debug)]
pub struct Bytes {
    file: Mutex<File>,
    len: u64,
}

impl Bytes {
    /// Opens a file. A folder is an error.
    pub fn open(path: &Path) -> io::Result<Bytes> {
        let file = File::open(path)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
        }
        Ok(Bytes { len: about.len(), file: Mutex::new(file) })
    }

    /// Bytes in all, when the file was opened.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns true if the file was empty when it was opened.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads `len` bytes from `start`. A range beyond the end is an error before anything is allocated.
    pub fn read(&self, start: u64, len: usize) -> io::Result<Vec<u8>> {
        let end = u64::try_from(len).ok().and_then(|len| start.checked_add(len));
        if end.is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; len];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The first bytes, at most so many.
    pub fn first(&self, most: usize) -> io::Result<Vec<u8>> {
        self.read(0, usize::try_from(self.len).map_or(most, |len| len.min(most)))
    }

    /// Reads from the start with a reader of the caller's, which holds the file meanwhile.
    pub fn from_start<T>(&self, with: impl FnOnce(&mut dyn Read, u64) -> T) -> io::Result<T> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(0))?;
        let mut reader = io::BufReader::with_capacity(1 << 16, &mut *file);
        Ok(with(&mut reader, self.len))
    }
}
