//! A training loop without training: rounds are taken in at one barrier, worked on during the next round, and what comes of
//! them returns to the next but one. The same numbers as a plain loop over the rounds, whatever runs where.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use arrow::datatypes::Int64Type;
use headwater_contract::Input;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::prelude::*;
use headwater_runtime::check::{Settings, check};
use headwater_runtime::plan::{OutPort, Plan};
use headwater_runtime::run::Tap;

use crate::kinds::{NUMBERS, WATCH, saved_value};
use crate::wiring::{finish, workers};

const KINDS: &[StageFactory] =
    &[NUMBERS, WATCH, StageFactory::stage::<Learn>(), StageFactory::stage::<Gather>()];

fn value() -> Field {
    Field::new("value", DataType::Int64, false)
}

options! {
    /// Sums the values of each device and round, beginning with what came back last.
    pub struct Learn {
        /// The duration of a round's work, in milliseconds.
        slow: u64 = 0;
    }
}

impl StageConfig for Learn {
    const KIND: &'static str = "learn";
    fn signature(&self) -> Signature {
        let adapter = Input::new("adapter", [value()]).routing(Routing::Broadcast).feedback();
        let learn = Signature::sink([value()]).routing(Routing::ByKey("device".into())).input(adapter);
        let learn = learn.output(Output::new("update", headwater_contract::Rows::Exactly(vec![value()])));
        learn.order(Order::Sorted).work(Work::Thread).round_delay(1).state(1, &[])
    }
    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        let (open, waiting) = Default::default();
        let mut learning = Learning {
            slow: self.slow,
            id: cx.id.into(),
            schema: cx.output(0)?,
            open,
            waiting,
            back: 0,
            saved: vec![],
        };
        learning.restore(cx.saved);
        Ok(learning)
    }
}

/// A round that was taken in, and what it begins with once that has come.
struct Waiting {
    round: u64,
    sums: BTreeMap<String, i64>,
    start: Option<i64>,
}

struct Learning {
    slow: u64,
    id: String,
    schema: SchemaRef,
    open: BTreeMap<String, i64>,
    waiting: Option<Waiting>,
    back: i64,
    /// Keys that the last save put.
    saved: Vec<String>,
}

impl Learning {
    fn restore(&mut self, saved: &StateTable) {
        let value = |row: &RecordBatch| row.column(0).as_primitive::<Int64Type>().value(0);
        for (key, row) in saved.iter() {
            let key = String::from_utf8_lossy(key);
            self.saved.push(key.clone().into_owned());
            match key.split_once('/') {
                Some(("open", device)) => drop(self.open.insert(device.into(), value(row))),
                Some(("sum", device)) => drop(self.waiting().sums.insert(device.into(), value(row))),
                Some(("round", _)) => self.waiting().round = value(row).try_into().unwrap(),
                Some(("start", _)) => self.waiting().start = Some(value(row)),
                _ => self.back = value(row),
            }
        }
    }

    fn waiting(&mut self) -> &mut Waiting {
        let none = || Waiting { round: 0, sums: BTreeMap::new(), start: None };
        self.waiting.get_or_insert_with(none)
    }
}

fn next(sum: i64, value: i64) -> i64 {
    sum.wrapping_mul(31).wrapping_add(value)
}

fn row(schema: &SchemaRef, device: &str, source: &str, seq: u64, value: i64) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![device])),
        Arc::new(StringArray::from(vec![source])),
        Arc::new(UInt64Array::from(vec![seq])),
        Arc::new(UInt32Array::from(vec![0])),
        Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")),
        Arc::new(Int64Array::from(vec![value])),
    ];
    RecordBatch::try_new(schema.clone(), columns).unwrap()
}

impl Stage for Learning {
    fn batch(&mut self, port: Port, batch: &RecordBatch, _: &mut Outbox<'_>) -> Result {
        let values = batch.column_by_name("value").unwrap().as_primitive::<Int64Type>();
        let ids = IdentityColumns::of(batch)?;
        for at in 0..ids.len() {
            if port == 1 {
                self.back = values.value(at);
            } else {
                let sum = self.open.entry(ids.device(at).into()).or_default();
                *sum = next(*sum, values.value(at));
            }
        }
        Ok(())
    }

