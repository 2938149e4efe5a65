//! The container of every edge: record batches that could cross a process.
//!
//! In: batches that a stage sent. Out: the same rows on the worker where the next stage needs them. Progress is counted in
//! rows, so that a batch may be split between workers on the way. It must not know stages.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::buffer::Buffer;
use arrow::compute::take_record_batch;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::{Routing, hash};
use timely::communication::Push;
use timely::container::{Accountable, DrainContainer};
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message};
use timely::progress::Stamp;

use crate::caught;

/// Batches on the move. None of them is empty.
#[derive(Clone, Debug, Default)]
pub struct ExchangeBatch {
    batches: Vec<RecordBatch>,
    /// Bytes that did not decode: the receiver must stop the run.
    broken: bool,
    /// The wire form, once its length was asked for: timely does before it writes.
    wire: OnceLock<Vec<u8>>,
}

impl ExchangeBatch {
    /// One batch on the move.
    pub fn of(batch: RecordBatch) -> Self {
        let batches = if batch.num_rows() > 0 { vec![batch] } else { Vec::new() };
        ExchangeBatch { batches, ..Self::default() }
    }

    fn wire(&self) -> &[u8] {
        self.wire.get_or_init(|| encode(&self.batches))
    }

    /// Adds a batch.
    pub fn push(&mut self, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            self.batches.push(batch);
            self.wire.take();
        }
    }

    /// Forgets the batches and keeps their allocation.
    pub fn clear(&mut self) {
        self.batches.clear();
        self.broken = false;
        self.wire.take();
    }

    /// Takes the batches out.
    ///
    /// # Errors
    /// The bytes from the wire are not an exchange batch.
    pub fn open(&mut self) -> Result<Vec<RecordBatch>, ExchangeDecodeError> {
        self.wire.take();
        if self.broken { Err(ExchangeDecodeError) } else { Ok(std::mem::take(&mut self.batches)) }
    }
}

/// Bytes from another worker that are not an exchange batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeDecodeError;

impl Accountable for ExchangeBatch {
    fn record_count(&self) -> i64 {
        self.batches.iter().map(|b| i64::try_from(b.num_rows()).unwrap_or(i64::MAX)).sum()
    }
    fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}

impl DrainContainer for ExchangeBatch {
    type Item<'a> = RecordBatch;
    type DrainIter<'a> = std::vec::Drain<'a, RecordBatch>;
    fn drain(&mut self) -> Self::DrainIter<'_> {
        self.wire.take();
        self.batches.drain(..)
    }
}

/// The wire form: number of batches, then each as length (u64, little endian) and an Arrow IPC stream.
impl ContainerBytes for ExchangeBatch {
    fn from_bytes(bytes: timely::bytes::arc::Bytes) -> Self {
        decode(&bytes).unwrap_or(ExchangeBatch { broken: true, ..Self::default() })
    }
    fn length_in_bytes(&self) -> usize {
        self.wire().len()
    }
    fn into_bytes<W: Write>(&self, writer: &mut W) {
        // The writer is timely's buffer of exactly `length_in_bytes`: it cannot be too short.
        let _ = writer.write_all(self.wire());
    }
}

fn encode(batches: &[RecordBatch]) -> Vec<u8> {
    let mut out = (batches.len() as u64).to_le_bytes().to_vec();
    for batch in batches {
        let ipc = encode_batch(batch).unwrap_or_default();
        out.extend_from_slice(&(ipc.len() as u64).to_le_bytes());
        out.extend_from_slice(&ipc);
    }
    out
}

/// A batch as an Arrow IPC stream.
pub(crate) fn encode_batch(batch: &RecordBatch) -> Result<Vec<u8>, arrow::error::ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref())?;
    writer.write(batch)?;
    writer.finish()?;
    writer.into_inner()
}

