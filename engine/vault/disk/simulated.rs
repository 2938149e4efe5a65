//! A disk in memory for tests that injects faults. A power cut may lose unsynced bytes, sector by sector, and names
//! whose folder was not synced, in any order. A failed sync loses the bytes it should have kept, and the next sync does not
//! report it. Calls may fail or write short, and the power may fail at any call. The seed determines everything.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskReader, DiskWriter, LockGuard, LockOutcome};

/// Bytes that a disk writes whole or not at all.
pub(crate) const SECTOR: usize = 512;

/// A fault at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power fails: the call may have taken effect, wholly or in part; every later call fails.
    PowerCut,
    /// The disk reports an I/O error (EIO).
    Io,
    /// The disk is full (ENOSPC).
    DiskFull,
    /// An append writes only part of its bytes. Other calls are not affected.
    Short,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default)]
struct Node {
    bytes: Vec<u8>,
    /// Bytes from the start that a sync has kept.
    durable: usize,
    /// The range of bytes that a failed sync lost; a later sync does not report it.
    lost: Option<(usize, usize)>,
}

/// The changes of names of one call: the new entry of each path, or `None`.
type Renaming = Vec<(PathBuf, Option<Entry>)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    File(usize),
    Folder,
}

#[derive(Debug, Default)]
struct State {
    random: u64,
    changes: u64,
    reads: u64,
    faults: BTreeMap<u64, Fault>,
    read_faults: BTreeSet<u64>,
    free: Option<usize>,
    dead: bool,
    nodes: Vec<Node>,
    names: BTreeMap<PathBuf, Entry>,
    durable_names: BTreeMap<PathBuf, Entry>,
    pending: Vec<Renaming>,
    locks: BTreeSet<PathBuf>,
}

impl SimulatedDisk {
    /// Creates an empty disk whose faults are determined by a seed.
    pub fn new(seed: u64) -> SimulatedDisk {
        SimulatedDisk(Arc::new(Mutex::new(State { random: seed, ..State::default() })))
    }

    /// Injects a fault at the n-th call from now on that changes the disk, from 0.
    pub fn fault_at(&self, call: u64, fault: Fault) {
        let mut state = self.state();
        let call = state.changes + call;
        state.faults.insert(call, fault);
    }

    /// Makes the n-th read from now on fail, from 0.
    pub fn fail_read_at(&self, call: u64) {
        let mut state = self.state();
        let call = state.reads + call;
        state.read_faults.insert(call);
    }

    /// Limits the disk space to this many more bytes; `None` for no limit.
    pub fn leave_space(&self, bytes: Option<usize>) {
        self.state().free = bytes;
    }

    /// Calls so far that changed the disk.
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Returns true after a power cut.
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// The disk after a power cut and a restart: the durable bytes, and a random part of the rest.
    pub fn after_power_cut(&self) -> SimulatedDisk {
        let mut state = self.state();
        let pending = std::mem::take(&mut state.pending);
        let mut names = state.durable_names.clone();
        for renaming in pending {
            if state.chance(2) {
                apply(&mut names, &renaming);
            }
        }
        let kept: Vec<PathBuf> = names.keys().filter(|path| reachable(&names, path)).cloned().collect();
        names.retain(|path, _| kept.contains(path));
        let nodes = state.nodes.clone().into_iter().map(|node| state.after_cut(node)).collect();
        let random = state.next_random();
        let state = State { random, nodes, durable_names: names.clone(), names, ..State::default() };
        SimulatedDisk(Arc::new(Mutex::new(state)))
    }

    /// The disk after the process was killed: everything is as it was, synced or not.
    pub fn after_kill(&self) -> SimulatedDisk {
        let mut state = self.state();
        let random = state.next_random();
        let (nodes, names) = (state.nodes.clone(), state.names.clone());
        let (durable_names, pending) = (state.durable_names.clone(), state.pending.clone());
        let state = State { random, nodes, names, durable_names, pending, ..State::default() };
        SimulatedDisk(Arc::new(Mutex::new(state)))
    }

