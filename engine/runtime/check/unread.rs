//! Outputs that a stage must read, and none does.

use super::draft::{Draft, Read};
use super::ids::is_id;
use crate::diagnostic::Diagnostic;
use crate::plan::OutPort;

/// Returns the number of mistakes found so far that hide what a stage reads: each may be what leaves an output unread.
pub(super) fn lost(found: &[Diagnostic]) -> usize {
    let hides = |d: &&Diagnostic| match d.code {
        "H0301" => d.suggestion.is_none(),
        "H0308" => d.suggestion.is_some(),
        code => ["H0106", "H0305", "H0307"].contains(&code),
    };
    found.iter().filter(hides).count()
}

/// Outputs that must be read and are not; nothing when so many reads are lost that each output may have lost its reader.
pub(super) fn tell(drafts: &[Draft<'_>], changes: Option<&Read>, lost: usize) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (at, draft) in drafts.iter().enumerate() {
        let Some(signature) = &draft.signature else { continue };
        if !is_id(draft.id()) || drafts.iter().any(|d| d.meant.contains(&at)) {
            continue;
        }
        let reads_of = |port: OutPort| {
            let all = drafts.iter().flat_map(|d| &d.reads).chain(changes);
            all.filter(|r| r.stage == at).any(|r| r.port.is_none_or(|p| p == port))
        };
        for (port, output) in signature.outputs.iter().enumerate() {
            if output.required && !reads_of(OutPort::Out(port)) {
                found.push(unread(draft, OutPort::Out(port)));
            }
        }
    }
    if found.len() <= lost { Vec::new() } else { found }
}

fn unread(draft: &Draft<'_>, port: OutPort) -> Diagnostic {
    let name = draft.port_name(port);
    let read_as = if port == OutPort::Out(0) { draft.id() } else { &name };
    Diagnostic::at("H0310", format!("no stage reads `{name}`"), &draft.table.id_span)
        .label("its rows would be lost")
        .help(format!("let a stage read them, such as a store: `from = \"{read_as}\"`"))
}

/// Returns true if any stage reads a port.
pub(super) fn is_read(drafts: &[Draft<'_>], stage: usize, port: OutPort) -> bool {
    drafts.iter().flat_map(|d| &d.reads).any(|r| r.stage == stage && r.port == Some(port))
}
