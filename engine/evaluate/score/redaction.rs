//! The findings of a redactor against those it should have made.
//!
//! A finding is right when a span of the same kind overlaps it with IoU 0.5 or more, or holds it where its kind is a part of the other;
//! strict: same kind, same place. A character leaks when it stands in a span and no finding of any kind covers it; blanks do not count.
//! It must not know how anything was found.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use super::kinds::kinds;
use super::rate;
use crate::outcome::Span;

/// Counts of one kind, or the sum of some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Spans that should be found.
    pub gold: u64,
    /// Of them: found, by IoU.
    pub hit: u64,
    /// Of them: found at exactly their place.
    pub strict_hit: u64,
    /// Of them: covered wholly, by findings of any kinds.
    pub whole: u64,
    /// Characters of them that are no blanks.
    pub chars: u64,
    /// Of those: covered by nothing.
    pub leaked: u64,
    /// Findings.
    pub found: u64,
    /// Of them: right.
    pub right: u64,
    /// Of them: right to the character.
    pub strict_right: u64,
    /// Of them: with at least half of their characters in spans of any kind.
    pub blind_right: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.gold += other.gold;
        self.hit += other.hit;
        self.strict_hit += other.strict_hit;
        self.whole += other.whole;
        self.chars += other.chars;
        self.leaked += other.leaked;
        self.found += other.found;
        self.right += other.right;
        self.strict_right += other.strict_right;
        self.blind_right += other.blind_right;
    }
}

/// The weighted harmonic mean of precision and recall.
pub fn f_beta(precision: Option<f64>, recall: Option<f64>, beta: f64) -> Option<f64> {
    match (precision, recall) {
        (None, None) => None,
        (Some(p), Some(r)) if p + r > 0.0 => Some((1.0 + beta * beta) * p * r / (beta * beta * p + r)),
        _ => Some(0.0),
    }
}

impl Counts {
    /// Right findings among all.
    pub fn precision(&self) -> Option<f64> {
        rate(self.right, self.found)
    }

    /// Found spans among all.
    pub fn recall(&self) -> Option<f64> {
        rate(self.hit, self.gold)
    }

    /// F-measure with this weight of recall.
    pub fn f(&self, beta: f64) -> Option<f64> {
        f_beta(self.precision(), self.recall(), beta)
    }
}

/// Counts of some texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scores {
    /// By kind.
    pub kinds: BTreeMap<String, Counts>,
    /// Characters of all texts that are no blanks.
    pub text_chars: u64,
    /// Of them: covered by a finding, and in no span.
    pub over_masked: u64,
    /// Texts without any span.
    pub negatives: u64,
    /// Of them: with a finding.
    pub negatives_masked: u64,
}

impl Scores {
    /// The sum over all kinds, or over some.
    pub fn sum(&self, only: Option<&[String]>) -> Counts {
        let mut sum = Counts::default();
        let wanted = |kind: &String| only.is_none_or(|only| only.contains(kind));
        self.kinds.iter().filter(|(kind, _)| wanted(kind)).for_each(|(_, counts)| sum += *counts);
        sum
    }

    /// Adds those of other texts.
    pub fn add(&mut self, other: &Scores) {
        for (kind, counts) in &other.kinds {
            *self.kinds.entry(kind.clone()).or_default() += *counts;
        }
        self.text_chars += other.text_chars;
        self.over_masked += other.over_masked;
        self.negatives += other.negatives;
        self.negatives_masked += other.negatives_masked;
    }
}

/// Blanks as Python's `str.isspace` has them: the separators of ASCII too.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

type Placed = (String, usize, usize);

fn placed(span: &Span) -> Placed {
    (kinds().of(&span.kind), span.start, span.end)
}

fn overlap(a: &Placed, b: &Placed) -> usize {
    a.2.min(b.2).saturating_sub(a.1.max(b.1))
}

/// Returns true if two spans share at least half of what they cover together.
fn is_near(a: &Placed, b: &Placed) -> bool {
    let both = overlap(a, b);
    let all = a.2.max(b.2).saturating_sub(a.1.min(b.1));
    both > 0 && both as f64 / all as f64 >= 0.5
}

