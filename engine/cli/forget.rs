//! The verb `adapter forget`: a device that took part is taken out of what was learnt, while the pipeline is at rest.
//!
//! In: a pipeline and the device's name. Out: corrected sums and a new adapter, or all of it learnt anew without the device; its
//! rows in state and quarantine gone; and a receipt that says what was done and what was not. It must not know how a stage
//! forgets: it is asked over its input `forget`.

use std::io::Write;
use std::sync::{Arc, Mutex};

use headwater_contract::{Kind, Result, Site, StageError};
use headwater_runtime::commit::{self, Life};
use headwater_runtime::instance::Failure;
use headwater_runtime::plan::Plan;
use headwater_runtime::run::{self, BeforeForgetting, Report, RunOptions};
use headwater_vault::{AuditLog, Deed, KeyFile, real_disk};

use crate::quarantine::Keeper;
use crate::run::{RunArgs, plan_of};
use crate::site::Settings;
use crate::state::{self, Folder};

/// How a device is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// What it gave is taken out of the sums; what others learnt from it stays.
    TakeOut,
    /// All is learnt anew from recorded input, as if the device had never been there.
    Retrain,
}

/// What was done.
struct Receipt {
    done: Done,
    report: Report,
    /// Rows of the quarantine that cannot be read any more.
    set_aside: u64,
}

enum Done {
    TakenOut {
        /// The stages that keep updates of single devices.
        at: Vec<String>,
        /// Rows about it that the state held.
        rows: u64,
    },
    Retrained {
        /// What the state said before it was thrown away.
        before: String,
    },
}

/// Forgets a device; gives the exit code.
pub fn run(
    args: &RunArgs,
    device: &str,
    way: Way,
    settings: &Settings,
    kinds: &[Kind],
    out: &mut dyn Write,
) -> u8 {
    let plan = match plan_of(args, kinds) {
        Ok(plan) => Arc::new(plan),
        Err(code) => return code,
    };
    let site = settings.site(&plan.name);
    let done = run::ready(&plan, &site).map_err(all).and_then(|()| match way {
        Way::TakeOut => take_out(&plan, device, settings, &site),
        Way::Retrain => retrain(&plan, device, settings, &site),
    });
    match done.and_then(|receipt| told(&plan, device, settings, &receipt, out)) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: {error}");
            1
        }
    }
}

/// Writes a device's name into the audit log, before it is forgotten: what is not written down is not done.
pub fn writer(plan: &Plan, settings: &Settings, why: &'static str) -> BeforeForgetting {
    let (folder, key) = (settings.state.clone(), KeyFile::at(&settings.site(&plan.name).key_file));
    let pipeline = plan.name.clone();
    Arc::new(move |device: &str| {
        let log = AuditLog::at(&folder, &key, real_disk());
        let facts = [("pipeline", pipeline.as_str().into()), ("device", device.into()), ("why", why.into())];
        log.record(Deed::Forget, &facts).map_err(|e| StageError::new(e.to_string()))
    })
}

fn of_thread<T>(_: T) -> StageError {
    StageError::new("a thread died while it held the state folder")
}

fn take_out(plan: &Arc<Plan>, device: &str, settings: &Settings, site: &Site) -> Result<Receipt> {
    let folder = Arc::new(Mutex::new(Folder::open(site)?));
    if folder.lock().map_err(of_thread)?.last()?.is_none() {
        return Err(nothing_kept(plan, site));
    }
    let (life, at) = Life::begin(plan, folder.clone(), &[]).map_err(all)?.forgetting(plan, device)?;
    let rows = life.rows_about(device);
    if at.is_empty() {
        return Err(StageError::new(
            "no stage of the pipeline keeps what single devices gave: its share cannot be taken out",
        )
        .expected("an `aggregate` with `keep_updates = true`, before the device takes part")
        .help("recorded input can be learnt from anew without it: --retrain"));
    }
    writer(plan, settings, "adapter forget")(device)?;
    let (report, set_aside) = live(plan, device, settings, site, life)?;
    // Stages have dropped their rows: with the key go those of copies and of older files.
    folder.lock().map_err(of_thread)?.forget(device)?;
    Ok(Receipt { done: Done::TakenOut { at, rows }, report, set_aside })
}

