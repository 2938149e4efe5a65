//! One running instance of a stage, with its panics caught and its outputs held to the signature.
//!
//! In: batches and barriers. Out: what the stage sent and rejected, or a failure that names the place. A panic in a stateless
//! stage rejects the row and rebuilds the instance; in a stateful one it ends the attempt, and the next attempt finds the row. It must not
//! know timely.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::SchemaRef;
use headwater_contract::identity::row_id;
use headwater_contract::signature::{REJECTED_BY, REJECTED_CODE, REJECTED_REASON};
use headwater_contract::state::Change;
use headwater_contract::units::Epoch;
use headwater_contract::{
    Barrier, BuildContext, Emit, HostEnv, Outbox, PlannedStage, Port, Rejected, Role, RowId, Signature,
    Stage, StageError, StateTable, StateWriter,
};

use crate::caught::{Panicked, quietly};
use crate::commit::PoisonRows;
use crate::exchange::same_schema;
use crate::plan::PlanStage;

/// Why a run ends early: what happened, in which stage, at which row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stage's id.
    pub stage: String,
    /// The epoch, where one is known.
    pub epoch: Option<Epoch>,
    /// The first row of the batch, where there is one.
    pub row: Option<RowId>,
    /// The event, without any value of a row.
    pub what: Box<str>,
    /// The cause, which decides what another attempt can do about it.
    pub cause: Cause,
}

/// The cause of a failure: decides if a later attempt may do better.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// It would fail again, as far as is known.
    #[default]
    Lasting,
    /// A stage with a state panicked: its state is what was committed last.
    Panic(Box<PoisonRow>),
    /// A disk is full: there may be disk space again.
    DiskSpace,
}

/// Where a stage with a state panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoisonRow {
    /// The stage's id.
    pub stage: String,
    /// The epoch of what it was given.
    pub epoch: Epoch,
    /// The input that the row came in by, and the row: known when the stage was given rows of the epoch one by one, since it had
    /// panicked there before.
    pub row: Option<(Port, RowId)>,
}

impl Failure {
    /// Something that happened to a stage, or to what stands in brackets.
    pub fn new(stage: impl Into<String>, what: impl Into<String>) -> Self {
        let (stage, what) = (stage.into(), what.into().into_boxed_str());
        Failure { stage, epoch: None, row: None, what, cause: Cause::Lasting }
    }

    /// The same, with the epoch, and the first row of the batch.
    pub(crate) fn at(self, epoch: Epoch, row: Option<RowId>) -> Self {
        Failure { epoch: Some(epoch), row, ..self }
    }

