//! Reads the frames of a file in order, or one of them. A tail that a crash can leave is distinguished from damage: a
//! frame that the file ends within, or of which the disk kept only some sectors, was never acknowledged, unless a later
//! frame says so.

use std::path::{Path, PathBuf};

use super::{
    FILE_KEY, FileKeys, Frame, HEADER_BYTES, LEAD_BYTES, Owner, PART_HEAD_BYTES, Part, ReadPart, TornTail,
    header, nonce, part_head,
};
use crate::disk::{Disk, DiskReader};
use crate::durable;
use crate::keystore::{KeyName, Keystore};
use crate::secret::{self, Key, TAG_BYTES};
use crate::wire::Fields;
use crate::{Error, Result};

/// Bytes that a disk writes whole or not at all. Unwritten sectors of a new file read as zeros.
const SECTOR: u64 = 512;
/// Bytes searched at once for a frame behind a torn one.
const SCAN_BYTES: usize = 1 << 20;

/// A file that is being read.
pub(crate) struct FrameReader<'k> {
    path: PathBuf,
    file: Box<dyn DiskReader>,
    keystore: &'k Keystore,
    keys: FileKeys,
    at: u64,
    sequence: u64,
    length: u64,
    closed: Option<u64>,
    torn: Option<TornTail>,
}

