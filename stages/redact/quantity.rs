//! Numbers without a person: prices, measured quantities, counts, scores, versions, years.
//!
//! In: a cx, a run and a range of its groups. Out: the groups that are left. Must not know any entity.
//! Every question looks at a bounded number of tokens or walks the range once.

use std::ops::Range;

use super::calendar::is_year;
use super::lexicon::{Flags, Sense};
use super::number::{Form, Group, Run};
use super::scan_context::ScanContext;
use super::token::{Class, MONEY_SIGN, Token};

/// A plain row of at least this many digits before a unit is still taken for a personal number.
const PLAIN: usize = 7;
/// The same where a context phrase stands before it.
const PLAIN_IN_CONTEXT: usize = 5;

/// Cuts a price off the front and a measured quantity off the back of `range`.
pub fn trim(cx: &ScanContext<'_>, run: &Run, mut range: Range<usize>, near: bool) -> Range<usize> {
    let Some(first) = run.groups.get(range.start) else { return range };
    if is_currency(cx.free_before(first.first)) {
        let end = head_end(run, &range);
        if is_quantity(run, range.start..end, near) {
            range.start = end;
        }
    }
    let Some(last) = range.end.checked_sub(1).and_then(|last| run.groups.get(last)) else { return range };
    // "Twenty seven, three digits on the back".
    if range.len() > 1
        && last.len() == 1
        && last.form == Form::Spoken
        && is_digits(cx.free(last.last + 1), cx)
    {
        range.end -= 1;
        return drop_homophones(run, range);
    }
    if !range.is_empty() && has_unit(cx, last.last + 1) {
        let start = tail_start(run, &range);
        if is_quantity(run, start..range.end, near) {
            range.end = start;
        }
    }
    drop_homophones(run, range)
}

/// Words that only sound like digits belong to a run only between digits.
pub fn drop_homophones(run: &Run, mut range: Range<usize>) -> Range<usize> {
    let sounds = |index: usize| run.groups.get(index).is_some_and(|group| group.form == Form::Homophone);
    while !range.is_empty() && sounds(range.start) {
        range.start += 1;
    }
    while !range.is_empty() && sounds(range.end - 1) {
        range.end -= 1;
    }
    range
}

fn is_digits(token: Token, cx: &ScanContext<'_>) -> bool {
    token.len() == 6 && cx.tokens.str(token).eq_ignore_ascii_case("digits")
}

fn is_currency(token: Token) -> bool {
    matches!(token.class, Class::Sign(b'$' | MONEY_SIGN))
        || token.has(Flags::MONEY) && token.meaning.sense == Sense::None
}

/// Returns true if a unit, a currency or "per cent" begins at the token `index`.
fn has_unit(cx: &ScanContext<'_>, index: usize) -> bool {
    let token = cx.free(index);
    let token = if token.is(b'-') && cx.tokens.is_inner(index) { cx.free(index + 1) } else { token };
    if token.new_line && token.class == Class::Word {
        return false;
    }
    matches!(token.class, Class::Sign(b'%' | b'$' | MONEY_SIGN))
        || token.has(Flags::UNIT | Flags::MONEY | Flags::AM_PM)
}

/// The end of the number that begins at the start of `range`.
fn head_end(run: &Run, range: &Range<usize>) -> usize {
    let mut end = range.start + 1;
    while end < range.end
        && let Some(group) = run.groups.get(end)
        && let Some(before) = run.groups.get(end - 1)
        && continues(group, before)
    {
        end += 1;
    }
    end
}

/// The start of the number that ends at the end of `range`.
fn tail_start(run: &Run, range: &Range<usize>) -> usize {
    let mut start = range.end - 1;
    while start > range.start
        && let Some(group) = run.groups.get(start)
        && let Some(before) = run.groups.get(start - 1)
        && continues(group, before)
    {
        start -= 1;
    }
    decimal_start(run, range).map_or(start, |decimal| decimal.min(start))
}

