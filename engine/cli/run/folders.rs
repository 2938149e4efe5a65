//! A check that each folder that a run fills is of one stage: `check` compares paths as they are written, this compares where they lead.
//!
//! In: the folders that grow, by stage. Out: two stages that would fill one and wait for each other's lock. It must not know what lies in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use headwater_contract::StageError;
use headwater_runtime::plan::Plan;

/// Refuses a plan in which two stages fill one folder.
///
/// # Errors
/// The two stages and the folder.
pub(super) fn one_stage_each(plan: &Plan) -> Result<(), StageError> {
    let filled = plan
        .stages
        .iter()
        .flat_map(|stage| stage.role.fills().into_iter().map(|path| (stage.id.as_str(), path)));
    of_one_each(filled)
}

fn of_one_each<'s>(filled: impl Iterator<Item = (&'s str, PathBuf)>) -> Result<(), StageError> {
    let mut owners: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for (stage, path) in filled {
        if let Some(owner) = owners.insert(leads_to(&path), stage) {
            let what = format!("`{owner}` and `{stage}` would fill one folder, {}", path.display());
            return Err(StageError::new(what).expected("a folder of its own for each"));
        }
    }
    Ok(())
}

/// Resolves a path, over links too; a part that does not exist yet is taken as it is written.
fn leads_to(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find_map(|folder| Some((folder, folder.canonicalize().ok()?)));
    let Some((folder, real)) = there else { return path };
    path.strip_prefix(folder).map_or(path.clone(), |rest| real.join(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_compared_where_they_lead() {
        let room = tempfile::tempdir().unwrap();
        let at = |name: &str| room.path().join(name);
        std::fs::create_dir(at("data")).unwrap();
        std::os::unix::fs::symlink(at("data"), at("link")).unwrap();
        let check = |one: PathBuf, other: PathBuf, is_one: bool| {
            let actual = of_one_each([("a", one.clone()), ("b", other.clone())].into_iter());
            assert_eq!(actual.is_err(), is_one, "{} {}", one.display(), other.display());
        };
        check(at("data/vault"), at("data/vault"), true);
        check(at("data/vault"), at("link/vault"), true);
        check(at("data/vault"), at("link/other"), false);
        check(at("data"), at("link"), true);
        check("vault".into(), std::env::current_dir().unwrap().join("vault"), true);
        check("vault".into(), "./vault/".into(), true);
        check("vault".into(), "vaults".into(), false);
    }
}
