//! Utterances that follow each other: a number begun in one and finished in the next is one number.
//!
//! In: the texts of one device, one after the other. Out: the findings of each, made with its neighbours in sight. A text whose end may
//! go on is held until the next one is there; what was said before is remembered for a few words. It must not know rows or clocks.

use super::cue::Cues;
use super::gazetteer;
use super::lexicon::{Flags, Sense};
use super::person_cue;
use super::scanner::{Finding, Scanner};
use super::token::{Class, Token, Tokens, seed};

/// So much of what was said before is remembered, in bytes.
const REMEMBERED: usize = 240;
/// The distance from the end of a text within which a value may begin that continues in the next one, in tokens.
const TAIL: usize = 14;
/// The same for a name.
const NAME_TAIL: usize = 3;

/// The end of the text before, for the utterances that follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before(String);

impl Before {
    /// Creates it from the part of the text that was kept.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The words themselves: raw, so they must be kept as such.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// After this text was said too.
    pub fn said(&mut self, text: &str) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(text);
        if self.0.len() > REMEMBERED {
            let from = self.0.len() - REMEMBERED;
            let rest = self.0.char_indices().find(|(at, c)| *at >= from && c.is_whitespace());
            self.0 = rest.and_then(|(at, _)| self.0.get(at..)).unwrap_or("").trim_start().to_owned();
        }
    }
}

/// The findings of `text` between what was said before it and after it.
///
/// The text after may itself end in the middle of a value. Then the text is not held any longer, but scanned as if the value continued.
pub fn scan(scanner: &Scanner, before: &Before, text: &str, after: Option<&str>) -> Vec<Finding> {
    let after = after.map_or("", |after| head(after));
    if before.0.is_empty() && after.is_empty() {
        return scanner.scan(text);
    }
    let mut found = scan_between(scanner, before, text, after);
    for more in going_on(before, text, after) {
        let longer = scan_between(scanner, before, text, &format!("{after}{more}"));
        let apart =
            |finding: &Finding| found.iter().all(|f| f.end <= finding.start || finding.end <= f.start);
        let more: Vec<Finding> = longer.into_iter().filter(apart).collect();
        found.extend(more);
        found.sort_by_key(|finding| finding.start);
    }
    found
}

/// Returns the ways in which a value that runs through the whole text after may continue; none where it ends before.
fn going_on(before: &Before, text: &str, after: &str) -> Vec<&'static str> {
    let tokens = Tokens::new(after);
    let sign = |at: &usize| matches!(tokens.at(*at).class, Class::Sign(b',' | b'.' | b'?'));
    let signs = (0..tokens.len()).rev().take_while(sign).count();
    let Some(last) = tokens.len().checked_sub(1 + signs) else { return Vec::new() };
    let said = [before.as_str(), text].join(" ");
    let said = Tokens::new(&said);
    let address = address_going_on(&said, &tokens, last);
    let number = number_goes_on(&said, &tokens, last).then_some(" 5 5 5 5 5 5");
    address.into_iter().chain(number).collect()
}

/// Returns the way in which a network address may continue.
fn address_going_on(said: &Tokens<'_>, after: &Tokens<'_>, last: usize) -> Option<&'static str> {
    let (end, tail) = (after.at(last), said.len().saturating_sub(TAIL)..said.len());
    let joint = |token: Token| token.has(JOINTS.or(Flags::DOT));
    if let Some(at) = (0..=last).rev().find(|at| after.has_seed(*at, seed::AT)) {
        return match last - at {
            0 => Some(" example dot com"),
            1..=NAME_OF_ADDRESS if joint(end) => Some(" com"),
            1..=NAME_OF_ADDRESS => Some(" dot com"),
            _ => None,
        };
    }
    let begun = tail.clone().any(|at| said.has_seed(at, seed::AT));
    let joined = tail.clone().any(|at| joint(said.at(at))) || (0..=last).any(|at| joint(after.at(at)));
    if last >= NAME_OF_ADDRESS || !joined && !is_address_spoken_of(said, tail.start) {
        return None;
    }
    Some(match (begun, joint(end)) {
        (true, true) => " com",
        (true, false) => " dot com",
        (false, true) => " x at example dot com",
        (false, false) => " at example dot com",
    })
}

