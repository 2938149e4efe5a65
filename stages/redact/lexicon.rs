//! What words mean to the redactor: number words, homophones, units, months, the words of addresses.
//!
//! In: a word. Out: its [`Meaning`]; nothing for most words. The lists are the visible tables of
//! [`super::words`]; here they become one hash table. Must not know how words follow each other.

use std::ops::BitOr;
use std::sync::LazyLock;

use super::words;

/// The number that a word says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sense {
    /// None.
    #[default]
    None,
    /// "five": 0 to 9.
    Digit(u8),
    /// "fifteen": 10 to 19.
    Teen(u8),
    /// "fifty": 20 to 90.
    Ten(u8),
    /// "hundred".
    Hundred,
    /// "thousand", "million".
    Scale,
    /// "double" (2), "triple" (3): the next digit is repeated.
    Repeat(u8),
    /// A word that a recogniser writes for a digit ("for", "won"); a digit only between digits.
    Homophone(u8),
    /// "first" to "thirtieth".
    Ordinal(u8),
    /// January (1) to December (12).
    Month(u8),
}

impl Sense {
    /// Whether the word is a number wherever it stands.
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Digit(_) | Self::Teen(_) | Self::Ten(_) | Self::Repeat(_))
    }
}

/// The roles that a word may play. A word may have several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// None.
    pub const NONE: Self = Self(0);
    /// May stand between a context word and its value: "is", "my", "the".
    pub const LINK: Self = Self(1);
    /// Cannot be part of a spoken address: function words, common verbs.
    pub const STOP: Self = Self(1 << 1);
    /// A unit after a quantity: "minutes", "kilograms".
    pub const UNIT: Self = Self(1 << 2);
    /// A currency: "dollars", "EUR".
    pub const MONEY: Self = Self(1 << 3);
    /// A hesitation: "uh".
    pub const FILLER: Self = Self(1 << 4);
    /// A spoken dash or space inside a number: "dash", "hyphen", "minus", "space".
    pub const DASH: Self = Self(1 << 5);
    /// A spoken dot: "dot", "point", "period".
    pub const DOT: Self = Self(1 << 6);
    /// A spoken at sign.
    pub const AT: Self = Self(1 << 7);
    /// A spoken slash.
    pub const SLASH: Self = Self(1 << 8);
    /// A spoken colon.
    pub const COLON: Self = Self(1 << 9);
    /// A spoken underscore.
    pub const UNDERSCORE: Self = Self(1 << 10);
    /// A spoken plus.
    pub const PLUS: Self = Self(1 << 11);
    /// Introduces the extension of a telephone number.
    pub const EXTENSION: Self = Self(1 << 12);
    /// "and".
    pub const AND: Self = Self(1 << 13);
    /// Before or after noon.
    pub const AM_PM: Self = Self(1 << 14);
    /// Names a thing that has a public number: "version", "model", "part".
    pub const MODEL: Self = Self(1 << 15);
    /// Speaks of a match: "won", "score".
    pub const SCORE: Self = Self(1 << 16);
    /// A top-level domain that is no common word.
    pub const TLD: Self = Self(1 << 17);
    /// A top-level domain that is also a word or a file's ending: "it", "rs".
    pub const WEAK_TLD: Self = Self(1 << 18);
    /// A mail provider: "gmail".
    pub const PROVIDER: Self = Self(1 << 19);
    /// "a", "an".
    pub const ARTICLE: Self = Self(1 << 20);
    /// Speaks of counting.
    pub const COUNT: Self = Self(1 << 21);
    /// The scheme of a web address.
    pub const SCHEME: Self = Self(1 << 22);
    /// The dot of a decimal.
    pub const POINT: Self = Self(1 << 24);
    /// After a number: whose telephone it is ("office", "fax").
    pub const PHONE_AFTER: Self = Self(1 << 23);

    /// Whether any flag of `other` is set.
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a word means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// The number that it says.
    pub sense: Sense,
    /// The roles that it may play.
    pub flags: Flags,
    /// Context phrases may begin with it.
    pub cue: bool,
}

