//! The verb `run`: check, make ready, run, and print what happened.
//!
//! In: a pipeline file and the settings. Out: a live display or log lines while it runs, a summary at the end, the same as
//! JSON on request. Signals: the first drains the open epochs, the second stops at once.

mod display;
mod ending;
mod folders;
mod heartbeat;
mod processes;
mod room;
pub(crate) mod rounds;
mod scrape;
pub mod summary;
pub(crate) mod supervise;
mod word_errors;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use headwater_contract::units::Epoch;
use headwater_contract::{HostEnv, StageFactory};
use headwater_runtime::check::{self, Settings as CheckSettings};
use headwater_runtime::cluster;
use headwater_runtime::commit::{self, Attempt};
use headwater_runtime::instance::Failure;
use headwater_runtime::plan::Plan;
use headwater_runtime::run::{self, Report, RunOptions};
use headwater_runtime::watch::Watch;

pub use ending::Ended;
use ending::{exit_of, judged};
pub use processes::ClusterArgs;
use processes::ProcessGroup;
pub(crate) use processes::private_folder;
pub(crate) use scrape::address as metrics_address;

use crate::colour;
use crate::exit::Exit;
use crate::output::StandardOutput;
use crate::pipeline::answer;
use crate::quarantine::{KeptCounts, QuarantineLog};
use crate::recording::Recorder;
use crate::site::Settings;
use crate::state::{self, Fresh, dropping};
use crate::tap::serve::Serving;
use crate::{forget, log};

/// The arguments of a run.
#[derive(Clone, Debug, Default)]
pub struct RunArgs {
    /// The pipeline file.
    pub file: PathBuf,
    /// `--param name=value`.
    pub params: Vec<(String, String)>,
    /// `--set stage.id.option=value`.
    pub set: Vec<(String, String)>,
    /// The file that the summary is written to as JSON.
    pub summary: Option<PathBuf>,
    /// The address at which metrics are served.
    pub metrics: Option<SocketAddr>,
    /// The folder that the run is recorded in.
    pub record: Option<PathBuf>,
    /// Log lines as JSON; no display.
    pub log_json: bool,
    /// No display, no table.
    pub quiet: bool,
    /// True if it begins from scratch.
    pub fresh: Fresh,
    /// Stages whose state begins from scratch.
    pub drop_state: Vec<String>,
    /// True if what is kept of them may be deleted.
    pub yes: bool,
    /// The processes it runs in.
    pub cluster: ClusterArgs,
}

/// Runs a pipeline; gives the exit code.
pub fn run(args: &RunArgs, settings: &Settings, kinds: &[StageFactory]) -> Exit {
    if let Some(supervisor) = &args.cluster.heartbeat
        && let Err(error) = heartbeat::beat(supervisor)
    {
        eprintln!("error: the supervisor is gone: {error}");
        return Exit::Lost;
    }
    let plan = match plan_of(args, kinds) {
        Ok(plan) => Arc::new(plan),
        Err(code) => return code,
    };
    match run_plan(args, settings, plan, Memory::Kept) {
        // By now everything of the attempt that failed is dropped, the lock of its state folder too.
        Ended::MayGoOn => supervise::go_on(),
        Ended::With(exit) => exit,
    }
}

/// True if a run is one of its pipeline's attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It goes on from the last one, and leaves what the next one needs.
    Kept,
    /// It begins at the beginning and leaves nothing.
    None,
}

/// Runs a plan.
pub fn run_plan(args: &RunArgs, settings: &Settings, plan: Arc<Plan>, memory: Memory) -> Ended {
    let group = match ProcessGroup::of(&args.cluster, settings) {
        Ok(group) => group,
        Err(wrong) => {
            eprintln!("error: {wrong}");
            return Ended::With(Exit::CouldNotLook);
        }
    };
    match group.as_ref().filter(|group| !group.is_home()) {
        Some(group) => Ended::With(run_away(args, &plan, group)),
        None => run_at_home(args, settings, plan, group.as_ref(), memory),
    }
}

fn tell_all(failures: &[Failure]) {
    for failure in failures {
        eprintln!("error: {failure}");
    }
}

/// Returns true if the plan can run here, after a message for all that is missing.
fn is_ready(plan: &Plan, site: &HostEnv, group: Option<&ProcessGroup>) -> bool {
    let fits = group.map_or(Ok(()), |_| run::fits_cluster(plan));
    let missing = fits.and_then(|()| run::ready(plan, site)).err().unwrap_or_default();
    tell_all(&missing);
    let shared = folders::one_stage_each(plan).err();
    shared.iter().for_each(|error| eprintln!("error: {error}"));
    missing.is_empty() && shared.is_none()
}