/// Returns the place where "two point eight two two" begins, if `range` ends with such a decimal.
fn decimal_start(run: &Run, range: &Range<usize>) -> Option<usize> {
    const LONGEST: usize = 16;
    let from = range.start.max(range.end.saturating_sub(LONGEST));
    let point =
        (from..range.end).rev().find(|at| run.groups.get(*at).is_some_and(|group| group.gap.dot_word))?;
    point.checked_sub(1).filter(|start| *start >= range.start)
}

/// Returns true if two groups are parts of one quantity: decimals, thousands, "four hundred and six".
fn continues(group: &Group, before: &Group) -> bool {
    let written = group.form == Form::Written && before.form == Form::Written;
    group.form == Form::Scale
        || group.gap.and
        || before.form == Form::Scale && group.gap.is_space()
        || written && group.gap.is(b'.')
        || written && group.gap.is(b',') && group.len() <= 3
}

/// Returns true if the groups may be a quantity: a plain row of many digits is not.
fn is_quantity(run: &Run, range: Range<usize>, near: bool) -> bool {
    let groups = run.groups.get(range).unwrap_or(&[]);
    match groups {
        [] => false,
        [one] => {
            one.len() < if near { PLAIN_IN_CONTEXT } else { PLAIN } || !near && one.form == Form::Written
        }
        many => many.iter().map(Group::len).sum::<usize>() <= 15,
    }
}

/// Returns true if `range` is visibly no person's number: a count, a score, a version, years.
///
/// Asked only where no context phrase stands before it.
pub fn is_impersonal(cx: &ScanContext<'_>, run: &Run, range: Range<usize>) -> bool {
    let Some(groups) = run.groups.get(range) else { return false };
    let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return false };
    let digits: usize = groups.iter().map(Group::len).sum();
    has_form_of_quantity(run, groups)
        || is_thousands(run, groups) && digits <= 9 && is_free_word(cx, last.last + 1)
        || is_counting(cx, run, groups)
        || is_score(cx, groups)
        || is_clock_range(cx, run, groups)
        || is_list(cx, groups)
        || digits <= 9 && is_model(cx, first.first)
        || digits <= 6 && first.form == Form::Spoken && cx.free_before(first.first).has(Flags::ARTICLE)
}

/// Returns true if the groups alone, without what stands around them, are years, a range, decimals or a number in words.
pub fn has_form_of_quantity(run: &Run, groups: &[Group]) -> bool {
    is_years(run, groups)
        || is_season(run, groups)
        || is_spoken_years(run, groups)
        || is_range(run, groups)
        || is_decimals(groups)
        || is_decimal(groups)
        || is_cardinal(groups)
}

fn is_free_word(cx: &ScanContext<'_>, index: usize) -> bool {
    let token = cx.free(index);
    token.class == Class::Word && !token.new_line
}

/// "1994-95", "1999/00": a season.
fn is_season(run: &Run, groups: &[Group]) -> bool {
    let [year, next] = groups else { return false };
    (year.len(), next.len()) == (4, 2)
        && (next.gap.is(b'-') || next.gap.is(b'/'))
        && run.value(year).is_some_and(|year| is_year(year) && run.value(next) == Some((year + 1) % 100))
}

/// "1990-2004", "2019, 2020 and 2021".
fn is_years(run: &Run, groups: &[Group]) -> bool {
    groups.iter().all(|group| {
        group.form == Form::Written
            && group.len() == 4
            && run.value(group).is_some_and(is_year)
            && !group.gap.is_space()
    })
}

/// Returns true if a run is one year and nothing else.
pub fn is_year_alone(run: &Run) -> bool {
    run.groups.len() == 1
        && run.groups.iter().all(|group| group.len() == 4 && run.value(group).is_some_and(is_year))
        || is_spoken_years(run, &run.groups)
}

