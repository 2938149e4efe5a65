//! Logits of tokens in, spans of a text out.
//!
//! In: the tokens of a text with their places, and a row of logits for each. Out: findings on whole words. A word is what its surest token
//! says it is, since a name that was cut in pieces must go as a whole. It must not know how logits are made.

use super::Tag;
use crate::redact::scan_context::Finding;

/// The place of a token in its text, in bytes, and the number of its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) word: Option<u32>,
}

/// Tokens of a text that are computed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The tagging of a token: the label's number and its probability, from the window in which it has most to either side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Chances {
    label: usize,
    chance: f64,
    /// Tokens to the nearer end of the window, and one.
    sight: usize,
}

/// Windows of at most `most` tokens over so many: neighbours share up to `overlap`, so that a name at an end is seen whole in one.
pub(super) fn windows(tokens: usize, most: usize, overlap: usize) -> impl Iterator<Item = Window> {
    let most = most.max(1);
    let step = most - overlap.min(most / 2);
    let starts = (0..).map(move |number: usize| number * step);
    let mut over = false;
    starts.map_while(move |start| {
        let end = (start + most).min(tokens);
        let window = (!over).then_some(Window { start, end });
        over = end >= tokens;
        window
    })
}

impl Window {
    /// Takes over what this window says of its tokens, where no other saw further.
    pub(super) fn keep<'l>(&self, all: &mut [Chances], logits: impl Iterator<Item = &'l [f32]>) {
        let here = all.get_mut(self.start..self.end).unwrap_or_default();
        let length = here.len();
        for (at, (known, logits)) in here.iter_mut().zip(logits).enumerate() {
            let sight = (at + 1).min(length - at);
            if sight > known.sight {
                let (label, chance) = surest(logits);
                *known = Chances { label, chance, sight };
            }
        }
    }
}

/// The label of the greatest logit, the first of equal ones, and its probability.
fn surest(logits: &[f32]) -> (usize, f64) {
    let best =
        logits.iter().copied().enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best });
    let Some((label, top)) = best else { return (0, 0.0) };
    let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - f64::from(top)).exp()).sum();
    (label, 1.0 / sum)
}

/// A word with what it is.
struct Word {
    start: usize,
    end: usize,
    number: Option<u32>,
    tag: Option<(Tag, f64)>,
}

/// The spans of a text.
pub(super) fn of(
    text: &str,
    pieces: &[Piece],
    chances: &[Chances],
    tags: &[Option<Tag>],
    least: f64,
) -> Vec<Finding> {
    let mut words: Vec<Word> = Vec::new();
    for (piece, chances) in pieces.iter().zip(chances) {
        let tag = tags.get(chances.label).copied().flatten().map(|tag| (tag, chances.chance));
        let tag = tag.filter(|(_, chance)| *chance >= least);
        match words.last_mut().filter(|word| piece.word.is_some() && word.number == piece.word) {
            Some(word) => {
                word.end = word.end.max(piece.end);
                let surer = |known: (Tag, f64), new: (Tag, f64)| if new.1 > known.1 { new } else { known };
                word.tag = word.tag.zip(tag).map(|(known, new)| surer(known, new)).or(word.tag).or(tag);
            }
            None => words.push(Word { start: piece.start, end: piece.end, number: piece.word, tag }),
        }
    }
    let mut found: Vec<(Finding, u32)> = Vec::new();
    for word in words {
        let Some((tag, chance)) = word.tag else { continue };
        let between = |from: usize| text.get(from..word.start).unwrap_or("x");
        let joins = |last: &Finding| {
            last.kind == tag.kind && !tag.begins && !between(last.end).contains(char::is_alphanumeric)
        };
        if let Some((last, words)) = found.last_mut().filter(|(last, _)| joins(last)) {
            let (before, all) = (f64::from(*words), f64::from(*words + 1));
            last.score = as_score((f64::from(last.score) * before + chance) / all);
            last.end = word.end;
            *words += 1;
        } else {
            let (start, end, score) = (word.start, word.end, as_score(chance));
            found.push((Finding { kind: tag.kind, start, end, score, rule: "tagger", pattern: None }, 1));
        }
    }
    let whole =
        |finding: &Finding| text.get(finding.start..finding.end).is_some_and(|value| !value.is_empty());
    found.into_iter().map(|(finding, _)| finding).filter(whole).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "a probability for people to read")]
