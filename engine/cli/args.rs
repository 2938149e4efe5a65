//! The arguments of every verb, and which function carries it out.

mod needs_key;
mod pipelines;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand, ValueHint};
use headwater_contract::{StageError, StageFactory};

use crate::exit::{self, Exit};
use crate::output::{self, StandardOutput};
use crate::pipeline::{answer, pair};
use crate::run::{ClusterArgs, RunArgs};
use crate::site::{self, Flags, Settings};
use crate::state::Fresh;
use crate::{
    adapter, check, cluster, dataset, eval, explain, forget, graph, key, log, model, new, plan, quarantine,
    recording, redact, replay, run, schema, stages, state, store, tap, test,
};

/// Lets a gateway learn from what its devices hear, without raw data leaving it.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, arg_required_else_help = true, after_help = exit::list())]
pub(crate) struct Args {
    #[command(flatten)]
    site: SiteArgs,
    #[command(subcommand)]
    verb: Verb,
}

/// Site settings; each overrides its HEADWATER_* variable and the settings file.
#[derive(Debug, ClapArgs)]
struct SiteArgs {
    /// Folder for what the engine keeps [default: data/state]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Site settings")]
    state: Option<PathBuf>,
    /// File of the root key
    #[arg(long, global = true, value_name = "FILE", help_heading = "Site settings")]
    key_file: Option<PathBuf>,
    /// What is logged: error, warn, info, debug, trace, or filters
    #[arg(long, global = true, value_name = "LEVEL", help_heading = "Site settings")]
    log_level: Option<String>,
    /// Form of log lines
    #[arg(long, global = true, value_name = "FORM", default_value = "text", value_parser = ["text", "json"], help_heading = "Site settings")]
    log: String,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a pipeline to the end of its input, or until it is stopped
    Run(RunVerb),
    /// Run a pipeline over a recording or a store instead of its own sources
    Replay(ReplayVerb),
    /// Run the tests inside pipeline files
    Test(test::TestArgs),
    /// Look at the rows that leave a port of a pipeline while it runs
    Tap(tap::TapArgs),
    /// What runs have recorded
    #[command(subcommand)]
    Recording(recording::RecordingVerb),
    /// Look for all mistakes of a pipeline file; needs no model, no data, no network
    Check(check::CheckArgs),
    /// Explain a message's code: cause, example, remedy
    Explain(explain::ExplainArgs),
    /// Show stages, ports, columns, labels, routes and tiers of a pipeline
    Plan(plan::PlanArgs),
    /// Draw a pipeline as Mermaid or SVG
    Graph(graph::GraphArgs),
    /// List every kind of stage, or show one with its ports and options
    Stages(stages::StagesArgs),
    /// Write a commented pipeline to start from
    New(new::NewArgs),
    /// Print the JSON Schema of pipeline files, for editors
    Schema(schema::SchemaArgs),
    /// Find and take out personal data in text from the standard input
    #[command(subcommand)]
    Redact(redact::RedactVerb),
    /// Read an encrypted store, and keep it in order
    #[command(subcommand)]
    Store(store::StoreVerb),
    /// The root key: show, back up, restore, rotate
    #[command(subcommand)]
    Key(key::KeyVerb),
    /// Models that can be fetched, and what a model can be used for
    #[command(subcommand)]
    Model(model::ModelVerb),
    /// Adapters that a loop published: list, show, export, import, roll back
    #[command(subcommand)]
    Adapter(AdapterVerb),
    /// Forget a device in all that a pipeline keeps and has learned, with a receipt
    Forget(Box<ForgetVerb>),
    /// What a pipeline remembers from run to run
    #[command(subcommand)]
    State(state::StateVerb),
    /// Rows that stages rejected
    #[command(subcommand)]
    Quarantine(QuarantineVerb),
    /// Run a pipeline over a data set, score it, and write a report
    Eval(eval::EvalArgs),
    /// Data sets: make a manifest, check, list, show, count
    #[command(subcommand)]
    Dataset(dataset::DatasetVerb),
    /// Certificates for the processes of a cluster, and whether they would do
    #[command(subcommand)]
    Cluster(cluster::ClusterVerb),
    /// Show every site setting with its value and origin
    Config,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// The arguments with which `run` and its like read a pipeline.
#[derive(Debug, ClapArgs)]
struct RunVerb {
    /// The pipeline: its file, or its name if the file lies here
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Worker threads
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Set an option: stage.ID.OPTION=VALUE
    #[arg(long, value_name = "PATH=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Set a param: NAME=VALUE
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// Write the summary as JSON to a file
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Serve counters for Prometheus: a port of this machine, or an address with a port
    #[arg(long, value_name = "ADDRESS", value_parser = metrics_address)]
    metrics: Option<Box<SocketAddr>>,
    /// Record what the sources give, or the ports that the file says, into a new folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    record: Option<PathBuf>,
    /// No display, no table
    #[arg(long, short)]
    quiet: bool,
    /// Begin from scratch: forget how far earlier runs came, and what their stages learned
    #[arg(long, group = "throws_away", help_heading = "What earlier runs left")]
    fresh: bool,
    /// With --fresh or --drop-state: yes, delete it
    #[arg(long, requires = "throws_away", help_heading = "What earlier runs left")]
    yes: bool,
    /// Begin the state of one stage from scratch; rows that it holds back go to the quarantine
    #[arg(long, value_name = "ID", group = "throws_away", help_heading = "What earlier runs left")]
    drop_state: Vec<String>,
    #[command(flatten)]
    processes: ProcessArgs,
}

/// Whom `forget` forgets, and in which pipeline.
#[derive(Debug, ClapArgs)]
struct ForgetVerb {
    /// The device's name
    #[arg(long, value_name = "NAME")]
    device: String,
    /// Train everything from scratch on the recorded input, as if the device had never been there
    #[arg(long)]
    retrain: bool,
    #[command(flatten)]
    run: RunVerb,
}

/// The arguments of `replay`: the input that is played, and the run.
#[derive(Debug, ClapArgs)]
struct ReplayVerb {
    #[command(flatten)]
    replay: replay::ReplayArgs,
    #[command(flatten)]
    run: RunVerb,
}

/// The processes that a run takes.
#[derive(Debug, ClapArgs)]
struct ProcessArgs {
    /// Run in so many processes of this machine
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64), conflicts_with = "hosts", help_heading = "Processes")]
    processes: Option<u8>,
    /// Run as one process of the cluster that this file names
    #[arg(
        long,
        value_name = "FILE",
        requires = "process",
        conflicts_with = "workers",
        help_heading = "Processes"
    )]
    hosts: Option<PathBuf>,
    /// Which process this is; 0 is home, which reads, keeps and reports
    #[arg(long, value_name = "I", requires = "hosts", help_heading = "Processes")]
    process: Option<usize>,
    /// Let processes run on CPUs whose arithmetic may round otherwise
    #[arg(long, help_heading = "Processes")]
    mixed_cpus: bool,
    /// Restart the run when it crashes
    #[arg(long, help_heading = "Processes")]
    supervise: bool,
    /// How often in a row it is started again
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = "Processes")]
    restarts: u32,
    /// Which attempt of a supervised run this is
    #[arg(long, hide = true)]
    generation: Option<u32>,
    /// Where an attempt of a supervised run says that it goes on
    #[arg(long, hide = true)]
    heartbeat: Option<PathBuf>,
    /// Home started this process
    #[arg(long, hide = true)]
    child: bool,
}

