//! Runs of numbers: digits and number words, with whatever people and recognisers put between them.
//!
//! In: tokens. Out: [`Run`]s of [`Group`]s with their digits; "double seven" is one group, "4539" is one group. Each token is
//! read a fixed number of times. Must not know what a number is for.

use super::lexicon::{Flags, Sense};
use super::token::{Class, MONEY_SIGN, Token, Tokens, digit_value};

/// The tokens between a group and the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// The sign, if there is exactly one.
    pub sign: Option<u8>,
    /// More than one sign, or a spoken one.
    pub mixed: bool,
    /// White space.
    pub spaced: bool,
    /// A line break.
    pub new_line: bool,
    /// The word "and".
    pub and: bool,
    /// A spoken dot.
    pub dot_word: bool,
    /// A spoken "point".
    pub point: bool,
    /// "extension".
    pub extension: bool,
}

impl Gap {
    /// Returns true if it is this sign alone, without white space.
    #[inline]
    pub fn is(self, sign: u8) -> bool {
        self.sign == Some(sign) && !self.spaced && !self.mixed
    }

    /// Returns true if it is white space alone.
    #[inline]
    pub fn is_space(self) -> bool {
        self.spaced && self.sign.is_none() && !self.mixed && !self.and && !self.dot_word && !self.extension
    }

    /// Returns true if a comma is in it, and white space after.
    #[inline]
    pub fn is_list_comma(self) -> bool {
        self.sign == Some(b',') && self.spaced
    }
}

/// The form in which a group says its digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In figures.
    Written,
    /// In words.
    Spoken,
    /// "hundred" (as two zeros) or "thousand" (as three).
    Scale,
    /// A word that may stand for a digit.
    Homophone,
}

/// Digits that stand together.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Index of the first token.
    pub first: usize,
    /// Index of the last token.
    pub last: usize,
    /// The index of its first digit in [`Run::digits`].
    pub from: usize,
    /// The index behind its last digit.
    pub to: usize,
    /// The form in which it is said.
    pub form: Form,
    /// The gap before it (none for the first).
    pub gap: Gap,
}

impl Group {
    /// The number of digits.
    #[expect(clippy::len_without_is_empty, reason = "a group always has a digit")]
    #[inline]
    pub fn len(&self) -> usize {
        self.to - self.from
    }
}

/// Groups that follow each other with only separators between.
#[derive(Debug, Default)]
pub struct Run {
    /// The groups, never none.
    pub groups: Vec<Group>,
    /// All digits, each 0 to 9.
    pub digits: Vec<u8>,
}

impl Run {
    /// The digits of a group.
    #[inline]
    pub fn digits_of(&self, group: &Group) -> &[u8] {
        self.digits.get(group.from..group.to).unwrap_or(&[])
    }

    /// Returns the number of groups before the first of which a token, or one between it and the last, is `taken`.
    pub fn free(&self, taken: impl Fn(usize) -> bool) -> usize {
        let mut from = self.groups.first().map_or(0, |group| group.first);
        let free = self.groups.iter().take_while(|group| {
            let free = !(from..=group.last).any(&taken);
            from = group.last + 1;
            free
        });
        free.count()
    }

    /// The value of a group of at most nine digits.
    #[inline]
    pub fn value(&self, group: &Group) -> Option<u32> {
        let digits = self.digits_of(group);
        (digits.len() < 10).then(|| digits.iter().fold(0, |value, digit| value * 10 + u32::from(*digit)))
    }
}

/// The tokens that may lie inside a run.
#[derive(Clone, Copy, Debug)]
pub struct Grammar {
    /// Take words that only sound like digits, ends of sentences and line breaks between digits.
    pub lenient: bool,
}

/// So many digits stand before the letter that introduces an extension; fewer are a measure, "1920x1080".
const PHONE: usize = 7;
/// Most signs and spoken separators between two groups.
const WIDEST_GAP: usize = 6;

/// Reads the run that begins at the token `index`, if one does, into `run`; the index of the token after it.
pub fn run_at(tokens: &Tokens<'_>, index: usize, grammar: Grammar, run: &mut Run) -> Option<usize> {
    run.groups.clear();
    run.digits.clear();
    let mut reader = Reader { tokens, grammar, run };
    let mut at = reader.group(index, Gap::default())?;
    while let Some((next, gap)) = reader.gap(at)
        && let Some(after) = reader.group(next, gap)
    {
        at = after;
    }
    reader.drop_loose_end();
    run.groups.last().map(|group| group.last + 1)
}

