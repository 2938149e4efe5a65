//! The finder of everything that is made of digits.
//!
//! In: a cx. Out: findings. Reads each run once, cuts off what is a date, an address, a time or a quantity, and judges what is
//! left. In transcripts no checksum decides: six digits that are no quantity are a finding, three after a context phrase.

use std::ops::Range;

use super::calendar;
use super::candidate::{self, Candidate, Guess};
use super::checks;
use super::code;
use super::cue::Hint;
use super::hesitation;
use super::kind::Entity;
use super::lexicon::Flags;
use super::machine;
use super::network;
use super::number::{Form, Grammar, Group, Run, run_at};
use super::quantity;
use super::release;
use super::scan_context::{Context, ScanContext};
use super::token::{Class, Token, seed};
use super::unannounced;

/// So many digits are personal in a transcript, whatever they look like.
const TRANSCRIPT: usize = 6;
/// From this score on a number that is taken anyway keeps the kind that it looks like.
const LIKELY: f32 = 0.45;
/// So many spoken digits are personal in any text.
const SPOKEN: usize = 9;
/// So many are after a context phrase.
const IN_CONTEXT: usize = 3;
/// So many are where a phrase that names a kind stands further away.
const FAR_CONTEXT: usize = 5;
/// Fewer digits behind a plus are no telephone number.
const PHONE: usize = 7;
/// The most digits of one personal number; more are several.
const LONGEST: usize = 19;

/// Finds the numbers.
pub fn find(cx: &mut ScanContext<'_>) {
    let grammar = Grammar { lenient: cx.lenient };
    let mut run = cx.buffers.run.take();
    let mut more = cx.buffers.more.take();
    let mut index = 0;
    while let Some(at) = cx.tokens.seed(index, seed::NUMBER) {
        index = at;
        if cx.is_taken(index) {
            index += 1;
            continue;
        }
        if let Some(end) = hex_end(cx, index) {
            index = end;
            continue;
        }
        match run_at(&cx.tokens, index, grammar, &mut run) {
            Some(after) => {
                let mut end = run.free(|at| cx.is_taken(at));
                let mut after = after;
                if end == run.groups.len() && cx.tokens.any(seed::CUE) {
                    after = hesitation::read_on(cx, &mut run, &mut more, after);
                    end = run.groups.len();
                }
                judge(cx, &run, end);
                index = run.groups.get(end).map_or(after, |group| group.first).max(index + 1);
            }
            None => index += 1,
        }
    }
    cx.buffers.run.set(run);
    cx.buffers.more.set(more);
}

/// The end of "0x80077750".
fn hex_end(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let tokens = &cx.tokens;
    let zero = tokens.str(tokens.at(index)) == "0";
    let x = tokens.glued(index + 1) && tokens.str(tokens.at(index + 1)).starts_with(['x', 'X']);
    if !zero || !x {
        return None;
    }
    let mut end = index + 2;
    while end < tokens.len()
        && tokens.glued(end)
        && matches!(tokens.at(end).class, Class::Digits | Class::Word)
    {
        end += 1;
    }
    Some(end)
}

/// Walks the first `end` groups of a run: dates and addresses are findings, times are left alone, the rest is judged.
fn judge(cx: &mut ScanContext<'_>, run: &Run, end: usize) {
    let mut start = 0;
    let mut at = if may_be_special(run) { 0 } else { end };
    while at < end {
        let (length, kind) = special(cx, run, at);
        if length == 0 || at + length > end {
            at += 1;
            continue;
        }
        judge_rest(cx, run, start..at);
        if let (Some(kind), Some(first), Some(last)) =
            (kind, run.groups.get(at), run.groups.get(at + length - 1))
        {
            take_special(cx, kind, first.first, last.last);
        } else if let (Some(first), Some(last)) = (run.groups.get(at), run.groups.get(at + length - 1)) {
            cx.pass(first.first, last.last, "a time, or a version");
        }
        at += length;
        start = at;
    }
    judge_rest(cx, run, start..end);
}

fn take_special(cx: &mut ScanContext<'_>, kind: Entity, first: usize, last: usize) {
    let born =
        |cx: &ScanContext<'_>| cx.context_for(first, |hint| hint == Hint::Of(Entity::DateOfBirth)).is_some();
    let (kind, rule) = match kind {
        Entity::Ip => (kind, "ipv4"),
        Entity::Time => (kind, "time"),
        _ if born(cx) => (Entity::DateOfBirth, "date of birth"),
        _ => (kind, "date"),
    };
    cx.take(kind, first, last, 0.9, rule);
}

