//! How far a name goes: "Ludwig van Beethoven", "Mary-Ann O. Smith".
//!
//! In: a scene and the place where a name begins. Out: its last token. It must not know why a name begins there.

use super::lexicon::{Flags, Sense};
use super::scene::Scene;
use super::token::{Class, Token};

/// The most words of a name.
const LONGEST: usize = 5;

/// The last token of the name that begins at `index`. After a sure cue the first word counts whatever it is.
pub fn run_end(scene: &Scene<'_>, index: usize, sure: bool) -> Option<usize> {
    let first = scene.tokens.at(index);
    let capital = scene.tokens.is_capital(first);
    let about = scene.known(index);
    if sure && !capital {
        let next = scene.known_free(index + 1);
        let plain = about.is_common()
            && !(about.is_first() && (next.is_last() && !next.is_common() || ends_clause(scene, index + 1)));
        if plain || first.has(Flags::STOP | Flags::LINK) || is_number_word(first) {
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
        && let Some(next) = next_word(scene, at, capital, sure)
    {
        last = next;
        at = next + 1;
        words += 1;
    }
    Some(last)
}

/// Whether nothing of the same clause follows.
fn ends_clause(scene: &Scene<'_>, index: usize) -> bool {
    let token = scene.free(index);
    !matches!(token.class, Class::Word | Class::Digits) || token.has(Flags::AND)
}

/// The next word of a name from `at` on, past an initial's dot, a particle or a hyphen; its last token.
fn next_word(scene: &Scene<'_>, at: usize, capital: bool, sure: bool) -> Option<usize> {
    let token = scene.free(at);
    if token.is(b'.') && scene.tokens.glued(at) && scene.free_before(at).len() <= 2 {
        return next_word(scene, at + 1, capital, sure).filter(|_| scene.free(at + 1).class == Class::Word);
    }
    if (token.is(b'-') || token.is(b'\'') || token.is_apostrophe()) && scene.tokens.is_inner(at) {
        let next = scene.free(at + 1);
        return (next.class == Class::Word
            && (scene.tokens.is_capital(next) == capital || capital && next.len() > 2)
            && next.len() > 1)
            .then_some(at + 1);
    }
    if token.class != Class::Word
        || token.new_line
        || scene.tokens.glued(at) && !scene.free_before(at).is(b'.')
    {
        return None;
    }
    let word = scene.tokens.str(token);
    if token.has(Flags::PARTICLE) && (capital || !token.has(Flags::STOP)) {
        let next = scene.free(at + 1);
        let named = if capital { scene.tokens.is_capital(next) } else { scene.known_free(at + 1).is_last() };
        let again = next.has(Flags::PARTICLE) && scene.tokens.is_capital(scene.free(at + 2));
        if next.class == Class::Word && !next.new_line && (named || again) {
            return Some(if again { at + 2 } else { at + 1 });
        }
    }
    let about = scene.known(at);
    let apostrophe = scene.free(at + 1).is(b'\'') || scene.free(at + 1).is_apostrophe();
    if capital
        && token.is_letter()
        && apostrophe
        && scene.tokens.is_inner(at + 1)
        && scene.tokens.is_capital(scene.free(at + 2))
    {
        return Some(at + 2);
    }
    if capital {
        let initial = token.is_letter() && scene.tokens.is_capital(token) && word != "I";
        let initial = initial && (scene.free(at + 1).is(b'.') || scene.tokens.is_capital(scene.free(at + 1)));
        let dot = initial && scene.free(at + 1).is(b'.');
        if initial {
            return Some(if dot { at + 1 } else { at });
        }
        let plain = about.is_common() && !about.is_last() && !about.is_first();
        let fits = scene.tokens.is_capital(token)
            && token.len() > 1
            && !plain
            && !token.has(Flags::WEEKDAY | Flags::FIRM)
            && !is_function_word(token)
            && (sure || !is_month(token));
        return fits.then_some(at);
    }
    let name = (about.is_last() || about.is_first()) && !about.is_common();
    let fits = (name || sure && about.is_unknown())
        && !token.has(Flags::STOP | Flags::LINK | Flags::ACT | Flags::UNIT)
        && !is_number_word(token)
        && token.len() > 1;
    fits.then_some(at)
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
