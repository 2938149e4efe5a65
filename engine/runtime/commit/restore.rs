//! The restored state with which a later attempt begins.
//!
//! In: a plan and its state folder. Out: the states of its stages, rows for its cycles, how far the intake had come; or every
//! stage whose state does not fit the plan, by name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::units::Epoch;
use headwater_contract::{Position, Result, Routing, StateTable};

use super::panics::{self, PANICS, PoisonRows};
use super::record::{Record, Shape, shapes};
use super::state_partitions::StatePartitions;
use super::{DIGESTS, EXCLUDED, IN_FLIGHT, KeptChange, KeptRow, Logged, MEMBERS, StateFolder, of_folder};
use crate::digest::SinkDigest;
use crate::exchange::Router;
use crate::instance::Failure;
use crate::intake::{Closing, Port, Progress, Replayed, without_key};
use crate::plan::{Plan, PlanStage};

/// The restored state of an attempt; empty in the first attempt.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// The first epoch, where the coordinator alone knows how far the intake had come.
    first: Option<Epoch>,
    /// The progress of the intake.
    intake: Option<Progress>,
    /// Epochs of live input that were closed and not committed.
    replayed: Vec<Replayed>,
    /// By stage id.
    states: BTreeMap<String, Vec<KeptRow>>,
    /// By feedback input: rows that were under way.
    back: BTreeMap<String, Vec<RecordBatch>>,
    back_keys: BTreeSet<Vec<u8>>,
    /// The changes of the members.
    pub(crate) members: Vec<KeptRow>,
    /// Devices whose rows sources give in vain.
    pub(crate) excluded: BTreeSet<String>,
    /// Notes of panics of earlier attempts.
    pub(crate) panics: Vec<KeptRow>,
    /// By sink: the sum over the rows that earlier attempts committed.
    digests: BTreeMap<String, SinkDigest>,
    /// True if this attempt takes in nothing.
    pub(crate) closes_only: bool,
}

impl Restored {
    /// The first epoch of this attempt.
    pub(crate) fn first_epoch(&self) -> Epoch {
        self.first.or_else(|| self.intake.as_ref().map(Progress::next_epoch)).unwrap_or_default()
    }

    /// Creates the restored state of a peer.
    pub(crate) fn elsewhere(first: Epoch, partitions: StatePartitions) -> Self {
        let back = partitions.edges.into_iter().map(|edge| (edge, Vec::new())).collect();
        let mut states = partitions.states;
        let panics = states.remove(PANICS).unwrap_or_default();
        Restored { first: Some(first), states, back, panics, ..Restored::default() }
    }

    /// Returns the partitions of the process with these workers, of `workers` in all.
    pub(crate) fn partitions(
        &self,
        plan: &Plan,
        of: &Range<u64>,
        workers: u64,
        commits: bool,
    ) -> StatePartitions {
        let stages = plan.stages.iter().filter(|stage| stage.signature.stateful());
        let stages = stages.filter_map(|stage| Some((stage, self.states.get(&stage.id)?)));
        let there = |stage: &PlanStage, rows: &[KeptRow]| {
            let holds =
                |kept: &&KeptRow| holder(stage, kept, workers).is_none_or(|worker| of.contains(&worker));
            rows.iter().filter(holds).cloned().collect()
        };
        let states = stages.map(|(stage, rows)| (stage.id.clone(), there(stage, rows)));
        let states = states.chain([(PANICS.to_owned(), self.panics.clone())]).collect();
        StatePartitions {
            commits,
            edges: self.back.keys().cloned().collect(),
            states,
            notes: BTreeMap::new(),
        }
    }

    /// Returns the rows that a source asked to be remembered.
    pub(crate) fn saved(&self, source: &str) -> StateTable {
        let committed = self.states.get(source).into_iter().flatten();
        let committed = committed.map(|kept| (kept.key.clone(), kept.row.clone()));
        let port = Port::Kept(source.to_owned());
        let logged = self.replayed.iter().flat_map(|epoch| &epoch.rows).filter(|(of, _)| *of == port);
        StateTable::of(committed.chain(logged.filter_map(|(_, rows)| without_key(rows))))
    }

    /// The rows of a stage's state that its instance on a worker holds.
    pub(crate) fn table(&self, stage: &PlanStage, worker: u64, workers: u64) -> StateTable {
        let rows = self.states.get(&stage.id).map(Vec::as_slice).unwrap_or_default();
        let here = |kept: &&KeptRow| holder(stage, kept, workers).is_none_or(|holder| holder == worker);
        StateTable::of(rows.iter().filter(here).map(|kept| (kept.key.clone(), kept.row.clone())))
    }

    /// The digest of a sink after the rows that earlier attempts committed.
    pub(crate) fn digest(&self, sink: &str) -> SinkDigest {
        self.digests.get(sink).cloned().unwrap_or_default()
    }

