//! The keystore: a small file beside immutable ones that holds their keys, wrapped. In: the root key. Out:
//! a key per device and a data key per file. root key -> device key -> segment key; root key -> log key ->
//! frame file key, which opens the rows of a device together with that device's key. Deleting an entry makes what it
//! opens unreadable for good; wrapping again rotates without touching a data file. It must not know Parquet or
//! Arrow. See docs/formats/keystore.md.

mod encoding;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::disk::Disk;
use crate::durable;
use crate::root_key::{KeyId, KeyProvider, RootKey};
use crate::secret::{self, Key};
use crate::wire::Fields;
use crate::{Error, Result};

/// The keystore's name in its folder.
pub const FILE_NAME: &str = "keystore";

/// The number of retries of a reader when the writer removes a file meanwhile.
const TRIES: usize = 5;

const DEVICE: u8 = 1;
const SEGMENT: u8 = 2;
// Kind 3 is not used.
const LOG_FILE: u8 = 4;
const TAG_KEY: u8 = 5;

/// Stands for a device in file names and headers: a keyed hash, so that the name stays secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct DeviceTag(pub [u8; 16]);

/// The key and the digest of one segment, to read and verify it.
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
    /// The capture time of the newest row in microseconds since 1970, if rows have one.
    pub newest: Option<i64>,
}

/// The name of a device's key beside the rows that it seals. A device that returns after it was forgotten has another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct KeyName(pub [u8; 16]);

struct Device {
    name: String,
    key: Key,
    wrapped: Vec<u8>,
}

#[derive(Clone)]
struct Segment {
    device: DeviceTag,
    wrapped: Vec<u8>,
}

/// A file of a log.
#[derive(Clone)]
struct LogFile {
    key: Key,
    /// Its durable bytes, once its writer has ended.
    closed: Option<u64>,
}

/// The open keystore of one folder. Changes are in memory until [`Keystore::save`].
pub struct Keystore {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    root: KeyId,
    store: [u8; 16],
    keys: Derived,
    tags: Key,
    next: u64,
    devices: BTreeMap<DeviceTag, Device>,
    key_names: HashMap<KeyName, DeviceTag>,
    segments: BTreeMap<u64, Segment>,
    logs: BTreeMap<u64, LogFile>,
    /// True if a device got a key since the last save.
    fresh_devices: bool,
}

/// The files of a keystore before a change, to restore them if it fails.
pub(crate) struct FilesBefore {
    next: u64,
    segments: BTreeMap<u64, Segment>,
    logs: BTreeMap<u64, LogFile>,
}

/// The keys derived from the root key for one store; two stores under one root key share none.
struct Derived {
    wrap: Key,
    logs: Key,
    whole: Key,
}

impl Derived {
    fn of(root: &Key, store: &[u8; 16]) -> Derived {
        let key = |label| root.derive(label, store);
        Derived { wrap: key("wrap"), logs: key("logs"), whole: key("keystore") }
    }
}

impl Keystore {
    /// Opens the keystore of `folder`.
    pub fn open(disk: &Arc<dyn Disk>, folder: &Path, provider: &dyn KeyProvider) -> Result<Keystore> {
        let path = folder.join(FILE_NAME);
        let remedy = "give a folder that a run wrote to; if it is one, restore the keystore from a copy";
        let bytes = durable::read(&**disk, &path, "keystore", remedy)?;
        Keystore::decode(disk, path, &bytes, provider)
    }

    /// Reads the files of a keystore beside its writer; retries if the writer removed a file meanwhile. Files that the keystore
    /// named existed when it was read, unless they are damaged.
    pub(crate) fn read_beside_writer<T>(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        provider: &dyn KeyProvider,
        read: &dyn Fn(Keystore) -> Result<T>,
    ) -> Result<T> {
        let mut tries = TRIES;
        loop {
            let keystore = Keystore::open(disk, folder, provider)?;
            let files = keystore.files();
            match read(keystore) {
                Err(_) if tries > 0 && Keystore::open(disk, folder, provider)?.files() != files => tries -= 1,
                done => return done,
            }
        }
    }

