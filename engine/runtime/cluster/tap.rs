//! Taps of rows in other processes: the coordinator sends the tapped ports, and its peers send the rows that pass
//! there, with each beat and no more than a beat can carry.
//!
//! In: ports, batches that the run shows. Out: messages with rows, or how many passed unseen. It must not know the clients.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;

use super::message::Message;
use crate::exchange::{decode_batch, encode_batch};
use crate::plan::PortRef;
use crate::watch::{Watch, Watching};

/// Batches of a port that wait for the next beat: a bound on memory; what is beyond is counted as missed.
const BEHIND: usize = 32;
/// Bytes that go with one beat: little enough to leave at once, however busy the other end is.
const ROOM: usize = 1 << 17;
/// Rows that are sent in one piece: small enough that a piece of usual rows fits into what a beat can carry.
const ROWS: usize = 32;

/// The ports that are tapped.
#[derive(Default)]
pub(super) struct RemoteTaps {
    /// On the coordinator: the ports that the peers know of.
    known: Mutex<Vec<PortRef>>,
    /// On a peer: the ports that the coordinator wants to see.
    wanted: Mutex<Vec<(PortRef, Watching)>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RemoteTaps {
    /// On the coordinator: returns the message to the peers when the tapped ports have changed.
    pub(super) fn change(&self, watch: &Watch) -> Option<Message> {
        let ports = watch.ports();
        let mut known = locked(&self.known);
        if *known == ports {
            return None;
        }
        known.clone_from(&ports);
        Some(Message::Tap(ports))
    }

    /// On a peer: taps these ports from now on, and no others.
    pub(super) fn follow(&self, watch: &Arc<Watch>, ports: &[PortRef]) {
        let mut wanted = locked(&self.wanted);
        wanted.retain(|(port, _)| ports.contains(port));
        for port in ports {
            if !wanted.iter().any(|(known, _)| known == port) {
                wanted.push((*port, watch.begin(*port, BEHIND)));
            }
        }
    }

    /// On a peer: returns what passed since the last call, as far as it fits.
    pub(super) fn seen(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut budget = ROOM;
        for (port, watching) in locked(&self.wanted).iter() {
            let mut missed = watching.dropped();
            while let Ok(Some(batch)) = watching.next(Duration::ZERO) {
                for from in (0..batch.num_rows()).step_by(ROWS) {
                    let piece = batch.slice(from, ROWS.min(batch.num_rows() - from));
                    match encode_batch(&piece).ok().filter(|bytes| bytes.len() <= budget) {
                        Some(bytes) => {
                            budget -= bytes.len();
                            messages.push(Message::TapRows { port: *port, missed: 0, bytes });
                        }
                        None => missed += piece.num_rows() as u64,
                    }
                }
            }
            if missed > 0 {
                messages.push(Message::TapRows { port: *port, missed, bytes: Vec::new() });
            }
        }
        messages
    }
}

/// On the coordinator: shows rows of another process to the clients. Returns true if they are rows.
pub(super) fn show(watch: &Watch, port: PortRef, missed: u64, bytes: &[u8]) -> bool {
    if missed > 0 {
        watch.missed(port, missed);
    }
    if bytes.is_empty() {
        return true;
    }
    let rows: Option<RecordBatch> = decode_batch(bytes);
    if let Some(rows) = &rows {
        watch.show(port, rows);
    }
    rows.is_some()
}

#[cfg(test)]
mod tests {
    use headwater_contract::conformance::text_rows;

    use super::*;
    use crate::plan::OutPort;

    #[test]
    fn rows_are_sent_as_far_as_there_is_room_and_the_rest_is_told() {
        let at = |stage| PortRef { stage, port: OutPort::Out(0) };
        let (coordinator, peer) = (Arc::new(Watch::default()), Arc::new(Watch::default()));
        let (on_coordinator, on_peer) = (RemoteTaps::default(), RemoteTaps::default());
        assert_eq!(on_coordinator.change(&coordinator), None);
        let guest = coordinator.begin(at(3), 100);
        assert_eq!(on_coordinator.change(&coordinator), Some(Message::Tap(vec![at(3)])));
        assert_eq!(on_coordinator.change(&coordinator), None, "the peers know it");
        on_peer.follow(&peer, &[at(3)]);
        let long = "x".repeat(2 * ROOM);
        for rows in [&[("hall", "one"), ("attic", "two")][..], &[("hall", long.as_str())]] {
            peer.show(at(3), &text_rows(rows).unwrap());
            peer.show(at(4), &text_rows(rows).unwrap());
        }
        for message in on_peer.seen() {
            let Message::TapRows { port, missed, bytes } = message else { panic!("{message:?}") };
            assert!(show(&coordinator, port, missed, &bytes));
        }
        let seen = guest.next(Duration::ZERO).unwrap().unwrap();
        assert_eq!((seen.num_rows(), guest.next(Duration::ZERO).unwrap(), guest.dropped()), (2, None, 1));
        assert!(!show(&coordinator, at(3), 0, b"no rows"));
        drop(guest);
        assert_eq!(on_coordinator.change(&coordinator), Some(Message::Tap(Vec::new())));
        on_peer.follow(&peer, &[]);
        peer.show(at(3), &text_rows(&[("hall", "unseen")]).unwrap());
        assert!(on_peer.seen().is_empty());
    }
}