    /// The noted panics of a stage.
    pub(crate) fn poison_rows(&self, stage: &PlanStage) -> PoisonRows {
        panics::by_stage(&self.panics).remove(&stage.id).unwrap_or_default()
    }

    /// Puts a row on the way to a feedback input.
    pub(super) fn put_back(&mut self, edge: String, row: RecordBatch) {
        self.back.entry(edge).or_default().push(row);
    }

    /// Nothing is taken in but what an earlier attempt closed, and of that nothing of the device.
    pub(super) fn takes_nothing_of(&mut self, device: &str) -> Result<()> {
        self.closes_only = true;
        for (port, rows) in self.replayed.iter_mut().flat_map(|replayed| &mut replayed.rows) {
            if !matches!(port, Port::Kept(_)) {
                *rows = without(rows, |other| other == device)?;
            }
        }
        Ok(())
    }

    /// Rows that a source gives, without those of devices that are excluded.
    pub(crate) fn taken_in(&self, rows: RecordBatch) -> Result<RecordBatch> {
        if self.excluded.is_empty() {
            Ok(rows)
        } else {
            without(&rows, |device| self.excluded.contains(device))
        }
    }

    /// Returns the number of rows about a device that stages keep.
    pub(crate) fn rows_about(&self, device: &str) -> u64 {
        let rows = self.states.values().flatten();
        rows.filter(|kept| kept.owner.of_device() == Some(device)).count() as u64
    }

    /// Returns true if an earlier attempt came to the end of its input.
    pub(crate) fn is_finished(&self) -> bool {
        self.intake.as_ref().is_some_and(Progress::is_finished)
    }

    /// Returns the progress of the intake, and the epochs that were closed after that.
    pub(crate) fn intake(&self) -> Option<(Progress, Vec<Replayed>)> {
        self.intake.clone().map(|progress| (progress, self.replayed.clone()))
    }

    /// The keys of all rows that were under way.
    pub(crate) fn back_keys(&self) -> BTreeSet<Vec<u8>> {
        self.back_keys.clone()
    }

    /// By source id: the position up to which earlier attempts committed.
    pub(crate) fn committed_positions(&self) -> impl Iterator<Item = (String, Position)> {
        self.intake.iter().flat_map(Progress::positions)
    }

    /// Where a source begins.
    pub(crate) fn position(&self, id: &str) -> Option<Position> {
        let last = self.replayed.last().map(|replayed| &replayed.closed.after);
        last.or(self.intake.as_ref())?.source(id).position()
    }

    /// The rows that were under way to a feedback input, if there were any: they are on the coordinator, and elsewhere there are none of
    /// them.
    pub(crate) fn back(&self, edge: &str) -> Option<&[RecordBatch]> {
        self.back.get(edge).map(Vec::as_slice)
    }
}

/// The rows whose device is none of these.
fn without(rows: &RecordBatch, gone: impl Fn(&str) -> bool) -> Result<RecordBatch> {
    let ids = IdentityColumns::of(rows)?;
    let others: BooleanArray = (0..ids.len()).map(|row| Some(!gone(ids.device(row)))).collect();
    Ok(filter_record_batch(rows, &others)?)
}

/// The worker whose instance holds a row of a stage's state; nothing if all hold it.
fn holder(stage: &PlanStage, kept: &KeptRow, workers: u64) -> Option<u64> {
    if stage.signature.inputs.iter().any(|input| input.routing == Routing::Gather) {
        return Some(0);
    }
    let routing = stage.signature.inputs.first().map_or(&Routing::Gather, |input| &input.routing);
    kept.owner.routed_by().map(|value| Router::worker_of(routing, value, workers))
}

/// Reads what is kept for a plan. States of the stages in `dropped` are taken out first.
///
/// # Errors
/// Every stage whose state does not fit; or what cannot be read.
pub(crate) fn restore(
    plan: &Plan,
    folder: &mut dyn StateFolder,
    dropped: &[String],
) -> std::result::Result<Restored, Vec<Failure>> {
    let failed = |e: headwater_contract::StageError| vec![of_folder(&e.to_string())];
    let Some(record) = folder.record().map_err(failed)? else {
        let unknown = dropped.iter().map(|id| unknown(id)).collect::<Vec<_>>();
        return if unknown.is_empty() { before_the_first(folder).map_err(failed) } else { Err(unknown) };
    };
    let mut record = Record::decode(&record).map_err(failed)?;
    let unknown: Vec<_> =
        dropped.iter().filter(|id| !record.stages.contains_key(*id)).map(|id| unknown(id)).collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let now = shapes(plan);
    let unfit: Vec<_> = record
        .stages
        .iter()
        .filter(|(id, _)| !dropped.contains(id))
        .filter_map(|(id, kept)| misfit(id, kept, now.get(id)))
        .collect();
    if !unfit.is_empty() {
        return Err(unfit);
    }
    if !dropped.is_empty() {
        drop_states(folder, &mut record, dropped).map_err(failed)?;
    }
    read(plan, folder, record).map_err(failed)
}

