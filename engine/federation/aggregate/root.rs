//! The root's life: sums in, round by round, adapters out; and the same life again when a device is to be forgotten.
//!
//! In: the sum of each closed round, in order. Out: the adapter after each, whether enough devices took part or not. Without them
//! the sum waits for the next round of the same factor. It must not know where sums are stored.
//!
//! One root moves one factor: with LoRA's B and A in alternate rounds there are two, each with its part of the adapter.
//!
//! To forget a device, take what it contributed out of the sum of each of its rounds ([`super::Sum::subtract`]) and
//! [`replay`] all rounds from its first one, or from the start: the adapter, and what the rule remembers, are bit for bit what
//! they would be had its updates never come.

use super::server::{Server, ServerError};
use super::{Refusal, Round, Shape, Sum, Total};

/// Why a round was not closed. The root is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// The sum does not fit.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The step was not possible.
    #[error(transparent)]
    Step(#[from] ServerError),
}

/// What a closed round led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The adapter moved.
    Moved {
        /// Updates in the step.
        devices: u64,
        /// Examples they stand for.
        examples: u64,
    },
    /// So many updates wait for more.
    Waiting {
        /// Updates that wait.
        devices: u64,
    },
}

/// The adapter (or one factor of it), the rule that moves it, and what waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Root {
    server: Server,
    /// Fewer updates than this do not move the adapter.
    min_devices: u64,
    adapter: Vec<f32>,
    waiting: Total,
    /// The last round that was closed.
    last: Option<Round>,
}

impl Root {
    /// A root before its first round. `adapter` has `shape.parameters` values.
    ///
    /// # Errors
    /// When the adapter has another length, or holds NaN or an infinity.
    pub fn new(server: Server, min_devices: u64, shape: Shape, adapter: Vec<f32>) -> Result<Root, Refusal> {
        super::Values::Dense(&adapter).check(shape.parameters)?;
        Ok(Root { server, min_devices, adapter, waiting: Total::empty(shape), last: None })
    }

    /// The adapter after the rounds so far.
    pub fn adapter(&self) -> &[f32] {
        &self.adapter
    }

    /// What the rule remembers.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Closes a round: its sum joins what waits, and moves the adapter if that is enough. A round without any update moves
    /// nothing, whatever the rule remembers.
    ///
    /// # Errors
    /// When the sum is for another adapter or for a round before the last one, or the step leads out of f32.
    pub fn close(&mut self, sum: &Sum) -> Result<Closed, RootError> {
        let found = sum.round();
        if let Some(last) = self.last.filter(|last| found <= *last) {
            return Err(Refusal::StaleRound { found, oldest: Round(last.0.saturating_add(1)) }.into());
        }
        let mut waiting = self.waiting.clone();
        waiting.add(sum)?;
        let (devices, examples) = (waiting.devices(), waiting.examples());
        let mean = if devices >= self.min_devices { waiting.mean() } else { None };
        let closed = match mean {
            Some(mean) => {
                self.server.step(&mut self.adapter, &mean)?;
                waiting = Total::empty(sum.shape());
                Closed::Moved { devices, examples }
            }
            None => Closed::Waiting { devices },
        };
        self.waiting = waiting;
        self.last = Some(found);
        Ok(closed)
    }
}

/// Closes rounds one after the other, as when the sums of a stored history changed.
///
/// # Errors
/// Those of [`Root::close`].
pub fn replay<'a>(mut start: Root, sums: impl IntoIterator<Item = &'a Sum>) -> Result<Root, RootError> {
    for sum in sums {
        start.close(sum)?;
    }
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::super::server::Rule;
    use super::super::{Examples, Values};
    use super::*;

    const SHAPE: Shape = Shape { parameters: 1, layout: [0; 8] };

    fn sum(round: u64, updates: &[f32]) -> Sum {
        let mut sum = Sum::empty(Round(round), SHAPE);
        for value in updates {
            sum.add(Values::Dense(&[*value]), Examples::new(1).unwrap()).unwrap();
        }
        sum
    }

    fn root(rule: Rule) -> Root {
        Root::new(Server::new(rule, 1.0).unwrap(), 2, SHAPE, vec![1.0]).unwrap()
    }

    #[test]
    fn a_round_moves_or_waits() {
        let mut root = root(Rule::Momentum { momentum: 0.5 });
        let mut check = |round: u64, updates: &[f32], closed: Closed, adapter: f32| {
            assert_eq!(root.close(&sum(round, updates)), Ok(closed));
            assert_eq!(root.adapter(), [adapter]);
        };
        check(1, &[1.0, 3.0], Closed::Moved { devices: 2, examples: 2 }, 3.0);
        check(3, &[1.0], Closed::Waiting { devices: 1 }, 3.0);
        check(5, &[], Closed::Waiting { devices: 1 }, 3.0);
        check(7, &[3.0], Closed::Moved { devices: 2, examples: 2 }, 6.0);
        check(9, &[], Closed::Waiting { devices: 0 }, 6.0);
        let stale = Refusal::StaleRound { found: Round(9), oldest: Round(10) };
        assert_eq!(root.close(&sum(9, &[])), Err(stale.into()));
    }

    #[test]
    fn what_cannot_be_closed_changes_nothing() {
        let mut root = Root::new(Server::new(Rule::Mean, 1.0).unwrap(), 1, SHAPE, vec![f32::MAX]).unwrap();
        let before = root.clone();
        let other = Sum::empty(Round(1), Shape { parameters: 2, ..SHAPE });
        assert!(matches!(root.close(&other), Err(RootError::Refused(Refusal::WrongShape { .. }))));
        assert_eq!(root, before);
        let server = Server::new(Rule::Mean, 1e38).unwrap();
        let mut root = Root::new(server, 1, SHAPE, vec![f32::MAX]).unwrap();
        let before = root.clone();
        let told = root.close(&sum(1, &[8.0]));
        assert_eq!(told, Err(RootError::Step(ServerError::NotFinite { position: 0 })));
        assert_eq!(root, before);
        let server = Server::new(Rule::Mean, 1.0).unwrap();
        assert!(Root::new(server.clone(), 1, SHAPE, vec![f32::NAN]).is_err());
        assert!(Root::new(server, 1, SHAPE, vec![]).is_err());
    }
}
