//! Dates and times: in figures inside a run, and with the name of a month.
//!
//! In: a cx, or a run and a place in it. Out: dates as findings; the length of a time, which is no personal datum.

use super::cue::Hint;
use super::kind::Entity;
use super::lexicon::{Flags, Sense};
use super::number::{Form, Group, Run};
use super::scan_context::ScanContext;
use super::token::{Class, digit_value, seed};

/// Returns the number of groups from `at` on that are a full date in figures, with the time that follows it; 0 if they are none.
pub fn date_len(run: &Run, at: usize) -> usize {
    let Some([a, b, c]) = run.groups.get(at..at + 3) else { return 0 };
    let Some(sign) = b.gap.sign.filter(|sign| matches!(sign, b'/' | b'-' | b'.')) else { return 0 };
    let next = run.groups.get(at + 3);
    let alone = (at == 0 || !a.gap.is(sign)) && next.is_none_or(|next| !next.gap.is(sign));
    let written = [a, b, c].iter().all(|group| group.form == Form::Written);
    if !alone || !written || !b.gap.is(sign) || !c.gap.is(sign) || !is_date(run, [a, b, c]) {
        return 0;
    }
    match next {
        Some(next) if next.gap.spaced && !next.gap.new_line => 3 + time_len(run, at + 3),
        _ => 3,
    }
}

fn is_date(run: &Run, [a, b, c]: [&Group; 3]) -> bool {
    let (Some(x), Some(y), Some(z)) = (run.value(a), run.value(b), run.value(c)) else { return false };
    let day_month = |x: u32, y: u32| (1..=31).contains(&x) && (1..=31).contains(&y) && (x <= 12 || y <= 12);
    match [a.len(), b.len(), c.len()] {
        [1 | 2, 1 | 2, 4] => day_month(x, y) && is_year(z),
        [1 | 2, 1 | 2, 2] => day_month(x, y),
        [4, 1 | 2, 1 | 2] => is_year(x) && day_month(y, z),
        _ => false,
    }
}

/// Years that people speak of as their own.
pub fn is_year(value: u32) -> bool {
    (1800..2100).contains(&value)
}

/// Returns the number of groups from `at` on that are a time of day ("4:23", "11:34:35"); 0 if they are none.
pub fn time_len(run: &Run, at: usize) -> usize {
    let part = |index: usize, limit: u32| {
        run.groups.get(index).is_some_and(|group| {
            let width = if index == at { 1..=2 } else { 2..=2 };
            group.form == Form::Written
                && width.contains(&group.len())
                && run.value(group).is_some_and(|value| value < limit)
                && (index == at || group.gap.is(b':'))
        })
    };
    let colon = |index: usize| run.groups.get(index).is_some_and(|group| group.gap.is(b':'));
    match (part(at, 25) && part(at + 1, 60), part(at + 2, 60)) {
        (true, true) if !colon(at + 3) => 3,
        (true, _) if !colon(at + 2) => 2,
        _ => 0,
    }
}

/// Finds the dates that name a month: "March 3rd, 1985", "the third of March nineteen eighty five".
///
/// Without a year or a day it is a finding only where a birth is spoken of.
pub fn find(cx: &mut ScanContext<'_>) {
    let mut index = 0;
    while let Some(month) = cx.tokens.seed(index, seed::MONTH) {
        index = month + 1;
        if !cx.is_taken(month) {
            find_at(cx, month);
        }
    }
}

/// Finds births whose month is a number: "the first of the third, nineteen eighty eight".
pub fn find_births(cx: &mut ScanContext<'_>) {
    let born = |hint| hint == Hint::Of(Entity::DateOfBirth);
    for first in 0..cx.tokens.len() {
        let Some(month) = month_after(cx, first).filter(|_| !cx.is_taken(first)) else { continue };
        let year = year_at(cx, month + 1).or_else(|| short_year(cx, month + 1));
        if let Some(year) = year.filter(|_| cx.context_for(first, born).is_some()) {
            cx.take(Entity::DateOfBirth, first, year, 0.8, "date in ordinals");
        }
    }
}