/// The batches of a wire form; nothing if the bytes are none.
pub(crate) fn decode(bytes: &[u8]) -> Option<ExchangeBatch> {
    let (count, mut rest) = split_u64(bytes)?;
    let mut batches = Vec::new();
    for _ in 0..count {
        let (length, after) = split_u64(rest)?;
        let length = usize::try_from(length).ok()?;
        let ipc = after.get(..length)?;
        rest = after.get(length..)?;
        batches.push(decode_batch(ipc)?);
    }
    rest.is_empty().then_some(ExchangeBatch { batches, ..ExchangeBatch::default() })
}

/// The batch of an Arrow IPC stream; nothing if the bytes are none.
pub(crate) fn decode_batch(ipc: &[u8]) -> Option<RecordBatch> {
    caught::read(|| StreamDecoder::new().decode(&mut Buffer::from(ipc))).ok()?.ok()?
}

fn split_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*head), rest))
}

/// Splits batches between workers as an input's routing says.
pub struct Router {
    routing: Routing,
}

impl Router {
    /// A router for inputs of this routing.
    pub fn new(routing: Routing) -> Self {
        Router { routing }
    }

    /// The worker that rows of a value of the routed column reach; of other routings, any that is always the same.
    pub fn worker_of(routing: &Routing, value: &str, workers: u64) -> u64 {
        match routing {
            Routing::Gather => 0,
            Routing::ByGroup { groups, .. } => u64::from(hash::group(value, *groups)) % workers,
            Routing::ByKey(_) | Routing::Spread | Routing::Local | Routing::Broadcast => {
                hash::stable(value.as_bytes()) % workers
            }
        }
    }

    /// The worker of each row; nothing when all rows go to the coordinator.
    fn targets(&self, batch: &RecordBatch, workers: u64) -> Option<Vec<u64>> {
        match &self.routing {
            Routing::Spread => {
                let ids = IdentityColumns::of(batch).ok()?;
                Some((0..ids.len()).map(|row| ids.hash(row) % workers).collect())
            }
            Routing::ByKey(column) | Routing::ByGroup { column, .. } => {
                let keys = key_column(batch, column)?;
                let worker = |row| Self::worker_of(&self.routing, keys.value(row), workers);
                Some((0..keys.len()).map(worker).collect())
            }
            Routing::Local | Routing::Gather | Routing::Broadcast => None,
        }
    }
}

fn key_column<'b>(batch: &'b RecordBatch, column: &str) -> Option<&'b arrow::array::StringArray> {
    batch.column_by_name(column)?.as_string_opt::<i32>()
}

impl Distributor<ExchangeBatch> for Router {
    fn partition<T: Clone, P: Push<Message<T, ExchangeBatch>>>(
        &mut self,
        exchanged: &mut ExchangeBatch,
        stamp: &Stamp<T>,
        workers: &mut [P],
    ) {
        let count = workers.len() as u64;
        for batch in exchanged.drain() {
            let Some(targets) = self.targets(&batch, count) else {
                push(batch, stamp, workers.first_mut());
                continue;
            };
            for (worker, pusher) in (0u64..).zip(workers.iter_mut()) {
                if let Some(share) = share_of(&batch, &targets, worker) {
                    push(share, stamp, Some(pusher));
                }
            }
        }
    }

    fn flush<T: Clone, P: Push<Message<T, ExchangeBatch>>>(&mut self, _: &Stamp<T>, _: &mut [P]) {}
}

fn push<T: Clone, P: Push<Message<T, ExchangeBatch>>>(
    batch: RecordBatch,
    stamp: &Stamp<T>,
    worker: Option<&mut P>,
) {
    if let Some(worker) = worker {
        Message::push_at(&mut ExchangeBatch::of(batch), stamp.clone(), worker);
    }
}

/// The rows that belong to one worker, in their order.
fn share_of(batch: &RecordBatch, targets: &[u64], worker: u64) -> Option<RecordBatch> {
    let rows: Vec<u32> =
        (0u32..).zip(targets).filter(|(_, target)| **target == worker).map(|(row, _)| row).collect();
    match rows.len() {
        0 => None,
        all if all == targets.len() => Some(batch.clone()),
        // Rows of one batch: the indices are in range and the types are Arrow's own, so `take` cannot fail.
        _ => take_record_batch(batch, &UInt32Array::from(rows)).ok(),
    }
}

