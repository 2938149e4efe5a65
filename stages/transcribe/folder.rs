//! A folder in Hugging Face's layout in; a checked description of the model in it, or every problem found, out.
//! Knows file names and JSON keys, nothing of tract: no graph is read here.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::tokens::Vocabulary;

/// The sample rate of all Whisper models, in hertz.
pub const SAMPLE_RATE: usize = 16_000;
/// Samples between two log-mel frames (10 ms).
pub const HOP: usize = 160;
/// Log-mel frames behind one encoder position (the second convolution has stride 2).
pub const FRAMES_PER_POSITION: usize = 2;

/// One thing that is wrong in a model's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the folder (or the option) that is wrong.
    pub file: String,
    /// The value found there.
    pub found: String,
    /// The expected value.
    pub expected: String,
}

/// Why a folder cannot be used: all problems at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelError {
    /// The folder as it was given.
    pub folder: PathBuf,
    /// At least one problem.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use the Whisper model in {}:", self.folder.display())?;
        for p in &self.problems {
            write!(f, "\n  {}: found {}; expected {}", p.file, p.found, p.expected)?;
        }
        Ok(())
    }
}

impl std::error::Error for ModelError {}

/// The sizes of a Whisper model, as config.json states them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    /// Mel bands of the input: 80, or 128 from large-v3 on.
    pub mel_bins: usize,
    /// Width of the hidden states.
    pub width: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// Attention heads of the decoder.
    pub heads: usize,
    /// Rows of the token table.
    pub vocabulary: usize,
    /// Positions of the encoder: 1500 for 30 s.
    pub source_positions: usize,
    /// Positions of the decoder: prompt and text together.
    pub target_positions: usize,
}

impl Architecture {
    /// Samples of one full window (30 s).
    pub fn window_samples(&self) -> usize {
        self.source_positions * FRAMES_PER_POSITION * HOP
    }
}

/// The layout of the ONNX files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// Three graphs: the decoder's step takes its past and the cross-attention states as inputs.
    Split { encoder: PathBuf, cross: PathBuf, step: PathBuf },
    /// Optimum's export with both decoders behind one `If`.
    Merged { encoder: PathBuf, decoder: PathBuf },
    /// Optimum's export with two decoder files.
    Pair { encoder: PathBuf, first: PathBuf, with_past: PathBuf },
}

/// A checked folder.
#[derive(Debug)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// The model's sizes.
    pub architecture: Architecture,
    /// Tokens and their meaning.
    pub vocabulary: Vocabulary,
    /// Tokens never written (`suppress_tokens`).
    pub suppressed: Vec<usize>,
    /// Tokens not written first (`begin_suppress_tokens`).
    pub first_suppressed: Vec<usize>,
    /// The ONNX files.
    pub layout: Layout,
}

/// Reads and checks a folder. Every problem is reported, not only the first.
pub fn read(path: &Path) -> Result<Folder, ModelError> {
    let mut problems = Vec::new();
    let folder = read_into(path, &mut problems);
    match folder {
        Some(folder) if problems.is_empty() => Ok(folder),
        _ => Err(ModelError { folder: path.to_owned(), problems }),
    }
}

fn read_into(path: &Path, problems: &mut Vec<Problem>) -> Option<Folder> {
    if !path.is_dir() {
        let found = if path.exists() { "a file" } else { "nothing" };
        problems.push(Problem {
            file: ".".into(),
            found: found.into(),
            expected: "a folder in Hugging Face's layout (config.json, tokenizer.json, ONNX files, ...)"
                .into(),
        });
        return None;
    }
    let config = Sheet::open(path, "config.json", problems);
    let generation_config = Sheet::open(path, "generation_config.json", problems);
    let preprocessor = Sheet::open(path, "preprocessor_config.json", problems);
    let tokenizer = Sheet::open(path, "tokenizer.json", problems);
    let layout = find_layout(path, problems);

    let architecture = config.as_ref().and_then(|c| architecture(c, problems));
    if let (Some(p), Some(a)) = (&preprocessor, &architecture) {
        check_preprocessor(p, a, problems);
    }
    let multilingual =
        generation_config.as_ref().map(|g| g.json.get("is_multilingual") == Some(&Value::Bool(true)));
    let vocabulary = match (&tokenizer, &architecture, multilingual) {
        (Some(t), Some(a), Some(multilingual)) => {
            Vocabulary::from_json(&t.json, a.vocabulary, multilingual, problems)
        }
        _ => None,
    };
    if let (Some(g), Some(v)) = (&generation_config, &vocabulary) {
        check_ids(g, v, problems);
    }
    let suppressed = [&generation_config, &config].map(Option::as_ref);
    Some(Folder {
        path: path.to_owned(),
        suppressed: id_list(suppressed, "suppress_tokens", problems),
        first_suppressed: id_list(suppressed, "begin_suppress_tokens", problems),
        architecture: architecture?,
        vocabulary: vocabulary?,
        layout: layout?,
    })
}

