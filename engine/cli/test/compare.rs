//! The actual rows against the expected ones: nothing, or lines that show the differences.

use std::path::Path;

use headwater_runtime::case::{ExpectAt, Pattern};
use regex::Regex;
use serde_json::Value;

use super::rows::{Row, rows_of};

/// Rows that are shown of those that hold what none should.
const SHOWN: usize = 3;

/// An expectation, with its rows read.
pub(super) struct Wanted<'a> {
    expect: &'a ExpectAt,
    pub(super) rows: Option<Vec<Row>>,
}

impl<'a> Wanted<'a> {
    /// An expectation; its rows may lie in a file.
    pub(super) fn of(expect: &'a ExpectAt, folder: &Path) -> Result<Self, String> {
        let rows = expect.rows.as_ref().map(|(rows, _)| rows_of(rows, folder)).transpose()?;
        Ok(Wanted { expect, rows })
    }

    /// The columns that the expected rows name, in the order of first sight.
    pub(super) fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = Vec::new();
        for name in self.rows.iter().flatten().flat_map(|row| row.keys()) {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        columns
    }

    /// Everything that differs.
    pub(super) fn differences(&self, came: &[Row]) -> Vec<String> {
        let place = &self.expect.place;
        let mut wrong = Vec::new();
        if let Some((count, _)) = self.expect.count
            && count != came.len() as u64
        {
            wrong.push(format!("expect.{place}: {} rows came; expected {count}", came.len()));
        }
        if let Some(rows) = &self.rows {
            wrong.extend(different_rows(place, rows, came, &self.columns()));
        }
        wrong.extend(self.patterns_in(came));
        wrong
    }

    /// Returns the differences of the patterns alone.
    pub(super) fn patterns_in(&self, came: &[Row]) -> Vec<String> {
        let place = &self.expect.place;
        let missed = self.expect.matches.iter().filter(|pattern| holders(pattern, came).is_empty());
        let missed = missed.map(|pattern| {
            let shown: String =
                came.iter().take(SHOWN).map(|row| format!("\n  {}", line(row, &[]))).collect();
            format!("expect.{place}: none of {} rows matches {}{shown}", came.len(), shown_pattern(pattern))
        });
        let held = self.expect.none_match.iter().filter_map(|pattern| {
            let rows = holders(pattern, came);
            let shown: String =
                rows.iter().take(SHOWN).map(|row| format!("\n+ {}", line(row, &[]))).collect();
            let many =
                if rows.len() == 1 { "a row matches".into() } else { format!("{} rows match", rows.len()) };
            (!rows.is_empty())
                .then(|| format!("expect.{place}: {many} {}, and none should{shown}", shown_pattern(pattern)))
        });
        missed.chain(held).collect()
    }
}

fn shown_pattern(pattern: &Pattern) -> String {
    match &pattern.column {
        Some(column) => format!("{:?} in `{column}`", pattern.regex),
        None => format!("{:?}", pattern.regex),
    }
}

/// The rows in which the pattern is found.
fn holders<'r>(pattern: &Pattern, came: &'r [Row]) -> Vec<&'r Row> {
    let Ok(regex) = Regex::new(&pattern.regex) else { return Vec::new() };
    let holds = |value: &Value| match value {
        Value::String(text) => regex.is_match(text),
        Value::Null => false,
        // A value that is no text is looked at as JSON where its column is named.
        other => pattern.column.is_some() && regex.is_match(&other.to_string()),
    };
    let named = |name: &String| pattern.column.as_ref().is_none_or(|column| column == name);
    came.iter().filter(|row| row.iter().any(|(name, value)| named(name) && holds(value))).collect()
}

/// A row as a line, with these columns alone; with none given, with all.
fn line(row: &Row, columns: &[String]) -> String {
    let kept: Row = match columns {
        [] => row.clone(),
        names => names.iter().filter_map(|name| Some((name.clone(), row.get(name)?.clone()))).collect(),
    };
    Value::Object(kept).to_string()
}

/// Returns true if a row has all that is expected of it.
fn fits(wanted: &Row, came: &Row) -> bool {
    wanted.iter().all(|(name, value)| same(value, came.get(name).unwrap_or(&Value::Null)))
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| same(value, other)))
        }
        (a, b) => a == b,
    }
}

/// Returns the differences between the expected rows and the actual ones, as lines of a diff.
fn different_rows(place: &str, wanted: &[Row], came: &[Row], columns: &[String]) -> Option<String> {
    let steps = steps(wanted, came);
    if steps.iter().all(|step| matches!(step, Step::Same(_))) {
        return None;
    }
    let lines = steps.iter().map(|step| match step {
        Step::Same(row) => format!("\n  {}", line(row, columns)),
        Step::Missing(row) => format!("\n- {}", line(row, &[])),
        Step::New(row) => format!("\n+ {}", line(row, columns)),
    });
    Some(format!("expect.{place}: other rows came (- expected, + came){}", lines.collect::<String>()))
}