/// The month of "first of the third", "third of fourth": both said as ordinals.
fn month_after(cx: &ScanContext<'_>, day: usize) -> Option<usize> {
    let is = |at: usize, word: &str| usize::from(cx.tokens.str(cx.free(at)).eq_ignore_ascii_case(word));
    let ordinal = |at: usize, most: u8| matches!(cx.free(at).meaning.sense, Sense::Ordinal(n) if n <= most);
    if !ordinal(day, 31) {
        return None;
    }
    let month = day + 1 + is(day + 1, "of");
    let month = month + is(month, "the");
    ordinal(month, 12).then_some(month)
}

/// "Expires September 2027", "expiry November twenty eight": the last token of the year, where a card is spoken of or speech is read.
fn expiry_at(cx: &ScanContext<'_>, month: usize) -> Option<usize> {
    let expiry = Hint::Of(Entity::CardExpiry);
    cx.context_for(month, |hint| hint == expiry).filter(|context| context.near)?;
    if !cx.lenient && !cx.is_spoken_of(Hint::Of(Entity::Card)) && !cx.is_kind_before(month, Entity::Card) {
        return None;
    }
    let next = month + 2 + usize::from(cx.free(month + 2).is(b'-'));
    let two = matches!(cx.free(month + 1).meaning.sense, Sense::Ten(20..=40));
    let ones = matches!(cx.free(next).meaning.sense, Sense::Digit(1..));
    let written = cx.free(month + 1).class == Class::Digits && cx.free(month + 1).len() == 2;
    let short = if two && ones { Some(next) } else { (two || written).then_some(month + 1) };
    year_at(cx, month + 1).or(short)
}

fn find_at(cx: &mut ScanContext<'_>, month: usize) {
    if let Some(last) = expiry_at(cx, month) {
        return cx.take(Entity::CardExpiry, month, last, 0.7, "expiry");
    }
    let before = day_before(cx, month);
    let (after_day, day_after) = match before {
        Some(_) => (month + 1, None),
        None => day_after(cx, month + 1).map_or((month + 1, None), |next| (next, Some(next - 1))),
    };
    let first = before.unwrap_or(month);
    let has_day = before.is_some() || day_after.is_some();
    let born = cx.context_for(first, |hint| hint == Hint::Of(Entity::DateOfBirth)).is_some();
    let year = year_at(cx, after_day).or_else(|| short_year(cx, after_day).filter(|_| born && has_day));
    let last = year.or(day_after).unwrap_or(month);
    if has_day && year.is_some() || born && (has_day || year.is_some()) {
        let first = if has_day && cx.free_before(first).has(Flags::LINK) && is_the(cx, first) {
            first - 1
        } else {
            first
        };
        let kind = if born { Entity::DateOfBirth } else { Entity::Date };
        cx.take(kind, first, last, 0.9, "date with month");
    }
}

fn is_the(cx: &ScanContext<'_>, first: usize) -> bool {
    cx.tokens.str(cx.free_before(first)).eq_ignore_ascii_case("the")
}

/// The index of the first token of a day that ends before `month`.
fn day_before(cx: &ScanContext<'_>, month: usize) -> Option<usize> {
    let mut end = month.checked_sub(1)?;
    if ["of", "de"].iter().any(|of| cx.tokens.str(cx.free(end)).eq_ignore_ascii_case(of))
        || cx.free(end).is(b'.') && cx.tokens.glued(end)
        || cx.free(end).is(b',')
        || cx.free(end).is(b'-')
    {
        end = end.checked_sub(1)?;
    }
    (0..3)
        .filter_map(|back| end.checked_sub(back))
        .find(|&first| day_at(cx, first) == Some(end + 1) && !tens_before(cx, first))
}

fn tens_before(cx: &ScanContext<'_>, first: usize) -> bool {
    matches!(cx.free_before(first).meaning.sense, Sense::Ten(_)) && cx.tokens.at(first).class == Class::Word
}

fn day_after(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let the = cx.tokens.str(cx.free(index)).eq_ignore_ascii_case("the") || cx.free(index).is(b'-');
    day_at(cx, index + usize::from(the))
}

