//! The keystore: a small file beside immutable ones that holds their keys, wrapped. In: the root key. Out:
//! a key per device and a data key per file. root key -> device key -> segment key; root key -> log key ->
//! frame file key. Deleting an entry makes what it opens unreadable for good; wrapping anew rotates without
//! touching a data file. It knows nothing of Parquet or Arrow. See docs/formats/keystore.md.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::durable;
use crate::root_key::{KeyId, KeyProvider};
use crate::secret::{self, KEY_BYTES, Key};
use crate::wire::{Fields, put_bytes};
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"HWKEYST1";
const VERSION: u16 = 1;
const CHECK_BYTES: usize = 8;
const MAC_BYTES: usize = 32;
const KIND: &str = "keystore of Headwater";
/// The keystore's name in its folder.
pub const FILE_NAME: &str = "keystore";

const DEVICE: u8 = 1;
const SEGMENT: u8 = 2;
const FRAMES: u8 = 3;

/// Stands for a device in file names and headers: a keyed hash, so that the name stays secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct DeviceTag(pub [u8; 16]);

/// What is needed to read one segment and to know that it is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSeal {
    /// Its data key: the Parquet footer key.
    pub key: Key,
    /// Bytes of the file.
    pub length: u64,
    /// SHA-256 of the file. Sealed under the device's key it is a MAC of the whole file.
    pub digest: [u8; 32],
    /// Rows in the file.
    pub rows: u64,
}

struct Device {
    name: String,
    key: Key,
    wrapped: Vec<u8>,
}

struct Segment {
    device: DeviceTag,
    wrapped: Vec<u8>,
}

/// The open keystore of one folder. Changes are in memory until [`Keystore::save`].
pub struct Keystore {
    path: PathBuf,
    root: KeyId,
    store: [u8; 16],
    keys: Derived,
    next: u64,
    devices: BTreeMap<DeviceTag, Device>,
    segments: BTreeMap<u64, Segment>,
    frames: BTreeMap<u64, Vec<u8>>,
}

/// The keys that the root key gives this one store; two stores under one root key share none.
struct Derived {
    wrap: Key,
    logs: Key,
    tags: Key,
    whole: Key,
}

impl Derived {
    fn of(root: &Key, store: &[u8; 16]) -> Derived {
        let key = |label| root.derive(label, store);
        Derived { wrap: key("wrap"), logs: key("logs"), tags: key("tags"), whole: key("keystore") }
    }
}

impl Keystore {
    /// Opens the keystore of `folder`.
    pub fn open(folder: &Path, provider: &dyn KeyProvider) -> Result<Keystore> {
        let path = folder.join(FILE_NAME);
        let remedy = "give the folder that a store stage wrote to";
        let bytes = durable::read(&path, "keystore", remedy)?;
        Keystore::decode(path, &bytes, provider)
    }

    /// Opens the keystore of `folder`; nothing if neither it nor any data is there yet.
    pub fn open_if_any(folder: &Path, provider: &dyn KeyProvider) -> Result<Option<Keystore>> {
        if folder.join(FILE_NAME).exists() {
            return Keystore::open(folder, provider).map(Some);
        }
        if folder.exists() {
            refuse_orphans(folder)?;
        }
        Ok(None)
    }

    /// Opens the keystore of `folder`, or makes an empty one and saves it.
    pub fn open_or_create(folder: &Path, provider: &dyn KeyProvider) -> Result<Keystore> {
        if let Some(keystore) = Keystore::open_if_any(folder, provider)? {
            return Ok(keystore);
        }
        let root = provider.root_key_or_create()?;
        let store = secret::random_bytes()?;
        let keystore = Keystore {
            path: folder.join(FILE_NAME),
            root: root.id(),
            store,
            keys: Derived::of(root.key(), &store),
            next: 1,
            devices: BTreeMap::new(),
            segments: BTreeMap::new(),
            frames: BTreeMap::new(),
        };
        keystore.save()?;
        Ok(keystore)
    }

    /// Makes all changes durable in one step.
    pub fn save(&self) -> Result {
        durable::replace(&self.path, &self.encode()?)
    }

    /// A number that no file of this folder has had.
    pub fn next_number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Whether this keystore has given out the number, for a file that is there or was.
    pub fn has_given(&self, number: u64) -> bool {
        (1..self.next).contains(&number)
    }

    /// Whether this is the number that comes next: a crash may have left a file of that number.
    pub fn is_next(&self, number: u64) -> bool {
        number == self.next
    }

