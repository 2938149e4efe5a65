//! The verb `run`: check, make ready, run, and tell what happened.
//!
//! In: a pipeline file and the settings. Out: a live display or log lines while it runs, a summary at the end, the same as
//! JSON on request. Signals: the first drains the open epochs, the second stops at once.

mod display;
mod hearing;
mod heartbeat;
mod processes;
mod room;
pub(crate) mod rounds;
mod scrape;
pub mod summary;
pub(crate) mod supervise;

use std::io::IsTerminal;
use std::net::SocketAddr;
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
use headwater_runtime::watch::Watch;
use headwater_runtime::{cluster, diagnostic};

pub use processes::ClusterArgs;
use processes::Company;
pub(crate) use processes::private_folder;
pub(crate) use scrape::address as metrics_address;

use crate::forget;
use crate::quarantine::{Keeper, KeptCounts};
use crate::recording::Recorder;
use crate::site::Settings;
use crate::state::{self, Fresh};
use crate::tap::serve::Serving;

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
    /// Where counters are served.
    pub metrics: Option<SocketAddr>,
    /// Where the run is recorded.
    pub record: Option<PathBuf>,
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
/// What a life gives that failed where the next one may not: no process ends with it.
const AGAIN: u8 = u8::MAX;

/// Runs a pipeline; gives the exit code.
pub fn run(args: &RunArgs, settings: &Settings, kinds: &[Kind]) -> u8 {
    if let Some(supervisor) = &args.cluster.heartbeat
        && let Err(error) = heartbeat::beat(supervisor)
    {
        eprintln!("error: the supervisor is gone: {error}");
        return FELL;
    }
    let plan = match plan_of(args, kinds) {
        Ok(plan) => Arc::new(plan),
        Err(code) => return code,
    };
    match run_plan(args, settings, plan, Memory::Kept) {
        // By now everything of the life that failed is dropped, the lock of its state folder too.
        AGAIN => supervise::go_on(),
        code => code,
    }
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

/// Whether the folder of the summary is there, which is written when all work is done; told if not.
fn has_place_for_summary(args: &RunArgs) -> bool {
    let folder =
        args.summary.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    let there = folder.is_none_or(Path::is_dir);
    if let Some(folder) = folder.filter(|_| !there) {
        eprintln!("error: --summary: there is no folder {}", folder.display());
    }
    there
}

/// The life that a run is. One that follows a fall goes on from there, whatever the first was told to begin anew.
fn life_of(args: &RunArgs, plan: &Plan, site: &Site, memory: Memory) -> Result<Option<Life>, Vec<Failure>> {
    if memory == Memory::None {
        return Ok(None);
    }
    let follows = args.cluster.generation.is_some_and(|generation| generation > 0);
    let (fresh, dropped) =
        if follows { (Fresh::No, Vec::new()) } else { (args.fresh, args.drop_state.clone()) };
    let wrong = |error: headwater_contract::StageError| vec![Failure::new(commit::NAME, error.to_string())];
    let folder = state::for_run(site, fresh).map_err(wrong)?;
    Life::begin(plan, folder, &dropped).map(Some)
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
    if !is_ready(&plan, &site, company) || !has_place_for_summary(args) {
        return FAILED;
    }
    let life = match life_of(args, &plan, &site, memory) {
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
    let recorder = match recorder_of(args, &plan, &site, memory) {
        Ok(recorder) => recorder.map(|recorder| Arc::new(Mutex::new(recorder))),
        Err(error) => {
            eprintln!("error: recording: {error}");
            return FAILED;
        }
    };
    let hearing = hearing::Hearing::of(&plan);
    let rounds = rounds::Rounds::of(&plan);
    let lacks_room = room::watch(&plan, &site);
    let mut options = RunOptions::new(&plan, site);
    options.lacks_room = Some(lacks_room);
    options.workers = settings.workers;
    options.quarantine = Some(keeper.clone());
    options.before_forgetting = Some(forget::writer(&plan, settings, "consent withdrawn"));
    let watch = Arc::new(Watch::default());
    options.watch = Some(watch.clone());
    options.recorder = recorder.clone().map(|recorder| recorder as _);
    let begun = life.as_ref().map(|life| (life.first_epoch(), life.found_finished()));
    if let (Some(_), Some((first, _))) = (&recorder, &begun)
        && first.0 > 0
    {
        tracing::warn!(
            "the recording begins at epoch {first}: what stages had learnt before is not in it; --fresh begins anew"
        );
    }
    options.life = life;
    listen(&mut options, hearing.as_ref(), rounds.as_ref());
    stop_on_signals(&options.stopping);
    let _scrape = match serve_metrics(args, &plan, &options) {
        Ok(scrape) => scrape,
        Err(error) => {
            eprintln!("error: {error}");
            return FAILED;
        }
    };
    let outcome = meet(&mut options, args, settings, &plan, company).and_then(|()| {
        let display = display::Display::start(&plan, &options.metrics, display_style(args));
        let processes = options.cluster.as_ref().map_or(1, |member| member.processes());
        let serving = Serving::begin(&plan, settings, &watch, processes);
        if let Err(error) = &serving {
            tracing::info!(%error, "the run cannot be looked at by `tap`");
        }
        let outcome = run::run(plan.clone(), options);
        drop(display);
        outcome
    });
    match outcome {
        Err(failure) => {
            eprintln!("error: {failure}");
            company.iter().flat_map(|company| company.killed()).for_each(|how| eprintln!("  {how}"));
            if supervise::may_go_on(&failure, &plan, &args.cluster) {
                return AGAIN;
            }
            code_of(&failure, &args.cluster)
        }
        Ok(report) => {
            company.inspect(|company| company.is_done());
            let kept = keeper.lock().map(|k| k.counts()).unwrap_or_default();
            let code = told(args, settings, &plan, &report, Told { hearing, rounds, kept, begun });
            code.max(recorder.map_or(0, |recorder| end_recording(args, &recorder)))
        }
    }
}

/// The recording of a run, if the file or the command line asks for one. A replay is recorded only when the command line does.
fn recorder_of(
    args: &RunArgs,
    plan: &Plan,
    site: &Site,
    memory: Memory,
) -> headwater_contract::Result<Option<Recorder>> {
    if plan.record.is_empty() || (memory == Memory::None && args.record.is_none()) {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&args.file).unwrap_or_default();
    let facts = cluster::Facts::of(plan, &text, &[]).map_err(headwater_contract::StageError::new)?;
    Recorder::begin(plan, site, args.record.as_deref(), facts).map(Some)
}

/// Ends the recording of a run that has ended well; gives the exit code.
fn end_recording(args: &RunArgs, recorder: &Mutex<Recorder>) -> u8 {
    let held = |_| headwater_contract::StageError::new("a thread died while it held it");
    match recorder.lock().map_err(held).and_then(|mut recorder| recorder.finish()) {
        Ok((folder, totals)) if !args.quiet => {
            println!("recorded   {} rows in {} epochs: {}", totals.rows, totals.ends, folder.display());
            0
        }
        Ok(_) => 0,
        Err(error) => {
            eprintln!("error: recording: {error}");
            FAILED
        }
    }
}

/// Serves the counters, if that was asked for.
fn serve_metrics(
    args: &RunArgs,
    plan: &Plan,
    options: &RunOptions,
) -> Result<Option<scrape::Scrape>, String> {
    let Some(address) = args.metrics else { return Ok(None) };
    let stages = plan.stages.iter().map(|stage| stage.id.clone()).collect();
    let page = scrape::Page { pipeline: plan.name.clone(), stages, metrics: options.metrics.clone() };
    let failed = |e| format!("--metrics {address}: nobody can listen there: {e}");
    scrape::Scrape::serve(address, page).map(Some).map_err(failed)
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
    let begin = options.life.as_ref().map(Life::first_epoch).unwrap_or_default();
    company
        .start(args, settings)
        .map_err(|e| Failure::new(cluster::NAME, format!("a process cannot be started: {e}")))?;
    let member = company.join(args, plan, &options.stopping, begin)?;
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
    let ended = company.join(args, plan, &options.stopping, Epoch(0)).and_then(|member| {
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
    let mut plan = checked.plan.ok_or(FAILED)?;
    if args.record.is_some() && plan.record.is_empty() {
        plan.record = plan.sources();
    }
    Ok(plan)
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
