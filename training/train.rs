//! Texts of devices in, one update a device out: training as a library. Only the modules below name LibTorch, and they
//! know no rows, no epochs, no files.

pub mod adapters;
mod backward;
pub mod base;
pub mod batch;
pub mod chance;
pub mod dropout;
pub mod error;
mod forward;
mod head;
pub mod logits;
pub mod lora;
pub mod optimiser;
pub mod peft;
mod prefix;
mod rope;
pub mod round;
mod rows;
pub mod rules;
pub mod schedule;
pub mod shape;
mod spare;
pub mod step;
pub mod stored;
pub mod targets;
pub mod trainer;
