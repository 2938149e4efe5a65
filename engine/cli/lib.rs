//! The command line of Headwater, and the door for stages of one's own.
//!
//! In: arguments. Out: text on the standard output, messages on the standard error, an exit code: 0 fine, 1 mistakes found
//! or a run that failed, 2 could not look, 3 another process ended the run, 4 not good enough, 130 stopped at once. A binary with stages of one's own is one line:
//!
//! ```no_run
//! # use headwater_contract::Kind;
//! # const MY_KIND: Kind = Kind::stage::<headwater_stages::redact::Redact>();
//! fn main() -> std::process::ExitCode {
//!     headwater::main_with(&[MY_KIND])
//! }
//! ```

pub mod adapter;
mod args;
pub mod check;
pub mod cluster;
pub mod dataset;
pub mod eval;
pub mod explain;
pub mod forget;
pub mod graph;
pub mod key;
pub mod model;
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
mod vault_error;

use std::process::ExitCode;

use clap::Parser;
use headwater_contract::Kind;

pub use headwater_contract as contract;

/// Runs the command line with the built-in kinds and these.
pub fn main_with(kinds: &[Kind]) -> ExitCode {
    let all: Vec<Kind> = headwater_stages::STAGES.iter().chain(kinds).copied().collect();
    args::dispatch(args::Args::parse(), &all)
}
