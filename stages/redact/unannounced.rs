//! Numbers that nothing announces: which of them are a count, a reading, a version or a machine's time, and which were said.
//!
//! In: a cx, a run and groups before which no context phrase stands. Out: true if they are not personal, or if they were said. Counts of
//! machines and of people outnumber the numbers that a person gives away without a word; those stand alone, or among words that say
//! nothing ("it's 4829130, thanks"). It must not know how one is replaced. Every question looks at a bounded number of tokens.

use super::cue::Hint;
use super::kind::Entity;
use super::lexicon::{Flags, Sense};
use super::machine::is_machines;
use super::number::{Form, Group, Run};
use super::scan_context::{Context, ScanContext};
use super::token::{Class, Token};

/// The distance within which words say something of a number, in tokens.
const CLAUSE: usize = 8;
/// No number that is said in groups has groups of so many digits: rows of them are several numbers.
const COUNT: usize = 6;
/// Plain rows of so many digits are weighed.
const ROW: usize = 6;

/// Things that have a number of their own, which is not personal.
#[rustfmt::skip]
const THINGS: &[&str] = &[
    "article", "atomic", "batch", "bin", "block", "build", "catalog", "catalogue", "channel", "colour", "color", "column", "country",
    "draw", "drawing", "edition", "episode", "error", "exit", "figure", "frame", "gate", "issue", "item", "job", "lot", "lottery",
    "model", "packet", "page", "part", "platform", "port", "product", "room", "row", "run", "sequence", "shelf", "size", "status", "stock", "style",
    "table", "task", "track", "version", "week",
];

/// Words that announce a public number: of a book, a standard, a substance, an article of trade.
#[rustfmt::skip]
const PUBLIC: &[&str] = &[
    "arxiv", "asin", "cas", "cve", "din", "doi", "ean", "gtin", "hs", "iec", "ieee", "isbn", "iso", "issn", "kb", "pmid", "rfc", "sku", "upc",
];

/// The context without what announces no number: "catalogue number", an expiry before so many digits that they are a time.
pub fn without_things(
    cx: &ScanContext<'_>,
    context: Option<Context>,
    first: usize,
    digits: &[u8],
) -> Option<Context> {
    const EXPIRY: usize = 8;
    match context?.hint {
        Hint::Of(Entity::CardExpiry) if digits.len() > EXPIRY => None,
        Hint::Of(Entity::VehiclePlate) if is_machines(cx, first, first) => None,
        Hint::Of(Entity::BankAccount | Entity::Phone) if is_fraction(cx, first) => None,
        Hint::Of(Entity::Card) if is_hash(cx, first) => None,
        Hint::Any | Hint::Of(Entity::Number) if is_number_of_thing(cx, first) => None,
        _ => context,
    }
}

/// "catalogue number 918273", "the error code is 40013", not "my part number".
pub fn is_number_of_thing(cx: &ScanContext<'_>, first: usize) -> bool {
    const OWNERS: [&str; 6] = ["my", "your", "his", "her", "our", "their"];
    let from = cx.horizon(first, CLAUSE);
    let said = |at: &usize| cx.tokens.at(*at).meaning.cue > 0 && !cx.tokens.at(*at).is_letter();
    let named = (from..first).rev().find(said);
    let Some(thing) = named.and_then(|number| number.checked_sub(1)) else { return false };
    let owner = cx.tokens.str(cx.free_before(thing));
    is_in(THINGS, cx.tokens.str(cx.free(thing))) && !is_in(&OWNERS, owner)
}

/// "acc 0.9182": no personal number begins with a zero and a dot.
fn is_fraction(cx: &ScanContext<'_>, first: usize) -> bool {
    cx.tokens.str(cx.free(first)) == "0" && cx.free(first + 1).is(b'.') && cx.tokens.is_inner(first + 1)
}

/// Returns true if a word is in a list, in any case.
pub fn is_in(list: &[&str], word: &str) -> bool {
    list.iter().any(|known| known.len() == word.len() && known.eq_ignore_ascii_case(word))
}

