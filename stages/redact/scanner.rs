//! The scanner: a text in, findings or the redacted text out.
//!
//! Order of the finders: addresses, IBANs, IPv6, dates with months, numbers. What one has taken, the next ones do not see. Every finder
//! walks the tokens once and looks a bounded number of tokens around, so the time is linear in the length of the text.

use super::kind::{Entities, Entity};
pub use super::scene::Finding;
use super::scene::Scene;
use super::token::Tokens;
use super::{address, calendar, iban, neighbours, network, numeric};

/// How much is taken for personal data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Fail-safe, for what a recogniser wrote: six digits that are no time, price or quantity are enough.
    #[default]
    Transcript,
    /// For clean text: a form, a checksum or a context phrase is needed.
    Text,
}

/// What is written in place of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// The tag of its kind.
    #[default]
    Tag,
    /// `<NUM>` for everything made of digits, else the tag of its kind.
    Num,
}

/// An entity in a redacted text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What stood here.
    pub kind: Entity,
    /// Byte offset of its tag in the redacted text.
    pub start: usize,
    /// Byte offset after its tag.
    pub end: usize,
}

/// A text without its personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// The text with a tag in place of each value.
    pub text: String,
    /// The tags, in order.
    pub entities: Vec<Placed>,
}

/// Finds and replaces personal data.
#[derive(Clone, Copy, Debug)]
pub struct Scanner {
    profile: Profile,
    style: Style,
    entities: Entities,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new(Profile::default(), Style::default(), Entities::all())
    }
}

impl Scanner {
    /// How entities are written.
    pub fn style(&self) -> Style {
        self.style
    }

    /// A scanner for the kinds in `entities`.
    pub const fn new(profile: Profile, style: Style, entities: Entities) -> Self {
        Self { profile, style, entities }
    }

    /// The personal data of a text: sorted, apart from each other, on character boundaries.
    pub fn scan(&self, text: &str) -> Vec<Finding> {
        let mut found = find(text, self.profile).found;
        found.retain_mut(|finding| self.wants(finding));
        found.sort_by_key(|finding| finding.start);
        found
    }

    /// Replaces the personal data of a text.
    pub fn redact(&self, text: &str) -> Redacted {
        let findings = self.scan(text);
        let mut out = String::with_capacity(text.len());
        let mut entities = Vec::with_capacity(findings.len());
        let mut at = 0;
        for finding in findings {
            out.push_str(text.get(at..finding.start).unwrap_or(""));
            let start = out.len();
            let kind = self.written(finding.kind);
            out.push_str(kind.tag());
            entities.push(Placed { kind, start, end: out.len() });
            at = finding.end;
        }
        out.push_str(text.get(at..).unwrap_or(""));
        Redacted { text: out, entities }
    }

    fn written(self, kind: Entity) -> Entity {
        if self.style == Style::Num && kind.is_numeric() { Entity::Num } else { kind }
    }

    /// A number of a kind that is not wanted is still a number, if numbers are wanted.
    fn wants(self, finding: &mut Finding) -> bool {
        if self.entities.contains(finding.kind) {
            return true;
        }
        let number = matches!(finding.kind, Entity::Card | Entity::Phone | Entity::Ssn | Entity::Iban);
        finding.kind = Entity::Num;
        number && self.entities.contains(Entity::Num)
    }
}

/// Numbers and their parts. A part that is taken hides what stands before it, which may have spoken for the next number: so again.
fn find_numbers(scene: &mut Scene<'_>) {
    const ROUNDS: usize = 4;
    for _ in 0..ROUNDS {
        numeric::find(scene);
        if !scene.lenient || !neighbours::find(scene) {
            break;
        }
    }
}

/// Runs the finders over a text.
pub fn find(text: &str, profile: Profile) -> Scene<'_> {
    let tokens = Tokens::new(text);
    let signals = tokens.signals;
    let lenient = profile == Profile::Transcript;
    if !(signals.number || signals.address || signals.colon || signals.month) {
        return Scene::empty(tokens);
    }
    let mut scene = Scene::new(tokens, lenient);
    if signals.address || signals.colon {
        address::find(&mut scene);
    }
    if signals.number {
        iban::find(&mut scene);
    }
    if signals.colon {
        network::find(&mut scene);
    }
    if signals.month {
        calendar::find(&mut scene);
    }
    if signals.number {
        find_numbers(&mut scene);
    }
    scene
}
