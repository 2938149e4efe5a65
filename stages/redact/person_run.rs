//! The extent of a name: "Ludwig van Beethoven", "Mary-Ann O. Smith".
//!
//! In: a cx and the place where a name begins. Out: its last token. It must not know why a name begins there.

use super::lexicon::{Flags, Sense};
use super::scan_context::ScanContext;
use super::token::{Class, Token};

/// The most words of a name.
const LONGEST: usize = 5;

/// The evidence that a name begins at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CueStrength {
    /// A title, or "my name is": the first word counts whatever it is.
    Strong,
    /// Words that people say before names, and before other things.
    Weak,
    /// Nothing but the words themselves.
    None,
}

/// The last token of the name that begins at `index`.
pub fn run_end(cx: &ScanContext<'_>, index: usize, strength: CueStrength) -> Option<usize> {
    let sure = strength == CueStrength::Strong;
    let first = cx.tokens.at(index);
    let capital = cx.tokens.is_capital(first);
    let about = cx.known(index);
    if sure && !capital {
        let particle = cx.free(index + 1).has(Flags::PARTICLE) && !cx.free(index + 1).has(Flags::STOP);
        let named = || particle || ends_clause(cx, index + 1) || may_follow(cx, index + 1);
        let plain = about.is_common() && !(about.is_first() && named());
        let verb = first.has(Flags::STOP) && !is_given(cx, index);
        if plain || verb || first.has(Flags::LINK) || is_number_word(first) {
            return None;
        }
    }
    if sure
        && capital
        && (about.is_common() && !about.is_first() && !about.is_last() && is_function_word(first))
    {
        return None;
    }
    let mut last = index;
    let mut words = 1;
    let mut at = index + 1;
    while words < LONGEST
        && let Some(next) = next_word(cx, at, capital, strength)
    {
        last = next;
        at = next + 1;
        words += 1;
    }
    Some(last)
}

/// "Will baker": a given name that is a verb too, before a family name.
pub fn is_given(cx: &ScanContext<'_>, index: usize) -> bool {
    cx.known(index).is_first() && may_follow(cx, index + 1)
}

/// Returns true if a word in small letters may be a family name behind a given one, though it may be a plain word too: "smith", "hill". What
/// follows it must be no word that it could belong to.
pub fn may_follow(cx: &ScanContext<'_>, index: usize) -> bool {
    const NEVER: Flags = Flags::STOP
        .or(Flags::LINK)
        .or(Flags::ACT)
        .or(Flags::UNIT)
        .or(Flags::GREETING)
        .or(Flags::WEEKDAY)
        .or(Flags::FILLER);
    const FOLLOW: Flags = Flags::STOP.or(Flags::LINK).or(Flags::ACT).or(Flags::FILLER).or(Flags::AND);
    let token = cx.free(index);
    let about = cx.known_free(index);
    let next = cx.free(index + 1);
    token.class == Class::Word
        && !token.capital
        && token.len() > 2
        && (about.is_last() || about.is_first() && !about.is_common())
        && token.meaning.cue == 0
        && !token.has(NEVER)
        && !is_number_word(token)
        && (!about.is_common() || next.class != Class::Word || next.has(FOLLOW))
}

/// Returns true if nothing of the same clause follows.
pub fn ends_clause(cx: &ScanContext<'_>, index: usize) -> bool {
    let token = cx.free(index);
    !matches!(token.class, Class::Word | Class::Digits) || token.has(Flags::AND)
}

