//! Audio rows in, text rows out: Whisper in tract.
//!
//! In: `sample_rate` (16 000 Hz) and `samples` (mono, -1 to 1) of one utterance a row. Out: the row without them and
//! with `text`, `language`, `seconds` and two measures of doubt. Rows are transcribed one by one, each on one thread,
//! so that a transcript depends on its own samples alone. It knows no other stage, and no personal data from any
//! other word: what it writes is as raw as what it hears.

mod attention;
mod chance;
mod compile;
mod decode;
mod dequantise;
mod folder;
mod graph;
mod guard;
mod int8;
mod lanes;
mod mel;
mod ops;
mod plan;
pub mod recogniser;
mod tokens;
mod window;
mod window_transcript;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use arrow::array::{AsArray, Float32Array, ListArray, UInt32Array};
use arrow::datatypes::{Float32Type, UInt32Type};
use headwater_contract::{OptionSpec, prelude::*};

use recogniser::{Model, SAMPLE_RATE, TranscribeError, Transcriber, Transcript};

/// The kind `transcribe`.
pub const KIND: StageFactory = StageFactory::stage::<Transcribe>();

choice! {
    /// The padding of an utterance to a length that the encoder takes.
    pub enum Padding {
        /// A second of silence, then the states of a silent window; 30 s where the text then looks wrong.
        Auto = "auto",
        /// Always 30 s, as Whisper was trained: several times the work for short utterances.
        Full = "full",
    }
}

options! {
    /// Writes down what is said: Whisper (tiny to large, English or multilingual), from a Hugging Face folder with
    /// ONNX files.
    pub struct TranscribeOptions {
        /// The model's folder: config.json, generation_config.json, preprocessor_config.json, tokenizer.json, ONNX files.
        model: PathBuf;
        /// How many utterances are transcribed at once.
        threads: u16 = 2, in 1 ..= 256, unit "threads";
        /// The language spoken, such as "en" or "de"; "auto" hears it from each recording.
        language: String = "auto".to_owned();
        /// Tried in turn until a text is good: 0 takes the likeliest words, more is more daring.
        temperatures: Vec<f32> = vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
        /// How an utterance is brought to the length that the model takes.
        padding: Padding = Padding::Auto;
        /// The longest text of 30 s of speech.
        max_tokens: u32 = 224, in 1 ..= 444, unit "tokens";
        /// The probability of silence above which an unlikely text is dropped.
        no_speech_threshold: f32 = 0.6, in 0 ..= 1;
        /// Seed of what temperatures above 0 choose.
        seed: u64 = 0;
    }
}

/// The options, and the model once it is loaded: all instances share it.
pub struct Transcribe {
    options: TranscribeOptions,
    model: OnceLock<Arc<Model>>,
}

impl Options for Transcribe {
    fn about() -> &'static str {
        TranscribeOptions::about()
    }

    fn specs() -> Vec<OptionSpec> {
        TranscribeOptions::specs()
    }

    fn from_table(table: &headwater_contract::toml::Table) -> std::result::Result<Self, Vec<ConfigError>> {
        TranscribeOptions::from_table(table).map(Transcribe::from)
    }
}

impl From<TranscribeOptions> for Transcribe {
    fn from(options: TranscribeOptions) -> Self {
        Transcribe { options, model: OnceLock::new() }
    }
}

impl StageConfig for Transcribe {
    const KIND: &'static str = "transcribe";

    fn signature(&self) -> Signature {
        Signature::map(
            [uint32("sample_rate"), f32_list("samples")],
            [
                utf8("text"),
                utf8("language"),
                float32("seconds"),
                float32("avg_logprob"),
                float32("no_speech_prob"),
            ],
        )
        .minus(&["sample_rate", "samples"])
        .routing(Routing::Spread)
        .work(Work::Pool(self.options.threads))
    }

    fn validate(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let TranscribeOptions { temperatures, language, .. } = &self.options;
        if temperatures.is_empty() || temperatures.iter().any(|t| !(0.0..=2.0).contains(t)) {
            errors.push(ConfigError::new("temperatures", "expected one or more numbers from 0 to 2"));
        }
        let is_code = matches!(language.len(), 2 | 3) && language.bytes().all(|b| b.is_ascii_lowercase());
        if language != "auto" && !is_code {
            let error = ConfigError::new(
                "language",
                "expected \"auto\" or a language code of two or three small letters",
            );
            errors.push(error.help("such as \"en\" for English"));
        }
        errors
    }

    fn models(&self) -> Vec<PathBuf> {
        vec![self.options.model.clone()]
    }

    fn ready(&self, _: &HostEnv) -> Result {
        self.model().map(|_| ())
    }

    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        Ok(TranscribeStage { transcriber: self.model()?.transcriber(), schema: cx.output(0)? })
    }
}

