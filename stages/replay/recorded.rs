//! Plays a port of a recording: one entry at a time is in memory.

use headwater_contract::EpochEnd;
use headwater_contract::prelude::*;
use headwater_contract::units::{Micros, Round};
use headwater_vault::{Recording, RecordingEntry};

use super::Place;
use super::pace::Pacer;
use crate::vault_error::of_vault;

/// Plays a port, and the rows rejected beside it, from a place on.
pub(super) fn play(
    recording: &Recording,
    port: usize,
    mut pacer: Pacer,
    from: Place,
    mut feed: Feed<'_>,
) -> Result {
    let rejected = rejected_port(recording, port);
    let mut entries = recording.entries();
    for (before, recorded) in (0_u64..).zip(entries.by_ref()) {
        let recorded = recorded.map_err(of_vault)?;
        let behind = Place { entries: before + 1, rows: 0 };
        if before < from.entries {
            continue;
        }
        let given = if before == from.entries { from.rows } else { 0 };
        match recorded {
            RecordingEntry::Rows { port: of, rows: Some(rows) } if of == port => {
                pacer.send(&rows, given, |rows| Place { entries: before, rows }, &mut feed)?;
            }
            RecordingEntry::Rows { port: of, rows: Some(rows) } if Some(of) == rejected => {
                let rows = pacer.choice().of(&rows)?;
                if rows.num_rows() > 0 {
                    feed.reject_again(rows, behind.position())?;
                }
            }
            RecordingEntry::Rows { .. } => {}
            RecordingEntry::End(end) => feed.close(
                EpochEnd {
                    round: Round(end.round),
                    watermark: end.watermark.map(Micros),
                    round_end: end.round_end,
                    end_of_input: end.end_of_input,
                },
                behind.position(),
            )?,
        }
    }
    if entries.forgotten() > 0 {
        feed.count("forgotten_parts", entries.forgotten());
    }
    Ok(())
}

/// The port by which the same stage rejected, if it is recorded.
fn rejected_port(recording: &Recording, port: usize) -> Option<usize> {
    let ports = &recording.head().ports;
    let (id, name) = ports.get(port)?.name.rsplit_once('.')?;
    let rejected = format!("{id}.rejected");
    ports.iter().position(|port| port.name == rejected).filter(|_| name != "rejected")
}
