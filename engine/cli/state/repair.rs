//! The verb `state repair`: moves aside what cannot be read of a pipeline's state, so that it can be run again.
//!
//! In: a pipeline's state folder. Out: the same without what is damaged, and in words what that costs. Nothing is deleted, and nothing
//! that is whole is touched. It must not know what a stage keeps.

use std::io::Write;
use std::path::{Path, PathBuf};

use headwater_contract::{Result, Site, StageError};
use headwater_vault::{AuditLog, CommitLog, Deed, Error, KeyFile, real_disk};
use serde_json::json;

use super::{absent, commits, intake, of_vault, written};
use crate::site::Settings;

/// Carries it out; gives the exit code: 1 if something is damaged.
///
/// # Errors
/// Another process has the folder open, the key is another one, or something cannot be moved.
pub(super) fn run(pipeline: &str, yes: bool, settings: &Settings, out: &mut dyn Write) -> Result<u8> {
    let site = settings.site(pipeline);
    if !commits(&site).exists() {
        return Err(absent(pipeline, &site));
    }
    let key = KeyFile::at(&site.key_file);
    // Somebody who works on it would go on in what is moved away.
    if let Err(busy @ Error::Busy { .. }) = CommitLog::open(&commits(&site), &key, real_disk()) {
        return Err(of_vault(busy));
    }
    let Some((what, folders, cost)) = damaged(&site, &key)? else {
        return written(out, "nothing is damaged\n");
    };
    if !yes {
        written(out, &format!("damaged: {what}\nto repair it costs: {cost}\nadd --yes to do it\n"))?;
        return Ok(1);
    }
    let mut told = format!("damaged: {what}\n");
    for folder in folders.iter().filter(|folder| folder.exists()) {
        let to = beside(folder);
        let facts = [("folder", json!(folder)), ("moved_to", json!(to))];
        AuditLog::at(&settings.state, &key, real_disk()).record(Deed::Repair, &facts).map_err(of_vault)?;
        std::fs::rename(folder, &to)
            .map_err(|e| StageError::new(format!("{} cannot be moved: {e}", folder.display())))?;
        told += &format!("moved {} to {}\n", folder.display(), to.display());
    }
    written(out, &format!("{told}the cost: {cost}\n"))?;
    Ok(1)
}

/// What is damaged, the folders that must go with it, and what that costs.
type Damage = (String, Vec<PathBuf>, &'static str);

fn damaged(site: &Site, key: &KeyFile) -> Result<Option<Damage>> {
    if let Some(what) = problem(&commits(site), key)? {
        // Live input is logged behind a commit: without one nobody can tell where it belongs.
        let folders = vec![commits(site), intake(site)];
        let cost = "the next run begins at the beginning of its input; stores keep each row once all the same, and live input that \
                    was not committed is lost";
        return Ok(Some((what, folders, cost)));
    }
    let cost = "live input that was not committed is lost; the next run goes on after the last commit";
    Ok(problem(&intake(site), key)?.map(|what| (what, vec![intake(site)], cost)))
}

/// What is wrong with a folder, if something is.
fn problem(folder: &Path, key: &KeyFile) -> Result<Option<String>> {
    if !folder.exists() {
        return Ok(None);
    }
    match CommitLog::verify(folder, key) {
        Ok(checks) => Ok(checks
            .into_iter()
            .find_map(|check| check.problem.map(|problem| format!("{}: {problem}", check.path.display())))),
        Err(damaged @ Error::Damaged { .. }) => Ok(Some(damaged.to_string())),
        Err(other) => Err(of_vault(other)),
    }
}

/// A name beside the folder that nobody has.
fn beside(folder: &Path) -> PathBuf {
    let named = |n: u32| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        folder.with_file_name(format!("{name}.damaged-{n}"))
    };
    (1..u32::MAX).map(named).find(|free| !free.exists()).unwrap_or_else(|| named(0))
}
