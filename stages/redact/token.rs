//! A text cut into tokens, once: words, digits, signs, tags.
//!
//! In: any UTF-8 text. Out: [`Tokens`] in order, with byte offsets on character boundaries, each word with its
//! [`Meaning`], and which [`Signals`] the text holds at all, so that most texts need no second look.
//! Must not know what an entity is. Every byte is visited a fixed number of times.

use super::kind::Entity;
use super::lexicon::{self, Flags, Meaning, Sense};

/// What a token is.
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
    /// What stands before the first and after the last token.
    Edge,
}

/// The class of signs beyond ASCII (dashes, zero-width marks, combining marks).
pub const OTHER_SIGN: u8 = 0x80;
/// The class of currency signs beyond ASCII.
pub const MONEY_SIGN: u8 = 0x81;

/// A piece of the text.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// Byte offset of its first character.
    pub start: usize,
    /// Byte offset after its last character.
    pub end: usize,
    /// What it is.
    pub class: Class,
    /// White space lies before it.
    pub spaced: bool,
    /// A line break lies before it.
    pub new_line: bool,
    /// What the word means; nothing for other tokens.
    pub meaning: Meaning,
}

const EDGE: Token =
    Token { start: 0, end: 0, class: Class::Edge, spaced: true, new_line: true, meaning: Meaning::NONE };

impl Token {
    /// Whether it is this ASCII sign.
    pub fn is(self, sign: u8) -> bool {
        self.class == Class::Sign(sign)
    }

    /// Whether it is a word with any of `flags`.
    pub fn has(self, flags: Flags) -> bool {
        self.meaning.flags.any(flags)
    }

    /// Whether it is a word of one letter.
    pub fn is_letter(self) -> bool {
        self.class == Class::Word && self.end - self.start == 1
    }

    /// Bytes.
    #[expect(clippy::len_without_is_empty, reason = "a token is never empty")]
    pub fn len(self) -> usize {
        self.end - self.start
    }
}

/// What a text holds at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signals {
    /// Digits or number words.
    pub number: bool,
    /// A dot between two letters or digits, or the word for it, or `@`.
    pub address: bool,
    /// A colon between two letters or digits.
    pub colon: bool,
    /// The name of a month.
    pub month: bool,
}

/// The tokens of a text.
#[derive(Debug)]
pub struct Tokens<'a> {
    /// The text itself.
    pub text: &'a str,
    /// What the text holds at all.
    pub signals: Signals,
    list: Vec<Token>,
    #[cfg(test)]
    looks: std::cell::Cell<u64>,
}

impl<'a> Tokens<'a> {
    /// Cuts `text`.
    pub fn new(text: &'a str) -> Self {
        let mut cutter =
            Cutter { text, at: 0, list: Vec::with_capacity(text.len() / 5 + 4), signals: Signals::default() };
        cutter.run();
        Self {
            text,
            signals: cutter.signals,
            list: cutter.list,
            #[cfg(test)]
            looks: std::cell::Cell::default(),
        }
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether the text is blank.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The token at `index`, or the edge.
    pub fn at(&self, index: usize) -> Token {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        self.list.get(index).copied().unwrap_or(EDGE)
    }

    /// How many tokens were looked at so far.
    #[cfg(test)]
    pub fn looks(&self) -> u64 {
        self.looks.get()
    }

    /// The token before `index`, or the edge.
    pub fn before(&self, index: usize) -> Token {
        index.checked_sub(1).map_or(EDGE, |before| self.at(before))
    }

    /// The text of a token.
    pub fn str(&self, token: Token) -> &'a str {
        self.text.get(token.start..token.end).unwrap_or("")
    }

    /// Whether nothing lies between the tokens `index - 1` and `index`, and both exist.
    pub fn glued(&self, index: usize) -> bool {
        let (left, right) = (self.before(index), self.at(index));
        left.class != Class::Edge && right.class != Class::Edge && left.end == right.start
    }

    /// Whether the sign at `index` has a letter or digit glued to both sides.
    pub fn is_inner(&self, index: usize) -> bool {
        let solid = |token: Token| matches!(token.class, Class::Word | Class::Digits);
        self.glued(index) && self.glued(index + 1) && solid(self.before(index)) && solid(self.at(index + 1))
    }
}

struct Cutter<'a> {
    text: &'a str,
    at: usize,
    list: Vec<Token>,
    signals: Signals,
}