/// Returns true if a run holds any of the signs that dates, addresses and times have: most have none.
fn may_be_special(run: &Run) -> bool {
    let sign = |group: &Group| matches!(group.gap.sign, Some(b'.' | b'/' | b'-' | b':'));
    run.groups.iter().any(|group| sign(group) || group.gap.dot_word)
}

/// Returns the number of groups at `at` that are a date, an IPv4 address or a time; times have no kind.
fn special(cx: &ScanContext<'_>, run: &Run, at: usize) -> (usize, Option<Entity>) {
    let address = network::ipv4_len(run, at);
    if address > 0
        && !run.groups.get(at).is_some_and(|group| {
            is_versioned(cx, group)
                || cx.tokens.glued(group.first) && cx.free_before(group.first).class == Class::Word
        })
    {
        return (address, Some(Entity::Ip));
    }
    let date = calendar::date_len(run, at);
    if date > 0 && !is_amid_digits(cx, run, at..at + date) {
        let kind = if is_announced_day(cx, run, at) || !release::is_version_or_stamp(cx, run, at, date) {
            Some(Entity::Date)
        } else {
            None
        };
        return (date, kind);
    }
    let time = calendar::time_len(run, at);
    if time > 0 && stands_apart(cx, run, at..at + time) {
        return (time, cx.wants(Entity::Time).then_some(Entity::Time));
    }
    (0, None)
}

/// "4830 01-1-00 10-10": in a transcript what looks like a day among the digits of a number is a part of it.
fn is_amid_digits(cx: &ScanContext<'_>, run: &Run, range: Range<usize>) -> bool {
    let beside = |group: &Group| !group.gap.new_line && !group.gap.and && !group.gap.is_list_comma();
    let groups = |range: Range<usize>| run.groups.get(range).unwrap_or(&[]);
    let before =
        groups(0..range.start + 1).iter().rev().take_while(|group| beside(group)).count().min(range.start);
    let after = groups(range.end..run.groups.len()).iter().take_while(|group| beside(group)).count();
    let around = groups(range.start - before..range.end + after);
    let digits = |groups: &[Group]| groups.iter().map(Group::len).sum::<usize>();
    let clock = around.iter().any(|group| group.gap.sign == Some(b':'));
    cx.lenient && !clock && digits(around) - digits(groups(range)) >= TRANSCRIPT
}

/// Returns true if a birth or an expiry is spoken of before a group.
fn is_announced_day(cx: &ScanContext<'_>, run: &Run, at: usize) -> bool {
    let is_date = |hint| matches!(hint, Hint::Of(Entity::DateOfBirth | Entity::CardExpiry));
    run.groups.get(at).is_some_and(|group| cx.context_for(group.first, is_date).is_some())
}

/// "version 1.2.3.4", "version: 1.2.3.4", "version is 1.2.3.4".
fn is_versioned(cx: &ScanContext<'_>, group: &Group) -> bool {
    let before = cx.free_before(group.first);
    let linked = before.has(Flags::LINK) || matches!(before.class, Class::Sign(_));
    before.has(Flags::MODEL) || linked && cx.free_before(group.first.saturating_sub(1)).has(Flags::MODEL)
}

/// A time inside a number that a recogniser split is no time: it must stand apart, or say that it is one.
fn stands_apart(cx: &ScanContext<'_>, run: &Run, range: Range<usize>) -> bool {
    let apart = |index: usize| {
        run.groups
            .get(index)
            .is_none_or(|group| index == 0 || group.gap.sign == Some(b',') || group.gap.new_line)
    };
    let after = run.groups.get(range.end - 1).map_or(0, |group| group.last + 1);
    !cx.lenient || apart(range.start) && apart(range.end) || cx.free(after).has(Flags::AM_PM)
}

/// Judges groups that hold no date, address or time.
fn judge_rest(cx: &mut ScanContext<'_>, run: &Run, range: Range<usize>) {
    let Some(first) = run.groups.get(range.start).filter(|_| !range.is_empty()) else { return };
    let near = cx.context(first.first).is_some_and(|context| context.near && context.hint.is_for_digits());
    let whole = range.clone();
    let range = quantity::trim(cx, run, range, near);
    pass(cx, run, whole.start..range.start, "a price or a measured quantity");
    pass(cx, run, range.end..whole.end, "a price or a measured quantity");
    let range = if near { range } else { without_leading_year(run, range) };
    let mut rest = range;
    while !rest.is_empty() {
        let part = first_part(cx, run, rest.clone());
        let end = part.end;
        judge_part(cx, run, quantity::drop_homophones(run, part));
        rest = untaken(cx, run, end..rest.end);
    }
}

