//! Any text in, a text that means the same inside HTML, SVG and XML out: between tags, and between the double quotes of an attribute.

/// A text without meaning to a reader of markup. Characters that XML cannot hold in any form become `U+FFFD`.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn nothing_is_left_that_means_something() {
        let escaped = escape("<a & \"b\" 'c'>\u{1}\u{ffff}\n");
        assert_eq!(escaped, "&lt;a &amp; &quot;b&quot; &#39;c&#39;&gt;\u{fffd}\u{fffd}\n");
    }
}
