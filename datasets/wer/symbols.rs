//! Characters in; letters, digits and the signs of numbers out. Accents go, and every other symbol becomes a blank.
//!
//! Must not know words.

use std::sync::LazyLock;

use regex::Regex;

/// Signs that mean something beside digits, as part of a class of characters.
const KEPT: &str = ".%$¢€£";

static ACCENTS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\p{Mn}").ok());
static SYMBOLS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"[[\p{{M}}\p{{S}}\p{{P}}]--[{KEPT}]]")).ok());

/// Letters that no decomposition takes apart.
fn letter(c: char) -> Option<&'static str> {
    Some(match c {
        'œ' => "oe",
        'ø' => "o",
        'æ' => "ae",
        'ß' => "ss",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ł' => "l",
        _ => return None,
    })
}

/// Decomposed lower-case characters as plain letters, blanks, digits and their signs.
pub fn spaced(decomposed: impl Iterator<Item = char>) -> String {
    let mut text = String::new();
    for c in decomposed {
        match letter(c) {
            Some(letters) => text.push_str(letters),
            None => text.push(c),
        }
    }
    if text.is_ascii() {
        let is_symbol = |c: char| c.is_ascii_punctuation() && !KEPT.contains(c);
        return text.chars().map(|c| if is_symbol(c) { ' ' } else { c }).collect();
    }
    for (class, by) in [(&ACCENTS, ""), (&SYMBOLS, " ")] {
        if let Some(class) = class.as_ref() {
            text = class.replace_all(&text, by).into_owned();
        }
    }
    text
}
