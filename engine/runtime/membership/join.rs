//! Rows meet what is known of their devices.
//!
//! In: the rows of one input, and the membership. Out: the same rows with the columns that the input asks for, and those that
//! may not pass, with the reason. A row waits until everything from earlier epochs is known, and holds its epoch while it
//! waits. It must not know stages.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use differential_dataflow::trace::TraceReader;
use differential_dataflow::trace::cursor::{Cursor, cursor_list};
use headwater_contract::identity::{IdentityColumns, row_id};
use headwater_contract::{Escaped, Port, Rejected, Result};
use timely::container::{Accountable, NoopBuilder};
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use super::{COLUMNS, CONSENTS, MEMBER, Membership, NameRecord, Rows, Trace};
use crate::exchange::ExchangeBatch;
use crate::instance::{Failure, rejected_rows};
use crate::membership::members::Asks;
use crate::plan::{PlanInput, PlanStage};
use crate::run::Shared;

/// Names that are remembered across epochs: strangers may come by ever new ones.
const REMEMBERED: usize = 1 << 16;

/// An input's rows after the join.
pub(crate) struct Joined<'s> {
    /// Those that pass, with the columns that are asked for.
    pub(crate) rows: Rows<'s>,
    /// Those that do not, as rows of the stage's `rejected` port.
    pub(crate) rejected: Rows<'s>,
}

/// Joins what the input of a stage asks for.
pub(crate) fn join<'s>(
    scope: Scope<'s, u64>,
    shared: &Arc<Shared>,
    membership: &Membership<'s>,
    (stage, port): (usize, Port),
    rows: Rows<'s>,
) -> Joined<'s> {
    let name = shared.plan.stages.get(stage).map_or("", |s| s.id.as_str());
    let mut builder = OperatorBuilder::new(format!("{name} members"), scope);
    let (passed, passed_rows) = builder.new_output::<ExchangeBatch>();
    let (rejected, rejected_rows) = builder.new_output::<ExchangeBatch>();
    let same = Antichain::from_elem(0);
    let mut rows = builder.new_input_connection(rows, Pipeline, [(0, same.clone()), (1, same)]);
    // What is known wakes the operator and sends nothing: it must not hold the rows' epochs back.
    let nowhere = Vec::<(usize, Antichain<u64>)>::new();
    let mut news = builder.new_input_connection(membership.known.stream.clone(), Pipeline, nowhere);
    let mut joining = Joining {
        shared: shared.clone(),
        at: (stage, port),
        trace: membership.known.trace.clone(),
        fixed: membership.fixed,
        found: HashMap::new(),
    };
    builder.build(move |capabilities| {
        drop(capabilities);
        let mut outputs = [passed, rejected].map(OutputBuilder::<u64, NoopBuilder<ExchangeBatch>>::from);
        let mut waiting: BTreeMap<u64, Waiting> = BTreeMap::new();
        move |frontiers| {
            news.for_each(|_, _| {});
            rows.for_each(|capability, exchanged| {
                let Some(epoch) = capability.least().copied() else { return };
                let capabilities = || [0, 1].map(|output| capability.delayed(&epoch, output));
                let held = waiting
                    .entry(epoch)
                    .or_insert_with(|| Waiting { capabilities: capabilities(), rows: Vec::new() });
                match exchanged.open() {
                    Ok(batches) => held.rows.extend(batches),
                    Err(_) => joining.fail("a batch from another worker could not be read".into()),
                }
            });
            let frontier = |at: usize| frontiers.get(at).and_then(|f| f.frontier().first().copied());
            let known = frontier(1);
            while let Some(first) =
                waiting.first_entry().filter(|e| known.is_none_or(|known| *e.key() < known))
            {
                let (epoch, held) = first.remove_entry();
                joining.give(epoch, held, &mut outputs);
            }
            // Rows of earlier epochs will not be looked up any more.
            let first = waiting.keys().next().copied();
            if let Some(needed) = first.into_iter().chain(frontier(0)).min() {
                joining.trace.set_logical_compaction(AntichainRef::new(&[needed]));
                joining.trace.set_physical_compaction(AntichainRef::new(&[needed]));
            }
        }
    });
    Joined { rows: passed_rows, rejected: rejected_rows }
}

/// Rows of one epoch that came before everything was known.
struct Waiting {
    /// The capability to send at their epoch, for each output.
    capabilities: [Capability<u64>; 2],
    rows: Vec<RecordBatch>,
}

