//! English text in, the words that count for a word error rate out: the same that openai/whisper's English normaliser gives.
//!
//! After the rules that are published with Whisper (Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision",
//! appendix C), written again, with what the original does where its rules meet ("a 1" is "a one", "3.1" stays): rates are only
//! comparable where every corner is. In this order: asides in brackets and fillers go; contractions and titles are written out; symbols and
//! accents go; numbers become digits; British spelling becomes American. `tests/normaliser.rs` holds it to texts that the original
//! normalised.
//!
//! Must not be made better than the original: a rule of our own would make a metric that is comparable to no other.

use unicode_normalization_alignments::UnicodeNormalization;

use super::rewrite::{is_of_word, rewritten};
use super::{numbers, spelling, symbols};

const FILLERS: [&str; 6] = ["hmm", "mm", "mhm", "mmm", "uh", "um"];

/// Whole words, and what stands for them. Later rules see what earlier ones gave.
const WORDS: [(&str, &str); 35] = [
    ("won't", "will not"),
    ("can't", "can not"),
    ("let's", "let us"),
    ("ain't", "aint"),
    ("y'all", "you all"),
    ("wanna", "want to"),
    ("gotta", "got to"),
    ("gonna", "going to"),
    ("i'ma", "i am going to"),
    ("imma", "i am going to"),
    ("woulda", "would have"),
    ("coulda", "could have"),
    ("shoulda", "should have"),
    ("ma'am", "madam"),
    ("mr", "mister "),
    ("mrs", "missus "),
    ("st", "saint "),
    ("dr", "doctor "),
    ("prof", "professor "),
    ("capt", "captain "),
    ("gov", "governor "),
    ("ald", "alderman "),
    ("gen", "general "),
    ("sen", "senator "),
    ("rep", "representative "),
    ("pres", "president "),
    ("rev", "reverend "),
    ("hon", "honorable "),
    ("asst", "assistant "),
    ("assoc", "associate "),
    ("lt", "lieutenant "),
    ("col", "colonel "),
    ("jr", "junior "),
    ("sr", "senior "),
    ("esq", "esquire "),
];

/// Endings of words, and what they are short for; those that depend on the word behind them come first.
const ENDINGS: [(&str, &str); 14] = [
    ("'d been", " had been"),
    ("'s been", " has been"),
    ("'d gone", " had gone"),
    ("'s gone", " has gone"),
    ("'d done", " had done"),
    ("'s got", " has got"),
    ("n't", " not"),
    ("'re", " are"),
    ("'s", " is"),
    ("'d", " would"),
    ("'ll", " will"),
    ("'t", " not"),
    ("'ve", " have"),
    ("'m", " am"),
];

/// The normalised words of a text.
pub fn words(text: &str) -> Vec<String> {
    let text = written_out(&without_asides(&text.to_lowercase()));
    let text = without_stops(&without_commas(&text));
    let text: String = symbols::spaced(text.nfkd().map(|(c, _)| c));
    let words = numbers::as_digits(&text);
    let words: Vec<String> = words.iter().map(|word| spelling::american(word)).collect();
    let text = without_lone_percents(&without_lone_signs(&words.join(" ")));
    text.split_whitespace().map(str::to_owned).collect()
}

/// The text without what stands in [], <> or (). A bracket that nothing closes is a symbol; so is one round pair with nothing in it.
fn without_asides(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, opened)) = rest.split_once(['<', '[']) {
        let Some((_, after)) = opened.split_once(['>', ']']) else { break };
        kept.push_str(before);
        rest = after;
    }
    kept.push_str(rest);
    let mut out = String::with_capacity(kept.len());
    let mut rest = kept.as_str();
    while let Some((before, opened)) = rest.split_once('(') {
        out.push_str(before);
        rest = match opened.split_once(')') {
            Some((aside, after)) if !aside.is_empty() => after,
            _ => {
                out.push('(');
                opened
            }
        };
    }
    out.push_str(rest);
    out
}

