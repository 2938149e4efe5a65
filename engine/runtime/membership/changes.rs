//! The facts: what the table says, and what changes it.
//!
//! In: the members at the start, rows that change them, and barriers. Out: facts, each at the first epoch for which it holds; who
//! is forgotten; rows that cannot be understood. Changes are gathered on the coordinator. They hold from the first epoch of the next round
//! on, or in a pipeline without rounds from the next epoch on, so that no round sees two memberships. It must not know stages.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use headwater_contract::identity::{IdentityColumns, RowId};
use headwater_contract::{Escaped, Rejected, Result, Routing};
use timely::container::{Accountable, CapacityContainerBuilder, NoopBuilder};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, Stream};
use timely::progress::Antichain;

use super::kept::{self, Cells, When};
use super::members::{CONSENT, Device, Members, consent};
use super::{Barriers, COLUMNS, CONSENTS, Fact, Key, MEMBER, NAME, Rows, StateRows, withdrawn, word_of};
use crate::check::ids::is_pipeline_name as is_name;
use crate::commit::{StateRow, Table};
use crate::dataflow::Route;
use crate::exchange::ExchangeBatch;
use crate::instance::{Failure, rejected_by};
use crate::run::Shared;

type FactStream<'s> = Stream<'s, u64, Vec<Fact>>;
type FactsOut = OutputBuilder<u64, CapacityContainerBuilder<Vec<Fact>>>;
type RowsOut = OutputBuilder<u64, NoopBuilder<ExchangeBatch>>;

/// The devices at the start; changes by rows of an earlier attempt override the table.
fn facts_of(devices: &[Device], changed: Cells) -> Vec<Fact> {
    let mut facts = Cells::new();
    for device in devices {
        let mut fact = |cell: u32, word: Option<String>| facts.insert((device.name.clone(), cell), word);
        fact(MEMBER, Some(String::new()));
        fact(CONSENTS, Some(word_of(device.consent)));
        for (cell, word) in (COLUMNS..).zip(&device.values) {
            fact(cell, word.clone());
        }
    }
    facts.extend(changed);
    facts.into_iter().map(|(key, word)| (key, word, 0)).collect()
}

/// The first output, with the capabilities to send it.
struct First {
    facts: Capability<u64>,
    withdrawn: Capability<u64>,
}

impl First {
    /// From the capabilities of an operator whose first outputs are facts and names of forgotten devices.
    fn of(capabilities: Vec<Capability<u64>>) -> Option<Self> {
        let mut capabilities = capabilities.into_iter();
        Some(First { facts: capabilities.next()?, withdrawn: capabilities.next()? })
    }

    /// Sends facts; and of devices without consent, who is forgotten now, since something is still kept of it.
    fn send(self, reader: &Reader, holds: Cells, facts: &mut FactsOut, withdrawn: &mut RowsOut) {
        let shared = &reader.shared;
        let mut all = facts_of(&shared.members, holds);
        let epoch = shared.restored.first_epoch().0;
        let kept = withdrawn::of(&all).into_iter().filter(|device| shared.restored.rows_about(device) > 0);
        reader.forget(kept.collect::<Vec<_>>(), &self.withdrawn.delayed(&epoch), withdrawn);
        facts.activate().session(&self.facts).give_container(&mut all);
    }
}

/// Members that never change.
pub(super) fn once<'s>(scope: Scope<'s, u64>, shared: &Arc<Shared>) -> Changed<'s> {
    let mut builder = OperatorBuilder::new("members given".into(), scope);
    let (output, facts) = builder.new_output::<Vec<Fact>>();
    let (names, withdrawn) = builder.new_output::<ExchangeBatch>();
    let is_coordinator = scope.worker().index() == 0;
    let reader = Reader { shared: shared.clone(), columns: Vec::new() };
    builder.build(move |capabilities| {
        let mut first = First::of(capabilities).filter(|_| is_coordinator);
        let (mut output, mut names) = (FactsOut::from(output), RowsOut::from(names));
        move |_| {
            if let Some(first) = first.take() {
                first.send(&reader, Cells::new(), &mut output, &mut names);
            }
        }
    });
    Changed { facts, withdrawn, rejected: None, state: None }
}

