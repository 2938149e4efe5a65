//! The meanings of words for the redactor: number words, homophones, units, months, the words of addresses.
//!
//! In: a word. Out: its [`Meaning`]; nothing for most words. The lists are the visible tables of
//! [`super::words`]; here they become one hash table. Must not know how words follow each other.

use std::ops::BitOr;
use std::sync::LazyLock;

use super::token::seed;
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
    /// January (1) to December (12); in other languages than English 12 more, since those words are also names.
    Month(u8),
}

impl Sense {
    /// Returns true if the word is a number wherever it stands.
    #[inline]
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Digit(_) | Self::Teen(_) | Self::Ten(_) | Self::Repeat(_))
    }
}

/// The roles that a word may play. A word may have several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u64);

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
    /// Before a name: "mr", "doctor".
    pub const TITLE: Self = Self(1 << 25);
    /// Inside a name: "van", "de".
    pub const PARTICLE: Self = Self(1 << 26);
    /// Ends the name of a street: "street", "avenue".
    pub const STREET: Self = Self(1 << 27);
    /// Begins the name of a street: "rue", "via".
    pub const STREET_BEFORE: Self = Self(1 << 28);
    /// Names a part of a house before its number: "apartment", "suite".
    pub const DOOR: Self = Self(1 << 29);
    /// A state of the US, by name or by its two letters.
    pub const STATE: Self = Self(1 << 30);
    /// Ends the name of an organisation by law: "inc", "gmbh".
    pub const FIRM: Self = Self(1 << 31);
    /// Ends the name of an organisation: "bank", "university".
    pub const BODY: Self = Self(1 << 32);
    /// A day of the week.
    pub const WEEKDAY: Self = Self(1 << 33);
    /// A word that a name follows: "hi", "dear".
    pub const GREETING: Self = Self(1 << 34);
    /// An act of a person who is named: "said", "called".
    pub const ACT: Self = Self(1 << 35);
    /// A relation, after which a name may follow: "brother", "colleague".
    pub const KIN: Self = Self(1 << 36);
    /// North, east and so on.
    pub const DIRECTION: Self = Self(1 << 37);
    /// A word by which ages are given: "aged", "old".
    pub const AGE: Self = Self(1 << 38);
    /// A word that a secret or the name of a user may follow: "password".
    pub const SECRET: Self = Self(1 << 41);
    /// Begins a post box: "box", "po".
    pub const BOX: Self = Self(1 << 42);
    /// Ends a cue that the name of an organisation follows: "works for".
    pub const FIRM_CUE: Self = Self(1 << 43);
    /// A thing with a public number of its own: "ticket", "pallet".
    pub const THING: Self = Self(1 << 39);
    /// After a number: whose telephone it is ("office", "fax").
    pub const PHONE_AFTER: Self = Self(1 << 23);

    /// A vehicle, or what speaks of its plate.
    pub const VEHICLE: Self = Self(1 << 45);

    /// A letter with all that explains it, as one token.
    pub const EXPLAINED: Self = Self(1 << 50);
    /// A word by which letters are spelled, beside those of aviation: a name, a town, an animal.
    pub const CODE_WORD: Self = Self(1 << 51);
    /// The second of two words for a sign: "under score".
    pub const JOINED: Self = Self(1 << 53);
    /// Links a letter to the word that explains it: "for", "as", "wie".
    pub const EXPLAINS: Self = Self(1 << 52);

    /// Letters of a word or a name follow: "spelled".
    pub const SPELLS: Self = Self(1 << 44);

    /// These flags and those.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Flags that say only how a word may be spelled, and nothing of its meaning.
    pub const SPELLED: Self = Self::CODE_WORD.or(Self::EXPLAINS).or(Self::JOINED);

    /// These flags without those.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns true if any flag of `other` is set.
    #[inline]
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Flags {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The meaning of a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// The number that it says.
    pub sense: Sense,
    /// The roles that it may play.
    pub flags: Flags,
    /// The number of the context phrases that begin with it, from 1; 0 if none does.
    pub cue: u16,
    /// The number of the cues of names that end with it, from 1; 0 if none does.
    pub names: u16,
    /// The letter that it spells ("bravo"), or 0.
    pub letter: u8,
}

