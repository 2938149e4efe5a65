//! The log of the program: lines on the standard error, as text or as JSON.
//!
//! In: events of all crates, and what the site wants to hear. Out: lines. Many equal warnings become a few lines and a count. It must not
//! know what an event is about.

mod repeats;

use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::colour;
use repeats::{Count, Kind, Repeats, Warning};

/// The target of progress messages. They are logged whatever the level is: rarely, unless the level is `debug`.
pub(crate) const PROGRESS: &str = "headwater_progress";
/// Counts of warnings that were held back.
const COUNTS: &str = "headwater_counts";
/// The target at which decoders of recordings log.
const DECODERS: &str = "symphonia";
/// Between two looks whether a count is due.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The warnings that were held back, of this process.
static HELD: OnceLock<Mutex<Repeats>> = OnceLock::new();

/// Begins to log.
pub(crate) fn start(level: &str, json: bool) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|error| {
        eprintln!("warning: log level {level:?}: {error}; warn is used");
        EnvFilter::new("warn")
    });
    let detailed = filter.max_level_hint().is_some_and(|level| level >= LevelFilter::DEBUG);
    let progress = if detailed { LevelFilter::DEBUG } else { LevelFilter::INFO };
    // A decoder knows no file; what it says of one stands in the reasons of rejected recordings.
    let decoders = (!level.contains(DECODERS)).then_some((DECODERS, LevelFilter::OFF));
    let always = [(PROGRESS, progress), (COUNTS, LevelFilter::WARN)];
    let filter = always.iter().chain(&decoders).fold(filter, |filter, (target, level)| {
        format!("{target}={level}")
            .parse()
            .map_or(filter.clone(), |directive| filter.add_directive(directive))
    });
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(!json && colour::wanted(&std::io::stderr()))
        // It says so on the standard error, which is what failed.
        .log_internal_errors(false);
    let log = tracing_subscriber::registry().with(filter);
    if json {
        log.with(lines.json().with_filter(FirstFew)).init();
    } else {
        log.with(lines.with_filter(FirstFew)).init();
    }
    HELD.get_or_init(Mutex::default);
    let counting = || loop {
        std::thread::sleep(POLL_INTERVAL);
        count(|held| held.due(Instant::now()));
    };
    // Without the thread counts come at the end alone.
    let _ = std::thread::Builder::new().name("hw-log".into()).spawn(counting);
}

/// Logs what is still held back.
pub(crate) fn flush() {
    count(Repeats::take);
}

fn count(due: impl FnOnce(&mut Repeats) -> Vec<Count>) {
    let due = HELD.get().and_then(|held| held.lock().ok().map(|mut held| due(&mut held)));
    for Count { kind: Kind { stage, code, .. }, message, times } in due.into_iter().flatten() {
        let (stage, code) = (stage.as_deref(), code.as_deref());
        tracing::warn!(target: COUNTS, stage, code, "{message}: {times} more times");
    }
}

/// Lets the first few of many equal warnings through.
struct FirstFew;

impl<S: Subscriber> Filter<S> for FirstFew {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let about = event.metadata();
        if *about.level() != tracing::Level::WARN || about.target() == COUNTS {
            return true;
        }
        let Some(Ok(mut held)) = HELD.get().map(Mutex::lock) else { return true };
        held.passes(Warning::of(event), Instant::now())
    }
}
