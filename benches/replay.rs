//! A recording of 1 GB of text, made on the fly, is played through a pipeline: memory, and rows and bytes a CPU second, beside a run of
//! the same rows that were not recorded, and beside the same rows read from a plain Arrow IPC file, all in one process. `cargo bench --bench
//! replay`, or `HEADWATER_BENCH_MB=100` for less.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use arrow::ipc::{reader::StreamReader, writer::StreamWriter};
use headwater::contract::prelude::*;
use headwater_runtime::check::{Settings, check};
use headwater_runtime::run::{Report, RunOptions, ready, run};
use headwater_vault::{KeyFile, RecordedEnd, RecordedPort, RecordingHead, RecordingWriter, real_disk};

/// The most memory that a replay may take.
const MOST: u64 = 400 << 20;
const ROWS: u64 = 1000;
const TEXT: usize = 200;

options! {
    /// The rows of the recording, made again: the reference.
    pub struct Rows_ {
        /// How many batches.
        batches: u64 = 1;
    }
}

impl SourceConfig for Rows_ {
    const KIND: &'static str = "made";
    fn signature(&self) -> Signature {
        Signature::source([utf8("text")])
    }
    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }
    fn open(&self, cx: SourceContext<'_>) -> Result<impl Source> {
        Ok(SampleSource(self.batches, cx.schema))
    }
}

struct SampleSource(u64, SchemaRef);

impl Source for SampleSource {
    fn run(self: Box<Self>, mut feed: Feed<'_>) -> Result {
        (0..self.0).try_for_each(|number| feed.send(batch(&self.1, number), Position::default()))
    }
}

options! {
    /// Takes rows and forgets them.
    pub struct Ends {
    }
}

impl StageConfig for Ends {
    const KIND: &'static str = "ends";
    fn signature(&self) -> Signature {
        Signature::sink([utf8("text")])
    }
    fn build(&self, _: BuildContext<'_>) -> Result<impl Stage> {
        Ok(Ended)
    }
}

struct Ended;

impl Stage for Ended {
    fn batch(&mut self, _: Port, _: &RecordBatch, _: &mut Outbox<'_>) -> Result {
        Ok(())
    }
}

/// A batch of rows of one device, of a text that follows from its number.
fn batch(schema: &SchemaRef, number: u64) -> RecordBatch {
    let rows = number * ROWS..(number + 1) * ROWS;
    let text = |row: u64| {
        let mut text = format!("sentence {row} ");
        while text.len() < TEXT {
            text += ["of water ", "of stones ", "of rain "][(row as usize + text.len()) % 3];
        }
        text
    };
    let device = format!("device-{:02}", number % 32);
    let times = rows.clone().map(|row| row as i64 * 1000);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.clone().map(|_| &device))),
        Arc::new(StringArray::from_iter_values(rows.clone().map(|_| "talk"))),
        Arc::new(UInt64Array::from_iter_values(rows.clone())),
        Arc::new(UInt32Array::from_iter_values(rows.clone().map(|_| 0))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
        Arc::new(StringArray::from_iter_values(rows.map(text))),
    ];
    RecordBatch::try_new(schema.clone(), columns).unwrap()
}

fn record(folder: &Path, key: &KeyFile, batches: u64) -> u64 {
    let columns = Signature::source([utf8("text")]).apply(&[]).unwrap()[0].clone();
    let port = RecordedPort { name: "talk.out".into(), label: "raw".into(), columns: columns.clone() };
    let head = RecordingHead { pipeline: "bench".into(), facts: BTreeMap::default(), ports: vec![port] };
    let mut writer = RecordingWriter::create(folder, key, real_disk(), &head).unwrap();
    for epoch in 0..batches {
        writer.rows(0, &batch(&columns, epoch)).unwrap();
        let last = epoch + 1 == batches;
        writer
            .end(&RecordedEnd { epoch, round: 0, watermark: None, round_end: last, end_of_input: last })
            .unwrap();
    }
    writer.finish().unwrap();
    std::fs::metadata(folder.join("00000001.frames")).unwrap().len()
}

