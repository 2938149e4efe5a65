//! Low-rank adapters for many devices over one frozen language model.

pub mod train;