    fn epoch_end(&mut self, barrier: &Barrier, out: &mut Outbox<'_>) -> Result {
        if let Some(waiting) = &mut self.waiting {
            waiting.start.get_or_insert(self.back);
        }
        if !barrier.round_end {
            return Ok(());
        }
        if let Some(Waiting { round, sums, start }) = self.waiting.take() {
            std::thread::sleep(Duration::from_millis(self.slow));
            for (device, sum) in sums {
                let learned = next(sum, start.unwrap_or_default());
                out.send(row(&self.schema, &device, &self.id, round, learned));
            }
        }
        let sums = std::mem::take(&mut self.open);
        self.waiting = Some(Waiting { round: barrier.round.0, sums, start: None });
        Ok(())
    }

    fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        for name in std::mem::take(&mut self.saved) {
            state.delete(name.into_bytes());
        }
        let mut put = |owner: Owner, name: String, value: i64| {
            self.saved.push(name.clone());
            state.put(owner, name.into_bytes(), saved_value(value)?)
        };
        for (device, sum) in &self.open {
            put(Owner::device(device), format!("open/{device}"), *sum)?;
        }
        if let Some(waiting) = &self.waiting {
            for (device, sum) in &waiting.sums {
                put(Owner::device(device), format!("sum/{device}"), *sum)?;
            }
            put(Owner::everyone(), "round/".into(), waiting.round.try_into().unwrap())?;
            if let Some(start) = waiting.start {
                put(Owner::everyone(), "start/".into(), start)?;
            }
        }
        put(Owner::everyone(), "back".into(), self.back)
    }
}

options! {
    /// Sums the updates of a round.
    pub struct Gather {}
}

impl StageConfig for Gather {
    const KIND: &'static str = "gather";
    fn signature(&self) -> Signature {
        let adapter = Output::new("adapter", headwater_contract::Rows::Exactly(vec![value()]));
        Signature::sink([value()]).routing(Routing::Gather).output(adapter).state(1, &[])
    }
    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        Ok(Gathering { schema: cx.output(0)?, id: cx.id.into(), rounds: BTreeMap::new() })
    }
}

struct Gathering {
    schema: SchemaRef,
    id: String,
    rounds: BTreeMap<u64, i64>,
}

impl Stage for Gathering {
    fn batch(&mut self, _: Port, batch: &RecordBatch, _: &mut Outbox<'_>) -> Result {
        let values = batch.column_by_name("value").unwrap().as_primitive::<Int64Type>();
        let ids = IdentityColumns::of(batch)?;
        for at in 0..ids.len() {
            let sum = self.rounds.entry(ids.seq(at)).or_default();
            *sum = sum.wrapping_add(values.value(at));
        }
        Ok(())
    }

    fn epoch_end(&mut self, _: &Barrier, out: &mut Outbox<'_>) -> Result {
        for (round, sum) in std::mem::take(&mut self.rounds) {
            out.send(row(&self.schema, "all", &self.id, round, sum));
        }
        Ok(())
    }
}

const ROWS: u64 = 230;
const EPOCH: u64 = 10;
const DEVICES: u64 = 5;

pub fn plan(round: &str, window: u64, slow: u64) -> Arc<Plan> {
    plan_of(&text(round, window, slow))
}

pub fn text(round: &str, window: u64, slow: u64) -> String {
    format!(
        "[pipeline]\nname = 'loop'\nepoch = {{ rows = {EPOCH} }}\nround = {round}\nwindow = {window}\n
        [stage.mic]\ntype = 'numbers'\nrows = {ROWS}\ndevices = {DEVICES}\n
        [stage.learn]\ntype = 'learn'\nfrom = 'mic'\nfeedback = 'all.adapter'\nslow = {slow}\n
        [stage.all]\ntype = 'gather'\nfrom = 'learn.update'\n
        [stage.end]\ntype = 'watch'\nfrom = 'all.adapter'\n
        [stage.beside]\ntype = 'watch'\nfrom = 'mic'\n"
    )
}

