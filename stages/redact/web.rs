//! Web addresses: written, spoken, with or without their scheme.
//!
//! In: a scene and the place of a dot or a colon. Out: findings. A domain alone is a web address, or an e-mail address that lost its at
//! sign where e-mail is spoken of.

use super::address::{LABEL_WORDS, domain_after, name_start};
use super::cue::Hint;
use super::kind::Entity;
use super::label::{self, Ending, is_solid, is_spelled};
use super::lexicon::{Flags, Sense};
use super::scene::Scene;
use super::token::Class;

/// The most tokens of a path.
const PATH_TOKENS: usize = 512;

/// Written web addresses with a scheme: up to the next white space.
pub fn find_schemes(scene: &mut Scene<'_>) {
    for index in 1..scene.tokens.len() {
        let tokens = &scene.tokens;
        let colon =
            tokens.at(index).is(b':') && tokens.at(index + 1).is(b'/') && tokens.at(index + 2).is(b'/');
        let glued = (index..=index + 3).all(|at| tokens.glued(at));
        if colon && glued && tokens.before(index).class == Class::Word && !scene.is_taken(index - 1) {
            let last = path_end(scene, index + 3);
            scene.take(Entity::Url, index - 1, last, 1.0, "url");
        }
    }
}

/// The last token of what is glued from `from` on, without the signs that end a sentence.
fn path_end(scene: &Scene<'_>, from: usize) -> usize {
    let mut end = from;
    while end - from < PATH_TOKENS
        && scene.tokens.glued(end + 1)
        && !scene.is_taken(end + 1)
        && !matches!(scene.tokens.at(end + 1).class, Class::Sign(b'<' | b'>' | b'"'))
    {
        end += 1;
    }
    while end > from
        && matches!(
            scene.tokens.at(end).class,
            Class::Sign(b'.' | b',' | b';' | b':' | b'!' | b'?' | b')' | b'\'' | b']')
        )
    {
        end -= 1;
    }
    end
}

/// Takes the domain whose first dot is at `dot`, or nothing; the index to go on from.
pub fn take_domain(scene: &mut Scene<'_>, dot: usize) -> usize {
    let Some(first) = label_start(scene, dot) else { return dot + 1 };
    let web = www_start(scene, dot);
    let domain = match web {
        Some(_) => domain_after(scene, dot + 1, true, false),
        None => label::domain(scene, first),
    };
    let Some(domain) = domain else { return dot + 1 };
    let www = web.is_some() || is_www(scene, first) || scheme_start(scene, first) < first;
    let said = scene
        .context_for(first, |hint| matches!(hint, Hint::Of(Entity::Email | Entity::Url)))
        .map(|context| context.hint);
    let written = scene.tokens.at(dot).is(b'.');
    let path =
        !written && scene.free(domain.last + 1).has(Flags::SLASH) && is_solid(scene.free(domain.last + 2));
    let sure =
        domain.ending == Ending::Strong || www || path || said.is_some_and(|_| !written || scene.lenient);
    if !sure || is_stop_word(scene, first) && said.is_none() {
        return dot + 1;
    }
    if said == Some(Hint::Of(Entity::Email)) && !www {
        let start = name_start(scene, first).unwrap_or(first);
        scene.take(Entity::Email, start, domain.last, 0.6, "e-mail without an at sign");
        return domain.last + 1;
    }
    if !written && domain.labels == 2 && is_era(scene, domain.last + 1) {
        return dot + 1;
    }
    let start = www_start(scene, dot).unwrap_or_else(|| match said {
        Some(Hint::Of(Entity::Url)) if !written => words_before(scene, first),
        _ => first,
    });
    let start = scheme_start(scene, start);
    let last = if scene.tokens.glued(domain.last + 1) && !scene.tokens.at(domain.last + 1).is(b'.') {
        path_end(scene, domain.last)
    } else {
        spoken_path_end(scene, domain.last)
    };
    scene.take(Entity::Url, start, last, 0.8, "domain");
    last + 1
}

/// "The dot com boom".
fn is_era(scene: &Scene<'_>, index: usize) -> bool {
    const WORDS: [&str; 8] = ["boom", "bubble", "crash", "bust", "era", "company", "companies", "startup"];
    WORDS.iter().any(|word| scene.tokens.str(scene.free(index)).eq_ignore_ascii_case(word))
}

/// "The site is harbor light dot org": the words of a first label between what speaks of a site and its last word.
fn words_before(scene: &Scene<'_>, first: usize) -> usize {
    let mut start = first;
    for _ in 0..2 * LABEL_WORDS {
        let token = scene.free_before(start);
        if token.has(Flags::LINK | Flags::STOP) || token.meaning.cue > 0 {
            return start;
        }
        let scheme = token.has(Flags::SLASH | Flags::COLON);
        if token.class != Class::Word || scheme || scene.tokens.at(start).new_line {
            break;
        }
        start -= 1;
    }
    first
}

