//! The record of a commit: how far the intake had come, and what the states of stages hang on.
//!
//! In: the parts. Out: bytes with a version, and the parts again. The folder that keeps the bytes seals and checks them.

use std::collections::BTreeMap;

use headwater_contract::{Result, StageError};
use serde::{Deserialize, Serialize};

use crate::intake::Progress;
use crate::plan::{Plan, PlanStage};

const VERSION: u32 = 1;

/// The record of a commit: all that a later attempt begins with, besides rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// By id: what is kept, and what it hangs on.
    pub stages: BTreeMap<String, Shape>,
    /// The progress of the intake.
    pub intake: Progress,
}

/// The properties on which the state of a stage depends: where they are equal, the state is kept.
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
                    .help("run the program that wrote it, or start from scratch: run --fresh"));
            }
        }
        serde_json::from_value::<Versioned<Record>>(found)
            .map(|versioned| versioned.record)
            .map_err(|e| StageError::new(format!("the record of the last commit cannot be read: {e}")))
    }
}

impl Record {
    /// Returns the record of a plan before its first epoch is committed.
    pub(crate) fn at_the_beginning(plan: &Plan) -> Self {
        let live = plan.stages.iter().any(PlanStage::is_endless);
        Record { stages: shapes(plan), intake: Progress::at_the_beginning(live) }
    }
}

/// Returns the shapes of a plan's stages: of states, and of the positions of sources.
pub(crate) fn shapes(plan: &Plan) -> BTreeMap<String, Shape> {
    plan.stages.iter().filter_map(|stage| Some((stage.id.clone(), shape(stage)?))).collect()
}

fn shape(stage: &PlanStage) -> Option<Shape> {
    let kind = stage.kind.name().to_owned();
    if stage.is_source() {
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
    /// Returns the difference to another shape, in words.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As a state folder of this version holds it.
    const KEPT: &str = r#"{"version":1,"record":{"stages":{"mic":{"kind":"capture","version":0,"options":{}},
        "train":{"kind":"train","version":1,"options":{"r":"8"}}},"intake":{"epoch":7,
        "round":{"round":2,"epochs":1,"rows":12,"until":86400000000},"watermark":null,"turn":null,"finish":"No",
        "sources":{"mic":{"position":[9],"behind":[]}},"live":false}}}"#;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = Record::decode(KEPT.as_bytes()).unwrap();
        assert_eq!(record.stages["train"].options["r"], "8");
        assert_eq!((record.intake.next_epoch().0, record.intake.is_finished()), (7, false));
        let plain: String = KEPT.split_whitespace().collect();
        assert_eq!(String::from_utf8(record.encode().unwrap()).unwrap(), plain);
        let newer = KEPT.replacen("\"version\":1", "\"version\":2", 1);
        let message = Record::decode(newer.as_bytes()).unwrap_err().to_string();
        assert!(message.contains("version is 2") && message.contains("--fresh"), "{message}");
        for wrong in ["", "[]", "{\"version\":1}"] {
            assert!(Record::decode(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_differs_is_told() {
        let shape = |kind: &str, version: u32, rank: &str| Shape {
            kind: kind.into(),
            version,
            options: [("r".to_owned(), rank.to_owned())].into(),
        };
        let was = shape("train", 1, "8");
        let check =
            |now: Shape, expected: Option<&str>| assert_eq!(was.difference(&now).as_deref(), expected);
        check(was.clone(), None);
        check(shape("store", 1, "8"), Some("it was a `train`, and is a `store` now"));
        check(shape("train", 2, "8"), Some("its format has version 1, and 2 now"));
        check(shape("train", 1, "16"), Some("it was made with `r` = `8`, and the file says `16` now"));
        check(shape("train", 1, ""), Some("it was made with `r` = `8`, and the file says nothing now"));
    }
}
