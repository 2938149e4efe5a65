//! The command line of Headwater, and the door for stages of one's own.
//!
//! In: arguments. Out: text on the standard output, messages on the standard error, an exit code ([`exit::Exit`]). A binary with stages of
//! one's own is one line:
//!
//! ```no_run
//! # use headwater_contract::StageFactory;
//! # const MY_KIND: StageFactory = StageFactory::stage::<headwater_stages::redact::Redact>();
//! fn main() -> std::process::ExitCode {
//!     headwater::main_with(&[MY_KIND])
//! }
//! ```

// First: its macros stand for those of the standard library in all modules below.
#[macro_use]
mod output;

pub mod adapter;
mod args;
pub mod check;
pub mod cluster;
mod colour;
pub mod dataset;
mod elsewhere;
pub mod eval;
pub mod exit;
pub mod explain;
pub mod forget;
pub mod graph;
pub mod key;
mod log;
pub mod model;
mod named;
pub mod new;
pub mod pipeline;
pub mod plan;
pub mod plot;
pub mod quarantine;
pub mod recording;
pub mod redact;
pub mod replay;
pub mod run;
pub mod schema;
pub mod site;
pub mod stages;
pub mod state;
pub mod store;
mod table;
pub mod tap;
pub mod test;

use std::process::ExitCode;

use clap::Parser;
use headwater_contract::StageFactory;

pub use headwater_contract as contract;

/// Runs the command line with the built-in kinds and these.
pub fn main_with(kinds: &[StageFactory]) -> ExitCode {
    let all: Vec<StageFactory> = headwater_stages::STAGES.iter().chain(kinds).copied().collect();
    args::dispatch(args::Args::parse(), &all)
}
