//! Writes the actual rows into the file in place of the expected ones. All else of the file stays as it is, to the byte.

use std::path::Path;

use headwater_contract::identity;
use headwater_runtime::case::{ExpectAt, RowsOf};
use headwater_runtime::diagnostic::Span;
use serde_json::Value;

use super::compare::Wanted;
use super::rows::Row;

/// A change of the file's text.
pub(super) type Edit = (Span, String);

/// The edits that make an expectation true, as far as rows and counts do; rows in a file are written there at once.
pub(super) fn edits(
    expect: &ExpectAt,
    wanted: &Wanted<'_>,
    came: &[Row],
    folder: &Path,
    edits: &mut Vec<Edit>,
) -> Result<(), String> {
    if wanted.differences(came).is_empty() {
        return Ok(());
    }
    if let Some((count, span)) = &expect.count
        && *count != came.len() as u64
    {
        edits.push((span.clone(), came.len().to_string()));
    }
    let columns = columns(wanted, came);
    let kept = |row: &Row| -> Row {
        columns.iter().filter_map(|name| Some((name.clone(), row.get(name)?.clone()))).collect()
    };
    let rows: Vec<Row> = came.iter().map(kept).collect();
    match &expect.rows {
        None => Ok(()),
        Some((RowsOf::Here(_), span)) => {
            edits.push((span.clone(), list(&rows)));
            Ok(())
        }
        Some((RowsOf::File(name), _)) => {
            let path = folder.join(name);
            let lines: String = rows.into_iter().map(|row| Value::Object(row).to_string() + "\n").collect();
            std::fs::write(&path, lines).map_err(|e| format!("{} cannot be written: {e}", path.display()))
        }
    }
}

/// The columns that were expected; where none was, all that a row has beside its identity.
fn columns(wanted: &Wanted<'_>, came: &[Row]) -> Vec<String> {
    let named = wanted.columns();
    if !named.is_empty() {
        return named;
    }
    let known = identity::fields();
    let own = came
        .iter()
        .flat_map(|row| row.keys())
        .filter(|name| !known.iter().any(|field| field.name() == *name));
    let mut columns: Vec<String> = Vec::new();
    for name in own {
        if !columns.contains(name) {
            columns.push(name.clone());
        }
    }
    columns
}

fn list(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "[]".into();
    }
    let lines: String =
        rows.iter().map(|row| format!("    {},\n", as_toml(&Value::Object(row.clone())))).collect();
    format!("[\n{lines}]")
}

fn as_toml(value: &Value) -> String {
    match value {
        Value::Object(row) => {
            let parts = row.iter().filter(|(_, value)| !value.is_null());
            let parts: Vec<String> =
                parts.map(|(name, value)| format!("{} = {}", key(name), as_toml(value))).collect();
            format!("{{ {} }}", parts.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(as_toml).collect::<Vec<_>>().join(", ")),
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        other => other.to_string(),
    }
}

fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        toml::Value::from(name).to_string()
    }
}

/// The text with all edits made.
pub(super) fn edited(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(span, _)| span.start);
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for (span, new) in edits {
        out += text.get(at..span.start).unwrap_or_default();
        out += &new;
        at = span.end;
    }
    out + text.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_are_written_as_toml_that_reads_back() {
        let row =
            json!({ "text": "a \"b\"\n\\", "n": 3, "odd key": [1, 2], "at": { "start": 0 }, "none": null });
        let Value::Object(row) = row else { panic!() };
        let text = format!("rows = {}", list(&[row.clone(), row]));
        let back: toml::Table = text.parse().unwrap();
        let first = back["rows"][0].as_table().unwrap();
        assert_eq!(first["text"].as_str(), Some("a \"b\"\n\\"));
        assert_eq!((first["odd key"][1].as_integer(), first["at"]["start"].as_integer()), (Some(2), Some(0)));
        assert!(!first.contains_key("none"));
        assert_eq!(list(&[]), "[]");
    }

    #[test]
    fn all_else_stays() {
        let text = "a = 1 # one\nb = [2] # two\n";
        assert_eq!(
            edited(text, vec![(16..19, "[]".into()), (4..5, "10".into())]),
            "a = 10 # one\nb = [] # two\n"
        );
    }
}
