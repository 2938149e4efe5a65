//! A part of a plan: the stages between outputs that are fed with given rows and places that are tapped.
//!
//! In: a plan, rows for some outputs, places. Out: a plan of the stages that are needed, behind sources of those rows, which
//! end as a pipeline does, and the ports to tap. It must not know where the rows come from or the clients.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use headwater_contract::{
    Boundedness, ConfigError, Feed, HostEnv, Label, OptionSpec, Options, PlannedSource, Position, Result,
    Role, Signature, Source, SourceConfig, SourceContext, StageFactory,
};

use crate::membership::members::Members;
use crate::plan::{OutPort, Plan, PlanOutput, PlanStage, PortRef, RejectedTo, Tier};

/// Rows that are there already, as a source. It has no options: no file can name it.
#[derive(Clone)]
struct FixedRows {
    rows: Vec<RecordBatch>,
}

impl Options for FixedRows {
    fn about() -> &'static str {
        "Rows that are there already."
    }
    fn specs() -> Vec<OptionSpec> {
        Vec::new()
    }
    fn from_table(_: &toml::Table) -> std::result::Result<Self, Vec<ConfigError>> {
        Ok(FixedRows { rows: Vec::new() })
    }
}

impl SourceConfig for FixedRows {
    const KIND: &'static str = "given";
    fn signature(&self) -> Signature {
        Signature::source([])
    }
    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }
    fn open(&self, _: SourceContext<'_>) -> Result<impl Source> {
        Ok(self.clone())
    }
}

impl Source for FixedRows {
    fn run(self: Box<Self>, mut feed: Feed<'_>) -> Result {
        self.rows.into_iter().try_for_each(|batch| feed.send(batch, Position::default()))
    }
}

impl PlannedSource for FixedRows {
    fn signature(&self) -> Signature {
        SourceConfig::signature(self)
    }
    fn boundedness(&self) -> Boundedness {
        SourceConfig::boundedness(self)
    }
    fn validate(&self) -> Vec<ConfigError> {
        Vec::new()
    }
    fn ready(&self, _: &HostEnv) -> Result {
        Ok(())
    }
    fn open(&self, _: SourceContext<'_>) -> Result<Box<dyn Source>> {
        Ok(Box::new(self.clone()))
    }
}

/// A source of rows that are there already.
pub(crate) fn given(id: &str, rows: Vec<RecordBatch>, schema: SchemaRef, label: Label) -> PlanStage {
    let source = FixedRows { rows };
    PlanStage {
        id: id.to_owned(),
        kind: StageFactory::source::<FixedRows>(),
        signature: SourceConfig::signature(&source),
        role: Role::Source(Box::new(source)),
        tier: Tier::Gateway,
        inputs: Vec::new(),
        rejected: Signature::rejected(std::slice::from_ref(&schema)),
        outputs: vec![PlanOutput { name: "out".into(), schema, label, read: true }],
        rejected_to: RejectedTo::Drop,
        options: toml::Table::new(),
    }
}

/// A place to tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The rows that leave by a port.
    Port(PortRef),
    /// The rows that reach the first input of the stage of that index.
    Arrivals(usize),
}

impl Place {
    /// The ports whose rows are seen there.
    pub fn ports(self, plan: &Plan) -> Vec<PortRef> {
        match self {
            Place::Port(port) => vec![port],
            Place::Arrivals(stage) => {
                let input = plan.stages.get(stage).and_then(|stage| stage.inputs.first());
                input.map(|input| input.from.clone()).unwrap_or_default()
            }
        }
    }
}

/// Rows in the place of a port.
pub struct PortRows {
    /// The port.
    pub port: PortRef,
    /// The rows.
    pub rows: Vec<RecordBatch>,
}

/// The stages that lead to some ports: those themselves, and all that they hang on, up to what is fed.
pub fn needed(plan: &Plan, fed: &[PortRef], ports: &[PortRef]) -> BTreeSet<usize> {
    let mut needed = BTreeSet::new();
    let mut open: Vec<usize> =
        ports.iter().filter(|port| !fed.contains(port)).map(|port| port.stage).collect();
    while let Some(at) = open.pop() {
        let Some(stage) = plan.stages.get(at).filter(|_| needed.insert(at)) else { continue };
        let inputs = stage.inputs.iter().zip(&stage.signature.inputs).filter(|(_, input)| !input.feedback);
        let from = inputs.flat_map(|(input, _)| &input.from).filter(|port| !fed.contains(port));
        open.extend(from.map(|port| port.stage));
    }
    needed
}

/// The part of a plan that leads from what is fed to some ports; and, by the ports of the whole plan, where they are in the part.
pub fn slice(
    plan: Plan,
    fed: Vec<PortRows>,
    ports: &[PortRef],
) -> (Plan, BTreeMap<PortRef, (String, OutPort)>) {
    let fed_ports: Vec<PortRef> = fed.iter().map(|fed| fed.port).collect();
    let needed = needed(&plan, &fed_ports, ports);
    let mut places: BTreeMap<PortRef, PortRef> = BTreeMap::new();
    let mut stages = Vec::new();
    for PortRows { port, rows } in fed {
        let Some((schema, label)) = plan.rows_of(port) else { continue };
        places.insert(port, PortRef { stage: stages.len(), port: OutPort::Out(0) });
        // Under the name of the port: of a stage with several, more than one may be fed.
        stages.push(given(&plan.port_name(port), rows, schema, label));
    }
    for (stage, at) in needed.iter().zip(stages.len()..) {
        let outputs = plan.stages.get(*stage).map_or(0, |stage| stage.outputs.len());
        for port in (0..outputs).map(OutPort::Out).chain([OutPort::Rejected]) {
            places.entry(PortRef { stage: *stage, port }).or_insert(PortRef { stage: at, port });
        }
    }
    let moved =
        |from: &[PortRef]| from.iter().filter_map(|port| places.get(port).copied()).collect::<Vec<_>>();
    let members = plan.members.map(|members| {
        let changes = members.changes.and_then(|port| moved(&[port]).into_iter().next());
        Members { changes, ..members }
    });
    for (_, mut stage) in plan.stages.into_iter().enumerate().filter(|(at, _)| needed.contains(at)) {
        stage.inputs.iter_mut().for_each(|input| input.from = moved(&input.from));
        stages.push(stage);
    }
    let changes = members.as_ref().and_then(|members| members.changes);
    let read: BTreeSet<PortRef> = stages
        .iter()
        .flat_map(|stage| &stage.inputs)
        .flat_map(|input| &input.from)
        .copied()
        .chain(changes)
        .collect();
    for (at, stage) in stages.iter_mut().enumerate() {
        for (port, output) in stage.outputs.iter_mut().enumerate() {
            output.read = read.contains(&PortRef { stage: at, port: OutPort::Out(port) });
        }
        if !read.contains(&PortRef { stage: at, port: OutPort::Rejected })
            && stage.rejected_to == RejectedTo::Readers
        {
            stage.rejected_to = RejectedTo::Quarantine;
        }
    }
    let name_of = |place: PortRef| Some((stages.get(place.stage)?.id.clone(), place.port));
    let looked = ports.iter().filter_map(|port| Some((*port, name_of(*places.get(port)?)?))).collect();
    (Plan { members, record: Vec::new(), stages, ..plan }, looked)
}
