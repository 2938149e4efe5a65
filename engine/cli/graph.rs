//! The verb `graph`: a picture of a pipeline.
//!
//! In: a file. Out: Mermaid or SVG, stages as boxes, rows as lines in the colour of their privacy label.

mod layout;
mod mermaid;
mod svg;

use std::io::Write;

use clap::{Args, ValueEnum};
use headwater_contract::{Label, StageFactory};
use headwater_runtime::plan::{OutPort, Plan, PlanInput};

use crate::exit::Exit;
use crate::pipeline::{PipelineArgs, answer};

pub use mermaid::mermaid;
pub use svg::svg;

/// The form of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text that GitHub and many editors draw
    #[default]
    Mermaid,
    /// A picture
    Svg,
}

/// The arguments of the verb.
#[derive(Clone, Debug, Default, Args)]
pub struct GraphArgs {
    /// The pipeline.
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    /// Form of the picture
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Draws a pipeline file; gives the exit code.
pub fn run(args: &GraphArgs, kinds: &[StageFactory], out: &mut dyn Write) -> Exit {
    let plan = match args.pipeline.plan(kinds) {
        Ok(plan) => plan,
        Err(code) => return code,
    };
    let text = match args.format {
        Format::Mermaid => mermaid(&plan),
        Format::Svg => svg(&plan),
    };
    answer(out, &text, Exit::Fine)
}

/// Rows that flow from one stage to another.
struct Edge {
    from: usize,
    to: usize,
    label: Label,
    /// The texts at the line, one each: the port's name where it is not the usual one, the columns of the members.
    texts: Vec<String>,
    /// True if its rows are feedback: it closes a cycle.
    back: bool,
}

fn edges(plan: &Plan) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (to, stage) in plan.stages.iter().enumerate() {
        for (at, input) in stage.inputs.iter().enumerate() {
            for port in &input.from {
                let from = port.stage;
                let Some(upstream) = plan.stages.get(from) else { continue };
                let output = match port.port {
                    OutPort::Out(out) => upstream.outputs.get(out).map(|o| (o.name.as_str(), o.label)),
                    OutPort::Rejected => Some(("rejected", upstream.input_label())),
                };
                let (name, label) = output.unwrap_or(("", input.label));
                let named = if port.port == OutPort::Out(0) { "" } else { name };
                let target = if at == 0 { String::new() } else { format!("to {}", input.name) };
                let port = format!("{named} {target}").trim().to_owned();
                let texts = std::iter::once(port).chain(joined(plan, input)).filter(|text| !text.is_empty());
                // Stages stand in the order of the flow, so that a line to an earlier one closes a cycle.
                edges.push(Edge { from, to, label, texts: texts.collect(), back: to <= from });
            }
        }
    }
    edges
}

/// The columns that an input gets from the members: `joined: gateway`.
fn joined(plan: &Plan, input: &PlanInput) -> Option<String> {
    let names = plan.members.as_ref().zip(input.asks.as_ref()).map(|(members, asks)| members.names(asks));
    names.filter(|names| !names.is_empty()).map(|names| format!("joined: {}", names.join(", ")))
}

/// The colour of a label: from warm to cool as rows get less private.
fn colour(label: Label) -> &'static str {
    match label {
        Label::Raw => "#c0392b",
        Label::Redacted => "#b9770e",
        Label::Update => "#2471a3",
        Label::Public => "#1e8449",
    }
}
