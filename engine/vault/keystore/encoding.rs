//! The bytes of a keystore. In: a keystore. Out: its file, and back. It must not know what the
//! keys are for.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{
    DEVICE, Derived, Device, DeviceTag, Keystore, LOG_FILE, LogFile, SEGMENT, Segment, TAG_KEY, name_of,
};
use crate::disk::Disk;
use crate::root_key::{KeyId, KeyProvider};
use crate::secret::{self, KEY_BYTES, Key};
use crate::wire::{Fields, put_bytes};
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"HWKEYST1";
const VERSION: u16 = 2;
const CHECK_BYTES: usize = 8;
const MAC_BYTES: usize = 32;
const KIND: &str = "keystore of Headwater";
/// The durable bytes of a file of a log that is being written.
const OPEN: u64 = u64::MAX;

impl Keystore {
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let mut out = MAGIC.to_vec();
        out.extend(VERSION.to_le_bytes());
        out.extend(self.root.0);
        out.extend(self.store);
        out.extend(self.next.to_le_bytes());
        out.push(TAG_KEY);
        put_bytes(&mut out, &self.keys.wrap.wrap(&self.purpose(TAG_KEY, b""), self.tags.expose())?)?;
        for (tag, device) in &self.devices {
            out.push(DEVICE);
            out.extend(tag.0);
            put_bytes(&mut out, &device.wrapped)?;
        }
        for (number, segment) in &self.segments {
            out.push(SEGMENT);
            out.extend(number.to_le_bytes());
            out.extend(segment.device.0);
            put_bytes(&mut out, &segment.wrapped)?;
        }
        for (number, file) in &self.logs {
            let mut plain = Zeroizing::new(file.key.expose().to_vec());
            plain.extend(file.closed.unwrap_or(OPEN).to_le_bytes());
            let purpose = self.purpose(LOG_FILE, &number.to_le_bytes());
            out.push(LOG_FILE);
            out.extend(number.to_le_bytes());
            put_bytes(&mut out, &self.keys.logs.wrap(&purpose, &plain)?)?;
        }
        out.extend(self.keys.whole.authenticate(&[&out]));
        out.extend(secret::prefix::<CHECK_BYTES>(&secret::digest(&[&out])));
        Ok(out)
    }

    pub(super) fn decode(
        disk: &Arc<dyn Disk>,
        path: PathBuf,
        bytes: &[u8],
        provider: &dyn KeyProvider,
    ) -> Result<Keystore> {
        let mut fields = Fields(bytes);
        if fields.array::<8>().as_ref() != Some(MAGIC) {
            return Err(Error::foreign(&path, KIND, "it does not begin with HWKEYST1"));
        }
        let version = fields.u16().unwrap_or(0);
        if version != VERSION {
            let found = format!("its version is {version}, this program reads {VERSION}");
            return Err(Error::foreign(&path, KIND, found));
        }
        // The checksum needs no key: damage is distinguished from a wrong key.
        let short = || Error::damaged(&path, "it is shorter than its header");
        let (rest, check) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or_else(short)?;
        if secret::prefix::<CHECK_BYTES>(&secret::digest(&[rest])) != *check {
            return Err(Error::damaged(&path, "its checksum does not fit"));
        }
        let root = KeyId(fields.array().ok_or_else(short)?);
        let store = fields.array().ok_or_else(short)?;
        let next = fields.u64().ok_or_else(short)?;
        let header = bytes.len() - fields.0.len();
        let Some(key) = provider.root_key_of(root)? else {
            return Err(Error::WrongKey {
                needed: root.to_string(),
                provided: provider.root_key()?.id().to_string(),
                provided_by: provider.origin(),
                path,
            });
        };
        let keys = Derived::of(key.key(), &store);
        let (body, mac) = rest.split_last_chunk::<MAC_BYTES>().ok_or_else(short)?;
        if !secret::equal(&keys.whole.authenticate(&[body]), mac) {
            return Err(Error::damaged(&path, "its MAC does not match: it was changed without the root key"));
        }
        let mut keystore = Keystore {
            disk: Arc::clone(disk),
            path,
            root,
            store,
            keys,
            // Replaced by the tag key entry: without one, reading the entries fails.
            tags: Key::from_bytes([0; KEY_BYTES]),
            next,
            devices: BTreeMap::new(),
            key_names: HashMap::new(),
            segments: BTreeMap::new(),
            logs: BTreeMap::new(),
            fresh_devices: false,
        };
        keystore
            .read_entries(Fields(body.get(header..).unwrap_or_default()))
            .ok_or_else(|| Error::damaged(&keystore.path, "an entry does not open"))?;
        Ok(keystore)
    }

    fn read_entries(&mut self, mut fields: Fields<'_>) -> Option<()> {
        let mut tags = None;
        while let Some(kind) = fields.u8() {
            match kind {
                DEVICE => {
                    let tag = DeviceTag(fields.array()?);
                    let wrapped = fields.bytes()?.to_vec();
                    let plain = self.keys.wrap.unwrap(&self.purpose(DEVICE, &tag.0), &wrapped)?;
                    let mut plain = Fields(&plain);
                    let key = Key::from_bytes(plain.array()?);
                    let name = std::str::from_utf8(plain.0).ok()?.to_owned();
                    self.key_names.insert(name_of(&key), tag);
                    self.devices.insert(tag, Device { name, key, wrapped });
                }
                SEGMENT => {
                    let number = fields.u64()?;
                    let device = DeviceTag(fields.array()?);
                    self.segments.insert(number, Segment { device, wrapped: fields.bytes()?.to_vec() });
                }
                LOG_FILE => {
                    let number = fields.u64()?;
                    let purpose = self.purpose(LOG_FILE, &number.to_le_bytes());
                    let plain = self.keys.logs.unwrap(&purpose, fields.bytes()?)?;
                    let mut plain = Fields(&plain);
                    let key = Key::from_bytes(plain.array()?);
                    let closed = plain.u64().filter(|length| *length != OPEN);
                    self.logs.insert(number, LogFile { key, closed });
                }
                TAG_KEY => {
                    let plain = self.keys.wrap.unwrap(&self.purpose(TAG_KEY, b""), fields.bytes()?)?;
                    tags = Some(Key::from_bytes(Fields(&plain).array()?));
                }
                _ => return None,
            }
        }
        self.tags = tags?;
        fields.end()
    }
}
