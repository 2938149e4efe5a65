//! Words that people say in the middle of a value that they read aloud: "four four one two, let me see, is it yes, nine oh".
//!
//! In: a cx, and a value that is announced and not whole yet. Out: where it goes on. No list says what may lie between: a value that was
//! announced goes on with the next number behind it, as long as it is too short, nothing else is announced, and the number is no price,
//! quantity, time or year. It must not know who asks. Each look is bounded.

use super::calendar;
use super::checks;
use super::cue::Hint;
use super::ids;
use super::kind::Entity;
use super::lexicon::{Flags, Sense};
use super::number::{Form, Gap, Grammar, Group, Run, run_at};
use super::quantity;
use super::scan_context::ScanContext;
use super::token::{Class, seed};

/// The most words between two parts of a value.
const WORDS: usize = 12;
/// The most of them where it may be whole.
const FEW: usize = 5;

/// Figures of so many digits in one piece are whole.
const ONE_PIECE: usize = 8;

/// The lengths of the values of a kind.
struct Span {
    /// Shorter ones are not whole.
    whole: usize,
    /// Longer ones there are none.
    longest: usize,
    /// Less than this is none, so that nothing is read on to.
    least: usize,
    /// So many digits stand before what people say.
    begun: usize,
    /// A later part has so many digits.
    part: usize,
}

/// Reads on behind `run`, whose last token is before `after`, where a phrase announced it and it is not whole; the index after it.
pub fn read_on(cx: &ScanContext<'_>, run: &mut Run, more: &mut Run, after: usize) -> usize {
    let Some(first) = run.groups.first() else { return after };
    // Most numbers have no other behind them.
    if cx.tokens.seed(after, seed::NUMBER).is_none_or(|next| next - after > 4 * WORDS) {
        return after;
    }
    let Some(hint) = cx
        .context_for(first.first, Hint::is_for_digits)
        .filter(|context| context.near)
        .map(|context| context.hint)
    else {
        return after;
    };
    let span = span(hint);
    let (groups, digits, mut end) = (run.groups.len(), run.digits.len(), after);
    if digits < span.begun
        || run.groups.iter().any(|group| group.form == Form::Written && group.len() >= ONE_PIECE)
    {
        return after;
    }
    while let Some(next) = next_part(cx, hint, &span, run, end, more) {
        run.append(more);
        end = next;
    }
    if run.digits.len() < span.least {
        run.groups.truncate(groups);
        run.digits.truncate(digits);
        return after;
    }
    end
}

/// Returns true if a phrase before the token `first` announces a value that is not whole with these digits, and may be with so many more.
pub fn is_short(cx: &ScanContext<'_>, first: usize, digits: &[u8], more: usize) -> bool {
    let context = cx.context_for(first, Hint::is_for_digits).filter(|context| context.near);
    context.is_some_and(|context| {
        let span = span(context.hint);
        let rest = context.hint == Hint::Of(Entity::BankAccount) && (2..=4).contains(&more);
        (rest || !is_whole(context.hint, &span, digits, false)) && digits.len() + more <= span.longest
    })
}

/// Returns the lengths of the values that a phrase promises.
fn span(hint: Hint) -> Span {
    let exactly =
        |length| Span { whole: length, longest: length, least: length - length / 4, begun: 2, part: 1 };
    match hint {
        Hint::Of(Entity::Card) => Span { whole: 16, longest: 19, least: 8, begun: 1, part: 1 },
        Hint::Of(Entity::BankAccount) => Span { whole: 8, longest: 18, least: 5, begun: 2, part: 2 },
        Hint::Of(Entity::Phone) => Span { whole: 10, longest: 14, least: 7, begun: 3, part: 2 },
        Hint::Of(Entity::Pin | Entity::CardExpiry) => {
            Span { whole: 4, longest: 4, least: 4, begun: 2, part: 1 }
        }
        Hint::Of(Entity::Cvv) => exactly(3),
        Hint::Of(Entity::DateOfBirth | Entity::Coordinates) => {
            Span { whole: 0, longest: 0, least: 0, begun: 0, part: 0 }
        }
        Hint::Of(kind) => {
            let rows = ids::DIGITS.iter().flat_map(|table| table.iter()).filter(|row| row.kind == kind);
            rows.flat_map(|row| row.lengths)
                .max()
                .map_or(Span { whole: 6, longest: 12, least: 5, begun: 2, part: 2 }, |length| {
                    exactly(*length)
                })
        }
        Hint::Any => Span { whole: 7, longest: 16, least: 7, begun: 3, part: 2 },
    }
}

