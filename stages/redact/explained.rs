//! One element of a row of letters: a letter, alone or with what explains it, a code word, a number, the word for a sign.
//!
//! In: tokens and a place. Out: the element that begins there. Any word explains the letter that it begins with; the words between may be any
//! that link. Must not know what a row of them is. Each look is bounded.

use super::cutter::TokenBuffers;
use super::lexicon::{Flags, Sense};
use super::token::{Class, Token, seed};

/// One element of a row of letters.
#[derive(Clone, Copy)]
pub struct Element {
    pub first: usize,
    pub last: usize,
    pub kind: Sort,
    /// The letter that it spells, or 0.
    pub letter: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A letter that is explained.
    Explained,
    /// A word of the alphabet of aviation.
    Aviation,
    /// A word of another alphabet, or a letter and a word that begins with it.
    Word,
    /// A letter alone.
    Letter,
    /// Digits, or a word that says some.
    Number,
    /// The word for a sign, or two words for one.
    Joint(Flags),
}

/// The content of a row of letters, code words, numbers and signs.
#[derive(Default)]
pub struct Row {
    pub explained: usize,
    pub letters: usize,
    pub aviation: usize,
    pub words: usize,
    pub numbers: usize,
    pub joints: usize,
}

pub struct Reader<'t> {
    pub text: &'t str,
    pub cut: &'t TokenBuffers,
}

/// The most tokens between a letter and the word that explains it: "m as in, uh, my mother's name mary".
pub const BETWEEN: usize = 9;
/// The most tokens that only link two letters: "and then, uh".
pub const GAP: usize = 5;

