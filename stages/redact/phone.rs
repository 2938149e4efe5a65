//! Telephone numbers: 7 to 15 digits (ITU-T E.164) in the groups that people write, or said to be one.

use super::candidate::Candidate;
use super::checks;
use super::kind::Entity;
use super::number::Form;

/// How much a candidate looks like a telephone number.
pub fn score(candidate: &Candidate<'_>) -> f32 {
    let mut context = candidate.context_score(Entity::Phone);
    if candidate.phone_after {
        context = context.max(0.5);
    }
    match candidate.digits.len() {
        7..=18 => 0.1 + context + format(candidate) + plan(candidate),
        5..=6 if context > 0.5 => 0.5,
        _ => 0.0,
    }
}

fn plan(candidate: &Candidate<'_>) -> f32 {
    match candidate.digits {
        digits if checks::nanp(digits) => 0.15,
        [0, 1..=9, rest @ ..] if candidate.groups.len() == 1 && (8..=9).contains(&rest.len()) => 0.2,
        [0, rest @ ..] if (8..=11).contains(&rest.len()) => 0.15,
        digits if digits.len() > 15 => -0.3,
        _ => 0.0,
    }
}

fn format(candidate: &Candidate<'_>) -> f32 {
    let mut score = 0.0;
    if candidate.plus {
        score += 0.5;
    }
    if candidate.parenthesis || candidate.groups.iter().any(|group| group.gap.sign == Some(b')')) {
        score += 0.35;
    }
    if candidate.groups.iter().any(|group| group.gap.extension) {
        score += 0.3;
    }
    score + grouping(candidate)
}

fn grouping(candidate: &Candidate<'_>) -> f32 {
    if candidate.groups.iter().any(|group| group.form != Form::Written) {
        return if (10..=11).contains(&candidate.digits.len()) { 0.3 } else { 0.2 };
    }
    if candidate.has_shape(&[3, 3, 4]) || candidate.has_shape(&[1, 3, 3, 4]) {
        return 0.45;
    }
    if candidate.has_shape(&[3, 4]) || candidate.has_shape(&[4, 4]) {
        let spaced = candidate.groups.iter().any(|group| group.gap.is_space());
        return if spaced { 0.15 } else { 0.35 };
    }
    match candidate.groups.len() {
        1 if (10..=11).contains(&candidate.digits.len()) => 0.2,
        1 => 0.0,
        2 => 0.15,
        _ if candidate.groups.iter().all(|group| (1..=4).contains(&group.len())) => 0.25,
        _ => 0.0,
    }
}
