//! Which stages of a pipeline are scored: of each kind its only one, or the one that is asked for.
//!
//! In: a plan, and ids that were asked for. Out: one stage of each kind that a report has figures of. It must not know figures.

use headwater_contract::StageError;
use headwater_runtime::plan::{Plan, PlanStage};

/// The stages that are scored.
pub(super) struct Scored<'p> {
    /// Writes speech down.
    pub hears: Option<&'p PlanStage>,
    /// Takes personal data out.
    pub redacts: Option<&'p PlanStage>,
    /// Learns.
    pub trains: Option<&'p PlanStage>,
    /// Sends what the devices learned.
    pub sends: Option<&'p PlanStage>,
}

const KINDS: [&str; 3] = ["transcribe", "redact", "train"];

impl<'p> Scored<'p> {
    /// The stages of a plan that are scored. Ids that `must_be` there are an error where they are not.
    ///
    /// # Errors
    /// A kind has several stages, and it is not said which; or an id is none of them.
    pub(super) fn of(plan: &'p Plan, asked: &[String], must_be: bool) -> Result<Scored<'p>, StageError> {
        let of_kind = |kind: &str| plan.stages.iter().filter(|s| s.kind.name() == kind).collect::<Vec<_>>();
        let known = || KINDS.iter().flat_map(|kind| of_kind(kind)).map(|stage| format!("`{}`", stage.id));
        if let Some(unknown) =
            asked.iter().find(|id| must_be && !known().any(|known| known == format!("`{id}`")))
        {
            let known: Vec<String> = known().collect();
            return Err(StageError::new(format!("--score: no stage `{unknown}` is scored"))
                .expected(if known.is_empty() { "no --score".to_owned() } else { known.join(" or ") }));
        }
        let one = |kind: &str| {
            let all = of_kind(kind);
            let chosen: Vec<&PlanStage> =
                all.iter().copied().filter(|stage| asked.contains(&stage.id)).collect();
            match (all.as_slice(), chosen.as_slice()) {
                ([], _) => Ok(None),
                ([one], _) | (_, [one]) => Ok(Some(*one)),
                _ => {
                    let ids: Vec<String> = all.iter().map(|stage| format!("`{}`", stage.id)).collect();
                    Err(StageError::new(format!("the pipeline has the {kind} stages {}", ids.join(" and ")))
                        .expected(format!("one of them to be scored: --score {}", ids.join(" or --score "))))
                }
            }
        };
        let trains = one("train")?;
        let at = |stage: &PlanStage| plan.stages.iter().position(|known| known.id == stage.id);
        let fed = |stage: &PlanStage| {
            let train = trains.and_then(at);
            stage.inputs.iter().flat_map(|input| &input.from).any(|from| Some(from.stage) == train)
        };
        let sends = of_kind("compress");
        let sends = sends.iter().copied().find(|stage| fed(stage)).or(sends.first().copied());
        Ok(Scored { hears: one("transcribe")?, redacts: one("redact")?, trains, sends })
    }
}
