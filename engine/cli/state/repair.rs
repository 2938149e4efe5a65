//! The verb `state repair`: puts a pipeline's state back to what can be read, so that it can be run again.
//!
//! In: a pipeline's state folder. Out: the same as it was committed last before the damage, or without what is damaged where nothing before it
//! is whole; and in words what that costs. Nothing is deleted, and nothing that is whole is touched. It must not know what a stage keeps.

use std::io::Write;
use std::path::{Path, PathBuf};

use headwater_contract::{HostEnv, Result, StageError};
use headwater_runtime::commit::Record;
use headwater_vault::{AuditAction, AuditLog, CommitLog, Error, KeyFile, Rollback, real_disk};
use serde_json::json;

use super::{absent, commits, intake, must_be_free, quarantine, written};
use crate::exit::Exit;
use crate::site::Settings;
use headwater_stages::vault_error::of_vault;

/// Carries it out; gives the exit code: 1 if something is damaged and was left so.
///
/// # Errors
/// Another process has the folder open, the key is another one, or something cannot be moved.
pub(super) fn run(pipeline: &str, yes: bool, settings: &Settings, out: &mut dyn Write) -> Result<Exit> {
    let site = settings.site(pipeline);
    if [commits(&site), quarantine(&site)].iter().all(|folder| !folder.exists()) {
        return Err(absent(pipeline, &site));
    }
    let key = KeyFile::at(&site.key_file);
    must_be_free(&site)?;
    let Some(damage) = damaged(&site, &key)? else {
        return written(out, "nothing is damaged\n");
    };
    let Damage { what, remedy, folders, cost } = damage;
    if !yes {
        written(out, &format!("damaged: {what}\nto repair it costs: {cost}\nadd --yes to do it\n"))?;
        return Ok(Exit::Failed);
    }
    let mut report = format!("damaged: {what}\n");
    let audit = |facts: &[(&str, serde_json::Value)]| {
        AuditLog::at(&settings.state, &key, real_disk()).record(AuditAction::Repair, facts).map_err(of_vault)
    };
    for folder in folders.iter().filter(|folder| folder.exists()) {
        let to = beside(folder);
        audit(&[("folder", json!(folder)), ("moved_to", json!(to))])?;
        std::fs::rename(folder, &to)
            .map_err(|e| StageError::new(format!("{} cannot be moved: {e}", folder.display())))?;
        report += &format!("moved {} to {}\n", folder.display(), to.display());
    }
    if remedy == Remedy::RollBack {
        audit(&[("folder", json!(commits(&site))), ("rolled_back", json!(true))])?;
        let rollback = CommitLog::roll_back(&commits(&site), &key).map_err(of_vault)?;
        for to in rollback.into_iter().flat_map(|rollback| rollback.moved_to) {
            report += &format!("the damaged bytes are now at {}\n", to.display());
        }
    }
    written(out, &format!("{report}the cost: {cost}\n"))
}

/// The damage of a folder, its repair, and the cost of it.
struct Damage {
    what: String,
    remedy: Remedy,
    /// Folders that are moved aside.
    folders: Vec<PathBuf>,
    cost: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Remedy {
    /// The commits go back to the last step before the damage.
    RollBack,
    /// Folders go, and nothing else.
    MoveAside,
}

fn damaged(site: &HostEnv, key: &KeyFile) -> Result<Option<Damage>> {
    match CommitLog::planned_rollback(&commits(site), key) {
        Ok(None) => {}
        // Live input is logged behind the last commit: behind an earlier one its place is not known.
        Ok(Some(Rollback { problem, note: Some(note), .. })) => {
            let kept = Record::decode(&note)?.intake;
            let cost = format!(
                "what was committed later. The next run goes on from {kept}, and does the rest again: stores and adapters end as they \
                 would have, but live input that came since is lost"
            );
            let folders = vec![intake(site)];
            return Ok(Some(Damage { what: problem.to_string(), remedy: Remedy::RollBack, folders, cost }));
        }
        Ok(Some(Rollback { problem, .. }))
        | Err(problem @ (Error::Damaged { .. } | Error::Absent { .. })) => {
            return Ok(Some(nothing_whole(site, problem.to_string())));
        }
        Err(other) => return Err(of_vault(other)),
    }
    if let Some(what) = problem(&commits(site), key)? {
        return Ok(Some(nothing_whole(site, what)));
    }
    let cost =
        "live input that was not committed is lost; the next run goes on after the last commit".to_owned();
    let folders = vec![intake(site)];
    if let Some(what) = problem(&intake(site), key)? {
        return Ok(Some(Damage { what, remedy: Remedy::MoveAside, folders, cost }));
    }
    let cost = "rejected rows that are quarantined so far can no longer be listed or retried".to_owned();
    let folders = vec![quarantine(site)];
    let damage = |what| Damage { what, remedy: Remedy::MoveAside, folders, cost };
    Ok(problem(&quarantine(site), key)?.map(damage))
}

fn nothing_whole(site: &HostEnv, what: String) -> Damage {
    let cost = "all that was learned. The next run begins at the beginning of its input; stores keep each row once all the same, and live \
                input that was not committed is lost";
    let folders = vec![commits(site), intake(site)];
    Damage { what, remedy: Remedy::MoveAside, folders, cost: cost.to_owned() }
}

/// Returns the damage of a folder, if there is some.
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

/// An unused name beside the folder.
fn beside(folder: &Path) -> PathBuf {
    let named = |n: u32| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        folder.with_file_name(format!("{name}.damaged-{n}"))
    };
    (1..u32::MAX).map(named).find(|free| !free.exists()).unwrap_or_else(|| named(0))
}
