//! Personalization: base language models, and adapters that are trained on redacted text.
//!
//! In: the path of a base model. Out: the model, read and checked ([`model`]). The training itself is not here yet. It must not
//! know other stages.

pub mod model;
