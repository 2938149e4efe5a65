//! The end of a run: its exit code, and the command that runs it again.
//!
//! In: what failed, or the report. Out: an exit code, after a message where every input was rejected. It must not know how a run is made.

use headwater_contract::{Role, quoted};
use headwater_runtime::cluster;
use headwater_runtime::instance::Failure;
use headwater_runtime::metrics::StageCounts;
use headwater_runtime::plan::Plan;
use headwater_runtime::run::Report;

use super::{ClusterArgs, RunArgs};
use crate::exit::Exit;
use crate::site::Settings;

impl RunArgs {
    /// A command that runs the same again, with the params and settings that were given, and more words.
    pub fn again(&self, settings: &Settings, more: &str) -> String {
        let mut words = format!("run {}", quoted(&self.file.to_string_lossy()));
        for (flag, pairs) in [("--param", &self.params), ("--set", &self.set)] {
            for (name, value) in pairs {
                words += &format!(" {flag} {}", quoted(&format!("{name}={value}")));
            }
        }
        settings.command(&format!("{words} {more}"))
    }
}

/// The result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is over.
    With(Exit),
    /// It failed where the next attempt may not, and can be followed by one.
    MayGoOn,
}

impl Ended {
    /// The exit code, where no other attempt follows.
    pub fn exit(self) -> Exit {
        match self {
            Ended::With(exit) => exit,
            Ended::MayGoOn => Exit::Failed,
        }
    }
}

/// The exit code of a run that failed.
pub(super) fn exit_of(failure: &Failure, cluster: &ClusterArgs) -> Exit {
    let lost = failure.stage == cluster::NAME || cluster.generation.is_some();
    if lost { Exit::Lost } else { Exit::Failed }
}

/// A run that came to the end of its input, and every input was rejected, did nothing of what it was for.
pub(super) fn judged(plan: &Plan, report: &Report, settings: &Settings) -> Exit {
    let sources = || {
        let all = plan.stages.iter().zip(&report.counts.stages);
        all.filter(|(stage, _)| matches!(stage.role, Role::Source(_))).map(|(_, counts)| counts)
    };
    let rejected: u64 = sources().map(|counts| counts.rejected).sum();
    // A recording in which no one speaks gives no row, and was read all the same.
    let was_read = |counts: &StageCounts| {
        counts.rows_out > 0 || counts.metrics.get("silent_files").is_some_and(|silent| *silent > 0)
    };
    if report.stopped || rejected == 0 || sources().any(was_read) {
        return Exit::Fine;
    }
    let why = settings.command(&format!("quarantine ls {}", plan.name));
    eprintln!("error: every input was rejected, {rejected} of {rejected}: {why}");
    Exit::Failed
}
