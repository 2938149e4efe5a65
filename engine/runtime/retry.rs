//! A second try: a plan that begins at one stage, fed with rows that it set aside.
//!
//! In: a plan, a stage's id, rows with the columns that its first input is given: what is joined is joined anew. Out: a plan of that stage and all that reads it,
//! behind a source of those rows. It must not know where the rows were kept.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use headwater_contract::{
    Feed, Kind, Label, OptionSpec, Options, Pace, PlannedSource, Position, Result, Role, Signature, Site,
    Source, SourceConfig, SourceContext, Wrong,
};

use crate::plan::{OutPort, Plan, PlanInput, PlanOutput, PlanStage, PortRef, RejectedTo};
use crate::relations::members::Members;

/// Rows that were set aside, as a source. It has no options: no file can name it.
#[derive(Clone)]
struct SetAside {
    rows: Vec<RecordBatch>,
}

impl Options for SetAside {
    fn about() -> &'static str {
        "Rows that were set aside before."
    }
    fn specs() -> Vec<OptionSpec> {
        Vec::new()
    }
    fn from_table(_: &toml::Table) -> std::result::Result<Self, Vec<Wrong>> {
        Ok(SetAside { rows: Vec::new() })
    }
}

impl SourceConfig for SetAside {
    const KIND: &'static str = "set_aside";
    fn signature(&self) -> Signature {
        Signature::source([])
    }
    fn pace(&self) -> Pace {
        Pace::Recorded
    }
    fn open(&self, _: SourceContext<'_>) -> Result<impl Source> {
        Ok(self.clone())
    }
}

impl Source for SetAside {
    fn run(self: Box<Self>, mut feed: Feed<'_>) -> Result {
        self.rows.into_iter().try_for_each(|batch| feed.send(batch, Position::default()))
    }
}

impl PlannedSource for SetAside {
    fn signature(&self) -> Signature {
        SourceConfig::signature(self)
    }
    fn pace(&self) -> Pace {
        SourceConfig::pace(self)
    }
    fn wrongs(&self) -> Vec<Wrong> {
        Vec::new()
    }
    fn ready(&self, _: &Site) -> Result {
        Ok(())
    }
    fn open(&self, _: SourceContext<'_>) -> Result<Box<dyn Source>> {
        Ok(Box::new(self.clone()))
    }
}

/// The plan of a second try; nothing when the plan has no such stage, or one without input.
pub fn plan_for(plan: Plan, id: &str, rows: Vec<RecordBatch>) -> Option<Plan> {
    let at = plan.stages.iter().position(|s| s.id == id)?;
    let (schema, label) = plan.stages.get(at)?.inputs.first().map(|i| (i.given(), i.label))?;
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    let mut stages = vec![source(rows, schema, label)];
    for (old, mut stage) in plan.stages.into_iter().enumerate().skip(at) {
        for input in &mut stage.inputs {
            input.from = moved(&input.from, &places);
        }
        if old == at {
            feed_first(&mut stage.inputs);
        } else if stage.inputs.iter().all(|input| input.from.is_empty()) {
            continue;
        }
        places.insert(old, stages.len());
        stages.push(stage);
    }
    let members = plan.members.map(|members| {
        let changes = members.changes.and_then(|port| moved(&[port], &places).into_iter().next());
        Members { changes, ..members }
    });
    Some(Plan { members, stages, ..plan })
}

fn feed_first(inputs: &mut [PlanInput]) {
    if let Some(first) = inputs.first_mut() {
        first.from = vec![PortRef { stage: 0, port: OutPort::Out(0) }];
    }
}

fn moved(from: &[PortRef], places: &BTreeMap<usize, usize>) -> Vec<PortRef> {
    from.iter()
        .filter_map(|port| places.get(&port.stage).map(|stage| PortRef { stage: *stage, port: port.port }))
        .collect()
}

fn source(rows: Vec<RecordBatch>, schema: arrow::datatypes::SchemaRef, label: Label) -> PlanStage {
    let source = SetAside { rows };
    PlanStage {
        id: SetAside::KIND.into(),
        kind: Kind::source::<SetAside>(),
        signature: SourceConfig::signature(&source),
        role: Role::Source(Box::new(source)),
        tier: crate::plan::Tier::Gateway,
        inputs: Vec::new(),
        rejected: Signature::rejected(std::slice::from_ref(&schema)),
        outputs: vec![PlanOutput { name: "out".into(), schema, label, read: true }],
        rejected_to: RejectedTo::Drop,
        options: toml::Table::new(),
    }
}
