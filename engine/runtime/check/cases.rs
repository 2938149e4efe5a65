//! `[[test]]`: what is fed to stages and what must come of it, against the ports that there are.

mod expect;
mod rows;

use headwater_contract::signature::REJECTED;

use super::draft::Draft;
use super::flow::Flow;
use super::similar::{all_of, nearest, one_of};
use crate::case::{Case, FeedAt};
use crate::diagnostic::{Diagnostic, Span};
use crate::pipeline::{Entry, Node, Pipeline, Value};
use crate::plan::OutPort;

/// The keys of a test.
pub const KEYS: [(&str, &str); 5] = [
    ("name", "The test's name."),
    (
        "feed",
        "Rows in the place of what a stage gives: `feed.STAGE = [{ text = \"...\" }]`, or a file of JSON lines.",
    ),
    ("expect", "What must come: `expect.STAGE = { rows, match, none_match, count, schema }`."),
    ("params", "Values of params."),
    ("set", "Options: `set = { \"stage.ID.OPTION\" = \"VALUE\" }`."),
];

/// A place of a pipeline that a test names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Port(usize, OutPort),
    /// The rows that reach a stage that may end a pipeline.
    Arrivals(usize),
}

/// Reads all tests.
pub(super) fn read(
    pipeline: &Pipeline,
    drafts: &[Draft<'_>],
    flows: &[Flow],
) -> (Vec<Case>, Vec<Diagnostic>) {
    let mut reader = Reader { drafts, flows, found: Vec::new() };
    let mut cases: Vec<Case> = Vec::new();
    for node in &pipeline.tests {
        let Value::Table(entries) = &node.value else { continue };
        let case = reader.case(node, entries);
        if let Some(first) = cases.iter().find(|other| !case.name.is_empty() && other.name == case.name) {
            let error = Diagnostic::at("H0601", format!("two tests are called {:?}", case.name), &case.span);
            reader.found.push(
                error.label("again here").also(&first.span, "first here").help("give one another name"),
            );
        }
        cases.push(case);
    }
    (cases, reader.found)
}

struct Reader<'a, 'p> {
    drafts: &'a [Draft<'p>],
    flows: &'a [Flow],
    found: Vec<Diagnostic>,
}