/// Why a row may not pass: a code, and the reason in words.
type Refusal = (&'static str, String);

struct Joining {
    shared: Arc<Shared>,
    /// The stage, and its input.
    at: (usize, Port),
    trace: Trace,
    fixed: bool,
    /// The cache of look-ups: of this epoch, or of recent ones where nothing changes.
    found: HashMap<String, Option<NameRecord>>,
}

impl Joining {
    fn stage(&self) -> Option<&PlanStage> {
        self.shared.plan.stages.get(self.at.0)
    }

    fn input(&self) -> Option<(&PlanInput, &Asks)> {
        let input = self.stage()?.inputs.get(self.at.1)?;
        Some((input, input.asks.as_ref()?))
    }

    fn fail(&self, what: String) {
        let stage = self.stage().map_or(String::new(), |s| s.id.clone());
        self.shared.fail(Failure::new(stage, what));
    }

    fn give(
        &mut self,
        epoch: u64,
        held: Waiting,
        [passed, rejected]: &mut [OutputBuilder<u64, NoopBuilder<ExchangeBatch>>; 2],
    ) {
        let (mut fine, mut refused) = (ExchangeBatch::default(), ExchangeBatch::default());
        if !self.fixed || self.found.len() > REMEMBERED {
            self.found.clear();
        }
        for batch in held.rows {
            match self.part(epoch, &batch, &mut refused) {
                Ok(rows) => fine.push(rows),
                Err(error) => self.fail(error.to_string()),
            }
        }
        let [capability, reject_capability] = held.capabilities;
        if !fine.is_empty() {
            passed.activate().session_with_builder(&capability).give_container(&mut fine);
        }
        if !refused.is_empty() {
            rejected.activate().session_with_builder(&reject_capability).give_container(&mut refused);
        }
    }

    /// The rows of a batch that may pass, with the columns that are asked for; the others are rejected.
    fn part(&mut self, epoch: u64, batch: &RecordBatch, refused: &mut ExchangeBatch) -> Result<RecordBatch> {
        let ids = IdentityColumns::of(batch)?;
        self.look_up(epoch, (0..ids.len()).map(|row| ids.device(row)));
        let Some((input, asks)) = self.input() else { return Ok(batch.clone()) };
        let mut columns: Vec<Vec<&str>> = vec![Vec::new(); asks.columns.len()];
        let mut passes = Vec::with_capacity(ids.len());
        for row in 0..ids.len() {
            let known = self.found.get(ids.device(row)).and_then(Option::as_ref);
            match self.words(asks, known) {
                Ok(words) => {
                    columns.iter_mut().zip(words).for_each(|(column, word)| column.push(word));
                    passes.push(true);
                }
                Err(refusal) => {
                    refused.push(self.refuse(&batch.slice(row, 1), refusal)?);
                    passes.push(false);
                }
            }
        }
        let rest = if passes.contains(&false) {
            filter_record_batch(batch, &BooleanArray::from(passes))?
        } else {
            batch.clone()
        };
        let joined = columns.into_iter().map(|words| Arc::new(StringArray::from(words)) as ArrayRef);
        let columns = rest.columns().iter().cloned().chain(joined).collect();
        Ok(RecordBatch::try_new(input.schema.clone(), columns)?)
    }

    /// The words of the columns that are asked for, or why a row of what is known so may not pass.
    fn words<'k>(
        &self,
        asks: &Asks,
        known: Option<&'k NameRecord>,
    ) -> std::result::Result<Vec<&'k str>, Refusal> {
        let not_a_member = Err(("not_a_member", "the members do not name its device".into()));
        let Some((group, cells)) = known.filter(|(group, _)| !(asks.devices && *group)) else {
            return not_a_member;
        };
        let cell = |at: u32| cells.iter().find(|(cell, _)| *cell == at).map(|(_, word)| word.as_deref());
        if !group && cell(MEMBER).is_none() {
            return not_a_member;
        }
        if !group && cell(CONSENTS) == Some(Some("no")) {
            return Err(("no_consent", "the consent of its device is withdrawn".into()));
        }
        let word = |column: &usize| {
            let name = self.shared.plan.members.as_ref().and_then(|m| m.columns.get(*column));
            let name = name.map_or("", String::as_str);
            match cell(u32::try_from(*column).unwrap_or(u32::MAX).saturating_add(COLUMNS)) {
                Some(Some(word)) => Ok(word),
                Some(None) => Err(("groups_disagree", format!("its devices disagree about `{name}`"))),
                None => Err(("not_told", format!("the members do not name its `{name}`"))),
            }
        };
        asks.columns.iter().map(word).collect()
    }

    fn refuse(&self, row: &RecordBatch, (code, reason): Refusal) -> Result<RecordBatch> {
        let (index, input) = self.at;
        let Some(stage) = self.stage() else { return Ok(row.clone()) };
        if let Some(metrics) = self.shared.options.metrics.stage(index) {
            // The stage did not see it, but it was on its way there: what goes in must come out or be rejected.
            metrics.add_in(1);
            metrics.add_rejected(1);
        }
        if let Some(id) = row_id(row, 0) {
            tracing::warn!(stage = stage.id, device = %Escaped(&id.device), seq = id.seq, code, reason, "row rejected");
        }
        rejected_rows(stage, &Rejected { input, row: row.clone(), code, reason })
    }

    /// Finds what is known of names at an epoch: of a name that is a device, what is known of the device.
    fn look_up<'d>(&mut self, epoch: u64, devices: impl Iterator<Item = &'d str>) {
        let mut unknown: Vec<&str> = devices.filter(|d| !self.found.contains_key(*d)).collect();
        if unknown.is_empty() {
            return;
        }
        unknown.sort_unstable();
        unknown.dedup();
        let batches = self.trace.batches_through(AntichainRef::new(&[])).unwrap_or_default();
        let (mut cursor, storage) = cursor_list(batches);
        for device in unknown {
            let name = device.to_owned();
            cursor.seek_key(&storage, &name);
            let mut found: Option<NameRecord> = None;
            if cursor.get_key(&storage) == Some(&name) {
                while let Some(known) = cursor.get_val(&storage) {
                    let mut count = 0;
                    cursor.map_times(&storage, |time, diff| count += if *time <= epoch { *diff } else { 0 });
                    if count > 0 && found.as_ref().is_none_or(|held| *known < *held) {
                        found = Some(known.clone());
                    }
                    cursor.step_val(&storage);
                }
            }
            self.found.insert(name, found);
        }
    }
}
