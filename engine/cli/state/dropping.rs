//! `--drop-state`: states of stages are deleted before a run, and no row is lost silently.
//!
//! In: a plan, its state folder, the stages. Out: first a question that counts what would go; then, once it is answered, the rows that
//! stages hold back in the quarantine, durably. The states themselves go when the run begins. Done twice, it ends as done once.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use headwater_contract::{HeldBack, Rejected, Result, Role, StageError, StateTable};
use headwater_runtime::commit::{KeptRow, Shape, StateFolder, under_way};
use headwater_runtime::instance::rejected_by;
use headwater_runtime::plan::Plan;
use headwater_runtime::run::Quarantine;
use headwater_stages::STAGES;

use super::Folder;

/// The reason under which rows of a dropped state lie in the quarantine.
const CODE: &str = "state_dropped";

/// The losses that go with the state of a stage.
struct Going {
    stage: String,
    /// Rows of the state, and the devices that they are about.
    rows: usize,
    devices: usize,
    held: HeldBack,
    /// Rows on their way over a cycle to the stage.
    under_way: u64,
    /// True if the stage could say what its rows are.
    is_told: bool,
}

/// Quarantines what the states of some stages hold back, if `yes`.
///
/// # Errors
/// Something is kept of a stage, and it was not said that it may go; or rows could not be quarantined.
pub fn hold_nothing_back(
    plan: &Plan,
    folder: &mut Folder,
    stages: &[String],
    yes: bool,
    quarantine: &mut dyn Quarantine,
) -> Result<()> {
    let Some(record) = folder.last()? else { return Ok(()) };
    let going = stages.iter().filter_map(|id| Some((id, record.stages.get(id)?)));
    let going = going.map(|(id, shape)| going_with(plan, folder, id, shape)).collect::<Result<Vec<_>>>()?;
    let going: Vec<Going> = going.into_iter().filter(|going| !going.is_nothing()).collect();
    if going.is_empty() {
        return Ok(());
    }
    if !yes {
        let what = going.iter().map(Going::words).collect::<Vec<_>>().join("; ");
        return Err(StageError::new(format!("--drop-state deletes what is kept: {what}"))
            .expected("--yes")
            .help("add --yes; `headwater state show` looks at it first"));
    }
    for Going { stage, held, .. } in going {
        for row in held.rows {
            let reason = "its stage held it back, and its state was dropped".to_owned();
            let rejected = Rejected { input: 0, row, code: CODE, reason };
            quarantine.keep(&stage, &rejected_by(&stage, &rejected)?)?;
        }
    }
    quarantine.sync()
}

fn going_with(plan: &Plan, folder: &mut Folder, id: &str, shape: &Shape) -> Result<Going> {
    let kept = folder.rows(id)?;
    let devices: BTreeSet<&str> = kept.iter().filter_map(|row| row.owner.of_device()).collect();
    let (rows, devices) = (kept.len(), devices.len());
    let table = StateTable::of(kept.into_iter().map(|KeptRow { key, row, .. }| (key, row)));
    // Of a stage that the file has no more, its kind says what the rows are.
    let planned = plan
        .stage(id)
        .filter(|stage| stage.kind.name() == shape.kind)
        .map(|stage| stage.role.held_back(&table));
    let held = planned.or_else(|| {
        let role: Role = STAGES.iter().find(|kind| kind.name() == shape.kind)?.sample()?;
        Some(role.held_back(&table))
    });
    let held = held.and_then(Result::ok);
    let is_told = held.is_some();
    let (held, under_way) = (held.unwrap_or_default(), under_way(folder, id)?);
    Ok(Going { stage: id.to_owned(), rows, devices, held, under_way, is_told })
}

impl Going {
    fn is_nothing(&self) -> bool {
        self.rows == 0 && self.under_way == 0
    }

    fn words(&self) -> String {
        let Going { stage, rows, devices, held, under_way, is_told } = self;
        let mut text = format!("`{stage}` keeps {} of {}", many(*rows, "row"), many(*devices, "device"));
        let back = held.rows.iter().map(RecordBatch::num_rows).sum::<usize>();
        if back > 0 {
            text += &format!(
                ", among them {} that it holds back, which the quarantine takes (`headwater quarantine retry FILE --stage {stage}`)",
                many(back, "row")
            );
        }
        if held.unfinished > 0 {
            let unfinished = usize::try_from(held.unfinished).unwrap_or(usize::MAX);
            text += &format!(", among them {} that nothing has followed from yet", many(unfinished, "text"));
        }
        if *under_way > 0 {
            let under_way = usize::try_from(*under_way).unwrap_or(usize::MAX);
            text += &format!(", and {} on the way to it over a cycle", many(under_way, "row"));
        }
        if !is_told {
            text += ", and which of them it holds back is not known";
        }
        text
    }
}

fn many(n: usize, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}