/// "nineteen eighty four", "twenty twenty, twenty twenty one".
fn is_spoken_years(run: &Run, groups: &[Group]) -> bool {
    let pairs = groups.chunks(2).all(|pair| match pair {
        [century, year] => {
            pair.iter().all(|group| group.form == Form::Spoken && group.len() == 2)
                && matches!(run.value(century), Some(18..=20))
                && run.value(year) >= Some(10)
        }
        _ => false,
    });
    pairs && groups.len() <= 8
}

/// "1990 to 2004", "300 or 350".
fn is_range(run: &Run, groups: &[Group]) -> bool {
    let [low, word, high] = groups else { return false };
    let between = word.form == Form::Homophone && matches!(run.digits_of(word), [0 | 2]);
    let plain = |group: &Group| group.len() <= 4 && run.digits_of(group).first() != Some(&0);
    between && plain(low) && plain(high) && run.value(low) < run.value(high)
}

/// "0.34, 0.56, 1.22", "0.48/0.28".
fn is_decimals(groups: &[Group]) -> bool {
    groups.len() >= 2
        && groups.len().is_multiple_of(2)
        && groups.chunks(2).enumerate().all(|(place, pair)| {
            let [whole, part] = pair else { return false };
            let apart = place == 0 || whole.gap.is_space() || whole.gap.is_list_comma() || whole.gap.is(b'/');
            apart && part.gap.is(b'.') && whole.len() <= 3 && part.len() <= 3 && whole.form == Form::Written
        })
}

/// "three point one four one five nine", "3.14159": one point, and little before it.
fn is_decimal(groups: &[Group]) -> bool {
    let point = |group: &Group| group.gap.point || group.form == Form::Written && group.gap.is(b'.');
    let Some(place) = groups.iter().take(3).skip(1).position(point) else { return false };
    let (whole, part) = groups.split_at((place + 1).min(groups.len()));
    let written = part.len() == 1 && part.iter().all(|group| group.form == Form::Written);
    let spoken = part.iter().all(|group| group.form == Form::Spoken && group.len() == 1);
    let alone = part.iter().skip(1).all(|group| group.gap.is_space());
    whole.iter().map(Group::len).sum::<usize>() <= 2 && (written || spoken && alone)
}

/// "1,234,567".
fn is_thousands(run: &Run, groups: &[Group]) -> bool {
    let Some((first, rest)) = groups.split_first() else { return false };
    let written = groups.iter().all(|group| group.form == Form::Written);
    written
        && !rest.is_empty()
        && first.len() <= 3
        && run.digits_of(first).first() != Some(&0)
        && rest.iter().all(|group| group.gap.is(b',') && group.len() == 3)
}

/// "fifty four thousand four hundred and sixty eight".
fn is_cardinal(groups: &[Group]) -> bool {
    let thousand = groups.iter().any(|group| group.form == Form::Scale && group.len() == 3);
    let and = groups.iter().any(|group| group.gap.and);
    let others: usize = groups.iter().filter(|group| group.form != Form::Scale).map(Group::len).sum();
    (thousand || and) && others < 9
}

/// "one, two, three, four": with commas, or up to ten, or where counting is spoken of.
fn is_counting(cx: &ScanContext<'_>, run: &Run, groups: &[Group]) -> bool {
    let Some((first, rest)) = groups.split_first() else { return false };
    let value = |group: &Group| {
        run.value(group).filter(|_| run.digits_of(group) == [0] || run.digits_of(group).first() != Some(&0))
    };
    let step = |up: bool| {
        groups.windows(2).all(|pair| match pair {
            [a, b] => match (value(a), value(b)) {
                (Some(a), Some(b)) => {
                    if up {
                        a + 1 == b
                    } else {
                        b + 1 == a
                    }
                }
                _ => false,
            },
            _ => false,
        })
    };
    let announced = cx.spoken_before(first.first, 5, Flags::COUNT)
        || rest.iter().all(|group| group.gap.sign == Some(b','))
        || groups.iter().any(|group| run.digits_of(group) == [1, 0]);
    groups.len() >= 4 && (announced && (step(true) || step(false)) || is_counted_again(run, groups))
}

