//! Telephone numbers: 7 to 15 digits (ITU-T E.164) in the groups that people write, or said to be one.

use super::candidate::Candidate;
use super::checks;
use super::kind::Entity;
use super::number::Form;

/// Returns how well a candidate fits a telephone number, 0 to 1.
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
    if has_area_in_parentheses(candidate) {
        score += 0.35;
    }
    if candidate.groups.iter().any(|group| group.gap.extension) {
        score += 0.3;
    }
    score + grouping(candidate)
}

/// "(212) 555 0147", "+44 (0)20 7946 0018": what stands in parentheses is short and more follows; or a whole number that begins with 0.
fn has_area_in_parentheses(candidate: &Candidate<'_>) -> bool {
    const AREA: usize = 5;
    let closed = |at: usize| candidate.groups.get(at).is_some_and(|group| group.gap.sign == Some(b')'));
    let opened = |at: usize| {
        candidate.groups.get(at).is_some_and(|group| {
            group.len() <= AREA && (group.gap.sign == Some(b'(') || at == 0 && candidate.parenthesis)
        })
    };
    (1..=3).any(|at| closed(at) && opened(at - 1))
        || candidate.parenthesis && candidate.groups.len() > 1 && candidate.digits.first() == Some(&0)
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
    if is_trunk_form(candidate) || is_indian(candidate) {
        return 0.4;
    }
    match candidate.groups.len() {
        1 if (10..=11).contains(&candidate.digits.len()) => 0.2,
        1 => 0.0,
        2 => 0.15,
        _ if candidate.groups.iter().all(|group| (1..=4).contains(&group.len())) => 0.25,
        _ => 0.0,
    }
}

/// "030 23125-017", "0171/3920012", "07031.5907670": a trunk zero, an area, the subscriber, perhaps an extension behind a hyphen.
fn is_trunk_form(candidate: &Candidate<'_>) -> bool {
    let [area, rest @ ..] = candidate.groups else { return false };
    let trunk = matches!(candidate.digits, [0, 1..=9, ..] | [0, 0, 1..=9, ..]);
    let subscriber: usize = rest.iter().map(super::number::Group::len).sum();
    let apart = rest.first().is_some_and(|first| {
        let sign = first.gap.sign.is_some_and(|sign| matches!(sign, b'/' | b'.' | b')')) && !first.gap.mixed;
        first.gap.is_space() || sign || first.gap.is(b'-') && rest.len() == 1 && subscriber > 5
    });
    trunk
        && (3..=6).contains(&area.len())
        && (1..=4).contains(&rest.len())
        && (5..=12).contains(&subscriber)
        && apart
}

/// "98765 43210": a mobile number of India.
fn is_indian(candidate: &Candidate<'_>) -> bool {
    let fives = candidate.has_shape(&[5, 5]) && matches!(candidate.digits, [6..=9, ..]);
    fives || candidate.has_shape(&[2, 5, 5]) && matches!(candidate.digits, [9, 1, 6..=9, ..])
}
