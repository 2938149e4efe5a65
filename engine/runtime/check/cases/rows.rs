//! Rows that a test writes down, against the columns of a port.

use arrow::datatypes::{DataType, Schema, SchemaRef};

use super::Reader;
use crate::case::RowsOf;
use crate::check::column::type_name;
use crate::check::similar::{nearest, one_of};
use crate::diagnostic::Diagnostic;
use crate::pipeline::{Entry, Node, Value};

const FORM: &str = "a list of rows, [{ text = \"...\" }], or the path of a file of JSON lines";

impl Reader<'_, '_> {
    /// The rows that stand there; where the columns of the port are known, they fit.
    pub(super) fn rows(&mut self, key: &str, node: &Node, schema: Option<&SchemaRef>) -> Option<RowsOf> {
        match &node.value {
            Value::String(path) => Some(RowsOf::File(path.into())),
            Value::Array(items) => {
                let rows: Vec<_> = items.iter().filter_map(|item| self.row(key, item, schema)).collect();
                Some(RowsOf::Here(rows))
            }
            _ => {
                let error = Diagnostic::at("H0005", format!("`{key}` is {}", node.type_name()), &node.span);
                self.found.push(error.expected(FORM));
                None
            }
        }
    }

    fn row(&mut self, key: &str, node: &Node, schema: Option<&SchemaRef>) -> Option<toml::Table> {
        let (Value::Table(entries), toml::Value::Table(row)) = (&node.value, node.to_toml()) else {
            let error =
                Diagnostic::at("H0005", format!("a row of `{key}` is {}", node.type_name()), &node.span);
            self.found.push(error.expected("a table: { text = \"...\" }"));
            return None;
        };
        if let Some(schema) = schema {
            let wrong = entries.iter().filter_map(|entry| misfit(key, entry, schema));
            self.found.extend(wrong);
        }
        Some(row)
    }
}

/// Returns the error of one value of a row.
fn misfit(key: &str, entry: &Entry, schema: &Schema) -> Option<Diagnostic> {
    let Ok(field) = schema.field_with_name(&entry.key) else {
        let error = Diagnostic::at(
            "H0603",
            format!("the rows of `{key}` have no column `{}`", entry.key),
            &entry.key_span,
        );
        let names = || schema.fields().iter().map(|field| field.name().as_str());
        return Some(match nearest(&entry.key, names()) {
            Some(near) => error.suggest(format!("did you mean `{near}`?"), &entry.key_span, near),
            None => error.expected(one_of(names())),
        });
    };
    if fits(&entry.node, field.data_type()) {
        return None;
    }
    let message = format!("the column `{}` of `{key}` is {} here", entry.key, entry.node.type_name());
    Some(Diagnostic::at("H0603", message, &entry.node.span).expected(type_name(field.data_type())))
}

fn fits(node: &Node, wanted: &DataType) -> bool {
    match (&node.value, wanted) {
        (Value::String(_), DataType::Utf8 | DataType::Timestamp(..))
        | (Value::Boolean(_), DataType::Boolean) => true,
        (Value::Datetime(_), DataType::Timestamp(..)) => true,
        (Value::Integer(number), wanted) if wanted.is_unsigned_integer() => *number >= 0,
        (Value::Integer(_), wanted) => wanted.is_numeric(),
        (Value::Float(_), wanted) => wanted.is_floating(),
        (Value::Array(items), DataType::List(item)) => items.iter().all(|node| fits(node, item.data_type())),
        (Value::Table(entries), DataType::Struct(fields)) => entries.iter().all(|entry| {
            fields.iter().any(|field| *field.name() == entry.key && fits(&entry.node, field.data_type()))
        }),
        _ => false,
    }
}
