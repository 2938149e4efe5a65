//! A text under examination: its tokens, its context phrases, and what has been found so far.
//!
//! In: a text. Out: what the finders ask about the surroundings of a place. No question looks across something already
//! found or tagged, so that redacting a redacted text finds nothing new; each looks at a bounded number of tokens.

use std::cell::Cell;

use super::code;
use super::cue::{Cue, Cues, Hint};
use super::cutter::TokenBuffers;
use super::gazetteer::{self, NameClasses};
use super::iban::Reading;
use super::kind::{Entities, Entity};
use super::lexicon::{Flags, Sense};
use super::number::Run;
use super::spelled::Spelling;
use super::token::{Class, Token, Tokens, seed};

/// A span that holds personal data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// The kind of the value.
    pub kind: Entity,
    /// Byte offset of its first character.
    pub start: usize,
    /// Byte offset after its last character.
    pub end: usize,
    /// The confidence of the rule, 0 to 1.
    pub score: f32,
    /// The rule that found it.
    pub rule: &'static str,
    /// For a finding of a pattern: which one.
    pub pattern: Option<u8>,
}

/// A number that was looked at and left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// Byte offset of its first character.
    pub start: usize,
    /// Byte offset after its last character.
    pub end: usize,
    /// The reason why it is not personal.
    pub reason: &'static str,
}

/// The distance at which a context phrase still tells the kind of a value, in tokens.
const FAR: usize = 14;
/// The distance at which a context phrase still widens the range that is taken, in tokens.
const NEAR: usize = 10;

/// A context phrase before a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The promise of the phrase.
    pub hint: Hint,
    /// Only linking words lie between.
    pub near: bool,
}

/// A text under examination.
pub struct ScanContext<'a> {
    /// Its tokens.
    pub tokens: Tokens<'a>,
    /// Take what only looks like personal data (transcripts).
    pub lenient: bool,
    /// The kinds that take part.
    pub entities: Entities,
    /// The findings, in the order of finding.
    pub found: Vec<Finding>,
    /// The candidates that were rejected, where they are asked for.
    pub passed: Option<Vec<NearMiss>>,
    /// Scratch buffers of this thread.
    pub buffers: Box<ScratchBuffers>,
}

/// The buffers of a scan, kept for the next one on the same thread: most texts are cheaper to scan than their memory is to allocate.
#[derive(Default)]
pub struct ScratchBuffers {
    /// For the numbers that are read one after the other.
    pub run: Cell<Run>,
    /// For what they may go on with.
    pub more: Cell<Run>,
    /// For the codes that are.
    pub spelling: Cell<Spelling>,
    /// For what may be an IBAN.
    pub iban: Cell<Reading>,
    /// For the tokens, while there are none.
    cut: TokenBuffers,
    cues: Cues,
    /// The kinds of the tokens that were found.
    taken: Vec<Option<Entity>>,
    /// The name classes of each token, once the lists were asked.
    known: Vec<Cell<NameClasses>>,
}

thread_local! {
    static BUFFERS: Cell<Option<Box<ScratchBuffers>>> = const { Cell::new(None) };
}

/// Buffers for longer texts than this, in tokens, are freed at once.
const KEPT: usize = 1 << 14;
/// Few texts have more findings.
const FINDINGS: usize = 8;

impl<'a> ScanContext<'a> {
    /// Prepares a text, in which tags may also have these names.
    pub fn new(text: &'a str, names: &[String], lenient: bool, entities: Entities) -> Self {
        let mut buffers = BUFFERS.take().unwrap_or_default();
        let tokens = Tokens::within(text, names, std::mem::take(&mut buffers.cut));
        buffers.taken.clear();
        buffers.taken.resize(tokens.len(), None);
        buffers.known.clear();
        buffers.known.resize(tokens.len(), Cell::new(NameClasses::UNASKED));
        buffers.cues.fill(&tokens);
        Self { tokens, lenient, entities, found: Vec::with_capacity(FINDINGS), passed: None, buffers }
    }

    /// Leaves the rooms to the next text.
    pub fn leave(self) {
        let Self { tokens, mut buffers, .. } = self;
        if buffers.taken.capacity() <= KEPT {
            buffers.cut = tokens.into_buffers();
            BUFFERS.set(Some(buffers));
        }
    }

    /// Returns the name classes of the token: none where it is no word.
    #[inline]
    pub fn known(&self, index: usize) -> NameClasses {
        let Some(cell) = self.buffers.known.get(index) else { return NameClasses::default() };
        let mut known = cell.get();
        if known == NameClasses::UNASKED {
            let token = self.tokens.at(index);
            known = match token.class {
                Class::Word => gazetteer::known(self.tokens.str(token)),
                _ => NameClasses::default(),
            };
            cell.set(known);
        }
        known
    }

    /// The same of a token that is free; nothing of others.
    #[inline]
    pub fn known_free(&self, index: usize) -> NameClasses {
        if self.is_taken(index) { NameClasses::default() } else { self.known(index) }
    }

