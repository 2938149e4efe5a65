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
/// The class of typographic apostrophes.
pub const APOSTROPHE: u8 = 0x82;

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
    #[inline]
    pub fn is(self, sign: u8) -> bool {
        self.class == Class::Sign(sign)
    }

    /// Whether it is a word with any of `flags`.
    #[inline]
    pub fn has(self, flags: Flags) -> bool {
        self.meaning.flags.any(flags)
    }

    /// Whether it is a word of one letter.
    #[inline]
    pub fn is_letter(self) -> bool {
        self.class == Class::Word && self.end - self.start == 1
    }

    /// Whether it is a typographic apostrophe.
    #[inline]
    pub fn is_apostrophe(self) -> bool {
        self.class == Class::Sign(APOSTROPHE)
    }

    /// Whether it is a word or digits.
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
    /// A word with a capital.
    pub capital: bool,
    /// A word that is in no list: it may be a name in small letters.
    pub word: bool,
    /// A long row without white space, or a word that a secret may follow.
    pub row: bool,
    /// A word of streets.
    pub street: bool,
    /// A word by which ages are told.
    pub age: bool,
}

/// What may begin at a token, as bits: so that a finder passes the tokens that do not concern it in a glance.
pub mod seed {
    /// Digits, or a word that says a number.
    pub const NUMBER: u16 = 1;
    /// Digits.
    pub const FIGURES: u16 = 1 << 1;
    /// A word with a capital.
    pub const CAPITAL: u16 = 1 << 2;
    /// A word that is in no list.
    pub const UNLISTED: u16 = 1 << 3;
    /// A letter alone, or a word that spells one.
    pub const LETTER: u16 = 1 << 4;
    /// An at sign, or the word.
    pub const AT: u16 = 1 << 5;
    /// A dot, or the word.
    pub const DOT: u16 = 1 << 6;
    /// The start of a long row without white space, or of a row behind a word that a secret follows.
    pub const ROW: u16 = 1 << 7;
    /// The start of a row without white space that holds a colon.
    pub const COLON: u16 = 1 << 8;
    /// The name of a month.
    pub const MONTH: u16 = 1 << 9;
    /// A word of two letters.
    pub const PAIR: u16 = 1 << 10;
    /// The start of a row that holds a digit behind its first token, or a short word before figures.
    pub const MIXED: u16 = 1 << 11;
    /// A word that ends the name of an organisation.
    pub const FIRM: u16 = 1 << 12;
}

/// The tokens of a text.
#[derive(Debug)]
pub struct Tokens<'a> {
    /// The text itself.
    pub text: &'a str,
    /// What the text holds at all.
    pub signals: Signals,
    list: Vec<Token>,
    seeds: Vec<u16>,
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
        let mut cutter =
            Cutter { text, names, at: 0, list: Vec::with_capacity(text.len() / 5 + 4), seeds: Vec::with_capacity(text.len() / 5 + 4), row: Row::default(), signals: Signals::default() };
        cutter.run();
        cutter.end_row();
        Self {
            text,
            signals: cutter.signals,
            list: cutter.list,
            seeds: cutter.seeds,
            #[cfg(test)]
            looks: std::cell::Cell::default(),
        }
    }

    /// How many tokens there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether the text is blank.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The token at `index`, or the edge.
    #[inline]
    pub fn at(&self, index: usize) -> Token {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        self.list.get(index).copied().unwrap_or(EDGE)
    }

    /// The first token from `from` on with any of the bits of `seeds`.
    #[inline]
    pub fn seed(&self, from: usize, seeds: u16) -> Option<usize> {
        let rest = self.seeds.get(from..)?;
        rest.iter().position(|bits| bits & seeds != 0).map(|place| from + place)
    }

    /// Whether the token has any of the bits of `seeds`.
    #[inline]
    pub fn has_seed(&self, index: usize, seeds: u16) -> bool {
        self.seeds.get(index).is_some_and(|bits| bits & seeds != 0)
    }

    /// How many tokens were looked at so far.
    #[cfg(test)]
    pub fn looks(&self) -> u64 {
        self.looks.get()
    }

    /// The token before `index`, or the edge.
    #[inline]
    pub fn before(&self, index: usize) -> Token {
        index.checked_sub(1).map_or(EDGE, |before| self.at(before))
    }

    /// The text of a token.
    #[inline]
    pub fn str(&self, token: Token) -> &'a str {
        self.text.get(token.start..token.end).unwrap_or("")
    }

    /// Whether it is a word that begins with a capital.
    #[inline]
    pub fn is_capital(&self, token: Token) -> bool {
        token.class == Class::Word
            && match self.text.as_bytes().get(token.start) {
                Some(byte) if byte.is_ascii() => byte.is_ascii_uppercase(),
                _ => self.str(token).chars().next().is_some_and(char::is_uppercase),
            }
    }

    /// Whether nothing lies between the tokens `index - 1` and `index`, and both exist.
    #[inline]
    pub fn glued(&self, index: usize) -> bool {
        let (left, right) = (self.before(index), self.at(index));
        left.class != Class::Edge && right.class != Class::Edge && left.end == right.start
    }

    /// Whether the sign at `index` has a letter or digit glued to both sides.
    #[inline]
    pub fn is_inner(&self, index: usize) -> bool {
        let solid = |token: Token| matches!(token.class, Class::Word | Class::Digits);
        self.glued(index) && self.glued(index + 1) && solid(self.before(index)) && solid(self.at(index + 1))
    }
}

