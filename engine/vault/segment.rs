//! Segments: sealed, immutable Parquet files with modular encryption (uniform, one AES-256 footer key, no
//! AAD prefix), as pyarrow and DuckDB read them with the key. In: the rows of one device. Out: bytes and their
//! seal, and back. It knows nothing of folders and keystores. See docs/formats/store.md.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::max;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::ColumnPath;

use crate::disk::{Disk, DiskReader};
use crate::durable;
use crate::keystore::SegmentSeal;
use crate::secret::{self, Key};
use crate::{Error, Result};

/// Rows of one row group, and the most bytes of one. A column chunk is one page (see below), and a page is
/// decrypted whole, so this bounds a reader's memory.
const ROW_GROUP_ROWS: usize = 16 * 1024;
const ROW_GROUP_BYTES: usize = 16 * 1024 * 1024;
/// Rows of a batch when reading.
const READ_ROWS: usize = 4 * 1024;

/// The compression level of zstd: 1 (fast) to 22 (small).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Level(ZstdLevel);

impl Level {
    /// The level, or `None` outside 1 to 22.
    pub fn new(level: i32) -> Option<Level> {
        ZstdLevel::try_new(level).ok().map(Level)
    }
}

/// Encodes and encrypts rows under a fresh key. `name` goes into the file as the key's public metadata.
pub(crate) fn encode(
    rows: &RecordBatch,
    name: &str,
    level: Level,
    path: &Path,
) -> Result<(Vec<u8>, SegmentSeal)> {
    let key = Key::random()?;
    let encryption = FileEncryptionProperties::builder(key.expose().to_vec())
        .with_footer_key_metadata(name.as_bytes().to_vec())
        .build()
        .map_err(Error::rows("encode", path))?;
    let properties = properties(level).with_file_encryption_properties(encryption).build();
    let bytes = encode_with(rows, properties).map_err(Error::rows("encode", path))?;
    let digest = secret::digest(&[&bytes]);
    let newest = newest_of(rows);
    let seal = SegmentSeal { key, length: bytes.len() as u64, digest, rows: rows.num_rows() as u64, newest };
    Ok((bytes, seal))
}

/// The latest capture time of some rows, in microseconds since 1970.
pub(crate) fn newest_of(rows: &RecordBatch) -> Option<i64> {
    let captured = rows.column_by_name("captured_at")?;
    captured.as_primitive_opt::<TimestampMicrosecondType>().and_then(max)
}

/// The same Parquet without encryption: for export in the clear, and to compare with.
pub fn encode_clear(rows: &RecordBatch, level: Level) -> parquet::errors::Result<Vec<u8>> {
    encode_with(rows, properties(level).build())
}

/// Writes rows of one schema as Parquet without encryption, batch by batch; returns how many.
pub fn write_clear(
    schema: &SchemaRef,
    rows: impl Iterator<Item = Result<RecordBatch>>,
    level: Level,
    out: impl std::io::Write + Send,
    path: &Path,
) -> Result<u64> {
    let fail = || Error::rows("encode", path);
    let properties = properties(level).build();
    let mut writer =
        ArrowWriter::try_new(out, Arc::clone(schema), Some(properties)).map_err(|e| fail()(e))?;
    let mut count = 0;
    for batch in rows {
        let batch = batch?;
        writer.write(&batch).map_err(|e| fail()(e))?;
        count += batch.num_rows() as u64;
    }
    writer.close().map_err(|e| fail()(e))?;
    Ok(count)
}

fn encode_with(rows: &RecordBatch, properties: WriterProperties) -> parquet::errors::Result<Vec<u8>> {
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties))?;
    writer.write(rows)?;
    writer.into_inner()
}

/// One page (and no fallback from a dictionary) for each column chunk: DuckDB up to 2.0 counts the pages of an
/// encrypted chunk wrongly after the first one and refuses the file. The dictionary is worth it only where the
/// values repeat.
pub(crate) fn properties(level: Level) -> parquet::file::properties::WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(level.0))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_data_page_size_limit(usize::MAX)
        .set_data_page_row_count_limit(usize::MAX)
        .set_dictionary_page_size_limit(usize::MAX)
        .set_dictionary_enabled(false)
        .set_column_dictionary_enabled(ColumnPath::from("device"), true)
        .set_column_dictionary_enabled(ColumnPath::from("source"), true)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
}

