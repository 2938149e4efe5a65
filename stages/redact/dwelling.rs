//! Addresses without a word for a street: told by what is said before them, or by the postcode behind them.
//!
//! In: a cx, and a postcode in it. Out: findings, or where an address begins. "I live at 14 Kirkgate", "Address: The Old Rectory,
//! Aldham", "12 Oakfields, Leeds LS1 4AP", "Keizersgracht 117, 1015 CJ Amsterdam". Each look is bounded.

use super::cue::Hint;
use super::kind::Entity;
use super::lexicon::{Flags, Sense};
use super::person_run::is_month;
use super::postal::{door_end, with_town};
use super::scan_context::ScanContext;
use super::street::house_end;
use super::token::{Class, Token};

/// The most words of a name of a street or a house.
const WORDS: usize = 4;
/// The most tokens of what a label promises.
const LABELLED: usize = 32;
/// The distance before a postcode within which its address may begin, in tokens.
const BEFORE: usize = 14;
/// The score of an address that only context speaks for.
const SCORE: f32 = 0.6;

/// Finds what is said to be an address.
pub fn find(cx: &mut ScanContext<'_>) {
    if !cx.is_spoken_of(Hint::Of(Entity::Address)) {
        return;
    }
    for after in cx.after_cues(Hint::Of(Entity::Address)) {
        let (at, labelled) = value_start(cx, after);
        if cx.is_taken(at) {
            continue;
        }
        let said = said_end(cx, at).map(|last| (at, last));
        let found = if labelled { labelled_end(cx, at).or(said) } else { said };
        if let Some((first, last)) = found {
            cx.take(Entity::Address, first, last, SCORE, "said to be an address");
        }
    }
}

/// The token behind a phrase, a colon and what only links; whether it stands behind a label.
fn value_start(cx: &ScanContext<'_>, after: usize) -> (usize, bool) {
    const LINKS: usize = 4;
    let mut at = after;
    let mut labelled = false;
    while at < after + LINKS {
        let token = cx.free(at);
        let sign = matches!(token.class, Class::Sign(b':' | b',' | b'"' | b'#' | b'.'))
            || token.is(b'-') && token.spaced;
        labelled |= token.is(b':') || token.is(b'-') || token.is(b'.');
        let link = token.class == Class::Word && token.has(Flags::LINK) && !cx.tokens.is_capital(token);
        if !sign && !link {
            break;
        }
        at += 1;
    }
    (at, labelled)
}

/// The last token of a house number and a name: "14 Kirkgate", "9 The Maltings, Ely", "flat 6, 88 Deansgate".
fn said_end(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let door = cx.free(index).has(Flags::DOOR).then(|| door_end(cx, index)).flatten();
    let behind = door.map(|last| last + 1 + usize::from(cx.free(last + 1).is(b',')));
    let mut at = match behind {
        Some(at) => house_end(cx, at).unwrap_or(at),
        None => house_end(cx, index)?,
    };
    let (mut last, mut words, mut named) = (None, 0, door.is_some());
    for _ in 0..WORDS {
        let token = cx.free(at);
        let plain = cx.tokens.is_capital(token) || cx.lenient && is_nobodys_word(cx, at, token);
        if !is_name(token) || token.new_line || !plain {
            break;
        }
        last = Some(at);
        words += 1;
        named |= !cx.known(at).is_common() || words > 1;
        at += 1 + usize::from(is_joint(cx, at + 1));
    }
    // "Ship to 14 Countries": one plain word is no name of a street.
    last.filter(|_| named).map(|last| with_town(cx, last))
}

/// A word in small letters that is in no list: part of a name rather than of the sentence.
fn is_nobodys_word(cx: &ScanContext<'_>, index: usize, token: Token) -> bool {
    token.meaning.flags.without(Flags::SPELLED) == Flags::NONE
        && token.len() > 3
        && !cx.known(index).is_common()
}

/// A hyphen or an apostrophe inside a name.
fn is_joint(cx: &ScanContext<'_>, index: usize) -> bool {
    let token = cx.free(index);
    (token.is(b'-') || token.is(b'\'') || token.is_apostrophe()) && cx.tokens.is_inner(index)
}

/// Returns true if a word may stand in the name of a street, a house or a town.
fn is_name(token: Token) -> bool {
    token.class == Class::Word
        && !token.has(Flags::UNIT | Flags::MONEY | Flags::AM_PM | Flags::WEEKDAY | Flags::AT)
        && !token.meaning.sense.is_number()
        && !is_month(token)
}