fn pass(cx: &mut ScanContext<'_>, run: &Run, range: Range<usize>, reason: &'static str) {
    if let (Some(first), Some(last)) =
        (run.groups.get(range.start), range.end.checked_sub(1).and_then(|last| run.groups.get(last)))
        && range.start < range.end
    {
        cx.pass(first.first, last.last, reason);
    }
}

/// Returns the rest of a range when a part took some of the next one along, as letters glued to a number.
fn untaken(cx: &ScanContext<'_>, run: &Run, rest: Range<usize>) -> Range<usize> {
    let groups = run.groups.get(rest.clone()).unwrap_or(&[]);
    let taken = groups.iter().take_while(|group| (group.first..=group.last).any(|at| cx.is_taken(at)));
    rest.start + taken.count()..rest.end
}

/// "In 2019, 300 people": the year is no part of what follows.
fn without_leading_year(run: &Run, range: Range<usize>) -> Range<usize> {
    let year = run.groups.get(range.start).is_some_and(|group| {
        group.form == Form::Written && group.len() == 4 && run.value(group).is_some_and(calendar::is_year)
    });
    let comma = run.groups.get(range.start + 1).is_some_and(|next| next.gap.is_list_comma());
    if year && comma && range.len() > 1 { range.start + 1..range.end } else { range }
}

/// The first number of what may hold more digits than any number: up to where one clearly ends.
fn first_part(cx: &ScanContext<'_>, run: &Run, range: Range<usize>) -> Range<usize> {
    let all = run.groups.get(range.clone()).unwrap_or(&[]);
    if all.iter().map(Group::len).sum::<usize>() <= LONGEST
        && !all.iter().skip(1).any(|group| group.gap.new_line)
    {
        return range;
    }
    let mut digits = 0;
    for index in range.clone() {
        let Some(group) = run.groups.get(index) else { break };
        let whole = run
            .groups
            .get(range.start)
            .and_then(|first| run.digits.get(first.from..group.from))
            .unwrap_or(&[]);
        let rest = run.groups.get(range.end - 1).map_or(0, |last| last.to - group.from);
        let ends = !cx.lenient || digits >= TRANSCRIPT || on_line(run, index..range.end) >= TRANSCRIPT;
        let line = group.gap.new_line
            && ends
            && !is_wrapped(cx, run, range.start..index, on_line(run, index..range.end));
        let card = (13..=LONGEST).contains(&digits) && digits + rest > LONGEST && checks::luhn(whole);
        if index > range.start && (line || card) {
            return range.start..index;
        }
        digits += group.len();
    }
    range
}

/// Returns true if a line end inside of a number is a blank: the number was announced, or begins with a plus, and is not whole without `more`
/// digits of the next line.
fn is_wrapped(cx: &ScanContext<'_>, run: &Run, range: Range<usize>, more: usize) -> bool {
    let groups = run.groups.get(range).unwrap_or(&[]);
    let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return false };
    let digits = run.digits.get(first.from..last.to).unwrap_or(&[]);
    let plus = has_plus(cx, opening(cx, first.first));
    plus && digits.len() < PHONE && digits.len() + more <= LONGEST
        || !cx.tokens.breaks(last.last + 1) && hesitation::is_short(cx, first.first, digits, more)
}

/// Digits up to the next line. What stands on later lines must not count: once it is replaced by a tag, it does not.
fn on_line(run: &Run, range: Range<usize>) -> usize {
    let groups = run.groups.get(range).unwrap_or(&[]);
    let same = |(at, group): &(usize, &Group)| *at == 0 || !group.gap.new_line;
    groups.iter().enumerate().take_while(same).map(|(_, group)| group.len()).sum()
}