/// The batches of one segment, in order.
pub struct SegmentReader {
    path: PathBuf,
    file_schema: SchemaRef,
    inner: ParquetRecordBatchReader,
}

impl SegmentReader {
    /// Reads the whole file and compares it with its seal; the rows come from the bytes that were compared.
    pub(crate) fn open(disk: &dyn Disk, path: &Path, seal: &SegmentSeal) -> Result<SegmentReader> {
        let file = open_file(disk, path)?;
        let bytes = durable::read_all(&*file, path)?;
        check_length(path, bytes.len() as u64, seal)?;
        if !secret::equal(&secret::digest(&[&bytes]), &seal.digest) {
            return Err(Error::damaged(path, "its bytes are not those that were sealed"));
        }
        SegmentReader::over(path, Bytes::from(bytes), seal, |_| Ok(ProjectionMask::all()))
    }

    /// Reads only those of the named columns that the file has. Each part that is read is authenticated by its own tag; the
    /// rest of the file is not read.
    pub(crate) fn open_columns(
        disk: &dyn Disk,
        path: &Path,
        seal: &SegmentSeal,
        columns: &[&str],
    ) -> Result<SegmentReader> {
        let file: Arc<dyn DiskReader> = Arc::from(open_file(disk, path)?);
        let length = file.length().map_err(Error::io("inspect", path))?;
        check_length(path, length, seal)?;
        SegmentReader::over(path, Chunks { file, length }, seal, |metadata| {
            let schema = metadata.schema();
            let roots = columns.iter().filter_map(|name| schema.index_of(name).ok());
            Ok(ProjectionMask::roots(metadata.parquet_schema(), roots))
        })
    }

    fn over<T: ChunkReader + 'static>(
        path: &Path,
        input: T,
        seal: &SegmentSeal,
        project: impl FnOnce(&ArrowReaderMetadata) -> Result<ProjectionMask>,
    ) -> Result<SegmentReader> {
        let decode = || Error::rows("decode", path);
        let decryption =
            FileDecryptionProperties::builder(seal.key.expose().to_vec()).build().map_err(|e| decode()(e))?;
        let options = ArrowReaderOptions::new().with_file_decryption_properties(decryption);
        let metadata = ArrowReaderMetadata::load(&input, options)
            .map_err(|e| Error::damaged(path, format!("its footer does not open ({e})")))?;
        let mask = project(&metadata)?;
        let file_schema = Arc::clone(metadata.schema());
        let inner = ParquetRecordBatchReaderBuilder::new_with_metadata(input, metadata)
            .with_projection(mask)
            .with_batch_size(READ_ROWS)
            .build()
            .map_err(|e| decode()(e))?;
        Ok(SegmentReader { path: path.to_owned(), file_schema, inner })
    }

    /// All columns of the segment, including those that are not read.
    pub fn file_schema(&self) -> SchemaRef {
        Arc::clone(&self.file_schema)
    }
}

fn open_file(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DiskReader>> {
    disk.open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::damaged(path, "the keystore has its key, but the file does not exist")
        }
        _ => Error::io("open", path)(e),
    })
}

fn check_length(path: &Path, found: u64, seal: &SegmentSeal) -> Result {
    if found == seal.length {
        return Ok(());
    }
    Err(Error::damaged(path, format!("{found} bytes found, {} bytes were sealed", seal.length)))
}

impl Iterator for SegmentReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.inner.next()?;
        Some(next.map_err(|e| Error::damaged(&self.path, format!("a page does not open ({e})"))))
    }
}

/// Parts of a file on a disk, as the Parquet reader asks for them.
struct Chunks {
    file: Arc<dyn DiskReader>,
    length: u64,
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<OffsetReader>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(OffsetReader { file: Arc::clone(&self.file), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let mut bytes = vec![0; length];
        if crate::disk::read_full(&*self.file, start, &mut bytes)? < length {
            return Err(parquet::errors::ParquetError::EOF("the file ends too soon".into()));
        }
        Ok(Bytes::from(bytes))
    }
}

/// A file from an offset on.
struct OffsetReader {
    file: Arc<dyn DiskReader>,
    at: u64,
}

impl std::io::Read for OffsetReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read_at(self.at, buffer)?;
        self.at += n as u64;
        Ok(n)
    }
}
