//! Rejected rows that no stage reads: the coordinator keeps them, and an epoch ends only when they are durable.

use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use headwater_contract::columns::text_column;
use headwater_contract::signature::REJECTED_BY;
use headwater_contract::{Routing, StageError};
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::Rows;
use super::stage::Route;
use crate::exchange::ExchangeBatch;
use crate::instance::Failure;
use crate::run::{Quarantine, Shared};

/// Keeps the rejected rows of all stages; gives the frontier up to which they are durable.
pub(super) fn wire<'s>(scope: Scope<'s, u64>, shared: &Arc<Shared>, rejected: Vec<Rows<'s>>) -> Rows<'s> {
    let mut builder = OperatorBuilder::new("quarantine".into(), scope);
    let mut inputs: Vec<_> =
        rejected.into_iter().map(|rows| builder.new_input(rows, Route(Routing::Gather))).collect();
    let (_output, end) = builder.new_output::<ExchangeBatch>();
    let shared = shared.clone();
    builder.build(move |capabilities| {
        drop(capabilities);
        move |_| {
            let batches = inputs.iter_mut().flat_map(|input| {
                let mut batches = Vec::new();
                input.for_each(|_, exchanged| batches.extend(exchanged.open().unwrap_or_default()));
                batches
            });
            // The frontier passes this operator only after it returns: by then the rows are durable.
            if let Err(failure) = keep(&shared, batches) {
                shared.fail(failure);
            }
        }
    });
    end
}

/// Keeps batches of rejected rows, each of one stage, and makes them durable.
fn keep(shared: &Shared, batches: impl Iterator<Item = RecordBatch>) -> Result<(), Failure> {
    let Some(quarantine) = &shared.options.quarantine else {
        batches.for_each(drop);
        return Ok(());
    };
    let mut by = None;
    for batch in batches {
        let stage = text_column(&batch, REJECTED_BY).ok().and_then(|by| by.iter().flatten().next());
        let stage = by.insert(stage.unwrap_or_default().to_owned());
        report(stage, quarantine, |kept| kept.keep(stage, &batch))?;
    }
    by.map_or(Ok(()), |stage| report(&stage, quarantine, |kept| kept.sync()))
}

fn report(
    stage: &str,
    quarantine: &Mutex<dyn Quarantine>,
    work: impl FnOnce(&mut dyn Quarantine) -> Result<(), StageError>,
) -> Result<(), Failure> {
    let done = match quarantine.lock() {
        Ok(mut quarantine) => work(&mut *quarantine),
        Err(_) => Err(StageError::new("a thread died while it held the quarantine")),
    };
    done.map_err(|e| Failure::new(stage, format!("quarantine: {e}")).because(&e))
}