#[derive(Debug, Subcommand)]
enum AdapterVerb {
    #[command(flatten)]
    Published(adapter::AdapterVerb),
    /// Take what a device gave out of every sum and of the adapter
    Forget(Box<ForgetVerb>),
}

#[derive(Debug, Subcommand)]
enum QuarantineVerb {
    /// Count what is there, by stage and reason
    Ls {
        /// The pipeline: its name or its file
        #[arg(value_hint = ValueHint::FilePath)]
        pipeline: String,
    },
    /// Show each row with its reason
    Show {
        /// The pipeline: its name or its file
        #[arg(value_hint = ValueHint::FilePath)]
        pipeline: String,
        /// Only rows of this stage
        #[arg(long)]
        stage: Option<String>,
        /// Also print the texts of the rows: raw data
        #[arg(long)]
        content: bool,
    },
    /// Give the rows of a stage to it again
    Retry {
        /// The stage's id
        #[arg(long)]
        stage: String,
        #[command(flatten)]
        run: Box<RunVerb>,
    },
}

fn metrics_address(text: &str) -> Result<Box<SocketAddr>, String> {
    run::metrics_address(text).map(Box::new)
}

impl RunVerb {
    /// Returns true if an argument concerns a state that is kept from attempt to attempt.
    fn asks_for_state(&self) -> bool {
        self.fresh || !self.drop_state.is_empty() || self.processes.supervise
    }

