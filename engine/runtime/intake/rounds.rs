//! Which epochs end a round.
//!
//! In: what was taken in, epoch by epoch. Out: whether the epoch that is closed ends its round. Only rows and captured times
//! count, so that a second reading ends the same rounds. It must not know what a round is for.

use headwater_contract::units::{Micros, Round};

use super::progress::RoundProgress;
use crate::plan::RoundRule;

/// The round that is open.
#[derive(Debug)]
pub(super) struct Rounds {
    rule: Option<RoundRule>,
    round: Round,
    epochs: u64,
    rows: u64,
    /// For `every`: the captured time after which the round is over.
    until: Option<i64>,
}

impl Rounds {
    pub(super) fn new(rule: Option<RoundRule>) -> Self {
        Rounds { rule, round: Round(0), epochs: 0, rows: 0, until: None }
    }

    /// Continues in the round that an earlier attempt had open.
    pub(super) fn resume(&mut self, from: RoundProgress) {
        let RoundProgress { round, epochs, rows, until } = from;
        *self = Rounds { rule: self.rule, round: Round(round), epochs, rows, until };
    }

    /// Returns the progress of the open round.
    pub(super) fn progress(&self) -> RoundProgress {
        RoundProgress { round: self.round.0, epochs: self.epochs, rows: self.rows, until: self.until }
    }

    /// The open round has this number, whatever was counted.
    pub(super) fn goes_on_as(&mut self, round: Round) {
        if self.round != round {
            *self = Rounds { round, ..Rounds::new(self.rule) };
        }
    }

    /// The number of the open round.
    pub(super) fn round(&self) -> Round {
        self.round
    }

    /// An epoch of so many rows is over; the watermark after it. Whether it ends the round.
    pub(super) fn ends(&mut self, rows: u64, watermark: Option<Micros>) -> bool {
        self.epochs += 1;
        self.rows = self.rows.saturating_add(rows);
        match self.rule {
            None => false,
            Some(RoundRule::Epochs(epochs)) => self.epochs >= epochs,
            Some(RoundRule::Rows(rows)) => self.rows >= rows,
            Some(RoundRule::Every(time)) => {
                let Some(Micros(now)) = watermark else { return false };
                let every = i64::try_from(time.as_micros()).unwrap_or(i64::MAX).max(1);
                let next = || now.div_euclid(every).saturating_add(1).saturating_mul(every);
                // A round's first watermark says between which multiples it began.
                now >= *self.until.get_or_insert_with(next)
            }
        }
    }

    /// The next round is open. One of captured time ends at the next multiple, however late this one ended.
    pub(super) fn begin_next(&mut self) {
        *self = Rounds { round: Round(self.round.0.saturating_add(1)), ..Rounds::new(self.rule) };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rounds_end_by_rule() {
        // Rows and watermark in seconds of each epoch, and after which of them a round is over.
        let check = |rule: Option<RoundRule>, epochs: &[(u64, i64)], expected: &[usize]| {
            let mut rounds = Rounds::new(rule);
            let mut ended = Vec::new();
            for (at, (rows, seconds)) in epochs.iter().enumerate() {
                if rounds.ends(*rows, Some(Micros(seconds * 1_000_000))) {
                    ended.push(at);
                    rounds.begin_next();
                }
            }
            assert_eq!(ended, expected, "{rule:?}");
            assert_eq!(rounds.round().0, expected.len() as u64);
        };
        let epochs = [(3, 1), (3, 4), (0, 4), (5, 11), (1, 12), (9, 35)];
        check(None, &epochs, &[]);
        check(Some(RoundRule::Epochs(1)), &epochs, &[0, 1, 2, 3, 4, 5]);
        check(Some(RoundRule::Epochs(4)), &epochs, &[3]);
        check(Some(RoundRule::Rows(6)), &epochs, &[1, 4, 5]);
        check(Some(RoundRule::Every(Duration::from_secs(10))), &epochs, &[3, 5]);
        check(Some(RoundRule::Every(Duration::from_hours(24))), &epochs, &[]);
    }

    #[test]
    fn without_a_watermark_no_time_is_over() {
        let mut rounds = Rounds::new(Some(RoundRule::Every(Duration::from_secs(1))));
        assert!(!rounds.ends(3, None));
    }
}
