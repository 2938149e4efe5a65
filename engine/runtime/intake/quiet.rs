//! Barriers for held-back rows of live input: one is due when the input has been quiet for as long as rows may be held.
//!
//! In: when rows were taken in and captured, by a monotone clock. Out: whether an epoch without rows is due, and a watermark that continues
//! while nothing comes, by no more than the hold. Recorded input has none of it: there captured times alone say what is over. It must
//! not know who holds what.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use headwater_contract::units::Micros;

/// Rows that came within this time of each other are released together: one epoch for them, not one each.
const TOGETHER: Duration = Duration::from_secs(1);
/// The time by which the watermark goes beyond a hold: a row is over only when it is held for longer.
const BEYOND: Duration = Duration::from_millis(1);

/// The quiet of a live input.
#[derive(Debug)]
pub(super) struct Quiet {
    /// The longest time for which a stage may hold a row back; nothing where none does.
    hold: Option<Duration>,
    /// When rows came that may still be held, the earliest first.
    rows: VecDeque<Instant>,
    /// The watermark when it last rose by a row, and when that was.
    risen: Option<(Micros, Instant)>,
}

impl Quiet {
    pub(super) fn new(hold: Option<Duration>) -> Self {
        Quiet { hold, rows: VecDeque::new(), risen: None }
    }

    /// Rows that an earlier attempt took in may be held since.
    pub(super) fn resume(&mut self, watermark: Option<Micros>) {
        let now = Instant::now();
        if self.hold.is_some() && watermark.is_some() {
            self.rows.push_back(now);
        }
        self.risen = watermark.map(|watermark| (watermark, now));
    }

    /// A row was taken in; the captured time of the latest so far.
    pub(super) fn taken(&mut self, captured: Option<Micros>) {
        if let Some(captured) = captured.filter(|captured| self.watermark().is_none_or(|now| *captured > now))
        {
            self.risen = Some((captured, Instant::now()));
        }
    }

    /// An epoch with rows since then is closed.
    pub(super) fn closed(&mut self, since: Instant) {
        let apart = self.rows.back().is_none_or(|last| since.saturating_duration_since(*last) >= TOGETHER);
        if self.hold.is_some() && apart {
            self.rows.push_back(since);
        }
    }

    /// The captured time that would be reached if devices had gone on talking, by no more than the hold.
    pub(super) fn watermark(&self) -> Option<Micros> {
        let ((Micros(risen), since), hold) = (self.risen?, self.hold?);
        let quiet = since.elapsed().min(hold + BEYOND);
        Some(Micros(risen.saturating_add(i64::try_from(quiet.as_micros()).unwrap_or(i64::MAX))))
    }

    /// Returns the time until rows have been held for long enough; nothing where none are.
    pub(super) fn left(&self) -> Option<Duration> {
        let first = self.rows.front()?;
        Some((self.hold? + TOGETHER + BEYOND).saturating_sub(first.elapsed()))
    }

    /// A barrier is sent: what came early enough is held no longer.
    pub(super) fn marked(&mut self) {
        while self.left().is_some_and(|left| left.is_zero()) {
            self.rows.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watermark_goes_on_by_no_more_than_the_hold() {
        let hold = Duration::from_micros(50);
        let mut quiet = Quiet::new(Some(hold));
        assert_eq!((quiet.watermark(), quiet.left()), (None, None));
        quiet.taken(Some(Micros(1_000_000)));
        std::thread::sleep(hold + 2 * BEYOND);
        assert_eq!(quiet.watermark(), Some(Micros(1_000_000 + 50 + 1_000)));
        quiet.taken(Some(Micros(999_000)));
        assert_eq!(quiet.watermark(), Some(Micros(1_001_050)), "what was captured before moves nothing");
        quiet.taken(Some(Micros(2_000_000)));
        assert!(quiet.watermark() >= Some(Micros(2_000_000)));
    }

    #[test]
    fn nothing_is_due_where_nothing_is_held() {
        let mut quiet = Quiet::new(None);
        quiet.closed(Instant::now());
        quiet.taken(Some(Micros(1)));
        quiet.resume(Some(Micros(2)));
        assert_eq!((quiet.left(), quiet.watermark()), (None, None));
    }
}