/// Returns true if groups that no phrase stands before are not personal, whatever a check or a form says of them.
pub fn is_nobodys(cx: &ScanContext<'_>, run: &Run, groups: &[Group]) -> bool {
    let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return false };
    if groups.iter().any(|group| group.form == Form::Spoken || group.form == Form::Scale) {
        return false;
    }
    let digits = run.digits.get(first.from..last.to).unwrap_or(&[]);
    is_public(cx, first.first)
        || is_round(run, groups)
        || is_month(run, groups)
        || is_signed(cx, digits, groups)
        || is_sets(run, groups)
        || is_amount(run, groups)
        || is_table_row(groups)
        || is_dotted(run, groups)
        || is_modes(digits, groups)
        || is_list_of_counts(cx, groups)
        || is_ratio(run, groups)
        || is_hash(cx, first.first)
        || is_argument(cx, groups)
        || (is_round_row(digits, groups) || is_machine_time(digits, groups) || is_stamp(run, groups))
            && !(cx.lenient && !is_whole(cx, first.first, last.last) && is_answer(cx, first.first, last.last))
}

/// Returns true if nothing but these tokens is in the text: a machine's line, or a cell of a table.
fn is_whole(cx: &ScanContext<'_>, first: usize, last: usize) -> bool {
    cx.tokens.before(first).class == Class::Edge && cx.tokens.at(last + 1).class == Class::Edge
}

/// "+0200", "-1234567", "+7654321": a sign before a row that is no telephone number.
fn is_signed(cx: &ScanContext<'_>, digits: &[u8], groups: &[Group]) -> bool {
    const SHORTEST: usize = 9;
    let [group, rest @ ..] = groups else { return false };
    let before = group.first.wrapping_sub(1);
    let glued = !cx.tokens.at(group.first).spaced;
    let left = cx.free_before(before);
    let apart = cx.tokens.at(before).spaced || matches!(left.class, Class::Sign(_) | Class::Edge);
    let plus = cx.free_before(group.first).is(b'+');
    let minus = cx.free_before(group.first).is(b'-');
    if !glued || !apart || !plus && !minus {
        return false;
    }
    let differences = rest.iter().all(|group| group.gap.mixed && group.len() >= ROW);
    let few = digits.len() < SHORTEST - 2;
    if minus || few {
        return differences || few;
    }
    let plan = match digits {
        [0, ..] => false,
        [1 | 7, ..] => digits.len() == 11,
        _ => digits.len() >= SHORTEST,
    };
    differences && (!plan || !rest.is_empty())
}

/// "ISBN 978-3-16-148410-0", "CAS 7732-18-5", "DIN EN 60335-1".
fn is_public(cx: &ScanContext<'_>, first: usize) -> bool {
    let from = cx.horizon(first, 4);
    (from..first)
        .rev()
        .map(|at| cx.tokens.at(at))
        .take_while(|token| {
            matches!(token.class, Class::Sign(_)) || token.class == Class::Word && token.len() <= 5
        })
        .any(|token| is_in(PUBLIC, cx.tokens.str(token)))
}

/// "3600000000000", "12000000": so many zeros stand at the end of no personal number.
fn is_round_row(digits: &[u8], groups: &[Group]) -> bool {
    digits.iter().all(|digit| *digit == 0) && groups.iter().all(|group| group.len() <= 2)
        || groups.len() == 1
            && digits.first() != Some(&0)
            && digits.iter().rev().take_while(|digit| **digit == 0).count() >= 4
}

/// "6-4, 6-7(5), 7-6(10-8)", "21-19 18-21 21-17": pairs of small numbers.
fn is_sets(run: &Run, groups: &[Group]) -> bool {
    const MOST: usize = 14;
    let dashes = groups.iter().filter(|group| group.gap.is(b'-')).count();
    let apart = |at: usize| groups.get(at).is_none_or(|group| !group.gap.is(b'-'));
    let small = |group: &Group| {
        let digits = run.digits_of(group);
        digits.len() == 1 || digits.len() == 2 && digits.first() != Some(&0)
    };
    // The second of a pair behind its dash, the first before it, or what a tie-break ended with, in parentheses.
    let placed = |at: usize| match (apart(at), apart(at + 1)) {
        (false, next) => next && at > 0,
        (true, false) => groups.get(at).is_some_and(|group| !group.gap.is(b'.')),
        (true, true) => groups.get(at).is_some_and(|group| group.gap.sign == Some(b'(')),
    };
    dashes >= 2 && groups.len() <= MOST && groups.iter().all(small) && (0..groups.len()).all(placed)
}