/// One JSON file of the folder.
struct Sheet {
    file: &'static str,
    json: Value,
}

impl Sheet {
    fn open(folder: &Path, file: &'static str, problems: &mut Vec<Problem>) -> Option<Sheet> {
        let mut report = |found: String, expected: &str| {
            problems.push(Problem { file: file.into(), found, expected: expected.into() });
            None
        };
        let bytes = match headwater_datasets::regular::read(&folder.join(file)) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return report("no such file".into(), "the file that comes with every Whisper model");
            }
            Err(e) => return report(format!("it cannot be read ({e})"), "a readable file"),
        };
        match serde_json::from_slice(&bytes) {
            Ok(json @ Value::Object(_)) => Some(Sheet { file, json }),
            Ok(_) => report("JSON, but no object at its top".into(), "a JSON object"),
            Err(e) => report(format!("no valid JSON ({e})"), "a JSON object"),
        }
    }

    fn number(&self, key: &str, problems: &mut Vec<Problem>) -> Option<usize> {
        let value = self.json.get(key).unwrap_or(&Value::Null);
        let number = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        if number.is_none() {
            problems.push(Problem {
                file: self.file.into(),
                found: format!("{key} = {}", shorten(value)),
                expected: format!("{key} as a positive whole number"),
            });
        }
        number
    }
}

