//! A reference text and a recognised text in, word errors out: after the English normaliser of [`english`], by
//! Levenshtein's alignment of words.
//!
//! Must not know where texts come from. Texts are personal data: nothing here prints or keeps them.

pub mod english;
mod numbers;
mod rewrite;
mod spelling;
mod symbols;

use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// Counts of one alignment, or the sum of many. Sums are over words, so long texts weigh more than short ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WordErrors {
    /// Reference words that were recognised as another word.
    pub substitutions: usize,
    /// Recognised words that the reference has not.
    pub insertions: usize,
    /// Reference words that were not recognised.
    pub deletions: usize,
    /// Words of the reference.
    pub words: usize,
}

impl WordErrors {
    /// Compares two English texts after normalising both.
    pub fn between(reference: &str, recognised: &str) -> WordErrors {
        WordErrors::of_words(&english::words(reference), &english::words(recognised))
    }

    /// Compares two sequences of words as they are.
    ///
    /// Of all alignments with the fewest errors the one with the most substitutions is counted, so that the counts
    /// are unique, and swapping the two texts swaps insertions and deletions and changes nothing else.
    /// Time: product of the lengths; memory: the length of `recognised`.
    pub fn of_words<T: PartialEq>(reference: &[T], recognised: &[T]) -> WordErrors {
        let mut above: Vec<Path> =
            (0..=recognised.len()).map(|n| Path { insertions: n, ..Path::default() }).collect();
        for (row, expected) in reference.iter().enumerate() {
            let mut left = Path { deletions: row + 1, ..Path::default() };
            let mut current = Vec::with_capacity(above.len());
            current.push(left);
            for ((found, diagonal), up) in recognised.iter().zip(&above).zip(above.iter().skip(1)) {
                let matched = if expected == found { *diagonal } else { diagonal.substituted() };
                left = matched.better(up.deleted()).better(left.inserted());
                current.push(left);
            }
            above = current;
        }
        let Path { substitutions, insertions, deletions } = above.last().copied().unwrap_or_default();
        WordErrors { substitutions, insertions, deletions, words: reference.len() }
    }

    /// All errors together: the edit distance in words.
    pub fn errors(&self) -> usize {
        self.substitutions + self.insertions + self.deletions
    }

    /// Word error rate: errors for each word of the reference (0.1 is 10 %; it may exceed 1). None where the
    /// reference has no words, since no rate exists then, whatever was recognised.
    pub fn rate(&self) -> Option<f64> {
        (self.words > 0).then(|| self.errors() as f64 / self.words as f64)
    }
}

impl Add for WordErrors {
    type Output = WordErrors;

    fn add(self, other: WordErrors) -> WordErrors {
        WordErrors {
            substitutions: self.substitutions + other.substitutions,
            insertions: self.insertions + other.insertions,
            deletions: self.deletions + other.deletions,
            words: self.words + other.words,
        }
    }
}

impl AddAssign for WordErrors {
    fn add_assign(&mut self, other: WordErrors) {
        *self = *self + other;
    }
}

impl Sum for WordErrors {
    fn sum<I: Iterator<Item = WordErrors>>(parts: I) -> WordErrors {
        parts.fold(WordErrors::default(), Add::add)
    }
}

/// The errors on the way to one cell of the alignment table.
#[derive(Clone, Copy, Default)]
struct Path {
    substitutions: usize,
    insertions: usize,
    deletions: usize,
}

impl Path {
    fn substituted(self) -> Path {
        Path { substitutions: self.substitutions + 1, ..self }
    }

    fn inserted(self) -> Path {
        Path { insertions: self.insertions + 1, ..self }
    }

    fn deleted(self) -> Path {
        Path { deletions: self.deletions + 1, ..self }
    }

