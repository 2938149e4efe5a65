//! Aggregation of the updates of many devices: exact sums, and the step of the adapter at the root.
//!
//! In: updates with their device, round and number of examples, and sums of lower tiers. Out: sums to send on, and at the root
//! a new adapter. It must not know how updates were compressed, what their parameters mean, or how rows travel.
//!
//! - [`sum`] adds updates; any tree and any order gives the same bits. [`mod@format`] is what sums look like on the wire.
//! - [`ledger`] accepts each (device, round) once; [`refusal`] says why something was not accepted.
//! - [`total`] adds sums at the root and divides once; [`server`] moves the adapter; [`root`] does both, round after round.
//! - [`history`] keeps the rounds, and replays them after a correction or a verdict of [`judge`]; [`recorded`] has single
//!   updates at rest, and what forgetting one device takes out.
//! - [`robust`] has the rules that need single updates: trimmed mean, median, the clipping of norms.

use super::{grid, wire};

pub mod cells;
pub mod format;
pub mod history;
pub mod judge;
pub mod ledger;
pub mod recorded;
pub mod refusal;
pub mod robust;
pub mod root;
pub mod server;
pub mod sum;
pub mod total;

#[cfg(test)]
mod properties;

pub use ledger::{Ledger, OpenRounds};
pub use refusal::Refusal;
pub use sum::{Clipped, Shape, Sum, Values};
pub use total::Total;

/// A training round: a number carried in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Round(pub u64);

/// The most examples that one update may stand for: 2^16.
pub const MAX_EXAMPLES_PER_UPDATE: u32 = 1 << 16;

/// The number of examples that one update stands for: from 1 to 2^16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Examples(u32);

impl Examples {
    /// Checks the number.
    ///
    /// # Errors
    /// When it is zero or above 2^16.
    pub fn new(examples: u64) -> Result<Examples, Refusal> {
        match u32::try_from(examples) {
            Ok(0) => Err(Refusal::NoExamples),
            Ok(examples) if examples <= MAX_EXAMPLES_PER_UPDATE => Ok(Examples(examples)),
            _ => Err(Refusal::TooManyExamples { found: examples, most: MAX_EXAMPLES_PER_UPDATE.into() }),
        }
    }

    /// The number, or the cap if that is lower (an option may cap what one device weighs).
    #[must_use]
    pub fn capped(self, cap: Examples) -> Examples {
        self.min(cap)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}