/// The last token of a path that is said: "slash login", "forward slash a dash b".
fn spoken_path_end(scene: &Scene<'_>, domain: usize) -> usize {
    let mut last = domain;
    while last - domain < PATH_TOKENS {
        let forward = scene.tokens.str(scene.free(last + 1)).eq_ignore_ascii_case("forward");
        let slash = last + 1 + usize::from(forward);
        if !scene.free(slash).has(Flags::SLASH)
            || !is_solid(scene.free(slash + 1))
            || scene.free(slash).new_line
        {
            break;
        }
        let Some(end) = label::label_end(scene, slash + 1) else { break };
        last = end - 1;
    }
    last
}

/// Where "double u double u double u", "triple w" before the dot at `dot` begins.
fn www_start(scene: &Scene<'_>, dot: usize) -> Option<usize> {
    let says = |at: usize, sense: Sense| scene.free(at).meaning.sense == sense;
    let is_u = |at: usize| {
        ["u", "you"].iter().any(|word| scene.tokens.str(scene.free(at)).eq_ignore_ascii_case(word))
    };
    let double_u = |at: usize| says(at, Sense::Repeat(2)) && is_u(at + 1);
    let is_w = |at: usize| scene.tokens.str(scene.free(at)).eq_ignore_ascii_case("w");
    let letters = dot.checked_sub(3).filter(|at| (*at..dot).all(is_w));
    let is_dub = |at: usize| scene.tokens.str(scene.free(at)).eq_ignore_ascii_case("dub");
    let dubs = dot.checked_sub(3).filter(|at| (*at..dot).all(is_dub));
    let three = dot.checked_sub(6).filter(|at| (0..3).all(|pair| double_u(at + 2 * pair)));
    let triple = dot.checked_sub(2).filter(|at| {
        says(*at, Sense::Repeat(3)) && scene.tokens.str(scene.free(at + 1)).eq_ignore_ascii_case("w")
    });
    let both = dot.checked_sub(3).filter(|at| says(*at, Sense::Repeat(3)) && double_u(at + 1));
    three.or(both).or(triple).or(dubs).or(letters)
}

/// "www", "w w w".
fn is_www(scene: &Scene<'_>, first: usize) -> bool {
    let is = |at: usize, word: &str| scene.tokens.str(scene.free(at)).eq_ignore_ascii_case(word);
    is(first, "www") || (first..first + 3).all(|at| is(at, "w"))
}

fn is_stop_word(scene: &Scene<'_>, first: usize) -> bool {
    let token = scene.tokens.at(first);
    let dashed = scene.free(first + 1).has(Flags::DASH | Flags::UNDERSCORE);
    token.has(Flags::STOP) && !token.is_letter() && !dashed && !scene.tokens.glued(first + 1)
}

/// The first token of the label before the dot at `dot`.
fn label_start(scene: &Scene<'_>, dot: usize) -> Option<usize> {
    let mut start = dot.checked_sub(1)?;
    if !is_solid(scene.free(start)) {
        return None;
    }
    for _ in 0..24 {
        let Some(left) = start.checked_sub(1) else { break };
        let token = scene.free(left);
        let glued = scene.tokens.glued(start)
            && (is_solid(token) || token.is(b'-') || token.is(b'_') || token.is(b'.'));
        let spelled =
            is_spelled(token) && is_spelled(scene.tokens.at(start)) && !scene.tokens.at(start).new_line;
        // "my dash site": the word before a spoken dash belongs to it.
        let dashed = token.class == Class::Word
            && token.has(Flags::DASH | Flags::UNDERSCORE)
            && left > 0
            && is_solid(scene.free(left - 1))
            && !scene.tokens.at(start).new_line;
        if !glued && !spelled && !dashed {
            break;
        }
        start = if dashed { left - 1 } else { left };
    }
    while start + 1 < dot && !is_solid(scene.tokens.at(start)) {
        start += 1;
    }
    Some(start)
}

/// Where a spoken "h t t p s colon slash slash" before `first` begins.
fn scheme_start(scene: &Scene<'_>, first: usize) -> usize {
    let slash = |back: usize| first.checked_sub(back).is_some_and(|at| scene.free(at).has(Flags::SLASH));
    let colon = first.checked_sub(3).filter(|at| scene.free(*at).has(Flags::COLON));
    let Some(colon) = colon.filter(|_| slash(1) && slash(2)) else { return first };
    let mut start = colon;
    for _ in 0..5 {
        if start == 0 || !(scene.free(start - 1).is_letter() || scene.free(start - 1).has(Flags::SCHEME)) {
            break;
        }
        start -= 1;
    }
    start
}
