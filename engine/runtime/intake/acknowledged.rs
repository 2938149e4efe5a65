//! The committed positions of sources: what they may acknowledge.
//!
//! In: how far the intake had come, of each durable commit. Out: a position for each source, read on its own thread. It must not know
//! what a position means.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use headwater_contract::Position;

use super::Progress;

/// By source id: the position up to which the last durable commit goes.
#[derive(Debug, Default)]
pub struct Acknowledged(Mutex<BTreeMap<String, Position>>);

impl Acknowledged {
    /// The positions that an earlier attempt committed.
    pub(crate) fn restored(positions: impl Iterator<Item = (String, Position)>) -> Self {
        Acknowledged(Mutex::new(positions.collect()))
    }

    /// A commit is durable.
    pub(crate) fn note(&self, committed: &Progress) {
        let mut positions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        positions.extend(committed.whole().map(|(id, position)| (id.clone(), position)));
    }

    /// The position of a source.
    pub(crate) fn of(&self, source: &str) -> Option<Position> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(source).cloned()
    }
}