fn judge_part(cx: &mut ScanContext<'_>, run: &Run, range: Range<usize>) {
    let Some(groups) = run.groups.get(range.clone()) else { return };
    let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return };
    let context = cx.context_for(first.first, Hint::is_for_digits);
    let asked = context.is_none_or(|context| !context.near);
    let after = if asked { cx.context_after(last.last + 1) } else { None };
    let context = after.filter(|after| after.hint.is_for_digits()).or(context);
    let all = run.digits.get(first.from..last.to).unwrap_or(&[]);
    let context = unannounced::without_things(cx, context, first.first, all);
    let near = context.is_some_and(|context| context.near);
    let digits = all.len();
    if !near && matches!(digits, 3..=4) && is_code_of_card(cx, first.first) {
        return cx.take(Entity::Cvv, first.first, last.last, 0.6, "code beside a card");
    }
    if !near && quantity::is_impersonal(cx, run, range.clone()) {
        return pass(cx, run, range, "a count, a score, a version, a year or a decimal");
    }
    let machines = !near && machine::is_machines(cx, first.first, last.last);
    let context = context.filter(|context| context.near || !machines);
    if context.is_none() && unannounced::is_nobodys(cx, run, groups) {
        return pass(cx, run, range, "a reading, a difference, a version, a machine's time or code");
    }
    let start = opening(cx, first.first);
    let sure = sure_digits(groups);
    let candidate = Candidate {
        digits: all,
        groups,
        doubtful: machines || unannounced::is_ragged(groups),
        plus: has_plus(cx, start),
        parenthesis: cx.free_before(first.first).is(b'('),
        context,
        phone_after: has_phone_after(cx, last.last + 1),
    };
    let best = candidate::best(&candidate, |kind| cx.wants(kind));
    if is_plain_year(run, &candidate) {
        return pass(cx, run, range, "a year");
    }
    if candidate.is_said_to_be(Entity::Phone) && is_hour(cx, run, groups) {
        return pass(cx, run, range, "a time of day");
    }
    let said = cx.lenient && !machines && (context.is_some() || unannounced::is_said(cx, groups));
    let Some(guess) = verdict(said, &candidate, sure, best) else {
        return pass(cx, run, range, "too few digits, and nothing before it says whose they are");
    };
    let Guess { kind, rule, score } = placed(cx, &candidate, guess, last.last + 1);
    let minus = kind == Entity::Coordinates && cx.free_before(start).has(Flags::DASH);
    let start = start - usize::from(minus);
    let start = if near { letters_before(cx, start, kind) } else { start };
    let end = if near { letters_after(cx, last.last) } else { last.last };
    cx.take(kind, start, end, score, rule);
}

/// "4539 ..., code 415", "and the three on the back, 415": three or four digits behind such words, where a card was found before.
fn is_code_of_card(cx: &ScanContext<'_>, first: usize) -> bool {
    const PLACES: [&str; 6] = ["back", "front", "reverse", "strip", "rear", "behind"];
    let mut at = first;
    for _ in 0..4 {
        let token = cx.free_before(at);
        let link = token.has(Flags::LINK | Flags::FILLER)
            || matches!(token.class, Class::Sign(b':' | b'\'' | b',' | b'.' | b'-' | b'='))
            || token.is_apostrophe();
        if !link || at == 0 {
            break;
        }
        at -= 1;
    }
    let word = cx.tokens.str(cx.free_before(at));
    let side = PLACES.iter().any(|place| word.eq_ignore_ascii_case(place))
        && (at.saturating_sub(5)..at).any(|before| {
            let word = cx.tokens.str(cx.free(before));
            ["on", "the"].iter().any(|known| word.eq_ignore_ascii_case(known))
        });
    (side || word.eq_ignore_ascii_case("code"))
        && [Entity::Card, Entity::CardExpiry].iter().any(|kind| cx.is_kind_before(first, *kind))
}

/// "It expires in 2027": no month, so no card's.
fn is_plain_year(run: &Run, candidate: &Candidate<'_>) -> bool {
    let [group] = candidate.groups else { return false };
    candidate.is_said_to_be(Entity::CardExpiry)
        && group.form == Form::Written
        && group.len() == 4
        && run.value(group).is_some_and(calendar::is_year)
}

/// "Ring me at four thirty": an hour and its minutes.
fn is_hour(cx: &ScanContext<'_>, run: &Run, groups: &[Group]) -> bool {
    let [hour, minutes] = groups else { return false };
    let before = cx.tokens.str(cx.free_before(hour.first));
    let is_time =
        ["at", "by", "before", "after", "until", "till"].iter().any(|word| before.eq_ignore_ascii_case(word));
    let hours = hour.len() <= 2 && run.value(hour).is_some_and(|value| (1..=12).contains(&value));
    is_time && hours && minutes.len() == 2 && run.value(minutes).is_some_and(|value| value < 60)
}

/// "The pin code is 560034, Bangalore" is a postcode; decimals after "latitude" are a place.
fn placed(cx: &ScanContext<'_>, candidate: &Candidate<'_>, guess: Guess, after: usize) -> Guess {
    let town = after + usize::from(cx.free(after).is(b',') || cx.free(after).is(b'-'));
    let about = cx.known_free(town);
    if guess.kind == Entity::Pin && candidate.digits.len() == 6 && about.is_place() && !about.is_common() {
        return Guess { kind: Entity::Postcode, rule: "postcode", ..guess };
    }
    let decimal = candidate.groups.iter().any(|group| group.gap.dot_word || group.gap.is(b'.'));
    if guess.kind == Entity::Number && decimal && candidate.is_said_to_be(Entity::Coordinates) {
        return Guess { kind: Entity::Coordinates, rule: "coordinates", ..guess };
    }
    guess
}

