//! Mistakes of TOML itself.

use toml::de::Error;

use super::node::{Entry, Node, Value};
use crate::diagnostic::{Diagnostic, Span};

/// Lines that are reported. With more of them the file is not a pipeline file, or one mistake confuses all behind it.
const MOST: usize = 20;

/// One diagnostic for each line that cannot be read: what follows on the same line is confusion.
pub(super) fn diagnose(errors: &[Error], text: &str, tables: &[Entry]) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut errors: Vec<(Span, &str)> =
        errors.iter().map(|e| (e.span().unwrap_or(text.len()..text.len()), e.message())).collect();
    errors.sort_by_key(|(span, _)| span.start);
    let mut doubled: Vec<Span> = Vec::new();
    for (span, message) in errors {
        if found.len() == MOST {
            let rest = Diagnostic::at("H0001", "more lines than these cannot be read", &span);
            found.push(rest.help("is it a pipeline file?"));
            break;
        }
        if message.starts_with("duplicate key") {
            // The keys of a table that stands twice would all be reported again.
            if !doubled.iter().any(|table| table.contains(&span.start)) {
                if is_header(text, &span) {
                    doubled.push(span.start..table_end(text, span.end));
                }
                found.push(duplicate(text, &span, tables));
            }
        } else if !found.iter().any(|d| d.code == "H0001" && same_line(text, d.start(), span.start)) {
            found.push(unreadable(text, span, message));
        }
    }
    found
}

/// Returns true if two bytes are on one line.
pub(super) fn same_line(text: &str, a: usize, b: usize) -> bool {
    let (low, high) = (a.min(b).min(text.len()), a.max(b).min(text.len()));
    !text.as_bytes().get(low..high).unwrap_or_default().contains(&b'\n')
}

fn line_of(text: &str, at: usize) -> (usize, &str) {
    let bytes = text.as_bytes();
    let start = bytes.get(..at).unwrap_or(bytes).iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    let line = text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
    (start, line)
}

fn is_header(text: &str, span: &Span) -> bool {
    line_of(text, span.start).1.trim_start().starts_with('[')
}

/// Where the table whose header ends here ends: at the next header.
fn table_end(text: &str, from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    rest.find("\n[").map_or(text.len(), |at| from + at)
}

fn duplicate(text: &str, span: &Span, tables: &[Entry]) -> Diagnostic {
    let (start, line) = line_of(text, span.start);
    let name = text.get(span.clone()).unwrap_or_default();
    let header =
        line.trim_start().starts_with('[').then(|| line.split(']').next().unwrap_or_default().trim());
    if let Some(header) = header {
        let what = match header.strip_prefix("[stage.") {
            Some(_) => format!("two stages have the id `{name}`"),
            None => format!("the table `{header}]` stands twice"),
        };
        let first = text.get(..start).unwrap_or_default().find(&format!("{header}]"));
        let error = Diagnostic::at("H0002", what, span).label("again here");
        let error = match first {
            Some(at) => error.also(&(at..at + header.len() + 1), "first here"),
            None => error,
        };
        return error.help("give one of them another name, or remove it");
    }
    let error = Diagnostic::at("H0002", format!("the key `{name}` stands twice"), span).label("again here");
    let error = match last_key_before(tables, name, span.start) {
        Some(first) => error.also(&first, "first here"),
        None => error,
    };
    error.help("keep one of the two")
}

/// The key of that name that stands nearest before a byte: the one it doubles.
fn last_key_before(table: &[Entry], name: &str, at: usize) -> Option<Span> {
    let inner = table.iter().filter_map(|entry| match &entry.node {
        Node { value: Value::Table(table), .. } => last_key_before(table, name, at),
        _ => None,
    });
    let here = table.iter().filter(|e| e.key == name && e.key_span.start < at).map(|e| e.key_span.clone());
    inner.chain(here).max_by_key(|span| span.start)
}

/// Explains invalid TOML; frequent mistakes get an answer of their own.
fn unreadable(text: &str, span: Span, message: &str) -> Diagnostic {
    let (start, line) = line_of(text, span.start);
    let body = line.split(" #").next().unwrap_or_default().trim_end();
    if let Some((key, value)) = body.split_once('=') {
        let value = value.trim();
        let at = start + body.len() - value.len();
        let value_span = at..at + value.len();
        let bare = |c: char| c.is_alphanumeric() || "_-./${}:~*\\ ".contains(c);
        if value.is_empty() {
            let end = start + body.len();
            let error = Diagnostic::at("H0001", format!("`{}` has no value", key.trim()), &(end..end));
            return error.expected("a string, a number, true or false, a list or a table");
        }
        if value.chars().all(bare) && !value.starts_with(|c: char| c.is_ascii_digit()) {
            return Diagnostic::at("H0001", "a text without quotes", &value_span)
                .expected("a string")
                .suggest("put it in quotes", &value_span, format!("\"{value}\""));
        }
    }
    let (what, expected) = match message.split_once(", expected ") {
        Some((what, expected)) => (what, Some(expected)),
        None => (message, None),
    };
    let error = Diagnostic::at("H0001", format!("invalid TOML: {what}"), &span);
    match expected {
        Some(expected) if !expected.is_empty() => error.expected(expected),
        _ => error,
    }
}
