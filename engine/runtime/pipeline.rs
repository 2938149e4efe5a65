//! TOML to a spanned [`Pipeline`].
//!
//! In: the text of a pipeline file. Out: what could be read of it, every value with its place, and what is wrong with its
//! form. Parsing never fails. It must not know any kind of stage: options are kept as they are written.

pub mod node;
mod syntax;

pub use node::{Entry, Node, Origin, ParamUse, Value};

use crate::check::HEAD_KEYS;
use crate::check::similar::nearest;
use crate::diagnostic::{Diagnostic, Span};

/// A pipeline file, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pipeline {
    /// Where `[pipeline]` stands.
    pub head_span: Option<Span>,
    /// The keys of `[pipeline]`.
    pub head: Vec<Entry>,
    /// The entries of `[params]`.
    pub params: Vec<Entry>,
    /// The keys of `[privacy]`.
    pub privacy: Vec<Entry>,
    /// Where `[members]` stands.
    pub members_span: Option<Span>,
    /// The keys of `[members]`.
    pub members: Vec<Entry>,
    /// The stages, in the order of the file.
    pub stages: Vec<StageTable>,
    /// The tables `[[test]]`: each a node with its entries.
    pub tests: Vec<Node>,
}

/// The table of one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageTable {
    /// Its id.
    pub id: String,
    /// Where the id stands.
    pub id_span: Span,
    /// Its kind: `type = "..."`.
    pub kind: Option<Entry>,
    /// The ports that it reads: `from = ...`.
    pub from: Option<Entry>,
    /// The ports that come back to it: `feedback = ...`.
    pub feedback: Option<Entry>,
    /// Where it belongs: `tier = "..."`.
    pub tier: Option<Entry>,
    /// The destination of rejected rows: `rejected = "drop"`.
    pub rejected: Option<Entry>,
    /// All other keys: the options of its kind.
    pub options: Vec<Entry>,
}

/// The keys of a stage that wire it, whatever its kind.
pub const STAGE_KEYS: [&str; 5] = ["type", "from", "feedback", "tier", "rejected"];

const TABLES: [&str; 6] = ["pipeline", "params", "privacy", "members", "stage", "test"];

/// The tables that could be read, and the errors of the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The pipeline, as far as it could be read.
    pub pipeline: Pipeline,
    /// The errors in the form of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Returns true if two places are on one line of the text.
pub fn same_line(text: &str, a: usize, b: usize) -> bool {
    syntax::same_line(text, a, b)
}

/// Reads a pipeline file.
pub fn parse(text: &str) -> Parsed {
    let (table, errors) = toml::de::DeTable::parse_recoverable(text);
    let tables = node::entries(table.get_ref());
    let mut parsed = Parsed { diagnostics: syntax::diagnose(&errors, text, &tables), ..Parsed::default() };
    for entry in tables {
        parsed.table(entry);
    }
    parsed
}

impl Parsed {
    fn table(&mut self, entry: Entry) {
        let Entry { key, key_span, node } = entry;
        if !TABLES.contains(&key.as_str()) {
            self.unknown_table(&key, &key_span, &node);
            return;
        }
        if key == "test" {
            return self.tests(node);
        }
        let Value::Table(entries) = node.value else {
            let message = format!("`{key}` is {}", node.type_name());
            let error = Diagnostic::at("H0005", message, &node.span).expected(format!("a table: [{key}]"));
            self.diagnostics.push(error);
            return;
        };
        match key.as_str() {
            "pipeline" => {
                self.pipeline.head_span = Some(key_span);
                self.pipeline.head = entries;
            }
            "params" => self.pipeline.params = entries,
            "privacy" => self.pipeline.privacy = entries,
            "members" => {
                self.pipeline.members_span = Some(key_span);
                self.pipeline.members = entries;
            }
            _ => entries.into_iter().for_each(|entry| self.stage(entry)),
        }
    }

    fn tests(&mut self, node: Node) {
        if let Value::Array(items) = &node.value
            && items.iter().all(|item| matches!(item.value, Value::Table(_)))
        {
            self.pipeline.tests.clone_from(items);
            return;
        }
        let error = Diagnostic::at("H0005", format!("`test` is {}", node.type_name()), &node.span);
        self.diagnostics.push(error.expected("tables: [[test]], one for each test"));
    }

    fn unknown_table(&mut self, key: &str, span: &Span, node: &Node) {
        if HEAD_KEYS.iter().any(|(name, ..)| *name == key) {
            self.outside_head(key, span);
            return;
        }
        let what = if matches!(node.value, Value::Table(_)) { "table" } else { "key" };
        let mut error = Diagnostic::at("H0003", format!("unknown {what} `{key}`"), span)
            .expected("[pipeline], [params], [privacy], [members], [stage.ID] or [[test]]");
        if let Some(near) = nearest(key, TABLES) {
            error = error.suggest(format!("did you mean `{near}`?"), span, near);
        } else if what == "key" {
            error =
                error.help("every key stands in a table: is a line such as `[pipeline]` missing above it?");
        } else if node_type(node).is_some() {
            error = error.suggest("is it a stage?", span, format!("stage.{key}"));
        }
        self.diagnostics.push(error);
    }

    fn outside_head(&mut self, key: &str, span: &Span) {
        let first = !self.diagnostics.iter().any(|d| d.suggestion.is_some() && d.code == "H0003");
        let error = Diagnostic::at("H0003", format!("`{key}` stands outside of [pipeline]"), span);
        let error = if first && self.pipeline.head_span.is_none() {
            error.suggest("write the table's name above it", &(span.start..span.start), "[pipeline]\n")
        } else {
            error
        };
        self.diagnostics.push(error);
    }

    fn stage(&mut self, entry: Entry) {
        let Value::Table(entries) = entry.node.value else {
            let message = format!("the stage `{}` is {}", entry.key, entry.node.type_name());
            let error = Diagnostic::at("H0005", message, &entry.node.span)
                .expected(format!("a table: [stage.{}]", entry.key));
            self.diagnostics.push(error);
            return;
        };
        let mut stage = StageTable {
            id: entry.key,
            id_span: entry.key_span,
            kind: None,
            from: None,
            feedback: None,
            tier: None,
            rejected: None,
            options: Vec::new(),
        };
        for entry in entries {
            match entry.key.as_str() {
                "type" => stage.kind = Some(entry),
                "from" => stage.from = Some(entry),
                "feedback" => stage.feedback = Some(entry),
                "tier" => stage.tier = Some(entry),
                "rejected" => stage.rejected = Some(entry),
                _ => stage.options.push(entry),
            }
        }
        self.pipeline.stages.push(stage);
    }
}

/// The `type` of a table, if it looks like a stage.
fn node_type(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Table(entries) => entries.iter().find(|e| e.key == "type").and_then(|e| e.node.as_str()),
        _ => None,
    }
}
