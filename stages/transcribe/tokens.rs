//! tokenizer.json in; token ids of prompts, and text from token ids, out.
//! Whisper's tokenizers are byte-level BPE: decoding needs the table only, no merges. Knows no model and no audio.

use std::collections::HashMap;

use serde_json::Value;

use super::folder::Problem;

/// A token's number.
pub type Token = u32;

/// The tokens of one model: what each writes, and which have a meaning of their own.
#[derive(Debug)]
pub struct Vocabulary {
    /// The bytes that each text token writes; special tokens write none.
    pieces: Vec<Box<[u8]>>,
    /// `<|startoftranscript|>`
    pub start: Token,
    /// `<|endoftext|>`: all text tokens are below it.
    pub end: Token,
    /// `<|notimestamps|>`
    pub no_timestamps: Token,
    /// `<|nospeech|>` (`<|nocaptions|>` in older exports), where the model has one.
    pub no_speech: Option<Token>,
    /// `<|transcribe|>`
    pub transcribe: Token,
    /// Codes of the languages and their tokens, by token; empty for an English-only model.
    pub languages: Vec<(String, Token)>,
}

impl Vocabulary {
    /// Reads the `added_tokens` and `model.vocab` of a tokenizer.json for a model of `size` tokens.
    pub fn from_json(
        json: &Value,
        size: usize,
        multilingual: bool,
        problems: &mut Vec<Problem>,
    ) -> Option<Vocabulary> {
        let mut report = |found: String, expected: &str| {
            problems.push(Problem { file: "tokenizer.json".into(), found, expected: expected.into() });
        };
        let Some(table) = json.pointer("/model/vocab").and_then(Value::as_object) else {
            report("no table model.vocab".into(), "a byte-level BPE tokenizer");
            return None;
        };
        let bytes = byte_level();
        let mut pieces = vec![Box::default(); size];
        let mut beyond = 0usize;
        for (piece, id) in table {
            match id.as_u64().and_then(|id| usize::try_from(id).ok()).and_then(|id| pieces.get_mut(id)) {
                Some(slot) => *slot = piece.chars().filter_map(|c| bytes.get(&c).copied()).collect(),
                None => beyond += 1,
            }
        }
        if beyond > 0 {
            report(
                format!("{beyond} tokens with ids of {size} or more"),
                "ids below vocab_size of config.json",
            );
        }
        let special = special_tokens(json);
        for id in special.values() {
            if let Some(slot) = pieces.get_mut(*id as usize) {
                *slot = Box::default();
            }
        }
        let mut need = |names: &[&str]| {
            let id = names.iter().find_map(|name| special.get(*name).copied());
            match id {
                Some(id) if (id as usize) < size => Some(id),
                Some(id) => {
                    report(format!("{} = {id}", names.join(" or ")), "an id below vocab_size of config.json");
                    None
                }
                None => {
                    report(format!("no token {}", names.join(" or ")), "the special tokens of Whisper");
                    None
                }
            }
        };
        let start = need(&["<|startoftranscript|>"]);
        let end = need(&["<|endoftext|>"]);
        let no_timestamps = need(&["<|notimestamps|>"]);
        let transcribe = need(&["<|transcribe|>"]);
        let translate = need(&["<|translate|>"]);
        let no_speech = ["<|nospeech|>", "<|nocaptions|>"].iter().find_map(|n| special.get(*n).copied());
        let (start, translate) = (start?, translate?);
        let mut languages: Vec<(String, Token)> = if multilingual {
            let between = special.iter().filter(|(_, id)| (start + 1..translate).contains(*id));
            between.filter_map(|(name, id)| Some((language_code(name)?.to_owned(), *id))).collect()
        } else {
            Vec::new()
        };
        languages.sort_by_key(|(_, id)| *id);
        if multilingual && languages.is_empty() {
            report("no language token".into(), "tokens such as <|en|> (is_multilingual is true)");
        }
        Some(Vocabulary {
            pieces,
            start,
            end: end?,
            no_timestamps: no_timestamps?,
            no_speech: no_speech.filter(|id| (*id as usize) < size),
            transcribe: transcribe?,
            languages,
        })
    }

    /// The text that tokens write, without white space at its ends. Bytes that are no UTF-8 become U+FFFD.
    pub fn text(&self, tokens: &[Token]) -> String {
        let pieces = tokens.iter().filter_map(|t| self.pieces.get(*t as usize));
        let bytes: Vec<u8> = pieces.flat_map(|piece| piece.iter().copied()).collect();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }

    /// The prompt after `<|startoftranscript|>`, for a language token (none for an English-only model).
    pub fn prompt(&self, language: Option<Token>) -> Vec<Token> {
        match language {
            Some(language) => vec![language, self.transcribe, self.no_timestamps],
            None => vec![self.no_timestamps],
        }
    }

    /// The token of a language code such as "en".
    pub fn language(&self, code: &str) -> Option<Token> {
        self.languages.iter().find(|(c, _)| c == code).map(|(_, id)| *id)
    }
}

/// `<|en|>` -> `en`: two or three small letters, so that tasks and markers are no languages.
fn language_code(name: &str) -> Option<&str> {
    let code = name.strip_prefix("<|")?.strip_suffix("|>")?;
    let is_code = matches!(code.len(), 2 | 3) && code.bytes().all(|b| b.is_ascii_lowercase());
    is_code.then_some(code)
}

fn special_tokens(json: &Value) -> HashMap<&str, Token> {
    let added = json.get("added_tokens").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let named = added.iter().filter_map(|token| {
        let id = Token::try_from(token.get("id")?.as_u64()?).ok()?;
        Some((token.get("content")?.as_str()?, id))
    });
    named.filter(|(name, _)| name.starts_with("<|") && name.ends_with("|>")).collect()
}

/// GPT-2's byte alphabet: printable bytes stand for themselves, the others for characters from U+0100 on.
fn byte_level() -> HashMap<char, u8> {
    let mut next = 0x100u32;
    (0..=u8::MAX)
        .filter_map(|byte| {
            let letter = if matches!(byte, 33..=126 | 161..=172 | 174..=255) {
                u32::from(byte)
            } else {
                next += 1;
                next - 1
            };
            Some((char::from_u32(letter)?, byte))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tokenizer() -> Value {
        let special = |content: &str, id: u32| json!({ "id": id, "content": content, "special": true });
        json!({
            "model": { "type": "BPE", "vocab": { "A": 0, "Ġcaf": 1, "Ã": 2, "©": 3, "Ċ": 4, "<|endoftext|>": 5 } },
            "added_tokens": [
                special("<|endoftext|>", 5), special("<|startoftranscript|>", 6), special("<|en|>", 7),
                special("<|haw|>", 8), special("<|translate|>", 9), special("<|transcribe|>", 10),
                special("<|nospeech|>", 11), special("<|notimestamps|>", 12),
            ],
        })
    }

    #[test]
    fn bytes_come_back_from_their_letters() {
        let table = byte_level();
        assert_eq!(table.len(), 256);
        for (letter, byte) in [('A', b'A'), ('Ġ', b' '), ('Ċ', b'\n'), ('Ã', 0xC3), ('ł', 0xA0), ('Ń', 0xAD)]
        {
            assert_eq!(table.get(&letter), Some(&byte), "{letter}");
        }
    }

    #[test]
    fn tokens_become_text() {
        let v = Vocabulary::from_json(&tokenizer(), 13, true, &mut Vec::new()).unwrap();
        let check = |tokens: &[Token], text: &str| assert_eq!(v.text(tokens), text, "{tokens:?}");
        check(&[], "");
        check(&[0, 1, 2, 3], "A caf\u{e9}");
        check(&[1, 2], "caf\u{fffd}"); // half a character
        check(&[4, 0, 4], "A"); // white space at the ends goes
        check(&[6, 0, 5, 12], "A"); // special tokens write nothing
        check(&[0, 900], "A"); // an id that no token has writes nothing
        assert_eq!(v.languages, [("en".to_owned(), 7), ("haw".to_owned(), 8)]);
        assert_eq!(v.prompt(v.language("haw")), [8, 10, 12]);
        assert_eq!(v.prompt(None), [12]);
        assert_eq!(v.language("xx"), None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |json: Value, size: usize, expected: &[&str]| {
            let mut problems = Vec::new();
            Vocabulary::from_json(&json, size, true, &mut problems);
            let found: Vec<&str> = problems.iter().map(|p| p.found.as_str()).collect();
            assert_eq!(found, expected);
        };
        check(json!({}), 13, &["no table model.vocab"]);
        let mut bare = tokenizer();
        bare["added_tokens"].as_array_mut().unwrap().retain(|t| t["id"] != 12 && t["id"] != 10);
        check(bare, 13, &["no token <|notimestamps|>", "no token <|transcribe|>"]);
        check(tokenizer(), 12, &["<|notimestamps|> = 12"]);
        let mut speechless = tokenizer();
        speechless["added_tokens"].as_array_mut().unwrap().retain(|t| t["id"] != 7 && t["id"] != 8);
        check(speechless, 13, &["no language token"]);
    }
}
