//! Looking at rows that leave a port in another process than home: home says which ports somebody looks at, and the others send what passes
//! there, with each beat and no more than a beat has room for.
//!
//! In: ports, batches that the run shows. Out: messages with rows, or how many passed unseen. It must not know who looks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;

use super::message::Message;
use crate::parcel::{decode_batch, encode_batch};
use crate::plan::PortRef;
use crate::watch::{Watch, Watching};

/// Batches of a port that wait for the next beat.
const BEHIND: usize = 32;
/// Bytes that go with one beat: little enough to leave at once, however busy the other end is.
const ROOM: usize = 1 << 17;
/// Rows that are sent in one piece.
const ROWS: usize = 32;

/// What is looked at.
#[derive(Default)]
pub(super) struct Looking {
    /// At home: the ports that the others know of.
    told: Mutex<Vec<PortRef>>,
    /// Elsewhere: the ports that home wants to see.
    wanted: Mutex<Vec<(PortRef, Watching)>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Looking {
    /// At home: what the others must be told, when other ports are looked at than before.
    pub(super) fn change(&self, watch: &Watch) -> Option<Message> {
        let ports = watch.ports();
        let mut told = locked(&self.told);
        if *told == ports {
            return None;
        }
        told.clone_from(&ports);
        Some(Message::Look(ports))
    }

    /// Elsewhere: looks at these ports from now on, and at no others.
    pub(super) fn follow(&self, watch: &Arc<Watch>, ports: &[PortRef]) {
        let mut wanted = locked(&self.wanted);
        wanted.retain(|(port, _)| ports.contains(port));
        for port in ports {
            if !wanted.iter().any(|(known, _)| known == port) {
                wanted.push((*port, watch.begin(*port, BEHIND)));
            }
        }
    }

    /// Elsewhere: what passed since this was last asked, as far as there is room.
    pub(super) fn seen(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut room = ROOM;
        for (port, watching) in locked(&self.wanted).iter() {
            let mut missed = watching.dropped();
            while let Ok(Some(batch)) = watching.next(Duration::ZERO) {
                for from in (0..batch.num_rows()).step_by(ROWS) {
                    let piece = batch.slice(from, ROWS.min(batch.num_rows() - from));
                    match encode_batch(&piece).ok().filter(|bytes| bytes.len() <= room) {
                        Some(bytes) => {
                            room -= bytes.len();
                            messages.push(Message::Seen { port: *port, missed: 0, bytes });
                        }
                        None => missed += piece.num_rows() as u64,
                    }
                }
            }
            if missed > 0 {
                messages.push(Message::Seen { port: *port, missed, bytes: Vec::new() });
            }
        }
        messages
    }
}

/// At home: shows rows of another process to who looks. Whether they are rows.
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
        let (home, away) = (Arc::new(Watch::default()), Arc::new(Watch::default()));
        let (at_home, elsewhere) = (Looking::default(), Looking::default());
        assert_eq!(at_home.change(&home), None);
        let guest = home.begin(at(3), 100);
        assert_eq!(at_home.change(&home), Some(Message::Look(vec![at(3)])));
        assert_eq!(at_home.change(&home), None, "it was told");
        elsewhere.follow(&away, &[at(3)]);
        let long = "x".repeat(2 * ROOM);
        for rows in [&[("hall", "one"), ("attic", "two")][..], &[("hall", long.as_str())]] {
            away.show(at(3), &text_rows(rows).unwrap());
            away.show(at(4), &text_rows(rows).unwrap());
        }
        for message in elsewhere.seen() {
            let Message::Seen { port, missed, bytes } = message else { panic!("{message:?}") };
            assert!(show(&home, port, missed, &bytes));
        }
        let seen = guest.next(Duration::ZERO).unwrap().unwrap();
        assert_eq!((seen.num_rows(), guest.next(Duration::ZERO).unwrap(), guest.dropped()), (2, None, 1));
        assert!(!show(&home, at(3), 0, b"no rows"));
        drop(guest);
        assert_eq!(at_home.change(&home), Some(Message::Look(Vec::new())));
        elsewhere.follow(&away, &[]);
        away.show(at(3), &text_rows(&[("hall", "unseen")]).unwrap());
        assert!(elsewhere.seen().is_empty());
    }
}
