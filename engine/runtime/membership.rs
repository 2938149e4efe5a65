//! Membership and consent as collections of differential dataflow, joined into inputs.
//!
//! In: what the table says when the pipeline starts, and rows that change it. Out: for every epoch what is known of each
//! name, on every worker, and rows with the columns that their inputs ask for. It must not know stages.
//!
//! Facts are (device, cell) -> word, of which the last one counts. Devices are made of their facts, groups of the devices
//! that name them. What changes in an epoch holds from a later one on, so that looking up an epoch waits for earlier ones
//! alone: nothing here waits for its own epoch, and a loop over the members cannot stall.

mod changes;
mod join;
mod kept;
pub mod members;
mod table;
mod withdrawn;

use std::sync::Arc;

use differential_dataflow::AsCollection;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::operators::arrange::upsert::arrange_from_upsert;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::implementations::{ValBatcher, ValBuilder, ValSpine};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::{Scope, Stream};

use crate::commit::StateRow;
use crate::dataflow::Barriers;
use crate::exchange::ExchangeBatch;
use crate::run::Shared;

pub(crate) use join::join;
pub(crate) use table::{NAME, load};

/// Rows on an edge.
type Rows<'s> = Stream<'s, u64, ExchangeBatch>;
/// Changes of states on their way to the coordinator.
type StateRows<'s> = Stream<'s, u64, Vec<StateRow>>;

/// A device and one of its cells.
type Key = (String, u32);
/// The word of a cell from an epoch on; nothing empties it.
type Fact = (Key, Option<String>, u64);
/// The cell that says that a device is a member.
const MEMBER: u32 = 0;
/// The cell that says whether it consents.
const CONSENTS: u32 = 1;
/// The cell of the first column; the others follow.
const COLUMNS: u32 = 2;

/// Words by cell, in the order of the cells; nothing where the devices of a group disagree.
type Cells = Vec<(u32, Option<String>)>;
/// The record of a name: true for a group, and its words.
type NameRecord = (bool, Cells);
/// Everything known, by name, with the epochs from which it holds.
type Trace = TraceAgent<ValSpine<String, NameRecord, u64, isize>>;

/// The membership on one worker, whole on each.
pub(crate) struct Membership<'s> {
    known: Arranged<'s, Trace>,
    /// Rows that changed nothing since they are wrong.
    pub(crate) rejected: Option<Rows<'s>>,
    /// Its changes, where they are committed.
    pub(crate) state: Option<StateRows<'s>>,
    /// Rows that name devices which are forgotten, from the epoch on in which they are members no more.
    pub(crate) withdrawn: Rows<'s>,
    /// True if it is the same in all epochs.
    fixed: bool,
}

/// Makes the membership. `changes` are the rows that change it, one epoch later than they were sent.
pub(crate) fn wire<'s>(
    scope: Scope<'s, u64>,
    shared: &Arc<Shared>,
    changes: Option<Rows<'s>>,
    barriers: Barriers<'s>,
) -> Option<Membership<'s>> {
    let members = shared.plan.members.as_ref()?;
    let fixed = changes.is_none();
    let changes::Changed { facts, withdrawn, rejected, state } = match changes {
        Some(rows) => changes::wire(scope, shared, members, rows, barriers),
        None => changes::once(scope, shared),
    };
    let groups = u32::try_from(members.groups).unwrap_or(u32::MAX);
    Some(Membership { known: known(facts, groups), withdrawn, rejected, state, fixed })
}

fn known(facts: Stream<'_, u64, Vec<Fact>>, groups: u32) -> Arranged<'_, Trace> {
    type FactSpine = ValSpine<Key, String, u64, isize>;
    let facts =
        arrange_from_upsert::<ValBuilder<Key, String, u64, isize>, FactSpine, Key, String>(facts, "facts")
            .as_collection(|(device, cell), word| (device.clone(), (*cell, word.clone())));
    let devices = facts.reduce_named("devices", |_, cells, out| {
        let cells: Cells = cells.iter().map(|((cell, word), _)| (*cell, Some(word.clone()))).collect();
        out.push((cells, 1_isize));
    });
    let groups = devices
        .clone()
        .flat_map(move |(_, cells)| in_groups(&cells, groups))
        .distinct()
        .reduce_named("groups", |_, cells, out| {
            out.push((agreed(cells.iter().map(|((cell, word), _)| (*cell, word))), 1_isize));
        });
    let all = devices
        .map(|(name, cells)| (name, (false, cells)))
        .concat(groups.map(|(name, cells)| (name, (true, cells))));
    let everywhere = all.inner.broadcast().as_collection();
    arrange_core(everywhere.inner, Pipeline, "members", ValBatcher::new)
}

/// The word of a consent.
fn word_of(consents: bool) -> String {
    if consents { "yes" } else { "no" }.to_owned()
}

/// For each group that a device is in, the group's name with its own column and those of the larger groups.
fn in_groups(cells: &Cells, groups: u32) -> Vec<(String, (u32, String))> {
    let of_groups = || {
        let known = cells.iter().filter_map(|(cell, word)| Some((*cell, word.as_ref()?)));
        known.filter(move |(cell, _)| (COLUMNS..COLUMNS.saturating_add(groups)).contains(cell))
    };
    let larger = |small: u32| of_groups().filter(move |(cell, _)| *cell >= small);
    of_groups()
        .flat_map(|(small, group)| larger(small).map(|(cell, word)| (group.clone(), (cell, word.clone()))))
        .collect()
}

/// One word for each cell, or none where there are two.
fn agreed<'w>(cells: impl Iterator<Item = (u32, &'w String)>) -> Cells {
    let mut agreed: Cells = Vec::new();
    for (cell, word) in cells {
        match agreed.last_mut() {
            Some((last, held)) if *last == cell => *held = held.take().filter(|held| held == word),
            _ => agreed.push((cell, Some(word.clone()))),
        }
    }
    agreed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_know_what_their_devices_agree_about() {
        let word = |word: &str| Some(word.to_owned());
        let cells = vec![(0, word("")), (2, word("harbour")), (3, word("north")), (4, word("en"))];
        let found = in_groups(&cells, 2);
        let expected = [("harbour", (2, "harbour")), ("harbour", (3, "north")), ("north", (3, "north"))];
        let expected = expected.map(|(name, (cell, word))| (name.to_owned(), (cell, word.to_owned())));
        assert_eq!(found, expected);
        let words = ["north", "a", "b", "c"].map(str::to_owned);
        let expected_words = [(3, &words[0]), (4, &words[1]), (4, &words[2]), (4, &words[3])];
        assert_eq!(agreed(expected_words.into_iter()), [(3, word("north")), (4, None)]);
    }
}
