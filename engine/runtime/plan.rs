//! A plan: a pipeline that is known to be right, in the order in which it is wired.
//!
//! In: what [`crate::check`] found in a pipeline file. Out: for every stage its role, the columns and label of each port,
//! who reads whom. A `Plan` cannot be invalid: only the check makes one. It must not know timely.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Fields, Schema, SchemaRef};
use headwater_contract::units::Bytes;
use headwater_contract::{Label, Role, Routing, Signature, StageFactory};

use crate::commit::CommitRule;
use crate::membership::members::{Asks, Members};

/// The rule by which the intake closes epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochRule {
    /// After this many rows.
    Rows(u64),
    /// After this much captured time (recorded input) or elapsed time (live input).
    Every(Duration),
}

/// When the intake ends a round: at the end of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundRule {
    /// After this many epochs.
    Epochs(u64),
    /// When this many rows have come since the last one.
    Rows(u64),
    /// When the watermark has passed the next multiple of this much captured time.
    Every(Duration),
}

/// Where a stage belongs. In this version a check, not a placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// The thing that captures.
    Device,
    /// The machine beside the devices.
    Gateway,
    /// A site or a region of gateways.
    Region,
    /// Everything.
    Global,
}

impl Tier {
    /// All tiers, from the device up.
    pub const ALL: [Tier; 4] = [Tier::Device, Tier::Gateway, Tier::Region, Tier::Global];

    /// The tier's word.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Device => "device",
            Tier::Gateway => "gateway",
            Tier::Region => "region",
            Tier::Global => "global",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An output of a stage: a numbered port, or the one that rejected rows leave by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutPort {
    /// The port of that index in the signature.
    Out(usize),
    /// The `rejected` port.
    Rejected,
}

/// An output of a stage of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRef {
    /// Index of the stage in [`Plan::stages`].
    pub stage: usize,
    /// Which of its outputs.
    pub port: OutPort,
}

/// The destination of the rows that a stage rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectedTo {
    /// Some stage reads the `rejected` port.
    Readers,
    /// No stage reads it: they go to the encrypted quarantine.
    Quarantine,
    /// The file says `rejected = "drop"`.
    Drop,
}

/// One input port of a planned stage.
#[derive(Clone, Debug)]
pub struct PlanInput {
    /// The port's name.
    pub name: String,
    /// The outputs whose union it reads; none for a feedback input that no stage feeds.
    pub from: Vec<PortRef>,
    /// The columns that arrive, those that are joined from `[members]` last.
    pub schema: SchemaRef,
    /// The label of what arrives.
    pub label: Label,
    /// The columns that it asks of `[members]`, if it does.
    pub asks: Option<Asks>,
}

/// One output port of a planned stage.
#[derive(Clone, Debug)]
pub struct PlanOutput {
    /// The port's name.
    pub name: String,
    /// The columns that leave.
    pub schema: SchemaRef,
    /// Their label.
    pub label: Label,
    /// True if any stage reads it.
    pub read: bool,
}

/// One stage, ready to be built.
pub struct PlanStage {
    /// The id in the file.
    pub id: String,
    /// Its kind.
    pub kind: StageFactory,
    /// The options, read.
    pub role: Role,
    /// Returns its inputs and outputs.
    pub signature: Signature,
    /// Where it belongs.
    pub tier: Tier,
    /// Its inputs, in the order of the signature.
    pub inputs: Vec<PlanInput>,
    /// Its outputs, in the order of the signature.
    pub outputs: Vec<PlanOutput>,
    /// The columns of its `rejected` port.
    pub rejected: SchemaRef,
    /// Where its rejected rows go.
    pub rejected_to: RejectedTo,
    /// The options as given, with params put in.
    pub options: toml::Table,
}

impl PlanInput {
    /// The columns that the outputs it reads give: without those that are joined on the way.
    pub fn given(&self) -> SchemaRef {
        let joined = self.asks.as_ref().map_or(0, |asks| asks.columns.len());
        let own = self.schema.fields().len().saturating_sub(joined);
        if joined == 0 {
            return self.schema.clone();
        }
        Arc::new(Schema::new(self.schema.fields().iter().take(own).cloned().collect::<Fields>()))
    }
}

impl PlanStage {
    /// Returns true if it is a source that continues until it is stopped.
    pub fn is_endless(&self) -> bool {
        matches!(&self.role, Role::Source(source) if source.boundedness().is_endless())
    }

    /// Returns true if it gives rows to the intake.
    pub fn is_source(&self) -> bool {
        matches!(self.role, Role::Source(_))
    }

    /// Returns true if no other stage reads any of its outputs: the pipeline ends here.
    pub fn is_sink(&self) -> bool {
        !self.signature.inputs.is_empty() && self.outputs.iter().all(|o| !o.read)
    }

    /// Returns true if it runs on the coordinator and nowhere else: a source, and what all rows are gathered for.
    pub fn runs_on_coordinator_only(&self) -> bool {
        let inputs = &self.signature.inputs;
        inputs.is_empty() || inputs.iter().any(|input| input.routing == Routing::Gather)
    }

