//! Tiers, and how far rows of a label may go.

use headwater_contract::Label;

use super::similar::nearest;
use crate::diagnostic::{Diagnostic, Span};
use crate::pipeline::{Entry, Node};
use crate::plan::Tier;

/// The tier to which redacted rows may climb: nowhere unless `[privacy] redacted` says so.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    redacted: Option<(Tier, Span)>,
}

/// Reads `[privacy]`.
pub(super) fn reach(privacy: &[Entry]) -> (Reach, Vec<Diagnostic>) {
    let mut reach = Reach::default();
    let mut found = Vec::new();
    for entry in privacy {
        match entry.key.as_str() {
            _ if entry.node.is_template() => {}
            "redacted" => match read("redacted", &entry.node) {
                Ok(tier) => reach.redacted = Some((tier, entry.node.span.clone())),
                Err(error) => found.push(error),
            },
            "raw" => found.push(
                Diagnostic::at(
                    "H0003",
                    "raw rows never cross a tier: there is no key `raw`",
                    &entry.key_span,
                )
                .help("redact them first, then say how far `redacted` rows may go"),
            ),
            other => {
                let error =
                    Diagnostic::at("H0003", format!("unknown key `{other}` in [privacy]"), &entry.key_span);
                found.push(match nearest(other, ["redacted"]) {
                    Some(near) => error.suggest(format!("did you mean `{near}`?"), &entry.key_span, near),
                    None => error.help("its only key is `redacted`"),
                });
            }
        }
    }
    (reach, found)
}

/// Reads the word of a tier.
pub(super) fn read(key: &str, node: &Node) -> Result<Tier, Diagnostic> {
    let expected = Tier::ALL.map(|t| format!("\"{t}\"")).join(" | ");
    let Some(word) = node.as_str() else {
        return Err(node.error("H0005", format!("`{key}` is {}", node.type_name())).expected(expected));
    };
    if let Some(tier) = Tier::ALL.into_iter().find(|t| t.name() == word) {
        return Ok(tier);
    }
    let error = node.error("H0005", format!("there is no tier `{word}`")).expected(expected);
    Err(match nearest(word, Tier::ALL.map(Tier::name)) {
        Some(near) => error.suggest(format!("did you mean `{near}`?"), &node.span, format!("\"{near}\"")),
        None => error,
    })
}

/// Rows of a label on their way from one stage to another.
pub(super) struct Crossing<'a> {
    pub(super) port: &'a str,
    pub(super) label: Label,
    pub(super) from: Tier,
    pub(super) to: Tier,
    /// Where the reader says what it reads.
    pub(super) reads: &'a Span,
    /// Where the upstream stage stands.
    pub(super) upstream: &'a Span,
    /// Where the reader's tier is written, if it is.
    pub(super) tier: Option<&'a Span>,
}

impl Reach {
    /// Returns true if rows may go there: raw rows never leave their tier, redacted rows climb as far as the file says, updates climb,
    /// public rows go anywhere.
    pub(super) fn judge(&self, crossing: &Crossing<'_>) -> Option<Diagnostic> {
        let Crossing { label, from, to, .. } = *crossing;
        if from == to || label == Label::Public {
            return None;
        }
        if to < from {
            return Some(Self::descends(crossing));
        }
        match (label, &self.redacted) {
            (Label::Update, _) => None,
            (Label::Redacted, Some((limit, _))) if to <= *limit => None,
            _ => Some(self.climbs(crossing)),
        }
    }

    fn descends(crossing: &Crossing<'_>) -> Diagnostic {
        let Crossing { port, label, from, to, .. } = crossing;
        let message = format!("{label} rows of `{port}` may not go down from {from} to {to}");
        let error = located(crossing, "H0402", message);
        error.note("only public rows may go down").help(format!("put this stage at the tier {from} or above"))
    }

    fn climbs(&self, crossing: &Crossing<'_>) -> Diagnostic {
        let Crossing { port, label, from, to, .. } = crossing;
        let message = format!("{label} rows of `{port}` may not climb from {from} to {to}");
        let error = located(crossing, "H0401", message);
        if *label == Label::Raw {
            let note = "raw rows never leave their tier";
            return error.note(note).help(format!("redact them first, or put this stage at the tier {from}"));
        }
        match &self.redacted {
            Some((limit, span)) => error
                .also(span, format!("redacted rows may climb to {limit}"))
                .help(format!("`redacted = \"{to}\"` there would allow it")),
            None => error
                .note("redacted rows stay in their tier unless the file says how far they may climb")
                .help(format!("allow it with a table [privacy] and the line `redacted = \"{to}\"`")),
        }
    }
}

fn located(crossing: &Crossing<'_>, code: &'static str, message: String) -> Diagnostic {
    let Crossing { label, from, to, reads, upstream, tier, .. } = crossing;
    let error = Diagnostic::at(code, message, reads).label(format!("read at the tier {to}"));
    let error = error.also(upstream, format!("{label} rows at the tier {from}"));
    match tier {
        Some(span) => error.also(span, ""),
        None => error,
    }
}