    /// Fewer errors, then more substitutions. That orders completely: at one cell insertions minus deletions is fixed.
    fn better(self, other: Path) -> Path {
        let rank = |p: &Path| (p.substitutions + p.insertions + p.deletions, usize::MAX - p.substitutions);
        if rank(&other) < rank(&self) { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn errors(substitutions: usize, insertions: usize, deletions: usize, words: usize) -> WordErrors {
        WordErrors { substitutions, insertions, deletions, words }
    }

    #[test]
    fn counts() {
        let table = [
            ("", "", errors(0, 0, 0, 0)),
            ("", "a b", errors(0, 2, 0, 0)),
            ("a b", "", errors(0, 0, 2, 2)),
            ("a b c", "a b c", errors(0, 0, 0, 3)),
            ("a b c", "a x c", errors(1, 0, 0, 3)),
            ("a b c", "a c", errors(0, 0, 1, 3)),
            ("a c", "a b c", errors(0, 1, 0, 2)),
            ("a b c d", "b c d e", errors(0, 1, 1, 4)),
            ("a b", "b a", errors(2, 0, 0, 2)),
            ("a a a", "a", errors(0, 0, 2, 3)),
            ("k i t t e n", "s i t t i n g", errors(2, 1, 0, 6)),
        ];
        for (reference, recognised, expected) in table {
            let [a, b] = [reference, recognised].map(|t| t.split_whitespace().collect::<Vec<_>>());
            assert_eq!(WordErrors::of_words(&a, &b), expected, "{reference:?} / {recognised:?}");
        }
    }

    #[test]
    fn texts_are_normalised_first() {
        let same = [
            ("It's twenty-one degrees, Mr. Gray.", "it is 21 degrees mister grey"),
            ("my number is five five five oh one two three", "My number is 5550123."),
            ("she paid ten thousand dollars", "She paid $10,000."),
        ];
        for (reference, recognised) in same {
            assert_eq!(
                WordErrors::between(reference, recognised).errors(),
                0,
                "{reference:?} / {recognised:?}"
            );
        }
        assert_eq!(WordErrors::between("the colour of the sky", "the color of sky"), errors(0, 0, 1, 5));
    }

    #[test]
    fn rates_and_sums() {
        assert_eq!(errors(1, 1, 0, 4).rate(), Some(0.5));
        assert_eq!(errors(0, 6, 0, 3).rate(), Some(2.0));
        assert_eq!(errors(0, 1, 0, 0).rate(), None);
        let all: WordErrors = [errors(1, 0, 0, 10), errors(0, 2, 3, 10)].into_iter().sum();
        assert_eq!(all, errors(1, 2, 3, 20));
        assert_eq!(all.rate(), Some(0.3));
    }

    /// The edit distance by its definition, one branch at a time: only for a few words.
    fn by_definition(a: &[u8], b: &[u8]) -> usize {
        match (a.split_first(), b.split_first()) {
            (None, _) => b.len(),
            (_, None) => a.len(),
            (Some((x, left)), Some((y, right))) if x == y => by_definition(left, right),
            (Some((_, left)), Some((_, right))) => {
                1 + by_definition(left, right).min(by_definition(left, b)).min(by_definition(a, right))
            }
        }
    }

    fn few() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0u8..4, 0..8)
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(a in few(), b in few()) {
            prop_assert_eq!(WordErrors::of_words(&a, &b).errors(), by_definition(&a, &b));
        }

        #[test]
        fn swapping_swaps_insertions_and_deletions(a in few(), b in few()) {
            let (there, back) = (WordErrors::of_words(&a, &b), WordErrors::of_words(&b, &a));
            prop_assert_eq!(there.substitutions, back.substitutions);
            prop_assert_eq!((there.insertions, there.deletions), (back.deletions, back.insertions));
        }

        #[test]
        fn counts_add_up_to_the_lengths(a in few(), b in few()) {
            let e = WordErrors::of_words(&a, &b);
            prop_assert_eq!(a.len() + e.insertions, b.len() + e.deletions);
            prop_assert!(e.substitutions + e.deletions <= e.words);
        }

        #[test]
        fn detours_are_no_shorter(a in few(), b in few(), c in few()) {
            let errors = |x: &[u8], y: &[u8]| WordErrors::of_words(x, y).errors();
            prop_assert!(errors(&a, &c) <= errors(&a, &b) + errors(&b, &c));
        }

        #[test]
        fn a_text_has_no_errors_against_itself(text in "\\PC{0,60}") {
            prop_assert_eq!(WordErrors::between(&text, &text).errors(), 0);
        }
    }
}
