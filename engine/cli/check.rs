//! The verb `check`: all mistakes of pipeline files at once.
//!
//! In: files. Out: what is wrong with them, drawn for people or as JSON for tools. Exit code: 0 fine, 1 mistakes found, 2 could
//! not look.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use headwater_contract::StageFactory;
use headwater_runtime::diagnostic::to_json;
use serde_json::Value;

use crate::colour::style;
use crate::exit::Exit;
use crate::pipeline::{PipelineArgs, answer, could_not_look, verdict};

/// The format of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For tools: one JSON document
    Json,
}

/// The arguments of the verb.
#[derive(Clone, Debug, Default, Args)]
pub struct CheckArgs {
    /// The pipeline.
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    /// Further pipelines
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub more: Vec<PathBuf>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Checks pipeline files; gives the worst of their exit codes.
pub fn run(args: &CheckArgs, kinds: &[StageFactory], out: &mut dyn Write) -> Exit {
    let files = std::iter::once(&args.pipeline.file).chain(&args.more);
    let (mut code, mut text, mut documents) = (Exit::Fine, String::new(), Vec::new());
    for file in files {
        let looked = match (PipelineArgs { file: file.clone(), ..args.pipeline.clone() }).look(kinds) {
            Ok(looked) => looked,
            Err(error) => {
                code = code.max(could_not_look(file, &error));
                continue;
            }
        };
        let diagnostics = &looked.checked.diagnostics;
        code = code.max(if looked.checked.has_errors() { Exit::Failed } else { Exit::Fine });
        match args.format {
            Format::Json => documents.push(to_json(diagnostics, &looked.name, &looked.text)),
            Format::Text => {
                text += &(looked.draw(style(&io::stdout())) + &verdict(diagnostics, &looked.name) + "\n");
            }
        }
    }
    if args.format == Format::Json {
        // One file has one document, several have a list of them.
        let document = if args.more.is_empty() { documents.pop() } else { Some(Value::Array(documents)) };
        text = document.map_or_else(String::new, |document| format!("{document:#}\n"));
    }
    answer(out, &text, code)
}