    /// Opens the keystore of `folder`; returns `None` if there is neither a keystore nor data.
    pub fn open_if_any(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        provider: &dyn KeyProvider,
    ) -> Result<Option<Keystore>> {
        if durable::exists(&**disk, &folder.join(FILE_NAME))? {
            return Keystore::open(disk, folder, provider).map(Some);
        }
        if durable::exists(&**disk, folder)? {
            refuse_orphans(&**disk, folder)?;
        }
        Ok(None)
    }

    /// Opens the keystore of `folder` for a writer, or creates and saves an empty one. It is durable then, so that files that
    /// it does not name can be removed.
    pub fn open_or_create(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        provider: &dyn KeyProvider,
    ) -> Result<Keystore> {
        if let Some(keystore) = Keystore::open_if_any(disk, folder, provider)? {
            durable::sync_folder(&**disk, folder)?;
            return Ok(keystore);
        }
        let root = provider.root_key_or_create()?;
        let store = secret::random_bytes()?;
        let mut keystore = Keystore {
            disk: Arc::clone(disk),
            path: folder.join(FILE_NAME),
            root: root.id(),
            store,
            keys: Derived::of(root.key(), &store),
            tags: Key::random()?,
            next: 1,
            devices: BTreeMap::new(),
            key_names: HashMap::new(),
            segments: BTreeMap::new(),
            logs: BTreeMap::new(),
            fresh_devices: false,
        };
        keystore.save()?;
        Ok(keystore)
    }

    /// Makes all changes durable in one step.
    pub fn save(&mut self) -> Result {
        durable::replace(&*self.disk, &self.path, &self.encode()?)?;
        self.fresh_devices = false;
        Ok(())
    }

    /// Makes the keys of new devices durable, before their rows are.
    pub fn save_devices(&mut self) -> Result {
        if self.fresh_devices { self.save() } else { Ok(()) }
    }

    /// Wraps everything under another root key, in memory: no file but the keystore changes, and that in one step when it is saved.
    pub fn rotate(&mut self, root: &RootKey) -> Result {
        self.root = root.id();
        self.keys = Derived::of(root.key(), &self.store);
        let mut devices = std::mem::take(&mut self.devices);
        for (tag, device) in &mut devices {
            device.wrapped = self.wrap_device(*tag, &device.name, &device.key)?;
        }
        self.devices = devices;
        Ok(())
    }

    /// A number that no file of this folder has had.
    pub fn next_number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Returns true if this keystore has assigned the number to a file, present or removed.
    pub fn has_assigned(&self, number: u64) -> bool {
        (1..self.next).contains(&number)
    }

    /// The number that comes next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Returns true for the next number: a crash may have left a file with it.
    pub fn is_next(&self, number: u64) -> bool {
        number == self.next
    }

    /// The store's random name, as in the files' metadata.
    pub fn store_name(&self) -> String {
        secret::hex(&self.store)
    }

    /// The id of the root key.
    pub fn root(&self) -> KeyId {
        self.root
    }

    /// The tag of a device; a new device gets a key.
    pub fn device(&mut self, name: &str) -> Result<DeviceTag> {
        let tag = self.tag_of(name);
        if !self.devices.contains_key(&tag) {
            let key = Key::random()?;
            let wrapped = self.wrap_device(tag, name, &key)?;
            self.key_names.insert(name_of(&key), tag);
            self.devices.insert(tag, Device { name: name.to_owned(), key, wrapped });
            self.fresh_devices = true;
        }
        Ok(tag)
    }

    /// The tag of a device that has a key.
    pub fn tag_if_known(&self, name: &str) -> Option<DeviceTag> {
        Some(self.tag_of(name)).filter(|tag| self.devices.contains_key(tag))
    }

    /// Deletes the key of a device, and with it those of its segments, whose numbers and tags are returned; `None` if it
    /// had no key.
    pub fn forget(&mut self, name: &str) -> Option<Vec<(u64, DeviceTag)>> {
        let tag = self.tag_of(name);
        let device = self.devices.remove(&tag)?;
        self.key_names.remove(&name_of(&device.key));
        let numbers: Vec<_> = self.segments().filter(|(_, of)| *of == tag).collect();
        numbers.iter().for_each(|(number, _)| drop(self.segments.remove(number)));
        Some(numbers)
    }

    /// The device that a key belongs to, if it was not forgotten.
    pub fn device_of(&self, key: KeyName) -> Option<DeviceTag> {
        self.key_names.get(&key).copied()
    }

