//! The JSON Schema of pipeline files, for editors.
//!
//! In: the kinds. Out: a schema (draft 7, which TOML language servers read) made of the definitions that the check uses, so
//! that the two cannot drift. It describes form alone: who may read whom is the check's work.

use headwater_contract::{OptionSpec, Shape, StageFactory};
use serde_json::{Map, Value, json};

use crate::check::cases::KEYS as TEST_KEYS;
use crate::check::{HEAD_KEYS, MEMBERS_KEYS};
use crate::plan::Tier;

const ID: &str = "^[a-z][a-z0-9_]*$";

/// The schema of pipeline files with stages of these kinds.
pub fn schema(kinds: &[StageFactory]) -> Value {
    let stages: Vec<Value> = kinds.iter().map(|kind| stage(*kind)).collect();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A Headwater pipeline",
        "type": "object",
        "required": ["pipeline", "stage"],
        "additionalProperties": false,
        "properties": {
            "pipeline": head(),
            "params": params(),
            "privacy": privacy(),
            "members": members(),
            "test": tests(),
            "stage": {
                "description": "The stages: [stage.ID].",
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "pattern": ID },
                "additionalProperties": { "oneOf": stages },
            },
        },
    })
}

fn head() -> Value {
    let about = |key: &str| {
        let found = HEAD_KEYS.iter().find(|(name, ..)| *name == key);
        found.map_or(String::new(), |(_, meaning, default)| match *default {
            "" => (*meaning).to_owned(),
            default => format!("{meaning} Default: {default}"),
        })
    };
    json!({
        "type": "object",
        "required": ["name"],
        "additionalProperties": false,
        "properties": {
            "name": { "type": "string", "description": about("name") },
            "epoch": {
                "description": about("epoch"),
                "oneOf": [
                    object("rows", json!({ "type": "integer", "minimum": 1 })),
                    object("every", json!({ "type": "string" })),
                ],
            },
            "round": {
                "description": about("round"),
                "oneOf": [
                    object("epochs", json!({ "type": "integer", "minimum": 1 })),
                    object("rows", json!({ "type": "integer", "minimum": 1 })),
                    object("every", json!({ "type": "string" })),
                ],
            },
            "commit": {
                "description": about("commit"),
                "oneOf": [
                    object("epochs", json!({ "type": "integer", "minimum": 1 })),
                    object("every", json!({ "type": "string" })),
                ],
            },
            "window": { "type": "integer", "minimum": 1, "description": about("window") },
            "record": {
                "description": about("record"),
                "anyOf": [{ "type": "boolean" }, { "type": "array", "items": { "type": "string" } }],
            },
            "epoch_bytes": { "type": "string", "description": about("epoch_bytes") },
        },
    })
}

/// A table with exactly one key.
fn object(key: &str, value: Value) -> Value {
    json!({ "type": "object", "required": [key], "additionalProperties": false, "properties": { key: value } })
}

fn params() -> Value {
    json!({
        "description": "The only environment that the file may read: `${name}` inside a string stands for a param.",
        "type": "object",
        "propertyNames": { "pattern": ID },
        "additionalProperties": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "env": { "type": "string", "description": "The environment variable that gives the value." },
                "default": { "type": "string", "description": "The value when nothing else gives one." },
            },
        },
    })
}

fn tiers() -> Value {
    json!(Tier::ALL.map(Tier::name))
}

fn privacy() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "redacted": { "enum": tiers(), "description": "The highest tier that redacted rows may climb to." },
        },
    })
}

fn members() -> Value {
    let about = |key: &str| MEMBERS_KEYS.iter().find(|(name, _)| *name == key).map_or("", |(_, about)| about);
    let names = |key: &str| json!({ "type": "array", "items": { "type": "string", "pattern": ID }, "description": about(key) });
    json!({
        "description": "Whose rows are taken, and what is joined to them.",
        "type": "object",
        "additionalProperties": false,
        "oneOf": [{ "required": ["table"] }, { "required": ["devices"] }],
        "properties": {
            "table": { "type": "string", "description": about("table") },
            "devices": {
                "description": about("devices"),
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "properties": { "consent": { "enum": [true, false, "yes", "no", "true", "false"] } },
                    "additionalProperties": { "type": "string" },
                },
            },
            "groups": names("groups"),
            "columns": names("columns"),
            "changes": { "type": "string", "description": about("changes") },
            "forget": { "type": "boolean", "description": about("forget") },
        },
    })
}

