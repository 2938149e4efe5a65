//! A number that may be personal, and the tables of what it may be.
//!
//! In: the groups of a run that are left when dates, times and quantities are cut off. Out: a kind and a score. One [`DigitRow`] = one
//! entity; the rows stand with their families, below `ids`. A check or a form raises the score, context raises it more.

use std::sync::LazyLock;

use super::checks::Check;
use super::cue::Hint;
use super::ids;
use super::kind::Entity;
use super::number::{Form, Group};
use super::scan_context::Context;

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
    /// A machine wrote it, or its groups are apart in more than one way: that a check holds says nothing.
    pub doubtful: bool,
    /// The context phrase before it, or right after.
    pub context: Option<Context>,
    /// A word after it says whose telephone it is.
    pub phone_after: bool,
}

impl Candidate<'_> {
    /// Returns true if its groups have exactly these lengths, in figures.
    pub fn has_shape(&self, shape: &[usize]) -> bool {
        self.groups.len() == shape.len()
            && self
                .groups
                .iter()
                .zip(shape)
                .all(|(group, length)| group.form == Form::Written && group.len() == *length)
    }

    /// Returns true if no group is written in figures.
    pub fn is_spoken(&self) -> bool {
        self.groups.iter().all(|group| group.form != Form::Written)
    }

    /// Returns the part of a kind's score that the context adds. "Medicare" is said in two countries; of one the numbers are digits alone.
    pub fn context_score(&self, kind: Entity) -> f32 {
        match self.context {
            Some(Context { hint: Hint::Of(said), near })
                if said == kind || kind == Entity::AuMedicare && said == Entity::Mbi =>
            {
                if near {
                    0.6
                } else {
                    0.35
                }
            }
            // "CPF/CNPJ": a sure form outweighs the nearer of two phrases.
            Some(Context { hint: Hint::Of(_), near: true }) => -0.38,
            _ => 0.0,
        }
    }

    /// Returns true if the phrase before it speaks of `kind` and only linking words lie between.
    pub fn is_said_to_be(&self, kind: Entity) -> bool {
        self.context == Some(Context { hint: Hint::Of(kind), near: true })
    }
}

/// The confidence in a row without context.
#[derive(Clone, Copy, Debug)]
pub struct Alone {
    /// In its form, and its check holds.
    pub both: f32,
    /// Its check holds.
    pub check: f32,
    /// In its form.
    pub form: f32,
}

/// One entity made of digits.
#[derive(Clone, Copy, Debug)]
pub struct DigitRow {
    /// The kind of the value.
    pub kind: Entity,
    /// The name of the rule.
    pub rule: &'static str,
    /// The numbers of digits that it may have.
    pub lengths: &'static [usize],
    /// The groups that it is written in.
    pub forms: &'static [&'static [usize]],
    /// The check of a good value.
    pub check: Check,
    /// The confidence without context.
    pub alone: Alone,
    /// The fewest and most digits, recognisers' mistakes included, of what is said to be one.
    pub said: [usize; 2],
}

impl DigitRow {
    /// Returns true if so many digits may be one at all.
    fn takes(&self, length: usize) -> bool {
        let [fewest, most] = self.said;
        self.lengths.contains(&length) || (fewest..=most).contains(&length)
    }

    /// Returns how well a candidate fits, 0 to 1; at least 0.5 is enough.
    pub fn score(&self, candidate: &Candidate<'_>) -> f32 {
        let length = candidate.digits.len();
        let fits = self.lengths.contains(&length);
        let [fewest, most] = self.said;
        let said = (fewest..=most).contains(&length) && candidate.is_said_to_be(self.kind);
        if !fits && !said {
            return 0.0;
        }
        let context = candidate.context_score(self.kind);
        let valid = fits && (self.check.holds)(candidate.digits);
        let form = !self.forms.is_empty() && self.forms.iter().any(|form| candidate.has_shape(form));
        let alone = match (valid, form) {
            (true, true) => self.alone.both,
            (true, false) if candidate.doubtful => 0.05,
            (true, false) => self.alone.check,
            (false, true) => self.alone.form,
            (false, false) => 0.05,
        };
        let score = alone + context;
        if said { score.max(0.55) } else { score }
    }
}

/// A row that weighs a candidate in its own way.
#[derive(Clone, Copy, Debug)]
pub struct OwnRow {
    /// The kind of the value.
    pub kind: Entity,
    /// The name of the rule.
    pub rule: &'static str,
    /// The name of its check.
    pub check: &'static str,
    /// The function that returns how well a candidate fits, 0 to 1.
    pub score: fn(&Candidate<'_>) -> f32,
}

/// The decision on a candidate.
#[derive(Clone, Copy, Debug)]
pub struct Guess {
    /// The kind.
    pub kind: Entity,
    /// The rule.
    pub rule: &'static str,
    /// The confidence, 0 to 1.
    pub score: f32,
}

/// The rows of digits by the number of digits that they may take, each in the order of the tables.
static BY_LENGTH: LazyLock<Vec<Vec<&DigitRow>>> = LazyLock::new(|| {
    let rows = || ids::DIGITS.iter().flat_map(|table| table.iter());
    let longest = rows().flat_map(|row| row.said.iter().chain(row.lengths)).max().copied().unwrap_or(0);
    (0..=longest).map(|length| rows().filter(|row| row.takes(length)).collect()).collect()
});

/// The best row for a candidate among those that `wanted` lets take part.
pub fn best(candidate: &Candidate<'_>, wanted: impl Fn(Entity) -> bool) -> Guess {
    let mut best = Guess { kind: Entity::Number, rule: "number", score: 0.0 };
    for row in ids::OWN {
        let score = (row.score)(candidate);
        if score > best.score {
            best = Guess { kind: row.kind, rule: row.rule, score: score.clamp(0.0, 1.0) };
        }
    }
    for row in BY_LENGTH.get(candidate.digits.len()).into_iter().flatten() {
        let score = row.score(candidate);
        if score > best.score && wanted(row.kind) {
            best = Guess { kind: row.kind, rule: row.rule, score: score.clamp(0.0, 1.0) };
        }
    }
    best
}
