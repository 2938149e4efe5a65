//! The expectation of a test at a place.

use arrow::datatypes::{Schema, SchemaRef};
use headwater_contract::identity;
use regex::Regex;

use super::{At, Reader};
use crate::case::{ExpectAt, Pattern};
use crate::check::column::type_name;
use crate::check::similar::{nearest, one_of};
use crate::diagnostic::Diagnostic;
use crate::pipeline::{Entry, Node, Value};

/// The keys of an expectation.
const KEYS: [&str; 5] = ["rows", "match", "none_match", "count", "schema"];

const PATTERNS: &str = "a regular expression, a list of them, or a table of these by column";

impl Reader<'_, '_> {
    pub(super) fn expect(&mut self, entry: &Entry, expects: &mut Vec<ExpectAt>) -> Option<At> {
        let at = self.resolve(entry, false)?;
        let flow = |stage: usize| self.flows.get(stage);
        let schema = match at {
            At::Port(stage, port) => flow(stage).and_then(|flow| flow.schema(port)).cloned(),
            At::Arrivals(stage) => flow(stage).and_then(|flow| flow.inputs.first()?.clone()),
        };
        let mut expect = ExpectAt {
            place: entry.key.clone(),
            rows: None,
            matches: Vec::new(),
            none_match: Vec::new(),
            count: None,
        };
        let keys = self.table(
            entry,
            "a table: { rows = [...], match = \"...\", none_match = \"...\", count = 1, schema = [...] }",
        );
        if keys.is_empty() && matches!(entry.node.value, Value::Table(_)) {
            let error =
                Diagnostic::at("H0601", format!("nothing is expected of `{}`", entry.key), &entry.node.span);
            self.found.push(error.expected(one_of(KEYS)));
        }
        for key in keys {
            match key.key.as_str() {
                "rows" => {
                    let rows = self.rows(&entry.key, &key.node, schema.as_ref());
                    expect.rows = rows.map(|rows| (rows, key.node.span.clone()));
                }
                "match" => self.patterns(None, &key.node, schema.as_ref(), &mut expect.matches),
                "none_match" => self.patterns(None, &key.node, schema.as_ref(), &mut expect.none_match),
                "count" => match &key.node.value {
                    Value::Integer(count) if *count >= 0 => {
                        expect.count = Some((count.unsigned_abs(), key.node.span.clone()));
                    }
                    _ => self.wrong_type(key, "a whole number, 0 or more"),
                },
                "schema" => self.schema(&entry.key, key, schema.as_ref()),
                _ => self.unknown(key, "an expectation", &KEYS),
            }
        }
        expects.push(expect);
        Some(at)
    }

    fn patterns(
        &mut self,
        column: Option<&str>,
        node: &Node,
        schema: Option<&SchemaRef>,
        into: &mut Vec<Pattern>,
    ) {
        match &node.value {
            Value::String(regex) => match Regex::new(regex) {
                Ok(_) => into.push(Pattern { column: column.map(str::to_owned), regex: regex.clone() }),
                Err(error) => {
                    let message = error.to_string();
                    let why = message.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    let error = Diagnostic::at("H0605", "not a regular expression", &node.span);
                    self.found.push(error.expected("a regular expression").note(why.to_owned()));
                }
            },
            Value::Array(items) => {
                items.iter().for_each(|item| self.patterns(column, item, schema, into));
            }
            Value::Table(entries) if column.is_none() => {
                for entry in entries {
                    match schema.map(|schema| (schema, schema.field_with_name(&entry.key))) {
                        Some((schema, Err(_))) => self.no_column(entry, schema),
                        _ => self.patterns(Some(&entry.key), &entry.node, schema, into),
                    }
                }
            }
            _ => {
                let error = Diagnostic::at("H0005", format!("a pattern is {}", node.type_name()), &node.span);
                self.found.push(error.expected(PATTERNS));
            }
        }
    }

    fn no_column(&mut self, entry: &Entry, schema: &Schema) {
        let error = Diagnostic::at("H0603", format!("there is no column `{}`", entry.key), &entry.key_span);
        let names = || schema.fields().iter().map(|field| field.name().as_str());
        self.found.push(match nearest(&entry.key, names()) {
            Some(near) => error.suggest(format!("did you mean `{near}`?"), &entry.key_span, near),
            None => error.expected(one_of(names())),
        });
    }

    /// Which columns there are is known without a run.
    fn schema(&mut self, place: &str, entry: &Entry, schema: Option<&SchemaRef>) {
        let Value::Array(items) = &entry.node.value else {
            return self.wrong_type(entry, "a list of columns: [\"text\", \"seconds f32\"]");
        };
        let Some(schema) = schema else { return };
        let known = identity::fields();
        let own = schema.fields().iter().filter(|field| !known.iter().any(|k| k.name() == field.name()));
        let word = |name: &str, kind: &str| format!("{name} {kind}");
        let there: Vec<String> = own
            .map(|field| {
                let mark = if field.is_nullable() { "?" } else { "" };
                word(field.name(), &format!("{}{mark}", type_name(field.data_type())))
            })
            .collect();
        let mut wanted = Vec::new();
        for item in items {
            let Some(text) = item.as_str() else {
                self.wrong_type(entry, "a list of columns: [\"text\", \"seconds f32\"]");
                return;
            };
            let (name, kind) = text.trim().split_once(' ').unwrap_or((text.trim(), "string"));
            let column = word(name, kind.trim());
            if !there.contains(&column) {
                let error =
                    Diagnostic::at("H0603", format!("`{place}` has no column `{column}`"), &item.span);
                self.found.push(error.expected(one_of(there.iter().map(String::as_str))));
            }
            wanted.push(column);
        }
        let missing: Vec<&str> =
            there.iter().filter(|column| !wanted.contains(column)).map(String::as_str).collect();
        if !missing.is_empty() && wanted.iter().all(|column| there.contains(column)) {
            let error = Diagnostic::at(
                "H0603",
                format!("`{place}` has columns that are not listed"),
                &entry.node.span,
            );
            self.found.push(error.expected(format!("also {}", missing.join(", "))));
        }
    }
}
