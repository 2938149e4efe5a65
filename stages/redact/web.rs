//! Web addresses: written, spoken, with or without their scheme.
//!
//! In: a cx and the place of a dot or a colon. Out: findings. A domain alone is a web address, or an e-mail address that lost its at
//! sign where e-mail is spoken of.

use super::address::{LABEL_WORDS, domain_after, name_start};
use super::cue::Hint;
use super::kind::Entity;
use super::label::{self, Ending, is_solid, is_spelled};
use super::lexicon::{Flags, Sense};
use super::scan_context::ScanContext;
use super::token::Class;

/// The most tokens of a path.
const PATH_TOKENS: usize = 512;

/// Written web addresses with a scheme: up to the next white space.
pub fn find_schemes(cx: &mut ScanContext<'_>) {
    for index in 1..cx.tokens.len() {
        let tokens = &cx.tokens;
        let colon =
            tokens.at(index).is(b':') && tokens.at(index + 1).is(b'/') && tokens.at(index + 2).is(b'/');
        let glued = (index..=index + 3).all(|at| tokens.glued(at));
        if colon && glued && tokens.before(index).class == Class::Word && !cx.is_taken(index - 1) {
            let last = path_end(cx, index + 3);
            cx.take(Entity::Url, index - 1, last, 1.0, "url");
        }
    }
}

/// The last token of what is glued from `from` on, without the signs that end a sentence.
fn path_end(cx: &ScanContext<'_>, from: usize) -> usize {
    let mut end = from;
    while end - from < PATH_TOKENS
        && cx.tokens.glued(end + 1)
        && !cx.is_taken(end + 1)
        && !matches!(cx.tokens.at(end + 1).class, Class::Sign(b'<' | b'>' | b'"'))
    {
        end += 1;
    }
    while end > from
        && matches!(
            cx.tokens.at(end).class,
            Class::Sign(b'.' | b',' | b';' | b':' | b'!' | b'?' | b')' | b'\'' | b']')
        )
    {
        end -= 1;
    }
    end
}

/// Takes the domain whose first dot is at `dot`, or nothing; the index to go on from.
pub fn take_domain(cx: &mut ScanContext<'_>, dot: usize) -> usize {
    let Some(first) = label_start(cx, dot) else { return dot + 1 };
    let web = www_start(cx, dot);
    let domain = match web {
        Some(_) => domain_after(cx, dot + 1, true, false),
        None => label::domain(cx, first),
    };
    let Some(domain) = domain else { return dot + 1 };
    let www = web.is_some() || is_www(cx, first) || scheme_start(cx, first) < first;
    let said = cx
        .context_for(first, |hint| matches!(hint, Hint::Of(Entity::Email | Entity::Url)))
        .map(|context| context.hint);
    let written = cx.tokens.at(dot).is(b'.');
    let path = !written && cx.free(domain.last + 1).has(Flags::SLASH) && is_solid(cx.free(domain.last + 2));
    let sure = domain.ending == Ending::Strong || www || path || said.is_some_and(|_| !written || cx.lenient);
    if !sure || is_stop_word(cx, first) && said.is_none() {
        return dot + 1;
    }
    if said == Some(Hint::Of(Entity::Email)) && !www && !path {
        let start = name_start(cx, first).unwrap_or(first);
        cx.take(Entity::Email, start, domain.last, 0.6, "e-mail without an at sign");
        return domain.last + 1;
    }
    if !written && domain.labels == 2 && is_era(cx, domain.last + 1) {
        return dot + 1;
    }
    let start = www_start(cx, dot).unwrap_or_else(|| match said {
        Some(Hint::Of(Entity::Url)) if !written => words_before(cx, first),
        _ => first,
    });
    let start = scheme_start(cx, if path { labels_before(cx, start) } else { start });
    let last = if cx.tokens.glued(domain.last + 1) && !cx.tokens.at(domain.last + 1).is(b'.') {
        path_end(cx, domain.last)
    } else {
        spoken_path_end(cx, domain.last)
    };
    cx.take(Entity::Url, start, last, 0.8, "domain");
    last + 1
}

/// "The dot com boom".
fn is_era(cx: &ScanContext<'_>, index: usize) -> bool {
    const WORDS: [&str; 8] = ["boom", "bubble", "crash", "bust", "era", "company", "companies", "startup"];
    WORDS.iter().any(|word| cx.tokens.str(cx.free(index)).eq_ignore_ascii_case(word))
}

/// "The site is harbor light dot org": the words of a first label between what speaks of a site and its last word.
fn words_before(cx: &ScanContext<'_>, first: usize) -> usize {
    let mut start = first;
    for _ in 0..2 * LABEL_WORDS {
        let token = cx.free_before(start);
        if token.has(Flags::LINK | Flags::STOP) || token.meaning.cue > 0 {
            return start;
        }
        let scheme = token.has(Flags::SLASH | Flags::COLON);
        if token.class != Class::Word || scheme || cx.tokens.at(start).new_line {
            break;
        }
        start -= 1;
    }
    first
}

/// "Portal dot north clinic dot org slash": the labels before a label whose words are said apart.
fn labels_before(cx: &ScanContext<'_>, first: usize) -> usize {
    let plain = |at: usize| is_solid(cx.free(at)) && !cx.free(at).has(Flags::STOP | Flags::LINK | Flags::DOT);
    for dot in (first.saturating_sub(LABEL_WORDS)..first).rev() {
        if cx.free(dot).has(Flags::DOT) {
            return label_start(cx, dot).unwrap_or(first);
        }
        if !plain(dot) {
            break;
        }
    }
    first
}

