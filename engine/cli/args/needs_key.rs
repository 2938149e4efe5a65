//! Which verbs need the root key: where there is no place for it, they are refused before they begin.
//!
//! In: a verb. Out: whether it reads or makes the key. A new verb has to say so.

use super::{AdapterVerb, Verb};
use crate::{adapter, redact};

impl Verb {
    /// Returns true if it reads or makes the root key.
    pub(super) fn needs_key(&self) -> bool {
        match self {
            // Another process than the first keeps nothing.
            Verb::Run(run) => run.processes.process.is_none_or(|process| process == 0),
            Verb::Redact(verb) => matches!(verb, redact::RedactVerb::Reveal),
            Verb::Adapter(AdapterVerb::Published(verb)) => matches!(verb, adapter::AdapterVerb::Own { .. }),
            Verb::Replay(_)
            | Verb::Tap(_)
            | Verb::Recording(_)
            | Verb::Store(_)
            | Verb::Key(_)
            | Verb::Adapter(AdapterVerb::Forget(_))
            | Verb::Forget(_)
            | Verb::State(_)
            | Verb::Quarantine(_) => true,
            // Tests and evaluations have keys of their own, for as long as they last.
            Verb::Test(_) | Verb::Eval(_) => false,
            Verb::Check(_)
            | Verb::Explain(_)
            | Verb::Plan(_)
            | Verb::Graph(_)
            | Verb::Stages(_)
            | Verb::New(_)
            | Verb::Schema(_)
            | Verb::Model(_)
            | Verb::Dataset(_)
            | Verb::Cluster(_)
            | Verb::Config
            | Verb::Completions { .. } => false,
        }
    }
}