/// "1,287,344.00", "1 287 344,56", "1.287.344,56": thousands, and decimals of one or two figures.
fn is_amount(run: &Run, groups: &[Group]) -> bool {
    let ([first, thousands @ .., part], true) = (groups, groups.len() >= 3) else { return false };
    let Some(mark) = part.gap.sign.filter(|mark| matches!(mark, b'.' | b',')) else { return false };
    let same =
        thousands.iter().all(|group| group.gap == thousands.first().map_or(group.gap, |first| first.gap));
    let joint =
        thousands.iter().all(|group| group.len() == 3 && !group.gap.mixed && group.gap.sign != Some(mark));
    !part.gap.spaced
        && part.len() <= 2
        && same
        && joint
        && first.len() <= 3
        && run.digits_of(first).first() != Some(&0)
}

/// "1772438097,21.4,48.2": fields of a table, with decimals among them.
fn is_table_row(groups: &[Group]) -> bool {
    let has = |sign: u8| groups.iter().skip(1).any(|group| group.gap.is(sign));
    has(b',') && has(b'.') || has(b';') && groups.len() > 2
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, between the years 2001 and 2033.
fn is_machine_time(digits: &[u8], groups: &[Group]) -> bool {
    let whole = match groups {
        [_] => matches!(digits.len(), 10 | 13 | 16 | 19),
        [seconds, part, ..] => seconds.len() == 10 && part.gap.is(b'.'),
        _ => false,
    };
    whole && digits.first() == Some(&1)
}

/// "20240312081455", "20240312.4", "20240206": a day with or without a time, written as one row.
fn is_stamp(run: &Run, groups: &[Group]) -> bool {
    let Some((day, rest)) = groups.split_first() else { return false };
    let digits = run.digits_of(day);
    let number = |from: usize, to: usize| {
        digits.get(from..to).unwrap_or(&[]).iter().fold(0_u32, |value, digit| value * 10 + u32::from(*digit))
    };
    let dated = (1970..2100).contains(&number(0, 4))
        && (1..=12).contains(&number(4, 6))
        && (1..=31).contains(&number(6, 8));
    let timed = digits.len() == 8
        || matches!(digits.len(), 10 | 12 | 14)
            && number(8, 10) < 24
            && number(10, 12.min(digits.len())) < 60
            && number(12, 14.min(digits.len())) < 60;
    dated && timed && rest.len() <= 1 && rest.iter().all(|part| part.len() <= 6 && !part.gap.spaced)
}

/// "0777 0644 0755": octal modes.
fn is_modes(digits: &[u8], groups: &[Group]) -> bool {
    let modes = groups.windows(2).all(|pair| pair.iter().all(|group| group.len() == 4));
    let octal =
        digits.iter().all(|digit| *digit < 8) && digits.chunks(4).all(|mode| mode.first() == Some(&0));
    groups.len() > 1 && modes && octal
}

/// "122.0.6261.112", "12.1.3 to 12.2.0", "31.0.15.5222": joined by dots, and not in the groups of a telephone number.
fn is_dotted(run: &Run, groups: &[Group]) -> bool {
    let dots = groups.iter().filter(|group| group.gap.is(b'.')).count();
    let lengths = |shape: &[usize]| {
        groups.len() == shape.len() && groups.iter().zip(shape).all(|(group, length)| group.len() == *length)
    };
    let phone = lengths(&[3, 3, 4])
        || lengths(&[1, 3, 3, 4])
        || groups.len() >= 4 && groups.iter().all(|group| group.len() == 2)
        || groups.first().is_some_and(|first| first.len() >= 2 && run.digits_of(first).first() == Some(&0));
    let fits = |group: &Group| {
        let spaced = group.gap.spaced && !group.gap.mixed && matches!(group.gap.sign, None | Some(b'('));
        group.gap.is(b'.') || group.gap.is(b'-') || spaced || group.form == Form::Homophone
    };
    dots >= 2 && !phone && groups.iter().skip(1).all(fits) && groups.iter().any(|group| group.len() <= 2)
}

/// "120934 118273 119283", "skipped 1287344, 918273": rows too long for groups of one number.
fn is_list_of_counts(cx: &ScanContext<'_>, groups: &[Group]) -> bool {
    let ([first, rest @ ..], Some(last)) = (groups, groups.last()) else { return false };
    let long = groups.iter().filter(|group| group.len() >= COUNT).count();
    let fields =
        rest.iter().all(|group| !group.gap.spaced && matches!(group.gap.sign, Some(b',' | b';' | b'|')));
    let listed = rest.iter().all(|group| group.gap.is_list_comma() || group.gap.is_space());
    let columns = groups.len() > 2 && is_tabbed(cx, groups);
    let card = groups.len() == 2 && groups.iter().all(|group| group.len() == 8);
    let announced = || long >= 3 || !is_answer(cx, first.first, last.last);
    long >= 2 && !card && (fields || columns || listed && announced())
}

/// Columns of a table, apart by tabs.
fn is_tabbed(cx: &ScanContext<'_>, groups: &[Group]) -> bool {
    let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return false };
    let (start, end) = (cx.tokens.at(first.first).start, cx.tokens.at(last.last).end);
    cx.tokens.text.get(start..end).is_some_and(|text| text.contains('\t'))
}

