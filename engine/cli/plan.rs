//! The verb `plan`: what a pipeline is, port by port.
//!
//! In: a file. Out: a table of stages, ports, routes, labels and columns. A label that a stage lowers is shown with what it was.

use std::io::Write;

use arrow::datatypes::Schema;
use clap::Args;
use headwater_contract::units::show_duration;
use headwater_contract::{Order, StageFactory, Work, identity};
use headwater_runtime::check::column::type_name;
use headwater_runtime::membership::members::{MemberSource, Members};
use headwater_runtime::plan::{EpochRule, Plan, PlanInput, PlanStage, RejectedTo, RoundRule};

use crate::exit::Exit;
use crate::pipeline::{PipelineArgs, answer};
use crate::table::align;

/// The arguments of the verb.
#[derive(Clone, Debug, Default, Args)]
pub struct PlanArgs {
    /// The pipeline.
    #[command(flatten)]
    pub pipeline: PipelineArgs,
}

/// Shows the plan of a pipeline file; gives the exit code.
pub fn run(args: &PlanArgs, kinds: &[StageFactory], out: &mut dyn Write) -> Exit {
    match args.pipeline.plan(kinds) {
        Ok(plan) => answer(out, &describe(&plan), Exit::Fine),
        Err(code) => code,
    }
}

/// A plan in words.
pub fn describe(plan: &Plan) -> String {
    let epoch = match plan.epoch {
        EpochRule::Rows(1) => "1 row".to_owned(),
        EpochRule::Rows(rows) => format!("{rows} rows"),
        EpochRule::Every(time) => show_duration(time),
    };
    let round = match plan.round {
        None => String::new(),
        Some(RoundRule::Epochs(epochs)) => format!(", rounds of {epochs} epochs"),
        Some(RoundRule::Rows(rows)) => format!(", rounds of {rows} rows"),
        Some(RoundRule::Every(time)) => format!(", rounds of {}", show_duration(time)),
    };
    let head = format!(
        "pipeline {}: epochs of {epoch}, of at most {} each, {} in flight{round}\n\n",
        plan.name, plan.epoch_bytes, plan.window
    );
    let members = plan.members.as_ref().map(|members| members_line(plan, members)).unwrap_or_default();
    let titles = ["stage", "type", "tier", "port", "route", "label", "columns"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> =
        std::iter::once(titles).chain(plan.stages.iter().flat_map(|stage| lines(plan, stage))).collect();
    let names: Vec<String> = identity::fields().iter().map(|f| f.name().clone()).collect();
    head + &members + &align(&rows) + &format!("\nevery row also carries {}\n", names.join(", "))
}

/// Returns the line about the members and their changes.
fn members_line(plan: &Plan, members: &Members) -> String {
    let given = match &members.given {
        MemberSource::Table(path) => path.display().to_string(),
        MemberSource::Devices(devices) => format!("{} in the file", devices.len()),
    };
    let changes = match (members.changes, plan.round) {
        (None, _) => String::new(),
        (Some(port), None) => format!(", changed by {} from the next epoch on", plan.port_name(port)),
        (Some(port), Some(_)) => format!(", changed by {} from the next round on", plan.port_name(port)),
    };
    let asked = plan.stages.iter().flat_map(|stage| &stage.inputs).any(|input| input.asks.is_some());
    let unasked = if asked { "" } else { "; no input asks for them, so rows of all devices pass" };
    format!("members: {given}{changes}{unasked}\n\n")
}

fn lines(plan: &Plan, stage: &PlanStage) -> Vec<Vec<String>> {
    let mut ports: Vec<[String; 4]> =
        stage.inputs.iter().enumerate().map(|(at, input)| input_line(plan, stage, at, input)).collect();
    for output in &stage.outputs {
        let was = stage.input_label();
        let lowers = was > output.label && !stage.inputs.is_empty();
        let label = if lowers { format!("{was} -> {}", output.label) } else { output.label.to_string() };
        let unread = if output.read { "" } else { "(unread)" };
        ports.push([output.name.clone(), unread.to_owned(), label, columns(&output.schema)]);
    }
    let to = match stage.rejected_to {
        RejectedTo::Readers => "",
        RejectedTo::Quarantine => "to quarantine",
        RejectedTo::Drop => "dropped",
    };
    ports.push(["rejected".into(), to.into(), stage.input_label().to_string(), String::new()]);
    let blank = std::iter::repeat_n([String::new(), String::new(), String::new()], ports.len());
    let named = [stage.id.clone(), stage.kind.name().to_owned(), stage.tier.to_string()];
    let left = std::iter::once(named).chain(blank);
    left.zip(ports).map(|(left, right)| left.into_iter().chain(right).collect()).collect()
}

fn input_line(plan: &Plan, stage: &PlanStage, at: usize, input: &PlanInput) -> [String; 4] {
    let from: Vec<String> = input.from.iter().map(|port| plan.port_name(*port)).collect();
    let declared = stage.signature.inputs.get(at);
    let mut route = declared.map(|i| i.routing.to_string()).unwrap_or_default();
    if stage.signature.order == Order::Sorted {
        route += ", sorted";
    }
    match stage.signature.work {
        Work::Pool(threads) => route = format!("{route}, {threads} threads"),
        Work::Thread => route += ", own thread",
        Work::Inline => (),
    }
    if declared.is_some_and(|i| i.feedback) {
        route += ", comes back";
    }
    if let (Some(members), Some(asks)) = (&plan.members, &input.asks) {
        let joined = members.names(asks).join(", ");
        route += &if joined.is_empty() { ", members only".to_owned() } else { format!(", joined: {joined}") };
    }
    [
        format!("{} <- {}", input.name, from.join(" + ")),
        route,
        input.label.to_string(),
        columns(&input.schema),
    ]
}

/// The columns beside the identity, with their types.
fn columns(schema: &Schema) -> String {
    let known = identity::fields();
    let own = schema.fields().iter().filter(|f| !known.iter().any(|k| k.name() == f.name()));
    let shown: Vec<String> = own
        .map(|f| {
            format!("{} {}{}", f.name(), type_name(f.data_type()), if f.is_nullable() { "?" } else { "" })
        })
        .collect();
    shown.join(", ")
}
