//! Bytes at rest: keys, sealed frames and encrypted segments.
//!
//! In: batches of rows and a root key. Out: files that say nothing without the key, and rows from files that
//! are exactly what was written, or an error that names the file. This crate knows nothing of stages, epochs
//! or pipelines: the runtime keeps its quarantine with it, the store stage its rows.
//!
//! - [`KeyFile`], [`RootKey`], [`backup`]: the root key, where it lies, and its text for a safe.
//! - [`Disk`]: the file operations that all of this is made of; [`SimulatedDisk`] is a bad one, for tests.
//! - [`FrameLog`]: an append-only log of encrypted batches.
//! - [`CommitLog`]: a keyed table of sealed rows that changes in durable, atomic steps.
//! - [`RecordingWriter`] and [`Recording`]: what passed at some ports of a run.
//! - [`IntakeLog`]: what sources gave, until it is released and its keys are gone.
//! - [`AuditLog`]: what people did to data and keys.
//! - [`Store`] and [`StoreReader`]: encrypted Parquet segments, each row once.
//!
//! The files are described in docs/formats.

mod audit_log;
pub mod backup;
mod batches;
mod commit_log;
mod disk;
mod durable;
mod error;
mod ff1;
mod file_check;
mod frame_log;
mod frames;
mod identity;
mod intake_log;
mod keystore;
mod log_files;
mod recording;
mod root_key;
mod rows;
mod secret;
mod segment;
mod store;
mod store_folder;
mod store_reader;
mod wire;

pub use audit_log::{AuditCheck, AuditLog, Deed};
pub use commit_log::{CommitLog, CommitLogSize, Setback, StateChange, StateRow};
pub use disk::{
    Disk, DiskReader, DiskWriter, Fault, LockGuard, Locked, RealDisk, SimulatedDisk, real as real_disk,
};
pub use error::{Error, Result};
pub use file_check::FileCheck;
pub use frame_log::{FrameLog, LogContent};
pub use frames::TornTail;
pub use identity::COLUMNS as IDENTITY_COLUMNS;
pub use intake_log::{Intake, IntakeContent, IntakeLog, IntakeLogOptions};
pub use keystore::{FILE_NAME as KEYSTORE_FILE, SegmentSeal, rotate_key};
pub use recording::{
    BrokenOff, Recorded, RecordedEnd, RecordedPort, RecordedTotals, Recording, RecordingEntries,
    RecordingHead, RecordingWriter, Unfinished,
};
pub use root_key::{KeyFile, KeyId, KeyProvider, Overwrite, RootKey};
pub use secret::Key;
pub use segment::{Level, SegmentReader, encode_clear, write_clear};
pub use store::{Appended, Compacted, Keep, Removed, Repaired, Store, StoreOptions};
pub use store_folder::SegmentInfo;
pub use store_reader::{StoreReader, Verification, verify, verify_on, widen};

/// Reads any bytes as the first part of a frame of a recording: what a fuzzer calls. It must return, whatever the bytes are.
pub fn fuzz_recording(bytes: &[u8]) {
    recording::fuzz(bytes);
}
