//! E-mail addresses: written, spoken, spelled, and as a recogniser writes them.
//!
//! In: a scene. Out: findings. An at sign (written or spoken) with a domain after it and a name before it is an e-mail address. What a
//! domain alone is, `web` says.

use super::cue::Hint;
use super::kind::Entity;
use super::label::{self, Domain, Ending, is_solid, is_spelled};
use super::lexicon::{Flags, Sense};
use super::scene::Scene;
use super::spelled::explained_letter;
use super::token::{Class, seed};
use super::web;

/// The most tokens of the name before an at sign.
const NAME_TOKENS: usize = 64;
/// The most words of it that are neither letters, numbers nor glued.
const NAME_WORDS: usize = 3;
/// The most words that a spoken domain's first label has ("blue sky dot com").
pub const LABEL_WORDS: usize = 3;

/// Finds the addresses.
pub fn find(scene: &mut Scene<'_>) {
    if scene.tokens.any(seed::COLON_SIGN) {
        web::find_schemes(scene);
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
            Some(_) => web::take_domain(scene, at),
            None => at + 1,
        };
    }
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
        let path = scene.tokens.glued(domain.last + 1) && scene.tokens.at(domain.last + 1).is(b'/')
            || scene.free(domain.last + 1).has(Flags::SLASH) && is_solid(scene.free(domain.last + 2));
        let page = spoken && !said && (path || written && !scene.lenient && !joined);
        let long = scene.tokens.at(domain.last).len() > 3;
        let sure =
            !spoken || rate || domain.ending == Ending::Strong || said || (joined || long) && scene.lenient;
        if page {
            return;
        }
        if sure {
            let score = if glued { 1.0 } else { 0.9 };
            return scene.take(Entity::Email, first, domain.last, score, "e-mail");
        }
    }
    // "deploy@10.4.22.7": a user at an address of the net, which is found as such.
    if glued && scene.free(at + 1).class == Class::Digits && scene.free(at + 2).is(b'.') {
        return;
    }
    let loose = loose_domain(scene, after, said);
    let last = if glued && is_solid(scene.free(at + 1)) {
        label::label_end(scene, at + 1).map(|end| labels_end(scene, end - 1)).max(loose)
    } else {
        loose
    };
    if let Some(last) = last {
        scene.take(Entity::Email, first, last, 0.6, "e-mail without a dot");
    }
}

/// Past what is glued to the last token of a label by dots: "fairview.example", whose ending nobody gives.
fn labels_end(scene: &Scene<'_>, last: usize) -> usize {
    const MOST: usize = 16;
    let mut end = last;
    while end < last + MOST
        && scene.free(end + 1).is(b'.')
        && scene.tokens.is_inner(end + 1)
        && is_solid(scene.free(end + 2))
    {
        end += 2;
    }
    end
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
pub fn domain_after(scene: &Scene<'_>, first: usize, joined: bool, said: bool) -> Option<Domain> {
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
pub fn name_start(scene: &Scene<'_>, at: usize) -> Option<usize> {
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
        // "zoe 1 2 3 @ gmail.com": a sign that stands apart was said.
        Class::Digits => ((spoken || scene.lenient && !scene.tokens.glued(at))
            && token.len() <= 4
            && !scene.tokens.at(start).new_line)
            .then_some(index),
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

/// "Accounts at example dot com": what elsewhere promises a number is a mailbox right before the at sign.
fn is_mailbox(scene: &Scene<'_>, index: usize) -> bool {
    scene.cue_at(index).is_some_and(|hint| {
        !matches!(hint, Hint::Any | Hint::Of(Entity::Email | Entity::Url | Entity::Phone))
    })
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
        || token.meaning.cue > 0 && !(start == at && is_mailbox(scene, index))
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
