//! A text cut into tokens, once: words, digits, signs, tags.
//!
//! In: any UTF-8 text. Out: [`Tokens`] in order, with byte offsets on character boundaries, each word with its
//! [`Meaning`], and the bits of [`seed`] that each token and the text have, so that most need no second look.
//! Must not know what an entity is. Every byte is visited a fixed number of times.

use std::ops::Range;

use super::alphabet;
use super::cutter::TokenBuffers;
use super::kind::Entity;
use super::lexicon::{Flags, Meaning};

/// The class of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A row of letters.
    Word,
    /// A row of decimal digits of any script.
    Digits,
    /// One sign that is no letter, digit or white space; signs beyond ASCII are all [`OTHER_SIGN`].
    Sign(u8),
    /// The tag of an entity, as a redactor wrote it: `<PHONE>`.
    Tag(Entity),
    /// The place before the first and after the last token.
    Edge,
}

/// The class of signs beyond ASCII (dashes, zero-width marks, combining marks).
pub const OTHER_SIGN: u8 = 0x80;
/// The class of currency signs beyond ASCII.
pub const MONEY_SIGN: u8 = 0x81;
/// The class of typographic apostrophes.
pub const APOSTROPHE: u8 = 0x82;

/// A piece of the text.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// Byte offset of its first character.
    pub start: usize,
    /// Byte offset after its last character.
    pub end: usize,
    /// The class.
    pub class: Class,
    /// White space, or nothing at all, lies before it.
    pub spaced: bool,
    /// A line break lies before it.
    pub new_line: bool,
    /// It is a word that begins with a capital.
    pub capital: bool,
    /// The meaning of the word; none for other tokens.
    pub meaning: Meaning,
}

static EDGE: Token = Token {
    start: 0,
    end: 0,
    class: Class::Edge,
    spaced: true,
    new_line: true,
    capital: false,
    meaning: Meaning::NONE,
};

impl Token {
    /// Returns true if it is this ASCII sign.
    #[inline]
    pub fn is(self, sign: u8) -> bool {
        self.class == Class::Sign(sign)
    }

    /// Returns true if it is a word with any of `flags`.
    #[inline]
    pub fn has(self, flags: Flags) -> bool {
        self.meaning.flags.any(flags)
    }

    /// Returns true if it is a word of one letter, or a letter with what explains it.
    #[inline]
    pub fn is_letter(self) -> bool {
        self.class == Class::Word && (self.end - self.start == 1 || self.has(Flags::EXPLAINED))
    }

    /// Returns true if it is a letter with what explains it.
    #[inline]
    pub fn is_explained(self) -> bool {
        self.has(Flags::EXPLAINED)
    }

    /// Returns true if it is a typographic apostrophe.
    #[inline]
    pub fn is_apostrophe(self) -> bool {
        self.class == Class::Sign(APOSTROPHE)
    }

    /// Returns true if it is a word or digits.
    #[inline]
    pub fn is_solid(self) -> bool {
        matches!(self.class, Class::Word | Class::Digits)
    }

    /// Bytes.
    #[expect(clippy::len_without_is_empty, reason = "a token is never empty")]
    #[inline]
    pub fn len(self) -> usize {
        self.end - self.start
    }
}

