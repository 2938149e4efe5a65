//! Sealed frames: an append-only file of encrypted record batches. In: batches. Out: the same batches, in
//! order, or an error that names the frame. Each frame is one Arrow IPC stream under AES-256-GCM; nonces
//! count from zero under a key that no other file has, so a file is never appended to again after it was
//! closed. Length, sequence and the tag of the frame before are authenticated: no frame can be left out,
//! swapped or repeated. It knows nothing of stages. See docs/formats/frames.md.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use crate::durable;
use crate::secret::{self, Key, NONCE_BYTES, TAG_BYTES};
use crate::wire::Fields;
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"HWFRAME1";
const VERSION: u16 = 1;
const CHECK_BYTES: usize = 8;
/// Magic, version, number, random name, checksum.
const HEADER_BYTES: usize = 8 + 2 + 8 + 16 + CHECK_BYTES;
/// Length, sequence, MAC of both.
const LEAD_BYTES: usize = 4 + 8 + TAG_BYTES;
const KIND: &str = "frame file of Headwater";

/// What both sides know of the chain so far.
struct Chain {
    key: Key,
    leads: Key,
    header: [u8; HEADER_BYTES],
    sequence: u64,
    previous: [u8; TAG_BYTES],
}

impl Chain {
    fn new(key: Key, header: [u8; HEADER_BYTES]) -> Chain {
        let leads = key.derive("frame leads", &header);
        Chain { key, leads, header, sequence: 0, previous: [0; TAG_BYTES] }
    }

    /// The MAC of a frame's length and place. It stands before the frame, so that a changed length is
    /// noticed as such and never taken for the end of the file.
    fn lead(&self, length: u32) -> [u8; TAG_BYTES] {
        let parts: [&[u8]; 3] = [&length.to_le_bytes(), &self.sequence.to_le_bytes(), &self.previous];
        secret::prefix(&self.leads.authenticate(&parts))
    }

    fn nonce(&self) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        for (to, from) in nonce.iter_mut().skip(4).zip(self.sequence.to_be_bytes()) {
            *to = from;
        }
        nonce
    }

    fn associated(&self, length: u32) -> Vec<u8> {
        [&self.header[..], &length.to_le_bytes(), &self.sequence.to_le_bytes(), &self.previous].concat()
    }

    fn advance(&mut self, sealed: &[u8]) {
        if let Some(tag) = sealed.last_chunk::<TAG_BYTES>() {
            self.previous = *tag;
        }
        self.sequence += 1;
    }
}

/// Appends frames to a new file.
pub struct FrameWriter {
    path: PathBuf,
    file: File,
    chain: Chain,
    length: u64,
    poisoned: Option<String>,
}

