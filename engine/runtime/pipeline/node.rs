//! A value of a pipeline file that knows where it stands and where it came from.

use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Place, Span};

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Origin {
    /// It is written in the file.
    #[default]
    File,
    /// It is written in the file and holds at least one `${x}`.
    Params(ParamUse),
    /// It was given as `--set stage.asr.threads=4`; this is the whole argument.
    Argument(String),
}

/// The meaning of the first `${x}` in a string.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamUse {
    /// Where `${x}` is written.
    pub at: Span,
    /// Where the param gets its value, and what to say there.
    pub from: Option<(Place, String)>,
    /// True if the value is known: a check reads no environment.
    pub known: bool,
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it stands; what came by the command line stands nowhere.
    pub span: Span,
    /// The value.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// A TOML value whose parts keep their places.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A whole number beyond 64 bits, as it is written.
    Huge(String),
    /// A number.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date, a time or both.
    Datetime(toml::value::Datetime),
    /// A list.
    Array(Vec<Node>),
    /// A table, in the order of the file.
    Table(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub node: Node,
}

impl Node {
    pub(super) fn from_toml(value: &toml::Spanned<DeValue<'_>>) -> Self {
        let read = match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Huge(number.as_str().to_owned()),
            },
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(switch) => Value::Boolean(*switch),
            DeValue::Datetime(time) => Value::Datetime(*time),
            DeValue::Array(items) => Value::Array(items.iter().map(Node::from_toml).collect()),
            DeValue::Table(table) => Value::Table(entries(table)),
        };
        Node { span: value.span(), value: read, origin: Origin::File }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns true if it is a text in which a `${x}` still stands.
    pub fn is_template(&self) -> bool {
        self.as_str().is_some_and(|text| text.contains("${"))
    }

    /// Returns its type, with the article: "a string".
    pub fn type_name(&self) -> &'static str {
        match &self.value {
            Value::String(_) => "a string",
            Value::Integer(_) | Value::Huge(_) => "a whole number",
            Value::Float(_) => "a number with a point",
            Value::Boolean(_) => "true or false",
            Value::Datetime(_) => "a date or time",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// The value without places. A whole number beyond 64 bits becomes a float, which no option for whole numbers takes.
    pub fn to_toml(&self) -> toml::Value {
        match &self.value {
            Value::String(text) => toml::Value::String(text.clone()),
            Value::Integer(number) => toml::Value::Integer(*number),
            Value::Huge(text) => toml::Value::Float(text.parse().unwrap_or(f64::INFINITY)),
            Value::Float(number) => toml::Value::Float(*number),
            Value::Boolean(switch) => toml::Value::Boolean(*switch),
            Value::Datetime(time) => toml::Value::Datetime(*time),
            Value::Array(items) => toml::Value::Array(items.iter().map(Node::to_toml).collect()),
            Value::Table(table) => {
                toml::Value::Table(table.iter().map(|e| (e.key.clone(), e.node.to_toml())).collect())
            }
        }
    }

    /// Returns true if the value, or a part of it, hangs on a param whose value is not known.
    pub fn is_unknown(&self) -> bool {
        let here = matches!(&self.origin, Origin::Params(used) if !used.known);
        here || match &self.value {
            Value::Array(items) => items.iter().any(Node::is_unknown),
            Value::Table(table) => table.iter().any(|e| e.node.is_unknown()),
            _ => false,
        }
    }

    /// The origin of the value or, for a list or a table, of its first part that is not simply written in the file.
    fn telling_origin(&self) -> &Origin {
        let parts: Vec<&Node> = match &self.value {
            Value::Array(items) => items.iter().collect(),
            Value::Table(table) => table.iter().map(|e| &e.node).collect(),
            _ => Vec::new(),
        };
        let origin = parts.into_iter().map(Node::telling_origin).find(|o| **o != Origin::File);
        if self.origin == Origin::File { origin.unwrap_or(&Origin::File) } else { &self.origin }
    }

    /// An error about this value: at the value, at the `${x}` that gave it, or at the argument that gave it.
    pub fn error(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        match self.telling_origin() {
            Origin::File => Diagnostic::at(code, message, &self.span),
            Origin::Params(used) => {
                let error = Diagnostic::at(code, message, &used.at);
                match &used.from {
                    Some((place, text)) => error.also_at(place.clone(), text.clone()),
                    None => error,
                }
            }
            Origin::Argument(argument) => {
                let start = argument.find('=').map_or(0, |at| at + 1);
                let place = Place::Argument { text: argument.clone(), span: start..argument.len() };
                Diagnostic::error(code, message, place)
            }
        }
    }

    /// Returns true if it is written in the file as it is.
    pub fn is_written(&self) -> bool {
        *self.telling_origin() == Origin::File
    }
}

/// The entries of a table in the order of the file.
pub(crate) fn entries(table: &DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_span: key.span(),
            node: Node::from_toml(value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span.start);
    entries
}

impl Entry {
    /// An error about the key: at the key, or at the argument that named it.
    pub fn key_error(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        let Origin::Argument(argument) = &self.node.origin else {
            return Diagnostic::at(code, message, &self.key_span);
        };
        let end = argument.find('=').unwrap_or(argument.len());
        let start = argument.get(..end).and_then(|path| path.rfind(&self.key)).unwrap_or_default();
        let place = Place::Argument { text: argument.clone(), span: start..start + self.key.len() };
        Diagnostic::error(code, message, place)
    }
}
