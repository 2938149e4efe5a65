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

/// The known name that another one only seems to be: the same letters and digits in other case or with other signs between,
/// or misspelt by a letter, of longer names by two. Nothing for a name that is known.
pub fn near_miss<'w>(name: &str, known: impl IntoIterator<Item = &'w str> + Clone) -> Option<&'w str> {
    const LONG: usize = 7;
    if known.clone().into_iter().any(|known| known == name) {
        return None;
    }
    let folded = fold(name);
    let distance = |known: &str| strsim::damerau_levenshtein(&folded, &fold(known));
    known
        .into_iter()
        .map(|known| (distance(known), known))
        .filter(|(distance, known)| *distance <= if known.len() < LONG { 1 } else { 2 })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// The letters and digits of a name, in small letters.
pub fn fold(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
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
    fn near_misses() {
        let check = |name: &str, expected: Option<&str>| {
            let known = ["device", "consent", "gateway", "region", "floor_2"];
            assert_eq!(near_miss(name, known), expected, "{name:?}");
        };
        for name in
            ["Consent", "CONSENT", " consent", "consent\u{a0}", "con-sent", "consent?", "\u{feff}consent"]
        {
            check(name, Some("consent"));
        }
        for name in ["concent", "consnet", "consents", "consented", "c0nsent", "сonsent"] {
            check(name, Some("consent"));
        }
        check("Gate Way", Some("gateway"));
        check("gatewya", Some("gateway"));
        check("Region", Some("region"));
        check("regions", Some("region"));
        check("Device", Some("device"));
        check("divice", Some("device"));
        check("floor2", Some("floor_2"));
        for name in ["consent", "device", "room", "reason", "service", "notes", "", "id", "building"] {
            check(name, None);
        }
    }

    #[test]
    fn lists() {
        assert_eq!(one_of(["a"]), "`a`");
        assert_eq!(one_of(["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(all_of(["a", "b"]), "`a` and `b`");
    }
}
