//! Rows that were under way over a cycle when an earlier life was committed: they arrive in the first epoch of this one.

use std::sync::Arc;

use timely::container::NoopBuilder;
use timely::dataflow::Scope;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::Rows;
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
