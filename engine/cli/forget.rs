//! The verbs `forget` and `adapter forget`: a device that took part is forgotten while the pipeline is at rest.
//!
//! In: a pipeline and the device's name. Out: its share of what was learned taken out, or all of it trained from scratch without the device; its
//! rows in state, log of live input, quarantine, stores and recordings unreadable for good; and a receipt that says what was done and
//! what was not. Done twice, it ends as done once: what was cut off is begun again.

pub(crate) mod kept;
mod trained;

use std::io::Write;
use std::sync::Arc;

use headwater_contract::{Erasure, Escaped, HostEnv, Input, Result, StageError, StageFactory, quoted};
use headwater_runtime::instance::Failure;
use headwater_runtime::plan::Plan;
use headwater_runtime::run::{self, BeforeForgetting};
use headwater_vault::{AuditAction, AuditLog, KeyFile, real_disk};

use crate::elsewhere::may_keep_rows;
use crate::exit::{self, Exit};
use crate::quarantine::{self, QuarantineLog};
use crate::run::{RunArgs, plan_of};
use crate::site::Settings;
use crate::state::Folder;
use headwater_stages::vault_error::of_vault;

/// The way in which a device is taken out of what was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Its updates are taken out of the sums; what others learned from it stays.
    TakeOut,
    /// All is trained from scratch from recorded input, as if the device had never been there.
    Retrain,
}

/// The places where a device is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// In what was learned, and in the state of the pipeline.
    Trained,
    /// In everything that the pipeline keeps on this machine.
    Everything,
}

/// The device that is forgotten, and the pipeline.
struct Case<'a> {
    plan: &'a Arc<Plan>,
    device: &'a str,
    settings: &'a Settings,
    site: &'a HostEnv,
    /// The verb, for the audit log.
    verb: &'static str,
}

/// The deeds, line by line.
#[derive(Default)]
struct Receipt {
    text: String,
    /// True if anything of the device was there.
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
    kinds: &[StageFactory],
    out: &mut dyn Write,
) -> Exit {
    let plan = match plan_of(args, kinds) {
        Ok(plan) => Arc::new(plan),
        Err(code) => return code,
    };
    let site = settings.site(&plan.name);
    let verb = match (reach, way) {
        (Reach::Trained, Way::TakeOut) => "adapter forget",
        (Reach::Trained, Way::Retrain) => "adapter forget --retrain",
        (Reach::Everything, Way::TakeOut) => "forget",
        (Reach::Everything, Way::Retrain) => "forget --retrain",
    };
    let case = Case { plan: &plan, device, settings, site: &site, verb };
    let mut receipt = Receipt::default();
    receipt.line("forgotten", format!("{}, in the pipeline {}", Escaped(device), plan.name));
    let nothing_yet = receipt.text.len();
    let done = match reach {
        Reach::Trained => case.trained(way, &mut receipt).map(|()| case.left(way, &mut receipt)),
        Reach::Everything => case.everything(way, &mut receipt),
    };
    // What was done before a mistake was done.
    if done.is_ok() || (reach == Reach::Everything && receipt.text.len() > nothing_yet) {
        receipt.line("written down", settings.state.join("audit.log").display());
        // That it could not be written is remembered by the output, which says so at the end.
        let _ = out.write_all(receipt.text.as_bytes());
    }
    match done {
        Ok(()) if receipt.found => Exit::Fine,
        Ok(()) => {
            eprintln!("error: nothing was kept of a device {device:?}: is it spelled so?");
            Exit::Failed
        }
        Err(error) => exit::fails(&error, Exit::Failed),
    }
}

impl Case<'_> {
    fn trained(&self, way: Way, receipt: &mut Receipt) -> Result {
        run::ready(self.plan, self.site).map_err(all)?;
        match way {
            Way::TakeOut => trained::take_out(self, receipt),
            Way::Retrain => trained::retrain(self, receipt),
        }
    }

    fn everything(&self, way: Way, receipt: &mut Receipt) -> Result {
        let known = Folder::is_there(self.site);
        if known && learns(self.plan) {
            self.trained(way, receipt)?;
        } else {
            // The verb has the folder to itself: that is known before anything is written down.
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
        self.elsewhere(receipt);
        receipt.line("not done", "its rows in the input itself, and in copies of keystores made by hand");
        Ok(())
    }

    /// Reports the parts that the verb for learned things alone leaves.
    fn left(&self, way: Way, receipt: &mut Receipt) {
        not_done(way, receipt);
        for (path, _) in kept::stores_of(self.plan, self.site) {
            let words =
                format!("store forget {} --device {}", quoted(&path.to_string_lossy()), quoted(self.device));
            receipt.line(
                "not done",
                format!("its rows in {}: {}", path.display(), self.settings.command(&words)),
            );
        }
        self.elsewhere(receipt);
    }

    /// Reports the stages of the user's own, which must forget by themselves.
    fn elsewhere(&self, receipt: &mut Receipt) {
        for stage in may_keep_rows(self.plan) {
            let (id, kind) = (&stage.id, stage.kind.name());
            let text = format!(
                "what the stage `{id}` (`{kind}`, not one of Headwater's own) keeps: forget the device there"
            );
            receipt.line("not done", text);
        }
    }

    fn writer(&self) -> BeforeForgetting {
        writer(self.plan, self.settings, self.verb)
    }

    /// Makes the device's rows in the quarantine unreadable.
    fn quarantine(&self, receipt: &mut Receipt) -> Result {
        quarantine::recover(self.site)?;
        let rows = QuarantineLog::of(self.site).forget(self.device)?;
        receipt.found(rows);
        receipt.line("quarantine", format!("{rows} rows are unreadable for good"));
        Ok(())
    }
}

/// Returns true if a stage of a pipeline learns: it has to be asked before a device is forgotten.
fn learns(plan: &Plan) -> bool {
    plan.stages.iter().any(|stage| {
        stage.signature.inputs.iter().any(Input::forgets) || stage.signature.erasure != Erasure::Apart
    })
}

fn not_done(way: Way, receipt: &mut Receipt) {
    receipt.line(
        "not done",
        match way {
            Way::TakeOut => {
                "what others learned from adapters that it had helped to make: --retrain removes that too"
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
        log.record(AuditAction::Forget, &facts).map_err(of_vault)
    })
}

fn of_thread<T>(_: T) -> StageError {
    StageError::new("a thread died while it held the state folder")
}

fn all(failures: Vec<Failure>) -> StageError {
    let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
    StageError::new(lines.join("; "))
}
