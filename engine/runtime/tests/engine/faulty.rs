//! Kinds that break, each in the way its options say.

use headwater_contract::identity::IdentityColumns;
use headwater_contract::prelude::*;

use crate::kinds::{go_wrong, routing};
use crate::ledger;
use crate::secrecy::SECRET;

pub const FAULTY: StageFactory = StageFactory::stage::<Faulty>();

options! {
    /// Lets rows pass until it breaks.
    pub struct Faulty {
        /// The fault at the row of that device and seq: "", "error", "panic", "columns", "port", "twice".
        does: String = String::new();
        /// The device.
        device: String = "device-3".into();
        /// The row's seq.
        seq: u64 = 4;
        /// The fault at the end of epoch 2: "", "error", "panic", "columns".
        ends: String = String::new();
        /// The fault when it is built: "", "error", "panic".
        builds: String = String::new();
        /// True if it has state.
        stateful: bool = false;
        /// True if rows come sorted.
        sorted: bool = false;
        /// Threads of its own; 0 for the worker's.
        threads: u16 = 0;
        /// Where rows go.
        routing: String = "spread".into();
    }
}

impl StageConfig for Faulty {
    const KIND: &'static str = "faulty";
    fn signature(&self) -> Signature {
        let work = if self.threads > 0 { Work::Pool(self.threads) } else { Work::Inline };
        let order = if self.sorted { Order::Sorted } else { Order::Any };
        let signature = Signature::map([], []).routing(routing(&self.routing)).work(work).order(order);
        if self.stateful { signature.state(1, &[]) } else { signature }
    }
    fn build(&self, _: BuildContext<'_>) -> Result<impl Stage> {
        go_wrong(&self.builds)?;
        Ok(Breaking { options: self.clone(), last: None })
    }
}

struct Breaking {
    options: Faulty,
    last: Option<RecordBatch>,
}

/// The same rows without their last column.
fn narrow(batch: &RecordBatch) -> Result<RecordBatch> {
    Ok(batch.project(&(0..batch.num_columns() - 1).collect::<Vec<_>>())?)
}

impl Stage for Breaking {
    fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let ids = IdentityColumns::of(batch)?;
        let hit = (0..ids.len())
            .any(|row| ids.device(row) == self.options.device && ids.seq(row) == self.options.seq);
        self.last = Some(batch.clone());
        match self.options.does.as_str() {
            _ if !hit => out.send(batch.clone()),
            "error" => {
                return Err(StageError::new("it was configured to fail").help("configure it otherwise"));
            }
            "panic" => {
                // What was sent before the panic must not stay: the rows are given again one by one.
                out.send(batch.clone());
                panic!("{SECRET}");
            }
            "columns" => out.send(narrow(batch)?),
            "port" => out.send_to(7, batch.clone()),
            _ => out.send(batch.clone()),
        }
        Ok(())
    }

    fn epoch_end(&mut self, barrier: &Barrier, out: &mut Outbox<'_>) -> Result {
        if barrier.epoch.0 != 2 {
            return Ok(());
        }
        if self.options.ends == "columns" {
            if let Some(last) = &self.last {
                out.send(narrow(last)?);
            }
            return Ok(());
        }
        go_wrong(&self.options.ends)
    }
}

options! {
    /// A sink of two inputs, of which one is gathered.
    pub struct Pair {
        /// Name of the ledger.
        ledger: String;
    }
}

impl StageConfig for Pair {
    const KIND: &'static str = "pair";
    fn signature(&self) -> Signature {
        Signature::sink([]).routing(Routing::Gather).input(Input::new("local", []))
    }
    fn build(&self, _: BuildContext<'_>) -> Result<impl Stage> {
        Ok(Pairing { ledger: self.ledger.clone() })
    }
}

struct Pairing {
    ledger: String,
}

impl Stage for Pairing {
    fn batch(&mut self, port: Port, batch: &RecordBatch, _: &mut Outbox<'_>) -> Result {
        ledger::note(&self.ledger, port as u64, ledger::of_batch(batch));
        Ok(())
    }
}
