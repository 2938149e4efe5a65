//! Streets and house numbers: "12 Main Street", "rue de la Paix", "Hauptstraße 5", "Am Markt 3".
//!
//! In: a scene and a place. Out: where a house number or the name of a street ends. It must not know what an address has besides.

use super::lexicon::{Flags, Sense};
use super::number::{Run, group_into};
use super::scene::Scene;
use super::token::{Class, Token, seed};

/// The most words of a street's name.
const STREET_WORDS: usize = 4;
/// The most digits of a house number.
const HOUSE_DIGITS: usize = 6;

/// The index after a house number: "12", "12-14", "221B", "twelve", "one two three".
pub fn house_end(scene: &Scene<'_>, index: usize) -> Option<usize> {
    let token = scene.tokens.at(index);
    let before = scene.free_before(index);
    if before.class == Class::Digits
        || matches!(before.class, Class::Sign(b'$' | b'.' | b'/' | b':')) && scene.tokens.glued(index)
    {
        return None;
    }
    if token.class == Class::Digits {
        if token.len() > HOUSE_DIGITS {
            return None;
        }
        let mut end = index + 1;
        while scene.lenient
            && end - index < HOUSE_DIGITS
            && is_figure(scene.free(end - 1))
            && is_figure(scene.free(end))
        {
            end += 1;
        }
        if scene.tokens.glued(end) && scene.free(end).is_letter() {
            end += 1;
        } else if scene.tokens.is_inner(end)
            && scene.free(end).is(b'-')
            && scene.free(end + 1).class == Class::Digits
        {
            end += 2;
        } else if ["bis", "ter", "quater"].contains(&scene.tokens.str(scene.free(end))) {
            end += 1;
        }
        return Some(end + usize::from(scene.free(end).is(b',')));
    }
    if index > 0 && scene.tokens.has_seed(index - 1, seed::NUMBER) {
        return None;
    }
    let mut run = scene.rooms.run.take();
    let after = said_end(scene, index, &mut run);
    scene.rooms.run.set(run);
    after
}

/// The same of a house number in words.
fn said_end(scene: &Scene<'_>, index: usize, run: &mut Run) -> Option<usize> {
    let mut at = index;
    let mut digits = 0;
    while let Some(after) = group_into(&scene.tokens, at, run) {
        digits += run.digits.len();
        at = after;
        if digits > HOUSE_DIGITS {
            return None;
        }
        if scene.free(at).meaning.sense == Sense::Hundred {
            at += 1;
            at += usize::from(scene.free(at).has(Flags::AND) && scene.tokens.has_seed(at + 1, seed::NUMBER));
        }
    }
    (at > index).then_some(at)
}

/// One figure of a number that is said figure by figure.
fn is_figure(token: Token) -> bool {
    token.class == Class::Digits && token.len() == 1 && !token.new_line
}

/// The last token of a street from `index` on: up to four words and the word that ends a street's name.
pub fn street_end(scene: &Scene<'_>, index: usize) -> Option<usize> {
    let mut at = index;
    for words in 0..=STREET_WORDS {
        let token = scene.free(at);
        let ordinal = matches!(token.meaning.sense, Sense::Ordinal(_))
            || token.class == Class::Digits && is_ordinal(scene, at);
        if words > 0
            && token.class == Class::Word
            && token.has(Flags::STREET)
            && !token.new_line
            && ends_street(scene, at, index)
        {
            let dot = scene.free(at + 1).is(b'.') && scene.tokens.glued(at + 1) && token.len() <= 4;
            let last = at + usize::from(dot && !is_end(scene, at + 1));
            // "Ferry Quay Street": the last of several such words ends the name.
            let again = scene.free(last + 1);
            let longer =
                again.has(Flags::STREET) && !again.new_line && scene.tokens.is_capital(again) && last == at;
            let last = last + usize::from(longer);
            let direction = scene.free(last + 1);
            let turned = direction.has(Flags::DIRECTION)
                && !direction.new_line
                && (scene.tokens.is_capital(direction) || direction.len() > 2);
            return Some(last + usize::from(turned));
        }
        if ordinal {
            at += if token.class == Class::Digits { 2 } else { 1 };
            continue;
        }
        let usable = token.class == Class::Word
            && !token.new_line
            && !token.has(Flags::UNIT | Flags::MONEY)
            && (!token.has(Flags::STOP) || scene.tokens.is_capital(token));
        if !usable || token.meaning.sense.is_number() {
            return None;
        }
        at += 1 + usize::from(scene.free(at + 1).is(b'.') && scene.tokens.glued(at + 1) && token.len() <= 3);
    }
    None
}

fn is_end(scene: &Scene<'_>, dot: usize) -> bool {
    scene.free(dot + 1).class == Class::Edge || scene.free(dot + 1).new_line
}

