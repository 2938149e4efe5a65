//! Waiting for disk space before an epoch is opened: open epochs finish, and no new one is begun without.
//!
//! In: the answer of the disk space check. Out: how long the intake waits. Waiting moves no end of an epoch. It must not know disks.

use std::time::{Duration, Instant};

use crate::run::RunOptions;

/// The poll interval of the disk space check: each poll is a system call for each disk.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The result of the last check.
#[derive(Debug, Default)]
pub(super) struct DiskSpace {
    looked: Option<Instant>,
    lacking: Option<String>,
}

impl DiskSpace {
    /// Returns the time to wait until the next check, while a disk lacks space. The pause and its end are logged once each.
    pub(super) fn lacks(&mut self, options: &RunOptions) -> Option<Duration> {
        let ask = options.disk_space_check.as_ref()?;
        if self.looked.is_none_or(|looked| looked.elapsed() >= POLL_INTERVAL) {
            let found = ask();
            match (&self.lacking, &found) {
                (None, Some(what)) => tracing::warn!("paused: {what}"),
                (Some(_), None) => tracing::warn!("disk space is available again: resuming"),
                _ => {}
            }
            (self.looked, self.lacking) = (Some(Instant::now()), found);
            options.metrics.waits_for_disk_space(self.lacking.is_some());
        }
        self.lacking.is_some().then_some(POLL_INTERVAL)
    }
}
