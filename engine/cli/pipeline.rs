//! The pipeline file that a verb looks at.
//!
//! In: a path, or `-` for the standard input, and what the command line adds to it. Out: the text and what the check says.

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;

use clap::{Args, ValueHint};
use headwater_contract::Kind;
use headwater_runtime::check::{self, Checked, Settings};
use headwater_runtime::diagnostic::{Diagnostic, Style, count, render};
use headwater_runtime::plan::Plan;

/// Exit code: nothing is wrong.
pub(crate) const FINE: u8 = 0;
/// Exit code: mistakes were found.
pub(crate) const MISTAKES: u8 = 1;
/// Exit code: there was nothing to look at.
pub(crate) const COULD_NOT_LOOK: u8 = 2;

/// A pipeline file, and what the command line adds to it.
#[derive(Clone, Debug, Default, Args)]
pub struct PipelineArgs {
    /// The pipeline file; `-` reads the standard input
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
    pub(crate) fn look(&self, kinds: &[Kind]) -> io::Result<Looked> {
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
    pub(crate) fn plan(&self, kinds: &[Kind]) -> Result<Plan, u8> {
        let looked = self.look(kinds).map_err(|error| could_not_look(&self.file, &error))?;
        let style = style(&io::stderr());
        eprint!("{}", looked.draw(style));
        looked.checked.plan.ok_or_else(|| {
            eprintln!("{}", verdict(&looked.checked.diagnostics, &looked.name));
            MISTAKES
        })
    }
}

impl Looked {
    pub(crate) fn draw(&self, style: Style) -> String {
        render(&self.checked.diagnostics, &self.name, &self.text, style)
    }
}

/// Says why a file could not be looked at; gives the exit code.
pub(crate) fn could_not_look(file: &std::path::Path, error: &io::Error) -> u8 {
    eprintln!("error: `{}` cannot be read: {error}", file.display());
    COULD_NOT_LOOK
}

/// Colours on a terminal, unless NO_COLOR is set.
pub(crate) fn style(to: &impl IsTerminal) -> Style {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && to.is_terminal() { Style::Coloured } else { Style::Plain }
}

/// The last line of a check.
pub(crate) fn verdict(diagnostics: &[Diagnostic], name: &str) -> String {
    let many = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let code = diagnostics.first().map_or("", |d| d.code);
    match count(diagnostics) {
        (0, 0) => format!("{name}: fine"),
        (0, warnings) => format!("{name}: fine, with {}", many(warnings, "warning")),
        (errors, 0) => format!("{name}: {}; `headwater explain {code}` tells more", many(errors, "error")),
        (errors, warnings) => format!(
            "{name}: {} and {}; `headwater explain {code}` tells more",
            many(errors, "error"),
            many(warnings, "warning")
        ),
    }
}

/// Writes the answer of a verb. A reader that went away (`| head`) is no failure.
pub(crate) fn answer(out: &mut dyn Write, text: &str, code: u8) -> u8 {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("error: {error}");
            COULD_NOT_LOOK
        }
        _ => code,
    }
}
