//! The commit of epochs: the coordinator takes what changed, and makes it durable when an epoch has taken effect everywhere.
//!
//! In: the pipeline's ends, changes of states, rows that are under way over cycles, and barriers. Out: the frontier up to which
//! epochs are committed. It holds no capability: the frontier passes this operator only after it returns, and by then what was
//! to be committed is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use arrow::array::RecordBatch;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::state::Owner;
use headwater_contract::units::Epoch;
use headwater_contract::{Routing, StageError};
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::stage::Route;
use super::{Barriers, Rows, StateRows};
use crate::commit::{
    Commits, DIGESTS, IN_FLIGHT, KeptChange, MEMBERS, NAME, PANICS, StateRow, Table, epoch_of, in_flight_key,
};
use crate::digest::SinkDigest;
use crate::exchange::ExchangeBatch;
use crate::instance::Failure;
use crate::plan::Plan;
use crate::run::Shared;

/// The streams that are committed.
pub(super) struct Sources<'s> {
    /// Where the pipeline ends.
    pub(super) ends: Rows<'s>,
    /// Changes of states.
    pub(super) states: Vec<StateRows<'s>>,
    /// Rows that are under way to feedback inputs, before they are delayed, by input.
    pub(super) back: Vec<(String, Rows<'s>)>,
    pub(super) barriers: Barriers<'s>,
}

pub(super) fn wire<'s>(scope: Scope<'s, u64>, shared: &Arc<Shared>, from: Sources<'s>) -> Rows<'s> {
    let mut builder = OperatorBuilder::new("commit".into(), scope);
    let mut ends = builder.new_input(from.ends, Pipeline);
    let mut barriers = builder.new_input(from.barriers, Pipeline);
    let to_home = || Exchange::new(|_: &StateRow| 0);
    let mut states: Vec<_> =
        from.states.into_iter().map(|state| builder.new_input(state, to_home())).collect();
    let mut back: Vec<_> = from
        .back
        .into_iter()
        .map(|(edge, rows)| (edge, builder.new_input(rows, Route(Routing::Gather))))
        .collect();
    let (_output, committed) = builder.new_output::<ExchangeBatch>();
    let mut open = (scope.worker().index() == 0).then(|| Open::new(shared));
    let shared = shared.clone();
    builder.build(move |capabilities| {
        drop(capabilities);
        move |frontiers| {
            ends.for_each(|_, _| {});
            barriers.for_each(|_, barriers| {
                if let Some(open) = &mut open {
                    open.due.extend(
                        barriers.drain(..).filter(|barrier| barrier.checkpoint).map(|barrier| barrier.epoch),
                    );
                }
            });
            for input in &mut states {
                input.for_each(|capability, rows| {
                    if let (Some(open), Some(epoch)) = (&mut open, capability.least()) {
                        open.changes.entry(*epoch).or_default().append(rows);
                    }
                });
            }
            for (edge, input) in &mut back {
                input.for_each(|capability, exchanged| {
                    if let (Some(open), Some(epoch)) = (&mut open, capability.least()) {
                        let batches = exchanged.open().unwrap_or_default();
                        let known = open.back.entry(*epoch).or_default();
                        known.extend(batches.into_iter().map(|batch| (edge.clone(), batch)));
                    }
                });
            }
            let frontier = frontiers.iter().filter_map(|f| f.frontier().first().copied()).min();
            let (Some(open), Some(commits)) = (&mut open, &shared.commits) else { return };
            if shared.failed() {
                return;
            }
            if let Err(error) = open.commit(commits, &shared, frontier) {
                shared.fail(Failure::new(NAME, error.to_string()).because(&error));
            }
        }
    });
    committed
}

/// The changes that are not committed yet, on the coordinator.
struct Open {
    /// Epochs that are to be committed.
    due: BTreeSet<u64>,
    changes: BTreeMap<u64, Vec<StateRow>>,
    back: BTreeMap<u64, Vec<(String, RecordBatch)>>,
    /// Keys of the rows under way that the last commit holds.
    kept: BTreeSet<Vec<u8>>,
    /// Keys of notes of panics, by their epochs.
    panics: Vec<(u64, Vec<u8>)>,
}

impl Open {
    fn new(shared: &Shared) -> Self {
        let kept = shared.restored.back_keys();
        let keys = shared.restored.panics.iter().map(|note| &note.key);
        let panics = keys.map(|key| (epoch_of(key).unwrap_or_default().0, key.clone())).collect();
        Open { due: BTreeSet::new(), changes: BTreeMap::new(), back: BTreeMap::new(), kept, panics }
    }

