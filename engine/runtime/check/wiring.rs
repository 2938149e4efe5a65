//! The readers of each stage: `from = "stage"`, `"stage.port"`, a list of these, or a table with one of these for each input.

use headwater_contract::Signature;
use headwater_contract::signature::REJECTED;

use super::draft::{Draft, Read};
use super::similar::{all_of, nearest, one_of};
use crate::diagnostic::{Diagnostic, Span};
use crate::pipeline::{Entry, Node, Value};
use crate::plan::OutPort;

const FORMS: &str = "\"stage\", \"stage.port\", a list of these, or a table with one for each input";

/// Finds the outputs that every stage reads.
pub(super) fn connect(drafts: &mut [Draft<'_>]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let read_one = |reader: usize| {
        let mut wiring = Wiring { drafts, reader, found: Vec::new(), meant: Vec::new() };
        let reads = wiring.all();
        found.extend(wiring.found);
        (reads, wiring.meant)
    };
    let all: Vec<_> = (0..drafts.len()).map(read_one).collect();
    for (draft, (reads, meant)) in drafts.iter_mut().zip(all) {
        (draft.reads, draft.meant) = (reads, meant);
    }
    found.extend(dropped_and_read(drafts));
    found
}

/// The output that is named where no stage reads it; stages that were likely meant, and what is wrong.
pub(super) fn output(
    drafts: &[Draft<'_>],
    key: &str,
    node: &Node,
) -> (Option<Read>, Vec<usize>, Vec<Diagnostic>) {
    let mut wiring = Wiring { drafts, reader: usize::MAX, found: Vec::new(), meant: Vec::new() };
    let read = if let Some(text) = node.as_str() {
        wiring.resolve(0, text, node)
    } else {
        let error = node.error("H0305", format!("`{key}` is {}", node.type_name()));
        wiring.found.push(error.expected("\"stage\" or \"stage.port\""));
        None
    };
    (read, wiring.meant, wiring.found)
}

struct Wiring<'a, 'p> {
    drafts: &'a [Draft<'p>],
    reader: usize,
    found: Vec<Diagnostic>,
    meant: Vec<usize>,
}

impl Wiring<'_, '_> {
    fn all(&mut self) -> Vec<Read> {
        let Some(draft) = self.drafts.get(self.reader) else { return Vec::new() };
        let is_source = draft.kind.map(|k| k.is_source());
        match (&draft.table.from, is_source) {
            (None, Some(false)) => {
                let error = self.reads_nothing(draft);
                self.found.push(error);
                Vec::new()
            }
            (None, _) => Vec::new(),
            (Some(entry), Some(true)) => {
                let name = draft.kind.map_or("", |k| k.name());
                let error = Diagnostic::at(
                    "H0304",
                    format!("`{name}` takes rows in: it reads no stage"),
                    &entry.key_span,
                );
                self.found.push(error.help("remove the line"));
                self.meant = self.list(0, &entry.node).into_iter().map(|read| read.stage).collect();
                Vec::new()
            }
            (Some(entry), _) => {
                let mut reads = self.inputs(draft, entry);
                reads.extend(self.feedback(draft));
                reads
            }
        }
    }

    /// Connects a cycle: `feedback = "stage.port"` feeds the first input that is made for it.
    fn feedback(&mut self, draft: &Draft<'_>) -> Vec<Read> {
        let (Some(entry), Some(signature)) = (&draft.table.feedback, &draft.signature) else {
            return Vec::new();
        };
        if let Some(input) = signature.inputs.iter().position(|i| i.feedback) {
            return self.list(input, &entry.node);
        }
        let name = draft.kind.map_or("", |k| k.name());
        let error = entry.key_error("H0312", format!("`{name}` has no input for what comes back"));
        self.found.push(error.help("remove the line"));
        self.meant = self.list(0, &entry.node).into_iter().map(|read| read.stage).collect();
        Vec::new()
    }

