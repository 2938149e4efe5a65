//! Signs that a decoded text is not what was said: repetition, too many tokens, a text that compresses too well.

use super::tokens::Token;

/// Returns true if the last tokens are a phrase said again and again: five times one token, three times two to four, twice
/// five or more. People do say things twice; the price of a false alarm is a second look with the full window.
pub fn repeats(tokens: &[Token]) -> bool {
    (1..=tokens.len() / 2).any(|length| {
        let copies = match length {
            1 => 5,
            2..=4 => 3,
            _ => 2,
        };
        let Some(start) = tokens.len().checked_sub(length * copies) else { return false };
        let Some(tail) = tokens.get(start..) else { return false };
        let (first, rest) = tail.split_at(length);
        rest.chunks(length).all(|copy| copy == first)
    })
}

/// Tokens that speech of this length can have at most: about 7 a second and 15 for good measure.
pub fn most_tokens(seconds: f32) -> usize {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let most = (15.0 + 7.0 * seconds.clamp(0.0, 60.0)) as usize;
    most
}

/// Bytes of a text divided by its bytes compressed by zlib, as openai/whisper measures loops. Speech stays below 2.4.
pub fn compression_ratio(text: &str) -> f32 {
    let compressed = miniz_oxide::deflate::compress_to_vec_zlib(text.as_bytes(), 6);
    text.len() as f32 / compressed.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_is_seen_as_soon_as_it_is_one() {
        let check = |tokens: &[Token], expected: bool| assert_eq!(repeats(tokens), expected, "{tokens:?}");
        check(&[], false);
        check(&[1, 1, 1, 1], false);
        check(&[9, 1, 1, 1, 1, 1], true);
        check(&[1, 1, 1, 1, 1, 9], false); // over again: it went on to something else
        check(&[1, 2, 1, 2], false);
        check(&[7, 1, 2, 1, 2, 1, 2], true);
        check(&[1, 2, 3, 4, 1, 2, 3, 4], false);
        check(&[1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4], true);
        check(&[8, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5], true);
        check(&[1, 2, 3, 4, 5, 1, 2, 3, 4, 6], false);
    }

    #[test]
    fn the_bound_on_tokens_grows_with_time() {
        for (seconds, most) in [(0.0, 15), (1.0, 22), (10.0, 85), (30.0, 225), (f32::NAN, 0), (1e9, 435)] {
            assert_eq!(most_tokens(seconds), most, "{seconds}");
        }
    }

    #[test]
    fn loops_compress_and_speech_does_not() {
        let speech = "And so my fellow Americans ask not what your country can do for you";
        assert!(compression_ratio(speech) < 1.5);
        assert!(compression_ratio(&"and so it goes ".repeat(20)) > 2.4);
        assert!(compression_ratio("") < 1.0);
    }
}
