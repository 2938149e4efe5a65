//! The finder of everything that is made of digits.
//!
//! In: a scene. Out: findings. Reads each run once, cuts off what is a date, an address, a time or a quantity, and judges what is
//! left. In transcripts no checksum decides: six digits that are no quantity are a finding, three after a context phrase.

use std::ops::Range;

use super::calendar;
use super::candidate::{self, Candidate, Guess};
use super::checks;
use super::cue::Hint;
use super::kind::Entity;
use super::lexicon::Flags;
use super::network;
use super::number::{Form, Grammar, Group, Run, run_at};
use super::quantity;
use super::scene::{Context, Scene};
use super::token::{Class, seed};

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
/// The most digits of one personal number; more are several.
const LONGEST: usize = 19;

/// Finds the numbers.
pub fn find(scene: &mut Scene<'_>) {
    let grammar = Grammar { lenient: scene.lenient };
    let mut run = scene.rooms.run.take();
    let mut index = 0;
    while let Some(at) = scene.tokens.seed(index, seed::NUMBER) {
        index = at;
        if scene.is_taken(index) {
            index += 1;
            continue;
        }
        if let Some(end) = hex_end(scene, index) {
            index = end;
            continue;
        }
        match run_at(&scene.tokens, index, grammar, &mut run) {
            Some(after) => {
                let end = run.free(|at| scene.is_taken(at));
                judge(scene, &run, end);
                index = run.groups.get(end).map_or(after, |group| group.first).max(index + 1);
            }
            None => index += 1,
        }
    }
    scene.rooms.run.set(run);
}