impl FrameWriter {
    /// Makes the file, which must not exist. `key` must be used for no other file; `number` is its number in
    /// the keystore.
    pub fn create(path: &Path, number: u64, key: Key) -> Result<FrameWriter> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend(MAGIC);
        header.extend(VERSION.to_le_bytes());
        header.extend(number.to_le_bytes());
        header.extend(secret::random_bytes::<16>()?);
        let check: [u8; CHECK_BYTES] = secret::prefix(&secret::digest(&[&header]));
        header.extend(check);
        let header =
            *header.first_chunk::<HEADER_BYTES>().ok_or(Error::Crypto("a header has the wrong size"))?;
        if !durable::create_new(path, &header)? {
            let exists = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(Error::io("create", path)(exists));
        }
        let file = OpenOptions::new()
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(Error::io("open for writing", path))?;
        let chain = Chain::new(key, header);
        Ok(FrameWriter { path: path.to_owned(), file, chain, length: HEADER_BYTES as u64, poisoned: None })
    }

    /// Appends one frame. It is durable after [`FrameWriter::sync`].
    pub fn append(&mut self, batch: &RecordBatch) -> Result {
        self.check_usable()?;
        let plain = encode(&self.path, batch)?;
        let length = u32::try_from(plain.len()).ok().filter(|n| *n < u32::MAX - 64).ok_or_else(|| {
            Error::BadRows(format!("a batch of {} bytes is too large for one frame; split it", plain.len()))
        })?;
        let lead = self.chain.lead(length);
        let sealed = self.chain.key.seal(self.chain.nonce(), &self.chain.associated(length), &plain)?;
        let mut frame = Vec::with_capacity(LEAD_BYTES + sealed.len());
        frame.extend(length.to_le_bytes());
        frame.extend(self.chain.sequence.to_le_bytes());
        frame.extend(lead);
        frame.extend(&sealed);
        // The nonce is spent from here on, whatever the disk says.
        self.chain.advance(&sealed);
        let written = self.file.write_all(&frame).map_err(Error::io("write", &self.path));
        self.poison_on_error(written)?;
        self.length += frame.len() as u64;
        Ok(())
    }

    /// Makes all frames durable; returns the durable length of the file in bytes. After an error the
    /// writer takes nothing more: the system may have dropped the unwritten pages.
    pub fn sync(&mut self) -> Result<u64> {
        self.check_usable()?;
        let synced = self.file.sync_data().map_err(Error::io("sync", &self.path));
        self.poison_on_error(synced)?;
        Ok(self.length)
    }

    /// Frames written so far.
    pub fn frames(&self) -> u64 {
        self.chain.sequence
    }

    fn check_usable(&self) -> Result {
        match &self.poisoned {
            Some(why) => Err(Error::Poisoned { path: self.path.clone(), why: why.clone() }),
            None => Ok(()),
        }
    }

    fn poison_on_error(&mut self, result: Result) -> Result {
        if let Err(e) = &result {
            self.poisoned = Some(e.to_string());
        }
        result
    }
}

/// A tail that was never completely written, as a crash leaves it. It was never acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub path: PathBuf,
    /// Where the last whole frame ends, in bytes.
    pub at: u64,
    /// Bytes after it.
    pub bytes: u64,
}

/// Gives the batches of a frame file in order.
pub struct FrameReader {
    path: PathBuf,
    file: BufReader<File>,
    chain: Chain,
    at: u64,
    length: u64,
    durable: u64,
    torn: Option<TornTail>,
    done: bool,
}

