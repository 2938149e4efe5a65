//! Cuts a text into tokens: words, digits, signs, tags, and what may begin at each.
//!
//! In: any UTF-8 text. Out: the tokens and their seeds, and which signals the text holds at all. Every byte is visited a fixed number
//! of times. It must not know what an entity is.

use super::lexicon::{self, Entry, NO_WORD, Table, UNLISTED, WHOLE};
use super::planes::Planes;
use super::tag::leading_tag;
use super::token::{APOSTROPHE, Class, MONEY_SIGN, OTHER_SIGN, Token, digit_value, seed};

/// The pieces of a text; their buffers are used again by the next text.
#[derive(Debug, Default)]
pub struct TokenBuffers {
    /// The tokens, in order.
    pub list: Vec<Token>,
    /// For each token the bits of [`seed`].
    pub seeds: Vec<u32>,
    /// The same the other way around.
    pub planes: Planes,
    /// All bits that any token has.
    pub all: u32,
}

impl TokenBuffers {
    /// Cuts `text`, in which tags may also have these names, in place of what it held before.
    pub fn fill(&mut self, text: &str, names: &[String]) {
        let Self { mut list, mut seeds, mut planes, .. } = std::mem::take(self);
        list.clear();
        seeds.clear();
        let tokens = text.len() / 4 + 4;
        list.reserve(tokens);
        seeds.reserve(tokens);
        let words = lexicon::table();
        let mut cutter = Cutter { text, names, words, at: 0, list, seeds, row: Row::default() };
        cutter.run();
        cutter.end_row();
        planes.fill(&cutter.seeds);
        let all = cutter.seeds.iter().fold(0, |all, seeds| all | seeds);
        *self = Self { list: cutter.list, seeds: cutter.seeds, planes, all };
    }

    /// Adds bits to a token.
    #[inline]
    pub fn mark(&mut self, index: usize, seeds: u32) {
        if let Some(bits) = self.seeds.get_mut(index) {
            *bits |= seeds;
            self.planes.mark(index, seeds);
        }
    }
}

/// A row of so many letters may be a key or a wallet.
const LONG: usize = 12;

struct Cutter<'a> {
    text: &'a str,
    names: &'a [String],
    words: &'static Table,
    at: usize,
    list: Vec<Token>,
    seeds: Vec<u32>,
    row: Row,
}

/// The row without white space that is being cut.
#[derive(Default)]
struct Row {
    /// Its first token.
    first: usize,
    /// The byte at which it begins.
    start: usize,
    /// Its contents: the bits below.
    holds: u8,
    /// The number of further rows that may be a secret.
    secret: u8,
}

impl Row {
    const DIGITS: u8 = 1;
    const LETTERS: u8 = 2;
    const COLON: u8 = 4;
}