/// Returns true if digits are a whole value; a card's first digits say how many it has.
fn is_whole(hint: Hint, span: &Span, digits: &[u8], written: bool) -> bool {
    match (hint, digits) {
        (Hint::Of(Entity::Card), _) if written && digits.len() >= 12 && checks::luhn(digits) => true,
        (Hint::Of(Entity::Card), [3, 4 | 7, ..]) => digits.len() >= 15,
        (Hint::Of(Entity::Card), [3, 0 | 6 | 8, ..]) => {
            digits.len() >= 14 && checks::luhn(digits) || digits.len() >= 16
        }
        (Hint::Of(Entity::Phone), [0 | 1, ..]) => digits.len() > span.whole,
        _ => digits.len() >= span.whole,
    }
}

/// Reads the next part of a value into `more`; the index after it.
fn next_part(
    cx: &ScanContext<'_>,
    hint: Hint,
    span: &Span,
    run: &Run,
    after: usize,
    more: &mut Run,
) -> Option<usize> {
    let digits = said(cx, run);
    let written = run.groups.iter().all(|group| group.form == Form::Written && group.len() > 1);
    let whole = is_whole(hint, span, run.digits.get(..digits).unwrap_or(&run.digits), written);
    let longer = hint == Hint::Of(Entity::BankAccount) || hint == Hint::Any && digits < 10;
    if digits >= span.longest || whole && !longer {
        return None;
    }
    let mut from = after;
    for _ in 0..3 {
        let start = next_number(cx, from, after, if whole { FEW } else { WORDS })?;
        let mut end = run_at(&cx.tokens, start, Grammar { lenient: cx.lenient }, more)?;
        if more.groups.len() > 1
            && let Some(last) = more.groups.last().copied()
            && is_said(cx, last.last + 1, &PAUSES)
        {
            end = last.first;
            more.groups.pop();
            more.digits.truncate(last.from);
        }
        if is_talk(cx, more, start, end) {
            from = end;
            continue;
        }
        let free = more.free(|at| cx.is_taken(at)) == more.groups.len();
        let part = said(cx, more);
        let fits = part >= span.part.min(span.longest - digits) && digits + part <= span.longest;
        let other = cx.context(start).is_some_and(|context| {
            context.near && !matches!(context.hint, Hint::Any) && context.hint != hint
        });
        // "Account ..., sort code ...": two numbers of one kind.
        let other = other || (after..start).any(|at| cx.cue_at(at) == Some(Hint::Of(Entity::BankAccount)));
        let counts = is_counted(cx, more, start);
        return (free && fits && !other && !counts).then_some(end);
    }
    None
}

/// Returns the place where a code continues with its next letter or number behind such words, from `at` on: nothing where no phrase before its first
/// token announced it, or where it has as many symbols as its kind.
pub fn next_symbol(cx: &ScanContext<'_>, first: usize, at: usize, symbols: usize) -> Option<usize> {
    if symbols == 0 || !cx.tokens.any(seed::CUE) {
        return None;
    }
    let context = cx.context_for(first, Hint::is_for_digits).filter(|context| context.near)?;
    let Hint::Of(kind) = context.hint else { return None };
    if symbols >= symbols_of(kind) {
        return None;
    }
    let mut words = 0;
    for next in at..at + 4 * WORDS {
        let token = cx.free(next);
        if token.class == Class::Edge || cx.tokens.breaks(next) || words > WORDS {
            return None;
        }
        let number = cx.tokens.has_seed(next, seed::NUMBER) && !is_pause(cx, next);
        if number || token.is_explained() || token.meaning.letter > 0 || is_letter(cx, next) {
            let other = cx.context(next).filter(|other| other.near && other.hint != Hint::Any);
            return other.is_none_or(|other| other.hint == context.hint).then_some(next);
        }
        words += usize::from(token.class == Class::Word && !token.has(Flags::FILLER));
    }
    None
}

/// "One moment", "the last four are".
fn is_pause(cx: &ScanContext<'_>, at: usize) -> bool {
    let single = matches!(cx.tokens.at(at).meaning.sense, Sense::Digit(_));
    single
        && (is_said(cx, at + 1, &PAUSES) || is_said(cx, at + 1, &["are", "is", "digits", "letters", "more"]))
}

/// A letter alone that is no word.
fn is_letter(cx: &ScanContext<'_>, at: usize) -> bool {
    let token = cx.tokens.at(at);
    let owner =
        cx.tokens.glued(at) && (cx.tokens.before(at).is(b'\'') || cx.tokens.before(at).is_apostrophe());
    let word = matches!(cx.tokens.str(token), "a" | "A" | "i" | "I");
    let next = cx.free(at + 1);
    token.is_letter() && !owner && (!word || next.is_letter() || cx.tokens.has_seed(at + 1, seed::NUMBER))
}

