//! A TOML table read key by key: what is missing, misspelt or of another type is reported with its place,
//! and reading continues.

use std::ops::Range;

use jiff::Timestamp;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Report;

const INTEGER: &str = "an integer";
const TIME: &str = "a time and its offset (RFC 3339), such as \"2026-03-02T08:15:00Z\"";

type Value<'t, 'i> = &'t Spanned<DeValue<'i>>;

pub(crate) struct Fields<'t, 'i> {
    name: &'static str,
    span: Range<usize>,
    table: &'t DeTable<'i>,
    asked: Vec<&'static str>,
}

impl<'t, 'i> Fields<'t, 'i> {
    pub(crate) fn new(name: &'static str, span: Range<usize>, table: &'t DeTable<'i>) -> Self {
        Self { name, span, table, asked: Vec::new() }
    }

    pub(crate) fn of(name: &'static str, value: Value<'t, 'i>, report: Report<'_>) -> Option<Self> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Self::new(name, value.span(), table));
        }
        report(value.span(), format!("{name} must be a table, but this is {}", a_value(value.get_ref())));
        None
    }

    /// Where the table stands.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The value of `key`, whatever it is.
    pub(crate) fn value(&self, key: &str) -> Option<Value<'t, 'i>> {
        self.table.get(key)
    }

    /// Reads `key` only if it is there.
    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Option<T>,
    ) -> Option<T> {
        self.asked.push(key);
        if self.table.contains_key(key) { read(self, key) } else { None }
    }

    pub(crate) fn string(&mut self, key: &'static str, report: Report<'_>) -> Option<(String, Range<usize>)> {
        self.typed(key, "a string", report, |value| match value {
            DeValue::String(text) => Some(text.to_string()),
            _ => None,
        })
    }

    pub(crate) fn boolean(&mut self, key: &'static str, report: Report<'_>) -> Option<(bool, Range<usize>)> {
        self.typed(key, "true or false", report, |value| match value {
            DeValue::Boolean(truth) => Some(*truth),
            _ => None,
        })
    }

    pub(crate) fn integer(&mut self, key: &'static str, report: Report<'_>) -> Option<(i64, Range<usize>)> {
        self.typed(key, INTEGER, report, |value| match value {
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        })
    }

    pub(crate) fn number(&mut self, key: &'static str, report: Report<'_>) -> Option<(f64, Range<usize>)> {
        self.typed(key, "a number", report, |value| match value {
            DeValue::Float(digits) => digits.as_str().parse().ok(),
            DeValue::Integer(digits) => {
                i64::from_str_radix(digits.as_str(), digits.radix()).ok().map(|whole| whole as f64)
            }
            _ => None,
        })
    }

    /// RFC 3339 with an offset, as a string or as TOML's own date-time.
    pub(crate) fn timestamp(&mut self, key: &'static str, report: Report<'_>) -> Option<Timestamp> {
        let (time, _) = self.typed(key, TIME, report, |value| match value {
            DeValue::String(text) => text.parse().ok(),
            DeValue::Datetime(time) => time.to_string().parse().ok(),
            _ => None,
        })?;
        Some(time)
    }

    /// An array of tables; none when the key is absent.
    pub(crate) fn tables(&mut self, key: &'static str, report: Report<'_>) -> Vec<Value<'t, 'i>> {
        self.asked.push(key);
        let Some(value) = self.table.get(key) else { return Vec::new() };
        if let DeValue::Array(entries) = value.get_ref() {
            return entries.iter().collect();
        }
        report(value.span(), format!("`{key}` must be a list of tables, written [[...{key}]]"));
        Vec::new()
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        report: Report<'_>,
        read: impl FnOnce(&DeValue<'i>) -> Option<T>,
    ) -> Option<(T, Range<usize>)> {
        self.asked.push(key);
        let Some(value) = self.table.get(key) else {
            report(self.span.clone(), format!("`{key}` is missing in {}; it is {expected}", self.name));
            return None;
        };
        let read = read(value.get_ref()).map(|good| (good, value.span()));
        if read.is_none() {
            let found = match value.get_ref() {
                DeValue::Integer(_) if expected == INTEGER => "too large",
                DeValue::String(_) if expected == TIME => "a string of another form",
                other => a_value(other),
            };
            report(value.span(), format!("`{key}` must be {expected}, but this is {found}"));
        }
        read
    }

    /// Reports every key that no reader asked for.
    pub(crate) fn finish(self, report: Report<'_>) {
        for key in self.table.keys().filter(|key| !self.asked.contains(&key.get_ref().as_ref())) {
            let mut known = self.asked.clone();
            known.dedup();
            let (name, key_text) = (self.name, key.get_ref());
            report(key.span(), format!("{name} has no key `{key_text}`; it has {}", known.join(", ")));
        }
    }
}

/// The type of a value, never its content.
fn a_value(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time without an offset",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