/// Writes the same rows as plain Arrow IPC, and reads them; the CPU time of reading.
fn plain(file: &Path, batches: u64) -> Duration {
    let columns = Signature::source([utf8("text")]).apply(&[]).unwrap()[0].clone();
    let to = std::io::BufWriter::new(std::fs::File::create(file).unwrap());
    let mut writer = StreamWriter::try_new(to, &columns).unwrap();
    (0..batches).for_each(|number| writer.write(&batch(&columns, number)).unwrap());
    writer.finish().unwrap();
    let before = cpu();
    let from = std::io::BufReader::with_capacity(1 << 20, std::fs::File::open(file).unwrap());
    let rows: usize = StreamReader::try_new(from, None).unwrap().map(|rows| rows.unwrap().num_rows()).sum();
    assert_eq!(rows as u64, batches * ROWS);
    cpu() - before
}

/// Runs a source into nothing; what it did, and the CPU time of the process meanwhile.
fn play(source: &str, key: &KeyFile) -> (Report, Duration) {
    let text = format!(
        "[pipeline]\nname = 'bench'\nepoch = {{ rows = {ROWS} }}\n{source}\n[stage.end]\ntype = 'ends'\nfrom = 'talk'\n"
    );
    let kinds =
        [headwater_stages::replay::KIND, StageFactory::source::<Rows_>(), StageFactory::stage::<Ends>()];
    let plan = Arc::new(check("bench", &text, &kinds, &Settings::default()).plan.unwrap());
    let host = HostEnv { key_file: key.path().to_owned(), ..HostEnv::default() };
    ready(&plan, &host).unwrap();
    let mut options = RunOptions::new(&plan, host);
    options.digests = false;
    let before = cpu();
    let report = run(plan, options).unwrap();
    (report, cpu() - before)
}

fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.cast_unsigned(), u32::try_from(now.tv_nsec).unwrap())
}

fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn main() {
    let megabytes: u64 =
        std::env::var("HEADWATER_BENCH_MB").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let batches = (megabytes * 1_000_000 / (ROWS * TEXT as u64)).max(1);
    let own = tempfile::tempdir().unwrap();
    let key = KeyFile::at(own.path().join("root.key"));
    let folder = own.path().join("rec");
    let begun = Instant::now();
    let bytes = record(&folder, &key, batches);
    println!(
        "recorded   {} rows, {:.2} GB on disk, in {:.1} s",
        batches * ROWS,
        bytes as f64 / 1e9,
        begun.elapsed().as_secs_f64()
    );
    let (made, of_made) = play(&format!("[stage.talk]\ntype = 'made'\nbatches = {batches}"), &key);
    let (played, of_played) =
        play(&format!("[stage.talk]\ntype = 'replay'\npath = '{}'", folder.display()), &key);
    let rows = |report: &Report| report.counts.stages[1].rows_in;
    assert_eq!(
        (rows(&played), played.counts.epochs_done),
        (batches * ROWS, batches),
        "all of it, in its epochs"
    );
    assert_eq!(rows(&made), batches * ROWS);
    let most = most_memory();
    let of_plain = plain(&own.path().join("plain.arrow"), batches);
    let report = |what: &str, cpu: Duration| {
        let seconds = cpu.as_secs_f64();
        let (rows, megabytes) = ((batches * ROWS) as f64 / 1e6 / seconds, bytes as f64 / 1e6 / seconds);
        println!("{what:<10} {seconds:.1} CPU s: {rows:.2} million rows, {megabytes:.0} MB a CPU second");
    };
    report("made", of_made);
    report("replayed", of_played);
    report("plain", of_plain);
    println!(
        "replaying takes {:.2} times the CPU time of rows that are made, {:.1} times that of plain Arrow IPC, which is neither \
         decrypted nor checked nor run",
        of_played.as_secs_f64() / of_made.as_secs_f64(),
        of_played.as_secs_f64() / of_plain.as_secs_f64()
    );
    let verdict = if most <= MOST { "within" } else { "MISSED: more than" };
    println!("memory     {} MiB at most, {verdict} {} MiB", most >> 20, MOST >> 20);
}
