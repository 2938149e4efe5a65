//! Columns, labels and tiers of every port, followed from the sources down.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use headwater_contract::{Input, Label, Signature, StageFactory};

use super::column;
use super::draft::{Draft, Read};
use super::members::MembersDraft;
use super::tier::{Crossing, Reach};
use crate::diagnostic::Diagnostic;
use crate::membership::members::Asks;
use crate::plan::{OutPort, Tier};

/// The known ports of a stage; nothing where a mistake further up hides them.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    pub(super) inputs: Vec<Option<SchemaRef>>,
    pub(super) input_labels: Vec<Option<Label>>,
    pub(super) outputs: Option<Vec<SchemaRef>>,
    pub(super) output_labels: Option<Vec<Label>>,
    pub(super) rejected: Option<SchemaRef>,
    pub(super) rejected_label: Option<Label>,
    pub(super) tier: Option<Tier>,
    /// By input: what it asks of the members. Their columns are the last of the input's.
    pub(super) asks: Vec<Option<Asks>>,
}

impl Flow {
    pub(super) fn schema(&self, port: OutPort) -> Option<&SchemaRef> {
        match port {
            OutPort::Rejected => self.rejected.as_ref(),
            OutPort::Out(at) => self.outputs.as_ref()?.get(at),
        }
    }

    fn label(&self, port: OutPort) -> Option<Label> {
        match port {
            OutPort::Rejected => self.rejected_label,
            OutPort::Out(at) => self.output_labels.as_ref()?.get(at).copied(),
        }
    }
}

/// Follows the rows through the stages, in an order in which each comes after those it reads.
pub(super) fn follow(
    drafts: &[Draft<'_>],
    order: &[usize],
    kinds: &[StageFactory],
    (reach, members): (Reach, Option<&MembersDraft>),
) -> (Vec<Flow>, Vec<Diagnostic>) {
    let mut walk =
        Walk { drafts, kinds, reach, members, flows: vec![Flow::default(); drafts.len()], found: Vec::new() };
    for stage in order {
        walk.stage(*stage);
    }
    for stage in order {
        walk.feedback(*stage);
    }
    walk.changes();
    (walk.flows, walk.found)
}

struct Walk<'a, 'p> {
    drafts: &'a [Draft<'p>],
    kinds: &'a [StageFactory],
    reach: Reach,
    members: Option<&'a MembersDraft>,
    flows: Vec<Flow>,
    found: Vec<Diagnostic>,
}

impl Walk<'_, '_> {
    fn stage(&mut self, at: usize) {
        let Some(draft) = self.drafts.get(at) else { return };
        let mut flow = Flow { tier: self.tier(draft), ..Flow::default() };
        if let Some(signature) = &draft.signature {
            for (at, input) in signature.inputs.iter().enumerate() {
                // What comes back is not known yet: it must give what is needed, and be no more private than the rest.
                let known = if input.feedback { Some(input.needed()) } else { self.union(draft, at) };
                let asks = self.members.zip(known.as_ref()).and_then(|(m, known)| m.asks(at, input, known));
                let known = known.map(|known| self.joined(known, asks.as_ref()));
                flow.asks.push(asks);
                let label = if input.feedback { Some(Label::Public) } else { self.most_private(draft, at) };
                flow.inputs.push(known);
                flow.input_labels.push(label);
            }
            self.give(at, draft, signature, &mut flow);
        }
        self.crossings(draft, &flow, false);
        if let Some(slot) = self.flows.get_mut(at) {
            *slot = flow;
        }
    }

