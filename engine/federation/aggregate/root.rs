//! The root's history: sums in, round by round, adapters out; and the same history without a device that is to be forgotten.
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

/// The result of closing a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseResult {
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
    /// So few updates led to nothing, and they do not wait: a median of two rounds is the median of neither.
    TooFew {
        /// Updates of the round.
        devices: u64,
    },
}

/// The conditions under which a round moves the adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// Devices of one round: in the one that waits with the most. Two updates of one device are no two devices.
    pub devices: u64,
    /// Updates in all that waits.
    pub updates: u64,
    /// Devices that were there in the round that is closed, whether they sent an update or not.
    pub available: u64,
}

/// The result of a rule over single updates for a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RobustMean<'a> {
    /// The round.
    pub round: Round,
    /// The values that replace the mean.
    pub values: &'a [f32],
    /// Updates it was made of.
    pub devices: u64,
    /// Examples they stand for.
    pub examples: u64,
}

/// The adapter (or one factor of it), the rule that moves it, and what waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Root {
    server: Server,
    quorum: Quorum,
    adapter: Vec<f32>,
    waiting: Total,
    /// The most devices of one round that waits.
    most: u64,
    /// The last round that was closed.
    last: Option<Round>,
}

impl Root {
    /// A root before its first round. `adapter` has `shape.parameters` values.
    ///
    /// # Errors
    /// When the adapter has another length, or holds NaN or an infinity.
    pub fn new(server: Server, quorum: Quorum, shape: Shape, adapter: Vec<f32>) -> Result<Root, Refusal> {
        super::Values::Dense(&adapter).check(shape.parameters)?;
        Ok(Root { server, quorum, adapter, waiting: Total::empty(shape), most: 0, last: None })
    }

    /// The adapter after the rounds so far.
    pub fn adapter(&self) -> &[f32] {
        &self.adapter
    }

    /// The state of the rule.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Closes a round in which so many devices were there: its sum joins what waits, and moves the adapter if that is enough. A
    /// round without any update moves nothing, whatever the rule remembers.
    ///
    /// # Errors
    /// When the sum is for another adapter or for a round before the last one, or the step leads out of f32.
    pub fn close(&mut self, sum: &Sum, available: u64) -> Result<CloseResult, RootError> {
        let found = self.later(sum.round())?;
        let mut waiting = self.waiting.clone();
        waiting.add(sum)?;
        let most = self.most.max(sum.devices());
        let (devices, examples) = (waiting.devices(), waiting.examples());
        let mean = if self.enough(most, devices, available) { waiting.mean() } else { None };
        let closed = if let Some(mean) = mean {
            self.server.step(&mut self.adapter, &mean)?;
            (self.waiting, self.most) = (Total::empty(sum.shape()), 0);
            CloseResult::Moved { devices, examples }
        } else {
            (self.waiting, self.most) = (waiting, most);
            CloseResult::Waiting { devices }
        };
        self.last = Some(found);
        Ok(closed)
    }

    /// Closes a round of a rule over single updates.
    ///
    /// # Errors
    /// When the values are for another adapter or for a round before the last one, or the step leads out of f32.
    pub fn close_middle(&mut self, middle: RobustMean<'_>, available: u64) -> Result<CloseResult, RootError> {
        let found = self.later(middle.round)?;
        let RobustMean { devices, examples, .. } = middle;
        let closed = if devices > 0 && self.enough(devices, devices, available) {
            self.server.step(&mut self.adapter, middle.values)?;
            CloseResult::Moved { devices, examples }
        } else {
            CloseResult::TooFew { devices }
        };
        self.last = Some(found);
        Ok(closed)
    }

    fn enough(&self, devices: u64, updates: u64, available: u64) -> bool {
        devices >= self.quorum.devices && updates >= self.quorum.updates && available >= self.quorum.available
    }

    fn later(&self, found: Round) -> Result<Round, Refusal> {
        match self.last.filter(|last| found <= *last) {
            Some(last) => Err(Refusal::StaleRound { found, oldest: Round(last.0.saturating_add(1)) }),
            None => Ok(found),
        }
    }
}

