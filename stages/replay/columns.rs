//! Columns in words, as a pipeline file declares them: `text`, `seconds f32`, `samples [f32]`, `note string?`.

use std::path::Path;

use arrow::datatypes::TimeUnit;
use headwater_contract::columns::FILE;
use headwater_contract::prelude::*;

const FORM: &str = "a name, a space and one of string, boolean, binary, i32, i64, u8, u16, u32, u64, f32, f64, time, or one of these in []; \
     `?` behind it where values may be missing";

/// The column that these words declare.
pub fn field_of(words: &str) -> std::result::Result<Field, String> {
    let (name, kind) = words.trim().split_once(' ').unwrap_or((words.trim(), "string"));
    let kind = kind.trim();
    let (kind, nullable) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
    let known = type_of(kind).filter(|_| !name.is_empty());
    let known = known.ok_or_else(|| format!("{words:?} declares no column; expected {FORM}"))?;
    Ok(Field::new(name, known, nullable))
}

/// The words for a column; nothing for a type that has none.
pub fn word_of(field: &Field) -> Option<String> {
    let mark = if field.is_nullable() { "?" } else { "" };
    Some(format!("{} {}{mark}", field.name(), type_word(field.data_type())?))
}

fn type_of(word: &str) -> Option<DataType> {
    if let Some(item) = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Some(DataType::List(Arc::new(Field::new_list_field(type_of(item)?, false))));
    }
    Some(match word {
        "string" => DataType::Utf8,
        "boolean" => DataType::Boolean,
        "binary" => DataType::Binary,
        "i32" => DataType::Int32,
        "i64" => DataType::Int64,
        "u8" => DataType::UInt8,
        "u16" => DataType::UInt16,
        "u32" => DataType::UInt32,
        "u64" => DataType::UInt64,
        "f32" => DataType::Float32,
        "f64" => DataType::Float64,
        "time" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => return None,
    })
}

fn type_word(kind: &DataType) -> Option<String> {
    if let DataType::List(item) = kind {
        return Some(format!("[{}]", type_word(item.data_type())?));
    }
    let words =
        ["string", "boolean", "binary", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64", "time"];
    words.into_iter().find(|word| type_of(word).as_ref() == Some(kind)).map(str::to_owned)
}

/// Checks that all wanted columns are there with their types.
pub fn fit(wanted: &[Field], there: &Schema, folder: &Path) -> Result {
    let misfits: Vec<String> = wanted
        .iter()
        .filter_map(|field| match there.field_with_name(field.name()) {
            Ok(found) if found.data_type() != field.data_type() => {
                Some(format!("`{}` is {} there, not {}", field.name(), shown(found), shown(field)))
            }
            Ok(found) if found.is_nullable() && !field.is_nullable() => {
                Some(format!("values of `{}` may be missing there", field.name()))
            }
            Ok(_) => None,
            Err(_) if may_be_empty(field) => None,
            Err(_) => Some(format!("there is no column `{}`", field.name())),
        })
        .collect();
    if misfits.is_empty() {
        return Ok(());
    }
    let known = identity::fields();
    let own = there.fields().iter().filter(|field| !known.iter().any(|k| k.name() == field.name()));
    let names: Vec<String> =
        own.map(|field| word_of(field).unwrap_or_else(|| field.name().clone())).collect();
    Err(StageError::new(format!("{}: {}", folder.display(), misfits.join("; ")))
        .expected(format!("columns that are there: {}", names.join(", "))))
}

fn shown(field: &Field) -> String {
    type_word(field.data_type()).unwrap_or_else(|| field.data_type().to_string())
}

/// Returns true if rows may lack this column: those that came from no file.
fn may_be_empty(field: &Field) -> bool {
    field.name() == FILE && *field.data_type() == DataType::Utf8 && field.is_nullable()
}

/// The rows with just these columns, in their order.
pub fn project(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if rows.column_by_name(FILE).is_some() || !schema.fields().iter().any(|field| may_be_empty(field)) {
        return with_columns(rows, schema, []);
    }
    let files: ArrayRef = Arc::new(StringArray::new_null(rows.num_rows()));
    with_columns(rows, schema, [(FILE, files)])
}
