//! Commands in messages, which work as they are printed.
//!
//! In: words, some of them from outside. Out: the same for a shell. It must not know any command.

/// A word of a command that a shell reads as it is.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_a_word_as_it_is() {
        for word in ["plain", "data/state", "a b", "it's", "$(reboot)", "", "-x", "ä", "a\\b\"c`d"] {
            let said = std::process::Command::new("sh")
                .arg("-c")
                .arg(format!("printf %s {}", quoted(word)))
                .output();
            assert_eq!(String::from_utf8(said.unwrap().stdout).unwrap(), word);
        }
        assert_eq!(quoted("data/state"), "data/state");
    }
}
