//! The scanner: a text in, findings or the redacted text out.
//!
//! Tokens that one finder has taken are skipped by the next ones. Every finder walks the tokens once and reads a bounded number of tokens
//! around, so the time is linear in the length of the text. A text is scanned again with tags in place of its findings until nothing
//! new is found: so a redacted text is never redacted again, whatever a tag hides from its neighbours.

use std::sync::Arc;

use super::cue::Hint;
use super::custom::Custom;
use super::disguise::Plain;
use super::kind::{Entities, Entity};
pub use super::scan_context::Finding;
use super::scan_context::{NearMiss, ScanContext};
use super::token::seed;
use super::{
    address, age, calendar, code, geo, iban, neighbours, network, numeric, organization, person, postal,
    secret,
};

/// The strictness of the scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Fail-safe, for what a recogniser wrote: six digits that are no time, price or quantity are enough.
    #[default]
    Transcript,
    /// For clean text: a form, a checksum or a context phrase is needed.
    Text,
}

/// The form of the text that replaces a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// The tag of its kind.
    #[default]
    Tag,
    /// `<NUMBER>` for everything made of digits, else the tag of its kind.
    Num,
}

/// An entity in a redacted text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    /// The kind of the value.
    pub kind: Entity,
    /// Byte offset of its tag in the redacted text.
    pub start: usize,
    /// Byte offset after its tag.
    pub end: usize,
    /// The rule that found it.
    pub rule: &'static str,
    /// The confidence of the rule, 0 to 1.
    pub score: f32,
}

/// A text without its personal data.
#[derive(Clone, Debug, PartialEq)]
pub struct Redacted {
    /// The text with a tag in place of each value.
    pub text: String,
    /// The tags, in order.
    pub entities: Vec<Placed>,
}

/// Finds and replaces personal data.
#[derive(Clone, Debug)]
pub struct Scanner {
    profile: Profile,
    style: Style,
    entities: Entities,
    custom: Option<Arc<Custom>>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new(Profile::default(), Style::default(), Entities::usual())
    }
}

/// A text is scanned at most so many times; what still changes then is replaced as a whole.
const ROUNDS: usize = 6;

impl Scanner {
    /// A scanner for the kinds in `entities`.
    pub const fn new(profile: Profile, style: Style, entities: Entities) -> Self {
        Self { profile, style, entities, custom: None }
    }

    /// The same in another profile.
    pub fn in_profile(self, profile: Profile) -> Self {
        Self { profile, ..self }
    }

    /// The same with what a pipeline file adds.
    pub fn with(mut self, custom: Custom) -> Self {
        self.custom = Some(Arc::new(custom));
        self
    }

    /// Returns the form in which entities are replaced.
    pub fn style(&self) -> Style {
        self.style
    }

    /// The name of a finding: that of its kind, or of the pattern that found it.
    pub fn name(&self, finding: &Finding) -> &str {
        let pattern = finding.pattern.and_then(|place| self.names().get(usize::from(place)));
        pattern.map_or(finding.kind.name(), String::as_str)
    }

    fn names(&self) -> &[String] {
        self.custom.as_ref().map_or(&[], |custom| &custom.names)
    }

    /// The personal data of a text: sorted, apart from each other, on character boundaries.
    pub fn scan(&self, text: &str) -> Vec<Finding> {
        let Some(plain) = Plain::of(text) else { return self.scan_plain(text) };
        let mut found = self.scan_plain(&plain.text);
        for finding in &mut found {
            (finding.start, finding.end) = plain.original(finding.start, finding.end);
        }
        found
    }

    fn scan_plain(&self, text: &str) -> Vec<Finding> {
        let (mut found, restless) = self.pass(text);
        if !restless || found.is_empty() {
            return found;
        }
        for _ in 1..ROUNDS {
            let (masked, places) = self.masked(text, &found);
            let (fresh, restless) = self.pass(&masked);
            if fresh.is_empty() {
                return found;
            }
            for finding in fresh {
                let (start, end) = (original(&places, finding.start), original(&places, finding.end));
                found.push(Finding { start, end, ..finding });
            }
            found.sort_by_key(|finding| finding.start);
            if !restless {
                return found;
            }
        }
        let (masked, _) = self.masked(text, &found);
        if self.pass(&masked).0.is_empty() {
            return found;
        }
        vec![Finding {
            kind: Entity::Custom,
            start: 0,
            end: text.len(),
            score: 0.5,
            rule: "restless text",
            pattern: None,
        }]
    }

