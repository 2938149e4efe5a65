//! IBANs (ISO 13616): written in one piece or in groups, spelled out, or misheard.
//!
//! In: a scene. Out: findings. A country code and two digits must stand at the front; the check (mod 97) and the country's length
//! raise the score, and without either a word of context or a transcript is needed.

use super::checks;
use super::cue::Hint;
use super::kind::Entity;
use super::lexicon::{Flags, Sense};
use super::number::group_at;
use super::scene::Scene;
use super::token::{Class, Token};

/// The longest IBAN of any country.
const LONGEST: usize = 34;
/// The shortest row that may be a misheard IBAN.
const SHORTEST: usize = 12;

/// Finds the IBANs.
pub fn find(scene: &mut Scene<'_>) {
    let mut index = 0;
    while index < scene.tokens.len() {
        index = find_at(scene, index).unwrap_or(index + 1);
    }
}

/// "at", "me", "no" are country codes too.
fn is_common_word(scene: &Scene<'_>, first: usize) -> bool {
    let token = scene.tokens.at(first);
    let capitals = scene.tokens.str(token).bytes().all(|byte| byte.is_ascii_uppercase());
    token.len() == 2
        && token.has(Flags::STOP | Flags::LINK | Flags::UNIT)
        && !(capitals && scene.tokens.glued(first + 1))
}

struct Reading {
    symbols: Vec<u8>,
    /// For every piece: the symbols up to its end and its last token.
    ends: Vec<(usize, usize)>,
}

/// Reads an IBAN that begins at the token `first`; the index after it.
fn find_at(scene: &mut Scene<'_>, first: usize) -> Option<usize> {
    let (country, after) = country(scene, first)?;
    let length = checks::iban_length(country)?;
    let reading = read(scene, after, country);
    if !matches!(reading.symbols.get(2..4), Some([b'0'..=b'9', b'0'..=b'9'])) {
        return None;
    }
    let whole = reading.ends.iter().find(|(symbols, _)| *symbols == length);
    let context = scene.context(first);
    let said = context.is_some_and(|context| context.hint == Hint::Iban);
    let doubtful = is_common_word(scene, first);
    if let Some(&(symbols, last)) = whole {
        let valid = checks::iban_mod97(reading.symbols.get(..symbols)?);
        if valid || !doubtful && (said || scene.lenient || symbols >= 20) {
            scene.take(Entity::Iban, first, last, if valid { 1.0 } else { 0.7 }, "iban");
            return Some(last + 1);
        }
    }
    let &(symbols, last) = reading.ends.last()?;
    let digits = reading.symbols.iter().filter(|symbol| symbol.is_ascii_digit()).count();
    if symbols >= SHORTEST && digits >= 8 && !doubtful && (said || scene.lenient) {
        scene.take(Entity::Iban, first, last, 0.5, "iban misheard");
        return Some(last + 1);
    }
    None
}

/// Two letters, together or apart; the index after them.
fn country(scene: &Scene<'_>, first: usize) -> Option<([u8; 2], usize)> {
    let token = scene.free(first);
    if token.class != Class::Word || scene.tokens.glued(first) && is_solid(scene.free_before(first)) {
        return None;
    }
    let letters = scene.tokens.str(token).as_bytes();
    match *letters {
        [a, b] => Some(([a, b], first + 1)),
        [a] => {
            let next =
                first + 1 + usize::from(scene.free(first + 1).is(b'-') || scene.free(first + 1).is(b'.'));
            let letter = scene.free(next);
            let &[b] = scene.tokens.str(letter).as_bytes() else { return None };
            (letter.class == Class::Word).then_some(([a, b], next + 1))
        }
        _ => None,
    }
}

fn is_solid(token: Token) -> bool {
    matches!(token.class, Class::Word | Class::Digits)
}

fn read(scene: &Scene<'_>, after: usize, country: [u8; 2]) -> Reading {
    let mut reading = Reading { symbols: country.to_vec(), ends: Vec::new() };
    let mut at = after;
    let mut last = after - 1;
    while reading.symbols.len() < LONGEST {
        let token = scene.free(at);
        if token.new_line {
            break;
        }
        if matches!(token.class, Class::Sign(b'-' | b'.' | b',')) && at == last + 1 {
            at += 1;
            continue;
        }
        let Some(next) = read_piece(scene, at, &mut reading.symbols) else { break };
        last = next - 1;
        reading.ends.push((reading.symbols.len(), last));
        at = next;
    }
    reading
}

/// Reads one piece: figures, a number word, or letters of a bank's code.
fn read_piece(scene: &Scene<'_>, at: usize, symbols: &mut Vec<u8>) -> Option<usize> {
    let token = scene.free(at);
    let glued = scene.tokens.glued(at);
    match token.class {
        Class::Digits => {
            let text = scene.tokens.str(token);
            symbols.extend(text.bytes().filter(u8::is_ascii_digit).take(LONGEST + 1));
            Some(at + 1)
        }
        Class::Word if token.meaning.sense.is_number() && !(token.is_letter() && glued) => {
            let (digits, after) = group_at(&scene.tokens, at)?;
            symbols.extend(digits.iter().map(|digit| b'0' + digit));
            Some(after)
        }
        Class::Word if token.meaning.sense != Sense::None && !glued && !token.is_letter() => None,
        Class::Word => {
            let letters = scene.tokens.str(token);
            let capitals = letters.bytes().all(|byte| byte.is_ascii_uppercase());
            if !letters.is_ascii()
                || token.len() > 16
                || !(glued || token.is_letter() || capitals && token.len() <= 4)
            {
                return None;
            }
            symbols.extend(letters.bytes());
            Some(at + 1)
        }
        _ => None,
    }
}
