//! Codes as they are written and said: "AB 12 34 56 C", "q q one two", "b for bob", "alpha bravo seven", "double u".
//!
//! In: a scene and a place. Out: the symbols from there on, with the token behind each piece. It must not know what a code is for.
//! Each reading is bounded.

use super::lexicon::{Flags, Sense};
use super::number::{Run, group_into};
use super::scene::Scene;
use super::token::{Class, Token};

/// The most symbols of a code.
pub const LONGEST: usize = 40;

/// How a code is read from a place on.
#[derive(Debug, Default)]
pub struct Spelling {
    /// Capitals and figures in ASCII.
    pub symbols: Vec<u8>,
    /// The pieces, in order.
    pub pieces: Vec<Piece>,
    /// Room for the number that is read.
    run: Run,
}

/// A piece of a code: figures, a letter, letters glued to something, a word that says a letter or digits.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// How many symbols there are up to its end.
    pub upto: usize,
    /// Its last token.
    pub last: usize,
    /// Whether it is glued to the piece before it, or only a hyphen, dot or slash lies between.
    pub glued: bool,
    /// Whether it was said: a letter alone, a number word, "bravo".
    pub said: bool,
    /// Whether its letters are written in capitals (or there are none).
    pub capital: bool,
}

impl Spelling {
    /// Reads from the token `first` on, over what was read before.
    pub fn read(&mut self, scene: &Scene<'_>, first: usize) {
        self.symbols.clear();
        self.pieces.clear();
        let mut reader = Reader { scene, spelling: self };
        let mut at = first;
        while reader.spelling.symbols.len() < LONGEST {
            let Some(next) = reader.step(at, first) else { break };
            at = next;
        }
    }

    /// The piece that ends after exactly so many symbols.
    pub fn end_of(&self, symbols: usize) -> Option<(usize, Piece)> {
        let place = self.pieces.iter().position(|piece| piece.upto >= symbols)?;
        let piece = self.pieces.get(place)?;
        (piece.upto == symbols).then_some((place, *piece))
    }
}

struct Reader<'s, 'a> {
    scene: &'s Scene<'a>,
    spelling: &'s mut Spelling,
}

impl Reader<'_, '_> {
    /// Reads the next piece from `at` on, past what may lie between two pieces; the index after it.
    fn step(&mut self, at: usize, first: usize) -> Option<usize> {
        let (start, glued) = if at == first { (at, false) } else { self.gap(at)? };
        let before = self.spelling.symbols.len();
        let (after, said, capital) = self.piece(start, glued)?;
        if self.spelling.symbols.len() == before {
            return None;
        }
        let after = self.past_explanation(start, after);
        self.spelling.pieces.push(Piece {
            upto: self.spelling.symbols.len(),
            last: after - 1,
            glued,
            said,
            capital,
        });
        Some(after)
    }

    /// Past one sign or up to two words that only separate; whether the next piece is glued to the last one.
    fn gap(&self, at: usize) -> Option<(usize, bool)> {
        let mut glued = self.scene.tokens.glued(at);
        for start in at..at + 3 {
            let token = self.scene.free(start);
            // "4083 3322 8540 PAN: ...": what says another value is no part of this one.
            let told = token.meaning.cue > 0 && self.scene.is_cue(start);
            if token.new_line || told && !self.scene.tokens.glued(start) {
                return None;
            }
            let sign = matches!(token.class, Class::Sign(b'-' | b'.' | b'/' | b',')) && start == at;
            let word = token.class == Class::Word
                && !token.is_letter()
                && (token.has(Flags::DASH | Flags::FILLER | Flags::SLASH | Flags::COLON)
                    || self.is_case_word(token));
            if sign {
                let inner = self.scene.tokens.is_inner(start);
                glued = glued && inner && !token.is(b',');
            } else if word {
                glued = false;
            } else {
                return Some((start, glued && (start == at || self.scene.tokens.glued(start))));
            }
        }
        None
    }

    fn is_case_word(&self, token: Token) -> bool {
        token.len() >= 6
            && ["capital", "uppercase", "lowercase", "letter"]
                .iter()
                .any(|word| self.scene.tokens.str(token).eq_ignore_ascii_case(word))
    }