    /// The store's own random name, as it stands in the files' metadata.
    pub fn store_name(&self) -> String {
        secret::hex(&self.store)
    }

    /// The id of the root key.
    pub fn root(&self) -> KeyId {
        self.root
    }

    /// The tag of a device; it gets a key at first sight.
    pub fn device(&mut self, name: &str) -> Result<DeviceTag> {
        let tag = self.tag_of(name);
        if !self.devices.contains_key(&tag) {
            let key = Key::random()?;
            let mut plain = Zeroizing::new(key.expose().to_vec());
            plain.extend(name.as_bytes());
            let wrapped = self.keys.wrap.wrap(&self.purpose(DEVICE, &tag.0), &plain)?;
            self.devices.insert(tag, Device { name: name.to_owned(), key, wrapped });
        }
        Ok(tag)
    }

    /// The name behind a tag.
    pub fn device_name(&self, tag: DeviceTag) -> Option<&str> {
        self.devices.get(&tag).map(|d| d.name.as_str())
    }

    /// Adds a segment under its device's key.
    pub fn add_segment(&mut self, number: u64, device: DeviceTag, seal: &SegmentSeal) -> Result {
        let mut plain = Zeroizing::new(seal.key.expose().to_vec());
        plain.extend(seal.length.to_le_bytes());
        plain.extend(seal.digest);
        plain.extend(seal.rows.to_le_bytes());
        let purpose = self.segment_purpose(number, device);
        let key = &self.devices.get(&device).ok_or(Error::Crypto("the device has no key"))?.key;
        let wrapped = key.wrap(&purpose, &plain)?;
        self.segments.insert(number, Segment { device, wrapped });
        Ok(())
    }