    /// The most private label of its inputs; raw for a source.
    pub fn input_label(&self) -> Label {
        self.inputs.iter().map(|i| i.label).max().unwrap_or(Label::Raw)
    }
}

/// A pipeline that is known to be right.
pub struct Plan {
    /// The pipeline's name.
    pub name: String,
    /// The rule by which epochs are closed.
    pub epoch: EpochRule,
    /// When rounds end; nothing: with the input alone.
    pub round: Option<RoundRule>,
    /// Rounds that are ended after the end of input, so that what delays rounds can give its last results.
    pub flush: u32,
    /// An epoch is closed before it holds more than this.
    pub epoch_bytes: Bytes,
    /// Epochs in flight.
    pub window: u64,
    /// When epochs are committed.
    pub commit: CommitRule,
    /// The members whose rows are taken, if the file names them.
    pub members: Option<Members>,
    /// The ports whose rows are recorded, if any are.
    pub record: Vec<PortRef>,
    /// The stages, every one after those it reads.
    pub stages: Vec<PlanStage>,
}

impl Plan {
    /// The stage of that id.
    pub fn stage(&self, id: &str) -> Option<&PlanStage> {
        self.stages.iter().find(|stage| stage.id == id)
    }

    /// The longest time for which a stage may hold a row back; nothing where none does.
    pub fn hold(&self) -> Option<Duration> {
        self.stages.iter().filter_map(|stage| stage.signature.hold).max()
    }

    /// Its sources, in the order in which they are opened.
    pub fn source_stages(&self) -> impl Iterator<Item = &PlanStage> {
        self.stages.iter().filter(|stage| stage.is_source())
    }

    /// Returns true if some source continues until it is stopped.
    pub fn is_endless(&self) -> bool {
        self.source_stages().any(PlanStage::is_endless)
    }

    /// The first output of every source.
    pub fn sources(&self) -> Vec<PortRef> {
        let sources = self.stages.iter().enumerate().filter(|(_, stage)| stage.is_source());
        sources.map(|(stage, _)| PortRef { stage, port: OutPort::Out(0) }).collect()
    }

    /// The ports of a recording of this plan, by number: those that are recorded, then what recorded sources reject.
    pub fn recorded(&self) -> Vec<PortRef> {
        let sources = self.sources();
        let rejected = self.record.iter().filter(|port| sources.contains(port));
        let rejected = rejected.map(|port| PortRef { port: OutPort::Rejected, ..*port });
        self.record.iter().copied().chain(rejected).collect()
    }

    /// Returns true if a stage's output leaves it: a stage reads it, or it is recorded.
    pub fn leaves(&self, stage: usize, port: usize) -> bool {
        let output = self.stages.get(stage).and_then(|stage| stage.outputs.get(port));
        let at = PortRef { stage, port: OutPort::Out(port) };
        output.is_some_and(|output| output.read) || self.record.contains(&at)
    }

    /// The full name of a port: `talk.out`.
    pub fn full_name(&self, at: PortRef) -> String {
        let Some(stage) = self.stages.get(at.stage) else { return String::new() };
        match at.port {
            OutPort::Out(port) => {
                format!("{}.{}", stage.id, stage.outputs.get(port).map_or("?", |o| o.name.as_str()))
            }
            OutPort::Rejected => format!("{}.rejected", stage.id),
        }
    }

    /// The port of that name: `talk.out`, `asr.rejected`; `talk` for its first output.
    pub fn port(&self, name: &str) -> Option<PortRef> {
        let (id, port) = name.split_once('.').map_or((name, None), |(id, port)| (id, Some(port)));
        let at = self.stages.iter().position(|stage| stage.id == id)?;
        let stage = self.stages.get(at)?;
        let port = match port {
            None => OutPort::Out(stage.outputs.first().map(|_| 0)?),
            Some(headwater_contract::signature::REJECTED) => OutPort::Rejected,
            Some(name) => OutPort::Out(stage.outputs.iter().position(|output| output.name == name)?),
        };
        Some(PortRef { stage: at, port })
    }

    /// Columns and label of a port.
    pub fn rows_of(&self, at: PortRef) -> Option<(SchemaRef, Label)> {
        let stage = self.stages.get(at.stage)?;
        match at.port {
            OutPort::Out(port) => stage.outputs.get(port).map(|output| (output.schema.clone(), output.label)),
            OutPort::Rejected => Some((stage.rejected.clone(), stage.input_label())),
        }
    }

    /// Returns the name of a port in a pipeline file: `asr`, `asr.rejected`.
    pub fn port_name(&self, at: PortRef) -> String {
        let Some(stage) = self.stages.get(at.stage) else { return String::new() };
        match at.port {
            OutPort::Out(0) => stage.id.clone(),
            OutPort::Out(port) => {
                format!("{}.{}", stage.id, stage.outputs.get(port).map_or("?", |o| o.name.as_str()))
            }
            OutPort::Rejected => format!("{}.rejected", stage.id),
        }
    }
}