/// The outcome of reading a frame.
enum FrameOutcome {
    Whole(Frame, u64),
    /// Incomplete, as a crash can leave it.
    Torn,
    Damaged(&'static str),
}

impl<'k> FrameReader<'k> {
    /// Opens a file. `closed` is the number of durable bytes once the writer has ended: bytes behind them are ignored, and
    /// none before may be missing.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        (number, key, closed): (u64, &Key, Option<u64>),
        keystore: &'k Keystore,
    ) -> Result<FrameReader<'k>> {
        let file = disk.open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::damaged(path, "the keystore has its key, but the file does not exist")
            }
            _ => Error::io("open", path)(e),
        })?;
        let there = file.length().map_err(Error::io("inspect", path))?;
        let header = durable::read_part(&*file, path, 0, HEADER_BYTES)?;
        let header = header::checked(path, &header, number)?;
        if let Some(closed) = closed.filter(|closed| *closed > there) {
            let what = format!("{closed} bytes were acknowledged, but the file has only {there}");
            return Err(Error::damaged(path, what));
        }
        Ok(FrameReader {
            path: path.to_owned(),
            file,
            keystore,
            keys: FileKeys::of(key, header),
            at: HEADER_BYTES as u64,
            sequence: 0,
            length: closed.unwrap_or(there),
            closed,
            torn: None,
        })
    }

    /// The torn tail, known once there is no next frame.
    pub(crate) fn torn(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// Bytes up to the end of the last frame returned.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Returns the next frame, or `None` at the end.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self.at == self.length || self.torn.is_some() {
            return Ok(None);
        }
        match self.read_at(self.at, self.sequence)? {
            FrameOutcome::Whole(frame, end) => {
                (self.at, self.sequence) = (end, self.sequence + 1);
                Ok(Some(frame))
            }
            FrameOutcome::Torn if self.closed.is_none() && !self.is_acknowledged_later()? => {
                let bytes = self.length - self.at;
                self.torn = Some(TornTail { path: self.path.clone(), at: self.at, bytes });
                Ok(None)
            }
            FrameOutcome::Torn => {
                Err(self.damage("parts of it were never written, though it was acknowledged"))
            }
            FrameOutcome::Damaged(what) => Err(self.damage(what)),
        }
    }

    /// Reads the frame at a known place.
    pub(crate) fn frame_at(&self, at: u64, sequence: u64) -> Result<Frame> {
        match self.read_at(at, sequence)? {
            FrameOutcome::Whole(frame, _) => Ok(frame),
            FrameOutcome::Torn | FrameOutcome::Damaged(_) => {
                let what = format!("frame {sequence} at byte {at}: its content was changed");
                Err(Error::damaged(&self.path, what))
            }
        }
    }

    fn read_at(&self, at: u64, sequence: u64) -> Result<FrameOutcome> {
        let left = self.length.saturating_sub(at);
        if left < LEAD_BYTES as u64 {
            return Ok(FrameOutcome::Torn);
        }
        let lead = durable::read_part(&*self.file, &self.path, at, LEAD_BYTES)?;
        let Some((length, found, durable)) = self.opened_lead(&lead).filter(|(_, s, _)| *s == sequence)
        else {
            let torn = a_sector_is_zero(&lead, at);
            return Ok(if torn {
                FrameOutcome::Torn
            } else {
                FrameOutcome::Damaged("its length or place was changed")
            });
        };
        if left - (LEAD_BYTES as u64) < u64::from(length) {
            return Ok(FrameOutcome::Torn);
        }
        let body_at = at + LEAD_BYTES as u64;
        let body = durable::read_part(&*self.file, &self.path, body_at, length as usize)?;
        match self.open_parts(&lead, found, &body) {
            Some(parts) => {
                let frame = Frame { at, sequence, durable, parts };
                Ok(FrameOutcome::Whole(frame, body_at + u64::from(length)))
            }
            None if a_sector_is_zero(&body, body_at) => Ok(FrameOutcome::Torn),
            None => Ok(FrameOutcome::Damaged("its content was changed")),
        }
    }

    fn opened_lead(&self, lead: &[u8]) -> Option<(u32, u64, u64)> {
        let mut fields = Fields(lead);
        let (length, sequence, durable) = (fields.u32()?, fields.u64()?, fields.u64()?);
        secret::equal(lead, &self.keys.lead(length, sequence, durable)).then_some((length, sequence, durable))
    }

    fn open_parts(&self, lead: &[u8], sequence: u64, body: &[u8]) -> Option<Vec<ReadPart>> {
        let (body, seal) = body.split_last_chunk::<TAG_BYTES>()?;
        let mut fields = Fields(body);
        let count = fields.u32()?;
        let (mut heads, mut tags) = (count.to_le_bytes().to_vec(), Vec::new());
        let mut parts = Vec::new();
        for number in 0..count {
            let key = KeyName(fields.array()?);
            let sealed = fields.bytes()?;
            heads.extend(part_head(key, u32::try_from(sealed.len()).ok()?));
            tags.extend(sealed.last_chunk::<TAG_BYTES>()?);
            let bytes = (PART_HEAD_BYTES + sealed.len()) as u64;
            parts.push(ReadPart { content: self.open_part(sequence, number, key, sealed)?, bytes });
        }
        let whole = secret::equal(&self.keys.seal(lead, &heads, &tags), seal);
        fields.end().filter(|()| whole).map(|()| parts)
    }

    /// Returns `None` if the part was changed, `Some(None)` if its key was deleted.
    #[allow(clippy::option_option, reason = "changed and forgotten are two things")]
    fn open_part(&self, sequence: u64, number: u32, name: KeyName, sealed: &[u8]) -> Option<Option<Part>> {
        let device = self.keystore.device_of(name);
        let (owner, key) = match device {
            _ if name == FILE_KEY => (Owner::Log, self.keys.own.clone()),
            Some(tag) => (Owner::Device(tag), self.keystore.rows_key(tag, &self.keys.own)?.1),
            None => return Some(None),
        };
        let associated = self.keys.associated(sequence, number, name);
        let plain = key.open(nonce(sequence, number), &associated, sealed)?;
        Some(Some(Part { owner, plain }))
    }

    /// Returns true if a later frame says that the torn one was durable.
    fn is_acknowledged_later(&self) -> Result<bool> {
        let later = self.find_later(|durable, torn| durable > torn)?;
        Ok(later.is_some())
    }

    /// Skips a damaged frame: to the next frame that can be found, or to the end. Returns the number of skipped bytes.
    pub(crate) fn skip_damage(&mut self) -> Result<u64> {
        let from = self.at;
        let next = self.find_later(|_, _| true)?;
        (self.at, self.sequence) = next.unwrap_or((self.length, self.sequence));
        Ok(self.at - from)
    }

    /// Finds the first later frame for which `wanted(its durable count, the current sequence)` holds; returns its place and
    /// sequence.
    fn find_later(&self, wanted: impl Fn(u64, u64) -> bool) -> Result<Option<(u64, u64)>> {
        let mut from = self.at + 1;
        while from < self.length {
            let bytes = durable::read_part(&*self.file, &self.path, from, SCAN_BYTES + LEAD_BYTES - 1)?;
            for (lead, at) in bytes.windows(LEAD_BYTES).zip(from..) {
                if !self.is_plausible(lead) {
                    continue;
                }
                if let Some((_, sequence, durable)) = self.opened_lead(lead)
                    && wanted(durable, self.sequence)
                {
                    return Ok(Some((at, sequence)));
                }
            }
            from += SCAN_BYTES as u64;
        }
        Ok(None)
    }

    /// Returns true if the numbers fit a later frame, so that computing the MAC is worthwhile.
    fn is_plausible(&self, lead: &[u8]) -> bool {
        let mut fields = Fields(lead);
        let (_, sequence, durable) = (fields.u32(), fields.u64(), fields.u64());
        let most = self.sequence.saturating_add(self.length);
        sequence.is_some_and(|s| s > self.sequence && s <= most && durable.is_some_and(|d| d <= s))
    }

    fn damage(&self, what: &str) -> Error {
        Error::damaged(&self.path, format!("frame {} at byte {}: {what}", self.sequence, self.at))
    }
}

/// Returns true if some sector is all zeros, as it is where the disk did not write.
fn a_sector_is_zero(bytes: &[u8], at: u64) -> bool {
    let first = usize::try_from(SECTOR - at % SECTOR).unwrap_or(bytes.len()).min(bytes.len());
    let (head, rest) = bytes.split_at_checked(first).unwrap_or((bytes, &[]));
    [head]
        .into_iter()
        .chain(rest.chunks(512))
        .any(|sector| !sector.is_empty() && sector.iter().all(|b| *b == 0))
}