    fn args(&self, log_json: bool) -> RunArgs {
        RunArgs {
            file: self.file.clone(),
            params: self.params.clone(),
            set: self.set.clone(),
            summary: self.summary.clone(),
            metrics: self.metrics.as_deref().copied(),
            record: self.record.clone(),
            log_json,
            quiet: self.quiet,
            fresh: if self.fresh { Fresh::Asked { yes: self.yes } } else { Fresh::No },
            drop_state: self.drop_state.clone(),
            yes: self.yes,
            cluster: ClusterArgs {
                processes: self.processes.processes.map(usize::from),
                hosts: self.processes.hosts.clone(),
                process: self.processes.process,
                mixed_cpus: self.processes.mixed_cpus,
                generation: self.processes.generation,
                heartbeat: self.processes.heartbeat.clone(),
                child: self.processes.child,
            },
        }
    }
}

/// Carries out what the arguments say.
pub(crate) fn dispatch(mut args: Args, kinds: &[StageFactory]) -> ExitCode {
    let workers = match &args.verb {
        Verb::Run(run) | Verb::Replay(ReplayVerb { run, .. }) => run.workers,
        Verb::Quarantine(QuarantineVerb::Retry { run, .. }) => run.workers,
        Verb::Forget(forget) | Verb::Adapter(AdapterVerb::Forget(forget)) => forget.run.workers,
        Verb::Eval(eval) => eval.workers,
        _ => None,
    };
    let SiteArgs { state, key_file, log_level, log } = args.site;
    let settings = match site::read(&Flags { state, key_file, workers, log: log_level }) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::CouldNotLook.into();
        }
    };
    let log_json = log == "json";
    log::start(&settings.log, log_json);
    if let Err(missing) = settings.has_key_file()
        && args.verb.needs_key()
    {
        eprintln!("error: {missing}");
        return Exit::CouldNotLook.into();
    }
    if let Err(error) = args.verb.find_pipelines(&settings) {
        eprintln!("error: {error}");
        return Exit::Failed.into();
    }
    let mut out = StandardOutput;
    let exit = match args.verb {
        Verb::Run(run) => {
            if run.processes.supervise {
                run::supervise::run(run.processes.restarts, run.processes.generation)
            } else {
                run::run(&run.args(log_json), &settings, kinds)
            }
        }
        Verb::Replay(ReplayVerb { replay, run }) => {
            if run.asks_for_state() {
                eprintln!(
                    "error: a replay begins at the beginning and leaves nothing; expected it without --fresh, --drop-state and --supervise"
                );
                Exit::CouldNotLook
            } else {
                replay::run(&replay, &run.args(log_json), &settings, kinds)
            }
        }
        Verb::Test(args) => test::run(&args, kinds, &mut out),
        Verb::Tap(args) => tap::run(&args, &settings, &mut out),
        Verb::Recording(verb) => recording::run(&verb, &settings, &mut out),
        Verb::Check(args) => check::run(&args, kinds, &mut out),
        Verb::Explain(args) => explain::run(&args, &mut out),
        Verb::Plan(args) => plan::run(&args, kinds, &mut out),
        Verb::Graph(args) => graph::run(&args, kinds, &mut out),
        Verb::Stages(args) => stages::run(&args, kinds, &mut out),
        Verb::New(args) => new::run(&args, kinds, &mut out),
        Verb::Schema(args) => schema::run(&args, kinds, &mut out),
        Verb::Redact(verb) => redact::run(&verb, &settings.key_file, &mut out),
        Verb::Store(verb) => store::run(&verb, &settings, &mut out),
        Verb::Model(verb) => model::run(&verb, &mut out),
        Verb::Adapter(AdapterVerb::Published(verb)) => adapter::run(&verb, &settings, &mut out),
        Verb::Adapter(AdapterVerb::Forget(verb)) => {
            forgotten(&verb, forget::Reach::Trained, (&settings, log_json), kinds, &mut out)
        }
        Verb::Forget(verb) => {
            forgotten(&verb, forget::Reach::Everything, (&settings, log_json), kinds, &mut out)
        }
        Verb::State(verb) => state::run(&verb, &settings, &mut out),
        Verb::Key(verb) => key::run(&verb, &settings, kinds, &mut out),
        Verb::Quarantine(verb) => {
            let asked = aside(&verb, &settings, kinds, log_json, &mut out);
            asked.unwrap_or_else(|error| exit::fails(&error, Exit::Failed))
        }
        Verb::Eval(args) => eval::run(&args, &settings, kinds, &mut out),
        Verb::Dataset(verb) => dataset::run(&verb, &mut out),
        Verb::Cluster(verb) => cluster::run(&verb, &mut out),
        Verb::Config => answer(&mut out, &site::shown(&settings), Exit::Fine),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "headwater", &mut script);
            answer(&mut out, &String::from_utf8_lossy(&script), Exit::Fine)
        }
    };
    log::flush();
    output::finish(exit).into()
}

