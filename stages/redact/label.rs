//! The labels of a domain name, written, spoken or spelled: "example dot com", "w w w dot example dot c o dot u k".
//!
//! In: a cx and a place. Out: where labels and domains end, and how sure their ending is. Must not know what an address is for.

use super::lexicon::{Flags, Meaning, meaning};
use super::scan_context::ScanContext;
use super::token::{Class, Token};

/// The confidence in the ending of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// A top-level domain that is also a common word or the ending of a file.
    Weak,
    /// A top-level domain.
    Strong,
}

/// A domain name.
#[derive(Clone, Copy, Debug)]
pub struct Domain {
    /// Its last token.
    pub last: usize,
    /// The confidence in its ending.
    pub ending: Ending,
    /// The number of its labels.
    pub labels: usize,
}

/// The most labels that are read.
const LABELS: usize = 10;
/// The most tokens of one label.
const LABEL_TOKENS: usize = 24;

/// The index after a dot at `index`: a sign with letters or digits on both sides, or the word for it.
pub fn after_dot(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let token = cx.free(index);
    if matches!(token.class, Class::Sign(b'[' | b'('))
        && cx.free(index + 1).has(Flags::DOT)
        && matches!(cx.free(index + 2).class, Class::Sign(b']' | b')'))
    {
        return Some(index + 3);
    }
    let sign = token.is(b'.') && (cx.tokens.is_inner(index) || is_torn(cx, index));
    let word = token.class == Class::Word
        && token.has(Flags::DOT)
        && is_solid(cx.free(index + 1))
        && is_solid(cx.free_before(index));
    (sign || word).then_some(index + 1)
}

/// "example. com", as a recogniser writes it.
fn is_torn(cx: &ScanContext<'_>, index: usize) -> bool {
    let (token, next) = (cx.tokens.at(index), cx.free(index + 1));
    cx.lenient
        && (cx.tokens.glued(index) != cx.tokens.glued(index + 1))
        && is_solid(cx.free_before(index))
        && !token.new_line
        && !next.new_line
        && next.has(Flags::TLD)
        && matches!(cx.tokens.str(next), "com" | "org" | "net" | "edu" | "gov")
}

/// Returns true if it is a word or digits.
#[inline]
pub fn is_solid(token: Token) -> bool {
    matches!(token.class, Class::Word | Class::Digits)
}

/// Reads a domain name from the token `first` on: as far as the last label that may end one.
pub fn domain(cx: &ScanContext<'_>, first: usize) -> Option<Domain> {
    let mut found = None;
    let mut at = first;
    for labels in 1..=LABELS {
        if labels > 1
            && let Some((last, ending)) = ending_at(cx, at)
        {
            let ending = found.map_or(ending, |known: Domain| known.ending.max(ending));
            found = Some(Domain { last, ending, labels });
        }
        match label_end(cx, at).and_then(|end| after_dot(cx, end)) {
            Some(next) => at = next,
            None => break,
        }
    }
    found
}

/// The index after the label that begins at `first`: a word with what is glued to it, or letters said one by one.
pub fn label_end(cx: &ScanContext<'_>, first: usize) -> Option<usize> {
    let token = cx.free(first);
    if !is_solid(token) || token.has(Flags::DOT | Flags::AT) {
        return None;
    }
    let mut at = first + 1;
    while at - first < LABEL_TOKENS && extends_label(cx, first, at) {
        at += 1;
    }
    Some(at)
}

fn extends_label(cx: &ScanContext<'_>, first: usize, at: usize) -> bool {
    let token = cx.free(at);
    if cx.tokens.glued(at) {
        let joint = (token.is(b'-') || token.is(b'_')) && cx.tokens.is_inner(at);
        return joint || is_solid(token) && !cx.tokens.before(at).is(b'.');
    }
    if token.new_line {
        return false;
    }
    let dash = token.has(Flags::DASH | Flags::UNDERSCORE);
    let after_dash = cx.tokens.before(at).has(Flags::DASH | Flags::UNDERSCORE) && at > first + 1;
    if dash || after_dash {
        return is_solid(token) && is_solid(cx.free(at + 1));
    }
    is_spelled(cx.tokens.before(at)) && is_spelled(token)
}

/// A single letter, or a spoken digit.
#[inline]
pub fn is_spelled(token: Token) -> bool {
    token.is_letter()
        || token.class == Class::Digits && token.len() == 1
        || token.class == Class::Word && token.meaning.sense.is_number()
}

/// The last token of a top-level domain that begins at `first`: one word, or letters said one by one.
fn ending_at(cx: &ScanContext<'_>, first: usize) -> Option<(usize, Ending)> {
    let token = cx.free(first);
    if token.class != Class::Word {
        return None;
    }
    if token.len() > 1 {
        let next = cx.tokens.at(first + 1);
        let joined = is_solid(next) || matches!(next.class, Class::Tag(_)) || is_hyphenated(cx, first + 1);
        let whole = !cx.tokens.glued(first + 1) || !joined;
        return ending(token.meaning).filter(|_| whole).map(|ending| (first, ending));
    }
    (2..=4).rev().find_map(|letters| spelled_ending(cx, first, letters))
}

fn is_hyphenated(cx: &ScanContext<'_>, index: usize) -> bool {
    cx.tokens.at(index).is(b'-') && cx.tokens.is_inner(index)
}

fn spelled_ending(cx: &ScanContext<'_>, first: usize, letters: usize) -> Option<(usize, Ending)> {
    let mut word = String::with_capacity(letters);
    for at in first..first + letters {
        let token = cx.free(at);
        if !token.is_letter() {
            return None;
        }
        word.push(char::from(cx.tokens.letter(token)));
    }
    ending(meaning(&word)).map(|_| (first + letters - 1, Ending::Strong))
}

fn ending(meaning: Meaning) -> Option<Ending> {
    if meaning.flags.any(Flags::TLD) {
        Some(Ending::Strong)
    } else if meaning.flags.any(Flags::WEAK_TLD) {
        Some(Ending::Weak)
    } else {
        None
    }
}
