//! Sealed frames: an append-only file whose frames are there whole or not at all. In: frames of parts, each part under
//! the key of a device or of the file. Out: the same parts in order, or an error that names file and place; a part
//! whose device was forgotten stays closed, and the rest can still be verified. Nonces count from zero under keys
//! that no other file has, so a file is never appended to again after it was closed. It must not know the content of
//! the parts. See docs/formats/frames.md.

mod header;
mod reader;
mod salvage;
mod writer;

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::keystore::{DeviceTag, KeyName};
use crate::secret::{self, Key, NONCE_BYTES, TAG_BYTES};

pub(crate) use header::HEADER_BYTES;
pub(crate) use reader::FrameReader;
pub(crate) use salvage::Salvage;
pub(crate) use writer::FrameWriter;

/// Length, sequence, durable frames, MAC of these.
const LEAD_BYTES: usize = 4 + 8 + 8 + TAG_BYTES;
/// Key name, length of the sealed part.
const PART_HEAD_BYTES: usize = 16 + 4;
/// The key name that stands for the file's own key.
const FILE_KEY: KeyName = KeyName([0; 16]);

/// The owner of the key that seals a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// The file's own key.
    Log,
    /// A device's key, together with the file's.
    Device(DeviceTag),
}

/// One part of a frame, in the clear.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) owner: Owner,
    pub(crate) plain: Zeroizing<Vec<u8>>,
}

/// One part of a frame that was read.
pub(crate) struct ReadPart {
    /// Its content, or `None` if its device was forgotten.
    pub(crate) content: Option<Part>,
    /// Bytes that it takes in the file.
    pub(crate) bytes: u64,
}

/// One frame that was read.
pub(crate) struct Frame {
    pub(crate) at: u64,
    pub(crate) sequence: u64,
    /// The number of frames that the writer knew to be durable when it wrote this one.
    pub(crate) durable: u64,
    pub(crate) parts: Vec<ReadPart>,
}

/// A tail that was never completely written, as a crash leaves it. It was never acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub path: PathBuf,
    /// The end of the last whole frame, in bytes.
    pub at: u64,
    /// Bytes after it.
    pub bytes: u64,
}

/// The keys of one file, by purpose.
struct FileKeys {
    header: [u8; HEADER_BYTES],
    leads: Key,
    seals: Key,
    own: Key,
}

impl FileKeys {
    fn of(key: &Key, header: [u8; HEADER_BYTES]) -> FileKeys {
        let derive = |label| key.derive(label, &header);
        let (leads, seals, own) = (derive("frame leads"), derive("frame seals"), derive("frame parts"));
        FileKeys { header, leads, seals, own }
    }

    /// The first bytes of a frame. Their MAC needs nothing else of the file: so a frame can be found behind a torn one, and
    /// a changed length is noticed as such.
    fn lead(&self, length: u32, sequence: u64, durable: u64) -> [u8; LEAD_BYTES] {
        let numbers = [&length.to_le_bytes()[..], &sequence.to_le_bytes(), &durable.to_le_bytes()].concat();
        let mac: [u8; TAG_BYTES] = secret::prefix(&self.leads.authenticate(&[&numbers]));
        let mut lead = [0; LEAD_BYTES];
        lead.iter_mut().zip(numbers.iter().chain(&mac)).for_each(|(to, from)| *to = *from);
        lead
    }

    /// The last bytes of a frame, over its lead, the heads and the tags of its parts: so it can be checked without the
    /// devices' keys.
    fn seal(&self, lead: &[u8], heads: &[u8], tags: &[u8]) -> [u8; TAG_BYTES] {
        secret::prefix(&self.seals.authenticate(&[lead, heads, tags]))
    }

    fn associated(&self, sequence: u64, part: u32, key: KeyName) -> Vec<u8> {
        [&self.header[..], &sequence.to_le_bytes(), &part.to_le_bytes(), &key.0].concat()
    }
}

/// Counts (frame, part): never twice under a key, since the keys belong to one file of one attempt.
fn nonce(sequence: u64, part: u32) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    let counted = sequence.to_be_bytes().into_iter().chain(part.to_be_bytes());
    nonce.iter_mut().zip(counted).for_each(|(to, from)| *to = from);
    nonce
}

fn part_head(key: KeyName, sealed: u32) -> [u8; PART_HEAD_BYTES] {
    let mut head = [0; PART_HEAD_BYTES];
    head.iter_mut().zip(key.0.into_iter().chain(sealed.to_le_bytes())).for_each(|(to, from)| *to = from);
    head
}
