//! Recorded data sets: the manifests that describe them and the readers that play them.
//!
//! Paths and bytes flow in; manifests, mono 16 kHz samples, texts and typed errors flow out. This crate knows
//! nothing of pipelines, stages, rows between stages or keys.

pub mod audio;
pub mod catalogue;
pub mod dataset;
pub mod manifest;
pub mod parquet_text;
pub mod regular;
pub mod wer;
