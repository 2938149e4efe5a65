//! A GGUF file's tokens, merges and the name of its splitting rule go in; a tokenizer comes out. The file holds no
//! splitting rule, only a name: what the name means stands here, as llama.cpp and the models' own tokenizer.json
//! files have it.

use serde_json::{Map, Value as Json, json};

use super::super::gguf::{Gguf, Value};
use super::super::problem::Problems;
use super::{Special, TextTokens, Token};

/// Types of tokens, by llama.cpp's codes.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const MERGES: &str = "tokenizer.ggml.merges";

/// Rebuilds the tokenizer of a GGUF file. `vocab` is the number of rows of the token table.
pub fn from_gguf(file: &Gguf, vocab: usize, problems: &mut Problems) -> Option<TextTokens> {
    let mut sheet = Sheet { file, problems };
    let bpe = sheet.byte_level_bpe();
    let rule = sheet.rule();
    let tokens = sheet.texts(TOKENS, "the tokens' texts");
    let merges = sheet.texts(MERGES, "merges, such as \"a b\"");
    let types = sheet.types(tokens.map(<[_]>::len));
    let special = sheet.special(rule.as_ref());
    let (rule, tokens, merges) = (rule?, tokens?, merges?);
    let (types, special) = (types?, special?);
    bpe?;

    let mut table = Map::new();
    for (id, token) in tokens.iter().enumerate() {
        if table.insert(token.to_string(), json!(id)).is_some() {
            let found = format!("token {id} has the text of another");
            problems.add(file.name(), TOKENS, found, "texts that differ");
            return None;
        }
    }
    let added =
        tokens.iter().zip(&types).enumerate().filter(|(_, (_, t))| matches!(**t, CONTROL | USER_DEFINED));
    let added: Vec<Json> = added
        .map(|(id, (token, kind))| {
            json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": *kind == CONTROL })
        })
        .collect();
    let mut pairs = Vec::new();
    for (number, merge) in merges.iter().enumerate() {
        // Neither half can hold a blank (a blank is Ġ here), but a half may begin with any other character.
        let Some((left, right)) = merge.split_once(' ') else {
            problems.add(file.name(), MERGES, format!("merge {number} without a blank"), "\"left right\"");
            return None;
        };
        pairs.push(json!([left, right]));
    }
    let byte_level = |split: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": split });
    let mut steps = rule.steps;
    steps.push(byte_level(rule.then_gpt2));
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": rule.normalizer,
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": steps },
        "post_processor": null, "decoder": byte_level(true),
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                   "ignore_merges": rule.whole_words, "vocab": table, "merges": pairs },
    });
    TextTokens::from_json(file.name(), json, special, vocab, problems)
}

/// The meaning of the name of a splitting rule.
struct Rule {
    normalizer: Json,
    /// The steps that split a text before the byte alphabet.
    steps: Vec<Json>,
    /// True if GPT-2's own split follows.
    then_gpt2: bool,
    /// True if a word that is a token is one, whatever the merges would make of it.
    whole_words: bool,
    /// True if a text begins with the beginning token if the file does not say.
    adds_bos: bool,
}

/// Each match, and each stretch between two, becomes a piece.
fn split(pattern: &str) -> Json {
    json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false })
}

/// `\p{N}{1,3}` for Llama 3, `\p{N}` for Qwen2.
fn words_and(digits: &str) -> Json {
    split(&format!(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ))
}

const RULES: &str = "\"smollm\", \"gpt-2\", \"default\", \"llama-bpe\" or \"qwen2\"";

fn rule(name: &str) -> Option<Rule> {
    let plain =
        Rule { normalizer: Json::Null, steps: vec![], then_gpt2: true, whole_words: false, adds_bos: false };
    Some(match name {
        "gpt-2" => plain,
        "smollm" => Rule { steps: vec![json!({ "type": "Digits", "individual_digits": true })], ..plain },
        // llama.cpp's own: punctuation first, then GPT-2's split, then digits alone and in threes.
        "default" => Rule {
            steps: vec![
                split(r"[\p{P}\$\+<=>\^~\|]+"),
                split(GPT2),
                split(r"\p{N}+"),
                split("[0-9][0-9][0-9]"),
            ],
            then_gpt2: false,
            ..plain
        },
        "llama-bpe" => Rule {
            steps: vec![words_and(r"\p{N}{1,3}")],
            then_gpt2: false,
            whole_words: true,
            adds_bos: true,
            ..plain
        },
        "qwen2" => Rule {
            // The model's own tokenizer normalises; llama.cpp does not.
            normalizer: json!({ "type": "NFC" }),
            steps: vec![words_and(r"\p{N}")],
            then_gpt2: false,
            ..plain
        },
        _ => return None,
    })
}

/// GPT-2's split.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

struct Sheet<'a> {
    file: &'a Gguf,
    problems: &'a mut Problems,
}

impl<'a> Sheet<'a> {
    fn report(&mut self, key: &str, expected: impl Into<String>) {
        let found = self.file.get(key).map_or_else(|| "nothing".into(), ToString::to_string);
        self.problems.add(self.file.name(), key, found, expected);
    }

    fn byte_level_bpe(&mut self) -> Option<()> {
        let is_bpe = self.file.get(MODEL).and_then(Value::as_str) == Some("gpt2");
        if !is_bpe {
            self.report(MODEL, "\"gpt2\" (byte-level BPE); for others use a folder with a tokenizer.json");
        }
        is_bpe.then_some(())
    }

    fn rule(&mut self) -> Option<Rule> {
        let found = self.file.get(PRE).and_then(Value::as_str).and_then(rule);
        if found.is_none() {
            self.report(PRE, format!("{RULES} (another splitting rule would give other tokens)"));
        }
        found
    }

    fn texts(&mut self, key: &str, what: &str) -> Option<&'a [Box<str>]> {
        let texts = self.file.get(key).and_then(Value::as_texts);
        if texts.is_none() {
            self.report(key, what);
        }
        texts
    }

    fn types(&mut self, tokens: Option<usize>) -> Option<Vec<i64>> {
        let tokens = tokens?;
        if self.file.get(TYPES).is_none() {
            return Some(vec![1; tokens]);
        }
        let types = self.file.get(TYPES).and_then(Value::as_integers).filter(|types| types.len() == tokens);
        if types.is_none() {
            self.report(TYPES, format!("{tokens} whole numbers, one for each token"));
        }
        types
    }

    fn special(&mut self, rule: Option<&Rule>) -> Option<Special> {
        let mut id = |role: &str| -> Result<Option<Token>, ()> {
            let key = format!("tokenizer.ggml.{role}_token_id");
            let Some(value) = self.file.get(&key) else { return Ok(None) };
            let id = value.as_u64().and_then(|id| Token::try_from(id).ok());
            if id.is_none() {
                self.report(&key, "a token's number");
            }
            id.map(Some).ok_or(())
        };
        let (bos, eos, eot, pad) = (id("bos"), id("eos"), id("eot"), id("padding"));
        let (bos, eos, eot, pad) = (bos.ok()?, eos.ok()?, eot.ok()?, pad.ok()?);
        let Some(eos) = eos else {
            self.report("tokenizer.ggml.eos_token_id", "the token that ends a text");
            return None;
        };
        let add_bos = self.file.get("tokenizer.ggml.add_bos_token").and_then(Value::as_bool);
        let add_bos = add_bos.unwrap_or_else(|| rule.is_some_and(|r| r.adds_bos)) && bos.is_some();
        let eos = std::iter::once(eos).chain(eot.filter(|eot| *eot != eos)).collect();
        Some(Special { bos, add_bos, eos, pad })
    }
}
