//! The cost of audio capture: CPU seconds per hour of audio for decoding with resampling, and for cutting; and what is held
//! while an hour is heard. `cargo bench -p headwater-stages --bench capture [FOLDER or manifest.toml]`.
//!
//! CPU time of this thread, so that a busy machine changes little.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;

use headwater_datasets::audio::AudioReader;
use headwater_stages::capture::recordings;
use headwater_stages::capture::segment::Segmenter;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let asked = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let voice = root.join("datasets/voice");
    let path =
        asked.map_or(if voice.exists() { voice } else { root.join("datasets/tests/samples") }, Into::into);
    by_format(&path);
    an_hour(&root.join("datasets/tests/samples/speech-16000-1.ogg"));
}

/// CPU seconds that this thread has used.
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Highest resident memory so far, in MiB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

#[derive(Default)]
struct Cost {
    seconds: f64,
    decode: f64,
    cut: f64,
    utterances: usize,
    kept: f64,
}

fn hear(path: &Path, cost: &mut Cost) -> Result<String, String> {
    let mut reader = AudioReader::open(path).map_err(|error| error.to_string())?;
    let mut segmenter = Segmenter::new();
    let (mut utterances, mut kept) = (0, 0);
    let mut start = cpu();
    loop {
        let chunk = reader.next_chunk().map_err(|error| error.to_string())?;
        let decoded = cpu();
        cost.decode += decoded - start;
        let Some(chunk) = chunk else { break };
        cost.seconds += chunk.len() as f64 / 16_000.0;
        segmenter
            .push(chunk, &mut |segment| (utterances, kept) = (utterances + 1, kept + segment.samples.len()));
        start = cpu();
        cost.cut += start - decoded;
    }
    segmenter.finish(&mut |segment| (utterances, kept) = (utterances + 1, kept + segment.samples.len()));
    cost.utterances += utterances;
    cost.kept += kept as f64 / 16_000.0;
    Ok(format!("{} {:>6} Hz x{}", reader.container(), reader.source_rate(), reader.channels()))
}

fn by_format(path: &Path) {
    let mut costs: BTreeMap<String, Cost> = BTreeMap::new();
    for take in recordings::list(path, "here", false).unwrap() {
        let mut cost = Cost::default();
        let Ok(name) = hear(&take.path, &mut cost) else { continue };
        let sum = costs.entry(name).or_default();
        sum.seconds += cost.seconds;
        sum.decode += cost.decode;
        sum.cut += cost.cut;
        sum.utterances += cost.utterances;
        sum.kept += cost.kept;
    }
    println!("format             audio s  kept s  utterances  decode CPU s/h  cut CPU s/h");
    for (name, Cost { seconds, decode, cut, utterances, kept }) in costs {
        let hour = 3600.0 / seconds;
        println!(
            "{name:18} {seconds:7.1} {kept:7.1} {utterances:11} {:15.2} {:12.2}",
            decode * hour,
            cut * hour
        );
    }
}

/// One hour of speech and pauses, written to a file and heard.
fn an_hour(speech: &Path) {
    let mut reader = AudioReader::open(speech).unwrap();
    let mut pattern: Vec<u8> = Vec::new();
    while let Some(chunk) = reader.next_chunk().unwrap() {
        pattern.extend(chunk.iter().flat_map(|sample| ((sample * 32_767.0) as i16).to_le_bytes()));
    }
    let second = 32_000;
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut wav = BufWriter::new(file.as_file());
    let size = 3600 * second as u32;
    wav.write_all(&[&b"RIFF"[..], &(36 + size).to_le_bytes(), b"WAVEfmt \x10\0\0\0\x01\0\x01\0"].concat())
        .unwrap();
    wav.write_all(&[16_000u32.to_le_bytes(), 32_000u32.to_le_bytes()].concat()).unwrap();
    wav.write_all(&[&b"\x02\0\x10\0data"[..], &size.to_le_bytes()].concat()).unwrap();
    let (mut written, mut turn) = (0, 0);
    while written < size as usize {
        let stretch =
            if turn % 2 == 0 { pattern.clone() } else { vec![0; second * [1, 3, 2, 5][turn / 2 % 4]] };
        let room = stretch.len().min(size as usize - written);
        wav.write_all(&stretch[..room]).unwrap();
        (written, turn) = (written + room, turn + 1);
    }
    drop(wav);
    let before = peak();
    let mut cost = Cost::default();
    hear(file.path(), &mut cost).unwrap();
    let total = cost.decode + cost.cut;
    println!(
        "one hour (WAV, 16 kHz): {} utterances, {:.0} s kept, {total:.2} CPU s, peak memory {before:.1} -> {:.1} MiB",
        cost.utterances,
        cost.kept,
        peak()
    );
}
