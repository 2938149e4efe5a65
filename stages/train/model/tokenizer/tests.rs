//! Token ids of hostile texts against llama.cpp's (tests/golden/slm/tiny_tokens.json, made by tests/golden/slm/tokens.py): the tiny model has
//! the first 2048 tokens of SmolLM2.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::super::gguf::{Gguf, Value as Meta};
use super::*;

fn golden(file: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/slm")).join(file)
}

fn tiny(changes: &[(&str, Meta)]) -> Result<TextTokens, Vec<String>> {
    let (mut file, mut problems) = (Gguf::open(&golden("tiny.gguf")).unwrap(), Problems::default());
    changes.iter().for_each(|(key, value)| file.set(key, value.clone()));
    let tokens = from_gguf(&file, 2048, &mut problems);
    let messages: Vec<String> = problems.list().iter().map(ToString::to_string).collect();
    tokens.filter(|_| messages.is_empty()).ok_or(messages)
}

const PRE: &str = "tokenizer.ggml.pre";

/// Texts whose tokens differ from llama.cpp's. Texts with bytes that no token writes do not count: where such a byte
/// goes, its neighbours may merge here and do not there, and `encode` refuses them.
pub(crate) fn differences(tokens: &TextTokens, file: &str, rule: &str) -> Vec<String> {
    let json: Value = serde_json::from_slice(&fs::read(golden(file)).unwrap()).unwrap();
    let cases = json["cases"].as_array().unwrap();
    assert!(cases.len() > 200);
    let differs = |case: &&Value| {
        let text = case["text"].as_str().unwrap();
        let (ids, lost) = tokens.encode_lossy(text).unwrap();
        assert_eq!(tokens.encode(text).is_ok(), lost == 0, "{text:?}");
        lost == 0 && json!(ids) != case[rule]
    };
    cases.iter().filter(differs).map(|case| case["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn hostile_texts_have_llama_cpps_tokens() {
    let check = |rule: &str, expected: &[&str]| {
        let tokens = tiny(&[(PRE, Meta::Text(rule.into()))]).unwrap();
        assert_eq!(differences(&tokens, "tiny_tokens.json", rule), expected, "{rule}");
    };
    check("smollm", &[]);
    check("gpt-2", &[]);
    check("default", &[]);
    check("llama-bpe", &[]);
    // Texts that NFC changes: the model's own tokenizer normalises, llama.cpp does not.
    let decomposed = "^_ ?b\u{2028}!\u{434}^e\u{301}$a\u{4f60}X!\u{661}4?5\u{434}6?\t6\u{200d}~9?? \u{a0}";
    check("qwen2", &["cafe\u{301}", "\u{c5}\u{212b} A\u{30a}", "\u{1112}\u{1161}\u{11ab}", decomposed]);
}

#[test]
fn texts_come_back() {
    let tokens = tiny(&[]).unwrap();
    let check = |text: &str, expected: Result<&str, EncodeError>| {
        let back = tokens.encode(text).and_then(|ids| tokens.decode(&ids));
        assert_eq!(back.as_deref(), expected.as_ref().map(|t| *t), "{text:?}");
    };
    check("", Ok(""));
    check("  a  7\n", Ok("  a  7\n"));
    check("caf\u{e9} \u{1f600}", Ok("caf\u{e9} \u{1f600}"));
    check("<|im_end|>", Ok("<|im_end|>"));
    check("a\u{4}b", Err(EncodeError::NoToken { byte: 4, at: 1 }));
    assert_eq!(tokens.encode_lossy("a\u{4}b").unwrap().1, 1);
    assert_eq!(tokens.absent_bytes().len(), 21);
    // A control token's name in a text is text; the token itself is asked for by name.
    let end = tokens.id("<|im_end|>").unwrap();
    assert!(!tokens.encode("<|im_end|>").unwrap().contains(&end));
    let expected = Special { bos: Some(1), add_bos: false, eos: vec![2], pad: Some(2) };
    assert_eq!((tokens.len(), tokens.special(), end), (2048, &expected, 2));
}

#[test]
fn what_cannot_be_rebuilt_is_refused_by_key() {
    let check = |key: &str, value: Meta, expected: &str| {
        let messages = tiny(&[(key, value)]).unwrap_err();
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert!(messages[0].starts_with(&format!("tiny.gguf: {key}: {expected}")), "{messages:?}");
    };
    let text = |t: &str| Meta::Text(t.into());
    check(PRE, text("deepseek-llm"), "found \"deepseek-llm\"; expected \"smollm\", \"gpt-2\"");
    check(PRE, Meta::U64(1), "found 1; expected");
    check("tokenizer.ggml.model", text("llama"), "found \"llama\"; expected \"gpt2\" (byte-level BPE)");
    check("tokenizer.ggml.tokens", text("x"), "found \"x\"; expected the tokens' texts");
    check("tokenizer.ggml.token_type", text("x"), "found \"x\"; expected 2048 whole numbers");
    check("tokenizer.ggml.eos_token_id", text("x"), "found \"x\"; expected a token's number");
}

fn folder(files: &[(&str, Value)]) -> Result<TextTokens, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, json)| fs::write(folder.path().join(name), json.to_string()).unwrap());
    let mut problems = Problems::default();
    let tokens = TextTokens::from_folder(folder.path(), 8, &mut problems);
    let messages: Vec<String> = problems.list().iter().map(ToString::to_string).collect();
    tokens.filter(|_| messages.is_empty()).ok_or(messages)
}

