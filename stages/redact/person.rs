//! Names of people: after cues ("my name is", "Dr", "hi"), before them ("speaking"), and by the gazetteer.
//!
//! In: a cx. Out: findings. Words begin with a capital in what people write, and often not in what a recogniser writes; so a name in
//! small letters needs a cue or two words of the gazetteer. A name found once is found again in the same text.

use super::gazetteer::NameClasses;
use super::kind::Entity;
use super::lexicon::Flags;
use super::person_again::{Names, find_again, remember};
use super::person_cue::{Cue, matching};
use super::person_full;
use super::person_new::{self, label_before, with_given};
use super::person_not::{is_plain_noun, is_thing, is_thing_word};
use super::person_run::{CueStrength, is_function_word, is_given, is_month, is_number_word, run_end};
use super::person_spelled;
use super::scan_context::ScanContext;
use super::token::{Class, Token, seed};

/// The score of each way to find a name.
mod score {
    pub const TITLE: f32 = 0.9;
    pub const STRONG: f32 = 0.9;
    pub const WEAK: f32 = 0.7;
    pub const FULL: f32 = 0.75;
    pub const SINGLE: f32 = 0.55;
}

/// Finds the names. A name found again hides what stands before the next word, which may have spoken against it: so again.
pub fn find(cx: &mut ScanContext<'_>) {
    const ROUNDS: usize = 4;
    if cx.tokens.any(seed::SPELLS) {
        person_spelled::find(cx);
    }
    seed_verbs(cx);
    let mut names = Names::default();
    for _ in 0..ROUNDS {
        find_once(cx, &mut names);
        if names.is_empty() || !find_again(cx, &names) {
            break;
        }
    }
}

/// Lets a name begin at a verb behind a cue: "my name is will baker".
fn seed_verbs(cx: &mut ScanContext<'_>) {
    let mut index = 0;
    while let Some(at) = cx.tokens.seed(index, seed::TELLS) {
        index = at + 1;
        let token = cx.free(index);
        if token.class == Class::Word && token.has(Flags::STOP) && token.len() > 2 && is_given(cx, index) {
            cx.tokens.mark(index..index + 1, seed::UNLISTED);
        }
    }
}

fn find_once(cx: &mut ScanContext<'_>, names: &mut Names) {
    let mut index = 0;
    while let Some(at) = cx.tokens.seed(index, seed::CAPITAL | seed::UNLISTED) {
        index = at + 1;
        if may_begin(cx, at)
            && let Some((first, last, score, rule)) = name_at(cx, at)
        {
            if rule != "name cue" && is_thing(cx, first, last) {
                index = last + 1;
                continue;
            }
            let last = with_given(cx, first, last);
            remember(cx, first, last, names);
            let first = with_prefix(cx, first);
            cx.take(Entity::Person, first, last, score, rule);
            index = person_spelled::behind(cx, last).unwrap_or(last) + 1;
        }
    }
}

/// Returns true if a name may begin at a token: cheap, since it is asked of most words. One in small letters needs a cue or the quote of a field
/// before it, or behind it a word that is in no list or says that a person speaks.
fn may_begin(cx: &ScanContext<'_>, index: usize) -> bool {
    cx.tokens.has_seed(index, seed::CAPITAL)
        || cx.tokens.has_seed(index + 1, seed::UNLISTED)
        || is_told(cx, index)
        || is_speaking(cx, index + 1)
        || cx.tokens.before(index).is(b'"')
}

/// Returns true if a word, or a sign behind a word, that a name may follow stands before a token.
fn is_told(cx: &ScanContext<'_>, index: usize) -> bool {
    index.checked_sub(1).is_some_and(|before| cx.tokens.has_seed(before, seed::TELLS | seed::TOLD))
}

/// "O'Connor", "D'Angelo": the letter before the apostrophe belongs to the name.
fn with_prefix(cx: &ScanContext<'_>, first: usize) -> usize {
    let Some(letter) = first.checked_sub(2) else { return first };
    let sign = cx.free(first - 1);
    let prefix = cx.free(letter);
    let joined = (sign.is(b'\'') || sign.is_apostrophe()) && cx.tokens.is_inner(first - 1);
    let capital = prefix.is_letter() && cx.tokens.is_capital(prefix) && !cx.tokens.glued(letter);
    if joined && capital { letter } else { first }
}