fn retrain(plan: &Arc<Plan>, device: &str, settings: &Settings, site: &Site) -> Result<Receipt> {
    if let Some(stage) = plan.source_stages().find(|stage| stage.is_endless()) {
        return Err(StageError::new(format!("the input of `{}` has no end", stage.id))
            .expected("recorded input, which can be read again to its end")
            .help("leave out --retrain, so that what the device gave is taken out of the sums; or `watch`"));
    }
    if Folder::open(site)?.last()?.is_none() {
        return Err(nothing_kept(plan, site));
    }
    writer(plan, settings, "adapter forget --retrain")(device)?;
    let before = state::begin_anew(site, true)?;
    let folder = Arc::new(Mutex::new(Folder::open(site)?));
    let life = Life::begin(plan, folder.clone(), &[]).map_err(all)?.leaving_out(plan, device)?;
    let (report, set_aside) = live(plan, device, settings, site, life)?;
    commit::end_leaving_out(&mut *folder.lock().map_err(of_thread)?, device)?;
    Ok(Receipt { done: Done::Retrained { before }, report, set_aside })
}

/// Runs the pipeline for one life, and deletes the device's rows from the quarantine; gives their number too.
fn live(
    plan: &Arc<Plan>,
    device: &str,
    settings: &Settings,
    site: &Site,
    life: Life,
) -> Result<(Report, u64)> {
    let keeper = Arc::new(Mutex::new(Keeper::open(site)?));
    let mut options = RunOptions::new(plan, site.clone());
    options.workers = settings.workers;
    options.quarantine = Some(keeper.clone());
    options.before_forgetting = Some(writer(plan, settings, "consent withdrawn"));
    options.life = Some(life);
    let report = run::run(plan.clone(), options).map_err(|failure| StageError::new(failure.to_string()))?;
    let set_aside = keeper.lock().map_err(of_thread)?.forget(device)?;
    Ok((report, set_aside))
}

fn nothing_kept(plan: &Plan, site: &Site) -> StageError {
    let what = format!("nothing is kept of the pipeline `{}` in {}", plan.name, site.state.display());
    StageError::new(what).expected("a pipeline that was run with this --state")
}

fn all(failures: Vec<Failure>) -> StageError {
    let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
    StageError::new(lines.join("; "))
}

fn told(
    plan: &Plan,
    device: &str,
    settings: &Settings,
    receipt: &Receipt,
    out: &mut dyn Write,
) -> Result<()> {
    let Receipt { done, report, set_aside } = receipt;
    let figure = |name: &str| -> u64 {
        report.counts.stages.iter().filter_map(|counts| counts.figures.get(name)).sum()
    };
    let mut text = format!("forgotten    {device}, in the pipeline {}\n", plan.name);
    match done {
        Done::TakenOut { at, rows } => {
            text += &format!("updates      {} taken out at {}\n", figure("forgotten_updates"), at.join(", "));
            text += &format!(
                "sums         {} corrected; the adapters follow from what is left, to the bit\n",
                figure("corrections")
            );
            text += &format!("state        {rows} rows are gone, and the key that they were written with\n");
        }
        Done::Retrained { before } => {
            text += &format!("thrown away  all that was kept: {before}\n");
            text += &format!(
                "learnt anew  {} rounds, without {} rows of it\n",
                figure("rounds"),
                figure("forgotten_rows")
            );
        }
    }
    text += &format!("quarantine   {set_aside} rows are unreadable for good\n");
    match done {
        Done::TakenOut { .. } => {
            text += "not done     what others learnt from adapters that it had helped to make: --retrain removes that too\n";
        }
        Done::Retrained { .. } => {
            text += "not done     it is heard again in the next run, unless the members say that its consent is withdrawn\n";
        }
    }
    for stage in plan.stages.iter().filter(|stage| stage.kind.name() == "store") {
        let path = stage.options.get("path").and_then(|path| path.as_str()).unwrap_or_default();
        text +=
            &format!("not done     its rows in {path}: headwater store forget {path} --device {device}\n");
    }
    text += &format!("written down {}\n", settings.state.join("audit.log").display());
    out.write_all(text.as_bytes()).map_err(|e| StageError::new(format!("the output: {e}")))
}