/// Returns the number of digits that were said. Words that only sound like digits count where digits are said one by one.
fn sure_digits(groups: &[Group]) -> usize {
    let sounds = |group: &&Group| group.form == Form::Homophone;
    let one_by_one = groups.iter().all(|group| group.len() == 1);
    if one_by_one { groups.len() } else { groups.iter().filter(|group| !sounds(group)).map(Group::len).sum() }
}

/// Returns true if a candidate is a finding, and of which kind.
fn verdict(lenient: bool, candidate: &Candidate<'_>, sure: usize, best: Guess) -> Option<Guess> {
    let number = |rule, score| Some(Guess { kind: Entity::Number, rule, score });
    if candidate.is_said_to_be(Entity::DateOfBirth) && (IN_CONTEXT..=8).contains(&sure) {
        return Some(Guess { kind: Entity::DateOfBirth, rule: "date of birth", score: 0.7 });
    }
    if best.score >= 0.5 {
        return Some(best);
    }
    let near = candidate.context.is_some_and(|context| context.near);
    if near && sure >= IN_CONTEXT {
        return number("number in context", 0.6);
    }
    if lenient && sure >= TRANSCRIPT {
        return if best.score >= LIKELY { Some(best) } else { number("six digits", 0.4) };
    }
    let named = matches!(candidate.context, Some(Context { hint: Hint::Of(_), .. }));
    if lenient && named && sure >= FAR_CONTEXT {
        return number("number after a phrase", 0.4);
    }
    if candidate.is_spoken() && sure >= SPOKEN { number("spoken digits", 0.5) } else { None }
}

/// The token where the number opens: its plus sign or parenthesis.
fn opening(cx: &ScanContext<'_>, first: usize) -> usize {
    let mut start = first;
    for _ in 0..3 {
        let token = cx.free_before(start);
        let plus = token.is(b'+') || token.has(Flags::PLUS);
        let comma = token.is(b',') && cx.free_before(start.saturating_sub(1)).has(Flags::PLUS);
        let opens = token.is(b'(') && cx.tokens.glued(start);
        if !plus && !comma && !opens {
            break;
        }
        start -= 1;
    }
    start
}

fn has_plus(cx: &ScanContext<'_>, start: usize) -> bool {
    let token = cx.tokens.at(start);
    token.is(b'+') || token.has(Flags::PLUS) || cx.tokens.at(start + 1).is(b'+')
}

fn has_phone_after(cx: &ScanContext<'_>, index: usize) -> bool {
    let token = cx.free(index);
    let token = if token.is(b'-') || token.is(b'(') { cx.free(index + 1) } else { token };
    token.has(Flags::PHONE_AFTER) && !token.new_line
}

/// Letters said or written right before a number that has letters: a licence, a passport.
///
/// Words that spell letters ("delta echo") are names elsewhere, so they count only for what has letters.
fn letters_before(cx: &ScanContext<'_>, first: usize, kind: Entity) -> usize {
    let spells = |word: Token| {
        kind != Entity::Phone && (word.meaning.letter > 0 || word.is_explained())
            || code::has_letters(kind) && word.has(Flags::CODE_WORD)
    };
    let mut start = first;
    // "Passport orange, then five": signs and words that only link.
    let links = |token: Token| token.is(b',') || token.is(b'-') || token.has(Flags::FILLER | Flags::AND);
    let gap = (1..=4).take_while(|back| first >= *back && links(cx.free_before(first + 1 - back))).count();
    if gap > 0 && spells(cx.free_before(first - gap)) {
        start = first - gap - 1;
    }
    for _ in 0..4.min(start) {
        let token = cx.free_before(start);
        let owner = cx.tokens.glued(start - 1)
            && (cx.tokens.before(start - 1).is(b'\'') || cx.tokens.before(start - 1).is_apostrophe());
        let glued = cx.tokens.glued(start) && token.class == Class::Word && token.len() <= 4;
        let pronoun = matches!(cx.tokens.str(token), "a" | "I" | "i" | "s" | "x");
        if owner || !glued && !spells(token) && (!token.is_letter() || pronoun || token.has(Flags::LINK)) {
            break;
        }
        start -= 1;
    }
    start
}

fn letters_after(cx: &ScanContext<'_>, last: usize) -> usize {
    let mut end = last;
    while end - last < 8
        && cx.tokens.glued(end + 1)
        && matches!(cx.free(end + 1).class, Class::Word | Class::Digits)
    {
        end += 1;
    }
    end
}