/// The uses of a token, as bits: so that a finder passes the tokens that do not concern it in a glance, and a text without any
/// that does at once.
pub mod seed {
    /// Digits, or a word that says a number.
    pub const NUMBER: u32 = 1;
    /// Digits.
    pub const FIGURES: u32 = 1 << 1;
    /// A word with a capital.
    pub const CAPITAL: u32 = 1 << 2;
    /// A word that is in no list.
    pub const UNLISTED: u32 = 1 << 3;
    /// A letter alone, or a word that spells one.
    pub const LETTER: u32 = 1 << 4;
    /// An at sign, or the word.
    pub const AT: u32 = 1 << 5;
    /// A dot, or the word.
    pub const DOT: u32 = 1 << 6;
    /// The start of a long row without white space, or of a row behind a word that a secret follows.
    pub const ROW: u32 = 1 << 7;
    /// The start of a row without white space that holds a colon.
    pub const COLON: u32 = 1 << 8;
    /// The name of a month.
    pub const MONTH: u32 = 1 << 9;
    /// A word of two letters.
    pub const PAIR: u32 = 1 << 10;
    /// The start of a row that holds a digit behind its first token, or a short word before figures.
    pub const MIXED: u32 = 1 << 11;
    /// A word that ends the name of an organisation.
    pub const FIRM: u32 = 1 << 12;
    /// A word that context phrases begin with.
    pub const CUE: u32 = 1 << 13;
    /// A tag, or part of what was found.
    pub const TAKEN: u32 = 1 << 14;
    /// A word that a name may follow.
    pub const TELLS: u32 = 1 << 15;
    /// A sign behind such a word, past which the name may follow.
    pub const TOLD: u32 = 1 << 16;
    /// A word that the name of an organisation follows.
    pub const FIRM_CUE: u32 = 1 << 17;
    /// A word of streets or of post boxes.
    pub const STREET: u32 = 1 << 18;
    /// A word by which ages are given.
    pub const AGE: u32 = 1 << 19;
    /// Signs of a network address: an at sign, a dot before a letter or digit, a word for a dot, a domain's ending.
    pub const ADDRESS: u32 = 1 << 20;
    /// A word that a secret follows.
    pub const SECRET: u32 = 1 << 21;
    /// A word that the letters of a name follow.
    pub const SPELLS: u32 = 1 << 23;
    /// A colon.
    pub const COLON_SIGN: u32 = 1 << 22;
    /// The second of two words for a sign.
    pub const JOINED: u32 = 1 << 30;
    /// A letter with what explains it.
    pub const EXPLAINED: u32 = 1 << 29;
    /// A word by which letters are spelled, beside those of aviation.
    pub const CODE_WORD: u32 = 1 << 28;
}

/// The tokens of a text.
#[derive(Debug)]
pub struct Tokens<'a> {
    /// The text itself.
    pub text: &'a str,
    cut: TokenBuffers,
    #[cfg(test)]
    looks: std::cell::Cell<u64>,
}

impl<'a> Tokens<'a> {
    /// Cuts `text`.
    pub fn new(text: &'a str) -> Self {
        Self::with(text, &[])
    }

    /// Cuts `text`, in which tags may also have these names.
    pub fn with(text: &'a str, names: &[String]) -> Self {
        Self::within(text, names, TokenBuffers::default())
    }

    /// The same in the rooms of an earlier text.
    pub fn within(text: &'a str, names: &[String], mut cut: TokenBuffers) -> Self {
        cut.fill(text, names);
        alphabet::fold(text, &mut cut);
        Self {
            text,
            cut,
            #[cfg(test)]
            looks: std::cell::Cell::default(),
        }
    }

    /// The rooms, for the next text.
    pub fn into_buffers(self) -> TokenBuffers {
        self.cut
    }

    /// Returns true if any token has any of the bits of `seeds`.
    #[inline]
    pub fn any(&self, seeds: u32) -> bool {
        self.cut.all & seeds != 0
    }

    /// Adds bits to tokens.
    #[inline]
    pub fn mark(&mut self, range: Range<usize>, seeds: u32) {
        for at in range {
            self.cut.mark(at, seeds);
        }
    }

    /// Returns the number of tokens.
    #[inline]
    pub fn len(&self) -> usize {
        self.cut.list.len()
    }

