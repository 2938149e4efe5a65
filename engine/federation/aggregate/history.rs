//! The history of a root: every round that was closed, and the adapters that living through them gives.
//!
//! In: closed rounds; corrections, each once; verdicts that send the adapter back. Out: the adapter of each shape, always what
//! living through the rounds that count gives, to the bit. It must not know where it is kept, nor devices.
//!
//! A round is kept as its encoded sum, the smallest form that loses nothing; or, under a rule over single updates, as what
//! the rule made of it. A round that does not count any more keeps its place, without its content.

use std::collections::{BTreeMap, BTreeSet};

use super::format::{self, Kind, SumError};
use super::root::{CloseResult, Quorum, RobustMean, Root, RootError};
use super::server::Server;
use super::{Refusal, Round, Shape, Sum};

/// The id of a layout.
pub type LayoutId = [u8; 8];

/// The settings of a root.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The rule, before its first step.
    pub server: Server,
    /// The quorum of a round.
    pub quorum: Quorum,
}

/// The content kept of a round.
#[derive(Clone, Debug, PartialEq)]
pub enum RoundContent {
    /// Its encoded sum.
    Sum(Vec<u8>),
    /// The result of a rule over single updates for it.
    RobustMean {
        /// In place of the mean.
        values: Vec<f32>,
        /// Updates it was made of.
        devices: u64,
        /// Examples they stand for.
        examples: u64,
    },
    /// Nothing: it does not count.
    Dropped,
}

/// A closed round of one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Lengths of the tensors.
    pub tensors: Vec<u32>,
    /// Parameters of the flat vector.
    pub parameters: u32,
    /// Devices that were there, whether they sent an update or not.
    pub available: u64,
    /// The content kept of it.
    pub held: RoundContent,
}

/// Why a history did not change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The round or the correction does not fit.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A step was not possible.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A sum that was kept is damaged.
    #[error("round {}: {error}", round.0)]
    Kept {
        /// Its round.
        round: Round,
        /// The mistake in it.
        error: SumError,
    },
}

/// The rounds of a root and the adapters they lead to.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    settings: Settings,
    rounds: BTreeMap<(Round, LayoutId), Entry>,
    roots: BTreeMap<LayoutId, Root>,
    corrections: BTreeSet<Box<str>>,
    /// Changes since [`History::changes`] was asked.
    changed: BTreeSet<(Round, LayoutId)>,
}

impl History {
    /// Before the first round.
    pub fn new(settings: Settings) -> History {
        History {
            settings,
            rounds: BTreeMap::new(),
            roots: BTreeMap::new(),
            corrections: BTreeSet::new(),
            changed: BTreeSet::new(),
        }
    }

    /// As it was kept.
    ///
    /// # Errors
    /// When what was kept does not fit together.
    pub fn of(
        settings: Settings,
        rounds: impl IntoIterator<Item = ((Round, LayoutId), Entry)>,
        corrections: impl IntoIterator<Item = Box<str>>,
    ) -> Result<History, HistoryError> {
        let mut history = History::new(settings);
        history.rounds.extend(rounds);
        history.corrections.extend(corrections);
        history.replay()?;
        Ok(history)
    }

    /// The adapter of a shape: its change since training began.
    pub fn adapter(&self, layout: LayoutId) -> Option<&[f32]> {
        self.roots.get(&layout).map(Root::adapter)
    }

    /// Every shape: its id and the lengths of its tensors.
    pub fn shapes(&self) -> BTreeMap<LayoutId, &[u32]> {
        self.rounds.iter().map(|((_, layout), entry)| (*layout, entry.tensors.as_slice())).collect()
    }

