//! The pure cores of two stages: what compression sends of an update, and how aggregation adds updates exactly.
//!
//! In: flat vectors of f32 and bytes. Out: payloads, residuals, sums, adapters. They must not know Arrow, timely, LibTorch or
//! any file. [`grid`] and [`wire`] are shared by both stages; [`compress`] and [`aggregate`] do not know each other. [`choice`] draws
//! which devices take part.

pub mod aggregate;
pub mod choice;
pub mod compress;
pub mod grid;
pub mod wire;

#[cfg(test)]
mod alternate;