/// A row of so many letters may be a key or a wallet.
const LONG: usize = 12;

struct Cutter<'a> {
    text: &'a str,
    names: &'a [String],
    at: usize,
    list: Vec<Token>,
    seeds: Vec<u16>,
    row: Row,
    signals: Signals,
}

/// The row without white space that is being cut.
#[derive(Default)]
struct Row {
    /// Its first token.
    first: usize,
    /// Where it begins.
    start: usize,
    /// Whether it holds digits, and letters.
    digits: bool,
    letters: bool,
    /// Whether it holds a colon.
    colon: bool,
    /// How many more rows may be a secret.
    secret: u8,
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
        if spaced {
            self.end_row();
            (self.row.first, self.row.start) = (self.list.len(), start);
        }
        let meaning = match class {
            Class::Word => self.text.get(start..end).map_or(Meaning::NONE, lexicon::meaning),
            _ => Meaning::NONE,
        };
        let seeds = match class {
            Class::Digits => {
                self.signals.number = true;
                self.row.digits = true;
                seed::NUMBER | seed::FIGURES
            }
            Class::Word => self.word_seeds(start, meaning),
            Class::Sign(b'@') => {
                self.signals.address = true;
                seed::AT
            }
            Class::Sign(b'.') if !spaced => {
                self.signals.address |= self.continues();
                seed::DOT
            }
            Class::Sign(b':') => {
                self.signals.colon = true;
                self.row.colon = true;
                0
            }
            _ => 0,
        };
        self.seeds.push(seeds);
        self.list.push(Token { start, end, class, spaced, new_line, meaning });
    }

    fn word_seeds(&mut self, start: usize, meaning: Meaning) -> u16 {
        let length = self.at - start;
        self.row.letters = true;
        let mut seeds = match length {
            1 => seed::LETTER,
            2 => seed::PAIR,
            _ => 0,
        };
        if !self.text.as_bytes().get(start).is_some_and(u8::is_ascii_lowercase) {
            self.signals.capital = true;
            seeds |= seed::CAPITAL;
        }
        if !meaning.is_some() {
            self.signals.word = true;
            return seeds | seed::UNLISTED;
        }
        if meaning.sense.is_number() {
            self.signals.number = true;
            seeds |= seed::NUMBER;
        } else if matches!(meaning.sense, Sense::Month(_)) {
            self.signals.month = true;
            seeds |= seed::MONTH;
        }
        if meaning.letter > 0 {
            seeds |= seed::LETTER;
        }
        let flags = meaning.flags;
        if flags.any(Flags::DOT | Flags::PROVIDER | Flags::TLD | Flags::AT) {
            self.signals.address |= flags.any(Flags::DOT | Flags::PROVIDER | Flags::TLD);
            seeds |= if flags.any(Flags::AT) { seed::AT } else { 0 };
            seeds |= if flags.any(Flags::DOT) { seed::DOT } else { 0 };
        }
        if flags.any(Flags::SECRET) {
            self.row.secret = 4;
        }
        if flags.any(Flags::FIRM | Flags::BODY) {
            seeds |= seed::FIRM;
        }
        self.signals.street |= flags.any(Flags::STREET | Flags::STREET_BEFORE | Flags::BOX);
        self.signals.age |= flags.any(Flags::AGE);
        seeds
    }

    /// Says of the row that ends here what may begin with it.
    fn end_row(&mut self) {
        let Row { first, start, digits, letters, colon, secret } = self.row;
        self.row = Row { secret: secret.saturating_sub(1), ..Row::default() };
        let end = self.list.last().map_or(0, |token| token.end);
        let long = end.saturating_sub(start) >= LONG && digits && letters;
        let bits = [(long || secret > 0, seed::ROW), (colon, seed::COLON), (digits && letters, seed::MIXED)];
        let bits = bits.iter().filter(|(is, _)| *is).fold(0, |bits, (_, bit)| bits | bit);
        self.signals.row |= long || secret > 0;
        if let Some(seeds) = self.seeds.get_mut(first) {
            *seeds |= bits;
        }
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
            && let Some((kind, length)) = self.text.get(self.at..).and_then(|rest| leading_tag(rest, self.names))
        {
            self.at += length;
            return Class::Tag(kind);
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
            '’' | 'ʼ' => APOSTROPHE,
            '．' | '。' => b'.',
            '＠' => b'@',
            _ => OTHER_SIGN,
        }))
    }

    fn next_char(&self) -> Option<char> {
        self.text.get(self.at..).and_then(|rest| rest.chars().next())
    }
}