    /// The encoded sum of a round, if it is kept as one.
    pub fn encoded(&self, round: Round, layout: LayoutId) -> Option<&[u8]> {
        match &self.rounds.get(&(round, layout))?.held {
            RoundContent::Sum(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A round, if it was closed.
    pub fn entry(&self, round: Round, layout: LayoutId) -> Option<&Entry> {
        self.rounds.get(&(round, layout))
    }

    /// The last closed round.
    pub fn last(&self) -> Option<Round> {
        self.rounds.keys().next_back().map(|(round, _)| *round)
    }

    /// Returns true if a round from this one on and before another counts.
    pub fn counts(&self, from: Round, before: Round) -> bool {
        let (low, high) = ((from, [0; 8]), (before.max(from), [0; 8]));
        self.rounds.range(low..high).any(|(_, entry)| entry.held != RoundContent::Dropped)
    }

    /// Returns true if a correction was applied.
    pub fn is_applied(&self, correction: &str) -> bool {
        self.corrections.contains(correction)
    }

    /// Closes a round in which so many devices were there.
    ///
    /// # Errors
    /// Those of [`Root::close`].
    pub fn close(&mut self, tensors: &[u32], sum: &Sum, available: u64) -> Result<CloseResult, HistoryError> {
        let closed = self.root(sum.shape())?.close(sum, available)?;
        let held = RoundContent::Sum(format::encode(Kind::Sum, sum));
        self.note(sum.round(), sum.shape(), tensors, available, held);
        Ok(closed)
    }

    /// Closes a round of a rule over single updates.
    ///
    /// # Errors
    /// Those of [`Root::close_middle`].
    pub fn close_middle(
        &mut self,
        tensors: &[u32],
        shape: Shape,
        middle: RobustMean<'_>,
        available: u64,
    ) -> Result<CloseResult, HistoryError> {
        let closed = self.root(shape)?.close_middle(middle, available)?;
        let RobustMean { round, values, devices, examples } = middle;
        let held = RoundContent::RobustMean { values: values.to_vec(), devices, examples };
        self.note(round, shape, tensors, available, held);
        Ok(closed)
    }

    /// Notes a round that does not count.
    pub fn close_dropped(&mut self, tensors: &[u32], round: Round, shape: Shape) {
        self.note(round, shape, tensors, 0, RoundContent::Dropped);
    }

    /// Takes a sum of updates out of the round they were added to; whether that changed anything: a correction counts once, and one
    /// for a round that does not count finds nothing to take out. The adapters follow with [`History::replay`].
    ///
    /// # Errors
    /// When no such round was closed as a sum, or it cannot hold these updates.
    pub fn take_out(&mut self, correction: &str, part: &Sum) -> Result<bool, HistoryError> {
        if self.corrections.contains(correction) {
            return Ok(false);
        }
        let (round, shape) = (part.round(), part.shape());
        let at = (round, shape.layout);
        let entry = self.rounds.get_mut(&at).ok_or(Refusal::NotContained)?;
        let changed = match &entry.held {
            RoundContent::Sum(bytes) => {
                let decoded = format::decode(shape, bytes);
                let (_, mut sum) = decoded.map_err(|error| HistoryError::Kept { round, error })?;
                sum.subtract(part)?;
                entry.held = RoundContent::Sum(format::encode(Kind::Sum, &sum));
                entry.available = entry.available.saturating_sub(part.devices());
                self.changed.insert(at);
                true
            }
            RoundContent::RobustMean { .. } => return Err(Refusal::NotContained.into()),
            RoundContent::Dropped => false,
        };
        self.corrections.insert(correction.into());
        Ok(changed)
    }

    /// Puts another middle in the place of the one that was made with updates that are to be forgotten.
    ///
    /// # Errors
    /// When no such round was closed by a rule over single updates.
    pub fn replace_middle(&mut self, shape: Shape, middle: RobustMean<'_>) -> Result<(), HistoryError> {
        let at = (middle.round, shape.layout);
        let entry = self.rounds.get_mut(&at).ok_or(Refusal::NotContained)?;
        let RoundContent::RobustMean { devices, .. } = entry.held else {
            return Err(Refusal::NotContained.into());
        };
        entry.available = entry.available.saturating_sub(devices.saturating_sub(middle.devices));
        let RobustMean { values, devices, examples, .. } = middle;
        entry.held = RoundContent::RobustMean { values: values.to_vec(), devices, examples };
        self.changed.insert(at);
        Ok(())
    }

    /// Drops every round after this one, or all: they no longer count, and the adapters are as they were before them. Gives the
    /// updates of each round that were dropped.
    ///
    /// # Errors
    /// When what is left does not fit together, which cannot come of rounds that once did.
    pub fn go_back_to(&mut self, round: Option<Round>) -> Result<BTreeMap<Round, u64>, HistoryError> {
        let mut dropped = BTreeMap::new();
        for (at, entry) in self.rounds.iter_mut().filter(|((later, _), _)| Some(*later) > round) {
            let devices = match std::mem::replace(&mut entry.held, RoundContent::Dropped) {
                RoundContent::Sum(bytes) => {
                    let shape = Shape { parameters: entry.parameters, layout: at.1 };
                    let decoded = format::decode(shape, &bytes);
                    decoded.map_err(|error| HistoryError::Kept { round: at.0, error })?.1.devices()
                }
                RoundContent::RobustMean { devices, .. } => devices,
                RoundContent::Dropped => 0,
            };
            *dropped.entry(at.0).or_default() += devices;
            self.changed.insert(*at);
        }
        self.replay()?;
        Ok(dropped)
    }

    /// Replays all rounds.
    ///
    /// # Errors
    /// When a round does not fit; the adapters are then as they were before.
    pub fn replay(&mut self) -> Result<(), HistoryError> {
        let mut next = BTreeMap::new();
        for ((round, layout), entry) in &self.rounds {
            let shape = Shape { parameters: entry.parameters, layout: *layout };
            let root = match next.entry(*layout) {
                std::collections::btree_map::Entry::Occupied(root) => root.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(fresh(&self.settings, shape)?)
                }
            };
            match &entry.held {
                RoundContent::Sum(bytes) => {
                    let decoded = format::decode(shape, bytes);
                    let (_, sum) = decoded.map_err(|error| HistoryError::Kept { round: *round, error })?;
                    root.close(&sum, entry.available)?;
                }
                RoundContent::RobustMean { values, devices, examples } => {
                    let middle = RobustMean { round: *round, values, devices: *devices, examples: *examples };
                    root.close_middle(middle, entry.available)?;
                }
                RoundContent::Dropped => {}
            }
        }
        self.roots = next;
        Ok(())
    }

    /// The rounds that are new or changed since this was last asked.
    pub fn changes(&mut self) -> Vec<((Round, LayoutId), &Entry)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().filter_map(|at| Some((at, self.rounds.get(&at)?))).collect()
    }

    fn root(&mut self, shape: Shape) -> Result<&mut Root, HistoryError> {
        match self.roots.entry(shape.layout) {
            std::collections::btree_map::Entry::Occupied(root) => Ok(root.into_mut()),
            std::collections::btree_map::Entry::Vacant(place) => {
                Ok(place.insert(fresh(&self.settings, shape)?))
            }
        }
    }

    fn note(&mut self, round: Round, shape: Shape, tensors: &[u32], available: u64, held: RoundContent) {
        let at = (round, shape.layout);
        let (tensors, parameters) = (tensors.to_vec(), shape.parameters);
        self.rounds.insert(at, Entry { tensors, parameters, available, held });
        self.changed.insert(at);
    }
}

fn fresh(settings: &Settings, shape: Shape) -> Result<Root, Refusal> {
    let start = vec![0.0; shape.parameters as usize];
    Root::new(settings.server.clone(), settings.quorum, shape, start)
}

#[cfg(test)]
mod cases;