/// Whether a word that may end a street's name does: in small letters a street needs a name that is no plain word's.
fn ends_street(scene: &Scene<'_>, at: usize, from: usize) -> bool {
    let token = scene.tokens.at(at);
    if scene.tokens.is_capital(token) {
        return true;
    }
    let sure = [
        "street",
        "avenue",
        "road",
        "lane",
        "drive",
        "boulevard",
        "court",
        "terrace",
        "highway",
        "parkway",
        "crescent",
    ];
    let word = scene.tokens.str(token);
    let short = ["st", "ave", "rd", "blvd", "ln", "dr"].iter().any(|s| word.eq_ignore_ascii_case(s));
    let named = (from..at).all(|at| !scene.tokens.at(at).has(Flags::STOP))
        && !scene.tokens.str(scene.tokens.at(from)).eq_ignore_ascii_case("way");
    named
        && (sure.iter().any(|s| word.eq_ignore_ascii_case(s))
            || short && (from..at).any(|at| scene.tokens.is_capital(scene.tokens.at(at))))
}

fn is_ordinal(scene: &Scene<'_>, at: usize) -> bool {
    scene.tokens.glued(at + 1)
        && ["st", "nd", "rd", "th"]
            .iter()
            .any(|end| scene.tokens.str(scene.free(at + 1)).eq_ignore_ascii_case(end))
}

/// "rue de la Paix", "Via Roma", "Calle Mayor": the last token of the street.
pub fn street_before(scene: &Scene<'_>, index: usize) -> Option<usize> {
    let token = scene.free(index);
    if token.class != Class::Word || !token.has(Flags::STREET_BEFORE) {
        return None;
    }
    let mut at = index + 1 + usize::from(scene.free(index + 1).is(b'.'));
    let mut last = None;
    for _ in 0..STREET_WORDS {
        let token = scene.free(at);
        if token.class != Class::Word || token.new_line {
            break;
        }
        if scene.tokens.is_capital(token) {
            last = Some(at);
        } else if !token.has(Flags::PARTICLE) && !["des", "l", "d", "et"].contains(&scene.tokens.str(token)) {
            break;
        }
        let sign = matches!(scene.free(at + 1).class, Class::Sign(b'\'' | b'-'))
            || scene.free(at + 1).is_apostrophe();
        at += 1 + usize::from(sign && scene.tokens.is_inner(at + 1));
    }
    last
}

/// "Hauptstraße 5", "Kaiserstr. 12": a street in one word before a house number; the last token.
pub fn joined_street(scene: &Scene<'_>, index: usize) -> Option<usize> {
    const ENDS: [&str; 16] = [
        "straße", "strasse", "str", "weg", "platz", "allee", "gasse", "damm", "ufer", "straat", "laan",
        "gatan", "vägen", "katu", "tie", "utca",
    ];
    let token = scene.free(index);
    let word = scene.tokens.str(token);
    if word.len() < 6 {
        return None;
    }
    let dot = scene.free(index + 1).is(b'.') && scene.tokens.glued(index + 1);
    let last = house_after(scene, index + 1 + usize::from(dot))?;
    let small = (!word.is_ascii()).then(|| word.to_lowercase());
    let word = small.as_deref().unwrap_or(word);
    let is_end = |end: &&str| {
        let rest = word.len().checked_sub(end.len()).filter(|rest| *rest > 1);
        rest.and_then(|rest| word.get(rest..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    };
    if !ENDS.iter().any(is_end) || scene.known_free(index).is_common() {
        return None;
    }
    Some(last)
}

/// A house number after the street's name; its last token.
pub fn house_after(scene: &Scene<'_>, at: usize) -> Option<usize> {
    let at = at + usize::from(scene.free(at).is(b','));
    let token = scene.free(at);
    if token.class != Class::Digits || token.len() > 4 || token.new_line {
        return None;
    }
    let letter = scene.free(at + 1).is_letter()
        && (scene.tokens.glued(at + 1) || !scene.tokens.is_capital(scene.free(at + 1)))
        && scene.tokens.glued(at + 1);
    let part = scene.free(at + 1).is(b'/')
        && scene.tokens.is_inner(at + 1)
        && scene.free(at + 2).class == Class::Digits
        && scene.free(at + 2).len() <= 4;
    let stair =
        scene.free(at + 1).is(b'/') && scene.tokens.is_inner(at + 1) && scene.free(at + 2).is_letter();
    Some(at + if part || stair { 2 } else { usize::from(letter) })
}

/// "Am Hauptbahnhof", "An der Alster", "Unter den Linden": the last token of the street.
pub fn german_street(scene: &Scene<'_>, index: usize) -> Option<usize> {
    let is = |at: usize, words: &[&str]| {
        let word = scene.tokens.str(scene.free(at));
        word.len() <= 6 && words.iter().any(|known| word.eq_ignore_ascii_case(known))
    };
    if !is(index, &["am", "an", "im", "in", "zum", "zur", "auf", "unter", "hinter", "beim", "vor"]) {
        return None;
    }
    let mut at = index + 1 + usize::from(is(index + 1, &["der", "dem", "den", "die", "das"]));
    let first = at;
    while at < first + 2 && scene.tokens.is_capital(scene.free(at)) && !scene.free(at).new_line {
        at += 1;
    }
    (at > first).then(|| at - 1)
}