    /// The name of a device's key, and the key for its rows in the file whose own key is `file`.
    pub fn rows_key(&self, tag: DeviceTag, file: &Key) -> Option<(KeyName, Key)> {
        let device = self.devices.get(&tag)?;
        Some((name_of(&device.key), device.key.derive("frame parts", file.expose())))
    }

    fn wrap_device(&self, tag: DeviceTag, name: &str, key: &Key) -> Result<Vec<u8>> {
        let mut plain = Zeroizing::new(key.expose().to_vec());
        plain.extend(name.as_bytes());
        self.keys.wrap.wrap(&self.purpose(DEVICE, &tag.0), &plain)
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
        plain.extend(seal.newest.unwrap_or(i64::MIN).to_le_bytes());
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

    /// The seal of a segment.
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
                newest: Some(fields.u64()?.cast_signed()).filter(|newest| *newest != i64::MIN),
            })
        };
        read(&mut fields).ok_or_else(damaged)
    }

    /// Returns true if the segment exists.
    pub fn has_segment(&self, number: u64) -> bool {
        self.segments.contains_key(&number)
    }

    /// The numbers of all files.
    pub fn files(&self) -> Vec<u64> {
        self.segments.keys().chain(self.logs.keys()).copied().collect()
    }

    /// Deletes a segment's key: the segment cannot be read from then on.
    pub fn remove_segment(&mut self, number: u64) {
        self.segments.remove(&number);
    }

    /// Adds a fresh key for a file of a log.
    pub fn add_log(&mut self) -> Result<(u64, Key)> {
        let number = self.next_number();
        let key = Key::random()?;
        self.logs.insert(number, LogFile { key: key.clone(), closed: None });
        Ok((number, key))
    }

    /// The files of the log, oldest first: number, key, and durable bytes once the writer has ended.
    pub fn logs(&self) -> impl Iterator<Item = (u64, &Key, Option<u64>)> + '_ {
        self.logs.iter().map(|(number, file)| (*number, &file.key, file.closed))
    }

    /// The files, for [`Keystore::restore`].
    pub(crate) fn before(&self) -> FilesBefore {
        FilesBefore { next: self.next, segments: self.segments.clone(), logs: self.logs.clone() }
    }

    /// Undoes changes of files that could not be saved. Keys of devices stay: they do no harm.
    pub(crate) fn restore(&mut self, before: FilesBefore) {
        self.next = before.next;
        (self.segments, self.logs) = (before.segments, before.logs);
    }

    /// The key of a file of the log.
    pub fn log_key(&self, number: u64) -> Option<&Key> {
        self.logs.get(&number).map(|file| &file.key)
    }

    /// Closes a file of the log at its number of durable bytes.
    pub fn close_log(&mut self, number: u64, length: u64) {
        if let Some(file) = self.logs.get_mut(&number) {
            file.closed = Some(length);
        }
    }

    /// Deletes the key of a file of the log: the file cannot be read from then on.
    pub fn remove_log(&mut self, number: u64) {
        self.logs.remove(&number);
    }

    fn tag_of(&self, device: &str) -> DeviceTag {
        DeviceTag(secret::prefix(&self.tags.authenticate(&[device.as_bytes()])))
    }

    /// The purpose of a wrapped key: bound to it as associated data, so that no entry passes for another.
    fn purpose(&self, kind: u8, what: &[u8]) -> Vec<u8> {
        [&self.store[..], &[kind], what].concat()
    }

    fn segment_purpose(&self, number: u64, device: DeviceTag) -> Vec<u8> {
        self.purpose(SEGMENT, &[&number.to_le_bytes()[..], &device.0].concat())
    }
}

/// A folder with data but without a keystore has lost it: a new one would hide that, and let the data be
/// taken for leftovers.
fn refuse_orphans(disk: &dyn Disk, folder: &Path) -> Result {
    for path in durable::list(disk, folder)? {
        if path.extension().is_some_and(|e| e == "frames" || e == "parquet") {
            return Err(Error::Absent {
                what: "keystore",
                path: folder.join(FILE_NAME),
                remedy: "but there are encrypted files beside it: restore the keystore from a copy, or give \
                         another folder",
            });
        }
    }
    Ok(())
}

fn name_of(key: &Key) -> KeyName {
    KeyName(secret::prefix(&key.authenticate(&[b"headwater key name"])))
}
