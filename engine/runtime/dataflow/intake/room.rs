//! Waiting for room before an epoch is opened: what is on its way has room, and nothing more is begun without.
//!
//! In: the answer of whoever looks at the disks. Out: how long the intake waits. Waiting moves no cut. It must not know disks.

use std::time::{Duration, Instant};

use crate::run::RunOptions;

/// How often room is looked for.
const LOOK: Duration = Duration::from_millis(250);

/// What was found when it was last looked.
#[derive(Debug, Default)]
pub(super) struct Room {
    looked: Option<Instant>,
    lacking: Option<String>,
}

impl Room {
    /// How long to wait before it is looked again, while something lacks room. It is told once, and once more when it has gone.
    pub(super) fn lacks(&mut self, options: &RunOptions) -> Option<Duration> {
        let ask = options.lacks_room.as_ref()?;
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            let found = ask();
            match (&self.lacking, &found) {
                (None, Some(what)) => tracing::warn!("{what}: nothing more is taken in until there is room"),
                (Some(_), None) => tracing::warn!("there is room again: it goes on"),
                _ => {}
            }
            (self.looked, self.lacking) = (Some(Instant::now()), found);
            options.metrics.waits_for_room(self.lacking.is_some());
        }
        self.lacking.is_some().then_some(LOOK)
    }
}
