//! A network source acknowledges what is committed: a server then has it no more, and no later attempt asks for it.

use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use headwater_contract::prelude::*;

use super::*;

const QUEUE: StageFactory = StageFactory::source::<Queue>();
/// Messages of a server.
const MESSAGES: u64 = 60;
/// Messages of an epoch.
const EPOCH: u64 = 5;
/// Milliseconds that a source waits for the last acknowledgement.
const PATIENCE: u64 = 20_000;

/// The first message that each server still has, by name.
static SERVERS: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

fn first_of(server: &str) -> u64 {
    SERVERS.lock().unwrap().get(server).copied().unwrap_or_default()
}

options! {
    /// Reads the numbers that a server has, and lets it drop those that are committed.
    pub struct Queue {
        /// The server's name.
        server: String;
        /// Messages in a batch.
        batch: u64 = 7;
        /// The source ends when no more messages than these are not acknowledged: they are committed with the end of the input.
        left: u64 = 0;
    }
}

impl SourceConfig for Queue {
    const KIND: &'static str = "queue";
    fn signature(&self) -> Signature {
        Signature::source([Field::new("value", DataType::Int64, false), utf8("payload")])
    }
    fn boundedness(&self) -> Boundedness {
        Boundedness::Followed
    }
    fn open(&self, cx: SourceContext<'_>) -> Result<impl Source> {
        let next = cx.position.as_ref().map_or(0, read);
        Ok(Reading { options: self.clone(), id: cx.id.into(), schema: cx.schema, next })
    }
}

fn read(position: &Position) -> u64 {
    u64::from_le_bytes(position.0.as_slice().try_into().unwrap())
}

struct Reading {
    options: Queue,
    id: String,
    schema: SchemaRef,
    next: u64,
}

impl Reading {
    fn batch(&self, to: u64) -> RecordBatch {
        let numbers = self.next..to;
        let count = numbers.clone().count();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec!["hall"; count])),
            Arc::new(StringArray::from(vec![self.id.as_str(); count])),
            Arc::new(UInt64Array::from_iter_values(numbers.clone())),
            Arc::new(UInt32Array::from(vec![0; count])),
            Arc::new(TimestampMicrosecondArray::from(vec![0; count]).with_timezone("UTC")),
            Arc::new(Int64Array::from_iter_values(numbers.map(|n| n as i64))),
            Arc::new(StringArray::from(vec![""; count])),
        ];
        RecordBatch::try_new(self.schema.clone(), columns).unwrap()
    }
}

impl Source for Reading {
    fn run(mut self: Box<Self>, mut feed: Feed<'_>) -> Result {
        let server = self.options.server.clone();
        let mut acknowledged = 0;
        for _ in 0..PATIENCE {
            if let Some(committed) = feed.committed().as_ref().map(read) {
                assert!(committed >= acknowledged, "what was acknowledged is taken back");
                acknowledged = committed;
                // The thread of an attempt that lost its power may be late.
                let mut servers = SERVERS.lock().unwrap();
                let first = servers.entry(server.clone()).or_default();
                *first = committed.max(*first);
            }
            let first = first_of(&server);
            if self.next < first {
                return Err(StageError::new(format!("message {} is gone: {first} is the first", self.next)));
            }
            if self.next < MESSAGES {
                let to = MESSAGES.min(self.next + self.options.batch);
                feed.send(self.batch(to), Position(to.to_le_bytes().to_vec()))?;
                self.next = to;
            } else if first + self.options.left >= MESSAGES {
                return Ok(());
            }
            feed.rest(Duration::from_millis(1))?;
        }
        Err(StageError::new("the last messages are never committed"))
    }
}

fn plan(server: &str, batch: u64, commit: u64) -> Arc<Plan> {
    let options = format!("server = '{server}'\nbatch = {batch}\nleft = {}", EPOCH * (commit - 1));
    let mut draft = Draft::new(rows(EPOCH))
        .source("queue", QUEUE, &options)
        .stage("a", AFFINE, "", &["queue"])
        .stage("end", WATCH, "", &["a"]);
    draft.commit(CommitRule::Epochs(commit));
    draft.plan()
}

/// Cut off after any commit, attempts find all that they ask for: no message is acknowledged before it is committed, and all are in
/// the end.
#[test]
fn a_source_acknowledges_what_is_committed() {
    for (batch, commit) in [(7, 1), (5, 3), (12, 1), (1, 2)] {
        for power in 0..6 {
            let server = format!("{batch} {commit} {power}");
            let plan = plan(&server, batch, commit);
            let (folder, stored) = (memory(), Stored::default());
            folder.lock().unwrap().logs_on = power % 2 == 0;
            let mut attempts = 1;
            while live(&plan, &folder, Some(power + attempts), 1 + power % 3, ("a", &stored)).is_none() {
                attempts += 1;
                assert!(attempts < 40, "{server}: it never comes to its end");
            }
            let seqs: Vec<u64> = stored.lock().unwrap().keys().map(|id| id.seq).collect();
            assert_eq!(seqs, (0..MESSAGES).collect::<Vec<_>>(), "{server}");
            assert!(first_of(&server) + EPOCH * (commit - 1) >= MESSAGES, "{server}: {}", first_of(&server));
        }
    }
}

/// Without a state folder nothing is committed, and nothing may be acknowledged.
#[test]
fn nothing_is_acknowledged_where_nothing_is_kept() {
    let plan = plan("forgetful", 7, 1);
    let options = workers(&plan, 2);
    let stopping = options.stopping.clone();
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let inspect = Arc::new(move |batch: &RecordBatch| {
        stopping.store(seen.fetch_add(batch.num_rows(), Relaxed) + batch.num_rows() >= 40, Relaxed);
    });
    let options =
        RunOptions { taps: vec![Tap { stage: "a".into(), port: OutPort::Out(0), inspect }], ..options };
    finish(&plan, options).unwrap();
    assert_eq!(first_of("forgetful"), 0);
}
