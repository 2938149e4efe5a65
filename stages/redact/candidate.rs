//! A number that may be personal, and the table of what it may be.
//!
//! In: the groups of a run that are left when dates, times and quantities are cut off. Out: a kind and a score. One row of
//! [`ROWS`] = one entity; its file holds its shape, its check and its weight of context.

use super::cue::Hint;
use super::kind::Entity;
use super::number::{Form, Group};
use super::scene::Context;
use super::{card, phone, ssn};

/// A number that may be personal.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// Its digits, each 0 to 9.
    pub digits: &'a [u8],
    /// Its groups.
    pub groups: &'a [Group],
    /// A plus sign lies before it.
    pub plus: bool,
    /// A parenthesis opens before its first group.
    pub parenthesis: bool,
    /// What was said before.
    pub context: Option<Context>,
    /// A word after it says whose telephone it is.
    pub phone_after: bool,
}

impl Candidate<'_> {
    /// Whether its groups have exactly these lengths, in figures.
    pub fn has_shape(&self, shape: &[usize]) -> bool {
        self.groups.len() == shape.len()
            && self
                .groups
                .iter()
                .zip(shape)
                .all(|(group, length)| group.form == Form::Written && group.len() == *length)
    }

    /// Whether no group is written in figures.
    pub fn is_spoken(&self) -> bool {
        self.groups.iter().all(|group| group.form != Form::Written)
    }

    /// What the context adds to the score of an entity that `hint` speaks of.
    pub fn context_score(&self, hint: Hint) -> f32 {
        match self.context {
            Some(context) if context.hint == hint => {
                if context.near {
                    0.6
                } else {
                    0.35
                }
            }
            Some(context) if context.near && context.hint != Hint::Any => -0.4,
            _ => 0.0,
        }
    }

    /// Whether the phrase before it speaks of `hint` and only linking words lie between.
    pub fn is_said_to_be(&self, hint: Hint) -> bool {
        self.context == Some(Context { hint, near: true })
    }
}

/// One entity made of digits.
#[derive(Debug)]
pub struct Row {
    /// What it is.
    pub kind: Entity,
    /// The name of the rule.
    pub rule: &'static str,
    /// How sure it is, 0 to 1; at least 0.5 stands without context.
    pub score: fn(&Candidate<'_>) -> f32,
}

/// Every entity made of digits.
pub const ROWS: &[Row] = &[
    Row { kind: Entity::Card, rule: "card", score: card::score },
    Row { kind: Entity::Ssn, rule: "ssn", score: ssn::score },
    Row { kind: Entity::Phone, rule: "phone", score: phone::score },
];

/// The best row for a candidate, and its score.
pub fn best(candidate: &Candidate<'_>) -> (&'static Row, f32) {
    let mut best = (&NUMBER, 0.0);
    for row in ROWS {
        let score = (row.score)(candidate).clamp(0.0, 1.0);
        if score > best.1 {
            best = (row, score);
        }
    }
    best
}

/// What a number is that no row knows.
pub const NUMBER: Row = Row { kind: Entity::Num, rule: "number", score: |_| 0.0 };
