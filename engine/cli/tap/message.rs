//! The messages between a tap and a run: JSON, one object a line. See docs/formats/tap.md.

use serde_json::{Map, Value, json};

/// The version of both sides' lines.
const VERSION: u64 = 1;

/// The request of a tap, its only line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) port: String,
    pub(super) raw: bool,
    pub(super) sample: u64,
    pub(super) rate: u64,
}

impl Wish {
    pub(super) fn line(&self) -> String {
        let Wish { port, raw, sample, rate } = self;
        json!({ "tap": VERSION, "port": port, "raw": raw, "sample": sample, "rate": rate }).to_string() + "\n"
    }

    /// The wish of a line, or what to answer to it.
    pub(super) fn read(line: &str) -> Result<Self, String> {
        let wish: Value = serde_json::from_str(line).map_err(|_| "expected one line of JSON")?;
        let version = wish.get("tap").and_then(Value::as_u64);
        if version != Some(VERSION) {
            return Err(format!("this run speaks version {VERSION} of taps, not what was asked in"));
        }
        let number = |name: &str| wish.get(name).and_then(Value::as_u64).filter(|n| *n > 0);
        let read = || {
            Some(Wish {
                port: wish.get("port")?.as_str()?.to_owned(),
                raw: wish.get("raw")?.as_bool()?,
                sample: number("sample")?,
                rate: number("rate")?,
            })
        };
        read().ok_or_else(|| "expected `port`, `raw`, `sample` and `rate`".into())
    }
}

/// One line of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TapMessage {
    /// Rows follow.
    Begun {
        port: String,
        label: String,
        processes: usize,
    },
    /// None will.
    Refused(String),
    Row(Map<String, Value>),
    /// So many rows were not sent since the last such line, because of the rate or of a slow client.
    PassedOver(u64),
}

impl TapMessage {
    pub(super) fn line(&self) -> String {
        let line = match self {
            TapMessage::Begun { port, label, processes } => {
                json!({ "tap": VERSION, "port": port, "label": label, "processes": processes })
            }
            TapMessage::Refused(why) => json!({ "error": why }),
            TapMessage::Row(row) => json!({ "row": row }),
            TapMessage::PassedOver(rows) => json!({ "passed_over": rows }),
        };
        line.to_string() + "\n"
    }

    /// Reads a line; nothing if it is of no form that is known.
    pub(super) fn read(line: &str) -> Option<Self> {
        let Value::Object(fields) = serde_json::from_str(line).ok()? else { return None };
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(why) = text("error") {
            return Some(TapMessage::Refused(why));
        }
        if let Some(Value::Object(row)) = fields.get("row") {
            return Some(TapMessage::Row(row.clone()));
        }
        if let Some(rows) = fields.get("passed_over").and_then(Value::as_u64) {
            return Some(TapMessage::PassedOver(rows));
        }
        fields.get("tap").and_then(Value::as_u64).filter(|version| *version == VERSION)?;
        let processes = usize::try_from(fields.get("processes")?.as_u64()?).ok()?;
        Some(TapMessage::Begun { port: text("port")?, label: text("label")?, processes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As version 1 says it, kept so that later versions read it.
    const KEPT: [&str; 4] = [
        r#"{"tap":1,"port":"redact.out","label":"redacted","processes":2}"#,
        r#"{"row":{"device":"hall","text":"call <PHONE>"}}"#,
        r#"{"passed_over":7}"#,
        r#"{"error":"no"}"#,
    ];

    #[test]
    fn kept_lines_are_read_as_they_were_written() {
        let row = json!({ "device": "hall", "text": "call <PHONE>" }).as_object().unwrap().clone();
        let expected = [
            TapMessage::Begun { port: "redact.out".into(), label: "redacted".into(), processes: 2 },
            TapMessage::Row(row),
            TapMessage::PassedOver(7),
            TapMessage::Refused("no".into()),
        ];
        for (line, fields) in KEPT.iter().zip(expected) {
            assert_eq!(TapMessage::read(line).as_ref(), Some(&fields));
            assert_eq!(fields.line().trim_end(), *line);
        }
        let line = r#"{"tap":1,"port":"redact.out","raw":false,"sample":2,"rate":50}"#;
        let wish = Wish { port: "redact.out".into(), raw: false, sample: 2, rate: 50 };
        assert_eq!(Wish::read(line), Ok(wish.clone()));
        assert_eq!(wish.line().trim_end(), line);
        for wrong in [
            "",
            "{}",
            "[1]",
            &line.replace("\"tap\":1", "\"tap\":2"),
            &line.replace("50", "0"),
            &line.replace("false", "0"),
        ] {
            assert!(Wish::read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(TapMessage::read(&KEPT[0].replace("\"tap\":1", "\"tap\":2")), None);
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in ".{0,80}", port in ".{0,20}", raw: bool, sample in 1u64.., rate in 1u64..) {
            let _ = (Wish::read(&line), TapMessage::read(&line));
            let wish = Wish { port, raw, sample, rate };
            prop_assert_eq!(Wish::read(&wish.line()), Ok(wish));
        }
    }
}
