//! The letters of names that are spelled: "Kowalski, spelled K O W A L S K I", "Wisniewski, that's W I S N".
//!
//! In: a cx. Out: findings. It must not know how a name is found first.

use super::kind::Entity;
use super::lexicon::Flags;
use super::scan_context::ScanContext;
use super::token::{Class, seed};

/// The score of spelled letters.
const SCORE: f32 = 0.7;

/// The letters of a name that is spelled: "Kowalski, spelled K O W A L S K I".
pub fn find(cx: &mut ScanContext<'_>) {
    const FEWEST: usize = 3;
    let mut index = 0;
    while let Some(at) = cx.tokens.seed(index, seed::SPELLS) {
        index = at + 1;
        let mut first = index;
        while first < index + 3 && !cx.free(first).is_letter() && cx.free(first).class != Class::Edge {
            first += 1;
        }
        let (last, letters) = letters_from(cx, first);
        if letters >= FEWEST {
            cx.take(Entity::Person, first, last, SCORE, "name spelled");
            index = last + 1;
        }
    }
}

/// The last of the letters that are said one by one from `first` on, and how many they are.
fn letters_from(cx: &ScanContext<'_>, first: usize) -> (usize, usize) {
    const LETTERS: usize = 40;
    let (mut last, mut letters, mut next) = (first, 0, first);
    while letters < LETTERS {
        let token = cx.free(next);
        if token.is_letter() {
            last = next;
            letters += 1;
        } else if !matches!(token.class, Class::Sign(b'-' | b',' | b'.')) || next > last + 1 {
            break;
        }
        next += 1;
    }
    (last, letters)
}

/// The letters behind a name: "Wisniewski, that's W I S N"; their last token.
pub fn behind(cx: &mut ScanContext<'_>, last: usize) -> Option<usize> {
    const FEWEST: usize = 4;
    const BETWEEN: usize = 4;
    let mut first = last + 1;
    while first <= last + BETWEEN && !is_said_alone(cx, first) {
        let token = cx.free(first);
        let between = matches!(token.class, Class::Sign(b',' | b'.' | b'-' | b'\''))
            || token.is_apostrophe()
            || token.has(Flags::LINK);
        if !between {
            return None;
        }
        first += 1;
    }
    let (end, letters) = letters_from(cx, first);
    (letters >= FEWEST).then(|| {
        cx.take(Entity::Person, first, end, SCORE, "name spelled");
        end
    })
}

/// A letter that is no part of a word: not the s of "that's".
fn is_said_alone(cx: &ScanContext<'_>, index: usize) -> bool {
    cx.free(index).is_letter() && !cx.tokens.glued(index)
}
