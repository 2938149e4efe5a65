//! Compression of updates: the largest values are sent, the rest is kept for later rounds (top-k with error feedback).
//!
//! In: updates as flat lists of f32, with the lengths of their tensors; and, optionally, payloads that a reader refused. Out: the
//! same rows with a `payload` (docs/formats/payload.md) in place of the list. What is kept back of a device is state, and goes
//! when the device is forgotten. It must not know what the parameters mean, nor how updates are added up.

mod residuals;

use arrow::array::{BinaryArray, ListArray, UInt64Array};
use arrow::datatypes::{Float32Type, UInt32Type};
use headwater_contract::columns::{binary, list_items, typed_column, u32_list};
use headwater_contract::identity::IdentityColumns;
use headwater_contract::units::Bytes;
use headwater_contract::{choice, prelude::*};
use headwater_federation::compress::payload::{Layout, Values as Written, decode};
use headwater_federation::compress::residual::{Decay, Plan, ResidualError, Transmission};
use headwater_federation::compress::top_k::{Amount, ChoiceError, Density, WarmUp};

use residuals::{Residuals, Wait};

choice! {
    /// The encoding of a value.
    pub enum Values {
        /// Sign and one of 4 levels, with a scale for each tensor.
        Bits2 = "2 bits",
        /// Sign and one of 8 levels.
        Bits4 = "4 bits",
        /// Sign and one of 128 levels.
        Bits8 = "8 bits",
        /// As it is.
        Float32 = "f32",
    }
}

options! {
    /// Sends the largest values of each update and keeps the rest for later rounds.
    pub struct Compress {
        /// The share of all parameters that is sent.
        ratio: f64 = 0.01, in 0.000001 ..= 1.0;
        /// At most so many bytes an update, instead of a share.
        budget: Option<Bytes>;
        /// How a value is written.
        values: Values = Values::Bits2;
        /// What the kept values are multiplied by before a round: 1 keeps all, 0 forgets them.
        decay: f32 = 1.0, in 0.0 ..= 1.0;
        /// The share that is sent in a device's first round; a quarter of it in the next, and so on down to `ratio`.
        warm_up: Option<f64>;
    }
}

/// The kind of this stage.
pub const KIND: StageFactory = StageFactory::stage::<Compress>();

impl StageConfig for Compress {
    const KIND: &'static str = "compress";

    fn signature(&self) -> Signature {
        let sent = [binary("payload"), uint64("nonzeros"), uint64("bits")];
        let returned = Input::new("returned", [u32_list("tensors"), binary("payload")]);
        Signature::map([u32_list("tensors"), f32_list("delta")], sent)
            .minus(&["delta"])
            .routing(Routing::ByKey("device".into()))
            .input(returned.routing(Routing::ByKey("device".into())).feedback())
            .input(Input::forget(Routing::ByKey("device".into())))
            .order(Order::Sorted)
            .state(1, &[])
    }

    fn validate(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        if self.budget.is_some() && self.warm_up.is_some() {
            errors.push(
                ConfigError::new("warm_up", "a budget in bytes holds from the first round on")
                    .help("leave one of the two out"),
            );
        }
        if self.warm_up.is_some_and(|share| !(share > self.ratio && share <= 1.0)) {
            errors.push(ConfigError::new("warm_up", "expected more than `ratio`, and at most 1"));
        }
        errors
    }

    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        let never = || StageError::new("`ratio`, `warm_up` or `decay` is out of its range");
        let target = Density::new(self.ratio).ok_or_else(never)?;
        let start = Density::new(self.warm_up.unwrap_or(self.ratio)).ok_or_else(never)?;
        Ok(Compressor {
            schema: cx.output(0)?,
            warm_up: WarmUp { start, target },
            budget: self.budget,
            values: match self.values {
                Values::Bits2 => Written::Levels2,
                Values::Bits4 => Written::Bits4,
                Values::Bits8 => Written::Bits8,
                Values::Float32 => Written::Float32,
            },
            decay: Decay::new(self.decay).ok_or_else(never)?,
            waiting: Residuals::read(cx.saved)?,
        })
    }
}

struct Compressor {
    schema: SchemaRef,
    warm_up: WarmUp,
    budget: Option<Bytes>,
    values: Written,
    decay: Decay,
    waiting: Residuals,
}

/// The payloads of consecutive rows.
#[derive(Default)]
struct Payloads {
    bytes: Vec<Vec<u8>>,
    nonzeros: Vec<u64>,
    bits: Vec<u64>,
}

