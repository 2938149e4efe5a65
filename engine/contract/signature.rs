//! The needs and the outputs of a stage: ports, columns, routes, labels, order and where it runs.
//!
//! In: the types of the columns that arrive. Out: the types of the columns that leave. A signature is applied along the
//! graph before anything runs, so that every edge has a known type and label. It knows no data and no file.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use crate::identity;

pub use erasure::Erasure;
pub use label::{Label, LabelRule};

mod erasure;
mod label;

/// The place where the rows of an input must be before the stage sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routing {
    /// Wherever they are.
    Local,
    /// Spread over all workers by the hash of the row's identity.
    Spread,
    /// All rows of one key on one worker.
    ByKey(Cow<'static, str>),
    /// All rows of one group of keys on one worker; a key's group is [`hash::group`](crate::hash::group), whatever the number of workers.
    ByGroup {
        /// The column of the key.
        column: Cow<'static, str>,
        /// The number of groups.
        groups: u32,
    },
    /// All rows on the coordinator, in one instance.
    Gather,
    /// Every row on every worker.
    Broadcast,
}

impl fmt::Display for Routing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Routing::Local => f.write_str("local"),
            Routing::Spread => f.write_str("spread"),
            Routing::ByKey(column) => write!(f, "by {column}"),
            Routing::ByGroup { column, groups } => write!(f, "by {column} in {groups} groups"),
            Routing::Gather => f.write_str("gather"),
            Routing::Broadcast => f.write_str("broadcast"),
        }
    }
}

/// True if the order in which rows of an epoch arrive may be seen by the stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Rows come as they arrive; the stage's results must not depend on it.
    #[default]
    Any,
    /// Rows of an epoch come at its end, sorted by (port, device, source, seq, part).
    Sorted,
}

/// Where a stage's work is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Work {
    /// On the worker's thread.
    #[default]
    Inline,
    /// Row by row on this many threads of the stage's own, outputs in input order. Only for stateless stages.
    Pool(u16),
    /// On a thread of each instance's own, epoch by epoch: the worker continues while it works. For stages with state.
    Thread,
}

/// The columns of an output as a function of the columns of the inputs.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// The identity and exactly these.
    Exactly(Vec<Field>),
    /// All columns of the first input without some, and with some added or replaced.
    Input {
        /// Names of the columns that are dropped.
        minus: Vec<Cow<'static, str>>,
        /// Columns that are added; one of an existing name replaces it in its place.
        plus: Vec<Field>,
    },
}

/// One input port.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The port's name.
    pub name: Cow<'static, str>,
    /// The columns it needs, beside the identity.
    pub needs: Vec<Field>,
    /// Where its rows must be.
    pub routing: Routing,
    /// True if it may close a cycle: rows that are sent in an epoch arrive in the next one. It need not be connected.
    pub feedback: bool,
    /// True if the stage learns from its rows: where a pipeline names its members, rows of devices that are none, or have
    /// withdrawn consent, do not reach it.
    pub members: bool,
}

/// One output port.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The port's name.
    pub name: Cow<'static, str>,
    /// Its columns.
    pub rows: Rows,
    /// Its label.
    pub label: LabelRule,
    /// True if a stage must read it.
    pub required: bool,
}

/// Names a stage's state, so that a later attempt knows whether it still fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFormat {
    /// Raised when the rows of the state change their meaning.
    pub version: u32,
    /// The options that shape the state: another value means another state.
    pub shaped_by: Vec<Cow<'static, str>>,
}

/// The inputs and outputs of a stage. Sources have no input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signature {
    /// Input ports, the one that `from` fills first.
    pub inputs: Vec<Input>,
    /// Output ports; the first is the one that `from = "stage"` reads.
    pub outputs: Vec<Output>,
    /// True if rows must come sorted.
    pub order: Order,
    /// Where the work is done.
    pub work: Work,
    /// The number of round ends by which results leave later than their round came in: 1 for a stage that works on a round while
    /// the next one is collected. At the end of input so many more rounds are ended.
    pub round_delay: u32,
    /// The state, if there is any. A stage without one is stateless: it holds nothing between two batches, gets no end of
    /// an epoch, and is rebuilt when it panics.
    pub state: Option<StateFormat>,
    /// The fate of a forgotten device's data.
    pub erasure: Erasure,
    /// For how long a row may be held back for a later one, at most: a live input that is quiet for so long closes an epoch without
    /// rows, whose watermark says so.
    pub hold: Option<Duration>,
}

/// A column that an input needs and does not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaMismatch {
    /// Index of the input port.
    pub input: usize,
    /// The column's name.
    pub column: String,
    /// The type that is needed.
    pub needed: DataType,
    /// The type that arrives, if the column arrives at all.
    pub found: Option<DataType>,
}