/// Reads one number, as [`run_at`] reads each of a run: its digits, and the index after it.
pub fn group_at(tokens: &Tokens<'_>, index: usize) -> Option<(Vec<u8>, usize)> {
    let mut run = Run::default();
    let after = group_into(tokens, index, &mut run)?;
    Some((run.digits, after))
}

/// The same into `run`, which many readings may share.
pub fn group_into(tokens: &Tokens<'_>, index: usize, run: &mut Run) -> Option<usize> {
    run.groups.clear();
    run.digits.clear();
    Reader { tokens, grammar: Grammar { lenient: false }, run }.group(index, Gap::default())
}

struct Reader<'t, 'a, 'r> {
    tokens: &'t Tokens<'a>,
    grammar: Grammar,
    run: &'r mut Run,
}

impl Reader<'_, '_, '_> {
    /// Reads one group; the index after it.
    fn group(&mut self, index: usize, gap: Gap) -> Option<usize> {
        let token = self.tokens.at(index);
        let from = self.run.digits.len();
        let (after, form) = match token.class {
            Class::Digits => (self.figures(index, token), Form::Written),
            Class::Word if self.free_standing(index) => self.word(index, token.meaning.sense)?,
            _ => return None,
        };
        let to = self.run.digits.len();
        self.run.groups.push(Group { first: index, last: after - 1, from, to, form, gap });
        Some(after)
    }

    fn figures(&mut self, index: usize, token: Token) -> usize {
        let text = self.tokens.str(token);
        for digit in text.chars().filter_map(digit_value) {
            self.run.digits.push(digit);
        }
        index + 1
    }

    /// A number word that is glued to figures (or to the tag of some) is no number, except the letter O.
    fn free_standing(&self, index: usize) -> bool {
        let figures = |token: Token| matches!(token.class, Class::Digits | Class::Tag(_));
        let left = self.tokens.glued(index) && figures(self.tokens.before(index));
        let right = self.tokens.glued(index + 1) && figures(self.tokens.at(index + 1));
        !left && !right || self.tokens.at(index).is_letter()
    }

    fn word(&mut self, index: usize, sense: Sense) -> Option<(usize, Form)> {
        match sense {
            Sense::Digit(digit) => {
                self.run.digits.push(digit);
                if self.tokens.at(index).is_letter()
                    && let (next, follower) = self.joined(index)
                    && self.tokens.glued(next)
                    && follower.class == Class::Digits
                {
                    return Some((self.figures(next, follower), Form::Written));
                }
            }
            Sense::Teen(value) => self.run.digits.extend([1, value - 10]),
            Sense::Ten(value) => {
                let (next, follower) = self.joined(index);
                let ones = match (follower.class, follower.meaning.sense) {
                    (_, Sense::Digit(ones @ 1..)) => Some(ones),
                    (Class::Digits, _) if follower.len() == 1 && next == index + 1 => {
                        self.single_figure(follower).filter(|ones| *ones > 0)
                    }
                    _ => None,
                };
                self.run.digits.extend([value / 10, ones.unwrap_or(0)]);
                if ones.is_some() {
                    return Some((next + 1, Form::Spoken));
                }
            }
            Sense::Repeat(times) => {
                let (next, follower) = self.joined(index);
                let next = if follower.is(b',') { next + 1 } else { next };
                let follower = self.tokens.at(next);
                let digit = match (follower.class, follower.meaning.sense) {
                    (_, Sense::Digit(digit)) => digit,
                    (Class::Digits, _) if follower.len() == 1 => self.single_figure(follower)?,
                    _ => return None,
                };
                self.run.digits.extend((0..times).map(|_| digit));
                return Some((next + 1, Form::Spoken));
            }
            Sense::Hundred | Sense::Scale => {
                self.run.groups.last()?;
                let zeros: &[u8] = if sense == Sense::Hundred { &[0, 0] } else { &[0, 0, 0] };
                self.run.digits.extend(zeros);
                return Some((index + 1, Form::Scale));
            }
            Sense::Homophone(digit) if self.grammar.lenient && self.stands_between(index) => {
                self.run.digits.push(digit);
                return Some((index + 1, Form::Homophone));
            }
            _ => return None,
        }
        Some((index + 1, Form::Spoken))
    }

    fn single_figure(&self, token: Token) -> Option<u8> {
        self.tokens.str(token).chars().next().and_then(digit_value)
    }

    /// The next token and its index, past a hyphen glued to both sides ("twenty-five").
    fn joined(&self, index: usize) -> (usize, Token) {
        let hyphen = self.tokens.at(index + 1).is(b'-') && self.tokens.is_inner(index + 1);
        let next = index + 1 + usize::from(hyphen);
        (next, self.tokens.at(next))
    }

    /// Returns true if a word that sounds like a digit has a real number before it and after it, with at most one more such word.
    fn stands_between(&self, index: usize) -> bool {
        if self.run.groups.is_empty() {
            return false;
        }
        let mut at = index + 1;
        for _ in 0..2 {
            let Some((next, _)) = self.gap(at) else { return false };
            let token = self.tokens.at(next);
            if token.class == Class::Digits || token.meaning.sense.is_number() {
                return true;
            }
            if !matches!(token.meaning.sense, Sense::Homophone(_)) {
                return false;
            }
            at = next + 1;
        }
        false
    }

    /// Returns the gap from `index` to the next token that could be a number; `None` where the run must end.
    fn gap(&self, index: usize) -> Option<(usize, Gap)> {
        let mut gap = Gap::default();
        for at in index..index + WIDEST_GAP {
            let token = self.tokens.at(at);
            gap.spaced |= token.spaced;
            gap.new_line |= token.new_line;
            if token.new_line && !self.grammar.lenient && self.tokens.breaks(at) {
                return None;
            }
            match token.class {
                Class::Digits => return Some((at, gap)),
                Class::Word if self.is_separator(at, token, &mut gap) => {}
                Class::Word if self.is_stray_letter(at, token) => gap.mixed = true,
                Class::Word => return Some((at, gap)),
                Class::Sign(sign) if self.may_separate(sign, at) || gap.extension && sign == b'.' => {
                    gap.mixed |= gap.sign.is_some();
                    gap.sign = Some(sign);
                }
                _ => return None,
            }
        }
        None
    }

    fn is_separator(&self, at: usize, token: Token, gap: &mut Gap) -> bool {
        if !token.meaning.is_some() || token.meaning.sense != Sense::None {
            return false;
        }
        if token.has(Flags::AND) {
            gap.and = matches!(self.run.groups.last().map(|group| group.form), Some(Form::Scale));
            return gap.and;
        }
        if token.is_letter() && token.has(Flags::EXTENSION) && self.run.digits.len() < PHONE {
            return false;
        }
        gap.dot_word |= token.has(Flags::DOT);
        gap.point |= token.has(Flags::POINT);
        gap.extension |= token.has(Flags::EXTENSION);
        gap.mixed = true;
        let glued_letters = self.tokens.glued(at) && !token.has(Flags::EXTENSION) && token.is_letter();
        !glued_letters
            && token.has(
                Flags::DOT | Flags::DASH | Flags::FILLER | Flags::EXTENSION | Flags::SLASH | Flags::COLON,
            )
    }

    /// A letter that a recogniser heard between digits: "0-007-W-O 9".
    fn is_stray_letter(&self, at: usize, token: Token) -> bool {
        const DIGITS_BEFORE: usize = 3;
        let glued_to_figures = self.tokens.glued(at) && self.tokens.before(at).class == Class::Digits
            || self.tokens.glued(at + 1) && self.tokens.at(at + 1).class == Class::Digits;
        self.grammar.lenient
            && self.run.digits.len() >= DIGITS_BEFORE
            && token.is_letter()
            && !glued_to_figures
            && token.meaning.sense == Sense::None
            && !matches!(self.tokens.str(token), "a" | "A" | "i" | "I" | "x" | "m" | "s" | "h")
    }

    fn may_separate(&self, sign: u8, at: usize) -> bool {
        match sign {
            b'.' => self.grammar.lenient || !self.tokens.at(at + 1).spaced,
            b'-' | b',' | b'(' | b')' | b'/' | b':' | b';' | b'_' | b'\'' | b'"' | b'*' | b'#' | b'|'
            | b'~' | b'[' | b']' => true,
            b'?' | b'!' => self.grammar.lenient,
            MONEY_SIGN => false,
            _ => sign >= 0x80,
        }
    }

    /// Words that only sound like digits, and scales without a number before them, end no run.
    fn drop_loose_end(&mut self) {
        while self.run.groups.last().is_some_and(|group| group.form == Form::Homophone) {
            if let Some(group) = self.run.groups.pop() {
                self.run.digits.truncate(group.from);
            }
        }
    }
}
