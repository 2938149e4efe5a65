//! Folders that stages fill: each is of one stage alone.
//!
//! In: the stages with params put in. Out: stages that would fill the folder of another one, and wait for its lock without end. No
//! file is opened: paths are compared as they are written, without what changes nothing in them.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use headwater_contract::Role;

use super::draft::Draft;
use crate::diagnostic::{Diagnostic, Span};
use crate::pipeline::Node;

/// The problem.
pub(super) fn tell(drafts: &[Draft<'_>]) -> Vec<Diagnostic> {
    let mut owners: BTreeMap<PathBuf, (&str, Span)> = BTreeMap::new();
    let mut found = Vec::new();
    for draft in drafts {
        let Some(Role::Stage(stage)) = &draft.role else { continue };
        for path in stage.fills() {
            let node = option(draft, &path);
            if node.is_none() && draft.table.options.iter().any(|entry| entry.node.is_unknown()) {
                continue; // a sample stands for what the check does not know
            }
            let span = node.map_or_else(|| draft.table.id_span.clone(), |node| node.span.clone());
            let plain = normal(&path);
            let Some((owner, first)) = owners.get(&plain) else {
                owners.insert(plain, (draft.id(), span));
                continue;
            };
            let what = format!("`{}` and `{owner}` would fill one folder", draft.id());
            let error = match node {
                Some(node) => node.error("H0313", what),
                None => Diagnostic::at("H0313", what, &span),
            };
            let error = error.also(first, format!("the folder of `{owner}`"));
            found.push(error.expected("a folder of its own"));
        }
    }
    found
}

/// The option that names a folder.
fn option<'d>(draft: &'d Draft<'_>, path: &Path) -> Option<&'d Node> {
    let nodes = draft.table.options.iter().map(|entry| &entry.node);
    nodes
        .filter(|node| !node.is_unknown())
        .find(|node| node.as_str().is_some_and(|text| Path::new(text) == path))
}

/// A path without `.`, `name/..` and doubled strokes.
fn normal(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        let climbs = component == Component::ParentDir;
        if climbs && matches!(plain.components().next_back(), Some(Component::Normal(_))) {
            plain.pop();
        } else if component != Component::CurDir {
            plain.push(component);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_without_what_changes_nothing() {
        let check = |path: &str, expected: &str| {
            // By bytes: paths are equal beyond what is written.
            assert_eq!(normal(Path::new(path)).as_os_str(), expected, "{path}");
        };
        for same in [
            "data/vault",
            "./data/vault",
            "data//vault/",
            "data/./vault",
            "data/x/../vault",
            "x/../data/vault",
        ] {
            check(same, "data/vault");
        }
        check("/data/../vault", "/vault");
        check("../vault", "../vault");
        check("../../vault", "../../vault");
        check("./../vault", "../vault");
        check(".", "");
    }
}