    /// One look at a text: what is wanted of what is found, and whether a second look may find more.
    fn pass(&self, text: &str) -> (Vec<Finding>, bool) {
        let mut cx = self.find(text);
        let restless = !cx.found.is_empty() && cx.is_restless();
        let mut found = std::mem::take(&mut cx.found);
        cx.leave();
        found.retain_mut(|finding| self.wants(finding, text));
        found.sort_by_key(|finding| finding.start);
        (found, restless)
    }

    /// The text with a tag for each finding; for each finding, where its tag ends and the value ended.
    fn masked(&self, text: &str, found: &[Finding]) -> (String, Vec<(usize, usize)>) {
        let mut out = String::with_capacity(text.len());
        let mut places = Vec::with_capacity(found.len());
        let mut at = 0;
        for finding in found {
            out.push_str(text.get(at..finding.start).unwrap_or(""));
            self.push_tag(&mut out, finding);
            places.push((out.len(), finding.end));
            at = finding.end;
        }
        out.push_str(text.get(at..).unwrap_or(""));
        (out, places)
    }

    fn push_tag(&self, out: &mut String, finding: &Finding) {
        match finding.pattern {
            Some(_) => {
                out.push('<');
                out.push_str(self.name(finding));
                out.push('>');
            }
            None => out.push_str(self.written(finding.kind).tag()),
        }
    }

    /// Replaces the personal data of a text.
    pub fn redact(&self, text: &str) -> Redacted {
        self.tagged(text, &self.scan(text))
    }

    /// Replaces findings by their tags.
    pub fn tagged(&self, text: &str, findings: &[Finding]) -> Redacted {
        self.replace(text, findings, |finding, _, out| self.push_tag(out, finding))
    }

    /// Replaces the findings of a text by what `write` puts in their place.
    pub fn replace(
        &self,
        text: &str,
        findings: &[Finding],
        mut write: impl FnMut(&Finding, &str, &mut String),
    ) -> Redacted {
        let mut out = String::with_capacity(text.len());
        let mut entities = Vec::with_capacity(findings.len());
        let mut at = 0;
        for finding in findings {
            out.push_str(text.get(at..finding.start).unwrap_or(""));
            let start = out.len();
            write(finding, text.get(finding.start..finding.end).unwrap_or(""), &mut out);
            let Finding { rule, score, .. } = *finding;
            entities.push(Placed { kind: self.written(finding.kind), start, end: out.len(), rule, score });
            at = finding.end;
        }
        out.push_str(text.get(at..).unwrap_or(""));
        Redacted { text: out, entities }
    }

    /// The numbers of a text that were looked at and left alone, beside its findings.
    pub fn passed(&self, text: &str, found: &[Finding]) -> Vec<NearMiss> {
        let mut cx = self.look(text, Some(Vec::new()));
        let mut passed = cx.passed.take().unwrap_or_default();
        cx.leave();
        passed.retain(|passed| {
            found.iter().all(|finding| finding.end <= passed.start || finding.start >= passed.end)
        });
        passed.sort_by_key(|passed| (passed.start, passed.end));
        passed.dedup();
        passed
    }

    fn written(&self, kind: Entity) -> Entity {
        if self.style == Style::Num && kind.is_numeric() { Entity::Number } else { kind }
    }

    /// A number of a kind that is not wanted is still a number, if numbers are wanted.
    pub(super) fn wants(&self, finding: &mut Finding, text: &str) -> bool {
        let value = text.get(finding.start..finding.end).unwrap_or("");
        if self.custom.as_ref().is_some_and(|custom| custom.allows(value)) {
            return false;
        }
        if self.entities.contains(finding.kind) || finding.kind == Entity::Custom {
            return true;
        }
        let number = finding.kind.is_row_of_digits();
        finding.kind = Entity::Number;
        number && self.entities.contains(Entity::Number)
    }

