//! Words before the name of a person.
//!
//! In: a cx and a place. Out: the cue that ends there. It must not know what a name looks like.

use std::sync::LazyLock;

use super::gazetteer;
use super::lexicon::Flags;
use super::scan_context::ScanContext;
use super::token::{Class, Tokens};

/// The strength of a cue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cue {
    /// A name follows, whatever it looks like.
    Strong,
    /// A name follows if it looks like one, though it may be a place too: persons are spoken of.
    Fair,
    /// A name follows if it looks like one.
    Weak,
}

/// Words before a name, in small letters; the last ones before it.
#[rustfmt::skip]
const CUES: &[(&str, Cue)] = &[
    ("my name is", Cue::Strong), ("name is", Cue::Strong), ("name's", Cue::Strong), ("name s", Cue::Strong), ("names", Cue::Weak),
    ("my name", Cue::Weak), ("full name", Cue::Strong), ("first name", Cue::Strong), ("last name", Cue::Strong),
    ("surname", Cue::Strong), ("family name", Cue::Strong), ("given name", Cue::Strong), ("name on the card", Cue::Weak),
    ("name", Cue::Weak), ("patient name", Cue::Strong), ("customer name", Cue::Strong), ("account holder", Cue::Weak),
    ("cardholder", Cue::Weak), ("i am called", Cue::Strong), ("i'm", Cue::Fair), ("i m", Cue::Fair), ("i am", Cue::Fair),
    ("this is", Cue::Weak), ("it is", Cue::Weak), ("it's", Cue::Weak), ("it s", Cue::Weak), ("here is", Cue::Weak),
    ("speaking with", Cue::Fair), ("spoke with", Cue::Fair), ("spoke to", Cue::Fair), ("speak with", Cue::Fair),
    ("speak to", Cue::Fair), ("talk to", Cue::Fair), ("talked to", Cue::Fair), ("talking to", Cue::Fair), ("ask for", Cue::Fair),
    ("asked for", Cue::Fair), ("named", Cue::Fair), ("called", Cue::Weak), ("call me", Cue::Fair), ("calls me", Cue::Fair),
    ("known as", Cue::Fair), ("goes by", Cue::Fair), ("signed", Cue::Fair), ("signed by", Cue::Fair), ("regards", Cue::Fair),
    ("sincerely", Cue::Fair), ("yours", Cue::Weak), ("attn", Cue::Fair), ("attention", Cue::Fair), ("contact", Cue::Weak),
    ("patient", Cue::Fair), ("employee", Cue::Fair), ("customer", Cue::Fair), ("client", Cue::Fair), ("agent", Cue::Fair),
    ("with", Cue::Weak), ("by", Cue::Weak), ("from", Cue::Weak), ("for", Cue::Weak), ("and", Cue::Weak), ("to", Cue::Weak),
    ("tell", Cue::Weak), ("ask", Cue::Weak), ("met", Cue::Weak), ("meet", Cue::Weak), ("thanks", Cue::Weak), ("thank you", Cue::Weak),
    ("starring", Cue::Weak), ("says", Cue::Weak), ("said", Cue::Weak), ("son of", Cue::Weak), ("daughter of", Cue::Weak),
    ("ich heiße", Cue::Strong), ("mein name ist", Cue::Strong), ("je m'appelle", Cue::Strong), ("me llamo", Cue::Strong),
    ("mi chiamo", Cue::Strong), ("meu nome é", Cue::Strong), ("spell it", Cue::Weak), ("under the name", Cue::Strong),
    ("in the name of", Cue::Strong), ("maiden name", Cue::Strong), ("maiden name is", Cue::Strong), ("name of", Cue::Weak),
    ("pt", Cue::Fair), ("holder", Cue::Weak), ("attendee", Cue::Fair), ("passenger", Cue::Fair), ("guest", Cue::Fair), ("tenant", Cue::Fair),
    ("applicant", Cue::Fair), ("claimant", Cue::Fair), ("landlord", Cue::Fair), ("participant", Cue::Fair), ("owner", Cue::Fair), ("seller", Cue::Fair), ("buyer", Cue::Fair),
    ("recipient", Cue::Fair), ("sender", Cue::Fair), ("payee", Cue::Fair), ("insured", Cue::Fair), ("guardian", Cue::Fair), ("instructor", Cue::Fair),
    ("supervisor", Cue::Fair), ("beneficiary", Cue::Fair), ("cc", Cue::Fair), ("next of kin", Cue::Fair),
    ("reservation for", Cue::Weak), ("message for", Cue::Weak), ("booked for", Cue::Weak), ("reach", Cue::Weak),
];

/// A cue by its words, the last one first.
struct Phrase {
    words: Vec<&'static str>,
    cue: Cue,
}

