//! Stages as far as they can be understood one by one: id, kind, options, tier, what becomes of rejected rows.

use headwater_contract::{Role, Signature, StageFactory};

use super::similar::{nearest, one_of};
use super::{ids, options, tier};
use crate::diagnostic::{Diagnostic, Span};
use crate::pipeline::{Entry, Pipeline, StageTable};
use crate::plan::{OutPort, Tier};

/// A stage on its way into a plan.
pub(super) struct Draft<'p> {
    pub(super) table: &'p StageTable,
    pub(super) kind: Option<StageFactory>,
    /// The options, read; nothing when something is wrong with them.
    pub(super) role: Option<Role>,
    /// Its signature, as far as it is known in spite of mistakes.
    pub(super) signature: Option<Signature>,
    pub(super) tier: Option<Tier>,
    pub(super) drops_rejected: bool,
    pub(super) reads: Vec<Read>,
    /// Stages that were likely meant where a mistake hides what is read: they are not reported as unread.
    pub(super) meant: Vec<usize>,
}

/// That an input of a stage reads an output of another.
#[derive(Clone, Debug)]
pub(super) struct Read {
    /// Index of the input port.
    pub(super) input: usize,
    /// Index of the stage that is read.
    pub(super) stage: usize,
    /// The output; nothing when it is unknown.
    pub(super) port: Option<OutPort>,
    /// Where the file says so.
    pub(super) span: Span,
}

impl Draft<'_> {
    pub(super) fn id(&self) -> &str {
        &self.table.id
    }

    /// The name of an output as diagnostics write it: `mic.out`.
    pub(super) fn port_name(&self, port: OutPort) -> String {
        let name = match port {
            OutPort::Rejected => headwater_contract::signature::REJECTED,
            OutPort::Out(at) => {
                let output = self.signature.as_ref().and_then(|s| s.outputs.get(at));
                output.map_or("?", |output| output.name.as_ref())
            }
        };
        format!("{}.{name}", self.id())
    }

    /// Returns true if an input takes what comes back over a cycle.
    pub(super) fn is_feedback(&self, input: usize) -> bool {
        self.signature.as_ref().and_then(|s| s.inputs.get(input)).is_some_and(|i| i.feedback)
    }

    /// The stages that must be known before this one: all that it reads, but for feedback.
    pub(super) fn needs(&self) -> impl Iterator<Item = &Read> {
        self.reads.iter().filter(|read| !self.is_feedback(read.input))
    }

    /// The name of an input as diagnostics write it: `asr.in`.
    pub(super) fn input_name(&self, input: usize) -> String {
        let found = self.signature.as_ref().and_then(|s| s.inputs.get(input));
        format!("{}.{}", self.id(), found.map_or("in", |input| input.name.as_ref()))
    }
}

/// Reads every stage by itself.
pub(super) fn read<'p>(pipeline: &'p Pipeline, kinds: &[StageFactory]) -> (Vec<Draft<'p>>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let drafts = pipeline.stages.iter().map(|table| one(table, kinds, &mut found)).collect();
    (drafts, found)
}

fn one<'p>(table: &'p StageTable, kinds: &[StageFactory], found: &mut Vec<Diagnostic>) -> Draft<'p> {
    found.extend(ids::wrong_id("stage", &table.id, &table.id_span));
    let kind = match kind(table, kinds) {
        Ok(kind) => kind,
        Err(error) => {
            found.push(error);
            None
        }
    };
    let understood = kind.map(|kind| options::read(table, kind)).unwrap_or_default();
    found.extend(understood.diagnostics);
    let mut draft = Draft {
        table,
        kind,
        role: understood.role,
        signature: understood.signature,
        tier: None,
        drops_rejected: false,
        reads: Vec::new(),
        meant: Vec::new(),
    };
    if let Some(entry) = table.tier.as_ref().filter(|e| !e.node.is_template()) {
        match tier::read("tier", &entry.node) {
            Ok(tier) => draft.tier = Some(tier),
            Err(error) => found.push(error),
        }
    }
    if let Some(entry) = table.rejected.as_ref().filter(|e| !e.node.is_template()) {
        draft.drops_rejected = entry.node.as_str() == Some("drop");
        if !draft.drops_rejected {
            found.push(wrong_rejected(entry, table));
        }
    }
    draft
}

fn wrong_rejected(entry: &Entry, table: &StageTable) -> Diagnostic {
    let what = match entry.node.as_str() {
        Some(word) => format!("`rejected` cannot be {word:?}"),
        None => format!("`rejected` is {}", entry.node.type_name()),
    };
    entry.node.error("H0005", what).expected("\"drop\"").help(format!(
        "leave it out to keep rejected rows in the quarantine, or read them: `from = \"{}.rejected\"`",
        table.id
    ))
}

fn kind(table: &StageTable, kinds: &[StageFactory]) -> Result<Option<StageFactory>, Diagnostic> {
    let names = || kinds.iter().map(StageFactory::name);
    let Some(entry) = &table.kind else {
        let error = Diagnostic::at("H0202", format!("the stage `{}` has no type", table.id), &table.id_span);
        let error = error.expected("a line such as `type = \"capture\"` below");
        return Err(error.help(format!("its type is {}", one_of(names()))));
    };
    let Some(name) = entry.node.as_str() else {
        let error = entry.node.error("H0005", format!("`type` is {}", entry.node.type_name()));
        return Err(error.expected("a string").help(format!("it is {}", one_of(names()))));
    };
    if entry.node.is_template() {
        return Ok(None);
    }
    if let Some(kind) = kinds.iter().find(|k| k.name() == name) {
        return Ok(Some(*kind));
    }
    let error = entry.node.error("H0201", format!("unknown stage type `{name}`"));
    Err(match nearest(name, names()) {
        Some(near) => {
            error.suggest(format!("did you mean `{near}`?"), &entry.node.span, format!("\"{near}\""))
        }
        None => error.expected(one_of(names())),
    })
}