/// The end of "0x80077750".
fn hex_end(scene: &Scene<'_>, index: usize) -> Option<usize> {
    let tokens = &scene.tokens;
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
fn judge(scene: &mut Scene<'_>, run: &Run, end: usize) {
    let mut start = 0;
    let mut at = if may_be_special(run) { 0 } else { end };
    while at < end {
        let (length, kind) = special(scene, run, at);
        if length == 0 || at + length > end {
            at += 1;
            continue;
        }
        judge_rest(scene, run, start..at);
        if let (Some(kind), Some(first), Some(last)) =
            (kind, run.groups.get(at), run.groups.get(at + length - 1))
        {
            take_special(scene, kind, first.first, last.last);
        } else if let (Some(first), Some(last)) = (run.groups.get(at), run.groups.get(at + length - 1)) {
            scene.pass(first.first, last.last, "a time of day");
        }
        at += length;
        start = at;
    }
    judge_rest(scene, run, start..end);
}

fn take_special(scene: &mut Scene<'_>, kind: Entity, first: usize, last: usize) {
    let born =
        |scene: &Scene<'_>| scene.context_for(first, |hint| hint == Hint::Of(Entity::DateOfBirth)).is_some();
    let (kind, rule) = match kind {
        Entity::Ip => (kind, "ipv4"),
        Entity::Time => (kind, "time"),
        _ if born(scene) => (Entity::DateOfBirth, "date of birth"),
        _ => (kind, "date"),
    };
    scene.take(kind, first, last, 0.9, rule);
}

/// Whether a run holds any of the signs that dates, addresses and times have: most have none.
fn may_be_special(run: &Run) -> bool {
    let sign = |group: &Group| matches!(group.gap.sign, Some(b'.' | b'/' | b'-' | b':'));
    run.groups.iter().any(|group| sign(group) || group.gap.dot_word)
}

/// How many groups at `at` are a date, an IPv4 address or a time; times have no kind.
fn special(scene: &Scene<'_>, run: &Run, at: usize) -> (usize, Option<Entity>) {
    let address = network::ipv4_len(run, at);
    if address > 0 && !run.groups.get(at).is_some_and(|group| is_versioned(scene, group)) {
        return (address, Some(Entity::Ip));
    }
    let date = calendar::date_len(run, at);
    if date > 0 {
        return (date, Some(Entity::Date));
    }
    let time = calendar::time_len(run, at);
    if time > 0 && stands_apart(scene, run, at..at + time) {
        return (time, scene.wants(Entity::Time).then_some(Entity::Time));
    }
    (0, None)
}

/// "version 1.2.3.4", "version: 1.2.3.4", "version is 1.2.3.4".
fn is_versioned(scene: &Scene<'_>, group: &Group) -> bool {
    let before = scene.free_before(group.first);
    let linked = before.has(Flags::LINK) || matches!(before.class, Class::Sign(_));
    before.has(Flags::MODEL) || linked && scene.free_before(group.first.saturating_sub(1)).has(Flags::MODEL)
}

/// A time inside a number that a recogniser split is no time: it must stand apart, or say that it is one.
fn stands_apart(scene: &Scene<'_>, run: &Run, range: Range<usize>) -> bool {
    let apart = |index: usize| {
        run.groups
            .get(index)
            .is_none_or(|group| index == 0 || group.gap.sign == Some(b',') || group.gap.new_line)
    };
    let after = run.groups.get(range.end - 1).map_or(0, |group| group.last + 1);
    !scene.lenient || apart(range.start) && apart(range.end) || scene.free(after).has(Flags::AM_PM)
}

/// Judges groups that hold no date, address or time.
fn judge_rest(scene: &mut Scene<'_>, run: &Run, range: Range<usize>) {
    let Some(first) = run.groups.get(range.start).filter(|_| !range.is_empty()) else { return };
    let near = scene.context(first.first).is_some_and(|context| context.near && context.hint.is_for_digits());
    let whole = range.clone();
    let range = quantity::trim(scene, run, range, near);
    pass(scene, run, whole.start..range.start, "a price or a measured quantity");
    pass(scene, run, range.end..whole.end, "a price or a measured quantity");
    let range = if near { range } else { without_leading_year(run, range) };
    let mut rest = range;
    while !rest.is_empty() {
        let part = first_part(run, rest.clone());
        let end = part.end;
        judge_part(scene, run, quantity::drop_homophones(run, part));
        rest = untaken(scene, run, end..rest.end);
    }
}

fn pass(scene: &mut Scene<'_>, run: &Run, range: Range<usize>, reason: &'static str) {
    if let (Some(first), Some(last)) =
        (run.groups.get(range.start), range.end.checked_sub(1).and_then(|last| run.groups.get(last)))
        && range.start < range.end
    {
        scene.pass(first.first, last.last, reason);
    }
}

/// What is left when a part took something of the next along, as letters glued to a number.
fn untaken(scene: &Scene<'_>, run: &Run, rest: Range<usize>) -> Range<usize> {
    let groups = run.groups.get(rest.clone()).unwrap_or(&[]);
    let taken = groups.iter().take_while(|group| (group.first..=group.last).any(|at| scene.is_taken(at)));
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
fn first_part(run: &Run, range: Range<usize>) -> Range<usize> {
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
        let line =
            group.gap.new_line && (digits >= TRANSCRIPT || on_line(run, index..range.end) >= TRANSCRIPT);
        let card = (13..=LONGEST).contains(&digits) && digits + rest > LONGEST && checks::luhn(whole);
        if index > range.start && (line || card) {
            return range.start..index;
        }
        digits += group.len();
    }
    range
}

/// Digits up to the next line. What stands on later lines must not count: once it is replaced by a tag, it does not.
fn on_line(run: &Run, range: Range<usize>) -> usize {
    let groups = run.groups.get(range).unwrap_or(&[]);
    let same = |(at, group): &(usize, &Group)| *at == 0 || !group.gap.new_line;
    groups.iter().enumerate().take_while(same).map(|(_, group)| group.len()).sum()
}

fn judge_part(scene: &mut Scene<'_>, run: &Run, range: Range<usize>) {
    let Some(groups) = run.groups.get(range.clone()) else { return };
    let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return };
    let context = scene.context_for(first.first, Hint::is_for_digits);
    let asked = context.is_none_or(|context| !context.near);
    let after = if asked { scene.context_after(last.last + 1) } else { None };
    let context = after.filter(|after| after.hint.is_for_digits()).or(context);
    let near = context.is_some_and(|context| context.near);
    let digits = last.to - first.from;
    if !near && matches!(digits, 3..=4) && is_code_of_card(scene, first.first) {
        return scene.take(Entity::Cvv, first.first, last.last, 0.6, "code beside a card");
    }
    if !near && quantity::is_impersonal(scene, run, range.clone()) {
        return pass(scene, run, range, "a count, a score, a version, a year or a decimal");
    }
    let start = opening(scene, first.first);
    let sure = sure_digits(groups);
    let candidate = Candidate {
        digits: run.digits.get(first.from..last.to).unwrap_or(&[]),
        groups,
        plus: has_plus(scene, start),
        parenthesis: scene.tokens.at(start).is(b'(') || scene.free_before(first.first).is(b'('),
        context,
        phone_after: has_phone_after(scene, last.last + 1),
    };
    let best = candidate::best(&candidate, |kind| scene.wants(kind));
    if is_plain_year(run, &candidate) {
        return pass(scene, run, range, "a year");
    }
    if candidate.is_said_to_be(Entity::Phone) && is_hour(scene, run, groups) {
        return pass(scene, run, range, "a time of day");
    }
    let Some(guess) = verdict(scene.lenient, &candidate, sure, best) else {
        return pass(scene, run, range, "too few digits, and nothing before it says whose they are");
    };
    let Guess { kind, rule, score } = placed(scene, &candidate, guess, last.last + 1);
    let minus = kind == Entity::Coordinates && scene.free_before(start).has(Flags::DASH);
    let start = start - usize::from(minus);
    let start = if near { letters_before(scene, start, kind != Entity::Phone) } else { start };
    let end = if near { letters_after(scene, last.last) } else { last.last };
    scene.take(kind, start, end, score, rule);
}

