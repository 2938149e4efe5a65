//! A second try: a plan that begins at one stage, fed with rows that it rejected.
//!
//! In: a plan, a stage's id, rows with the columns that its first input is given: joins are done again. Out: a plan of that stage and all
//! that reads it, behind a source of those rows. It must not know where the rows were kept.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use crate::membership::members::Members;
use crate::plan::{OutPort, Plan, PlanInput, PortRef};
use crate::slice;

/// The id of the source of rows that were rejected.
const REJECTED_ROWS: &str = "set_aside";

/// The plan of a second try; nothing when the plan has no such stage, or one without input.
pub fn plan_for(plan: Plan, id: &str, rows: Vec<RecordBatch>) -> Option<Plan> {
    let at = plan.stages.iter().position(|s| s.id == id)?;
    let (schema, label) = plan.stages.get(at)?.inputs.first().map(|i| (i.given(), i.label))?;
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    let mut stages = vec![slice::given(REJECTED_ROWS, rows, schema, label)];
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
    Some(Plan { members, record: Vec::new(), stages, ..plan })
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
