//! A service that runs for long: a supervised, watching pipeline with metrics, while recordings and lines of text arrive at random,
//! whole, in halves, cut off and rotated; its key is rotated, a device is forgotten, it is killed again and again. Every row is
//! stored once, pyarrow reads the store while it grows, and the memory stays flat.
//!
//! `HEADWATER_SOAK_MINUTES` says how long (5), `HEADWATER_SEED` what happens when (1): scripts/soak sets them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod chance;
#[path = "soak/memory.rs"]
mod memory;
mod python;
#[path = "soak/service.rs"]
mod service;
mod site;
#[path = "soak/writers.rs"]
mod writers;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chance::Chance;
use memory::Memory;
use service::Service;
use writers::{Lines, Recordings};

/// Kills of one soak, spread over its first half: the second half shows whether the memory is flat.
const KILLS: u32 = 10;
/// The device that is forgotten in the midst of it.
const FORGOTTEN: &str = "porch";

fn setting<T: std::str::FromStr>(variable: &str, usual: T) -> T {
    std::env::var(variable)
        .ok()
        .map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

/// What is done to the service, and when.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// The attempt is killed; its supervisor starts the next one.
    KillAttempt,
    /// The supervisor is killed, too, as by a power cut.
    KillAll,
    RotateKey,
    Forget,
    /// Many recordings come at once, so that every transcribing thread has its working memory before the memory is measured.
    Burst,
}

/// Recordings of a burst: several for each thread of `transcribe`.
const BURST: u32 = 8;

/// The events in order, each with the part of the whole time at which it happens.
fn events() -> Vec<(f64, Event)> {
    let kill = |n: u32| {
        (0.04 + 0.04 * f64::from(n), if n.is_multiple_of(2) { Event::KillAttempt } else { Event::KillAll })
    };
    let mut events: Vec<_> = (0..KILLS).map(kill).collect();
    events.extend([
        (0.18, Event::RotateKey),
        (0.30, Event::Forget),
        (0.38, Event::RotateKey),
        (0.42, Event::Burst),
    ]);
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    events
}

#[test]
#[ignore = "takes minutes: scripts/soak service"]
fn every_row_is_stored_once_and_memory_stays_flat() {
    let whole = Duration::from_secs_f64(60.0 * setting::<f64>("HEADWATER_SOAK_MINUTES", 5.0));
    let mut chance = Chance(setting("HEADWATER_SEED", 1));
    let mut service = Service::new();
    let (mut recordings, mut lines) = (Recordings::new(&service.site), Lines::new(&service.site));
    let (mut events, mut memory) = (events().into_iter().peekable(), Memory::default());
    let (mut reads, mut read_rows) = (0, 0);
    service.start();
    let begun = Instant::now();
    let mut next_read = whole / 20;
    while begun.elapsed() < whole {
        recordings.step(&mut chance);
        lines.step(&mut chance, |id| {
            // To look takes long.
            recordings.complete();
            service.has_line(id)
        });
        let passed = begun.elapsed();
        if let Some((_, event)) = events.next_if(|(at, _)| passed >= whole.mul_f64(*at)) {
            recordings.complete();
            println!("{:>6.0} s  {event:?}", passed.as_secs_f64());
            match event {
                Event::KillAttempt => service.kill_attempt(),
                Event::KillAll => service.kill_all(),
                Event::Burst => recordings.burst(&mut chance, BURST),
                Event::RotateKey => service.stopped(service::Service::rotate_key),
                Event::Forget => {
                    recordings.end(FORGOTTEN);
                    lines.end(FORGOTTEN);
                    // What it wrote is taken in: else it would be taken in when it is forgotten already.
                    lines.complete();
                    service.settle(&lines);
                    service.stopped(|service| service.forget(FORGOTTEN));
                }
            }
        }
        if passed >= next_read {
            recordings.complete();
            next_read += whole / 20;
            let rows = service.read_by_pyarrow();
            println!("{:>6.0} s  pyarrow reads {rows} rows", passed.as_secs_f64());
            (reads, read_rows) = (reads + 1, rows);
        }
        if passed > whole / 2 {
            memory.sample(passed, service.resident());
        }
        std::thread::sleep(Duration::from_millis(50 + chance.below(400)));
    }
    recordings.complete();
    lines.complete();
    service.settle(&lines);
    service.stop();

    assert!(reads >= 10 && read_rows > 0, "pyarrow read {read_rows} rows in the last of {reads} times");
    let expected = service.reference();
    let stored = service.stored("voice");
    same("recordings", &without(FORGOTTEN, expected), &stored);
    same("lines", &without(FORGOTTEN, lines.written()), &service.stored("talk"));
    println!(
        "{} recordings, {} rows of them; {} lines; {KILLS} kills",
        recordings.count(),
        stored.len(),
        lines.count()
    );
    memory.report();
}

/// How often each (device, file or line, text) is there.
pub type Rows = BTreeMap<(String, String, String), u32>;

fn without(device: &str, rows: Rows) -> Rows {
    rows.into_iter().filter(|((of, _, _), _)| of != device).collect()
}

fn same(what: &str, expected: &Rows, found: &Rows) {
    let differing = |a: &Rows, b: &Rows| -> Vec<String> {
        let rows = a.iter().filter(|(row, count)| b.get(*row) != Some(*count));
        rows.map(|(row, count)| format!("{row:?} {count} times, there {:?}", b.get(row))).take(10).collect()
    };
    assert!(
        expected == found,
        "{what}: missing {:#?}, too many {:#?}",
        differing(expected, found),
        differing(found, expected)
    );
}