/// "1:250000", "2016/679", "482913#482913": joined by what joins no number that is said.
fn is_ratio(run: &Run, groups: &[Group]) -> bool {
    let parts = groups.iter().skip(1).all(|group| group.gap.is(b'/'));
    let zero = groups.iter().any(|group| run.digits_of(group).first() == Some(&0));
    parts && groups.len() > 1 && !zero
        || groups.iter().skip(1).any(|group| {
            group.gap.sign == Some(b':')
                || !group.gap.spaced
                    && matches!(group.gap.sign, Some(b'#' | b'|' | b'*' | b'_' | b'[' | b']' | b'"'))
        })
}

/// "9f8e7d6c5b", "0cc175b9": letters of hexadecimal figures glued among the digits.
pub fn is_hash(cx: &ScanContext<'_>, first: usize) -> bool {
    const FEWEST: usize = 7;
    const LONGEST: usize = 64;
    let glued =
        |at: usize| cx.tokens.glued(at) && cx.tokens.at(at - 1).is_solid() && cx.tokens.at(at).is_solid();
    let mut from = first;
    while from > 0 && first - from < LONGEST && glued(from) {
        from -= 1;
    }
    let (mut letters, mut bytes, mut at) = (0, 0, from);
    while at == from || at - from < 2 * LONGEST && at < cx.tokens.len() && glued(at) {
        let token = cx.tokens.at(at);
        if token.class == Class::Word {
            let word = cx.tokens.str(token);
            if !word.bytes().all(|byte| matches!(byte, b'a'..=b'f' | b'A'..=b'F')) {
                return false;
            }
            letters += 1;
        }
        bytes += token.len();
        at += 1;
    }
    letters >= 2 && bytes >= FEWEST || letters >= 1 && bytes >= 16
}

/// "sleep(1000000)", "rgb(128, 73, 44)": a parenthesis glued to the word before it.
fn is_argument(cx: &ScanContext<'_>, groups: &[Group]) -> bool {
    groups.first().is_some_and(|first| {
        cx.free_before(first.first).is(b'(')
            && first.first >= 2
            && !cx.tokens.at(first.first - 1).spaced
            && cx.tokens.at(first.first - 2).class == Class::Word
    })
}