impl Transcribe {
    fn model(&self) -> Result<&Arc<Model>> {
        if let Some(model) = self.model.get() {
            return Ok(model);
        }
        let model = Model::load(&self.options.model, self.options.for_recogniser())
            .map_err(|error| StageError::new(error.to_string()))?;
        Ok(self.model.get_or_init(|| model))
    }
}

impl TranscribeOptions {
    fn for_recogniser(&self) -> recogniser::Options {
        recogniser::Options {
            language: (self.language != "auto").then(|| self.language.clone()),
            temperatures: self.temperatures.clone(),
            padding: match self.padding {
                Padding::Auto => recogniser::Padding::Auto,
                Padding::Full => recogniser::Padding::Full,
            },
            max_tokens: self.max_tokens as usize,
            no_speech_threshold: self.no_speech_threshold,
            seed: self.seed,
            ..recogniser::Options::default()
        }
    }
}

/// The value for a row, or the code and the reason it is rejected with.
type RowResult<T> = std::result::Result<T, (&'static str, String)>;

/// One instance: it has no memory of what it heard before.
struct TranscribeStage {
    transcriber: Transcriber,
    schema: SchemaRef,
}

impl Stage for TranscribeStage {
    fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let audio = Audio::of(batch)?;
        for row in 0..batch.num_rows() {
            match self.transcribe(&audio, row) {
                Ok(transcript) => {
                    out.count("fell_back", u64::from(transcript.fell_back));
                    out.count("silent", u64::from(transcript.text.is_empty()));
                    out.count("tokens", transcript.tokens as u64);
                    out.count("transcribed_ms", milliseconds(transcript.seconds));
                    out.send(self.written(&batch.slice(row, 1), &transcript)?);
                }
                Err((code, reason)) => out.reject(0, batch, row, code, reason),
            }
        }
        Ok(())
    }
}

fn milliseconds(seconds: f32) -> u64 {
    let length = Duration::try_from_secs_f32(seconds).unwrap_or_default();
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

impl TranscribeStage {
    fn transcribe(&mut self, audio: &Audio<'_>, row: usize) -> RowResult<Transcript> {
        let samples = audio.samples(row)?;
        self.transcriber.transcribe(samples.values()).map_err(|error| {
            let code = match &error {
                TranscribeError::TooShort { .. } => "too_short",
                TranscribeError::NotFinite { .. } => "bad_audio",
                TranscribeError::Inference { .. } => "model_failed",
            };
            (code, error.to_string())
        })
    }

    fn written(&self, row: &RecordBatch, t: &Transcript) -> Result<RecordBatch> {
        let text = |s: &str| Arc::new(StringArray::from_iter_values([s])) as ArrayRef;
        let number = |n: f32| Arc::new(Float32Array::from_iter_values([n])) as ArrayRef;
        with_columns(
            row,
            &self.schema,
            [
                ("text", text(&t.text)),
                ("language", text(&t.language)),
                ("seconds", number(t.seconds)),
                ("avg_logprob", number(t.avg_logprob)),
                ("no_speech_prob", number(t.no_speech_prob)),
            ],
        )
    }
}

/// The audio columns of a batch.
struct Audio<'b> {
    rates: &'b UInt32Array,
    samples: &'b ListArray,
}

impl<'b> Audio<'b> {
    fn of(batch: &'b RecordBatch) -> Result<Audio<'b>> {
        let column = |name: &'static str| {
            let missing = move || StageError::new(format!("the batch has no column `{name}` of audio"));
            batch.column_by_name(name).ok_or_else(missing)
        };
        let error =
            |name: &str| StageError::new(format!("column `{name}` has another type than the plan says"));
        Ok(Audio {
            rates: column("sample_rate")?
                .as_primitive_opt::<UInt32Type>()
                .ok_or_else(|| error("sample_rate"))?,
            samples: column("samples")?.as_list_opt::<i32>().ok_or_else(|| error("samples"))?,
        })
    }

    /// The samples of one row, if they are what the model hears.
    fn samples(&self, row: usize) -> RowResult<Float32Array> {
        if self.rates.is_null(row) || self.samples.is_null(row) {
            return Err(("bad_audio", "no audio; expected samples at 16000 Hz".into()));
        }
        let rate = self.rates.value(row);
        if usize::try_from(rate) != Ok(SAMPLE_RATE) {
            return Err(("sample_rate", format!("audio at {rate} Hz; expected {SAMPLE_RATE} Hz")));
        }
        let samples = self.samples.value(row);
        let samples = samples.as_primitive_opt::<Float32Type>().filter(|s| s.null_count() == 0);
        samples.cloned().ok_or_else(|| ("bad_audio", "samples that are missing or no numbers".into()))
    }
}
