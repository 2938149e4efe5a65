//! A plan out of stages that are known to be right.

use super::draft::{Draft, Read};
use super::flow::Flow;
use super::head::Head;
use super::members::MembersDraft;
use super::options;
use super::record::Record;
use super::unread::is_read;
use crate::membership::members::Members;
use crate::plan::{OutPort, Plan, PlanInput, PlanOutput, PlanStage, PortRef, RejectedTo};

/// The plan; nothing while a param hides what some stage gives.
pub(super) fn plan(
    head: Head,
    mut drafts: Vec<Draft<'_>>,
    order: &[usize],
    flows: Vec<Flow>,
    members: Option<MembersDraft>,
    record: Record,
) -> Option<Plan> {
    let roles: Vec<_> = drafts.iter_mut().map(|draft| draft.role.take()).collect();
    let mut roles: Vec<_> = roles.into_iter().collect::<Option<Vec<_>>>()?.into_iter().map(Some).collect();
    let mut stages = Vec::with_capacity(order.len());
    let changed_by = members.as_ref().and_then(|m| m.changes.as_ref());
    let changes = match changed_by {
        Some(read) => Some(place_of(read, order)?),
        None => None,
    };
    let read_by_members =
        |at: usize, port: OutPort| changed_by.is_some_and(|read| read.stage == at && read.port == Some(port));
    for at in order {
        let (draft, flow) = (drafts.get(*at)?, flows.get(*at)?);
        let signature = draft.signature.clone()?;
        let inputs = signature.inputs.iter().enumerate().map(|(input, port)| {
            Some(PlanInput {
                asks: flow.asks.get(input).cloned().flatten(),
                name: port.name.to_string(),
                from: sources(draft, input, order)?,
                schema: flow.inputs.get(input)?.clone()?,
                label: flow.input_labels.get(input).copied()??,
            })
        });
        let outputs = signature.outputs.iter().enumerate().map(|(output, port)| {
            Some(PlanOutput {
                name: port.name.to_string(),
                schema: flow.outputs.as_ref()?.get(output)?.clone(),
                label: *flow.output_labels.as_ref()?.get(output)?,
                read: is_read(&drafts, *at, OutPort::Out(output))
                    || read_by_members(*at, OutPort::Out(output)),
            })
        });
        stages.push(PlanStage {
            id: draft.id().to_owned(),
            kind: draft.kind?,
            tier: flow.tier?,
            inputs: inputs.collect::<Option<_>>()?,
            outputs: outputs.collect::<Option<_>>()?,
            rejected: flow.rejected.clone()?,
            rejected_to: if read_by_members(*at, OutPort::Rejected) {
                RejectedTo::Readers
            } else {
                rejected_to(&drafts, draft, *at)
            },
            options: options::table(&draft.table.options),
            role: roles.get_mut(*at)?.take()?,
            signature,
        });
    }
    let Head { name, epoch, round, window, commit, epoch_bytes } = head;
    let members = match members {
        Some(MembersDraft { columns, groups, given, forget, .. }) => {
            Some(Members { columns, groups, given: given?, changes, forget: forget.is_some() })
        }
        None => None,
    };
    let flush = longest_delay(&stages);
    let mut plan =
        Plan { name, epoch, round, flush, epoch_bytes, window, commit, members, record: Vec::new(), stages };
    plan.record = match record {
        Record::Nothing => Vec::new(),
        Record::Sources => plan.sources(),
        Record::Ports(reads) => reads.iter().map(|read| place_of(read, order)).collect::<Option<_>>()?,
    };
    Some(plan)
}

/// Ends of rounds between a round's last row and the last result that it leads to, on the slowest way down.
fn longest_delay(stages: &[PlanStage]) -> u32 {
    let mut delays: Vec<u32> = Vec::with_capacity(stages.len());
    for stage in stages {
        let forward = stage.inputs.iter().zip(&stage.signature.inputs).filter(|(_, port)| !port.feedback);
        let above = forward.flat_map(|(input, _)| &input.from).filter_map(|from| delays.get(from.stage));
        delays.push(above.max().copied().unwrap_or(0).saturating_add(stage.signature.round_delay));
    }
    delays.into_iter().max().unwrap_or(0)
}

/// The outputs that an input reads, by their place in the plan.
fn sources(draft: &Draft<'_>, input: usize, order: &[usize]) -> Option<Vec<PortRef>> {
    let reads = draft.reads.iter().filter(|r| r.input == input);
    reads.map(|read| place_of(read, order)).collect()
}

fn place_of(read: &Read, order: &[usize]) -> Option<PortRef> {
    let stage = order.iter().position(|at| *at == read.stage)?;
    Some(PortRef { stage, port: read.port? })
}

fn rejected_to(drafts: &[Draft<'_>], draft: &Draft<'_>, at: usize) -> RejectedTo {
    if is_read(drafts, at, OutPort::Rejected) {
        RejectedTo::Readers
    } else if draft.drops_rejected {
        RejectedTo::Drop
    } else {
        RejectedTo::Quarantine
    }
}
