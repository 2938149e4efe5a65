//! The options of one stage against the definitions of its kind.

use headwater_contract::options::in_range;
use headwater_contract::{ConfigError, OptionSpec, Role, Shape, Signature, StageFactory, toml};

use super::probe;
use super::similar::{all_of, nearest};
use crate::diagnostic::{Diagnostic, Span};
use crate::pipeline::{Entry, Node, Origin, StageTable, Value};

/// The understood part of a stage's options.
#[derive(Default)]
pub(super) struct Understood {
    pub(super) role: Option<Role>,
    pub(super) signature: Option<Signature>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// The options as given, with params put in.
pub(super) fn table(options: &[Entry]) -> toml::Table {
    options.iter().map(|e| (e.key.clone(), e.node.to_toml())).collect()
}

/// Reads the options of a stage.
pub(super) fn read(stage: &StageTable, kind: StageFactory) -> Understood {
    let specs = kind.options();
    let stage_options = OptionReader { stage, kind, specs: &specs };
    let mut given = table(&stage.options);
    let unknown: Vec<&OptionSpec> = specs
        .iter()
        .filter(|spec| stage.options.iter().any(|e| e.key == spec.name && e.node.is_unknown()))
        .collect();
    for spec in &unknown {
        if let Some(sample) = probe::sample(kind, spec) {
            given.insert(spec.name.to_owned(), sample);
        }
    }
    match kind.plan(&given) {
        Ok(role) => {
            let mut diagnostics: Vec<Diagnostic> =
                role.validate().iter().map(|w| stage_options.together(w)).collect();
            let signature = if diagnostics.is_empty() && unknown.is_empty() {
                Some(role.signature())
            } else {
                let doubtful = stage_options.doubtful(&diagnostics_options(&role), &unknown);
                probe::signature(kind, &given, &doubtful)
            };
            if signature.is_none() && diagnostics.is_empty() {
                diagnostics.extend(stage_options.undecided(&unknown));
            }
            let role = diagnostics.iter().all(|d| !d.is_error()).then_some(role);
            Understood { role, signature, diagnostics }
        }
        Err(errors) => {
            let names: Vec<String> = errors.iter().map(|w| w.option.clone()).collect();
            let doubtful = stage_options.doubtful(&names, &unknown);
            let signature = probe::signature(kind, &given, &doubtful);
            let reported = errors.iter().filter(|w| !stage_options.is_misspelt(w, &names));
            let diagnostics = reported.map(|w| stage_options.wrong(w)).collect();
            Understood { role: None, signature, diagnostics }
        }
    }
}

fn diagnostics_options(role: &Role) -> Vec<String> {
    role.validate().into_iter().map(|w| w.option).collect()
}

struct OptionReader<'a> {
    stage: &'a StageTable,
    kind: StageFactory,
    specs: &'a [OptionSpec],
}

