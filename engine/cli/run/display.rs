//! The display of a run: a line for each stage, redrawn on a terminal, or a log line now and then.
//!
//! In: the run's counters, and whether it is to stop. Out: text on the standard error. It must not know what a row holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use headwater_runtime::metrics::{Counts, Metrics};
use headwater_runtime::plan::Plan;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::log::PROGRESS;

/// The way in which the progress of a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DisplayStyle {
    /// Redrawn in place.
    Live,
    /// A line now and then, as long as something happens.
    Lines,
    /// Not at all.
    None,
}

const REDRAW: Duration = Duration::from_millis(200);
/// Between two lines of a log at the level `debug`, and at every other.
const DETAILED_EVERY: Duration = Duration::from_secs(10);
const LINE_EVERY: Duration = Duration::from_mins(10);

/// Shows a run until it is dropped.
pub(super) struct Display {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Display {
    pub(super) fn start(
        plan: &Arc<Plan>,
        metrics: &Arc<Metrics>,
        stopping: &Arc<AtomicBool>,
        style: DisplayStyle,
    ) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let shown = Shown {
            plan: plan.clone(),
            metrics: metrics.clone(),
            stopping: stopping.clone(),
            ended: ended.clone(),
        };
        let show = move || match style {
            DisplayStyle::Live => shown.live(),
            DisplayStyle::Lines => shown.lines(),
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

/// The run that is shown.
struct Shown {
    plan: Arc<Plan>,
    metrics: Arc<Metrics>,
    stopping: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

impl Shown {
    fn live(&self) {
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("{prefix:>12} {spinner} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = |name: &str| {
            let bar = all.add(ProgressBar::new_spinner());
            bar.set_style(style.clone());
            bar.set_prefix(name.to_owned());
            bar
        };
        let bars: Vec<ProgressBar> = self.plan.stages.iter().map(|stage| bar(&stage.id)).collect();
        let total = bar("epochs");
        let started = Instant::now();
        while !self.ended.load(Relaxed) {
            let counts = self.metrics.snapshot();
            for (bar, stage) in bars.iter().zip(&counts.stages) {
                let queue =
                    if stage.queued > 0 { format!(", {} waiting", stage.queued) } else { String::new() };
                let held = if stage.held > 0 { format!(", {} held", stage.held) } else { String::new() };
                let rejected =
                    if stage.rejected > 0 { format!(", {} rejected", stage.rejected) } else { String::new() };
                bar.set_message(format!(
                    "{} in, {} out{queue}{held}{rejected}",
                    stage.rows_in, stage.rows_out
                ));
                bar.tick();
            }
            let message = if self.stopping.load(Relaxed) {
                finishing(&counts)
            } else {
                progress(&counts, started.elapsed(), self.plan.is_endless())
            };
            total.set_message(message);
            total.tick();
            std::thread::sleep(REDRAW);
        }
        let _ = all.clear();
    }

    fn lines(&self) {
        let started = Instant::now();
        let (mut detailed, mut next) = (DETAILED_EVERY, LINE_EVERY);
        let (mut stopping, mut done) = (false, (0, 0));
        while !self.ended.load(Relaxed) {
            std::thread::sleep(REDRAW);
            if !stopping && self.stopping.load(Relaxed) {
                stopping = true;
                tracing::info!(target: PROGRESS, "{}", finishing(&self.metrics.snapshot()));
            }
            if started.elapsed() < detailed {
                continue;
            }
            detailed += DETAILED_EVERY;
            let counts = self.metrics.snapshot();
            let rows: Vec<String> = self
                .plan
                .stages
                .iter()
                .zip(&counts.stages)
                .map(|(s, c)| {
                    let held = if c.held > 0 { format!(" ({} held)", c.held) } else { String::new() };
                    format!("{} {}{held}", s.id, c.rows_out.max(c.rows_in))
                })
                .collect();
            let (rows, progress) =
                (rows.join(", "), progress(&counts, started.elapsed(), self.plan.is_endless()));
            let now = (counts.epochs_opened, counts.epochs_done);
            if started.elapsed() >= next && now != done {
                (next, done) = (started.elapsed() + LINE_EVERY, now);
                tracing::info!(target: PROGRESS, rows, "{progress}");
            } else {
                tracing::debug!(target: PROGRESS, rows, "{progress}");
            }
        }
    }
}

/// The work left in a run that was asked to stop.
fn finishing(counts: &Counts) -> String {
    let open = counts.epochs_opened.saturating_sub(counts.epochs_done);
    let what = match open {
        0 => "committing what is done".to_owned(),
        1 => "finishing the open epoch, then committing".to_owned(),
        open => format!("finishing {open} open epochs, then committing"),
    };
    format!("stopping: {what}; a second signal stops at once")
}

/// Epochs, and of input that has an end: speed against real time, and when it may be over, by the share of recordings that were read, of
/// which no more than a window is still on the way. The amount of live input is not known.
fn progress(counts: &Counts, elapsed: Duration, is_endless: bool) -> String {
    let figure = |name: &str| counts.stages.iter().filter_map(|s| s.metrics.get(name)).sum::<u64>();
    let (heard, read, inputs) = (figure("transcribed_ms"), figure("inputs_read"), figure("inputs"));
    let mut text = format!("{} epochs done", counts.epochs_done);
    let open = counts.epochs_opened.saturating_sub(counts.epochs_done);
    if open > 0 {
        text += &format!(", {open} open");
    }
    text += &format!(", {:.0} s", elapsed.as_secs_f64());
    if is_endless {
        return text;
    }
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

#[cfg(test)]
mod tests {
    use headwater_runtime::metrics::StageCounts;

    use super::*;

    #[test]
    fn a_run_that_stops_says_what_it_finishes() {
        let check = |opened, done, expected: &str| {
            let counts = Counts { epochs_opened: opened, epochs_done: done, ..Counts::default() };
            assert_eq!(finishing(&counts), format!("stopping: {expected}; a second signal stops at once"));
        };
        check(7, 7, "committing what is done");
        check(8, 7, "finishing the open epoch, then committing");
        check(8, 5, "finishing 3 open epochs, then committing");
    }

    #[test]
    fn progress_says_what_is_known() {
        let check =
            |figures: &[(&'static str, u64)], epochs: (u64, u64), is_endless: bool, expected: &str| {
                let figures = figures.iter().map(|(name, n)| ((*name).into(), *n)).collect();
                let stages = vec![StageCounts { metrics: figures, ..StageCounts::default() }];
                let (epochs_done, epochs_opened) = epochs;
                let counts = Counts { stages, epochs_done, epochs_opened, ..Counts::default() };
                assert_eq!(progress(&counts, Duration::from_secs(20), is_endless), expected);
            };
        let heard = [("transcribed_ms", 60_000), ("inputs_read", 4), ("inputs", 8)];
        check(&[], (0, 0), false, "0 epochs done, 20 s");
        check(&[], (4, 4), false, "4 epochs done, 20 s");
        check(&heard, (4, 8), false, "4 epochs done, 4 open, 20 s, 3.0x real time, about 20 s left");
        check(&heard, (4, 4), true, "4 epochs done, 20 s");
    }
}
