//! Addresses without a word for a street: told by what is said before them, or by the postcode behind them.
//!
//! In: a scene, and a postcode in it. Out: findings, or where an address begins. "I live at 14 Kirkgate", "Address: The Old Rectory,
//! Aldham", "12 Oakfields, Leeds LS1 4AP", "Keizersgracht 117, 1015 CJ Amsterdam". Each look is bounded.

use super::cue::Hint;
use super::kind::Entity;
use super::lexicon::{Flags, Sense};
use super::person_run::is_month;
use super::postal::{door_end, with_town};
use super::scene::Scene;
use super::street::house_end;
use super::token::{Class, Token};

/// The most words of a name of a street or a house.
const WORDS: usize = 4;
/// The most tokens of what a label promises.
const LABELLED: usize = 32;
/// How many tokens before a postcode its address may begin.
const BEFORE: usize = 14;
/// How sure an address is that only context speaks for.
const SCORE: f32 = 0.6;

/// Finds what is said to be an address.
pub fn find(scene: &mut Scene<'_>) {
    if !scene.is_spoken_of(Hint::Of(Entity::Address)) {
        return;
    }
    for after in scene.after_cues(Hint::Of(Entity::Address)) {
        let (at, labelled) = value_start(scene, after);
        if scene.is_taken(at) {
            continue;
        }
        let said = said_end(scene, at).map(|last| (at, last));
        let found = if labelled { labelled_end(scene, at).or(said) } else { said };
        if let Some((first, last)) = found {
            scene.take(Entity::Address, first, last, SCORE, "said to be an address");
        }
    }
}

/// The token behind a phrase, a colon and what only links; whether it stands behind a label.
fn value_start(scene: &Scene<'_>, after: usize) -> (usize, bool) {
    const LINKS: usize = 4;
    let mut at = after;
    let mut labelled = false;
    while at < after + LINKS {
        let token = scene.free(at);
        let sign = matches!(token.class, Class::Sign(b':' | b',' | b'"' | b'#' | b'.'))
            || token.is(b'-') && token.spaced;
        labelled |= token.is(b':') || token.is(b'-') || token.is(b'.');
        let link = token.class == Class::Word && token.has(Flags::LINK) && !scene.tokens.is_capital(token);
        if !sign && !link {
            break;
        }
        at += 1;
    }
    (at, labelled)
}

/// The last token of a house number and a name: "14 Kirkgate", "9 The Maltings, Ely", "flat 6, 88 Deansgate".
fn said_end(scene: &Scene<'_>, index: usize) -> Option<usize> {
    let door = scene.free(index).has(Flags::DOOR).then(|| door_end(scene, index)).flatten();
    let behind = door.map(|last| last + 1 + usize::from(scene.free(last + 1).is(b',')));
    let mut at = match behind {
        Some(at) => house_end(scene, at).unwrap_or(at),
        None => house_end(scene, index)?,
    };
    let (mut last, mut words, mut named) = (None, 0, door.is_some());
    for _ in 0..WORDS {
        let token = scene.free(at);
        let plain = scene.tokens.is_capital(token) || scene.lenient && is_nobodys_word(scene, at, token);
        if !is_name(token) || token.new_line || !plain {
            break;
        }
        last = Some(at);
        words += 1;
        named |= !scene.known(at).is_common() || words > 1;
        at += 1 + usize::from(is_joint(scene, at + 1));
    }
    // "Ship to 14 Countries": one plain word is no name of a street.
    last.filter(|_| named).map(|last| with_town(scene, last))
}

/// A word in small letters that is in no list: part of a name rather than of the sentence.
fn is_nobodys_word(scene: &Scene<'_>, index: usize, token: Token) -> bool {
    token.meaning.flags == Flags::NONE && token.len() > 3 && !scene.known(index).is_common()
}

/// A hyphen or an apostrophe inside a name.
fn is_joint(scene: &Scene<'_>, index: usize) -> bool {
    let token = scene.free(index);
    (token.is(b'-') || token.is(b'\'') || token.is_apostrophe()) && scene.tokens.is_inner(index)
}

/// Whether a word may stand in the name of a street, a house or a town.
fn is_name(token: Token) -> bool {
    token.class == Class::Word
        && !token.has(Flags::UNIT | Flags::MONEY | Flags::AM_PM | Flags::WEEKDAY | Flags::AT)
        && !token.meaning.sense.is_number()
        && !is_month(token)
}

