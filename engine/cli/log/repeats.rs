//! Which of many equal warnings are logged, and when the others are counted.
//!
//! In: warnings, one after the other, with the time. Out: whether one is logged, and counts of those that were not. Warnings are equal that
//! come from one place of the program, for one stage and one code: whose row it is makes no difference.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::Event;
use tracing::field::{Field, Visit};

/// So many are logged whole.
const WHOLE: u32 = 5;
/// From the first that is held back to its count; each further count waits twice as long as the one before.
const PAUSE: Duration = Duration::from_mins(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The common parts of equal warnings.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    /// The place in the program that they come from.
    place: (&'static str, Option<u32>),
    pub(super) stage: Option<String>,
    pub(super) code: Option<String>,
}

/// A warning, as far as it is looked at.
#[derive(Default)]
pub(super) struct Warning {
    kind: Kind,
    message: String,
}

/// Warnings that were not logged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) kind: Kind,
    /// That of the first.
    pub(super) message: String,
    pub(super) times: u64,
}

impl Warning {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let about = event.metadata();
        let kind = Kind { place: (about.target(), about.line()), ..Kind::default() };
        let mut warning = Warning { kind, ..Warning::default() };
        event.record(&mut warning);
        warning
    }

    fn put(&mut self, field: &str, value: impl FnOnce() -> String) {
        match field {
            "stage" => self.kind.stage = Some(value()),
            "code" => self.kind.code = Some(value()),
            "message" => self.message = value(),
            _ => {}
        }
    }
}

impl Visit for Warning {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), || value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field.name(), || format!("{value:?}"));
    }
}

/// One kind of warnings.
struct Tally {
    message: String,
    logged: u32,
    held: u64,
    /// The time at which the last count was logged, or the last warning whole.
    since: Instant,
    pause: Duration,
}

/// Warnings by kind.
#[derive(Default)]
pub(super) struct Repeats(BTreeMap<Kind, Tally>);

impl Repeats {
    /// Returns true if a warning is logged; it is counted otherwise.
    pub(super) fn passes(&mut self, warning: Warning, now: Instant) -> bool {
        let Warning { kind, message } = warning;
        let fresh = || Tally { message, logged: 0, held: 0, since: now, pause: PAUSE };
        let tally = self.0.entry(kind).or_insert_with(fresh);
        if tally.logged < WHOLE {
            (tally.logged, tally.since) = (tally.logged + 1, now);
            return true;
        }
        tally.held += 1;
        false
    }

    /// Counts that are due. A kind that has been quiet for a pause is forgotten: its next warning is logged whole.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Count> {
        let mut counts = Vec::new();
        self.0.retain(|kind, tally| {
            if now.duration_since(tally.since) < tally.pause {
                return true;
            }
            if tally.held == 0 {
                return false;
            }
            counts.push(tally.count(kind));
            (tally.since, tally.pause) = (now, (tally.pause * 2).min(LONGEST_PAUSE));
            true
        });
        counts
    }

    /// All that is held back.
    pub(super) fn take(&mut self) -> Vec<Count> {
        let held = self.0.iter_mut().filter(|(_, tally)| tally.held > 0);
        held.map(|(kind, tally)| tally.count(kind)).collect()
    }
}

impl Tally {
    /// Counts what was held back so far.
    fn count(&mut self, kind: &Kind) -> Count {
        Count { kind: kind.clone(), message: self.message.clone(), times: std::mem::take(&mut self.held) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(code: &str) -> Warning {
        let kind = Kind { code: Some(code.into()), ..Kind::default() };
        Warning { kind, message: "rejected".into() }
    }

    /// Returns the count of each code.
    fn actual(counts: Vec<Count>) -> Vec<(String, u64)> {
        counts.into_iter().map(|count| (count.kind.code.unwrap_or_default(), count.times)).collect()
    }

    #[test]
    fn the_first_few_are_logged_and_the_others_counted() {
        let (mut repeats, begun) = (Repeats::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        let logged = (0..20_000).filter(|_| repeats.passes(warning("bad_line"), at(1))).count();
        assert_eq!(logged, 5);
        assert!(repeats.passes(warning("another"), at(1)), "kinds are apart");
        assert!(repeats.due(at(60)).is_empty());
        assert_eq!(actual(repeats.due(at(61))), [("bad_line".into(), 19_995)]);
        // It goes on: only counts, which come more and more rarely.
        let mut counted = Vec::new();
        for second in 62..10_000 {
            assert!(!repeats.passes(warning("bad_line"), at(second)));
            counted.extend(actual(repeats.due(at(second))).into_iter().map(|(_, times)| (second, times)));
        }
        assert_eq!(counted, [(181, 120), (421, 240), (901, 480), (1861, 960), (3781, 1920), (7381, 3600)]);
        assert_eq!(actual(repeats.take()), [("bad_line".into(), 2618)]);
        assert!(repeats.take().is_empty());
    }

    #[test]
    fn what_comes_now_and_then_is_logged_whole_for_ever() {
        let (mut repeats, begun) = (Repeats::default(), Instant::now());
        for hour in 0..1000 {
            let now = begun + Duration::from_hours(hour);
            assert!(repeats.due(now).is_empty());
            assert!(repeats.passes(warning("bad_line"), now));
        }
    }
}
