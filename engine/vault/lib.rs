//! Bytes at rest: keys, sealed frames and encrypted segments.
//!
//! In: batches of rows and a root key. Out: files that say nothing without the key, and rows from files that
//! are exactly what was written, or an error that names the file. This crate knows nothing of stages, epochs
//! or pipelines: the runtime keeps its quarantine with it, the store stage its rows.
//!
//! - [`KeyFile`], [`RootKey`], [`backup`]: the root key, where it lies, and its text for a safe.
//! - [`Keystore`]: the wrapped keys beside the files that they open.
//! - [`FrameLog`]: an append-only log of encrypted batches ([`FrameWriter`] and [`FrameReader`] are one file of it).
//! - [`Store`] and [`StoreReader`]: encrypted Parquet segments, each row once.
//!
//! The files are described in docs/formats.

pub mod backup;
mod durable;
mod error;
mod ff1;
mod frame_log;
mod frames;
mod identity;
mod keystore;
mod root_key;
mod secret;
mod segment;
mod store;
mod store_folder;
mod store_reader;
mod wire;

pub use error::{Error, Result};
pub use frame_log::{FrameLog, LogContent};
pub use frames::{FrameReader, FrameWriter, TornTail};
pub use identity::COLUMNS as IDENTITY_COLUMNS;
pub use keystore::{DeviceTag, Keystore, SegmentSeal};
pub use root_key::{KeyFile, KeyId, KeyProvider, Overwrite, RootKey};
pub use secret::Key;
pub use segment::{Level, SegmentReader, encode_clear, write_clear};
pub use store::{Appended, Store, StoreOptions};
pub use store_folder::SegmentInfo;
pub use store_reader::{StoreReader, Verification, verify, widen};
