//! When live rows become segments: on a monotone clock, on a thread of its own, since no epoch may come for hours.
//!
//! In: the open store, and how often. Out: segments of what waits in its log, and small ones of a day joined where they are many. It
//! must not know what rows there are: what the store holds is the same without it.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use headwater_contract::prelude::*;
use headwater_vault::{Error, Store};

/// A store that the stage and its sealer share.
#[derive(Clone)]
pub struct SharedStore(Arc<Mutex<Store>>);

impl SharedStore {
    /// Shares a store.
    pub fn new(store: Store) -> Self {
        SharedStore(Arc::new(Mutex::new(store)))
    }

    /// The store, for this thread alone until it is dropped.
    ///
    /// # Errors
    /// The other thread panicked while it had it.
    pub fn open(&self) -> Result<MutexGuard<'_, Store>> {
        self.0
            .lock()
            .map_err(|_| StageError::new("the store's lock is poisoned: the sealing thread panicked"))
    }

    /// Seals what waits.
    pub fn seal(&self) {
        self.try_to(|store| store.seal().map(drop));
    }

    /// Seals what waits, and joins what is small and many.
    fn seal_and_join(&self) {
        self.try_to(|store| store.seal().and_then(|_| store.tidy()).map(drop));
    }

    /// Does what can be done again later. A failure is only logged: the rows are durable in the log, and where they are not, the next
    /// commit says why.
    fn try_to(&self, work: impl FnOnce(&mut Store) -> std::result::Result<(), Error>) {
        let Ok(mut store) = self.0.lock() else { return };
        match work(&mut store) {
            Ok(()) | Err(Error::DiskFull { .. } | Error::Poisoned { .. }) => {}
            Err(error) => tracing::warn!(%error, "the rows in the log of the store could not be sealed"),
        }
    }
}

/// A thread that seals; it ends when this is dropped.
pub struct Sealer {
    thread: Option<JoinHandle<()>>,
    stop: Option<Sender<()>>,
}

impl Sealer {
    /// Seals so often.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(store: SharedStore, every: Duration) -> Result<Self> {
        let (stop, stopped) = channel();
        let work = move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                store.seal_and_join();
            }
        };
        let thread = std::thread::Builder::new().name("seal".into()).spawn(work);
        let thread = thread.map_err(|error| StageError::new(format!("no thread can be started: {error}")))?;
        Ok(Sealer { thread: Some(thread), stop: Some(stop) })
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has poisoned the store's lock, which is reported where the store is used.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_contract::conformance::text_rows;
    use headwater_vault::{KeyFile, StoreOptions, StoreReader};

    #[test]
    fn waiting_rows_are_sealed_without_another_epoch() {
        let own = tempfile::tempdir().unwrap();
        let (path, key) = (own.path().join("vault"), KeyFile::at(own.path().join("root.key")));
        let store = SharedStore::new(Store::open(&path, &key, StoreOptions::default()).unwrap());
        store.open().unwrap().append(&text_rows(&[("hall", "tea is ready")]).unwrap()).unwrap();
        store.open().unwrap().commit().unwrap();
        let sealed = || !StoreReader::open(&path, &key).unwrap().segments().is_empty();
        assert!(!sealed());
        let sealer = Sealer::start(store, Duration::from_millis(1)).unwrap();
        // It comes at some time; without the sealer never.
        while !sealed() {
            std::thread::yield_now();
        }
        drop(sealer);
    }
}
