//! Which words are names of people, places, or plain English words.
//!
//! In: a word. Out: [`NameClasses`]. The list is `gazetteer/names.z`, made of lists with free licences (gazetteer/PROVENANCE.md). It is unpacked
//! once, into a table of fingerprints: of a million words that are in no list, fewer than one is taken for one that is.

use std::sync::LazyLock;

/// The classes of a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameClasses(u8);

impl NameClasses {
    /// In place of an answer before the lists were asked.
    pub const UNASKED: Self = Self(0xFF);

    /// Returns true if it is in the list of given names.
    #[inline]
    pub const fn is_first(self) -> bool {
        self.0 & 1 != 0
    }

    /// Returns true if it is in the list of family names.
    #[inline]
    pub const fn is_last(self) -> bool {
        self.0 & 2 != 0
    }

    /// Returns true if it is an English word that is no name.
    #[inline]
    pub const fn is_common(self) -> bool {
        self.0 & 4 != 0
    }

    /// Returns true if it is a country or a large city, or part of the name of one.
    #[inline]
    pub const fn is_place(self) -> bool {
        self.0 & 8 != 0
    }

    /// Returns true if it is a name and nothing else that is known.
    #[inline]
    pub const fn is_name_alone(self) -> bool {
        self.0 & 0b11 != 0 && self.0 & 0b1100 == 0
    }

    /// Returns true if nothing is known of it.
    #[inline]
    pub const fn is_unknown(self) -> bool {
        self.0 == 0
    }
}

const PACKED: &[u8] = include_bytes!("gazetteer/names.z");
/// A power of two, twice the number of words.
const SLOTS: usize = 1 << 18;
/// Words longer than this many bytes are in no list.
const LONGEST: usize = 60;

/// Fingerprints of 28 bits, and 4 bits of what is known.
struct Table(Vec<u32>);

static TABLE: LazyLock<Table> = LazyLock::new(Table::unpack);

/// Looks a word up, in any case.
pub fn known(word: &str) -> NameClasses {
    if word.len() > LONGEST {
        return NameClasses::default();
    }
    TABLE.get(hash(word))
}

/// The hash of a word in small letters.
pub fn hash(word: &str) -> u64 {
    let long = || {
        let small = word.to_lowercase();
        let key = |eight: &[u8]| eight.iter().rev().fold(0, |key, byte| key << 8 | u64::from(*byte));
        short(&small).unwrap_or_else(|| mixed(small.len(), small.as_bytes().chunks(8).map(key)))
    };
    short(word).unwrap_or_else(long)
}

/// The hash of a word of two to sixteen letters of ASCII: from its first and its last eight bytes, or four, or all.
fn short(word: &str) -> Option<u64> {
    const SMALL: u64 = 0x2020_2020_2020_2020;
    const WIDE: u64 = 0x8080_8080_8080_8080;
    let four = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    let bytes = word.as_bytes();
    let [low, high] = match bytes.len() {
        2..4 => [u64::from(u16::from_le_bytes(*bytes.first_chunk()?)), u64::from(*bytes.last()?)],
        4..8 => [four(bytes.first_chunk()?), four(bytes.last_chunk()?)],
        8..=16 => [u64::from_le_bytes(*bytes.first_chunk()?), u64::from_le_bytes(*bytes.last_chunk()?)],
        _ => return None,
    };
    ((low | high) & WIDE == 0).then(|| mixed(word.len(), [low | SMALL, high | SMALL].into_iter()))
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a number")]
fn mixed(length: usize, parts: impl Iterator<Item = u64>) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mix = |hash: u64, part: u64| {
        let product = u128::from(hash ^ part) * u128::from(ODD);
        (product as u64) ^ (product >> 64) as u64
    };
    parts.fold((length as u64).wrapping_mul(ODD), mix).wrapping_mul(ODD)
}

/// The first slot and the fingerprint, which is never 0.
#[expect(clippy::cast_possible_truncation, reason = "parts of a hash")]
fn place(hash: u64) -> (usize, u32) {
    ((hash >> 46) as usize, (hash as u32 | 1) << 4)
}

impl Table {
    fn unpack() -> Self {
        let mut table = Self(vec![0; SLOTS]);
        let list = miniz_oxide::inflate::decompress_to_vec(PACKED).unwrap_or_default();
        for line in std::str::from_utf8(&list).unwrap_or_default().lines() {
            if let Some((word, flags)) = line.rsplit_once(' ')
                && let Ok(flags) = flags.parse::<u32>()
            {
                table.put(hash(word), flags & 15);
            }
        }
        table
    }

    fn put(&mut self, hash: u64, flags: u32) {
        let (mut at, print) = place(hash);
        while self.0.get(at).is_some_and(|slot| *slot != 0) {
            at = (at + 1) % SLOTS;
        }
        if let Some(slot) = self.0.get_mut(at) {
            *slot = print | flags;
        }
    }

    fn get(&self, hash: u64) -> NameClasses {
        let (mut at, print) = place(hash);
        loop {
            match self.0.get(at) {
                Some(&slot) if slot & !15 == print => return NameClasses((slot & 15) as u8),
                Some(0) | None => return NameClasses::default(),
                Some(_) => at = (at + 1) % SLOTS,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_in_any_case() {
        assert!(known("John").is_first() && known("SMITH").is_last() && known("JOSÉ").is_first());
        assert!(known("table").is_common() && !known("table").is_first());
        assert!(known("Germany").is_place() && known("Xqzzv").is_unknown() && known("").is_unknown());
        assert!(known("Sarah").is_name_alone() && !known("Mark").is_name_alone());
    }

    #[test]
    fn the_list_is_whole() {
        let words = TABLE.0.iter().filter(|slot| **slot != 0).count();
        assert!(words > 100_000 && words * 3 < SLOTS * 2, "{words} words");
    }
}