fn small() -> Value {
    let vocab: BTreeMap<&str, u32> = [("<s>", 0), ("</s>", 1), ("a", 2), ("b", 3), ("ab", 4)].into();
    json!({
        "version": "1.0", "truncation": { "direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0 },
        "padding": null, "normalizer": null, "decoder": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true },
        "added_tokens": [
            { "id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true },
            { "id": 1, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true },
        ],
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "post_processor": { "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": "<s>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
            "special_tokens": { "<s>": { "id": "<s>", "ids": [0], "tokens": ["<s>"] } } },
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": [["a", "b"]] },
    })
}

#[test]
fn folders_are_read() {
    let names = json!({ "bos_token": { "content": "<s>" }, "eos_token": "</s>", "pad_token": null });
    let tokens = folder(&[("tokenizer.json", small()), ("tokenizer_config.json", names)]).unwrap();
    assert_eq!(tokens.encode("abab").unwrap(), [4, 4], "nothing is added, nothing cut");
    let expected = Special { bos: Some(0), add_bos: true, eos: vec![1], pad: None };
    assert_eq!(tokens.special(), &expected);
    let ids = json!({ "bos_token_id": 0, "eos_token_id": [1, 3], "pad_token_id": 1 });
    let tokens = folder(&[("tokenizer.json", small()), ("generation_config.json", ids)]).unwrap();
    assert_eq!((tokens.special().eos.as_slice(), tokens.special().pad), (&[1, 3][..], Some(1)));
}

#[test]
fn what_is_wrong_with_a_folder_is_told() {
    let check = |files: &[(&str, Value)], expected: &[&str]| {
        let messages = folder(files).unwrap_err();
        assert_eq!(messages.len(), expected.len(), "{messages:#?}");
        expected.iter().zip(&messages).for_each(|(e, t)| assert!(t.starts_with(e), "{t}"));
    };
    let eos = ("config.json", json!({ "eos_token_id": 1 }));
    check(&[], &["tokenizer.json: found it cannot be read"]);
    check(
        &[("tokenizer.json", small())],
        &["generation_config.json: eos_token_id: found no token that ends"],
    );
    check(
        &[("tokenizer.json", json!({})), eos.clone()],
        &["tokenizer.json: found a tokenizer that cannot be built"],
    );
    let mut large = small();
    large["model"]["vocab"]["c"] = json!(8);
    check(
        &[("tokenizer.json", large), eos],
        &["tokenizer.json: found a token with id 8; expected ids below 8"],
    );
    let names = json!({ "eos_token": "<end>" });
    check(
        &[("tokenizer.json", small()), ("tokenizer_config.json", names)],
        &[
            "tokenizer_config.json: eos_token: found \"<end>\"",
            "generation_config.json: eos_token_id: found no token",
        ],
    );
    let far = json!({ "eos_token_id": 7 });
    check(
        &[("tokenizer.json", small()), ("config.json", far)],
        &["tokenizer.json: eos_token: found token 7"],
    );
}