fn as_score(chance: f64) -> f32 {
    chance as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::kind::Entity;

    #[test]
    fn windows_cover_every_token_and_end_once() {
        let check = |tokens: usize, most: usize, overlap: usize, expected: &[(usize, usize)]| {
            let found: Vec<_> = windows(tokens, most, overlap).map(|w| (w.start, w.end)).collect();
            assert_eq!(found, expected, "{tokens} tokens, {most} at most, {overlap} shared");
        };
        check(0, 10, 4, &[(0, 0)]);
        check(10, 10, 4, &[(0, 10)]);
        check(11, 10, 4, &[(0, 10), (6, 11)]);
        check(25, 10, 4, &[(0, 10), (6, 16), (12, 22), (18, 25)]);
        check(5, 2, 32, &[(0, 2), (1, 3), (2, 4), (3, 5)]);
        check(3, 1, 32, &[(0, 1), (1, 2), (2, 3)]);
    }

    #[test]
    fn a_token_is_what_the_window_says_that_sees_most_around_it() {
        let mut all = vec![Chances::default(); 4];
        let rows = |first: f32| [[first, 1.0], [1.0, 0.0], [0.0, 1.0]];
        Window { start: 0, end: 3 }.keep(&mut all, rows(0.0).iter().map(<[f32; 2]>::as_slice));
        Window { start: 1, end: 4 }.keep(&mut all, rows(5.0).iter().map(<[f32; 2]>::as_slice));
        assert_eq!(all.iter().map(|c| c.label).collect::<Vec<_>>(), [1, 0, 0, 1]);
    }

    #[test]
    fn spans_are_whole_words_of_one_kind() {
        let person = |begins| Some(Tag { kind: Entity::Person, begins });
        let tags = [None, person(true), person(false), Some(Tag { kind: Entity::Address, begins: false })];
        let text = "Anna Schmidt-Lee, Bert of Bonn";
        // Anna | Sch ##midt | - | Lee | , | Bert | of | Bonn
        let places = [(0, 4), (5, 8), (8, 12), (12, 13), (13, 16), (16, 17), (18, 22), (23, 25), (26, 30)];
        let words = [0, 1, 1, 2, 3, 4, 5, 6, 7];
        let pieces: Vec<Piece> = places
            .into_iter()
            .zip(words)
            .map(|((start, end), word)| Piece { start, end, word: Some(word) })
            .collect();
        let check = |labels: [usize; 9], expected: &[(&str, &str)]| {
            let chances: Vec<Chances> =
                labels.into_iter().map(|label| Chances { label, chance: 0.9, sight: 1 }).collect();
            let found = of(text, &pieces, &chances, &tags, 0.5);
            let found: Vec<_> = found.iter().map(|f| (f.kind.name(), &text[f.start..f.end])).collect();
            assert_eq!(found, expected, "{labels:?}");
        };
        check([0; 9], &[]);
        check(
            [1, 2, 2, 0, 2, 0, 1, 0, 3],
            &[("PERSON", "Anna Schmidt-Lee"), ("PERSON", "Bert"), ("ADDRESS", "Bonn")],
        );
        // One piece of a word is enough; "of" parts two places.
        check([0, 0, 2, 0, 0, 0, 0, 0, 0], &[("PERSON", "Schmidt")]);
        check([0, 0, 0, 0, 0, 0, 3, 0, 3], &[("ADDRESS", "Bert"), ("ADDRESS", "Bonn")]);
        let unsure: Vec<Chances> = vec![Chances { label: 1, chance: 0.4, sight: 1 }; 9];
        assert!(of(text, &pieces, &unsure, &tags, 0.5).is_empty());
    }
}