    /// Reads one piece: the index after it, whether it was said, whether its letters are capitals.
    fn piece(&mut self, at: usize, glued: bool) -> Option<(usize, bool, bool)> {
        let token = self.scene.free(at);
        match token.class {
            Class::Digits => {
                let text = self.scene.tokens.str(token);
                self.spelling.symbols.extend(text.bytes().filter(u8::is_ascii_digit).take(LONGEST + 1));
                Some((at + 1, false, true))
            }
            Class::Word => self.word(at, token, glued),
            _ => None,
        }
    }

    fn word(&mut self, at: usize, token: Token, glued: bool) -> Option<(usize, bool, bool)> {
        let text = self.scene.tokens.str(token);
        if let Some(after) = self.double_u(at, token) {
            self.spelling.symbols.push(b'W');
            return Some((after, true, true));
        }
        if token.meaning.sense.is_number() && !token.is_letter() && !glued {
            let Spelling { symbols, run, .. } = &mut *self.spelling;
            let after = group_into(&self.scene.tokens, at, run)?;
            symbols.extend(run.digits.iter().map(|digit| b'0' + digit));
            return Some((after, true, true));
        }
        if token.meaning.letter > 0 && !glued && !self.scene.tokens.glued(at + 1) {
            self.spelling.symbols.push(token.meaning.letter);
            return Some((at + 1, true, true));
        }
        let capital = text.bytes().all(|byte| byte.is_ascii_uppercase());
        let beside_digits =
            glued || self.scene.tokens.glued(at + 1) && self.scene.tokens.at(at + 1).class == Class::Digits;
        // "DEUTDEFF": the identifier of a bank has no figure to begin with.
        let whole = matches!(token.len(), 8 | 11) && self.spelling.symbols.is_empty();
        // "GALLA 610236 E99KP": the name in a British licence.
        let licence = token.len() == 5
            && self.scene.free(at + 1).class == Class::Digits
            && self.scene.free(at + 1).len() == 6;
        let short = capital && (token.len() <= 4 || whole || licence) && token.meaning.sense == Sense::None;
        if !text.is_ascii() || token.len() > 16 || !(beside_digits || token.is_letter() || short) {
            return None;
        }
        self.spelling.symbols.extend(text.bytes().map(|byte| byte.to_ascii_uppercase()));
        Some((at + 1, token.is_letter() && !beside_digits, capital))
    }

    /// "double u", "double you".
    fn double_u(&self, at: usize, token: Token) -> Option<usize> {
        if token.meaning.sense != Sense::Repeat(2) {
            return None;
        }
        let next = self.scene.free(at + 1);
        let u = ["u", "you"].iter().any(|word| self.scene.tokens.str(next).eq_ignore_ascii_case(word));
        u.then_some(at + 2)
    }

    /// Past "for bob", "as in boy", "like boy" after a letter.
    fn past_explanation(&self, start: usize, after: usize) -> usize {
        explanation_end(self.scene, start, after)
    }
}

/// The letter that the word at `index` explains: that of "b for bravo", "b as in bravo".
pub fn explained_letter(scene: &Scene<'_>, index: usize) -> Option<usize> {
    (2..=4).filter_map(|back| index.checked_sub(back)).find(|letter| {
        scene.free(*letter).is_letter() && explanation_end(scene, *letter, letter + 1) == index + 1
    })
}

/// Where the explanation of the letter at `start` ends, if one begins at `after`; else `after`.
pub fn explanation_end(scene: &Scene<'_>, start: usize, after: usize) -> usize {
    let letter = scene.free(start);
    if !letter.is_letter() {
        return after;
    }
    let is = |at: usize, word: &str| scene.tokens.str(scene.free(at)).eq_ignore_ascii_case(word);
    let comma = usize::from(scene.free(after).is(b','));
    let at = after + comma;
    if !matches!(scene.free(at).len(), 2..=4) {
        return after;
    }
    let word = if is(at, "as") && is(at + 1, "in") {
        at + 2
    } else if is(at, "for") || is(at, "like") || is(at, "is") && is(at + 1, "for") {
        at + 1 + usize::from(is(at, "is"))
    } else {
        return after;
    };
    let explains = scene.free(word);
    let same = scene
        .tokens
        .str(explains)
        .bytes()
        .next()
        .zip(scene.tokens.str(letter).bytes().next())
        .is_some_and(|(a, b)| a.eq_ignore_ascii_case(&b));
    if explains.class == Class::Word && explains.len() > 1 && same { word + 1 } else { after }
}