impl Meaning {
    /// Of a word that is in no list.
    pub const NONE: Self = Self { sense: Sense::None, flags: Flags::NONE, cue: 0, names: 0, letter: 0 };

    /// Returns true if the word is in any list but those by which letters are spelled: names and towns are left to their own lists.
    #[inline]
    pub fn is_some(self) -> bool {
        Self { flags: self.flags.without(Flags::SPELLED), ..self } != Self::NONE
    }
}

/// Words of up to this many bytes are their own key.
pub const WHOLE: usize = 16;
/// Words longer than this many bytes are in no list.
const LONGEST: usize = 40;
/// A power of two, four times the number of words: most words are in no list, and the first slot is to say so.
const SLOTS: usize = 1 << 13;

/// A listed word.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    key: u128,
    /// Its meaning.
    pub meaning: Meaning,
    /// The bits of [`seed`] that follow from the meaning.
    pub seeds: u32,
}

/// In place of a word that is in no list.
pub static UNLISTED: Entry = Entry { key: 0, meaning: Meaning::NONE, seeds: seed::UNLISTED };
/// In place of what is no word.
pub static NO_WORD: Entry = Entry { key: 0, meaning: Meaning::NONE, seeds: 0 };

/// The words, and for each hash which of them it may be: small, so that it stays in the cache.
pub struct Table {
    slots: Vec<Slot>,
    words: Vec<Entry>,
}

/// The number of a word from 1, and 16 bits of its hash.
#[derive(Clone, Copy, Default)]
struct Slot {
    word: u16,
    print: u16,
}

static TABLE: LazyLock<Table> = LazyLock::new(Table::build);

/// The table itself, for who asks for many words.
pub fn table() -> &'static Table {
    &TABLE
}

/// Looks a word up, in any case.
pub fn meaning(word: &str) -> Meaning {
    packed(word).map_or(Meaning::NONE, |key| TABLE.get(key).meaning)
}

/// A word with its letters of ASCII in lower case as one number, its first byte the lowest: itself, or for a long one its FNV-1a hash.
pub fn packed(word: &str) -> Option<u128> {
    const BASIS: u128 = 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013B;
    let lower = word.bytes().map(|byte| u128::from(byte.to_ascii_lowercase()));
    if word.len() <= WHOLE {
        return Some(lower.rev().fold(0, |key, byte| key << 8 | byte));
    }
    (word.len() <= LONGEST).then(|| lower.fold(BASIS, |key, byte| (key ^ byte).wrapping_mul(PRIME)))
}

/// The first slot of a key, and its fingerprint.
#[expect(clippy::cast_possible_truncation, reason = "parts of a hash")]
#[inline]
fn place(key: u128) -> (usize, u16) {
    let folded = (key as u64) ^ ((key >> 64) as u64).rotate_left(23);
    let hash = folded.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((hash >> (64 - SLOTS.trailing_zeros())) as usize, (hash >> 20) as u16)
}

impl Table {
    fn build() -> Self {
        let mut table = Self { slots: vec![Slot::default(); SLOTS], words: Vec::new() };
        for &(list, flags) in words::ROLES {
            for word in list.split_whitespace() {
                table.edit(word, |meaning| meaning.flags = meaning.flags | flags);
            }
        }
        for &(word, sense) in words::NUMBERS {
            table.edit(word, |meaning| meaning.sense = sense);
        }
        for word in words::LETTERS.split_whitespace() {
            let letter = word.bytes().next().map_or(0, |first| first.to_ascii_uppercase());
            table.edit(word, |meaning| meaning.letter = letter);
        }
        for (number, word) in (1..).zip(super::person_cue::cue_ends()) {
            table.edit(word, |meaning| meaning.names = number);
        }
        for word in super::organization::cue_ends() {
            table.edit(word, |meaning| meaning.flags = meaning.flags | Flags::FIRM_CUE);
        }
        for (number, word) in (1..).zip(super::cue::heads()) {
            table.edit(word, |meaning| meaning.cue = number);
        }
        for entry in &mut table.words {
            entry.seeds = seeds(entry.meaning);
        }
        table
    }

