//! Did you mean?

/// The word that is most like a misspelt one, if any is like it at all.
pub fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let allowed = (word.chars().count() / 3).max(1);
    let folded = word.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&folded, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Words as a sentence lists them: "`a`, `b` or `c`".
pub fn one_of<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    listed(words, "or")
}

/// Words as a sentence lists them: "`a`, `b` and `c`".
pub fn all_of<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    listed(words, "and")
}

fn listed<'w>(words: impl IntoIterator<Item = &'w str>, last: &str) -> String {
    let words: Vec<String> = words.into_iter().map(|w| format!("`{w}`")).collect();
    match words.as_slice() {
        [] => "nothing".into(),
        [only] => only.clone(),
        [most @ .., end] => format!("{} {last} {end}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words() {
        let check = |word: &str, expected: Option<&str>| {
            assert_eq!(nearest(word, ["transcribe", "redact", "store", "capture"]), expected, "{word}");
        };
        check("transcibe", Some("transcribe"));
        check("Redact", Some("redact"));
        check("stroe", Some("store"));
        check("train", None);
        check("", None);
        check("x", None);
    }

    #[test]
    fn lists() {
        assert_eq!(one_of(["a"]), "`a`");
        assert_eq!(one_of(["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(all_of(["a", "b"]), "`a` and `b`");
    }
}
