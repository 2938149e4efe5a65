//! Small kinds: a source of numbers, and stages that show where their rows came from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use arrow::datatypes::Int64Type;
use headwater_contract::RowId;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::prelude::*;
use headwater_contract::units::Micros;

use crate::ledger::{self, Event};

pub const NUMBERS: StageFactory = StageFactory::source::<Numbers>();
pub const AFFINE: StageFactory = StageFactory::stage::<Affine>();
pub const TOTALS: StageFactory = StageFactory::stage::<Totals>();
pub const TALLY: StageFactory = StageFactory::stage::<Tally>();
pub const PARITY: StageFactory = StageFactory::stage::<Parity>();
pub const ADDED: StageFactory = StageFactory::stage::<Added>();
pub const WATCH: StageFactory = StageFactory::stage::<Watch>();
pub const STRICT: StageFactory = StageFactory::stage::<Strict>();

fn int64(name: &str) -> Field {
    Field::new(name, DataType::Int64, false)
}

options! {
    /// Gives the numbers 0, 1, 2, ...: number n is row n / devices of device n % devices, captured n * step_ms after 1970.
    pub struct Numbers {
        /// The number of rows.
        rows: u64 = 100;
        /// Rows in a batch.
        batch: u64 = 7;
        /// The number of devices that take turns.
        devices: u64 = 5;
        /// Milliseconds of captured time between two rows.
        step_ms: i64 = 1000;
        /// Every so many rows, one comes captured a minute late.
        late: u64 = 0;
        /// Every so many rows, something is rejected before the row.
        rejecting: u64 = 0;
        /// Bytes of payload in every row; 0 for a secret.
        weight: usize = 0;
        /// Continues for ever, waiting now and then.
        live: bool = false;
        /// After its rows, waits for ever without looking at the feed.
        stuck: bool = false;
        /// The event after the rows: "", "error", "panic".
        ends_with: String = String::new();
        /// The event when it is opened: "", "error", "panic".
        opens_with: String = String::new();
    }
}

impl SourceConfig for Numbers {
    const KIND: &'static str = "numbers";
    fn signature(&self) -> Signature {
        Signature::source([int64("value"), utf8("payload")])
    }
    fn boundedness(&self) -> Boundedness {
        if self.live { Boundedness::Live } else { Boundedness::Bounded }
    }
    fn open(&self, cx: SourceContext<'_>) -> Result<impl Source> {
        go_wrong(&self.opens_with)?;
        let first = cx.position.map_or(0, |position| u64::from_le_bytes(position.0.try_into().unwrap()));
        Ok(Counting { options: self.clone(), id: cx.id.into(), schema: cx.schema, first })
    }
}

/// A row's content, which must never be in a message.
fn payload(weight: usize) -> String {
    if weight == 0 { crate::secrecy::SECRET.into() } else { "x".repeat(weight) }
}

/// Does what an option says.
pub fn go_wrong(how: &str) -> Result {
    match how {
        "" => Ok(()),
        "error" => Err(StageError::new("it was configured to fail")),
        _ => panic!("{}", crate::secrecy::SECRET),
    }
}

struct Counting {
    options: Numbers,
    id: String,
    schema: SchemaRef,
    first: u64,
}

impl Counting {
    fn batch(&self, from: u64, to: u64) -> RecordBatch {
        let Numbers { devices, step_ms, late, weight, .. } = self.options;
        let captured = (from..to).map(|n| {
            let behind = if late > 0 && n % late == late - 1 { 60_000_000 } else { 0 };
            n as i64 * step_ms * 1000 - behind
        });
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values((from..to).map(|n| format!("device-{}", n % devices)))),
            Arc::new(StringArray::from_iter_values((from..to).map(|_| &self.id))),
            Arc::new(UInt64Array::from_iter_values((from..to).map(|n| n / devices))),
            Arc::new(UInt32Array::from_iter_values((from..to).map(|_| 0))),
            Arc::new(TimestampMicrosecondArray::from_iter_values(captured).with_timezone("UTC")),
            Arc::new(Int64Array::from_iter_values((from..to).map(|n| n as i64))),
            Arc::new(StringArray::from_iter_values((from..to).map(|_| payload(weight)))),
        ];
        RecordBatch::try_new(self.schema.clone(), columns).unwrap()
    }

    fn reject(&self, from: u64, to: u64, feed: &mut Feed<'_>) -> Result {
        let every = self.options.rejecting;
        for n in (from..to).filter(|n| every > 0 && n % every == 0) {
            let id = RowId { device: "broken".into(), source: self.id.as_str().into(), seq: n, part: 0 };
            feed.reject(id, Micros(n as i64), "bad_line", "it was configured to reject")?;
        }
        Ok(())
    }
}

