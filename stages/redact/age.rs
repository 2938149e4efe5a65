//! Ages: "65 years old", "a 65-year-old", "aged 40", "I'll turn 21", "age: 33".
//!
//! In: a cx. Out: findings over the number alone.

use super::kind::Entity;
use super::lexicon::Flags;
use super::number::group_at;
use super::scan_context::ScanContext;
use super::token::{Class, digit_value, seed};

/// Finds the ages.
pub fn find(cx: &mut ScanContext<'_>) {
    let mut index = 0;
    while let Some(at) = cx.tokens.seed(index, seed::NUMBER) {
        index = at + 1;
        let token = cx.free(at);
        let short = token.class == Class::Word || token.class == Class::Digits && token.len() <= 3;
        if short && let Some(last) = age_at(cx, at) {
            cx.take(Entity::Age, at, last, 0.7, "age");
            index = last + 1;
        }
    }
}

fn age_at(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let joined = cx.free_before(index);
    if joined.class == Class::Digits
        || joined.meaning.sense.is_number()
        || matches!(joined.class, Class::Sign(b'.' | b'/' | b':' | b'$')) && cx.tokens.glued(index)
    {
        return None;
    }
    let after = end(cx, index)?;
    (is_years_old(cx, after) || is_told(cx, index, after)).then(|| after - 1)
}

/// The index after a number of 1 to 120.
fn end(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let token = cx.free(index);
    if token.class == Class::Digits {
        let value = cx
            .tokens
            .str(token)
            .chars()
            .filter_map(digit_value)
            .fold(0, |value, digit| value * 10 + u32::from(digit));
        return (1..=120).contains(&value).then_some(index + 1);
    }
    let (digits, after) = group_at(&cx.tokens, index)?;
    (digits.len() <= 2 && digits.first() != Some(&0)).then_some(after)
}

/// "-year-old", " years old", " yo", " years of age".
fn is_years_old(cx: &ScanContext<'_>, after: usize) -> bool {
    let is = |at: usize, words: &[&str]| {
        words.iter().any(|word| cx.tokens.str(cx.free(at)).eq_ignore_ascii_case(word))
    };
    let hyphen = |at: usize| usize::from(cx.free(at).is(b'-'));
    let year = after + hyphen(after);
    if is(year, &["yo", "y"]) && (is(year, &["yo"]) || cx.free(year + 1).is(b'/') || is(year + 1, &["o"])) {
        return true;
    }
    if !is(year, &["year", "years", "yrs", "yr", "months", "month"]) {
        return false;
    }
    let old = year + 1 + hyphen(year + 1);
    is(old, &["old", "olds"]) || is(old, &["of"]) && is(old + 1, &["age"]) || is(old, &["young"])
}

/// "age 40", "aged forty", "I am 30.", "turned 21", "she is 74,".
fn is_told(cx: &ScanContext<'_>, index: usize, after: usize) -> bool {
    let is = |at: usize, words: &[&str]| {
        words.iter().any(|word| cx.tokens.str(cx.free(at)).eq_ignore_ascii_case(word))
    };
    let back = |steps: usize| index.checked_sub(steps).map_or(usize::MAX, |at| at);
    let next = cx.free(after);
    if next.has(Flags::UNIT | Flags::MONEY | Flags::AM_PM)
        || next.class == Class::Digits
        || matches!(next.class, Class::Sign(b'%' | b':' | b'/' | b'-')) && cx.tokens.glued(after)
    {
        return false;
    }
    let ends = !next.is_solid() || next.has(Flags::AND);
    let colon = usize::from(cx.free_before(index).is(b':'));
    if is(back(1 + colon), &["age", "aged"]) || is(back(1), &["is", "of", "was"]) && is(back(2), &["age"]) {
        return true;
    }
    let turns = is(back(1), &["turn", "turned", "turning", "turns"]);
    let person = is(back(2), &["i", "he", "she", "ll", "will", "just", "m"]);
    let am = is(back(1), &["am", "m"])
        && (is(back(2), &["i"])
            || cx.free_before(index.saturating_sub(1)).is(b'\'')
            || cx.free_before(index.saturating_sub(1)).is_apostrophe());
    let is_he = is(back(1), &["is", "s"]) && (is(back(2), &["he", "she"]) || is(back(3), &["he", "she"]));
    turns && (person || ends) || (am || is_he) && ends
}
