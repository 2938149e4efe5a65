//! Frame files of version 1, which earlier programs wrote: one batch a frame, all under one key of the file. In: a file
//! and its key. Out: its batches, in order, or an error that names the frame. See docs/formats/frames.md.

use std::path::Path;

use arrow::array::RecordBatch;

use super::TornTail;
use super::header::{self, HEADER_BYTES, Version};
use crate::disk::Disk;
use crate::durable;
use crate::rows;
use crate::secret::{self, Key, NONCE_BYTES, TAG_BYTES};
use crate::wire::Fields;
use crate::{Error, Result};

const VERSION: Version = Version { magic: "HWFRAME1", number: 1 };
/// Length, sequence, MAC of both.
const LEAD_BYTES: usize = 4 + 8 + TAG_BYTES;

/// What is known of the chain so far.
struct Chain {
    key: Key,
    leads: Key,
    header: [u8; HEADER_BYTES],
    sequence: u64,
    previous: [u8; TAG_BYTES],
}

impl Chain {
    /// The MAC of a frame's length and place. It stands before the frame, so that a changed length is noticed as such and
    /// never taken for the end of the file.
    fn lead(&self, length: u32) -> [u8; TAG_BYTES] {
        let parts: [&[u8]; 3] = [&length.to_le_bytes(), &self.sequence.to_le_bytes(), &self.previous];
        secret::prefix(&self.leads.authenticate(&parts))
    }

    fn nonce(&self) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        nonce.iter_mut().skip(4).zip(self.sequence.to_be_bytes()).for_each(|(to, from)| *to = from);
        nonce
    }

    fn open(&self, length: u32, sealed: &[u8]) -> Option<zeroize::Zeroizing<Vec<u8>>> {
        let sequence = self.sequence.to_le_bytes();
        let associated = [&self.header[..], &length.to_le_bytes(), &sequence, &self.previous].concat();
        self.key.open(self.nonce(), &associated, sealed)
    }

    fn advance(&mut self, sealed: &[u8]) {
        if let Some(tag) = sealed.last_chunk::<TAG_BYTES>() {
            self.previous = *tag;
        }
        self.sequence += 1;
    }
}

/// The batches of a file, and what a crash left behind them.
pub(crate) fn read(
    disk: &dyn Disk,
    path: &Path,
    number: u64,
    key: Key,
) -> Result<(Vec<RecordBatch>, Option<TornTail>)> {
    let file = disk.open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::damaged(path, "the keystore has its key, but the file is gone")
        }
        _ => Error::io("open", path)(e),
    })?;
    let bytes = durable::read_all(&*file, path)?;
    let header = header::checked(path, &bytes, &VERSION, number)?;
    let leads = key.derive("frame leads", &header);
    let mut chain = Chain { key, leads, header, sequence: 0, previous: [0; TAG_BYTES] };
    let (mut rest, mut batches) = (Fields(bytes.get(HEADER_BYTES..).unwrap_or_default()), Vec::new());
    loop {
        let at = bytes.len() - rest.0.len();
        let torn = || TornTail { path: path.to_owned(), at: at as u64, bytes: (bytes.len() - at) as u64 };
        let damage = |chain: &Chain, what: &str| {
            Error::damaged(path, format!("frame {} at byte {at}: {what}", chain.sequence))
        };
        if rest.0.len() < LEAD_BYTES {
            return Ok((batches, (!rest.0.is_empty()).then(torn)));
        }
        let is_zero = rest.0.iter().all(|b| *b == 0);
        let lead = (rest.u32(), rest.u64(), rest.array::<TAG_BYTES>());
        let (Some(length), Some(sequence), Some(mac)) = lead else { return Ok((batches, Some(torn()))) };
        if sequence != chain.sequence || !secret::equal(&mac, &chain.lead(length)) {
            // A crash may leave a tail of zeros: the length was made durable, the bytes were not.
            let tail = is_zero.then(|| (batches, Some(torn())));
            return tail.ok_or_else(|| damage(&chain, "its length or place was changed"));
        }
        let Some((sealed, next)) = rest.0.split_at_checked(length as usize + TAG_BYTES) else {
            return Ok((batches, Some(torn())));
        };
        let plain = chain.open(length, sealed).ok_or_else(|| damage(&chain, "its content was changed"))?;
        batches.push(rows::decode(path, &plain)?);
        chain.advance(sealed);
        rest = Fields(next);
    }
}
