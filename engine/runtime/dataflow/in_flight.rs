//! Rows that come over a cycle: those that were under way when an earlier attempt was committed arrive in the first epoch of this
//! one, and of those that name devices to be forgotten only the identity continues.

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
use crate::exchange::ExchangeBatch;
use crate::instance::Failure;
use crate::run::Shared;

/// The rows of a cycle, after those that an earlier attempt left under way.
pub(super) fn with_restored<'s>(
    scope: Scope<'s, u64>,
    shared: &Arc<Shared>,
    rows: Rows<'s>,
    edge: &str,
) -> Rows<'s> {
    let Some(left) = shared.restored.back(edge) else { return rows };
    let mut exchanged = ExchangeBatch::default();
    left.iter().for_each(|batch| exchanged.push(batch.clone()));
    let first = shared.restored.first_epoch().0;
    let mut builder = OperatorBuilder::new("under way".into(), scope);
    let (output, restored) = builder.new_output::<ExchangeBatch>();
    let is_coordinator = scope.worker().index() == 0;
    builder.build(move |capabilities| {
        let mut capability = capabilities.into_iter().next().filter(|_| is_coordinator);
        let mut output = OutputBuilder::<u64, NoopBuilder<ExchangeBatch>>::from(output);
        move |_| {
            if let Some(capability) = capability.take() {
                let capability = capability.delayed(&first);
                output.activate().session_with_builder(&capability).give_container(&mut exchanged);
            }
        }
    });
    rows.concat(restored)
}

/// Rows with their identity alone.
pub(super) fn identities<'s>(scope: Scope<'s, u64>, shared: &Arc<Shared>, rows: Rows<'s>) -> Rows<'s> {
    let mut builder = OperatorBuilder::new("identities".into(), scope);
    let mut input = builder.new_input(rows, Pipeline);
    let (output, named) = builder.new_output::<ExchangeBatch>();
    let mut output = OutputBuilder::<u64, NoopBuilder<ExchangeBatch>>::from(output);
    let shared = shared.clone();
    builder.build(move |capabilities| {
        drop(capabilities);
        move |_| {
            input.for_each(|capability, exchanged| match without_columns(exchanged) {
                Ok(mut named) => {
                    output.activate().session_with_builder(&capability).give_container(&mut named);
                }
                Err(error) => shared.fail(Failure::new(commit::FORGET, error.to_string())),
            });
        }
    });
    named
}

fn without_columns(exchanged: &mut ExchangeBatch) -> Result<ExchangeBatch> {
    let mut named = ExchangeBatch::default();
    let broken = |_| StageError::new("a batch from another worker could not be read");
    for batch in exchanged.open().map_err(broken)? {
        let fields = identity::fields();
        let places = fields.iter().map(|field| batch.schema().index_of(field.name()));
        let places = places.collect::<std::result::Result<Vec<usize>, _>>()?;
        named.push(batch.project(&places)?);
    }
    Ok(named)
}