    /// Commits the last epoch that is due and has taken effect everywhere, and with it all before it.
    fn commit(
        &mut self,
        commits: &Commits,
        shared: &Shared,
        frontier: Option<u64>,
    ) -> Result<(), StageError> {
        let complete = |epoch: &u64| frontier.is_none_or(|frontier| *epoch < frontier);
        let Some(epoch) = self.due.iter().copied().take_while(complete).last() else {
            // Rows in flight in an epoch that is not committed arrive in the next one, and are in its states.
            self.back = frontier.map(|frontier| self.back.split_off(&frontier)).unwrap_or_default();
            return Ok(());
        };
        self.due = self.due.split_off(&epoch.saturating_add(1));
        let later = self.changes.split_off(&epoch.saturating_add(1));
        let changes = std::mem::replace(&mut self.changes, later);
        let (sums, rows): (Vec<StateRow>, Vec<StateRow>) =
            changes.into_values().flatten().partition(|row| matches!(row.table(), Table::Digest(_)));
        let mut all: Vec<KeptChange> = rows.into_iter().map(|row| named(row, &shared.plan)).collect();
        all.extend(digests(sums, shared)?);
        let later = self.back.split_off(&epoch.saturating_add(1));
        let back = std::mem::replace(&mut self.back, later).remove(&epoch).unwrap_or_default();
        all.extend(self.under_way(back)?);
        // The rows of a committed epoch never come again: what is known of them is not needed any more.
        let over = self.panics.extract_if(.., |(of, _)| *of <= epoch);
        all.extend(over.map(|(_, key)| KeptChange { table: PANICS.into(), key, row: None }));
        commits.commit(Epoch(epoch), all)?;
        shared.options.metrics.committed(epoch.saturating_add(1));
        Ok(())
    }

    /// Puts the rows that are under way in the place of those of the last commit.
    fn under_way(&mut self, back: Vec<(String, RecordBatch)>) -> Result<Vec<KeptChange>, StageError> {
        let mut changes = Vec::new();
        let mut kept = BTreeSet::new();
        for (edge, batch) in back {
            let ids = IdentityColumns::of(&batch)?;
            for row in 0..ids.len() {
                let key = in_flight_key(&edge, kept.len() as u64);
                let owner = Owner::everyone().about(ids.device(row));
                changes.push(KeptChange {
                    table: IN_FLIGHT.into(),
                    key: key.clone(),
                    row: Some((owner, batch.slice(row, 1))),
                });
                kept.insert(key);
            }
        }
        let gone = self.kept.difference(&kept);
        changes.extend(gone.map(|key| KeptChange { table: IN_FLIGHT.into(), key: key.clone(), row: None }));
        self.kept = kept;
        Ok(changes)
    }
}

/// The digests of sinks after the rows that are committed, with those of all processes.
fn digests(sums: Vec<StateRow>, shared: &Shared) -> Result<Vec<KeptChange>, StageError> {
    let mut kept: BTreeMap<String, KeptChange> = BTreeMap::new();
    for row in sums {
        let Table::Digest(index) = row.table() else { continue };
        let (id, digest) = (id_of(index, &shared.plan), usize::try_from(index).ok());
        let Some(digest) = digest.and_then(|index| shared.digests.get(index)) else { continue };
        let Some((_, row)) = row.of_table(DIGESTS.into()).row else { continue };
        let rows = SinkDigest::of_row(&row)?;
        let all = digest.lock().unwrap_or_else(PoisonError::into_inner).commit(&rows).to_row()?;
        let (table, key, row) = (DIGESTS.into(), id.clone().into_bytes(), Some((Owner::everyone(), all)));
        kept.insert(id, KeptChange { table, key, row });
    }
    Ok(kept.into_values().collect())
}

fn named(row: StateRow, plan: &Plan) -> KeptChange {
    let table = match row.table() {
        Table::Members => MEMBERS.to_owned(),
        Table::Stage(index) | Table::Digest(index) => id_of(index, plan),
    };
    row.of_table(table)
}

fn id_of(index: u64, plan: &Plan) -> String {
    let stage = usize::try_from(index).ok().and_then(|index| plan.stages.get(index));
    stage.map(|stage| stage.id.clone()).unwrap_or_default()
}
