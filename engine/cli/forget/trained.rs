//! The traces of a device in what was learned: taken out of the sums, or trained from scratch without it.
//!
//! In: a pipeline with a stage that learns, and a device's name. Out: corrected sums and a new adapter; the device's rows in state, log of
//! live input and quarantine gone; and how much of each. It must not know how a stage forgets: it is asked over its input `forget`.

use std::sync::{Arc, Mutex};

use headwater_contract::{Result, StageError};
use headwater_runtime::commit::{self, Attempt};
use headwater_runtime::run::{self, Report, RunOptions};

use super::{Case, Receipt, all, of_thread, writer};
use crate::quarantine::{self, QuarantineLog};
use crate::state::{self, Folder};

/// Takes the device's share out of every sum.
pub(super) fn take_out(case: &Case<'_>, receipt: &mut Receipt) -> Result {
    let folder = Arc::new(Mutex::new(Folder::open(case.site)?));
    if folder.lock().map_err(of_thread)?.last()?.is_none() {
        return Err(nothing_kept(case));
    }
    let attempt = Attempt::begin(case.plan, folder.clone(), &[]).map_err(all)?;
    let (attempt, at) = attempt.forgetting(case.plan, case.device)?;
    let rows = attempt.rows_about(case.device);
    if at.is_empty() {
        return Err(StageError::new(
            "no stage of the pipeline keeps what single devices gave: its share cannot be taken out",
        )
        .expected("an `aggregate` with `keep_updates = true`, before the device takes part")
        .help("recorded input can be learned from again without it: --retrain"));
    }
    case.writer()(case.device)?;
    let (report, set_aside) = live(case, attempt)?;
    // Stages have dropped their rows: with the key go those of copies and of older files.
    folder.lock().map_err(of_thread)?.forget(case.device)?;
    let figure = |name| figure(&report, name);
    receipt.found(rows + set_aside + figure("forgotten_updates"));
    receipt.line("updates", format!("{} taken out at {}", figure("forgotten_updates"), at.join(", ")));
    let corrections = figure("corrections");
    receipt
        .line("sums", format!("{corrections} corrected; the adapters follow from what is left, to the bit"));
    receipt.line("state", format!("{rows} rows are gone, and the key that they were written with"));
    receipt.line("quarantine", format!("{set_aside} rows are unreadable for good"));
    Ok(())
}

/// Deletes what was learned, and learns it from the recorded input without the device.
pub(super) fn retrain(case: &Case<'_>, receipt: &mut Receipt) -> Result {
    if let Some(stage) = case.plan.source_stages().find(|stage| stage.is_endless()) {
        return Err(StageError::new(format!("the input of `{}` has no end", stage.id))
            .expected("recorded input, which can be read again to its end")
            .help("leave out --retrain, so that what the device gave is taken out of the sums; or `watch`"));
    }
    if !Folder::is_there(case.site) {
        return Err(nothing_kept(case));
    }
    // The verb has the folder to itself: that is known before anything is written down.
    drop(Folder::open(case.site)?);
    case.writer()(case.device)?;
    let before = state::begin_anew(case.site, true)?;
    let folder = Arc::new(Mutex::new(Folder::open(case.site)?));
    let attempt = Attempt::begin(case.plan, folder.clone(), &[]).map_err(all)?;
    let (report, set_aside) = live(case, attempt.excluding(case.plan, case.device)?)?;
    commit::end_exclusion(&mut *folder.lock().map_err(of_thread)?, case.device)?;
    let figure = |name| figure(&report, name);
    receipt.found(set_aside + figure("forgotten_rows"));
    receipt.line("deleted", format!("all that was kept: {before}"));
    receipt.line(
        "trained from scratch",
        format!("{} rounds, without {} rows of it", figure("rounds"), figure("forgotten_rows")),
    );
    receipt.line("quarantine", format!("{set_aside} rows are unreadable for good"));
    Ok(())
}

/// Runs the pipeline for one attempt, and deletes the device's rows from the quarantine; gives their number too.
fn live(case: &Case<'_>, attempt: Attempt) -> Result<(Report, u64)> {
    quarantine::recover(case.site)?;
    let keeper = Arc::new(Mutex::new(QuarantineLog::of(case.site)));
    let mut options = RunOptions::new(case.plan, case.site.clone());
    options.workers = case.settings.workers;
    options.quarantine = Some(keeper.clone());
    options.before_forgetting = Some(writer(case.plan, case.settings, "consent withdrawn"));
    options.attempt = Some(attempt);
    let report =
        run::run(case.plan.clone(), options).map_err(|failure| StageError::new(failure.to_string()))?;
    let set_aside = keeper.lock().map_err(of_thread)?.forget(case.device)?;
    Ok((report, set_aside))
}

fn figure(report: &Report, name: &str) -> u64 {
    report.counts.stages.iter().filter_map(|counts| counts.metrics.get(name)).sum()
}

fn nothing_kept(case: &Case<'_>) -> StageError {
    let (name, folder) = (&case.plan.name, case.site.state.display());
    StageError::new(format!("nothing is kept of the pipeline `{name}` in {folder}"))
        .expected("a pipeline that was run with this --state")
}
