//! E-mail and web addresses: written, spoken, spelled, and as a recogniser writes them.
//!
//! In: a scene. Out: findings. An at sign (written or spoken) with a domain after it and a name before it is an e-mail address; a
//! domain alone is a web address, or an e-mail address that lost its at sign where e-mail is spoken of.

use super::cue::Hint;
use super::kind::Entity;
use super::label::{self, Domain, Ending, is_solid, is_spelled};
use super::lexicon::{Flags, Sense};
use super::scene::Scene;
use super::spelled::explained_letter;
use super::token::{Class, seed};

/// The most tokens of the name before an at sign.
const NAME_TOKENS: usize = 64;
/// The most words of it that are neither letters, numbers nor glued.
const NAME_WORDS: usize = 3;
/// The most words that a spoken domain's first label has ("blue sky dot com").
const LABEL_WORDS: usize = 3;
/// The most tokens of a web address's path.
const PATH_TOKENS: usize = 512;

/// Finds the addresses.
pub fn find(scene: &mut Scene<'_>) {
    if scene.tokens.any(seed::COLON_SIGN) {
        find_schemes(scene);
    }
    let mut index = 0;
    while let Some(at) = scene.tokens.seed(index, seed::AT) {
        index = at + 1;
        if !scene.is_taken(at) {
            take_email(scene, at);
        }
    }
    index = 0;
    while let Some(at) = scene.tokens.seed(index, seed::DOT) {
        index = match label::after_dot(scene, at) {
            Some(_) => take_domain(scene, at),
            None => at + 1,
        };
    }
}

