//! The verb `run`: check, make ready, run, and tell what happened.
//!
//! In: a pipeline file and the settings. Out: a live display or log lines while it runs, a summary at the end, the same as
//! JSON on request. Signals: the first drains the open epochs, the second stops at once.

mod display;
mod hearing;
mod rounds;
pub mod summary;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use headwater_contract::Kind;
use headwater_runtime::check::{self, Settings as CheckSettings};
use headwater_runtime::commit::Life;
use headwater_runtime::diagnostic;
use headwater_runtime::instance::Failure;
use headwater_runtime::plan::Plan;
use headwater_runtime::run::{self, RunOptions};

use crate::quarantine::Keeper;
use crate::site::Settings;
use crate::state::{self, Fresh};

/// What the command line says of a run.
#[derive(Clone, Debug, Default)]
pub struct RunArgs {
    /// The pipeline file.
    pub file: PathBuf,
    /// `--param name=value`.
    pub params: Vec<(String, String)>,
    /// `--set stage.id.option=value`.
    pub set: Vec<(String, String)>,
    /// Where the summary is written as JSON.
    pub summary: Option<PathBuf>,
    /// Log lines as JSON; no display.
    pub log_json: bool,
    /// No display, no table.
    pub quiet: bool,
    /// Whether it begins anew.
    pub fresh: Fresh,
    /// Stages whose state begins anew.
    pub drop_state: Vec<String>,
}

/// Exit code of a run or check that found mistakes or failed.
const FAILED: u8 = 1;
/// Exit code when there was nothing to look at.
const COULD_NOT_LOOK: u8 = 2;

/// Runs a pipeline; gives the exit code.
pub fn run(args: &RunArgs, settings: &Settings, kinds: &[Kind]) -> u8 {
    let plan = match plan_of(args, kinds) {
        Ok(plan) => Arc::new(plan),
        Err(code) => return code,
    };
    let site = settings.site(&plan.name);
    if let Err(missing) = run::ready(&plan, &site) {
        return tell_all(&missing);
    }
    let folder = match state::for_run(&site, args.fresh) {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("error: {error}");
            return FAILED;
        }
    };
    match Life::begin(&plan, folder, &args.drop_state) {
        Ok(life) => run_plan(args, settings, plan, Some(life)),
        Err(unfit) => tell_all(&unfit),
    }
}

fn tell_all(failures: &[Failure]) -> u8 {
    for failure in failures {
        eprintln!("error: {failure}");
    }
    FAILED
}

/// Runs a plan that is ready, as one of its lives or, without one, from the beginning and leaving nothing; gives the exit code.
pub fn run_plan(args: &RunArgs, settings: &Settings, plan: Arc<Plan>, life: Option<Life>) -> u8 {
    let site = settings.site(&plan.name);
    let keeper = match Keeper::open(&site) {
        Ok(keeper) => Arc::new(Mutex::new(keeper)),
        Err(error) => {
            eprintln!("error: quarantine: {error}");
            return FAILED;
        }
    };
    let hearing = hearing::Hearing::of(&plan);
    let mut options = RunOptions::new(&plan, site);
    options.workers = settings.workers;
    options.quarantine = Some(keeper.clone());
    let begun = life.as_ref().map(|life| (life.first_epoch(), life.found_finished()));
    options.life = life;
    let rounds = rounds::Rounds::of(&plan);
    options.taps = hearing.as_ref().map(hearing::Hearing::taps).unwrap_or_default();
    options.taps.extend(rounds.iter().flat_map(rounds::Rounds::taps));
    stop_on_signals(&options.stopping);

    let display = display::Display::start(&plan, &options.metrics, display_style(args));
    let outcome = run::run(plan.clone(), options);
    drop(display);
    match outcome {
        Err(failure) => {
            eprintln!("error: {failure}");
            FAILED
        }
        Ok(report) => {
            let errors = hearing.map(hearing::Hearing::finish);
            let kept = keeper.lock().map(|k| k.counts()).unwrap_or_default();
            let learnt = rounds.map(rounds::Rounds::finish).unwrap_or_default();
            let drawn = rounds::draw(&plan, &learnt);
            let summary = summary::Summary::new(&plan, &report, errors, learnt, kept).after(begun);
            let code = tell(args, &plan, settings, &summary);
            match drawn {
                Ok(Some(path)) if !args.quiet => println!("plot       {}", path.display()),
                Ok(_) => {}
                // The run itself is done: what it made stays.
                Err(error) => tracing::warn!(%error, "the plot could not be drawn"),
            }
            code
        }
    }
}

/// Checks the file and shows what is wrong; the plan if nothing is.
pub(crate) fn plan_of(args: &RunArgs, kinds: &[Kind]) -> Result<Plan, u8> {
    let name = args.file.display().to_string();
    let text = read_file(&args.file)?;
    let settings = CheckSettings { params: args.params.clone(), set: args.set.clone(), environment: true };
    let checked = check::check(&name, &text, kinds, &settings);
    if !checked.diagnostics.is_empty() {
        let style = if std::io::stderr().is_terminal() {
            diagnostic::Style::Coloured
        } else {
            diagnostic::Style::Plain
        };
        eprint!("{}", diagnostic::render(&checked.diagnostics, &name, &text, style));
    }
    checked.plan.ok_or(FAILED)
}

/// The text of a pipeline file.
///
/// # Errors
/// Exit code 2, after a message.
pub fn read_file(path: &Path) -> Result<String, u8> {
    std::fs::read_to_string(path).map_err(|error| {
        eprintln!("error: {} cannot be read: {error}", path.display());
        COULD_NOT_LOOK
    })
}

/// Lets through the lines of the display, whatever else is logged.
pub const PROGRESS: &str = "headwater_progress=info";

fn display_style(args: &RunArgs) -> display::DisplayStyle {
    if args.quiet {
        display::DisplayStyle::None
    } else if std::io::stderr().is_terminal() && !args.log_json {
        display::DisplayStyle::Live
    } else {
        display::DisplayStyle::Lines
    }
}

/// The first signal drains, the second ends the process at once with 130.
fn stop_on_signals(stopping: &Arc<AtomicBool>) {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // Registered in this order: the shutdown looks at the flag before the flag is set by the same signal.
        let registered = signal_hook::flag::register_conditional_shutdown(signal, 130, stopping.clone())
            .and_then(|_| signal_hook::flag::register(signal, stopping.clone()));
        if let Err(error) = registered {
            tracing::warn!(%error, "the signal cannot be caught: stopping will not drain");
        }
    }
}

fn tell(args: &RunArgs, plan: &Plan, settings: &Settings, summary: &summary::Summary) -> u8 {
    if !args.quiet {
        print!("{}", summary.table(plan, settings));
    }
    let Some(path) = &args.summary else { return 0 };
    let written = serde_json::to_string_pretty(summary)
        .map_err(std::io::Error::from)
        .and_then(|text| std::fs::write(path, text + "\n"));
    match written {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: {} cannot be written: {error}", path.display());
            FAILED
        }
    }
}