impl Source for Counting {
    fn run(self: Box<Self>, mut feed: Feed<'_>) -> Result {
        let Numbers { rows, batch, live, stuck, .. } = self.options;
        let mut from = self.first;
        while live || from < rows {
            let to = if live { from + batch } else { rows.min(from + batch) };
            self.reject(from, to, &mut feed)?;
            feed.send(self.batch(from, to), Position(to.to_le_bytes().to_vec()))?;
            from = to;
            if live {
                std::thread::sleep(Duration::from_millis(1));
            }
            if stuck && from >= rows {
                loop {
                    std::thread::park();
                }
            }
        }
        go_wrong(&self.options.ends_with)
    }
}

fn values(batch: &RecordBatch) -> Result<&Int64Array> {
    let column = batch.column_by_name("value").and_then(|c| c.as_primitive_opt::<Int64Type>());
    column.ok_or_else(|| StageError::new("no column `value`"))
}

fn with_values(batch: &RecordBatch, schema: &SchemaRef, values: Int64Array) -> Result<RecordBatch> {
    with_columns(batch, schema, [("value", Arc::new(values) as ArrayRef)])
}

/// A route by its word in the options.
pub fn routing(word: &str) -> Routing {
    match word {
        "spread" => Routing::Spread,
        "by device" => Routing::ByKey("device".into()),
        "gather" => Routing::Gather,
        "broadcast" => Routing::Broadcast,
        _ => Routing::Local,
    }
}

fn order(sorted: bool) -> Order {
    if sorted { Order::Sorted } else { Order::Any }
}

options! {
    /// value * 2 + 1, row by row.
    pub struct Affine {
        /// Where rows go.
        routing: String = "local".into();
        /// True if rows come sorted.
        sorted: bool = false;
        /// Threads of its own; 0 for the worker's.
        threads: u16 = 0;
        /// Rows sleep up to so many milliseconds, in a pattern of their own.
        dawdle: u64 = 0;
    }
}

impl StageConfig for Affine {
    const KIND: &'static str = "affine";
    fn signature(&self) -> Signature {
        let work = if self.threads > 0 { Work::Pool(self.threads) } else { Work::Inline };
        Signature::map([int64("value")], [])
            .routing(routing(&self.routing))
            .order(order(self.sorted))
            .work(work)
    }
    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        Ok(Doubling { schema: cx.output(0)?, dawdle: self.dawdle })
    }
}

struct Doubling {
    schema: SchemaRef,
    dawdle: u64,
}

impl Stage for Doubling {
    fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let values = values(batch)?;
        if self.dawdle > 0 {
            let pattern = values.value(0).unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            std::thread::sleep(Duration::from_millis(pattern % (self.dawdle + 1)));
        }
        out.send(with_values(batch, &self.schema, values.unary(|x| x.wrapping_mul(2).wrapping_add(1)))?);
        Ok(())
    }
}

options! {
    /// Keeps a running total for each device: depends on the order of rows, within epochs and across them.
    pub struct Totals {}
}

impl StageConfig for Totals {
    const KIND: &'static str = "totals";
    fn signature(&self) -> Signature {
        let by_device = Signature::map([int64("value")], []).routing(routing("by device"));
        by_device.order(Order::Sorted).state(1, &[])
    }
    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        let total = |(key, row): (&[u8], &RecordBatch)| {
            (String::from_utf8_lossy(key).into_owned(), values(row).unwrap().value(0))
        };
        let totals = cx.saved.iter().map(total).collect();
        Ok(Summing { schema: cx.output(0)?, totals, changed: BTreeSet::new() })
    }
}