impl Reader<'_> {
    /// The token at `index`.
    pub fn at(&self, index: usize) -> Option<Token> {
        self.cut.list.get(index).copied()
    }

    /// The text of a word; nothing of others.
    pub fn word(&self, index: usize) -> &str {
        self.at(index).filter(|token| token.class == Class::Word).map_or("", |token| self.str(token))
    }

    /// The text of a token.
    pub fn str(&self, token: Token) -> &str {
        self.text.get(token.start..token.end).unwrap_or("")
    }

    /// Returns true if the token is one of `words`.
    pub fn says(&self, index: usize, words: &[&str]) -> bool {
        let word = self.word(index);
        words.iter().any(|known| word.eq_ignore_ascii_case(known))
    }

    /// Returns true if the token is digits, or says some.
    pub fn is_number(&self, index: usize) -> bool {
        self.cut.seeds.get(index).is_some_and(|bits| bits & seed::NUMBER != 0)
    }

    /// The letter of a token of one letter of ASCII; 0 if it is none.
    pub fn letter(&self, index: usize) -> u8 {
        match self.word(index).as_bytes() {
            [letter] => letter.to_ascii_uppercase(),
            _ => 0,
        }
    }

    /// Returns true if a letter is no part of something: not the s of "it's", not the a of "12a".
    pub fn is_alone(&self, index: usize) -> bool {
        let glued = |at: usize| self.at(at).is_some_and(|token| !token.spaced);
        let part = |at: usize| {
            self.at(at).is_some_and(|token| {
                token.is_solid()
                    || token.is(b'\'')
                    || token.is_apostrophe()
                    || token.is(b'@')
                    || token.is(b'&')
            })
        };
        let left = index > 0 && glued(index) && part(index - 1);
        let right = glued(index + 1) && part(index + 1);
        !left && !right
    }

    /// Returns true if a word of more than a letter begins with this letter.
    pub fn begins_with(&self, index: usize, letter: u8) -> bool {
        let word = self.word(index);
        word.len() > 1 && word.chars().next().is_some_and(|first| base_letter(first) == letter)
    }

    /// The letter of a word that spells one: of aviation, or of another alphabet.
    pub fn code_word(&self, index: usize) -> Option<(u8, Sort)> {
        let token = self.at(index).filter(|token| token.class == Class::Word)?;
        if token.meaning.letter > 0 {
            return Some((token.meaning.letter, Sort::Aviation));
        }
        let first = self.str(token).chars().next()?;
        let box_or_door = token.has(Flags::BOX | Flags::DOOR);
        (token.has(Flags::CODE_WORD) && !box_or_door).then(|| (base_letter(first), Sort::Word))
    }

    /// Returns true if a word spells a letter.
    pub fn is_code_word(&self, index: usize) -> bool {
        self.code_word(index).is_some()
    }

    /// "Capital", "upper case", "the letter".
    pub fn is_case_word(&self, index: usize) -> bool {
        const WORDS: [&str; 6] = ["capital", "uppercase", "lowercase", "letter", "upper", "lower"];
        if !matches!(self.word(index).len(), 4..=9) {
            return false;
        }
        self.says(index, &WORDS)
            || self.says(index, &["case"]) && index > 0 && self.says(index - 1, &["upper", "lower"])
    }

    /// Past signs and words that only link one letter to the next.
    pub fn past_gap(&self, index: usize) -> usize {
        let mut at = index;
        while at - index < GAP
            && let Some(token) = self.at(at)
        {
            let between = match token.class {
                Class::Sign(b',' | b'-' | b'.' | b';' | b')' | b'"' | b'\'' | b'/') => true,
                Class::Sign(sign) => sign >= 0x80,
                Class::Word if token.is_letter() => self.letter(at) == b'S' && !self.is_alone(at),
                Class::Word => {
                    !self.is_code_word(at)
                        && !self.is_number(at)
                        && (token.has(Flags::FILLER | Flags::AND)
                            || self.says(
                                at,
                                &[
                                    "then", "that", "thats", "is", "it", "next", "now", "so", "again",
                                    "followed", "by", "the",
                                ],
                            ))
                }
                _ => false,
            };
            if !between {
                break;
            }
            at += 1;
        }
        at
    }

    /// The next element of a row that begins at `index`.
    pub fn element(&self, index: usize, row: &Row) -> Option<Element> {
        let mut start = index;
        while self.is_case_word(start) && start - index < 4 {
            start += 1;
        }
        let cased = start > index;
        if cased && self.letter(start) == 0 {
            return None;
        }
        let token = self.at(start).filter(|token| token.is_solid())?;
        let made = |last, kind, letter| Some(Element { first: index, last, kind, letter });
        if self.double_u(start) {
            return made(start + 1, Sort::Explained, b'W');
        }
        let letter = self.letter(start);
        if letter > 0 && self.is_alone(start) {
            if let Some((last, kind)) = self.explanation(start, letter, row.explained > 0) {
                return made(last, kind, letter);
            }
            // "a", "I": words, but in the middle of letters.
            if matches!(letter, b'A' | b'I') && !self.goes_on(start + 1) {
                return None;
            }
            let kind = match () {
                () if cased => Sort::Explained,
                () if self.is_number(start) => Sort::Number,
                () => Sort::Letter,
            };
            return made(start, kind, letter);
        }
        if self.says(start + 1, &["as"])
            && self.says(start + 2, &["in"])
            && let Some(&(_, letter)) = NAMES.iter().find(|(name, _)| self.says(start, &[name]))
            && self.begins_with(start + 3, letter)
        {
            return made(start + 3, Sort::Explained, letter);
        }
        if let Some((letter, kind)) = self.code_word(start)
            && self.is_alone(start)
        {
            return made(start, kind, letter);
        }
        if let Some((flags, last)) = self.joint(start) {
            return made(last, Sort::Joint(flags), 0);
        }
        if self.is_number(start) {
            return made(start, Sort::Number, 0);
        }
        if self.is_odd_code_word(start, row) {
            let letter = self.str(token).chars().next().map_or(0, base_letter);
            return made(start, Sort::Word, letter);
        }
        None
    }

    /// The word for a sign, or two for one ("under score", "forward slash", "at sign"), and its last token.
    pub fn joint(&self, index: usize) -> Option<(Flags, usize)> {
        const PAIRS: &[(&str, &[&str], Flags)] = &[
            ("under", &["score", "line"], Flags::UNDERSCORE),
            ("forward", &["slash"], Flags::SLASH),
            ("back", &["slash"], Flags::SLASH),
            ("double", &["slash"], Flags::SLASH),
            ("at", &["sign", "symbol"], Flags::AT),
            ("full", &["stop"], Flags::DOT),
        ];
        let token = self.at(index).filter(|token| token.class == Class::Word)?;
        let second = self.at(index + 1).is_some_and(|next| next.has(Flags::JOINED) || next.len() == 4);
        let pair = PAIRS
            .iter()
            .filter(|_| second && matches!(token.len(), 2 | 4..=7))
            .find(|(first, second, _)| self.says(index, &[first]) && self.says(index + 1, second));
        if let Some((.., flags)) = pair {
            return Some((*flags, index + 1));
        }
        (token.has(JOINTS) && !token.is_letter()).then_some((token.meaning.flags, index))
    }

    /// Returns true if the word for a sign begins here.
    pub fn is_joint(&self, index: usize) -> bool {
        self.joint(index).is_some()
    }

    /// Returns true if a word of no alphabet stands between others that spell: "bravo zeppelin tango".
    pub fn is_odd_code_word(&self, index: usize, row: &Row) -> bool {
        const NONE: Flags =
            Flags::STOP.or(Flags::LINK).or(Flags::FILLER).or(Flags::UNIT).or(Flags::MONEY).or(JOINTS);
        let Some(token) = self.at(index) else { return false };
        let plain = token.class == Class::Word
            && token.len() > 2
            && token.meaning.cue == 0
            && token.meaning.sense == Sense::None
            && !token.has(NONE);
        let next = self.past_gap(index + 1);
        plain
            && !self.is_joint(index.wrapping_sub(1))
            && row.explained + row.aviation + row.words > 1
            && self.is_alone(index)
            && (self.is_code_word(next)
                || self.letter(next) > 0 && self.is_alone(next)
                || self.is_number(next))
    }

    /// Returns true if a letter, a number or a code word follows.
    pub fn goes_on(&self, index: usize) -> bool {
        let at = index + usize::from(self.at(index).is_some_and(|token| token.is(b',')));
        self.letter(at) > 0 && self.is_alone(at)
            || self.is_number(at)
            || self.is_code_word(at)
            || self.at(at).is_some_and(|token| token.class == Class::Word && token.has(JOINTS))
    }

    /// "double u", "double you".
    pub fn double_u(&self, index: usize) -> bool {
        self.at(index).is_some_and(|token| token.meaning.sense == Sense::Repeat(2))
            && self.says(index + 1, &["u", "you"])
            && self.at(index + 1).is_some_and(|token| token.spaced)
    }

    /// The last token of what explains the letter at `index`, and how sure that is.
    pub fn explanation(&self, index: usize, letter: u8, spelling: bool) -> Option<(usize, Sort)> {
        let (mut at, mut links, mut open) = (index + 1, 0, 0);
        let mut said = None;
        while at - index <= BETWEEN
            && let Some(token) = self.at(at)
        {
            match token.class {
                Class::Sign(b'(' | b'"' | b'\'') => open += 1,
                Class::Sign(b',' | b'-' | b':' | b'.') => {}
                Class::Sign(sign) if sign >= 0x80 => {}
                Class::Word
                    if token.has(EXPLAINS)
                        && !token.is_letter()
                        && !(links > 0 && self.explains(at, letter)) =>
                {
                    said.get_or_insert(at);
                    links += 1;
                }
                Class::Word if token.has(Flags::FILLER) => {}
                // "K, you know, like kilo".
                Class::Word if links == 0 && self.says(at, &["you", "know"]) => {}
                Class::Word if links > 0 && self.says(at, &ASIDES) && !self.explains(at, letter) => {}
                _ => break,
            }
            at += 1;
        }
        let token = self.at(at).filter(|token| token.class == Class::Word)?;
        let signs = at - index - 1;
        let close = |last: usize| {
            let closes =
                self.at(last + 1).is_some_and(|token| token.is(b')') || token.is(b'"') || token.is(b'\''));
            last + usize::from(open > 0 && closes)
        };
        // "x ray" is one word.
        let ray = letter == b'X' && self.letter(at) == b'X' && self.ray_end(at).is_some();
        if ray {
            return Some((close(self.ray_end(at)?), Sort::Explained));
        }
        if letter == b'X' && signs <= 1 && self.says(at, &["ray"]) {
            return Some((at, Sort::Aviation));
        }
        if token.is_letter() {
            return None;
        }
        let same = self.begins_with(at, letter);
        let last = if self.at(at + 1).is_some_and(|next| next.is(b'-') && !next.spaced)
            && self.says(at + 2, &["ray"])
        {
            at + 2
        } else {
            at
        };
        if links > 0 {
            let as_in = said.is_some_and(|said| {
                self.says(said, &["as", "wie", "comme", "like", "come", "como", "jak", "som"])
                    || self.says(said, &["for"])
            });
            // "I in India", "a is able": words, where nothing says more.
            let next = self.past_gap(last + 1);
            let spelling = spelling || self.letter(next) > 0 && self.is_alone(next);
            let word = matches!(letter, b'A' | b'I') && !as_in && !spelling;
            let heard = said.is_some_and(|said| self.says(said, &["as"]) && self.says(said + 1, &["in"]));
            let other = heard && token.len() >= 3 && !token.has(Flags::STOP) && !self.is_number(at);
            return (same && !word || other).then(|| (close(last), Sort::Explained));
        }
        if !same || matches!(token.meaning.sense, Sense::Digit(_) | Sense::Teen(_) | Sense::Ten(_)) {
            return None;
        }
        if self.is_code_word(at) {
            return Some((close(last), Sort::Word));
        }
        let plain = !token.has(Flags::STOP | Flags::LINK | Flags::FILLER)
            && token.len() > 2
            && token.meaning.cue == 0;
        let next = self.past_gap(last + 1);
        let more = self.letter(next);
        (plain
            && more > 0
            && self.at(next + 1).is_some_and(|token| token.class == Class::Word)
            && self.begins_with(next + 1, more))
        .then(|| (close(last), Sort::Word))
    }

    /// Returns true if a word that may only link begins with the letter, and nothing behind it does.
    pub fn explains(&self, index: usize, letter: u8) -> bool {
        let next = index + 1;
        let more = self.begins_with(next, letter)
            || self.says(next, &ASIDES)
            || self.at(next).is_some_and(|token| token.is(b'\'') || token.is_apostrophe());
        self.begins_with(index, letter) && !more
    }

    /// The last token of "x ray", "x-ray".
    pub fn ray_end(&self, index: usize) -> Option<usize> {
        let hyphen = self.at(index + 1).is_some_and(|token| token.is(b'-'));
        let ray = index + 1 + usize::from(hyphen);
        self.says(ray, &["ray"]).then_some(ray)
    }
}

