//! The pipeline file that a verb looks at.
//!
//! In: a path, or `-` for the standard input, and what the command line adds to it. Out: the text and what the check says.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use clap::{Args, ValueHint};
use headwater_contract::StageFactory;
use headwater_runtime::check::{self, Checked, Settings};
use headwater_runtime::diagnostic::{Diagnostic, Style, count};
use headwater_runtime::plan::Plan;

use crate::colour::style;
use crate::exit::Exit;

/// A pipeline file, and what the command line adds to it.
#[derive(Clone, Debug, Default, Args)]
pub struct PipelineArgs {
    /// The pipeline: its file, or its name if the file lies here; `-` reads the standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Set an option: stage.ID.OPTION=VALUE, or pipeline.KEY=VALUE
    #[arg(long, value_name = "PATH=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
    /// Set a param: NAME=VALUE
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    pub params: Vec<(String, String)>,
}

pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// A file that was read, and what is wrong with it.
pub(crate) struct Looked {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) checked: Checked,
}

impl PipelineArgs {
    /// Reads the file and checks it, without the environment.
    ///
    /// # Errors
    /// The file cannot be read as text.
    pub(crate) fn look(&self, kinds: &[StageFactory]) -> io::Result<Looked> {
        let (name, text) = if self.file.as_os_str() == "-" {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text)?;
            ("<stdin>".to_owned(), text)
        } else {
            (self.file.display().to_string(), std::fs::read_to_string(&self.file)?)
        };
        let settings = Settings { params: self.params.clone(), set: self.set.clone(), environment: false };
        let checked = check::check(&name, &text, kinds, &settings);
        Ok(Looked { name, text, checked })
    }

    /// The plan of the file; what is wrong with it goes to the standard error.
    ///
    /// # Errors
    /// The exit code, when there is no plan.
    pub(crate) fn plan(&self, kinds: &[StageFactory]) -> Result<Plan, Exit> {
        let looked = self.look(kinds).map_err(|error| could_not_look(&self.file, &error))?;
        let style = style(&io::stderr());
        eprint!("{}", looked.draw(style));
        looked.checked.plan.ok_or_else(|| {
            eprintln!("{}", verdict(&looked.checked.diagnostics, &looked.name));
            Exit::Failed
        })
    }
}

impl Looked {
    pub(crate) fn draw(&self, style: Style) -> String {
        self.checked.draw(&self.text, style)
    }
}

/// Says why a file could not be looked at; gives the exit code.
pub(crate) fn could_not_look(file: &std::path::Path, error: &io::Error) -> Exit {
    eprintln!("error: `{}` cannot be read: {error}", file.display());
    Exit::CouldNotLook
}

/// The last line of a check.
pub(crate) fn verdict(diagnostics: &[Diagnostic], name: &str) -> String {
    let many = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let code = diagnostics.first().map_or("", |d| d.code);
    match count(diagnostics) {
        (0, 0) => format!("{name}: fine"),
        (0, warnings) => format!("{name}: fine, with {}", many(warnings, "warning")),
        (errors, 0) => format!("{name}: {}; for more: `headwater explain {code}`", many(errors, "error")),
        (errors, warnings) => format!(
            "{name}: {} and {}; for more: `headwater explain {code}`",
            many(errors, "error"),
            many(warnings, "warning")
        ),
    }
}

/// Writes the answer of a verb. That it could not be written is remembered by the output, which says so at the end.
pub(crate) fn answer(out: &mut dyn Write, text: &str, code: Exit) -> Exit {
    let _ = out.write_all(text.as_bytes());
    code
}