impl OptionReader<'_> {
    fn entry(&self, name: &str) -> Option<&Entry> {
        self.stage.options.iter().find(|e| e.key == name)
    }

    fn type_span(&self) -> &Span {
        self.stage.kind.as_ref().map_or(&self.stage.id_span, |entry| &entry.node.span)
    }

    /// The options whose value cannot be relied on; a misspelt name stands for the option that was likely meant, or for all.
    fn doubtful(&self, wrong: &[String], unknown: &[&OptionSpec]) -> Vec<OptionSpec> {
        let specs = self.specs.iter().map(|s| s.name);
        let meant: Vec<&str> = wrong.iter().filter_map(|name| nearest(name, specs.clone())).collect();
        let lost = wrong.len() > meant.len();
        let is_doubtful = |spec: &&OptionSpec| {
            lost || meant.contains(&spec.name) || unknown.iter().any(|u| u.name == spec.name)
        };
        self.specs.iter().filter(is_doubtful).cloned().collect()
    }

    /// Returns true if an option seems missing because its name is misspelt, which is reported by itself.
    fn is_misspelt(&self, wrong: &ConfigError, errors: &[String]) -> bool {
        let specs = || self.specs.iter().map(|s| s.name);
        let unknown = errors.iter().filter(|name| !specs().any(|known| known == **name));
        self.entry(&wrong.option).is_none()
            && unknown.filter_map(|name| nearest(name, specs())).any(|near| near == wrong.option)
    }

    /// Reports an error of the kind about one option.
    fn wrong(&self, wrong: &ConfigError) -> Diagnostic {
        let Some(spec) = self.specs.iter().find(|s| s.name == wrong.option) else {
            return self.unknown_option(&wrong.option);
        };
        let error = match self.entry(spec.name) {
            None => self.missing(spec),
            Some(entry) => wrong_value(spec, &entry.node, &wrong.what),
        };
        with_help(error, wrong)
    }

    fn unknown_option(&self, name: &str) -> Diagnostic {
        let message = format!("`{}` has no option `{name}`", self.kind.name());
        let Some(entry) = self.entry(name) else {
            return Diagnostic::at("H0203", message, self.type_span());
        };
        let error = entry.key_error("H0203", message);
        let names = || self.specs.iter().map(|s| s.name);
        let reserved = crate::pipeline::STAGE_KEYS;
        match nearest(name, names().chain(reserved)) {
            Some(near) if entry.node.origin == Origin::File && !entry.key_span.is_empty() => {
                error.suggest(format!("did you mean `{near}`?"), &entry.key_span, near)
            }
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None if self.specs.is_empty() => error.help("it has no options"),
            None => error.help(format!("its options are {}", all_of(names()))),
        }
    }

    fn missing(&self, spec: &OptionSpec) -> Diagnostic {
        let message = format!("the stage `{}` lacks the option `{}`", self.stage.id, spec.name);
        Diagnostic::at("H0206", message, self.type_span())
            .label(format!("`{}` needs `{}`", self.kind.name(), spec.name))
            .expected(spec.shape.expected())
            .help(format!(
                "add a line `{} = {}`: {}",
                spec.name,
                spec.shape.sample(),
                first_sentence(&spec.meaning)
            ))
    }

    /// Reports errors of the kind about its options together.
    fn together(&self, wrong: &ConfigError) -> Diagnostic {
        let what = wrong.what.strip_prefix("missing; ");
        let error = match (self.entry(&wrong.option), what) {
            (None, Some(what)) => {
                let message = format!("the stage `{}` lacks the option `{}`", self.stage.id, wrong.option);
                let error = Diagnostic::at("H0206", message, self.type_span());
                error.expected(what.strip_prefix("expected ").unwrap_or(what))
            }
            (None, None) => {
                Diagnostic::at("H0207", format!("`{}`: {}", wrong.option, wrong.what), self.type_span())
            }
            (Some(entry), _) => match wrong.what.strip_prefix("expected ") {
                Some(expected) => {
                    entry.node.error("H0207", format!("`{}` does not fit", wrong.option)).expected(expected)
                }
                None => entry.node.error("H0207", format!("`{}`: {}", wrong.option, wrong.what)),
            },
        };
        with_help(error, wrong)
    }

    /// A check without the environment does not know the outputs of the stage.
    fn undecided(&self, unknown: &[&OptionSpec]) -> Option<Diagnostic> {
        let entry = unknown.iter().find_map(|spec| self.entry(spec.name))?;
        let message = format!("what `{}` gives hangs on a param that has no default", self.stage.id);
        let warning = entry.node.error("H0108", message).warning();
        Some(warning.help("its columns are checked by `run`, or give the param here: `--param NAME=VALUE`"))
    }
}

fn wrong_value(spec: &OptionSpec, node: &Node, what: &str) -> Diagnostic {
    let expected = what.strip_prefix("expected ").unwrap_or(what);
    if in_range(&node.to_toml(), spec).is_err() || is_beyond_type(node, &spec.shape) {
        return node.error("H0205", format!("`{}` is out of range", spec.name)).expected(expected);
    }
    if let (Shape::Choice(words), Some(word)) = (&spec.shape, node.as_str()) {
        // A value from outside the file is not repeated.
        let shown = if node.is_written() { format!("{word:?}") } else { "this".to_owned() };
        let error = node.error("H0204", format!("`{}` cannot be {shown}", spec.name)).expected(expected);
        return match nearest(word, words.iter().copied()) {
            Some(near) if node.is_written() => {
                error.suggest(format!("did you mean \"{near}\"?"), &node.span, format!("\"{near}\""))
            }
            _ => error,
        };
    }
    if let (Shape::Duration | Shape::Bytes, Some(_)) = (&spec.shape, node.as_str()) {
        return node.error("H0204", format!("`{}` cannot be read", spec.name)).expected(expected);
    }
    let at = wrong_item(node, &spec.shape);
    let error = at.error("H0204", format!("`{}` is {}", spec.name, phrase(node, at))).expected(expected);
    mend_type(error, at, item_shape(&spec.shape, node, at), spec.name)
}