/// Returns true if the folder of the summary is there, which is written when all work is done; an error if not.
fn has_place_for_summary(args: &RunArgs) -> bool {
    let folder =
        args.summary.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    let there = folder.is_none_or(Path::is_dir);
    if let Some(folder) = folder.filter(|_| !there) {
        eprintln!("error: --summary: there is no folder {}", folder.display());
    }
    there
}

/// The attempt of this run. One that follows a crash resumes from the last commit, whatever flags the first had.
fn life_of(
    args: &RunArgs,
    plan: &Plan,
    site: &HostEnv,
    memory: Memory,
) -> Result<Option<Attempt>, Vec<Failure>> {
    if memory == Memory::None {
        return Ok(None);
    }
    let (fresh, dropped) =
        if args.cluster.follows() { (Fresh::No, Vec::new()) } else { (args.fresh, args.drop_state.clone()) };
    let wrong = |error: headwater_contract::StageError| vec![Failure::new(commit::NAME, error.to_string())];
    let folder = state::for_run(site, fresh).map_err(wrong)?;
    if !dropped.is_empty() {
        let poisoned =
            |_| wrong(headwater_contract::StageError::new("the lock of the state folder is poisoned"));
        let mut open = folder.lock().map_err(poisoned)?;
        let mut quarantine = QuarantineLog::of(site);
        dropping::hold_nothing_back(plan, &mut open, &dropped, args.yes, &mut quarantine).map_err(wrong)?;
    }
    Attempt::begin(plan, folder, &dropped).map(Some)
}

/// Runs a plan where its input is read, its rows are kept and its summary is printed.
fn run_at_home(
    args: &RunArgs,
    settings: &Settings,
    plan: Arc<Plan>,
    group: Option<&ProcessGroup>,
    memory: Memory,
) -> Ended {
    let site = settings.site(&plan.name);
    if memory == Memory::Kept && args.cluster.follows() {
        room::wait(&room::watch(&plan, &site));
    }
    if !is_ready(&plan, &site, group) || !has_place_for_summary(args) {
        return Ended::With(Exit::Failed);
    }
    let attempt = match life_of(args, &plan, &site, memory) {
        Ok(attempt) => attempt,
        Err(unfit) => {
            tell_all(&unfit);
            return Ended::With(Exit::Failed);
        }
    };
    let keeper = match QuarantineLog::of(&site).keeping(settings.quarantine) {
        Ok(keeper) => Arc::new(Mutex::new(keeper)),
        Err(error) => {
            eprintln!("error: quarantine: {error}");
            return Ended::With(Exit::Failed);
        }
    };
    let recorder = match recorder_of(args, &plan, &site, memory) {
        Ok(recorder) => recorder.map(|recorder| Arc::new(Mutex::new(recorder))),
        Err(error) => {
            eprintln!("error: recording: {error}");
            return Ended::With(Exit::Failed);
        }
    };
    let word_errors = word_errors::WerCollector::of(&plan);
    let rounds = rounds::Rounds::of(&plan);
    let disk_space_check = room::watch(&plan, &site);
    let mut options = RunOptions::new(&plan, site);
    options.disk_space_check = Some(disk_space_check);
    options.workers = settings.workers;
    options.quarantine = Some(keeper.clone());
    options.before_forgetting = Some(forget::writer(&plan, settings, "consent withdrawn"));
    let watch = Arc::new(Watch::default());
    options.watch = Some(watch.clone());
    options.recorder = recorder.clone().map(|recorder| recorder as _);
    let begun = attempt.as_ref().map(|attempt| (attempt.first_epoch(), attempt.found_finished()));
    if let (Some(_), Some((first, _))) = (&recorder, &begun)
        && first.0 > 0
    {
        tracing::warn!(
            "the recording begins at epoch {first}: what stages had learned before is not in it; --fresh begins from scratch"
        );
    }
    options.attempt = attempt;
    listen(&mut options, word_errors.as_ref(), rounds.as_ref());
    stop_on_signals(&options.stopping);
    let _scrape = match serve_metrics(args, &plan, &options) {
        Ok(scrape) => scrape,
        Err(error) => {
            eprintln!("error: {error}");
            return Ended::With(Exit::Failed);
        }
    };
    let outcome = meet(&mut options, args, settings, &plan, group).and_then(|()| {
        let display =
            display::Display::start(&plan, &options.metrics, &options.stopping, display_style(args));
        let processes = options.cluster.as_ref().map_or(1, |member| member.processes());
        let serving = Serving::begin(&plan, settings, &watch, processes);
        if let Err(error) = &serving {
            tracing::info!(%error, "the run cannot be looked at by `tap`");
        }
        let outcome = run::run(plan.clone(), options);
        drop(display);
        log::flush();
        outcome
    });
    match outcome {
        Err(failure) => {
            eprintln!("error: {failure}");
            group.iter().flat_map(|group| group.killed()).for_each(|how| eprintln!("  {how}"));
            if memory == Memory::Kept && supervise::may_go_on(&failure, &plan, &args.cluster) {
                return Ended::MayGoOn;
            }
            Ended::With(exit_of(&failure, &args.cluster))
        }
        Ok(report) => {
            group.inspect(|group| group.is_done());
            let kept = keeper.lock().map(|k| k.counts()).unwrap_or_default();
            let exit =
                summarise(args, settings, &plan, &report, RunOutcome { word_errors, rounds, kept, begun });
            let exit = exit.max(recorder.map_or(Exit::Fine, |recorder| end_recording(args, &recorder)));
            Ended::With(exit.max(judged(&plan, &report, settings)))
        }
    }
}