impl Stage for Compressor {
    fn batch(&mut self, input: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let ids = IdentityColumns::of(batch)?;
        match input {
            0 => {}
            1 => return self.take_back(batch, out),
            _ => {
                (0..ids.len()).for_each(|row| self.waiting.forget(ids.device(row)));
                return Ok(());
            }
        }
        let tensors: &ListArray = typed_column(batch, "tensors")?;
        let deltas: &ListArray = typed_column(batch, "delta")?;
        let mut run = 0..0;
        let mut sent = Payloads::default();
        for row in 0..ids.len() {
            let done = layout(tensors, row).and_then(|layout| {
                self.send(ids.device(row), &layout, &list_items::<Float32Type>(deltas, row))
            });
            match done {
                Ok(one) => {
                    out.count("nonzeros", one.nonzeros as u64);
                    out.count("clipped", one.clipped as u64);
                    out.count("payload_bytes", one.payload.len() as u64);
                    sent.add(one);
                    run.end = row + 1;
                }
                Err((code, reason)) => {
                    self.pass_on(batch, run, &mut sent, out)?;
                    run = row + 1..row + 1;
                    out.reject(input, batch, row, code, reason);
                }
            }
        }
        self.pass_on(batch, run, &mut sent, out)
    }

    fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        self.waiting.save(state)
    }
}

/// Why an update is not sent: a short stable word, and the reason.
type Refused = (&'static str, String);

impl Compressor {
    fn send(
        &mut self,
        device: &str,
        layout: &Layout,
        delta: &[f32],
    ) -> std::result::Result<Transmission, Refused> {
        let Wait { rounds, residual } = self.waiting.of(device, layout);
        let amount = match self.budget {
            Some(Bytes(budget)) => Amount::Bytes(budget),
            None => Amount::Density(self.warm_up.density(*rounds)),
        };
        let plan = Plan { amount, values: self.values, decay: self.decay };
        let sent = residual.send(delta, layout, plan).map_err(refusal)?;
        *rounds += 1;
        self.waiting.changed(device, layout);
        Ok(sent)
    }

    /// Payloads that were refused further down: their values wait again.
    fn take_back(&mut self, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let ids = IdentityColumns::of(batch)?;
        let tensors: &ListArray = typed_column(batch, "tensors")?;
        let payloads: &BinaryArray = typed_column(batch, "payload")?;
        for row in 0..ids.len() {
            let back = layout(tensors, row).and_then(|layout| {
                let broken = |e: &dyn std::fmt::Display| ("bad_payload", e.to_string());
                let update = decode(&layout, payloads.value(row)).map_err(|e| broken(&e))?;
                let waiting = &mut self.waiting.of(ids.device(row), &layout).residual;
                waiting.put_back(&update.positions, &update.values).map_err(|e| broken(&e))?;
                self.waiting.changed(ids.device(row), &layout);
                Ok(update.values.len())
            });
            match back {
                Ok(values) => out.count("returned_values", values as u64),
                Err((code, reason)) => out.reject(1, batch, row, code, reason),
            }
        }
        Ok(())
    }

    /// Sends on the rows `run` of a batch with their payloads.
    fn pass_on(
        &self,
        batch: &RecordBatch,
        run: std::ops::Range<usize>,
        sent: &mut Payloads,
        out: &mut Outbox<'_>,
    ) -> Result {
        let Payloads { bytes, nonzeros, bits } = std::mem::take(sent);
        if run.is_empty() {
            return Ok(());
        }
        let payloads: ArrayRef = Arc::new(BinaryArray::from_iter_values(bytes));
        let (nonzeros, bits) = (UInt64Array::from(nonzeros), UInt64Array::from(bits));
        let new = [
            ("payload", payloads),
            ("nonzeros", Arc::new(nonzeros) as ArrayRef),
            ("bits", Arc::new(bits) as ArrayRef),
        ];
        out.send(with_columns(&batch.slice(run.start, run.len()), &self.schema, new)?);
        Ok(())
    }
}

impl Payloads {
    fn add(&mut self, sent: Transmission) {
        self.nonzeros.push(sent.nonzeros as u64);
        self.bits.push(sent.payload.len() as u64 * 8);
        self.bytes.push(sent.payload);
    }
}

fn refusal(error: ResidualError) -> Refused {
    let code = match &error {
        ResidualError::NotFinite { .. } => "not_finite",
        ResidualError::Length { .. } => "wrong_shape",
        ResidualError::Choice(ChoiceError::Budget { .. }) => "budget_too_small",
        _ => "not_sent",
    };
    (code, error.to_string())
}

fn layout(tensors: &ListArray, row: usize) -> std::result::Result<Layout, Refused> {
    Layout::new(&list_items::<UInt32Type>(tensors, row))
        .ok_or_else(|| ("wrong_shape", "the tensors have no parameters, or more than 2^32".to_owned()))
}

#[cfg(test)]
mod tests;