    /// The word of a key, or [`UNLISTED`].
    #[inline]
    pub fn get(&self, key: u128) -> &Entry {
        let word = self.find(key).1;
        word.and_then(|word| self.words.get(word)).unwrap_or(&UNLISTED)
    }

    /// The slot where a key is or would be, and its word.
    #[inline]
    fn find(&self, key: u128) -> (usize, Option<usize>) {
        let (mut at, print) = place(key);
        while let Some(slot) = self.slots.get(at)
            && slot.word > 0
        {
            let word = usize::from(slot.word) - 1;
            if slot.print == print && self.words.get(word).is_some_and(|entry| entry.key == key) {
                return (at, Some(word));
            }
            at = (at + 1) % SLOTS;
        }
        (at, None)
    }

    fn edit(&mut self, word: &str, change: impl FnOnce(&mut Meaning)) {
        let Some(key) = packed(word) else { return };
        let (at, known) = self.find(key);
        let word = known.unwrap_or_else(|| {
            self.words.push(Entry { key, meaning: Meaning::NONE, seeds: 0 });
            if let Some(slot) = self.slots.get_mut(at) {
                *slot = Slot { word: u16::try_from(self.words.len()).unwrap_or(0), print: place(key).1 };
            }
            self.words.len() - 1
        });
        if let Some(entry) = self.words.get_mut(word) {
            change(&mut entry.meaning);
        }
    }
}

/// The bits of [`seed`] that follow from what a word means.
pub fn seeds(meaning: Meaning) -> u32 {
    let Meaning { sense, flags, .. } = meaning;
    let bits = [
        (!meaning.is_some(), seed::UNLISTED),
        (sense.is_number(), seed::NUMBER),
        (matches!(sense, Sense::Month(_)), seed::MONTH),
        (meaning.letter > 0, seed::LETTER),
        (flags.any(Flags::CODE_WORD), seed::CODE_WORD),
        (flags.any(Flags::JOINED), seed::JOINED),
        (meaning.cue > 0, seed::CUE),
        (flags.any(Flags::AT), seed::AT),
        (flags.any(Flags::DOT), seed::DOT),
        (flags.any(Flags::DOT | Flags::PROVIDER | Flags::TLD), seed::ADDRESS),
        (flags.any(Flags::SECRET), seed::SECRET),
        (flags.any(Flags::FIRM | Flags::BODY), seed::FIRM),
        (flags.any(Flags::FIRM_CUE), seed::FIRM_CUE),
        (flags.any(Flags::STREET | Flags::STREET_BEFORE | Flags::BOX), seed::STREET),
        (flags.any(Flags::AGE), seed::AGE),
        (flags.any(Flags::SPELLS), seed::SPELLS),
        (flags.any(Flags::TITLE | Flags::GREETING | Flags::KIN) || meaning.names > 0, seed::TELLS),
    ];
    bits.iter().filter(|(is, _)| *is).fold(0, |bits, (_, bit)| bits | bit)
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
        assert!(meaning("phone").cue > 0);
        assert_eq!(meaning("plinth"), Meaning::NONE);
        assert!(meaning("zebra").flags.any(Flags::CODE_WORD) && !meaning("zebra").is_some());
        assert!(meaning("Sozialversicherungsnummer").cue > 0);
        assert_eq!(meaning(&"a".repeat(41)), Meaning::NONE);
    }

    #[test]
    fn every_listed_word_fits_the_table() {
        for (list, _) in words::ROLES {
            for word in list.split_whitespace() {
                assert!(word.len() <= LONGEST && *word == word.to_lowercase(), "{word}");
                assert!(meaning(word) != Meaning::NONE, "{word}");
            }
        }
        assert!(TABLE.words.len() * 2 < SLOTS, "{} words", TABLE.words.len());
    }
}