/// The longest tag that is read: one with an encrypted value.
const LONGEST_TAG: usize = 4096;
/// Digits of the number in `<PERSON_12>`: as many as a pseudonym has.
const TAG_DIGITS: std::ops::RangeInclusive<usize> = 1..=6;

/// The tag at the start of `rest` as an operator writes it, and its length: `<PERSON>`, `<PERSON_12>`, `<PERSON:letters>` or
/// `<PERSON=letters>`. Letters are a to p alone, so that nothing can be hidden in what looks like a tag.
fn leading_tag(rest: &str, names: &[String]) -> Option<(Entity, usize)> {
    let body = rest.strip_prefix('<')?;
    let name = body.bytes().take_while(|byte| byte.is_ascii_uppercase() || *byte == b'_').count();
    let (name, rest) = (body.get(..name)?, body.get(name..)?);
    let (name, digits) = match name.strip_suffix('_') {
        Some(name) => (name, rest.bytes().take_while(u8::is_ascii_digit).count()),
        None => (name, 0),
    };
    let custom = || names.iter().any(|custom| custom == name).then_some(Entity::Custom);
    let kind = Entity::ALL.iter().copied().find(|entity| entity.name() == name).or_else(custom)?;
    let rest_at = body.len() - rest.len();
    let end = match rest.bytes().next()? {
        b'>' if rest_at == name.len() => 0,
        b'0'..=b'9' if TAG_DIGITS.contains(&digits) => digits,
        b':' | b'=' if rest_at == name.len() => {
            let letters = rest.bytes().skip(1).take(LONGEST_TAG).take_while(|byte| matches!(byte, b'a'..=b'p'));
            1 + letters.count()
        }
        _ => return None,
    };
    (rest.as_bytes().get(end) == Some(&b'>')).then_some((kind, 1 + rest_at + end + 1))
}

/// The value of a decimal digit of the scripts that people write numbers in.
#[inline]
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
    fn signals_tell_what_may_be_found() {
        let signals = |text| Tokens::new(text).signals;
        assert!(!signals("Nothing of the kind. Really.").address);
        assert!(signals("a.b").address && signals("a dot b").address && signals("@").address);
        assert!(signals("twenty").number && signals("x9").number && !signals("plenty").number);
        assert!(signals("in May").month);
    }
}