/// Written web addresses with a scheme: up to the next white space.
fn find_schemes(scene: &mut Scene<'_>) {
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

fn take_email(scene: &mut Scene<'_>, at: usize) {
    let spoken = scene.tokens.at(at).class == Class::Word;
    let bracket = is_bracketed(scene, at);
    let Some(first) = name_start(scene, at - usize::from(bracket)) else { return };
    let said = scene.context_for(first, |hint| hint == Hint::Of(Entity::Email)).is_some();
    let glued = !spoken && scene.tokens.glued(at) && scene.tokens.glued(at + 1);
    let (after, rate) = if bracket { (at + 2, true) } else { after_at(scene, at) };
    let joined = (first..at).any(|index| is_joint(scene, index));
    if let Some(domain) = domain_after(scene, after, joined, said) {
        let written = spoken && (after..domain.last).any(|index| scene.tokens.at(index).is(b'.'));
        // "Docs at example.io/docs", and in clean text "docs at example.io", speak of a page.
        let path = scene.tokens.glued(domain.last + 1) && scene.tokens.at(domain.last + 1).is(b'/');
        let page = written && !said && (path || !scene.lenient && !joined);
        let sure = !spoken || rate || domain.ending == Ending::Strong || said || joined && scene.lenient;
        if page {
            return;
        }
        if sure {
            let score = if glued { 1.0 } else { 0.9 };
            return scene.take(Entity::Email, first, domain.last, score, "e-mail");
        }
    }
    let loose = loose_domain(scene, after, said);
    let last = if glued && is_solid(scene.free(at + 1)) {
        label::label_end(scene, at + 1).map(|end| end - 1).max(loose)
    } else {
        loose
    };
    if let Some(last) = last {
        scene.take(Entity::Email, first, last, 0.6, "e-mail without a dot");
    }
}

/// "[at]", "(at)".
fn is_bracketed(scene: &Scene<'_>, at: usize) -> bool {
    matches!(scene.free_before(at).class, Class::Sign(b'[' | b'('))
        && matches!(scene.free(at + 1).class, Class::Sign(b']' | b')'))
}

/// The index after an at sign, and whether it is said as in India: "at the rate", "at the rate of".
fn after_at(scene: &Scene<'_>, at: usize) -> (usize, bool) {
    let is = |at: usize, word: &str| scene.tokens.str(scene.free(at)).eq_ignore_ascii_case(word);
    let rate = at + 1 + usize::from(is(at + 1, "the"));
    if is(rate, "rate") { (rate + 1 + usize::from(is(rate + 1, "of")), true) } else { (at + 1, false) }
}

/// A domain right after an at sign, whose first label may be said in several words.
///
/// After a name with spoken signs it may begin with any word ("at my company dot io"), and with an article where e-mail is spoken of.
fn domain_after(scene: &Scene<'_>, first: usize, joined: bool, said: bool) -> Option<Domain> {
    let mut start = first;
    for _ in 0..LABEL_WORDS {
        let token = scene.free(start);
        let article = || {
            let word = scene.tokens.str(token);
            start == first && ["the", "my", "our"].iter().any(|known| word.eq_ignore_ascii_case(known))
        };
        let may = !token.has(Flags::STOP)
            || joined
            || said && article()
            || token.is_letter()
            || label::after_dot(scene, start + 1).is_some();
        if !is_solid(token) || !may {
            return None;
        }
        if let Some(domain) = label::domain(scene, start) {
            return Some(domain);
        }
        start = label::label_end(scene, start)?;
    }
    None
}

/// A mail provider, or "example com", where e-mail is spoken of.
fn loose_domain(scene: &Scene<'_>, first: usize, said: bool) -> Option<usize> {
    let (token, next) = (scene.free(first), scene.free(first + 1));
    if token.has(Flags::PROVIDER) && (said || scene.lenient || next.has(Flags::TLD)) {
        return Some(if next.has(Flags::TLD) { first + 1 } else { first });
    }
    let plain = is_solid(token) && !token.has(Flags::STOP);
    let common = matches!(scene.tokens.str(next), "com" | "org" | "net" | "edu" | "gov");
    (said && plain && common).then_some(first + 1)
}

/// The first token of the name that ends before the at sign at `at`.
fn name_start(scene: &Scene<'_>, at: usize) -> Option<usize> {
    let mut start = at;
    let mut solid = scene.tokens.at(at).is(b'@');
    let mut words = 0;
    while at - start < NAME_TOKENS
        && let Some(step) = name_step(scene, start, at, solid, &mut words)
    {
        solid &= scene.tokens.glued(start);
        start = step;
    }
    while start < at && (!is_solid(scene.tokens.at(start)) || is_joint(scene, start)) {
        start += 1;
    }
    (start < at).then_some(start)
}

/// The name's next token to the left of `start`, if it still belongs to it.
fn name_step(scene: &Scene<'_>, start: usize, at: usize, solid: bool, words: &mut usize) -> Option<usize> {
    let index = start.checked_sub(1)?;
    let token = scene.free(index);
    let glued = scene.tokens.glued(start);
    let spoken = scene.tokens.at(at).class == Class::Word;
    match token.class {
        Class::Sign(b'\'' | b'&' | b'#' | b'%') if solid && glued => Some(index),
        Class::Sign(b'\'') if glued && is_prefixed(scene, index) => Some(index),
        Class::Sign(b'.' | b'-' | b'_' | b'+') if glued => Some(index),
        Class::Sign(b',') if scene.lenient && spoken && is_comma_of_name(scene, index, start == at) => {
            Some(index)
        }
        Class::Word
            if spoken
                && !scene.tokens.at(start).new_line
                && let Some(letter) = explained_letter(scene, index) =>
        {
            Some(letter)
        }
        Class::Word | Class::Digits if glued && scene.tokens.at(start).class != Class::Word => {
            is_name_part(scene, index, start, at, words).then_some(index)
        }
        Class::Digits => (spoken && token.len() <= 4 && !scene.tokens.at(start).new_line).then_some(index),
        Class::Word if scene.tokens.at(start).new_line => None,
        Class::Word => is_name_part(scene, index, start, at, words).then_some(index),
        _ => None,
    }
}

/// "o'neil", "d'angelo": an apostrophe behind one letter.
fn is_prefixed(scene: &Scene<'_>, apostrophe: usize) -> bool {
    let letter = scene.free_before(apostrophe);
    scene.tokens.is_inner(apostrophe) && letter.is_letter() && !scene.tokens.glued(apostrophe - 1)
}

/// Whether a comma belongs to a name that is said sign by sign: "john, dot, doe, at".
fn is_comma_of_name(scene: &Scene<'_>, comma: usize, last: bool) -> bool {
    let joint = |back: usize| comma.checked_sub(back).is_some_and(|at| is_joint(scene, at));
    let explained = || comma.checked_sub(1).is_some_and(|at| explained_letter(scene, at).is_some());
    if last {
        joint(2) || joint(3) && scene.free(comma - 2).is(b',') || explained()
    } else {
        is_spelled_joint(scene, comma)
    }
}

/// Whether a comma lies between letters, numbers or spoken signs.
fn is_spelled_joint(scene: &Scene<'_>, comma: usize) -> bool {
    let (left, right) = (scene.free_before(comma), scene.free(comma + 1));
    if left.class == Class::Digits && right.class != Class::Digits {
        return false;
    }
    let sign = |at: usize| is_joint(scene, at);
    (is_spelled(left) || comma > 0 && sign(comma - 1)) || is_spelled(right) || sign(comma + 1)
}

/// A spoken sign inside a name.
fn is_joint(scene: &Scene<'_>, index: usize) -> bool {
    let token = scene.free(index);
    token.class == Class::Word && token.has(Flags::DOT | Flags::DASH | Flags::UNDERSCORE | Flags::PLUS)
}

fn is_name_part(scene: &Scene<'_>, index: usize, start: usize, at: usize, words: &mut usize) -> bool {
    let token = scene.free(index);
    let right = scene.tokens.at(start);
    if scene.tokens.glued(start) && start < at || scene.tokens.glued(start) && scene.tokens.at(at).is(b'@') {
        return true;
    }
    let beside_joint = start < at && is_joint(scene, start) || index > 0 && is_joint(scene, index - 1);
    let written_joint = index > 1
        && start == at
        && scene.tokens.is_inner(index - 1)
        && matches!(scene.free(index - 1).class, Class::Sign(b'.' | b'-' | b'_'));
    if is_joint(scene, index) || beside_joint || written_joint {
        return !token.has(Flags::AT);
    }
    if token.is_letter() {
        if scene.tokens.glued(index) && scene.free_before(index).is(b'\'') {
            return false;
        }
        let alone = matches!(scene.tokens.str(token), "a" | "A" | "i" | "I");
        return !alone || is_spelled(scene.free_before(index)) || is_spelled(right) && start < at;
    }
    if matches!(token.meaning.sense, Sense::Digit(_) | Sense::Teen(_) | Sense::Ten(_) | Sense::Repeat(_)) {
        return true;
    }
    let written_at = scene.tokens.at(at).is(b'@');
    if token.has(Flags::STOP | Flags::AT | Flags::FILLER)
        || token.meaning.cue > 0
        || written_at && !scene.lenient
    {
        return false;
    }
    // "all one word", "in lower case"
    let manner = ["all", "word", "together", "lowercase", "case", "caps"];
    if !manner.iter().any(|known| scene.tokens.str(token).eq_ignore_ascii_case(known)) {
        *words += 1;
    }
    *words <= NAME_WORDS
}

/// Takes the domain whose first dot is at `dot`, or nothing; the index to go on from.
fn take_domain(scene: &mut Scene<'_>, dot: usize) -> usize {
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
    for _ in 0..LABEL_WORDS {
        let token = scene.free_before(start);
        if token.has(Flags::LINK | Flags::STOP) || token.meaning.cue > 0 {
            return start;
        }
        if token.class != Class::Word || scene.tokens.at(start).new_line {
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
    let is_dub = |at: usize| scene.tokens.str(scene.free(at)).eq_ignore_ascii_case("dub");
    let dubs = dot.checked_sub(3).filter(|at| (*at..dot).all(is_dub));
    let three = dot.checked_sub(6).filter(|at| (0..3).all(|pair| double_u(at + 2 * pair)));
    let triple = dot.checked_sub(2).filter(|at| {
        says(*at, Sense::Repeat(3)) && scene.tokens.str(scene.free(at + 1)).eq_ignore_ascii_case("w")
    });
    let both = dot.checked_sub(3).filter(|at| says(*at, Sense::Repeat(3)) && double_u(at + 1));
    three.or(both).or(triple).or(dubs)
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
