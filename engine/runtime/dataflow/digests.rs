//! The digests of sinks on their way to the coordinator.
//!
//! In: the pipeline's ends and barriers. Out, at each epoch that is committed: the sums over the rows that arrived in this process up to
//! there, and were not sent yet. It holds a capability for such an epoch because of its barrier, until the epoch has taken effect
//! everywhere: by then no row of it can come any more. Of several workers of a process the first takes the sums.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use headwater_contract::StageError;
use headwater_contract::state::{Change, Owner};
use headwater_contract::units::Epoch;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::{Barriers, Rows, StateRows};
use crate::commit::{self, StateRow, Table};
use crate::instance::Failure;
use crate::run::Shared;

pub(super) fn wire<'s>(
    scope: Scope<'s, u64>,
    shared: &Arc<Shared>,
    ends: Rows<'s>,
    barriers: Barriers<'s>,
) -> StateRows<'s> {
    let mut builder = OperatorBuilder::new("digests".into(), scope);
    let mut ends = builder.new_input(ends, Pipeline);
    let mut barriers = builder.new_input(barriers, Pipeline);
    let (output, sums) = builder.new_output::<Vec<StateRow>>();
    let mut output = OutputBuilder::<u64, CapacityContainerBuilder<Vec<StateRow>>>::from(output);
    let shared = shared.clone();
    builder.build(move |capabilities| {
        drop(capabilities);
        let mut due: BTreeMap<u64, Capability<u64>> = BTreeMap::new();
        move |frontiers| {
            ends.for_each(|_, _| {});
            barriers.for_each(|capability, barriers| {
                let committed = barriers.drain(..).filter(|barrier| barrier.checkpoint);
                due.extend(committed.map(|barrier| (barrier.epoch, capability.delayed(&barrier.epoch, 0))));
            });
            let frontier = frontiers.iter().filter_map(|f| f.frontier().first().copied()).min();
            let is_complete = |epoch: &u64| frontier.is_none_or(|frontier| *epoch < frontier);
            while let Some((epoch, capability)) = due.pop_first() {
                if !is_complete(&epoch) {
                    due.insert(epoch, capability);
                    break;
                }
                match taken(&shared, Epoch(epoch)) {
                    Ok(sums) if sums.is_empty() => {}
                    Ok(mut sums) => output.activate().session(&capability).give_container(&mut sums),
                    Err(error) => shared.fail(Failure::new(commit::NAME, error.to_string())),
                }
            }
            if let Some(frontier) = frontier {
                for digest in &shared.digests {
                    digest.lock().unwrap_or_else(PoisonError::into_inner).fold_below(Epoch(frontier));
                }
            }
        }
    });
    sums
}

/// Returns the sums of what arrived in this process up to an epoch, by sink.
fn taken(shared: &Shared, epoch: Epoch) -> Result<Vec<StateRow>, StageError> {
    let mut rows = Vec::new();
    for (index, digest) in (0u64..).zip(&shared.digests) {
        let sum = digest.lock().unwrap_or_else(PoisonError::into_inner).take_up_to(epoch);
        if !sum.is_empty() {
            let row = Some((Owner::everyone(), sum.to_row()?));
            rows.push(StateRow::new(Table::Digest(index), Change { key: Vec::new(), row }));
        }
    }
    Ok(rows)
}