/// The cues by their last word, the longest first.
static ENDS: LazyLock<Vec<(&'static str, Vec<Phrase>)>> = LazyLock::new(|| {
    let mut ends: Vec<(&str, Vec<Phrase>)> = Vec::new();
    for &(phrase, cue) in CUES {
        let words: Vec<_> = phrase.rsplit([' ', '\'']).collect();
        let Some(&word) = words.first() else { continue };
        let phrase = Phrase { words, cue };
        match ends.iter_mut().find(|(known, _)| *known == word) {
            Some((_, cues)) => cues.push(phrase),
            None => ends.push((word, vec![phrase])),
        }
    }
    for (_, phrases) in &mut ends {
        phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.words.len()));
    }
    ends
});

/// The words that end a cue, in the order by which [`Meaning::names`](super::lexicon::Meaning::names) numbers them.
pub fn cue_ends() -> impl Iterator<Item = &'static str> {
    ENDS.iter().map(|(word, _)| *word)
}

/// The person that a cue speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// The speaker, or the person who is asked for: "this is", "I'm", "speak to".
    Introduction,
    /// The person who is greeted.
    Greeting,
    /// Any other person: "with", "by", "for".
    Relation,
    /// A person.
    Other,
}

/// Words that stand before names, and far more often before other things.
const RELATIONS: [&str; 10] = ["with", "by", "from", "for", "and", "to", "says", "said", "called", "names"];

/// Words that people say before their own name or that of the person they ask for; the last ones.
const INTRODUCTIONS: [&str; 14] = [
    "this is",
    "it's",
    "it is",
    "i'm",
    "i am",
    "my name",
    "here is",
    "speaking with",
    "spoke with",
    "spoke to",
    "speak to",
    "speak with",
    "talk to",
    "ask for",
];

/// Returns the person that the cue before `index` speaks of.
pub fn spoken_before(cx: &ScanContext<'_>, index: usize) -> Spoken {
    let before = cx.free_before(index);
    if before.has(Flags::GREETING) {
        return Spoken::Greeting;
    }
    let says = |phrase: &&str| {
        let words: Vec<_> = phrase.rsplit([' ', '\'']).collect();
        words.first().is_some_and(|last| cx.tokens.str(before).eq_ignore_ascii_case(last))
            && is_said_before(cx, index, &words)
    };
    if INTRODUCTIONS.iter().any(says) {
        return Spoken::Introduction;
    }
    let alone = matching(cx, index).is_none_or(|(words, _)| words == 1);
    let word = cx.tokens.str(before);
    let related = alone && RELATIONS.iter().any(|relation| word.eq_ignore_ascii_case(relation));
    if related { Spoken::Relation } else { Spoken::Other }
}

/// Returns true if a text ends one or two words behind a phrase that introduces a person: what follows may be the rest of the name.
pub fn is_before_end(tokens: &Tokens<'_>, len: usize) -> bool {
    let word = |at: Option<usize>| at.map_or("", |at| tokens.str(tokens.at(at)));
    let named = |at: usize| {
        let token = tokens.at(at);
        let about = gazetteer::known(tokens.str(token));
        token.class == Class::Word
            && !token.has(Flags::STOP | Flags::LINK | Flags::ACT | Flags::FILLER)
            && (!about.is_common() || about.is_first())
    };
    let ends_before = |end: usize, phrase: &str| {
        let mut at = end;
        phrase.rsplit([' ', '\'']).all(|said| {
            at = at.wrapping_sub(1);
            if matches!(tokens.at(at).class, Class::Sign(b'\'')) || tokens.at(at).is_apostrophe() {
                at = at.wrapping_sub(1);
            }
            word(Some(at)).eq_ignore_ascii_case(said)
        })
    };
    (1..=2).filter_map(|words| len.checked_sub(words)).any(|end| {
        (end..len).all(named)
            && INTRODUCTIONS.iter().chain(&["name is", "name's"]).any(|phrase| ends_before(end, phrase))
    })
}

/// The longest cue whose last word lies before `end`, and how many words it has.
pub fn matching(cx: &ScanContext<'_>, end: usize) -> Option<(usize, Cue)> {
    let number = usize::from(cx.free_before(end).meaning.names);
    let (_, phrases) = ENDS.get(number.checked_sub(1)?)?;
    let said = phrases.iter().find(|phrase| is_said_before(cx, end, &phrase.words))?;
    Some((said.words.len(), said.cue))
}

/// Returns true if a phrase stands before `end`, whose last word does.
fn is_said_before(cx: &ScanContext<'_>, end: usize, words: &[&str]) -> bool {
    let mut at = end - 1;
    for word in words.iter().skip(1) {
        let mut token = cx.free_before(at);
        if token.is(b'\'') || token.is_apostrophe() {
            at -= 1;
            token = cx.free_before(at);
        }
        if token.class != Class::Word
            || token.len() != word.len()
            || !cx.tokens.str(token).eq_ignore_ascii_case(word)
        {
            return false;
        }
        at -= 1;
    }
    true
}
