//! Every stage after those it reads; cycles are mistakes, unless they are closed by a feedback input.

use super::draft::Draft;
use crate::diagnostic::Diagnostic;

/// The stages that are in no cycle and after no cycle, every one after those it reads and otherwise in the order of the file,
/// and one error for each cycle.
pub(super) fn sort(drafts: &[Draft<'_>]) -> (Vec<usize>, Vec<Diagnostic>) {
    let mut order: Vec<usize> = Vec::with_capacity(drafts.len());
    let mut placed = vec![false; drafts.len()];
    while let Some(next) = drafts.iter().enumerate().position(|(at, draft)| {
        let is_placed = |stage: usize| placed.get(stage).copied().unwrap_or(true);
        !is_placed(at) && draft.needs().all(|read| is_placed(read.stage))
    }) {
        if let Some(slot) = placed.get_mut(next) {
            *slot = true;
        }
        order.push(next);
    }
    (order, cycles(drafts, placed))
}

/// Walks upstream from every stage that could not be placed until a stage comes again: the way between is a cycle.
fn cycles(drafts: &[Draft<'_>], mut seen: Vec<bool>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for start in 0..drafts.len() {
        let mut way: Vec<usize> = Vec::new();
        let mut at = start;
        while seen.get(at) == Some(&false) {
            if let Some(slot) = seen.get_mut(at) {
                *slot = true;
            }
            way.push(at);
            let waiting = |stage: &usize| seen.get(*stage) == Some(&false) || way.contains(stage);
            let mut reads = drafts.get(at).into_iter().flat_map(Draft::needs);
            let Some(next) = reads.find_map(|r| waiting(&r.stage).then_some(r.stage)) else { break };
            if let Some(from) = way.iter().position(|stage| *stage == next) {
                found.extend(way.get(from..).and_then(|cycle| tell(drafts, cycle)));
                break;
            }
            at = next;
        }
    }
    found
}

/// `cycle` lists stages, each reading the next and the last one the first.
fn tell(drafts: &[Draft<'_>], cycle: &[usize]) -> Option<Diagnostic> {
    let downstream: Vec<usize> = cycle.iter().rev().copied().collect();
    let begin = downstream.iter().enumerate().min_by_key(|(_, stage)| **stage).map_or(0, |(at, _)| at);
    let ring: Vec<usize> =
        downstream.iter().cycle().skip(begin).take(downstream.len() + 1).copied().collect();
    let name = |stage: &usize| drafts.get(*stage).map_or("", |d| d.id());
    let way = ring.iter().map(name).collect::<Vec<_>>().join(" -> ");
    let closing = ring.windows(2).filter_map(|pair| match pair {
        [upstream, reader] => {
            let read = drafts.get(*reader)?.needs().find(|r| r.stage == *upstream)?;
            Some((read, name(upstream), name(reader)))
        }
        _ => None,
    });
    let mut steps: Vec<_> = closing.collect();
    // The read that goes back against the order of the file is the one that closes the ring.
    let (read, upstream, reader) = steps.pop()?;
    let message = match cycle {
        [_] => format!("the stage `{reader}` reads itself"),
        _ => format!("stages read each other in a ring: {way}"),
    };
    let mut error =
        Diagnostic::at("H0307", message, &read.span).label(format!("`{reader}` reads `{upstream}`"));
    for (read, upstream, reader) in steps {
        error = error.also(&read.span, format!("`{reader}` reads `{upstream}`"));
    }
    let takes_back = |stage: &&usize| {
        let signature = drafts.get(**stage).and_then(|d| d.signature.as_ref());
        signature.is_some_and(|s| s.inputs.iter().any(|input| input.feedback))
    };
    Some(match cycle.iter().find(takes_back) {
        Some(at) => error
            .help(format!("close the ring where rows may come back: `feedback = \"...\"` in `{}`", name(at))),
        None => error.help("rows only flow down: let one of them read a stage outside the ring"),
    })
}
