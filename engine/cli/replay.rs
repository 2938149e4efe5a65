//! The verb `replay`: a pipeline file runs over a recording, a store or a data set instead of its own sources.
//!
//! In: a pipeline file, which stays as it is, and a path. Out: the run's results, apart from what earlier runs of the file
//! keep. Each source gives way to the recorded port of its name; rows stand only where rows as private as they are may stand.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueHint};
use headwater_contract::{Label, Result, StageError, StageFactory, toml};
use headwater_runtime::plan::{Plan, PortRef};
use headwater_stages::replay::{self, word_of};
use headwater_vault::{KEYSTORE_FILE, KeyFile, RecordedPort, Recording, UnfinishedPolicy};

use crate::exit::Exit;
use crate::run::{Memory, RunArgs, plan_of, run_plan};
use crate::site::Settings;
use headwater_stages::vault_error::of_vault;

/// The arguments of the verb: the input, and the pace.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// The folder of a recording or of a store, which takes the place of every source; or a data set, in the place of the only one
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub from: PathBuf,
    /// Which port of the recording takes the place of a source, where the names differ
    #[arg(long = "port", value_name = "STAGE=PORT", value_parser = crate::pipeline::pair)]
    pub ports: Vec<(String, String)>,
    /// How many times as fast as it was captured, or max
    #[arg(long, value_name = "TIMES", default_value = "max")]
    pub speed: String,
    /// Only rows captured at this time (RFC 3339) or later
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only rows captured before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only rows of this device; may be given several times
    #[arg(long = "device", value_name = "NAME")]
    pub devices: Vec<String>,
    /// Only rows of this split of a data set
    #[arg(long, value_name = "NAME")]
    pub split: Option<String>,
    /// Play the complete epochs of a recording whose run was killed before it ended
    #[arg(long)]
    pub complete_epochs: bool,
}

impl ReplayArgs {
    /// True if some rows are excluded.
    fn chooses(&self) -> bool {
        !self.devices.is_empty() || self.since.is_some() || self.until.is_some() || self.split.is_some()
    }
}

/// The folder of the state of replays: apart from the runs of the same pipeline.
const APART: &str = "replays";

/// Runs a pipeline over a recording; gives the exit code.
pub fn run(args: &ReplayArgs, run: &RunArgs, settings: &Settings, kinds: &[StageFactory]) -> Exit {
    let mut plan = match plan_of(run, kinds) {
        Ok(plan) => plan,
        Err(code) => return code,
    };
    if let Err(error) = swap(&mut plan, args, settings) {
        eprintln!("error: {error}");
        return Exit::Failed;
    }
    let mut apart = settings.clone();
    apart.state = settings.state.join(APART);
    run_plan(run, &apart, Arc::new(plan), Memory::None).exit()
}

/// Puts the recording in the place of every source.
///
/// # Errors
/// A source has no port in the recording, or one with other rows.
fn swap(plan: &mut Plan, args: &ReplayArgs, settings: &Settings) -> Result<()> {
    if !args.from.exists() {
        return Err(StageError::new(format!("there is no {}", args.from.display())).expected(
            "a recording (`headwater run FILE --record DIR`), a store, or a data set (`headwater dataset`)",
        ));
    }
    let is_ours = args.from.join(KEYSTORE_FILE).is_file();
    let recording = if is_ours { recording(args, settings)? } else { None };
    let sources = plan.sources();
    let names = || sources.iter().map(|at| plan.port_name(*at)).collect::<Vec<_>>();
    if let Some((unknown, _)) = args.ports.iter().find(|(id, _)| !names().contains(id)) {
        return Err(StageError::new(format!("--port: the pipeline has no source {unknown:?}"))
            .expected(names().join(" or ")));
    }
    if recording.is_none() && sources.len() > 1 {
        return Err(StageError::new(format!("the pipeline has the sources {}", names().join(" and ")))
            .expected("a recording, which has rows for each of them")
            .help("a stage of type `replay` in the file plays a store or a data set beside other sources"));
    }
    for at in sources {
        let port = match &recording {
            Some(recording) => Some(fitting(plan, at, recording, args)?),
            None => None,
        };
        let role = replay::KIND.plan(&options(plan, at, port, args)?).map_err(|errors| {
            let message: Vec<String> = errors.iter().map(|w| format!("`{}`: {}", w.option, w.what)).collect();
            StageError::new(message.join("; "))
        })?;
        let errors: Vec<String> =
            role.validate().iter().map(|w| format!("--{}: {}", w.option, w.what)).collect();
        if !errors.is_empty() {
            return Err(StageError::new(errors.join("; ")));
        }
        if let Some(stage) = plan.stages.get_mut(at.stage) {
            stage.role = role;
            if args.chooses() {
                // What was said in excluded recordings is not to be heard.
                stage.options.remove("path");
            }
        }
    }
    Ok(())
}

