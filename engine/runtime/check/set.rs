//! `--set stage.ID.OPTION=VALUE` and `--set pipeline.KEY=VALUE`.

use headwater_contract::{Shape, StageFactory};

use super::similar::{all_of, nearest};
use crate::diagnostic::{Diagnostic, Place};
use crate::pipeline::{Entry, Node, Origin, Pipeline, STAGE_KEYS, StageTable, Value};

/// Puts the values of the command line into the pipeline; a later one of the same path counts.
pub(super) fn apply(
    pipeline: &mut Pipeline,
    kinds: &[StageFactory],
    set: &[(String, String)],
) -> Vec<Diagnostic> {
    set.iter().filter_map(|(path, value)| one(pipeline, kinds, path, value).err()).collect()
}

fn one(pipeline: &mut Pipeline, kinds: &[StageFactory], path: &str, value: &str) -> Result<(), Diagnostic> {
    let argument = format!("--set {path}={value}");
    let parts: Vec<&str> = path.split('.').collect();
    match parts.as_slice() {
        ["pipeline", key, rest @ ..] if !key.is_empty() && !rest.contains(&"") => {
            let leaf = read(value, None);
            let value = rest.iter().rev().fold(leaf, |inner, key| nested(key, inner));
            put(&mut pipeline.head, key, value, argument);
            Ok(())
        }
        ["stage", id, option] if !option.is_empty() => {
            let ids: Vec<String> = pipeline.stages.iter().map(|s| s.id.clone()).collect();
            let Some(stage) = pipeline.stages.iter_mut().find(|s| s.id == *id) else {
                return Err(no_stage(&argument, id, &ids));
            };
            if STAGE_KEYS.contains(option) {
                return Err(wiring(&argument, path, option));
            }
            let shape = shape_of(stage, kinds, option);
            put(&mut stage.options, option, read(value, shape.as_ref()), argument);
            Ok(())
        }
        _ => Err(Diagnostic::error(
            "H0107",
            format!("`{path}` names nothing that can be set"),
            in_path(&argument, path),
        )
        .expected("`stage.ID.OPTION` or `pipeline.KEY`")),
    }
}

fn in_path(argument: &str, part: &str) -> Place {
    let start = argument.find(part).unwrap_or_default();
    Place::Argument { text: argument.to_owned(), span: start..start + part.len() }
}

fn no_stage(argument: &str, id: &str, ids: &[String]) -> Diagnostic {
    let place = match argument.find('.') {
        Some(dot) => Place::Argument { text: argument.to_owned(), span: dot + 1..dot + 1 + id.len() },
        None => Place::argument(argument),
    };
    let error = Diagnostic::error("H0107", format!("the pipeline has no stage `{id}`"), place);
    let ids = ids.iter().map(String::as_str);
    match nearest(id, ids.clone()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!("its stages are {}", all_of(ids))),
    }
}

fn wiring(argument: &str, path: &str, key: &str) -> Diagnostic {
    Diagnostic::error("H0106", format!("`{key}` may not be set from outside"), in_path(argument, path))
        .help("who reads whom, and how far rows may go, stands in the file alone: change it there")
}

fn shape_of(stage: &StageTable, kinds: &[StageFactory], option: &str) -> Option<Shape> {
    let name = stage.kind.as_ref()?.node.as_str()?;
    let kind = kinds.iter().find(|k| k.name() == name)?;
    kind.options().into_iter().find(|spec| spec.name == option).map(|spec| spec.shape)
}

/// A value as people type it: TOML where it is TOML, else a text; always a text where a text belongs.
fn read(value: &str, shape: Option<&Shape>) -> Value {
    let as_text = Value::String(value.to_owned());
    let parsed = toml::de::DeTable::parse(&format!("v = {value}"))
        .ok()
        .and_then(|table| crate::pipeline::node::entries(table.get_ref()).into_iter().next())
        .map_or(as_text.clone(), |entry| entry.node.value);
    let wants_text = !matches!(
        shape,
        None | Some(
            Shape::Integer
                | Shape::Number
                | Shape::NumberOr(_)
                | Shape::Switch
                | Shape::List(_)
                | Shape::Table(_)
        )
    );
    if wants_text && !matches!(parsed, Value::String(_)) { as_text } else { parsed }
}

fn nested(key: &str, inner: Value) -> Value {
    Value::Table(vec![Entry { key: key.to_owned(), key_span: 0..0, node: node(inner, Origin::File) }])
}

fn node(value: Value, origin: Origin) -> Node {
    Node { span: 0..0, value, origin }
}

fn put(entries: &mut Vec<Entry>, key: &str, value: Value, argument: String) {
    let mut node = node(value, Origin::Argument(argument.clone()));
    mark_all(&mut node, &argument);
    entries.retain(|entry| entry.key != key);
    entries.push(Entry { key: key.to_owned(), key_span: 0..0, node });
}

/// Every part of the value came by the argument.
fn mark_all(node: &mut Node, argument: &str) {
    node.origin = Origin::Argument(argument.to_owned());
    match &mut node.value {
        Value::Array(items) => items.iter_mut().for_each(|item| mark_all(item, argument)),
        Value::Table(entries) => entries.iter_mut().for_each(|entry| mark_all(&mut entry.node, argument)),
        _ => {}
    }
}
