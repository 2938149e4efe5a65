//! The English normaliser against openai/whisper's own: texts, and what the original made of them (`scripts/normaliser-golden` makes that
//! again).

#![allow(clippy::unwrap_used, clippy::panic)]

use headwater_datasets::wer::english;

const GOLDEN: &str = include_str!("normaliser.tsv");

#[test]
fn texts_are_normalised_as_the_original_does() {
    let mut checked = 0;
    for (text, expected) in GOLDEN.lines().map(|line| line.split_once('\t').unwrap()) {
        assert_eq!(english::words(text).join(" "), expected, "{text:?}");
        checked += 1;
    }
    assert!(checked > 1_000, "{checked}");
}
