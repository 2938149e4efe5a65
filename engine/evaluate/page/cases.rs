//! The worst cases: utterances with the most errors, their texts with what was taken out and what leaked marked.
//!
//! In: an outcome. Out: elements of a page. Unless raw text may be shown, a text is shown as it was redacted, and what the redactor leaked
//! as blocks.

use std::collections::BTreeSet;

use super::text::percent;
use crate::markup::escape;
use crate::outcome::{Outcome, Redacted, Span, Utterance};
use crate::score::{redaction, transcription};

/// As many are shown of each sort.
const SHOWN: usize = 10;

/// Utterances that were heard worst.
pub(super) fn heard(outcome: &Outcome, raw: bool) -> String {
    let score = |said: &Utterance| {
        let scores = transcription::score(said.reference.as_deref()?, said.heard.as_deref()?);
        (scores.words.errors() > 0).then_some(scores.words)
    };
    let mut worst: Vec<_> = outcome.utterances.iter().filter_map(|said| Some((said, score(said)?))).collect();
    worst.sort_by(|(a, x), (b, y)| y.errors().cmp(&x.errors()).then_with(|| a.id.cmp(&b.id)));
    let mut out = String::new();
    for (said, words) in worst.into_iter().take(SHOWN) {
        let rate = words.rate().map_or_else(String::new, |rate| format!(", {}", percent(rate)));
        out += &format!(
            "<div class=\"case\"><div class=\"name\">{} · {} · {} of {} words, WER{rate}</div>",
            escape(&said.id),
            escape(&said.device),
            words.errors(),
            words.words
        );
        if let Some(redacted) = &said.redacted {
            out += &line("redacted", &marked(redacted, said.gold.as_deref(), raw));
        }
        if raw {
            out += &line("said", &escape(said.reference.as_deref().unwrap_or_default()));
            out += &line("heard", &escape(said.heard.as_deref().unwrap_or_default()));
        }
        out += "</div>\n";
    }
    out
}

/// Utterances whose redaction is worst: most leaked, then most over-masked.
pub(super) fn redacted(outcome: &Outcome, raw: bool) -> String {
    let score = |said: &Utterance| {
        let (redacted, gold) = (said.redacted.as_ref()?, said.gold.as_ref()?);
        let scores = redaction::score(&redacted.original, gold, &said.allowed, &redacted.found);
        let leaked = scores.sum(None).leaked;
        (leaked + scores.over_masked > 0).then_some((leaked, scores.over_masked))
    };
    let mut worst: Vec<_> = outcome.utterances.iter().filter_map(|said| Some((said, score(said)?))).collect();
    worst.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.id.cmp(&b.id)));
    let mut out = String::new();
    for (said, (leaked, over)) in worst.into_iter().take(SHOWN) {
        let Some(redacted) = &said.redacted else { continue };
        out += &format!(
            "<div class=\"case\"><div class=\"name\">{} · {} · {leaked} characters leaked, {over} over-masked</div>",
            escape(&said.id),
            escape(&said.device)
        );
        out += &line("redacted", &marked(redacted, said.gold.as_deref(), raw));
        if raw {
            out += &line("read", &escape(&redacted.original));
        }
        out += "</div>\n";
    }
    out
}

fn line(what: &str, html: &str) -> String {
    format!("<p><span class=\"what\">{what}</span>{html}</p>")
}

/// The text with its findings as tags, and what of the gold spans leaked as blocks.
fn marked(redacted: &Redacted, gold: Option<&[Span]>, raw: bool) -> String {
    if !redacted.passed {
        return "<i>it did not come out, or its places are not known</i>".to_owned();
    }
    let in_gold: BTreeSet<usize> = gold.into_iter().flatten().flat_map(|span| span.start..span.end).collect();
    let mut found: Vec<&Span> = redacted.found.iter().collect();
    found.sort();
    found.sort_by_key(|span| span.start);
    let mut next = found.into_iter().peekable();
    let (mut out, mut let_through) = (String::new(), String::new());
    let mut behind = 0;
    let flush = |let_through: &mut String, out: &mut String| {
        if !let_through.is_empty() {
            *out += &format!("<mark class=\"leak\" title=\"leaked\">{}</mark>", escape(let_through));
            let_through.clear();
        }
    };
    for (at, c) in redacted.original.chars().enumerate() {
        if let Some(span) = next.next_if(|span| span.start <= at) {
            flush(&mut let_through, &mut out);
            let right = gold.is_none() || (span.start..span.end).any(|at| in_gold.contains(&at));
            let class = if right { "" } else { " class=\"over\" title=\"over-masked\"" };
            out += &format!("<mark{class}>{}</mark>", escape(&span.kind));
            behind = behind.max(span.end);
        }
        if at < behind {
            continue;
        }
        if in_gold.contains(&at) {
            let_through.push(if raw || c.is_whitespace() { c } else { '█' });
            continue;
        }
        flush(&mut let_through, &mut out);
        out += &escape(&c.to_string());
    }
    flush(&mut let_through, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_let_through_is_not_shown() {
        let redacted = Redacted {
            original: "call 555 at ann's <b>".into(),
            found: vec![Span::new("PHONE", 5, 8), Span::new("PERSON", 0, 4)],
            passed: true,
            ..Redacted::default()
        };
        let gold = [Span::new("PHONE", 5, 8), Span::new("PERSON", 12, 15)];
        let hidden = marked(&redacted, Some(&gold), false);
        assert_eq!(
            hidden,
            "<mark class=\"over\" title=\"over-masked\">PERSON</mark> <mark>PHONE</mark> at \
             <mark class=\"leak\" title=\"leaked\">███</mark>&#39;s &lt;b&gt;"
        );
        assert!(marked(&redacted, Some(&gold), true).contains(">ann</mark>"));
        assert!(!marked(&redacted, None, false).contains("over"));
    }
}
