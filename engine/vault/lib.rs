//! Bytes at rest: keys, sealed frames and encrypted segments.
//!
//! In: batches of rows and a root key. Out: files that are unreadable without the key, and rows from files that
//! are exactly as written, or an error that names the file. This crate must not know stages, epochs
//! or pipelines: the runtime keeps its quarantine with it, the store stage its rows.
//!
//! - [`KeyFile`], [`RootKey`], [`backup`]: the root key, its file and its backup text; [`Rotation`]: replacing it.
//! - [`Disk`]: the file operations; [`SimulatedDisk`] injects faults, for tests.
//! - [`FrameLog`]: an append-only log of encrypted batches.
//! - [`CommitLog`]: a keyed table of sealed rows that changes in durable, atomic steps.
//! - [`RecordingWriter`] and [`Recording`]: the rows at some ports of a run.
//! - [`IntakeLog`]: the input of live sources, until it is released and its keys are deleted.
//! - [`AuditLog`]: actions on data and keys.
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
mod key_file;
mod keystore;
mod log_files;
mod recording;
mod root_key;
mod rotation;
mod rows;
mod secret;
mod segment;
mod store;
mod store_folder;
mod store_reader;
mod wire;

pub use audit_log::{AuditAction, AuditCheck, AuditLog};
pub use commit_log::{CommitLog, CommitLogSize, CommitLogView, Rollback, StateChange, StateRow};
pub use disk::{
    Disk, DiskReader, DiskWriter, Fault, LockGuard, LockOutcome, RealDisk, SimulatedDisk, real as real_disk,
};
pub use error::{Error, Result};
pub use file_check::FileCheck;
pub use frame_log::{EndedFile, FrameLog, LogContent};
pub use frames::TornTail;
pub use identity::{COLUMNS as IDENTITY_COLUMNS, Identities};
pub use intake_log::{Intake, IntakeContent, IntakeLog, IntakeLogOptions};
pub use key_file::KeyFile;
pub use keystore::{FILE_NAME as KEYSTORE_FILE, SegmentSeal};
pub use recording::{
    RecordedEnd, RecordedPort, RecordedTotals, Recording, RecordingEntries, RecordingEntry, RecordingHead,
    RecordingWriter, Truncation, UnfinishedPolicy,
};
pub use root_key::{KeyId, KeyProvider, RootKey};
pub use rotation::{Rotation, RotationCounts, Target};
pub use secret::Key;
pub use segment::{Level, SegmentReader, encode_clear, write_clear};
pub use store::{AppendCounts, Compaction, Keep, Removal, Repair, Store, StoreOptions};
pub use store_folder::SegmentInfo;
pub use store_reader::{StoreReader, Verification, verify, verify_on, widen};

/// Reads any bytes as the first part of a frame of a recording: the entry point of a fuzzer. It must return for any bytes.
pub fn fuzz_recording(bytes: &[u8]) {
    recording::fuzz(bytes);
}
