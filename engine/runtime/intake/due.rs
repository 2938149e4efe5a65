//! When the next commit is due.
//!
//! In: epochs that are closed. Out: whether each is committed. Time decides how much is done again after a crash, and nothing
//! else: it moves no cut.

use std::time::Instant;

use crate::commit::CommitRule;

/// What has happened since the last commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    rule: CommitRule,
    epochs: u64,
    /// When the last commit was; nothing before the first, which waits for no time.
    since: Option<Instant>,
}

impl Due {
    pub(super) fn new(rule: CommitRule) -> Self {
        Due { rule, epochs: 0, since: None }
    }

    /// An epoch is closed; `last` if no other may follow soon. Whether it is committed.
    pub(super) fn commits(&mut self, last: bool) -> bool {
        self.epochs += 1;
        let by_rule = match self.rule {
            CommitRule::Epochs(epochs) => self.epochs >= epochs,
            CommitRule::Every(time) => self.since.is_none_or(|since| since.elapsed() >= time),
        };
        if by_rule || last {
            (self.epochs, self.since) = (0, Some(Instant::now()));
        }
        by_rule || last
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn by_epochs_and_at_the_last() {
        let mut due = Due::new(CommitRule::Epochs(3));
        let told: Vec<bool> = (0..10).map(|epoch| due.commits(epoch == 4)).collect();
        let at: Vec<usize> = (0..10).filter(|epoch| told[*epoch]).collect();
        assert_eq!(at, [2, 4, 7]);
        let mut never = Due::new(CommitRule::Every(Duration::MAX));
        assert!(never.commits(false) && (0..10).all(|_| !never.commits(false)) && never.commits(true));
    }
}