fn written_out(text: &str) -> String {
    let mut text = text.to_owned();
    for filler in FILLERS {
        replace(&mut text, filler, "", Start::Word);
    }
    let mut text = close_apostrophes(&text);
    for (word, full) in WORDS {
        replace(&mut text, word, full, Start::Word);
    }
    for (ending, full) in ENDINGS {
        replace(&mut text, ending, full, Start::Anywhere);
    }
    text
}

/// Where something that is replaced may begin. It ends with a word in any case.
#[derive(Clone, Copy, PartialEq)]
enum Start {
    Word,
    Anywhere,
}

fn replace(text: &mut String, what: &str, by: &str, begins: Start) {
    let mut out = String::new();
    let mut done = 0;
    for (at, _) in text.match_indices(what) {
        let (before, after) =
            (text.get(..at).unwrap_or_default(), text.get(at + what.len()..).unwrap_or_default());
        let begins_here = begins == Start::Anywhere || !before.chars().next_back().is_some_and(is_of_word);
        if begins_here && !after.chars().next().is_some_and(is_of_word) {
            out.push_str(before.get(done..).unwrap_or_default());
            out.push_str(by);
            done = at + what.len();
        }
    }
    if done > 0 {
        out.push_str(text.get(done..).unwrap_or_default());
        *text = out;
    }
}

/// The text without blanks before apostrophes: "do n't", "it 's".
fn close_apostrophes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\'' {
            out.truncate(out.trim_end().len());
        }
        out.push(c);
    }
    out
}

/// The text without commas between digits. Each digit is read once, so that of `1,2,3` the second comma stays.
fn without_commas(text: &str) -> String {
    rewritten(text, |_, rest, out| match rest {
        [a, ',', b, ..] if a.is_numeric() && b.is_numeric() => {
            out.extend([a, b]);
            3
        }
        _ => 0,
    })
}

/// A blank in place of each full stop that no digit follows. What follows is passed over, so that of two side by side one stays.
fn without_stops(text: &str) -> String {
    rewritten(text, |_, rest, out| match rest {
        ['.', next, ..] if !next.is_ascii_digit() => {
            out.extend([' ', *next]);
            2
        }
        ['.'] => {
            out.push(' ');
            1
        }
        _ => 0,
    })
}

/// A blank in place of each sign of a number that no digit follows, such as what is left of `$one`.
fn without_lone_signs(text: &str) -> String {
    rewritten(text, |_, rest, out| match rest {
        ['.' | '$' | '¢' | '€' | '£', next, ..] if !next.is_ascii_digit() => {
            out.extend([' ', *next]);
            2
        }
        _ => 0,
    })
}

/// A blank in place of each percent sign before which something else than a digit stands.
fn without_lone_percents(text: &str) -> String {
    rewritten(text, |_, rest, out| match rest {
        [before, '%', ..] if !before.is_ascii_digit() => {
            out.extend([*before, ' ']);
            2
        }
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_normalised(text in "\\PC{0,80}") {
            let words = words(&text);
            prop_assert!(words.iter().all(|w| !w.is_empty() && !w.contains(char::is_whitespace)));
        }
    }

    #[test]
    fn rules() {
        let table = [
            ("", ""),
            ("  Hello,   WORLD!  ", "hello world"),
            ("[music] so (laughs) it <unk> goes", "so it goes"),
            ("an open ( bracket", "an open bracket"),
            ("Um, well, uh... hmm, yes", "well yes"),
            (
                "we don't; they're; I've; she'll; he'd; I'm",
                "we do not they are i have she will he would i am",
            ),
            ("It's been here. He's got it. he'd go", "it has been here he has got it he would go"),
            ("Mr. and Mrs. Smith, Dr. Jones Jr.", "mister and missus smith doctor jones junior"),
            ("the café's crème brûlée, naïve e\u{301}clair", "the cafe is creme brulee naive eclair"),
            ("rock & roll, well-known", "rock roll well known"),
            ("colour, honoured neighbours", "color honored neighbors"),
            ("B12, 5pm, the 21st", "b 12 5 pm the 21st"),
        ];
        for (text, expected) in table {
            assert_eq!(words(text).join(" "), expected, "{text:?}");
        }
    }
}
