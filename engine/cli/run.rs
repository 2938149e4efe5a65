//! The verb `run`: check, make ready, run, and tell what happened.
//!
//! In: a pipeline file and the settings. Out: a live display or log lines while it runs, a summary at the end, the same as
//! JSON on request. Signals: the first drains the open epochs, the second stops at once.

mod display;
mod hearing;
mod processes;
pub(crate) mod rounds;
pub mod summary;
pub(crate) mod supervise;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use headwater_contract::units::Epoch;
use headwater_contract::{Kind, Site};
use headwater_runtime::check::{self, Settings as CheckSettings};
use headwater_runtime::commit::{self, Life};
use headwater_runtime::instance::Failure;
use headwater_runtime::plan::Plan;
use headwater_runtime::run::{self, Report, RunOptions};
use headwater_runtime::{cluster, diagnostic};

pub use processes::ClusterArgs;
use processes::Company;

use crate::quarantine::{Keeper, KeptCounts};
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
    /// The processes it runs in.
    pub cluster: ClusterArgs,
}

/// Exit code of a run or check that found mistakes or failed.
const FAILED: u8 = 1;
/// Exit code when there was nothing to look at.
const COULD_NOT_LOOK: u8 = 2;
/// Exit code of a run that another process ended, and of every life of a supervised run that ended early.
const FELL: u8 = 3;

/// Runs a pipeline; gives the exit code.
pub fn run(args: &RunArgs, settings: &Settings, kinds: &[Kind]) -> u8 {
    let plan = match plan_of(args, kinds) {
        Ok(plan) => Arc::new(plan),
        Err(code) => return code,
    };
    run_plan(args, settings, plan, Memory::Kept)
}

/// Whether a run is one of its pipeline's lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It goes on from the last one, and leaves what the next one needs.
    Kept,
    /// It begins at the beginning and leaves nothing.
    None,
}

/// Runs a plan; gives the exit code.
pub fn run_plan(args: &RunArgs, settings: &Settings, plan: Arc<Plan>, memory: Memory) -> u8 {
    let company = match Company::of(&args.cluster, settings) {
        Ok(company) => company,
        Err(wrong) => {
            eprintln!("error: {wrong}");
            return COULD_NOT_LOOK;
        }
    };
    match company.as_ref().filter(|company| !company.is_home()) {
        Some(company) => run_away(args, &plan, company),
        None => run_at_home(args, settings, plan, company.as_ref(), memory),
    }
}

fn tell_all(failures: &[Failure]) {
    for failure in failures {
        eprintln!("error: {failure}");
    }
}

/// Whether the plan can run here, after a message for all that is missing.
fn is_ready(plan: &Plan, site: &Site, company: Option<&Company>) -> bool {
    let fits = company.map_or(Ok(()), |_| run::fits_cluster(plan));
    let missing = fits.and_then(|()| run::ready(plan, site)).err().unwrap_or_default();
    tell_all(&missing);
    missing.is_empty()
}

/// The life that a run is. One in several processes is none: it begins at the beginning.
fn life_of(
    args: &RunArgs,
    plan: &Plan,
    site: &Site,
    company: Option<&Company>,
    memory: Memory,
) -> Result<Option<Life>, Vec<Failure>> {
    if memory == Memory::None || company.is_some() {
        return Ok(None);
    }
    let wrong = |error: headwater_contract::StageError| {
        vec![Failure { stage: commit::NAME.into(), epoch: None, row: None, what: error.to_string() }]
    };
    let folder = state::for_run(site, args.fresh).map_err(wrong)?;
    Life::begin(plan, folder, &args.drop_state).map(Some)
}

