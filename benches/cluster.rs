//! What it costs that rows cross processes: CPU seconds for each GiB that goes from one worker to another, with the two workers in one
//! process, in two processes over a socket of the machine, and in two processes over TLS. Prints a table and the ratios.
//!
//! All rows have one key, which belongs to the second worker: everything crosses once, and nothing else is done with it. The clocks
//! are those of the processes, from before the run to its end; runs alternate, and medians are printed.
//! `cargo test --workspace --bench cluster` runs it with the profile of the tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use arrow::array::{ListArray, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use arrow::buffer::OffsetBuffer;
use headwater_contract::hash;
use headwater_contract::prelude::*;
use headwater_runtime::check::{Settings, check};
use headwater_runtime::cluster::hosts::Hosts;
use headwater_runtime::cluster::{Fingerprint, Member, Setup, certs};
use headwater_runtime::plan::Plan;
use headwater_runtime::run::{RunOptions, run};

/// Each measurement is taken so often.
const TIMES: usize = 3;
/// Samples of an utterance: five seconds.
const SAMPLES: usize = 5 * 16_000;
const MIB: u64 = 1 << 20;

/// Name, rows of a batch, samples of a row, batches.
const INPUTS: [(&str, u64, usize, u64); 2] =
    [("sound, 1 row of 313 KiB", 1, SAMPLES, 1600), ("numbers, 64 rows of 400 B", 64, 100, 10_000)];

options! {
    /// Sends one batch again and again.
    pub struct Same {
        /// Rows of the batch.
        rows: u64;
        /// Samples of each row.
        samples: usize;
        /// How often.
        batches: u64;
    }
}

/// A device whose rows are on the second of two workers.
fn device() -> String {
    (0..100).map(|n| format!("device-{n}")).find(|name| hash::stable(name.as_bytes()) % 2 == 1).unwrap()
}

impl SourceConfig for Same {
    const KIND: &'static str = "same";
    fn signature(&self) -> Signature {
        Signature::source([headwater_contract::columns::f32_list("samples")])
    }
    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }
    fn open(&self, cx: SourceContext<'_>) -> Result<impl Source> {
        let (rows, device) = (self.rows, device());
        let values = arrow::array::Float32Array::from_iter_values(
            (0..rows as usize * self.samples).map(|n| (n % 977) as f32 / 977.0),
        );
        let item = Arc::new(Field::new_list_field(DataType::Float32, false));
        let offsets = OffsetBuffer::from_lengths((0..rows).map(|_| self.samples));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values((0..rows).map(|_| &device))),
            Arc::new(StringArray::from_iter_values((0..rows).map(|_| cx.id))),
            Arc::new(UInt64Array::from_iter_values(0..rows)),
            Arc::new(UInt32Array::from_iter_values((0..rows).map(|_| 0))),
            Arc::new(TimestampMicrosecondArray::from_iter_values(0..rows as i64).with_timezone("UTC")),
            Arc::new(ListArray::try_new(item, offsets, Arc::new(values), None)?),
        ];
        Ok(Sending { batch: RecordBatch::try_new(cx.schema, columns)?, batches: self.batches })
    }
}

struct Sending {
    batch: RecordBatch,
    batches: u64,
}

impl Source for Sending {
    fn run(self: Box<Self>, mut feed: Feed<'_>) -> Result {
        (0..self.batches).try_for_each(|_| feed.send(self.batch.clone(), Position::default()))
    }
}

options! {
    /// Takes rows at the worker of their device.
    pub struct Collector {}
}

impl StageConfig for Collector {
    const KIND: &'static str = "taken";
    fn signature(&self) -> Signature {
        Signature::sink([]).routing(Routing::ByKey("device".into()))
    }
    fn build(&self, _: BuildContext<'_>) -> Result<impl Stage> {
        Ok(CollectorStage)
    }
}

struct CollectorStage;

impl Stage for CollectorStage {
    fn batch(&mut self, _: Port, _: &RecordBatch, _: &mut Outbox<'_>) -> Result {
        Ok(())
    }
}