/// The last token of a path that is said: "slash login", "forward slash a dash b", "slash user four oh two".
fn spoken_path_end(cx: &ScanContext<'_>, domain: usize) -> usize {
    let mut last = domain;
    while last - domain < PATH_TOKENS {
        let slash = last + 1;
        if !cx.free(slash).has(Flags::SLASH) || !is_solid(cx.free(slash + 1)) || cx.free(slash).new_line {
            break;
        }
        let Some(end) = label::label_end(cx, slash + 1) else { break };
        last = end - 1;
        // Letters and digits behind a word are said, and belong to it.
        while is_spelled(cx.free(last + 1)) && !cx.free(last + 1).new_line && !is_pronoun(cx, last + 1) {
            last += 1;
        }
    }
    last
}

/// "a", "I": words, where no letter follows.
fn is_pronoun(cx: &ScanContext<'_>, index: usize) -> bool {
    matches!(cx.tokens.str(cx.free(index)), "a" | "A" | "i" | "I") && !is_spelled(cx.free(index + 1))
}

/// Returns the start of "w w w", "triple w", "dub dub dub" before the dot at `dot`; "double u" is a letter by now.
fn www_start(cx: &ScanContext<'_>, dot: usize) -> Option<usize> {
    let is = |at: usize, word: &str| cx.tokens.str(cx.free(at)).eq_ignore_ascii_case(word);
    let letters = dot.checked_sub(3).filter(|at| (*at..dot).all(|at| is_w(cx, at) || is(at, "dub")));
    let triple = dot.checked_sub(2).filter(|at| {
        let sense = cx.free(*at).meaning.sense;
        matches!(sense, Sense::Repeat(3) | Sense::Digit(3)) && is_w(cx, at + 1)
    });
    letters.or(triple)
}

fn is_w(cx: &ScanContext<'_>, at: usize) -> bool {
    let token = cx.free(at);
    token.is_letter() && cx.tokens.letter(token) == b'W'
}

/// "www", "w w w".
fn is_www(cx: &ScanContext<'_>, first: usize) -> bool {
    let is = |at: usize, word: &str| cx.tokens.str(cx.free(at)).eq_ignore_ascii_case(word);
    is(first, "www") || (first..first + 3).all(|at| is_w(cx, at))
}

fn is_stop_word(cx: &ScanContext<'_>, first: usize) -> bool {
    let token = cx.tokens.at(first);
    let dashed = cx.free(first + 1).has(Flags::DASH | Flags::UNDERSCORE);
    token.has(Flags::STOP) && !token.is_letter() && !dashed && !cx.tokens.glued(first + 1)
}

/// The first token of the label before the dot at `dot`.
fn label_start(cx: &ScanContext<'_>, dot: usize) -> Option<usize> {
    let mut start = dot.checked_sub(1)?;
    if !is_solid(cx.free(start)) {
        return None;
    }
    for _ in 0..24 {
        let Some(left) = start.checked_sub(1) else { break };
        let token = cx.free(left);
        let glued =
            cx.tokens.glued(start) && (is_solid(token) || token.is(b'-') || token.is(b'_') || token.is(b'.'));
        let spelled = is_spelled(token) && is_spelled(cx.tokens.at(start)) && !cx.tokens.at(start).new_line;
        // "my dash site": the word before a spoken dash belongs to it.
        let dashed = token.class == Class::Word
            && token.has(Flags::DASH | Flags::UNDERSCORE)
            && left > 0
            && is_solid(cx.free(left - 1))
            && !cx.tokens.at(start).new_line;
        if !glued && !spelled && !dashed {
            break;
        }
        start = if dashed { left - 1 } else { left };
    }
    while start + 1 < dot && !is_solid(cx.tokens.at(start)) {
        start += 1;
    }
    Some(start)
}

/// Returns the start of a spoken "h t t p s colon slash slash" before `first`.
fn scheme_start(cx: &ScanContext<'_>, first: usize) -> usize {
    const SLASHES: usize = 6;
    let mut colon = first;
    while colon > 0 && first - colon < SLASHES && is_slash(cx, colon - 1) {
        colon -= 1;
    }
    let Some(colon) = (colon < first).then(|| colon.checked_sub(1)).flatten() else { return first };
    let said = cx.free(colon).has(Flags::COLON) || cx.free(colon).is(b':');
    let mut start = colon;
    while said && start > 0 && colon - start < SCHEME && is_of_scheme(cx, start - 1) {
        start -= 1;
    }
    if start == colon { first } else { start }
}

/// The most tokens of a scheme that is said letter by letter, with hyphens.
const SCHEME: usize = 12;

fn is_slash(cx: &ScanContext<'_>, index: usize) -> bool {
    let token = cx.free(index);
    token.has(Flags::SLASH) || matches!(token.class, Class::Sign(b'/' | b',' | b'\\'))
}

/// A letter of "h t t p s", its name, or the whole of it.
fn is_of_scheme(cx: &ScanContext<'_>, index: usize) -> bool {
    const LETTERS: [&str; 8] = ["aitch", "haitch", "tee", "tea", "pee", "ess", "double", "triple"];
    let token = cx.free(index);
    token.is_letter()
        || token.has(Flags::SCHEME)
        || matches!(token.class, Class::Sign(b'-' | b',' | b'.'))
        || LETTERS.iter().any(|name| cx.tokens.str(token).eq_ignore_ascii_case(name))
}
