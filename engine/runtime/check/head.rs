//! `[pipeline]`: the name, the rule that closes epochs, the number of epochs in flight.

use std::time::Duration;

use headwater_contract::units::{Bytes, parse_duration};

use super::ids::is_pipeline_name;
use super::similar::{all_of, nearest};
use crate::commit::CommitRule;
use crate::diagnostic::Diagnostic;
use crate::pipeline::{Entry, Node, Pipeline, Value};
use crate::plan::{EpochRule, RoundRule};

/// The keys of `[pipeline]`, for people: what they mean, their form, their default.
pub const KEYS: [(&str, &str, &str); 7] = [
    ("name", "The pipeline's name, and the name of its state folder.", ""),
    (
        "epoch",
        "How input is cut into epochs: after so many rows, or after so much captured time.",
        "{ rows = 64 }",
    ),
    (
        "round",
        "When a round of training ends: after so many epochs, so many rows, or so much captured time. Without it, with the input.",
        "",
    ),
    ("window", "How many epochs are in flight at once.", "4"),
    (
        "commit",
        "How often what a run has done is made durable: after so many epochs, or so much time. What is not is done again after a crash.",
        "{ every = \"1s\" }",
    ),
    (
        "record",
        "Whether every run is recorded, to be played again: true for what the sources give, or a list of ports.",
        "false",
    ),
    ("epoch_bytes", "An epoch is closed before it holds more than this.", "\"64MiB\""),
];

/// The values of `[pipeline]`, with defaults filled in.
pub(super) struct Head {
    pub(super) name: String,
    pub(super) epoch: EpochRule,
    pub(super) round: Option<RoundRule>,
    pub(super) window: u64,
    pub(super) commit: CommitRule,
    pub(super) epoch_bytes: Bytes,
}

impl Default for Head {
    fn default() -> Self {
        Head {
            name: String::new(),
            epoch: EpochRule::Rows(64),
            round: None,
            window: 4,
            commit: CommitRule::default(),
            epoch_bytes: Bytes(64 << 20),
        }
    }
}

type Read<T> = Result<T, Diagnostic>;

pub(super) fn read(pipeline: &Pipeline) -> (Head, Vec<Diagnostic>) {
    let mut head = Head::default();
    let mut found = Vec::new();
    for entry in &pipeline.head {
        let read = match entry.key.as_str() {
            "name" => name(&entry.node).map(|name| head.name = name),
            "epoch" => epoch(&entry.node).map(|epoch| head.epoch = epoch),
            "round" => round(entry, &mut found).map(|round| head.round = Some(round)),
            "window" => window(entry, &mut found).map(|window| head.window = window),
            "commit" => commit(&entry.node).map(|commit| head.commit = commit),
            // Which ports there are is known later.
            "record" => Ok(()),
            "epoch_bytes" => bytes(&entry.node).map(|bytes| head.epoch_bytes = bytes),
            _ => Err(unknown(entry)),
        };
        found.extend(read.err());
    }
    if !pipeline.head.iter().any(|e| e.key == "name") {
        found.push(nameless(pipeline));
    }
    if pipeline.stages.is_empty() {
        let at = pipeline.head_span.clone().unwrap_or(0..0);
        let error = Diagnostic::at("H0008", "the pipeline has no stage", &at);
        found.push(error.help("begin with a source: a table [stage.ID] whose `type` takes rows in"));
    }
    (head, found)
}

fn nameless(pipeline: &Pipeline) -> Diagnostic {
    match &pipeline.head_span {
        Some(span) => Diagnostic::at("H0004", "the pipeline has no name", span)
            .expected("a line such as `name = \"quickstart\"` below"),
        None => Diagnostic::at("H0004", "the pipeline has no name", &(0..0)).suggest(
            "begin the file with a table [pipeline]",
            &(0..0),
            "[pipeline]\nname = \"quickstart\"\n\n",
        ),
    }
}

fn unknown(entry: &Entry) -> Diagnostic {
    let names = KEYS.map(|(name, ..)| name);
    let error = entry.key_error("H0003", format!("unknown key `{}` in [pipeline]", entry.key));
    match nearest(&entry.key, names) {
        Some(near) if entry.node.is_written() => {
            error.suggest(format!("did you mean `{near}`?"), &entry.key_span, near)
        }
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!("its keys are {}", all_of(names))),
    }
}

fn text<'n>(key: &str, node: &'n Node, expected: &str) -> Read<&'n str> {
    node.as_str().ok_or_else(|| wrong_type(key, node, expected))
}

fn wrong_type(key: &str, node: &Node, expected: &str) -> Diagnostic {
    node.error("H0005", format!("`{key}` is {}", node.type_name())).expected(expected)
}

fn name(node: &Node) -> Read<String> {
    let name = text("name", node, "a string such as \"quickstart\"")?;
    if node.is_unknown() || is_pipeline_name(name) {
        return Ok(name.to_owned());
    }
    Err(node
        .error("H0007", "this cannot be the name of a pipeline")
        .expected("1 to 64 letters, digits, `-`, `_` or `.`, a letter or digit first")
        .note("it also names the folder of the pipeline's state"))
}