fn shorten(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn architecture(config: &Sheet, problems: &mut Vec<Problem>) -> Option<Architecture> {
    let kind = config.json.get("model_type").unwrap_or(&Value::Null);
    if kind != "whisper" {
        problems.push(Problem {
            file: config.file.into(),
            found: format!("model_type = {}", shorten(kind)),
            expected: "model_type = \"whisper\" (no other architecture is known here)".into(),
        });
        return None;
    }
    let mut number = |key| config.number(key, problems);
    let (mel_bins, width, layers) = (number("num_mel_bins"), number("d_model"), number("decoder_layers"));
    let (heads, vocabulary) = (number("decoder_attention_heads"), number("vocab_size"));
    let (source, target) = (number("max_source_positions"), number("max_target_positions"));
    let found = Architecture {
        mel_bins: mel_bins?,
        width: width?,
        decoder_layers: layers?,
        heads: heads?,
        vocabulary: vocabulary?,
        source_positions: source?,
        target_positions: target?,
    };
    let mut expect = |ok: bool, found: String, expected: &str| {
        if !ok {
            problems.push(Problem { file: config.file.into(), found, expected: expected.into() });
        }
    };
    expect(
        matches!(found.mel_bins, 80 | 128),
        format!("num_mel_bins = {}", found.mel_bins),
        "80 or 128 mel bands",
    );
    expect(
        found.width.is_multiple_of(found.heads),
        format!("d_model = {} and decoder_attention_heads = {}", found.width, found.heads),
        "a width that the heads divide",
    );
    expect(
        found.source_positions <= 1500,
        format!("max_source_positions = {}", found.source_positions),
        "at most 1500 positions (30 s)",
    );
    Some(found)
}

fn check_preprocessor(sheet: &Sheet, architecture: &Architecture, problems: &mut Vec<Problem>) {
    let expected = [
        ("feature_size", architecture.mel_bins),
        ("sampling_rate", SAMPLE_RATE),
        ("hop_length", HOP),
        ("n_fft", 400),
        ("n_samples", architecture.window_samples()),
    ];
    for (key, want) in expected {
        match sheet.json.get(key) {
            None if key == "n_samples" || key == "sampling_rate" => {}
            Some(value) if value.as_u64() == Some(want as u64) => {}
            found => problems.push(Problem {
                file: sheet.file.into(),
                found: format!("{key} = {}", found.map_or("nothing".into(), shorten)),
                expected: format!("{key} = {want}"),
            }),
        }
    }
}

/// The tokenizer's special tokens and the ids of generation_config.json must agree where both speak.
fn check_ids(generation_config: &Sheet, vocabulary: &Vocabulary, problems: &mut Vec<Problem>) {
    let expected = [
        ("decoder_start_token_id", vocabulary.start),
        ("eos_token_id", vocabulary.end),
        ("no_timestamps_token_id", vocabulary.no_timestamps),
    ];
    for (key, want) in expected {
        let Some(found) = generation_config.json.get(key).filter(|v| !v.is_null()) else { continue };
        let agrees = match found {
            Value::Array(ids) => ids.iter().any(|id| id.as_u64() == Some(u64::from(want))),
            id => id.as_u64() == Some(u64::from(want)),
        };
        if !agrees {
            problems.push(Problem {
                file: generation_config.file.into(),
                found: format!("{key} = {}", shorten(found)),
                expected: format!("{want}, the id of that token in tokenizer.json"),
            });
        }
    }
}

/// A list of token ids from the first file that has it (older exports keep it in config.json); null is empty.
fn id_list(sheets: [Option<&Sheet>; 2], key: &str, problems: &mut Vec<Problem>) -> Vec<usize> {
    let Some((sheet, value)) =
        sheets.into_iter().flatten().find_map(|s| s.json.get(key).filter(|v| !v.is_null()).map(|v| (s, v)))
    else {
        return Vec::new();
    };
    let ids = value.as_array().map(|list| {
        // Some exports write -1 where they mean "the usual symbols"; no such token exists.
        list.iter().filter_map(|id| id.as_u64().and_then(|id| usize::try_from(id).ok())).collect()
    });
    ids.unwrap_or_else(|| {
        problems.push(Problem {
            file: sheet.file.into(),
            found: format!("{key} = {}", shorten(value)),
            expected: format!("{key} as a list of token ids, or null"),
        });
        Vec::new()
    })
}

/// The endings by which exports name their numeric type, the most exact first.
const VARIANTS: [&str; 5] = ["", "_fp16", "_quantized", "_int8", "_uint8"];

fn find_layout(folder: &Path, problems: &mut Vec<Problem>) -> Option<Layout> {
    for variant in VARIANTS {
        for place in [folder.to_owned(), folder.join("onnx")] {
            let file = |stem: &str| Some(place.join(format!("{stem}{variant}.onnx"))).filter(|p| p.is_file());
            let Some(encoder) = file("encoder_model") else { continue };
            if let (Some(cross), Some(step)) = (file("cross_kv"), file("decoder_step")) {
                return Some(Layout::Split { encoder, cross, step });
            }
            if let Some(decoder) = file("decoder_model_merged") {
                return Some(Layout::Merged { encoder, decoder });
            }
            if let (Some(first), Some(with_past)) = (file("decoder_model"), file("decoder_with_past_model")) {
                return Some(Layout::Pair { encoder, first, with_past });
            }
        }
    }
    let there = onnx_files(folder);
    problems.push(Problem {
        file: "*.onnx".into(),
        found: if there.is_empty() { "no ONNX file".into() } else { there.join(", ") },
        expected: "encoder_model.onnx with cross_kv.onnx and decoder_step.onnx, or with \
                   decoder_model_merged.onnx, or with decoder_model.onnx and decoder_with_past_model.onnx \
                   (here or in onnx/; all with the same ending _fp16, _quantized, _int8 or _uint8 if any)"
            .into(),
    });
    None
}

fn onnx_files(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for place in ["", "onnx"] {
        let Ok(entries) = std::fs::read_dir(folder.join(place)) else { continue };
        names.extend(entries.flatten().filter_map(|entry| {
            let path = entry.path();
            let is_onnx = path.extension().is_some_and(|e| e == "onnx");
            is_onnx.then(|| path.strip_prefix(folder).unwrap_or(&path).display().to_string())
        }));
    }
    names.sort();
    names
}

#[cfg(test)]
mod tests;
