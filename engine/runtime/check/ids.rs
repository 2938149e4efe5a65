//! Names of stages, params and pipelines.

use crate::diagnostic::{Diagnostic, Span};

/// Returns true if a text is an id: `[a-z][a-z0-9_]*`.
pub fn is_id(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Returns true if a text can name a pipeline, and so the folder of its state: letters, digits, `-`, `_` and `.` after a first letter
/// or digit, at most 64.
pub fn is_pipeline_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// The error for something that is no id, with an id that is near it.
pub(crate) fn wrong_id(what: &str, id: &str, span: &Span) -> Option<Diagnostic> {
    if is_id(id) {
        return None;
    }
    let error = Diagnostic::at("H0007", format!("`{id}` cannot be the id of a {what}"), span)
        .expected("a small letter, then small letters, digits and underscores");
    Some(match mend(id) {
        Some(mended) => error.suggest(format!("write `{mended}`"), span, mended.clone()),
        None => error,
    })
}

/// An id made of a text: `My Mic-2` becomes `my_mic_2`.
fn mend(text: &str) -> Option<String> {
    let folded: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '_' })
        .collect();
    let mended = folded.trim_start_matches(|c: char| !c.is_ascii_lowercase()).trim_end_matches('_');
    is_id(mended).then(|| mended.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for good in ["a", "mic", "mic_2", "a__"] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "2mic", "Mic", "mic-2", "_mic", "mïc", "a b"] {
            assert!(!is_id(bad), "{bad}");
        }
        assert_eq!(mend("My Mic-2").as_deref(), Some("my_mic_2"));
        assert_eq!(mend("2").as_deref(), None);
    }

    #[test]
    fn pipeline_names_are_folder_names() {
        for good in ["quickstart", "keyword-alert", "v1.2", "9to5"] {
            assert!(is_pipeline_name(good), "{good}");
        }
        for bad in ["", "..", ".hidden", "a/b", "a b", "-x", "é"] {
            assert!(!is_pipeline_name(bad), "{bad}");
        }
    }
}