    fn reads_nothing(&mut self, draft: &Draft<'_>) -> Diagnostic {
        let error = Diagnostic::at(
            "H0303",
            format!("the stage `{}` reads nothing", draft.id()),
            &draft.table.id_span,
        )
        .expected("a line such as `from = \"upstream\"` below");
        let above = self.drafts.get(..self.reader).and_then(<[_]>::last);
        match above.filter(|d| d.signature.as_ref().is_none_or(|s| !s.outputs.is_empty())) {
            Some(above) => {
                self.meant.extend(self.reader.checked_sub(1));
                error.help(format!("to read the stage above: `from = \"{}\"`", above.id()))
            }
            None => error,
        }
    }

    fn inputs(&mut self, draft: &Draft<'_>, entry: &Entry) -> Vec<Read> {
        let node = &entry.node;
        let Value::Table(parts) = &node.value else {
            let reads = self.list(0, node);
            self.unconnected(draft, &[0], &entry.key_span);
            return reads;
        };
        let mut reads = Vec::new();
        let mut connected = Vec::new();
        for part in parts {
            match input_of(draft.signature.as_ref(), &part.key) {
                Ok(input) => {
                    connected.push(input);
                    reads.extend(self.list(input, &part.node));
                }
                Err(names) => self.found.push(no_input(draft, part, &names)),
            }
        }
        // A misspelt name is reported by itself.
        if connected.len() == parts.len() {
            self.unconnected(draft, &connected, &entry.key_span);
        }
        reads
    }

    fn unconnected(&mut self, draft: &Draft<'_>, connected: &[usize], span: &Span) {
        let Some(signature) = &draft.signature else { return };
        let open = signature.inputs.iter().enumerate();
        for (_, input) in open.filter(|(at, input)| !input.feedback && !connected.contains(at)) {
            let names: Vec<String> =
                signature.inputs.iter().map(|i| format!("{} = \"...\"", i.name)).collect();
            let message = format!("nothing is connected to the input `{}.{}`", draft.id(), input.name);
            let error = Diagnostic::at("H0303", message, span);
            self.found.push(error.expected(format!("from = {{ {} }}", names.join(", "))));
        }
    }

    /// One name, or a list of names whose union is read.
    fn list(&mut self, input: usize, node: &Node) -> Vec<Read> {
        let names: Vec<&Node> = match &node.value {
            Value::Array(items) => items.iter().collect(),
            _ => vec![node],
        };
        if names.is_empty() {
            let error = node.error("H0305", "`from` is an empty list");
            self.found.push(error.expected("the name of at least one stage"));
        }
        let mut reads: Vec<Read> = Vec::new();
        for name in names {
            let Some(text) = name.as_str() else {
                let error = name.error("H0305", format!("`from` is {}", name.type_name()));
                self.found.push(error.expected(FORMS));
                continue;
            };
            let Some(read) = self.resolve(input, text, name) else { continue };
            match reads.iter().find(|other| (other.stage, other.port) == (read.stage, read.port)) {
                Some(other) if read.port.is_some() => self.found.push(
                    Diagnostic::at("H0306", format!("`{text}` is read twice"), &read.span)
                        .label("again here")
                        .also(&other.span, "first here")
                        .help("every row would come twice: remove one of the two"),
                ),
                _ => reads.push(read),
            }
        }
        reads
    }

    fn resolve(&mut self, input: usize, text: &str, node: &Node) -> Option<Read> {
        if node.is_template() {
            return None;
        }
        let (id, port) = match text.split_once('.') {
            Some((id, port)) => (id, Some(port)),
            None => (text, None),
        };
        let Some(stage) = self.drafts.iter().position(|d| d.id() == id) else {
            let error = self.no_stage(id, port, node);
            self.found.push(error);
            return None;
        };
        let read = |port| Some(Read { input, stage, port, span: node.span.clone() });
        let upstream = self.drafts.get(stage)?;
        if port == Some(REJECTED) {
            return read(Some(OutPort::Rejected));
        }
        let Some(signature) = &upstream.signature else { return read(None) };
        let at = match port {
            None => (!signature.outputs.is_empty()).then_some(0),
            Some(port) => signature.outputs.iter().position(|o| o.name == port),
        };
        if let Some(at) = at {
            return read(Some(OutPort::Out(at)));
        }
        self.meant.push(stage);
        self.found.push(no_port(upstream, signature, port, node));
        None
    }

