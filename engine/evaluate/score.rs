//! Figures of an outcome: one module for each kind of them.
//!
//! In: an [`Outcome`](crate::outcome::Outcome). Out: figures that add up over parts, and rates of them. It must not know how they are shown.

pub mod kinds;
pub mod language;
pub mod memorisation;
pub mod redaction;
pub mod transcription;

/// A rate, where there is something to divide by.
pub fn rate(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