fn plan((_, rows, samples, batches): (&str, u64, usize, u64)) -> Arc<Plan> {
    let text = format!(
        "[pipeline]\nname = 'bench'\nepoch = {{ rows = {} }}\nepoch_bytes = '16MiB'\nwindow = 4\n
         [stage.same]\ntype = 'same'\nrows = {rows}\nsamples = {samples}\nbatches = {batches}\n
         [stage.taken]\ntype = 'taken'\nfrom = 'same'\n",
        rows * 16
    );
    let kinds = [StageFactory::source::<Same>(), StageFactory::stage::<Collector>()];
    let checked = check("bench.toml", &text, &kinds, &Settings::default());
    let messages: Vec<_> = checked.diagnostics.iter().map(|d| d.message.clone()).collect();
    Arc::new(checked.plan.unwrap_or_else(|| panic!("{messages:?}")))
}

fn process_cpu() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Runs in this process; gives the CPU seconds that it took here.
fn measured(plan: &Arc<Plan>, hosts: Option<(&Hosts, usize)>) -> f64 {
    let host = HostEnv { is_peer: hosts.is_some_and(|(_, index)| index > 0), ..HostEnv::default() };
    let mut options = RunOptions { digests: false, workers: 2, ..RunOptions::new(plan, host) };
    if let Some((hosts, index)) = hosts {
        let (hosts, fingerprint) = (hosts.clone(), Fingerprint::default());
        let setup = Setup { hosts, index, fingerprint, mixed_cpus: false, begin: 0, hopeless: &|| None };
        let member = Member::join(setup).unwrap();
        options.workers = member.workers();
        options.cluster = Some(Arc::new(member));
    }
    let before = process_cpu();
    run(plan.clone(), options).unwrap();
    process_cpu() - before
}

/// Runs in two processes; gives the CPU seconds of both.
fn in_two(input: usize, hosts: &Path) -> f64 {
    let other = Command::new(std::env::current_exe().unwrap())
        .env("HEADWATER_BENCH_OTHER", format!("{input} {}", hosts.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let here = measured(&plan(INPUTS[input]), Some((&Hosts::read(hosts).unwrap(), 0)));
    let output = other.wait_with_output().unwrap();
    assert!(output.status.success());
    here + String::from_utf8(output.stdout).unwrap().trim().parse::<f64>().unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    if let Ok(other) = std::env::var("HEADWATER_BENCH_OTHER") {
        let (input, hosts) = other.split_once(' ').unwrap();
        let plan = plan(INPUTS[input.parse::<usize>().unwrap()]);
        println!("{}", measured(&plan, Some((&Hosts::read(Path::new(hosts)).unwrap(), 1))));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sockets = folder.path().join("sockets.toml");
    std::fs::write(&sockets, Hosts::local(folder.path(), 2, 1).text()).unwrap();
    let secured = folder.path().join("hosts.toml");
    let ports: Vec<_> = (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let text: String = ports
        .iter()
        .enumerate()
        .map(|(n, port)| format!("[[process]]\nname = 'p{n}'\naddress = '{}'\n", port.local_addr().unwrap()))
        .collect();
    std::fs::write(&secured, text).unwrap();
    drop(ports);
    certs::make(&Hosts::read(&secured).unwrap(), 1, false).unwrap();

    println!(
        "{:28} {:>22} {:>22} {:>22}",
        "CPU seconds a GiB", "1 process, 2 workers", "2 processes, sockets", "2 processes, TLS"
    );
    for (index, input) in INPUTS.into_iter().enumerate() {
        let (name, rows, samples, batches) = input;
        let mib = rows * batches * (samples as u64 * 4) / MIB;
        let mut all: [Vec<f64>; 3] = Default::default();
        for _ in 0..TIMES {
            all[0].push(measured(&plan(input), None));
            all[1].push(in_two(index, &sockets));
            all[2].push(in_two(index, &secured));
            std::thread::sleep(Duration::from_millis(50));
        }
        let [alone, sockets, tls] = all.map(|values| median(values) * 1024.0 / mib as f64);
        println!(
            "{name:28} {alone:>22.2} {:>22} {:>22}",
            format!("{sockets:.2} ({:.1} times)", sockets / alone),
            format!("{tls:.2} ({:.1} times)", tls / alone)
        );
    }
}