/// "4539 ..., code 415": the word before three or four digits, where a card was found a few words before.
fn is_code_of_card(scene: &Scene<'_>, first: usize) -> bool {
    let mut at = first;
    for _ in 0..3 {
        let token = scene.free_before(at);
        let link = token.has(Flags::LINK)
            || matches!(token.class, Class::Sign(b':' | b'\''))
            || token.is_apostrophe();
        if !link || at == 0 {
            break;
        }
        at -= 1;
    }
    scene.tokens.str(scene.free_before(at)).eq_ignore_ascii_case("code")
        && [Entity::Card, Entity::CardExpiry].iter().any(|kind| scene.is_kind_before(first, *kind))
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
fn is_hour(scene: &Scene<'_>, run: &Run, groups: &[Group]) -> bool {
    let [hour, minutes] = groups else { return false };
    let before = scene.tokens.str(scene.free_before(hour.first));
    let told =
        ["at", "by", "before", "after", "until", "till"].iter().any(|word| before.eq_ignore_ascii_case(word));
    let hours = hour.len() <= 2 && run.value(hour).is_some_and(|value| (1..=12).contains(&value));
    told && hours && minutes.len() == 2 && run.value(minutes).is_some_and(|value| value < 60)
}

/// "The pin code is 560034, Bangalore" is a postcode; decimals after "latitude" are a place.
fn placed(scene: &Scene<'_>, candidate: &Candidate<'_>, guess: Guess, after: usize) -> Guess {
    let town = after + usize::from(scene.free(after).is(b',') || scene.free(after).is(b'-'));
    let about = scene.known_free(town);
    if guess.kind == Entity::Pin && candidate.digits.len() == 6 && about.is_place() && !about.is_common() {
        return Guess { kind: Entity::Postcode, rule: "postcode", ..guess };
    }
    let decimal = candidate.groups.iter().any(|group| group.gap.dot_word || group.gap.is(b'.'));
    if guess.kind == Entity::Number && decimal && candidate.is_said_to_be(Entity::Coordinates) {
        return Guess { kind: Entity::Coordinates, rule: "coordinates", ..guess };
    }
    guess
}

/// How many digits were said. Words that only sound like digits count where digits are said one by one.
fn sure_digits(groups: &[Group]) -> usize {
    let sounds = |group: &&Group| group.form == Form::Homophone;
    let one_by_one = groups.iter().all(|group| group.len() == 1);
    if one_by_one { groups.len() } else { groups.iter().filter(|group| !sounds(group)).map(Group::len).sum() }
}

/// Whether a candidate is a finding, and of which kind.
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
fn opening(scene: &Scene<'_>, first: usize) -> usize {
    let mut start = first;
    for _ in 0..3 {
        let token = scene.free_before(start);
        let plus = token.is(b'+') || token.has(Flags::PLUS);
        let comma = token.is(b',') && scene.free_before(start.saturating_sub(1)).has(Flags::PLUS);
        let opens = token.is(b'(') && scene.tokens.glued(start);
        if !plus && !comma && !opens {
            break;
        }
        start -= 1;
    }
    start
}

fn has_plus(scene: &Scene<'_>, start: usize) -> bool {
    let token = scene.tokens.at(start);
    token.is(b'+') || token.has(Flags::PLUS) || scene.tokens.at(start + 1).is(b'+')
}

fn has_phone_after(scene: &Scene<'_>, index: usize) -> bool {
    let token = scene.free(index);
    let token = if token.is(b'-') || token.is(b'(') { scene.free(index + 1) } else { token };
    token.has(Flags::PHONE_AFTER) && !token.new_line
}

/// Letters said or written right before a number that has letters: a licence, a passport.
///
/// Words that spell letters ("delta echo") are names elsewhere, so they count only where `spelled` says so.
fn letters_before(scene: &Scene<'_>, first: usize, spelled: bool) -> usize {
    let mut start = first;
    for _ in 0..4.min(start) {
        let token = scene.free_before(start);
        let owner = scene.tokens.glued(start - 1)
            && (scene.tokens.before(start - 1).is(b'\'') || scene.tokens.before(start - 1).is_apostrophe());
        let glued = scene.tokens.glued(start) && token.class == Class::Word && token.len() <= 4;
        let pronoun = matches!(scene.tokens.str(token), "a" | "I" | "i" | "s" | "x");
        let spells = spelled && token.meaning.letter > 0;
        if owner || !glued && !spells && (!token.is_letter() || pronoun || token.has(Flags::LINK)) {
            break;
        }
        start -= 1;
    }
    start
}

fn letters_after(scene: &Scene<'_>, last: usize) -> usize {
    let mut end = last;
    while end - last < 8
        && scene.tokens.glued(end + 1)
        && matches!(scene.free(end + 1).class, Class::Word | Class::Digits)
    {
        end += 1;
    }
    end
}
