//! Transcribes recordings and prints one JSON line for each: CPU milliseconds of the thread by part, and the text.
//!
//! `cargo run -p headwater-stages --example bench_transcribe -- MODEL [--padding auto|full|SECONDS|tail:SECONDS] [--float] FILE...`
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use headwater_datasets::audio::AudioReader;
use headwater_stages::transcribe::recogniser::{Arithmetic, Model, Options, Padding};
use serde_json::json;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).peekable();
    let model = arguments.next().ok_or("the folder of a model comes first")?;
    let mut options = Options::default();
    if arguments.next_if(|a| a == "--padding").is_some() {
        options.padding = padding(&arguments.next().ok_or("--padding needs a value")?)?;
    }
    if arguments.next_if(|a| a == "--float").is_some() {
        options.arithmetic = Arithmetic::Float;
    }
    let before = cpu();
    let model = Model::load(Path::new(&model), options)?;
    let [resident, peak] = memory_mb();
    eprintln!(
        "{}",
        json!({ "load_ms": ms(cpu() - before), "padding": format!("{:?}", model.padding()), "rss_mb": resident, "peak_mb": peak })
    );
    let mut transcriber = model.transcriber();
    for file in arguments {
        let samples = read(Path::new(&file))?;
        let before = cpu();
        let t = transcriber.transcribe(&samples)?;
        let total = cpu() - before;
        let parts = t.timings;
        println!(
            "{}",
            json!({
                "file": file, "audio_seconds": t.seconds,
                "mel_ms": ms(parts.mel), "encoder_ms": ms(parts.encoder), "cross_ms": ms(parts.cross),
                "first_ms": ms(parts.first), "tokens": t.tokens, "tokens_ms": ms(parts.steps), "total_ms": ms(total),
                "avg_logprob": t.avg_logprob, "no_speech_prob": t.no_speech_prob, "fell_back": t.fell_back,
                "language": t.language, "text": t.text,
            })
        );
    }
    let [resident, peak] = memory_mb();
    eprintln!("{}", json!({ "rss_mb": resident, "peak_mb": peak }));
    Ok(())
}

fn padding(text: &str) -> Result<Padding, Failure> {
    Ok(match text {
        "auto" => Padding::Auto,
        "full" => Padding::Full,
        _ => match text.strip_prefix("tail:") {
            Some(seconds) => Padding::Tail(seconds.parse()?),
            None => Padding::Silence(text.parse()?),
        },
    })
}

fn read(path: &Path) -> Result<Vec<f32>, Failure> {
    let mut reader = AudioReader::open(path)?;
    let mut samples = Vec::new();
    while let Some(chunk) = reader.next_chunk()? {
        samples.extend_from_slice(chunk);
    }
    Ok(samples)
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 1e2
}

fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

/// Resident memory now and at its peak, in MB, where /proc has it.
fn memory_mb() -> [u64; 2] {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ["VmRSS:", "VmHWM:"].map(|key| {
        let line = status.lines().find_map(|l| l.strip_prefix(key)).unwrap_or_default();
        line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
    })
}