    /// Checks what comes back to a stage: its columns and label, now that all others are known.
    fn feedback(&mut self, at: usize) {
        let Some(draft) = self.drafts.get(at) else { return };
        let Some(signature) = &draft.signature else { return };
        for (port, input) in signature.inputs.iter().enumerate().filter(|(_, input)| input.feedback) {
            if Self::reads(draft, port).next().is_none() {
                continue;
            }
            let (schema, label) = (self.union(draft, port), self.most_private(draft, port));
            self.fits(at, draft, port, input, schema.as_ref());
            let others =
                self.flows.get(at).and_then(|flow| flow.input_labels.iter().copied().flatten().max());
            if let (Some(label), Some(others)) = (label, others)
                && label > others
                && let Some(read) = Self::reads(draft, port).next()
            {
                let what = format!("{label} rows come back to a stage of {others} ones");
                let error = Diagnostic::at("H0401", what, &read.span);
                self.found.push(error.expected(format!("rows that are {others} or less private")));
            }
            if let Some(flow) = self.flows.get(at).cloned() {
                self.crossings(draft, &flow, true);
            }
            let Some(flow) = self.flows.get_mut(at) else { continue };
            // Of rows that ask to forget, the identity alone continues.
            if let (Some(slot), Some(schema), false) = (flow.inputs.get_mut(port), schema, input.forgets()) {
                *slot = Some(schema);
            }
            if let (Some(slot), Some(label)) = (flow.input_labels.get_mut(port), label) {
                *slot = Some(label);
            }
        }
    }

    /// The columns of an input together with those that are joined.
    fn joined(&self, given: SchemaRef, asks: Option<&Asks>) -> SchemaRef {
        let Some((asks, members)) = asks.zip(self.members).filter(|(asks, _)| !asks.columns.is_empty())
        else {
            return given;
        };
        let columns = asks.columns.iter().filter_map(|at| members.columns.get(*at));
        let joined = columns.map(|name| Arc::new(Field::new(name, DataType::Utf8, false)));
        Arc::new(Schema::new(given.fields().iter().cloned().chain(joined).collect::<Fields>()))
    }

    /// Checks what changes the members: its columns, and whether they may go where they are joined.
    fn changes(&mut self) {
        let Some((members, read)) = self.members.and_then(|m| Some((m, m.changes.as_ref()?))) else { return };
        let (Some(upstream), Some(port)) = (self.drafts.get(read.stage), read.port) else { return };
        let Some(above) = self.flows.get(read.stage) else { return };
        let (Some(schema), Some(label), Some(from)) = (above.schema(port), above.label(port), above.tier)
        else {
            return;
        };
        let name = upstream.port_name(port);
        if let Some(error) = members.misfit(&name, schema) {
            self.found.push(error);
            return;
        }
        for (draft, flow) in self.drafts.iter().zip(&self.flows) {
            for (input, asks) in flow.asks.iter().enumerate() {
                let (Some(asks), Some(Some(to))) = (asks, flow.input_labels.get(input)) else { continue };
                let lifted = members.lifts(asks, (label, schema), (*to, &draft.input_name(input)));
                let carried = || asks.columns.iter().filter_map(|at| members.columns.get(*at));
                let crosses = carried().any(|column| schema.field_with_name(column).is_ok());
                let tier = flow.tier.filter(|_| crosses && lifted.is_none());
                let crossing = tier.and_then(|tier| {
                    self.reach.judge(&Crossing {
                        port: &name,
                        label,
                        from,
                        to: tier,
                        reads: &read.span,
                        upstream: &upstream.table.id_span,
                        tier: draft.table.tier.as_ref().map(|entry| &entry.node.span),
                    })
                });
                // Two inputs of one stage may say the same.
                let new = lifted.into_iter().chain(crossing).filter(|error| !self.found.contains(error));
                let new: Vec<Diagnostic> = new.collect();
                self.found.extend(new);
            }
        }
    }

    fn fits(
        &mut self,
        reader: usize,
        draft: &Draft<'_>,
        port: usize,
        input: &Input,
        schema: Option<&SchemaRef>,
    ) {
        let Some(schema) = schema else { return };
        let inputs: Vec<SchemaRef> = (0..=port).map(|_| schema.clone()).collect();
        let place = column::Place {
            drafts: self.drafts,
            flows: &self.flows,
            kinds: self.kinds,
            members: self.members,
            reader,
        };
        let misfits = input.misfits(port, schema);
        self.found.extend(misfits.iter().filter_map(|misfit| place.misfit(draft, misfit, &inputs)));
    }