type Name = (usize, usize, f32, &'static str);

/// A name that begins at the token `index`: its first and last token, score and rule.
fn name_at(cx: &ScanContext<'_>, index: usize) -> Option<Name> {
    let token = cx.free(index);
    let capital = cx.tokens.is_capital(token);
    if token.class != Class::Word {
        return None;
    }
    if token.is_letter() {
        if let Some(name) = person_new::by_initials(cx, index, token) {
            return Some(name);
        }
        if let Some(last) = person_new::after_initial(cx, index, token)
            && matches!(cue_before(cx, index), Some(Cue::Strong | Cue::Fair))
        {
            return Some((index, last, score::WEAK, "weak name cue"));
        }
        let dot = usize::from(cx.free_before(index).is(b'.'));
        let titled = index.checked_sub(1 + dot).is_some_and(|at| cx.tokens.at(at).has(Flags::TITLE));
        if !capital || !titled || !cx.free(index + 1).is(b'.') {
            return None;
        }
    }
    let verb = || !capital && is_given(cx, index) && cue_before(cx, index) == Some(Cue::Strong);
    if !may_be_name(token, capital) && !verb() {
        return None;
    }
    if is_told(cx, index) || label_before(cx, index) < index {
        let titled = cx.free_before(index);
        let titled = if titled.is(b'.') { cx.free_before(index.saturating_sub(1)) } else { titled };
        if titled.has(Flags::TITLE) && is_title(cx, index, titled) && !is_plain_noun(cx, index) {
            let last = run_end(cx, index, CueStrength::Strong)?;
            return Some((index, last, score::TITLE, "title"));
        }
        match cue_before(cx, index) {
            Some(Cue::Strong) => {
                let last = run_end(cx, index, CueStrength::Strong)?;
                return Some((index, last, score::STRONG, "name cue"));
            }
            Some(cue @ (Cue::Weak | Cue::Fair)) if is_likely(cx, index, token, capital, cue == Cue::Fair) => {
                let last = run_end(cx, index, CueStrength::Weak)?;
                return Some((index, last, score::WEAK, "weak name cue"));
            }
            Some(Cue::Weak | Cue::Fair) if !capital => {
                if let Some(last) = person_full::end(cx, index) {
                    return Some((index, last, score::WEAK, "full name after a cue"));
                }
            }
            _ => {}
        }
    }
    by_gazetteer(cx, index, token, capital)
}

/// A word that can begin a name at all: asked everywhere, so cheap.
fn may_be_name(token: Token, capital: bool) -> bool {
    !token.has(Flags::STOP | Flags::WEEKDAY | Flags::UNIT | Flags::AT)
        || capital && !token.has(Flags::WEEKDAY) && !is_function_word(token)
}

/// "Dr." before a name, not "the doctor said".
fn is_title(cx: &ScanContext<'_>, index: usize, title: Token) -> bool {
    let word = cx.tokens.str(title);
    let token = cx.tokens.at(index);
    if token.new_line {
        return false;
    }
    let strong =
        ["mr", "mrs", "ms", "dr", "mister", "miss", "prof", "professor", "doctor", "herr", "frau", "mme"];
    let known = cx.known(index);
    if cx.tokens.is_capital(token) {
        return cx.tokens.is_capital(title)
            || strong.iter().any(|s| word.eq_ignore_ascii_case(s))
            || known.is_name_alone();
    }
    strong.iter().any(|s| word.eq_ignore_ascii_case(s))
        && !known.is_common()
        && !token.has(Flags::ACT | Flags::STOP | Flags::LINK)
}

/// The cue that ends right before `index`.
fn cue_before(cx: &ScanContext<'_>, index: usize) -> Option<Cue> {
    let before = cx.free_before(index);
    let mut end = label_before(cx, index);
    if end < index {
        return matching(cx, end).map(|_| Cue::Fair);
    }
    if before.is(b':')
        || before.is(b',')
        || before.is(b'-')
        || before.is(b'"')
        || before.is(b'\'') && before.spaced
    {
        end -= 1;
    }
    let last = cx.free_before(end);
    if cx.tokens.at(index).new_line && end == index && !last.has(Flags::GREETING) {
        // "my name is" at the end of a wrapped line; "full name" there is a label.
        let wrapped = !cx.tokens.breaks(index) && last.has(Flags::LINK | Flags::STOP);
        return matching(cx, end).filter(|(words, _)| wrapped && *words > 1).map(|(_, cue)| cue);
    }
    if last.class != Class::Word {
        return None;
    }
    if last.has(Flags::GREETING) {
        return Some(Cue::Weak);
    }
    if last.has(Flags::KIN) && end == index {
        return Some(Cue::Weak);
    }
    let colon = before.is(b':');
    let comma = end < index && !colon;
    matching(cx, end)
        .filter(|(_, cue)| !comma || *cue == Cue::Strong || last.has(Flags::GREETING) || is_closing(cx, last))
        .map(|(words, cue)| {
            let named = cx.tokens.str(last).eq_ignore_ascii_case("name") && colon;
            if named && words >= 1 { Cue::Strong } else { cue }
        })
}

fn is_closing(cx: &ScanContext<'_>, last: Token) -> bool {
    ["regards", "sincerely", "yours", "thanks", "you", "is", "s"]
        .iter()
        .any(|word| cx.tokens.str(last).eq_ignore_ascii_case(word))
}

/// Returns true if a word looks like a name: enough after a weak cue.
fn is_likely(cx: &ScanContext<'_>, index: usize, token: Token, capital: bool, personal: bool) -> bool {
    if is_month(token) || token.has(Flags::STOP | Flags::LINK | Flags::UNIT) {
        return false;
    }
    let about = cx.known(index);
    if capital {
        let listed = about.is_first() || about.is_last();
        let thing = || !personal && is_thing_word(cx.tokens.str(token));
        let name =
            listed && !about.is_place() && !thing() || personal && about.is_first() && !about.is_common();
        let new = || is_named_on(cx, index) || person_new::is_told(cx, index, personal);
        let named = name || about.is_unknown() && new();
        let acronym = is_acronym(cx.tokens.str(token)) && !about.is_name_alone();
        return named && !acronym && !token.has(Flags::MODEL) && !is_heading(cx, index);
    }
    about.is_first()
        && !about.is_common()
        && !about.is_place()
        && token.meaning.flags.without(Flags::SPELLED) == Flags::NONE
        && !is_number_word(token)
}

/// Returns true if the word after an unlisted capital is a capital too that may be a name.
fn is_named_on(cx: &ScanContext<'_>, index: usize) -> bool {
    let next = cx.free(index + 1);
    if next.class != Class::Word || next.new_line || !cx.tokens.is_capital(next) {
        return false;
    }
    let about = cx.known(index + 1);
    !about.is_common() && !about.is_place() && !next.has(Flags::FIRM | Flags::BODY | Flags::STREET)
}

/// "Terms And Conditions": most words have capitals, so a capital says nothing. What was found ends the look, and a tag stands for as many
/// words as it takes: what was no name before its neighbours were replaced is none afterwards.
fn is_heading(cx: &ScanContext<'_>, index: usize) -> bool {
    const ENOUGH: usize = 5;
    const FAR: usize = 6;
    let words = |places: &mut dyn Iterator<Item = usize>| {
        let mut words = 0;
        for at in places {
            let token = cx.tokens.at(at);
            match token.class {
                Class::Tag(_) => return Some(words + ENOUGH),
                _ if cx.is_taken(at) => break,
                Class::Word if !cx.tokens.is_capital(token) => return None,
                Class::Word => words += 1,
                _ => {}
            }
        }
        Some(words)
    };
    let before = words(&mut (index.saturating_sub(FAR)..index).rev());
    let after = before.and_then(|_| words(&mut (index + 1..=index + FAR)));
    before.zip(after).is_some_and(|(before, after)| before + after >= ENOUGH)
}

/// By the lists alone: a given name with a capital after it, or one that is no other word.
fn by_gazetteer(cx: &ScanContext<'_>, index: usize, token: Token, capital: bool) -> Option<Name> {
    if is_number_word(token) && !is_month(token) || token.has(Flags::GREETING) {
        return None;
    }
    if !capital && !cx.tokens.has_seed(index + 1, seed::UNLISTED) && !is_speaking(cx, index + 1)
        || is_acronym(cx.tokens.str(token))
    {
        return None;
    }
    let next = cx.free(index + 1);
    let about = cx.known(index);
    if !capital {
        let given = about.is_first() && about.is_name_alone();
        let following = || {
            let known = if next.class == Class::Word && !next.new_line {
                cx.known(index + 1)
            } else {
                NameClasses::default()
            };
            known.is_last() && !known.is_common() && !known.is_place()
        };
        let two = given && following();
        let plain = token.meaning.flags.without(Flags::SPELLED) == Flags::NONE
            && next.meaning.flags.without(Flags::SPELLED) == Flags::NONE;
        if two && plain {
            let last = run_end(cx, index, CueStrength::None)?;
            return Some((index, last, score::FULL, "two names"));
        }
        let spoken = given && is_speaking(cx, index + 1);
        return spoken.then_some((index, index, score::WEAK, "name speaking"));
    }
    let start = begins_sentence(cx, index);
    let listed = about.is_first() || about.is_last();
    // A word of no list of names is a name only inside a sentence, before a family name.
    if !listed && (start || !about.is_unknown()) {
        return None;
    }
    if (about.is_common() || about.is_unknown()) && is_heading(cx, index) {
        return None;
    }
    let last = run_end(cx, index, CueStrength::None)?;
    let after = cx.free(last + 1);
    if after.has(Flags::FIRM | Flags::BODY | Flags::STREET) && cx.tokens.is_capital(after) {
        return None;
    }
    let month = is_month(token);
    if last > index {
        let tail = cx.known(last);
        let given =
            about.is_first() && !about.is_place() && (!about.is_common() || !start || tail.is_name_alone())
                || about.is_first() && tail.is_last() && tail.is_name_alone();
        let family = !is_acronym(cx.tokens.str(cx.tokens.at(last)))
            && (about.is_first() || about.is_last() || !start)
            && tail.is_last()
            && !tail.is_common()
            && !tail.is_place()
            && !about.is_common()
            && !about.is_place()
            && !token.has(Flags::STREET | Flags::BODY);
        if (given || family) && !month {
            return Some((index, last, score::FULL, "full name"));
        }
        return None;
    }
    // A word with a capital beside it speaks against a name of one word. A tag beside it may stand for such a word.
    let is_tag = |at: usize| matches!(cx.tokens.at(at).class, Class::Tag(_));
    let joint =
        |at: usize| matches!(cx.tokens.at(at).class, Class::Sign(b'-' | b'\'')) && cx.tokens.glued(at);
    let tag_after = is_tag(index + 1) || joint(index + 1) && is_tag(index + 2);
    let tag_before =
        is_tag(index.wrapping_sub(1)) || joint(index.wrapping_sub(1)) && is_tag(index.wrapping_sub(2));
    let possessive = (next.is(b'\'') || next.is_apostrophe()) && cx.tokens.glued(index + 1);
    let acts = next.has(Flags::ACT) && !next.new_line;
    if month {
        return None;
    }
    let thing = || is_thing_word(cx.tokens.str(token));
    let alone = about.is_first() && about.is_name_alone() && !thing()
        || about.is_first()
            && !about.is_place()
            && !start
            && (acts || possessive || !about.is_common() && !thing())
        || about.is_last()
            && about.is_name_alone()
            && (!start || acts || possessive)
            && !tag_after
            && !thing();
    let article = cx.free_before(index).has(Flags::ARTICLE)
        || cx.tokens.str(cx.free_before(index)).eq_ignore_ascii_case("the");
    if article {
        return None;
    }
    let before = index.wrapping_sub(1);
    let sure = about.is_first() && about.is_name_alone();
    let capital_before = tag_before && !sure
        || !start && cx.tokens.is_capital(cx.free(before)) && !cx.free(before).meaning.sense.is_number();
    (alone && !capital_before && !token.has(Flags::STOP | Flags::MODEL) && token.len() > 2).then_some((
        index,
        index,
        score::SINGLE,
        "name",
    ))
}

/// "ISO", "NATO": a short word in capitals.
fn is_acronym(word: &str) -> bool {
    word.len() <= 4 && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// "speaking", "here", "calling" after a name.
fn is_speaking(cx: &ScanContext<'_>, index: usize) -> bool {
    let token = cx.free(index);
    token.has(Flags::ACT)
        && ["speaking", "calling"].iter().any(|word| cx.tokens.str(token).eq_ignore_ascii_case(word))
}

/// Returns true if a capital at this place only says that a sentence or a line begins.
fn begins_sentence(cx: &ScanContext<'_>, index: usize) -> bool {
    let before = cx.free_before(index);
    cx.tokens.at(index).new_line
        || matches!(
            before.class,
            Class::Edge | Class::Sign(b'.' | b'!' | b'?' | b':' | b'"' | b'>' | b'*' | b'-' | 0x80..)
        )
}
