//! The verbs `forget` and `adapter forget`: a device that took part is forgotten while the pipeline is at rest.
//!
//! In: a pipeline and the device's name. Out: its share of what was learnt taken out, or all of it learnt anew without the device; its
//! rows in state, log of live input, quarantine, stores and recordings unreadable for good; and a receipt that says what was done and
//! what was not. Done twice, it ends as done once: what was cut off is begun again.

mod kept;
mod learnt;

use std::io::Write;
use std::sync::Arc;

use headwater_contract::{Contribution, Input, Kind, Result, Site, StageError};
use headwater_runtime::instance::Failure;
use headwater_runtime::plan::Plan;
use headwater_runtime::run::{self, BeforeForgetting};
use headwater_vault::{AuditLog, Deed, KeyFile, real_disk};

use crate::quarantine::{self, Keeper};
use crate::run::{RunArgs, plan_of};
use crate::site::Settings;
use crate::state::Folder;
use crate::vault_error::of_vault;

/// How a device is taken out of what was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// What it gave is taken out of the sums; what others learnt from it stays.
    TakeOut,
    /// All is learnt anew from recorded input, as if the device had never been there.
    Retrain,
}

/// Where a device is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// In what was learnt, and in the state of the pipeline.
    Learnt,
    /// In everything that the pipeline keeps on this machine.
    Everything,
}

/// Who is forgotten, and in what.
struct Case<'a> {
    plan: &'a Arc<Plan>,
    device: &'a str,
    settings: &'a Settings,
    site: &'a Site,
    /// The verb, for the audit log.
    verb: &'static str,
}

/// What was done, line by line.
#[derive(Default)]
struct Receipt {
    text: String,
    /// Whether anything of the device was there.
    found: bool,
}

impl Receipt {
    fn line(&mut self, what: &str, text: impl std::fmt::Display) {
        self.text += &format!("{what:<12} {text}\n");
    }

    /// So many rows, or whatever else, of the device were found.
    fn found(&mut self, many: u64) {
        self.found |= many > 0;
    }
}

/// Forgets a device; gives the exit code.
pub fn run(
    args: &RunArgs,
    device: &str,
    (way, reach): (Way, Reach),
    settings: &Settings,
    kinds: &[Kind],
    out: &mut dyn Write,
) -> u8 {
    let plan = match plan_of(args, kinds) {
        Ok(plan) => Arc::new(plan),
        Err(code) => return code,
    };
    let site = settings.site(&plan.name);
    let verb = match (reach, way) {
        (Reach::Learnt, Way::TakeOut) => "adapter forget",
        (Reach::Learnt, Way::Retrain) => "adapter forget --retrain",
        (Reach::Everything, Way::TakeOut) => "forget",
        (Reach::Everything, Way::Retrain) => "forget --retrain",
    };
    let case = Case { plan: &plan, device, settings, site: &site, verb };
    let mut receipt = Receipt::default();
    receipt.line("forgotten", format!("{device}, in the pipeline {}", plan.name));
    let nothing_yet = receipt.text.len();
    let done = match reach {
        Reach::Learnt => case.learnt(way, &mut receipt).map(|()| case.left(way, &mut receipt)),
        Reach::Everything => case.everything(way, &mut receipt),
    };
    // What was done before a mistake was done.
    if done.is_ok() && !receipt.found {
        receipt.line("not found", "nothing of a device of this name was kept: is it spelled so?");
    }
    if done.is_ok() || (reach == Reach::Everything && receipt.text.len() > nothing_yet) {
        receipt.line("written down", settings.state.join("audit.log").display());
        if let Err(error) = out.write_all(receipt.text.as_bytes()) {
            eprintln!("error: the output: {error}");
            return 1;
        }
    }
    match done {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: {error}");
            1
        }
    }
}

impl Case<'_> {
    fn learnt(&self, way: Way, receipt: &mut Receipt) -> Result {
        run::ready(self.plan, self.site).map_err(all)?;
        match way {
            Way::TakeOut => learnt::take_out(self, receipt),
            Way::Retrain => learnt::retrain(self, receipt),
        }
    }

    fn everything(&self, way: Way, receipt: &mut Receipt) -> Result {
        let known = Folder::is_there(self.site);
        if known && learns(self.plan) {
            self.learnt(way, receipt)?;
        } else {
            // Whoever works on it has it to himself: that is known before anything is written down.
            let folder = if known { Some(Folder::open(self.site)?) } else { None };
            self.writer()(self.device)?;
            if let Some(mut folder) = folder {
                let rows = folder.forget(self.device)?;
                receipt.found(rows);
                receipt.line("state", format!("{rows} rows are unreadable for good"));
            }
            self.quarantine(receipt)?;
        }
        kept::stores(self, receipt)?;
        kept::recordings(self, receipt)?;
        if learns(self.plan) && known {
            not_done(way, receipt);
        }
        receipt
            .line("not done", "its rows in the input itself, and in copies that somebody made of keystores");
        Ok(())
    }

    /// What the verb that reaches no further than what was learnt leaves.
    fn left(&self, way: Way, receipt: &mut Receipt) {
        not_done(way, receipt);
        for (path, _) in kept::stores_of(self.plan, self.site) {
            let path = path.display();
            let verb = format!("headwater store forget {path} --device {}", self.device);
            receipt.line("not done", format!("its rows in {path}: {verb}"));
        }
    }

    fn writer(&self) -> BeforeForgetting {
        writer(self.plan, self.settings, self.verb)
    }

    /// Makes the device's rows in the quarantine unreadable.
    fn quarantine(&self, receipt: &mut Receipt) -> Result {
        quarantine::recover(self.site)?;
        let rows = Keeper::open(self.site)?.forget(self.device)?;
        receipt.found(rows);
        receipt.line("quarantine", format!("{rows} rows are unreadable for good"));
        Ok(())
    }
}

/// Whether a stage of a pipeline learns: it has to be asked before a device is forgotten.
fn learns(plan: &Plan) -> bool {
    plan.stages.iter().any(|stage| {
        stage.signature.inputs.iter().any(Input::forgets)
            || stage.signature.contribution != Contribution::Apart
    })
}

fn not_done(way: Way, receipt: &mut Receipt) {
    receipt.line(
        "not done",
        match way {
            Way::TakeOut => {
                "what others learnt from adapters that it had helped to make: --retrain removes that too"
            }
            Way::Retrain => {
                "it is heard again in the next run, unless the members say that its consent is withdrawn"
            }
        },
    );
}

/// Writes a device's name into the audit log, before it is forgotten: what is not written down is not done.
pub fn writer(plan: &Plan, settings: &Settings, why: &'static str) -> BeforeForgetting {
    let (folder, key) = (settings.state.clone(), KeyFile::at(&settings.site(&plan.name).key_file));
    let pipeline = plan.name.clone();
    Arc::new(move |device: &str| {
        let log = AuditLog::at(&folder, &key, real_disk());
        let facts = [("pipeline", pipeline.as_str().into()), ("device", device.into()), ("why", why.into())];
        log.record(Deed::Forget, &facts).map_err(of_vault)
    })
}

fn of_thread<T>(_: T) -> StageError {
    StageError::new("a thread died while it held the state folder")
}

fn all(failures: Vec<Failure>) -> StageError {
    let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
    StageError::new(lines.join("; "))
}
