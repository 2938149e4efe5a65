//! Streets and house numbers: "12 Main Street", "rue de la Paix", "Hauptstraße 5", "Am Markt 3".
//!
//! In: a cx and a place. Out: where a house number or the name of a street ends. It must not know what an address has besides.

use super::lexicon::{Flags, Sense};
use super::number::{Run, group_into};
use super::scan_context::ScanContext;
use super::token::{Class, Token, seed};

/// The most words of a street's name.
const STREET_WORDS: usize = 4;
/// The most digits of a house number.
const HOUSE_DIGITS: usize = 6;

/// The index after a house number: "12", "12-14", "221B", "twelve", "one two three".
pub fn house_end(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let token = cx.tokens.at(index);
    let before = cx.free_before(index);
    if before.class == Class::Digits
        || matches!(before.class, Class::Sign(b'$' | b'.' | b'/' | b':')) && cx.tokens.glued(index)
    {
        return None;
    }
    if token.class == Class::Digits {
        if token.len() > HOUSE_DIGITS {
            return None;
        }
        let mut end = index + 1;
        while cx.lenient
            && end - index < HOUSE_DIGITS
            && is_figure(cx.free(end - 1))
            && is_figure(cx.free(end))
        {
            end += 1;
        }
        if cx.tokens.glued(end) && cx.free(end).is_letter() {
            end += 1;
        } else if cx.tokens.is_inner(end) && cx.free(end).is(b'-') && cx.free(end + 1).class == Class::Digits
        {
            end += 2;
        } else if ["bis", "ter", "quater"].contains(&cx.tokens.str(cx.free(end))) {
            end += 1;
        }
        return Some(end + usize::from(cx.free(end).is(b',')));
    }
    if index > 0 && cx.tokens.has_seed(index - 1, seed::NUMBER) {
        return None;
    }
    let mut run = cx.buffers.run.take();
    let after = said_end(cx, index, &mut run);
    cx.buffers.run.set(run);
    after
}

/// The same of a house number in words.
fn said_end(cx: &ScanContext<'_>, index: usize, run: &mut Run) -> Option<usize> {
    let mut at = index;
    let mut digits = 0;
    while let Some(after) = group_into(&cx.tokens, at, run) {
        digits += run.digits.len();
        at = after;
        if digits > HOUSE_DIGITS {
            return None;
        }
        if cx.free(at).meaning.sense == Sense::Hundred {
            at += 1;
            at += usize::from(cx.free(at).has(Flags::AND) && cx.tokens.has_seed(at + 1, seed::NUMBER));
        }
    }
    (at > index).then_some(at)
}

/// One figure of a number that is said figure by figure.
fn is_figure(token: Token) -> bool {
    token.class == Class::Digits && token.len() == 1 && !token.new_line
}

/// The last token of a street from `index` on: up to four words and the word that ends a street's name.
pub fn street_end(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let mut at = index;
    for words in 0..=STREET_WORDS {
        let token = cx.free(at);
        let ordinal = matches!(token.meaning.sense, Sense::Ordinal(_))
            || token.class == Class::Digits && is_ordinal(cx, at);
        if words > 0
            && token.class == Class::Word
            && token.has(Flags::STREET)
            && (!token.new_line || is_wrapped(cx, index, at))
            && ends_street(cx, at, index)
        {
            let dot = cx.free(at + 1).is(b'.') && cx.tokens.glued(at + 1) && token.len() <= 4;
            let last = at + usize::from(dot && !is_end(cx, at + 1));
            // "Ferry Quay Street": the last of several such words ends the name.
            let again = cx.free(last + 1);
            let longer =
                again.has(Flags::STREET) && !again.new_line && cx.tokens.is_capital(again) && last == at;
            let last = last + usize::from(longer);
            let direction = cx.free(last + 1);
            let turned = direction.has(Flags::DIRECTION)
                && !direction.new_line
                && (cx.tokens.is_capital(direction) || direction.len() > 2);
            return Some(last + usize::from(turned));
        }
        if ordinal {
            at += if token.class == Class::Digits { 2 } else { 1 };
            continue;
        }
        let usable = token.class == Class::Word
            && !token.new_line
            && !token.has(Flags::UNIT | Flags::MONEY)
            && (!token.has(Flags::STOP) || cx.tokens.is_capital(token));
        if !usable || token.meaning.sense.is_number() {
            return None;
        }
        at += 1 + usize::from(cx.free(at + 1).is(b'.') && cx.tokens.glued(at + 1) && token.len() <= 3);
    }
    None
}

/// "12 Elm\nStreet": a single line end before the last word of a name in capitals is a blank.
fn is_wrapped(cx: &ScanContext<'_>, from: usize, at: usize) -> bool {
    !cx.tokens.breaks(at) && (from..=at).all(|word| cx.tokens.is_capital(cx.tokens.at(word)))
}

fn is_end(cx: &ScanContext<'_>, dot: usize) -> bool {
    cx.free(dot + 1).class == Class::Edge || cx.free(dot + 1).new_line
}