/// Runs a plan where its input is read, its rows are kept and its summary is told.
fn run_at_home(
    args: &RunArgs,
    settings: &Settings,
    plan: Arc<Plan>,
    company: Option<&Company>,
    memory: Memory,
) -> u8 {
    let site = settings.site(&plan.name);
    if !is_ready(&plan, &site, company) {
        return FAILED;
    }
    let life = match life_of(args, &plan, &site, company, memory) {
        Ok(life) => life,
        Err(unfit) => {
            tell_all(&unfit);
            return FAILED;
        }
    };
    let keeper = match Keeper::open(&site) {
        Ok(keeper) => Arc::new(Mutex::new(keeper)),
        Err(error) => {
            eprintln!("error: quarantine: {error}");
            return FAILED;
        }
    };
    let hearing = hearing::Hearing::of(&plan);
    let rounds = rounds::Rounds::of(&plan);
    let mut options = RunOptions::new(&plan, site);
    options.workers = settings.workers;
    options.quarantine = Some(keeper.clone());
    let begun = life.as_ref().map(|life| (life.first_epoch(), life.found_finished()));
    options.life = life;
    listen(&mut options, hearing.as_ref(), rounds.as_ref());
    stop_on_signals(&options.stopping);
    let outcome = meet(&mut options, args, settings, &plan, company).and_then(|()| {
        let display = display::Display::start(&plan, &options.metrics, display_style(args));
        let outcome = run::run(plan.clone(), options);
        drop(display);
        outcome
    });
    match outcome {
        Err(failure) => {
            eprintln!("error: {failure}");
            company.iter().flat_map(|company| company.killed()).for_each(|how| eprintln!("  {how}"));
            code_of(&failure, &args.cluster)
        }
        Ok(report) => {
            company.inspect(|company| company.is_done());
            let kept = keeper.lock().map(|k| k.counts()).unwrap_or_default();
            told(args, settings, &plan, &report, Told { hearing, rounds, kept, begun })
        }
    }
}

/// Starts the other processes, and waits for them.
fn meet(
    options: &mut RunOptions,
    args: &RunArgs,
    settings: &Settings,
    plan: &Plan,
    company: Option<&Company>,
) -> Result<(), Failure> {
    let Some(company) = company else { return Ok(()) };
    company.start(args, settings).map_err(|e| Failure {
        stage: cluster::NAME.into(),
        epoch: None,
        row: None,
        what: format!("a process cannot be started: {e}"),
    })?;
    let member = company.join(args, plan, &options.stopping)?;
    options.workers = member.workers();
    options.cluster = Some(Arc::new(member));
    Ok(())
}

/// Runs a plan as another process than home: it computes, and keeps and tells nothing.
fn run_away(args: &RunArgs, plan: &Arc<Plan>, company: &Company) -> u8 {
    let site = Site { away: true, ..Site::default() };
    if !is_ready(plan, &site, Some(company)) {
        return FAILED;
    }
    let (hearing, rounds) = (hearing::Hearing::away(plan), rounds::Rounds::of(plan));
    let mut options = RunOptions::new(plan, site);
    listen(&mut options, hearing.as_ref(), rounds.as_ref());
    stop_on_signals(&options.stopping);
    let ended = company.join(args, plan, &options.stopping).and_then(|member| {
        options.workers = member.workers();
        options.cluster = Some(Arc::new(member));
        run::run(plan.clone(), options)
    });
    let Err(failure) = ended else { return 0 };
    if !args.cluster.child {
        eprintln!("error: {failure}");
    }
    code_of(&failure, &args.cluster)
}

/// Who looks at rows while they pass.
fn listen(options: &mut RunOptions, hearing: Option<&hearing::Hearing>, rounds: Option<&rounds::Rounds>) {
    if let Some(hearing) = hearing {
        options.taps.extend(hearing.taps());
        options.notes.insert("heard".into(), hearing.notes());
    }
    if let Some(rounds) = rounds {
        options.taps.extend(rounds.taps());
        options.notes.insert("rounds".into(), rounds.notes());
    }
}

fn code_of(failure: &Failure, cluster: &ClusterArgs) -> u8 {
    if failure.stage == cluster::NAME || cluster.generation.is_some() { FELL } else { FAILED }
}

/// What is told of a run beside its report.
struct Told {
    hearing: Option<hearing::Hearing>,
    rounds: Option<rounds::Rounds>,
    kept: KeptCounts,
    /// The first epoch of this life, and whether it found its input finished.
    begun: Option<(Epoch, bool)>,
}

/// Tells what a run did; gives the exit code.
fn told(args: &RunArgs, settings: &Settings, plan: &Plan, report: &Report, told: Told) -> u8 {
    let Told { hearing, rounds, kept, begun } = told;
    let errors = hearing.map(hearing::Hearing::finish);
    let learnt = rounds.map(rounds::Rounds::finish).unwrap_or_default();
    let drawn = rounds::draw(plan, &learnt);
    let summary = summary::Summary::new(plan, report, errors, learnt, kept).after(begun);
    let code = tell(args, plan, settings, &summary);
    match drawn {
        Ok(Some(path)) if !args.quiet => println!("plot       {}", path.display()),
        Ok(_) => {}
        // The run itself is done: what it made stays.
        Err(error) => tracing::warn!(%error, "the plot could not be drawn"),
    }
    code
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
pub(crate) fn stop_on_signals(stopping: &Arc<AtomicBool>) {
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