impl Cutter<'_> {
    fn run(&mut self) {
        let bytes = self.text.as_bytes();
        let (mut spaced, mut new_line) = (true, true);
        while let Some(&byte) = bytes.get(self.at) {
            let start = self.at;
            let mut word = &NO_WORD;
            let class = match BYTE_CLASS.get(usize::from(byte)) {
                Some(ByteClass::Space) => {
                    spaced = true;
                    new_line |= byte == b'\n';
                    self.at += 1;
                    continue;
                }
                Some(ByteClass::Letter) => {
                    word = self.plain_word();
                    Class::Word
                }
                Some(ByteClass::Digit) => self.digits(),
                Some(ByteClass::Sign) => self.sign(byte),
                _ => {
                    let Some(class) = self.beyond_ascii() else {
                        spaced = true;
                        continue;
                    };
                    if class == Class::Word {
                        word = self.look_up(start);
                    }
                    class
                }
            };
            if spaced {
                self.end_row();
                (self.row.first, self.row.start) = (self.list.len(), start);
            }
            let Entry { meaning, seeds, .. } = *word;
            let seeds = seeds
                | match class {
                    Class::Word => self.word_seeds(byte, self.at - start, seeds),
                    Class::Digits => {
                        self.row.holds |= Row::DIGITS;
                        seed::NUMBER | seed::FIGURES
                    }
                    Class::Sign(sign) => self.sign_seeds(sign, spaced),
                    Class::Tag(_) => seed::TAKEN,
                    Class::Edge => 0,
                };
            self.seeds.push(seeds);
            let capital = class == Class::Word && self.is_capital(byte, start);
            self.list.push(Token { start, end: self.at, class, spaced, new_line, capital, meaning });
            new_line = false;
            spaced = bytes.get(self.at) == Some(&b' ');
            self.at += usize::from(spaced);
        }
    }

    fn sign_seeds(&mut self, sign: u8, spaced: bool) -> u32 {
        let of_sign = match sign {
            b'.' | b':' | b',' | b'-' | b'"' | b'\'' => {
                let tells = self.seeds.last().is_some_and(|last| last & seed::TELLS != 0);
                if tells { seed::TOLD } else { 0 }
            }
            _ => 0,
        };
        of_sign
            | match sign {
                b'@' => seed::AT | seed::ADDRESS,
                b'.' if !spaced => seed::DOT | if self.continues() { seed::ADDRESS } else { 0 },
                b':' => {
                    self.row.holds |= Row::COLON;
                    seed::COLON_SIGN
                }
                _ => 0,
            }
    }

    /// The bits of a word of so many bytes that do not follow from what it means.
    #[inline]
    fn word_seeds(&mut self, first: u8, length: usize, seeds: u32) -> u32 {
        self.row.holds |= Row::LETTERS;
        if seeds & seed::SECRET != 0 {
            self.row.secret = 4;
        }
        let capital = if first.is_ascii_lowercase() { 0 } else { seed::CAPITAL };
        if length > 2 {
            return capital;
        }
        capital | if length == 1 { seed::LETTER } else { seed::PAIR }
    }

    /// Says of the row that ends here what may begin with it.
    #[inline]
    fn end_row(&mut self) {
        let Row { first, start, holds, secret } = self.row;
        (self.row.holds, self.row.secret) = (0, secret.saturating_sub(1));
        if holds <= Row::LETTERS && secret == 0 {
            return;
        }
        let mut bits = 0;
        if holds & (Row::DIGITS | Row::LETTERS) == Row::DIGITS | Row::LETTERS {
            let end = self.list.last().map_or(0, |token| token.end);
            let long = end.saturating_sub(start) >= LONG;
            bits = if long { seed::MIXED | seed::ROW } else { seed::MIXED };
        }
        if secret > 0 {
            bits |= seed::ROW;
        }
        if holds & Row::COLON != 0 {
            bits |= seed::COLON;
        }
        if let Some(seeds) = self.seeds.get_mut(first) {
            *seeds |= bits;
        }
    }

    /// Returns true if a letter or digit follows at once.
    fn continues(&self) -> bool {
        self.text.as_bytes().get(self.at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80)
    }

    /// Reads a word that begins with a letter of ASCII, and what it means. Words of up to sixteen letters, all of ASCII, are looked at
    /// eight bytes at a time.
    #[inline]
    fn plain_word(&mut self) -> &'static Entry {
        let start = self.at;
        let Some(chunk) = self.chunk(start) else {
            self.word();
            return self.look_up(start);
        };
        let (low, high) = halves(chunk);
        let mut length = letters(low);
        if length == 8 {
            length += letters(high);
        }
        let next = self.text.as_bytes().get(start + length);
        if length == WHOLE || next.is_some_and(|byte| *byte >= 0x80) {
            self.at = start + length;
            self.word();
            return self.look_up(start);
        }
        self.at = start + length;
        let kept = KEPT.get(length).copied().unwrap_or(0);
        self.words.get((chunk | SMALL) & kept)
    }

    /// Sixteen bytes from `start` on, the first one the lowest; zeros behind the end of the text.
    #[inline]
    fn chunk(&self, start: usize) -> Option<u128> {
        let rest = self.text.as_bytes().get(start..)?;
        if let Some(chunk) = rest.first_chunk::<WHOLE>() {
            return Some(u128::from_le_bytes(*chunk));
        }
        if let Some(chunk) = self.text.as_bytes().last_chunk::<WHOLE>() {
            return Some(u128::from_le_bytes(*chunk) >> (8 * (WHOLE - rest.len())));
        }
        let mut chunk = [0; WHOLE];
        chunk.get_mut(..rest.len())?.copy_from_slice(rest);
        Some(u128::from_le_bytes(chunk))
    }

    fn look_up(&self, start: usize) -> &'static Entry {
        let word = self.text.get(start..self.at).and_then(lexicon::packed);
        word.map_or(&UNLISTED, |key| self.words.get(key))
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

    /// Returns true if what begins at `start` with this byte begins with a capital.
    #[inline]
    fn is_capital(&self, first: u8, start: usize) -> bool {
        let wide = || self.text.get(start..).and_then(|rest| rest.chars().next());
        first.is_ascii_uppercase() || first >= 0x80 && wide().is_some_and(char::is_uppercase)
    }

    fn next_char(&self) -> Option<char> {
        self.text.get(self.at..).and_then(|rest| rest.chars().next())
    }
}

/// The bit that tells small letters of ASCII from capitals, in sixteen bytes.
const SMALL: u128 = 0x2020_2020_2020_2020_2020_2020_2020_2020;

/// By a number of bytes, all bits of so many, the lowest ones.
const KEPT: [u128; WHOLE] = {
    let mut masks = [0; WHOLE];
    let mut bytes = 1;
    while bytes < WHOLE {
        #[expect(clippy::indexing_slicing, reason = "evaluated at compile time; 1..16 lies inside the table")]
        {
            masks[bytes] = (1 << (8 * bytes)) - 1;
        }
        bytes += 1;
    }
    masks
};

#[expect(clippy::cast_possible_truncation, reason = "the halves of a number")]
#[inline]
fn halves(chunk: u128) -> (u64, u64) {
    (chunk as u64, (chunk >> 64) as u64)
}

/// Returns how many of eight bytes, from the lowest on, are letters of ASCII.
#[inline]
fn letters(bytes: u64) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    let small = bytes | (0x20 * EACH);
    let seven = small & !HIGH;
    let from_a = seven + (0x80 - 0x61) * EACH;
    let beyond_z = seven + (0x80 - 0x7B) * EACH;
    let others = !(from_a & !beyond_z & !small) & HIGH;
    others.trailing_zeros() as usize / 8
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
