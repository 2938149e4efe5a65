//! The segments that may hold rows that were not learned from yet: those are not let go, however old they are.
//!
//! In: barriers, and the number of the next segment at each save. Out: the first segment that must stay. Rows of an epoch are sealed after it
//! began, so that segments from before a round hold none of its rows. It must not know what learns, nor when segments are sealed.

use std::collections::BTreeMap;

use arrow::array::{AsArray, UInt64Array};
use arrow::datatypes::UInt64Type;
use headwater_contract::StateTable;
use headwater_contract::prelude::*;
use headwater_contract::state::{Owner, StateWriter};
use headwater_contract::units::Round;

/// The key of the number that was saved last; those of rounds are eight bytes long.
const SAVED: &[u8] = b"saved";

/// The rounds that are still worked on, and the first segment that may hold rows of each.
pub struct Rounds {
    /// Ends of rounds until a round is learned from; 0: nothing learns.
    delay: u64,
    firsts: BTreeMap<Round, u64>,
    /// The number of the next segment when the state was last saved. Behind a save nothing is certain: an attempt that was interrupted may have
    /// stored rows of rounds that begin for the next one.
    saved: u64,
    changes: BTreeMap<Round, Option<u64>>,
}

impl Rounds {
    /// Reads the state that an earlier attempt saved.
    ///
    /// # Errors
    /// It is of another version.
    pub fn read(delay: u32, state: &StateTable) -> Result<Self> {
        let mut rounds =
            Rounds { delay: delay.into(), firsts: BTreeMap::new(), saved: 0, changes: BTreeMap::new() };
        for (key, row) in state.iter() {
            let first = number_of(row).ok_or_else(other_version)?;
            if key == SAVED {
                rounds.saved = first;
            } else {
                let round = key.try_into().map_err(|_| other_version())?;
                rounds.firsts.insert(Round(u64::from_be_bytes(round)), first);
            }
        }
        Ok(rounds)
    }

    /// An epoch is over: its round is worked on, and what is far enough before it has been learned from.
    pub fn ended(&mut self, barrier: &Barrier) {
        if self.delay == 0 {
            return;
        }
        if !self.firsts.contains_key(&barrier.round) {
            self.firsts.insert(barrier.round, self.saved);
            self.changes.insert(barrier.round, Some(self.saved));
        }
        let over = |round: &Round| round.0.saturating_add(self.delay) < barrier.round.0;
        for round in self.firsts.keys().copied().filter(over).collect::<Vec<_>>() {
            self.firsts.remove(&round);
            self.changes.insert(round, None);
        }
    }

    /// Segments with this number or a higher one are to stay; nothing: all may go.
    pub fn unlearned(&self) -> Option<u64> {
        self.firsts.values().min().copied()
    }

    /// Saves what changed; `next` is the number of the next segment.
    ///
    /// # Errors
    /// Never, for rows of one number; Arrow's types ask for it.
    pub fn save(&mut self, next: u64, state: &mut StateWriter<'_>) -> Result {
        if self.delay == 0 {
            return Ok(());
        }
        for (round, first) in std::mem::take(&mut self.changes) {
            let key = round.0.to_be_bytes();
            match first {
                Some(first) => state.put(Owner::everyone(), key, row_of(first)?)?,
                None => state.delete(key),
            }
        }
        if self.saved != next {
            self.saved = next;
            state.put(Owner::everyone(), SAVED, row_of(next)?)?;
        }
        Ok(())
    }
}

fn row_of(number: u64) -> Result<RecordBatch> {
    let column: ArrayRef = Arc::new(UInt64Array::from(vec![number]));
    Ok(RecordBatch::try_from_iter([("segment", column)])?)
}

fn number_of(row: &RecordBatch) -> Option<u64> {
    row.column_by_name("segment")?.as_primitive_opt::<UInt64Type>()?.values().first().copied()
}

fn other_version() -> StageError {
    StageError::new("what is kept of the rounds that are not learned from is of another version")
        .help("begin from scratch: run --fresh")
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_contract::units::Epoch;

    fn barrier(round: u64) -> Barrier {
        Barrier {
            epoch: Epoch(round),
            round: Round(round),
            watermark: None,
            checkpoint: true,
            round_end: true,
            end_of_input: false,
        }
    }

    fn save(rounds: &mut Rounds, next: u64, state: &mut StateTable) {
        let mut writer = StateWriter::default();
        rounds.save(next, &mut writer).unwrap();
        state.apply(writer.into_changes());
    }

    #[test]
    fn a_round_stays_until_it_is_learned_from() {
        let mut rounds = Rounds::read(2, &StateTable::default()).unwrap();
        let mut state = StateTable::default();
        assert_eq!(rounds.unlearned(), None);
        // Each round seals ten segments, and all of it is saved at the end of the round.
        let found: Vec<_> = (0..6)
            .map(|round| {
                rounds.ended(&barrier(round));
                save(&mut rounds, 1 + (round + 1) * 10, &mut state);
                rounds.unlearned().unwrap()
            })
            .collect();
        assert_eq!(found, [0, 0, 0, 11, 21, 31]);
        assert_eq!(state.len(), 4, "three rounds, and the number saved last");
    }

    #[test]
    fn a_life_that_is_cut_off_makes_nothing_seem_older() {
        let (mut state, mut cut) = (StateTable::default(), None);
        let mut rounds = Rounds::read(1, &state).unwrap();
        for (round, next) in [(0, 5), (1, 9)] {
            rounds.ended(&barrier(round));
            save(&mut rounds, next, &mut state);
            cut = Some(state.clone());
        }
        // Round 2 began, sealed segment 9, and nothing of that was saved: the next attempt is given its rows again, which are stored.
        rounds.ended(&barrier(2));
        let mut again = Rounds::read(1, &cut.unwrap()).unwrap();
        again.ended(&barrier(2));
        assert_eq!(again.unlearned(), Some(5), "round 1 is not learned from");
        again.ended(&barrier(3));
        assert_eq!(again.unlearned(), Some(9), "segment 9 holds rows of round 2");
    }

    #[test]
    fn where_nothing_learns_all_may_go() {
        let (mut rounds, mut state) =
            (Rounds::read(0, &StateTable::default()).unwrap(), StateTable::default());
        rounds.ended(&barrier(0));
        save(&mut rounds, 7, &mut state);
        assert_eq!((rounds.unlearned(), state.len()), (None, 0));
        let other: Vec<(Vec<u8>, RecordBatch)> = vec![(b"seven".to_vec(), row_of(1).unwrap())];
        assert!(Rounds::read(1, &StateTable::of(other)).is_err());
    }
}
