//! E-mail addresses: written, spoken, spelled, and as a recogniser writes them.
//!
//! In: a cx. Out: findings. An at sign (written or spoken) with a domain after it and a name before it is an e-mail address. What a
//! domain alone is, `web` says.

use super::cue::Hint;
use super::kind::Entity;
use super::label::{self, Domain, Ending, is_solid, is_spelled};
use super::lexicon::{Flags, Sense};
use super::number::group_at;
use super::scan_context::ScanContext;
use super::token::{Class, seed};
use super::web;

/// The most tokens of the name before an at sign.
const NAME_TOKENS: usize = 64;
/// The most words of it that are neither letters, numbers nor glued.
const NAME_WORDS: usize = 3;
/// The most words that a spoken domain's first label has ("blue sky dot com").
pub const LABEL_WORDS: usize = 3;

/// Finds the addresses.
pub fn find(cx: &mut ScanContext<'_>) {
    if cx.tokens.any(seed::COLON_SIGN) {
        web::find_schemes(cx);
    }
    let mut index = 0;
    while let Some(at) = cx.tokens.seed(index, seed::AT) {
        index = at + 1;
        if !cx.is_taken(at) {
            take_email(cx, at);
        }
    }
    index = 0;
    while let Some(at) = cx.tokens.seed(index, seed::DOT) {
        index = match label::after_dot(cx, at) {
            Some(_) => web::take_domain(cx, at),
            None => at + 1,
        };
    }
}

fn take_email(cx: &mut ScanContext<'_>, at: usize) {
    let spoken = cx.tokens.at(at).class == Class::Word;
    let bracket = is_bracketed(cx, at);
    let Some(first) = name_start(cx, at - usize::from(bracket)) else { return };
    let said = cx.context_for(first, |hint| hint == Hint::Of(Entity::Email)).is_some();
    let first = if spoken { said_before(cx, first, at) } else { first };
    let glued = !spoken && cx.tokens.glued(at) && cx.tokens.glued(at + 1);
    let (after, rate) = if bracket { (at + 2, true) } else { after_at(cx, at) };
    let joined = (first..at).any(|index| is_joint(cx, index));
    if let Some(domain) = domain_after(cx, after, joined, said) {
        let written = spoken && (after..domain.last).any(|index| cx.tokens.at(index).is(b'.'));
        // "Docs at example.io/docs", and in clean text "docs at example.io", speak of a page.
        let path = cx.tokens.glued(domain.last + 1) && cx.tokens.at(domain.last + 1).is(b'/')
            || cx.free(domain.last + 1).has(Flags::SLASH) && is_solid(cx.free(domain.last + 2));
        let page = spoken && (path && !joined || !said && written && !cx.lenient && !joined);
        let long = cx.tokens.at(domain.last).len() > 3;
        let sure =
            !spoken || rate || domain.ending == Ending::Strong || said || (joined || long) && cx.lenient;
        if page {
            return;
        }
        if sure {
            let score = if glued { 1.0 } else { 0.9 };
            return cx.take(Entity::Email, first, domain.last, score, "e-mail");
        }
    }
    // "deploy@10.4.22.7": a user at an address of the net, which is found as such.
    if glued && cx.free(at + 1).class == Class::Digits && cx.free(at + 2).is(b'.') {
        return;
    }
    let loose = loose_domain(cx, after, said);
    let last = if glued && is_solid(cx.free(at + 1)) {
        label::label_end(cx, at + 1).map(|end| labels_end(cx, end - 1)).max(loose)
    } else {
        loose
    };
    if let Some(last) = last {
        cx.take(Entity::Email, first, last, 0.6, "e-mail without a dot");
    }
}

/// Past what is glued to the last token of a label by dots: "fairview.example", whose ending nobody gives.
fn labels_end(cx: &ScanContext<'_>, last: usize) -> usize {
    const MOST: usize = 16;
    let mut end = last;
    while end < last + MOST
        && cx.free(end + 1).is(b'.')
        && cx.tokens.is_inner(end + 1)
        && is_solid(cx.free(end + 2))
    {
        end += 2;
    }
    end
}

