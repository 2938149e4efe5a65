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

/// How much of a panic is told.
#[derive(Clone, Copy)]
enum Told {
    /// All of it, as of every program.
    All,
    /// Its place in the source, to whoever mends it.
    Place,
    /// Nothing: the caller tells what was wrong with the bytes.
    Nothing,
}

thread_local! {
    static TOLD: Cell<Told> = const { Cell::new(Told::All) };
}

/// Runs a stage's code. A panic is reported with its place in the source alone.
pub fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    caught(Told::Place, work)
}

/// Reads bytes from outside with a library that answers some of them with a panic, as those for Arrow IPC and Parquet do where
/// lengths contradict each other.
pub(crate) fn read<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    caught(Told::Nothing, work)
}

fn caught<T>(told: Told, work: impl FnOnce() -> T) -> Result<T, Panicked> {
    static HOOK: Once = Once::new();
    HOOK.call_once(hold_back);
    let before = TOLD.replace(told);
    let done = catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked);
    TOLD.set(before);
    done
}

fn hold_back() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| match TOLD.get() {
        Told::All => before(info),
        Told::Place => {
            if let Some(place) = info.location() {
                tracing::error!(file = place.file(), line = place.line(), "a stage panicked");
            }
        }
        Told::Nothing => {}
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_within_a_stage_leaves_it_as_quiet_as_it_was() {
        let within = quietly(|| {
            assert!(read(|| -> u8 { panic!("a row") }).is_err());
            matches!(TOLD.get(), Told::Place)
        });
        assert!(matches!(within, Ok(true)));
        assert!(matches!(TOLD.get(), Told::All));
        assert!(quietly(|| -> u8 { panic!("a row") }).is_err());
        assert!(matches!(TOLD.get(), Told::All));
    }
}
