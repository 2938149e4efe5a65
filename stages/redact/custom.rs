//! Additions of a pipeline file: words that are always or never personal, and patterns of its own.
//!
//! In: a cx. Out: findings over whole tokens, so that no finding ends inside a number. Regular expressions run in linear time.

use std::collections::{HashMap, HashSet};

use regex::Regex;

use super::checks;
use super::kind::Entity;
use super::scan_context::{Finding, ScanContext};
use super::token::{Class, Tokens};

/// A checksum that a pattern may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The Luhn formula.
    Luhn,
    /// ISO 7064 MOD 97-10, as IBANs have it.
    Mod97,
    /// Verhoeff's scheme.
    Verhoeff,
}

impl Checksum {
    fn holds(self, text: &str) -> bool {
        let symbols: Vec<u8> = text.bytes().filter(u8::is_ascii_alphanumeric).collect();
        match self {
            Self::Mod97 => checks::iban_mod97(&symbols),
            Self::Luhn => checks::figures(&symbols).is_some_and(|digits| checks::luhn(&digits)),
            Self::Verhoeff => checks::figures(&symbols).is_some_and(|digits| checks::verhoeff(&digits)),
        }
    }
}

/// A pattern of the pipeline file.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The name of its tag: capitals and underscores.
    pub name: String,
    /// The pattern of a value.
    pub regex: Regex,
    /// The checksum that must hold.
    pub checksum: Option<Checksum>,
    /// Words of which one must stand before it, in small letters; none if it stands alone.
    pub context: Vec<String>,
}

/// The distance before a match within which a word of its context may stand, in bytes.
const CONTEXT: usize = 80;

/// The additions of a pipeline file to the scanner.
#[derive(Clone, Debug, Default)]
pub struct Custom {
    allow: HashSet<String>,
    deny: HashMap<String, Vec<Vec<String>>>,
    /// The patterns, in order.
    pub patterns: Vec<Pattern>,
    /// The names of the patterns' tags.
    pub names: Vec<String>,
}

impl Custom {
    /// Values that are never personal, words and phrases that always are, and patterns.
    pub fn new(allow: &[String], deny: &[String], patterns: Vec<Pattern>) -> Self {
        let mut heads: HashMap<String, Vec<Vec<String>>> = HashMap::new();
        for phrase in deny {
            let words = words(phrase);
            if let Some(first) = words.first() {
                heads.entry(first.clone()).or_default().push(words);
            }
        }
        for phrases in heads.values_mut() {
            phrases.sort_by_key(|words| std::cmp::Reverse(words.len()));
        }
        let names = patterns.iter().map(|pattern| pattern.name.clone()).collect();
        Self { allow: allow.iter().map(|value| plain(value)).collect(), deny: heads, patterns, names }
    }

    /// Returns true if a value is never personal.
    pub fn allows(&self, value: &str) -> bool {
        !self.allow.is_empty() && self.allow.contains(&plain(value))
    }

    /// Returns true if it looks for nothing.
    pub fn finds_nothing(&self) -> bool {
        self.deny.is_empty() && self.patterns.is_empty()
    }

    /// Finds denied phrases and patterns.
    pub fn find(&self, cx: &mut ScanContext<'_>) {
        if !self.deny.is_empty() {
            self.find_denied(cx);
        }
        for (place, pattern) in self.patterns.iter().enumerate() {
            find_pattern(cx, pattern, u8::try_from(place).unwrap_or(u8::MAX));
        }
    }

    fn find_denied(&self, cx: &mut ScanContext<'_>) {
        for index in 0..cx.tokens.len() {
            let token = cx.free(index);
            if !token.is_solid() {
                continue;
            }
            let phrases = self.deny.get(&cx.tokens.str(token).to_lowercase());
            let last = phrases.into_iter().flatten().find_map(|phrase| said(cx, index, phrase));
            if let Some(last) = last {
                cx.take(Entity::Custom, index, last, 1.0, "denied");
            }
        }
    }
}

/// Without case and with single spaces.
fn plain(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The words and figures of a phrase in small letters.
fn words(phrase: &str) -> Vec<String> {
    let tokens = Tokens::new(phrase);
    let solid = (0..tokens.len()).map(|at| tokens.at(at)).filter(|token| token.is_solid());
    solid.map(|token| tokens.str(token).to_lowercase()).collect()
}

/// The last token of a phrase that begins at `index`, with at most one sign between two words.
fn said(cx: &ScanContext<'_>, index: usize, phrase: &[String]) -> Option<usize> {
    let mut at = index;
    for (place, word) in phrase.iter().enumerate() {
        at += usize::from(place > 0 && matches!(cx.free(at).class, Class::Sign(_)));
        let token = cx.free(at);
        if !token.is_solid() || cx.tokens.str(token).to_lowercase() != *word {
            return None;
        }
        at += 1;
    }
    at.checked_sub(1)
}

fn find_pattern(cx: &mut ScanContext<'_>, pattern: &Pattern, place: u8) {
    let text = cx.tokens.text;
    let mut at = 0;
    for found in pattern.regex.find_iter(text) {
        if found.is_empty()
            || pattern.checksum.is_some_and(|checksum| !checksum.holds(found.as_str()))
            || !has_context(text, found.start(), &pattern.context)
        {
            continue;
        }
        while at < cx.tokens.len() && cx.tokens.at(at).end <= found.start() {
            at += 1;
        }
        let first = at;
        let mut last = first;
        while cx.tokens.at(last + 1).class != Class::Edge && cx.tokens.at(last + 1).start < found.end() {
            last += 1;
        }
        if cx.tokens.at(first).class == Class::Edge || (first..=last).any(|at| cx.is_taken(at)) {
            continue;
        }
        cx.take(Entity::Custom, first, last, 1.0, "pattern");
        if let Some(Finding { pattern, .. }) = cx.found.last_mut() {
            *pattern = Some(place);
        }
    }
}

fn has_context(text: &str, start: usize, context: &[String]) -> bool {
    if context.is_empty() {
        return true;
    }
    let from = (start.saturating_sub(CONTEXT)..=start).find(|at| text.is_char_boundary(*at)).unwrap_or(start);
    let before = words(text.get(from..start).unwrap_or(""));
    context.iter().any(|word| before.contains(word))
}