/// Returns true if a number that was begun in what was said goes on through all of what comes after, and perhaps further.
fn number_goes_on(said: &Tokens<'_>, after: &Tokens<'_>, last: usize) -> bool {
    /// Fewer numbers, said one by one, are a count, a time or a year where no phrase stands before them.
    const FEWEST: usize = 4;
    let through = |at: usize| {
        let token = after.at(at);
        after.has_seed(at, seed::NUMBER | seed::LETTER)
            || matches!(token.class, Class::Sign(_))
            || matches!(token.meaning.sense, Sense::Homophone(_))
            || token.has(Flags::FILLER | Flags::DASH | Flags::DOT)
    };
    if last > LONGEST_PIECE || !(0..=last).all(through) {
        return false;
    }
    let width = |tokens: &Tokens<'_>, at: usize| {
        let token = tokens.at(at);
        match (token.class, token.meaning.sense, tokens.before(at).meaning.sense) {
            (Class::Digits, ..) => token.len(),
            (_, Sense::Digit(_), Sense::Ten(_)) => 0,
            (_, Sense::Digit(_) | Sense::Teen(_) | Sense::Ten(_), _) => 1,
            (_, Sense::Repeat(times), _) => usize::from(times) - 1,
            _ => 0,
        }
    };
    let tail = (0..said.len()).rev().take_while(|at| said.has_seed(*at, seed::NUMBER));
    let begun: usize = tail.map(|at| width(said, at)).sum();
    let more: usize = (0..=last).map(|at| width(after, at)).sum();
    let announced = || {
        let mut cues = Cues::default();
        cues.fill(said);
        let from = said.len().saturating_sub(TAIL);
        cues.before(said.len(), from).any(|cue| cue.hint.is_for_digits())
    };
    begun + more >= FEWEST || more > 0 && announced()
}

/// The most tokens of a piece that is looked at as the middle of a value.
const LONGEST_PIECE: usize = 40;

/// The findings of `text` between two texts.
fn scan_between(scanner: &Scanner, before: &Before, text: &str, after: &str) -> Vec<Finding> {
    let mut joined = String::with_capacity(before.0.len() + text.len() + after.len() + 2);
    if !before.0.is_empty() {
        joined.push_str(&before.0);
        joined.push(' ');
    }
    let start = joined.len();
    joined.push_str(text);
    let end = joined.len();
    if !after.is_empty() {
        joined.push(' ');
        joined.push_str(after);
    }
    let inside =
        scanner.scan(&joined).into_iter().filter(|finding| finding.start < end && finding.end > start);
    inside
        .map(|finding| Finding {
            start: finding.start.max(start) - start,
            end: trimmed(&joined, finding.start.max(start), finding.end.min(end)) - start,
            ..finding
        })
        .filter(|finding| finding.start < finding.end)
        .collect()
}

/// The end of a piece without the white space that lay between two texts.
fn trimmed(joined: &str, start: usize, end: usize) -> usize {
    joined.get(start..end).map_or(end, |piece| start + piece.trim_end().len())
}

