//! A text and a rule in, the rewritten text out.
//!
//! Must not know any rule.

/// Returns true if a character is one of a word: between such a one and another, a word begins or ends.
pub fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Goes through the characters of a text. `rule` sees the one before, if there is one, and those that are left; it gives how many of
/// these it rewrote. Where it gives none, one is kept.
pub fn rewritten(text: &str, rule: impl Fn(Option<char>, &[char], &mut String) -> usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(rest) = chars.get(at..).filter(|rest| !rest.is_empty()) {
        let before = at.checked_sub(1).and_then(|before| chars.get(before));
        match rule(before.copied(), rest, &mut out) {
            0 => {
                out.extend(rest.first());
                at += 1;
            }
            taken => at += taken,
        }
    }
    out
}