/// The recording that is played; nothing if it is a store. One that was never ended is refused unless its complete epochs are asked for.
fn recording(args: &ReplayArgs, settings: &Settings) -> Result<Option<Recording>> {
    let (key, asked) = (KeyFile::at(&settings.key_file), args.complete_epochs);
    let found = Recording::find(&args.from, &key, UnfinishedPolicy::CompleteEpochs).map_err(of_vault)?;
    let Some(place) = found.as_ref().and_then(Recording::truncation) else { return Ok(found) };
    let message = format!("{}: {}", place.path.display(), place.describe());
    if place.last.is_none() {
        return Err(StageError::new(message));
    }
    if !asked {
        return Err(StageError::new(message).help("to play what is complete: --complete-epochs"));
    }
    tracing::warn!("{message}; its {} complete epochs are played", place.epochs);
    Ok(found)
}

/// The recorded port that takes the place of a source, whose rows must be just as private.
fn fitting<'r>(
    plan: &Plan,
    at: PortRef,
    recording: &'r Recording,
    args: &ReplayArgs,
) -> Result<&'r RecordedPort> {
    let (id, full) = (plan.port_name(at), plan.full_name(at));
    let wanted = args.ports.iter().find(|(source, _)| *source == id).map_or(&full, |(_, port)| port);
    let ports = &recording.head().ports;
    let port = ports.iter().find(|port| port.name == *wanted).ok_or_else(|| {
        let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
        StageError::new(format!("the recording {} has no port `{wanted}`", args.from.display()))
            .expected(names.join(" or "))
            .help(format!("to play another port in its place: --port {id}=PORT"))
    })?;
    let label = plan.rows_of(at).map_or(Label::Raw, |(_, label)| label);
    if port.label == label.name() {
        return Ok(port);
    }
    Err(StageError::new(format!(
        "the rows of `{}` were {} when they were recorded, and `{full}` gives {label} ones",
        port.name, port.label
    ))
    .expected("rows to be as private as when they were recorded, neither more nor less")
    .help("a stage of type `replay` gives them with their own label"))
}

fn options(plan: &Plan, at: PortRef, port: Option<&RecordedPort>, args: &ReplayArgs) -> Result<toml::Table> {
    let (columns, label) = plan.rows_of(at).ok_or_else(|| StageError::new("a source without output"))?;
    let text = |value: &str| toml::Value::String(value.to_owned());
    let list =
        |values: Vec<String>| toml::Value::Array(values.into_iter().map(toml::Value::String).collect());
    let own = columns.fields().iter().skip(5).filter_map(|field| word_of(field)).collect();
    let speed = args.speed.parse::<f64>().map_or_else(|_| text(&args.speed), toml::Value::Float);
    let mut table = toml::Table::from_iter([
        ("path".to_owned(), text(&path_text(&args.from)?)),
        ("columns".to_owned(), list(own)),
        ("label".to_owned(), text(label.name())),
        ("speed".to_owned(), speed),
        ("devices".to_owned(), list(args.devices.clone())),
    ]);
    let given = [
        ("port", port.map(|port| &port.name)),
        ("since", args.since.as_ref()),
        ("until", args.until.as_ref()),
        ("split", args.split.as_ref()),
    ];
    if args.complete_epochs {
        table.insert("complete_epochs".to_owned(), toml::Value::Boolean(true));
    }
    table.extend(given.iter().filter_map(|(name, value)| Some(((*name).to_owned(), text((*value)?)))));
    Ok(table)
}

fn path_text(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| StageError::new(format!("{} is no text", path.display())))?;
    Ok(text.to_owned())
}
