//! Samples in, a transcript out: Whisper as a library.
//!
//! A short utterance is not padded to the 30 s that Whisper was trained on, which would be most of the work: the
//! encoder gets the utterance and a second of silence, and cross-attention sees the states of a silent window, made
//! once at load, behind them. What then looks wrong (repetition, too many tokens, an unlikely text) is done again with
//! the full window, as openai/whisper does it, rising temperatures included. Utterances are never batched, and nothing
//! depends on the thread: the same samples give the same bytes. Knows no pipeline, no rows and no files but the model's.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tract_onnx::prelude::*;

use super::folder::{self, FRAMES_PER_POSITION, Folder};
pub use super::folder::{ModelError, Problem, SAMPLE_RATE};
use super::mel::LogMel;
pub use super::plan::Arithmetic;
use super::plan::{CrossStates, Plans};
use super::tokens::Token;
use super::window;
use super::window_transcript::Window;

/// Shorter audio holds no word: 50 ms, in samples.
const LEAST_SAMPLES: usize = SAMPLE_RATE / 20;
/// The value of a log-mel spectrogram where a window of ordinary speech is silent.
const SILENT_MEL: f32 = -0.7;

/// The padding of an utterance to a length that the encoder takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Padding {
    /// `Tail(1.0)`. On 25 read recordings of 2 to 11 s it has the word error rate of 30 s (7.9 %), never needed the fallback, and
    /// takes a quarter of the CPU time; one or two seconds of silence alone took the fallback on 9 and 6 of the 25.
    Auto,
    /// Always 30 s.
    Full,
    /// This many seconds of silence after the utterance, nothing behind them.
    Silence(f32),
    /// This many seconds of silence, then the states of a silent window up to 30 s.
    Tail(f32),
}

/// The options of a recogniser.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// A language code such as "en"; none: detected for each recording.
    pub language: Option<String>,
    /// Tried in order until a text is good; 0 is greedy. Empty: greedy only.
    pub temperatures: Vec<f32>,
    /// See [`Padding`].
    pub padding: Padding,
    /// At most this many tokens a window.
    pub max_tokens: usize,
    /// A window is silent where the model says so with at least this probability and its text is unlikely.
    pub no_speech_threshold: f32,
    /// A text whose mean log-probability a token is lower is tried again.
    pub logprob_threshold: f32,
    /// A text that compresses better is tried again.
    pub compression_threshold: f32,
    /// Of the sampling at temperatures above 0.
    pub seed: u64,
    /// See [`Arithmetic`].
    pub arithmetic: Arithmetic,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            language: None,
            temperatures: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            padding: Padding::Auto,
            max_tokens: 224,
            no_speech_threshold: 0.6,
            logprob_threshold: -1.0,
            compression_threshold: 2.4,
            seed: 0,
            arithmetic: Arithmetic::Integer,
        }
    }
}

/// A loaded model. Immutable: all threads share one.
#[derive(Debug)]
pub struct Model {
    pub(super) folder: Folder,
    pub(super) plans: Plans,
    pub(super) mel: LogMel,
    /// The input of cross-attention behind a short utterance.
    pub(super) tail: Option<CrossStates>,
    language: Option<Token>,
    pub(super) options: Options,
}

/// Transcribes on one thread.
#[derive(Debug)]
pub struct Transcriber {
    model: Arc<Model>,
}

/// The text that was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// The text; empty without speech.
    pub text: String,
    /// Its language's code.
    pub language: String,
    /// Length of the audio, in seconds.
    pub seconds: f32,
    /// Mean natural log-probability a token.
    pub avg_logprob: f32,
    /// Probability, by the model, of silence: the lowest of all windows.
    pub no_speech_prob: f32,
    /// Tokens of the text.
    pub tokens: usize,
    /// True if a window was done again with 30 s.
    pub fell_back: bool,
    /// CPU time of this thread, by part.
    pub timings: Timings,
}

/// CPU time of the calling thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// The spectrogram.
    pub mel: Duration,
    /// The encoder.
    pub encoder: Duration,
    /// Keys and values for cross-attention.
    pub cross: Duration,
    /// The prompt, up to the logits of the first token.
    pub first: Duration,
    /// All other steps of the decoder.
    pub steps: Duration,
}

/// Why audio has no transcript.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TranscribeError {
    /// No sample, or so few that no word fits.
    #[error("{samples} samples at 16 kHz are too short: at least {LEAST_SAMPLES} (50 ms) are needed")]
    TooShort {
        /// The number found.
        samples: usize,
    },
    /// A sample that is NaN or infinite.
    #[error("sample {at} is not a finite number")]
    NotFinite {
        /// Its index.
        at: usize,
    },
    /// The model failed.
    #[error("the model failed: {reason}")]
    Inference {
        /// In the words of the inference library; no audio or text is in it.
        reason: String,
    },
}

impl From<TractError> for TranscribeError {
    fn from(error: TractError) -> TranscribeError {
        TranscribeError::Inference { reason: format!("{error:#}") }
    }
}