impl Reader<'_, '_> {
    fn case(&mut self, node: &Node, entries: &[Entry]) -> Case {
        let mut case = Case {
            name: String::new(),
            span: node.span.clone(),
            feeds: Vec::new(),
            expects: Vec::new(),
            params: Vec::new(),
            set: Vec::new(),
        };
        let (mut fed, mut looked) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry.key.as_str() {
                "name" => {
                    case.span = entry.node.span.clone();
                    case.name = self.text(entry, "a string that says what is tested").unwrap_or_default();
                }
                "feed" => {
                    for entry in self.table(entry, "a table: feed.STAGE = [{ text = \"...\" }]") {
                        fed.extend(self.feed(entry, &mut case.feeds));
                    }
                }
                "expect" => {
                    for entry in self.table(entry, "a table: expect.STAGE = { count = 1 }") {
                        looked.extend(self.expect(entry, &mut case.expects));
                    }
                }
                "params" => case.params = self.pairs(entry),
                "set" => case.set = self.pairs(entry),
                _ => self.unknown(entry, "a test", KEYS.map(|(name, _)| name).as_slice()),
            }
        }
        if case.name.is_empty() && !entries.iter().any(|entry| entry.key == "name") {
            let error = Diagnostic::at("H0601", "the test has no name", &node.span);
            self.found.push(error.expected("a line such as `name = \"numbers are redacted\"` below"));
        }
        if !entries.iter().any(|entry| entry.key == "expect") {
            let error = Diagnostic::at("H0601", "the test expects nothing", &node.span);
            self.found.push(error.expected("a line such as `expect.STAGE = { count = 1 }` below"));
        }
        self.connected(&fed, &looked);
        case
    }

    fn text(&mut self, entry: &Entry, expected: &str) -> Option<String> {
        let text = entry.node.as_str().map(str::to_owned);
        if text.is_none() {
            self.wrong_type(entry, expected);
        }
        text
    }

    fn wrong_type(&mut self, entry: &Entry, expected: &str) {
        let message = format!("`{}` is {}", entry.key, entry.node.type_name());
        self.found.push(Diagnostic::at("H0005", message, &entry.node.span).expected(expected));
    }

    fn table<'n>(&mut self, entry: &'n Entry, expected: &str) -> &'n [Entry] {
        if let Value::Table(entries) = &entry.node.value {
            return entries;
        }
        self.wrong_type(entry, expected);
        &[]
    }

    /// Names and texts, as the command line would give them.
    fn pairs(&mut self, entry: &Entry) -> Vec<(String, String)> {
        let value = |node: &Node| node.as_str().map_or_else(|| node.to_toml().to_string(), str::to_owned);
        let entries = self.table(entry, "a table of names and values");
        entries.iter().map(|entry| (entry.key.clone(), value(&entry.node))).collect()
    }

    fn unknown(&mut self, entry: &Entry, of: &str, keys: &[&'static str]) {
        let error = Diagnostic::at("H0003", format!("unknown key `{}` of {of}", entry.key), &entry.key_span);
        self.found.push(match nearest(&entry.key, keys.iter().copied()) {
            Some(near) => error.suggest(format!("did you mean `{near}`?"), &entry.key_span, near),
            None => error.help(format!("its keys are {}", all_of(keys.iter().copied()))),
        });
    }

    fn feed(&mut self, entry: &Entry, feeds: &mut Vec<FeedAt>) -> Option<(usize, OutPort, Span)> {
        let At::Port(stage, port) = self.resolve(entry, true)? else { return None };
        let schema = self.flows.get(stage).and_then(|flow| flow.schema(port)).cloned();
        let rows = self.rows(&entry.key, &entry.node, schema.as_ref())?;
        feeds.push(FeedAt { port: entry.key.clone(), rows });
        Some((stage, port, entry.key_span.clone()))
    }

    /// The place that a key names.
    fn resolve(&mut self, entry: &Entry, to_feed: bool) -> Option<At> {
        let (id, port) = match entry.key.split_once('.') {
            Some((id, port)) => (id, Some(port)),
            None => (entry.key.as_str(), None),
        };
        let Some(at) = self.drafts.iter().position(|draft| draft.id() == id) else {
            let error = Diagnostic::at("H0602", format!("there is no stage `{id}`"), &entry.key_span);
            let ids = || self.drafts.iter().map(Draft::id);
            self.found.push(match nearest(id, ids()) {
                Some(near) if port.is_none() => {
                    error.suggest(format!("did you mean `{near}`?"), &entry.key_span, near)
                }
                _ => error.expected(one_of(ids())),
            });
            return None;
        };
        let draft = self.drafts.get(at)?;
        let signature = draft.signature.as_ref()?;
        let names = || signature.outputs.iter().map(|o| o.name.as_ref()).chain([REJECTED]);
        let ends = !signature.inputs.is_empty() && !signature.outputs.iter().any(|output| output.required);
        let found = match port {
            None if ends && !to_feed => return Some(At::Arrivals(at)),
            None => signature.outputs.first().filter(|_| !ends).map(|_| OutPort::Out(0)),
            Some(REJECTED) => Some(OutPort::Rejected),
            Some(name) => signature.outputs.iter().position(|o| o.name == name).map(OutPort::Out),
        };
        let known = found.map(|port| At::Port(at, port));
        if known.is_none() {
            let what = match port {
                Some(port) => format!("`{id}` has no output `{port}`"),
                None => {
                    format!("`{id}` may end a pipeline: it has no output that is meant by its name alone")
                }
            };
            let error = Diagnostic::at("H0602", what, &entry.key_span);
            let error = error.also(&draft.table.id_span, format!("its outputs are {}", all_of(names())));
            self.found.push(
                error.help(format!("name one of them: \"{id}.{}\"", names().next().unwrap_or(REJECTED))),
            );
        }
        known
    }

    /// Returns true if what is fed leads to something that is expected.
    fn connected(&mut self, fed: &[(usize, OutPort, Span)], looked: &[At]) {
        let mut needed: Vec<usize> = Vec::new();
        let mut used: Vec<(usize, OutPort)> = Vec::new();
        let mut open: Vec<(usize, Option<OutPort>)> = Vec::new();
        for at in looked {
            match at {
                At::Port(stage, port) => open.push((*stage, Some(*port))),
                At::Arrivals(stage) => {
                    let reads = self.drafts.get(*stage).into_iter().flat_map(Draft::needs);
                    open.extend(reads.filter(|read| read.input == 0).map(|read| (read.stage, read.port)));
                }
            }
        }
        let is_fed = |stage, port| fed.iter().find(|(s, p, _)| (*s, Some(*p)) == (stage, port));
        while let Some((stage, port)) = open.pop() {
            if let Some((stage, port, _)) = is_fed(stage, port) {
                used.push((*stage, *port));
            } else if !needed.contains(&stage) {
                needed.push(stage);
                let reads = self.drafts.get(stage).into_iter().flat_map(Draft::needs);
                open.extend(reads.map(|read| (read.stage, read.port)));
            }
        }
        let idle =
            fed.iter().filter(|(stage, port, _)| !looked.is_empty() && !used.contains(&(*stage, *port)));
        for (_, _, span) in idle {
            let error = Diagnostic::at("H0604", "what is fed here reaches nothing that is expected", span);
            self.found.push(error.help("expect something of a stage that reads it, or remove the line"));
        }
    }
}