/// Returns the number of symbols of the codes of a kind; of those of many lengths, the fewest.
fn symbols_of(kind: Entity) -> usize {
    match kind {
        Entity::Iban => 34,
        Entity::Passport | Entity::DrivingLicence | Entity::Bic => 8,
        Entity::VehiclePlate | Entity::MedicalRecord | Entity::Number => 6,
        Entity::Postcode => 5,
        Entity::Mac => 12,
        kind => {
            let rows = ids::CODES.iter().flat_map(|table| table.iter());
            rows.filter(|row| row.kind == kind).map(|row| row.form.len()).min().unwrap_or(0)
        }
    }
}

/// Returns the number of digits of a run, where "nine hundred thirteen" has three, and the one of "one moment" is none.
fn said(cx: &ScanContext<'_>, run: &Run) -> usize {
    let below = run.groups.windows(2).map(|pair| match pair {
        [scale, rest] if scale.form == Form::Scale && rest.form == Form::Spoken => {
            rest.len().min(scale.len())
        }
        _ => 0,
    });
    let pauses = run.groups.iter().filter(|group| group.len() < 3 && is_said(cx, group.last + 1, &PAUSES));
    run.digits.len().saturating_sub(below.sum::<usize>() + pauses.count())
}

/// Words that make a pause with "one": "one moment".
const PAUSES: [&str; 5] = ["moment", "sec", "second", "minute", "mo"];

fn is_said(cx: &ScanContext<'_>, at: usize, words: &[&str]) -> bool {
    if cx.free(at).class != Class::Word {
        return false;
    }
    let word = cx.tokens.str(cx.free(at));
    words.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// The next number behind `from`, with at most so many words since `after`.
fn next_number(cx: &ScanContext<'_>, from: usize, after: usize, words: usize) -> Option<usize> {
    let mut said = 0;
    for at in after..after + 4 * WORDS {
        if cx.is_taken(at) {
            return None;
        }
        let token = cx.tokens.at(at);
        let break_ = token.new_line && at > 0 && cx.tokens.breaks(at);
        if token.class == Class::Edge || break_ {
            return None;
        }
        if at >= from && cx.tokens.has_seed(at, seed::NUMBER) {
            return Some(at);
        }
        said += usize::from(token.class == Class::Word && !token.has(Flags::FILLER));
        if said > words {
            return None;
        }
    }
    None
}

/// "One moment", "the last four are", "a new one": a number word in what people say.
fn is_talk(cx: &ScanContext<'_>, more: &Run, start: usize, end: usize) -> bool {
    const AFTER: [&str; 12] =
        ["more", "are", "is", "digits", "numbers", "time", "of", "thing", "then", "at", "by", "last"];
    const BEFORE: [&str; 7] = ["last", "next", "first", "other", "final", "that", "those"];
    let Some(first) = more.groups.first() else { return false };
    let spoken = first.form == Form::Spoken && first.len() == 1;
    let before = |words: &[&str]| start.checked_sub(1).is_some_and(|before| is_said(cx, before, words));
    let one = spoken
        && more.digits.first() == Some(&1)
        && cx.free_before(start).class == Class::Word
        && !cx.free_before(start).has(Flags::FILLER)
        && more.groups.get(1).is_none_or(|next| next.form == Form::Homophone)
        && cx.free(first.last + 1).class == Class::Word;
    let [_] = more.groups.as_slice() else { return one };
    spoken
        && (one
            || is_said(cx, end, &PAUSES)
            || is_said(cx, end, &AFTER)
            || before(&BEFORE) && cx.free(end).class == Class::Word)
}

/// Returns true if a number is a price, a quantity, a time, a date or a year, or one of many.
fn is_counted(cx: &ScanContext<'_>, more: &Run, start: usize) -> bool {
    let all = 0..more.groups.len();
    let ordinal = more.groups.last().is_some_and(|last| {
        matches!(cx.free(last.last + 1).meaning.sense, Sense::Month(_) | Sense::Ordinal(_) | Sense::Scale)
    });
    let month = matches!(cx.free_before(start).meaning.sense, Sense::Month(_));
    quantity::trim(cx, more, all.clone(), false) != all
        || ordinal
        || month
        || calendar::date_len(more, 0) > 0
        || more.groups.iter().any(|group| group.gap.is(b':'))
        || quantity::is_year_alone(more) && cx.free_before(start).has(Flags::STOP)
}

impl Run {
    /// Puts another run behind this one.
    fn append(&mut self, more: &Run) {
        let digits = self.digits.len();
        for (place, group) in more.groups.iter().enumerate() {
            let gap =
                if place == 0 { Gap { spaced: true, mixed: true, ..Gap::default() } } else { group.gap };
            self.groups.push(Group { from: group.from + digits, to: group.to + digits, gap, ..*group });
        }
        self.digits.extend(&more.digits);
    }
}