enum Step<'r> {
    Same(&'r Row),
    Missing(&'r Row),
    New(&'r Row),
}

/// The shortest way from the expected rows to those that came: by the longest common run of rows.
fn steps<'r>(wanted: &'r [Row], came: &'r [Row]) -> Vec<Step<'r>> {
    let width = came.len() + 1;
    let mut longest = vec![0_usize; (wanted.len() + 1) * width];
    let at = |w: usize, c: usize| w * width + c;
    let read = |longest: &[usize], w: usize, c: usize| longest.get(at(w, c)).copied().unwrap_or(0);
    for (w, row) in wanted.iter().enumerate().rev() {
        for (c, other) in came.iter().enumerate().rev() {
            let value = if fits(row, other) {
                read(&longest, w + 1, c + 1) + 1
            } else {
                read(&longest, w + 1, c).max(read(&longest, w, c + 1))
            };
            if let Some(slot) = longest.get_mut(at(w, c)) {
                *slot = value;
            }
        }
    }
    let (mut w, mut c, mut steps) = (0, 0, Vec::new());
    loop {
        match (wanted.get(w), came.get(c)) {
            (Some(row), Some(other)) if fits(row, other) => {
                steps.push(Step::Same(other));
                (w, c) = (w + 1, c + 1);
            }
            (Some(row), other) if other.is_none() || read(&longest, w + 1, c) >= read(&longest, w, c + 1) => {
                steps.push(Step::Missing(row));
                w += 1;
            }
            (_, Some(other)) => {
                steps.push(Step::New(other));
                c += 1;
            }
            (_, None) => return steps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_runtime::case::RowsOf;
    use serde_json::json;

    fn rows(texts: &[&str]) -> Vec<Row> {
        let row = |(n, text): (usize, &&str)| {
            json!({ "seq": n, "text": text, "score": 0.5 }).as_object().unwrap().clone()
        };
        texts.iter().enumerate().map(row).collect()
    }

    fn expect() -> ExpectAt {
        ExpectAt {
            place: "redact".into(),
            rows: None,
            matches: Vec::new(),
            none_match: Vec::new(),
            count: None,
        }
    }

    fn actual(expect: &ExpectAt, came: &[&str]) -> String {
        Wanted::of(expect, Path::new("")).unwrap().differences(&rows(came)).join("\n")
    }

    #[test]
    fn rows_that_differ_are_shown_among_those_that_do_not() {
        let here = |texts: &[&str]| {
            let table = |text: &&str| toml::Table::from_iter([("text".to_owned(), toml::Value::from(*text))]);
            let rows = RowsOf::Here(texts.iter().map(table).collect());
            ExpectAt { rows: Some((rows, 0..0)), ..expect() }
        };
        let check = |wanted: &[&str], came: &[&str], expected: &str| {
            assert_eq!(actual(&here(wanted), came), expected, "{wanted:?} {came:?}");
        };
        check(&["a", "b"], &["a", "b"], "");
        check(&[], &[], "");
        let head = "expect.redact: other rows came (- expected, + came)";
        check(
            &["a", "b"],
            &["a", "c"],
            &format!("{head}\n  {{\"text\":\"a\"}}\n- {{\"text\":\"b\"}}\n+ {{\"text\":\"c\"}}"),
        );
        check(&["a", "b"], &["b"], &format!("{head}\n- {{\"text\":\"a\"}}\n  {{\"text\":\"b\"}}"));
        check(&["b"], &["a", "b"], &format!("{head}\n+ {{\"text\":\"a\"}}\n  {{\"text\":\"b\"}}"));
    }

    #[test]
    fn counts_and_patterns() {
        let pattern = |column: Option<&str>, regex: &str| Pattern {
            column: column.map(str::to_owned),
            regex: regex.into(),
        };
        let check = |expect: ExpectAt, expected: &str| {
            let actual = actual(&expect, &["call <PHONE>", "call 555"]);
            assert!(
                if expected.is_empty() { actual.is_empty() } else { actual.contains(expected) },
                "{actual}"
            );
        };
        check(ExpectAt { count: Some((2, 0..0)), ..expect() }, "");
        check(ExpectAt { count: Some((3, 0..0)), ..expect() }, "2 rows came; expected 3");
        check(ExpectAt { matches: vec![pattern(None, "<PHONE>")], ..expect() }, "");
        check(ExpectAt { matches: vec![pattern(None, "^<")], ..expect() }, "none of 2 rows matches \"^<\"");
        check(ExpectAt { matches: vec![pattern(Some("score"), "0.5")], ..expect() }, "");
        check(ExpectAt { matches: vec![pattern(Some("score"), "call")], ..expect() }, "in `score`");
        check(ExpectAt { none_match: vec![pattern(None, "card")], ..expect() }, "");
        check(ExpectAt { none_match: vec![pattern(None, r"\d{3}")], ..expect() }, "a row matches");
        check(ExpectAt { none_match: vec![pattern(Some("text"), "call")], ..expect() }, "2 rows match");
    }
}
