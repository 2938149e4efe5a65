//! Places in degrees: "52.5200, 13.4050", "40.7128 N 74.0060 W".
//!
//! In: a scene. Out: findings. Two decimals of three or more places each, in the range of latitude and longitude.

use super::cue::Hint;
use super::kind::Entity;
use super::scene::Scene;
use super::token::{Class, Token, seed};

/// The fewest decimals of a coordinate that stands without context.
const DECIMALS: usize = 3;

/// Finds the coordinates.
pub fn find(scene: &mut Scene<'_>) {
    let mut index = 0;
    while let Some(at) = scene.tokens.seed(index, seed::FIGURES) {
        index = at + 1;
        if let Some(last) = in_minutes(scene, at) {
            scene.take(Entity::Coordinates, at, last, 0.9, "degrees and minutes");
            index = last + 1;
            continue;
        }
        let may = scene.tokens.at(at + 1).is(b'.') && !scene.is_taken(at);
        if may && let Some((first, last)) = pair_at(scene, at) {
            scene.take(Entity::Coordinates, first, last, 0.8, "coordinates");
            index = last + 1;
        }
    }
}

/// The last token of `37°46'29.7"N 122°25'09.9"W`.
fn in_minutes(scene: &Scene<'_>, index: usize) -> Option<usize> {
    let north = one_in_minutes(scene, index, "NSns")?;
    let comma = usize::from(scene.free(north + 1).is(b','));
    one_in_minutes(scene, north + 1 + comma, "EWewOo")
}

fn one_in_minutes(scene: &Scene<'_>, index: usize, compass: &str) -> Option<usize> {
    let figures = |at: usize| scene.free(at).class == Class::Digits && scene.free(at).len() <= 3;
    if !figures(index) || !scene.free(index + 1).is(b'%') {
        return None;
    }
    for at in index + 2..index + 14 {
        let token = scene.free(at);
        if token.is_letter() && compass.contains(scene.tokens.str(token)) {
            return Some(at);
        }
        let mark = matches!(token.class, Class::Sign(b'\'' | b'"' | b'.' | 0x80..));
        if !figures(at) && !mark {
            return None;
        }
    }
    None
}

/// A latitude and a longitude: first and last token.
fn pair_at(scene: &Scene<'_>, index: usize) -> Option<(usize, usize)> {
    if scene.tokens.glued(index)
        && matches!(scene.tokens.before(index).class, Class::Digits | Class::Sign(b'.' | b'$'))
    {
        return None;
    }
    let (after, latitude) = decimal(scene, index, 90.0)?;
    let said = scene.context_for(index, |hint| hint == Hint::Of(Entity::Coordinates)).is_some();
    let mut at = after;
    let mut apart = false;
    for _ in 0..5 {
        let token = scene.free(at);
        let compass = token.is_letter() && "NSEWnsew".contains(scene.tokens.str(token));
        let word = said
            && ["and", "longitude", "long", "lng", "lon", "by"]
                .iter()
                .any(|word| scene.tokens.str(token).eq_ignore_ascii_case(word));
        if !(token.is(b',')
            || token.is(b'-')
            || token.is(b'%')
            || token.is(b'/')
            || token.is(b':')
            || said && token.is(b'=')
            || compass
            || word)
        {
            break;
        }
        apart |= token.is(b',') || compass || word || token.is(b'/');
        at += 1;
    }
    let (end, longitude) = decimal(scene, at, 180.0)?;
    let precise = latitude >= DECIMALS && longitude >= DECIMALS;
    if !(said || apart && precise) {
        return None;
    }
    let minus = scene.free_before(index).is(b'-') && scene.tokens.glued(index);
    let mut last = end - 1;
    for at in end..end + 2 {
        let token = scene.free(at);
        if token.is(b'%') && scene.tokens.glued(at)
            || token.is_letter() && "EWew".contains(scene.tokens.str(token))
        {
            last = at;
        }
    }
    Some((index - usize::from(minus), last))
}

/// The index after a decimal below `limit`, and how many decimals it has.
fn decimal(scene: &Scene<'_>, index: usize, limit: f64) -> Option<(usize, usize)> {
    let solid = |token: Token| token.class == Class::Digits;
    if !solid(scene.free(index))
        || !scene.free(index + 1).is(b'.')
        || !solid(scene.free(index + 2))
        || !scene.tokens.is_inner(index + 1)
    {
        return None;
    }
    let (first, last) = (scene.tokens.at(index), scene.tokens.at(index + 2));
    let value: f64 = scene.tokens.text.get(first.start..last.end)?.parse().ok()?;
    let more = scene.tokens.is_inner(index + 3) && scene.free(index + 3).is(b'.');
    (value <= limit && !more).then_some((index + 3, last.len()))
}
