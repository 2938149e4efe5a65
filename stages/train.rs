//! Personalization: base language models, and adapters that are trained on redacted text.
//!
//! What stands here so far are the base models ([`model`]): read, checked, tokenised. It must not know other stages.

pub mod model;