/// The score of one text.
pub fn score(text: &str, gold: &[Span], allowed: &[String], found: &[Span]) -> Scores {
    let allowed: BTreeSet<String> = allowed.iter().map(|name| kinds().of(name)).collect();
    let solid: BTreeSet<usize> =
        text.chars().enumerate().filter(|(_, c)| !is_blank(*c)).map(|(at, _)| at).collect();
    let mut free: BTreeSet<usize> =
        gold.iter().filter(|span| span.optional).flat_map(|span| span.start..span.end).collect();
    let gold: Vec<Placed> = gold.iter().filter(|span| !span.optional).map(placed).collect();
    let mut counted = Vec::new();
    for finding in found.iter().map(placed) {
        let meets = gold.iter().any(|span| overlap(span, &finding) > 0);
        let in_free = || (finding.1..finding.2).all(|at| free.contains(&at) || !solid.contains(&at));
        if !meets && (allowed.contains(&finding.0) || in_free()) {
            free.extend(finding.1..finding.2);
            continue;
        }
        counted.push(finding);
    }
    let covered =
        |spans: &[Placed]| spans.iter().flat_map(|span| span.1..span.2).collect::<BTreeSet<usize>>();
    let (in_gold, masked) = (covered(&gold), covered(&counted));
    let over = masked.iter().filter(|at| !in_gold.contains(at) && !free.contains(at) && solid.contains(at));
    let mut scores = Scores {
        text_chars: solid.len() as u64,
        over_masked: over.count() as u64,
        negatives: u64::from(gold.is_empty()),
        negatives_masked: u64::from(gold.is_empty() && !counted.is_empty()),
        kinds: BTreeMap::new(),
    };
    for span in &gold {
        let chars = solid.range(span.1..span.2);
        let leaked = chars.clone().filter(|at| !masked.contains(at)).count() as u64;
        let counts = scores.kinds.entry(span.0.clone()).or_default();
        counts.gold += 1;
        counts.chars += chars.count() as u64;
        counts.leaked += leaked;
        counts.whole += u64::from(leaked == 0);
        counts.strict_hit += u64::from(counted.contains(span));
        counts.hit += u64::from(counted.iter().any(|f| f.0 == span.0 && is_near(span, f)));
    }
    for finding in &counted {
        let counts = scores.kinds.entry(finding.0.clone()).or_default();
        counts.found += 1;
        counts.strict_right += u64::from(gold.contains(finding));
        let inside = |span: &Placed| span.1 <= finding.1 && finding.2 <= span.2;
        let right = |span: &Placed| {
            span.0 == finding.0 && is_near(span, finding)
                || kinds().is_part(&finding.0, &span.0) && inside(span)
        };
        counts.right += u64::from(gold.iter().any(right));
        let chars = solid.range(finding.1..finding.2);
        let (all, inside) = (chars.clone().count(), chars.filter(|at| in_gold.contains(at)).count());
        counts.blind_right += u64::from(all > 0 && 2 * inside >= all);
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "call 555 0147 or ann";

    fn counts(gold: &[(&str, usize, usize)], found: &[(&str, usize, usize)]) -> (Counts, u64) {
        let spans = |all: &[(&str, usize, usize)]| {
            all.iter().map(|(k, a, b)| Span::new(*k, *a, *b)).collect::<Vec<_>>()
        };
        let scores = score(TEXT, &spans(gold), &["date_time".to_owned()], &spans(found));
        (scores.sum(None), scores.over_masked)
    }

    #[test]
    fn findings_are_right_by_place_and_kind() {
        let gold = [("PHONE_NUMBER", 5, 13)];
        let check = |found: &[(&str, usize, usize)], expected: [u64; 6], over: u64| {
            let (c, masked) = counts(&gold, found);
            assert_eq!(
                ([c.found, c.right, c.strict_right, c.hit, c.whole, c.leaked], masked),
                (expected, over),
                "{found:?}"
            );
        };
        check(&[], [0, 0, 0, 0, 0, 7], 0);
        check(&[("PHONE", 5, 13)], [1, 1, 1, 1, 1, 0], 0);
        check(&[("phone", 5, 9)], [1, 1, 0, 1, 0, 4], 0);
        check(&[("phone", 5, 8)], [1, 0, 0, 0, 0, 4], 0);
        check(&[("card", 5, 13)], [1, 0, 0, 0, 1, 0], 0);
        check(&[("phone", 0, 20)], [1, 0, 0, 0, 1, 0], 9);
        check(&[("phone", 5, 13), ("person", 17, 20)], [2, 1, 1, 1, 1, 0], 3);
        check(&[("phone", 5, 13), ("time", 17, 20)], [1, 1, 1, 1, 1, 0], 0);
    }

    #[test]
    fn parts_are_right_inside_their_whole() {
        let (c, _) = counts(&[("street_address", 5, 20)], &[("zip", 9, 13)]);
        assert_eq!((c.found, c.right, c.hit), (1, 1, 0));
    }

    #[test]
    fn what_cannot_be_divided_is_no_rate() {
        let table = [
            ((None, None), None),
            ((Some(0.0), Some(0.0)), Some(0.0)),
            ((None, Some(1.0)), Some(0.0)),
            ((Some(0.5), Some(1.0)), Some(2.5 / 3.0)),
        ];
        for ((p, r), expected) in table {
            assert_eq!(f_beta(p, r, 2.0), expected, "{p:?} {r:?}");
        }
    }
}
