//! One running instance of a stage, with its panics caught and its outputs held to the signature.
//!
//! In: batches and marks. Out: what the stage sent and rejected, or a failure that names the place. A panic in a stateless
//! stage sets the row aside and rebuilds the instance; in a stateful one it ends the life, and the next one finds the row. It must not know timely.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::SchemaRef;
use headwater_contract::identity::row_id;
use headwater_contract::signature::{REJECTED_BY, REJECTED_CODE, REJECTED_REASON};
use headwater_contract::state::Change;
use headwater_contract::units::Epoch;
use headwater_contract::{
    BuildContext, Emit, Mark, Outbox, PlannedStage, Port, Rejected, Role, RowId, Signature, Site, Stage,
    StageError, StateTable, StateWriter,
};

use crate::caught::{Panicked, quietly};
use crate::commit::Suspected;
use crate::parcel::same_schema;
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
    /// What happened: no value of any row.
    pub what: Box<str>,
    /// What another life can do about it.
    pub cause: Cause,
}

/// Whether a later life may do better than the one that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// It would fail again, as far as is known.
    #[default]
    Lasting,
    /// A stage with a state panicked: its state is what was committed last.
    Panic(Box<Suspect>),
    /// A disk is full: there may be room again.
    Room,
}

/// Where a stage with a state panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
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

    /// The same, with what the error tells of its cause.
    pub(crate) fn because(self, error: &StageError) -> Self {
        if error.wants_room() { Failure { cause: Cause::Room, ..self } } else { self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is no stage stands in brackets, as the table of the file that it is about.
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

/// What a stage made of one call.
#[derive(Debug, Default)]
pub struct Made {
    /// Batches by output port.
    pub sent: Vec<(Port, RecordBatch)>,
    /// Rows set aside.
    pub rejected: Vec<Rejected>,
    /// Additions to figures.
    pub figures: Vec<(&'static str, u64)>,
    /// What changed in the state.
    pub changes: Vec<Change>,
}

impl Emit for Made {
    fn emit(&mut self, port: Port, batch: RecordBatch) {
        self.sent.push((port, batch));
    }
    fn reject(&mut self, rejected: Rejected) {
        self.rejected.push(rejected);
    }
    fn count(&mut self, figure: &'static str, n: u64) {
        self.figures.push((figure, n));
    }
}

/// What an instance needs to be built, again and again.
pub struct Builder {
    plan: Arc<crate::plan::Plan>,
    index: usize,
    site: Site,
    saved: StateTable,
    suspected: Suspected,
    inputs: Vec<SchemaRef>,
    outputs: Vec<SchemaRef>,
}

impl Builder {
    /// The builder of the stage at an index of the plan; nothing for a source.
    pub fn new(plan: &Arc<crate::plan::Plan>, index: usize, site: &Site) -> Option<Self> {
        let stage = plan.stages.get(index)?;
        matches!(stage.role, Role::Stage(_)).then(|| Builder {
            plan: plan.clone(),
            index,
            site: site.clone(),
            saved: StateTable::default(),
            suspected: Suspected::default(),
            inputs: stage.inputs.iter().map(|i| i.schema.clone()).collect(),
            outputs: stage.outputs.iter().map(|o| o.schema.clone()).collect(),
        })
    }

    /// The same, with what an earlier life saved.
    pub fn with_saved(self, saved: StateTable) -> Self {
        Builder { saved, ..self }
    }

    /// The same, with what earlier lives know of its panics.
    pub(crate) fn with_suspected(self, suspected: Suspected) -> Self {
        Builder { suspected, ..self }
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
            site: &self.site,
            round_delay: self.plan.flush,
        };
        match quietly(|| planned.build(cx)) {
            Ok(built) => built.map_err(|e| failed(e.to_string())),
            Err(Panicked) => Err(failed("it panicked while it was built".into())),
        }
    }
}

/// One running instance of a stage. It lives and dies on one thread.
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
        // A stage with a state is built once in a life.
        builder.saved = StateTable::default();
        let stateless = builder.stage().is_some_and(|(stage, _)| !stage.signature.stateful());
        Ok(Instance { builder, stage, stateless })
    }

    fn failure(&self, epoch: Epoch, batch: Option<&RecordBatch>, what: impl Into<String>) -> Failure {
        Failure::new(self.builder.id(), what).at(epoch, batch.and_then(|b| row_id(b, 0)))
    }

    /// A panic of a stage with a state: a later life may find the row, or do without it.
    fn panicked(&self, epoch: Epoch, given: Option<(Port, &RecordBatch)>, what: &str) -> Failure {
        let alone =
            given.filter(|(_, batch)| batch.num_rows() == 1 && self.builder.suspected.gives_alone(epoch));
        let row = alone.and_then(|(port, batch)| Some((port, row_id(batch, 0)?)));
        let cause = Cause::Panic(Box::new(Suspect { stage: self.builder.id().into(), epoch, row }));
        Failure { cause, ..self.failure(epoch, given.map(|(_, batch)| batch), what) }
    }

    /// Gives a batch to the stage: row by row, and without the rows that it cannot take, where it has panicked before.
    ///
    /// # Errors
    /// The stage said that it cannot go on, panicked with state, or broke its signature.
    pub fn batch(
        &mut self,
        epoch: Epoch,
        port: Port,
        batch: &RecordBatch,
        made: &mut Made,
    ) -> Result<(), Failure> {
        if !self.builder.suspected.gives_alone(epoch) {
            return self.give(epoch, port, batch, made);
        }
        for row in 0..batch.num_rows() {
            let alone = batch.slice(row, 1);
            if row_id(&alone, 0).is_some_and(|id| self.builder.suspected.holds(port, &id)) {
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
        made: &mut Made,
    ) -> Result<(), Failure> {
        let kept = (made.sent.len(), made.rejected.len(), made.figures.len());
        let stage = &mut self.stage;
        match quietly(|| stage.batch(port, batch, &mut Outbox::new(made))) {
            Ok(Ok(())) => self.hold_to_signature(epoch, Some(batch), made, kept.0),
            Ok(Err(error)) => Err(self.failure(epoch, Some(batch), error.to_string()).because(&error)),
            Err(Panicked) => {
                made.sent.truncate(kept.0);
                made.rejected.truncate(kept.1);
                made.figures.truncate(kept.2);
                self.after_panic(epoch, port, batch, made)
            }
        }
    }

    /// A stateless stage is built anew; the row that it cannot take is found by giving the rows one by one.
    fn after_panic(
        &mut self,
        epoch: Epoch,
        port: Port,
        batch: &RecordBatch,
        made: &mut Made,
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

    /// Ends an epoch. A stage without state is not told.
    ///
    /// # Errors
    /// As for [`batch`](Self::batch).
    pub fn epoch_end(&mut self, mark: &Mark, made: &mut Made) -> Result<(), Failure> {
        if self.stateless {
            return Ok(());
        }
        let kept = made.sent.len();
        let stage = &mut self.stage;
        match quietly(|| stage.epoch_end(mark, &mut Outbox::new(made))) {
            Ok(Ok(())) => self.hold_to_signature(mark.epoch, None, made, kept),
            Ok(Err(error)) => Err(self.failure(mark.epoch, None, error.to_string()).because(&error)),
            Err(Panicked) => Err(self.panicked(mark.epoch, None, "it panicked at the end of the epoch")),
        }
    }

    /// Takes what changed in the state since it was last asked.
    ///
    /// # Errors
    /// The state could not be written, or the stage panicked.
    pub fn save(&mut self, epoch: Epoch, made: &mut Made) -> Result<(), Failure> {
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
        made: &Made,
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

/// The same for what is no stage: the columns are those of the row.
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