impl Row {
    /// Counts an element.
    pub fn count(&mut self, kind: Sort) {
        *match kind {
            Sort::Explained => &mut self.explained,
            Sort::Aviation => &mut self.aviation,
            Sort::Word => &mut self.words,
            Sort::Letter => &mut self.letters,
            Sort::Number => &mut self.numbers,
            Sort::Joint(_) => &mut self.joints,
        } += 1;
    }
}

/// Words between a letter and the word that explains it.
pub const EXPLAINS: Flags = Flags::EXPLAINS;
/// Words that may stand before the word that explains: "as in my mother's name mary".
pub const ASIDES: [&str; 14] =
    ["my", "your", "the", "a", "an", "you", "know", "word", "name", "s", "mother", "old", "i", "say"];
/// The words for signs.
pub const JOINTS: Flags =
    Flags::DOT.or(Flags::DASH).or(Flags::UNDERSCORE).or(Flags::AT).or(Flags::SLASH).or(Flags::COLON);

/// The names of letters as recognisers write them: letters only before "as in".
pub const NAMES: &[(&str, u8)] = &[
    ("bee", b'B'),
    ("be", b'B'),
    ("see", b'C'),
    ("sea", b'C'),
    ("dee", b'D'),
    ("gee", b'G'),
    ("jay", b'J'),
    ("kay", b'K'),
    ("el", b'L'),
    ("em", b'M'),
    ("en", b'N'),
    ("pee", b'P'),
    ("cue", b'Q'),
    ("queue", b'Q'),
    ("are", b'R'),
    ("ess", b'S'),
    ("tea", b'T'),
    ("tee", b'T'),
    ("you", b'U'),
    ("vee", b'V'),
    ("why", b'Y'),
    ("ex", b'X'),
    ("zee", b'Z'),
    ("zed", b'Z'),
    ("eye", b'I'),
    ("oh", b'O'),
    ("aye", b'A'),
    ("eff", b'F'),
    ("aitch", b'H'),
];

/// The letter of ASCII below the accents of one, in capitals; 0 if there is none.
pub fn base_letter(letter: char) -> u8 {
    if letter.is_ascii_alphabetic() {
        return u8::try_from(letter.to_ascii_uppercase()).unwrap_or(0);
    }
    match letter {
        'ä' | 'Ä' | 'å' | 'Å' | 'á' | 'Á' | 'à' | 'À' => b'A',
        'ö' | 'Ö' | 'ø' | 'Ø' | 'ó' | 'Ó' => b'O',
        'ü' | 'Ü' | 'ú' | 'Ú' => b'U',
        'é' | 'É' | 'è' | 'È' => b'E',
        'í' | 'Í' => b'I',
        'ñ' | 'Ñ' => b'N',
        'ç' | 'Ç' | 'ć' | 'Ć' => b'C',
        'ł' | 'Ł' => b'L',
        'ś' | 'Ś' => b'S',
        'ż' | 'Ż' | 'ź' | 'Ź' => b'Z',
        _ => 0,
    }
}