/// Members that change with rows. These come back over an edge that delays them: rows of epoch e arrive at e + 1, and no
/// fact at e + 1 depends on anything after epoch e. The barrier of an epoch holds the next one, on the coordinator, until all its rows are
/// there.
pub(super) fn wire<'s>(
    scope: Scope<'s, u64>,
    shared: &Arc<Shared>,
    members: &Members,
    changes: Rows<'s>,
    barriers: Barriers<'s>,
) -> Changed<'s> {
    let mut builder = OperatorBuilder::new("members".into(), scope);
    let (facts, facts_stream) = builder.new_output::<Vec<Fact>>();
    let (withdrawn, withdrawn_stream) = builder.new_output::<ExchangeBatch>();
    let (rejected, rejected_stream) = builder.new_output::<ExchangeBatch>();
    let (state, state_stream) = builder.new_output::<Vec<StateRow>>();
    let (same, next) = (Antichain::from_elem(0), Antichain::from_elem(1));
    let ways = [(FACTS, same.clone()), (WITHDRAWN, same.clone()), (REJECTED, same.clone())];
    let mut changes = builder.new_input_connection(changes, Route(Routing::Gather), ways);
    let ways = [(FACTS, next.clone()), (WITHDRAWN, next), (STATE, same)];
    let mut barriers = builder.new_input_connection(barriers, Pipeline, ways);
    let is_coordinator = scope.worker().index() == 0;
    let mut reader = Reader { shared: shared.clone(), columns: members.columns.clone() };
    builder.build(move |capabilities| {
        let mut first = First::of(capabilities).filter(|_| is_coordinator);
        let (mut facts, mut withdrawn) = (FactsOut::from(facts), RowsOut::from(withdrawn));
        let mut rejected = RowsOut::from(rejected);
        let mut state = OutputBuilder::<u64, CapacityContainerBuilder<Vec<StateRow>>>::from(state);
        let [mut holds, next] = reader.kept();
        let rounds = reader.shared.plan.round.is_some();
        let mut open = Open { rounds, changed: next, ..Open::default() };
        move |frontiers| {
            if let Some(first) = first.take() {
                first.send(&reader, std::mem::take(&mut holds), &mut facts, &mut withdrawn);
            }
            changes.for_each(|capability, exchanged| {
                let Some(epoch) = capability.least().and_then(|time| time.checked_sub(1)) else { return };
                let mut wrong = reader.read(exchanged, open.rows.entry(epoch).or_default());
                if !wrong.is_empty() {
                    rejected.activate().session_with_builder(&capability).give_container(&mut wrong);
                }
            });
            barriers.for_each(|capability, barriers| {
                // Only the coordinator has changes: elsewhere a barrier holds nothing.
                for barrier in barriers.drain(..).filter(|_| is_coordinator) {
                    let (from, at) = (barrier.epoch.saturating_add(1), barrier.epoch);
                    open.barriers.push_back(Closed {
                        epoch: barrier.epoch,
                        round_end: barrier.round_end,
                        checkpoint: barrier.checkpoint,
                        facts: capability.delayed(&from, FACTS),
                        withdrawn: capability.delayed(&from, WITHDRAWN),
                        state: capability.delayed(&at, STATE),
                    });
                }
            });
            let until = frontiers.first().and_then(|f| f.frontier().first().copied());
            open.settle(until, |closed, mut changed, touched| {
                reader.forget(withdrawn::of(&changed), &closed.withdrawn, &mut withdrawn);
                facts.activate().session(&closed.facts).give_container(&mut changed);
                let mut rows = reader.saved(touched);
                if !rows.is_empty() {
                    state.activate().session(&closed.state).give_container(&mut rows);
                }
            });
        }
    });
    let state = shared.committing.then_some(state_stream);
    Changed { facts: facts_stream, withdrawn: withdrawn_stream, rejected: Some(rejected_stream), state }
}

/// The operator's work on the members.
pub(super) struct Changed<'s> {
    pub(super) facts: FactStream<'s>,
    /// Rows that name devices which are forgotten.
    pub(super) withdrawn: Rows<'s>,
    /// Wrong rows.
    pub(super) rejected: Option<Rows<'s>>,
    /// The changes of the kept table.
    pub(super) state: Option<StateRows<'s>>,
}

