//! What is shown while a run goes on: a line for each stage, redrawn on a terminal, or a log line now and then.
//!
//! In: the run's counters. Out: text on the standard error. It must not know what a row holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use headwater_runtime::metrics::{Counts, Metrics};
use headwater_runtime::plan::Plan;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How the state of a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DisplayStyle {
    /// Redrawn in place.
    Live,
    /// A line every few seconds.
    Lines,
    /// Not at all.
    None,
}

const REDRAW: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows a run until it is dropped.
pub(super) struct Display {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Display {
    pub(super) fn start(plan: &Arc<Plan>, metrics: &Arc<Metrics>, style: DisplayStyle) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (plan, metrics, until) = (plan.clone(), metrics.clone(), ended.clone());
        let show = move || match style {
            DisplayStyle::Live => live(&plan, &metrics, &until),
            DisplayStyle::Lines => lines(&plan, &metrics, &until),
            DisplayStyle::None => (),
        };
        let thread = std::thread::Builder::new().name("hw-display".into()).spawn(show).ok();
        Display { ended, thread }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.ended.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // A display that died has nothing to say about the run.
            let _ = thread.join();
        }
    }
}

fn live(plan: &Plan, metrics: &Metrics, ended: &AtomicBool) {
    let all = MultiProgress::new();
    let style = ProgressStyle::with_template("{prefix:>12} {spinner} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = |name: &str| {
        let bar = all.add(ProgressBar::new_spinner());
        bar.set_style(style.clone());
        bar.set_prefix(name.to_owned());
        bar
    };
    let bars: Vec<ProgressBar> = plan.stages.iter().map(|stage| bar(&stage.id)).collect();
    let total = bar("epochs");
    let started = Instant::now();
    while !ended.load(Relaxed) {
        let counts = metrics.snapshot();
        for (bar, stage) in bars.iter().zip(&counts.stages) {
            let queue = if stage.queued > 0 { format!(", {} waiting", stage.queued) } else { String::new() };
            let rejected =
                if stage.rejected > 0 { format!(", {} rejected", stage.rejected) } else { String::new() };
            bar.set_message(format!("{} in, {} out{queue}{rejected}", stage.rows_in, stage.rows_out));
            bar.tick();
        }
        total.set_message(progress(&counts, started.elapsed()));
        total.tick();
        std::thread::sleep(REDRAW);
    }
    let _ = all.clear();
}

fn lines(plan: &Plan, metrics: &Metrics, ended: &AtomicBool) {
    let started = Instant::now();
    let mut next = LINE_EVERY;
    while !ended.load(Relaxed) {
        std::thread::sleep(REDRAW);
        if started.elapsed() < next {
            continue;
        }
        next += LINE_EVERY;
        let counts = metrics.snapshot();
        let stages: Vec<String> = plan
            .stages
            .iter()
            .zip(&counts.stages)
            .map(|(s, c)| format!("{} {}", s.id, c.rows_out.max(c.rows_in)))
            .collect();
        let progress = progress(&counts, started.elapsed());
        tracing::info!(target: "headwater_progress", rows = stages.join(", "), "{progress}");
    }
}

/// Epochs, speed against real time, and when it may be over: by the share of recordings that were read, of which no more
/// than a window is still on the way.
fn progress(counts: &Counts, elapsed: Duration) -> String {
    let figure = |name: &str| counts.stages.iter().filter_map(|s| s.figures.get(name)).sum::<u64>();
    let (heard, read, inputs) = (figure("transcribed_ms"), figure("inputs_read"), figure("inputs"));
    let mut text =
        format!("{} of {} done, {:.0} s", counts.epochs_done, counts.epochs_opened, elapsed.as_secs_f64());
    if heard > 0 {
        let speed = heard as f64 / 1000.0 / elapsed.as_secs_f64().max(0.001);
        text += &format!(", {speed:.1}x real time");
    }
    if read > 0 && inputs > read {
        let left = elapsed.as_secs_f64() * (inputs - read) as f64 / read as f64;
        text += &format!(", about {left:.0} s left");
    }
    text
}
