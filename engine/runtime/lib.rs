//! Pipeline file to plan to dataflow.
//!
//! In: the text of a pipeline file and a slice of kinds. Out: diagnostics, a plan, a running dataflow and its report. It
//! must not know any stage: kinds come from outside. timely is named in `dataflow`, `membership`,
//! `exchange` and `cluster` alone.

pub mod case;
mod caught;
pub mod check;
pub mod cluster;
pub mod commit;
mod dataflow;
pub mod diagnostic;
pub mod digest;
pub mod exchange;
pub mod explain;
pub mod instance;
pub mod intake;
pub mod membership;
pub mod metrics;
pub mod offload;
pub mod params;
pub mod pipeline;
pub mod plan;
pub mod retry;
pub mod run;
pub mod schema;
pub mod slice;
pub mod watch;
