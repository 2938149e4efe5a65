//! Names that were found once are found again in the same text.
//!
//! In: a cx and what was found. Out: more findings. It must not know how a name is found first.

use std::collections::BTreeSet;

use super::gazetteer;
use super::kind::Entity;
use super::lexicon::Flags;
use super::scan_context::ScanContext;
use super::token::{Class, seed};

/// The score of a name that is found again.
const SCORE: f32 = 0.6;

/// Words of names that were found, in any case.
#[derive(Default)]
pub struct Names {
    /// Their hashes.
    words: BTreeSet<u64>,
    /// A bit for each by its length and last letter: so that most other words are passed at a glance.
    prints: u64,
    /// True if one goes beyond ASCII.
    wide: bool,
}

impl Names {
    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    fn insert(&mut self, word: &str) {
        self.wide |= !word.is_ascii();
        self.prints |= print(word);
        self.words.insert(gazetteer::hash(word));
    }

    fn has(&self, word: &str) -> bool {
        let may = self.wide || self.prints & print(word) != 0;
        may && self.words.contains(&gazetteer::hash(word))
    }
}

fn print(word: &str) -> u64 {
    let last = word.bytes().next_back().unwrap_or(0) & 0x1F;
    1 << ((word.len() * 7 + usize::from(last)) % 64)
}

/// Keeps the words of a name by which it can be found again.
pub fn remember(cx: &ScanContext<'_>, first: usize, last: usize, names: &mut Names) {
    for at in first..=last {
        let token = cx.tokens.at(at);
        let plain = token.has(Flags::STOP | Flags::PARTICLE) || cx.known(at).is_common();
        let word = cx.tokens.str(token);
        if token.class == Class::Word && word.chars().count() >= 3 && !plain {
            names.insert(word);
        }
    }
}

/// Finds the names again; whether there were any.
pub fn find_again(cx: &mut ScanContext<'_>, names: &Names) -> bool {
    let before = cx.found.len();
    let mut from = 0;
    while let Some(index) = cx.tokens.seed(from, seed::CAPITAL | seed::UNLISTED) {
        from = index + 1;
        let token = cx.free(index);
        if token.class == Class::Word
            && token.len() >= 3
            && names.has(cx.tokens.str(token))
            && !cx.tokens.at(index + 1).is(b'@')
        {
            cx.take(Entity::Person, index, index, SCORE, "name again");
        }
    }
    cx.found.len() > before
}
