//! The built-in stages: one stage, one file, with a folder of the same name for its insides.
//!
//! In: the contract. Out: [`STAGES`], the list of every kind. No stage knows another one, and none knows the engine.

use headwater_contract::StageFactory;

pub mod aggregate;
pub mod capture;
pub mod compress;
pub mod redact;
pub mod replay;
pub mod store;
pub mod train;
pub mod transcribe;
pub mod vault_error;

/// Every built-in kind, in the order in which data usually passes them.
pub const STAGES: &[StageFactory] = &[
    capture::KIND,
    replay::KIND,
    transcribe::KIND,
    StageFactory::stage::<redact::Redact>(),
    store::KIND,
    train::KIND,
    compress::KIND,
    aggregate::KIND,
];
