//! The verb `adapter forget`: a device that took part is taken out of what was learnt, while the pipeline is at rest.
//!
//! In: a pipeline and the device's name. Out: corrected sums and a new adapter, the device's rows in the state unreadable, and a
//! receipt that says what was done and what was not. It must not know how a stage forgets: it is asked over its input `forget`.

use std::io::Write;
use std::sync::{Arc, Mutex};

use headwater_contract::{Kind, Result, StageError};
use headwater_runtime::commit::Life;
use headwater_runtime::plan::Plan;
use headwater_runtime::run::{self, Report, RunOptions};
use headwater_vault::{AuditLog, Deed, KeyFile, real_disk};

use crate::quarantine::Keeper;
use crate::run::{RunArgs, plan_of};
use crate::site::Settings;
use crate::state::Folder;

/// What was done.
struct Receipt {
    /// The stages that keep updates of single devices.
    asked: Vec<String>,
    report: Report,
    /// Rows of the state that cannot be read any more.
    rows: u64,
}

/// Forgets a device; gives the exit code.
pub fn run(args: &RunArgs, device: &str, settings: &Settings, kinds: &[Kind], out: &mut dyn Write) -> u8 {
    let plan = match plan_of(args, kinds) {
        Ok(plan) => Arc::new(plan),
        Err(code) => return code,
    };
    let done =
        forget(&plan, device, settings).and_then(|receipt| told(&plan, device, settings, &receipt, out));
    match done {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: {error}");
            1
        }
    }
}

fn forget(plan: &Arc<Plan>, device: &str, settings: &Settings) -> Result<Receipt> {
    let site = settings.site(&plan.name);
    run::ready(plan, &site).map_err(all)?;
    let folder = Arc::new(Mutex::new(Folder::open(&site)?));
    let held = |work: &mut dyn FnMut(&mut Folder) -> Result<u64>| match folder.lock() {
        Ok(mut folder) => work(&mut folder),
        Err(_) => Err(StageError::new("a thread died while it held the state folder")),
    };
    if held(&mut |folder| Ok(folder.last()?.map_or(0, |_| 1)))? == 0 {
        return Err(StageError::new(format!(
            "nothing is kept of the pipeline `{}` in {}",
            plan.name,
            site.state.display()
        ))
        .expected("a pipeline that was run with this --state"));
    }
    let (life, asked) = Life::begin(plan, folder.clone(), &[]).map_err(all)?.forgetting(plan, device)?;
    if asked.is_empty() {
        return Err(StageError::new(
            "no stage of the pipeline keeps what single devices gave: its share cannot be taken out",
        )
        .expected("an `aggregate` with `keep_updates = true`, before the device takes part")
        .help("its rows in a store can still go: headwater store forget"));
    }
    let mut options = RunOptions::new(plan, site.clone());
    options.workers = settings.workers;
    options.quarantine = Some(Arc::new(Mutex::new(Keeper::open(&site)?)));
    options.life = Some(life);
    // Before the deed: what is not written down is not done.
    let key = KeyFile::at(&site.key_file);
    let facts = [("pipeline", plan.name.as_str().into()), ("device", device.into())];
    AuditLog::at(&settings.state, &key, real_disk())
        .record(Deed::Forget, &facts)
        .map_err(|e| StageError::new(e.to_string()))?;
    let report = run::run(plan.clone(), options).map_err(|failure| StageError::new(failure.to_string()))?;
    let rows = held(&mut |folder| folder.forget(device))?;
    Ok(Receipt { asked, report, rows })
}

fn all(failures: Vec<headwater_runtime::instance::Failure>) -> StageError {
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
    let Receipt { asked, report, rows } = receipt;
    let figure = |name: &str| -> u64 {
        let counts = plan.stages.iter().zip(&report.counts.stages);
        counts.filter_map(|(_, counts)| counts.figures.get(name)).sum()
    };
    let mut text = format!("forgotten    {device}, in the pipeline {}\n", plan.name);
    text += &format!("updates      {} taken out at {}\n", figure("forgotten_updates"), asked.join(", "));
    text += &format!(
        "sums         {} corrected; the adapters follow from what is left, to the bit\n",
        figure("corrections")
    );
    text += &format!("state        {rows} rows are unreadable for good\n");
    text += "not done     what others learnt from adapters that it had helped to make: only training again removes that\n";
    for stage in plan.stages.iter().filter(|stage| stage.kind.name() == "store") {
        let path = stage.options.get("path").and_then(|path| path.as_str()).unwrap_or_default();
        text +=
            &format!("not done     its rows in {path}: headwater store forget {path} --device {device}\n");
    }
    text += &format!("written down {}\n", settings.state.join("audit.log").display());
    out.write_all(text.as_bytes()).map_err(|e| StageError::new(format!("the output: {e}")))
}
