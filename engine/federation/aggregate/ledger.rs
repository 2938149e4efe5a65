//! The updates that were accepted: each (device, round) once, and only for open rounds.
//!
//! In: device and round of an update. Out: whether it counts. It must not know what is in updates.

use std::collections::{BTreeMap, BTreeSet};

use super::{Refusal, Round};

/// The rounds for which updates are accepted, from the oldest to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRounds {
    /// Earlier ones are stale.
    pub oldest: Round,
    /// Later ones have not begun.
    pub newest: Round,
}

impl OpenRounds {
    /// One round alone.
    pub fn only(round: Round) -> OpenRounds {
        OpenRounds { oldest: round, newest: round }
    }

    /// Checks that the round is open.
    ///
    /// # Errors
    /// When it is stale or has not begun.
    pub fn check(self, round: Round) -> Result<(), Refusal> {
        if round < self.oldest {
            Err(Refusal::StaleRound { found: round, oldest: self.oldest })
        } else if round > self.newest {
            Err(Refusal::FutureRound { found: round, newest: self.newest })
        } else {
            Ok(())
        }
    }
}

/// The accepted (device, round) pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger(BTreeMap<Round, BTreeSet<Box<str>>>);

impl Ledger {
    /// Runs `add` for an update of an open round that was not accepted before, and notes it if `add` accepts it too.
    ///
    /// # Errors
    /// When the round is not open, the pair is there already, or `add` refuses; then nothing is noted.
    pub fn accept<T>(
        &mut self,
        open: OpenRounds,
        device: &str,
        round: Round,
        add: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        open.check(round)?;
        if self.holds(device, round) {
            return Err(Refusal::Duplicate { round });
        }
        let added = add()?;
        self.note(device, round);
        Ok(added)
    }

    /// Returns true if an update was accepted.
    pub fn holds(&self, device: &str, round: Round) -> bool {
        self.0.get(&round).is_some_and(|devices| devices.contains(device))
    }

    /// Notes a pair, as when a ledger is read back.
    pub fn note(&mut self, device: &str, round: Round) {
        self.0.entry(round).or_default().insert(device.into());
    }

    /// Every pair, by round and then by device.
    pub fn pairs(&self) -> impl Iterator<Item = (Round, &str)> {
        self.0.iter().flat_map(|(round, devices)| devices.iter().map(|device| (*round, device.as_ref())))
    }

    /// The rounds to which a device contributed, and takes their pairs out.
    pub fn forget(&mut self, device: &str) -> Vec<Round> {
        let rounds: Vec<Round> = self
            .0
            .iter_mut()
            .filter_map(|(round, devices)| devices.remove(device).then_some(*round))
            .collect();
        self.0.retain(|_, devices| !devices.is_empty());
        rounds
    }

    /// Drops the pairs of rounds before this one. Their updates must be stale from now on.
    pub fn drop_before(&mut self, round: Round) {
        self.0 = self.0.split_off(&round);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counts_once_and_in_its_round() {
        let mut ledger = Ledger::default();
        let open = OpenRounds { oldest: Round(3), newest: Round(4) };
        let mut check = |device: &str, round: u64, expected: Result<(), &str>| {
            let result = ledger.accept(open, device, Round(round), || Ok(()));
            assert_eq!(result.as_ref().copied().map_err(Refusal::code), expected, "{device} {round}");
        };
        check("a", 2, Err("stale_round"));
        check("a", 5, Err("future_round"));
        check("a", 3, Ok(()));
        check("a", 3, Err("duplicate"));
        check("a", 4, Ok(()));
        check("b", 3, Ok(()));
        check("b", 3, Err("duplicate"));
        let result = ledger.accept(open, "c", Round(3), || Err::<(), _>(Refusal::NoExamples));
        assert_eq!(result, Err(Refusal::NoExamples));
        assert!(!ledger.holds("c", Round(3)));
        let pairs: Vec<_> = ledger.pairs().map(|(round, device)| (round.0, device)).collect();
        assert_eq!(pairs, [(3, "a"), (3, "b"), (4, "a")]);
    }

    #[test]
    fn devices_and_rounds_leave() {
        let mut ledger = Ledger::default();
        for (device, round) in [("a", 1), ("a", 2), ("b", 2), ("a", 4)] {
            ledger.note(device, Round(round));
        }
        let mut late = ledger.clone();
        assert_eq!(ledger.forget("a"), [Round(1), Round(2), Round(4)]);
        assert_eq!(ledger.pairs().collect::<Vec<_>>(), [(Round(2), "b")]);
        assert_eq!(ledger.forget("stranger"), []);
        late.drop_before(Round(2));
        assert_eq!(late.pairs().count(), 3);
    }
}