impl Signature {
    /// One input `in`, one output `out`: the same rows with some columns added or replaced.
    pub fn map(needs: impl Into<Vec<Field>>, plus: impl Into<Vec<Field>>) -> Self {
        let rows = Rows::Input { minus: Vec::new(), plus: plus.into() };
        Signature {
            inputs: vec![Input::new("in", needs)],
            outputs: vec![Output::new("out", rows)],
            ..Self::default()
        }
    }

    /// One input `in` and nothing that must be read: the stage may end a pipeline.
    pub fn sink(needs: impl Into<Vec<Field>>) -> Self {
        Signature { inputs: vec![Input::new("in", needs)], ..Self::default() }
    }

    /// No input, one output `out` of the identity and these columns, labelled raw.
    pub fn source(columns: impl Into<Vec<Field>>) -> Self {
        Signature { outputs: vec![Output::new("out", Rows::Exactly(columns.into()))], ..Self::default() }
    }

    /// The same with columns of the first output dropped.
    pub fn minus(mut self, columns: &[&'static str]) -> Self {
        if let Some(Output { rows: Rows::Input { minus, .. }, .. }) = self.outputs.first_mut() {
            minus.extend(columns.iter().map(|c| Cow::Borrowed(*c)));
        }
        self
    }

    /// The same with another routing of the first input.
    pub fn routing(mut self, routing: Routing) -> Self {
        if let Some(input) = self.inputs.first_mut() {
            input.routing = routing;
        }
        self
    }

    /// The same with another label rule of the first output.
    pub fn label(mut self, rule: LabelRule) -> Self {
        if let Some(output) = self.outputs.first_mut() {
            output.label = rule;
        }
        self
    }

    /// The same with another order.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// The same with the work done elsewhere.
    pub fn work(mut self, work: Work) -> Self {
        self.work = work;
        self
    }

    /// The same with a state of this format version, shaped by these options.
    pub fn state(mut self, version: u32, shaped_by: &[&'static str]) -> Self {
        let shaped_by = shaped_by.iter().map(|o| Cow::Borrowed(*o)).collect();
        self.state = Some(StateFormat { version, shaped_by });
        self
    }

    /// The same with results that leave so many ends of rounds later.
    pub fn round_delay(mut self, rounds: u32) -> Self {
        self.round_delay = rounds;
        self
    }

    /// The same with another fate of what a forgotten device gave.
    pub fn erasure(mut self, erasure: Erasure) -> Self {
        self.erasure = erasure;
        self
    }

    /// The same with rows that are held back for at most this time.
    pub fn hold(mut self, longest: Option<Duration>) -> Self {
        self.hold = longest;
        self
    }

    /// The same with one more input.
    pub fn input(mut self, input: Input) -> Self {
        self.inputs.push(input);
        self
    }

    /// The same with one more output.
    pub fn output(mut self, output: Output) -> Self {
        self.outputs.push(output);
        self
    }

    /// Returns true if the stage holds something between two batches.
    pub fn stateful(&self) -> bool {
        self.state.is_some()
    }

    /// The columns of every output, for inputs of these columns.
    ///
    /// # Errors
    /// Every column that an input needs and does not get.
    pub fn apply(&self, inputs: &[SchemaRef]) -> Result<Vec<SchemaRef>, Vec<SchemaMismatch>> {
        let misfits: Vec<SchemaMismatch> = self
            .inputs
            .iter()
            .zip(inputs)
            .enumerate()
            .flat_map(|(port, (input, given))| input.misfits(port, given))
            .collect();
        if misfits.is_empty() {
            Ok(self.outputs.iter().map(|o| o.columns(inputs)).collect())
        } else {
            Err(misfits)
        }
    }

    /// The columns of the `rejected` port: what was rejected, by whom and why, and the columns it had.
    pub fn rejected(inputs: &[SchemaRef]) -> SchemaRef {
        let mut fields = identity::fields();
        for name in [REJECTED_BY, REJECTED_CODE, REJECTED_REASON] {
            fields.push(Field::new(name, DataType::Utf8, false));
        }
        for field in inputs.iter().flat_map(|schema| schema.fields()) {
            if !fields.iter().any(|known| known.name() == field.name()) {
                fields.push(field.as_ref().clone().with_nullable(true));
            }
        }
        Arc::new(Schema::new(fields))
    }
}

/// The port that rejected rows leave by; every stage has it.
pub const REJECTED: &str = "rejected";
/// Column of the `rejected` port: the stage that rejected the row.
pub const REJECTED_BY: &str = "rejected_by";
/// Column of the `rejected` port: a short stable word for the reason.
pub const REJECTED_CODE: &str = "rejected_code";
/// Column of the `rejected` port: the reason, in words and without any value of the row.
pub const REJECTED_REASON: &str = "rejected_reason";

impl Input {
    /// The name of an input whose rows name devices that are to be forgotten.
    pub const FORGET: &str = "forget";

    /// An input whose rows name devices that are to be forgotten. It need not be connected: the members and the program ask
    /// over it too.
    pub fn forget(routing: Routing) -> Self {
        Input::new(Input::FORGET, []).routing(routing).feedback()
    }

    /// Returns true if rows of this input name devices that are to be forgotten.
    pub fn forgets(&self) -> bool {
        self.feedback && self.name == Input::FORGET
    }

    /// An input that takes rows wherever they are.
    pub fn new(name: &'static str, needs: impl Into<Vec<Field>>) -> Self {
        let (name, needs) = (name.into(), needs.into());
        Input { name, needs, routing: Routing::Local, feedback: false, members: false }
    }

    /// The same, with another routing.
    pub fn routing(mut self, routing: Routing) -> Self {
        self.routing = routing;
        self
    }

    /// The same, as an input that may close a cycle.
    pub fn feedback(mut self) -> Self {
        self.feedback = true;
        self
    }

    /// The same, as an input that only rows of consenting members reach.
    pub fn members(mut self) -> Self {
        self.members = true;
        self
    }

    /// The columns that this input needs, and the identity: what a feedback input may count on before it is known who feeds
    /// it.
    pub fn needed(&self) -> SchemaRef {
        Rows::Exactly(self.needs.clone()).apply(&[])
    }

    /// The columns that arrive and do not fit, for the input of that index.
    pub fn misfits(&self, input: usize, given: &Schema) -> Vec<SchemaMismatch> {
        let mut needed: Vec<&Field> = self.needs.iter().collect();
        let key = match &self.routing {
            Routing::ByKey(column) | Routing::ByGroup { column, .. } => {
                Some(Field::new(column.as_ref(), DataType::Utf8, false))
            }
            _ => None,
        };
        needed.extend(key.iter().filter(|k| !self.needs.iter().any(|n| n.name() == k.name())));
        needed
            .into_iter()
            .filter_map(|need| {
                let found = given.field_with_name(need.name()).ok().map(|f| f.data_type().clone());
                (found.as_ref() != Some(need.data_type())).then(|| SchemaMismatch {
                    input,
                    column: need.name().clone(),
                    needed: need.data_type().clone(),
                    found,
                })
            })
            .collect()
    }
}

impl Output {
    /// An output that a stage must read, as private as its inputs.
    pub fn new(name: &'static str, rows: Rows) -> Self {
        Output { name: name.into(), rows, label: LabelRule::Inherit, required: true }
    }

    /// The same, but no stage has to read it.
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// The same, with another label rule.
    pub fn label(mut self, rule: LabelRule) -> Self {
        self.label = rule;
        self
    }

    /// The columns for inputs of these columns. What cannot be redacted does not pass a redactor: of the columns
    /// that it does not name itself, only texts (it redacts every one of them), numbers and times continue.
    fn columns(&self, inputs: &[SchemaRef]) -> SchemaRef {
        let schema = self.rows.apply(inputs);
        let (LabelRule::Redactor, Rows::Input { plus, .. }) = (self.label, &self.rows) else { return schema };
        let passes = |field: &Field| {
            let kind = field.data_type();
            kind.is_primitive()
                || matches!(kind, DataType::Utf8 | DataType::Boolean)
                || plus.iter().any(|p| p.name() == field.name())
        };
        let fields = schema.fields().iter().filter(|field| passes(field)).cloned();
        Arc::new(Schema::new(fields.collect::<Fields>()))
    }
}

impl Rows {
    fn apply(&self, inputs: &[SchemaRef]) -> SchemaRef {
        match self {
            Rows::Exactly(columns) => {
                let mut fields = identity::fields();
                fields.extend(
                    columns
                        .iter()
                        .filter(|c| !identity::fields().iter().any(|i| i.name() == c.name()))
                        .cloned(),
                );
                Arc::new(Schema::new(fields))
            }
            Rows::Input { minus, plus } => {
                let given = inputs.first().map(|s| s.fields().clone()).unwrap_or_default();
                let mut fields: Vec<Arc<Field>> = given
                    .iter()
                    .filter(|field| !minus.iter().any(|m| m == field.name()))
                    .map(|field| match plus.iter().find(|p| p.name() == field.name()) {
                        Some(new) => Arc::new(new.clone()),
                        None => field.clone(),
                    })
                    .collect();
                let fresh = plus.iter().filter(|p| {
                    !given.iter().any(|f| f.name() == p.name() && !minus.iter().any(|m| m == f.name()))
                });
                fields.extend(fresh.cloned().map(Arc::new));
                Arc::new(Schema::new(Fields::from(fields)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
