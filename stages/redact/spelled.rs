//! Codes as they are written and said: "AB 12 34 56 C", "q q one two", "alpha bravo seven".
//!
//! In: a cx and a place. Out: the symbols from there on, with the token behind each piece. It must not know what a code is for.
//! Each reading is bounded.

use super::cue::Hint;
use super::hesitation;
use super::kind::Entity;
use super::lexicon::{Flags, Sense};
use super::number::{Run, group_into};
use super::scan_context::ScanContext;
use super::token::{Class, Token, seed};

/// The most symbols of a code.
pub const LONGEST: usize = 40;

/// The reading of a code from a place on.
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
    /// The number of symbols up to its end.
    pub upto: usize,
    /// Its last token.
    pub last: usize,
    /// True if it is glued to the piece before it, or only a hyphen, dot or slash lies between.
    pub glued: bool,
    /// True if it was said: a letter alone, a number word, "bravo".
    pub said: bool,
    /// True if its letters are written in capitals (or there are none).
    pub capital: bool,
}

impl Spelling {
    /// Reads from the token `first` on, over what was read before.
    pub fn read(&mut self, cx: &ScanContext<'_>, first: usize) {
        self.symbols.clear();
        self.pieces.clear();
        let mut reader = Reader { cx, spelling: self };
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
    cx: &'s ScanContext<'a>,
    spelling: &'s mut Spelling,
}

impl Reader<'_, '_> {
    /// Reads the next piece from `at` on, past what may lie between two pieces; the index after it.
    fn step(&mut self, at: usize, first: usize) -> Option<usize> {
        let before = self.spelling.symbols.len();
        let near = if at == first { Some((at, false)) } else { self.gap(at) };
        let read = near.and_then(|(start, glued)| Some((glued, self.piece(start, glued)?)));
        let (glued, (after, said, capital)) = if let Some(read) = read {
            read
        } else {
            let next = hesitation::next_symbol(self.cx, first, at, before)?;
            (false, self.piece(next, false)?)
        };
        if self.spelling.symbols.len() == before {
            return None;
        }
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
        let mut glued = self.cx.tokens.glued(at);
        for start in at..at + 3 {
            let token = self.cx.free(start);
            // "4083 3322 8540 PAN: ...": what says another value is no part of this one.
            let announced = token.meaning.cue > 0 && self.cx.is_cue(start);
            if self.cx.tokens.breaks(start) || announced && !self.cx.tokens.glued(start) {
                return None;
            }
            let sign = matches!(token.class, Class::Sign(b'-' | b'.' | b'/' | b',')) && start == at;
            let word = token.class == Class::Word
                && !token.is_letter()
                && (token.has(Flags::DASH | Flags::FILLER | Flags::SLASH | Flags::COLON)
                    || self.is_case_word(token));
            if sign {
                let inner = self.cx.tokens.is_inner(start);
                glued = glued && inner && !token.is(b',');
            } else if word {
                glued = false;
            } else {
                return Some((start, glued && (start == at || self.cx.tokens.glued(start))));
            }
        }
        None
    }

    /// "Licence number morga seven five three": the name in a British licence, behind what announces one.
    fn is_name_of_licence(&self, at: usize, token: Token) -> bool {
        let licence = |hint| hint == Hint::Of(Entity::DrivingLicence);
        self.spelling.symbols.is_empty()
            && token.len() == 5
            && self.cx.tokens.has_seed(at + 1, seed::NUMBER)
            && self.cx.context_for(at, licence).is_some_and(|context| context.near)
    }

    fn is_case_word(&self, token: Token) -> bool {
        token.len() >= 6
            && ["capital", "uppercase", "lowercase", "letter"]
                .iter()
                .any(|word| self.cx.tokens.str(token).eq_ignore_ascii_case(word))
    }

    /// Reads one piece: the index after it, whether it was said, whether its letters are capitals.
    fn piece(&mut self, at: usize, glued: bool) -> Option<(usize, bool, bool)> {
        let token = self.cx.free(at);
        match token.class {
            Class::Digits => {
                let text = self.cx.tokens.str(token);
                self.spelling.symbols.extend(text.bytes().filter(u8::is_ascii_digit).take(LONGEST + 1));
                Some((at + 1, false, true))
            }
            Class::Word => self.word(at, token, glued),
            _ => None,
        }
    }

    fn word(&mut self, at: usize, token: Token, glued: bool) -> Option<(usize, bool, bool)> {
        let text = self.cx.tokens.str(token);
        if token.meaning.sense.is_number() && !token.is_letter() && !glued {
            let Spelling { symbols, run, .. } = &mut *self.spelling;
            let after = group_into(&self.cx.tokens, at, run)?;
            symbols.extend(run.digits.iter().map(|digit| b'0' + digit));
            return Some((after, true, true));
        }
        let runs_on = self.cx.tokens.glued(at + 1) && self.cx.tokens.at(at + 1).is_solid();
        if token.is_explained() || token.meaning.letter > 0 && !glued && !runs_on {
            self.spelling.symbols.push(token.meaning.letter);
            return Some((at + 1, true, true));
        }
        let capital = text.bytes().all(|byte| byte.is_ascii_uppercase());
        let beside_digits =
            glued || self.cx.tokens.glued(at + 1) && self.cx.tokens.at(at + 1).class == Class::Digits;
        // "DEUTDEFF": the identifier of a bank has no figure to begin with.
        let whole = matches!(token.len(), 8 | 11) && self.spelling.symbols.is_empty();
        // "GALLA 610236 E99KP": the name in a British licence.
        let licence = token.len() == 5
            && self.cx.free(at + 1).class == Class::Digits
            && self.cx.free(at + 1).len() == 6;
        let licence = licence && capital || self.is_name_of_licence(at, token);
        let short = (capital && (token.len() <= 4 || whole) || licence) && token.meaning.sense == Sense::None;
        if !text.is_ascii() || token.len() > 16 || !(beside_digits || token.is_letter() || short) {
            return None;
        }
        self.spelling.symbols.extend(text.bytes().map(|byte| byte.to_ascii_uppercase()));
        Some((at + 1, token.is_letter() && !beside_digits, capital))
    }
}