/// Deals exchange batches out in turn: what is sent once for each worker reaches each worker once.
#[derive(Default)]
pub struct Copies {
    next: usize,
}

impl Distributor<ExchangeBatch> for Copies {
    fn partition<T: Clone, P: Push<Message<T, ExchangeBatch>>>(
        &mut self,
        exchanged: &mut ExchangeBatch,
        stamp: &Stamp<T>,
        workers: &mut [P],
    ) {
        if let Some(worker) = workers.get_mut(self.next) {
            Message::push_at(exchanged, stamp.clone(), worker);
        }
        self.next = (self.next + 1) % workers.len().max(1);
    }

    fn flush<T: Clone, P: Push<Message<T, ExchangeBatch>>>(&mut self, _: &Stamp<T>, _: &mut [P]) {}
}

/// A schema that is known by its pointer nearly always, else by its fields.
pub fn same_schema(a: &arrow::datatypes::SchemaRef, b: &arrow::datatypes::SchemaRef) -> bool {
    Arc::ptr_eq(a, b) || a.fields() == b.fields()
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_contract::conformance::text_rows;

    fn rows() -> RecordBatch {
        let texts: Vec<(String, String)> =
            (0..40).map(|n| (format!("device-{}", n % 7), format!("text {n}"))).collect();
        text_rows(&texts.iter().map(|(d, t)| (d.as_str(), t.as_str())).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn the_wire_form_is_read_back() {
        let exchanged =
            ExchangeBatch { batches: vec![rows(), rows().slice(3, 5)], ..ExchangeBatch::default() };
        let back = decode(&encode(&exchanged.batches)).unwrap();
        assert_eq!(back.batches, exchanged.batches);
    }

    #[test]
    fn what_is_no_parcel_is_broken_and_said_so() {
        let good = encode(&[rows()]);
        for cut in 0..good.len() {
            assert!(decode(&good[..cut]).is_none(), "cut at {cut}");
        }
        for at in 0..good.len() {
            for with in [0, 1, 0x7f, 0xff] {
                let mut other = good.clone();
                other[at] = with;
                // The result does not matter: it must not panic.
                let _ = decode(&other);
            }
        }
        let mut long = good;
        long.push(0);
        assert!(decode(&long).is_none());
        assert_eq!(
            ExchangeBatch { broken: true, ..ExchangeBatch::default() }.open().err(),
            Some(ExchangeDecodeError)
        );
    }

    #[test]
    fn routing_loses_and_doubles_nothing() {
        let batch = rows();
        let grouped = Routing::ByGroup { column: "device".into(), groups: 2 };
        for routing in [Routing::Spread, Routing::ByKey("device".into()), grouped] {
            for workers in 1..5u64 {
                let targets = Router::new(routing.clone()).targets(&batch, workers).unwrap();
                let shares: Vec<_> = (0..workers).filter_map(|w| share_of(&batch, &targets, w)).collect();
                let back = headwater_contract::identity::sorted(batch.schema_ref(), &shares).unwrap();
                assert_eq!(
                    back,
                    headwater_contract::identity::sorted(batch.schema_ref(), std::slice::from_ref(&batch))
                        .unwrap()
                );
            }
        }
    }

    #[test]
    fn one_key_goes_to_one_worker() {
        let batch = rows();
        let targets = Router::new(Routing::ByKey("device".into())).targets(&batch, 3).unwrap();
        let ids = IdentityColumns::of(&batch).unwrap();
        for row in 0..ids.len() {
            let first = (0..ids.len()).find(|r| ids.device(*r) == ids.device(row)).unwrap();
            assert_eq!(targets[row], targets[first]);
        }
    }
}