/// Closes rounds one after the other, with as many devices there as sent updates.
///
/// # Errors
/// Those of [`Root::close`].
pub fn replay<'a>(mut start: Root, sums: impl IntoIterator<Item = &'a Sum>) -> Result<Root, RootError> {
    for sum in sums {
        start.close(sum, sum.devices())?;
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

    fn quorum(devices: u64, updates: u64, available: u64) -> Quorum {
        Quorum { devices, updates, available }
    }

    fn root(rule: Rule) -> Root {
        Root::new(Server::new(rule, 1.0).unwrap(), quorum(1, 2, 0), SHAPE, vec![1.0]).unwrap()
    }

    #[test]
    fn a_round_moves_or_waits() {
        let mut root = root(Rule::Momentum { momentum: 0.5 });
        let mut check = |round: u64, updates: &[f32], closed: CloseResult, adapter: f32| {
            assert_eq!(root.close(&sum(round, updates), 0), Ok(closed));
            assert_eq!(root.adapter(), [adapter]);
        };
        check(1, &[1.0, 3.0], CloseResult::Moved { devices: 2, examples: 2 }, 3.0);
        check(3, &[1.0], CloseResult::Waiting { devices: 1 }, 3.0);
        check(5, &[], CloseResult::Waiting { devices: 1 }, 3.0);
        check(7, &[3.0], CloseResult::Moved { devices: 2, examples: 2 }, 6.0);
        check(9, &[], CloseResult::Waiting { devices: 0 }, 6.0);
        let stale = Refusal::StaleRound { found: Round(9), oldest: Round(10) };
        assert_eq!(root.close(&sum(9, &[]), 0), Err(stale.into()));
    }

    #[test]
    fn devices_updates_and_presence_are_asked_for() {
        let check = |quorum: Quorum, rounds: &[(usize, u64)], expected: &[bool]| {
            let mut root =
                Root::new(Server::new(Rule::Mean, 1.0).unwrap(), quorum, SHAPE, vec![0.0]).unwrap();
            for (round, ((updates, available), moves)) in (1..).zip(rounds.iter().zip(expected)) {
                let closed = root.close(&sum(round, &vec![1.0; *updates]), *available).unwrap();
                assert_eq!(
                    matches!(closed, CloseResult::Moved { .. }),
                    *moves,
                    "{quorum:?} {rounds:?} {round}"
                );
            }
        };
        // The same device may have sent both updates: two rounds of one device are not two devices.
        check(quorum(2, 0, 0), &[(1, 1), (1, 1), (2, 2), (1, 1)], &[false, false, true, false]);
        check(quorum(1, 2, 0), &[(1, 1), (1, 1), (1, 1)], &[false, true, false]);
        check(quorum(1, 1, 5), &[(2, 2), (2, 5), (9, 4)], &[false, true, false]);
    }

    #[test]
    fn a_middle_moves_or_is_gone() {
        let mut root = root(Rule::Mean);
        let mut check = |round: u64, devices: u64, expected: Result<CloseResult, &str>, adapter: f32| {
            let middle = RobustMean { round: Round(round), values: &[0.5], devices, examples: devices * 3 };
            let code = |e: RootError| match e {
                RootError::Refused(refusal) => refusal.code(),
                RootError::Step(_) => "step",
            };
            assert_eq!(root.close_middle(middle, 0).map_err(code), expected);
            assert_eq!(root.adapter(), [adapter]);
        };
        check(1, 1, Ok(CloseResult::TooFew { devices: 1 }), 1.0);
        check(2, 2, Ok(CloseResult::Moved { devices: 2, examples: 6 }), 1.5);
        check(2, 2, Err("stale_round"), 1.5);
        check(3, 1, Ok(CloseResult::TooFew { devices: 1 }), 1.5);
    }

    #[test]
    fn what_cannot_be_closed_changes_nothing() {
        let mut root =
            Root::new(Server::new(Rule::Mean, 1.0).unwrap(), quorum(1, 1, 1), SHAPE, vec![f32::MAX]).unwrap();
        let before = root.clone();
        let other = Sum::empty(Round(1), Shape { parameters: 2, ..SHAPE });
        assert!(matches!(root.close(&other, 9), Err(RootError::Refused(Refusal::WrongShape { .. }))));
        assert_eq!(root, before);
        let server = Server::new(Rule::Mean, 1e38).unwrap();
        let mut root = Root::new(server, quorum(1, 1, 1), SHAPE, vec![f32::MAX]).unwrap();
        let before = root.clone();
        let result = root.close(&sum(1, &[8.0]), 1);
        assert_eq!(result, Err(RootError::Step(ServerError::NotFinite { position: 0 })));
        assert_eq!(root, before);
        let server = Server::new(Rule::Mean, 1.0).unwrap();
        assert!(Root::new(server.clone(), quorum(1, 1, 1), SHAPE, vec![f32::NAN]).is_err());
        assert!(Root::new(server, quorum(1, 1, 1), SHAPE, vec![]).is_err());
    }
}
