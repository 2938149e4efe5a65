//! Places in degrees: "52.5200, 13.4050", "40.7128 N 74.0060 W".
//!
//! In: a cx. Out: findings. Two decimals of three or more places each, in the range of latitude and longitude.

use super::cue::Hint;
use super::kind::Entity;
use super::scan_context::ScanContext;
use super::token::{Class, Token, seed};

/// The fewest decimals of a coordinate that stands without context.
const DECIMALS: usize = 3;

/// Finds the coordinates.
pub fn find(cx: &mut ScanContext<'_>) {
    let mut index = 0;
    while let Some(at) = cx.tokens.seed(index, seed::FIGURES) {
        index = at + 1;
        if let Some(last) = in_minutes(cx, at) {
            cx.take(Entity::Coordinates, at, last, 0.9, "degrees and minutes");
            index = last + 1;
            continue;
        }
        let may = cx.tokens.at(at + 1).is(b'.') && !cx.is_taken(at);
        if may && let Some((first, last)) = pair_at(cx, at) {
            cx.take(Entity::Coordinates, first, last, 0.8, "coordinates");
            index = last + 1;
        }
    }
}

/// The last token of `37°46'29.7"N 122°25'09.9"W`.
fn in_minutes(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let north = one_in_minutes(cx, index, "NSns")?;
    let comma = usize::from(cx.free(north + 1).is(b','));
    one_in_minutes(cx, north + 1 + comma, "EWewOo")
}

fn one_in_minutes(cx: &ScanContext<'_>, index: usize, compass: &str) -> Option<usize> {
    let figures = |at: usize| cx.free(at).class == Class::Digits && cx.free(at).len() <= 3;
    if !figures(index) || !cx.free(index + 1).is(b'%') {
        return None;
    }
    for at in index + 2..index + 14 {
        let token = cx.free(at);
        if token.is_letter() && compass.contains(cx.tokens.str(token)) {
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
fn pair_at(cx: &ScanContext<'_>, index: usize) -> Option<(usize, usize)> {
    if cx.tokens.glued(index)
        && matches!(cx.tokens.before(index).class, Class::Digits | Class::Sign(b'.' | b'$'))
    {
        return None;
    }
    let (after, latitude) = decimal(cx, index, 90.0)?;
    let said = cx.context_for(index, |hint| hint == Hint::Of(Entity::Coordinates)).is_some();
    let mut at = after;
    let mut apart = false;
    for _ in 0..5 {
        let token = cx.free(at);
        let compass = token.is_letter() && "NSEWnsew".contains(cx.tokens.str(token));
        let word = said
            && ["and", "longitude", "long", "lng", "lon", "by"]
                .iter()
                .any(|word| cx.tokens.str(token).eq_ignore_ascii_case(word));
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
    let (end, longitude) = decimal(cx, at, 180.0)?;
    // "11.023/12.332/15.093/1.204": readings.
    let stroke = |at: usize| cx.tokens.at(at).is(b'/');
    let readings = stroke(after) && (stroke(end) || index > 0 && stroke(index - 1));
    let precise = latitude >= DECIMALS && longitude >= DECIMALS && !readings;
    if !(said || apart && precise) {
        return None;
    }
    let minus = cx.free_before(index).is(b'-') && cx.tokens.glued(index);
    let mut last = end - 1;
    for at in end..end + 2 {
        let token = cx.free(at);
        if token.is(b'%') && cx.tokens.glued(at) || token.is_letter() && "EWew".contains(cx.tokens.str(token))
        {
            last = at;
        }
    }
    Some((index - usize::from(minus), last))
}

/// The index after a decimal below `limit`, and how many decimals it has.
fn decimal(cx: &ScanContext<'_>, index: usize, limit: f64) -> Option<(usize, usize)> {
    let solid = |token: Token| token.class == Class::Digits;
    if !solid(cx.free(index))
        || !cx.free(index + 1).is(b'.')
        || !solid(cx.free(index + 2))
        || !cx.tokens.is_inner(index + 1)
    {
        return None;
    }
    let (first, last) = (cx.tokens.at(index), cx.tokens.at(index + 2));
    let value: f64 = cx.tokens.text.get(first.start..last.end)?.parse().ok()?;
    let more = cx.tokens.is_inner(index + 3) && cx.free(index + 3).is(b'.');
    (value <= limit && !more).then_some((index + 3, last.len()))
}