    /// Returns true if the token belongs to something found, or is a tag.
    #[inline]
    pub fn is_taken(&self, index: usize) -> bool {
        self.tokens.has_seed(index, seed::TAKEN)
    }

    /// Returns the finding at the token, or its tag.
    #[inline]
    pub fn kind_at(&self, index: usize) -> Option<Entity> {
        match self.tokens.at(index).class {
            Class::Tag(kind) => Some(kind),
            _ => self.buffers.taken.get(index).copied().flatten(),
        }
    }

    /// Returns true if a personal number was found at the token, or tagged. A date is none.
    #[inline]
    pub fn is_personal_number(&self, index: usize) -> bool {
        self.kind_at(index).is_some_and(Entity::is_row_of_digits)
    }

    /// Returns true if numbers of this kind are looked for. Kinds that every number may be are always weighed.
    #[inline]
    pub fn wants(&self, kind: Entity) -> bool {
        self.entities.contains(kind)
    }

    /// Records a finding over the tokens `first..=last`.
    pub fn take(&mut self, kind: Entity, first: usize, last: usize, score: f32, rule: &'static str) {
        let (start, end) = (self.tokens.at(first).start, self.tokens.at(last).end);
        let range = first..(last + 1).min(self.buffers.taken.len());
        if let Some(taken) = self.buffers.taken.get_mut(range.clone()) {
            taken.fill(Some(kind));
        }
        self.tokens.mark(range, seed::TAKEN);
        self.found.push(Finding { kind, start, end, score, rule, pattern: None });
    }

    /// Notes why the tokens `first..=last` are left alone.
    pub fn pass(&mut self, first: usize, last: usize, reason: &'static str) {
        let (start, end) = (self.tokens.at(first).start, self.tokens.at(last).end);
        if let Some(passed) = &mut self.passed {
            passed.push(NearMiss { start, end, reason });
        }
    }

    /// Returns true if anything is left from which a finder could begin once what was found is replaced by tags. Names are looked for before
    /// numbers, so what follows them changes nothing for them.
    pub fn is_restless(&self) -> bool {
        let mut last = None;
        let mut index = 0;
        while let Some(at) = self.tokens.seed(index, seed::NUMBER | seed::AT | seed::DOT) {
            index = at + 1;
            if self.is_taken(at) {
                continue;
            }
            let token = self.tokens.at(at);
            let restless = if self.tokens.has_seed(at, seed::NUMBER) {
                let close = last.replace(at).is_some_and(|last| at - last <= FAR);
                close || self.may_be_more(at, token)
            } else if token.is(b'.') {
                self.tokens.is_inner(at)
            } else {
                token.class != Class::Word || token.has(Flags::DOT) || self.is_domain_left()
            };
            if restless {
                return true;
            }
        }
        false
    }

    /// Returns true if a number that was left, with no other close by, may be more than a few digits without a person.
    fn may_be_more(&self, index: usize, token: Token) -> bool {
        let most = if self.tokens.any(seed::CUE) { 2 } else { 4 };
        let long = match token.class {
            Class::Digits => token.len() > most,
            _ => matches!(token.meaning.sense, Sense::Repeat(_)),
        };
        let scaled = matches!(self.tokens.at(index + 1).meaning.sense, Sense::Hundred | Sense::Scale);
        let spelled = |at: usize| {
            at != index
                && !self.is_taken(at)
                && (self.tokens.has_seed(at, seed::LETTER | seed::MIXED)
                    || self.tokens.has_seed(at, seed::CAPITAL) && self.tokens.at(at).len() <= 6)
        };
        long || scaled
            || self.tokens.any(seed::AGE | seed::STREET | seed::MONTH)
            || self.tokens.any(seed::CUE) && (index.saturating_sub(3)..index + 4).any(spelled)
    }

    /// Returns true if the word "at" may still stand before a domain, or before a secret.
    fn is_domain_left(&self) -> bool {
        let mut index = 0;
        while let Some(at) = self.tokens.seed(index, seed::ADDRESS | seed::ROW) {
            if !self.is_taken(at) {
                return true;
            }
            index = at + 1;
        }
        false
    }

    /// The free token after `index`, or the edge if it is taken.
    #[inline]
    pub fn free(&self, index: usize) -> Token {
        if self.is_taken(index) { self.tokens.at(usize::MAX) } else { self.tokens.at(index) }
    }

    /// The free token before `index`, or the edge.
    #[inline]
    pub fn free_before(&self, index: usize) -> Token {
        index.checked_sub(1).map_or_else(|| self.tokens.at(usize::MAX), |before| self.free(before))
    }

    /// The first of the free tokens before `index`, at most `reach` of them.
    pub fn horizon(&self, index: usize, reach: usize) -> usize {
        let mut from = index;
        while from > 0 && index - from < reach && !self.is_taken(from - 1) {
            from -= 1;
        }
        from
    }

    /// The context of a value that begins at the token `index`: the nearest phrase that says more than "number", else that.
    pub fn context(&self, index: usize) -> Option<Context> {
        self.context_for(index, |_| true)
    }

