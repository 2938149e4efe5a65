//! Params: the only environment that a pipeline file may read.
//!
//! In: `[params]`, the values of `--param`, the environment if it may be read. Out: the pipeline with every `${x}` replaced,
//! each value remembering where it came from. It must not know what the values are for; a value that came from outside the
//! file is never shown in a message.

mod template;

use template::{Piece, Template};

use crate::check::ids;
use crate::check::similar::{nearest, one_of};
use crate::diagnostic::{Diagnostic, Place, Span};
use crate::pipeline::{Entry, Node, Origin, ParamUse, Pipeline, StageTable, Value};

/// Reads a variable.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Where params get their values, from the weakest to the strongest: default, environment, command line.
pub struct ParamSources<'a> {
    /// The values of `--param NAME=VALUE`, in order; the last one of a name counts.
    pub arguments: &'a [(String, String)],
    /// Reads the environment; nothing when it may not be read.
    pub environment: Option<&'a Environment<'a>>,
}

struct Param {
    name: String,
    span: Span,
    used: bool,
    value: Option<String>,
    from: Place,
    said: String,
    env: Option<String>,
    /// True if its value is wrong, which is reported once, and not where it is used.
    wrong: bool,
}

/// Replaces every `${x}` of a pipeline and reports all errors in its params.
pub fn substitute(pipeline: &mut Pipeline, text: &str, given: &ParamSources<'_>) -> Vec<Diagnostic> {
    let mut work = Work { text, given, params: Vec::new(), found: Vec::new() };
    for entry in &pipeline.params {
        let param = work.define(entry);
        work.params.push(param);
    }
    work.unknown_arguments();
    for entry in &mut pipeline.head {
        work.replace(&mut entry.node);
    }
    for entry in &pipeline.privacy {
        work.forbid(entry);
    }
    for entry in &mut pipeline.members {
        match entry.key.as_str() {
            "groups" | "columns" | "changes" => work.forbid(entry),
            _ => work.replace(&mut entry.node),
        }
    }
    for stage in &mut pipeline.stages {
        let StageTable { kind, from, tier, rejected, options, .. } = stage;
        [kind, from, tier, rejected].into_iter().flatten().for_each(|entry| work.forbid(entry));
        for entry in options {
            work.replace(&mut entry.node);
        }
    }
    work.finish()
}

struct Work<'a> {
    text: &'a str,
    given: &'a ParamSources<'a>,
    params: Vec<Param>,
    found: Vec<Diagnostic>,
}