fn with_help(error: Diagnostic, wrong: &ConfigError) -> Diagnostic {
    match &wrong.help {
        Some(help) => error.help(help.clone()),
        None => error,
    }
}

/// A whole number where one belongs, but not one that the option's type can hold.
fn is_beyond_type(node: &Node, shape: &Shape) -> bool {
    matches!((&node.value, shape), (Value::Integer(_) | Value::Huge(_), Shape::Integer))
}

/// The first item of a list that has another form than it should, or the value itself.
fn wrong_item<'n>(node: &'n Node, shape: &Shape) -> &'n Node {
    let (Value::Array(items), Shape::List(item)) = (&node.value, shape) else { return node };
    items.iter().find(|node| !has_form(node, item)).unwrap_or(node)
}

fn has_form(node: &Node, shape: &Shape) -> bool {
    match (&node.value, shape) {
        (Value::String(text), Shape::Duration) => headwater_contract::units::parse_duration(text).is_ok(),
        (Value::String(text), Shape::Bytes) => headwater_contract::units::Bytes::parse(text).is_ok(),
        (Value::String(_), Shape::Text | Shape::Path) => true,
        (Value::String(word), Shape::Choice(words) | Shape::NumberOr(words)) => {
            words.contains(&word.as_str())
        }
        (Value::Integer(_) | Value::Float(_), Shape::NumberOr(_)) => true,
        (Value::Boolean(_), Shape::Switch) => true,
        (Value::Integer(_), Shape::Integer | Shape::Number) | (Value::Float(_), Shape::Number) => true,
        (Value::Array(items), Shape::List(item)) => items.iter().all(|node| has_form(node, item)),
        (Value::Table(_), Shape::Table(_)) => true,
        _ => false,
    }
}

fn phrase(whole: &Node, at: &Node) -> String {
    match at.as_str() {
        _ if std::ptr::eq(whole, at) => at.type_name().to_owned(),
        Some(word) if at.is_written() => format!("a list that holds {word:?}"),
        _ => format!("a list that holds {}", at.type_name()),
    }
}

fn item_shape<'s>(shape: &'s Shape, whole: &Node, at: &Node) -> &'s Shape {
    match shape {
        Shape::List(item) if !std::ptr::eq(whole, at) => item,
        other => other,
    }
}

/// An edit for values that are right but for their quotes or brackets.
fn mend_type(error: Diagnostic, node: &Node, shape: &Shape, name: &str) -> Diagnostic {
    if !node.is_written() {
        let numeric = matches!(shape, Shape::Integer | Shape::Number | Shape::Switch | Shape::List(_));
        let from_param = matches!(node.origin, Origin::Params(_));
        let help =
            format!("params only give strings; write the value here, or give `--set stage.ID.{name}=VALUE`");
        return if numeric && from_param { error.help(help) } else { error };
    }
    let bare =
        |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite) || text == "true" || text == "false";
    match (&node.value, shape) {
        (Value::String(text), Shape::Integer | Shape::Number | Shape::Switch) if bare(text) => {
            error.suggest("leave out the quotes", &node.span, text.clone())
        }
        (Value::Integer(number), Shape::Text | Shape::Path) => {
            error.suggest("put it in quotes", &node.span, format!("\"{number}\""))
        }
        (Value::String(text), Shape::List(item)) if **item == Shape::Text => {
            error.suggest("make it a list", &node.span, format!("[{text:?}]"))
        }
        (Value::Integer(number), Shape::Duration) => {
            error.suggest("say the unit", &node.span, format!("\"{number}s\""))
        }
        (Value::Integer(number), Shape::Bytes) => {
            error.suggest("say the unit", &node.span, format!("\"{number}B\""))
        }
        _ => error,
    }
}

fn first_sentence(meaning: &str) -> String {
    let line = meaning.split('\n').collect::<Vec<_>>().join(" ");
    let end = line.find(". ").unwrap_or(line.len());
    let sentence = line.get(..end).unwrap_or(&line).trim_end_matches('.');
    let mut letters = sentence.chars();
    let first = letters.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
    first + letters.as_str()
}