    /// As [`ScanContext::context`], among the phrases whose hint is `wanted`.
    pub fn context_for(&self, index: usize, wanted: impl Fn(Hint) -> bool) -> Option<Context> {
        let from = self.horizon(index, FAR);
        let mut vague = None;
        for cue in self.buffers.cues.before(index, from).filter(|cue| wanted(cue.hint)) {
            let context = Context { hint: cue.hint, near: self.is_near(cue, index) };
            if cue.hint != Hint::Any {
                let near = context.near || vague.is_some_and(|vague: Context| vague.near);
                return Some(Context { near, ..context });
            }
            vague = vague.or(Some(context));
        }
        vague
    }

    /// The context of a value that ends before the token `index`: "... is my phone number", "(home phone)".
    pub fn context_after(&self, index: usize) -> Option<Context> {
        let mut at = index + usize::from(self.free(index).is(b',') || self.free(index).is(b'('));
        let said = |at: usize, words: &[&str]| {
            let token = self.free(at);
            token.class == Class::Word && token.len() <= 5 && {
                let word = self.tokens.str(token);
                words.iter().any(|known| word.eq_ignore_ascii_case(known))
            }
        };
        if at == index {
            if !said(at, &["is", "s", "was"]) {
                return None;
            }
            at += 1;
        }
        at += usize::from(said(at, &["my", "his", "her", "their", "our", "the", "your", "that", "s"]));
        let listed = self.free(index).is(b',');
        (at..at + 2)
            .take_while(|at| self.free(*at).class == Class::Word)
            .find_map(|at| self.buffers.cues.at(at).find(|cue| cue.hint != Hint::Any))
            // In "expires 2027, code 4471" the code is the next number.
            .filter(|cue| {
                !listed || !(cue.last + 1..cue.last + 4).any(|at| self.tokens.has_seed(at, seed::NUMBER))
            })
            .map(|cue| Context { hint: cue.hint, near: true })
    }

    fn is_near(&self, cue: Cue, index: usize) -> bool {
        // "License number henry five two": a code word.
        let coded =
            matches!(cue.hint, Hint::Of(kind) if code::has_letters(kind) && kind != Entity::MedicalRecord);
        index - cue.last <= NEAR
            && (cue.last + 1..index).all(|between| {
                let token = self.tokens.at(between);
                match token.class {
                    Class::Word => {
                        token.is_letter()
                            || token.meaning.cue > 0
                            || coded && between + 4 >= index && token.has(Flags::CODE_WORD)
                            || cue.hint != Hint::Of(Entity::MedicalRecord) && self.says(token)
                            || token.has(
                                Flags::LINK | Flags::FILLER | Flags::PLUS | Flags::DASH | Flags::EXTENSION,
                            )
                    }
                    Class::Sign(_) => true,
                    _ => false,
                }
            })
    }

    /// "The passport says", "the plate goes".
    fn says(&self, token: Token) -> bool {
        let word = self.tokens.str(token);
        ["says", "goes", "comes"].iter().any(|known| word.eq_ignore_ascii_case(known))
    }

    /// Returns the promise of the longest phrase that begins at the token.
    pub fn cue_at(&self, index: usize) -> Option<Hint> {
        self.buffers.cues.at(index).next().map(|cue| cue.hint)
    }

    /// Returns true if a phrase that promises something begins at the token.
    pub fn is_cue(&self, index: usize) -> bool {
        self.buffers.cues.at(index).next().is_some()
    }

    /// Returns true if this was found, or tagged, a few tokens before.
    pub fn is_kind_before(&self, index: usize, kind: Entity) -> bool {
        const BACK: usize = 24;
        (index.saturating_sub(BACK)..index).any(|at| self.kind_at(at) == Some(kind))
    }

    /// Returns true if the token lies in a phrase that promises something.
    pub fn is_in_cue(&self, index: usize) -> bool {
        const LONGEST: usize = 10;
        (index.saturating_sub(LONGEST)..=index)
            .any(|first| self.buffers.cues.at(first).any(|cue| cue.last >= index))
    }

    /// Returns true if a phrase that promises something ends at the token.
    pub fn ends_cue(&self, index: usize) -> bool {
        const LONGEST: usize = 6;
        (index.saturating_sub(LONGEST)..=index)
            .any(|first| self.buffers.cues.at(first).any(|cue| cue.last == index))
    }

    /// The tokens behind the phrases that promise this.
    pub fn after_cues(&self, hint: Hint) -> Vec<usize> {
        self.buffers.cues.ends(hint).map(|last| last + 1).collect()
    }

    /// Returns true if a phrase of the text promises this.
    pub fn is_spoken_of(&self, hint: Hint) -> bool {
        self.buffers.cues.any(hint)
    }

    /// Returns true if one of the free tokens before `index`, at most `reach` of them, is a word with `flags`.
    pub fn spoken_before(&self, index: usize, reach: usize, flags: Flags) -> bool {
        (self.horizon(index, reach)..index).any(|before| self.tokens.at(before).has(flags))
    }
}
