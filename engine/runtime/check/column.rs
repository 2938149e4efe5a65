//! Messages about columns: one that upstream does not give, and inputs whose sides disagree.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use headwater_contract::{Rows, SchemaMismatch, StageFactory, identity};

use super::draft::{Draft, Read};
use super::flow::Flow;
use super::members::MembersDraft;
use super::similar::{all_of, nearest};
use crate::diagnostic::Diagnostic;
use crate::plan::OutPort;

/// A type as people call it.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 => "string".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Binary => "binary".into(),
        DataType::Int32 => "i32".into(),
        DataType::Int64 => "i64".into(),
        DataType::UInt8 => "u8".into(),
        DataType::UInt16 => "u16".into(),
        DataType::UInt32 => "u32".into(),
        DataType::UInt64 => "u64".into(),
        DataType::Float32 => "f32".into(),
        DataType::Float64 => "f64".into(),
        DataType::Timestamp(_, _) => "time".into(),
        DataType::List(item) => format!("[{}]", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let parts: Vec<String> =
                fields.iter().map(|f| format!("{} {}", f.name(), type_name(f.data_type()))).collect();
            format!("{{{}}}", parts.join(", "))
        }
        other => other.to_string(),
    }
}

/// The names of the columns beside the identity.
fn own_columns(schema: &Schema) -> Vec<&str> {
    let known = identity::fields();
    let names = schema.fields().iter().map(|f| f.name().as_str());
    names.filter(|name| !known.iter().any(|k| k.name() == name)).collect()
}

/// Where a column is missed.
pub(super) struct Place<'a, 'p> {
    pub(super) drafts: &'a [Draft<'p>],
    pub(super) flows: &'a [Flow],
    pub(super) kinds: &'a [StageFactory],
    pub(super) members: Option<&'a MembersDraft>,
    pub(super) reader: usize,
}

impl Place<'_, '_> {
    /// A column that an input needs and does not get.
    pub(super) fn misfit(
        &self,
        draft: &Draft<'_>,
        misfit: &SchemaMismatch,
        inputs: &[SchemaRef],
    ) -> Option<Diagnostic> {
        let read = draft.reads.iter().find(|r| r.input == misfit.input)?;
        let upstream = self.drafts.get(read.stage)?;
        let from = upstream.port_name(read.port?);
        let to = draft.input_name(misfit.input);
        let (column, needed) = (&misfit.column, type_name(&misfit.needed));
        let given = inputs.get(misfit.input)?;
        if let Some(found) = &misfit.found {
            let found = type_name(found);
            let message = format!("`{to}` needs `{column}` as {needed}, and `{from}` gives it as {found}");
            let error = Diagnostic::at("H0308", message, &read.span).label(format!("needs {needed}"));
            return Some(error.also(&upstream.table.id_span, format!("gives {found}")));
        }
        let message = format!("`{to}` needs the column `{column}`, which `{from}` does not give");
        let columns = own_columns(given);
        let gives = if columns.is_empty() {
            "gives the identity only".to_owned()
        } else {
            format!("gives {}", all_of(columns.iter().copied()))
        };
        let error = Diagnostic::at("H0308", message, &read.span)
            .label(format!("needs `{column}` ({needed})"))
            .also(&upstream.table.id_span, gives);
        Some(self.remedy(error, misfit, read, &columns))
    }

