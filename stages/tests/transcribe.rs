//! Whisper on real speech: the text, the same bytes on every thread, the contract, folders that are wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Float32Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Float32Type, Schema};
use headwater_contract::conformance::assert_stage;
use headwater_contract::prelude::{f32_list, uint32};
use headwater_contract::{Label, Options as _, StageConfig, identity};
use headwater_datasets::audio::AudioReader;
use headwater_stages::transcribe::Transcribe;
use headwater_stages::transcribe::recogniser::{
    Model, Options, Padding, Timings, TranscribeError, Transcript,
};

const JFK: &str = "And so my fellow Americans ask not what your country can do for you ask what you can do for your country.";

fn datasets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets")
}

fn tiny() -> PathBuf {
    datasets().join("models/whisper-tiny.en")
}

fn jfk() -> Vec<f32> {
    let mut reader = AudioReader::open(&datasets().join("voice/radio/001.flac")).unwrap();
    let mut samples = Vec::new();
    while let Some(chunk) = reader.next_chunk().unwrap() {
        samples.extend_from_slice(chunk);
    }
    samples
}

fn words(text: &str) -> Vec<String> {
    let letters = |w: &str| w.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    text.split_whitespace().map(letters).collect()
}

#[test]
fn speech_becomes_text_whatever_the_padding() {
    let samples = jfk();
    for padding in [Padding::Auto, Padding::Full, Padding::Silence(2.0), Padding::Tail(1.0)] {
        let model = Model::load(&tiny(), Options { padding, ..Options::default() }).unwrap();
        let t = model.transcriber().transcribe(&samples).unwrap();
        assert_eq!(words(&t.text), words(JFK), "{padding:?}");
        assert_eq!((t.language.as_str(), t.seconds), ("en", 11.0));
        assert!(t.avg_logprob > -0.6 && t.avg_logprob < 0.0, "{}", t.avg_logprob);
        assert!(t.no_speech_prob < 0.3, "{}", t.no_speech_prob);
    }
}

#[test]
fn the_same_samples_give_the_same_bytes_on_every_thread() {
    let model = Model::load(&tiny(), Options::default()).unwrap();
    let whole = jfk();
    let clips = [&whole[..40_000], &whole[40_000..120_000], &whole[..], &whole[50_000..130_000]];
    let hear = |order: &[usize]| -> Vec<(usize, Transcript)> {
        let mut transcriber = model.transcriber();
        let mut heard: Vec<_> =
            order.iter().map(|i| (*i, transcriber.transcribe(clips[*i]).unwrap())).collect();
        heard.sort_by_key(|(i, _)| *i);
        heard.into_iter().map(|(i, t)| (i, Transcript { timings: Timings::default(), ..t })).collect()
    };
    let expected = hear(&[0, 1, 2, 3]);
    std::thread::scope(|scope| {
        let others = [[3, 2, 1, 0], [2, 0, 3, 1]].map(|order| scope.spawn(move || hear(&order)));
        for other in others {
            assert_eq!(other.join().unwrap(), expected);
        }
    });
}

#[test]
fn long_recordings_are_heard_in_windows() {
    let model = Model::load(&tiny(), Options::default()).unwrap();
    let mut samples = Vec::new();
    for _ in 0..4 {
        samples.extend(jfk());
        samples.extend(vec![0.0; 16_000]);
    }
    let t = model.transcriber().transcribe(&samples).unwrap();
    assert_eq!(t.seconds, 48.0);
    assert_eq!(words(&t.text).iter().filter(|w| *w == "fellow").count(), 4, "{}", t.text);
}

#[test]
fn silence_is_no_text() {
    let model = Model::load(&tiny(), Options::default()).unwrap();
    let mut transcriber = model.transcriber();
    let quiet_noise: Vec<f32> = (0u32..48_000)
        .map(|i| ((i.wrapping_mul(2_654_435_761) >> 16) as f32 / 32768.0 - 1.0) * 1e-3)
        .collect();
    for samples in [vec![0.0; 32_000], quiet_noise] {
        let t = transcriber.transcribe(&samples).unwrap();
        assert!(words(&t.text).len() <= 2, "{} of silence", words(&t.text).len());
    }
}

#[test]
fn audio_that_is_none_is_refused() {
    let model = Model::load(&tiny(), Options::default()).unwrap();
    let check = |samples: &[f32], expected: TranscribeError| {
        assert_eq!(model.transcriber().transcribe(samples).unwrap_err(), expected);
    };
    check(&[], TranscribeError::TooShort { samples: 0 });
    check(&[0.1; 799], TranscribeError::TooShort { samples: 799 });
    let mut samples = vec![0.1; 16_000];
    samples[7] = f32::NAN;
    check(&samples, TranscribeError::NotFinite { at: 7 });
    samples[3] = f32::INFINITY;
    check(&samples, TranscribeError::NotFinite { at: 3 });
}