/// Finds the words behind a label, as far as names, figures and commas go: "Address: Flat 2, The Old Rectory, Aldham". Past the name of a
/// person in front of it.
fn labelled_end(cx: &ScanContext<'_>, index: usize) -> Option<(usize, usize)> {
    let mut first = index;
    let mut last = None;
    let (mut words, mut announced) = (0, false);
    let mut at = index;
    while at < index + LABELLED {
        let token = cx.free(at);
        if at > index && token.new_line {
            break;
        }
        let label = cx.free(at + 1).is(b':') || token.meaning.cue > 0 && cx.is_cue(at) && words > 0;
        let named = is_name(token) && (cx.tokens.is_capital(token) || is_small_part(cx, at, token));
        match token.class {
            Class::Word if named && !label => {
                words += 1;
                let place = cx.known_free(at).is_place();
                announced |=
                    words > 1 && (place || token.has(Flags::STREET | Flags::STREET_BEFORE | Flags::DOOR));
                last = Some(at);
            }
            Class::Digits if token.len() <= 6 => {
                announced = true;
                last = Some(at);
            }
            Class::Sign(b',')
                if !announced && words > 1 && cx.known(first).is_first() && !cx.known(first).is_common() =>
            {
                (first, last, words) = (at + 1, None, 0);
            }
            Class::Sign(b',' | b'-' | b'.' | b'/' | b'#' | b'\'') => {}
            _ if token.is_apostrophe() => {}
            _ => break,
        }
        at += 1;
    }
    let last = last?;
    (announced && words > 0 && last > first).then_some((first, last))
}

/// "of", "de", "4th", "3rd": what is written small inside an address.
fn is_small_part(cx: &ScanContext<'_>, index: usize, token: Token) -> bool {
    const PARTS: [&str; 6] = ["of", "the", "and", "des", "bis", "no"];
    let word = cx.tokens.str(token);
    let ordinal = cx.tokens.glued(index) && cx.free_before(index).class == Class::Digits && token.len() <= 2;
    ordinal
        || token.has(Flags::PARTICLE | Flags::DOOR)
        || PARTS.iter().any(|part| word.eq_ignore_ascii_case(part))
}

/// Returns the start of the address whose postcode begins at `code`: a house number and names before it, or a name and a house number.
pub fn start_before(cx: &ScanContext<'_>, code: usize) -> Option<usize> {
    house_first(cx, code).or_else(|| house_last(cx, code))
}

/// "12 Oakfields, Leeds" before a postcode: back over names and commas to a house number.
fn house_first(cx: &ScanContext<'_>, code: usize) -> Option<usize> {
    let mut words = 0;
    for back in 1..=BEFORE {
        let at = code.checked_sub(back)?;
        let token = cx.free(at);
        match token.class {
            Class::Word if token.is_letter() && cx.tokens.glued(at) => {}
            Class::Word if is_name(token) && cx.tokens.is_capital(token) => words += 1,
            Class::Sign(b',' | b'.' | b'\'' | b'-') => {}
            Class::Digits if token.len() <= 4 && words > 0 => return house_at(cx, at),
            _ => return None,
        }
    }
    None
}

/// The house number at `index`, where a name with a capital follows and nothing before it makes it another number.
fn house_at(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    // "B-204, Green Park": a block and a flat.
    let block = index > 1
        && cx.free_before(index).is(b'-')
        && cx.tokens.is_inner(index - 1)
        && cx.free(index - 2).is_letter()
        && !cx.tokens.glued(index - 2);
    let after = house_end(cx, index)?;
    let name = cx.free(after);
    if block && name.class == Class::Word && cx.tokens.is_capital(name) {
        return Some(index - 2);
    }
    let before = cx.free_before(index);
    let apart = !cx.tokens.glued(index)
        && (!before.has(Flags::MODEL | Flags::THING | Flags::MONEY) || before.has(Flags::DOOR))
        && !matches!(before.meaning.sense, Sense::Month(_));
    (apart && name.class == Class::Word && cx.tokens.is_capital(name)).then_some(index)
}

/// "Keizersgracht 117, " before a postcode: a house number right before it, then back over the names of one line.
fn house_last(cx: &ScanContext<'_>, code: usize) -> Option<usize> {
    let comma = usize::from(cx.free_before(code).is(b','));
    let mut at = code.checked_sub(1 + comma)?;
    if cx.free(at).is_letter() && cx.tokens.glued(at) {
        at = at.checked_sub(1)?;
    }
    if cx.tokens.is_inner(at.wrapping_sub(1)) && cx.free_before(at).is(b'/') {
        at = at.checked_sub(2)?;
    }
    let house = cx.free(at);
    if house.class != Class::Digits || house.len() > 4 || comma == 0 && !cx.tokens.at(code).new_line {
        return None;
    }
    let mut first = None;
    let mut from = at;
    for _ in 0..WORDS {
        if cx.tokens.at(from).new_line {
            break;
        }
        let token = cx.free_before(from);
        let part = cx.tokens.is_capital(token) && is_name(token);
        if !part && !token.has(Flags::PARTICLE | Flags::STREET_BEFORE) && !token.is(b'.') {
            break;
        }
        from -= 1;
        if token.class == Class::Word {
            first = Some(from);
        }
    }
    first.filter(|first| !cx.tokens.at(*first).has(Flags::MODEL | Flags::THING))
}