impl Meaning {
    /// Of a word that is in no list.
    pub const NONE: Self = Self { sense: Sense::None, flags: Flags::NONE, cue: false };

    /// Whether the word is in any list.
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }
}

/// Words longer than this many bytes are in no list.
const LONGEST: usize = 16;
/// A power of two, several times the number of words.
const SLOTS: usize = 1 << 13;

struct Table(Vec<(u128, Meaning)>);

static TABLE: LazyLock<Table> = LazyLock::new(Table::build);

/// Looks a word up, in any case.
pub fn meaning(word: &str) -> Meaning {
    packed(word).map_or(Meaning::NONE, |key| TABLE.get(key))
}

/// Up to 16 bytes of a word in lower case as one number.
fn packed(word: &str) -> Option<u128> {
    let bytes = word.as_bytes();
    if bytes.len() > LONGEST {
        return None;
    }
    Some(bytes.iter().fold(0, |key, byte| key << 8 | u128::from(byte.to_ascii_lowercase())))
}

fn slot(key: u128) -> usize {
    let [a, b, c, d] = [key, key >> 32, key >> 64, key >> 96].map(|part| (part & 0xFFFF_FFFF) as u64);
    let folded = (a | b << 32) ^ (c | d << 32).rotate_left(23);
    (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 51) as usize
}

impl Table {
    fn build() -> Self {
        let mut table = Self(vec![(0, Meaning::NONE); SLOTS]);
        for &(list, flags) in words::ROLES {
            for word in list.split_whitespace() {
                table.edit(word, |meaning| meaning.flags = meaning.flags | flags);
            }
        }
        for &(word, sense) in words::NUMBERS {
            table.edit(word, |meaning| meaning.sense = sense);
        }
        for phrase in super::cue::phrases() {
            if let Some(first) = phrase.split(' ').next() {
                table.edit(first, |meaning| meaning.cue = true);
            }
        }
        table
    }

    fn get(&self, key: u128) -> Meaning {
        let mut at = slot(key);
        loop {
            match self.0.get(at) {
                Some((found, meaning)) if *found == key => return *meaning,
                Some((0, _)) | None => return Meaning::NONE,
                Some(_) => at = (at + 1) % SLOTS,
            }
        }
    }

    fn edit(&mut self, word: &str, change: impl FnOnce(&mut Meaning)) {
        let Some(key) = packed(word) else { return };
        let mut at = slot(key);
        while self.0.get(at).is_some_and(|(found, _)| *found != key && *found != 0) {
            at = (at + 1) % SLOTS;
        }
        if let Some((found, meaning)) = self.0.get_mut(at) {
            *found = key;
            change(meaning);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_every_role() {
        assert_eq!(meaning("FIVE").sense, Sense::Digit(5));
        let to = meaning("to");
        assert_eq!(to.sense, Sense::Homophone(2));
        assert!(to.flags.any(Flags::STOP) && to.flags.any(Flags::WEAK_TLD) && !to.flags.any(Flags::TLD));
        assert_eq!(meaning("march").sense, Sense::Month(3));
        assert!(meaning("phone").cue);
        assert_eq!(meaning("zebra"), Meaning::NONE);
        assert_eq!(meaning("a-word-that-is-longer-than-any"), Meaning::NONE);
    }

    #[test]
    fn every_listed_word_fits_the_table() {
        for (list, _) in words::ROLES {
            for word in list.split_whitespace() {
                assert!(word.len() <= LONGEST && *word == word.to_lowercase(), "{word}");
                assert!(meaning(word).is_some(), "{word}");
            }
        }
        assert!(TABLE.0.iter().filter(|(key, _)| *key != 0).count() * 4 < SLOTS);
    }
}