    /// Runs the finders over a text.
    pub fn find<'a>(&self, text: &'a str) -> ScanContext<'a> {
        self.look(text, None)
    }

    fn look<'a>(&self, text: &'a str, passed: Option<Vec<NearMiss>>) -> ScanContext<'a> {
        const ANYTHING: u32 = seed::NUMBER
            | seed::ADDRESS
            | seed::COLON_SIGN
            | seed::MONTH
            | seed::CAPITAL
            | seed::UNLISTED
            | seed::EXPLAINED;
        let lenient = self.profile == Profile::Transcript;
        let mut cx = ScanContext::new(text, self.names(), lenient, self.entities);
        let custom = self.custom.as_deref().filter(|custom| !custom.finds_nothing());
        if !cx.tokens.any(ANYTHING) && custom.is_none() {
            return cx;
        }
        cx.passed = passed;
        if let Some(custom) = custom {
            custom.find(&mut cx);
        }
        self.find_words_and_codes(&mut cx);
        if cx.tokens.any(seed::NUMBER) {
            if cx.tokens.any(seed::AGE) && self.entities.contains(Entity::Age) {
                age::find(&mut cx);
            }
            find_numbers(&mut cx);
        }
        cx
    }

    /// Runs the finders of what is not digits alone, each where the text has what it begins with.
    fn find_words_and_codes(&self, cx: &mut ScanContext<'_>) {
        let wants = |kind| self.entities.contains(kind);
        let has = |cx: &ScanContext<'_>, seeds| cx.tokens.any(seeds);
        if has(cx, seed::ADDRESS | seed::COLON_SIGN) {
            address::find(cx);
        }
        if has(cx, seed::ROW | seed::ADDRESS) {
            secret::find(cx);
        }
        if has(cx, seed::NUMBER) {
            iban::find(cx);
        }
        if has(cx, seed::COLON | seed::ROW | seed::MIXED) {
            network::find(cx);
        }
        if has(cx, seed::FIGURES) {
            geo::find(cx);
        }
        if has(cx, seed::MONTH) {
            calendar::find(cx);
        }
        if has(cx, seed::NUMBER) && cx.is_spoken_of(Hint::Of(Entity::DateOfBirth)) {
            calendar::find_births(cx);
        }
        if has(cx, seed::NUMBER | seed::CAPITAL) || cx.is_spoken_of(Hint::Of(Entity::Bic)) {
            code::find(cx);
        }
        if (has(cx, seed::FIGURES | seed::STREET) || cx.is_spoken_of(Hint::Of(Entity::Address)))
            && has(cx, seed::NUMBER)
            && (wants(Entity::Address) || wants(Entity::Postcode))
        {
            postal::find(cx);
        }
        if has(cx, seed::FIRM | seed::FIRM_CUE) && has(cx, seed::CAPITAL) && wants(Entity::Organization) {
            organization::find(cx);
        }
        if has(cx, seed::CAPITAL | seed::UNLISTED) && wants(Entity::Person) {
            person::find(cx);
        }
    }
}

/// The offset in the first text of an offset in a masked one: `places` has for each tag its end there, and its value's end here.
fn original(places: &[(usize, usize)], offset: usize) -> usize {
    let before = places.partition_point(|(masked, _)| *masked <= offset);
    let last = before.checked_sub(1).and_then(|last| places.get(last));
    last.map_or(offset, |(masked, value)| value + (offset - masked))
}

/// Numbers and their parts. A part that is taken hides what stands before it, which may have spoken for the next number: so again.
fn find_numbers(cx: &mut ScanContext<'_>) {
    const ROUNDS: usize = 4;
    for _ in 0..ROUNDS {
        numeric::find(cx);
        if !cx.lenient || !neighbours::find(cx) {
            break;
        }
    }
}

/// Runs the finders over a text, for every kind.
pub fn find(text: &str, profile: Profile) -> ScanContext<'_> {
    Scanner::new(profile, Style::Tag, Entities::all()).find(text)
}