    /// Returns true if the text is blank.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.cut.list.is_empty()
    }

    /// The token at `index`, or the edge.
    #[inline]
    pub fn at(&self, index: usize) -> Token {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        *self.cut.list.get(index).unwrap_or(&EDGE)
    }

    /// The first token from `from` on with any of the bits of `seeds`.
    #[inline]
    pub fn seed(&self, from: usize, seeds: u32) -> Option<usize> {
        self.cut.planes.next(from, seeds)
    }

    /// The bits of the token.
    #[inline]
    pub fn seeds(&self, index: usize) -> u32 {
        self.cut.seeds.get(index).copied().unwrap_or(0)
    }

    /// Returns true if the token has any of the bits of `seeds`.
    #[inline]
    pub fn has_seed(&self, index: usize, seeds: u32) -> bool {
        self.cut.seeds.get(index).is_some_and(|bits| bits & seeds != 0)
    }

    /// Returns true if any token of the range has any of the bits of `seeds`.
    #[inline]
    pub fn any_in(&self, range: Range<usize>, seeds: u32) -> bool {
        let end = range.end.min(self.len());
        self.cut.seeds.get(range.start..end).is_some_and(|all| all.iter().any(|bits| bits & seeds != 0))
    }

    /// Returns the number of tokens that were read so far.
    #[cfg(test)]
    pub fn looks(&self) -> u64 {
        self.looks.get()
    }

    /// The token before `index`, or the edge.
    #[inline]
    pub fn before(&self, index: usize) -> Token {
        self.at(index.wrapping_sub(1))
    }

    /// The text of a token.
    #[inline]
    pub fn str(&self, token: Token) -> &'a str {
        self.text.get(token.start..token.end).unwrap_or("")
    }

    /// The letter, in capitals, of a token that is one, explained or not; 0 of others.
    #[inline]
    pub fn letter(&self, token: Token) -> u8 {
        if token.is_explained() {
            return token.meaning.letter;
        }
        match self.str(token).as_bytes() {
            [letter] => letter.to_ascii_uppercase(),
            _ => 0,
        }
    }

    /// Returns true if it is a word that begins with a capital.
    #[inline]
    pub fn is_capital(&self, token: Token) -> bool {
        token.capital
    }

    /// Returns true if a paragraph ends before the token: at a line end alone a text may have been wrapped.
    #[inline]
    pub fn breaks(&self, index: usize) -> bool {
        let token = self.at(index);
        if !token.new_line {
            return false;
        }
        let from = index.checked_sub(1).map_or(0, |before| self.at(before).end);
        let between = self.text.get(from..token.start).unwrap_or("");
        index == 0 || between.bytes().filter(|byte| *byte == b'\n').count() > 1
    }

    /// Returns true if nothing lies between the tokens `index - 1` and `index`, and both exist.
    #[inline]
    pub fn glued(&self, index: usize) -> bool {
        !self.at(index).spaced
    }

    /// Returns true if the sign at `index` has a letter or digit glued to both sides.
    #[inline]
    pub fn is_inner(&self, index: usize) -> bool {
        let solid = |token: Token| matches!(token.class, Class::Word | Class::Digits);
        self.glued(index) && self.glued(index + 1) && solid(self.before(index)) && solid(self.at(index + 1))
    }
}

/// The value of a decimal digit of the scripts that people write numbers in.
#[inline]
pub fn digit_value(c: char) -> Option<u8> {
    const ZEROS: [u32; 13] =
        [0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xE50, 0x17E0, 0xFF10];
    let code = u32::from(c);
    if code < 0x80 {
        return c.to_digit(10).and_then(|value| u8::try_from(value).ok());
    }
    ZEROS
        .iter()
        .find_map(|zero| code.checked_sub(*zero).filter(|value| *value < 10))
        .and_then(|v| u8::try_from(v).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(&str, Class)> {
        let tokens = Tokens::new(text);
        (0..tokens.len()).map(|i| (tokens.str(tokens.at(i)), tokens.at(i).class)).collect()
    }

    #[test]
    fn words_digits_signs_and_tags() {
        use Class::{Digits, Sign, Tag, Word};
        assert_eq!(
            cut("Zoë: 12a <NUMBER>٣–x"),
            [
                ("Zoë", Word),
                (":", Sign(b':')),
                ("12", Digits),
                ("a", Word),
                ("<NUMBER>", Tag(Entity::Number)),
                ("٣", Digits),
                ("–", Sign(OTHER_SIGN)),
                ("x", Word),
            ]
        );
        assert_eq!(cut("<NUMB> "), [("<", Sign(b'<')), ("NUMB", Word), (">", Sign(b'>'))]);
        assert_eq!(cut(" \u{a0}\n"), []);
    }

    #[test]
    fn seeds_tell_what_may_be_found() {
        let any = |text, seeds| Tokens::new(text).any(seeds);
        assert!(!any("Nothing of the kind. Really.", seed::ADDRESS));
        assert!(["a.b", "a dot b", "@"].iter().all(|text| any(text, seed::ADDRESS)));
        assert!(any("twenty", seed::NUMBER) && any("x9", seed::NUMBER) && !any("plenty", seed::NUMBER));
        assert!(any("in May", seed::MONTH) && !any("in Mays", seed::MONTH));
    }

    #[test]
    fn words_are_cut_alike_wherever_they_end() {
        for length in 1..40 {
            let word = "x".repeat(length);
            for (before, after) in
                [("", ""), ("", " y"), ("- ", "-"), ("", "é"), ("", "é and so on and on"), ("", "'")]
            {
                let text = format!("{before}{word}{after}");
                let expected = if after.starts_with('é') { word.len() + 2 } else { word.len() };
                let tokens = Tokens::new(&text);
                let found =
                    (0..tokens.len()).map(|at| tokens.at(at)).find(|token| token.class == Class::Word);
                assert_eq!(
                    found.map(|token| (token.start, token.len())),
                    Some((before.len(), expected)),
                    "{text}"
                );
            }
        }
    }
}
