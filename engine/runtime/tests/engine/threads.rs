//! Stages on threads of their own: several rows at a time, outputs in the order of the inputs.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Barrier, LazyLock};

use headwater_contract::prelude::*;

use crate::kinds::{AFFINE, NUMBERS, WATCH, routing};
use crate::ledger::{self, Event, fresh};
use crate::wiring::{Draft, complete, rows};

options! {
    /// A row waits until another one is being worked on at the same time.
    pub struct Meeting {
        /// Where rows go.
        routing: String = "local".into();
    }
}

static MEETING: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(2));
static INSIDE: AtomicUsize = AtomicUsize::new(0);
static MOST_INSIDE: AtomicUsize = AtomicUsize::new(0);

impl StageConfig for Meeting {
    const KIND: &'static str = "meeting";
    fn signature(&self) -> Signature {
        Signature::map([], []).routing(routing(&self.routing)).work(Work::Pool(2))
    }
    fn build(&self, _: BuildContext<'_>) -> Result<impl Stage> {
        Ok(Waiting)
    }
}

struct Waiting;

impl Stage for Waiting {
    fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        MOST_INSIDE.fetch_max(INSIDE.fetch_add(1, SeqCst) + 1, SeqCst);
        MEETING.wait();
        INSIDE.fetch_sub(1, SeqCst);
        assert_eq!(batch.num_rows(), 1, "rows come one by one");
        out.send(batch.clone());
        Ok(())
    }
}

/// Were rows worked on one after the other, the first would wait for ever; `Rows(2)` means two, for all workers together.
#[test]
fn as_many_rows_at_a_time_as_the_signature_says() {
    for count in 1..=3 {
        for route in ["local", "spread"] {
            let plan = Draft::new(rows(4))
                .source("mic", NUMBERS, "rows = 40\nbatch = 4")
                .stage("meet", StageFactory::stage::<Meeting>(), &format!("routing = '{route}'"), &["mic"])
                .stage("end", WATCH, "", &["meet"])
                .plan();
            let report = complete(&plan, count);
            assert_eq!(report.counts.stages[2].rows_in, 40);
        }
    }
    assert_eq!(MOST_INSIDE.load(SeqCst), 2);
}

#[test]
fn outputs_in_the_order_of_the_inputs() {
    for route in ["local", "spread", "by device"] {
        for (threads, count, epoch) in [(1, 1, 10), (2, 2, 3), (3, 1, 64), (3, 3, 10), (1, 3, 1)] {
            let ledger = fresh();
            let plan = Draft::new(rows(epoch))
                .source("mic", NUMBERS, "rows = 60")
                .stage(
                    "a",
                    AFFINE,
                    &format!("threads = {threads}\ndawdle = 3\nrouting = '{route}'"),
                    &["mic"],
                )
                .stage("end", WATCH, &format!("ledger = '{ledger}'"), &["a"])
                .plan();
            let report = complete(&plan, count);
            assert_eq!(ledger::rows(&ledger).len(), 60);
            let mut by_instance = std::collections::BTreeMap::<u64, Vec<i64>>::new();
            for (instance, seen) in ledger::entries(&ledger) {
                if let Event::Row(_, value) = seen {
                    by_instance.entry(instance).or_default().push(value);
                }
            }
            assert!(
                by_instance.values().all(|values| values.is_sorted()),
                "{route}, {threads} threads, {count} workers"
            );
            assert_eq!(report.counts.stages[1].queued, 0);
        }
    }
}
