//! The space on the disks that a run fills.
//!
//! In: the folders that grow. Out: the first of them that lacks room, in words. It must not know what lies in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use headwater_contract::HostEnv;
use headwater_contract::units::Bytes;
use headwater_runtime::plan::Plan;
use headwater_runtime::run::DiskSpaceCheck;

/// Room that is left for what is on its way: segments that are sealed, commits, published adapters.
const RESERVE: u64 = 64 << 20;
/// Files that may be made for it.
const FILES: u64 = 64;

/// The poll interval of a restarted attempt that waits for disk space.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Waits until the disks have space. An attempt that follows a crash waits before it opens its folders: opening them writes, and on a full disk it
/// would fail again, until the limit of restarts is reached.
pub(super) fn wait(check: &DiskSpaceCheck) {
    let Some(lacking) = check() else { return };
    tracing::warn!("paused: {lacking}");
    while check().is_some() {
        std::thread::sleep(POLL_INTERVAL);
    }
    tracing::warn!("disk space is available again: resuming");
}

/// The check of the disks of a plan's folders, on a host.
pub(super) fn watch(plan: &Plan, site: &HostEnv) -> DiskSpaceCheck {
    let mut folders: Vec<PathBuf> = plan.stages.iter().flat_map(|stage| stage.role.fills()).collect();
    folders.push(site.state.clone());
    // Rows of every epoch in flight are written, to a log and to a store.
    let in_flight = plan.epoch_bytes.0.saturating_mul(plan.window);
    let wanted = RESERVE.saturating_add(in_flight.min(RESERVE));
    Arc::new(move || folders.iter().find_map(|folder| lacking(folder, wanted)))
}

fn lacking(folder: &Path, wanted: u64) -> Option<String> {
    // Unknown free space is no reason to wait: writing will show it.
    let free = free(folder)?;
    let shown = folder.display();
    if free.files.is_some_and(|files| files < FILES) {
        return Some(format!("the disk of {shown} can name fewer than {FILES} more files"));
    }
    let (free, wanted) = (Bytes(free.bytes), Bytes(wanted));
    (free < wanted).then(|| format!("the disk of {shown} has {free} left, of {wanted} that are needed"))
}

/// The bytes that may still be written on a disk.
struct Free {
    bytes: u64,
    /// Files that may be made; nothing where the file system makes as many as it has bytes for.
    files: Option<u64>,
}

/// Returns the bytes that may be written below a folder, which may still have to be made.
fn free(folder: &Path) -> Option<Free> {
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let disk = rustix::fs::statvfs(there).ok()?;
    let bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
    Some(Free { bytes, files: (disk.f_files > 0).then_some(disk.f_favail) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_found_wherever_a_folder_will_be() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("not/yet/there");
        let there = free(&deep).unwrap();
        assert!(there.bytes > 0 && there.files != Some(0) && free(Path::new("neither/this")).is_some());
        assert_eq!(lacking(&deep, 0), None);
        let actual = lacking(&deep, u64::MAX).unwrap();
        assert!(actual.starts_with(&format!("the disk of {} has ", deep.display())), "{actual}");
    }
}
