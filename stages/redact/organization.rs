//! Names of organisations: by the ending that law or custom gives them ("Inc", "Bank"), or by a cue ("works for").
//!
//! In: a cx. Out: findings. Without capitals nothing is found: a recogniser's small letters do not tell where a name begins.

use super::kind::Entity;
use super::lexicon::{Flags, Sense};
use super::scan_context::ScanContext;
use super::token::{Class, Token, seed};

/// The most words of a name before its ending.
const LONGEST: usize = 5;

/// Words before the name of an organisation; the last ones before it.
const CUES: &[&str] = &[
    "work at",
    "works at",
    "worked at",
    "working at",
    "work for",
    "works for",
    "worked for",
    "working for",
    "employed at",
    "employed by",
    "company called",
    "company named",
    "employer is",
    "company is",
    "offices of",
    "founded",
    "ceo of",
    "cfo of",
    "president of",
    "director of",
    "customer of",
    "shares of",
    "company",
    "organization",
    "organisation",
    "employer",
    "firm",
];

/// The words that end a cue.
pub fn cue_ends() -> impl Iterator<Item = &'static str> {
    CUES.iter().map(|cue| cue.rsplit(' ').next().unwrap_or(cue))
}

/// Finds the names.
pub fn find(cx: &mut ScanContext<'_>) {
    let mut index = 0;
    while let Some(at) = cx.tokens.seed(index, seed::CAPITAL) {
        index = at + 1;
        if cx.is_taken(at) {
            continue;
        }
        let token = cx.tokens.at(at);
        let ending = cx.tokens.has_seed(at, seed::FIRM) && token.meaning.sense == Sense::None;
        if ending && let Some(first) = name_start(cx, at, token.has(Flags::FIRM)) {
            let last = ending_end(cx, at);
            cx.take(Entity::Organization, first, last, 0.8, "organisation");
            index = last + 1;
        } else if token.len() > 1 && !token.has(Flags::STOP | Flags::WEEKDAY) && is_after_cue(cx, at) {
            let last = name_end(cx, at);
            cx.take(Entity::Organization, at, last, 0.6, "organisation cue");
            index = last + 1;
        }
    }
}

fn is_name_word(cx: &ScanContext<'_>, token: Token) -> bool {
    token.class == Class::Word && token.len() > 1 && cx.tokens.is_capital(token)
}

/// The first of the words with capitals before an ending. After "bank" or "group" alone more is asked: a word that is no common one.
fn name_start(cx: &ScanContext<'_>, ending: usize, firm: bool) -> Option<usize> {
    let mut first = ending;
    let mut words = 0;
    let mut telling = firm;
    while words < LONGEST {
        let Some(at) = first.checked_sub(1) else { break };
        let token = cx.free(at);
        if cx.tokens.at(first).new_line {
            break;
        }
        let joint =
            token.is(b'&') || token.is(b',') || token.is(b'-') || token.has(Flags::AND) || token.is(b'.');
        if joint && at > 0 && is_name_word(cx, cx.free(at - 1)) && words > 0 {
            first = at;
            continue;
        }
        if !is_name_word(cx, token) || token.has(Flags::STOP) && words > 0 || token.has(Flags::WEEKDAY) {
            break;
        }
        telling |= !cx.known(at).is_common();
        first = at;
        words += 1;
    }
    while first < ending && !is_name_word(cx, cx.tokens.at(first)) {
        first += 1;
    }
    let begins = cx.tokens.at(first).has(Flags::STOP);
    let first = if begins && first + 1 < ending { first + 1 } else { first };
    (first < ending && telling && !cx.tokens.at(first).has(Flags::STOP)).then_some(first)
}

/// The last token of an ending: "Co. Ltd.", "Bank of America".
fn ending_end(cx: &ScanContext<'_>, ending: usize) -> usize {
    let mut last = ending;
    let dot = |at: usize| cx.free(at).is(b'.') && cx.tokens.glued(at) && cx.free(at + 1).class != Class::Edge;
    for _ in 0..3 {
        let next = last + 1 + usize::from(dot(last + 1));
        let token = cx.free(next);
        let of = cx.tokens.str(token) == "of" && is_name_word(cx, cx.free(next + 1)) && next == last + 1;
        if token.new_line {
            break;
        }
        if of {
            last = next + 1;
        } else if is_name_word(cx, token) && token.has(Flags::FIRM | Flags::BODY) {
            last = next;
        } else {
            break;
        }
    }
    last
}

fn name_end(cx: &ScanContext<'_>, first: usize) -> usize {
    let mut last = first;
    while last - first < LONGEST {
        let next = cx.free(last + 1);
        let joint = next.is(b'&') && is_name_word(cx, cx.free(last + 2));
        if joint {
            last += 2;
        } else if is_name_word(cx, next) && !next.new_line {
            last += 1;
        } else {
            break;
        }
    }
    last
}

fn is_after_cue(cx: &ScanContext<'_>, index: usize) -> bool {
    if !cx.tokens.has_seed(index.wrapping_sub(1), seed::FIRM_CUE | seed::COLON_SIGN) {
        return false;
    }
    let colon = cx.free_before(index).is(b':');
    let end = index - usize::from(colon);
    let last = cx.free_before(end);
    if !last.has(Flags::FIRM_CUE) || cx.tokens.is_capital(last) {
        return false;
    }
    let last = cx.tokens.str(last);
    CUES.iter().any(|cue| {
        let mut at = end;
        cue.ends_with(last)
            && (cue.contains(' ') || colon)
            && cue.rsplit(' ').all(|word| {
                let fits = cx.tokens.str(cx.free_before(at)).eq_ignore_ascii_case(word);
                at = at.saturating_sub(1);
                fits
            })
    })
}
