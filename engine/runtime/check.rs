//! The check: everything that is wrong with a pipeline file at once, or a plan.
//!
//! In: the text of a pipeline file, the kinds there are, what the command line says. Out: diagnostics in the order of the file
//! and, when none of them is an error, a [`Plan`]. It reads no file, no model and no network, and the environment only when
//! asked to: a check gives the same answer everywhere. It must not know any kind by name.

#![allow(
    clippy::result_large_err,
    reason = "a check's errors are its results: each is made once and moved into a list"
)]

mod assemble;
pub mod cases;
pub mod column;
mod draft;
mod flow;
mod folders;
mod forgetting;
mod head;
pub mod ids;
mod members;
mod options;
mod order;
mod probe;
mod record;
mod set;
pub mod similar;
mod tier;
mod unread;
mod wiring;

pub use head::KEYS as HEAD_KEYS;
use headwater_contract::StageFactory;
pub use members::KEYS as MEMBERS_KEYS;

use crate::case::Case;
use crate::diagnostic::{Diagnostic, Style, render, to_json};
use crate::params::{self, Environment, ParamSources};
use crate::pipeline::{self, Parsed};
use crate::plan::Plan;

/// The additions of the command line to a pipeline file. Stronger and stronger: file, params, `--set`.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The values of `--param NAME=VALUE`, in order.
    pub params: Vec<(String, String)>,
    /// The values of `--set stage.ID.OPTION=VALUE`, in order.
    pub set: Vec<(String, String)>,
    /// True if params may read the environment and must have a value: a run does, a check does not.
    pub environment: bool,
}

/// The result of a check.
pub struct Checked {
    /// The name of the file in diagnostics.
    pub file: String,
    /// The plan, when there is no error. A check without the environment may lack it without any error: it then warns that
    /// a param decides what a stage gives.
    pub plan: Option<Plan>,
    /// The tests of the file: those that could be read.
    pub tests: Vec<Case>,
    /// Errors and warnings, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

impl Checked {
    /// Returns true if the pipeline cannot run.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// Draws all diagnostics, each with the lines of the text that it speaks of.
    pub fn draw(&self, text: &str, style: Style) -> String {
        render(&self.diagnostics, &self.file, text, style)
    }
}

/// Checks a pipeline file. `file_name` is only what diagnostics will call it.
pub fn check(file_name: &str, text: &str, kinds: &[StageFactory], settings: &Settings) -> Checked {
    let read = |name: &str| std::env::var(name).ok();
    let environment: Option<&Environment<'_>> = if settings.environment { Some(&read) } else { None };
    check_with(file_name, text, kinds, settings, environment)
}

/// The same over any environment.
fn check_with(
    file_name: &str,
    text: &str,
    kinds: &[StageFactory],
    settings: &Settings,
    environment: Option<&Environment<'_>>,
) -> Checked {
    let parsed = pipeline::parse(text);
    let holes = Holes::of(&parsed, text);
    let Parsed { mut pipeline, mut diagnostics } = parsed;
    let given = ParamSources { arguments: &settings.params, environment };
    diagnostics.extend(params::substitute(&mut pipeline, text, &given));
    diagnostics.extend(set::apply(&mut pipeline, kinds, &settings.set));

    let (head, wrong_head) = head::read(&pipeline);
    diagnostics.extend(wrong_head);
    let (reach, wrong_privacy) = tier::reach(&pipeline.privacy);
    diagnostics.extend(wrong_privacy);
    let (mut drafts, wrong_stages) = draft::read(&pipeline, kinds);
    diagnostics.extend(wrong_stages);
    diagnostics.extend(wiring::connect(&mut drafts));
    let (members, wrong_members) = members::read(&pipeline, &mut drafts);
    diagnostics.extend(wrong_members);
    let (record, wrong_record) = record::read(&pipeline, &drafts);
    diagnostics.extend(wrong_record);
    let (order, cycles) = order::sort(&drafts);
    diagnostics.extend(cycles);
    let changes = members.as_ref().and_then(|m| m.changes.as_ref());
    let (flows, wrong_flows) = flow::follow(&drafts, &order, kinds, (reach, members.as_ref()));
    diagnostics.extend(wrong_flows);
    diagnostics.extend(forgetting::tell(&drafts, &order, members.as_ref().and_then(|m| m.forget.as_ref())));
    diagnostics.extend(folders::tell(&drafts));
    let (tests, wrong_tests) = cases::read(&pipeline, &drafts, &flows);
    diagnostics.extend(wrong_tests);
    diagnostics.extend(unread::tell(&drafts, changes, unread::lost(&diagnostics)));

    holes.hide_confusion(&mut diagnostics);
    let fine = !diagnostics.iter().any(Diagnostic::is_error);
    // What a check cannot decide is of no interest while something is wrong.
    diagnostics.retain(|d| fine || d.code != "H0108");
    diagnostics.sort_by_key(|d| (d.start(), d.code));
    let plan = if fine { assemble::plan(head, drafts, &order, flows, members, record) } else { None };
    Checked { file: file_name.to_owned(), plan, tests, diagnostics }
}

/// Checks any bytes and draws the answer: what a fuzzer calls. It must return, whatever the bytes are.
pub fn fuzz_pipeline(bytes: &[u8], kinds: &[StageFactory]) {
    let text = String::from_utf8_lossy(bytes);
    let checked = check("fuzz", &text, kinds, &Settings::default());
    let drawn = checked.draw(&text, Style::Coloured);
    let listed = to_json(&checked.diagnostics, &checked.file, &text);
    debug_assert!(checked.diagnostics.is_empty() || !drawn.is_empty() && listed.is_object());
    debug_assert!(checked.plan.is_none() || !checked.has_errors());
}

/// The lines and tables that could not be read: what seems to be missing elsewhere may stand there.
struct Holes<'t> {
    text: &'t str,
    /// Where lines begin to be unreadable.
    lines: Vec<usize>,
    /// True if whole tables are lost.
    tables: bool,
}

/// Codes that say that something is not there.
const ABSENCES: [&str; 10] =
    ["H0004", "H0008", "H0101", "H0102", "H0202", "H0206", "H0301", "H0303", "H0310", "H0602"];

/// Codes that say that a table, or a use of it, is not there.
const ABSENT_TABLES: [&str; 7] = ["H0004", "H0008", "H0101", "H0102", "H0301", "H0310", "H0602"];

impl<'t> Holes<'t> {
    fn of(parsed: &Parsed, text: &'t str) -> Self {
        let unreadable = parsed.diagnostics.iter().filter(|d| d.code == "H0001");
        let lines: Vec<usize> = unreadable.map(Diagnostic::start).collect();
        let tables = parsed.diagnostics.iter().any(|d| match d.code {
            "H0002" => !d.message.starts_with("the key"),
            "H0003" => d.suggestion.is_some(),
            code => code == "H0005",
        });
        Holes { text, lines, tables }
    }

    fn hide_confusion(&self, diagnostics: &mut Vec<Diagnostic>) {
        diagnostics.retain(|d| {
            let on_line = self.lines.iter().any(|at| pipeline::same_line(self.text, *at, d.start()));
            let in_line = !self.lines.is_empty() && ABSENCES.contains(&d.code);
            let in_table = self.tables && ABSENT_TABLES.contains(&d.code);
            d.code == "H0001" || !(on_line || in_line || in_table)
        });
    }
}

#[cfg(test)]
mod tests;