const EPOCH_FORM: &str = "{ rows = 64 } or { every = \"10s\" }";

fn epoch(node: &Node) -> Read<EpochRule> {
    let entry = only_entry("epoch", node, &["rows", "every"], EPOCH_FORM)?;
    match entry.key.as_str() {
        "rows" => Ok(EpochRule::Rows(at_least_one("rows", &entry.node)?)),
        _ => every(&entry.node, "an epoch").map(EpochRule::Every),
    }
}

const COMMIT_FORM: &str = "{ epochs = 16 } or { every = \"1s\" }";

fn commit(node: &Node) -> Read<CommitRule> {
    let entry = only_entry("commit", node, &["epochs", "every"], COMMIT_FORM)?;
    match entry.key.as_str() {
        "epochs" => Ok(CommitRule::Epochs(at_least_one("epochs", &entry.node)?)),
        _ => every(&entry.node, "a commit").map(CommitRule::Every),
    }
}

const ROUND_FORM: &str = "{ epochs = 8 }, { rows = 256 } or { every = \"24h\" }";

fn round(entry: &Entry, found: &mut Vec<Diagnostic>) -> Read<RoundRule> {
    let only = only_entry("round", &entry.node, &["epochs", "rows", "every"], ROUND_FORM)?;
    match only.key.as_str() {
        "epochs" => {
            let epochs = at_least_one("epochs", &only.node)?;
            if epochs == 1 {
                let warning = only
                    .node
                    .error("H0009", "with rounds of one epoch training waits for itself")
                    .expected("2 or more epochs, so that one round is worked on while the next is collected");
                found.push(warning.warning());
            }
            Ok(RoundRule::Epochs(epochs))
        }
        "rows" => Ok(RoundRule::Rows(at_least_one("rows", &only.node)?)),
        _ => every(&only.node, "a round").map(RoundRule::Every),
    }
}

/// The only entry of a table, whose key must be one of these.
fn only_entry<'n>(key: &str, node: &'n Node, keys: &[&'static str], form: &str) -> Read<&'n Entry> {
    let Value::Table(entries) = &node.value else { return Err(wrong_type(key, node, form)) };
    let [entry] = entries.as_slice() else {
        let what = if entries.is_empty() { "nothing" } else { "two things" };
        return Err(node.error("H0006", format!("`{key}` says {what}")).expected(form));
    };
    if keys.contains(&entry.key.as_str()) {
        return Ok(entry);
    }
    let error = entry.key_error("H0003", format!("unknown key `{}` in `{key}`", entry.key));
    Err(match nearest(&entry.key, keys.iter().copied()) {
        Some(near) if node.is_written() => {
            error.suggest(format!("did you mean `{near}`?"), &entry.key_span, near)
        }
        _ => error.expected(form),
    })
}

fn every(node: &Node, what: &str) -> Read<Duration> {
    let form = "a time such as \"500ms\", \"10s\", \"5m\" or \"24h\"";
    let written = text("every", node, form)?;
    if node.is_unknown() {
        return Ok(Duration::from_secs(1));
    }
    match parse_duration(written) {
        Err(_) => Err(node.error("H0006", "`every` is not a time").expected(form)),
        Ok(time) if time < Duration::from_millis(1) => {
            Err(node.error("H0006", format!("{what} of no time")).expected("1ms or more"))
        }
        Ok(time) => Ok(time),
    }
}

fn at_least_one(key: &str, node: &Node) -> Read<u64> {
    match &node.value {
        Value::Integer(number) => match u64::try_from(*number) {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(node.error("H0006", format!("`{key}` is too small")).expected("1 or more")),
        },
        Value::Huge(_) => {
            Err(node.error("H0006", format!("`{key}` is too large")).expected("at most 2^63 - 1"))
        }
        _ => Err(wrong_type(key, node, "a whole number, 1 or more")),
    }
}

fn window(entry: &Entry, found: &mut Vec<Diagnostic>) -> Read<u64> {
    let window = at_least_one("window", &entry.node)?;
    if window == 1 {
        let warning = entry
            .node
            .error("H0009", "with a window of 1 every stage waits for all others")
            .expected("2 or more epochs in flight, so that stages work at the same time");
        found.push(warning.warning());
    }
    Ok(window)
}

fn bytes(node: &Node) -> Read<Bytes> {
    let form = "a size such as \"64KiB\", \"16MiB\" or \"2GB\"";
    let written = text("epoch_bytes", node, form)?;
    if node.is_unknown() {
        return Ok(Bytes(64 << 20));
    }
    match Bytes::parse(written) {
        Err(_) => Err(node.error("H0006", "`epoch_bytes` is not a size").expected(form)),
        Ok(Bytes(0)) => Err(node.error("H0006", "an epoch of no bytes").expected("1B or more")),
        Ok(bytes) => Ok(bytes),
    }
}
