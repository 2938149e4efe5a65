//! The record of a commit: how far the intake had come, and what the states of stages hang on.
//!
//! In: the parts. Out: bytes with a version, and the parts again. The folder that keeps the bytes seals and checks them.

use std::collections::BTreeMap;

use headwater_contract::{Result, Role, StageError};
use serde::{Deserialize, Serialize};

use crate::intake::Progress;
use crate::plan::{Plan, PlanStage};

const VERSION: u32 = 1;

/// What a later life begins with, besides rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// By id: what is kept, and what it hangs on.
    pub stages: BTreeMap<String, Shape>,
    /// How far the intake had come.
    pub intake: Progress,
}

/// What the state of a stage hangs on: equal, and it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The stage's kind.
    pub kind: String,
    /// The version of its state's format.
    pub version: u32,
    /// The options that shape the state, as the file gave them.
    pub options: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    record: T,
}

impl Record {
    /// The record as bytes.
    ///
    /// # Errors
    /// None that a record of this version can have.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let versioned = Versioned { version: VERSION, record: self };
        serde_json::to_vec(&versioned).map_err(|e| StageError::new(format!("the record of a commit: {e}")))
    }

    /// The record again.
    ///
    /// # Errors
    /// It is of another version, or no record.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let found: serde_json::Value = serde_json::from_slice(bytes)
            .map_err(|e| StageError::new(format!("the record of the last commit cannot be read: {e}")))?;
        match found.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            version => {
                let version = version.map_or("none".into(), |version| version.to_string());
                return Err(StageError::new(format!("the state folder's version is {version}"))
                    .expected(format!("version {VERSION}"))
                    .help("run the program that wrote it, or begin anew: run --fresh"));
            }
        }
        serde_json::from_value::<Versioned<Record>>(found)
            .map(|versioned| versioned.record)
            .map_err(|e| StageError::new(format!("the record of the last commit cannot be read: {e}")))
    }
}

/// What is kept of a plan's stages: states, and the positions of sources.
pub(crate) fn shapes(plan: &Plan) -> BTreeMap<String, Shape> {
    plan.stages.iter().filter_map(|stage| Some((stage.id.clone(), shape(stage)?))).collect()
}

fn shape(stage: &PlanStage) -> Option<Shape> {
    let kind = stage.kind.name().to_owned();
    if matches!(stage.role, Role::Source(_)) {
        return Some(Shape { kind, version: 0, options: BTreeMap::new() });
    }
    let state = stage.signature.state.as_ref()?;
    let specs = stage.kind.options();
    let given = |name: &str| {
        let default = || specs.iter().find(|spec| spec.name == name).and_then(|spec| spec.default.clone());
        stage.options.get(name).map(ToString::to_string).or_else(default).unwrap_or_default()
    };
    let options = state.shaped_by.iter().map(|name| (name.to_string(), given(name))).collect();
    Some(Shape { kind, version: state.version, options })
}

impl Shape {
    /// How another one differs, in words.
    pub(crate) fn difference(&self, now: &Shape) -> Option<String> {
        if self.kind != now.kind {
            return Some(format!("it was a `{}`, and is a `{}` now", self.kind, now.kind));
        }
        if self.version != now.version {
            return Some(format!("its format has version {}, and {} now", self.version, now.version));
        }
        let differing = self.options.iter().find(|(name, value)| now.options.get(*name) != Some(value));
        differing.map(|(name, value)| {
            let said = now.options.get(name).filter(|value| !value.is_empty());
            let said = said.map_or("nothing".to_owned(), |value| format!("`{value}`"));
            let was = if value.is_empty() { "nothing".to_owned() } else { format!("`{value}`") };
            format!("it was made with `{name}` = {was}, and the file says {said} now")
        })
    }
}