/// "[at]", "(at)".
fn is_bracketed(cx: &ScanContext<'_>, at: usize) -> bool {
    matches!(cx.free_before(at).class, Class::Sign(b'[' | b'('))
        && matches!(cx.free(at + 1).class, Class::Sign(b']' | b')'))
}

/// The index after an at sign, and whether it is said as in India: "at the rate", "at the rate of".
fn after_at(cx: &ScanContext<'_>, at: usize) -> (usize, bool) {
    let is = |at: usize, word: &str| cx.tokens.str(cx.free(at)).eq_ignore_ascii_case(word);
    let rate = at + 1 + usize::from(is(at + 1, "the"));
    // "At the g mail dot com".
    let mailbox = |at: usize| {
        cx.free(at).has(Flags::PROVIDER) || label::after_dot(cx, at + 1).is_some() || is_spelled(cx.free(at))
    };
    if rate > at + 1 && cx.lenient && mailbox(rate) {
        return (rate, false);
    }
    if is(rate, "rate") { (rate + 1 + usize::from(is(rate + 1, "of")), true) } else { (at + 1, false) }
}

/// A domain right after an at sign, whose first label may be said in several words.
///
/// After a name with spoken signs it may begin with any word ("at my company dot io"), and with an article where e-mail is spoken of.
pub fn domain_after(cx: &ScanContext<'_>, first: usize, joined: bool, said: bool) -> Option<Domain> {
    let mut start = first;
    for _ in 0..LABEL_WORDS {
        let token = cx.free(start);
        let article = || {
            let word = cx.tokens.str(token);
            start == first && ["the", "my", "our"].iter().any(|known| word.eq_ignore_ascii_case(known))
        };
        let may = !token.has(Flags::STOP)
            || joined
            || said && article()
            || token.is_letter()
            || label::after_dot(cx, start + 1).is_some();
        if !is_solid(token) || !may {
            return None;
        }
        if let Some(domain) = label::domain(cx, start) {
            return Some(domain);
        }
        start = label::label_end(cx, start)?;
    }
    None
}

/// A mail provider, or "example com", where e-mail is spoken of.
fn loose_domain(cx: &ScanContext<'_>, first: usize, said: bool) -> Option<usize> {
    let (token, next) = (cx.free(first), cx.free(first + 1));
    if token.has(Flags::PROVIDER) && (said || cx.lenient || next.has(Flags::TLD)) {
        return Some(if next.has(Flags::TLD) { first + 1 } else { first });
    }
    let plain = is_solid(token) && !token.has(Flags::STOP);
    let common = matches!(cx.tokens.str(next), "com" | "org" | "net" | "edu" | "gov");
    (said && plain && common).then_some(first + 1)
}

/// The first token of the name that ends before the at sign at `at`.
pub fn name_start(cx: &ScanContext<'_>, at: usize) -> Option<usize> {
    if let Some(first) = quoted_name(cx, at) {
        return Some(first);
    }
    let mut start = at;
    let mut solid = cx.tokens.at(at).is(b'@');
    let mut words = 0;
    while at - start < NAME_TOKENS
        && let Some(step) = name_step(cx, start, at, solid, &mut words)
    {
        solid &= cx.tokens.glued(start);
        start = step;
    }
    while start < at && (!is_solid(cx.tokens.at(start)) || is_joint(cx, start)) {
        start += 1;
    }
    (start < at).then_some(start)
}

/// The opening mark of `"jane doe"@example.com` (RFC 5322).
fn quoted_name(cx: &ScanContext<'_>, at: usize) -> Option<usize> {
    const MOST: usize = 12;
    let close = at.checked_sub(1).filter(|close| cx.free(*close).is(b'"') && cx.tokens.glued(at))?;
    (close.saturating_sub(MOST)..close)
        .rev()
        .find(|open| cx.free(*open).is(b'"') && cx.tokens.glued(open + 1))
}

