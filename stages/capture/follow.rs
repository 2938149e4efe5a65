//! Files of a watched folder that are complete: no process writes to them any more.
//!
//! In: a list of recordings, now and then. Out: those of it that may be read. A file is complete when it was not written to for a
//! while, by its date or between polls; one that is made elsewhere and renamed into the folder is complete at once. Time decides
//! when a file is taken in, and nothing else.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::recordings::Take;

/// The interval at which a watched folder is listed.
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The time without writes to a file that is complete.
const SETTLED: Duration = Duration::from_secs(2);

/// Files that may still be written to.
#[derive(Debug, Default)]
pub struct CompletionTracker {
    seen: HashMap<PathBuf, (FileState, Instant)>,
}

/// Properties that change with a write to the file.
type FileState = (u64, Option<SystemTime>);

impl CompletionTracker {
    /// The recordings of a list that are complete.
    pub fn complete(&mut self, takes: Vec<Take>) -> Vec<Take> {
        let mut seen = HashMap::new();
        let settled = |take: &Take| {
            if take.barred.is_some() {
                return false;
            }
            let Ok(meta) = fs::metadata(&take.path) else { return false };
            let now = (meta.len(), meta.modified().ok());
            let age = now.1.and_then(|written| written.elapsed().ok());
            if age.is_some_and(|age| age >= SETTLED) {
                return true;
            }
            let before = self.seen.get(&take.path).filter(|(then, _)| *then == now);
            let since = before.map_or_else(Instant::now, |(_, since)| *since);
            seen.insert(take.path.clone(), (now, since));
            since.elapsed() >= SETTLED
        };
        let complete = takes.into_iter().filter(settled).collect();
        self.seen = seen;
        complete
    }
}

#[cfg(test)]
mod tests {
    use super::super::recordings;
    use super::*;

    #[test]
    fn what_is_being_written_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("den/1.wav");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "one").unwrap();
        let mut settling = CompletionTracker::default();
        let mut complete =
            || settling.complete(recordings::list(folder.path(), "home", false).unwrap()).len();
        let dated =
            |date: SystemTime| fs::File::options().append(true).open(&path).unwrap().set_modified(date);
        // By a clock that is ahead of this one, it was written just now, and stays so.
        dated(SystemTime::now() + Duration::from_hours(1)).unwrap();
        assert_eq!((complete(), complete()), (0, 0));
        dated(SystemTime::now() - SETTLED).unwrap();
        assert_eq!(complete(), 1);
        fs::remove_file(&path).unwrap();
        assert_eq!(complete(), 0);
    }
}