pub fn plan_of(text: &str) -> Arc<Plan> {
    let checked = check("loop.toml", text, KINDS, &Settings::default());
    let messages: Vec<_> = checked.diagnostics.iter().map(|d| d.message.clone()).collect();
    Arc::new(checked.plan.unwrap_or_else(|| panic!("{messages:?}")))
}

/// Round and value of each adapter, from a loop over the rounds.
fn expected(rows_of_round: u64) -> Vec<(u64, i64)> {
    let mut back = 0;
    let rounds = (0..ROWS).collect::<Vec<_>>();
    let one = |(round, rows): (usize, &[u64])| {
        let mut sums = BTreeMap::<u64, i64>::new();
        for n in rows {
            let sum = sums.entry(n % DEVICES).or_default();
            *sum = next(*sum, *n as i64);
        }
        back = sums.into_values().fold(0i64, |all, sum| all.wrapping_add(next(sum, back)));
        (round as u64, back)
    };
    rounds.chunks(rows_of_round as usize).enumerate().map(one).collect()
}

fn adapters(plan: &Arc<Plan>, count: usize) -> (Vec<(u64, i64)>, String) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let inspect = Arc::new(move |batch: &RecordBatch| {
        let ids = IdentityColumns::of(batch).unwrap();
        let values = batch.column_by_name("value").unwrap().as_primitive::<Int64Type>();
        noted.lock().unwrap().extend((0..ids.len()).map(|at| (ids.seq(at), values.value(at))));
    });
    let mut options = workers(plan, count);
    options.taps = vec![Tap { stage: "all".into(), port: OutPort::Out(0), inspect }];
    let report = finish(plan, options).unwrap();
    let seen = seen.lock().unwrap().clone();
    (seen, report.digests["end"].clone())
}

#[test]
fn the_loop_is_a_loop_over_rounds() {
    let check = |round: &str, rows_of_round: u64| {
        let mut digests = Vec::new();
        for window in [1, 2, 4, 16] {
            for count in 1..=3 {
                let (seen, digest) = adapters(&plan(round, window, 0), count);
                assert_eq!(seen, expected(rows_of_round), "{round}, window {window}, {count} workers");
                digests.push(digest);
            }
        }
        digests.dedup();
        assert_eq!(digests.len(), 1, "{round}");
    };
    check("{ epochs = 1 }", EPOCH);
    check("{ epochs = 3 }", 3 * EPOCH);
    check("{ epochs = 100 }", ROWS);
    check("{ rows = 45 }", 50);
}

#[test]
fn a_slow_round_holds_only_its_own_mark() {
    let plan = plan("{ epochs = 4 }", 4, 20);
    for count in 1..=2 {
        assert_eq!(adapters(&plan, count).0, expected(4 * EPOCH), "{count} workers");
    }
}

#[test]
fn cycles_close_only_where_an_input_is_made_for_it() {
    let wrong = |line: &str, expected: &[&str]| {
        let text = format!(
            "[pipeline]\nname = 'loop'\n
            [stage.mic]\ntype = 'numbers'\n
            [stage.learn]\ntype = 'learn'\n{line}\n
            [stage.all]\ntype = 'gather'\nfrom = 'learn'\n"
        );
        let found = check("loop.toml", &text, KINDS, &Settings::default()).diagnostics;
        assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), expected, "{line}");
    };
    wrong("from = 'mic'\nfeedback = 'all'", &[]);
    wrong("from = { in = 'mic', adapter = 'all' }", &[]);
    wrong("from = ['mic', 'all']", &["H0307"]);
    wrong("from = 'mic'\nfeedback = 'all.nothing'", &["H0302"]);
    wrong("from = 'mic'\nfeedback = 'learn.rejected'", &["H0310"]);
    wrong("from = 'mic'\nfeedback = 'one'", &["H0301"]);
}
