//! Devices to forget: those whose consent is withdrawn, where the members say that these are.
//!
//! In: facts, and the epoch from which they hold. Out: a row for each such device, for the inputs that take names of devices to
//! forget; each is written down before it is sent. It must not know what a stage does with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use headwater_contract::Result;

use super::{CONSENTS, Fact, word_of};
use crate::commit;
use crate::exchange::ExchangeBatch;
use crate::run::Shared;

/// Devices whose consent these facts withdraw.
pub(super) fn of(facts: &[Fact]) -> BTreeSet<&str> {
    let no = word_of(false);
    let withdrawn =
        facts.iter().filter(|((_, cell), word, _)| *cell == CONSENTS && word.as_ref() == Some(&no));
    withdrawn.map(|((device, _), ..)| device.as_str()).collect()
}

/// Rows that name the devices, sent in an epoch; none where the members say that no device is forgotten.
///
/// # Errors
/// It could not be written down.
pub(super) fn named<'d>(
    shared: &Arc<Shared>,
    devices: impl IntoIterator<Item = &'d str>,
    epoch: u64,
) -> Result<ExchangeBatch> {
    let mut exchanged = ExchangeBatch::default();
    if !shared.plan.members.as_ref().is_some_and(|members| members.forget) {
        return Ok(exchanged);
    }
    for device in devices {
        if let Some(write_down) = &shared.options.before_forgetting {
            write_down(device)?;
        }
        tracing::info!(device, epoch, "consent is withdrawn: what the device gave is forgotten");
        exchanged.push(commit::named(device, epoch)?);
    }
    Ok(exchanged)
}