impl Cutter<'_> {
    fn run(&mut self) {
        let bytes = self.text.as_bytes();
        let (mut spaced, mut new_line) = (true, true);
        while let Some(&byte) = bytes.get(self.at) {
            let start = self.at;
            let class = match BYTE_CLASS.get(usize::from(byte)) {
                Some(ByteClass::Space) => {
                    spaced = true;
                    new_line |= byte == b'\n';
                    self.at += 1;
                    continue;
                }
                Some(ByteClass::Letter) => self.word(),
                Some(ByteClass::Digit) => self.digits(),
                Some(ByteClass::Sign) => self.sign(byte),
                _ => {
                    let Some(class) = self.beyond_ascii() else {
                        spaced = true;
                        continue;
                    };
                    class
                }
            };
            self.push(start, class, spaced, new_line);
            (spaced, new_line) = (false, false);
        }
    }

    fn push(&mut self, start: usize, class: Class, spaced: bool, new_line: bool) {
        let end = self.at;
        let meaning = match class {
            Class::Word => self.text.get(start..end).map_or(Meaning::NONE, lexicon::meaning),
            _ => Meaning::NONE,
        };
        match class {
            Class::Digits => self.signals.number = true,
            Class::Word if meaning.is_some() => self.note(meaning),
            Class::Sign(b'@') => self.signals.address = true,
            Class::Sign(b'.') => self.signals.address |= !spaced && self.continues(),
            Class::Sign(b':') => self.signals.colon = true,
            _ => {}
        }
        self.list.push(Token { start, end, class, spaced, new_line, meaning });
    }

    fn note(&mut self, meaning: Meaning) {
        self.signals.number |= meaning.sense.is_number();
        self.signals.month |= matches!(meaning.sense, Sense::Month(_));
        self.signals.address |= meaning.flags.any(Flags::DOT | Flags::PROVIDER | Flags::TLD);
    }

    /// Whether a letter or digit follows at once.
    fn continues(&self) -> bool {
        self.text.as_bytes().get(self.at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80)
    }

    fn word(&mut self) -> Class {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if byte.is_ascii_alphabetic() {
                self.at += 1;
            } else if byte < 0x80 {
                break;
            } else {
                match self.next_char() {
                    Some(c) if c.is_alphabetic() => self.at += c.len_utf8(),
                    _ => break,
                }
            }
        }
        Class::Word
    }

    fn digits(&mut self) -> Class {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if byte.is_ascii_digit() {
                self.at += 1;
            } else if byte < 0x80 {
                break;
            } else {
                match self.next_char() {
                    Some(c) if digit_value(c).is_some() => self.at += c.len_utf8(),
                    _ => break,
                }
            }
        }
        Class::Digits
    }

    fn sign(&mut self, byte: u8) -> Class {
        if byte == b'<'
            && let Some(tag) = self.text.get(self.at..).and_then(leading_tag)
        {
            self.at += tag.tag().len();
            return Class::Tag(tag);
        }
        self.at += 1;
        Class::Sign(byte)
    }

    /// A character beyond ASCII; `None` for white space.
    fn beyond_ascii(&mut self) -> Option<Class> {
        let Some(c) = self.next_char() else {
            self.at = self.text.len();
            return None;
        };
        if c.is_alphabetic() {
            return Some(self.word());
        }
        if digit_value(c).is_some() {
            return Some(self.digits());
        }
        self.at += c.len_utf8();
        if c.is_whitespace() {
            return None;
        }
        Some(Class::Sign(match c {
            '€' | '£' | '¥' | '₹' | '₽' | '₩' | '₺' | '₴' | '₪' => MONEY_SIGN,
            '°' | '‰' => b'%',
            '．' | '。' => b'.',
            '＠' => b'@',
            _ => OTHER_SIGN,
        }))
    }

    fn next_char(&self) -> Option<char> {
        self.text.get(self.at..).and_then(|rest| rest.chars().next())
    }
}

fn leading_tag(rest: &str) -> Option<Entity> {
    Entity::ALL.into_iter().find(|entity| rest.starts_with(entity.tag()))
}

/// The value of a decimal digit of the scripts that people write numbers in.
pub fn digit_value(c: char) -> Option<u8> {
    const ZEROS: [u32; 14] =
        [0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xE50, 0x17E0, 0xFF10];
    let code = u32::from(c);
    ZEROS
        .iter()
        .find_map(|zero| code.checked_sub(*zero).filter(|value| *value < 10))
        .and_then(|v| u8::try_from(v).ok())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ByteClass {
    Space,
    Letter,
    Digit,
    Sign,
    High,
}

const BYTE_CLASS: [ByteClass; 256] = {
    let mut table = [ByteClass::High; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        #[expect(
            clippy::indexing_slicing,
            reason = "evaluated at compile time; 0..128 lies inside the table"
        )]
        {
            table[byte as usize] = match byte {
                b'A'..=b'Z' | b'a'..=b'z' => ByteClass::Letter,
                b'0'..=b'9' => ByteClass::Digit,
                0..=32 | 127 => ByteClass::Space,
                _ => ByteClass::Sign,
            };
        }
        byte += 1;
    }
    table
};

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
            cut("Zoë: 12a <NUM>٣–x"),
            [
                ("Zoë", Word),
                (":", Sign(b':')),
                ("12", Digits),
                ("a", Word),
                ("<NUM>", Tag(Entity::Num)),
                ("٣", Digits),
                ("–", Sign(OTHER_SIGN)),
                ("x", Word),
            ]
        );
        assert_eq!(cut("<NUMB> "), [("<", Sign(b'<')), ("NUMB", Word), (">", Sign(b'>'))]);
        assert_eq!(cut(" \u{a0}\n"), []);
    }

    #[test]
    fn signals_tell_what_may_be_found() {
        let signals = |text| Tokens::new(text).signals;
        assert!(!signals("Nothing of the kind. Really.").address);
        assert!(signals("a.b").address && signals("a dot b").address && signals("@").address);
        assert!(signals("twenty").number && signals("x9").number && !signals("plenty").number);
        assert!(signals("in May").month);
    }
}
