//! The throughput of the redactor: megabytes of text per CPU second on one thread, printed as a table.
//!
//! Texts: sentences made here (no personal data of anybody), and every file named by `HEADWATER_REDACT_TEXTS` (paths apart by `:`, one
//! text a line). Run with `cargo bench -p headwater-stages --bench redact`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::time::{Duration, Instant};

use headwater_stages::redact::{Entities, Profile, Scanner, Style};

/// Each text is repeated until so many bytes were scanned.
const BYTES: usize = 50_000_000;

fn main() {
    // `cargo test` runs benches too, to see that they run: a thousandth is enough for that.
    let bytes = if std::env::args().any(|arg| arg == "--bench") { BYTES } else { BYTES / 1000 };
    println!(
        "{:<34} {:<11} {:>9} {:>9} {:>9} {:>9} {:>10}",
        "texts", "profile", "MB", "CPU s", "wall s", "MB/CPU s", "entities"
    );
    for (name, texts) in texts() {
        for profile in [Profile::Transcript, Profile::Text] {
            measure(&name, &texts, profile, bytes);
        }
    }
}

fn measure(name: &str, texts: &[String], profile: Profile, bytes: usize) {
    let scanner = Scanner::new(profile, Style::Tag, Entities::all());
    let (mut scanned, mut entities) = (0, 0);
    let (wall, cpu) = (Instant::now(), cpu_time());
    while scanned < bytes {
        for text in texts {
            scanned += text.len();
            entities += std::hint::black_box(scanner.redact(text)).entities.len();
        }
    }
    let (wall, cpu) = (wall.elapsed(), cpu_time().saturating_sub(cpu));
    let megabytes = scanned as f64 / 1e6;
    println!(
        "{name:<34} {:<11} {megabytes:>9.1} {:>9.2} {:>9.2} {:>9.1} {entities:>10}",
        format!("{profile:?}").to_lowercase(),
        cpu.as_secs_f64(),
        wall.as_secs_f64(),
        megabytes / cpu.max(Duration::from_millis(1)).as_secs_f64(),
    );
}

/// CPU time of this process (Linux: user and system ticks of 10 ms); elsewhere nothing is known and 0 is printed.
fn cpu_time() -> Duration {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return Duration::ZERO };
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn texts() -> Vec<(String, Vec<String>)> {
    let mut sets = vec![
        ("talk without numbers".to_owned(), repeat(PLAIN)),
        ("talk with prices and times".to_owned(), repeat(QUANTITIES)),
        ("talk full of spoken numbers".to_owned(), repeat(SPOKEN)),
        ("one long utterance".to_owned(), vec![repeat(&[PLAIN, QUANTITIES, SPOKEN].concat()).join(" ")]),
    ];
    let paths = std::env::var("HEADWATER_REDACT_TEXTS").unwrap_or_default();
    for path in paths.split(':').filter(|path| !path.is_empty()) {
        let text = std::fs::read_to_string(path).expect("a readable file of texts");
        sets.push((path.rsplit('/').next().unwrap().to_owned(), text.lines().map(str::to_owned).collect()));
    }
    sets
}

fn repeat(sentences: &[&str]) -> Vec<String> {
    sentences.iter().cycle().take(400).map(|sentence| (*sentence).to_owned()).collect()
}

const PLAIN: &[&str] = &[
    "Could you turn the light in the kitchen down a little, it is far too bright for me in the evening.",
    "We looked at the pump again and the bearing is worn, so it has to come out before the end of the week.",
    "She said the medicine makes her tired, but she sleeps better, and the knee does not hurt as much any more.",
];

const QUANTITIES: &[&str] = &[
    "Set the oven to 220 degrees for 35 minutes and put the bread in at half past seven.",
    "That comes to $1,249.50 with tax, or nine hundred and fifty euros if you pay this month.",
    "The train leaves at 10:45 from platform 6, and the ride takes two hours and twenty minutes.",
];

const SPOKEN: &[&str] = &[
    "My number is five five five, oh one two three, and the other one is double seven five four four one nine.",
    "The card is 4539 1488 0343 6467, and you can write to john dot doe at example dot com.",
    "My social is oh seven eight, oh five, one one two oh, born on March 3rd, 1985.",
];