    /// Takes the cause from an error.
    pub(crate) fn because(self, error: &StageError) -> Self {
        if error.needs_disk_space() { Failure { cause: Cause::DiskSpace, ..self } } else { self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is not a stage stands in brackets, as the table of the file that it is about.
        if self.stage.starts_with('[') {
            f.write_str(&self.stage)?;
        } else {
            write!(f, "stage `{}`", self.stage)?;
        }
        if let Some(epoch) = self.epoch {
            write!(f, ", epoch {epoch}")?;
        }
        if let Some(row) = &self.row {
            write!(f, ", {row}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for Failure {}

/// The output of one call of a stage.
#[derive(Debug, Default)]
pub struct StageOutput {
    /// Batches by output port.
    pub sent: Vec<(Port, RecordBatch)>,
    /// Rows rejected.
    pub rejected: Vec<Rejected>,
    /// Additions to metrics.
    pub metrics: Vec<(&'static str, u64)>,
    /// Rows that are held back beside those of before.
    pub held: i64,
    /// The changes of the state.
    pub changes: Vec<Change>,
}

impl Emit for StageOutput {
    fn emit(&mut self, port: Port, batch: RecordBatch) {
        self.sent.push((port, batch));
    }
    fn reject(&mut self, rejected: Rejected) {
        self.rejected.push(rejected);
    }
    fn count(&mut self, metric: &'static str, n: u64) {
        self.metrics.push((metric, n));
    }
    fn hold(&mut self, more: i64) {
        self.held += more;
    }
}

/// The builder of an instance, which can build it again and again.
pub struct Builder {
    plan: Arc<crate::plan::Plan>,
    index: usize,
    host: HostEnv,
    saved: StateTable,
    poison_rows: PoisonRows,
    inputs: Vec<SchemaRef>,
    outputs: Vec<SchemaRef>,
}

impl Builder {
    /// The builder of the stage at an index of the plan; nothing for a source.
    pub fn new(plan: &Arc<crate::plan::Plan>, index: usize, host: &HostEnv) -> Option<Self> {
        let stage = plan.stages.get(index)?;
        matches!(stage.role, Role::Stage(_)).then(|| Builder {
            plan: plan.clone(),
            index,
            host: host.clone(),
            saved: StateTable::default(),
            poison_rows: PoisonRows::default(),
            inputs: stage.inputs.iter().map(|i| i.schema.clone()).collect(),
            outputs: stage.outputs.iter().map(|o| o.schema.clone()).collect(),
        })
    }

    /// The same, with what an earlier attempt saved.
    pub fn with_saved(self, saved: StateTable) -> Self {
        Builder { saved, ..self }
    }

    /// Adds the notes of earlier attempts about its panics.
    pub(crate) fn with_poison_rows(self, poison_rows: PoisonRows) -> Self {
        Builder { poison_rows, ..self }
    }

    fn stage(&self) -> Option<(&PlanStage, &dyn PlannedStage)> {
        let stage = self.plan.stages.get(self.index)?;
        match &stage.role {
            Role::Stage(planned) => Some((stage, planned.as_ref())),
            Role::Source(_) => None,
        }
    }

    fn id(&self) -> &str {
        self.plan.stages.get(self.index).map_or("", |s| s.id.as_str())
    }

    fn build(&self) -> Result<Box<dyn Stage>, Failure> {
        let failed = |what: String| Failure::new(self.id(), what);
        let (stage, planned) = self.stage().ok_or_else(|| failed("not a stage".into()))?;
        let cx = BuildContext {
            id: &stage.id,
            inputs: &self.inputs,
            outputs: &self.outputs,
            saved: &self.saved,
            host: &self.host,
            round_delay: self.plan.flush,
            live: self.plan.stages.iter().any(PlanStage::is_endless),
        };
        match quietly(|| planned.build(cx)) {
            Ok(built) => built.map_err(|e| failed(e.to_string())),
            Err(Panicked) => Err(failed("it panicked while it was built".into())),
        }
    }
}

/// One running instance of a stage. It stays on one thread.
pub struct Instance {
    builder: Builder,
    stage: Box<dyn Stage>,
    stateless: bool,
}

impl Instance {
    /// Builds an instance on this thread.
    ///
    /// # Errors
    /// The stage could not be built.
    pub fn build(mut builder: Builder) -> Result<Self, Failure> {
        let stage = builder.build()?;
        // A stage with a state is built once in an attempt.
        builder.saved = StateTable::default();
        let stateless = builder.stage().is_some_and(|(stage, _)| !stage.signature.stateful());
        Ok(Instance { builder, stage, stateless })
    }

    fn failure(&self, epoch: Epoch, batch: Option<&RecordBatch>, what: impl Into<String>) -> Failure {
        Failure::new(self.builder.id(), what).at(epoch, batch.and_then(|b| row_id(b, 0)))
    }

    /// A panic of a stage with a state: a later attempt may find the row, or do without it.
    fn panicked(&self, epoch: Epoch, given: Option<(Port, &RecordBatch)>, what: &str) -> Failure {
        let alone =
            given.filter(|(_, batch)| batch.num_rows() == 1 && self.builder.poison_rows.gives_alone(epoch));
        let row = alone.and_then(|(port, batch)| Some((port, row_id(batch, 0)?)));
        let cause = Cause::Panic(Box::new(PoisonRow { stage: self.builder.id().into(), epoch, row }));
        Failure { cause, ..self.failure(epoch, given.map(|(_, batch)| batch), what) }
    }

    /// Gives a batch to the stage: row by row, and without the rows that it cannot take, where it has panicked before.
    ///
    /// # Errors
    /// The stage failed, panicked with state, or broke its signature.
    pub fn batch(
        &mut self,
        epoch: Epoch,
        port: Port,
        batch: &RecordBatch,
        made: &mut StageOutput,
    ) -> Result<(), Failure> {
        if !self.builder.poison_rows.gives_alone(epoch) {
            return self.give(epoch, port, batch, made);
        }
        for row in 0..batch.num_rows() {
            let alone = batch.slice(row, 1);
            if row_id(&alone, 0).is_some_and(|id| self.builder.poison_rows.holds(port, &id)) {
                let reason = "the stage panicked on this row, and again when it was given alone".into();
                made.rejected.push(Rejected { input: port, row: alone, code: "panic", reason });
            } else {
                self.give(epoch, port, &alone, made)?;
            }
        }
        Ok(())
    }

    fn give(
        &mut self,
        epoch: Epoch,
        port: Port,
        batch: &RecordBatch,
        made: &mut StageOutput,
    ) -> Result<(), Failure> {
        let kept = (made.sent.len(), made.rejected.len(), made.metrics.len());
        let stage = &mut self.stage;
        match quietly(|| stage.batch(port, batch, &mut Outbox::new(made))) {
            Ok(Ok(())) => self.hold_to_signature(epoch, Some(batch), made, kept.0),
            Ok(Err(error)) => Err(self.failure(epoch, Some(batch), error.to_string()).because(&error)),
            Err(Panicked) => {
                made.sent.truncate(kept.0);
                made.rejected.truncate(kept.1);
                made.metrics.truncate(kept.2);
                self.after_panic(epoch, port, batch, made)
            }
        }
    }

    /// Rebuilds a stateless stage; the row that it cannot take is found by giving the rows one by one.
    fn after_panic(
        &mut self,
        epoch: Epoch,
        port: Port,
        batch: &RecordBatch,
        made: &mut StageOutput,
    ) -> Result<(), Failure> {
        if !self.stateless {
            let what = "it panicked (its state is lost; what is in the store stays)";
            return Err(self.panicked(epoch, Some((port, batch)), what));
        }
        self.stage = self.builder.build()?;
        if batch.num_rows() == 1 {
            let reason = "the stage panicked on this row".into();
            made.rejected.push(Rejected { input: port, row: batch.clone(), code: "panic", reason });
            return Ok(());
        }
        (0..batch.num_rows()).try_for_each(|row| self.give(epoch, port, &batch.slice(row, 1), made))
    }

    /// Ends an epoch. A stage without state does not notice.
    ///
    /// # Errors
    /// As for [`batch`](Self::batch).
    pub fn epoch_end(&mut self, barrier: &Barrier, made: &mut StageOutput) -> Result<(), Failure> {
        if self.stateless {
            return Ok(());
        }
        let kept = made.sent.len();
        let stage = &mut self.stage;
        match quietly(|| stage.epoch_end(barrier, &mut Outbox::new(made))) {
            Ok(Ok(())) => self.hold_to_signature(barrier.epoch, None, made, kept),
            Ok(Err(error)) => Err(self.failure(barrier.epoch, None, error.to_string()).because(&error)),
            Err(Panicked) => Err(self.panicked(barrier.epoch, None, "it panicked at the end of the epoch")),
        }
    }

    /// Takes what changed in the state since it was last asked.
    ///
    /// # Errors
    /// The state could not be written, or the stage panicked.
    pub fn save(&mut self, epoch: Epoch, made: &mut StageOutput) -> Result<(), Failure> {
        if self.stateless {
            return Ok(());
        }
        let mut state = StateWriter::default();
        let stage = &mut self.stage;
        match quietly(|| stage.save(&mut state)) {
            Ok(Ok(())) => made.changes.extend(state.into_changes()),
            Ok(Err(error)) => return Err(self.failure(epoch, None, error.to_string()).because(&error)),
            Err(Panicked) => return Err(self.panicked(epoch, None, "it panicked while it saved its state")),
        }
        Ok(())
    }

    fn hold_to_signature(
        &self,
        epoch: Epoch,
        given: Option<&RecordBatch>,
        made: &StageOutput,
        from: usize,
    ) -> Result<(), Failure> {
        for (port, batch) in made.sent.iter().skip(from) {
            match self.builder.outputs.get(*port) {
                Some(schema) if same_schema(batch.schema_ref(), schema) => (),
                Some(_) => {
                    return Err(self.failure(
                        epoch,
                        given,
                        format!("output {port} does not have the columns of its signature"),
                    ));
                }
                None => {
                    return Err(self.failure(
                        epoch,
                        given,
                        format!("it sent to output {port}, which it does not have"),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Rejected rows as rows of the `rejected` port.
///
/// # Errors
/// Arrow refuses the columns.
pub fn rejected_rows(stage: &PlanStage, rejected: &Rejected) -> Result<RecordBatch, StageError> {
    rejected_as(&stage.id, &stage.rejected, rejected)
}

/// The same for what is not a stage: the columns are those of the row.
///
/// # Errors
/// Arrow refuses the columns.
pub fn rejected_by(name: &str, rejected: &Rejected) -> Result<RecordBatch, StageError> {
    rejected_as(name, &Signature::rejected(&[rejected.row.schema()]), rejected)
}

fn rejected_as(name: &str, schema: &SchemaRef, rejected: &Rejected) -> Result<RecordBatch, StageError> {
    let rows = rejected.row.num_rows();
    let text =
        |value: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..rows).map(|_| value))) };
    let columns = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            REJECTED_BY => text(name),
            REJECTED_CODE => text(rejected.code),
            REJECTED_REASON => text(&rejected.reason),
            name => match rejected.row.column_by_name(name) {
                Some(column) => column.clone(),
                None => new_null_array(field.data_type(), rows),
            },
        })
        .collect();
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}
