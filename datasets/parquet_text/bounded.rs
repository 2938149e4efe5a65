//! A file that gives no byte beyond its end. In: places and lengths that a footer claims. Out: bytes, or an error before
//! memory is allocated for what is not there. It knows only the four bytes at the ends of a Parquet file.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::error::ParquetTextError;

/// A source of bytes with a known length.
#[derive(Clone)]
pub struct Bounded {
    bytes: Origin,
    length: u64,
}

#[derive(Clone)]
enum Origin {
    File(Arc<File>),
    Memory(Bytes),
}

impl Bounded {
    /// Opens a file; its length is what it is now.
    pub fn open(path: &Path) -> Result<Self, ParquetTextError> {
        let file = crate::regular::open(path).map_err(ParquetTextError::from_io)?;
        let meta = file.metadata().map_err(ParquetTextError::from_io)?;
        Ok(Self { length: meta.len(), bytes: Origin::File(Arc::new(file)) })
    }

    /// Bytes that are in memory.
    pub fn of_bytes(bytes: Vec<u8>) -> Self {
        Self { length: bytes.len() as u64, bytes: Origin::Memory(bytes.into()) }
    }

    /// Looks at the first and the last four bytes, which tell what was cut off and what was never Parquet.
    pub fn sniff(&self) -> Result<(), ParquetTextError> {
        const LEAST: u64 = 12;
        if self.length == 0 {
            return Err(ParquetTextError::Empty);
        }
        let four = |at: u64| -> io::Result<[u8; 4]> {
            let mut four = [0; 4];
            self.reader_at(at)?.read_exact(&mut four)?;
            Ok(four)
        };
        let head = four(0).unwrap_or_default();
        if &head == b"PARE" {
            return Err(ParquetTextError::Encrypted);
        }
        if &head != b"PAR1" {
            return Err(ParquetTextError::NotParquet);
        }
        if self.length < LEAST {
            return Err(ParquetTextError::CutOff);
        }
        match &four(self.length - 4).map_err(ParquetTextError::from_io)? {
            b"PAR1" => Ok(()),
            b"PARE" => Err(ParquetTextError::Encrypted),
            _ => Err(ParquetTextError::CutOff),
        }
    }

    fn reader_at(&self, start: u64) -> io::Result<Box<dyn Read>> {
        Ok(match &self.bytes {
            Origin::File(file) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(start))?;
                Box::new(BufReader::new(file))
            }
            Origin::Memory(bytes) => {
                let mut cursor = Cursor::new(bytes.clone());
                cursor.set_position(start);
                Box::new(cursor)
            }
        })
    }
}

impl Length for Bounded {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Bounded {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.reader_at(start)?)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF("it names bytes beyond its end".to_owned()));
        }
        let mut bytes = vec![0; length];
        self.reader_at(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}
