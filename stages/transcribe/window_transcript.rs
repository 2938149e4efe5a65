//! One window in, its text out: the short way first, the full 30 s where a guard strikes.
//!
//! Decides which text is good; knows neither recordings nor rows.

use std::time::Duration;

use tract_onnx::prelude::*;

use super::chance::Chance;
use super::decode::{Attempt, Bounds, Decoder, End, Opening};
use super::folder::SAMPLE_RATE;
use super::guard;
use super::plan::CrossStates;
use super::recogniser::{Model, Padding, Timings, TranscribeError};
use super::tokens::Token;
use super::window;

/// One window, transcribed.
pub struct WindowTranscript {
    /// Its tokens.
    pub attempt: Attempt,
    /// Its text; empty without speech.
    pub text: String,
    /// Probability of silence.
    pub no_speech: f64,
    /// The language token it was heard in.
    pub language: Option<Token>,
    /// True if it was done again with the full window.
    pub fell_back: bool,
}

/// One window on its way.
pub struct Window<'m> {
    /// The model.
    pub model: &'m Model,
    /// Samples, at most a full window of them.
    pub samples: &'m [f32],
    /// Its number in the recording.
    pub at: u64,
    /// The language, where it is known.
    pub language: Option<Token>,
}

impl Window<'_> {
    /// Transcribes it; adds what that took to `timings`.
    pub fn hear(&self, timings: &mut Timings) -> Result<WindowTranscript, TranscribeError> {
        let full = self.model.folder.architecture.window_samples();
        let short = match self.model.padding() {
            Padding::Silence(seconds) => Some((window::padded(self.samples.len(), seconds, full), None)),
            Padding::Tail(seconds) => {
                Some((window::padded(self.samples.len(), seconds, full), self.model.tail.as_ref()))
            }
            Padding::Auto | Padding::Full => None,
        };
        let mut fell_back = false;
        if let Some((padded, tail)) = short.filter(|(padded, _)| *padded < full) {
            if let Some(heard) = self.hear_short(padded, tail, timings)? {
                return Ok(heard);
            }
            fell_back = true;
        }
        let heard = self.hear_full(full, timings)?;
        Ok(WindowTranscript { fell_back, ..heard })
    }

    /// Greedily, with every guard up; `None` where one of them struck.
    fn hear_short(
        &self,
        padded: usize,
        tail: Option<&CrossStates>,
        timings: &mut Timings,
    ) -> Result<Option<WindowTranscript>, TranscribeError> {
        let cross = self.cross(padded, tail, timings)?;
        let mut decoder = self.decoder();
        let opening = timed(&mut timings.first, || decoder.open(&cross, self.language))?;
        let rate = guard::most_tokens(self.samples.len() as f32 / SAMPLE_RATE as f32);
        let bounds =
            Bounds { most_tokens: self.most_tokens().min(rate), stop_at_repeats: true, temperature: 0.0 };
        let attempt = timed(&mut timings.steps, || decoder.search(&cross, &opening, bounds, self.chance(0)))?;
        if attempt.end != End::Finished && attempt.tokens.len() < self.model.options.max_tokens {
            return Ok(None);
        }
        let text = self.model.folder.vocabulary.text(&attempt.tokens);
        let good = self.is_good(&attempt, &text) || self.is_silent(&attempt, &opening);
        Ok(good.then(|| self.heard(attempt, text, &opening)))
    }

    /// As openai/whisper: 30 s, rising temperatures until a text is good; the last one stands if none is.
    fn hear_full(&self, full: usize, timings: &mut Timings) -> Result<WindowTranscript, TranscribeError> {
        let cross = self.cross(full, None, timings)?;
        let mut decoder = self.decoder();
        let opening = timed(&mut timings.first, || decoder.open(&cross, self.language))?;
        let temperatures = match self.model.options.temperatures.as_slice() {
            [] => &[0.0],
            given => given,
        };
        let mut last = None;
        for (number, temperature) in (0u64..).zip(temperatures) {
            let bounds =
                Bounds { most_tokens: self.most_tokens(), stop_at_repeats: false, temperature: *temperature };
            let chance = self.chance(number);
            let attempt = timed(&mut timings.steps, || decoder.search(&cross, &opening, bounds, chance))?;
            let text = self.model.folder.vocabulary.text(&attempt.tokens);
            let done = self.is_good(&attempt, &text) || self.is_silent(&attempt, &opening);
            last = Some(self.heard(attempt, text, &opening));
            if done {
                break;
            }
        }
        last.ok_or_else(|| TranscribeError::Inference { reason: "no temperature was given".into() })
    }

    fn cross(
        &self,
        padded: usize,
        tail: Option<&CrossStates>,
        timings: &mut Timings,
    ) -> Result<Vec<TValue>, TranscribeError> {
        let plans = &self.model.plans;
        let mel = timed(&mut timings.mel, || self.model.mel.spectrogram(self.samples, padded));
        let states = timed(&mut timings.encoder, || plans.encode(&mel))?;
        let cross = timed(&mut timings.cross, || {
            let own = plans.cross(states)?;
            match tail {
                Some(tail) => own.followed_by(tail),
                None => Ok(own),
            }
        })?;
        Ok(cross.into_values())
    }

    fn heard(&self, attempt: Attempt, text: String, opening: &Opening) -> WindowTranscript {
        let silent = self.is_silent(&attempt, opening);
        WindowTranscript {
            text: if silent { String::new() } else { text },
            attempt,
            no_speech: opening.no_speech,
            language: opening.language,
            fell_back: false,
        }
    }

    fn is_good(&self, attempt: &Attempt, text: &str) -> bool {
        let options = &self.model.options;
        attempt.mean_logprob() >= f64::from(options.logprob_threshold)
            && guard::compression_ratio(text) <= options.compression_threshold
    }

    fn is_silent(&self, attempt: &Attempt, opening: &Opening) -> bool {
        let options = &self.model.options;
        opening.no_speech > f64::from(options.no_speech_threshold)
            && attempt.mean_logprob() < f64::from(options.logprob_threshold)
    }

    fn decoder(&self) -> Decoder<'_> {
        let folder = &self.model.folder;
        Decoder::new(&self.model.plans, &folder.vocabulary, &folder.suppressed, &folder.first_suppressed)
    }

    /// The prompt (at most 4 tokens) and the text must fit the decoder's positions.
    fn most_tokens(&self) -> usize {
        let room = self.model.folder.architecture.target_positions.saturating_sub(4);
        self.model.options.max_tokens.clamp(1, room.max(1))
    }

    fn chance(&self, attempt: u64) -> Chance {
        Chance { seed: self.model.options.seed, window: self.at, attempt }
    }
}

fn timed<T>(sum: &mut Duration, work: impl FnOnce() -> T) -> T {
    let before = thread_time();
    let result = work();
    *sum += thread_time().saturating_sub(before);
    result
}

/// CPU time of this thread.
fn thread_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap_or_default()
}
