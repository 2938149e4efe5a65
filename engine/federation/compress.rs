//! The part of an update that compression sends, and the residual.
//!
//! In: an update as a flat vector of f32 in the adapter's canonical parameter order. Out: a [`payload`] of the largest values
//! ([`top_k`]), and the [`residual`] that waits for a later round. It must not know what the parameters mean, how updates are
//! added up, or how rows travel.

use super::{grid, wire};

pub mod payload;
pub mod residual;
pub mod top_k;