/// Restores from before the first commit: live input that was logged.
fn before_the_first(folder: &mut dyn StateFolder) -> Result<Restored> {
    let replayed = replayed(folder.logged(None)?)?;
    let intake = (!replayed.is_empty()).then(Progress::default);
    Ok(Restored { intake, replayed, ..Restored::default() })
}

fn read(plan: &Plan, folder: &mut dyn StateFolder, record: Record) -> Result<Restored> {
    let mut restored = Restored::default();
    let keeps = |stage: &&PlanStage| stage.signature.stateful() || stage.is_source();
    for stage in plan.stages.iter().filter(keeps) {
        restored.states.insert(stage.id.clone(), folder.rows(&stage.id)?);
    }
    let mut back = folder.rows(IN_FLIGHT)?;
    back.sort_by(|a, b| a.key.cmp(&b.key));
    for kept in back {
        let edge = edge_of(&kept.key);
        restored.back.entry(edge).or_default().push(kept.row);
        restored.back_keys.insert(kept.key);
    }
    restored.members = folder.rows(MEMBERS)?;
    let excluded = folder.rows(EXCLUDED)?;
    restored.excluded = excluded.iter().map(|kept| String::from_utf8_lossy(&kept.key).into_owned()).collect();
    restored.panics = folder.rows(PANICS)?;
    for kept in folder.rows(DIGESTS)? {
        let sink = String::from_utf8_lossy(&kept.key).into_owned();
        restored.digests.insert(sink, SinkDigest::of_row(&kept.row)?);
    }
    if record.intake.live {
        restored.replayed = replayed(folder.logged(record.intake.committed())?)?;
    }
    restored.intake = Some(record.intake);
    Ok(restored)
}

/// The epochs of the log that were closed. Rows behind the last barrier were of an epoch that never took effect.
fn replayed(logged: Vec<Logged>) -> Result<Vec<Replayed>> {
    let mut epochs = Vec::new();
    let mut rows = VecDeque::new();
    for entry in logged {
        match entry {
            Logged::Rows(_, port, batch) => rows.push_back((Port::of(&port), batch)),
            Logged::Closed(_, closing) => {
                epochs.push(Replayed { rows: std::mem::take(&mut rows), closed: Closing::decode(&closing)? });
            }
        }
    }
    // What a source noted meanwhile, it finds again.
    let input = rows.iter().filter(|(port, _)| !matches!(port, Port::Kept(_)));
    let lost: usize = input.map(|(_, batch)| batch.num_rows()).sum();
    if lost > 0 {
        tracing::warn!(rows = lost, "live input of an epoch that was never closed is lost");
    }
    Ok(epochs)
}

fn misfit(id: &str, kept: &Shape, now: Option<&Shape>) -> Option<Failure> {
    let what = match now {
        None => "a state is kept of it, but the pipeline has no such stage with a state any more".to_owned(),
        Some(now) => format!("its state does not fit: {}", kept.difference(now)?),
    };
    let what = format!(
        "{what}; `--drop-state {id}` restarts it from scratch, `--fresh` restarts everything from scratch"
    );
    Some(Failure::new(id, what))
}

fn unknown(id: &str) -> Failure {
    let what = "no state is kept of it that could be dropped".to_owned();
    Failure::new(id, what)
}

/// Takes states out: their rows, what is under way to them, and the positions of sources.
fn drop_states(folder: &mut dyn StateFolder, record: &mut Record, dropped: &[String]) -> Result<()> {
    let mut changes = Vec::new();
    for id in dropped {
        record.stages.remove(id);
        record.intake.forget_source(id);
        let rows = folder.rows(id)?.into_iter();
        changes.extend(rows.map(|kept| KeptChange { table: id.clone(), key: kept.key, row: None }));
        changes.push(KeptChange { table: DIGESTS.into(), key: id.clone().into_bytes(), row: None });
        let back = folder.rows(IN_FLIGHT)?.into_iter().filter(|kept| is_under_way_to(id, kept));
        changes.extend(back.map(|kept| KeptChange { table: IN_FLIGHT.into(), key: kept.key, row: None }));
    }
    folder.commit(&record.encode()?, changes)
}

/// Returns the number of rows that are under way over cycles to a stage.
///
/// # Errors
/// They cannot be read.
pub fn under_way(folder: &mut dyn StateFolder, id: &str) -> Result<u64> {
    Ok(folder.rows(IN_FLIGHT)?.iter().filter(|kept| is_under_way_to(id, kept)).count() as u64)
}

fn is_under_way_to(id: &str, kept: &KeptRow) -> bool {
    edge_of(&kept.key).split('.').next() == Some(id)
}

/// The key of a row that is under way: the feedback input that it goes to, and its place.
pub(crate) fn in_flight_key(edge: &str, place: u64) -> Vec<u8> {
    [edge.as_bytes(), &[0], &place.to_be_bytes()].concat()
}

fn edge_of(key: &[u8]) -> String {
    let edge = key.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(edge).into_owned()
}