struct Summing {
    schema: SchemaRef,
    totals: BTreeMap<String, i64>,
    changed: BTreeSet<String>,
}

impl Stage for Summing {
    fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let ids = IdentityColumns::of(batch)?;
        let values = values(batch)?;
        let running = (0..ids.len()).map(|row| {
            let total = self.totals.entry(ids.device(row).into()).or_default();
            *total = total.wrapping_mul(31).wrapping_add(values.value(row));
            self.changed.insert(ids.device(row).into());
            *total
        });
        let running = Int64Array::from_iter_values(running);
        out.send(with_values(batch, &self.schema, running)?);
        Ok(())
    }

    fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        for device in std::mem::take(&mut self.changed) {
            let row = saved_value(self.totals[&device])?;
            state.put(Owner::device(&device), device.as_bytes(), row)?;
        }
        Ok(())
    }
}

/// A row of a state that holds one value.
pub fn saved_value(value: i64) -> Result<RecordBatch> {
    let schema = Arc::new(Schema::new(vec![int64("value")]));
    Ok(RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![value]))])?)
}

options! {
    /// At the end of every epoch, one row for each device that had any: how many, and the epoch. Shows every cut.
    pub struct Tally {
        /// Where rows go.
        routing: String = "by device".into();
    }
}

impl StageConfig for Tally {
    const KIND: &'static str = "tally";
    fn signature(&self) -> Signature {
        Signature {
            inputs: vec![Input::new("in", []).routing(routing(&self.routing))],
            outputs: vec![Output::new("out", Rows::Exactly(vec![int64("value")]))],
            ..Signature::default()
        }
        .state(1, &[])
    }
    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        Ok(Tallying { id: cx.id.into(), schema: cx.output(0)?, counts: BTreeMap::new() })
    }
}

struct Tallying {
    id: String,
    schema: SchemaRef,
    counts: BTreeMap<String, i64>,
}

impl Stage for Tallying {
    fn batch(&mut self, _: Port, batch: &RecordBatch, _: &mut Outbox<'_>) -> Result {
        let ids = IdentityColumns::of(batch)?;
        for row in 0..ids.len() {
            *self.counts.entry(ids.device(row).into()).or_default() += 1;
        }
        Ok(())
    }
    fn epoch_end(&mut self, barrier: &Barrier, out: &mut Outbox<'_>) -> Result {
        let counts = std::mem::take(&mut self.counts);
        let rows = counts.len();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(counts.keys())),
            Arc::new(StringArray::from_iter_values((0..rows).map(|_| &self.id))),
            Arc::new(UInt64Array::from_iter_values((0..rows).map(|_| barrier.epoch.0))),
            Arc::new(UInt32Array::from_iter_values((0..rows).map(|_| 0))),
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(
                    (0..rows).map(|_| barrier.watermark.map_or(0, |w| w.0)),
                )
                .with_timezone("UTC"),
            ),
            Arc::new(Int64Array::from_iter_values(counts.into_values())),
        ];
        out.send(RecordBatch::try_new(self.schema.clone(), columns)?);
        Ok(())
    }
}

options! {
    /// Two outputs: rows of even value and rows of odd value.
    pub struct Parity {}
}

impl StageConfig for Parity {
    const KIND: &'static str = "parity";
    fn signature(&self) -> Signature {
        let same = Rows::Input { minus: vec![], plus: vec![] };
        Signature::map([int64("value")], []).output(Output::new("odd", same))
    }
    fn build(&self, _: BuildContext<'_>) -> Result<impl Stage> {
        Ok(Parting)
    }
}

struct Parting;

impl Stage for Parting {
    fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        for (port, parity) in [(0, 0), (1, 1)] {
            let rows = values(batch)?.iter().map(|v| v.map(|v| v.rem_euclid(2) == parity)).collect();
            out.send_to(port, arrow::compute::filter_record_batch(batch, &rows)?);
        }
        Ok(())
    }
}

