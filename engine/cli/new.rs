//! The verb `new`: a commented pipeline to start from, or a crate for a stage of one's own.
//!
//! In: a folder and a template. Out: files in the folder. Nothing is ever overwritten.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};
use headwater_contract::{StageFactory, quoted};

use crate::exit::{self, Exit};
use crate::output::write_new;
use crate::pipeline::answer;

/// The template that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// Recordings: transcribed, redacted, stored
    #[default]
    Recordings,
    /// Texts: redacted, stored
    Transcripts,
    /// A loop that learns from redacted texts of many devices
    Personalize,
    /// A crate with a stage of your own, and a pipeline that uses it
    Stage,
}

/// The arguments of the verb.
#[derive(Clone, Debug, Default, Args)]
pub struct NewArgs {
    /// The folder; it is made if it is not there
    #[arg(value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// What to start from
    #[arg(long, value_enum, default_value_t)]
    pub template: Template,
}

/// A file's name, and what stands in it.
type NewFile = (&'static str, String);

const PIPELINE: &str = "pipeline.toml";
/// The manifest of all crates: what is built of them outside has their profile and their versions.
const WORKSPACE: &str = include_str!("../../Cargo.toml");
/// The folder of the sources from which this program was built.
const SOURCES: &str = env!("CARGO_MANIFEST_DIR");

/// The files of a template, for a pipeline of that name.
pub fn files(template: Template, name: &str) -> Vec<NewFile> {
    let pipeline = |text: &str| vec![(PIPELINE, text.replace("my-pipeline", name))];
    match template {
        Template::Recordings => pipeline(include_str!("new/recordings.toml")),
        Template::Transcripts => pipeline(include_str!("new/transcripts.toml")),
        Template::Personalize => pipeline(include_str!("new/personalize.toml")),
        Template::Stage => crate_files(name),
    }
}

/// The example among the plugins, as a crate outside this workspace: so it is built and tested with all else.
fn crate_files(name: &str) -> Vec<NewFile> {
    const HERE: &str = "plugins/keyword-alert/";
    let package = name.replace('.', "-");
    let alert = include_str!("../../plugins/keyword-alert/alert.toml");
    let alert = alert
        .replace("Run it from the top folder of the project:", "Run it from this folder:")
        .replace("target/debug/keyword-alert ", "cargo run -- ")
        .replace(&format!("{HERE}alert.toml"), PIPELINE)
        .replace(HERE, "")
        .replace("\"alert\"\nepoch", &format!("\"{name}\"\nepoch"));
    let ignored = "/target\n/data\n".to_owned();
    let mut files = vec![
        ("Cargo.toml", manifest(&package)),
        ("main.rs", include_str!("../../plugins/keyword-alert/main.rs").to_owned()),
        (PIPELINE, alert),
        ("notes.jsonl", include_str!("../../plugins/keyword-alert/notes.jsonl").to_owned()),
        (".gitignore", ignored),
    ];
    // The same versions as here, where these can be read.
    files.extend(
        std::fs::read_to_string(Path::new(SOURCES).join("Cargo.lock")).ok().map(|lock| ("Cargo.lock", lock)),
    );
    files
}

fn manifest(package: &str) -> String {
    let arrow = WORKSPACE.lines().find(|line| line.starts_with("arrow ")).unwrap_or_default();
    let profile = WORKSPACE.split_once("[profile.dev]\n").map_or("", |(_, rest)| rest);
    let profile = profile.split_once("# Thousands").map_or(profile, |(profile, _)| profile).trim_end();
    format!(
        "[package]\nname = \"{package}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [[bin]]\nname = \"{package}\"\npath = \"main.rs\"\n\n\
         # Without LibTorch, and so without the stage `train`: with it, remove `default-features = false`.\n\
         [dependencies]\nheadwater = {{ path = {SOURCES:?}, default-features = false }}\n\
         headwater-contract = {{ path = {:?} }}\n{arrow}\n\n\
         # A package of its own, wherever it lies.\n[workspace]\n\n\
         # As Headwater itself is built: unoptimised, recognising and scanning take many times as long.\n\
         [profile.dev]\n{profile}\n",
        format!("{SOURCES}/engine/contract")
    )
}

/// Writes the files of a template; gives the exit code.
pub fn run(args: &NewArgs, _: &[StageFactory], out: &mut dyn Write) -> Exit {
    let files = files(args.template, &name_for(args));
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| args.dir.join(name)).collect();
    // Before the first is written, so that no half of a template stays.
    if let Some(there) = paths.iter().find(|path| path.exists()) {
        eprintln!("error: `{}` is there already, and is left as it is; name another folder", there.display());
        return Exit::CouldNotLook;
    }
    let made = std::fs::create_dir_all(&args.dir).map_err(|error| (args.dir.clone(), error));
    let write = |(path, (_, text)): (&PathBuf, &NewFile)| {
        write_new(path, 0o666, text.as_bytes()).map_err(|error| (path.clone(), error))
    };
    if let Err((path, error)) = made.and_then(|()| paths.iter().zip(&files).try_for_each(write)) {
        eprintln!("error: `{}` cannot be written: {error}", path.display());
        return exit::of_output(&error, Exit::CouldNotLook);
    }
    let (folder, file) = (quoted(&args.dir.to_string_lossy()), args.dir.join(PIPELINE));
    let (shown, file) = (file.display(), quoted(&file.to_string_lossy()));
    let next = match args.template {
        Template::Stage => format!(
            "{folder} holds a crate with a stage of your own. Next:\n\n  cd {folder}\n  cargo test\n  cargo run -- run {PIPELINE}\n"
        ),
        _ => format!("{shown} is written. Next:\n\n  headwater check {file}\n  headwater run {file}\n"),
    };
    answer(out, &next, Exit::Fine)
}

/// The folder's name, as far as it can name a pipeline.
fn name_for(args: &NewArgs) -> String {
    let name = args.dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let fits = headwater_runtime::check::ids::is_pipeline_name(&name);
    if fits { name } else { "my-pipeline".to_owned() }
}
