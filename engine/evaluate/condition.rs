//! Conditions that fail a trial: `wer > 0.2`, `redaction.leaked_chars > 0.01`, `language.global >= 40`.
//!
//! In: a text, and a report as JSON. Out: whether it holds, with the figure; or why it is not known. It must not know which figures there are.

use serde_json::Value;
use thiserror::Error;

/// The comparison of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    More,
    AtLeast,
    Less,
    AtMost,
    Equal,
    Unequal,
}

/// Longer words first: `>=` begins with `>`.
const RELATIONS: [(&str, Relation); 6] = [
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    ("==", Relation::Equal),
    ("!=", Relation::Unequal),
    (">", Relation::More),
    ("<", Relation::Less),
];

/// A condition under which a trial has failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// As it was written.
    text: String,
    figure: String,
    relation: Relation,
    limit: f64,
}

/// Why a text is no condition, or none of this report.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConditionError {
    /// It has another form.
    #[error(
        "`{0}` is no condition; expected FIGURE, one of > >= < <= == !=, and a number, such as \"wer > 0.2\""
    )]
    Form(String),
    /// The report has no such figure.
    #[error("`{text}`: the report has no number `{figure}`; it has {known}")]
    NoFigure {
        /// The condition.
        text: String,
        /// The metric that it asks for.
        figure: String,
        /// The metrics that could be meant.
        known: String,
    },
}

impl std::str::FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ConditionError::Form(text.to_owned());
        let (figure, relation, limit) = RELATIONS
            .iter()
            .find_map(|(word, relation)| {
                text.split_once(word).map(|(figure, limit)| (figure, *relation, limit))
            })
            .ok_or_else(wrong)?;
        let figure = figure.trim();
        let limit: f64 =
            limit.trim().parse().ok().filter(|limit: &f64| limit.is_finite()).ok_or_else(wrong)?;
        let is_name = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
        };
        if !figure.split('.').all(is_name) {
            return Err(wrong());
        }
        Ok(Condition { text: text.trim().to_owned(), figure: figure.to_owned(), relation, limit })
    }
}

/// A condition that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// As it was written.
    pub condition: String,
    /// The figure's whole name.
    pub figure: String,
    /// Its value.
    pub value: f64,
}

impl Condition {
    /// Returns true if it holds for a report.
    ///
    /// # Errors
    /// The report has no such number: an unknown metric is no success.
    pub fn holds(&self, report: &Value) -> Result<Option<Broken>, ConditionError> {
        let (figure, value) = self.look_up(report).ok_or_else(|| self.unknown(report))?;
        let holds = match self.relation {
            Relation::More => value > self.limit,
            Relation::AtLeast => value >= self.limit,
            Relation::Less => value < self.limit,
            Relation::AtMost => value <= self.limit,
            Relation::Equal => value == self.limit,
            Relation::Unequal => value != self.limit,
        };
        Ok(holds.then(|| Broken { condition: self.text.clone(), figure, value }))
    }

    /// A name with its section, or without where only one section has it.
    fn look_up(&self, report: &Value) -> Option<(String, f64)> {
        if let Some(value) = at(report, &self.figure) {
            return Some((self.figure.clone(), value));
        }
        let sections = report.as_object()?.keys();
        let named = sections.map(|section| format!("{section}.{}", self.figure));
        let mut found = named.filter_map(|name| Some((name.clone(), at(report, &name)?)));
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    fn unknown(&self, report: &Value) -> ConditionError {
        let section = self.figure.split('.').next().unwrap_or_default();
        let mut known = Vec::new();
        numbers(report, String::new(), &mut known);
        let near: Vec<String> = known.iter().filter(|name| name.starts_with(section)).cloned().collect();
        let shown = if near.is_empty() { known } else { near };
        let all: Vec<String> = shown.into_iter().take(20).collect();
        ConditionError::NoFigure {
            text: self.text.clone(),
            figure: self.figure.clone(),
            known: all.join(", "),
        }
    }
}

fn at(report: &Value, path: &str) -> Option<f64> {
    path.split('.').try_fold(report, |value, part| value.get(part))?.as_f64()
}

/// The names of all numbers, lists aside.
fn numbers(value: &Value, name: String, found: &mut Vec<String>) {
    match value {
        Value::Number(_) => found.push(name),
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                numbers(value, name, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_a_condition_or_none(text in "\\PC{0,30}", figure in "[a-z_.]{1,8}", limit in -1e6_f64..1e6) {
            let _ = text.parse::<Condition>();
            let read = format!("{figure} <= {limit}").parse::<Condition>();
            prop_assert_eq!(read.is_ok(), figure.split('.').all(|part| !part.is_empty()));
        }
    }

    #[test]
    fn conditions_hold_or_not() {
        let report = serde_json::json!({
            "version": 1,
            "transcription": { "wer": 0.25, "words": 10 },
            "redaction": { "leaked_chars": 0.0, "kinds": { "card": { "recall": 0.5 } }, "f1": null },
            "language": { "words": 3 },
        });
        let table: [(&str, Result<Option<f64>, &str>); 13] = [
            ("wer > 0.2", Ok(Some(0.25))),
            ("transcription.wer>0.25", Ok(None)),
            ("wer >= 0.25", Ok(Some(0.25))),
            ("redaction.leaked_chars > 0.01", Ok(None)),
            ("redaction.kinds.card.recall < 0.9", Ok(Some(0.5))),
            ("kinds.card.recall <= 0.4", Ok(None)),
            ("wer != 0.25", Ok(None)),
            ("wer == 0.25", Ok(Some(0.25))),
            ("words > 1", Err("no number `words`")),
            ("redaction.f1 < 1", Err("it has redaction.leaked_chars")),
            ("wer", Err("is no condition")),
            ("wer > much", Err("is no condition")),
            ("a b > 1", Err("is no condition")),
        ];
        for (text, expected) in table {
            let actual = text.parse::<Condition>().and_then(|condition| condition.holds(&report));
            match (actual, expected) {
                (Ok(broken), Ok(value)) => assert_eq!(broken.map(|b| b.value), value, "{text}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
                (actual, _) => panic!("{text}: {actual:?}"),
            }
        }
    }
}