/// What stands behind a label, as far as names, figures and commas go: "Address: Flat 2, The Old Rectory, Aldham". Past the name of a
/// person in front of it.
fn labelled_end(scene: &Scene<'_>, index: usize) -> Option<(usize, usize)> {
    let mut first = index;
    let mut last = None;
    let (mut words, mut told) = (0, false);
    let mut at = index;
    while at < index + LABELLED {
        let token = scene.free(at);
        if at > index && token.new_line {
            break;
        }
        let label = scene.free(at + 1).is(b':') || token.meaning.cue > 0 && scene.is_cue(at) && words > 0;
        let named = is_name(token) && (scene.tokens.is_capital(token) || is_small_part(scene, at, token));
        match token.class {
            Class::Word if named && !label => {
                words += 1;
                let place = scene.known_free(at).is_place();
                told |= words > 1 && (place || token.has(Flags::STREET | Flags::STREET_BEFORE | Flags::DOOR));
                last = Some(at);
            }
            Class::Digits if token.len() <= 6 => {
                told = true;
                last = Some(at);
            }
            Class::Sign(b',')
                if !told && words > 1 && scene.known(first).is_first() && !scene.known(first).is_common() =>
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
    (told && words > 0 && last > first).then_some((first, last))
}

/// "of", "de", "4th", "3rd": what is written small inside an address.
fn is_small_part(scene: &Scene<'_>, index: usize, token: Token) -> bool {
    const PARTS: [&str; 6] = ["of", "the", "and", "des", "bis", "no"];
    let word = scene.tokens.str(token);
    let ordinal =
        scene.tokens.glued(index) && scene.free_before(index).class == Class::Digits && token.len() <= 2;
    ordinal
        || token.has(Flags::PARTICLE | Flags::DOOR)
        || PARTS.iter().any(|part| word.eq_ignore_ascii_case(part))
}

/// Where the address begins whose postcode begins at `code`: a house number and names before it, or a name and a house number.
pub fn start_before(scene: &Scene<'_>, code: usize) -> Option<usize> {
    house_first(scene, code).or_else(|| house_last(scene, code))
}

/// "12 Oakfields, Leeds" before a postcode: back over names and commas to a house number.
fn house_first(scene: &Scene<'_>, code: usize) -> Option<usize> {
    let mut words = 0;
    for back in 1..=BEFORE {
        let at = code.checked_sub(back)?;
        let token = scene.free(at);
        match token.class {
            Class::Word if token.is_letter() && scene.tokens.glued(at) => {}
            Class::Word if is_name(token) && scene.tokens.is_capital(token) => words += 1,
            Class::Sign(b',' | b'.' | b'\'' | b'-') => {}
            Class::Digits if token.len() <= 4 && words > 0 => return house_at(scene, at),
            _ => return None,
        }
    }
    None
}

/// The house number at `index`, where a name with a capital follows and nothing before it makes it another number.
fn house_at(scene: &Scene<'_>, index: usize) -> Option<usize> {
    // "B-204, Green Park": a block and a flat.
    let block = index > 1
        && scene.free_before(index).is(b'-')
        && scene.tokens.is_inner(index - 1)
        && scene.free(index - 2).is_letter()
        && !scene.tokens.glued(index - 2);
    let after = house_end(scene, index)?;
    let name = scene.free(after);
    if block && name.class == Class::Word && scene.tokens.is_capital(name) {
        return Some(index - 2);
    }
    let before = scene.free_before(index);
    let apart = !scene.tokens.glued(index)
        && (!before.has(Flags::MODEL | Flags::THING | Flags::MONEY) || before.has(Flags::DOOR))
        && !matches!(before.meaning.sense, Sense::Month(_));
    (apart && name.class == Class::Word && scene.tokens.is_capital(name)).then_some(index)
}

/// "Keizersgracht 117, " before a postcode: a house number right before it, then back over the names of one line.
fn house_last(scene: &Scene<'_>, code: usize) -> Option<usize> {
    let comma = usize::from(scene.free_before(code).is(b','));
    let mut at = code.checked_sub(1 + comma)?;
    if scene.free(at).is_letter() && scene.tokens.glued(at) {
        at = at.checked_sub(1)?;
    }
    if scene.tokens.is_inner(at.wrapping_sub(1)) && scene.free_before(at).is(b'/') {
        at = at.checked_sub(2)?;
    }
    let house = scene.free(at);
    if house.class != Class::Digits || house.len() > 4 || comma == 0 && !scene.tokens.at(code).new_line {
        return None;
    }
    let mut first = None;
    let mut from = at;
    for _ in 0..WORDS {
        if scene.tokens.at(from).new_line {
            break;
        }
        let token = scene.free_before(from);
        let part = scene.tokens.is_capital(token) && is_name(token);
        if !part && !token.has(Flags::PARTICLE | Flags::STREET_BEFORE) && !token.is(b'.') {
            break;
        }
        from -= 1;
        if token.class == Class::Word {
            first = Some(from);
        }
    }
    first.filter(|first| !scene.tokens.at(*first).has(Flags::MODEL | Flags::THING))
}
