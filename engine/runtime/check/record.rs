//! `record` of `[pipeline]`: which ports a run records.

use super::draft::{Draft, Read};
use super::wiring;
use crate::diagnostic::Diagnostic;
use crate::pipeline::{Pipeline, Value};
use crate::plan::OutPort;

/// The recorded ports.
pub(super) enum Record {
    /// Nothing.
    Nothing,
    /// The outputs of sources.
    Sources,
    /// These ports.
    Ports(Vec<Read>),
}

const FORM: &str =
    "true for what the sources give, or a list of ports such as [\"talk.out\", \"redact.out\"]";

/// Rows that are thrown away are not recorded.
fn dropped(drafts: &[Draft<'_>], read: &Read) -> Option<Diagnostic> {
    let stage = drafts.get(read.stage).filter(|stage| stage.drops_rejected)?;
    let entry = stage.table.rejected.as_ref().filter(|_| read.port == Some(OutPort::Rejected))?;
    let message = format!("the rows that `{}` rejects are dropped and recorded", stage.id());
    let error = Diagnostic::at("H0311", message, &read.span).label("recorded here");
    Some(error.also(&entry.node.span, "dropped here").help("remove one of the two"))
}

/// Reads which ports are recorded.
pub(super) fn read(pipeline: &Pipeline, drafts: &[Draft<'_>]) -> (Record, Vec<Diagnostic>) {
    let Some(entry) = pipeline.head.iter().find(|entry| entry.key == "record") else {
        return (Record::Nothing, Vec::new());
    };
    let names = match &entry.node.value {
        Value::Boolean(false) => return (Record::Nothing, Vec::new()),
        Value::Boolean(true) => return (Record::Sources, Vec::new()),
        Value::Array(names) => names,
        _ => {
            let error = entry.node.error("H0005", format!("`record` is {}", entry.node.type_name()));
            return (Record::Nothing, vec![error.expected(FORM)]);
        }
    };
    let (mut reads, mut found): (Vec<Read>, Vec<Diagnostic>) = (Vec::new(), Vec::new());
    for name in names {
        let (read, _, wrong) = wiring::output(drafts, "record", name);
        found.extend(wrong);
        let Some(read) = read else { continue };
        if let Some(error) = dropped(drafts, &read) {
            found.push(error);
            continue;
        }
        match reads.iter().find(|other| (other.stage, other.port) == (read.stage, read.port)) {
            Some(other) => found.push(
                Diagnostic::at("H0306", "this port is recorded twice", &read.span)
                    .label("again here")
                    .also(&other.span, "first here")
                    .help("remove one of the two"),
            ),
            None => reads.push(read),
        }
    }
    (Record::Ports(reads), found)
}
