//! Postal addresses, in the forms of the US, the UK, Canada, Germany, France and India.
//!
//! In: a scene. Out: findings. A house number with a street is an address; a door, a box, a town with its code make it longer.

use super::kind::Entity;
use super::lexicon::{Flags, Sense};
use super::number::{Run, group_at, group_into};
use super::postcode::postcode_at;
use super::scene::Scene;
use super::token::{Class, seed};

/// The most words of a street's name.
const STREET_WORDS: usize = 4;
/// The most digits of a house number.
const HOUSE_DIGITS: usize = 6;

/// Finds addresses and postcodes.
pub fn find(scene: &mut Scene<'_>) {
    let seeds = if scene.tokens.any(seed::STREET) {
        seed::NUMBER | seed::CAPITAL
    } else {
        seed::FIGURES | seed::CAPITAL
    };
    let mut index = 0;
    while let Some(at) = scene.tokens.seed(index, seeds) {
        index = at + 1;
        if scene.is_taken(at) || !may_begin(scene, at) {
            continue;
        }
        if let Some((last, rule)) = address_at(scene, at) {
            let last = with_town(scene, last);
            scene.take(Entity::Address, at, last, 0.8, rule);
            index = last + 1;
        } else if let Some((first, last, score)) = postcode_at(scene, at) {
            scene.take(Entity::Postcode, first, last, score, "postcode form");
            index = last + 1;
        }
    }
}

/// Whether an address or a postcode may begin at a token: cheap, since it is asked of every number and every word with a capital. A word
/// needs figures close behind it, unless it is one of streets or boxes; a number without any of them is at most a postcode.
fn may_begin(scene: &Scene<'_>, index: usize) -> bool {
    let tokens = &scene.tokens;
    let bits = tokens.seeds(index);
    if bits & seed::NUMBER != 0 {
        let code = || bits & seed::FIGURES != 0 && matches!(tokens.at(index).len(), 4..=6);
        return tokens.any(seed::STREET) || code();
    }
    (index + 1..index + 4).any(|at| tokens.has_seed(at, seed::FIGURES))
        || tokens.any(seed::STREET) && bits & (seed::STREET | seed::LETTER | seed::CUE) != 0
}

/// The last token of an address that begins at `index`.
fn address_at(scene: &Scene<'_>, index: usize) -> Option<(usize, &'static str)> {
    let token = scene.free(index);
    let may_be_box = token.has(Flags::BOX) || token.is_letter() || token.meaning.cue > 0;
    if may_be_box && let Some(last) = post_box(scene, index) {
        return Some((last, "post box"));
    }
    if scene.tokens.has_seed(index, seed::NUMBER) {
        if !scene.tokens.any(seed::STREET) {
            return None;
        }
        let after = house_end(scene, index)?;
        let last = street_end(scene, after).or_else(|| street_before(scene, after))?;
        return Some((with_door(scene, last), "house and street"));
    }
    if token.class != Class::Word || !scene.tokens.is_capital(token) {
        return None;
    }
    if let Some(last) = street_before(scene, index).and_then(|last| house_after(scene, last + 1)) {
        return Some((with_door(scene, last), "street and house"));
    }
    let near = (index + 1..index + 4).any(|at| scene.tokens.has_seed(at, seed::FIGURES));
    if !near {
        return None;
    }
    let last = joined_street(scene, index).and_then(|last| house_after(scene, last + 1))?;
    Some((with_door(scene, last), "street and house"))
}

/// The index after a house number: "12", "12-14", "221B", "twelve", "one two three".
fn house_end(scene: &Scene<'_>, index: usize) -> Option<usize> {
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
        if scene.tokens.glued(end) && scene.free(end).is_letter() {
            end += 1;
        } else if scene.tokens.is_inner(end)
            && scene.free(end).is(b'-')
            && scene.free(end + 1).class == Class::Digits
        {
            end += 2;
        }
        return Some(end + usize::from(scene.free(end).is(b',')));
    }
    if index > 0 && scene.tokens.has_seed(index - 1, seed::NUMBER) {
        return None;
    }
    let mut at = index;
    let mut digits = 0;
    let mut run = Run::default();
    while let Some(after) = group_into(&scene.tokens, at, &mut run) {
        digits += run.digits.len();
        at = after;
        if digits > HOUSE_DIGITS {
            return None;
        }
    }
    (at > index).then_some(at)
}

/// The last token of a street from `index` on: up to four words and the word that ends a street's name.
fn street_end(scene: &Scene<'_>, index: usize) -> Option<usize> {
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
    let named = (from..at).all(|at| !scene.tokens.at(at).has(Flags::STOP));
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
fn street_before(scene: &Scene<'_>, index: usize) -> Option<usize> {
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
        at += 1 + usize::from(scene.free(at + 1).is(b'\'') && scene.tokens.is_inner(at + 1));
    }
    last
}

