//! Panics that are an answer.
//!
//! In: work that may panic: a stage's code, or a library that reads bytes from outside. Out: its value, or that it panicked. What a
//! panic says may quote a row, so it is never printed. It must not know what the work is for.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// A call ended in a panic, which was reported as far as it may be.
#[derive(Debug)]
pub struct Panicked;

/// The part of a panic that is reported.
#[derive(Clone, Copy)]
enum PanicReport {
    /// All of it, as of every program.
    All,
    /// Its place in the source.
    Place,
    /// Nothing: the caller reports what was wrong with the bytes.
    Nothing,
}

thread_local! {
    static PANIC_REPORT: Cell<PanicReport> = const { Cell::new(PanicReport::All) };
}

/// Runs a stage's code. A panic is reported with its place in the source alone.
pub fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    caught(PanicReport::Place, work)
}

/// Reads bytes from outside with a library that answers some of them with a panic, as those for Arrow IPC and Parquet do where
/// lengths contradict each other.
pub(crate) fn read<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    caught(PanicReport::Nothing, work)
}

fn caught<T>(report: PanicReport, work: impl FnOnce() -> T) -> Result<T, Panicked> {
    static HOOK: Once = Once::new();
    HOOK.call_once(hold_back);
    let before = PANIC_REPORT.replace(report);
    let done = catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked);
    PANIC_REPORT.set(before);
    done
}

fn hold_back() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| match PANIC_REPORT.get() {
        PanicReport::All => before(info),
        PanicReport::Place => {
            if let Some(place) = info.location() {
                tracing::error!(file = place.file(), line = place.line(), "a stage panicked");
            }
        }
        PanicReport::Nothing => {}
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_within_a_stage_leaves_it_as_quiet_as_it_was() {
        let within = quietly(|| {
            assert!(read(|| -> u8 { panic!("a row") }).is_err());
            matches!(PANIC_REPORT.get(), PanicReport::Place)
        });
        assert!(matches!(within, Ok(true)));
        assert!(matches!(PANIC_REPORT.get(), PanicReport::All));
        assert!(quietly(|| -> u8 { panic!("a row") }).is_err());
        assert!(matches!(PANIC_REPORT.get(), PanicReport::All));
    }
}
