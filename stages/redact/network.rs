//! Addresses of machines: IPv4 in runs of digits (written or with spoken dots), IPv6 as one glued span (RFC 4291 text forms), and the
//! hardware addresses of IEEE 802.

use std::net::Ipv6Addr;

use super::kind::Entity;
use super::number::{Form, Group, Run};
use super::scan_context::ScanContext;
use super::token::{Class, Tokens, seed};

/// Returns the number of groups from `at` on that are an IPv4 address; 0 if they are none.
pub fn ipv4_len(run: &Run, at: usize) -> usize {
    let mut octets = 0;
    let mut end = at;
    while let Some(group) = run.groups.get(end) {
        if end > at && (group.gap.is(b'.') || is_spoken_dot(group)) {
            octets += 1;
        } else if end > at && !is_inside_octet(run, at, end) {
            break;
        }
        end += 1;
        if octets > 3 {
            return 0;
        }
    }
    let before =
        run.groups.get(at).is_some_and(|group| at > 0 && (group.gap.is(b'.') || is_spoken_dot(group)));
    if octets == 3 && !before && octet_values(run, at..end) { end - at } else { 0 }
}

fn is_spoken_dot(group: &Group) -> bool {
    group.gap.dot_word
}

/// A spoken octet has several groups: "one | seventy three".
fn is_inside_octet(run: &Run, at: usize, index: usize) -> bool {
    let Some(group) = run.groups.get(index) else { return false };
    let spoken_dots = run.groups.get(at..).unwrap_or(&[]).iter().skip(1).take(10).any(is_spoken_dot);
    spoken_dots && index - at < 12 && (group.gap.is_space() || group.gap.and)
}

fn octet_values(run: &Run, range: std::ops::Range<usize>) -> bool {
    let start = range.start;
    let mut value = 0_u32;
    let mut digits = 0;
    for index in range {
        let Some(group) = run.groups.get(index) else { return false };
        if index > start && !(group.gap.is_space() || group.gap.and) {
            (value, digits) = (0, 0);
        }
        // "One hundred and four": what follows the hundreds is added to them.
        let added = run.groups.get(index.wrapping_sub(1)).is_some_and(|before| before.form == Form::Scale);
        if added && digits == 3 && group.form == Form::Spoken && index > start {
            value += run.value(group).unwrap_or(256);
            if value > 255 {
                return false;
            }
            continue;
        }
        for digit in run.digits_of(group) {
            value = value.saturating_mul(10).saturating_add(u32::from(*digit));
            digits += 1;
        }
        if value > 255 || digits > 3 {
            return false;
        }
    }
    true
}

/// The longest text of an IPv6 address with an embedded IPv4 address.
const LONGEST: usize = 45;

/// The last token of six pairs of hexadecimal digits with colons or hyphens between ("00:1A:2b:3c:4d:5e"), or three of four with dots.
fn mac_end(cx: &ScanContext<'_>, first: usize) -> Option<usize> {
    const LENGTHS: [(usize, usize); 2] = [(3, 17), (5, 14)];
    let token = cx.tokens.at(first);
    if !token.is_solid() || cx.tokens.glued(first) || token.len() > 4 || cx.is_taken(first) {
        return None;
    }
    let bytes = cx.tokens.text.as_bytes();
    let (step, length) = LENGTHS.into_iter().find(|(step, _)| {
        let sign = bytes.get(token.start + step - 1);
        if *step == 3 { matches!(sign, Some(b':' | b'-')) } else { sign == Some(&b'.') }
    })?;
    let text = bytes.get(token.start..token.start + length)?;
    let sign = text.get(step - 1)?;
    let fits = text
        .iter()
        .enumerate()
        .all(|(place, byte)| if place % step == step - 1 { byte == sign } else { byte.is_ascii_hexdigit() });
    let end = token.start + length;
    let last = (first..first + 18).find(|at| cx.tokens.at(*at).end == end)?;
    let more =
        cx.tokens.glued(last + 1) && (cx.tokens.at(last + 1).is_solid() || cx.tokens.is_inner(last + 1));
    (fits && !more && !(first..=last).any(|at| cx.is_taken(at))).then_some(last)
}

/// Finds IPv6 and hardware addresses.
pub fn find(cx: &mut ScanContext<'_>) {
    let mut index = 0;
    while let Some(at) = cx.tokens.seed(index, seed::COLON | seed::ROW | seed::MIXED) {
        index = at + 1;
        if let Some(last) = mac_end(cx, at) {
            cx.take(Entity::Mac, at, last, 0.95, "mac");
            index = last + 1;
        }
    }
    if cx.tokens.any(seed::COLON_SIGN) {
        find_ipv6(cx);
    }
}

fn find_ipv6(cx: &mut ScanContext<'_>) {
    let mut index = 0;
    while let Some(row) = cx.tokens.seed(index, seed::COLON) {
        index = row;
        while index == row || index < cx.tokens.len() && cx.tokens.glued(index) {
            let end = cluster_end(&cx.tokens, index);
            if end > index + 2 {
                take_ipv6(cx, index, end);
            }
            index = end.max(index + 1);
        }
    }
}

/// The end of the glued tokens from `index` on that could be an address.
fn cluster_end(tokens: &Tokens<'_>, index: usize) -> usize {
    let fits = |at: usize| {
        matches!(tokens.at(at).class, Class::Word | Class::Digits | Class::Sign(b':' | b'.'))
            && (at == index || tokens.glued(at))
    };
    let mut end = index;
    while end < tokens.len() && fits(end) {
        end += 1;
    }
    end
}

/// The text that was glued to a value is no part of it once a tag stands there: `a::b@c.de` becomes `a::<EMAIL>`, and `a::` was
/// no address before.
fn beside_a_tag(tokens: &Tokens<'_>, first: usize, last: usize) -> bool {
    let is_tag = |at: usize| matches!(tokens.at(at).class, Class::Tag(_));
    first > 0 && tokens.glued(first) && is_tag(first - 1)
        || last + 1 < tokens.len() && tokens.glued(last + 1) && is_tag(last + 1)
}

fn take_ipv6(cx: &mut ScanContext<'_>, first: usize, end: usize) {
    let mut last = end - 1;
    let single = |at: usize| !matches!(cx.tokens.at(at).class, Class::Sign(b':'));
    while last > first && (cx.tokens.at(last).is(b'.') || cx.tokens.at(last).is(b':') && single(last - 1)) {
        last -= 1;
    }
    let span = cx.tokens.at(first).start..cx.tokens.at(last).end;
    let is_address = span.len() <= LONGEST
        && span.len() > 2
        && cx.tokens.text.get(span).is_some_and(|text| text.parse::<Ipv6Addr>().is_ok());
    if is_address && !beside_a_tag(&cx.tokens, first, last) && !(first..=last).any(|at| cx.is_taken(at)) {
        cx.take(Entity::Ip, first, last, 0.95, "ipv6");
    }
}
