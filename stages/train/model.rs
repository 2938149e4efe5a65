//! Base language models of the Llama family: a folder in Hugging Face's layout or a GGUF file goes in; architecture,
//! weights and tokenizer come out, or every problem of them at once. Knows no arithmetic of a model and no library that
//! does it.

pub mod config;
pub mod detected_format;
pub mod file;
pub mod gguf;
pub mod problem;
pub mod tensor;
pub mod tokenizer;
pub mod weights;

use std::path::Path;

use config::Architecture;
use gguf::Gguf;
use problem::{ModelError, Problems};
use tokenizer::TextTokens;
use weights::Weights;

/// A checked base model.
#[derive(Debug)]
pub struct Base {
    /// Its sizes and constants.
    pub architecture: Architecture,
    /// Its tensors.
    pub weights: Weights,
    /// Its tokens.
    pub tokens: TextTokens,
}

impl Base {
    /// Opens a folder in Hugging Face's layout (config.json, model.safetensors or its parts, tokenizer.json), or a GGUF
    /// file, which holds all three.
    pub fn open(path: &Path) -> Result<Base, ModelError> {
        let mut problems = Problems::default();
        let base = if path.is_dir() {
            open_folder(path, &mut problems)
        } else {
            problems.take(Gguf::open(path)).and_then(|file| open_gguf(file, &mut problems))
        };
        problems.finish(path, base)
    }
}

fn open_folder(folder: &Path, problems: &mut Problems) -> Option<Base> {
    const CONFIG: &str = "config.json";
    let json = match std::fs::read(folder.join(CONFIG)) {
        Ok(bytes) => problem::json(CONFIG, &bytes, problems),
        Err(e) => {
            let expected = "the model's configuration (or give the path of a GGUF file)";
            problems.add(CONFIG, "", format!("it cannot be read ({e})"), expected);
            None
        }
    };
    let architecture = json.and_then(|json| config::from_json(&json, problems));
    let weights = architecture.as_ref().and_then(|a| Weights::open_folder(folder, a, problems));
    let rows = architecture.as_ref().map_or(usize::MAX, |a| a.vocab);
    let tokens = TextTokens::from_folder(folder, rows, problems);
    Some(Base { architecture: architecture?, weights: weights?, tokens: tokens? })
}

fn open_gguf(file: Gguf, problems: &mut Problems) -> Option<Base> {
    let architecture = config::from_gguf(&file, problems);
    let rows = architecture.as_ref().map_or(usize::MAX, |a| a.vocab);
    let tokens = tokenizer::from_gguf(&file, rows, problems);
    let weights = architecture.as_ref().and_then(|a| Weights::open_gguf(file, a, problems));
    Some(Base { architecture: architecture?, weights: weights?, tokens: tokens? })
}

#[cfg(test)]
mod tests;
