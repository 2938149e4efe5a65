//! Stages that may keep rows where the program does not know.
//!
//! In: a plan. Out: the stages of kinds that are not Headwater's own which end the pipeline, or have a path or a folder of their own.
//! Nothing in the contract says yet what such a stage keeps, so `forget` names it and `eval` does not let it write in a trial. It must
//! not know what any of them does.

use headwater_contract::{Result, Shape, StageError};
use headwater_runtime::check::similar::all_of;
use headwater_runtime::plan::{Plan, PlanStage};
use headwater_stages::STAGES;

/// The stages of a plan that may keep rows by themselves.
pub(crate) fn may_keep_rows(plan: &Plan) -> impl Iterator<Item = &PlanStage> {
    let is_own = |stage: &PlanStage| STAGES.iter().any(|kind| kind.name() == stage.kind.name());
    let keeps = |stage: &PlanStage| {
        let has_folder = !stage.role.fills().is_empty() || stage.role.keeps_files().is_some();
        stage.is_sink() || has_folder || paths_of(stage).next().is_some()
    };
    plan.stages.iter().filter(move |stage| !stage.is_source() && !is_own(stage) && keeps(stage))
}

/// Refuses a trial of a plan in which such a stage would write where the pipeline does. It may be tried if every path of the stage was
/// set for the trial, or if it is allowed by name.
///
/// # Errors
/// A stage may write, or there is no stage of an allowed name.
pub(crate) fn may_be_tried(plan: &Plan, set: &[(String, String)], allowed: &[String]) -> Result<()> {
    if let Some(id) = allowed.iter().find(|id| plan.stage(id).is_none()) {
        return Err(StageError::new(format!("--allow-writes: there is no stage `{id}`")));
    }
    let is_set = |id: &str, option: &str| set.iter().any(|(path, _)| *path == format!("stage.{id}.{option}"));
    let writes_aside = |stage: &PlanStage| {
        let mut paths = paths_of(stage).peekable();
        paths.peek().is_some() && paths.all(|path| is_set(&stage.id, path))
    };
    let refused: Vec<&PlanStage> =
        may_keep_rows(plan).filter(|stage| !allowed.contains(&stage.id) && !writes_aside(stage)).collect();
    let Some(first) = refused.first() else { return Ok(()) };
    let named = all_of(refused.iter().map(|stage| stage.id.as_str()));
    let error = StageError::new(format!(
        "{named} may keep rows and is not one of Headwater's own: the trial would write where the pipeline does"
    ))
    .help(format!("to let it write there all the same: --allow-writes {}", first.id));
    let places: Vec<String> =
        paths_of(first).map(|path| format!("--set stage.{}.{path}=...", first.id)).collect();
    if places.is_empty() {
        return Err(error);
    }
    Err(error.expected(format!("another place for the trial: {}", places.join(" "))))
}

/// The options of a stage that are paths.
fn paths_of(stage: &PlanStage) -> impl Iterator<Item = &'static str> {
    let is_path = |shape: &Shape| match shape {
        Shape::List(item) => **item == Shape::Path,
        shape => *shape == Shape::Path,
    };
    stage.kind.options().into_iter().filter(move |spec| is_path(&spec.shape)).map(|spec| spec.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_contract::prelude::*;
    use headwater_runtime::check::{self, Settings};

    /// A stage of one's own, as a test needs it.
    macro_rules! own {
        ($name:ident, $kind:literal, $signature:expr, { $($option:tt)* }) => {
            options! {
                /// Keeps something, perhaps.
                pub struct $name { $($option)* }
            }
            impl StageConfig for $name {
                const KIND: &'static str = $kind;
                fn signature(&self) -> Signature {
                    $signature
                }
                fn build(&self, _: BuildContext<'_>) -> Result<impl Stage> {
                    Ok(Idle)
                }
            }
        };
    }

    struct Idle;

    impl Stage for Idle {
        fn batch(&mut self, _: Port, _: &RecordBatch, _: &mut Outbox<'_>) -> Result {
            Ok(())
        }
    }

    own!(Post, "post", Signature::sink([]), {
        /// Where to.
        url: String = "http://localhost".into();
    });
    own!(Copy, "copy", Signature::map([], []), {
        /// Where.
        folder: Option<std::path::PathBuf>;
    });
    own!(Louder, "louder", Signature::map([], []), {
        /// How much.
        by: i64 = 1;
    });

    fn plan() -> Plan {
        let text = "[pipeline]\nname = 'own'\nepoch = { rows = 4 }\n
             [stage.notes]\ntype = 'capture'\npath = 'notes.jsonl'\n
             [stage.louder]\ntype = 'louder'\nfrom = 'notes'\n
             [stage.copy]\ntype = 'copy'\nfrom = 'louder'\n
             [stage.post]\ntype = 'post'\nfrom = 'copy'\n
             [stage.vault]\ntype = 'store'\nfrom = 'copy'\npath = 'vault'\n";
        let own =
            [StageFactory::stage::<Post>(), StageFactory::stage::<Copy>(), StageFactory::stage::<Louder>()];
        let kinds: Vec<StageFactory> = STAGES.iter().chain(&own).copied().collect();
        let checked = check::check("own.toml", text, &kinds, &Settings::default());
        checked.plan.unwrap_or_else(|| panic!("{:?}", checked.diagnostics))
    }

    #[test]
    fn what_ends_a_pipeline_or_has_a_path_may_keep_rows() {
        let plan = plan();
        let found = may_keep_rows(&plan).map(|stage| (stage.id.as_str(), paths_of(stage).collect()));
        assert_eq!(found.collect::<Vec<(_, Vec<_>)>>(), [("copy", vec!["folder"]), ("post", vec![])]);
    }

    #[test]
    fn a_trial_needs_another_place_or_a_word() {
        let plan = plan();
        let check = |set: &[&str], allowed: &[&str], expected: &[&str]| {
            let set: Vec<_> = set.iter().map(|path| ((*path).to_owned(), "x".to_owned())).collect();
            let allowed: Vec<_> = allowed.iter().map(|id| (*id).to_owned()).collect();
            let actual =
                may_be_tried(&plan, &set, &allowed).err().map_or_else(String::new, |e| e.to_string());
            assert_eq!(actual.is_empty(), expected.is_empty(), "{set:?} {allowed:?}: {actual}");
            assert!(expected.iter().all(|part| actual.contains(part)), "{set:?} {allowed:?}: {actual}");
        };
        check(&[], &[], &["`copy` and `post`", "--set stage.copy.folder=...", "--allow-writes copy"]);
        check(&["stage.copy.folder"], &[], &["`post` may keep rows", "--allow-writes post"]);
        check(&["stage.copy.other"], &["post"], &["`copy` may keep rows"]);
        check(&["stage.copy.folder"], &["post"], &[]);
        check(&[], &["copy", "post"], &[]);
        check(&[], &["copy", "post", "past"], &["there is no stage `past`"]);
    }
}