/// The start of a text, as far as it may belong to what was said before.
fn head(text: &str) -> &str {
    const LONGEST: usize = 400;
    let end = (text.len().min(LONGEST)..=text.len()).find(|at| {
        text.get(..*at).is_some()
            && text.get(*at..).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    });
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Returns true if a text ends in the middle of what may go on in the next one: a number, letters, an address, a date, a name. Behind its last
/// word signs say nothing: a recogniser ends every utterance with one.
pub fn is_open(before: &Before, text: &str) -> bool {
    let tokens = Tokens::new(text);
    let ends =
        |at: &usize| matches!(tokens.at(*at).class, Class::Sign(_)) || tokens.at(*at).has(Flags::FILLER);
    let signs = (0..tokens.len()).rev().take_while(ends).count();
    let len = tokens.len() - signs;
    let tail = |reach: usize| len.saturating_sub(reach)..len;
    tail(TAIL).any(|at| number_may_go_on(&tokens, at, len) || address_may_go_on(&tokens, at, len))
        || tail(JOINT_TAIL).any(|at| tokens.at(at).has(JOINTS))
        || tail(NAME_TAIL).any(|at| name_may_go_on(&tokens, at) || tokens.has_seed(at, seed::MONTH))
        || person_cue::is_before_end(&tokens, len)
        || is_address_spoken_of(&tokens, tail(NAME_OF_ADDRESS + 2).start)
        || tokens.len() <= NAME_OF_ADDRESS && {
            let before = Tokens::new(before.as_str());
            let tail = before.len().saturating_sub(TAIL);
            let last = before.len().wrapping_sub(1);
            is_address_spoken_of(&before, tail)
                || before.has_seed(last, seed::AT)
                || before.at(last).has(JOINTS)
        }
}

/// Returns true if a number or a letter stands at a token, and so few words behind it that another part of the number may follow.
fn number_may_go_on(tokens: &Tokens<'_>, at: usize, len: usize) -> bool {
    const WORDS: usize = 2;
    let token = tokens.at(at);
    let letter = token.is_letter() && !matches!(tokens.str(token), "a" | "I" | "i");
    if !letter && !tokens.has_seed(at, seed::NUMBER) {
        return false;
    }
    let plain = |at: &usize| {
        let token = tokens.at(*at);
        token.class == Class::Word
            && !token.has(Flags::FILLER | Flags::DASH | Flags::DOT)
            && !tokens.has_seed(*at, seed::NUMBER | seed::LETTER)
    };
    (at + 1..len).filter(plain).count() <= WORDS
}

/// Returns true if a word or a sign of an address on the net stands at a token, and nothing behind it that is no part of one.
fn address_may_go_on(tokens: &Tokens<'_>, at: usize, len: usize) -> bool {
    let token = tokens.at(at);
    let dot = token.has(Flags::DOT) || token.is(b'.') && tokens.is_inner(at);
    let provider = token.meaning.cue > 0 && token.has(Flags::PROVIDER);
    let sign = tokens.has_seed(at, seed::AT) || dot || provider;
    sign && len - at <= NAME_OF_ADDRESS + 1
        && (at + 1..len).all(|at| {
            !tokens.at(at).has(Flags::ARTICLE | Flags::STOP)
                || tokens.at(at).has(Flags::DOT | Flags::AT | Flags::WEAK_TLD)
        })
}

/// Returns true if a word at the end may be a part of a name: a letter of an alphabet, or a word with a capital that is no plain word.
fn name_may_go_on(tokens: &Tokens<'_>, at: usize) -> bool {
    let token = tokens.at(at);
    if token.class != Class::Word || token.is_letter() && tokens.str(token) == "I" {
        return false;
    }
    if tokens.has_seed(at, seed::LETTER) {
        return !matches!(tokens.str(token), "a" | "A");
    }
    let known = || gazetteer::known(tokens.str(token));
    let begins = at == 0 || matches!(tokens.before(at).class, Class::Sign(b'.' | b'!' | b'?'));
    token.capital
        && !token.has(Flags::STOP | Flags::LINK | Flags::WEEKDAY)
        && (!begins || !known().is_common())
}

/// The words for signs inside an address.
const JOINTS: Flags = Flags::DASH.or(Flags::UNDERSCORE).or(Flags::PLUS).or(Flags::SLASH);
/// The distance from the end of a text within which such a word still joins what follows, in tokens.
const JOINT_TAIL: usize = 4;
/// The most tokens of a text that may be the name in an address.
const NAME_OF_ADDRESS: usize = 6;

/// "my email is john smith": what follows may be a domain.
fn is_address_spoken_of(tokens: &Tokens<'_>, from: usize) -> bool {
    (from..tokens.len()).any(|at| {
        let token = tokens.at(at);
        token.meaning.cue > 0
            && ["email", "mail", "e", "username", "login", "address", "name"]
                .iter()
                .any(|word| tokens.str(token).eq_ignore_ascii_case(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Redacts texts one after the other, each held for the next one where its end is open.
    fn redacted(texts: &[&str]) -> Vec<String> {
        let scanner = Scanner::default();
        let mut before = Before::default();
        let mut out = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            let after = if is_open(&before, text) { texts.get(at + 1).copied() } else { None };
            let found = scan(&scanner, &before, text, after);
            let tag = |finding: &Finding, _: &str, out: &mut String| out.push_str(finding.kind.tag());
            out.push(scanner.replace(text, &found, tag).text);
            before.said(text);
        }
        out
    }

    #[test]
    fn a_number_in_two_utterances_is_found() {
        let check = |texts: &[&str], expected: &[&str]| assert_eq!(redacted(texts), expected);
        check(&["my number is five five", "five oh one four seven"], &["my number is <PHONE>", "<PHONE>"]);
        check(&["my number is", "555 0147"], &["my number is", "<PHONE>"]);
        check(&["card 4539 1488", "0343 6467 thanks"], &["card <CARD>", "<CARD> thanks"]);
        check(&["email me at john dot", "doe at example dot com"], &["email me at <EMAIL>", "<EMAIL>"]);
        check(&["john dot", "doe at", "example dot com"], &["<EMAIL>", "<EMAIL>", "<EMAIL>"]);
        check(&["so five five", "five oh one", "four seven"], &["so <NUMBER>", "<NUMBER>", "<NUMBER>"]);
        check(&["we need two", "or three", "more chairs"], &["we need two", "or three", "more chairs"]);
        check(&["it weighs 5", "kilograms"], &["it weighs 5", "kilograms"]);
        check(&["it is fine", "see you"], &["it is fine", "see you"]);
        check(&["one", "two", "that is all"], &["one", "two", "that is all"]);
        check(&["one", "or two", "maybe three"], &["one", "or two", "maybe three"]);
        check(&["we moved in nineteen", "ninety nine"], &["we moved in nineteen", "ninety nine"]);
        check(&["this is", "katarzyna wisniewska", "ok"], &["this is", "<PERSON>", "ok"]);
        check(&["hi this is sophy", "santino", "ok"], &["hi this is <PERSON>", "<PERSON>", "ok"]);
        check(&["my name is rosa", "lindqvist"], &["my name is <PERSON>", "<PERSON>"]);
    }

    #[test]
    fn only_a_tail_that_can_go_on_is_open() {
        let open = |text: &str| is_open(&Before::default(), text);
        for text in [
            "my number is five five",
            "my number is five five.",
            "card 4539 1488",
            "john dot",
            "write to john at",
            "write to john at example",
            "my email is john smith",
            "born on the third of March",
            "hi this is sophy",
            "it is for Katarzyna",
            "so it's nine, um,",
            "double you alpha bravo",
        ] {
            assert!(open(text), "{text:?}");
        }
        for text in [
            "Okay.",
            "Thanks.",
            "That is all.",
            "we have five apples left in the kitchen",
            "The patient slept well and has no fever this morning.",
            "see you at the office",
            "Please take this medicine after breakfast.",
            "it is fine",
            "",
        ] {
            assert!(!open(text), "{text:?}");
        }
    }

    #[test]
    fn little_is_remembered() {
        let mut before = Before::default();
        before.said(&"word ".repeat(500));
        assert!(before.as_str().len() <= REMEMBERED && before.as_str().starts_with("word"));
        before.said(&"a".repeat(500));
        assert_eq!(before.as_str(), "");
    }
}
