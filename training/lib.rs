//! Low-rank adapters for many devices over one frozen language model.
//!
//! In: a base's weights by name, and token ids of devices with their weights. Out: for each device the change of its adapter, with
//! the loss before and after. It must not know rows, epochs, texts or files of models.

pub mod train;
