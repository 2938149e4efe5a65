//! The engine as a whole, over small kinds made for these tests: what arrives where, what happens when something goes
//! wrong, and that neither the number of workers nor time changes a result.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

mod attempts;
mod cluster;
mod disk_space;
mod failures;
mod faulty;
mod kinds;
mod ledger;
mod loops;
mod members;
mod once;
mod panics;
mod rejected;
mod remembered;
mod same;
mod secrecy;
mod stopping;
mod threads;
mod window;
mod wiring;