/// Returns true if a word that may end a street's name does: in small letters a street needs a name that is no plain word's.
fn ends_street(cx: &ScanContext<'_>, at: usize, from: usize) -> bool {
    let token = cx.tokens.at(at);
    if cx.tokens.is_capital(token) {
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
    let word = cx.tokens.str(token);
    let short = ["st", "ave", "rd", "blvd", "ln", "dr"].iter().any(|s| word.eq_ignore_ascii_case(s));
    let named = (from..at).all(|at| !cx.tokens.at(at).has(Flags::STOP))
        && !cx.tokens.str(cx.tokens.at(from)).eq_ignore_ascii_case("way");
    named
        && (sure.iter().any(|s| word.eq_ignore_ascii_case(s))
            || short && (from..at).any(|at| cx.tokens.is_capital(cx.tokens.at(at))))
}

fn is_ordinal(cx: &ScanContext<'_>, at: usize) -> bool {
    cx.tokens.glued(at + 1)
        && ["st", "nd", "rd", "th"].iter().any(|end| cx.tokens.str(cx.free(at + 1)).eq_ignore_ascii_case(end))
}

/// "rue de la Paix", "Via Roma", "Calle Mayor": the last token of the street.
pub fn street_before(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let token = cx.free(index);
    if token.class != Class::Word || !token.has(Flags::STREET_BEFORE) {
        return None;
    }
    let mut at = index + 1 + usize::from(cx.free(index + 1).is(b'.'));
    let mut last = None;
    for _ in 0..STREET_WORDS {
        let token = cx.free(at);
        if token.class != Class::Word || token.new_line {
            break;
        }
        if cx.tokens.is_capital(token) {
            last = Some(at);
        } else if !token.has(Flags::PARTICLE) && !["des", "l", "d", "et"].contains(&cx.tokens.str(token)) {
            break;
        }
        let sign =
            matches!(cx.free(at + 1).class, Class::Sign(b'\'' | b'-')) || cx.free(at + 1).is_apostrophe();
        at += 1 + usize::from(sign && cx.tokens.is_inner(at + 1));
    }
    last
}

/// "Hauptstraße 5", "Kaiserstr. 12": a street in one word before a house number; the last token.
pub fn joined_street(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    #[rustfmt::skip]
    const ENDS: [&str; 32] = [
        "straße", "strasse", "str", "weg", "platz", "allee", "gasse", "damm", "ufer", "straat", "laan",
        "gatan", "vägen", "katu", "tie", "utca",
        "vej", "gade", "vei", "veien", "gata", "stien", "stræde", "vænget", "gränd", "kade", "gracht", "plein", "singel", "dijk", "kuja", "stræti",
    ];
    let token = cx.free(index);
    let word = cx.tokens.str(token);
    if word.len() < 6 {
        return None;
    }
    let dot = cx.free(index + 1).is(b'.') && cx.tokens.glued(index + 1);
    let last = house_after(cx, index + 1 + usize::from(dot))?;
    let small = (!word.is_ascii()).then(|| word.to_lowercase());
    let word = small.as_deref().unwrap_or(word);
    let is_end = |end: &&str| {
        let rest = word.len().checked_sub(end.len()).filter(|rest| *rest > 1);
        rest.and_then(|rest| word.get(rest..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    };
    if !ENDS.iter().any(is_end) || cx.known_free(index).is_common() {
        return None;
    }
    Some(last)
}

/// A house number after the street's name; its last token.
pub fn house_after(cx: &ScanContext<'_>, at: usize) -> Option<usize> {
    let at = at + usize::from(cx.free(at).is(b','));
    let token = cx.free(at);
    if token.class != Class::Digits || token.len() > 4 || token.new_line {
        return None;
    }
    let letter = cx.free(at + 1).is_letter()
        && (cx.tokens.glued(at + 1) || !cx.tokens.is_capital(cx.free(at + 1)))
        && cx.tokens.glued(at + 1);
    let part = cx.free(at + 1).is(b'/')
        && cx.tokens.is_inner(at + 1)
        && cx.free(at + 2).class == Class::Digits
        && cx.free(at + 2).len() <= 4;
    let stair = cx.free(at + 1).is(b'/') && cx.tokens.is_inner(at + 1) && cx.free(at + 2).is_letter();
    Some(at + if part || stair { 2 } else { usize::from(letter) })
}

/// "Am Hauptbahnhof", "An der Alster", "Unter den Linden": the last token of the street.
pub fn german_street(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let is = |at: usize, words: &[&str]| {
        let word = cx.tokens.str(cx.free(at));
        word.len() <= 6 && words.iter().any(|known| word.eq_ignore_ascii_case(known))
    };
    if !is(index, &["am", "an", "im", "in", "zum", "zur", "auf", "unter", "hinter", "beim", "vor"]) {
        return None;
    }
    let mut at = index + 1 + usize::from(is(index + 1, &["der", "dem", "den", "die", "das"]));
    let first = at;
    while at < first + 2 && cx.tokens.is_capital(cx.free(at)) && !cx.free(at).new_line {
        at += 1;
    }
    (at > first).then(|| at - 1)
}