options! {
    /// Adds to each value the sum of all that came by the second input, which every worker hears, up to this epoch.
    pub struct Added {}
}

impl StageConfig for Added {
    const KIND: &'static str = "added";
    fn signature(&self) -> Signature {
        let heard = Input::new("heard", [int64("value")]).routing(Routing::Broadcast);
        Signature::map([int64("value")], []).routing(routing("spread")).input(heard).state(1, &[])
    }
    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        Ok(Adding { schema: cx.output(0)?, held: Vec::new(), sum: 0 })
    }
}

struct Adding {
    schema: SchemaRef,
    held: Vec<RecordBatch>,
    sum: i64,
}

impl Stage for Adding {
    fn batch(&mut self, port: Port, batch: &RecordBatch, _: &mut Outbox<'_>) -> Result {
        if port == 0 {
            self.held.push(batch.clone());
        } else {
            self.sum = values(batch)?.iter().flatten().fold(self.sum, i64::wrapping_add);
        }
        Ok(())
    }
    fn epoch_end(&mut self, _: &Barrier, out: &mut Outbox<'_>) -> Result {
        for batch in std::mem::take(&mut self.held) {
            let raised = values(&batch)?.unary(|x| x.wrapping_add(self.sum));
            out.send(with_values(&batch, &self.schema, raised)?);
        }
        Ok(())
    }
}

options! {
    /// Writes into a ledger what it sees, and lets it pass.
    pub struct Watch {
        /// Name of the ledger.
        ledger: String = String::new();
        /// Where rows go.
        routing: String = "local".into();
        /// True if rows come sorted.
        sorted: bool = false;
        /// The duration of the end of an epoch, in milliseconds.
        slow: u64 = 0;
    }
}

impl StageConfig for Watch {
    const KIND: &'static str = "watch";
    fn signature(&self) -> Signature {
        let same = Rows::Input { minus: vec![], plus: vec![] };
        Signature::sink([])
            .output(Output::new("out", same).optional())
            .routing(routing(&self.routing))
            .order(order(self.sorted))
            .state(1, &[])
    }
    fn build(&self, _: BuildContext<'_>) -> Result<impl Stage> {
        let passes = self.routing != "broadcast";
        let watching =
            Watching { ledger: self.ledger.clone(), instance: ledger::unique(), slow: self.slow, passes };
        watching.note([]);
        Ok(watching)
    }
}

struct Watching {
    ledger: String,
    instance: u64,
    slow: u64,
    /// A broadcast row must not be sent on: it would leave once for each worker.
    passes: bool,
}

impl Watching {
    fn note(&self, seen: impl IntoIterator<Item = Event>) {
        if !self.ledger.is_empty() {
            ledger::note(&self.ledger, self.instance, seen);
        }
    }
}

impl Stage for Watching {
    fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        self.note(ledger::of_batch(batch));
        if self.passes {
            out.send(batch.clone());
        }
        Ok(())
    }
    fn epoch_end(&mut self, barrier: &Barrier, _: &mut Outbox<'_>) -> Result {
        std::thread::sleep(Duration::from_millis(self.slow));
        self.note([Event::End(barrier.clone())]);
        Ok(())
    }
}

options! {
    /// Rejects every value that some number divides.
    pub struct Strict {
        /// The number.
        divisor: i64 = 10;
    }
}

impl StageConfig for Strict {
    const KIND: &'static str = "strict";
    fn signature(&self) -> Signature {
        Signature::map([int64("value")], []).routing(routing("spread"))
    }
    fn build(&self, _: BuildContext<'_>) -> Result<impl Stage> {
        Ok(Refusing { divisor: self.divisor })
    }
}

struct Refusing {
    divisor: i64,
}

impl Stage for Refusing {
    fn batch(&mut self, port: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let values = values(batch)?;
        for row in (0..values.len()).filter(|row| values.value(*row) % self.divisor == 0) {
            out.reject(port, batch, row, "divisible", "the value can be divided");
        }
        let rest = values.iter().map(|v| v.map(|v| v % self.divisor != 0)).collect();
        out.send(arrow::compute::filter_record_batch(batch, &rest)?);
        Ok(())
    }
}