fn forgotten(
    verb: &ForgetVerb,
    reach: forget::Reach,
    (settings, log_json): (&Settings, bool),
    kinds: &[StageFactory],
    out: &mut dyn Write,
) -> Exit {
    let way = if verb.retrain { forget::Way::Retrain } else { forget::Way::TakeOut };
    let run = &verb.run;
    let processes = run.processes.processes.is_some() || run.processes.hosts.is_some();
    let observed = run.summary.is_some() || run.metrics.is_some() || run.record.is_some();
    if run.asks_for_state() || processes || observed {
        eprintln!(
            "error: what is forgotten is forgotten here, in one process; expected it without --fresh, --drop-state, --supervise, \
             --processes, --hosts, --summary, --metrics and --record"
        );
        return Exit::CouldNotLook;
    }
    forget::run(&verb.run.args(log_json), &verb.device, (way, reach), settings, kinds, out)
}

fn aside(
    verb: &QuarantineVerb,
    settings: &Settings,
    kinds: &[StageFactory],
    log_json: bool,
    out: &mut dyn Write,
) -> Result<Exit, StageError> {
    match verb {
        QuarantineVerb::Ls { pipeline } => quarantine::ls(pipeline, settings, out).map(|()| Exit::Fine),
        QuarantineVerb::Show { pipeline, stage, content } => {
            quarantine::show(pipeline, stage.as_deref(), *content, settings, out).map(|()| Exit::Fine)
        }
        QuarantineVerb::Retry { stage, run } => {
            if run.asks_for_state() {
                return Err(StageError::new("a second try keeps no state")
                    .expected("it without --fresh, --drop-state and --supervise"));
            }
            // Rows that were rejected are few, and lie here.
            let args = RunArgs { cluster: ClusterArgs::default(), ..run.args(log_json) };
            match run::plan_of(&args, kinds) {
                Ok(plan) => quarantine::retry(&args, plan, stage, settings),
                Err(code) => Ok(code),
            }
        }
    }
}

#[cfg(test)]
mod pages;
