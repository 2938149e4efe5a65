//! Appends frames to a new file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{
    FILE_KEY, FileKeys, HEADER_BYTES, LEAD_BYTES, Owner, PART_HEAD_BYTES, Part, header, nonce, part_head,
};
use crate::disk::{Disk, DiskWriter};
use crate::durable;
use crate::keystore::{DeviceTag, KeyName, Keystore};
use crate::secret::{Key, TAG_BYTES};
use crate::{Error, Result};

/// The most bytes of a frame: its length must fit its lead.
const MOST_BYTES: usize = u32::MAX as usize - 1024;

/// A file that is being written.
pub(crate) struct FrameWriter {
    path: PathBuf,
    file: Box<dyn DiskWriter>,
    keys: FileKeys,
    rows_keys: HashMap<DeviceTag, (KeyName, Key)>,
    sequence: u64,
    durable: u64,
    length: u64,
    /// Bytes that were durable at the last sync.
    durable_length: u64,
}

impl FrameWriter {
    /// Creates the file, replacing one that a failed attempt left. `key` must be used for no other file; `number` is its number in the keystore.
    pub(crate) fn create(disk: &dyn Disk, path: &Path, number: u64, key: &Key) -> Result<FrameWriter> {
        let header = header::fresh(number)?;
        let mut file = durable::create(disk, path)?;
        durable::append(&mut *file, path, &header)?;
        let keys = FileKeys::of(key, header);
        Ok(FrameWriter {
            path: path.to_owned(),
            file,
            keys,
            rows_keys: HashMap::new(),
            sequence: 0,
            durable: 0,
            length: HEADER_BYTES as u64,
            durable_length: 0,
        })
    }

    /// Appends one frame; returns its place and the bytes of each part. It is durable after [`FrameWriter::sync`]. After an
    /// error nothing more may be appended.
    pub(crate) fn append(&mut self, keystore: &Keystore, parts: &[Part]) -> Result<(u64, Vec<u64>)> {
        let body = 4 + parts.iter().map(|p| PART_HEAD_BYTES + p.plain.len() + TAG_BYTES).sum::<usize>();
        let too_large = || {
            Error::BadRows(format!(
                "a frame of {body} bytes is too large: the limit is 4 GiB; write fewer rows at once"
            ))
        };
        let length = body + TAG_BYTES;
        let length = u32::try_from(length).ok().filter(|_| length < MOST_BYTES).ok_or_else(too_large)?;
        let count = u32::try_from(parts.len()).map_err(|_| too_large())?;
        let sequence = self.sequence;
        // The nonces are used from here on, even if the write fails.
        self.sequence += 1;
        let mut frame = Vec::with_capacity(LEAD_BYTES + body + TAG_BYTES);
        let lead = self.keys.lead(length, sequence, self.durable);
        frame.extend(lead);
        frame.extend(count.to_le_bytes());
        let (mut heads, mut tags) = (count.to_le_bytes().to_vec(), Vec::new());
        for (part, number) in parts.iter().zip(0u32..) {
            let sealed = u32::try_from(part.plain.len() + TAG_BYTES).map_err(|_| too_large())?;
            let (name, key) = self.key_of(keystore, part.owner)?;
            let head = part_head(name, sealed);
            heads.extend(head);
            frame.extend(head);
            let associated = self.keys.associated(sequence, number, name);
            let tag = key.seal_onto(nonce(sequence, number), &associated, &part.plain, &mut frame)?;
            tags.extend(tag);
        }
        frame.extend(self.keys.seal(&lead, &heads, &tags));
        durable::append(&mut *self.file, &self.path, &frame)?;
        let at = self.length;
        self.length += frame.len() as u64;
        Ok((at, parts.iter().map(|p| (PART_HEAD_BYTES + p.plain.len() + TAG_BYTES) as u64).collect()))
    }

    /// Makes all frames durable. After an error nothing more may be appended: the system may have dropped the unwritten
    /// pages.
    pub(crate) fn sync(&mut self) -> Result {
        durable::sync(&mut *self.file, &self.path)?;
        (self.durable, self.durable_length) = (self.sequence, self.length);
        Ok(())
    }

    /// Bytes that are durable.
    pub(crate) fn durable_length(&self) -> u64 {
        self.durable_length
    }

    /// Bytes written.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    fn key_of(&mut self, keystore: &Keystore, owner: Owner) -> Result<(KeyName, Key)> {
        let tag = match owner {
            Owner::Log => return Ok((FILE_KEY, self.keys.own.clone())),
            Owner::Device(tag) => tag,
        };
        if let Some((name, key)) =
            self.rows_keys.get(&tag).filter(|(name, _)| keystore.device_of(*name) == Some(tag))
        {
            return Ok((*name, key.clone()));
        }
        let fresh = keystore.rows_key(tag, &self.keys.own).ok_or(Error::Crypto("the device has no key"))?;
        self.rows_keys.insert(tag, fresh.clone());
        Ok(fresh)
    }
}
