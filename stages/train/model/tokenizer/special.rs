//! The files beside a tokenizer.json, or a GGUF file's metadata, go in; the tokens that begin, end and fill texts come
//! out.

use std::path::Path;

use serde_json::Value;

use super::super::problem::{Problems, shorten};
use super::Token;

/// The tokens that have a role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Special {
    /// Begins a text, where a model has such a token.
    pub bos: Option<Token>,
    /// True if the model expects `bos` before every text.
    pub add_bos: bool,
    /// End a text; the first is the one to train with.
    pub eos: Vec<Token>,
    /// Fills batches. Often the same token as the end: never mask by it.
    pub pad: Option<Token>,
}

impl Special {
    /// All tokens with their roles.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, Token)> + '_ {
        let bos = self.bos.map(|id| ("bos_token", id));
        let eos = self.eos.iter().map(|id| ("eos_token", *id));
        bos.into_iter().chain(eos).chain(self.pad.map(|id| ("pad_token", id)))
    }

    /// Roles by id from generation_config.json or config.json, by name from tokenizer_config.json or
    /// special_tokens_map.json. Names of the tokenizer win for what it adds, ids for where texts end.
    pub(super) fn from_folder(folder: &Path, tokenizer: &Value, problems: &mut Problems) -> Option<Special> {
        let read = |file: &str| -> Option<Value> {
            serde_json::from_slice(&std::fs::read(folder.join(file)).ok()?).ok()
        };
        let by_id = ["generation_config.json", "config.json"].map(read);
        let named = ["tokenizer_config.json", "special_tokens_map.json"].map(read);
        let add_bos = named.iter().flatten().find_map(|sheet| sheet.get("add_bos_token")?.as_bool());

        let ids = |role: &str| -> Vec<Token> {
            let found =
                by_id.iter().flatten().find_map(|s| s.get(format!("{role}_id")).filter(|v| !v.is_null()));
            match found {
                Some(Value::Array(list)) => list.iter().filter_map(token).collect(),
                Some(id) => token(id).into_iter().collect(),
                None => Vec::new(),
            }
        };
        let name = |role: &str| -> Option<String> {
            let found = named.iter().flatten().find_map(|s| s.get(role).filter(|v| !v.is_null()))?;
            let text = found.as_str().or_else(|| found.get("content")?.as_str())?;
            Some(text.to_owned())
        };
        let mut role = |role: &str| -> Vec<Token> {
            let mut ids = ids(role);
            if let Some(name) = name(role) {
                match lookup(tokenizer, &name) {
                    Some(id) if ids.is_empty() => ids.push(id),
                    Some(_) => {}
                    None => problems.add(
                        "tokenizer_config.json",
                        role,
                        format!("\"{}\"", shorten(&name)),
                        "a token of tokenizer.json",
                    ),
                }
            }
            ids
        };
        let (bos, eos, pad) = (role("bos_token"), role("eos_token"), role("pad_token"));
        if eos.is_empty() {
            let expected = "eos_token_id in generation_config.json or config.json, or eos_token in \
                            tokenizer_config.json";
            problems.add("generation_config.json", "eos_token_id", "no token that ends a text", expected);
            return None;
        }
        let bos = bos.first().copied();
        let add_bos = add_bos.unwrap_or_else(|| bos.is_some_and(|bos| begins_with(tokenizer, bos)));
        Some(Special { bos, add_bos: add_bos && bos.is_some(), eos, pad: pad.first().copied() })
    }
}

fn token(value: &Value) -> Option<Token> {
    Token::try_from(value.as_u64()?).ok()
}

/// The id of a token of a tokenizer.json.
fn lookup(tokenizer: &Value, name: &str) -> Option<Token> {
    let added = tokenizer.get("added_tokens").and_then(Value::as_array);
    let named = added.and_then(|list| list.iter().find(|t| t.get("content").is_some_and(|c| c == name)));
    let id = named.and_then(|t| t.get("id")).or_else(|| tokenizer.pointer("/model/vocab")?.get(name));
    id.and_then(token)
}

/// Returns true if the template for one text begins with this token.
fn begins_with(tokenizer: &Value, bos: Token) -> bool {
    let post = tokenizer.get("post_processor").unwrap_or(&Value::Null);
    let steps = post.get("processors").and_then(Value::as_array).map(Vec::as_slice);
    steps.unwrap_or(std::slice::from_ref(post)).iter().any(|step| {
        let first = step.pointer("/single/0/SpecialToken/id").and_then(Value::as_str);
        first.is_some_and(|name| lookup(tokenizer, name) == Some(bos))
    })
}