    /// A stage belongs where the file says, else where the highest stage is that it reads, else at the gateway.
    fn tier(&self, draft: &Draft<'_>) -> Option<Tier> {
        if draft.tier.is_some() {
            return draft.tier;
        }
        if draft.table.from.is_none() {
            return Some(Tier::Gateway);
        }
        let tiers: Option<Vec<Tier>> = draft.needs().map(|r| self.flows.get(r.stage)?.tier).collect();
        tiers?.into_iter().max()
    }

    fn reads<'d>(draft: &'d Draft<'_>, input: usize) -> impl Iterator<Item = &'d Read> {
        draft.reads.iter().filter(move |r| r.input == input)
    }

    fn schema(&self, read: &Read) -> Option<&SchemaRef> {
        self.flows.get(read.stage)?.schema(read.port?)
    }

    /// The columns of an input: all that it reads must have the same.
    fn union(&mut self, draft: &Draft<'_>, input: usize) -> Option<SchemaRef> {
        let known: Vec<(&Read, SchemaRef)> =
            Self::reads(draft, input).filter_map(|r| Some((r, self.schema(r)?.clone()))).collect();
        let (first, schema) = known.first()?;
        let mut agree = known.len() == Self::reads(draft, input).count();
        for (other, found) in known.iter().skip(1).filter(|(_, found)| !same(found, schema)) {
            let sides = [(*first, schema), (*other, found)];
            self.found.push(column::disagreement(self.drafts, draft.input_name(input), sides));
            agree = false;
        }
        agree.then(|| schema.clone())
    }

    fn most_private(&self, draft: &Draft<'_>, input: usize) -> Option<Label> {
        let labels: Option<Vec<Label>> =
            Self::reads(draft, input).map(|r| self.flows.get(r.stage)?.label(r.port?)).collect();
        labels?.into_iter().max()
    }

    /// Returns the outputs of the stage for its inputs.
    fn give(&mut self, at: usize, draft: &Draft<'_>, signature: &Signature, flow: &mut Flow) {
        let labels: Option<Vec<Label>> = flow.input_labels.iter().copied().collect();
        flow.output_labels = labels
            .clone()
            .map(|labels| signature.outputs.iter().map(|o| o.label.apply(labels.iter().copied())).collect());
        flow.rejected_label = labels.map(|labels| labels.into_iter().max().unwrap_or(Label::Raw));
        let inputs: Option<Vec<SchemaRef>> = flow.inputs.iter().cloned().collect();
        let Some(inputs) = inputs else { return };
        flow.rejected = Some(Signature::rejected(&inputs));
        match signature.apply(&inputs) {
            Ok(outputs) => flow.outputs = Some(outputs),
            Err(misfits) => {
                let place = column::Place {
                    drafts: self.drafts,
                    flows: &self.flows,
                    kinds: self.kinds,
                    members: self.members,
                    reader: at,
                };
                self.found.extend(misfits.iter().filter_map(|misfit| place.misfit(draft, misfit, &inputs)));
            }
        }
    }

    /// Looks at every edge into a stage that crosses a tier: at those that close a cycle, or at the others.
    fn crossings(&mut self, draft: &Draft<'_>, flow: &Flow, back: bool) {
        let Some(to) = flow.tier else { return };
        let tier_span = draft.table.tier.as_ref().map(|entry| entry.node.span.clone());
        for read in draft.reads.iter().filter(|read| draft.is_feedback(read.input) == back) {
            let Some(upstream) = self.drafts.get(read.stage) else { continue };
            let (Some(port), Some(above)) = (read.port, self.flows.get(read.stage)) else { continue };
            let (Some(label), Some(from)) = (above.label(port), above.tier) else { continue };
            self.found.extend(self.reach.judge(&Crossing {
                port: &upstream.port_name(port),
                label,
                from,
                to,
                reads: &read.span,
                upstream: &upstream.table.id_span,
                tier: tier_span.as_ref(),
            }));
        }
    }
}

/// Returns true if two ports have the same columns: metadata is no part of a port's type.
fn same(a: &Schema, b: &Schema) -> bool {
    a.fields().len() == b.fields().len()
        && a.fields().iter().zip(b.fields()).all(|(a, b)| {
            a.name() == b.name() && a.data_type() == b.data_type() && a.is_nullable() == b.is_nullable()
        })
}