    fn remedy(
        &self,
        error: Diagnostic,
        misfit: &SchemaMismatch,
        read: &Read,
        columns: &[&str],
    ) -> Diagnostic {
        let column = misfit.column.as_str();
        if let Some((giver, port)) = self.stage_that_gives(misfit) {
            let name = match port {
                OutPort::Out(0) => giver.id().to_owned(),
                other => giver.port_name(other),
            };
            let error = error.note(format!("`{}` gives `{column}`", giver.port_name(port)));
            return error.suggest(format!("did you mean `{name}`?"), &read.span, format!("\"{name}\""));
        }
        let makers: Vec<&str> =
            self.kinds.iter().filter(|k| makes(**k, column)).map(StageFactory::name).collect();
        if !makers.is_empty() {
            let way = format!(
                "put a stage of type {} between the two",
                super::similar::one_of(makers.iter().copied())
            );
            return error.help(format!("{way}: it adds `{column}`"));
        }
        let of_members = self.members.map_or(&[][..], |m| &m.columns).iter().map(String::as_str);
        match (nearest(column, columns.iter().copied().chain(of_members.clone())), self.members) {
            (Some(near), _) => error.help(format!("did you mean the column `{near}`?")),
            (None, Some(_)) if misfit.needed == DataType::Utf8 => error
                .note(format!("[members] has {}", all_of(of_members)))
                .help(format!("if their table has it, name it there: `columns = [\"{column}\"]`")),
            _ => error,
        }
    }

    /// Another stage of the pipeline, not below the reader, that gives the column.
    fn stage_that_gives(&self, misfit: &SchemaMismatch) -> Option<(&Draft<'_>, OutPort)> {
        self.drafts.iter().zip(self.flows).enumerate().find_map(|(at, (draft, flow))| {
            let outputs = flow.outputs.as_ref().filter(|_| at != self.reader)?;
            let port = outputs.iter().position(|schema| {
                schema.field_with_name(&misfit.column).is_ok_and(|f| *f.data_type() == misfit.needed)
            })?;
            Some((draft, OutPort::Out(port)))
        })
    }
}

/// Returns true if stages of that kind add a column to their rows.
fn makes(kind: StageFactory, column: &str) -> bool {
    let Some(signature) = kind.sample().map(|role| role.signature()).filter(|s| !s.inputs.is_empty()) else {
        return false;
    };
    let flowing = signature.inputs.iter().filter(|input| !input.feedback);
    let needs = flowing.flat_map(|input| &input.needs).any(|field| field.name() == column);
    !needs
        && signature.outputs.iter().any(|output| {
            let (Rows::Exactly(added) | Rows::Input { plus: added, .. }) = &output.rows;
            added.iter().any(|field| field.name() == column)
        })
}

/// Two outputs that one input reads have different columns.
pub(super) fn disagreement(drafts: &[Draft<'_>], to: String, sides: [(&Read, &SchemaRef); 2]) -> Diagnostic {
    let [(first, one), (second, other)] = sides;
    let name = |read: &Read| {
        let draft = drafts.get(read.stage);
        draft.zip(read.port).map_or(String::new(), |(draft, port)| draft.port_name(port))
    };
    let (first_name, second_name) = (name(first), name(second));
    let message = format!("`{to}` reads `{first_name}` and `{second_name}`, whose columns differ");
    let error = Diagnostic::at("H0309", message, &second.span)
        .label(difference(other, one))
        .also(&first.span, difference(one, other));
    error
        .help("one input takes rows of one form: let two stages read them, or bring both to the same columns")
}

/// Returns the columns that one schema has and another has not, in words.
fn difference(one: &Schema, other: &Schema) -> String {
    let describe = |field: &Field| format!("`{}` ({})", field.name(), type_name(field.data_type()));
    let alone: Vec<String> = one
        .fields()
        .iter()
        .filter(|f| other.field_with_name(f.name()).ok().is_none_or(|o| o.data_type() != f.data_type()))
        .map(|f| describe(f))
        .collect();
    if !alone.is_empty() {
        return format!("has {}", alone.join(", "));
    }
    let optional = one
        .fields()
        .iter()
        .find(|f| f.is_nullable() && other.field_with_name(f.name()).is_ok_and(|o| !o.is_nullable()));
    match optional {
        Some(field) => format!("`{}` may be empty here", field.name()),
        None if one.fields().len() == other.fields().len() => "has the same columns in another order".into(),
        None => "has fewer columns".into(),
    }
}