fn tests() -> Value {
    let about = |key: &str| TEST_KEYS.iter().find(|(name, _)| *name == key).map_or("", |(_, about)| about);
    let rows = json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "object" } }] });
    let patterns = json!({ "anyOf": [
        { "type": "string" },
        { "type": "array", "items": { "type": "string" } },
        { "type": "object", "additionalProperties": { "type": ["string", "array"] } },
    ] });
    json!({
        "description": "Tests of the pipeline, for `headwater test`: [[test]].",
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name", "expect"],
            "additionalProperties": false,
            "properties": {
                "name": { "type": "string", "description": about("name") },
                "feed": { "type": "object", "additionalProperties": rows, "description": about("feed") },
                "expect": {
                    "description": about("expect"),
                    "type": "object",
                    "additionalProperties": {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": {
                            "rows": rows,
                            "match": patterns,
                            "none_match": patterns,
                            "count": { "type": "integer", "minimum": 0 },
                            "schema": { "type": "array", "items": { "type": "string" } },
                        },
                    },
                },
                "params": { "type": "object", "additionalProperties": { "type": "string" }, "description": about("params") },
                "set": { "type": "object", "description": about("set") },
            },
        },
    })
}

fn stage(kind: StageFactory) -> Value {
    let mut properties = Map::new();
    properties.insert("type".into(), json!({ "const": kind.name(), "description": one_line(kind.about()) }));
    if !kind.is_source() {
        properties.insert("from".into(), from());
    }
    if takes_feedback(kind) {
        properties.insert(
            "feedback".into(),
            json!({ "type": "string", "description": "What comes back to it, one epoch later: \"stage.port\"." }),
        );
    }
    properties.insert("tier".into(), json!({ "enum": tiers(), "description": "Where the stage belongs." }));
    properties
        .insert("rejected".into(), json!({ "const": "drop", "description": "Throw rejected rows away." }));
    let options = kind.options();
    properties.extend(options.iter().map(|spec| (spec.name.to_owned(), option(spec))));
    let mut required = vec!["type"];
    required.extend((!kind.is_source()).then_some("from"));
    required.extend(options.iter().filter(|spec| spec.required).map(|spec| spec.name));
    json!({
        "title": kind.name(),
        "type": "object",
        "required": required,
        "additionalProperties": false,
        "properties": properties,
    })
}

fn takes_feedback(kind: StageFactory) -> bool {
    kind.sample().is_some_and(|role| role.signature().inputs.iter().any(|input| input.feedback))
}

fn from() -> Value {
    let port = json!({ "type": "string" });
    let ports = json!({ "type": "array", "minItems": 1, "items": port });
    let one = json!([port, ports]);
    json!({
        "description": "What it reads: \"stage\", \"stage.port\", a list of these, or a table with one for each input.",
        "anyOf": [port, ports, { "type": "object", "additionalProperties": { "anyOf": one } }],
    })
}

fn option(spec: &OptionSpec) -> Value {
    let mut value = form(&spec.shape);
    let Some(object) = value.as_object_mut() else { return value };
    let unit = spec.unit.map(|unit| format!(" In {unit}.")).unwrap_or_default();
    object.insert("description".into(), json!(one_line(&spec.meaning) + &unit));
    if let Some(default) = spec.default.as_deref().and_then(default_value) {
        object.insert("default".into(), default);
    }
    if let Some((low, high)) = spec.range {
        object.insert("minimum".into(), json!(low));
        object.insert("maximum".into(), json!(high));
    }
    value
}

fn form(shape: &Shape) -> Value {
    match shape {
        Shape::Text | Shape::Path | Shape::Duration | Shape::Bytes => json!({ "type": "string" }),
        Shape::Switch => json!({ "type": "boolean" }),
        Shape::Integer => json!({ "type": "integer" }),
        Shape::Number => json!({ "type": "number" }),
        // A `${x}` may stand for the word.
        Shape::Choice(words) => {
            json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": "\\$\\{" }] })
        }
        Shape::NumberOr(words) => json!({ "anyOf": [{ "type": "number" }, { "enum": words }] }),
        Shape::List(item) => json!({ "type": "array", "items": form(item) }),
        Shape::Table(holds) => json!({ "type": "object", "description": format!("A table of {holds}.") }),
    }
}

fn default_value(text: &str) -> Option<Value> {
    let table: toml::Table = format!("v = {text}").parse().ok()?;
    serde_json::to_value(table.get("v")?).ok()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_head_is_described() {
        let head = head();
        let described: Vec<&str> =
            head["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        for (key, ..) in HEAD_KEYS {
            assert!(described.contains(&key), "{key}");
        }
        assert_eq!(described.len(), HEAD_KEYS.len());
    }

    #[test]
    fn shapes_have_their_forms() {
        let check = |shape: Shape, expected: Value| assert_eq!(form(&shape), expected);
        check(Shape::Integer, json!({ "type": "integer" }));
        check(Shape::List(Box::new(Shape::Text)), json!({ "type": "array", "items": { "type": "string" } }));
        assert_eq!(default_value("[1, 2]"), Some(json!([1, 2])));
        assert_eq!(default_value("\"10s\""), Some(json!("10s")));
    }
}