/// Returns the start of a name that is said and then spelled: "anna dot k, that is a n n a dot k, at".
fn said_before(cx: &ScanContext<'_>, first: usize, at: usize) -> usize {
    const BRIDGE: usize = 8;
    const WORDS: usize = 12;
    let links = |index: usize| {
        let token = cx.free(index);
        match token.class {
            Class::Word => {
                let word = cx.tokens.str(token);
                let spells = ["letter", "letters", "by", "in", "meaning", "which", "spells", "i"];
                token.has(Flags::LINK | Flags::SPELLS | Flags::FILLER)
                    || token.is_letter() && cx.tokens.before(index).is(b'\'')
                    || spells.iter().any(|known| word.eq_ignore_ascii_case(known))
            }
            Class::Sign(b',' | b'.' | b':' | b'-' | b'\'') => true,
            _ => token.is_apostrophe(),
        }
    };
    let mut bridge = first;
    while bridge > 0 && first - bridge < BRIDGE && links(bridge - 1) {
        bridge -= 1;
    }
    let spelled = if bridge < first { symbols(cx, first, at) } else { String::new() };
    // "That is" may itself be a part of what links: a name ends before any of it.
    let ends = (bridge..first).filter(|end| *end > 0);
    let said = ends.filter_map(|end| {
        let from = end.saturating_sub(WORDS);
        (from..end)
            .rev()
            .take_while(|at| is_solid(cx.free(*at)))
            .find(|from| symbols(cx, *from, end) == spelled)
    });
    if spelled.len() < 2 { first } else { said.min().unwrap_or(first) }
}

/// The letters and digits of what is said or spelled from `from` to `to`.
fn symbols(cx: &ScanContext<'_>, from: usize, to: usize) -> String {
    let mut symbols = String::new();
    let mut at = from;
    while at < to {
        let token = cx.free(at);
        at = match group_at(&cx.tokens, at) {
            _ if is_joint(cx, at) || !is_solid(token) => at + 1,
            Some((digits, after)) if !token.is_explained() => {
                symbols.extend(
                    digits.iter().map(|digit| if *digit == 0 { 'o' } else { char::from(b'0' + digit) }),
                );
                after
            }
            _ if token.is_explained() => {
                symbols.push(char::from(token.meaning.letter.to_ascii_lowercase()));
                at + 1
            }
            _ => {
                symbols.extend(
                    cx.tokens
                        .str(token)
                        .chars()
                        .filter(|c| c.is_alphanumeric())
                        .map(|c| c.to_ascii_lowercase()),
                );
                at + 1
            }
        };
    }
    symbols
}

/// The name's next token to the left of `start`, if it still belongs to it.
fn name_step(cx: &ScanContext<'_>, start: usize, at: usize, solid: bool, words: &mut usize) -> Option<usize> {
    let index = start.checked_sub(1)?;
    let token = cx.free(index);
    let glued = cx.tokens.glued(start);
    let spoken = cx.tokens.at(at).class == Class::Word;
    match token.class {
        Class::Sign(b'\'' | b'&' | b'#' | b'%') if solid && glued => Some(index),
        Class::Sign(b'\'') if glued && is_prefixed(cx, index) => Some(index),
        Class::Sign(b'.' | b'-' | b'_' | b'+') if glued => Some(index),
        // "2fast4you@", "lee%40home@": figures and letters in one piece.
        Class::Word | Class::Digits if solid && glued => Some(index),
        Class::Sign(b',') if cx.lenient && spoken && is_comma_of_name(cx, index, start == at) => Some(index),
        Class::Word | Class::Digits if glued && cx.tokens.at(start).class != Class::Word => {
            is_name_part(cx, index, start, at, words).then_some(index)
        }
        // "zoe 1 2 3 @ gmail.com": a sign that stands apart was said.
        Class::Digits => ((spoken || cx.lenient && !cx.tokens.glued(at))
            && token.len() <= 4
            && !cx.tokens.at(start).new_line)
            .then_some(index),
        Class::Word if cx.tokens.at(start).new_line => None,
        Class::Word => is_name_part(cx, index, start, at, words).then_some(index),
        _ => None,
    }
}