/// Reads a day of the month; the index after it.
fn day_at(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let token = cx.free(index);
    let next = cx.free(index + 1);
    let day = |value: u32| (1..=31).contains(&value);
    match (token.class, token.meaning.sense) {
        (Class::Digits, _) if token.len() <= 2 && day(figures(cx, index)?) => {
            let suffix = cx.tokens.glued(index + 1)
                && matches!(
                    cx.tokens.str(next).to_ascii_lowercase().as_str(),
                    "st" | "nd" | "rd" | "th" | "er"
                );
            Some(index + 1 + usize::from(suffix))
        }
        (_, Sense::Ten(tens)) => match next.meaning.sense {
            Sense::Ordinal(ones @ 1..=9) | Sense::Digit(ones @ 1..) if day(u32::from(tens + ones)) => {
                Some(index + 2)
            }
            _ => day(u32::from(tens)).then_some(index + 1),
        },
        (_, Sense::Ordinal(value) | Sense::Digit(value) | Sense::Teen(value)) if day(u32::from(value)) => {
            Some(index + 1)
        }
        _ => None,
    }
}

/// The last token of a year that begins at `index` or after a comma there.
fn year_at(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let link = cx.free(index);
    let skip = link.is(b',')
        || link.is(b'-')
        || link.is(b'.')
        || ["of", "in", "de", "del"].contains(&cx.tokens.str(link));
    let at = index + usize::from(skip);
    let token = cx.free(at);
    match (token.class, token.meaning.sense) {
        (Class::Digits, _) if token.len() == 4 => is_year(figures(cx, at)?).then_some(at),
        (Class::Digits, _) if token.len() == 2 => {
            let split = cx.free(at + 1).is(b',') || cx.free(at + 1).is(b'-');
            let rest = at + 1 + usize::from(split);
            let century = matches!(figures(cx, at)?, 18..=20);
            if century && cx.free(rest).class == Class::Digits && cx.free(rest).len() == 2 {
                Some(rest)
            } else {
                (skip || cx.free_before(at).is(b'\'')).then_some(at)
            }
        }
        (Class::Sign(b'\''), _) if cx.free(at + 1).class == Class::Digits => Some(at + 1),
        (_, Sense::Teen(18..=19) | Sense::Ten(20)) => spoken_year(cx, at),
        (_, Sense::Digit(2)) if cx.free(at + 1).meaning.sense == Sense::Scale => {
            Some(after_thousand(cx, at + 1))
        }
        _ => None,
    }
}

/// "eighty five", "oh four" behind a day and a month: the last token.
fn short_year(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let at = index + usize::from(cx.free(index).is(b','));
    let next = at + 1 + usize::from(cx.free(at + 1).is(b'-'));
    let ones = matches!(cx.free(next).meaning.sense, Sense::Digit(1..));
    match cx.free(at).meaning.sense {
        Sense::Ten(30..) => Some(if ones { next } else { at }),
        Sense::Digit(0) if ones => Some(next),
        _ => None,
    }
}

/// "nineteen eighty five", "twenty oh four", "nineteen hundred".
fn spoken_year(cx: &ScanContext<'_>, at: usize) -> Option<usize> {
    let next = at + 1 + usize::from(cx.free(at + 1).is(b'-'));
    let ones = |index: usize| matches!(cx.free(index).meaning.sense, Sense::Digit(1..));
    match cx.free(next).meaning.sense {
        Sense::Ten(_) => {
            let hyphen = usize::from(cx.free(next + 1).is(b'-'));
            Some(if ones(next + 1 + hyphen) { next + 1 + hyphen } else { next })
        }
        Sense::Teen(_) | Sense::Hundred => Some(next),
        Sense::Digit(0) if ones(next + 1) => Some(next + 1),
        _ => None,
    }
}

fn after_thousand(cx: &ScanContext<'_>, thousand: usize) -> usize {
    let next = thousand + 1 + usize::from(cx.free(thousand + 1).has(Flags::AND));
    match cx.free(next).meaning.sense {
        Sense::Ten(_) if matches!(cx.free(next + 1).meaning.sense, Sense::Digit(1..)) => next + 1,
        Sense::Digit(1..) | Sense::Teen(_) | Sense::Ten(_) => next,
        _ => thousand,
    }
}

fn figures(cx: &ScanContext<'_>, index: usize) -> Option<u32> {
    let token = cx.tokens.at(index);
    if token.len() > 8 {
        return None;
    }
    Some(
        cx.tokens
            .str(token)
            .chars()
            .filter_map(digit_value)
            .fold(0, |value, digit| value * 10 + u32::from(digit)),
    )
}