    /// The numbers and devices of all segments, in the order of their numbers.
    pub fn segments(&self) -> impl Iterator<Item = (u64, DeviceTag)> + '_ {
        self.segments.iter().map(|(number, segment)| (*number, segment.device))
    }

    /// What opens a segment.
    pub fn segment(&self, number: u64) -> Result<SegmentSeal> {
        let damaged = || Error::damaged(&self.path, format!("the key of segment {number} does not open"));
        let segment = self.segments.get(&number).ok_or_else(damaged)?;
        let device = self.devices.get(&segment.device).ok_or_else(damaged)?;
        let purpose = self.segment_purpose(number, segment.device);
        let plain = device.key.unwrap(&purpose, &segment.wrapped).ok_or_else(damaged)?;
        let mut fields = Fields(&plain);
        let read = |fields: &mut Fields<'_>| {
            Some(SegmentSeal {
                key: Key::from_bytes(fields.array()?),
                length: fields.u64()?,
                digest: fields.array()?,
                rows: fields.u64()?,
            })
        };
        read(&mut fields).ok_or_else(damaged)
    }

    /// Adds a fresh key for a frame file.
    pub fn add_frames(&mut self) -> Result<(u64, Key)> {
        let number = self.next_number();
        let key = Key::random()?;
        let wrapped = self.keys.logs.wrap(&self.purpose(FRAMES, &number.to_le_bytes()), key.expose())?;
        self.frames.insert(number, wrapped);
        Ok((number, key))
    }

    /// Forgets the key of a frame file, which nobody can read from then on.
    pub fn remove_frames(&mut self, number: u64) {
        self.frames.remove(&number);
    }

    /// The numbers of all frame files, oldest first.
    pub fn frames(&self) -> Vec<u64> {
        self.frames.keys().copied().collect()
    }

    /// The key of a frame file.
    pub fn frames_key(&self, number: u64) -> Result<Key> {
        let open = || {
            let purpose = self.purpose(FRAMES, &number.to_le_bytes());
            let plain = self.keys.logs.unwrap(&purpose, self.frames.get(&number)?)?;
            Some(Key::from_bytes(Fields(&plain).array::<KEY_BYTES>()?))
        };
        open().ok_or_else(|| {
            Error::damaged(&self.path, format!("the key of frame file {number} does not open"))
        })
    }

    fn tag_of(&self, device: &str) -> DeviceTag {
        DeviceTag(secret::prefix(&self.keys.tags.authenticate(&[device.as_bytes()])))
    }

    /// What a wrapped key is for: bound to it as associated data, so that no entry passes for another.
    fn purpose(&self, kind: u8, what: &[u8]) -> Vec<u8> {
        [&self.store[..], &[kind], what].concat()
    }

    fn segment_purpose(&self, number: u64, device: DeviceTag) -> Vec<u8> {
        self.purpose(SEGMENT, &[&number.to_le_bytes()[..], &device.0].concat())
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let mut out = MAGIC.to_vec();
        out.extend(VERSION.to_le_bytes());
        out.extend(self.root.0);
        out.extend(self.store);
        out.extend(self.next.to_le_bytes());
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
        for (number, wrapped) in &self.frames {
            out.push(FRAMES);
            out.extend(number.to_le_bytes());
            put_bytes(&mut out, wrapped)?;
        }
        out.extend(self.keys.whole.authenticate(&[&out]));
        out.extend(secret::prefix::<CHECK_BYTES>(&secret::digest(&[&out])));
        Ok(out)
    }

    fn decode(path: PathBuf, bytes: &[u8], provider: &dyn KeyProvider) -> Result<Keystore> {
        let mut fields = Fields(bytes);
        if fields.array::<8>().as_ref() != Some(MAGIC) {
            return Err(Error::foreign(&path, KIND, "it does not begin with HWKEYST1"));
        }
        let version = fields.u16();
        if version != Some(VERSION) {
            let found = format!("its version is {}, this program reads {VERSION}", version.unwrap_or(0));
            return Err(Error::foreign(&path, KIND, found));
        }
        // The checksum needs no key: damage is told apart from a wrong key.
        let (rest, check) = split_end::<CHECK_BYTES>(bytes)
            .ok_or_else(|| Error::damaged(&path, "it is shorter than its header"))?;
        if secret::prefix::<CHECK_BYTES>(&secret::digest(&[rest])) != *check {
            return Err(Error::damaged(&path, "its checksum does not fit"));
        }
        let short = || Error::damaged(&path, "it is shorter than its header");
        let root = KeyId(fields.array().ok_or_else(short)?);
        let store = fields.array().ok_or_else(short)?;
        let next = fields.u64().ok_or_else(short)?;
        let key = provider.root_key()?;
        if key.id() != root {
            return Err(Error::WrongKey {
                needed: root.to_string(),
                provided: key.id().to_string(),
                provided_by: provider.origin(),
                path,
            });
        }
        let keys = Derived::of(key.key(), &store);
        let (body, mac) = split_end::<MAC_BYTES>(rest).ok_or_else(short)?;
        if !secret::equal(&keys.whole.authenticate(&[body]), mac) {
            return Err(Error::damaged(&path, "its seal does not fit: it was changed by other hands"));
        }
        let header = bytes.len() - fields.0.len();
        let entries = Fields(body.get(header..).unwrap_or_default());
        let (devices, segments, frames) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut keystore = Keystore { path, root, store, keys, next, devices, segments, frames };
        keystore
            .read_entries(entries)
            .ok_or_else(|| Error::damaged(&keystore.path, "an entry does not open"))?;
        Ok(keystore)
    }

    fn read_entries(&mut self, mut fields: Fields<'_>) -> Option<()> {
        while let Some(kind) = fields.u8() {
            match kind {
                DEVICE => {
                    let tag = DeviceTag(fields.array()?);
                    let wrapped = fields.bytes()?.to_vec();
                    let plain = self.keys.wrap.unwrap(&self.purpose(DEVICE, &tag.0), &wrapped)?;
                    let mut plain = Fields(&plain);
                    let key = Key::from_bytes(plain.array()?);
                    let name = std::str::from_utf8(plain.0).ok()?.to_owned();
                    self.devices.insert(tag, Device { name, key, wrapped });
                }
                SEGMENT => {
                    let number = fields.u64()?;
                    let device = DeviceTag(fields.array()?);
                    self.segments.insert(number, Segment { device, wrapped: fields.bytes()?.to_vec() });
                }
                FRAMES => {
                    self.frames.insert(fields.u64()?, fields.bytes()?.to_vec());
                }
                _ => return None,
            }
        }
        fields.end()
    }
}

/// A folder with data but without a keystore has lost it: a new one would hide that, and let the data be
/// taken for leftovers.
fn refuse_orphans(folder: &Path) -> Result {
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        if path.extension().is_some_and(|e| e == "frames" || e == "parquet") {
            return Err(Error::Absent {
                what: "keystore",
                path: folder.join(FILE_NAME),
                remedy: "but there are encrypted files beside it: bring the keystore back from a copy, or \
                         give another folder",
            });
        }
    }
    Ok(())
}

fn split_end<const N: usize>(bytes: &[u8]) -> Option<(&[u8], &[u8; N])> {
    bytes.split_last_chunk::<N>()
}
