//! The commit of epochs: home takes what changed, and makes it durable when an epoch has taken effect everywhere.
//!
//! In: the pipeline's ends, changes of states, rows that are under way over cycles, and marks. Out: the frontier up to which
//! epochs are committed. It holds no capability: the frontier passes this operator only after it returns, and by then what was
//! to be committed is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::state::Owner;
use headwater_contract::units::Epoch;
use headwater_contract::{Routing, StageError};
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::stage::Route;
use super::{Marks, Rows, StateRows};
use crate::commit::{BACK, Commits, KeptChange, MEMBERS, NAME, PANICS, StateRow, Table, back_key, epoch_of};
use crate::instance::Failure;
use crate::parcel::Parcels;
use crate::plan::Plan;
use crate::run::Shared;

/// What is committed.
pub(super) struct Sources<'s> {
    /// Where the pipeline ends.
    pub(super) ends: Rows<'s>,
    /// Changes of states.
    pub(super) states: Vec<StateRows<'s>>,
    /// Rows that are under way to feedback inputs, before they are delayed, by input.
    pub(super) back: Vec<(String, Rows<'s>)>,
    pub(super) marks: Marks<'s>,
}

pub(super) fn wire<'s>(scope: Scope<'s, u64>, shared: &Arc<Shared>, from: Sources<'s>) -> Rows<'s> {
    let mut builder = OperatorBuilder::new("commit".into(), scope);
    let mut ends = builder.new_input(from.ends, Pipeline);
    let mut marks = builder.new_input(from.marks, Pipeline);
    let to_home = || Exchange::new(|_: &StateRow| 0);
    let mut states: Vec<_> =
        from.states.into_iter().map(|state| builder.new_input(state, to_home())).collect();
    let mut back: Vec<_> = from
        .back
        .into_iter()
        .map(|(edge, rows)| (edge, builder.new_input(rows, Route(Routing::Gather))))
        .collect();
    let (_output, committed) = builder.new_output::<Parcels>();
    let mut open = (scope.worker().index() == 0).then(|| Open::new(shared));
    let shared = shared.clone();
    builder.build(move |capabilities| {
        drop(capabilities);
        move |frontiers| {
            ends.for_each(|_, _| {});
            marks.for_each(|_, marks| {
                if let Some(open) = &mut open {
                    open.due.extend(marks.drain(..).filter(|mark| mark.3).map(|mark| mark.0));
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
                input.for_each(|capability, parcels| {
                    if let (Some(open), Some(epoch)) = (&mut open, capability.least()) {
                        let batches = parcels.open().unwrap_or_default();
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

/// What is not committed yet, at home.
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
            // Rows that came back in an epoch that nobody commits arrive in the next one, and are in its states.
            self.back = frontier.map(|frontier| self.back.split_off(&frontier)).unwrap_or_default();
            return Ok(());
        };
        self.due = self.due.split_off(&epoch.saturating_add(1));
        let later = self.changes.split_off(&epoch.saturating_add(1));
        let changes = std::mem::replace(&mut self.changes, later);
        let mut all: Vec<KeptChange> =
            changes.into_values().flatten().map(|row| named(row, &shared.plan)).collect();
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
                let key = back_key(&edge, kept.len() as u64);
                let owner = Owner::everyone().about(ids.device(row));
                changes.push(KeptChange {
                    table: BACK.into(),
                    key: key.clone(),
                    row: Some((owner, batch.slice(row, 1))),
                });
                kept.insert(key);
            }
        }
        let gone = self.kept.difference(&kept);
        changes.extend(gone.map(|key| KeptChange { table: BACK.into(), key: key.clone(), row: None }));
        self.kept = kept;
        Ok(changes)
    }
}

fn named(row: StateRow, plan: &Plan) -> KeptChange {
    let table = match row.table() {
        Table::Members => MEMBERS.to_owned(),
        Table::Stage(index) => {
            let stage = usize::try_from(index).ok().and_then(|index| plan.stages.get(index));
            stage.map(|stage| stage.id.clone()).unwrap_or_default()
        }
    };
    row.of_table(table)
}