impl FrameReader {
    /// Opens a file. Below `durable` bytes (the writer's last acknowledged length, 0 if unknown) a cut is damage;
    /// above it is a torn tail.
    pub fn open(path: &Path, number: u64, key: Key, durable: u64) -> Result<FrameReader> {
        let file = File::open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::damaged(path, "the keystore has its key, but the file is gone")
            }
            _ => Error::io("open", path)(e),
        })?;
        let length = file.metadata().map_err(Error::io("look at", path))?.len();
        let mut file = BufReader::new(file);
        let mut header = Vec::with_capacity(HEADER_BYTES);
        (&mut file).take(HEADER_BYTES as u64).read_to_end(&mut header).map_err(Error::io("read", path))?;
        let mut fields = Fields(&header);
        if fields.array::<8>().as_ref() != Some(MAGIC) {
            return Err(Error::foreign(path, KIND, "it does not begin with HWFRAME1"));
        }
        let version = fields.u16();
        if version != Some(VERSION) {
            let found = format!("its version is {}, this program reads {VERSION}", version.unwrap_or(0));
            return Err(Error::foreign(path, KIND, found));
        }
        let header: [u8; HEADER_BYTES] = header
            .as_slice()
            .try_into()
            .map_err(|_| Error::damaged(path, "it is shorter than its header"))?;
        let stands = fields.u64();
        let (body, check) = header.split_last_chunk::<CHECK_BYTES>().unwrap_or((&[], &[0; CHECK_BYTES]));
        if secret::prefix::<CHECK_BYTES>(&secret::digest(&[body])) != *check {
            return Err(Error::damaged(path, "the checksum of its header does not fit"));
        }
        if stands != Some(number) {
            return Err(Error::damaged(path, format!("it stands in the place of frame file {number}")));
        }
        Ok(FrameReader {
            path: path.to_owned(),
            file,
            chain: Chain::new(key, header),
            at: HEADER_BYTES as u64,
            length,
            durable,
            torn: None,
            done: false,
        })
    }

    /// What was cut, once the iterator has ended.
    pub fn torn(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    fn next_frame(&mut self) -> Result<Option<RecordBatch>> {
        let left = self.length - self.at;
        if left == 0 {
            return self.end_at(0);
        }
        if left < LEAD_BYTES as u64 {
            return self.end_at(left);
        }
        let lead = self.read_exactly(LEAD_BYTES)?;
        let mut fields = Fields(&lead);
        let (length, sequence, mac) = (fields.u32(), fields.u64(), fields.array::<TAG_BYTES>());
        let (Some(length), Some(sequence), Some(mac)) = (length, sequence, mac) else {
            return Err(self.damage("its lead is cut"));
        };
        if sequence != self.chain.sequence || !secret::equal(&mac, &self.chain.lead(length)) {
            // A crash may leave a tail of zeros: the length was made durable, the bytes were not.
            if lead.iter().all(|b| *b == 0) && self.rest_is_zero()? {
                return self.end_at(left);
            }
            return Err(self.damage("its length or place was changed"));
        }
        let sealed_bytes = u64::from(length) + TAG_BYTES as u64;
        if left - (LEAD_BYTES as u64) < sealed_bytes {
            return self.end_at(left);
        }
        let sealed = self.read_exactly(length as usize + TAG_BYTES)?;
        let plain = self
            .chain
            .key
            .open(self.chain.nonce(), &self.chain.associated(length), &sealed)
            .ok_or_else(|| self.damage("its content was changed"))?;
        let batch = decode(&self.path, &plain)?;
        self.chain.advance(&sealed);
        self.at += LEAD_BYTES as u64 + sealed_bytes;
        Ok(Some(batch))
    }

    fn read_exactly(&mut self, bytes: usize) -> Result<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        self.file.read_exact(&mut buffer).map_err(Error::io("read", &self.path))?;
        Ok(buffer)
    }

    fn rest_is_zero(&mut self) -> Result<bool> {
        let mut buffer = [0; 8192];
        loop {
            let n = self.file.read(&mut buffer).map_err(Error::io("read", &self.path))?;
            if n == 0 {
                return Ok(true);
            }
            if buffer.iter().take(n).any(|b| *b != 0) {
                return Ok(false);
            }
        }
    }

    fn end_at(&mut self, left: u64) -> Result<Option<RecordBatch>> {
        if self.at < self.durable {
            let what =
                format!("{} bytes of it were acknowledged, but only {} are whole", self.durable, self.at);
            return Err(Error::damaged(&self.path, what));
        }
        if left > 0 {
            self.torn = Some(TornTail { path: self.path.clone(), at: self.at, bytes: left });
        }
        Ok(None)
    }

    fn damage(&self, what: &str) -> Error {
        Error::damaged(&self.path, format!("frame {} at byte {}: {what}", self.chain.sequence, self.at))
    }
}

impl Iterator for FrameReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.next_frame().transpose();
        // After damage nothing that follows can be trusted.
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

fn encode(path: &Path, batch: &RecordBatch) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let mut plain = zeroize::Zeroizing::new(Vec::with_capacity(batch.get_array_memory_size() + 1024));
    let fail = || Error::rows("encode", path);
    let mut writer = StreamWriter::try_new(&mut *plain, &batch.schema()).map_err(|e| fail()(e))?;
    writer.write(batch).and_then(|()| writer.finish()).map_err(|e| fail()(e))?;
    drop(writer);
    Ok(plain)
}

fn decode(path: &Path, plain: &[u8]) -> Result<RecordBatch> {
    let mut reader = StreamReader::try_new(plain, None).map_err(Error::rows("decode", path))?;
    match reader.next() {
        Some(batch) => batch.map_err(Error::rows("decode", path)),
        None => Err(Error::damaged(path, "a frame holds no batch")),
    }
}
