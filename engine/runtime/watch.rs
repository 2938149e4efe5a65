//! Taps of rows while they pass: a client may begin and stop at any time, and never holds the run up.
//!
//! In: batches of rows as they leave stages, on the threads that made them. Out: the same batches on a bounded channel of each
//! each client; what does not fit there is counted and dropped. It must not know the clients.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use arrow::array::RecordBatch;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::plan::PortRef;

/// All taps of a run.
///
/// `count` only saves a lock where there is no tap, and `dropped` is only a number to show: neither publishes other data, so that
/// `Relaxed` is enough. Taps themselves are read under `all`.
#[derive(Debug, Default)]
pub struct Watch {
    /// The number of taps: with none a batch costs one reading of this.
    count: AtomicUsize,
    next: AtomicU64,
    all: RwLock<Vec<Watcher>>,
}

#[derive(Debug)]
struct Watcher {
    id: u64,
    port: PortRef,
    rows: Sender<RecordBatch>,
    dropped: Arc<AtomicU64>,
}

/// A tap of a port, until it is dropped.
#[derive(Debug)]
pub struct Watching {
    watch: Arc<Watch>,
    id: u64,
    rows: Receiver<RecordBatch>,
    dropped: Arc<AtomicU64>,
}

impl Watch {
    /// Begins to tap a port, at most so many batches behind.
    pub fn begin(self: &Arc<Self>, port: PortRef, behind: usize) -> Watching {
        let (sender, rows) = bounded(behind);
        let (id, dropped) = (self.next.fetch_add(1, Relaxed), Arc::new(AtomicU64::new(0)));
        if let Ok(mut all) = self.all.write() {
            all.push(Watcher { id, port, rows: sender, dropped: dropped.clone() });
            self.count.store(all.len(), Relaxed);
        }
        Watching { watch: self.clone(), id, rows, dropped }
    }

    /// Returns the tapped ports.
    pub(crate) fn ports(&self) -> Vec<PortRef> {
        let mut ports: Vec<PortRef> = match self.all.read() {
            Ok(all) => all.iter().map(|watcher| watcher.port).collect(),
            Err(_) => Vec::new(),
        };
        ports.sort();
        ports.dedup();
        ports
    }

    /// Takes note of rows that passed a port elsewhere and cannot be shown.
    pub(crate) fn missed(&self, port: PortRef, rows: u64) {
        let Ok(all) = self.all.read() else { return };
        for watcher in all.iter().filter(|watcher| watcher.port == port) {
            watcher.dropped.fetch_add(rows, Relaxed);
        }
    }

    /// Shows rows that leave by a port.
    pub(crate) fn show(&self, port: PortRef, rows: &RecordBatch) {
        if self.count.load(Relaxed) == 0 {
            return;
        }
        // While a tap is added or removed no tap gets the batch: the run does not wait.
        let Ok(all) = self.all.try_read() else { return };
        for watcher in all.iter().filter(|watcher| watcher.port == port) {
            if watcher.rows.try_send(rows.clone()).is_err() {
                watcher.dropped.fetch_add(rows.num_rows() as u64, Relaxed);
            }
        }
    }
}

impl Watching {
    /// The next batch, waited for at most so long; nothing when none came.
    ///
    /// # Errors
    /// None will come.
    pub fn next(&self, patience: Duration) -> Result<Option<RecordBatch>, RecvTimeoutError> {
        match self.rows.recv_timeout(patience) {
            Ok(rows) => Ok(Some(rows)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(gone) => Err(gone),
        }
    }

    /// Returns the number of rows that did not fit since the last call.
    pub fn dropped(&self) -> u64 {
        self.dropped.swap(0, Relaxed)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Ok(mut all) = self.watch.all.write() {
            all.retain(|watcher| watcher.id != self.id);
            self.watch.count.store(all.len(), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::OutPort;
    use headwater_contract::conformance::text_rows;

    #[test]
    fn who_looks_sees_or_is_told_what_was_lost() {
        let at = |stage| PortRef { stage, port: OutPort::Out(0) };
        let rows = text_rows(&[("a", "one"), ("b", "two")]).unwrap();
        let watch = Arc::new(Watch::default());
        watch.show(at(0), &rows);
        let (one, other) = (watch.begin(at(0), 2), watch.begin(at(1), 2));
        for _ in 0..5 {
            watch.show(at(0), &rows);
        }
        assert_eq!((one.dropped(), one.dropped(), other.dropped()), (6, 0, 0));
        for _ in 0..2 {
            assert_eq!(one.next(Duration::ZERO).unwrap(), Some(rows.clone()));
        }
        assert_eq!(one.next(Duration::ZERO).unwrap(), None);
        assert_eq!(other.next(Duration::ZERO).unwrap(), None);
        drop(one);
        watch.show(at(0), &rows);
        assert_eq!(watch.count.load(Relaxed), 1);
    }
}