/// "Hauptstraße", "Kaiserstr.", "Marktplatz": a street in one word; its last token.
fn joined_street(scene: &Scene<'_>, index: usize) -> Option<usize> {
    const ENDS: [&str; 16] = [
        "straße", "strasse", "str", "weg", "platz", "allee", "gasse", "damm", "ufer", "straat", "laan",
        "gatan", "vägen", "katu", "tie", "utca",
    ];
    let token = scene.free(index);
    let word = scene.tokens.str(token);
    if word.len() < 6 {
        return None;
    }
    let lower = word.to_lowercase();
    if !ENDS.iter().any(|end| lower.ends_with(end) && lower.len() > end.len() + 1)
        || scene.known_free(index).is_common()
    {
        return None;
    }
    let dot = scene.free(index + 1).is(b'.') && scene.tokens.glued(index + 1);
    Some(index + usize::from(dot))
}

/// A house number after the street's name; its last token.
fn house_after(scene: &Scene<'_>, at: usize) -> Option<usize> {
    let at = at + usize::from(scene.free(at).is(b','));
    let token = scene.free(at);
    if token.class != Class::Digits || token.len() > 4 || token.new_line {
        return None;
    }
    let letter = scene.free(at + 1).is_letter()
        && (scene.tokens.glued(at + 1) || !scene.tokens.is_capital(scene.free(at + 1)))
        && scene.tokens.glued(at + 1);
    Some(at + usize::from(letter))
}

/// "Apt. 595", "Suite 501", "# 4" after an address.
fn with_door(scene: &Scene<'_>, last: usize) -> usize {
    let comma = usize::from(scene.free(last + 1).is(b','));
    let at = last + 1 + comma;
    let token = scene.free(at);
    let door = token.class == Class::Word && token.has(Flags::DOOR) || token.is(b'#');
    if !door {
        return last;
    }
    let at = at + 1 + usize::from(scene.free(at + 1).is(b'.'));
    let number = scene.free(at);
    if number.class == Class::Digits && number.len() <= 5 {
        let letter = scene.tokens.glued(at + 1) && scene.free(at + 1).is_letter();
        return at + usize::from(letter);
    }
    if number.is_letter() || number.meaning.sense.is_number() {
        return group_at(&scene.tokens, at).map_or(at, |(_, after)| after - 1);
    }
    last
}

/// ", Springfield, IL 62704", ", 10115 Berlin" after an address.
fn with_town(scene: &Scene<'_>, last: usize) -> usize {
    let mut end = last;
    let mut at = last + 1;
    let mut words = 0;
    for _ in 0..12 {
        let token = scene.free(at);
        match token.class {
            Class::Sign(b',') => at += 1,
            Class::Digits if (4..=6).contains(&token.len()) && !scene.tokens.glued(at) => {
                let four = scene.free(at + 1).is(b'-')
                    && scene.tokens.is_inner(at + 1)
                    && scene.free(at + 2).class == Class::Digits;
                end = at + if four { 2 } else { 0 };
                at = end + 1;
                if words > 0 {
                    return end;
                }
            }
            Class::Word if scene.tokens.is_capital(token) && words < 4 && !token.has(Flags::STOP) => {
                if let Some((_, code, _)) = postcode_at(scene, at) {
                    return code;
                }
                let place = scene.known_free(at).is_place() || token.has(Flags::STATE) && token.len() == 2;
                let after_comma = scene.free_before(at).is(b',')
                    || scene.free_before(at).class == Class::Digits
                    || words > 0;
                let apart = token.new_line && !scene.free_before(at).is(b',');
                if !place && (!after_comma || apart) {
                    break;
                }
                words += 1;
                at += 1;
                if place {
                    end = at - 1;
                }
            }
            _ => break,
        }
    }
    end
}

/// "P.O. Box 104", "PO Box twelve".
fn post_box(scene: &Scene<'_>, index: usize) -> Option<usize> {
    let is = |at: usize, word: &str| scene.tokens.str(scene.free(at)).eq_ignore_ascii_case(word);
    let mut at = index;
    if is(at, "po") || is(at, "psc") {
        at += 1;
    } else if is(at, "p") && (is(at + 1, "o") || is(at + 2, "o")) {
        at += if is(at + 1, "o") { 2 } else { 3 };
        at += usize::from(scene.free(at).is(b'.'));
    } else if is(at, "post") && is(at + 1, "office") {
        at += 2;
    } else {
        return None;
    }
    if !is(at, "box") {
        return None;
    }
    let number = scene.free(at + 1);
    if number.class == Class::Digits {
        return Some(at + 1);
    }
    group_at(&scene.tokens, at + 1).map(|(_, after)| after - 1)
}