impl Model {
    /// Loads a folder in Hugging Face's layout. The error lists all problems found.
    pub fn load(folder: &Path, options: Options) -> Result<Arc<Model>, ModelError> {
        let folder = folder::read(folder)?;
        let problem = |file: &str, found: String, expected: String| ModelError {
            folder: folder.path.clone(),
            problems: vec![Problem { file: file.into(), found, expected }],
        };
        let languages = &folder.vocabulary.languages;
        let language = match options.language.as_deref() {
            None => None,
            Some("en") if languages.is_empty() => None,
            Some(code) => Some(folder.vocabulary.language(code).ok_or_else(|| {
                let known = languages.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>().join(", ");
                let expected =
                    if known.is_empty() { "en, the only language of this model".into() } else { known };
                problem("option language", format!("{code:?}"), expected)
            })?),
        };
        let plans = Plans::load(&folder, options.arithmetic)?;
        let mel = LogMel::new(folder.architecture.mel_bins);
        let mut model = Model { folder, plans, mel, tail: None, language, options };
        if matches!(model.padding(), Padding::Tail(_)) {
            let tail = model.silent_tail().map_err(|error| ModelError {
                folder: model.folder.path.clone(),
                problems: vec![Problem {
                    file: "encoder".into(),
                    found: format!("{error:#}"),
                    expected: "an encoder that takes 30 s".into(),
                }],
            })?;
            model.tail = Some(tail);
        }
        Ok(Arc::new(model))
    }

    /// A transcriber for one thread.
    pub fn transcriber(self: &Arc<Model>) -> Transcriber {
        Transcriber { model: Arc::clone(self) }
    }

    /// Logits of every token after each of `tokens`, `[tokens][vocabulary]`, for a log-mel spectrogram
    /// `[mel bands][frames]` of an even number of frames: the model alone, for comparison with other engines.
    pub fn logits(&self, mel: &[f32], tokens: &[Token]) -> Result<Vec<f32>, TranscribeError> {
        let cross = self.plans.cross(self.plans.encode(mel)?)?.into_values();
        let rows = self.plans.step(&cross, &mut self.plans.start()?, tokens)?;
        let Some(head) = self.plans.head() else { return Ok(rows) };
        let mut logits = vec![0.0; tokens.len() * head.rows()];
        for (row, out) in rows.chunks(head.columns()).zip(logits.chunks_mut(head.rows())) {
            head.multiply(row, out);
        }
        Ok(logits)
    }

    /// The encoder's states, `[frames / 2][width]`, for a spectrogram as for [`Model::logits`].
    pub fn encode(&self, mel: &[f32]) -> Result<Vec<f32>, TranscribeError> {
        Ok(self.plans.encode(mel)?.to_plain_array_view::<f32>()?.iter().copied().collect())
    }

    /// The log-mel spectrogram `[mel bands][frames]` of `samples` and silence up to `padded` samples.
    pub fn spectrogram(&self, samples: &[f32], padded: usize) -> Vec<f32> {
        self.mel.spectrogram(samples, padded)
    }

    /// The padding in use: what `Auto` stands for, and `Full` where the encoder's file takes nothing else.
    pub fn padding(&self) -> Padding {
        match self.options.padding {
            _ if self.plans.fixed_positions().is_some() => Padding::Full,
            Padding::Auto => Padding::Tail(1.0),
            chosen => chosen,
        }
    }

    fn silent_tail(&self) -> TractResult<CrossStates> {
        let a = &self.folder.architecture;
        let silence = vec![SILENT_MEL; a.mel_bins * a.source_positions * FRAMES_PER_POSITION];
        self.plans.cross(self.plans.encode(&silence)?)
    }

    fn language_code(&self, token: Option<Token>) -> String {
        let known = self.folder.vocabulary.languages.iter().find(|(_, id)| Some(*id) == token);
        known.map_or_else(|| "en".to_owned(), |(code, _)| code.clone())
    }
}

impl Transcriber {
    /// Transcribes a recording at 16 kHz, mono, of any length. The same samples give the same transcript, whatever
    /// was transcribed before and on whichever thread.
    pub fn transcribe(&mut self, samples: &[f32]) -> Result<Transcript, TranscribeError> {
        if samples.len() < LEAST_SAMPLES {
            return Err(TranscribeError::TooShort { samples: samples.len() });
        }
        if let Some(at) = samples.iter().position(|s| !s.is_finite()) {
            return Err(TranscribeError::NotFinite { at });
        }
        let mut timings = Timings::default();
        let mut language = self.model.language;
        let mut heard = Vec::new();
        let full = self.model.folder.architecture.window_samples();
        for (at, range) in (0u64..).zip(window::split(samples, full)) {
            let piece = samples.get(range).unwrap_or_default();
            let window = Window { model: &self.model, samples: piece, at, language };
            let one = window.hear(&mut timings)?;
            language = one.language;
            heard.push(one);
        }
        let texts: Vec<&str> = heard.iter().map(|h| h.text.as_str()).filter(|t| !t.is_empty()).collect();
        let counted: usize = heard.iter().map(|h| h.attempt.tokens.len() + 1).sum();
        let logprob: f64 = heard.iter().map(|h| h.attempt.logprob).sum();
        let no_speech = heard.iter().map(|h| h.no_speech).fold(1.0, f64::min);
        Ok(Transcript {
            text: texts.join(" "),
            language: self.model.language_code(language),
            seconds: samples.len() as f32 / SAMPLE_RATE as f32,
            avg_logprob: narrow(logprob / counted as f64),
            no_speech_prob: narrow(no_speech),
            tokens: heard.iter().map(|h| h.attempt.tokens.len()).sum(),
            fell_back: heard.iter().any(|h| h.fell_back),
            timings,
        })
    }
}

#[allow(clippy::cast_possible_truncation)]
fn narrow(value: f64) -> f32 {
    value as f32
}
