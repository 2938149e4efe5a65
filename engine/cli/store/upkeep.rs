//! The upkeep of a store: repair, forget, compaction; and its statistics.
//!
//! In: a store's folder and the site's settings. Out: what was done, as a receipt. What cannot be undone, or shows keys or
//! rows, stands in the audit log of the state folder before it is done; where that cannot be written, it is not done.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use arrow::temporal_conversions::timestamp_us_to_datetime;
use headwater_runtime::digest::SinkDigest;
use headwater_vault::{
    AuditAction, AuditLog, KEYSTORE_FILE, KeyFile, Store, StoreOptions, StoreReader, real_disk,
};
use serde_json::{Value, json};

use super::{Done, Failure};
use crate::exit::Exit;
use crate::site::Settings;

/// The audit log of a site.
pub struct Audit<'s> {
    /// The site.
    pub settings: &'s Settings,
    /// Its root key.
    pub key: &'s KeyFile,
}

impl Audit<'_> {
    /// Writes down what is about to be done to a store.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn record(&self, action: AuditAction, store: &Path, facts: &[(&str, Value)]) -> Result<(), Failure> {
        let mut all = vec![("store", json!(store))];
        all.extend(facts.iter().cloned());
        let log = AuditLog::at(&self.settings.state, self.key, real_disk());
        Ok(log.record(action, &all)?)
    }
}

/// Moves aside what is damaged.
pub(super) fn repair(path: &Path, audit: &Audit<'_>, out: &mut dyn Write) -> Done {
    let repaired = Store::repair(path, audit.key)?;
    for repair in &repaired {
        let moved = repair.moved_to.as_ref().map(|to| to.display().to_string());
        audit.record(
            AuditAction::Repair,
            path,
            &[("file", json!(repair.path)), ("moved_to", json!(moved))],
        )?;
        writeln!(out, "repaired {}", repair.path.display())?;
        writeln!(out, "    what was wrong: {}", repair.problem)?;
        match moved {
            Some(moved) => writeln!(out, "    its bytes are now at {moved}")?,
            None => writeln!(out, "    nothing of it was there")?,
        }
        match repair.lost_rows {
            Some(rows) => writeln!(out, "    lost: {rows} rows")?,
            None => writeln!(out, "    kept: {} frames; the damaged ones are lost", repair.kept_frames)?,
        }
    }
    writeln!(out, "{} files repaired", repaired.len())?;
    Ok(Exit::Fine)
}

/// Opens a store that is there: to open one in order to write makes it otherwise.
fn opened(path: &Path, key: &KeyFile) -> Result<Store, headwater_vault::Error> {
    let keystore = path.join(KEYSTORE_FILE);
    if !keystore.exists() {
        let remedy = "give the folder that a store stage wrote to";
        return Err(headwater_vault::Error::Absent { what: "keystore", path: keystore, remedy });
    }
    Store::open(path, key, StoreOptions::default())
}

/// Deletes a device's key and prints a receipt.
pub(super) fn forget(path: &Path, audit: &Audit<'_>, device: &str, out: &mut dyn Write) -> Done {
    let mut store = opened(path, audit.key)?;
    audit.record(AuditAction::Forget, path, &[("device", json!(device))])?;
    let removed = store.forget(device)?;
    if removed.rows == 0 {
        eprintln!("error: no row of a device {device:?} is in {}: is it spelled so?", path.display());
        return Ok(Exit::Failed);
    }
    writeln!(out, "receipt: device {device:?} was forgotten in {}", path.display())?;
    writeln!(out, "    its key is deleted: no copy of these files gives its rows any more")?;
    writeln!(
        out,
        "    {} rows, {} segments with {} bytes removed",
        removed.rows, removed.segments, removed.bytes
    )?;
    writeln!(out, "    copies of the keystore made before still open them: delete those too")?;
    Ok(Exit::Fine)
}

/// Seals the log and joins small segments.
pub(super) fn compact(path: &Path, key: &KeyFile, out: &mut dyn Write) -> Done {
    let mut store = match opened(path, key) {
        Err(headwater_vault::Error::Busy { path, pid }) => return Err(Failure::Compacting { path, pid }),
        opened => opened?,
    };
    let done = store.compact()?;
    writeln!(out, "{} segments became {}", done.before, done.after)?;
    Ok(Exit::Fine)
}

/// Sizes, devices and times.
pub(super) fn stat(path: &Path, key: &KeyFile, out: &mut dyn Write) -> Done {
    let store = StoreReader::open(path, key)?;
    let segments = store.segments();
    let devices: BTreeSet<_> = segments.iter().map(|segment| &segment.device).collect();
    let logged: usize = store.unsealed().iter().map(arrow::array::RecordBatch::num_rows).sum();
    let rows: u64 = segments.iter().map(|segment| segment.rows).sum();
    writeln!(out, "rows      {}", rows + logged as u64)?;
    writeln!(out, "  sealed  {rows} in {} segments of {} devices", segments.len(), devices.len())?;
    writeln!(out, "  in log  {logged}")?;
    writeln!(out, "bytes     {} in segments", segments.iter().map(|segment| segment.bytes).sum::<u64>())?;
    if let Some(newest) = segments.iter().filter_map(|segment| segment.newest).max() {
        let captured = timestamp_us_to_datetime(newest).map_or_else(String::new, |time| time.to_string());
        writeln!(out, "newest    captured {captured} UTC")?;
    }
    writeln!(out, "root key  {}", store.root())?;
    super::warn_of_torn(store.torn());
    Ok(Exit::Fine)
}

/// The digest of all rows.
pub(super) fn digest(path: &Path, key: &KeyFile, out: &mut dyn Write) -> Done {
    let store = StoreReader::open(path, key)?;
    let mut digest = SinkDigest::default();
    for batch in store.rows() {
        digest.add(&SinkDigest::of(&batch?)?);
    }
    writeln!(out, "{}", digest.finish())?;
    Ok(Exit::Fine)
}
