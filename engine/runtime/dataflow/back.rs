//! Rows that come over a cycle: those that were under way when an earlier life was committed arrive in the first epoch of this
//! one, and of those that name devices to be forgotten only the identity goes on.

use std::sync::Arc;

use headwater_contract::{Result, StageError, identity};
use timely::container::NoopBuilder;
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::Rows;
use crate::commit;
use crate::instance::Failure;
use crate::parcel::Parcels;
use crate::run::Shared;

/// The rows of a cycle, after those that an earlier life left under way.
pub(super) fn with_restored<'s>(
    scope: Scope<'s, u64>,
    shared: &Arc<Shared>,
    rows: Rows<'s>,
    edge: &str,
) -> Rows<'s> {
    let Some(left) = shared.restored.back(edge) else { return rows };
    let mut parcels = Parcels::default();
    left.iter().for_each(|batch| parcels.push(batch.clone()));
    let first = shared.restored.first_epoch().0;
    let mut builder = OperatorBuilder::new("under way".into(), scope);
    let (output, restored) = builder.new_output::<Parcels>();
    let home = scope.worker().index() == 0;
    builder.build(move |capabilities| {
        let mut right = capabilities.into_iter().next().filter(|_| home);
        let mut output = OutputBuilder::<u64, NoopBuilder<Parcels>>::from(output);
        move |_| {
            if let Some(right) = right.take() {
                let right = right.delayed(&first);
                output.activate().session_with_builder(&right).give_container(&mut parcels);
            }
        }
    });
    rows.concat(restored)
}

/// Rows with their identity alone.
pub(super) fn identities<'s>(scope: Scope<'s, u64>, shared: &Arc<Shared>, rows: Rows<'s>) -> Rows<'s> {
    let mut builder = OperatorBuilder::new("identities".into(), scope);
    let mut input = builder.new_input(rows, Pipeline);
    let (output, named) = builder.new_output::<Parcels>();
    let mut output = OutputBuilder::<u64, NoopBuilder<Parcels>>::from(output);
    let shared = shared.clone();
    builder.build(move |capabilities| {
        drop(capabilities);
        move |_| {
            input.for_each(|capability, parcels| match without_columns(parcels) {
                Ok(mut named) => {
                    output.activate().session_with_builder(&capability).give_container(&mut named);
                }
                Err(error) => shared.fail(Failure::new(commit::FORGET, error.to_string())),
            });
        }
    });
    named
}

fn without_columns(parcels: &mut Parcels) -> Result<Parcels> {
    let mut named = Parcels::default();
    let broken = |_| StageError::new("a batch from another worker could not be read");
    for batch in parcels.open().map_err(broken)? {
        let fields = identity::fields();
        let places = fields.iter().map(|field| batch.schema().index_of(field.name()));
        let places = places.collect::<std::result::Result<Vec<usize>, _>>()?;
        named.push(batch.project(&places)?);
    }
    Ok(named)
}