/// "one two three four one two three four": counted from one again and again.
fn is_counted_again(run: &Run, groups: &[Group]) -> bool {
    let values = || groups.iter().map(|group| run.value(group).filter(|_| group.len() == 1));
    let rounds = values().filter(|value| *value == Some(1)).count();
    let mut before = Some(0);
    let steps = values().all(|value| {
        let next = value == Some(1) && before != Some(1)
            || value.zip(before).is_some_and(|(value, before)| value == before + 1);
        before = value;
        next
    });
    let fours = groups.len() >= 4 * rounds;
    rounds >= 2 && steps && fours
}

/// "won six four, three six, seven five", "score 21-19, 18-21".
fn is_score(cx: &ScanContext<'_>, groups: &[Group]) -> bool {
    groups.len() <= 10
        && groups.len().is_multiple_of(2)
        && groups.iter().all(|group| group.len() <= 2)
        && groups.first().is_some_and(|first| cx.spoken_before(first.first, 3, Flags::SCORE))
}

/// "From two thirty to four fifteen": hours and minutes, where "to" sounds like a digit.
fn is_clock_range(cx: &ScanContext<'_>, run: &Run, groups: &[Group]) -> bool {
    const BEFORE: [&str; 4] = ["from", "between", "at", "until"];
    let [hour, minutes, to, last @ ..] = groups else { return false };
    let is_hour = |group: &Group| group.len() <= 2 && matches!(run.value(group), Some(1..=12));
    let is_minutes = |group: &Group| group.len() == 2 && run.value(group).is_some_and(|value| value < 60);
    let ends = match last {
        [hour] => is_hour(hour),
        [hour, minutes] => is_hour(hour) && is_minutes(minutes),
        _ => false,
    };
    let before = cx.tokens.str(cx.free_before(hour.first));
    ends && is_hour(hour)
        && is_minutes(minutes)
        && to.form == Form::Homophone
        && BEFORE.iter().any(|word| before.eq_ignore_ascii_case(word))
}

/// "The lap times were fifty eight, fifty nine, fifty seven": values of one measure behind its plural.
fn is_list(cx: &ScanContext<'_>, groups: &[Group]) -> bool {
    const VERBS: [&str; 3] = ["were", "are", "of"];
    let Some((first, rest)) = groups.split_first() else { return false };
    let listed =
        rest.iter().all(|group| (group.gap.is_list_comma() || group.gap.and) && group.len() == first.len());
    let Some(verb) = first.first.checked_sub(1).filter(|verb| *verb > 0) else { return false };
    let verb_word = cx.tokens.str(cx.free(verb));
    let measure = cx.free(verb - 1);
    let name = cx.tokens.str(measure);
    rest.len() >= 2
        && (2..=3).contains(&first.len())
        && listed
        && VERBS.iter().any(|word| verb_word.eq_ignore_ascii_case(word))
        && measure.class == Class::Word
        && measure.len() > 3
        && measure.meaning.cue == 0
        && name.ends_with(['s', 'S'])
        && !["digits", "numbers", "figures", "codes"].iter().any(|word| name.eq_ignore_ascii_case(word))
}

/// A number after "version", "part no. AB-", "0x".
pub fn is_model(cx: &ScanContext<'_>, first: usize) -> bool {
    let from = cx.horizon(first, 5);
    (from..first)
        .rev()
        .map(|before| cx.tokens.at(before))
        .take_while(|token| is_label(*token))
        .any(|token| token.has(Flags::MODEL))
}

/// Returns true for tokens that may stand between "part" and its number.
fn is_label(token: Token) -> bool {
    match token.class {
        Class::Word => token.len() <= 3 || token.has(Flags::MODEL | Flags::LINK),
        Class::Sign(_) => true,
        _ => false,
    }
}
