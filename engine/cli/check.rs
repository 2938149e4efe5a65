//! The verb `check`: all mistakes of a pipeline file at once.
//!
//! In: a file. Out: what is wrong with it, drawn for people or as JSON for tools. Exit code: 0 fine, 1 mistakes found, 2 could
//! not look.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use headwater_contract::Kind;
use headwater_runtime::diagnostic::to_json;

use crate::pipeline::{FINE, MISTAKES, PipelineArgs, answer, could_not_look, style, verdict};

/// How the answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For tools: one JSON document
    Json,
}

/// What the command line says.
#[derive(Clone, Debug, Default, Args)]
pub struct CheckArgs {
    /// The pipeline.
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Checks a pipeline file; gives the exit code.
pub fn run(args: &CheckArgs, kinds: &[Kind], out: &mut dyn Write) -> u8 {
    let looked = match args.pipeline.look(kinds) {
        Ok(looked) => looked,
        Err(error) => return could_not_look(&args.pipeline.file, &error),
    };
    let diagnostics = &looked.checked.diagnostics;
    let code = if looked.checked.has_errors() { MISTAKES } else { FINE };
    let text = match args.format {
        Format::Json => format!("{:#}\n", to_json(diagnostics, &looked.name, &looked.text)),
        Format::Text => looked.draw(style(&io::stdout())) + &verdict(diagnostics, &looked.name) + "\n",
    };
    answer(out, &text, code)
}
