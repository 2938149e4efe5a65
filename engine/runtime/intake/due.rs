//! When the next commit is due.
//!
//! In: epochs that are closed. Out: whether each is committed, and when an epoch without rows is due so that the last ones of quiet live
//! input do not wait for the next row. Time decides how much is done again after a crash, and no row's epoch.

use std::time::{Duration, Instant};

use crate::commit::CommitRule;

/// The quiet after which closed epochs of live input are committed, where the rule counts epochs: no further epoch may come.
const QUIET: Duration = Duration::from_secs(1);

/// The epochs since the last commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    rule: CommitRule,
    epochs: u64,
    /// When the last commit was; nothing before the first, which waits for no time.
    since: Option<Instant>,
    /// When the last epoch was closed that is not committed.
    closed: Option<Instant>,
}

impl Due {
    pub(super) fn new(rule: CommitRule) -> Self {
        Due { rule, epochs: 0, since: None, closed: None }
    }

    /// An epoch is closed; `last` if no other may follow soon. Whether it is committed.
    pub(super) fn commits(&mut self, last: bool) -> bool {
        self.epochs += 1;
        let by_rule = match self.rule {
            CommitRule::Epochs(epochs) => self.epochs >= epochs,
            CommitRule::Every(time) => self.since.is_none_or(|since| since.elapsed() >= time),
        };
        let now = Some(Instant::now());
        if by_rule || last {
            (self.epochs, self.since, self.closed) = (0, now, None);
        } else {
            self.closed = now;
        }
        by_rule || last
    }

    /// Returns the time until closed epochs are committed although no row comes; nothing where all of them are.
    pub(super) fn left(&self) -> Option<Duration> {
        let closed = self.closed?;
        Some(match self.rule {
            CommitRule::Epochs(_) => QUIET.saturating_sub(closed.elapsed()),
            CommitRule::Every(time) => {
                time.saturating_sub(self.since.map_or(Duration::ZERO, |since| since.elapsed()))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_epochs_and_at_the_last() {
        let mut due = Due::new(CommitRule::Epochs(3));
        let commits: Vec<bool> = (0..10).map(|epoch| due.commits(epoch == 4)).collect();
        let at: Vec<usize> = (0..10).filter(|epoch| commits[*epoch]).collect();
        assert_eq!(at, [2, 4, 7]);
        assert!(due.left().is_some_and(|left| left <= QUIET));
        assert!(due.commits(true) && due.left().is_none());
        let mut never = Due::new(CommitRule::Every(Duration::MAX));
        assert!(never.commits(false) && (0..10).all(|_| !never.commits(false)) && never.commits(true));
    }
}