/// The next word of a name from `at` on, past an initial's dot, a particle or a hyphen; its last token.
fn next_word(cx: &ScanContext<'_>, at: usize, capital: bool, strength: CueStrength) -> Option<usize> {
    let sure = strength == CueStrength::Strong;
    let token = cx.free(at);
    if token.is(b'.') && cx.tokens.glued(at) && cx.free_before(at).len() <= 2 {
        return next_word(cx, at + 1, capital, strength).filter(|_| cx.free(at + 1).class == Class::Word);
    }
    if (token.is(b'-') || token.is(b'\'') || token.is_apostrophe()) && cx.tokens.is_inner(at) {
        let next = cx.free(at + 1);
        return (next.class == Class::Word
            && (cx.tokens.is_capital(next) == capital || capital && next.len() > 2)
            && next.len() > 1)
            .then_some(at + 1);
    }
    if token.class != Class::Word
        || token.new_line && !is_wrapped(cx, at, strength)
        || cx.tokens.glued(at) && !cx.free_before(at).is(b'.')
    {
        return None;
    }
    let word = cx.tokens.str(token);
    if token.has(Flags::PARTICLE) && (capital || !token.has(Flags::STOP)) {
        let next = cx.free(at + 1);
        let named = if capital { cx.tokens.is_capital(next) } else { cx.known_free(at + 1).is_last() };
        let again = next.has(Flags::PARTICLE) && cx.tokens.is_capital(cx.free(at + 2));
        if next.class == Class::Word && !next.new_line && (named || again) {
            return Some(if again { at + 2 } else { at + 1 });
        }
    }
    let about = cx.known(at);
    let apostrophe = cx.free(at + 1).is(b'\'') || cx.free(at + 1).is_apostrophe();
    if capital
        && token.is_letter()
        && apostrophe
        && cx.tokens.is_inner(at + 1)
        && cx.tokens.is_capital(cx.free(at + 2))
    {
        return Some(at + 2);
    }
    if capital {
        let initial = token.is_letter() && cx.tokens.is_capital(token) && word != "I";
        let initial = initial && (cx.free(at + 1).is(b'.') || cx.tokens.is_capital(cx.free(at + 1)));
        let dot = initial && cx.free(at + 1).is(b'.');
        if initial {
            return Some(if dot { at + 1 } else { at });
        }
        let plain = about.is_common() && !about.is_last() && !about.is_first();
        let fits = cx.tokens.is_capital(token)
            && token.len() > 1
            && !plain
            && !token.has(Flags::WEEKDAY | Flags::FIRM)
            && !is_function_word(token)
            && (sure || !is_month(token));
        return fits.then_some(at);
    }
    let name = (about.is_last() || about.is_first()) && !about.is_common();
    let plain = !token.has(Flags::STOP | Flags::LINK | Flags::ACT | Flags::UNIT)
        && !is_number_word(token)
        && token.len() > 1;
    let fits = name
        || strength != CueStrength::None
            && (about.is_unknown() && token.meaning.flags == Flags::NONE || may_follow(cx, at));
    let apostrophe = apostrophe && cx.tokens.is_inner(at + 1) && token.is_letter();
    if strength != CueStrength::None && apostrophe && cx.free(at + 2).len() > 2 {
        return Some(at + 2);
    }
    (plain && fits).then_some(at)
}

/// Returns true if a name goes on behind a line end at which a text was wrapped: in a word that is a name, or unknown behind a cue.
fn is_wrapped(cx: &ScanContext<'_>, at: usize, strength: CueStrength) -> bool {
    let about = cx.known_free(at);
    let name = (about.is_first() || about.is_last()) && !about.is_common() && !about.is_place();
    !cx.tokens.breaks(at) && strength != CueStrength::None && (name || about.is_unknown())
}

/// A month in English: "April", "May". What other languages call their months is a name too: "Julio".
pub fn is_month(token: Token) -> bool {
    matches!(token.meaning.sense, Sense::Month(..=12))
}

/// A word that says a number or a month, and is no name in another language.
pub fn is_number_word(token: Token) -> bool {
    !matches!(token.meaning.sense, Sense::None | Sense::Month(13..))
}

/// Words that are never a name, however they are written.
pub fn is_function_word(token: Token) -> bool {
    token.has(Flags::LINK)
        || token.has(Flags::FILLER)
        || token.has(Flags::STOP) && token.len() <= 4 && token.meaning.sense == Sense::None
}
