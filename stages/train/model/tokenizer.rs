//! A tokenizer.json or a GGUF file's metadata goes in; token ids of texts, and texts of token ids, come out. Knows no
//! weights. Texts are plain: a control token's name in a text is text, so no text can contain a control token.
//!
//! Traps. The padding token is often the end token (SmolLM2): mask a loss by position, never by `id == pad`. Some
//! byte-level vocabularies lack tokens of single bytes (SmolLM2 lacks 21): such a byte would vanish without a word, so
//! `encode` refuses it and `encode_lossy` says how many went.

mod byte_level;
mod gguf;
mod special;

use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer;

use super::problem::{self, Problems, shorten};

pub use gguf::from_gguf;
pub use special::Special;

/// A token's number.
pub type Token = u32;

/// Turns texts into tokens and back.
#[derive(Debug, Clone)]
pub struct TextTokens {
    inner: Tokenizer,
    special: Special,
    /// By byte, whether no token writes it. All false if the tokenizer is not byte-level.
    absent: Box<[bool; 256]>,
}

/// Why a text has no exact tokens. It carries nothing of the text but one byte's value and place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// No token writes this byte.
    #[error("no token of this model writes the byte 0x{byte:02x} (at byte {at} of the text)")]
    NoToken {
        /// The byte.
        byte: u8,
        /// Its place in the text, in bytes (after normalisation, if the tokenizer normalises).
        at: usize,
    },
    /// The tokenizer gave up.
    #[error("the tokenizer cannot encode the text")]
    Tokenizer,
}

impl TextTokens {
    /// Reads tokenizer.json of a folder, and the special tokens' roles from the files beside it. `vocab` is the number
    /// of rows of the token table.
    pub fn from_folder(folder: &Path, vocab: usize, problems: &mut Problems) -> Option<TextTokens> {
        const FILE: &str = "tokenizer.json";
        let bytes = match std::fs::read(folder.join(FILE)) {
            Ok(bytes) => bytes,
            Err(e) => {
                problems.add(FILE, "", format!("it cannot be read ({e})"), "the tokenizer of the model");
                return None;
            }
        };
        let json = problem::json(FILE, &bytes, problems)?;
        let special = Special::from_folder(folder, &json, problems);
        TextTokens::from_json(FILE, json, special?, vocab, problems)
    }

    /// A tokenizer from the JSON of a tokenizer.json.
    fn from_json(
        file: &str,
        mut json: Value,
        special: Special,
        vocab: usize,
        problems: &mut Problems,
    ) -> Option<TextTokens> {
        // How long a text may be and what fills a batch is for the trainer to say.
        if let Some(top) = json.as_object_mut() {
            top.insert("truncation".into(), Value::Null);
            top.insert("padding".into(), Value::Null);
        }
        let absent = Box::new(byte_level::absent(&json));
        let mut inner: Tokenizer = match serde_json::from_value(json) {
            Ok(inner) => inner,
            Err(e) => {
                let found = format!("a tokenizer that cannot be built ({})", shorten(&e.to_string()));
                problems.add(file, "", found, "a tokenizer in Hugging Face's format");
                return None;
            }
        };
        inner.set_encode_special_tokens(true);
        let most = inner.get_vocab(true).into_values().max();
        if let Some(most) = most.filter(|id| *id as usize >= vocab) {
            let expected = format!("ids below {vocab}, the rows of the token table");
            problems.add(file, "", format!("a token with id {most}"), expected);
            return None;
        }
        for (role, id) in special.all() {
            if inner.id_to_token(id).is_none() {
                problems.add(
                    file,
                    role,
                    format!("token {id}, which is not there"),
                    "a token of the vocabulary",
                );
            }
        }
        Some(TextTokens { inner, special, absent })
    }

    /// The tokens of a text, without any at its beginning or end. A byte that no token writes is an error.
    pub fn encode(&self, text: &str) -> Result<Vec<Token>, EncodeError> {
        if let Some((at, byte)) = self.lost(text)?.first() {
            return Err(EncodeError::NoToken { byte: *byte, at: *at });
        }
        self.ids(text)
    }

    /// The tokens of a text, and the number of its bytes that no token writes: those are skipped.
    pub fn encode_lossy(&self, text: &str) -> Result<(Vec<Token>, usize), EncodeError> {
        Ok((self.ids(text)?, self.lost(text)?.len()))
    }

    fn ids(&self, text: &str) -> Result<Vec<Token>, EncodeError> {
        let encoding = self.inner.encode_fast(text, false).map_err(|_| EncodeError::Tokenizer)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Places and values of the bytes that no token writes.
    fn lost(&self, text: &str) -> Result<Vec<(usize, u8)>, EncodeError> {
        use tokenizers::{NormalizedString, Normalizer};
        let absent = |(_, byte): &(usize, u8)| self.absent.get(usize::from(*byte)) == Some(&true);
        let in_bytes = |bytes: &[u8]| bytes.iter().copied().enumerate().filter(absent).collect();
        match self.inner.get_normalizer() {
            _ if !self.absent.contains(&true) => Ok(Vec::new()),
            None => Ok(in_bytes(text.as_bytes())),
            Some(normalizer) => {
                let mut normalized = NormalizedString::from(text);
                normalizer.normalize(&mut normalized).map_err(|_| EncodeError::Tokenizer)?;
                Ok(in_bytes(normalized.get().as_bytes()))
            }
        }
    }

    /// The text that tokens write. Control tokens write nothing; bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, tokens: &[Token]) -> Result<String, EncodeError> {
        self.inner.decode(tokens, true).map_err(|_| EncodeError::Tokenizer)
    }

    /// The token of this name, control tokens among them (`<|im_start|>`).
    pub fn id(&self, name: &str) -> Option<Token> {
        self.inner.token_to_id(name)
    }

    /// Tokens in all.
    pub fn len(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Returns true if there is no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tokens that have a role.
    pub fn special(&self) -> &Special {
        &self.special
    }

    /// The bytes that no token writes, ascending.
    pub fn absent_bytes(&self) -> Vec<u8> {
        let bytes = (0..=u8::MAX).zip(self.absent.iter());
        bytes.filter(|(_, absent)| **absent).map(|(byte, _)| byte).collect()
    }
}

#[cfg(test)]
pub(super) mod tests;