/// The operator's outputs.
const FACTS: usize = 0;
const WITHDRAWN: usize = 1;
const REJECTED: usize = 2;
const STATE: usize = 3;

/// An epoch that was closed.
struct Closed {
    epoch: u64,
    round_end: bool,
    checkpoint: bool,
    /// The capability to send facts at the epoch after it.
    facts: Capability<u64>,
    /// The capability to name, at the epoch after it, who is forgotten.
    withdrawn: Capability<u64>,
    /// The capability to send changes of the state at it.
    state: Capability<u64>,
}

/// The cells that a change row fills.
type Filled = Vec<(u32, Option<String>)>;
/// One change row: what names it, in the order in which rows of an epoch take effect, and the cells it fills.
type Change = (RowId, Filled);

/// Changes that do not hold yet.
#[derive(Default)]
struct Open {
    /// True if the pipeline has rounds.
    rounds: bool,
    /// Rows by the epoch in which they were sent.
    rows: BTreeMap<u64, Vec<Change>>,
    /// Epochs that were closed, in order.
    barriers: VecDeque<Closed>,
    /// The changes by complete epochs of the open round.
    changed: Cells,
    /// The changes that are not saved yet: cells that hold something new, and those that will in the next round.
    touched: Touched,
}

/// Cells that changed since they were last saved.
#[derive(Default)]
struct Touched {
    now: Cells,
    next: Cells,
    /// Of the open round before, and of no other any more.
    over: BTreeSet<Key>,
}

impl Open {
    /// No row will come any more that arrives before `until`: gives, for each closed epoch, what holds from the next one on, and
    /// what is to be saved with it.
    fn settle(&mut self, until: Option<u64>, mut give: impl FnMut(&Closed, Vec<Fact>, Touched)) {
        // Rows of an epoch arrive at the time after it.
        let complete = |epoch: u64| until.is_none_or(|until| until > epoch.saturating_add(1));
        while self.barriers.front().is_some_and(|closed| complete(closed.epoch)) {
            let Some(closed) = self.barriers.pop_front() else { return };
            let mut rows = self.rows.remove(&closed.epoch).unwrap_or_default();
            rows.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (id, cells) in rows {
                let device = id.device.to_string();
                for (cell, word) in cells {
                    self.touched.next.insert((device.clone(), cell), word.clone());
                    self.changed.insert((device.clone(), cell), word);
                }
            }
            let mut facts = Vec::new();
            if closed.round_end || !self.rounds {
                let from = closed.epoch.saturating_add(1);
                let changed = std::mem::take(&mut self.changed);
                self.touched.next.clear();
                self.touched.over.extend(changed.keys().cloned());
                self.touched.now.extend(changed.clone());
                facts = changed.into_iter().map(|(key, word)| (key, word, from)).collect();
            }
            let touched =
                if closed.checkpoint { std::mem::take(&mut self.touched) } else { Touched::default() };
            if !facts.is_empty() || closed.checkpoint {
                give(&closed, facts, touched);
            }
        }
    }
}

/// Understands change rows.
struct Reader {
    shared: Arc<Shared>,
    columns: Vec<String>,
}

impl Reader {
    /// Adds the changes of an exchange batch; returns the invalid rows.
    fn read(&mut self, exchanged: &mut ExchangeBatch, changes: &mut Vec<Change>) -> ExchangeBatch {
        let mut wrong = ExchangeBatch::default();
        let Ok(batches) = exchanged.open() else {
            self.fail("a batch from another worker could not be read".into());
            return wrong;
        };
        for batch in batches {
            if let Err(error) = self.batch(&batch, changes, &mut wrong) {
                self.fail(error.to_string());
            }
        }
        wrong
    }

