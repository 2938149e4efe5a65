//! Cuts a text into tokens: words, digits, signs, tags, and what may begin at each.
//!
//! In: any UTF-8 text. Out: the tokens and their seeds, and which signals the text holds at all. Every byte is visited a fixed number
//! of times. It must not know what an entity is.

use super::lexicon::{self, Flags, Meaning, Sense};
use super::tag::leading_tag;
use super::token::{APOSTROPHE, Class, MONEY_SIGN, OTHER_SIGN, Signals, Token, digit_value, seed};

/// What a text was cut into.
pub struct Cut {
    /// The tokens, in order.
    pub list: Vec<Token>,
    /// For each token the bits of [`seed`].
    pub seeds: Vec<u16>,
    /// What the text holds at all.
    pub signals: Signals,
}

/// Cuts `text`, in which tags may also have these names.
pub fn cut(text: &str, names: &[String]) -> Cut {
    let tokens = text.len() / 5 + 4;
    let mut cutter = Cutter {
        text,
        names,
        at: 0,
        list: Vec::with_capacity(tokens),
        seeds: Vec::with_capacity(tokens),
        row: Row::default(),
        signals: Signals::default(),
    };
    cutter.run();
    cutter.end_row();
    Cut { list: cutter.list, seeds: cutter.seeds, signals: cutter.signals }
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
        if meaning.cue > 0 {
            seeds |= seed::CUE;
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
            && let Some((kind, length)) =
                self.text.get(self.at..).and_then(|rest| leading_tag(rest, self.names))
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