/// Rows of audio: sample rate and samples.
fn rows(clips: &[(u32, Vec<f32>)]) -> RecordBatch {
    let mut fields = identity::fields();
    fields.extend([uint32("sample_rate"), f32_list("samples")]);
    let count = clips.len();
    let samples = ListArray::new(
        Arc::new(Field::new_list_field(DataType::Float32, false)),
        OffsetBuffer::from_lengths(clips.iter().map(|(_, s)| s.len())),
        Arc::new(Float32Array::from_iter_values(clips.iter().flat_map(|(_, s)| s.iter().copied()))),
        None,
    );
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["kitchen"; count])),
        Arc::new(StringArray::from(vec!["test"; count])),
        Arc::new(UInt64Array::from_iter_values(0..count as u64)),
        Arc::new(UInt32Array::from(vec![0; count])),
        Arc::new(TimestampMicrosecondArray::from(vec![0; count]).with_timezone("UTC")),
        Arc::new(UInt32Array::from_iter_values(clips.iter().map(|(rate, _)| *rate))),
        Arc::new(samples),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn stage(options: &str) -> Transcribe {
    let table = format!("model = {:?}\n{options}", tiny().display().to_string());
    Transcribe::from_table(&table.parse().unwrap()).unwrap()
}

#[test]
fn the_stage_keeps_the_contract() {
    let speech = jfk()[..64_000].to_vec();
    let mut broken = vec![0.1; 16_000];
    broken[100] = f32::NAN;
    let clips = [
        (16_000, speech.clone()),
        (16_000, vec![]),
        (16_000, broken),
        (8_000, speech),
        (16_000, vec![0.0; 20_000]),
    ];
    let outcome = assert_stage(&stage(""), &[rows(&clips)]);
    let out = &outcome.outputs[0];
    let names: Vec<&str> = out.schema_ref().fields().iter().skip(5).map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["text", "language", "seconds", "avg_logprob", "no_speech_prob"]);
    assert_eq!(outcome.labels, [Label::Raw]);
    let texts = out.column_by_name("text").unwrap().as_string::<i32>();
    assert_eq!(words(texts.value(0))[..5], ["and", "so", "my", "fellow", "americans"]);
    let seconds = out.column_by_name("seconds").unwrap().as_primitive::<Float32Type>();
    assert_eq!(seconds.values(), &[4.0, 1.25]);
    let codes: Vec<&str> = outcome.rejected.iter().map(|r| r.code).collect();
    assert_eq!(codes, ["too_short", "bad_audio", "sample_rate"]);
    assert!(outcome.metrics.contains_key("fell_back"));
}

#[test]
fn options_that_cannot_be_are_named() {
    let check = |options: &str, expected: &[&str]| {
        let errors = stage(options).validate();
        assert_eq!(errors.iter().map(|w| w.option.as_str()).collect::<Vec<_>>(), expected, "{options}");
    };
    check("", &[]);
    check("language = 'de'", &[]);
    check("language = 'English'", &["language"]);
    check("temperatures = []", &["temperatures"]);
    check("temperatures = [0.0, 3.0]\nlanguage = ''", &["temperatures", "language"]);
}

#[test]
fn wrong_graphs_are_named() {
    let check = |change: &dyn Fn(&Path), file: &str, found: &str| {
        let folder = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(tiny()).unwrap().flatten() {
            if entry.path().is_file() {
                std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
            }
        }
        change(folder.path());
        let error = Model::load(folder.path(), Options::default()).unwrap_err();
        let problem = &error.problems[0];
        assert_eq!(problem.file, file);
        assert!(problem.found.contains(found), "{}", problem.found);
    };
    let set = |key: &'static str, value: u64| {
        move |folder: &Path| {
            let file = folder.join("config.json");
            let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            json[key] = value.into();
            std::fs::write(file, json.to_string()).unwrap();
        }
    };
    check(
        &|f| {
            let bytes = std::fs::read(f.join("cross_kv.onnx")).unwrap();
            std::fs::write(f.join("cross_kv.onnx"), &bytes[..bytes.len() / 2]).unwrap();
        },
        "cross_kv.onnx",
        "no ONNX model",
    );
    check(&|f| std::fs::write(f.join("encoder_model.onnx"), "text").unwrap(), "encoder_model.onnx", "");
    check(
        &|f| std::fs::rename(f.join("cross_kv.onnx"), f.join("encoder_model.onnx")).unwrap(),
        "*.onnx",
        "decoder_step.onnx, encoder_model.onnx",
    );
    check(
        &|f| {
            let bytes = std::fs::read(f.join("decoder_step.onnx")).unwrap();
            std::fs::write(f.join("encoder_model.onnx"), bytes).unwrap();
        },
        "encoder_model.onnx",
        "none of them input_features",
    );
    check(&set("decoder_layers", 6), "cross_kv.onnx", "6 decoder layers");
    check(&set("d_model", 768), "encoder_model.onnx", "");
    check(&set("vocab_size", 51865), "decoder_step.onnx", "51864");
}

#[test]
fn a_language_the_model_has_not() {
    let options = |language: &str| Options { language: Some(language.into()), ..Options::default() };
    let error = Model::load(&tiny(), options("de")).unwrap_err();
    assert_eq!(error.problems[0].file, "option language");
    assert!(Model::load(&tiny(), options("en")).is_ok());
}