    /// Sends names of devices that are forgotten.
    fn forget<'d>(
        &self,
        devices: impl IntoIterator<Item = &'d str>,
        capability: &Capability<u64>,
        out: &mut RowsOut,
    ) {
        match withdrawn::named(&self.shared, devices, *capability.time()) {
            Ok(mut named) if !named.is_empty() => {
                out.activate().session_with_builder(capability).give_container(&mut named);
            }
            Ok(_) => {}
            Err(error) => self.fail(error.to_string()),
        }
    }

    /// The cells that an earlier attempt kept: cells that hold, and those of the open round.
    fn kept(&self) -> [Cells; 2] {
        let Some(members) = &self.shared.plan.members else { return Default::default() };
        kept::read(&self.shared.restored.members, members).unwrap_or_else(|error| {
            self.fail(error.to_string());
            Default::default()
        })
    }

    /// Returns the changes of the kept table.
    fn saved(&self, touched: Touched) -> Vec<StateRow> {
        let Some(members) = self.shared.plan.members.as_ref().filter(|_| self.shared.commits.is_some())
        else {
            return Vec::new();
        };
        let Touched { now, next, over } = touched;
        let gone = over.iter().filter(|key| !next.contains_key(*key));
        let gone = gone.map(|key| Ok(kept::take_out(When::NextRound, key, members)));
        let of = |when: When| {
            move |(key, word): (&Key, &Option<String>)| kept::put(when, key, word.as_deref(), members)
        };
        let put = now.iter().map(of(When::Now)).chain(next.iter().map(of(When::NextRound)));
        match gone.chain(put).collect::<Result<Vec<_>>>() {
            Ok(changes) => {
                changes.into_iter().flatten().map(|change| StateRow::new(Table::Members, change)).collect()
            }
            Err(error) => {
                self.fail(error.to_string());
                Vec::new()
            }
        }
    }

    fn fail(&self, what: String) {
        self.shared.fail(Failure::new(NAME, what));
    }

    fn batch(&self, batch: &RecordBatch, changes: &mut Vec<Change>, wrong: &mut ExchangeBatch) -> Result {
        let ids = IdentityColumns::of(batch)?;
        for row in 0..ids.len() {
            match self.cells(batch, row) {
                Ok(cells) => changes.push((ids.id(row), cells)),
                Err((what, cells)) => {
                    let id = ids.id(row);
                    tracing::warn!(device = %Escaped(&id.device), seq = id.seq, reason = what, "change of a member rejected");
                    // A withdrawal counts whatever else is wrong, and a consent that cannot be read is none.
                    changes.push((id, cells));
                    let (row, reason) = (batch.slice(row, 1), what.to_owned());
                    wrong.push(rejected_by(NAME, &Rejected { input: 0, row, code: "bad_member", reason })?);
                }
            }
        }
        Ok(())
    }

    /// The cells that a row fills; of a wrong one what is wrong, and a withdrawal that counts all the same.
    fn cells(&self, batch: &RecordBatch, row: usize) -> std::result::Result<Filled, (&'static str, Filled)> {
        let mut cells = vec![(MEMBER, Some(String::new()))];
        let mut wrong = None;
        if let Some(column) = batch.column_by_name(CONSENT) {
            let given = match (column.as_boolean_opt(), column.as_string_opt::<i32>()) {
                _ if column.is_null(row) => None,
                (Some(given), _) => Some(given.value(row)),
                (_, Some(words)) => consent(words.value(row)),
                _ => None,
            };
            if given.is_none() {
                wrong = Some("its consent is neither given nor withdrawn, and counts as withdrawn");
            }
            cells.push((CONSENTS, Some(word_of(given.unwrap_or(false)))));
        }
        let no = Some(word_of(false));
        let withdrawn: Vec<_> =
            cells.iter().filter(|(cell, w)| *cell == CONSENTS && *w == no).cloned().collect();
        for (cell, name) in (COLUMNS..).zip(&self.columns) {
            let Some(words) = batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>()) else {
                continue;
            };
            let word = words.is_valid(row).then(|| words.value(row)).filter(|word| !word.is_empty());
            if word.is_some_and(|word| !is_name(word)) {
                wrong = wrong.or(Some("it holds what cannot be the name of a group"));
            }
            cells.push((cell, word.map(str::to_owned)));
        }
        match wrong {
            None => Ok(cells),
            Some(what) => Err((what, withdrawn)),
        }
    }
}
