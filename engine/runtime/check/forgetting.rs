//! The check that a pipeline whose members are forgotten can forget.
//!
//! In: stages with the fate of a forgotten device's share, in order, and where the file says that devices are forgotten. Out:
//! every stage that mixes what devices give and cannot take a share out again. It must not know how a stage does it.

use headwater_contract::{Erasure, Input};

use super::draft::Draft;
use crate::diagnostic::{Diagnostic, Span};

/// Reports the stages that stand in the way, or that no stage forgets anything.
pub(super) fn tell(drafts: &[Draft<'_>], order: &[usize], asked: Option<&Span>) -> Vec<Diagnostic> {
    let Some(asked) = asked else { return Vec::new() };
    let mut found = Vec::new();
    // By stage: whether corrections come to it, or from it.
    let mut corrected = vec![false; drafts.len()];
    let mut any = false;
    for at in order {
        let Some((draft, signature)) = drafts.get(*at).and_then(|d| Some((d, d.signature.as_ref()?))) else {
            // A pipeline that is wrong otherwise gets no such report.
            return Vec::new();
        };
        any |= signature.inputs.iter().any(Input::forgets);
        let feedback = |input: usize| signature.inputs.get(input).is_some_and(|input| input.feedback);
        let mut forward = draft.reads.iter().filter(|read| !feedback(read.input));
        let above = forward.any(|read| corrected.get(read.stage) == Some(&true));
        let in_the_way = match signature.erasure {
            Erasure::Mixed(line) => Some(line),
            Erasure::Corrected(line) if !above => Some(line),
            Erasure::Apart | Erasure::TakenOut | Erasure::Corrected(_) => None,
        };
        if let Some(slot) = corrected.get_mut(*at) {
            *slot = above || signature.erasure == Erasure::TakenOut;
        }
        found.extend(in_the_way.map(|line| mixes(draft, line, asked)));
    }
    if !any {
        let error = Diagnostic::at("H0503", "no stage can forget a device", asked);
        found.push(error.expected("a stage that learns, such as `train`").help("leave the line out"));
    }
    found
}

fn mixes(draft: &Draft<'_>, line: &'static str, asked: &Span) -> Diagnostic {
    let what = format!("`{}` mixes what devices give, and cannot take a share out again", draft.id());
    Diagnostic::at("H0503", what, &draft.table.id_span)
        .label(format!("expected {line}"))
        .also(asked, "devices that withdraw are forgotten")
}