impl Work<'_> {
    /// Reads `name = { env = "...", default = "..." }` and settles the value.
    fn define(&mut self, entry: &Entry) -> Param {
        let Entry { key, key_span, node } = entry;
        self.found.extend(ids::wrong_id("param", key, key_span));
        let mut default = None;
        let mut env = None;
        if let Value::Table(keys) = &node.value {
            for inner in keys {
                match inner.key.as_str() {
                    "default" => default = self.text_of(inner),
                    "env" => env = self.text_of(inner).filter(|name| self.is_variable(name, inner)),
                    other => self.unknown_key(other, &inner.key_span),
                }
            }
        } else {
            self.not_a_table(key, node);
        }
        let mut param = Param {
            name: key.clone(),
            span: key_span.clone(),
            used: false,
            from: Place::File(key_span.clone()),
            said: match &default {
                Some(default) => format!("`{key}` is {default:?} by default"),
                None => format!("`{key}` has no default"),
            },
            value: default,
            env: env.clone(),
            wrong: false,
        };
        let read = self.given.environment.zip(env);
        if let Some((value, variable)) = read.and_then(|(read, variable)| Some((read(&variable)?, variable)))
        {
            param.value = Some(value);
            param.said = format!("`{key}` is given by the variable {variable}");
        }
        if let Some((_, value)) = self.given.arguments.iter().rev().find(|(name, _)| name == key) {
            param.value = Some(value.clone());
            param.from = Place::argument(format!("--param {key}={value}"));
            param.said = format!("`{key}` is given here");
        }
        self.judge(&mut param);
        param
    }

    /// Takes a value away that cannot be meant: an empty one, or one in which another param seems to be named. What comes from a
    /// variable is not shown.
    fn judge(&mut self, param: &mut Param) {
        let name = &param.name;
        let error = match param.value.as_deref() {
            Some("") => {
                Diagnostic::error("H0104", format!("the param `{name}` is empty"), param.from.clone())
                    .label(param.said.clone())
                    .expected("a value that is not empty")
            }
            Some(value) if value.contains("${") => {
                let what =
                    format!("the value of the param `{name}` holds `${{`, which is put in as it stands");
                let error = Diagnostic::error("H0109", what, param.from.clone()).label(param.said.clone());
                error
                    .expected("a value without `${`")
                    .help("params do not hang on each other: put both in where the value is used")
            }
            _ => return,
        };
        self.found.push(error);
        param.wrong = true;
        param.value = None;
    }

    fn text_of(&mut self, entry: &Entry) -> Option<String> {
        let text = entry.node.as_str().map(str::to_owned);
        if text.is_none() {
            let message = format!("`{}` of a param is {}", entry.key, entry.node.type_name());
            let error = Diagnostic::at("H0005", message, &entry.node.span)
                .expected("a string")
                .note("params are put into strings; other values are set by `--set stage.ID.OPTION=VALUE`");
            self.found.push(error);
        }
        text
    }

    /// Returns true if a text can be the name of an environment variable.
    fn is_variable(&mut self, name: &str, entry: &Entry) -> bool {
        let fine = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !fine {
            let error = Diagnostic::at("H0006", "no environment variable has this name", &entry.node.span)
                .expected("letters, digits and underscores, such as \"HEADWATER_RECORDINGS\"");
            self.found.push(error);
        }
        fine
    }

    fn unknown_key(&mut self, key: &str, span: &Span) {
        let error = Diagnostic::at("H0003", format!("unknown key `{key}` of a param"), span)
            .expected("`env` or `default`");
        self.found.push(match nearest(key, ["env", "default"]) {
            Some(near) => error.suggest(format!("did you mean `{near}`?"), span, near),
            None => error,
        });
    }

    fn not_a_table(&mut self, key: &str, node: &Node) {
        let mut error =
            Diagnostic::at("H0005", format!("the param `{key}` is {}", node.type_name()), &node.span)
                .expected("a table: { env = \"VARIABLE\", default = \"value\" }");
        if let Some(text) = node.as_str() {
            let table = format!("{{ default = {text:?} }}");
            error = error.suggest("give the value as a default", &node.span, table);
        }
        self.found.push(error);
    }

    fn unknown_arguments(&mut self) {
        for (name, value) in self.given.arguments {
            if self.params.iter().any(|p| p.name == *name) {
                continue;
            }
            let known: Vec<&str> = self.params.iter().map(|p| p.name.as_str()).collect();
            let text = format!("--param {name}={value}");
            let start = "--param ".len();
            let place = Place::Argument { text, span: start..start + name.len() };
            let error = Diagnostic::error("H0105", format!("the file has no param `{name}`"), place);
            self.found.push(match (nearest(name, known.iter().copied()), known.is_empty()) {
                (Some(near), _) => error.help(format!("did you mean `--param {near}={value}`?")),
                (None, false) => error.expected(one_of(known)),
                (None, true) => error.help("the file declares no params; options are set by `--set`"),
            });
        }
    }

    /// Wiring keys hold no `${x}`: who reads whom, and how far rows may go, stands in the file.
    fn forbid(&mut self, entry: &Entry) {
        let mut texts = Vec::new();
        collect_strings(&entry.node, &mut texts);
        for node in texts {
            let template = Template::parse(node.as_str().unwrap_or_default());
            if let Some(name) = template.uses().next() {
                if let Some(param) = self.params.iter_mut().find(|p| p.name == name) {
                    param.used = true;
                }
                let error = Diagnostic::at(
                    "H0106",
                    format!("`{}` may not hang on a param", entry.key),
                    &node.span,
                )
                .help(
                    "who reads whom, and how far rows may go, stands in the file alone: write the value here",
                );
                self.found.push(error);
            }
        }
    }

    fn replace(&mut self, node: &mut Node) {
        match &mut node.value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::Table(entries) => entries.iter_mut().for_each(|entry| self.replace(&mut entry.node)),
            Value::String(text) if text.contains("${") => {
                let (text, origin) = self.fill(&Template::parse(text), &node.span);
                node.value = Value::String(text);
                node.origin = origin;
            }
            _ => {}
        }
    }

    /// The text with every `${x}` replaced, and what to remember of them.
    fn fill(&mut self, template: &Template<'_>, span: &Span) -> (String, Origin) {
        let mut filled = String::new();
        let mut origin = Origin::File;
        let mut cursor = span.start;
        for piece in &template.pieces {
            match piece {
                Piece::Text(text) => filled += text,
                Piece::Open => self.not_closed(span),
                Piece::Use(name) => {
                    let at = self.find(&placeholder(name), cursor, span);
                    cursor = if at == *span { cursor } else { at.end };
                    let used = self.take(name, at, &mut filled);
                    let telling = matches!(&origin, Origin::Params(before) if before.known) && !used.known;
                    if origin == Origin::File || telling {
                        origin = Origin::Params(used);
                    }
                }
            }
        }
        (filled, origin)
    }

    /// Where a placeholder stands in the file; the whole string when it is written with escapes.
    fn find(&self, placeholder: &str, from: usize, span: &Span) -> Span {
        let at = self.text.get(from..span.end).and_then(|raw| raw.find(placeholder)).map(|at| from + at);
        at.map_or(span.clone(), |at| at..at + placeholder.len())
    }

    fn take(&mut self, name: &str, at: Span, filled: &mut String) -> ParamUse {
        let Some(param) = self.params.iter_mut().find(|p| p.name == name) else {
            self.undeclared(name, &at);
            filled.push_str(&placeholder(name));
            return ParamUse { at, from: None, known: false };
        };
        param.used = true;
        let from = Some((param.from.clone(), param.said.clone()));
        let Some(value) = &param.value else {
            filled.push_str(&placeholder(name));
            if self.given.environment.is_some() && !param.wrong {
                let error = no_value(param, &at);
                self.found.push(error);
            }
            return ParamUse { at, from, known: false };
        };
        *filled += value;
        ParamUse { at, from, known: true }
    }

    fn undeclared(&mut self, name: &str, at: &Span) {
        let error = Diagnostic::at("H0101", format!("the param `{name}` is not declared"), at);
        let names = self.params.iter().map(|p| p.name.as_str());
        let error = match nearest(name, names) {
            Some(near) => error.suggest(format!("did you mean `{near}`?"), at, format!("${{{near}}}")),
            None if ids::is_id(name) => {
                error.help(format!("declare it: under [params], `{name} = {{ default = \"...\" }}`"))
            }
            None => error.help(format!(
                "of the environment, [params] alone reads: `{} = {{ env = {name:?} }}`; a literal `${{` is written `$${{`",
                name.to_lowercase()
            )),
        };
        self.found.push(error);
    }

    fn not_closed(&mut self, span: &Span) {
        let at = self.find("${", span.start, span);
        let error = Diagnostic::at("H0103", "`${` is not closed", &at)
            .expected("`${name}`")
            .help("a literal `${` is written `$${`");
        self.found.push(error);
    }

    fn finish(mut self) -> Vec<Diagnostic> {
        for param in self.params.iter().filter(|p| !p.used) {
            let error = Diagnostic::at("H0102", format!("unused param `{}`", param.name), &param.span)
                .help(format!("write \"${{{}}}\" where its value belongs, or remove the line", param.name));
            self.found.push(error);
        }
        self.found
    }
}

fn placeholder(name: &str) -> String {
    format!("${{{name}}}")
}

fn no_value(param: &Param, at: &Span) -> Diagnostic {
    let name = &param.name;
    let error = Diagnostic::at("H0104", format!("the param `{name}` has no value"), at);
    let error = error.also(&param.span, "declared without a default");
    match &param.env {
        Some(variable) => error.help(format!("set the variable {variable}, or give `--param {name}=...`")),
        None => error.help(format!("give `--param {name}=...`")),
    }
}

fn collect_strings<'n>(node: &'n Node, into: &mut Vec<&'n Node>) {
    match &node.value {
        Value::String(_) => into.push(node),
        Value::Array(items) => items.iter().for_each(|item| collect_strings(item, into)),
        Value::Table(entries) => entries.iter().for_each(|entry| collect_strings(&entry.node, into)),
        _ => {}
    }
}
