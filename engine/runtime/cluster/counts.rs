//! Counters of a process on their way to the coordinator.
//!
//! In: counts, or bytes. Out: bytes, or counts; and the sum over processes.

use std::borrow::Cow;
use std::time::Duration;

use super::wire::{Fields, put_len, put_text, put_u64};
use crate::metrics::{Counts, StageCounts};

impl Counts {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.stages.len());
        for stage in &self.stages {
            let cpu = u64::try_from(stage.cpu.as_nanos()).unwrap_or(u64::MAX);
            for number in [stage.rows_in, stage.rows_out, stage.rejected, cpu, stage.queued, stage.held] {
                put_u64(out, number);
            }
            put_len(out, stage.metrics.len());
            for (name, n) in &stage.metrics {
                put_text(out, name);
                put_u64(out, *n);
            }
        }
    }

    /// Epochs are counted on the coordinator alone: none come with it.
    pub(super) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let stages = fields.list(|fields| {
            Some(StageCounts {
                rows_in: fields.u64()?,
                rows_out: fields.u64()?,
                rejected: fields.u64()?,
                cpu: Duration::from_nanos(fields.u64()?),
                queued: fields.u64()?,
                held: fields.u64()?,
                metrics: fields
                    .list(|fields| Some((Cow::Owned(fields.text()?.to_owned()), fields.u64()?)))?
                    .into_iter()
                    .collect(),
            })
        })?;
        Some(Counts { stages, ..Counts::default() })
    }
}
