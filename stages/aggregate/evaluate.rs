//! Evaluations by devices on held-out text, and the verdict on the adapter that they measured.
//!
//! In: rows of one device and round each. Out: for each round a report over all devices, and a verdict. It must not know how the
//! adapter came about, nor what is done with a verdict.
//!
//! # When an adapter is judged
//!
//! Let adapter r be what the root publishes when it closes round r. All devices start round r+1 from it, and measure it on their
//! held-out text; their evaluations leave with their updates, when round r+1 is over. So at the end of one epoch the root has both,
//! and does this, in this order:
//!
//! 1. The evaluations of round r+1 judge adapter r, if it moved since the last verdict.
//! 2. Accepted: it stays. Its perplexity is `previous` from now on.
//! 3. Refused: the root goes back to before round r, with all that the rule remembers, and says so. The updates of round r+1 started
//!    from the refused adapter: they are not added, and counted as `started_from_refused`. What is published as the adapter
//!    of round r+1 is the one before r.
//! 4. Else round r+1 is closed, and adapter r+1 published.
//!
//! | end of round | judged | round closed | published | devices train next from |
//! |---|---|---|---|---|
//! | 0 | nothing yet; `previous` is that of the base | 0 | adapter 0 | adapter 0 |
//! | 1 | adapter 0: accepted | 1 | adapter 1 | adapter 1 |
//! | 2 | adapter 1: accepted | 2, poisoned | adapter 2 | adapter 2 |
//! | 3 | adapter 2: refused | none: 2 is dropped, 3 not added | adapter 1 again | adapter 1 |
//! | 4 | nothing: adapter 1 is accepted already | 4 | adapter 4 | adapter 4 |
//!
//! With fewer devices than `min_eval` nothing is judged: the adapter stays on probation, together with those built on it, and the next
//! verdict is on all of them. An adapter that was accepted is measured again after a refusal; then its new perplexity is `previous`.

use std::collections::BTreeMap;

use arrow::array::{Float64Array, UInt64Array};
use headwater_contract::columns::typed_column;
use headwater_contract::prelude::*;
use headwater_federation::aggregate::judge::{Condition, Measurement, Report};
use headwater_federation::aggregate::{OpenRounds, Round};

use super::group::{Refused, refused};
use super::saved;

const KEY: &[u8] = b"judge";

/// The verdict on an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays.
    Accepted,
    /// It goes.
    Refused,
    /// It did not move since the last verdict, or no condition was given.
    None,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Verdict::Accepted => "accepted",
            Verdict::Refused => "refused",
            Verdict::None => "none",
        }
    }
}

/// Evaluations of this epoch, and what earlier ones left.
pub(super) struct Evaluations {
    condition: Option<Condition>,
    min_eval: u64,
    open: BTreeMap<Round, BTreeMap<Box<str>, Measurement>>,
    /// Rounds before this one were reported.
    oldest: u64,
    /// Rounds before this one are settled: accepted, or dropped.
    settled: u64,
    /// Perplexity of the last accepted adapter.
    previous: Option<f64>,
    changed: bool,
}

/// The columns of an evaluation, beside the identity.
pub(super) fn columns() -> Vec<Field> {
    let nats = |name| Field::new(name, DataType::Float64, false);
    vec![uint64("round"), uint64("tokens"), nats("base"), nats("start"), nats("own")]
}

/// Reads the evaluation in a row.
pub(super) fn measured(batch: &RecordBatch, row: usize) -> Result<(Round, Measurement)> {
    let whole = |name| -> Result<u64> {
        let column: &UInt64Array = typed_column(batch, name)?;
        Ok(column.values().get(row).copied().unwrap_or_default())
    };
    let nats = |name| -> Result<f64> {
        let column: &Float64Array = typed_column(batch, name)?;
        Ok(column.values().get(row).copied().unwrap_or(f64::NAN))
    };
    let measured = Measurement {
        tokens: whole("tokens")?,
        base: nats("base")?,
        start: nats("start")?,
        own: nats("own")?,
    };
    Ok((Round(whole("round")?), measured))
}

impl Evaluations {
    /// Reads the state that an earlier attempt saved.
    pub(super) fn read(condition: Option<Condition>, min_eval: u64, table: &StateTable) -> Result<Self> {
        let mut of = Evaluations {
            condition,
            min_eval,
            open: BTreeMap::new(),
            oldest: 0,
            settled: 0,
            previous: None,
            changed: false,
        };
        if let Some(row) = table.get(KEY) {
            of.oldest = saved::number(row, "oldest")?;
            of.settled = saved::number(row, "settled")?;
            of.previous = Some(saved::float(row, "previous")?).filter(|previous| previous.is_finite());
        }
        Ok(of)
    }

    /// Takes an evaluation.
    pub(super) fn add(
        &mut self,
        device: &str,
        round: Round,
        newest: Round,
        measured: Measurement,
    ) -> std::result::Result<(), Refused> {
        OpenRounds { oldest: Round(self.oldest), newest }.check(round).map_err(refused)?;
        if !measured.is_sound() {
            let reason = "expected at least one token, and sums of nats that are finite and not negative";
            return Err(("bad_evaluation", reason.to_owned()));
        }
        let devices = self.open.entry(round).or_default();
        if devices.contains_key(device) {
            return Err((
                "duplicate",
                format!("an evaluation of this device for round {} is there", round.0),
            ));
        }
        devices.insert(device.into(), measured);
        Ok(())
    }

    /// Devices that measured in a round of this epoch.
    pub(super) fn devices(&self, round: Round) -> impl Iterator<Item = &str> {
        self.open.get(&round).into_iter().flat_map(|devices| devices.keys().map(|device| &**device))
    }

    /// The rounds of this epoch: of each a report, or how many devices were too few for one.
    pub(super) fn reports(&mut self) -> Vec<(Round, std::result::Result<Report, u64>)> {
        let open = std::mem::take(&mut self.open);
        let reports = open.into_iter().map(|(round, devices)| {
            self.oldest = self.oldest.max(round.0.saturating_add(1));
            self.changed = true;
            let count = devices.len() as u64;
            let report = Report::of(devices.into_values()).filter(|_| count >= self.min_eval);
            (round, report.ok_or(count))
        });
        reports.collect()
    }

    /// Judges the adapter with which a round started. `moved` says whether rounds that are not settled led to it.
    pub(super) fn judge(&mut self, round: Round, report: &Report, moved: bool) -> Verdict {
        let Some(condition) = self.condition else { return Verdict::None };
        self.changed = true;
        if !moved {
            self.previous = Some(report.start);
            return Verdict::None;
        }
        if condition.holds(report.start, self.previous.unwrap_or(report.base)) {
            self.previous = Some(report.start);
            self.settled = self.settled.max(round.0);
            Verdict::Accepted
        } else {
            self.settled = self.settled.max(round.0.saturating_add(1));
            Verdict::Refused
        }
    }

    /// The first round that is not settled.
    pub(super) fn first_open(&self) -> Round {
        Round(self.settled)
    }

    pub(super) fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        if !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        let row = saved::row([
            ("oldest", saved::numbers(self.oldest)),
            ("settled", saved::numbers(self.settled)),
            ("previous", saved::floats(self.previous.unwrap_or(f64::INFINITY))),
        ])?;
        state.put(Owner::everyone(), KEY, row)
    }
}