/// "o'neil", "d'angelo": an apostrophe behind one letter.
fn is_prefixed(cx: &ScanContext<'_>, apostrophe: usize) -> bool {
    let letter = cx.free_before(apostrophe);
    cx.tokens.is_inner(apostrophe) && letter.is_letter() && !cx.tokens.glued(apostrophe - 1)
}

/// Returns true if a comma belongs to a name that is said sign by sign: "john, dot, doe, at".
fn is_comma_of_name(cx: &ScanContext<'_>, comma: usize, last: bool) -> bool {
    let joint = |back: usize| comma.checked_sub(back).is_some_and(|at| is_joint(cx, at));
    let explained = || cx.free_before(comma).is_explained();
    if last {
        joint(2)
            || joint(3) && cx.free(comma - 2).is(b',')
            || explained()
            || is_spelled(cx.free_before(comma))
    } else {
        is_spelled_joint(cx, comma)
    }
}

/// Returns true if a comma lies between letters, numbers or spoken signs.
fn is_spelled_joint(cx: &ScanContext<'_>, comma: usize) -> bool {
    let (left, right) = (cx.free_before(comma), cx.free(comma + 1));
    if left.class == Class::Digits && right.class != Class::Digits {
        return false;
    }
    let sign = |at: usize| is_joint(cx, at);
    (is_spelled(left) || comma > 0 && sign(comma - 1)) || is_spelled(right) || sign(comma + 1)
}

/// A spoken sign inside a name.
fn is_joint(cx: &ScanContext<'_>, index: usize) -> bool {
    let token = cx.free(index);
    token.class == Class::Word && token.has(Flags::DOT | Flags::DASH | Flags::UNDERSCORE | Flags::PLUS)
}

/// "Accounts at example dot com": what elsewhere promises a number is a mailbox right before the at sign.
fn is_mailbox(cx: &ScanContext<'_>, index: usize) -> bool {
    cx.cue_at(index).is_some_and(|hint| {
        !matches!(hint, Hint::Any | Hint::Of(Entity::Email | Entity::Url | Entity::Phone))
    })
}

fn is_name_part(cx: &ScanContext<'_>, index: usize, start: usize, at: usize, words: &mut usize) -> bool {
    let token = cx.free(index);
    let right = cx.tokens.at(start);
    if cx.tokens.glued(start) && start < at || cx.tokens.glued(start) && cx.tokens.at(at).is(b'@') {
        return true;
    }
    let beside_joint = start < at && is_joint(cx, start) || index > 0 && is_joint(cx, index - 1);
    let written_joint = index > 1
        && start == at
        && cx.tokens.is_inner(index - 1)
        && matches!(cx.free(index - 1).class, Class::Sign(b'.' | b'-' | b'_'));
    if is_joint(cx, index) || beside_joint || written_joint {
        return !token.has(Flags::AT);
    }
    if token.is_letter() {
        if cx.tokens.glued(index) && cx.free_before(index).is(b'\'') {
            return false;
        }
        let alone = matches!(cx.tokens.str(token), "a" | "A" | "i" | "I");
        return !alone || is_spelled(cx.free_before(index)) || is_spelled(right) && start < at;
    }
    if matches!(token.meaning.sense, Sense::Digit(_) | Sense::Teen(_) | Sense::Ten(_) | Sense::Repeat(_)) {
        return true;
    }
    let written_at = cx.tokens.at(at).is(b'@');
    // "Sure, g r e t a": a word before letters that only leads over to them.
    let letters = is_spelled(right) || right.is(b',') && is_spelled(cx.free(start + 1));
    if token.has(Flags::LINK) && letters && start < at {
        return false;
    }
    if token.has(Flags::STOP | Flags::AT | Flags::FILLER)
        || token.meaning.cue > 0 && !(start == at && is_mailbox(cx, index))
        || written_at && !cx.lenient
    {
        return false;
    }
    // "all one word", "in lower case"
    let manner = ["all", "word", "together", "lowercase", "case", "caps"];
    if !manner.iter().any(|known| cx.tokens.str(token).eq_ignore_ascii_case(known)) {
        *words += 1;
    }
    *words <= NAME_WORDS
}