/// Returns true if the groups are apart in more than one way, and by a dot: "200 918273 0.128". That a check holds is then chance.
pub fn is_ragged(groups: &[Group]) -> bool {
    let [_, rest @ ..] = groups else { return false };
    let written = groups.iter().all(|group| group.form == Form::Written);
    let dot = |group: &Group| group.gap.is(b'.');
    written && rest.iter().any(dot) && (groups.len() == 2 || !rest.iter().all(dot))
}

/// Returns true if groups of a transcript were said as the digits of a number. Those in words were; figures are counts where they are written
/// as counts are, or where the words around them say of what.
pub fn is_said(cx: &ScanContext<'_>, groups: &[Group]) -> bool {
    let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return false };
    if groups.iter().any(|group| group.form != Form::Written) {
        return true;
    }
    if is_machines(cx, first.first, last.last) {
        return false;
    }
    let glued =
        |at: usize| cx.tokens.glued(at) && cx.tokens.at(at).is_solid() && cx.tokens.before(at).is_solid();
    if glued(first.first) || glued(last.last + 1) {
        return false;
    }
    match groups {
        [_] => is_answer(cx, first.first, last.last),
        [_, part] if part.gap.is(b'.') => false,
        _ if groups.iter().any(|group| group.len() >= COUNT) => is_answer(cx, first.first, last.last),
        _ => true,
    }
}

/// "2026-03": a year and a month.
fn is_month(run: &Run, groups: &[Group]) -> bool {
    let [year, month] = groups else { return false };
    month.gap.is(b'-')
        && (year.len(), month.len()) == (4, 2)
        && run.value(year).is_some_and(|year| (1900..2100).contains(&year))
        && run.value(month).is_some_and(|month| (1..=12).contains(&month))
}

/// "200 100 50 25": no personal number falls into fives.
fn is_round(run: &Run, groups: &[Group]) -> bool {
    let phone = groups.len() == 3 && groups.last().is_some_and(|last| last.len() == 4);
    groups.len() >= 3
        && !phone
        && groups.iter().all(|group| {
            let digits = run.digits_of(group);
            (2..=4).contains(&digits.len())
                && digits.first() != Some(&0)
                && matches!(digits.last(), Some(0 | 5))
        })
}

/// Returns true if nothing stands around a number but words that say nothing.
fn is_answer(cx: &ScanContext<'_>, first: usize, last: usize) -> bool {
    let before = (first.saturating_sub(CLAUSE)..first).rev();
    let after = last + 1..(last + 1 + CLAUSE).min(cx.tokens.len());
    says_nothing(cx, before, false) && says_nothing(cx, after, true)
}

fn says_nothing(cx: &ScanContext<'_>, places: impl Iterator<Item = usize>, forward: bool) -> bool {
    for at in places {
        let token = cx.tokens.at(at);
        let breaks = if forward { token.new_line } else { cx.tokens.at(at + 1).new_line };
        if breaks || cx.is_taken(at) {
            break;
        }
        match token.class {
            Class::Sign(b'.' | b'!' | b'?' | b';') if !cx.tokens.is_inner(at) => break,
            Class::Sign(b',' | b'-' | b'\'' | b'"' | b'(' | b')' | b':' | b'.' | 0x80..) => {}
            Class::Word if is_empty_word(cx, token) || cx.is_in_cue(at) => {}
            _ => return false,
        }
    }
    true
}

/// A word that says nothing of what a number counts.
fn is_empty_word(cx: &ScanContext<'_>, token: Token) -> bool {
    const MORE: &[&str] = &[
        "right", "alright", "correct", "exactly", "great", "sorry", "wait", "again", "hold", "repeat",
        "maybe", "nope", "think", "believe", "guess", "cheers", "goes", "reads", "starts", "down", "note",
        "jot", "take", "copy", "ready", "got",
    ];
    token.has(Flags::LINK | Flags::STOP | Flags::FILLER | Flags::GREETING | Flags::DASH | Flags::PLUS)
        || token.is_letter()
        || token.meaning.sense != Sense::None && !token.has(Flags::UNIT | Flags::MONEY)
        || MORE.iter().any(|word| cx.tokens.str(token).eq_ignore_ascii_case(word))
}
