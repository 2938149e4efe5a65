//! Diagnostics for tools: one JSON document a file.

use serde_json::{Value, json};

use super::{Diagnostic, Mark, Place, Span, count, position};

/// Diagnostics as JSON: `{version, file, errors, warnings, diagnostics: [...]}`. Lines and columns count from 1, `offset` is
/// in bytes from 0.
pub fn to_json(diagnostics: &[Diagnostic], file_name: &str, text: &str) -> Value {
    let (errors, warnings) = count(diagnostics);
    let items: Vec<Value> = diagnostics.iter().map(|d| one(d, text)).collect();
    json!({ "version": 1, "file": file_name, "errors": errors, "warnings": warnings, "diagnostics": items })
}

fn one(diagnostic: &Diagnostic, text: &str) -> Value {
    let suggestion = diagnostic
        .suggestion
        .as_ref()
        .map(|s| json!({ "text": s.text, "span": span(&s.span, text), "replacement": s.replacement }));
    json!({
        "code": diagnostic.code,
        "severity": diagnostic.severity.name(),
        "message": diagnostic.message,
        "primary": mark(&diagnostic.primary, text),
        "expected": diagnostic.expected,
        "secondary": diagnostic.secondary.iter().map(|m| mark(m, text)).collect::<Vec<_>>(),
        "notes": diagnostic.notes,
        "help": diagnostic.help,
        "suggestion": suggestion,
    })
}

fn mark(mark: &Mark, text: &str) -> Value {
    match &mark.place {
        Place::File(at) => json!({ "text": mark.text, "span": span(at, text) }),
        Place::Argument { text: argument, span } => {
            json!({ "text": mark.text, "argument": argument, "from": span.start, "to": span.end })
        }
    }
}

fn span(span: &Span, text: &str) -> Value {
    let point = |offset: usize| {
        let at = position(text, offset);
        json!({ "line": at.line, "column": at.column, "offset": offset.min(text.len()) })
    };
    json!({ "start": point(span.start), "end": point(span.end) })
}