    /// The bytes of a file as a program would read them now.
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let file = state.file(path).ok()?;
        state.nodes.get(file).map(|node| node.bytes.clone())
    }

    /// Puts bytes in a file, durably, without counting as a call: for damage.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.state();
        let node = Node { durable: bytes.len(), bytes, lost: None };
        let entry = Entry::File(state.nodes.len());
        state.nodes.push(node);
        state.names.insert(path.to_owned(), entry);
        state.durable_names.insert(path.to_owned(), entry);
    }

    /// The paths of all files.
    pub fn files(&self) -> Vec<PathBuf> {
        let state = self.state();
        let files = state.names.iter().filter(|(_, entry)| **entry != Entry::Folder);
        files.map(|(path, _)| path.clone()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a call that changes names: it is counted, and may fail.
    fn change<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        match state.next_change()? {
            None | Some(Fault::Short) => act(&mut state),
            Some(Fault::PowerCut) => {
                if state.chance(2) {
                    let _ = act(&mut state);
                }
                state.dead = true;
                Err(no_power())
            }
            Some(Fault::Io) => Err(io_error()),
            Some(Fault::DiskFull) => Err(disk_full()),
        }
    }

    fn read<T>(&self, act: impl FnOnce(&State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        let call = state.reads;
        state.reads += 1;
        if state.dead {
            return Err(no_power());
        }
        if state.read_faults.remove(&call) {
            return Err(io_error());
        }
        act(&state)
    }
}

impl State {
    fn next_change(&mut self) -> io::Result<Option<Fault>> {
        if self.dead {
            return Err(no_power());
        }
        let call = self.changes;
        self.changes += 1;
        Ok(self.faults.remove(&call))
    }

    /// splitmix64.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// True once in `of` times.
    fn chance(&mut self, of: u64) -> bool {
        self.next_random().is_multiple_of(of)
    }

    /// A number from 0 to `most`.
    fn up_to(&mut self, most: usize) -> usize {
        let drawn = self.next_random() % (most as u64 + 1);
        usize::try_from(drawn).unwrap_or(0)
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Entry::File(node)) => Ok(*node),
            Some(Entry::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn need_folder_of(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let there = is_top(folder) || self.names.get(folder) == Some(&Entry::Folder);
        if there { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn rename_all(&mut self, renaming: Renaming) {
        apply(&mut self.names, &renaming);
        self.pending.push(renaming);
    }

    /// Takes disk space for bytes; returns the number that fits.
    fn take_space(&mut self, bytes: usize) -> usize {
        let Some(free) = &mut self.free else { return bytes };
        let taken = bytes.min(*free);
        *free -= taken;
        taken
    }

    /// A file after a power cut: the synced bytes, and each sector of the others or zeros, up to some length.
    fn after_cut(&mut self, mut node: Node) -> Node {
        let length = node.durable + self.up_to(node.bytes.len().saturating_sub(node.durable));
        node.bytes.truncate(length);
        let mut at = node.durable;
        while at < length {
            let end = ((at / SECTOR + 1) * SECTOR).min(length);
            if self.chance(2) {
                zero(&mut node.bytes, at, end);
            }
            at = end;
        }
        if let Some((from, to)) = node.lost {
            zero(&mut node.bytes, from, to);
        }
        Node { durable: node.bytes.len(), bytes: node.bytes, lost: None }
    }
}

impl Disk for SimulatedDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.change(|state| {
            let missing = folder.ancestors().take_while(|f| !is_top(f) && !state.names.contains_key(*f));
            let missing: Vec<_> = missing.map(Path::to_owned).collect();
            for folder in missing.into_iter().rev() {
                state.rename_all(vec![(folder, Some(Entry::Folder))]);
            }
            Ok(())
        })
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskWriter>> {
        let node = self.change(|state| {
            state.need_folder_of(path)?;
            let node = state.nodes.len();
            state.nodes.push(Node::default());
            state.rename_all(vec![(path.to_owned(), Some(Entry::File(node)))]);
            Ok(node)
        })?;
        Ok(Box::new(File { disk: self.clone(), node }))
    }

    fn append_to(&self, path: &Path) -> io::Result<Box<dyn DiskWriter>> {
        match self.read(|state| Ok(state.file(path).ok()))? {
            Some(node) => Ok(Box::new(File { disk: self.clone(), node })),
            None => self.create(path),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskReader>> {
        let node = self.read(|state| state.file(path))?;
        Ok(Box::new(File { disk: self.clone(), node }))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.read(|state| Ok(is_top(path) || state.names.contains_key(path)))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.read(|state| {
            if !is_top(folder) && !state.names.contains_key(folder) {
                return Err(io::ErrorKind::NotFound.into());
            }
            Ok(state.names.keys().filter(|path| path.parent() == Some(folder)).cloned().collect())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            let node = state.file(from)?;
            state.need_folder_of(to)?;
            state.rename_all(vec![(from.to_owned(), None), (to.to_owned(), Some(Entry::File(node)))]);
            Ok(())
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            let node = state.file(from)?;
            if state.names.contains_key(to) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.rename_all(vec![(to.to_owned(), Some(Entry::File(node)))]);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(|state| {
            state.file(path)?;
            state.rename_all(vec![(path.to_owned(), None)]);
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.change(|state| {
            let (mut durable, mut pending) = (std::mem::take(&mut state.durable_names), Vec::new());
            for renaming in std::mem::take(&mut state.pending) {
                // Names in other folders that the same call changed stay pending.
                let (ours, others): (Renaming, Renaming) =
                    renaming.into_iter().partition(|(path, _)| path.parent().is_none_or(|p| p == folder));
                apply(&mut durable, &ours);
                if !others.is_empty() {
                    pending.push(others);
                }
            }
            (state.durable_names, state.pending) = (durable, pending);
            Ok(())
        })
    }

    fn lock(&self, path: &Path) -> io::Result<LockOutcome> {
        let taken = self.read(|state| Ok(state.locks.contains(path)))?;
        if taken {
            return Ok(LockOutcome::Busy(Some(std::process::id())));
        }
        self.create(path)?;
        self.state().locks.insert(path.to_owned());
        Ok(LockOutcome::Acquired(Box::new(Guard { disk: self.clone(), path: path.to_owned() })))
    }
}

#[derive(Debug)]
struct File {
    disk: SimulatedDisk,
    node: usize,
}

impl DiskWriter for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.state();
        let fault = state.next_change()?;
        let wanted = match fault {
            Some(Fault::Io | Fault::DiskFull | Fault::PowerCut) => state.up_to(bytes.len()),
            Some(Fault::Short) => state.up_to(bytes.len().saturating_sub(1)).max(1),
            None => bytes.len(),
        };
        let taken = state.take_space(wanted);
        if let Some(node) = state.nodes.get_mut(self.node) {
            node.bytes.extend(bytes.iter().take(taken));
        }
        match fault {
            Some(Fault::PowerCut) => {
                state.dead = true;
                Err(no_power())
            }
            Some(Fault::Io) => Err(io_error()),
            Some(Fault::DiskFull) => Err(disk_full()),
            _ if taken == 0 && !bytes.is_empty() => Err(disk_full()),
            _ => Ok(taken),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        let fault = state.next_change()?;
        let kept = match fault {
            None | Some(Fault::Short) => true,
            Some(Fault::PowerCut) => state.chance(2),
            Some(Fault::Io | Fault::DiskFull) => false,
        };
        let failed = matches!(fault, Some(Fault::Io | Fault::DiskFull));
        if let Some(node) = state.nodes.get_mut(self.node) {
            if failed && node.durable < node.bytes.len() {
                node.lost = Some((node.lost.map_or(node.durable, |(from, _)| from), node.bytes.len()));
            }
            if kept || failed {
                node.durable = node.bytes.len();
            }
        }
        match fault {
            Some(Fault::PowerCut) => {
                state.dead = true;
                Err(no_power())
            }
            Some(Fault::Io) => Err(io_error()),
            Some(Fault::DiskFull) => Err(disk_full()),
            None | Some(Fault::Short) => Ok(()),
        }
    }
}

impl DiskReader for File {
    fn length(&self) -> io::Result<u64> {
        self.disk.read(|state| Ok(state.nodes.get(self.node).map_or(0, |node| node.bytes.len() as u64)))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.disk.read(|state| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let bytes =
                state.nodes.get(self.node).and_then(|node| node.bytes.get(from..)).unwrap_or_default();
            buffer.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            Ok(bytes.len().min(buffer.len()))
        })
    }
}

#[derive(Debug)]
struct Guard {
    disk: SimulatedDisk,
    path: PathBuf,
}

impl LockGuard for Guard {}

impl Drop for Guard {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.path);
    }
}

fn apply(names: &mut BTreeMap<PathBuf, Entry>, renaming: &Renaming) {
    for (path, entry) in renaming {
        match entry {
            Some(entry) => drop(names.insert(path.clone(), *entry)),
            None => drop(names.remove(path)),
        }
    }
}

/// Returns true if all folders above a path exist.
fn reachable(names: &BTreeMap<PathBuf, Entry>, path: &Path) -> bool {
    path.ancestors().skip(1).all(|folder| is_top(folder) || names.get(folder) == Some(&Entry::Folder))
}

fn is_top(folder: &Path) -> bool {
    folder.as_os_str().is_empty() || folder.parent().is_none()
}

fn zero(bytes: &mut [u8], from: usize, to: usize) {
    let to = to.min(bytes.len());
    bytes.get_mut(from.min(to)..to).unwrap_or_default().fill(0);
}

fn no_power() -> io::Error {
    io::Error::other("the power is off")
}

fn io_error() -> io::Error {
    io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error())
}

fn disk_full() -> io::Error {
    io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error())
}
