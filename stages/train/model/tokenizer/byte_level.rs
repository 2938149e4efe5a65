//! GPT-2's byte alphabet: which letters of a vocabulary stand for which bytes. Knows no more of a tokenizer.

use serde_json::Value;

/// By byte, its letter: printable bytes stand for themselves, the others for characters from U+0100 on.
fn letters() -> impl Iterator<Item = (u8, char)> {
    let mut next = 0x100u32;
    (0..=u8::MAX).filter_map(move |byte| {
        let letter = if matches!(byte, 33..=126 | 161..=172 | 174..=255) {
            u32::from(byte)
        } else {
            next += 1;
            next - 1
        };
        Some((byte, char::from_u32(letter)?))
    })
}

/// By byte, whether a byte-level tokenizer.json has no token for it. All false for tokenizers of another sort.
pub(super) fn absent(json: &Value) -> [bool; 256] {
    let mut absent = [false; 256];
    let vocab = json.pointer("/model/vocab").and_then(Value::as_object);
    let (Some(vocab), true) = (vocab, json.get("pre_tokenizer").is_some_and(is_byte_level)) else {
        return absent;
    };
    for (byte, letter) in letters() {
        if let Some(slot) = absent.get_mut(usize::from(byte)) {
            *slot = !vocab.contains_key(letter.encode_utf8(&mut [0; 4]));
        }
    }
    absent
}

fn is_byte_level(step: &Value) -> bool {
    let steps = step.get("pretokenizers").and_then(Value::as_array);
    step.get("type").is_some_and(|t| t == "ByteLevel") || steps.is_some_and(|s| s.iter().any(is_byte_level))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_byte_has_a_letter() {
        let check = |byte: u8, letter| assert_eq!(letters().nth(byte.into()), Some((byte, letter)));
        check(b'A', 'A');
        check(0, '\u{100}');
        check(b' ', 'Ġ');
        check(b'\n', 'Ċ');
        check(0xA0, 'ł');
        check(0xAD, 'Ń');
        check(0xFF, 'ÿ');
        assert_eq!(letters().count(), 256);
    }

    #[test]
    fn absent_bytes_are_seen_in_byte_level_vocabularies_only() {
        let vocab: serde_json::Map<String, Value> =
            letters().filter(|(b, _)| *b != 4).map(|(b, l)| (l.to_string(), json!(b))).collect();
        let check = |pre: Value, expected: &[u8]| {
            let json = json!({ "pre_tokenizer": pre, "model": { "vocab": vocab } });
            let found = (0..=u8::MAX).zip(absent(&json)).filter(|(_, a)| *a).map(|(b, _)| b);
            assert_eq!(found.collect::<Vec<u8>>(), expected);
        };
        check(json!({ "type": "ByteLevel" }), &[4]);
        check(
            json!({ "type": "Sequence", "pretokenizers": [{ "type": "Digits" }, { "type": "ByteLevel" }] }),
            &[4],
        );
        check(json!({ "type": "Metaspace" }), &[]);
        check(Value::Null, &[]);
    }
}
