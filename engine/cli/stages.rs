//! The verb `stages`: what kinds there are, and how one is used.
//!
//! In: the kinds. Out: a list; or one kind with its ports, its options and lines to paste, all from the definitions that
//! `check` uses.

use std::io::Write;

use clap::Args;
use headwater_contract::{Input, LabelRule, OptionSpec, Output, Rows, Signature, StageFactory};
use headwater_runtime::check::column::type_name;
use headwater_runtime::check::similar::{all_of, nearest};

use crate::exit::Exit;
use crate::pipeline::answer;
use crate::table::align;

/// The arguments of the verb.
#[derive(Clone, Debug, Default, Args)]
pub struct StagesArgs {
    /// The kind to show; without it all are listed
    pub kind: Option<String>,
}

/// Lists the kinds, or shows one; gives the exit code.
pub fn run(args: &StagesArgs, kinds: &[StageFactory], out: &mut dyn Write) -> Exit {
    let Some(name) = &args.kind else { return answer(out, &list(kinds), Exit::Fine) };
    if let Some(kind) = kinds.iter().find(|k| k.name() == name) {
        return answer(out, &show(*kind), Exit::Fine);
    }
    let names = || kinds.iter().map(StageFactory::name);
    match nearest(name, names()) {
        Some(near) => eprintln!("error: there is no kind `{name}`; did you mean `{near}`?"),
        None => eprintln!("error: there is no kind `{name}`; there are {}", all_of(names())),
    }
    Exit::CouldNotLook
}

/// All kinds, one a line.
pub fn list(kinds: &[StageFactory]) -> String {
    let row = |kind: &StageFactory| {
        let what = if kind.is_source() { "source" } else { "stage" };
        vec![kind.name().to_owned(), what.to_owned(), one_line(kind.about())]
    };
    align(&kinds.iter().map(row).collect::<Vec<_>>())
        + "\n`headwater stages KIND` shows ports, options and lines to paste\n"
}

/// One kind: ports, options, and lines to paste.
pub fn show(kind: StageFactory) -> String {
    let mut text = format!("{}: {}\n", kind.name(), one_line(kind.about()));
    if let Some(role) = kind.sample() {
        text += "\nports\n";
        text += &indent(&ports(&role.signature(), kind.is_source()));
    }
    let options = kind.options();
    if !options.is_empty() {
        text += "\noptions\n";
        text += &options.iter().map(option).collect::<String>();
    }
    text + "\npaste\n" + &indent(&snippet(kind))
}

/// Lines to paste; an option that has no default, but that the kind misses all the same, is given too.
fn snippet(kind: StageFactory) -> String {
    let missed = kind.sample().map(|role| role.validate()).unwrap_or_default();
    missed.iter().fold(kind.snippet(kind.name()), |text, wrong| {
        text.replace(&format!("\n# {} = ", wrong.option), &format!("\n{} = ", wrong.option))
    })
}

fn ports(signature: &Signature, is_source: bool) -> String {
    let inputs = signature.inputs.iter().map(input_row);
    let outputs = signature.outputs.iter().map(|output| output_row(output, is_source));
    let rejected = vec!["out".into(), "rejected".into(), "rows that are rejected, with the reason".into()];
    align(&inputs.chain(outputs).chain([rejected]).collect::<Vec<_>>())
}

fn fields(fields: &[arrow::datatypes::Field]) -> String {
    let shown: Vec<String> =
        fields.iter().map(|f| format!("{} {}", f.name(), type_name(f.data_type()))).collect();
    shown.join(", ")
}

fn input_row(input: &Input) -> Vec<String> {
    let needs = match input.needs.as_slice() {
        [] => "any rows".to_owned(),
        needs => format!("needs {}", fields(needs)),
    };
    vec!["in".into(), input.name.to_string(), format!("{needs}; route: {}", input.routing)]
}

fn output_row(output: &Output, is_source: bool) -> Vec<String> {
    let mut parts = Vec::new();
    match &output.rows {
        Rows::Exactly(columns) if columns.is_empty() => parts.push("the identity of each row".to_owned()),
        Rows::Exactly(columns) => parts.push(fields(columns)),
        Rows::Input { minus, plus } => {
            parts.push("the rows of the input".to_owned());
            if !plus.is_empty() {
                parts.push(format!("with {}", fields(plus)));
            }
            if !minus.is_empty() {
                parts.push(format!("without {}", minus.join(", ")));
            }
        }
    }
    parts.push(match (output.label, is_source) {
        (LabelRule::Inherit, true) => "label: raw".into(),
        (LabelRule::Inherit, false) => "label: as its input".into(),
        (LabelRule::Recorded(_), _) => "label: as when it was recorded".into(),
        (LabelRule::Redactor, _) => "label: raw becomes redacted".into(),
        (LabelRule::Trainer, _) => "label: redacted becomes update".into(),
        (LabelRule::RootAggregate, _) => "label: update becomes public".into(),
    });
    if !output.required {
        parts.push("need not be read".into());
    }
    vec!["out".into(), output.name.to_string(), parts.join("; ")]
}

fn option(spec: &OptionSpec) -> String {
    let mut facts = vec![spec.shape.expected()];
    if let Some((low, high)) = spec.range {
        facts.push(format!("{low} to {high}"));
    }
    facts.extend(spec.unit.map(|unit| format!("in {unit}")));
    facts.push(match (&spec.default, spec.required) {
        (Some(default), _) => format!("default {default}"),
        (None, true) => "must be given".into(),
        (None, false) => "optional".into(),
    });
    format!("  {}\n      {}\n      {}\n", spec.name, one_line(&spec.meaning), facts.join("; "))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn indent(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".into() } else { format!("  {line}\n") }).collect()
}