    fn no_stage(&mut self, id: &str, port: Option<&str>, node: &Node) -> Diagnostic {
        let (drafts, reader) = (self.drafts, self.reader);
        let ids = || drafts.iter().enumerate().filter(|(at, _)| *at != reader).map(|(_, d)| d.id());
        let error = node.error("H0301", format!("there is no stage `{id}`"));
        let Some(near) = nearest(id, ids()) else {
            return match ids().next() {
                Some(_) => error.expected(one_of(ids())),
                None => error.help("the pipeline has no other stage"),
            };
        };
        let port = port.map(|port| format!(".{port}")).unwrap_or_default();
        self.meant.extend(drafts.iter().position(|d| d.id() == near));
        let error = match drafts.iter().find(|d| d.id() == near) {
            Some(stage) => error.also(&stage.table.id_span, "a stage with a similar id"),
            None => error,
        };
        error.suggest(format!("did you mean `{near}`?"), &node.span, format!("\"{near}{port}\""))
    }
}

/// The index of the input of that name; the first one when the kind is not known.
fn input_of(signature: Option<&Signature>, name: &str) -> Result<usize, Vec<String>> {
    let Some(signature) = signature else { return Ok(0) };
    let found = signature.inputs.iter().position(|i| i.name == name);
    found.ok_or_else(|| signature.inputs.iter().map(|i| i.name.to_string()).collect())
}

fn no_input(draft: &Draft<'_>, part: &Entry, names: &[String]) -> Diagnostic {
    let message = format!("`{}` has no input `{}`", draft.id(), part.key);
    let error = Diagnostic::at("H0305", message, &part.key_span);
    let names = || names.iter().map(String::as_str);
    match nearest(&part.key, names()) {
        Some(near) => error.suggest(format!("did you mean `{near}`?"), &part.key_span, near),
        None => error.expected(one_of(names())),
    }
}

fn no_port(upstream: &Draft<'_>, signature: &Signature, port: Option<&str>, node: &Node) -> Diagnostic {
    let id = upstream.id();
    let names: Vec<&str> = signature.outputs.iter().map(|o| o.name.as_ref()).chain([REJECTED]).collect();
    let Some(port) = port else {
        let error = node.error("H0302", format!("`{id}` gives nothing to read: it ends a pipeline"));
        let kind = upstream.kind.map_or("", |k| k.name());
        let error = error.also(&upstream.table.id_span, format!("`{kind}` has no output"));
        return error
            .help(format!("read the stage before it, or what it rejects: `from = \"{id}.{REJECTED}\"`"));
    };
    let error = node.error("H0302", format!("`{id}` has no output `{port}`"));
    let error = error.also(&upstream.table.id_span, format!("it has {}", all_of(names.iter().copied())));
    match nearest(port, names.iter().copied()) {
        Some(near) => {
            error.suggest(format!("did you mean `{id}.{near}`?"), &node.span, format!("\"{id}.{near}\""))
        }
        None => error,
    }
}

/// Rejected rows cannot be dropped and read.
fn dropped_and_read(drafts: &[Draft<'_>]) -> Vec<Diagnostic> {
    let rejected_reads = drafts.iter().flat_map(|d| &d.reads).filter(|r| r.port == Some(OutPort::Rejected));
    rejected_reads
        .filter_map(|read| {
            let upstream = drafts.get(read.stage).filter(|d| d.drops_rejected)?;
            let dropped = upstream.table.rejected.as_ref()?;
            let message = format!("the rows that `{}` rejects are dropped and read", upstream.id());
            let error = Diagnostic::at("H0311", message, &read.span).label("read here");
            Some(error.also(&dropped.node.span, "dropped here").help("remove one of the two"))
        })
        .collect()
}