/// The recording of a run, if the file or the command line asks for one. A replay is recorded only when the command line does.
fn recorder_of(
    args: &RunArgs,
    plan: &Plan,
    site: &HostEnv,
    memory: Memory,
) -> headwater_contract::Result<Option<Recorder>> {
    if plan.record.is_empty() || (memory == Memory::None && args.record.is_none()) {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&args.file).unwrap_or_default();
    let facts = cluster::Fingerprint::of(plan, &text, &[]).map_err(headwater_contract::StageError::new)?;
    Recorder::begin(plan, site, args.record.as_deref(), facts).map(Some)
}

/// Ends the recording of a run that has ended well; gives the exit code.
fn end_recording(args: &RunArgs, recorder: &Mutex<Recorder>) -> Exit {
    let held = |_| headwater_contract::StageError::new("a thread died while it held it");
    match recorder.lock().map_err(held).and_then(|mut recorder| recorder.finish()) {
        Ok((folder, totals)) if !args.quiet => {
            let (rows, epochs, folder) = (totals.rows, totals.ends, folder.display());
            print(&format!("recorded   {rows} rows in {epochs} epochs: {folder}\n"))
        }
        Ok(_) => Exit::Fine,
        Err(error) => {
            eprintln!("error: recording: {error}");
            Exit::Failed
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
    let failed = |e| format!("--metrics {address}: cannot listen there: {e}");
    scrape::Scrape::serve(address, page).map(Some).map_err(failed)
}

/// Starts the other processes, and waits for them.
fn meet(
    options: &mut RunOptions,
    args: &RunArgs,
    settings: &Settings,
    plan: &Plan,
    group: Option<&ProcessGroup>,
) -> Result<(), Failure> {
    let Some(group) = group else { return Ok(()) };
    let begin = options.attempt.as_ref().map(Attempt::first_epoch).unwrap_or_default();
    group
        .start(args, settings)
        .map_err(|e| Failure::new(cluster::NAME, format!("a process cannot be started: {e}")))?;
    let member = group.join(args, plan, &options.stopping, begin)?;
    options.workers = member.workers();
    options.cluster = Some(Arc::new(member));
    Ok(())
}

/// Runs a plan as a peer: it computes, and keeps and prints nothing.
fn run_away(args: &RunArgs, plan: &Arc<Plan>, group: &ProcessGroup) -> Exit {
    let site = HostEnv { is_peer: true, ..HostEnv::default() };
    if !is_ready(plan, &site, Some(group)) {
        return Exit::Failed;
    }
    let (word_errors, rounds) = (word_errors::WerCollector::elsewhere(plan), rounds::Rounds::of(plan));
    let mut options = RunOptions::new(plan, site);
    listen(&mut options, word_errors.as_ref(), rounds.as_ref());
    stop_on_signals(&options.stopping);
    // The one that was started by home has nothing to say for itself.
    let said = |what: &str| {
        if !args.quiet {
            tracing::info!(target: log::PROGRESS, "{} {what}", group.name());
        }
    };
    let ended = group.join(args, plan, &options.stopping, Epoch(0)).and_then(|member| {
        said(&format!("joined the run of `{}`, with {} processes", plan.name, member.processes()));
        options.workers = member.workers();
        options.cluster = Some(Arc::new(member));
        run::run(plan.clone(), options)
    });
    match ended {
        Ok(_) => {
            said("ended: the run is over, process 0 has its summary");
            Exit::Fine
        }
        Err(failure) => {
            if !args.cluster.child {
                eprintln!("error: {failure}");
            }
            exit_of(&failure, &args.cluster)
        }
    }
}

/// Connects the observers of passing rows.
fn listen(
    options: &mut RunOptions,
    word_errors: Option<&word_errors::WerCollector>,
    rounds: Option<&rounds::Rounds>,
) {
    if let Some(word_errors) = word_errors {
        options.taps.extend(word_errors.taps());
        options.notes.insert("heard".into(), word_errors.notes());
    }
    if let Some(rounds) = rounds {
        options.taps.extend(rounds.taps());
        options.notes.insert("rounds".into(), rounds.notes());
    }
}

/// The outcome of a run beside its report.
struct RunOutcome {
    word_errors: Option<word_errors::WerCollector>,
    rounds: Option<rounds::Rounds>,
    kept: KeptCounts,
    /// The first epoch of this attempt, and whether it found its input finished.
    begun: Option<(Epoch, bool)>,
}

/// Prints what a run did; returns the exit code.
fn summarise(args: &RunArgs, settings: &Settings, plan: &Plan, report: &Report, outcome: RunOutcome) -> Exit {
    let RunOutcome { word_errors, rounds, kept, begun } = outcome;
    let from_start = begun.is_none_or(|(first, _)| first.0 == 0);
    let extent = word_errors::Extent { from_start, stopped: report.stopped };
    let errors = word_errors.map(|collector| collector.finish(extent));
    let trained = rounds.map(rounds::Rounds::finish).unwrap_or_default();
    let drawn = rounds::draw(plan, &trained);
    let summary = summary::Summary::new(plan, report, errors, trained, kept).after(begun);
    let exit = tell(args, plan, settings, &summary);
    match drawn {
        Ok(Some(path)) if !args.quiet => drop(print(&format!("plot       {}\n", path.display()))),
        Ok(_) => {}
        // The run itself is done: what it made stays.
        Err(error) => tracing::warn!(%error, "the plot could not be drawn"),
    }
    exit
}

fn print(text: &str) -> Exit {
    answer(&mut StandardOutput, text, Exit::Fine)
}

/// Checks the file and shows what is wrong; the plan if nothing is.
pub(crate) fn plan_of(args: &RunArgs, kinds: &[StageFactory]) -> Result<Plan, Exit> {
    let name = args.file.display().to_string();
    let text = read_file(&args.file)?;
    let settings = CheckSettings { params: args.params.clone(), set: args.set.clone(), environment: true };
    let checked = check::check(&name, &text, kinds, &settings);
    if !checked.diagnostics.is_empty() {
        let style = colour::style(&std::io::stderr());
        eprint!("{}", checked.draw(&text, style));
    }
    let mut plan = checked.plan.ok_or(Exit::Failed)?;
    if args.record.is_some() && plan.record.is_empty() {
        plan.record = plan.sources();
    }
    Ok(plan)
}

/// The text of a pipeline file.
///
/// # Errors
/// Exit code 2, after a message.
pub fn read_file(path: &Path) -> Result<String, Exit> {
    std::fs::read_to_string(path).map_err(|error| {
        eprintln!("error: {} cannot be read: {error}", path.display());
        Exit::CouldNotLook
    })
}

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

fn tell(args: &RunArgs, plan: &Plan, settings: &Settings, summary: &summary::Summary) -> Exit {
    if !args.quiet {
        print(&summary.table(plan, settings, &args.again(settings, "--fresh --yes")));
    }
    let Some(path) = &args.summary else { return Exit::Fine };
    let written = serde_json::to_string_pretty(summary)
        .map_err(std::io::Error::from)
        .and_then(|text| std::fs::write(path, text + "\n"));
    match written {
        Ok(()) => Exit::Fine,
        Err(error) => {
            eprintln!("error: {} cannot be written: {error}", path.display());
            Exit::Failed
        }
    }
}
